//! What wakes the queue's threads: a new event, a lane that is theirs now, the end. A lock of its
//! own that nothing is done under, so that it can be rung from anywhere.

use std::sync::{Condvar, Mutex};
use std::time::Instant;

use crate::delivery::lanes::LaneId;
use crate::host::locks::{lock, wait_until};

#[derive(Debug, Default)]
pub struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

/// How often it was rung.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Rings {
    calls: u64,
    events: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Go up with each ring, so that a ring before the wait is not missed.
    rings: Rings,
    sleepers: usize,
    /// Those of them that an event wakes: the others have events, and wait for the time to send.
    idle: usize,
    granted: Vec<LaneId>,
}

impl Bell {
    pub fn ring(&self) {
        let mut state = lock(&self.state);
        state.rings.calls += 1;
        self.wake(state.sleepers);
    }

    /// There is a new event. It wakes those who have none.
    pub fn ring_for_event(&self) {
        let mut state = lock(&self.state);
        state.rings.events += 1;
        self.wake(state.idle);
    }

    /// A lane that the queue waited for is the queue's.
    pub fn grant(&self, lane: LaneId) {
        let mut state = lock(&self.state);
        state.granted.push(lane);
        state.rings.calls += 1;
        self.wake(state.sleepers);
    }

    pub fn take_granted(&self) -> Vec<LaneId> {
        std::mem::take(&mut lock(&self.state).granted)
    }

    /// How often it was rung so far.
    pub fn rings(&self) -> Rings {
        lock(&self.state).rings
    }

    /// Sleeps until it has been rung since `seen`, or until `until`. `idle`: an event counts too.
    /// False if it was not rung.
    pub fn wait(&self, seen: Rings, until: Instant, idle: bool) -> bool {
        let is_rung = |now: Rings| match idle {
            true => now != seen,
            false => now.calls != seen.calls,
        };
        let mut state = lock(&self.state);
        state.sleepers += 1;
        state.idle += usize::from(idle);
        while !is_rung(state.rings) && until > Instant::now() {
            state = wait_until(&self.rung, state, Some(until));
        }
        state.sleepers -= 1;
        state.idle -= usize::from(idle);
        is_rung(state.rings)
    }

    /// A wake-up costs a system call, so only where somebody sleeps.
    fn wake(&self, sleepers: usize) {
        if sleepers > 0 {
            self.rung.notify_all();
        }
    }
}
