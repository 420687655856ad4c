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
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use ureq::http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    TRANSFER_ENCODING, USER_AGENT,
};
use ureq::http::uri::{Authority, Parts, PathAndQuery, Scheme};
use ureq::http::{Request, Response, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::{Agent, Body};

pub use ureq::http::Method;

use crate::control::Control;
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
    agents: Vec<ArcSwap<Agent>>,
    origin: ArcSwapOption<Origin>,
}

/// Where the last request went: nearly always where the next one goes.
struct Origin {
    /// `https://api.trophy.so`
    text: String,
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
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
            origin: ArcSwapOption::empty(),
            dial,
            settings: settings.clone(),
            user_agent,
        })
    }

    /// Sends the request and reads the reply, whatever its status; redirects are replies too.
    pub fn exchange(&self, exchange: &Exchange<'_>, control: &Control) -> Result<Reply, Failure> {
        let current = Current::begin(exchange, control);
        self.send(exchange)
            .and_then(|response| receive(response, exchange.max_response_bytes, &current))
            .map_err(|error| failure(error, exchange.url, &current))
    }

    /// The same for a forked child, of which only what never changes is read.
    pub fn for_child(&self) -> Self {
        let dial = Arc::new(self.dial.for_child());
        Self {
            agents: agents(&dial, &self.settings),
            origin: ArcSwapOption::empty(),
            dial,
            settings: self.settings.clone(),
            user_agent: self.user_agent.clone(),
        }
    }

    fn send(&self, exchange: &Exchange<'_>) -> Result<Response<Body>, ureq::Error> {
        let (uri, host) = self.target(exchange.url)?;
        let mut headers = HeaderMap::with_capacity(exchange.headers.len() + 3);
        let (mut has_host, mut has_user_agent) = (false, self.user_agent.is_empty());
        for (name, value) in exchange.headers {
            let name = header_name(name)?;
            if FRAMING.contains(&name) {
                let reason = format!("the header `{name}` is the library's own");
                return Err(Fault::new(Kind::InvalidRequest, reason).into());
            }
            has_host |= name == HOST;
            has_user_agent |= name == USER_AGENT;
            headers.append(name, header_value(value)?);
        }
        if !has_user_agent {
            headers.append(USER_AGENT, self.user_agent.clone());
        }
        // Without a body, ureq would send these chunked.
        let needs_body = [Method::POST, Method::PUT, Method::PATCH].contains(&exchange.method);
        let body = exchange.body.or(needs_body.then_some(&[][..]));
        // ureq would add these two as well, at twice the price.
        if let Some(body) = body {
            headers.append(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        if !has_host {
            headers.append(HOST, host);
        }
        let agent = self.agents[POOL.get() % self.agents.len()].load();
        match body {
            Some(body) => agent.run(request(exchange, uri, headers, body)),
            None => agent.run(request(exchange, uri, headers, ())),
        }
    }

    /// The URL, and what `Host` says of it.
    fn target(&self, url: &str) -> Result<(Uri, HeaderValue), ureq::Error> {
        let known = self.origin.load();
        if let Some(origin) = &*known
            && let Some(path) = url.strip_prefix(&*origin.text)
            && path.starts_with('/')
        {
            let mut parts = Parts::default();
            parts.scheme = Some(origin.scheme.clone());
            parts.authority = Some(origin.authority.clone());
            parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(invalid)?);
            return Ok((
                Uri::from_parts(parts).map_err(invalid)?,
                origin.host.clone(),
            ));
        }
        let uri = Uri::try_from(url).map_err(invalid)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(Fault::new(Kind::InvalidRequest, "the URL is not absolute").into());
        };
        let default_port = uri.port_u16() == Some(connection::default_port(&uri));
        let host = if default_port {
            authority.host()
        } else {
            let at = authority.as_str().rfind('@').map_or(0, |at| at + 1);
            &authority.as_str()[at..]
        };
        let host = header_value(host)?;
        self.origin.store(Some(Arc::new(Origin {
            text: format!("{scheme}://{authority}"),
            scheme: scheme.clone(),
            authority: authority.clone(),
            host: host.clone(),
        })));
        Ok((uri, host))
    }

    /// Closes the connections that no exchange uses.
    pub fn close_idle(&self) {
        for pool in &self.agents {
            pool.store(agent(&self.dial, self.settings.max_idle));
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

fn agents(dial: &Arc<Dial>, settings: &Settings) -> Vec<ArcSwap<Agent>> {
    let pools = 0..settings.pools.max(1);
    pools
        .map(|_| ArcSwap::new(agent(dial, settings.max_idle)))
        .collect()
}

fn agent(dial: &Arc<Dial>, max_idle: usize) -> Arc<Agent> {
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
    Arc::new(Agent::with_parts(config, Dialer(Arc::clone(dial)), Later))
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
    static OFTEN: [HeaderName; 4] = [
        HeaderName::from_static("x-api-key"),
        HeaderName::from_static("idempotency-key"),
        CONTENT_TYPE,
        HeaderName::from_static("tenant-id"),
    ];
    let often = OFTEN
        .iter()
        .find(|it| name.eq_ignore_ascii_case(it.as_str()));
    often.map_or_else(|| name.parse().map_err(invalid), |name| Ok(name.clone()))
}

fn header_value(value: &str) -> Result<HeaderValue, ureq::Error> {
    match value {
        JSON => Ok(HeaderValue::from_static(JSON)),
        value => HeaderValue::from_str(value).map_err(invalid),
    }
}

fn invalid(error: impl Into<ureq::http::Error>) -> ureq::Error {
    ureq::Error::Http(error.into())
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
    const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
    let (retry_after, rate_limit_reset) = match status {
        200..300 => (None, None),
        _ => (text(&RETRY_AFTER), text(&RATE_LIMIT_RESET)),
    };

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
        sent_at: current.sent_at.get(),
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

fn failure(error: ureq::Error, url: &str, current: &Current) -> Failure {
    let server = Uri::try_from(url).map_or_else(|_| "the URL".to_owned(), |uri| server(&uri));
    let answered = current.status.get();
    let Fault { mut kind, reason } = fault(error, current);
    if matches!(kind, Kind::Network | Kind::Tls) && answered.is_some() {
        kind = Kind::InvalidResponse;
    }
    Failure {
        kind,
        sent: current.sent.get(),
        sent_at: current.sent_at.get(),
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
