//! The part of the queue that is in memory: a bounded window of undelivered events, lane by lane, and the choice of
//! what the next request carries. Pure: the lanes and the time are arguments.
//!
//! An event that failed belongs to a group, with those that were sent with it, and rests by itself; so the trouble
//! of one is nobody else's. What cannot go does not fill the window: of events that rest, or whose lane is in use,
//! only the position in the store is kept.

mod choice;
mod groups;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

pub use choice::{Choice, Chosen, Limits, World};
pub use groups::Group;

use super::coalesce::Likeness;
use super::store::Position;
use crate::delivery::lanes::LaneId;

/// Events of which the content is in memory.
const WINDOW_EVENTS: usize = 4_096;
const WINDOW_BYTES: usize = 8 << 20;
/// Of one lane: more would keep others out.
const LANE_EVENTS: usize = 1_024;
/// Of events that rest.
const RESTING_BYTES: usize = 1 << 20;
/// Events of which at least the position is in memory.
const MOST_EVENTS: usize = 1 << 18;

/// An undelivered event.
#[derive(Debug, Clone)]
pub struct Item {
    /// The order in which the store gave it.
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
    pub likeness: Option<Arc<Likeness>>,
    group: Option<u64>,
}

/// What is known of an event that the store gave.
#[derive(Debug)]
pub struct NewItem {
    pub position: Position,
    pub at_ms: u64,
    pub enqueued: i64,
    pub lane: LaneId,
    pub tenant: Option<Arc<str>>,
    pub fits_a_batch: bool,
    pub attempted: bool,
    pub value: f64,
    pub members: Vec<Position>,
    pub payload: Vec<u8>,
    pub likeness: Option<Arc<Likeness>>,
}

/// What of an event is not in memory while it cannot go.
#[derive(Debug)]
pub struct Content {
    pub payload: Vec<u8>,
    pub likeness: Option<Arc<Likeness>>,
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
}

#[derive(Debug, Default)]
struct Lane {
    /// Those that wait; with those in flight before them all.
    numbers: BTreeSet<u64>,
    in_flight: bool,
    /// Somebody else has it: the queue waits for it.
    busy: bool,
}

#[derive(Debug, Default)]
pub struct Backlog {
    items: BTreeMap<u64, Item>,
    lanes: HashMap<LaneId, Lane>,
    groups: BTreeMap<u64, Group>,
    /// The first events of the lanes that can go, but for those in groups.
    heads: BTreeSet<u64>,
    /// By when they were enqueued.
    ages: BTreeSet<(i64, u64)>,
    loaded: usize,
    loaded_bytes: usize,
    resting_bytes: usize,
    last_number: u64,
    last_group: u64,
    /// The group that was chosen last.
    last_chosen: u64,
    /// The last choice was a group: then others have their turn.
    chose_group: bool,
}

impl Backlog {
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// No more events are to be read for now.
    pub fn is_full(&self) -> bool {
        self.loaded >= WINDOW_EVENTS
            || self.loaded_bytes >= WINDOW_BYTES
            || self.items.len() >= MOST_EVENTS
    }

    /// Takes in an event that the store gave, behind all others.
    pub fn add(&mut self, new: NewItem) {
        self.last_number += 1;
        let item = Item {
            number: self.last_number,
            position: new.position,
            at_ms: new.at_ms,
            enqueued: new.enqueued,
            lane: new.lane,
            tenant: new.tenant,
            fits_a_batch: new.fits_a_batch,
            attempted: new.attempted,
            value: new.value,
            members: new.members,
            bytes: new.payload.len(),
            payload: Some(new.payload),
            likeness: new.likeness,
            group: None,
        };
        self.insert(item);
    }

    fn insert(&mut self, mut item: Item) {
        let lane = self.lanes.entry(item.lane).or_default();
        lane.numbers.insert(item.number);
        // Of what cannot go soon, the content is not kept.
        let has_no_room = match item.group {
            None => lane.numbers.len() > LANE_EVENTS,
            Some(_) => self.resting_bytes + item.bytes > RESTING_BYTES,
        };
        if lane.busy || has_no_room {
            item.payload = None;
            item.likeness = None;
        }
        self.count_in(&item);
        self.ages.insert((item.enqueued, item.number));
        let lane = item.lane;
        self.items.insert(item.number, item);
        self.note_head(lane);
    }

    /// Takes out what waits under this number.
    fn take(&mut self, number: u64) -> Option<Item> {
        let item = self.items.remove(&number)?;
        self.heads.remove(&number);
        self.ages.remove(&(item.enqueued, number));
        self.count_out(&item);
        if let Some(lane) = self.lanes.get_mut(&item.lane) {
            lane.numbers.remove(&number);
            if lane.numbers.is_empty() && !lane.in_flight && !lane.busy {
                self.lanes.remove(&item.lane);
            }
        }
        self.leave_group(&item);
        Some(item)
    }

    /// Takes out what is not to be sent.
    fn remove(&mut self, number: u64) -> Option<Item> {
        let item = self.take(number)?;
        self.note_head(item.lane);
        Some(item)
    }

