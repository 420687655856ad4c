//! The queue without a path: the same folder in memory, freed as its segments go. For the tests it can lose
//! power, and be as strict as Windows.

use super::folder::{File, Folder};
use crate::host::locks::{Mutex, lock};
use crate::host::sys::files::FileId;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Clones are the same folder.
#[derive(Clone, Default)]
pub struct MemoryFolder {
    files: Arc<Mutex<Names>>,
    #[cfg(test)]
    disk: Arc<simulated::Disk>,
}

type Names = BTreeMap<String, Arc<Contents>>;

#[derive(Default)]
struct Contents {
    bytes: Mutex<Vec<u8>>,
    locked: AtomicBool,
    removed: AtomicBool,
    /// What a power cut leaves for sure.
    #[cfg(test)]
    synced: Mutex<Vec<u8>>,
}

/// What happens to the names, in order.
enum Change<'a> {
    Add(&'a str, &'a Arc<Contents>),
    Remove(&'a str),
    Rename(&'a str, &'a str),
}

impl MemoryFolder {
    fn find(&self, name: &str) -> io::Result<Arc<Contents>> {
        lock(&self.files)
            .get(name)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn handle(&self, file: Arc<Contents>) -> Box<dyn File> {
        Box::new(Handle {
            file,
            holds_lock: AtomicBool::new(false),
            #[cfg(test)]
            disk: Arc::clone(&self.disk),
        })
    }

    /// Changes names; an error if the system would refuse it.
    fn change(&self, names: &mut Names, change: &Change<'_>) -> io::Result<()> {
        #[cfg(test)]
        self.disk.allows(names, change)?;
        apply(names, change)?;
        #[cfg(test)]
        self.disk.note(change);
        Ok(())
    }
}

fn apply(names: &mut Names, change: &Change<'_>) -> io::Result<()> {
    let gone = match change {
        Change::Add(name, file) => names.insert((*name).to_owned(), Arc::clone(file)),
        Change::Remove(name) => Some(names.remove(*name).ok_or(io::ErrorKind::NotFound)?),
        Change::Rename(from, to) => {
            let file = names.remove(*from).ok_or(io::ErrorKind::NotFound)?;
            names.insert((*to).to_owned(), file)
        }
    };
    if let Some(gone) = gone {
        gone.removed.store(true, Ordering::Relaxed);
    }
    Ok(())
}

impl Folder for MemoryFolder {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let files = lock(&self.files);
        Ok(files
            .iter()
            .map(|(name, file)| (name.clone(), lock(&file.bytes).len() as u64))
            .collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut files = lock(&self.files);
        if files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Arc::default();
        self.change(&mut files, &Change::Add(name, &file))?;
        Ok(self.handle(file))
    }

