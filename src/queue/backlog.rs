//! The part of the queue that is in memory: a bounded window of the oldest undelivered events, and
//! the choice of what the next request carries. Pure: the lanes and the time are arguments.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::delivery::lanes::LaneId;
use crate::queue::record::{Likeness, exact_sum};
use crate::queue::store::Position;

/// An undelivered event.
#[derive(Debug, Clone)]
pub struct Item {
    /// The order in which the store gave it.
    pub number: u64,
    pub place: Position,
    pub at_ms: u64,
    pub lane: LaneId,
    pub value: f64,
    pub tenant: Option<Arc<str>>,
    pub fits_a_batch: bool,
    /// An attempt is on record: it may have been counted under its key.
    pub attempted: bool,
    /// It carries other events, their values summed.
    pub merged: Option<Merged>,
    /// Answers of 2xx that could not be read.
    pub unreadable: u32,
    pub payload: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct Merged {
    pub value: f64,
    pub members: Vec<Position>,
    /// How many of them the store has on record.
    pub recorded: usize,
}

/// What one request carries, in order.
#[derive(Debug)]
pub struct Shipment {
    pub items: Vec<Item>,
    pub batch: bool,
    /// With which of the queue's keys it was sent; 0 before that.
    pub keys: u64,
}

impl Item {
    /// How many enqueued events it stands for.
    pub fn events(&self) -> u64 {
        1 + self.members().len() as u64
    }

    /// Of all that it carries.
    fn sum(&self) -> f64 {
        self.merged
            .as_ref()
            .map_or(self.value, |merged| merged.value)
    }

    pub fn members(&self) -> &[Position] {
        self.merged.as_ref().map_or(&[], |merged| &merged.members)
    }
}

impl Shipment {
    pub fn bytes(&self) -> usize {
        self.items.iter().map(|item| item.payload.len()).sum()
    }

    /// Each of its lanes once.
    pub fn lanes(&self) -> HashSet<LaneId> {
        self.items.iter().map(|item| item.lane).collect()
    }
}

/// How much a request may carry.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// 1: every event has a request of its own.
    pub events: usize,
    pub bytes: usize,
}

/// How large a batch may be, in bytes of its events: learnt from the service's answers, of which 413
/// says "too large" and never how large it may be.
#[derive(Debug, Clone, Copy)]
pub struct BatchSize {
    most: usize,
    /// The largest that was taken, and the smallest that was too large.
    taken: usize,
    refused: usize,
}

impl BatchSize {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            taken: 0,
            refused: usize::MAX,
        }
    }

    pub fn bytes(&self) -> usize {
        match self.refused {
            usize::MAX => self.most,
            refused => self.taken.max(refused / 2).min(self.most),
        }
    }

    pub fn was_taken(&mut self, bytes: usize) {
        self.taken = self.taken.max(bytes);
        if self.refused <= bytes {
            self.refused = usize::MAX;
        }
    }

    pub fn was_refused(&mut self, bytes: usize) {
        self.refused = self.refused.min(bytes);
        if self.taken >= self.refused {
            self.taken = 0;
        }
    }
}

/// The window of events in memory.
const WINDOW_EVENTS: usize = 4_096;
const WINDOW_BYTES: usize = 8 << 20;
/// Of those that were merged, only the place is in memory.
const WINDOW_MEMBERS: usize = 1 << 16;

#[derive(Debug, Default)]
pub struct Backlog {
    waiting: BTreeMap<u64, Item>,
    /// What new events of a lane may join.
    leaders: HashMap<LaneId, Leaders>,
    bytes: usize,
    /// Events that were merged into others.
    members: usize,
    /// Lanes of the requests under way.
    in_flight: HashSet<LaneId>,
    /// Parts of a refused batch, each to be tried by itself before anything else.
    suspects: VecDeque<Vec<u64>>,
    next_number: u64,
}

impl Backlog {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many events were merged into those.
    pub fn members(&self) -> usize {
        self.members
    }

