//! The part of the queue that is in memory: a bounded window of undelivered events, lane by lane, and the choice of
//! what the next request carries. Pure: the lanes and the time are arguments.
//!
//! An event that failed belongs to a group, with those that were sent with it, and rests by itself; so the trouble
//! of one is nobody else's. What cannot go does not fill the window: of events that rest, or whose lane is in use,
//! only the position in the store is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::coalesce::{self, Likeness};
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
    pub witness_for: Option<u64>,
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

    fn leave_group(&mut self, item: &Item) {
        if let Some(id) = item.group
            && let Some(group) = self.groups.get_mut(&id)
        {
            group.numbers.remove(&item.number);
            if group.numbers.is_empty() {
                self.groups.remove(&id);
            }
        }
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

    /// When a group that rests may be sent again, if any does.
    pub fn next_rest(&self, now: Duration) -> Option<Duration> {
        let rests = self.groups.values().map(|group| group.rests_until);
        rests.filter(|until| *until > now).min()
    }

    /// The service answers again: those that failed with it need not rest any longer.
    pub fn end_rests(&mut self, now: Duration) {
        for group in self.groups.values_mut() {
            if group.contradicted == 0 {
                group.rests_until = group.rests_until.min(now);
            }
        }
    }

    /// Chooses what the next request carries. `may_use` says whether a lane is free, and takes it.
    pub fn choose(
        &mut self,
        now: Duration,
        limits: Limits,
        is_outage: bool,
        mut may_use: impl FnMut(LaneId) -> bool,
    ) -> Option<Choice> {
        let choice = match self.chose_group {
            true => self
                .choose_fresh(limits, &mut may_use)
                .or_else(|| self.choose_group(now, limits, is_outage, &mut may_use)),
            false => self
                .choose_group(now, limits, is_outage, &mut may_use)
                .or_else(|| self.choose_fresh(limits, &mut may_use)),
        }?;
        self.chose_group = choice.group.failures > 0 || choice.group.refused;
        Some(choice)
    }

    fn choose_group(
        &mut self,
        now: Duration,
        limits: Limits,
        is_outage: bool,
        may_use: &mut impl FnMut(LaneId) -> bool,
    ) -> Option<Choice> {
        let due: Vec<u64> = self
            .groups
            .iter()
            .filter(|(_, group)| group.rests_until <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let Some(group) = self.groups.get(&id).cloned() else {
                continue;
            };
            let mut limits = limits;
            let mut numbers: Vec<u64> = group.numbers.iter().copied().collect();
            if is_outage && group.failures >= super::health::OUTAGE && numbers.len() > 1 {
                // Does the service answer at all? One event tells; not always the same one.
                limits.events = 1;
                let at = group.failures as usize % numbers.len();
                numbers.rotate_left(at);
            }
            let mut picked = Picked::new(limits);
            for number in numbers {
                self.pick(number, &mut picked, may_use);
            }
            if let Some(choice) = self.take_picked(picked, group) {
                return Some(choice);
            }
        }
        None
    }

    /// In the order of their numbers: what stands first in its lane, and then what stands behind that.
    fn choose_fresh(
        &mut self,
        limits: Limits,
        may_use: &mut impl FnMut(LaneId) -> bool,
    ) -> Option<Choice> {
        let mut picked = Picked::new(limits);
        let mut followers: BTreeSet<u64> = BTreeSet::new();
        let mut last_head = 0;
        while !picked.is_full() {
            let head = self.heads.range(last_head + 1..).next().copied();
            let follower = followers.first().copied();
            let Some(number) = head.into_iter().chain(follower).min() else {
                break;
            };
            if head == Some(number) {
                last_head = number;
            }
            followers.remove(&number);
            if self.pick(number, &mut picked, may_use) {
                followers.extend(self.follower(number, &picked));
            }
        }
        self.take_picked(picked, Group::default())
    }

    /// What stands behind a picked item in its lane, if it may be picked, too.
    fn follower(&self, number: u64, picked: &Picked) -> Option<u64> {
        let lane = self.lanes.get(&self.items.get(&number)?.lane)?;
        let mut behind = lane.numbers.range(number + 1..);
        let next = *behind.find(|number| !picked.absorbed.contains_key(number))?;
        self.items.get(&next)?.group.is_none().then_some(next)
    }

    /// Picks an item, if it can go with those that are picked, and nothing before it in its lane stays behind.
    fn pick(
        &mut self,
        number: u64,
        picked: &mut Picked,
        may_use: &mut impl FnMut(LaneId) -> bool,
    ) -> bool {
        let Some(item) = self.items.get(&number) else {
            return false;
        };
        let Some(lane) = self.lanes.get(&item.lane) else {
            return false;
        };
        let mut before = lane.numbers.range(..number).rev();
        let is_next = before
            .find(|number| !picked.absorbed.contains_key(number))
            .is_none_or(|number| picked.numbers.contains(number));
        if picked.is_full() || lane.in_flight || lane.busy || !is_next || !picked.takes(item) {
            return false;
        }
        let lane = item.lane;
        if !picked.lanes.contains(&lane) && !may_use(lane) {
            self.lane_is_busy(lane);
            return false;
        }
        picked.add(item);
        for member in self.joinable(number, picked) {
            picked.absorbed.insert(member, number);
        }
        true
    }

    /// Those behind an item in its lane that differ from it in value only. Never one that was attempted: its key
    /// may be used up. Sums do not mind the order; but what comes after a change of the user's fields stays after
    /// it.
    fn joinable(&self, number: u64, picked: &Picked) -> Vec<u64> {
        let mut members = Vec::new();
        let Some(leader) = self.items.get(&number) else {
            return members;
        };
        let Some(likeness) = &leader.likeness else {
            return members;
        };
        if !likeness.may_join || leader.attempted {
            return members;
        }
        let Some(lane) = self.lanes.get(&leader.lane) else {
            return members;
        };
        let mut sum = leader.value;
        for number in lane.numbers.range(number + 1..) {
            let Some(item) = self.items.get(number) else {
                continue;
            };
            let Some(other) = &item.likeness else { break };
            if other.all_else != likeness.all_else {
                break;
            }
            let alike = other.may_join && other.attributes == likeness.attributes;
            let is_own = !item.attempted && item.members.is_empty();
            if !alike || !is_own || picked.absorbed.contains_key(number) {
                continue;
            }
            if !item.position.same_segment(leader.position) {
                break;
            }
            if let Some(more) = coalesce::exact_sum(sum, item.value) {
                sum = more;
                members.push(*number);
            }
        }
        members
    }

    fn take_picked(&mut self, picked: Picked, group: Group) -> Option<Choice> {
        if picked.numbers.is_empty() {
            return None;
        }
        let mut absorbed: HashMap<u64, Vec<Item>> = HashMap::new();
        for (member, leader) in &picked.absorbed {
            absorbed
                .entry(*leader)
                .or_default()
                .extend(self.take(*member));
        }
        let mut items = Vec::with_capacity(picked.numbers.len());
        for number in &picked.numbers {
            let Some(mut item) = self.take(*number) else {
                continue;
            };
            item.group = None;
            let mut absorbed = absorbed.remove(number).unwrap_or_default();
            absorbed.sort_by_key(|item| item.number);
            items.push(Chosen { item, absorbed });
        }
        for lane in picked.lanes {
            let it = self.lanes.entry(lane).or_default();
            it.in_flight = true;
            self.note_head(lane);
        }
        Some(Choice {
            batch: picked.limits.events > 1 && picked.fits_a_batch,
            items,
            group,
        })
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

    /// Puts items back as a group, to be sent again together. Returns its id.
    pub fn put_back_as(&mut self, items: Vec<Item>, group: Group) -> u64 {
        if items.is_empty() {
            return 0;
        }
        self.last_group += 1;
        let id = self.last_group;
        let numbers = items.iter().map(|item| item.number).collect();
        for mut item in items {
            item.group = Some(id);
            self.insert(item);
        }
        self.groups.insert(id, Group { numbers, ..group });
        id
    }

    /// A group's witness was not refused: there is more to be found out.
    pub fn witness_passed(&mut self, id: u64) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.by_halves = true;
            group.rests_until = Duration::ZERO;
        }
    }

    /// Takes out the items of a group.
    pub fn take_group(&mut self, id: u64) -> Vec<Item> {
        let numbers = self.groups.get(&id).map(|group| group.numbers.clone());
        let numbers = numbers.unwrap_or_default();
        numbers
            .into_iter()
            .filter_map(|number| self.remove(number))
            .collect()
    }
}

/// What goes into the next request, so far.
struct Picked {
    limits: Limits,
    numbers: BTreeSet<u64>,
    /// Those that are to be merged, each with its leader.
    absorbed: HashMap<u64, u64>,
    lanes: HashSet<LaneId>,
    bytes: usize,
    tenant: Option<Arc<str>>,
    fits_a_batch: bool,
}

impl Picked {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            numbers: BTreeSet::new(),
            absorbed: HashMap::new(),
            lanes: HashSet::new(),
            bytes: 0,
            tenant: None,
            fits_a_batch: true,
        }
    }

    fn is_full(&self) -> bool {
        self.numbers.len() >= self.limits.events || !self.fits_a_batch
    }

    fn takes(&self, item: &Item) -> bool {
        self.numbers.is_empty()
            || item.fits_a_batch
                && item.tenant == self.tenant
                && self.bytes + item.bytes <= self.limits.bytes
    }

    fn add(&mut self, item: &Item) {
        self.numbers.insert(item.number);
        self.lanes.insert(item.lane);
        self.bytes += item.bytes;
        self.tenant.clone_from(&item.tenant);
        self.fits_a_batch = item.fits_a_batch;
    }
}
