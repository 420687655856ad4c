//! The driver: one thread that waits for the replies of all asynchronous calls that are under way on kept
//! connections, so that an event costs no switch of threads. It runs callbacks, too, while another thread
//! watches whether it stays away for too long. Any worker may become the driver.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::calls::{Air, State, Task, Watch};
use crate::delivery::engine::{Engine, Step};
use crate::error::Error;
use crate::options::Callbacks;

/// For so long, the replies may wait for a driver that runs callbacks.
pub const PATIENCE: Duration = Duration::from_millis(10);
/// How often a driver that comes and goes is looked after.
pub const TICK: Duration = Duration::from_millis(20);
/// A driver that has not gone away for so long needs no looking after.
pub const QUIET: Duration = Duration::from_millis(100);
/// Callbacks that take longer than this are for other threads.
const SLOW: Duration = Duration::from_micros(500);

/// A call whose reply is awaited without a thread: there is none.
pub(crate) enum Flying {}

impl Engine {
    /// Makes an attempt of a call that has begun, the driver's place being taken for this thread: without
    /// a wait, if there is a connection for it. Returns as [`Self::drive`].
    pub(crate) fn fly(self: &Arc<Self>, task: Task) -> Option<u64> {
        let mut state = self.calls.lock();
        state.air = Air::Empty;
        self.staff(state);
        self.make_attempt(task);
        None
    }

    /// Waits for replies, and begins the calls that become ready, until there is none left. Or until there
    /// are callbacks that this thread may run: then the flights have been parked, under the number that
    /// is returned.
    pub(crate) fn drive(
        self: &Arc<Self>,
        flying: Vec<Flying>,
        mut landed: Vec<(Task, Step)>,
    ) -> Option<u64> {
        let mut grounded: Vec<Task> = Vec::new();
        let mut starting = Vec::new();
        loop {
            let mut state = self.calls.lock();
            let now = Instant::now();
            state.air = Air::Driven { asleep: false };
            for task in grounded.drain(..) {
                // A cancel in the meantime took it for one under way, and left the rest to us.
                if task.call.control.is_cancelled() {
                    landed.push((task, Step::Done(Err(Error::cancelled()))));
                } else {
                    state.ground(task);
                }
            }
            self.take_in(&mut state, &mut landed, now);

            while self.has_place(&state)
                && let Some(task) = state.ready.pop_front()
            {
                self.begin_task(&mut state, &task, now);
                starting.push(task);
            }
            if !starting.is_empty() {
                self.staff(state);
                grounded.append(&mut starting);
                continue;
            }
            if flying.is_empty() {
                // What there is to do now, this thread sees as it looks for its next job. What is due
                // later, the others do not know.
                state.air = Air::Empty;
                state.is_sooner |= state.pending > 0;
                return None;
            }
            if self.may_run_callbacks(&mut state) {
                state.parkings += 1;
                state.air = Air::Parked {
                    flights: flying,
                    since: now,
                };
                return Some(state.parkings);
            }
            drop(state);
        }
    }

    /// What came of attempts, and of time.
    fn take_in(self: &Arc<Self>, state: &mut State, landed: &mut Vec<(Task, Step)>, now: Instant) {
        let has_landed = !landed.is_empty();
        for (task, step) in landed.drain(..) {
            if let Some(finished) = self.settle(state, task, step) {
                state.finished.push_back(finished);
            }
        }
        if has_landed {
            self.calls.tell(state);
        }
        self.pass_time(state, now);
    }

    /// Whether this thread may leave the flights for callbacks: they are short by experience, and should
    /// one not be, then another thread takes over.
    fn may_run_callbacks(self: &Arc<Self>, state: &mut State) -> bool {
        if self.calls.mode == Callbacks::Dispatch || state.finished.is_empty() {
            return false;
        }
        let is_slow = state.callback_time >= SLOW;
        if state.watch == Watch::Kept && !is_slow {
            return true;
        }
        let is_alone = state.threads.alive == 1;
        if is_slow && !is_alone {
            return false;
        }
        let has_other = state.threads.free() > state.grounded.len()
            || state.threads.alive <= self.calls.workers && self.start_worker(state).is_ok();
        if !has_other {
            // Where no thread can be had, this one does it all.
            return is_alone;
        }
        if !is_slow {
            state.watch = Watch::Wanted;
        }
        !is_slow
    }
}

pub use waker::Waker;

#[cfg(unix)]
mod waker {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::OnceLock;

    /// Ends the sleep of the driver, from any thread.
    #[derive(Debug, Default)]
    pub struct Waker(OnceLock<(UnixStream, UnixStream)>);

    impl Waker {
        /// What to wait for. None while the process has no file descriptors left.
        pub fn socket(&self) -> Option<&UnixStream> {
            if self.0.get().is_none() {
                let (far, near) = UnixStream::pair().ok()?;
                far.set_nonblocking(true).ok()?;
                near.set_nonblocking(true).ok()?;
                // Only the driver gets here, so nobody else has set it.
                let _ = self.0.set((far, near));
            }
            self.0.get().map(|(_, near)| near)
        }

        /// Without a socket to wait for, the driver looks for itself.
        pub fn ring(&self) {
            if let Some((far, _)) = self.0.get() {
                let mut far = far;
                // Full: it has been rung often enough.
                let _ = far.write(&[0]);
            }
        }

        /// It has been heard.
        pub fn drain(&self) {
            if let Some((_, near)) = self.0.get() {
                let mut near = near;
                let _ = near.read(&mut [0; 64]);
            }
        }
    }
}

#[cfg(not(unix))]
mod waker {
    /// There is no driver that sleeps.
    #[derive(Debug, Default)]
    pub struct Waker;

    impl Waker {
        pub fn ring(&self) {}
    }
}