    /// No more events are to be read for now.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= WINDOW_EVENTS
            || self.bytes >= WINDOW_BYTES
            || self.members >= WINDOW_MEMBERS
    }

    /// A number for an item that is new.
    pub fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub fn add(&mut self, item: Item) {
        self.bytes += item.payload.len();
        self.members += item.members().len();
        self.waiting.insert(item.number, item);
    }

    /// Takes an item out that is not to be sent.
    fn remove(&mut self, number: u64) -> Option<Item> {
        let item = self.waiting.remove(&number)?;
        self.bytes -= item.payload.len();
        self.members -= item.members().len();
        Some(item)
    }

    /// Takes out those that were enqueued before `at_ms`.
    pub fn take_older_than(&mut self, at_ms: u64) -> Vec<Item> {
        let old: Vec<_> = self
            .waiting
            .values()
            .filter(|item| item.at_ms < at_ms)
            .map(|item| item.number)
            .collect();
        old.into_iter()
            .filter_map(|number| self.remove(number))
            .collect()
    }

    /// Takes the oldest out, to make room.
    pub fn take_oldest(&mut self) -> Option<Item> {
        let number = *self.waiting.keys().next()?;
        self.remove(number)
    }

    /// Chooses what the next request carries. `may_use` says whether a lane is free, and takes it.
    pub fn choose(
        &mut self,
        limits: Limits,
        mut may_use: impl FnMut(LaneId) -> bool,
    ) -> Option<Shipment> {
        let candidates: Vec<u64> = match self.next_suspects() {
            Some(suspects) => suspects,
            None => self.waiting.keys().copied().collect(),
        };
        let mut chosen: Vec<u64> = Vec::new();
        let mut bytes = 0;
        let mut ours: HashSet<LaneId> = HashSet::new();
        let mut blocked: HashSet<LaneId> = HashSet::new();
        let mut tenant: Option<Option<Arc<str>>> = None;
        for number in candidates {
            let Some(item) = self.waiting.get(&number) else {
                continue;
            };
            // An event that cannot come along holds back those behind it in its lane.
            let can_come = !blocked.contains(&item.lane)
                && !self.in_flight.contains(&item.lane)
                && (chosen.is_empty()
                    || item.fits_a_batch
                        && tenant.as_ref() == Some(&item.tenant)
                        && bytes + item.payload.len() <= limits.bytes)
                && (ours.contains(&item.lane) || may_use(item.lane));
            if !can_come {
                blocked.insert(item.lane);
                continue;
            }
            ours.insert(item.lane);
            bytes += item.payload.len();
            tenant = Some(item.tenant.clone());
            chosen.push(number);
            if chosen.len() >= limits.events || !item.fits_a_batch {
                break;
            }
        }
        let items: Vec<Item> = chosen
            .into_iter()
            .filter_map(|number| self.remove(number))
            .collect();
        let first = items.first()?;
        let batch = limits.events > 1 && first.fits_a_batch;
        self.in_flight.extend(ours);
        Some(Shipment {
            items,
            batch,
            keys: 0,
        })
    }

    /// The first group of suspects of which something is left.
    fn next_suspects(&mut self) -> Option<Vec<u64>> {
        loop {
            let group = self.suspects.front()?;
            if group.iter().any(|number| self.waiting.contains_key(number)) {
                return Some(group.clone());
            }
            self.suspects.pop_front();
        }
    }

    /// The request is over; its lanes are free for the next.
    pub fn landed(&mut self, lanes: &HashSet<LaneId>) {
        for lane in lanes {
            self.in_flight.remove(lane);
        }
    }

    /// Puts items back to their places.
    pub fn put_back(&mut self, items: Vec<Item>) {
        for item in items {
            self.add(item);
        }
    }

    /// Puts a refused batch back, to be tried in these parts, one after another.
    pub fn put_back_in_parts(&mut self, items: Vec<Item>, parts: Vec<Vec<u64>>) {
        self.suspects
            .pop_front_if(|group| items.iter().all(|item| group.contains(&item.number)));
        for part in parts.into_iter().rev() {
            self.suspects.push_front(part);
        }
        self.put_back(items);
    }

    /// Joins a new item to an earlier one of its lane that differs in value only; gives it back if it
    /// cannot join. Never one that was attempted: its key may be used up. Sums do not mind the order; but
    /// what comes after a change of the user's fields stays after it.
    pub fn join(&mut self, item: Item, likeness: Likeness) -> Option<Item> {
        let Likeness {
            may_join,
            attributes,
            all_else,
        } = likeness;
        let leaders = self.leaders.entry(item.lane).or_default();
        if leaders.all_else != all_else {
            *leaders = Leaders {
                all_else,
                by_attributes: HashMap::new(),
            };
        }
        if !may_join || item.attempted {
            return Some(item);
        }
        let leader = leaders
            .by_attributes
            .get(&attributes)
            .and_then(|number| self.waiting.get_mut(number))
            .filter(|leader| !leader.attempted && item.place.same_segment(leader.place));
        if let Some(leader) = leader
            && item.merged.is_none()
            && let Some(sum) = exact_sum(leader.sum(), item.value)
        {
            let merged = leader.merged.get_or_insert(Merged {
                value: sum,
                members: Vec::new(),
                recorded: 0,
            });
            merged.value = sum;
            merged.members.push(item.place);
            self.members += 1;
            return None;
        }
        leaders.by_attributes.insert(attributes, item.number);
        self.forget_leaders();
        Some(item)
    }

    /// Lanes whose leaders are gone, once they are many.
    fn forget_leaders(&mut self) {
        if self.leaders.len() > 2 * self.waiting.len() + 1024 {
            let waiting = &self.waiting;
            self.leaders.retain(|_, leaders| {
                let mut numbers = leaders.by_attributes.values();
                numbers.any(|number| waiting.contains_key(number))
            });
        }
    }
}

