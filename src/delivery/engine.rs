//! What one process has of a client: its connections, its calls, its queue. `attempt` is the one
//! place where a request meets the network.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

use crate::api::answer::{self, Head};
use crate::api::request::Request;
use crate::api::retry::{self, Asked, Failure};
use crate::calls::Calls;
use crate::delivery::control::{Cancelled, Control};
use crate::delivery::lanes::LaneId;
use crate::delivery::stats::Stats;
use crate::error::{Error, Status};
use crate::host::log;
use crate::host::random::Random;
use crate::options::ClientOptions;
use crate::queue::Queue;
use crate::transport::{self, Exchange, Flight, Kind, Transport};

pub struct Engine {
    pub options: Arc<ClientOptions>,
    pub api_key: Arc<ArcSwap<ApiKey>>,
    pub transport: Transport,
    pub random: Random,
    pub stats: Stats,
    pub calls: Calls,
    pub queue: Queue,
    hasher: RandomState,
}

/// The secret, which nothing but a request may show.
pub struct ApiKey(String);

impl ApiKey {
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The part before the dot, which may be shown.
    pub fn prefix(&self) -> &str {
        self.0.split_once('.').map_or("", |(prefix, _)| prefix)
    }

    fn secret(&self) -> &str {
        self.0
            .split_once('.')
            .map_or(self.0.as_str(), |(_, secret)| secret)
    }

    /// What a server said, without the secret if it sent that back.
    fn redact(&self, text: String) -> String {
        // A secret this short is none, and would be found everywhere.
        if self.secret().len() < 4 || !text.contains(self.secret()) {
            return text;
        }
        text.replace(self.secret(), "[redacted]")
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.[redacted]", self.prefix())
    }
}

/// A request on its way, over all its attempts.
pub struct Call {
    pub request: Request,
    pub tenant: Option<Arc<str>>,
    pub lane: Option<LaneId>,
    pub control: Control,
    /// The end of the whole call.
    pub deadline: Instant,
    pub attempts: u32,
    /// A kept-alive connection that had died was replaced: that is no retry of the caller's.
    replaced_connection: bool,
}

impl Call {
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

    /// How often the caller's `max_retries` counts it as sent.
    fn counted_attempts(&self) -> u32 {
        self.attempts - u32::from(self.replaced_connection)
    }
}

/// An attempt under way that no thread waits for.
pub struct Airborne {
    pub flight: Flight,
    api_key: Arc<ApiKey>,
    begun: Instant,
}

/// What an attempt came to.
pub enum Step {
    Done(Result<String, Error>),
    /// The next attempt is due then.
    Again(Instant),
}

/// What came of a request.
pub struct Sent {
    pub result: Result<String, Refusal>,
    /// When its first byte went out, if one did.
    pub at: Option<Instant>,
}

impl Sent {
    pub fn nothing(why: Error) -> Self {
        Self {
            result: Err(Refusal::last(why)),
            at: None,
        }
    }
}

/// An attempt that did not succeed.
pub struct Refusal {
    pub error: Error,
    pub failure: Failure,
    /// The connection was a kept-alive one that was dead.
    pub stale: bool,
}

impl Refusal {
    fn last(error: Error) -> Self {
        Self {
            error,
            failure: Failure::Final,
            stale: false,
        }
    }
}

impl Engine {
    pub fn new(
        options: Arc<ClientOptions>,
        api_key: Arc<ArcSwap<ApiKey>>,
        transport: Transport,
    ) -> Self {
        Self {
            queue: Queue::default(),
            calls: Calls::new(&options),
            options,
            api_key,
            transport,
            random: Random::new(),
            stats: Stats::default(),
            hasher: RandomState::new(),
        }
    }

    /// The engine of a forked child: everything anew but what was asked for.
    pub fn for_child(&self) -> Self {
        Self::new(
            Arc::clone(&self.options),
            Arc::clone(&self.api_key),
            self.transport.for_child(),
        )
    }

    pub fn lane_id(&self, tenant: Option<&str>, user: &str, metric: &str) -> LaneId {
        self.hasher.hash_one((tenant, user, metric))
    }

    /// A request as a call that begins now. `tenant`: the handle's.
    pub fn call(&self, mut request: Request, tenant: Option<&Arc<str>>) -> Call {
        let tenant = match request.options.tenant_id.take() {
            Some(tenant) => Some(Arc::from(tenant)),
            None => tenant.cloned(),
        };
        let timeout = request.options.timeout.unwrap_or(self.options.timeout);
        Call {
            lane: request
                .lane
                .as_ref()
                .map(|lane| self.lane_id(tenant.as_deref(), &lane.user, &lane.metric)),
            tenant,
            control: Control::new(),
            deadline: Instant::now() + timeout,
            attempts: 0,
            replaced_connection: false,
            request,
        }
    }

    /// Makes all the attempts of a call on this thread.
    pub fn run(&self, call: &mut Call) -> Result<String, Error> {
        loop {
            match self.attempt(call) {
                Step::Done(result) => return result,
                Step::Again(at) => {
                    let pause = at.saturating_duration_since(Instant::now());
                    call.control
                        .sleep(pause)
                        .map_err(|Cancelled| Error::cancelled())?;
                }
            }
        }
    }

