//! How ureq comes to a connection: straight, or through a proxy's tunnel; then TLS; then marked as ours. ureq
//! runs the chain a second time, within the first, for the connection to a proxy.

use std::sync::Arc;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ureq::unversioned::transport::{
    ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, RustlsConnector, Transport,
};

use super::connection::{Connection, Distrust};
use super::current::{Current, Phase};
use super::exchange::Kind;
use super::fault::Fault;
use super::race;
use super::resolver::Resolver;
use super::socket::Socket;
use super::wire::Wire;
use crate::api::url::server;

/// What all connections have in common, whatever way they go.
#[derive(Debug, Clone, Default)]
pub struct Common {
    pub resolver: Arc<Resolver>,
    /// Shared, so that its sessions are resumed.
    pub tls: Arc<RustlsConnector>,
    pub distrust: Arc<Distrust>,
}

impl Common {
    pub fn agent(&self, config: Config) -> Agent {
        let dial = Dial(self.clone());
        #[cfg(feature = "proxies")]
        let dial = ureq::unversioned::transport::ConnectProxyConnector::default().chain(dial);
        let chain = Connector::<()>::chain(dial, Tls(self.clone())).chain(Finish(self.clone()));
        Agent::with_parts(config, chain, LookUpLater)
    }
}

/// ureq looks a name up before it looks into its pool. [`Dial`] does it when there is need.
#[derive(Debug)]
struct LookUpLater;

impl UreqResolver for LookUpLater {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// Makes the socket, unless a tunnel is there.
#[derive(Debug)]
struct Dial(Common);

impl<In: Transport> Connector<In> for Dial {
    type Out = Either<In, Wire>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        tunnel: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let current = Current::get()?;
        let way = match tunnel {
            Some(mut tunnel) => {
                // What follows would be taken for the server's.
                if !tunnel.buffers().input().is_empty() {
                    let reason = "it sent more than its answer to CONNECT";
                    return Err(Fault::new(Kind::Network, reason).into());
                }
                current.at_proxy.set(false);
                Either::A(tunnel)
            }
            None => {
                current.begin_connecting();
                let socket = self.dial(details.uri, &current)?;
                let config = details.config;
                let buffers =
                    LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
                Either::B(Wire::new(socket, buffers))
            }
        };
        if details.needs_tls() {
            current.phase.set(Phase::Handshake);
        }
        Ok(Some(way))
    }
}

impl Dial {
    fn dial(&self, uri: &Uri, current: &Current) -> Result<Socket, Fault> {
        let resolver = &self.0.resolver;
        let (host, port) = server(uri).map_err(|error| Fault::new(Kind::InvalidRequest, error))?;
        current.phase.set(Phase::LookUp);
        let addresses = resolver.resolve(host, port, current)?;
        current.phase.set(Phase::Connect);
        let winner = race::connect(&addresses, current).inspect_err(|fault| {
            if fault.kind != Kind::Cancelled {
                resolver.doubt(host, port);
            }
        })?;
        if !winner.is_flawless {
            resolver.doubt(host, port);
        }
        resolver.prefer(host, port, winner.address);
        Socket::new(winner.stream, current)
    }
}

/// ureq's own, shared by all agents.
#[derive(Debug)]
struct Tls(Common);

impl<In: Transport> Connector<In> for Tls {
    type Out = <RustlsConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        way: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        self.0.tls.connect(details, way)
    }
}

/// Makes a connection to the server one of ours; that to a proxy carries no request.
#[derive(Debug)]
struct Finish(Common);

impl<In: Transport> Connector<In> for Finish {
    type Out = Either<In, Connection<In>>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        way: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let current = Current::get()?;
        Ok(way.map(|way| {
            if current.at_proxy.get() {
                current.phase.set(Phase::Tunnel);
                Either::A(way)
            } else {
                let distrust = Arc::clone(&self.0.distrust);
                Either::B(Connection::new(way, details.uri, distrust, &current))
            }
        }))
    }
}
