//! A folder that asks before each call, also on its files.

use super::*;
use crate::host::sys::files::FileId;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

type Before = Arc<dyn Fn(&str, &str) -> io::Result<()> + Send + Sync>;

pub struct Watched {
    inner: MemoryFolder,
    before: Before,
}

impl Watched {
    /// `before` gets the call and the name of the file; of a read, how many bytes it was.
    pub fn new(
        inner: &MemoryFolder,
        before: impl Fn(&str, &str) -> io::Result<()> + Send + Sync + 'static,
    ) -> Box<Watched> {
        Box::new(Watched {
            inner: inner.clone(),
            before: Arc::new(before),
        })
    }

    fn file(&self, name: &str, file: io::Result<Box<dyn File>>) -> io::Result<Box<dyn File>> {
        Ok(Box::new(WatchedFile {
            name: name.to_owned(),
            inner: file?,
            before: Arc::clone(&self.before),
        }))
    }
}

impl Folder for Watched {
    fn path(&self) -> &Path {
        self.inner.path()
    }
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        (self.before)("list", "")?;
        self.inner.list()
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        (self.before)("create", name)?;
        self.file(name, self.inner.create(name))
    }
    fn append(&self, name: &str) -> io::Result<Box<dyn File>> {
        (self.before)("append", name)?;
        self.file(name, self.inner.append(name))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        (self.before)("open", name)?;
        self.file(name, self.inner.open(name))
    }
    fn make(&self) -> io::Result<()> {
        (self.before)("make", "")?;
        self.inner.make()
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        (self.before)("remove", name)?;
        self.inner.remove(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        (self.before)("rename", from)?;
        self.inner.rename(from, to)
    }
    fn sync(&self) -> io::Result<()> {
        (self.before)("sync", "")?;
        self.inner.sync()
    }
    fn id(&self, name: &str) -> io::Result<FileId> {
        (self.before)("id", name)?;
        self.inner.id(name)
    }
    fn inside(&self, name: &str) -> io::Result<Box<dyn Folder>> {
        (self.before)("inside", name)?;
        self.inner.inside(name)
    }
}

struct WatchedFile {
    name: String,
    inner: Box<dyn File>,
    before: Before,
}

impl File for WatchedFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (self.before)("write", &self.name)?;
        self.inner.write(bytes)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.inner.read_at(buffer, offset)?;
        (self.before)("read", &read.to_string())?;
        Ok(read)
    }
    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        (self.before)("truncate", &self.name)?;
        self.inner.truncate(length)
    }
    fn sync_data(&self) -> io::Result<()> {
        (self.before)("sync_data", &self.name)?;
        self.inner.sync_data()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.inner.try_lock()
    }
    fn is_linked(&self) -> io::Result<bool> {
        self.inner.is_linked()
    }
    fn id(&self) -> io::Result<FileId> {
        self.inner.id()
    }
}

pub fn failure() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}

/// Fails one call, once.
pub fn fail_once(
    folder: &MemoryFolder,
    call: &'static str,
    ending: &'static str,
) -> (Box<Watched>, Arc<AtomicBool>) {
    fail_once_with(folder, call, ending, failure)
}

pub fn fail_once_with(
    folder: &MemoryFolder,
    call: &'static str,
    ending: &'static str,
    failure: impl Fn() -> io::Error + Send + Sync + 'static,
) -> (Box<Watched>, Arc<AtomicBool>) {
    let armed = Arc::new(AtomicBool::new(false));
    let fails = Arc::clone(&armed);
    let before = move |made: &str, name: &str| {
        let hits = made == call && name.ends_with(ending);
        match hits && fails.swap(false, Ordering::Relaxed) {
            true => Err(failure()),
            false => Ok(()),
        }
    };
    (Watched::new(folder, before), armed)
}
