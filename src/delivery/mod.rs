//! One request on its way, and what all requests of a client share while they are: the attempt, the lanes,
//! the callbacks that are due. `calls` and `queue` both stand on it and do not know each other.

pub mod callback;
pub mod control;
pub mod engine;
pub mod lanes;
pub mod stats;
