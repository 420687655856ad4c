//! The host's callbacks: what they are, which are due, and the thread that runs them: in mode "worker" the
//! library's thread that has something to tell, in mode "dispatch" the one that calls `dispatch`.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, Status};
use crate::host::locks::{Mutex, MutexGuard, Notify, lock, thread_local};
use crate::host::{log, panics};
use crate::options::Callbacks as Mode;

/// The end of one asynchronous call.
pub trait Callback: Send {
    /// The `user_data`, by which `trophy_client_cancel` finds the call.
    fn tag(&self) -> usize;
    fn run(self: Box<Self>, status: Status, json: &str);
}

/// The ends of queued events.
pub trait DeliveryCallback: Send + Sync {
    fn run(&self, status: Status, json: &str);
}

/// Wakes the host's event loop.
pub trait ReadyCallback: Send + Sync {
    fn run(&self);
}

/// A callback with what it is to be told.
pub enum Due {
    Call {
        callback: Box<dyn Callback>,
        status: Status,
        json: String,
    },
    /// For whoever hears of deliveries when it runs.
    Delivery(Notice),
}

/// How a queued event ended.
pub struct Notice {
    pub status: Status,
    /// `{"idempotencyKey":…,"key":…,"userId":…`, open at its end.
    pub event: String,
    /// `"response":…` or `"error":…`: shared by the events that ended together.
    pub outcome: Arc<str>,
}

impl Due {
    pub fn call(callback: Box<dyn Callback>, result: Result<String, Error>) -> Self {
        Self::Call {
            callback,
            status: Status::of(&result),
            json: result.unwrap_or_else(|error| error.to_json()),
        }
    }
}

pub struct Callbacks {
    pub mode: Mode,
    state: Mutex<State>,
    /// Something is due, has run, or nothing more will be.
    progress: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// To be dispatched.
    due: VecDeque<Due>,
    /// Callbacks that run now.
    running: usize,
    delivery: Slot<dyn DeliveryCallback>,
    ready: Slot<dyn ReadyCallback>,
    /// It was called since the last dispatch began.
    is_ready_called: bool,
    /// Nothing will come any more.
    ended: bool,
}

/// A callback that the host may replace at any time.
struct Slot<T: ?Sized> {
    callback: Option<Arc<T>>,
    /// Calls of it, and of those before it, that have not returned.
    running: Vec<(ThisThread, Arc<T>)>,
}

impl<T: ?Sized> Default for Slot<T> {
    fn default() -> Self {
        Self {
            callback: None,
            running: Vec::new(),
        }
    }
}

impl<T: ?Sized> Slot<T> {
    /// The callback, for a call on this thread that ends with [`Self::end`].
    fn begin(&mut self) -> Option<Arc<T>> {
        let callback = self.callback.clone()?;
        self.running.push((this_thread(), Arc::clone(&callback)));
        Some(callback)
    }

    fn end(&mut self, callback: &Arc<T>) {
        let this = this_thread();
        let at = self
            .running
            .iter()
            .position(|(thread, other)| *thread == this && Arc::ptr_eq(other, callback));
        if let Some(at) = at {
            self.running.swap_remove(at);
        }
    }

    /// No call of it is left, or this thread is inside one and need not wait for itself.
    fn is_over(&self, callback: &Arc<T>) -> bool {
        let this = this_thread();
        let mut calls = self
            .running
            .iter()
            .filter(|(_, other)| Arc::ptr_eq(other, callback))
            .peekable();
        calls.peek().is_none() || calls.any(|(thread, _)| *thread == this)
    }
}

impl Callbacks {
    pub fn new(mode: Mode, progress: Arc<Notify>) -> Self {
        Self {
            mode,
            state: Mutex::default(),
            progress,
        }
    }

    /// Runs a callback on this thread, or leaves it to [`Self::dispatch`], as the mode has it.
    pub fn deliver(&self, due: Due) {
        match self.mode {
            Mode::Worker => self.run(due, |state| state.running += 1),
            Mode::Dispatch => self.push(due),
        }
    }

    fn push(&self, due: Due) {
        let mut state = lock(&self.state);
        state.due.push_back(due);
        drop(self.call_ready(state));
        self.progress.notify();
    }

    /// Callbacks that wait for a dispatch.
    pub fn due(&self) -> usize {
        lock(&self.state).due.len()
    }