    /// Keeps `heads` right after a change of this lane.
    fn note_head(&mut self, lane: LaneId) {
        let Some(it) = self.lanes.get(&lane) else {
            return;
        };
        // An earlier one may have come back before the one that was first.
        for number in it.numbers.iter().take(2) {
            self.heads.remove(number);
        }
        if let Some(first) = it.numbers.first()
            && !it.in_flight
            && !it.busy
            && self.items.get(first).is_some_and(|it| it.group.is_none())
        {
            self.heads.insert(*first);
        }
    }

    /// Forgets the content of what cannot go while its lane is in use.
    fn unload_lane(&mut self, lane: LaneId) {
        let numbers = self.lanes.get(&lane).map(|it| it.numbers.clone());
        for number in numbers.unwrap_or_default() {
            self.unload(number);
        }
    }

    fn unload(&mut self, number: u64) {
        if let Some(mut item) = self.items.remove(&number) {
            self.count_out(&item);
            item.payload = None;
            item.likeness = None;
            self.items.insert(number, item);
        }
    }

    /// What was unloaded of a lane comes back, from a number on, as far as there is room: only what is loaded can be
    /// merged.
    fn reload_lane(&mut self, lane: LaneId, from: u64, world: &mut impl World) {
        let is_wanted = |item: &Item| item.payload.is_none() && item.group.is_none();
        if !self.items.get(&from).is_some_and(is_wanted) {
            return;
        }
        let numbers: Vec<u64> = self.lanes.get(&lane).map_or_else(Vec::new, |it| {
            it.numbers
                .range(from..)
                .take(LANE_EVENTS)
                .copied()
                .collect()
        });
        for number in numbers {
            if self.loaded >= 2 * WINDOW_EVENTS || self.loaded_bytes >= 2 * WINDOW_BYTES {
                return;
            }
            let Some(item) = self.items.get_mut(&number).filter(|item| is_wanted(item)) else {
                continue;
            };
            let Some(content) = world.reload(item.position) else {
                return;
            };
            item.payload = Some(content.payload);
            item.likeness = content.likeness;
            self.loaded += 1;
            self.loaded_bytes += item.bytes;
        }
    }

    /// Nothing that is in memory can go now: if that is why nothing more is read, it makes room. Says whether it did.
    pub fn make_room(&mut self) -> bool {
        if !self.is_full() || self.items.len() >= MOST_EVENTS {
            return false;
        }
        for item in self.items.values_mut().filter(|item| item.group.is_none()) {
            item.payload = None;
            item.likeness = None;
        }
        self.loaded = 0;
        self.loaded_bytes = 0;
        true
    }

    fn count_in(&mut self, item: &Item) {
        match (&item.payload, item.group) {
            (None, _) => {}
            (Some(_), None) => {
                self.loaded += 1;
                self.loaded_bytes += item.bytes;
            }
            (Some(_), Some(_)) => self.resting_bytes += item.bytes,
        }
    }

    fn count_out(&mut self, item: &Item) {
        match (&item.payload, item.group) {
            (None, _) => {}
            (Some(_), None) => {
                self.loaded -= 1;
                self.loaded_bytes -= item.bytes;
            }
            (Some(_), Some(_)) => self.resting_bytes -= item.bytes,
        }
    }

    /// Takes out those that were enqueued before `time`.
    pub fn take_older_than(&mut self, time: i64) -> Vec<Item> {
        let mut old = Vec::new();
        while let Some((enqueued, number)) = self.ages.first().copied()
            && enqueued < time
        {
            old.extend(self.remove(number));
        }
        old
    }

    /// When the oldest was enqueued.
    pub fn oldest(&self) -> Option<i64> {
        self.ages.first().map(|(enqueued, _)| *enqueued)
    }

    /// Takes the oldest out, to make room: one that stands for itself, if there is one.
    pub fn take_oldest(&mut self) -> Option<Item> {
        let alone = self.items.values().find(|item| item.members.is_empty());
        let number = alone.or(self.items.values().next())?.number;
        self.remove(number)
    }

    /// Somebody else has this lane.
    pub fn lane_is_busy(&mut self, lane: LaneId) {
        if let Some(it) = self.lanes.get_mut(&lane) {
            it.busy = true;
            self.note_head(lane);
            self.unload_lane(lane);
        }
    }

    /// Whether anything of it waits here.
    pub fn has_lane(&self, lane: LaneId) -> bool {
        self.lanes
            .get(&lane)
            .is_some_and(|it| !it.numbers.is_empty())
    }

    /// It may be asked for again.
    pub fn lane_is_free(&mut self, lane: LaneId) {
        if let Some(it) = self.lanes.get_mut(&lane) {
            it.busy = false;
            if it.numbers.is_empty() && !it.in_flight {
                self.lanes.remove(&lane);
            } else {
                self.note_head(lane);
            }
        }
    }

    /// The request is over; its lanes are free for the next. After its items were put back.
    pub fn finished(&mut self, lanes: &HashSet<LaneId>) {
        for lane in lanes {
            if let Some(it) = self.lanes.get_mut(lane) {
                it.in_flight = false;
                if it.numbers.is_empty() && !it.busy {
                    self.lanes.remove(lane);
                } else {
                    self.note_head(*lane);
                }
            }
        }
    }

    /// Puts items back to their places.
    pub fn put_back(&mut self, items: impl IntoIterator<Item = Item>) {
        for item in items {
            self.insert(item);
        }
    }
}
