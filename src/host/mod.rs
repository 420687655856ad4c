//! Manners in somebody else's process: fork, panics, log, random numbers, locks, system calls. It knows nothing
//! of the service, and no other room of the library. Each file is a way in by itself.

pub mod cancel;
pub mod locks;
pub mod log;
pub mod panics;
pub mod per_process;
pub mod random;
pub mod sys;
pub mod threads;