    /// None is due, and none runs; inside a callback, who asks may be the one that runs.
    pub fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        state.due.is_empty() && (state.running == 0 || is_inside())
    }

    /// Runs those that are due on this thread, after a wait for the first until `until` (`None`: for ever).
    /// Returns how many ran.
    pub fn dispatch(&self, until: Option<Instant>) -> usize {
        loop {
            let seen = self.progress.times();
            let ran = self.run_due();
            if ran > 0 || self.mode == Mode::Worker || lock(&self.state).ended {
                return ran;
            }
            if !self.progress.wait(seen, until) {
                return 0;
            }
        }
    }

    /// Runs those that are due. Those that come while these run are for the next time: a frame has an end.
    pub fn run_due(&self) -> usize {
        let due = {
            let mut state = lock(&self.state);
            state.is_ready_called = false;
            state.due.len()
        };
        for ran in 0..due {
            let next = {
                let mut state = lock(&self.state);
                let next = state.due.pop_front();
                state.running += usize::from(next.is_some());
                next
            };
            match next {
                Some(next) => self.run(next, |_| ()),
                None => return ran,
            }
        }
        due
    }

    /// Runs one callback, with no lock held. `count` counts it among the running.
    fn run(&self, due: Due, count: impl FnOnce(&mut State)) {
        let delivery = {
            let mut state = lock(&self.state);
            count(&mut state);
            match &due {
                Due::Delivery(_) => state.delivery.begin(),
                Due::Call { .. } => None,
            }
        };
        call_host(|| match due {
            Due::Call {
                callback,
                status,
                json,
            } => callback.run(status, &json),
            Due::Delivery(notice) => {
                if let Some(delivery) = &delivery {
                    delivery.run(notice.status, &notice.json());
                }
            }
        });
        let mut state = lock(&self.state);
        state.running -= 1;
        if let Some(delivery) = &delivery {
            state.delivery.end(delivery);
        }
        drop(state);
        self.progress.notify();
    }

    /// Who hears of deliveries from now on. When this returns, the one before is not running and never will,
    /// unless the caller is inside it.
    pub fn set_delivery(&self, callback: Option<Arc<dyn DeliveryCallback>>) {
        let before = std::mem::replace(&mut lock(&self.state).delivery.callback, callback);
        self.wait_until(|state| before.as_ref().is_none_or(|it| state.delivery.is_over(it)));
    }

    pub fn has_delivery(&self) -> bool {
        lock(&self.state).delivery.callback.is_some()
    }

    /// Who is woken when callbacks become due where none were; of those that are due already, at once. When this
    /// returns, the one before is not running and never will, unless the caller is inside it. After the end it is
    /// nobody.
    pub fn set_ready(&self, callback: Option<Arc<dyn ReadyCallback>>) {
        let mut state = lock(&self.state);
        let callback = callback.filter(|_| !state.ended);
        let before = std::mem::replace(&mut state.ready.callback, callback);
        state.is_ready_called = false;
        if !state.due.is_empty() {
            state = self.call_ready(state);
        }
        drop(state);
        self.wait_until(|state| before.as_ref().is_none_or(|it| state.ready.is_over(it)));
    }

    /// Calls it, with no lock held, unless it was called since the last dispatch.
    fn call_ready<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.is_ready_called {
            return state;
        }
        let Some(ready) = state.ready.begin() else {
            return state;
        };
        state.is_ready_called = true;
        drop(state);
        call_host(|| ready.run());
        let mut state = lock(&self.state);
        state.ready.end(&ready);
        self.progress.notify();
        state
    }

    fn wait_until(&self, is_so: impl Fn(&State) -> bool) {
        loop {
            let seen = self.progress.times();
            if is_so(&lock(&self.state)) {
                return;
            }
            self.progress.wait(seen, None);
        }
    }

    /// Nothing will come any more: who waits in [`Self::dispatch`] need not, and nobody is woken.
    pub fn end(&self) {
        lock(&self.state).ended = true;
        self.set_ready(None);
        self.progress.notify();
    }
}

impl Notice {
    fn json(&self) -> String {
        let mut json = String::with_capacity(self.event.len() + self.outcome.len() + 2);
        json.push_str(&self.event);
        json.push(',');
        json.push_str(&self.outcome);
        json.push('}');
        json
    }
}

/// Names a thread while it lives. Not std's, which allocates for a thread of the host.
type ThisThread = usize;

fn this_thread() -> ThisThread {
    DEPTH.with(|depth| std::ptr::from_ref(depth) as usize)
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A panic has been logged, and must not take the thread with it.
fn call_host(call: impl FnOnce()) {
    let _inside = Inside::enter();
    let _ = panics::catch(call);
}

/// While it lives, this thread is inside a callback.
struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Whether this thread is inside a callback of the host.
pub fn is_inside() -> bool {
    DEPTH.with(Cell::get) > 0 || log::is_logging()
}

/// What a callback may not do: it would wait for itself.
pub fn refuse_inside(what: &str) -> Result<(), Error> {
    if is_inside() {
        return Err(Error::invalid(format!(
            "{what}: not from inside a callback, which it would wait for; return first"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl ReadyCallback for Wakes {
        fn run(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn notice() -> Due {
        Due::Delivery(Notice {
            status: Status::Ok,
            event: "{".to_owned(),
            outcome: Arc::from(""),
        })
    }

    #[test]
    fn a_loop_is_woken_once_until_it_dispatches_and_never_after_the_end() {
        let callbacks = Callbacks::new(Mode::Dispatch, Arc::default());
        let (first, late) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        callbacks.set_ready(Some(Arc::clone(&first) as _));
        let woken = |wakes: &Wakes| wakes.0.load(Ordering::SeqCst);
        for round in 1..=2 {
            callbacks.deliver(notice());
            callbacks.deliver(notice());
            assert_eq!(woken(&first), round);
            assert_eq!(callbacks.run_due(), 2);
        }
        // Given what nobody has dispatched when the client ends,
        callbacks.deliver(notice());
        callbacks.end();
        // when a loop comes after that, or something becomes due,
        callbacks.set_ready(Some(Arc::clone(&late) as _));
        callbacks.deliver(notice());
        // then it is not woken.
        assert_eq!((woken(&first), woken(&late)), (3, 0));
    }
}
