//! The part of the queue that is in memory: a bounded window of undelivered events, lane by lane, and the choice of
//! what the next request carries. Pure: the lanes and the time are arguments.
//!
//! An event that failed belongs to a group, with those that were sent with it, and rests by itself; so the trouble
//! of one is nobody else's. What cannot go does not fill the window: of events that rest, or whose lane is in use,
//! only the position in the store is kept.

mod choice;
mod groups;
mod item;
#[cfg(test)]
mod tests;
mod window;

pub use item::{Choice, Chosen, Content, Group, Item, Limits, Resources};
pub use window::Backlog;
