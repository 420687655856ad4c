//! The attempt: a request sent once, with its key and its headers, and what its answer means.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

use super::api_key::ApiKey;
use super::callbacks::Callbacks;
use super::lanes::Lanes;
use super::stats::Stats;
use crate::api::answer::{self, Head};
use crate::api::request::Request;
use crate::api::retry::{Asked, Failure};
use crate::error::{Error, Status};
use crate::host::cancel::CancelToken;
use crate::host::locks::Notify;
use crate::host::log;
use crate::host::random::Random;
use crate::options::ClientOptions;
use crate::transport::{self, Exchange, Kind, Transport};

/// What a process shares among all requests of a client.
pub struct Delivery {
    pub options: Arc<ClientOptions>,
    pub api_key: Arc<ArcSwap<ApiKey>>,
    pub transport: Transport,
    pub random: Random,
    pub stats: Stats,
    pub lanes: Lanes,
    pub callbacks: Callbacks,
    /// A call, a delivery or a callback has ended.
    pub progress: Arc<Notify>,
}

/// What came of a request.
pub struct Sent {
    pub result: Result<String, Refusal>,
    /// When its first byte went out, if one did.
    pub at: Option<Instant>,
}

impl Sent {
    /// No byte went out.
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
    /// It is an answer of the service itself: not of a proxy or a portal on the way.
    pub is_own_word: bool,
    /// The request went out, at least in part, and nobody answered.
    pub sent: bool,
}

impl Refusal {
    /// Trying again would change nothing.
    pub fn last(error: Error) -> Self {
        Self {
            error,
            failure: Failure::Final,
            stale: false,
            is_own_word: false,
            sent: false,
        }
    }
}

impl Delivery {
    pub fn new(
        options: Arc<ClientOptions>,
        api_key: Arc<ArcSwap<ApiKey>>,
        transport: Transport,
    ) -> Self {
        let progress = Arc::<Notify>::default();
        Self {
            callbacks: Callbacks::new(options.callbacks, Arc::clone(&progress)),
            options,
            api_key,
            transport,
            random: Random::default(),
            stats: Stats::default(),
            lanes: Lanes::default(),
            progress,
        }
    }

    /// For a forked child: everything anew but what was asked for.
    pub fn for_child(&self) -> Self {
        Self::new(
            Arc::clone(&self.options),
            Arc::clone(&self.api_key),
            self.transport.for_child(),
        )
    }

    /// Sends a request once and reads the answer. `deadline`: the whole call's, if it has one. `probe`: look whether a
    /// kept-alive connection is still open before it is used, at the price of a system call.
    pub fn send(
        &self,
        request: &Request,
        tenant: Option<&str>,
        deadline: Option<Instant>,
        cancel: &CancelToken,
        probe: bool,
    ) -> Sent {
        let api_key = self.api_key_of(request);
        let begun = Instant::now();
        self.stats.requests.add(1);
        let result = self.exchange(request, &api_key, tenant, (begun, deadline), cancel, probe);
        self.sent(request, &api_key, begun, result)
    }

    fn api_key_of(&self, request: &Request) -> Arc<ApiKey> {
        match &request.options.api_key {
            Some(key) => Arc::new(ApiKey::new(key)),
            None => self.api_key.load_full(),
        }
    }

    /// The request as it goes out, in an attempt that begins then, of a call that ends then.
    fn exchange(
        &self,
        request: &Request,
        api_key: &ApiKey,
        tenant: Option<&str>,
        (begun, deadline): (Instant, Option<Instant>),
        cancel: &CancelToken,
        probe: bool,
    ) -> Result<transport::Reply, transport::Failure> {
        let operation = request.operation;
        let options = &request.options;
        let (base_url, url_option) = match &options.base_url {
            Some(url) => (url.as_str(), "base_url"),
            None => self.options.base_url(operation.api),
        };
        let url = format!("{base_url}{}", request.path);
        let mut headers = vec![("X-API-KEY", api_key.expose())];
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
        let attempt_ends = begun + self.options.attempt_timeout;
        let (deadline, deadline_option) = match deadline {
            Some(call_ends) if call_ends < attempt_ends => (call_ends, "timeout_in_seconds"),
            _ => (attempt_ends, "attempt_timeout_in_seconds"),
        };
        let exchange = Exchange {
            method: operation.method,
            url: &url,
            url_option,
            headers: &headers,
            body: request.body.as_deref().map(str::as_bytes),
            deadline,
            deadline_option,
            connect_timeout: self.options.connect_timeout,
            max_response_bytes: self.options.max_response_bytes,
            probe: probe || !request.repeatable,
        };
        self.transport.exchange(&exchange, cancel)
    }