    /// Makes one attempt.
    pub fn attempt(&self, call: &mut Call) -> Step {
        if call.control.is_cancelled() {
            return Step::Done(Err(Error::cancelled()));
        }
        if Instant::now() >= call.deadline {
            return Step::Done(Err(call.overdue()));
        }
        self.count_attempt(call);
        let sent = self.send(
            &call.request,
            call.tenant.as_deref(),
            call.deadline,
            &call.control,
            call.replaced_connection,
        );
        self.end_attempt(call, sent)
    }

    /// Begins an attempt that no thread waits for, if there is a connection for it. Else nothing has
    /// begun, and [`Self::attempt`] has to make it.
    pub fn take_off(&self, call: &mut Call) -> Option<Airborne> {
        let api_key = self.api_key_of(&call.request);
        let begun = Instant::now();
        let flight = self.as_exchange(
            &call.request,
            &api_key,
            call.tenant.as_deref(),
            (begun, call.deadline),
            call.replaced_connection,
            |exchange| self.transport.take_off(exchange, &call.control),
        )?;
        self.count_attempt(call);
        self.stats.requests.add(1);
        Some(Airborne {
            flight,
            api_key,
            begun,
        })
    }

    /// Goes on with the attempt as far as it can without a wait; what follows from it, if it has ended.
    pub fn advance(&self, call: &mut Call, airborne: &mut Airborne) -> Option<Step> {
        let result = self.transport.advance(&mut airborne.flight)?;
        let Airborne { api_key, begun, .. } = airborne;
        let sent = self.sent(&call.request, api_key, call.deadline, *begun, result);
        Some(self.end_attempt(call, sent))
    }

    fn count_attempt(&self, call: &mut Call) {
        if call.attempts > 0 {
            self.stats.retries.add(1);
        }
        call.attempts += 1;
    }

    /// What follows from what came of an attempt.
    fn end_attempt(&self, call: &mut Call, sent: Sent) -> Step {
        let refusal = match sent.result {
            Ok(reply) => return Step::Done(Ok(reply)),
            Err(refusal) => refusal,
        };

        if refusal.stale && call.request.repeatable {
            call.replaced_connection = true;
        }
        let now = Instant::now();
        let pause = retry::pause(
            refusal.failure,
            call.counted_attempts(),
            call.request
                .options
                .max_retries
                .unwrap_or(self.options.max_retries),
            call.deadline.saturating_duration_since(now),
            call.request.repetition(),
            self.random.fraction(),
        );
        let mut error = refusal.error;
        match pause {
            Some(pause) if error.status != Status::Cancelled => {
                log::warn(|| {
                    format!(
                        "{}; attempt {} comes in {} ms",
                        error.message,
                        call.attempts + 1,
                        pause.as_millis()
                    )
                });
                Step::Again(now + pause)
            }
            _ => {
                error.details.attempts = call.attempts;
                Step::Done(Err(error))
            }
        }
    }

    /// Sends a request once and reads the answer. `probe`: look whether a kept-alive connection is
    /// still open before it is used, at the price of a system call.
    pub fn send(
        &self,
        request: &Request,
        tenant: Option<&str>,
        deadline: Instant,
        control: &Control,
        probe: bool,
    ) -> Sent {
        let api_key = self.api_key_of(request);
        let begun = Instant::now();
        let result = self.as_exchange(request, &api_key, tenant, (begun, deadline), probe, |it| {
            self.stats.requests.add(1);
            self.transport.exchange(it, control)
        });
        self.sent(request, &api_key, deadline, begun, result)
    }

    fn api_key_of(&self, request: &Request) -> Arc<ApiKey> {
        match &request.options.api_key {
            Some(key) => Arc::new(ApiKey::new(key)),
            None => self.api_key.load_full(),
        }
    }

    /// The request as it goes out, in an attempt that begins then, of a call that ends then.
    fn as_exchange<T>(
        &self,
        request: &Request,
        api_key: &ApiKey,
        tenant: Option<&str>,
        (begun, deadline): (Instant, Instant),
        probe: bool,
        then: impl FnOnce(&Exchange<'_>) -> T,
    ) -> T {
        let operation = request.operation;
        let options = &request.options;
        let base_url = match &options.base_url {
            Some(url) => url.as_str(),
            None => self.options.base_url(operation.api),
        };
        let mut url = String::with_capacity(base_url.len() + request.path.len());
        url.push_str(base_url);
        url.push_str(&request.path);

        let mut headers: Vec<(&str, &str)> = Vec::with_capacity(8);
        headers.push(("X-API-KEY", api_key.expose()));
        if operation.tenant
            && let Some(tenant) = tenant
        {
            headers.push(("Tenant-ID", tenant));
        }
        if let Some(key) = &request.idempotency_key {
            headers.push(("Idempotency-Key", key));
        }
        if request.body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        // The request's win over the client's.
        let own = &options.additional_headers;
        let clients = self.options.additional_headers.iter().filter(|(name, _)| {
            !own.iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(name))
        });
        for (name, value) in own.iter().chain(clients) {
            headers.push((name, value));
        }
        then(&Exchange {
            method: operation.method,
            url: &url,
            headers: &headers,
            body: request.body.as_deref().map(str::as_bytes),
            deadline: deadline.min(begun + self.options.attempt_timeout),
            connect_timeout: self.options.connect_timeout,
            max_response_bytes: self.options.max_response_bytes,
            probe: probe || !request.repeatable,
        })
    }

