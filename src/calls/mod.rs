//! Calls: synchronous ones, which have their caller's thread, and asynchronous ones, which have a bounded pool of
//! workers over one backlog. What they share with the queue, the lanes and the callbacks, is `delivery`'s. The way
//! in: [`Calls`].

mod backlog;
mod call;
mod pool;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::api::request::Request;
use crate::delivery::Delivery;
use crate::delivery::callbacks::{self, Callback, refuse_inside};
use crate::delivery::lanes::Turn;
use crate::error::{Error, Status};
use crate::host::cancel::{CancelToken, Cancelled};
use crate::host::locks::{Mutex, lock};
use crate::host::log;
use call::Call;
use pool::Pool;

pub struct Calls {
    delivery: Arc<Delivery>,
    pool: Arc<Pool>,
    blocking: Mutex<Blocking>,
}

/// Synchronous calls, waiting or under way.
#[derive(Default)]
struct Blocking {
    /// Nothing new begins.
    closing: bool,
    last_id: u64,
    calls: HashMap<u64, CancelToken>,
}

impl Calls {
    pub fn new(delivery: Arc<Delivery>) -> Self {
        Self {
            pool: Pool::new(Arc::clone(&delivery)),
            delivery,
            blocking: Mutex::default(),
        }
    }

    /// Makes a call on this thread. `tenant`: the handle's.
    pub fn run(&self, request: Request, tenant: Option<&Arc<str>>) -> Result<String, Error> {
        let mut call = Call::new(&self.delivery, request, tenant);
        let cancel = CancelToken::new();
        let result = self.begin(&cancel).and_then(|_under_way| {
            let _turn = self.wait_for_lane(&call, &cancel)?;
            call.run(&self.delivery, &cancel)
        });
        self.delivery.stats.finished(Status::of(&result));
        result
    }

    /// Begins a call whose callback will run, exactly once, if this is `Ok`.
    pub fn submit(
        &self,
        request: Request,
        tenant: Option<&Arc<str>>,
        callback: Box<dyn Callback>,
    ) -> Result<(), Error> {
        if lock(&self.blocking).closing {
            return Err(Error::closed());
        }
        let call = Call::new(&self.delivery, request, tenant);
        self.pool.submit(call, callback)
    }

    /// Ends the asynchronous calls with this tag, waiting or under way; returns how many. Their callbacks run.
    pub fn cancel(&self, tag: usize) -> usize {
        self.pool.cancel(tag)
    }

    /// Lets nothing new begin.
    pub fn stop_accepting(&self) {
        lock(&self.blocking).closing = true;
    }

    /// Ends all calls, for good; returns how many.
    pub fn cancel_all(&self) -> usize {
        self.stop_accepting();
        let mut cancelled = self.pool.cancel_all();
        for call in lock(&self.blocking).calls.values() {
            call.cancel();
            cancelled += 1;
        }
        cancelled
    }

    /// No call is left, and no callback of one that is still to run.
    pub fn is_idle(&self) -> bool {
        lock(&self.blocking).calls.is_empty() && self.pool.is_idle()
    }

    /// Calls under way, and calls that wait.
    pub fn counts(&self) -> (u64, u64) {
        let (running, waiting) = self.pool.counts();
        let blocking = lock(&self.blocking).calls.len();
        ((running + blocking) as u64, waiting as u64)
    }

    /// Waits for the threads to end, after [`Self::cancel_all`].
    pub fn join(&self) {
        self.pool.join();
    }

    /// The call is under way until the guard is dropped.
    fn begin(&self, cancel: &CancelToken) -> Result<UnderWay<'_>, Error> {
        let mut blocking = lock(&self.blocking);
        if blocking.closing {
            return Err(Error::closed());
        }
        blocking.last_id += 1;
        let id = blocking.last_id;
        blocking.calls.insert(id, cancel.clone());
        Ok(UnderWay { calls: self, id })
    }

    fn wait_for_lane(&self, call: &Call, cancel: &CancelToken) -> Result<Option<Turn<'_>>, Error> {
        let Some(lane) = call.lane else {
            return Ok(None);
        };
        // What is under way may be what this thread logs of: then it would wait for itself.
        let is_logging = log::is_logging();
        let until = match is_logging {
            true => Instant::now(),
            false => call.deadline,
        };
        let wait = || self.delivery.lanes.wait(lane, until, cancel);
        let waited = match callbacks::is_inside() {
            true => self.pool.wait_in_callback(wait),
            false => wait(),
        };
        match waited {
            Ok(Some(turn)) => Ok(Some(turn)),
            Ok(None) => {
                if is_logging {
                    refuse_inside("metrics_event, with one of its user and metric under way")?;
                }
                Err(Error::new(
                    Status::Timeout,
                    "metrics_event: an earlier event of this user and metric was under way until this call's \
                     timeout_in_seconds had passed",
                ))
            }
            Err(Cancelled) => Err(Error::cancelled()),
        }
    }
}

struct UnderWay<'a> {
    calls: &'a Calls,
    id: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.calls.blocking).calls.remove(&self.id);
        self.calls.delivery.progress.notify();
    }
}
