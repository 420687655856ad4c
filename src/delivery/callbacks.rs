//! The host's callbacks: what they are, which are due, and the thread that runs them: in mode "worker" the
//! library's thread that has something to tell, in mode "dispatch" the one that calls `dispatch`.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crate::error::{Error, Status};
use crate::host::locks::{Notify, lock};
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
        let (status, json) = match result {
            Ok(json) => (Status::Ok, json),
            Err(error) => (error.status, error.to_json()),
        };
        Self::Call {
            callback,
            status,
            json,
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
    delivery: Option<Arc<dyn DeliveryCallback>>,
    /// How many of the running are calls of `delivery`.
    delivering: usize,
    ready: Option<Arc<dyn ReadyCallback>>,
    /// It was called since the last dispatch began.
    is_ready_called: bool,
    /// Threads that call it now.
    calling_ready: usize,
    /// Nothing will come any more.
    ended: bool,
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
    pub fn len(&self) -> usize {
        lock(&self.state).due.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
            let delivery = match &due {
                Due::Delivery(_) => state.delivery.clone(),
                Due::Call { .. } => None,
            };
            state.delivering += usize::from(delivery.is_some());
            delivery
        };
        let is_delivery = delivery.is_some();
        let inside = Inside::enter();
        // A panic has been logged, and must not take the thread with it.
        let _ = panics::catch(|| match due {
            Due::Call {
                callback,
                status,
                json,
            } => callback.run(status, &json),
            Due::Delivery(notice) => {
                if let Some(delivery) = delivery {
                    delivery.run(notice.status, &notice.json());
                }
            }
        });
        drop(inside);
        let mut state = lock(&self.state);
        state.running -= 1;
        state.delivering -= usize::from(is_delivery);
        drop(state);
        self.progress.notify();
    }

    /// Who hears of deliveries from now on. When this returns, the one before is not running, unless the caller
    /// is inside it.
    pub fn set_delivery(&self, callback: Option<Arc<dyn DeliveryCallback>>) {
        lock(&self.state).delivery = callback;
        self.wait_until(|state| state.delivering == 0);
    }

    pub fn has_delivery(&self) -> bool {
        lock(&self.state).delivery.is_some()
    }

    /// Who is woken when callbacks become due where none were. When this returns, the one before is not running,
    /// unless the caller is inside it.
    pub fn set_ready(&self, callback: Option<Arc<dyn ReadyCallback>>) {
        let mut state = lock(&self.state);
        state.ready = callback;
        state.is_ready_called = false;
        if !state.due.is_empty() {
            state = self.call_ready(state);
        }
        drop(state);
        self.wait_until(|state| state.calling_ready == 0);
    }

    /// Calls it, with no lock held, unless it was called since the last dispatch.
    fn call_ready<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.is_ready_called {
            return state;
        }
        let Some(ready) = state.ready.clone() else {
            return state;
        };
        state.is_ready_called = true;
        state.calling_ready += 1;
        drop(state);
        let inside = Inside::enter();
        // A panic has been logged.
        let _ = panics::catch(|| ready.run());
        drop(inside);
        let mut state = lock(&self.state);
        state.calling_ready -= 1;
        self.progress.notify();
        state
    }

    fn wait_until(&self, is_so: impl Fn(&State) -> bool) {
        while !is_inside() {
            let seen = self.progress.times();
            if is_so(&lock(&self.state)) {
                return;
            }
            self.progress.wait(seen, None);
        }
    }

    /// Nothing will come any more: who waits in [`Self::dispatch`] need not.
    pub fn end(&self) {
        lock(&self.state).ended = true;
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

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// While it lives, this thread is inside a callback.
struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Whether this thread is inside a callback of the host.
pub fn is_inside() -> bool {
    DEPTH.get() > 0 || log::is_logging()
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
