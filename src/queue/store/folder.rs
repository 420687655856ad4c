//! The seam to the operating system: every system call of the store goes through these two traits.

use crate::host::locks::{Mutex, lock};
use crate::host::sys::files::{self, FileId, OwnFile};
use std::fs;
use std::io;
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
    /// A file to read, and to lock. An error of a kind that [`is_no_file`] knows if it is none.
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;
    /// Makes the folder itself, if it is absent.
    fn make(&self) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes the names in it safe against power loss, and its own.
    fn sync(&self) -> io::Result<()>;
    /// Which file has this name.
    fn id(&self, name: &str) -> io::Result<FileId>;
    /// The folder in this one, made if absent.
    fn inside(&self, name: &str) -> io::Result<Box<dyn Folder>>;
}

/// An open file; its lock goes when it is closed. A forked child has neither.
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
    /// Whether it still has a name. False once it was removed, with its folder perhaps.
    fn is_linked(&self) -> io::Result<bool>;
    fn id(&self) -> io::Result<FileId>;
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

/// What has the name of a file is a folder or a device: nothing of ours.
pub fn is_no_file(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::IsADirectory | io::ErrorKind::Unsupported
    )
}

/// Somebody has the file open and does not share it, as an antivirus or a viewer may on Windows: mostly for a moment.
pub fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}

/// For what can as well be done later.
pub fn in_use_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_in_use(&error) => Ok(()),
        result => result,
    }
}

/// The file is gone, on this machine or, over NFS, on another.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle
    )
}

/// Whether a file still has its name. Trouble in looking is no news.
pub fn is_there(file: &dyn File) -> bool {
    match file.is_linked() {
        Ok(is_linked) => is_linked,
        Err(error) => !is_gone(&error),
    }
}

/// A folder of the file system, private to the user.
pub struct OsFolder {
    path: PathBuf,
    /// Folders that got a new one of ours and were not synced since.
    parents: Mutex<Vec<PathBuf>>,
}

impl OsFolder {
    /// Makes the folder if it is absent.
    pub fn new(path: impl Into<PathBuf>) -> io::Result<OsFolder> {
        crate::host::sys::adapt_to_process();
        let folder = OsFolder {
            path: path.into(),
            parents: Mutex::default(),
        };
        folder.make()?;
        Ok(folder)
    }

    /// Whether every user of the machine may write to it: they can take events away and add their own.
    pub fn is_open_to_all(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            const OTHERS_WRITE: u32 = 0o002;
            fs::metadata(&self.path)
                .is_ok_and(|found| found.permissions().mode() & OTHERS_WRITE != 0)
        }
        #[cfg(not(unix))]
        false
    }

    fn open_with(&self, name: &str, options: &mut fs::OpenOptions) -> io::Result<Box<dyn File>> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            // A foreign pipe under a name of ours must not stop the thread that opens it; and who may write to the
            // folder must not choose, by a link, what else of this user's is written to.
            let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
            options.mode(0o600).custom_flags(flags);
        }
        let opened = OwnFile::open(&self.path.join(name), options.read(true));
        #[cfg(unix)]
        let opened = opened.map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => is_a_link(),
            _ => error,
        });
        // Windows says of a folder that access to it is denied.
        #[cfg(windows)]
        let opened = opened.map_err(|error| match self.path.join(name).is_dir() {
            true => io::Error::new(io::ErrorKind::IsADirectory, error),
            false => error,
        });
        let file = known(opened)?;
        if !file.get()?.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "it is no regular file",
            ));
        }
        Ok(Box::new(OsFile(file)))
    }
}

/// Appends whatever the position. Windows would not truncate a file that is opened to append only.
#[cfg(windows)]
fn appending(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    options.write(true)
}

#[cfg(not(windows))]
fn appending(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    options.append(true)
}

