//! The queue without a path: the same folder in memory, freed as its segments go.

use super::folder::{File, Folder};
use crate::host::locks::lock;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Clones are the same folder.
#[derive(Clone, Default)]
pub struct MemoryFolder {
    files: Arc<Mutex<BTreeMap<String, Arc<Contents>>>>,
}

#[derive(Default)]
struct Contents {
    bytes: Mutex<Vec<u8>>,
    locked: AtomicBool,
    /// How many bytes a power cut leaves for sure.
    #[cfg(test)]
    synced: std::sync::atomic::AtomicUsize,
}

impl MemoryFolder {
    fn find(&self, name: &str) -> io::Result<Arc<Contents>> {
        lock(&self.files)
            .get(name)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
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
        match lock(&self.files).entry(name.to_owned()) {
            std::collections::btree_map::Entry::Occupied(_) => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            std::collections::btree_map::Entry::Vacant(vacant) => {
                Ok(Handle::boxed(vacant.insert(Arc::default()).clone()))
            }
        }
    }

    fn append(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Handle::boxed(
            lock(&self.files)
                .entry(name.to_owned())
                .or_default()
                .clone(),
        ))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Handle::boxed(self.find(name)?))
    }

    fn make(&self) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        lock(&self.files)
            .remove(name)
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = lock(&self.files);
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Its own, and gone with the last use: what a queue in memory sets aside is only reported.
    fn inside(&self, _name: &str) -> io::Result<Box<dyn Folder>> {
        Ok(Box::new(MemoryFolder::default()))
    }
}

struct Handle {
    file: Arc<Contents>,
    holds_lock: AtomicBool,
}

impl Handle {
    fn boxed(file: Arc<Contents>) -> Box<dyn File> {
        Box::new(Handle {
            file,
            holds_lock: AtomicBool::new(false),
        })
    }
}

impl File for Handle {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.file.bytes).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
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
        self.file
            .synced
            .store(lock(&self.file.bytes).len(), Ordering::Relaxed);
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        let free = !self.file.locked.swap(true, Ordering::AcqRel);
        if free {
            self.holds_lock.store(true, Ordering::Relaxed);
        }
        Ok(free || self.holds_lock.load(Ordering::Relaxed))
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
impl MemoryFolder {
    /// The folder as a crash leaves it, without locks. `keep` says how many bytes of a file stay, given
    /// its synced length and its length.
    pub fn after_crash(&self, mut keep: impl FnMut(&str, usize, usize) -> usize) -> MemoryFolder {
        let after = MemoryFolder::default();
        for (name, file) in lock(&self.files).iter() {
            let bytes = lock(&file.bytes).clone();
            let synced = file.synced.load(Ordering::Relaxed).min(bytes.len());
            let kept = keep(name, synced, bytes.len()).clamp(synced, bytes.len());
            after.put(name, &bytes[..kept]);
        }
        after
    }

    pub fn put(&self, name: &str, bytes: &[u8]) {
        let contents = Contents {
            bytes: Mutex::new(bytes.to_vec()),
            synced: bytes.len().into(),
            ..Contents::default()
        };
        lock(&self.files).insert(name.to_owned(), Arc::new(contents));
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
}
