//! Which process this is, counted from the one that loaded the library.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between this process and the one that loaded the library. What a process made
/// (threads, connections, locks) belongs to its generation and is not touched in another.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

pub(super) static GENERATION: AtomicU32 = AtomicU32::new(0);
