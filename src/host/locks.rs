//! Locks that outlive a panic: every critical section here leaves its data sound, so poisoning says nothing.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

pub use primitives::*;

/// What threads are made of and wait with. Code that tests/models runs in every order takes them from here.
#[cfg(not(shuttle))]
mod primitives {
    pub use std::sync::atomic::{AtomicBool, Ordering};
    pub use std::sync::{Condvar, Mutex, MutexGuard};
    pub use std::thread::{Builder, JoinHandle};
    pub use std::thread_local;

    pub fn is_finished(handle: &JoinHandle<()>) -> bool {
        handle.is_finished()
    }
}

/// The same of shuttle, which chooses who runs next. Its waits end by a notification only.
#[cfg(shuttle)]
mod primitives {
    pub use shuttle::sync::atomic::{AtomicBool, Ordering};
    pub use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub use shuttle::thread::{Builder, JoinHandle};
    pub use shuttle::thread_local;

    /// It cannot tell. Then a handle is kept until it is joined.
    pub fn is_finished(_: &JoinHandle<()>) -> bool {
        false
    }
}

pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a notification, at most until `until` (for ever if `None`).
pub fn wait_until<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    until: Option<Instant>,
) -> MutexGuard<'a, T> {
    match until {
        None => condvar.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return guard;
            }
            condvar
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0
        }
    }
}

/// Wakes threads that wait for something to change; what did, they look up themselves. A notification between
/// the look and the wait is not missed, and one that nobody waits for costs no system call.
#[derive(Debug, Default)]
pub struct Notify {
    state: Mutex<Notified>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Notified {
    times: u64,
    waiting: usize,
}

impl Notify {
    pub fn notify(&self) {
        let mut state = lock(&self.state);
        state.times += 1;
        let is_awaited = state.waiting > 0;
        // A thread that is woken would only wait for it, and cost the caller a second call to the system.
        drop(state);
        if is_awaited {
            self.changed.notify_all();
        }
    }

    /// How often so far: taken before the look, and given to [`Self::wait`].
    pub fn times(&self) -> u64 {
        lock(&self.state).times
    }

    /// Sleeps until there was a notification since `seen`, at most until `until` (for ever if `None`). False if
    /// there was none.
    pub fn wait(&self, seen: u64, until: Option<Instant>) -> bool {
        let mut state = lock(&self.state);
        state.waiting += 1;
        while state.times == seen && until.is_none_or(|until| until > Instant::now()) {
            state = wait_until(&self.changed, state, until);
        }
        state.waiting -= 1;
        state.times != seen
    }
}

/// The moment that a timeout of the C API means: milliseconds from now; negative is for ever, `None`.
pub fn until(timeout_ms: i64) -> Option<Instant> {
    deadline(Duration::from_millis(u64::try_from(timeout_ms).ok()?))
}

/// `now + timeout`, or `None` (for ever) where the clock cannot express it.
pub fn deadline(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}
