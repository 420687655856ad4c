//! One event of a (tenant, user, metric) at a time, in order: the service takes no parallel events
//! for one user and metric. Pure data: who waits is the caller's business.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// A lane by its hash. Two lanes with the same hash only wait for each other needlessly.
pub type LaneId = u64;

/// A map by numbers that are hashes already, or counted up: nobody else chooses them.
pub type IdMap<V> = HashMap<u64, V, BuildHasherDefault<IdHasher>>;

#[derive(Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    /// Spreads counted numbers over all bits (Knuth's multiplicative hashing, by the golden ratio).
    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// Lanes in use, each with those that wait for it in the order they came.
#[derive(Debug)]
pub struct Lanes<W> {
    used: IdMap<VecDeque<W>>,
}

impl<W> Default for Lanes<W> {
    fn default() -> Self {
        Self {
            used: IdMap::default(),
        }
    }
}

impl<W> Lanes<W> {
    /// All who wait, in no order.
    pub fn waiting(&self) -> impl Iterator<Item = &W> {
        self.used.values().flatten()
    }

    /// Takes the lane and gives `waiter` back, or queues it.
    pub fn enter(&mut self, lane: LaneId, waiter: W) -> Option<W> {
        match self.used.get_mut(&lane) {
            Some(waiting) => {
                waiting.push_back(waiter);
                None
            }
            None => {
                self.used.insert(lane, VecDeque::new());
                Some(waiter)
            }
        }
    }

    /// Takes the lane if it is free.
    pub fn try_enter(&mut self, lane: LaneId) -> bool {
        if self.used.contains_key(&lane) {
            return false;
        }
        self.used.insert(lane, VecDeque::new());
        true
    }

    /// Gives the lane up; whoever waited longest has it now.
    pub fn leave(&mut self, lane: LaneId) -> Option<W> {
        let next = self.used.get_mut(&lane).and_then(VecDeque::pop_front);
        if next.is_none() {
            self.used.remove(&lane);
        }
        next
    }

    /// Takes those out of a lane's queue that match.
    pub fn withdraw_from(&mut self, lane: LaneId, matches: impl FnMut(&W) -> bool) -> Vec<W> {
        match self.used.get_mut(&lane) {
            Some(waiting) => extract(waiting, matches),
            None => Vec::new(),
        }
    }

    /// Takes those out of all queues that match.
    pub fn withdraw(&mut self, mut matches: impl FnMut(&W) -> bool) -> Vec<W> {
        self.used
            .values_mut()
            .flat_map(|waiting| extract(waiting, &mut matches))
            .collect()
    }
}

/// Takes the elements out that match, in order.
pub fn extract<T>(from: &mut VecDeque<T>, mut matches: impl FnMut(&T) -> bool) -> Vec<T> {
    // Mostly none does, and then nothing need be moved.
    if !from.iter().any(&mut matches) {
        return Vec::new();
    }
    let (taken, kept): (Vec<_>, Vec<_>) = from.drain(..).partition(|element| matches(element));
    *from = kept.into();
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_goes_to_those_who_wait_in_their_order() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.enter(1, 'a'), Some('a'));
        assert_eq!(lanes.enter(1, 'b'), None);
        assert_eq!(lanes.enter(1, 'c'), None);
        assert_eq!(lanes.enter(2, 'd'), Some('d'));
        assert!(!lanes.try_enter(1));
        assert_eq!(lanes.leave(1), Some('b'));
        assert_eq!(lanes.leave(1), Some('c'));
        assert_eq!(lanes.leave(1), None);
        assert!(lanes.try_enter(1));
    }

    #[test]
    fn a_withdrawn_waiter_is_passed_over() {
        let mut lanes = Lanes::default();
        lanes.enter(1, 'a');
        for waiter in ['b', 'c', 'd'] {
            lanes.enter(1, waiter);
        }
        assert_eq!(lanes.withdraw_from(1, |waiter| *waiter == 'b'), ['b']);
        assert_eq!(lanes.withdraw(|waiter| *waiter == 'd'), ['d']);
        assert_eq!(lanes.leave(1), Some('c'));
        assert_eq!(lanes.leave(1), None);
        assert!(lanes.used.is_empty());
    }
}