impl Folder for OsFolder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // A file may go between the listing and the look at it. What a folder of NTFS says of a file that is
            // written to is old: its size is that at the last close.
            let metadata = match cfg!(windows) {
                true => fs::symlink_metadata(entry.path()),
                false => entry.metadata(),
            };
            let Ok(metadata) = metadata else {
                continue;
            };
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.open_with(
            name,
            appending(&mut fs::OpenOptions::new()).create_new(true),
        )
    }

    fn append(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.open_with(name, appending(&mut fs::OpenOptions::new()).create(true))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        // NFS gives an exclusive lock only to who may write.
        let opened = self.open_with(name, fs::OpenOptions::new().write(true));
        match opened {
            // Who shares a file on Windows for reading only may be an antivirus.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied || is_in_use(&error) => {
                self.open_with(name, &mut fs::OpenOptions::new())
            }
            opened => opened,
        }
    }

    fn make(&self) -> io::Result<()> {
        let mut missing: Vec<PathBuf> = self
            .path
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .filter_map(|folder| folder.parent().map(Path::to_owned))
            .collect();
        files::make_private_folders(&self.path)?;
        lock(&self.parents).append(&mut missing);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        known(fs::remove_file(self.path.join(name)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        known(fs::rename(self.path.join(from), self.path.join(to)))
    }

    fn sync(&self) -> io::Result<()> {
        let mut parents = lock(&self.parents);
        // Windows cannot sync a folder and does not need to.
        if cfg!(windows) {
            parents.clear();
            return Ok(());
        }
        while let Some(parent) = parents.last() {
            // A relative path's first parent has no name.
            let named = !parent.as_os_str().is_empty();
            let parent = if named { parent } else { Path::new(".") };
            fs::File::open(parent)?.sync_all()?;
            parents.pop();
        }
        drop(parents);
        fs::File::open(&self.path)?.sync_all()
    }

    fn id(&self, name: &str) -> io::Result<FileId> {
        files::id_at(&self.path.join(name))
    }

    fn inside(&self, name: &str) -> io::Result<Box<dyn Folder>> {
        let path = self.path.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            return Err(is_a_link());
        }
        Ok(Box::new(OsFolder::new(path)?))
    }
}

/// std has no kind of its own for what [`is_in_use`] knows.
#[cfg(windows)]
fn known<T>(result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| match files::is_sharing_violation(&error) {
        true => io::Error::new(io::ErrorKind::ResourceBusy, error),
        false => error,
    })
}

#[cfg(not(windows))]
fn known<T>(result: io::Result<T>) -> io::Result<T> {
    result
}

fn is_a_link() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "it is a symbolic link, which is not followed here; remove it",
    )
}

struct OsFile(OwnFile);

impl File for OsFile {
    #[cfg(not(windows))]
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut self.0.get()?, bytes)
    }

    #[cfg(windows)]
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        /// To the system it means the end, wherever that is.
        const END: u64 = u64::MAX;
        std::os::windows::fs::FileExt::seek_write(self.0.get()?, bytes, END)
    }

    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self.0.get()?, buffer, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self.0.get()?, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.get()?.metadata()?.len())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.get()?.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.get()?.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }

    fn is_linked(&self) -> io::Result<bool> {
        self.0.is_linked()
    }

    fn id(&self) -> io::Result<FileId> {
        self.0.id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parents_of_new_folders_are_to_be_synced_once() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b/queue");
        let folder = OsFolder::new(&path).unwrap();
        let expected = ["a/b", "a", ""].map(|name| parent.path().join(name));
        assert!(lock(&folder.parents).iter().eq(expected.iter()));

        folder.sync().unwrap();
        assert!(lock(&folder.parents).is_empty());
        folder.make().unwrap();
        assert!(lock(&folder.parents).is_empty(), "it was there");
    }

    #[cfg(windows)]
    #[test]
    fn a_file_that_another_program_does_not_share_is_in_use() {
        use std::os::windows::fs::OpenOptionsExt;
        let parent = tempfile::tempdir().unwrap();
        let folder = OsFolder::new(parent.path()).unwrap();
        drop(folder.append("file").unwrap());
        const FILE_SHARE_READ: u32 = 1;
        let other = |share| {
            let mut options = fs::OpenOptions::new();
            options.read(true).share_mode(share);
            options.open(parent.path().join("file")).unwrap()
        };
        let reads = other(FILE_SHARE_READ);
        assert_eq!(folder.open("file").unwrap().size().unwrap(), 0);
        drop(reads);
        let alone = other(0);
        let opened = [folder.open("file"), folder.append("file")].map(|it| it.map(drop));
        let named = [folder.remove("file"), folder.rename("file", "other")];
        for refused in opened.into_iter().chain(named) {
            assert!(is_in_use(&refused.unwrap_err()));
        }
        drop(alone);
        folder.remove("file").unwrap();
    }

    #[test]
    fn a_file_that_only_may_be_read_is_read_and_a_folder_is_no_file() {
        let parent = tempfile::tempdir().unwrap();
        let folder = OsFolder::new(parent.path()).unwrap();
        let file = folder.append("file").unwrap();
        write_all(&*file, b"abc").unwrap();
        let path = parent.path().join("file");
        let mut mode = fs::metadata(&path).unwrap().permissions();
        mode.set_readonly(true);
        fs::set_permissions(&path, mode).unwrap();
        assert_eq!(folder.open("file").unwrap().size().unwrap(), 3);

        fs::create_dir(parent.path().join("folder")).unwrap();
        assert!(is_no_file(&folder.open("folder").err().unwrap()));
    }
}