    /// What an exchange means for the request that it carried.
    fn sent(
        &self,
        request: &Request,
        api_key: &ApiKey,
        begun: Instant,
        result: Result<transport::Reply, transport::Failure>,
    ) -> Sent {
        let at = match &result {
            Ok(reply) => reply.sent_at,
            Err(failure) => failure.sent_at,
        };
        let result = match result {
            Ok(reply) => answered(request, reply, api_key),
            Err(failure) => Err(unanswered(request.operation.name, failure)),
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
        status: reply.head.status,
        content_type: reply.head.content_type.as_deref(),
        asked: asked(&reply.head),
    };
    let read = answer::read(request.operation.name, head, reply.body, unix_now());
    read.map_err(|refusal| {
        let mut error = refusal.error;
        error.message = api_key.redact(error.message);
        error.details.body = error.details.body.map(|body| api_key.redact(body));
        Refusal {
            failure: refusal.failure,
            is_own_word: refusal.is_own_word,
            ..Refusal::last(error)
        }
    })
}

fn asked(head: &transport::Head) -> Asked<'_> {
    Asked {
        retry_after: head.retry_after.as_deref(),
        rate_limit_reset: head.rate_limit_reset.as_deref(),
        date: head.date.as_deref(),
    }
}

fn unix_now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn unanswered(name: &str, failure: transport::Failure) -> Refusal {
    let message = format!("{name}: {}", failure.message);
    if let (Kind::InvalidResponse | Kind::Timeout, Some(status)) = (failure.kind, failure.answered)
    {
        return broken_off(name, &failure, status);
    }
    let sent = failure.sent;
    let last = |error| Refusal {
        sent,
        ..Refusal::last(error)
    };
    let error = match failure.kind {
        Kind::Cancelled => return last(Error::cancelled()),
        Kind::Tls => return last(Error::new(Status::Tls, message)),
        Kind::Timeout => Error::new(Status::Timeout, message),
        // Without a status an answer is none.
        Kind::Network | Kind::InvalidResponse => Error::new(Status::Network, message),
        Kind::InvalidRequest => return last(Error::invalid(message)),
    };
    Refusal {
        error,
        failure: Failure::NoAnswer { sent },
        stale: failure.stale,
        is_own_word: false,
        sent,
    }
}

/// An answer that broke off, or did not come to its end in time: a yes or a no all the same.
fn broken_off(name: &str, failure: &transport::Failure, status: u16) -> Refusal {
    if !(200..300).contains(&status) {
        let retry_after = answer::asked_wait(status, asked(&failure.head), unix_now());
        let message = format!("{name}: {}", failure.message);
        let mut error = Error::new(Status::of_http(status), message);
        error.details.http_status = Some(status);
        error.details.retry_after = retry_after;
        let failure = Failure::Answer {
            status,
            retry_after,
        };
        return Refusal {
            failure,
            ..Refusal::last(error)
        };
    }
    let mut error = answer::unread(name, status, &failure.message);
    if failure.kind == Kind::Timeout {
        error.status = Status::Timeout;
    }
    Refusal::last(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: Kind, answered: Option<u16>) -> transport::Failure {
        transport::Failure {
            kind,
            sent: true,
            sent_at: None,
            answered,
            head: transport::Head {
                retry_after: Some("7".to_owned()),
                ..transport::Head::default()
            },
            stale: false,
            message: "h:1: timed out while reading the reply".to_owned(),
        }
    }

    fn broken_off_by(kind: Kind, status: u16) -> Refusal {
        broken_off("metrics_event", &failure(kind, Some(status)), status)
    }

    #[test]
    fn that_a_request_went_out_is_known_whatever_ended_it() {
        for kind in [
            Kind::Network,
            Kind::Timeout,
            Kind::Tls,
            Kind::InvalidResponse,
        ] {
            let refusal = unanswered("metrics_event", failure(kind, None));
            assert!(refusal.sent, "{kind:?}");
        }
    }

    #[test]
    fn a_success_that_does_not_come_to_its_end_is_not_sent_again_and_may_have_counted() {
        for (kind, status) in [
            (Kind::Timeout, Status::Timeout),
            (Kind::InvalidResponse, Status::InvalidResponse),
        ] {
            let refusal = broken_off_by(kind, 201);
            assert_eq!(refusal.error.status, status);
            assert_eq!(refusal.error.details.http_status, Some(201));
            assert_eq!(refusal.failure, Failure::Final);
            let message = refusal.error.message;
            assert!(message.contains("timed out while reading"), "{message}");
            assert!(message.contains("may have been counted"), "{message}");
        }
    }

    #[test]
    fn a_refusal_that_does_not_come_to_its_end_is_one_all_the_same() {
        for kind in [Kind::Timeout, Kind::InvalidResponse] {
            let refusal = broken_off_by(kind, 429);
            assert_eq!(refusal.error.status, Status::RateLimited, "{kind:?}");
            let retry_after = Some(Duration::from_secs(7));
            let failure = Failure::Answer {
                status: 429,
                retry_after,
            };
            assert_eq!(refusal.failure, failure);
            assert!(!refusal.is_own_word);
        }
    }
}
