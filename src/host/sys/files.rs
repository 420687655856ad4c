//! Files of which a forked child keeps nothing, and what std does not do with a file: a lock that keeps
//! nobody from reading on Windows too, which file it is, and whether it still has a name.
//!
//! A `flock` is held until the last copy of its descriptor is closed, so a child that lives on would keep
//! the lock of a parent that died. Therefore every file here is on a list, and the child closes them all
//! before `fork` returns in it. The list is locked while a file is opened or closed, and during a fork: so
//! no fork comes between the opening of a file and its entry in the list.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::mem::ManuallyDrop;
use std::path::Path;

use super::generation::generation;

/// An open file; a forked child does not have it.
pub struct OwnFile {
    file: ManuallyDrop<fs::File>,
    generation: u32,
}

/// Two open files are one if these are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    pub volume: u64,
    pub number: u64,
}

impl OwnFile {
    pub fn open(path: &Path, options: &fs::OpenOptions) -> io::Result<Self> {
        let file = list::opened(|| options.open(path))?;
        Ok(Self {
            file: ManuallyDrop::new(file),
            generation: generation(),
        })
    }

    /// An error in a forked child, where its number may be another file's.
    pub fn get(&self) -> io::Result<&fs::File> {
        match self.generation == generation() {
            true => Ok(&self.file),
            false => Err(io::Error::other(
                "opened before a fork; a child opens files of its own",
            )),
        }
    }

    /// Takes the exclusive lock, without waiting. It goes when the file is closed.
    pub fn try_lock(&self) -> io::Result<bool> {
        try_lock(self.get()?)
    }

    pub fn id(&self) -> io::Result<FileId> {
        id(self.get()?)
    }

    /// Whether a name leads to it: it was not removed.
    pub fn is_linked(&self) -> io::Result<bool> {
        is_linked(self.get()?)
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        // In a child it was closed at the fork.
        if self.generation == generation() {
            // SAFETY: taken once, here.
            list::closing(unsafe { ManuallyDrop::take(&mut self.file) });
        }
    }
}

#[cfg(unix)]
pub use unix::*;

