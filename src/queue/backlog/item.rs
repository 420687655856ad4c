//! What the backlog holds and gives: events, groups of them, and the choice of what a request carries.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::delivery::lanes::LaneId;
use crate::queue::coalesce::CoalesceKey;
use crate::queue::store::Position;

/// An undelivered event.
#[derive(Debug, Clone)]
pub struct Item {
    /// The order in which the store gave it: the backlog's to say.
    pub number: u64,
    pub position: Position,
    /// When it was enqueued, by the clock of its writer, in Unix milliseconds.
    pub at_ms: u64,
    /// The same in the queue's own time, in milliseconds; the youngest's of what was merged.
    pub enqueued: i64,
    pub lane: LaneId,
    pub tenant: Option<Arc<str>>,
    pub fits_a_batch: bool,
    /// An attempt is on record: it may have been counted under its key.
    pub attempted: bool,
    pub value: f64,
    /// Events that were merged into it, on record; `value` is the sum.
    pub members: Vec<Position>,
    pub bytes: usize,
    /// `None`: only in the store.
    pub payload: Option<Vec<u8>>,
    /// Says which others can be merged with it, if any can.
    pub coalesce_key: Option<Arc<CoalesceKey>>,
    /// The backlog's, too.
    pub group: Option<u64>,
}

/// What of an event is not in memory while it cannot go.
#[derive(Debug)]
pub struct Content {
    pub payload: Vec<u8>,
    pub coalesce_key: Option<Arc<CoalesceKey>>,
}

impl Item {
    /// How many enqueued events it stands for.
    pub fn events(&self) -> u64 {
        1 + self.members.len() as u64
    }

    /// Its value, if that is another than the one in its payload.
    pub fn sum(&self) -> Option<f64> {
        (!self.members.is_empty()).then_some(self.value)
    }

    /// From here on only its position is in memory.
    pub(super) fn unload(&mut self) {
        self.payload = None;
        self.coalesce_key = None;
    }
}

/// Events that were sent together and came back.
#[derive(Debug, Clone, Default)]
pub struct Group {
    pub numbers: BTreeSet<u64>,
    /// It is not sent before this.
    pub rests_until: Duration,
    /// Failures in a row.
    pub failures: u32,
    /// How many of them came although another request had succeeded since the one before: then it is not the
    /// service that is in trouble, but the group.
    pub contradicted: u32,
    pub last_failed: Duration,
    /// The service refused it, and it is searched for those that are to blame.
    pub refused: bool,
    /// What was thought to be wrong with all of it was not: now it is searched by halves.
    pub by_halves: bool,
    /// If its one event is refused alone, so are those of that group: they have in common what is wrong.
    pub probe_of: Option<u64>,
    /// Another probe for them was refused before.
    pub is_second_probe: bool,
}

/// An item of a request, and those that are to be merged into it.
#[derive(Debug)]
pub struct Chosen {
    pub item: Item,
    pub absorbed: Vec<Item>,
}

/// What one request carries, in order.
#[derive(Debug)]
pub struct Choice {
    pub items: Vec<Chosen>,
    pub batch: bool,
    /// What was known of them as a group.
    pub group: Group,
}

impl Choice {
    /// Each of its lanes once.
    pub fn lanes(&self) -> HashSet<LaneId> {
        self.items.iter().map(|chosen| chosen.item.lane).collect()
    }
}

/// How much a request may carry.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// 1: every event has a request of its own.
    pub events: usize,
    pub bytes: usize,
}

/// What a choice asks of the lanes and of the store.
pub trait Resources {
    /// Whether a lane is free; then it is taken.
    fn may_use(&mut self, lane: LaneId) -> bool;
    /// The content of an event that is only in the store, where it decides what can be merged.
    fn reload(&mut self, position: Position) -> Option<Content>;
}
