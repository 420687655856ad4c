//! One HTTP exchange: a request goes out, its reply comes back, or the reason why not. The only room that
//! knows ureq and rustls; it uses `api` (for [`Method`]) and `host`, and nobody else's. The one way in is
//! [`Transport::exchange`].

mod agents;
mod connection;
mod connector;
mod current;
mod fault;
mod proxy;
mod race;
mod reply;
mod request;
mod resolver;
mod socket;
mod tls;
mod url;
mod wire;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use crate::api::operations::Method;
use crate::host::cancel::CancelToken;
use crate::host::sys;
use agents::Agents;
use current::Current;
use fault::Fault;
use proxy::Routes;
use reply::Head;
pub use request::is_header_name;
use ureq::tls::TlsConfig;
use url::Target;
pub use url::port;

#[derive(Clone, Default)]
pub struct Settings {
    /// `http://user:password@host:port` or `https://…`; none: the usual environment variables; empty:
    /// no proxy, whatever they say.
    pub proxy: Option<String>,
    /// Trusted certificates, PEM, instead of `tls_roots`.
    pub ca_file: Option<PathBuf>,
    pub tls_roots: TlsRoots,
    /// How many unused connections are kept.
    pub max_idle: usize,
    /// Sent where a request has no `User-Agent` of its own.
    pub user_agent: String,
}

/// Whom TLS trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsRoots {
    /// Mozilla's certificate authorities, as of the library's making.
    #[default]
    Builtin,
    /// The machine's own; `SSL_CERT_FILE` and `SSL_CERT_DIR` are obeyed.
    System,
}

/// Safe from any thread; its threads, if any, are look-ups of names that nobody waits for.
pub struct Transport {
    settings: Settings,
    tls: TlsConfig,
    routes: Routes,
    agents: Agents,
}

pub struct Exchange<'a> {
    pub method: Method,
    pub url: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Option<&'a [u8]>,
    /// When this attempt ends, whatever it is doing then.
    pub deadline: Instant,
    /// For look-up, connect, proxy and TLS together.
    pub connect_timeout: Duration,
    pub max_response_bytes: u64,
    /// Look whether a kept connection is still open, however lately it was used.
    pub probe: bool,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Where the status is no success.
    pub retry_after: Option<String>,
    pub rate_limit_reset: Option<String>,
    pub date: Option<String>,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    /// When the request went out.
    pub sent_at: Option<Instant>,
    /// Has a spare byte of capacity, so that a NUL can follow without a copy.
    pub body: Vec<u8>,
}

#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    /// False: provably, no byte of the request was written to the wire.
    pub sent: bool,
    /// When the request went out, as far as it did.
    pub sent_at: Option<Instant>,
    /// The status, if its line had arrived before the reply failed.
    pub answered: Option<u16>,
    /// As in [`Reply`], if the head had arrived.
    pub retry_after: Option<String>,
    pub rate_limit_reset: Option<String>,
    pub date: Option<String>,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    /// The connection was a kept one, and failed before the first byte of an answer.
    pub stale: bool,
    /// For a person: what, where, what to do. Never a header or a key.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Network,
    Timeout,
    Tls,
    /// An answer came, but not a whole one, or not HTTP, or too much of it.
    InvalidResponse,
    Cancelled,
    /// The URL or a header cannot be sent; callers check both before.
    InvalidRequest,
}

impl Transport {
    /// Reads `ca_file` and the environment; no network. The error names the option at fault.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        sys::watch_forks();
        request::check_user_agent(&settings.user_agent)?;
        let tls = tls::config(settings.ca_file.as_deref(), settings.tls_roots)?;
        let environment = |name: &str| std::env::var(name).ok();
        let routes = Routes::new(settings.proxy.as_deref(), environment)?;
        Ok(Self::of(settings.clone(), tls, routes))
    }

    fn of(settings: Settings, tls: TlsConfig, routes: Routes) -> Self {
        Self {
            agents: Agents::new(tls.clone(), settings.max_idle),
            settings,
            tls,
            routes,
        }
    }

    /// Sends the request and reads the reply, whatever its status; redirects are replies too.
    pub fn exchange(
        &self,
        exchange: &Exchange<'_>,
        control: &CancelToken,
    ) -> Result<Reply, Failure> {
        let target = Target::parse(exchange.url)
            .map_err(|fault| Failure::unsent(fault, "the URL".to_owned()))?;
        let proxy = self
            .routes
            .proxy_for(target.tls, &target.host, target.port)
            .map_err(|fault| Failure::unsent(fault, target.name()))?;
        let current = Current::begin(exchange, control, proxy.map(proxy::name));
        let agent = self.agents.through(proxy);
        let mut head = Head::default();
        let result = current
            .check_cancelled()
            .and_then(|()| current.left())
            .and_then(|_| {
                let user_agent = &self.settings.user_agent;
                request::send(exchange, &target.uri, user_agent, &agent, &current)
            })
            .and_then(|response| {
                head = Head::of(&response);
                current.status.set(Some(head.status));
                reply::read_body(response, &head, exchange.max_response_bytes, &current)
            });
        match result {
            Ok(body) => Ok(Reply {
                status: head.status,
                retry_after: head.retry_after,
                rate_limit_reset: head.rate_limit_reset,
                date: head.date,
                content_type: head.content_type,
                content_encoding: head.content_encoding,
                sent_at: current.sent_at.get(),
                body,
            }),
            Err(fault) => Err(self.failure(fault, head, &target, &current)),
        }
    }

    fn failure(&self, fault: Fault, head: Head, target: &Target, current: &Current) -> Failure {
        let answered = current.status.get();
        let kind = match fault.kind {
            Kind::Network | Kind::Tls if answered.is_some() => Kind::InvalidResponse,
            kind => kind,
        };
        let died_idle = current.reused.get() && !current.answering.get();
        if died_idle && matches!(kind, Kind::Network | Kind::Timeout | Kind::Tls) {
            self.agents
                .common
                .distrust
                .add(connection::server(&target.uri));
        }
        Failure {
            kind,
            sent: current.sent.get(),
            sent_at: current.sent_at.get(),
            answered,
            retry_after: head.retry_after,
            rate_limit_reset: head.rate_limit_reset,
            date: head.date,
            content_type: head.content_type,
            content_encoding: head.content_encoding,
            stale: kind == Kind::Network && died_idle,
            message: format!("{}: {}", target.name(), current.blame(fault).reason),
        }
    }

    /// The same for a forked child, of which only what never changes is read.
    pub fn for_child(&self) -> Self {
        Self::of(self.settings.clone(), self.tls.clone(), self.routes.clone())
    }

    /// Closes the connections that no exchange uses.
    pub fn close_idle(&self) {
        self.agents.close_idle();
    }
}

impl Failure {
    /// Before a connection was sought.
    fn unsent(fault: Fault, server: String) -> Self {
        Self {
            kind: fault.kind,
            sent: false,
            sent_at: None,
            answered: None,
            retry_after: None,
            rate_limit_reset: None,
            date: None,
            content_type: None,
            content_encoding: None,
            stale: false,
            message: format!("{server}: {}", fault.reason),
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("routes", &self.routes)
            .field("max_idle", &self.settings.max_idle)
            .finish_non_exhaustive()
    }
}
