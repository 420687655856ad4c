//! The seam to the operating system: every system call of the store goes through these two traits.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A folder of files. Names are plain file names.
pub trait Folder: Send + Sync {
    /// For messages.
    fn path(&self) -> &Path;
    /// The regular files and their sizes, in no order.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;
    /// A new file, to append to. An error if there is one.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;
    /// A file to append to, made if absent.
    fn append(&self, name: &str) -> io::Result<Box<dyn File>>;
    /// A file to read.
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;
    /// Makes the folder itself, if it is absent.
    fn make(&self) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes the names safe against power loss.
    fn sync(&self) -> io::Result<()>;
    /// The folder in this one, made if absent.
    fn inside(&self, name: &str) -> io::Result<Box<dyn Folder>>;
}

/// An open file; its lock goes when it is closed.
pub trait File: Send + Sync {
    /// One write at the end, which may be short.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// One read, which may be short; 0 only at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn size(&self) -> io::Result<u64>;
    fn truncate(&self, length: u64) -> io::Result<()>;
    fn sync_data(&self) -> io::Result<()>;
    /// Takes the exclusive lock, without waiting; false if someone holds it, in this process or another.
    fn try_lock(&self) -> io::Result<bool>;
    /// Keeps forked children from holding this file, and so its lock.
    fn close_in_child(&mut self) {}
}

/// Writes all of it, with one write unless the system takes less.
pub fn write_all(file: &dyn File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until the buffer is full or the file ends; the number of bytes read.
pub fn read_full(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// To remove, or take away, what somebody else has already.
pub fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// A folder of the file system, private to the user.
pub struct OsFolder {
    path: PathBuf,
}

impl OsFolder {
    /// Makes the folder if it is absent.
    pub fn new(path: impl Into<PathBuf>) -> io::Result<OsFolder> {
        let folder = OsFolder { path: path.into() };
        folder.make()?;
        crate::host::sys::watch_forks();
        Ok(folder)
    }

    fn open_with(&self, name: &str, options: &mut fs::OpenOptions) -> io::Result<Box<dyn File>> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            // A foreign pipe under a name of ours must not stop the thread that opens it.
            options.mode(0o600).custom_flags(libc::O_NONBLOCK);
        }
        let file = options.read(true).open(self.path.join(name))?;
        Ok(Box::new(OsFile {
            file: Some(file),
            registered: false,
            generation: crate::host::sys::generation(),
        }))
    }
}

impl Folder for OsFolder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // A file may go between the listing and the look at it.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.open_with(name, fs::OpenOptions::new().append(true).create_new(true))
    }

    fn append(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.open_with(name, fs::OpenOptions::new().append(true).create(true))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.open_with(name, &mut fs::OpenOptions::new())
    }

    fn make(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.path)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync(&self) -> io::Result<()> {
        // Windows cannot sync a folder and does not need to.
        if cfg!(unix) {
            fs::File::open(&self.path)?.sync_all()
        } else {
            Ok(())
        }
    }

    fn inside(&self, name: &str) -> io::Result<Box<dyn Folder>> {
        Ok(Box::new(OsFolder::new(self.path.join(name))?))
    }
}

struct OsFile {
    /// Always there until it is dropped.
    file: Option<fs::File>,
    registered: bool,
    generation: u32,
}

impl OsFile {
    fn file(&self) -> io::Result<&fs::File> {
        self.file
            .as_ref()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl File for OsFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self.file()?, buffer, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self.file()?, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file()?.metadata()?.len())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file()?.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file()?.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.file()?.try_lock() {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    #[cfg(unix)]
    fn close_in_child(&mut self) {
        use std::os::fd::AsRawFd;
        if let Some(file) = &self.file {
            self.registered = crate::host::sys::close_in_child(file.as_raw_fd());
        }
    }
}

impl Drop for OsFile {
    fn drop(&mut self) {
        #[cfg(unix)]
        if self.registered {
            use std::os::fd::{AsRawFd, IntoRawFd};
            if self.generation != crate::host::sys::generation() {
                // Closed at the fork; the number may be another file's by now.
                let _ = self.file.take().map(IntoRawFd::into_raw_fd);
            } else if let Some(file) = &self.file {
                crate::host::sys::forget_close_in_child(file.as_raw_fd());
            }
        }
    }
}