/// The latest item for each set of attributes, all of one user's fields.
#[derive(Debug, Default)]
struct Leaders {
    all_else: String,
    by_attributes: HashMap<String, u64>,
}

/// The two halves of a refused batch.
pub fn halves(items: &[Item]) -> Vec<Vec<u64>> {
    items
        .chunks(items.len().div_ceil(2).max(1))
        .map(|half| half.iter().map(|item| item.number).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::record;

    const LIMITS: Limits = Limits {
        events: 3,
        bytes: 10_000,
    };

    fn item(backlog: &mut Backlog, lane: LaneId) -> Item {
        let args = crate::api::event::EventArgs {
            key: "words",
            user_json: r#"{"id":"18"}"#,
            value: 2.0,
            attributes_json: None,
            idempotency_key: None,
            options_json: None,
        };
        let (payload, _) = record::write(&args, None, false, &crate::api::request::Made).unwrap();
        let number = backlog.number();
        Item {
            number,
            place: Position::new(0, number as u32),
            at_ms: number,
            lane,
            value: 2.0,
            tenant: None,
            fits_a_batch: true,
            attempted: false,
            merged: None,
            unreadable: 0,
            payload: payload.into_bytes(),
        }
    }

    fn backlog(lanes: &[LaneId]) -> Backlog {
        let mut backlog = Backlog::default();
        for lane in lanes {
            let item = item(&mut backlog, *lane);
            backlog.add(item);
        }
        backlog
    }

    fn numbers(shipment: &Shipment) -> Vec<u64> {
        shipment.items.iter().map(|item| item.number).collect()
    }

    #[test]
    fn a_batch_that_was_too_large_is_halved_until_one_is_taken() {
        let mut size = BatchSize::new(1000);
        assert_eq!(size.bytes(), 1000);
        size.was_refused(800);
        assert_eq!(size.bytes(), 400);
        size.was_taken(390);
        size.was_taken(300);
        assert_eq!(size.bytes(), 400);
        size.was_refused(399);
        assert_eq!(size.bytes(), 390);
        // The service has changed its mind, either way.
        size.was_refused(380);
        assert_eq!(size.bytes(), 190);
        size.was_taken(380);
        assert_eq!(size.bytes(), 1000);
    }

    #[test]
    fn a_lane_keeps_its_order_and_others_go_on() {
        let mut backlog = backlog(&[1, 1, 2, 3]);
        let single = Limits {
            events: 1,
            bytes: 1,
        };
        let first = backlog.choose(single, |_| true).unwrap();
        let second = backlog.choose(single, |_| true).unwrap();
        let third = backlog.choose(single, |lane| lane != 3);
        assert_eq!(numbers(&first), [1]);
        assert_eq!(numbers(&second), [3]);
        assert!(third.is_none(), "lane 1 is in flight, lane 3 is not free");
        backlog.landed(&first.lanes());
        assert_eq!(numbers(&backlog.choose(single, |_| true).unwrap()), [2]);
    }

    #[test]
    fn a_batch_is_filled_in_order_up_to_its_limits() {
        let mut full = backlog(&[1, 1, 2, 3]);
        assert_eq!(numbers(&full.choose(LIMITS, |_| true).unwrap()), [1, 2, 3]);
        let mut full = backlog(&[1, 1, 2, 3]);
        let shipment = full.choose(LIMITS, |lane| lane != 1).unwrap();
        assert_eq!(numbers(&shipment), [3, 4]);
        let mut full = backlog(&[1, 2, 3]);
        let bytes = full.waiting[&1].payload.len() * 2;
        let shipment = full.choose(Limits { events: 9, bytes }, |_| true).unwrap();
        assert_eq!(numbers(&shipment), [1, 2]);
        assert_eq!(full.bytes, bytes / 2);
    }

    #[test]
    fn tenants_are_not_mixed_and_what_fits_no_batch_goes_alone() {
        let mut mixed = backlog(&[1, 2]);
        let mut third = item(&mut mixed, 3);
        third.tenant = Some("t".into());
        let mut fourth = item(&mut mixed, 4);
        fourth.fits_a_batch = false;
        mixed.add(third);
        mixed.add(fourth);
        assert_eq!(numbers(&mixed.choose(LIMITS, |_| true).unwrap()), [1, 2]);
        assert_eq!(numbers(&mixed.choose(LIMITS, |_| true).unwrap()), [3]);
        let alone = mixed.choose(LIMITS, |_| true).unwrap();
        assert_eq!((numbers(&alone), alone.batch), (vec![4], false));
    }

    #[test]
    fn a_refused_batch_is_tried_in_parts_before_anything_else() {
        let mut backlog = backlog(&[1, 2, 3, 4]);
        let shipment = backlog.choose(LIMITS, |_| true).unwrap();
        backlog.landed(&shipment.lanes());
        let parts = halves(&shipment.items);
        backlog.put_back_in_parts(shipment.items, parts);
        let mut sent = Vec::new();
        while let Some(shipment) = backlog.choose(LIMITS, |_| true) {
            sent.push(numbers(&shipment));
        }
        assert_eq!(sent, [vec![1, 2], vec![3], vec![4]]);
    }

    fn like(attributes: &str, all_else: &str, may_join: bool) -> Likeness {
        Likeness {
            may_join,
            attributes: attributes.to_owned(),
            all_else: all_else.to_owned(),
        }
    }

    /// Puts an item of value 2 into lane 1; whether it stands for itself.
    fn stands(backlog: &mut Backlog, likeness: Likeness) -> bool {
        let item = item(backlog, 1);
        let left = backlog.join(item, likeness);
        left.map(|item| backlog.add(item)).is_some()
    }

    #[test]
    fn what_differs_in_value_only_becomes_one() {
        let mut backlog = Backlog::default();
        assert!(stands(&mut backlog, like("a", "user", true)));
        assert!(stands(&mut backlog, like("b", "user", true)));
        assert!(stands(&mut backlog, like("a", "user", false)), "keyed");
        assert!(!stands(&mut backlog, like("a", "user", true)));
        assert!(!stands(&mut backlog, like("b", "user", true)));
        let mut tried = item(&mut backlog, 1);
        tried.attempted = true;
        assert!(backlog.join(tried, like("a", "user", true)).is_some());
        let other_lane = item(&mut backlog, 2);
        assert!(backlog.join(other_lane, like("a", "user", true)).is_some());

        let leader = backlog.take_oldest().unwrap();
        assert_eq!(leader.sum(), 4.0);
        assert_eq!(leader.members().len(), 1);
        assert!(
            stands(&mut backlog, like("a", "user", true)),
            "the leader is gone"
        );
    }

    #[test]
    fn nothing_joins_across_a_change_of_the_users_fields() {
        let mut backlog = Backlog::default();
        assert!(stands(&mut backlog, like("a", "name: x", true)));
        assert!(stands(&mut backlog, like("a", "name: y", false)));
        assert!(stands(&mut backlog, like("a", "name: x", true)));
        assert!(!stands(&mut backlog, like("a", "name: x", true)));
    }

    #[test]
    fn old_ones_and_the_oldest_can_be_taken_out() {
        let mut backlog = backlog(&[1, 2, 3]);
        assert_eq!(backlog.take_older_than(2).len(), 1);
        assert_eq!(backlog.take_oldest().unwrap().number, 2);
        assert_eq!(backlog.len(), 1);
    }
}
