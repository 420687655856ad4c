//! One request on its way, and what all requests of a client share while they are: the attempt, the lanes,
//! the callbacks that are due. `calls` and `queue` both stand on it and do not know each other. The way in:
//! [`Delivery`], one for each process of a client.

pub mod api_key;
pub mod attempt;
pub mod callbacks;
pub mod keys;
pub mod lanes;
pub mod stats;

pub use attempt::Delivery;
