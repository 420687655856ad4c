//! One HTTP exchange: a request goes out, its reply comes back, or the reason why not. The only room that
//! knows ureq and rustls; it uses `api` (for [`Method`], and for the server of a URL and how long a line may be) and
//! `host`, and nobody else's. The one way in is [`Transport::exchange`].

mod agents;
mod connection;
mod connector;
mod current;
mod exchange;
mod explain;
mod fault;
#[cfg(fuzzing)]
pub mod fuzzing;
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

pub use crate::api::operations::Method;
use crate::host::cancel::CancelToken;
use crate::host::sys;
use agents::Agents;
use current::Current;
pub use exchange::{Exchange, Failure, Head, Kind, Reply, Settings};
use fault::Fault;
use proxy::Routes;
use ureq::tls::TlsConfig;
use url::Target;

/// Safe from any thread; its threads, if any, are look-ups of names that nobody waits for.
pub struct Transport {
    settings: Settings,
    tls: TlsConfig,
    routes: Routes,
    agents: Agents,
}

impl Transport {
    /// Reads `ca_file` and the environment; no network. The error names the option at fault.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        sys::adapt_to_process();
        request::check_user_agent(&settings.user_agent)?;
        let tls = tls::config(settings.ca_file.as_deref(), settings.has_system_roots)?;
        let routes = Routes::new(settings.proxy.as_deref(), |name| std::env::var_os(name))?;
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
        let target = Target::parse(exchange.url).map_err(|fault| unsent(fault, "the URL"))?;
        let proxy = self
            .routes
            .proxy_for(target.tls, &target.host, target.port)
            .map_err(|fault| unsent(fault, &target.name()))?;
        let current = Current::begin(exchange, control, proxy);
        let agent = self.agents.through(proxy.map(|it| &it.proxy));
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
                head,
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
            // What came was no answer of the server's: a proxy's, or interim ones without an end.
            Kind::InvalidResponse if answered.is_none() => Kind::Network,
            kind => kind,
        };
        let died_idle = current.reused.get() && !current.answering.get();
        if died_idle && matches!(kind, Kind::Network | Kind::Timeout | Kind::Tls) {
            self.agents.distrust(&target.uri);
        }
        Failure {
            kind,
            sent: current.sent.get(),
            sent_at: current.sent_at.get(),
            answered,
            head,
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

/// Before a connection was sought.
fn unsent(fault: Fault, server: &str) -> Failure {
    Failure {
        kind: fault.kind,
        sent: false,
        sent_at: None,
        answered: None,
        head: Head::default(),
        stale: false,
        message: format!("{server}: {}", fault.reason),
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
