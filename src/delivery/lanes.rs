//! Lanes: one event of a (tenant, user, metric) at a time, in the order they came, since the service takes no
//! parallel events for one user and metric. Whoever waits is told, with no lock held, when the lane is his.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use crate::host::cancel::{CancelToken, Cancelled};
use crate::host::locks::{AtomicBool, Mutex, Ordering, lock};

/// A lane by its hash. Two lanes with the same hash only wait for each other needlessly.
pub type LaneId = u64;

/// Names one place in a lane's queue.
pub type Ticket = u64;

/// Who waits for a lane.
pub trait LaneWaiter: Send + Sync {
    /// The lane is yours; give it back with [`Lanes::leave`].
    fn granted(self: Arc<Self>, lane: LaneId, ticket: Ticket);
}

#[derive(Default)]
pub struct Lanes {
    state: Mutex<State>,
    hasher: RandomState,
}

#[derive(Default)]
struct State {
    last_ticket: Ticket,
    /// Lanes in use, each with those that wait for it in the order they came.
    used: HashMap<LaneId, VecDeque<Waiting>>,
}

type Waiting = (Ticket, Arc<dyn LaneWaiter>);

impl Lanes {
    pub fn id(&self, tenant: Option<&str>, user: &str, metric: &str) -> LaneId {
        self.hasher.hash_one((tenant, user, metric))
    }

    /// Takes the lane if it is free. If not, `waiter` hears later, under the ticket that is returned.
    pub fn enter(&self, lane: LaneId, waiter: &Arc<impl LaneWaiter + 'static>) -> Option<Ticket> {
        let mut state = lock(&self.state);
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        match state.used.entry(lane) {
            Entry::Vacant(free) => {
                free.insert(VecDeque::new());
                None
            }
            Entry::Occupied(mut used) => {
                let waiting = used.get_mut();
                waiting.push_back((ticket, Arc::clone(waiter) as Arc<dyn LaneWaiter>));
                Some(ticket)
            }
        }
    }

    /// Stops waiting. False: the lane has been granted, though the waiter may not have heard of it yet; it is
    /// for the caller to leave it.
    #[must_use]
    pub fn withdraw(&self, lane: LaneId, ticket: Ticket) -> bool {
        let mut state = lock(&self.state);
        let Some(waiting) = state.used.get_mut(&lane) else {
            return false;
        };
        let before = waiting.len();
        waiting.retain(|(other, _)| *other != ticket);
        waiting.len() < before
    }

    /// Gives the lane up; whoever waited longest has it now.
    pub fn leave(&self, lane: LaneId) {
        let next = {
            let mut state = lock(&self.state);
            let Entry::Occupied(mut used) = state.used.entry(lane) else {
                return;
            };
            let next = used.get_mut().pop_front();
            if next.is_none() {
                used.remove();
            }
            next
        };
        if let Some((ticket, waiter)) = next {
            waiter.granted(lane, ticket);
        }
    }

    /// Waits on this thread for the lane, which is left when the turn is dropped. `None`: `until` passed first.
    pub fn wait(
        &self,
        lane: LaneId,
        until: Instant,
        cancel: &CancelToken,
    ) -> Result<Option<Turn<'_>>, Cancelled> {
        let waiter = Arc::new(WaitingThread {
            granted: AtomicBool::new(false),
            cancel: cancel.clone(),
        });
        let turn = Turn { lanes: self, lane };
        let Some(ticket) = self.enter(lane, &waiter) else {
            return Ok(Some(turn));
        };
        let is_granted = || waiter.granted.load(Ordering::SeqCst);
        match cancel.wait(Some(until), is_granted) {
            Ok(true) => Ok(Some(turn)),
            missed => {
                if self.withdraw(lane, ticket) {
                    std::mem::forget(turn);
                }
                missed.map(|_| None)
            }
        }
    }
}

/// A thread has the lane until this is dropped.
pub struct Turn<'a> {
    lanes: &'a Lanes,
    lane: LaneId,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.lanes.leave(self.lane);
    }
}

struct WaitingThread {
    granted: AtomicBool,
    cancel: CancelToken,
}

impl LaneWaiter for WaitingThread {
    fn granted(self: Arc<Self>, _: LaneId, _: Ticket) {
        self.granted.store(true, Ordering::SeqCst);
        self.cancel.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Default)]
    struct Granted(Mutex<Vec<Ticket>>);

    impl LaneWaiter for Granted {
        fn granted(self: Arc<Self>, _: LaneId, ticket: Ticket) {
            lock(&self.0).push(ticket);
        }
    }

    #[test]
    fn a_lane_goes_to_those_who_wait_in_their_order() {
        let (lanes, granted) = (Lanes::default(), Arc::new(Granted::default()));
        assert_eq!(lanes.enter(1, &granted), None);
        let second = lanes.enter(1, &granted).unwrap();
        let third = lanes.enter(1, &granted).unwrap();
        assert_eq!(lanes.enter(2, &granted), None, "another lane is free");

        for _ in 0..3 {
            lanes.leave(1);
        }

        assert_eq!(*lock(&granted.0), [second, third]);
        assert_eq!(lanes.enter(1, &granted), None);
    }

    #[test]
    fn a_waiter_that_withdrew_is_passed_over_and_one_that_has_the_lane_is_told_so() {
        let (lanes, granted) = (Lanes::default(), Arc::new(Granted::default()));
        lanes.enter(1, &granted);
        let second = lanes.enter(1, &granted).unwrap();
        let third = lanes.enter(1, &granted).unwrap();

        assert!(lanes.withdraw(1, second));
        lanes.leave(1);

        assert_eq!(*lock(&granted.0), [third]);
        assert!(!lanes.withdraw(1, third));
        lanes.leave(1);
        assert!(lock(&lanes.state).used.is_empty());
    }

    #[test]
    fn a_thread_that_gave_up_waiting_holds_nothing() {
        let lanes = Lanes::default();
        let cancel = CancelToken::new();
        let turn = lanes.wait(1, Instant::now(), &cancel).unwrap();
        assert!(turn.is_some());
        let late = Instant::now() + Duration::from_millis(1);
        assert!(lanes.wait(1, late, &cancel).unwrap().is_none());
        cancel.cancel();
        assert!(lanes.wait(1, late, &cancel).is_err());
        drop(turn);
        assert!(lock(&lanes.state).used.is_empty());
    }
}
