//! One HTTP exchange: a request goes out, its reply comes back, or the reason why not. The only room
//! that knows sockets, TLS and HTTP/1.1. Of HTTP, it has what one exchange after the other on a kept
//! connection needs; what it does not have, redirects and compression, no request of ours asks for.

mod current;
mod dial;
mod flight;
mod incoming;
mod input;
mod origin;
mod outgoing;
mod pool;
mod proxy;
mod resolver;
mod socket;
mod tls;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

pub use crate::api::operations::Method;
use crate::host::cancel::CancelToken;
use crate::host::sys;
use current::{Current, Fault};
use dial::Dial;
pub use flight::Flight;
use origin::Origin;
pub use origin::port;
pub use outgoing::is_header_name;
use pool::{Connection, Pool};

#[derive(Clone, Default)]
pub struct Settings {
    /// `http://user:password@host:port` or `https://…`; none: the usual environment variables; empty:
    /// no proxy, whatever they say.
    pub proxy: Option<String>,
    /// Trusted certificates, PEM, instead of Mozilla's.
    pub ca_file: Option<PathBuf>,
    /// How many unused connections are kept.
    pub max_idle: usize,
    /// Sent where a request has no `User-Agent` of its own.
    pub user_agent: String,
}

/// Safe from any thread; its threads, if any, are look-ups of names that nobody waits for.
pub struct Transport {
    dial: Dial,
    settings: Settings,
    pool: Pool,
    /// Where the last request went: nearly always where the next one goes.
    origin: ArcSwapOption<Origin>,
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
    pub retry_after: Option<String>,
    pub rate_limit_reset: Option<String>,
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
    /// As in [`Reply`], if the head had.
    pub retry_after: Option<String>,
    pub rate_limit_reset: Option<String>,
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
        if !outgoing::is_header_value(&settings.user_agent) {
            return Err("`user_agent`: holds a line break or another control character".to_owned());
        }
        let dial = Dial {
            resolver: resolver::Resolver::default(),
            routes: proxy::Routes::new(settings.proxy.as_deref(), |name| std::env::var(name).ok())?,
            tls: tls::Tls::new(settings.ca_file.as_deref())?,
        };
        Ok(Self::over(dial, settings))
    }

    fn over(dial: Dial, settings: &Settings) -> Self {
        Self {
            dial,
            pool: Pool::new(settings.max_idle),
            origin: ArcSwapOption::empty(),
            settings: settings.clone(),
        }
    }

    /// Sends the request and reads the reply, whatever its status; redirects are replies too.
    pub fn exchange(
        &self,
        exchange: &Exchange<'_>,
        control: &CancelToken,
    ) -> Result<Reply, Failure> {
        let current = Current::new(exchange, control, true);
        let (origin, request) = self.request(exchange)?;
        let connection = self
            .connection(&origin, exchange.probe, &current)
            .map_err(|fault| {
                control.detach();
                Failure::unsent(fault, &origin.name())
            })?;
        let mut flight = Flight::new(connection, request, exchange.max_response_bytes, current);
        loop {
            // It waits, so it comes back with a result.
            if let Some(result) = self.advance(&mut flight) {
                return result;
            }
        }
    }

    /// Begins an exchange that never waits, if there is a connection for it: [`Self::advance`] it whenever
    /// its socket is ready, and at its deadline.
    pub fn take_off(&self, exchange: &Exchange<'_>, control: &CancelToken) -> Option<Flight> {
        let current = Current::new(exchange, control, false);
        // What is wrong with the request or the connection, an exchange that waits finds as well.
        let (origin, request) = self.request(exchange).ok()?;
        let connection = self.pool.take(&origin, exchange.probe, &current).ok()??;
        let max_bytes = exchange.max_response_bytes;
        Some(Flight::new(connection, request, max_bytes, current))
    }

    /// Goes on with an exchange as far as it can without a wait, where it must not wait. None: there is
    /// more to come. Not to be called again after a result.
    pub fn advance(&self, flight: &mut Flight) -> Option<Result<Reply, Failure>> {
        let result = match flight.advance() {
            Ok(false) => return None,
            Ok(true) => Ok(()),
            Err(fault) => Err(fault),
        };
        Some(flight.land(result, &self.pool))
    }

    /// The same for a forked child, of which only what never changes is read.
    pub fn for_child(&self) -> Self {
        Self::over(self.dial.for_child(), &self.settings)
    }

    /// Where the request goes, and its bytes.
    fn request(&self, exchange: &Exchange<'_>) -> Result<(Arc<Origin>, Vec<u8>), Failure> {
        let (origin, target) = self
            .origin(exchange.url)
            .map_err(|fault| Failure::unsent(fault, "the URL"))?;
        match outgoing::request(exchange, &origin, target, &self.settings.user_agent) {
            Ok(request) => Ok((origin, request)),
            Err(fault) => Err(Failure::unsent(fault, &origin.name())),
        }
    }

    fn origin<'a>(&self, url: &'a str) -> Result<(Arc<Origin>, &'a str), Fault> {
        let known = self.origin.load_full();
        if let Some(origin) = known
            && let Some(rest) = origin.rest_of(url)
        {
            return Ok((origin, rest));
        }
        let (origin, rest) = Origin::parse(url)?;
        let origin = Arc::new(origin);
        self.origin.store(Some(Arc::clone(&origin)));
        Ok((origin, rest))
    }

    /// A kept connection, or else a new one.
    fn connection(
        &self,
        origin: &Arc<Origin>,
        probe: bool,
        current: &Current,
    ) -> Result<Connection, Fault> {
        if let Some(kept) = self.pool.take(origin, probe, current)? {
            return Ok(kept);
        }
        let wire = self.dial.connect(origin, current)?;
        Ok(Connection::new(Arc::clone(origin), wire))
    }

    /// Closes the connections that no exchange uses.
    pub fn close_idle(&self) {
        self.pool.clear();
    }

    /// In a forked child: forgets all, since all is the parent's. To drop a pool looks into it, and
    /// another thread of the parent may have been changing it when it forked. So the copies of the
    /// sockets stay open in the child, unused; the parent ends its connections with a shutdown, which
    /// no copy delays (a plain drop in a child would do without it, too).
    pub fn abandon(self) {
        std::mem::forget(self);
    }
}

impl Failure {
    /// No byte of the request has gone out.
    fn unsent(fault: Fault, server: &str) -> Self {
        Self {
            kind: fault.kind,
            sent: false,
            sent_at: None,
            answered: None,
            retry_after: None,
            rate_limit_reset: None,
            stale: false,
            message: format!("{server}: {}", fault.reason),
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("dial", &self.dial)
            .field("max_idle", &self.settings.max_idle)
            .finish_non_exhaustive()
    }
}
