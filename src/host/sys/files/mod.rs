//! Files of which a forked child keeps nothing, and what std does not do with a file: a lock that keeps
//! nobody from reading on Windows too, which file it is, and whether it still has a name. And folders that
//! are the user's alone.
//!
//! A `flock` is held until the last copy of its descriptor is closed, so a child that lives on would keep
//! the lock of a parent that died. Therefore every file here is on a list, and the child closes them all
//! before `fork` returns in it. The list is locked while a file is opened or closed, and during a fork: so
//! no fork comes between the opening of a file and its entry in the list.
#![allow(unsafe_code)]

mod common;
#[cfg(unix)]
pub(super) mod list;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::fs;
use std::io;
use std::mem::ManuallyDrop;
use std::path::Path;

use super::generation::generation;

pub use common::*;
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

/// An open file; a forked child does not have it.
pub struct OwnFile {
    file: ManuallyDrop<fs::File>,
    generation: u32,
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

/// There is no fork.
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::host::sys::{adapt_to_process, generation};
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
        adapt_to_process();
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
        adapt_to_process();
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
