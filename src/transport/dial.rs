//! How a connection is made: look-up, connect, proxy, TLS.

use super::current::{Current, Fault, Phase};
use super::origin::Origin;
use super::proxy::{Proxy, Routes};
use super::resolver::Resolver;
use super::socket::Socket;
use super::tls::{Tls, Wire};

/// Makes the connections. Only they need the look-up of a name: a request on a kept one does not.
#[derive(Debug)]
pub struct Dial {
    pub resolver: Resolver,
    pub routes: Routes,
    pub tls: Tls,
}

impl Dial {
    pub fn for_child(&self) -> Self {
        Self {
            resolver: Resolver::default(),
            routes: self.routes.clone(),
            tls: self.tls.for_child(),
        }
    }

    pub fn connect(&self, origin: &Origin, current: &Current) -> Result<Wire, Fault> {
        current.begin_connecting();
        let Origin { host, port, .. } = origin;
        let wire = match self.routes.proxy_for(origin.tls, host, *port)? {
            None => self.reach(host, *port, current)?,
            Some(proxy) => self
                .tunnel(proxy, host, *port, current)
                .map_err(|fault| fault.of(&format!("the proxy {}", proxy.name())))?,
        };
        if origin.tls {
            return self.tls.handshake(host, wire, current);
        }
        Ok(wire)
    }

    fn tunnel(
        &self,
        proxy: &Proxy,
        host: &str,
        port: u16,
        current: &Current,
    ) -> Result<Wire, Fault> {
        let mut wire = self.reach(&proxy.host, proxy.port, current)?;
        if proxy.tls {
            wire = self.tls.handshake(&proxy.host, wire, current)?;
        }
        proxy.connect(&mut wire, host, port, current)?;
        Ok(wire)
    }

    fn reach(&self, host: &str, port: u16, current: &Current) -> Result<Wire, Fault> {
        current.phase.set(Phase::LookUp);
        let addresses = self.resolver.resolve(host, port, current)?;
        current.phase.set(Phase::Connect);
        let (socket, address) = Socket::connect(&addresses, current)?;
        self.resolver.prefer(host, port, address);
        Ok(Wire::Plain(socket))
    }
}
