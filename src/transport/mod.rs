//! One HTTP exchange: a request goes out, its reply comes back, or the reason why not. The only room
//! that knows ureq, which speaks HTTP/1.1 and keeps the connections; the connections themselves are
//! made here.

mod buffers;
mod connection;
mod current;
mod proxy;
mod resolver;
mod socket;
mod tls;

use std::cell::Cell;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ureq::http::header::{
    CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    TRANSFER_ENCODING, USER_AGENT,
};
use ureq::http::{Request, Response, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::{Agent, Body};

pub use ureq::http::Method;

use crate::control::Control;
use crate::sync::lock;
use crate::sys;
pub use connection::port;
use connection::{Dial, Dialer, server};
use current::{Current, Fault, Phase};

const MOST_HEAD_BYTES: usize = 64 * 1024;
/// They say where a message ends; a second opinion on that is how requests are smuggled.
const FRAMING: [HeaderName; 3] = [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT];
/// The value that nearly every request has needs no memory of its own.
const JSON: &str = "application/json";
const KEPT_IDLE: Duration = Duration::from_secs(60);

#[derive(Clone, Default)]
pub struct Settings {
    /// `http://user:password@host:port` or `https://…`; none: the usual environment variables; empty:
    /// no proxy, whatever they say.
    pub proxy: Option<String>,
    /// Trusted certificates, PEM, instead of Mozilla's.
    pub ca_file: Option<PathBuf>,
    /// Pools of connections, at least one: see [`share_connections_with`].
    pub pools: usize,
    /// How many unused connections each keeps.
    pub max_idle: usize,
    /// Sent where a request has no `User-Agent` of its own.
    pub user_agent: String,
}

/// Safe from any thread; its threads, if any, are look-ups of names that nobody waits for.
pub struct Transport {
    dial: Arc<Dial>,
    settings: Settings,
    user_agent: HeaderValue,
    /// Each holds idle connections: another agent, and they are gone.
    agents: Vec<Mutex<Agent>>,
}

thread_local! {
    static POOL: Cell<usize> = const { Cell::new(0) };
}

/// From here on, this thread uses the connections of those that named the same number. All others use those
/// of 0.
pub fn share_connections_with(pool: usize) {
    POOL.set(pool);
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
    /// Has a spare byte of capacity, so that a NUL can follow without a copy.
    pub body: Vec<u8>,
}

#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    /// False: provably, no byte of the request was written to the wire.
    pub sent: bool,
    /// The status, if its line had arrived before the reply failed.
    pub answered: Option<u16>,
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
        let user_agent = HeaderValue::from_str(&settings.user_agent)
            .map_err(|_| "`user_agent`: must be visible ASCII, with no line breaks".to_owned())?;
        let dial = Arc::new(Dial {
            resolver: resolver::Resolver::default(),
            routes: proxy::Routes::new(settings.proxy.as_deref(), |name| std::env::var(name).ok())?,
            tls: tls::Tls::new(settings.ca_file.as_deref())?,
        });
        Ok(Self {
            agents: agents(&dial, settings),
            dial,
            settings: settings.clone(),
            user_agent,
        })
    }

    /// Sends the request and reads the reply, whatever its status; redirects are replies too.
    pub fn exchange(&self, exchange: &Exchange<'_>, control: &Control) -> Result<Reply, Failure> {
        let current = Current::begin(exchange, control);
        let uri = Uri::try_from(exchange.url)
            .map_err(|error| failure(ureq::Error::Http(error.into()), "the URL", &current))?;
        self.send(exchange, uri.clone())
            .and_then(|response| receive(response, exchange.max_response_bytes, &current))
            .map_err(|error| failure(error, &server(&uri), &current))
    }

    /// The same for a forked child, of which only what never changes is read.
    pub fn for_child(&self) -> Self {
        let dial = Arc::new(self.dial.for_child());
        Self {
            agents: agents(&dial, &self.settings),
            dial,
            settings: self.settings.clone(),
            user_agent: self.user_agent.clone(),
        }
    }

    fn send(&self, exchange: &Exchange<'_>, uri: Uri) -> Result<Response<Body>, ureq::Error> {
        let mut headers = HeaderMap::with_capacity(exchange.headers.len() + 4);
        for (name, value) in exchange.headers {
            headers.append(header_name(name)?, header_value(value)?);
        }
        if let Some(name) = FRAMING.iter().find(|name| headers.contains_key(*name)) {
            let reason = format!("the header `{name}` is the library's own");
            return Err(Fault::new(Kind::InvalidRequest, reason).into());
        }
        if !self.user_agent.is_empty() && !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, self.user_agent.clone());
        }
        // Without a body, ureq would send these chunked.
        let needs_body = [Method::POST, Method::PUT, Method::PATCH].contains(&exchange.method);
        let body = exchange.body.or(needs_body.then_some(&[][..]));
        // ureq would add these two as well, at twice the price.
        if let Some(body) = body {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        if let Some(authority) = uri.authority()
            && !headers.contains_key(HOST)
        {
            let default_port = uri.port_u16() == Some(connection::default_port(&uri));
            let host = if default_port {
                authority.host()
            } else {
                let at = authority.as_str().rfind('@').map_or(0, |at| at + 1);
                &authority.as_str()[at..]
            };
            headers.insert(HOST, header_value(host)?);
        }
        let agent = lock(&self.agents[POOL.get() % self.agents.len()]).clone();
        match body {
            Some(body) => agent.run(request(exchange, uri, headers, body)),
            None => agent.run(request(exchange, uri, headers, ())),
        }
    }

    /// Closes the connections that no exchange uses.
    pub fn close_idle(&self) {
        for pool in &self.agents {
            let fresh = agent(&self.dial, self.settings.max_idle);
            let old = std::mem::replace(&mut *lock(pool), fresh);
            drop(old);
        }
    }

    /// In a forked child: forgets all, since all is the parent's. To drop an agent walks its pool,
    /// which another thread of the parent may have been changing when it forked. So the copies of the
    /// sockets stay open in the child, unused; the parent ends its connections with a shutdown, which
    /// no copy delays (a plain drop in a child would do without it, too).
    pub fn abandon(self) {
        std::mem::forget(self);
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

fn agents(dial: &Arc<Dial>, settings: &Settings) -> Vec<Mutex<Agent>> {
    let pools = 0..settings.pools.max(1);
    pools
        .map(|_| Mutex::new(agent(dial, settings.max_idle)))
        .collect()
}

fn agent(dial: &Arc<Dial>, max_idle: usize) -> Agent {
    let config = Agent::config_builder()
        // Proxies are the dialer's business, and none of the headers that ureq would add are ours.
        .proxy(None)
        .user_agent("")
        .accept("")
        .accept_encoding("")
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(MOST_HEAD_BYTES)
        .max_idle_connections(max_idle)
        .max_idle_connections_per_host(max_idle)
        .max_idle_age(KEPT_IDLE)
        .build();
    Agent::with_parts(config, Dialer(Arc::clone(dial)), Later)
}

/// ureq resolves before it looks into its pool. The dialer does it when there is need.
#[derive(Debug)]
struct Later;

impl UreqResolver for Later {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

fn request<B>(exchange: &Exchange<'_>, uri: Uri, headers: HeaderMap, body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = exchange.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

/// The names that nearly every request has need no memory of their own.
fn header_name(name: &str) -> Result<HeaderName, ureq::Error> {
    const OFTEN: [&str; 3] = ["x-api-key", "idempotency-key", "tenant-id"];
    match OFTEN.iter().find(|often| often.eq_ignore_ascii_case(name)) {
        Some(often) => Ok(HeaderName::from_static(often)),
        None => HeaderName::try_from(name).map_err(|error| ureq::Error::Http(error.into())),
    }
}

fn header_value(value: &str) -> Result<HeaderValue, ureq::Error> {
    if value == JSON {
        return Ok(HeaderValue::from_static(JSON));
    }
    HeaderValue::try_from(value).map_err(|error| ureq::Error::Http(error.into()))
}

fn receive(
    response: Response<Body>,
    max_bytes: u64,
    current: &Current,
) -> Result<Reply, ureq::Error> {
    let status = response.status().as_u16();
    current.status.set(Some(status));
    if status < 200 {
        let reason = format!("the reply is only an interim one, {status}");
        return Err(Fault::new(Kind::InvalidResponse, reason).into());
    }
    let text = |name: &HeaderName| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let retry_after = text(&RETRY_AFTER);
    let rate_limit_reset = text(&HeaderName::from_static("x-ratelimit-reset"));

    let body = response.into_body();
    let length = body.content_length().unwrap_or(0).min(max_bytes);
    if body.content_length().is_some_and(|it| it > max_bytes) {
        return Err(too_large(max_bytes));
    }
    // A server may announce what it never sends: beyond a megabyte, memory follows what came.
    let mut bytes = Vec::with_capacity(length.min(1 << 20) as usize + 1);
    body.into_reader()
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_large(max_bytes));
    }
    bytes.reserve_exact(1);
    Ok(Reply {
        status,
        retry_after,
        rate_limit_reset,
        body: bytes,
    })
}

fn too_large(max_bytes: u64) -> ureq::Error {
    Fault::new(
        Kind::InvalidResponse,
        format!("the reply is longer than {max_bytes} bytes; `max_response_bytes` sets the limit"),
    )
    .into()
}

fn failure(error: ureq::Error, server: &str, current: &Current) -> Failure {
    let answered = current.status.get();
    let Fault { mut kind, reason } = fault(error, current);
    if matches!(kind, Kind::Network | Kind::Tls) && answered.is_some() {
        kind = Kind::InvalidResponse;
    }
    Failure {
        kind,
        sent: current.sent.get(),
        answered,
        stale: kind == Kind::Network && current.reused.get() && !current.answering.get(),
        message: format!("{server}: {reason}"),
    }
}

fn fault(error: ureq::Error, current: &Current) -> Fault {
    let error = match error {
        ureq::Error::Other(error) => match error.downcast::<Fault>() {
            Ok(fault) => return *fault,
            Err(error) => ureq::Error::Other(error),
        },
        error => error,
    };
    match error {
        // ureq's sentence for a reply that ends before its end.
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            let reason = if current.status.get().is_some() {
                "the connection was closed before the reply was complete"
            } else {
                "the connection was closed before a reply came"
            };
            Fault::new(Kind::Network, reason)
        }
        ureq::Error::Io(error) => current.socket_failed(&error),
        ureq::Error::LargeResponseHeader(..) => Fault::new(
            Kind::InvalidResponse,
            format!("the reply's head is longer than {MOST_HEAD_BYTES} bytes"),
        ),
        error if current.phase.get() < Phase::Receive => {
            Fault::new(Kind::InvalidRequest, format!("cannot be sent: {error}"))
        }
        error => Fault::new(Kind::Network, format!("the reply is not HTTP: {error}")),
    }
}