    /// What an exchange means for the request that it carried. `deadline`: the whole call's.
    fn sent(
        &self,
        request: &Request,
        api_key: &ApiKey,
        deadline: Instant,
        begun: Instant,
        result: Result<transport::Reply, transport::Failure>,
    ) -> Sent {
        let at = match &result {
            Ok(reply) => reply.sent_at,
            Err(failure) => failure.sent_at,
        };
        let result = match result {
            Ok(reply) => answered(request, reply, api_key),
            Err(failure) => Err(unanswered(request, failure, deadline)),
        };
        if let Err(refusal) = &result
            && refusal.error.status == Status::RateLimited
        {
            self.stats.rate_limited.add(1);
        }
        let sent = Sent { result, at };
        log::debug(|| {
            let outcome = match &sent.result {
                Ok(_) => "ok".to_owned(),
                Err(refusal) => refusal.error.to_string(),
            };
            format!(
                "{} {}: {outcome}, after {} ms",
                request.operation.method.as_str(),
                request.operation.name,
                begun.elapsed().as_millis()
            )
        });
        sent
    }
}

fn answered(
    request: &Request,
    reply: transport::Reply,
    api_key: &ApiKey,
) -> Result<String, Refusal> {
    let head = Head {
        status: reply.status,
        content_type: None,
        asked: Asked {
            retry_after: reply.retry_after.as_deref(),
            rate_limit_reset: reply.rate_limit_reset.as_deref(),
            date: None,
        },
    };
    let read = answer::read(request.operation.name, head, reply.body, unix_now());
    read.map_err(|refusal| {
        let mut error = refusal.error;
        error.message = api_key.redact(error.message);
        error.details.body = error.details.body.map(|body| api_key.redact(body));
        Refusal {
            error,
            failure: refusal.failure,
            stale: false,
        }
    })
}

fn unix_now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn unanswered(request: &Request, failure: transport::Failure, deadline: Instant) -> Refusal {
    let name = request.operation.name;
    let message = format!("{name}: {}", failure.message);
    if let (Kind::InvalidResponse | Kind::Timeout, Some(status)) = (failure.kind, failure.answered)
    {
        return broken_off(name, &failure, status);
    }
    let error = match failure.kind {
        Kind::Cancelled => return Refusal::last(Error::cancelled()),
        Kind::Tls => return Refusal::last(Error::new(Status::Tls, message)),
        Kind::InvalidResponse => {
            return Refusal::last(answer::unread(name, None, &failure.message));
        }
        Kind::Timeout => {
            let mut error = Error::new(Status::Timeout, message);
            if deadline <= Instant::now() + Duration::from_millis(1) {
                error
                    .message
                    .push_str("; the call's timeout_in_seconds is over");
            }
            error
        }
        Kind::Network => Error::new(Status::Network, message),
        Kind::InvalidRequest => return Refusal::last(Error::invalid(message)),
    };
    Refusal {
        error,
        failure: Failure::NoAnswer { sent: failure.sent },
        stale: failure.stale,
    }
}

/// An answer that broke off, or did not come to its end in time: a yes or a no all the same.
fn broken_off(name: &str, failure: &transport::Failure, status: u16) -> Refusal {
    if !(200..300).contains(&status) {
        let asked = Asked {
            retry_after: failure.retry_after.as_deref(),
            rate_limit_reset: failure.rate_limit_reset.as_deref(),
            date: None,
        };
        let retry_after = answer::asked_wait(status, asked, unix_now());
        let message = format!("{name}: {}", failure.message);
        let mut error = Error::new(Status::of_http(status), message);
        error.details.http_status = Some(status);
        error.details.retry_after = retry_after;
        return Refusal {
            error,
            failure: Failure::Answer {
                status,
                retry_after,
            },
            stale: false,
        };
    }
    let mut error = answer::unread(name, Some(status), &failure.message);
    if failure.kind == Kind::Timeout {
        error.status = Status::Timeout;
    }
    Refusal::last(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_its_prefix_only() {
        let key = ApiKey::new("admin.topsecret");
        assert_eq!(format!("{key:?}"), "admin.[redacted]");
        assert_eq!(
            key.redact("bad key admin.topsecret!".into()),
            "bad key admin.[redacted]!"
        );
        let key = ApiKey::new("topsecret");
        assert_eq!(format!("{key:?}"), ".[redacted]");
        assert_eq!(key.redact("topsecret".into()), "[redacted]");
    }
}