#[cfg(unix)]
mod unix {
    use super::FileId;
    use std::fs;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    pub(super) fn try_lock(file: &fs::File) -> io::Result<bool> {
        match file.try_lock() {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn id(file: &fs::File) -> io::Result<FileId> {
        Ok(of(&file.metadata()?))
    }

    /// Which file a path leads to.
    pub fn id_at(path: &Path) -> io::Result<FileId> {
        Ok(of(&fs::metadata(path)?))
    }

    fn of(metadata: &fs::Metadata) -> FileId {
        FileId {
            volume: metadata.dev(),
            number: metadata.ino(),
        }
    }

    /// A plain fstat: it is done for every event, and std's `metadata` asks for more (0.15 µs and 0.3).
    pub(super) fn is_linked(file: &fs::File) -> io::Result<bool> {
        // SAFETY: a valid descriptor, and room for what is said of it, which is read only if it was said.
        unsafe {
            let mut said = std::mem::zeroed::<libc::stat>();
            match libc::fstat(file.as_raw_fd(), &mut said) {
                0 => Ok(said.st_nlink > 0),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }
}

#[cfg(unix)]
pub(super) mod list {
    use crate::host::locks::{Mutex, MutexGuard, lock};
    use std::cell::UnsafeCell;
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsRawFd, RawFd};

    /// A bit for each descriptor that a child closes.
    static OPEN: Mutex<Vec<u64>> = Mutex::new(Vec::new());

    struct Held(UnsafeCell<Option<MutexGuard<'static, Vec<u64>>>>);

    // SAFETY: only who holds the guard that is kept in it touches it: the thread that forks.
    unsafe impl Sync for Held {}

    static HELD: Held = Held(UnsafeCell::new(None));

    pub fn opened(open: impl FnOnce() -> io::Result<File>) -> io::Result<File> {
        let mut bits = lock(&OPEN);
        let file = open()?;
        let (word, bit) = place(file.as_raw_fd());
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        bits[word] |= bit;
        Ok(file)
    }

    pub fn closing(file: File) {
        let mut bits = lock(&OPEN);
        let (word, bit) = place(file.as_raw_fd());
        if let Some(bits) = bits.get_mut(word) {
            *bits &= !bit;
        }
        // Closed with the list locked: a child that is forked before has it on its list.
        drop(file);
    }

    fn place(fd: RawFd) -> (usize, u64) {
        (fd as usize / 64, 1 << (fd as usize % 64))
    }

    pub unsafe extern "C" fn before_fork() {
        let guard = lock(&OPEN);
        // SAFETY: this thread holds the lock.
        unsafe { *HELD.0.get() = Some(guard) };
    }

    pub unsafe extern "C" fn after_fork_in_parent() {
        // SAFETY: this thread holds the lock since `before_fork`.
        drop(unsafe { (*HELD.0.get()).take() });
    }

    pub fn after_fork_in_child() {
        // SAFETY: this thread holds the lock since `before_fork`; in the child it is the only one.
        let guard = unsafe { (*HELD.0.get()).take() };
        let Some(mut bits) = guard else { return };
        for (word, bits) in bits.iter_mut().enumerate() {
            while *bits != 0 {
                let fd = word * 64 + bits.trailing_zeros() as usize;
                // SAFETY: its owner notices the fork and touches the number no more.
                unsafe { libc::close(fd as RawFd) };
                *bits &= *bits - 1;
            }
        }
    }
}

#[cfg(not(unix))]
mod list {
    use std::fs::File;
    use std::io;

    pub fn opened(open: impl FnOnce() -> io::Result<File>) -> io::Result<File> {
        open()
    }

    pub fn closing(file: File) {
        drop(file);
    }
}

#[cfg(windows)]
pub use windows::*;

#[cfg(windows)]
mod windows {
    use super::FileId;
    use std::ffi::c_void;
    use std::fs;
    use std::io;
    use std::os::windows::io::AsRawHandle;
    use std::path::Path;

    #[repr(C)]
    struct Overlapped {
        internal: usize,
        internal_high: usize,
        offset: u32,
        offset_high: u32,
        event: *mut c_void,
    }

    #[repr(C)]
    #[derive(Default)]
    struct ByHandle {
        attributes: u32,
        times: [u32; 6],
        volume: u32,
        size_high: u32,
        size_low: u32,
        links: u32,
        index_high: u32,
        index_low: u32,
    }

    #[repr(C)]
    #[derive(Default)]
    struct Standard {
        allocated: i64,
        size: i64,
        links: u32,
        delete_pending: u8,
        directory: u8,
    }

    const FAIL_IMMEDIATELY: u32 = 1;
    const EXCLUSIVE: u32 = 2;
    const LOCK_VIOLATION: i32 = 33;
    const IO_PENDING: i32 = 997;
    const STANDARD_INFO: i32 = 1;

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn LockFileEx(
            file: *mut c_void,
            flags: u32,
            reserved: u32,
            bytes_low: u32,
            bytes_high: u32,
            at: *mut Overlapped,
        ) -> i32;
        fn GetFileInformationByHandle(file: *mut c_void, out: *mut ByHandle) -> i32;
        fn GetFileInformationByHandleEx(
            file: *mut c_void,
            class: i32,
            out: *mut c_void,
            size: u32,
        ) -> i32;
    }

    /// Locks are mandatory there: a locked byte cannot be read by others. So it is one that no file
    /// reaches.
    pub(super) fn try_lock(file: &fs::File) -> io::Result<bool> {
        let mut at = Overlapped {
            internal: 0,
            internal_high: 0,
            offset: 0,
            offset_high: 0x7FFF_FFFF,
            event: std::ptr::null_mut(),
        };
        // SAFETY: a valid handle, and an OVERLAPPED that outlives the call, which does not wait.
        let done = unsafe {
            let flags = EXCLUSIVE | FAIL_IMMEDIATELY;
            LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &mut at)
        };
        if done != 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(LOCK_VIOLATION | IO_PENDING) => Ok(false),
            _ => Err(error),
        }
    }

    pub(super) fn id(file: &fs::File) -> io::Result<FileId> {
        let mut said = ByHandle::default();
        // SAFETY: a valid handle, and room for the answer.
        match unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut said) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(FileId {
                volume: said.volume.into(),
                number: u64::from(said.index_high) << 32 | u64::from(said.index_low),
            }),
        }
    }

    /// Which file a path leads to.
    pub fn id_at(path: &Path) -> io::Result<FileId> {
        id(&fs::File::open(path)?)
    }

    pub(super) fn is_linked(file: &fs::File) -> io::Result<bool> {
        let mut said = Standard::default();
        // SAFETY: a valid handle, and room of that size for the answer.
        let done = unsafe {
            let out = (&raw mut said).cast();
            let size = size_of::<Standard>() as u32;
            GetFileInformationByHandleEx(file.as_raw_handle(), STANDARD_INFO, out, size)
        };
        match done {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(said.links > 0 && said.delete_pending == 0),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::host::sys::{generation, watch_forks};
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    /// What the child finds, as its exit status.
    fn in_child(look: impl FnOnce() -> i32) -> i32 {
        // SAFETY: the child only makes system calls, then _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let found = look();
            unsafe { libc::_exit(found) };
        }
        let mut status = 0;
        unsafe { libc::waitpid(child, &mut status, 0) };
        libc::WEXITSTATUS(status)
    }

    fn is_open(fd: i32) -> bool {
        // SAFETY: a plain system call.
        unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
    }

    fn create(path: &Path) -> OwnFile {
        OwnFile::open(path, fs::OpenOptions::new().append(true).create(true)).unwrap()
    }

    #[test]
    fn a_child_has_a_generation_of_its_own_and_none_of_many_files() {
        watch_forks();
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<OwnFile> = (0..300)
            .map(|number| create(&folder.path().join(number.to_string())))
            .collect();
        let fds: Vec<i32> = files.iter().map(|it| it.file.as_raw_fd()).collect();
        let before = generation();

        let found = in_child(|| {
            let left = fds.iter().filter(|fd| is_open(**fd)).count();
            let refused = files.iter().all(|file| file.get().is_err());
            (left > 0 || generation() != before + 1 || !refused).into()
        });

        assert_eq!(found, 0);
        assert_eq!(generation(), before);
        assert!(fds.iter().all(|fd| is_open(*fd)), "the parent keeps them");
    }

    #[test]
    fn a_fork_that_comes_while_files_are_opened_and_closed_takes_none_along() {
        watch_forks();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locked");
        let over = AtomicBool::new(false);
        let mut children = Vec::new();
        std::thread::scope(|scope| {
            let locker = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let file = create(&path);
                    // A child that is not through with its fork has it for a moment.
                    let end = Instant::now() + Duration::from_secs(60);
                    while !file.try_lock().unwrap() {
                        assert!(Instant::now() < end, "a child has it, and lives");
                        std::thread::yield_now();
                    }
                }
            });
            while children.len() < 100 && !locker.is_finished() {
                // SAFETY: the child only makes a system call.
                match unsafe { libc::fork() } {
                    0 => loop {
                        unsafe { libc::pause() };
                    },
                    child => children.push(child),
                }
            }
            over.store(true, Ordering::Relaxed);
            let locked = locker.join();
            for child in children {
                // SAFETY: plain system calls, for a child of this test.
                unsafe {
                    libc::kill(child, libc::SIGKILL);
                    libc::waitpid(child, std::ptr::null_mut(), 0);
                }
            }
            locked.unwrap();
        });
    }

    #[test]
    fn a_file_knows_which_one_it_is_and_whether_it_has_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = create(&path);
        assert!(file.is_linked().unwrap());
        assert_eq!(file.id().unwrap(), id_at(&path).unwrap());
        fs::rename(&path, folder.path().join("other")).unwrap();
        let _another = create(&path);
        assert!(file.is_linked().unwrap());
        assert_ne!(file.id().unwrap(), id_at(&path).unwrap());
        fs::remove_file(folder.path().join("other")).unwrap();
        assert!(!file.is_linked().unwrap());
    }
}
