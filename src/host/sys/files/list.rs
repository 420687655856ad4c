//! The list of open files, for a forked child to close.

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
