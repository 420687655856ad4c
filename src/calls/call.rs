//! A request over all its attempts: which comes next, and when.

use std::sync::Arc;
use std::time::Instant;

use crate::api::request::Request;
use crate::api::retry;
use crate::delivery::Delivery;
use crate::delivery::lanes::LaneId;
use crate::error::{Error, Status};
use crate::host::cancel::{CancelToken, Cancelled};
use crate::host::log;

pub struct Call {
    pub request: Request,
    tenant: Option<Arc<str>>,
    pub lane: Option<LaneId>,
    pub cancel: CancelToken,
    /// The end of the whole call.
    pub deadline: Instant,
    attempts: u32,
    /// A kept-alive connection that had died was replaced: that is no retry of the caller's.
    replaced_connection: bool,
}

/// What an attempt came to.
pub enum Step {
    Done(Result<String, Error>),
    /// The next attempt is due then.
    Again(Instant),
}

impl Call {
    /// A call that begins now. `tenant`: the handle's.
    pub fn new(delivery: &Delivery, mut request: Request, tenant: Option<&Arc<str>>) -> Self {
        let tenant = match request.options.tenant_id.take() {
            Some(tenant) => Some(Arc::from(tenant)),
            None => tenant.cloned(),
        };
        let timeout = request.options.timeout.unwrap_or(delivery.options.timeout);
        let lane = request.lane.as_ref().map(|lane| {
            delivery
                .lanes
                .id(tenant.as_deref(), &lane.user, &lane.metric)
        });
        Self {
            request,
            tenant,
            lane,
            cancel: CancelToken::new(),
            deadline: Instant::now() + timeout,
            attempts: 0,
            replaced_connection: false,
        }
    }

    /// Makes all its attempts on this thread.
    pub fn run(&mut self, delivery: &Delivery) -> Result<String, Error> {
        loop {
            match self.attempt(delivery) {
                Step::Done(result) => return result,
                Step::Again(at) => self
                    .cancel
                    .sleep_until(at)
                    .map_err(|Cancelled| self.cancelled())?,
            }
        }
    }

    /// Makes one attempt.
    pub fn attempt(&mut self, delivery: &Delivery) -> Step {
        if self.cancel.is_cancelled() {
            return Step::Done(Err(self.cancelled()));
        }
        if Instant::now() >= self.deadline {
            return Step::Done(Err(self.overdue()));
        }
        if self.attempts > 0 {
            delivery.stats.retries.add(1);
        }
        self.attempts += 1;
        let sent = delivery.send(
            &self.request,
            self.tenant.as_deref(),
            Some(self.deadline),
            &self.cancel,
            self.replaced_connection,
        );
        let refusal = match sent.result {
            Ok(reply) => return Step::Done(Ok(reply)),
            Err(refusal) => refusal,
        };

        if refusal.stale && self.request.repeatable {
            self.replaced_connection = true;
        }
        let now = Instant::now();
        let pause = retry::pause(
            refusal.failure,
            self.attempts - u32::from(self.replaced_connection),
            self.request
                .options
                .max_retries
                .unwrap_or(delivery.options.max_retries),
            self.deadline.saturating_duration_since(now),
            self.request.repetition(),
            delivery.random.fraction(),
        );
        let mut error = refusal.error;
        match pause {
            Some(pause) if error.status != Status::Cancelled => {
                log::warn(|| {
                    format!(
                        "{}; attempt {} comes in {} ms",
                        error.message,
                        self.attempts + 1,
                        pause.as_millis()
                    )
                });
                Step::Again(now + pause)
            }
            _ => {
                if self.attempts > 1 && error.status != Status::Cancelled {
                    log::warn(|| {
                        format!(
                            "{}; given up after {} attempts",
                            error.message, self.attempts
                        )
                    });
                }
                error.details.attempts = self.attempts;
                Step::Done(Err(error))
            }
        }
    }

    /// It was cancelled between two attempts, or before the first.
    pub fn cancelled(&self) -> Error {
        let mut error = Error::cancelled();
        error.details.attempts = self.attempts;
        error
    }

    /// Its time was over before it was its turn.
    pub fn overdue(&self) -> Error {
        let name = self.request.operation.name;
        let mut error = Error::new(
            Status::Timeout,
            format!("{name}: the call's timeout_in_seconds passed while it waited for its turn"),
        );
        error.details.attempts = self.attempts;
        error
    }
}
