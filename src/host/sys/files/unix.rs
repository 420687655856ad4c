//! What std does not do with a file, on Unix.

use super::common::FileId;
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

/// Makes a folder and those above it that are missing, for this user only.
pub fn make_private_folders(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

pub(super) fn is_linked(file: &fs::File) -> io::Result<bool> {
    match links(file) {
        Some(links) => Ok(links > 0),
        None => is_linked_by_fstat(file),
    }
}

/// Asks for nothing else, since it is done for every event: Linux takes it that who asks for a file's times wants
/// to see each change, and writes them anew with the next write (1.9 µs together, and so 0.6). By the number of
/// the call, since glibc has it only since 2.28. `None` where there is none to be had.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn links(file: &fs::File) -> Option<u32> {
    // SAFETY: a valid descriptor, an empty path, and room for what is said of it.
    unsafe {
        let mut said = std::mem::zeroed::<libc::statx>();
        let done = libc::syscall(
            libc::SYS_statx,
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_NLINK,
            &raw mut said,
        );
        let is_said = done == 0 && said.stx_mask & libc::STATX_NLINK != 0;
        is_said.then_some(said.stx_nlink)
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn links(_: &fs::File) -> Option<u32> {
    None
}

fn is_linked_by_fstat(file: &fs::File) -> io::Result<bool> {
    // SAFETY: a valid descriptor, and room for what is said of it, which is read only if it was said.
    unsafe {
        let mut said = std::mem::zeroed::<libc::stat>();
        match libc::fstat(file.as_raw_fd(), &mut said) {
            0 => Ok(said.st_nlink > 0),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
