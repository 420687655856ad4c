//! What all systems have in common.

/// Two open files are one if these are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    pub volume: u64,
    pub number: u64,
}

/// The byte that is locked, far past the end of any file: on Windows a locked byte cannot be read or written
/// by others, and what is locked here is read by whoever delivers.
#[cfg(any(windows, test))]
pub const LOCKED_BYTE: u64 = 0x7FFF_FFFF_0000_0000;
