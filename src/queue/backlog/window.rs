//! The window of events in memory, lane by lane.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::item::{Group, Item, Resources};
use crate::delivery::lanes::LaneId;

/// Events of which the content is in memory.
pub(super) const WINDOW_EVENTS: usize = 4_096;
pub(super) const WINDOW_BYTES: usize = 8 << 20;
/// Of one lane: more would keep others out.
pub(super) const LANE_EVENTS: usize = 1_024;
/// Of events that rest.
pub(super) const RESTING_BYTES: usize = 1 << 20;
/// Events of which at least the position is in memory.
pub(super) const MOST_EVENTS: usize = 1 << 18;

#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Those that wait; with those in flight before them all.
    pub(super) numbers: BTreeSet<u64>,
    pub(super) in_flight: bool,
    /// Somebody else has it: the queue waits for it.
    pub(super) busy: bool,
}

#[derive(Debug, Default)]
pub struct Backlog {
    pub(super) items: BTreeMap<u64, Item>,
    pub(super) lanes: HashMap<LaneId, Lane>,
    pub(super) groups: BTreeMap<u64, Group>,
    /// The first events of the lanes that can go, but for those in groups.
    pub(super) heads: BTreeSet<u64>,
    /// By when they were enqueued.
    pub(super) ages: BTreeSet<(i64, u64)>,
    pub(super) loaded: usize,
    pub(super) loaded_bytes: usize,
    pub(super) resting_bytes: usize,
    pub(super) last_number: u64,
    pub(super) last_group: u64,
    /// The group that was chosen last.
    pub(super) last_chosen: u64,
    /// The last choice was a group: then others have their turn.
    pub(super) chose_group: bool,
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
    pub fn add(&mut self, mut item: Item) {
        self.last_number += 1;
        item.number = self.last_number;
        self.insert(item);
    }

    pub(super) fn insert(&mut self, mut item: Item) {
        let lane = self.lanes.entry(item.lane).or_default();
        lane.numbers.insert(item.number);
        // Of what cannot go soon, the content is not kept.
        let has_no_room = match item.group {
            None => lane.numbers.len() > LANE_EVENTS,
            Some(_) => self.resting_bytes + item.bytes > RESTING_BYTES,
        };
        if lane.busy || has_no_room {
            item.unload();
        }
        self.count_in(&item);
        self.ages.insert((item.enqueued, item.number));
        let lane = item.lane;
        self.items.insert(item.number, item);
        self.lane_changed(lane);
    }

    /// Takes out what waits under this number; its lane is still to be looked at.
    pub(super) fn take(&mut self, number: u64) -> Option<Item> {
        let item = self.items.remove(&number)?;
        self.heads.remove(&number);
        self.ages.remove(&(item.enqueued, number));
        self.count_out(&item);
        if let Some(lane) = self.lanes.get_mut(&item.lane) {
            lane.numbers.remove(&number);
        }
        self.leave_group(&item);
        Some(item)
    }

    /// Takes out what is not to be sent.
    pub(super) fn remove(&mut self, number: u64) -> Option<Item> {
        let item = self.take(number)?;
        self.lane_changed(item.lane);
        Some(item)
    }

    /// Keeps `heads` right after a change of this lane, and forgets one that is over.
    pub(super) fn lane_changed(&mut self, lane: LaneId) {
        let Some(it) = self.lanes.get(&lane) else {
            return;
        };
        if it.numbers.is_empty() && !it.in_flight && !it.busy {
            self.lanes.remove(&lane);
            return;
        }
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
    pub(super) fn unload_lane(&mut self, lane: LaneId) {
        let numbers = self.lanes.get(&lane).map(|it| it.numbers.clone());
        for number in numbers.unwrap_or_default() {
            if let Some(mut item) = self.items.remove(&number) {
                self.count_out(&item);
                item.unload();
                self.items.insert(number, item);
            }
        }
    }

    /// What was unloaded of a lane comes back, from a number on, as far as there is room: only what is loaded can be
    /// merged.
    pub(super) fn reload_lane(&mut self, lane: LaneId, from: u64, resources: &mut impl Resources) {
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
            let Some(content) = resources.reload(item.position) else {
                return;
            };
            item.payload = Some(content.payload);
            item.coalesce_key = content.coalesce_key;
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
            item.unload();
        }
        self.loaded = 0;
        self.loaded_bytes = 0;
        true
    }

    pub(super) fn count_in(&mut self, item: &Item) {
        match (&item.payload, item.group) {
            (None, _) => {}
            (Some(_), None) => {
                self.loaded += 1;
                self.loaded_bytes += item.bytes;
            }
            (Some(_), Some(_)) => self.resting_bytes += item.bytes,
        }
    }

    pub(super) fn count_out(&mut self, item: &Item) {
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

    /// Takes the oldest out, to make room: one that stands for itself, or, if there is none, one that stands for
    /// others too, where that `may_be_merged`.
    pub fn take_oldest(&mut self, may_be_merged: bool) -> Option<Item> {
        let alone = self.items.values().find(|item| item.members.is_empty());
        let merged = self.items.values().next().filter(|_| may_be_merged);
        let number = alone.or(merged)?.number;
        self.remove(number)
    }

    /// Somebody else has this lane.
    pub fn lane_is_busy(&mut self, lane: LaneId) {
        if let Some(it) = self.lanes.get_mut(&lane) {
            it.busy = true;
            self.lane_changed(lane);
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
            self.lane_changed(lane);
        }
    }

    /// The request is over; its lanes are free for the next. After its items were put back.
    pub fn finished(&mut self, lanes: &HashSet<LaneId>) {
        for lane in lanes {
            if let Some(it) = self.lanes.get_mut(lane) {
                it.in_flight = false;
                self.lane_changed(*lane);
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