    fn append(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut files = lock(&self.files);
        let file = match files.get(name) {
            Some(file) => Arc::clone(file),
            None => {
                let file = Arc::default();
                self.change(&mut files, &Change::Add(name, &file))?;
                file
            }
        };
        Ok(self.handle(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(self.handle(self.find(name)?))
    }

    fn make(&self) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(&mut lock(&self.files), &Change::Remove(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(&mut lock(&self.files), &Change::Rename(from, to))
    }

    fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        self.disk.sync(&lock(&self.files));
        Ok(())
    }

    fn id(&self, name: &str) -> io::Result<FileId> {
        Ok(self.find(name)?.id())
    }

    /// Its own, and gone with the last use: what a queue in memory sets aside is only reported.
    fn inside(&self, _name: &str) -> io::Result<Box<dyn Folder>> {
        Ok(Box::new(MemoryFolder::default()))
    }
}

impl Contents {
    fn id(self: &Arc<Self>) -> FileId {
        FileId {
            volume: 0,
            number: Arc::as_ptr(self) as usize as u64,
        }
    }
}

struct Handle {
    file: Arc<Contents>,
    holds_lock: AtomicBool,
    #[cfg(test)]
    disk: Arc<simulated::Disk>,
}

impl File for Handle {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut contents = lock(&self.file.bytes);
        #[cfg(test)]
        self.check_lock(contents.len() as u64, bytes.len())?;
        contents.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(test)]
        self.check_lock(offset, buffer.len())?;
        let bytes = lock(&self.file.bytes);
        let from = bytes.get(offset as usize..).unwrap_or_default();
        let length = from.len().min(buffer.len());
        buffer[..length].copy_from_slice(&from[..length]);
        Ok(length)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(lock(&self.file.bytes).len() as u64)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        lock(&self.file.bytes).truncate(length as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        #[cfg(test)]
        lock(&self.file.synced).clone_from(&lock(&self.file.bytes));
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        let free = !self.file.locked.swap(true, Ordering::AcqRel);
        if free {
            self.holds_lock.store(true, Ordering::Relaxed);
        }
        Ok(free || self.holds_lock.load(Ordering::Relaxed))
    }

    fn is_linked(&self) -> io::Result<bool> {
        Ok(!self.file.removed.load(Ordering::Relaxed))
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(self.file.id())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.holds_lock.load(Ordering::Relaxed) {
            self.file.locked.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod simulated {
    use super::*;
    use crate::host::sys::files::LOCKED_BYTE;

    /// What of the names is on the disk, and what of them may be.
    #[derive(Default)]
    pub struct Disk {
        durable: Mutex<Names>,
        /// Since they were synced.
        changes: Mutex<Vec<Owned>>,
        is_strict: AtomicBool,
    }

    enum Owned {
        Add(String, Arc<Contents>),
        Remove(String),
        Rename(String, String),
    }

    /// So much of a file is written whole or not at all.
    const SECTOR: usize = 16;

    impl Disk {
        pub(super) fn allows(&self, names: &Names, change: &Change<'_>) -> io::Result<()> {
            let (Change::Remove(name) | Change::Rename(_, name)) = change else {
                return Ok(());
            };
            // The names' own, and that of what is not synced, are not open.
            let is_open = |file: &Arc<Contents>| Arc::strong_count(file) > 1 + self.holds(file);
            match names.get(*name) {
                Some(file) if self.is_strict.load(Ordering::Relaxed) && is_open(file) => {
                    Err(io::ErrorKind::PermissionDenied.into())
                }
                _ => Ok(()),
            }
        }

        /// How often it refers to a file.
        fn holds(&self, file: &Arc<Contents>) -> usize {
            let durable = lock(&self.durable);
            let changes = lock(&self.changes);
            let added = changes.iter().filter_map(|change| match change {
                Owned::Add(_, file) => Some(file),
                _ => None,
            });
            let all = durable.values().chain(added);
            all.filter(|other| Arc::ptr_eq(other, file)).count()
        }

        pub(super) fn note(&self, change: &Change<'_>) {
            lock(&self.changes).push(match *change {
                Change::Add(name, file) => Owned::Add(name.to_owned(), Arc::clone(file)),
                Change::Remove(name) => Owned::Remove(name.to_owned()),
                Change::Rename(from, to) => Owned::Rename(from.to_owned(), to.to_owned()),
            });
        }

        pub(super) fn sync(&self, names: &Names) {
            lock(&self.durable).clone_from(names);
            lock(&self.changes).clear();
        }
    }

    impl Handle {
        /// A strict folder's locks are mandatory: the locked byte is the holder's alone, also where the file
        /// does not reach it.
        pub(super) fn check_lock(&self, offset: u64, length: usize) -> io::Result<()> {
            let reaches = (offset..offset.saturating_add(length as u64)).contains(&LOCKED_BYTE);
            let is_others = self.file.locked.load(Ordering::Acquire)
                && !self.holds_lock.load(Ordering::Relaxed);
            match reaches && is_others && self.disk.is_strict.load(Ordering::Relaxed) {
                true => Err(io::Error::other(
                    "another handle has locked a part of the file",
                )),
                false => Ok(()),
            }
        }
    }

    #[test]
    fn a_strict_folders_locked_byte_is_its_holders_alone() {
        for (folder, is_strict) in [
            (MemoryFolder::strict(), true),
            (MemoryFolder::default(), false),
        ] {
            let (holder, other) = (folder.append("a").unwrap(), folder.open("a").unwrap());
            holder.write(b"bytes").unwrap();
            assert!(holder.try_lock().unwrap());
            let read = |file: &dyn File, offset| file.read_at(&mut [0; 8], offset);
            assert_eq!(read(&*other, 0).unwrap(), 5);
            assert_eq!(read(&*holder, LOCKED_BYTE - 4).unwrap(), 0);
            assert_eq!(read(&*other, LOCKED_BYTE - 4).is_err(), is_strict);
            assert_eq!(read(&*other, LOCKED_BYTE - 8).unwrap(), 0);
            drop(holder);
            assert_eq!(read(&*other, LOCKED_BYTE - 4).unwrap(), 0);
        }
    }

    impl MemoryFolder {
        /// One as on Windows: a file that is open cannot be removed, and locks are mandatory.
        pub fn strict() -> MemoryFolder {
            let folder = MemoryFolder::default();
            folder.disk.is_strict.store(true, Ordering::Relaxed);
            folder
        }

        /// How many handles there are on files that end so.
        pub fn open_handles(&self, ending: &str) -> usize {
            let files = lock(&self.files);
            let found = files.iter().filter(|(name, _)| name.ends_with(ending));
            found
                .map(|(_, file)| Arc::strong_count(file) - 1 - self.disk.holds(file))
                .sum()
        }

        fn like(&self) -> MemoryFolder {
            let is_strict = self.disk.is_strict.load(Ordering::Relaxed);
            let folder = MemoryFolder::default();
            folder.disk.is_strict.store(is_strict, Ordering::Relaxed);
            folder
        }

        /// The folder as the end of a process leaves it, without locks.
        pub fn after_kill(&self) -> MemoryFolder {
            let after = self.like();
            for (name, file) in lock(&self.files).iter() {
                let copy = Contents {
                    bytes: Mutex::new(lock(&file.bytes).clone()),
                    synced: Mutex::new(lock(&file.synced).clone()),
                    ..Contents::default()
                };
                lock(&after.files).insert(name.clone(), Arc::new(copy));
            }
            let names = lock(&after.files);
            // What was not synced still is not.
            for (name, file) in lock(&self.disk.durable).iter() {
                let copy = names.get(name).cloned().unwrap_or_else(|| {
                    Arc::new(Contents {
                        bytes: Mutex::new(lock(&file.bytes).clone()),
                        synced: Mutex::new(lock(&file.synced).clone()),
                        ..Contents::default()
                    })
                });
                lock(&after.disk.durable).insert(name.clone(), copy);
            }
            for change in lock(&self.disk.changes).iter() {
                lock(&after.disk.changes).push(match change {
                    Owned::Add(name, file) => {
                        let renamed =
                            |(_, other): &(&String, &Arc<Contents>)| Arc::ptr_eq(other, file);
                        let now = lock(&self.files)
                            .iter()
                            .find(renamed)
                            .map(|it| it.0.clone());
                        let copy = now.and_then(|now| names.get(&now).cloned());
                        Owned::Add(name.clone(), copy.unwrap_or_default())
                    }
                    Owned::Remove(name) => Owned::Remove(name.clone()),
                    Owned::Rename(from, to) => Owned::Rename(from.clone(), to.clone()),
                });
            }
            drop(names);
            after
        }

        /// The folder as a power cut leaves it: of the changes of names that were not synced, any are
        /// lost; of each sector that was not, the old or the new bytes. `random(n)` is below n.
        pub fn after_power_cut(&self, mut random: impl FnMut(usize) -> usize) -> MemoryFolder {
            let mut names = lock(&self.disk.durable).clone();
            for change in lock(&self.disk.changes).iter() {
                if random(2) == 0 {
                    continue;
                }
                // One that follows from another that is lost is lost too.
                let _ = apply(
                    &mut names,
                    &match change {
                        Owned::Add(name, file) => Change::Add(name, file),
                        Owned::Remove(name) => Change::Remove(name),
                        Owned::Rename(from, to) => Change::Rename(from, to),
                    },
                );
            }
            let after = self.like();
            for (name, file) in names {
                let (old, new) = (lock(&file.synced), lock(&file.bytes));
                let shorter = old.len().min(new.len());
                let longer = old.len().max(new.len());
                let mut bytes = vec![0; shorter + random(longer - shorter + 1)];
                for (sector, bytes) in bytes.chunks_mut(SECTOR).enumerate() {
                    let from = if random(2) == 0 { &old } else { &new };
                    let from = from.get(sector * SECTOR..).unwrap_or_default();
                    let length = from.len().min(bytes.len());
                    bytes[..length].copy_from_slice(&from[..length]);
                }
                after.put(&name, &bytes);
            }
            after
        }

        pub fn put(&self, name: &str, bytes: &[u8]) {
            let contents = Arc::new(Contents {
                bytes: Mutex::new(bytes.to_vec()),
                synced: Mutex::new(bytes.to_vec()),
                ..Contents::default()
            });
            lock(&self.files).insert(name.to_owned(), Arc::clone(&contents));
            lock(&self.disk.durable).insert(name.to_owned(), contents);
        }

        pub fn get(&self, name: &str) -> Option<Vec<u8>> {
            self.find(name).ok().map(|file| lock(&file.bytes).clone())
        }

        /// Changes a file in place, under whoever has it open.
        pub fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
            if let Ok(file) = self.find(name) {
                change(&mut lock(&file.bytes));
            }
        }

        pub fn names(&self) -> Vec<String> {
            lock(&self.files).keys().cloned().collect()
        }

        /// Somebody removes the whole folder, whatever is open; it is there again at once.
        pub fn remove_all(&self) {
            for (_, file) in std::mem::take(&mut *lock(&self.files)) {
                file.removed.store(true, Ordering::Relaxed);
            }
            lock(&self.disk.durable).clear();
            lock(&self.disk.changes).clear();
        }
    }
}
