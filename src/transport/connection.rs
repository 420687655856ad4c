//! Connections as ureq sees them: how one is made, used, and found to be still good.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::unversioned::transport::{
    Buffers as _, ConnectionDetails, Connector, NextTimeout, Transport,
};

use super::Kind;
use super::buffers::Buffers;
use super::current::{Current, Fault, Phase};
use super::proxy::{Proxy, Routes};
use super::resolver::Resolver;
use super::socket::Socket;
use super::tls::{Tls, Wire};

/// A connection used this lately is taken to be open without a look at it, which is a system call.
const FRESH: Duration = Duration::from_millis(10);

/// More than a head of the size that ureq accepts.
const MOST_INPUT: usize = 256 * 1024;

/// Makes the connections. It looks names up itself, so that a request on a kept connection does not.
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

    fn connect(&self, uri: &Uri, current: &Current) -> Result<Connection, Fault> {
        current.reused.set(false);
        let host = host(uri)?;
        let port = port(uri).map_err(|error| Fault::new(Kind::InvalidRequest, error))?;
        let tls = uri.scheme_str() == Some("https");
        let mut wire = match self.routes.proxy_for(tls, host, port)? {
            None => self.reach(host, port, current)?,
            Some(proxy) => self
                .tunnel(proxy, host, port, current)
                .map_err(|fault| fault.of(&format!("the proxy {}", proxy.name())))?,
        };
        if tls {
            wire = self.tls.handshake(host, wire, current)?;
        }
        Ok(Connection {
            wire,
            buffers: Buffers::new(current.longest_line),
            used: Instant::now(),
            tls,
            refused: None,
        })
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

fn host(uri: &Uri) -> Result<&str, Fault> {
    let host = uri.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match bare.unwrap_or(host) {
        "" => Err(Fault::new(Kind::InvalidRequest, "the URL has no host")),
        host => Ok(host),
    }
}

/// `http` takes a port that is none, such as 99999, for the lack of one; so look at the text, too.
pub fn port(uri: &Uri) -> Result<u16, &'static str> {
    let authority = uri.authority().map_or("", |it| it.as_str());
    let from_host = authority.rsplit_once('@').map_or(authority, |it| it.1);
    let after_host = from_host.strip_prefix(uri.host().unwrap_or_default());
    match (after_host, uri.port_u16()) {
        (Some("" | ":"), None) => Ok(default_port(uri)),
        (Some(text), Some(port)) if text.starts_with(':') && port > 0 => Ok(port),
        _ => Err("the URL's port must be a number from 1 to 65535"),
    }
}

pub fn default_port(uri: &Uri) -> u16 {
    if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    }
}

/// `host:port`, as messages name the server; without the user and password that a URL may have.
pub fn server(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or_else(|| default_port(uri));
    format!("{host}:{port}")
}

#[derive(Debug, Clone)]
pub struct Dialer(pub Arc<Dial>);

impl Connector<()> for Dialer {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Connection>, ureq::Error> {
        let current = Current::get()?;
        Ok(Some(self.0.connect(details.uri, &current)?))
    }
}

#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    buffers: Buffers,
    used: Instant,
    tls: bool,
    /// The server takes no more of the request. It may have answered all the same: a 413, say.
    refused: Option<Fault>,
}

impl Connection {
    fn flush(&mut self, current: &Current) -> Result<(), Fault> {
        let gathered = self.buffers.gathered();
        let written = if gathered.is_empty() || self.refused.is_some() {
            Ok(())
        } else {
            if current.sent_at.get().is_none() {
                current.sent_at.set(Some(Instant::now()));
            }
            self.wire.write_all(gathered, current)
        };
        self.buffers.clear_gathered();
        match written {
            Err(fault) if fault.kind == Kind::Network && current.sent.get() => {
                self.refused = Some(fault);
                Ok(())
            }
            written => written,
        }
    }

    fn receive(&mut self, current: &Current) -> Result<bool, Fault> {
        self.flush(current)?;
        current.phase.set(Phase::Receive);
        if self.buffers.input().len() >= MOST_INPUT {
            return Err(Fault::new(
                Kind::InvalidResponse,
                "the reply has an endless line",
            ));
        }
        let read = self.wire.read(self.buffers.input_append_buf(), current);
        let amount = match (read, &mut self.refused) {
            (Ok(0) | Err(_), refused @ Some(_)) if !current.answering.get() => {
                return refused.take().map_or(Ok(false), Err);
            }
            (read, _) => read?,
        };
        self.buffers.input_appended(amount);
        if amount > 0 {
            current.answering.set(true);
        }
        if current.status.get().is_none() {
            current.status.set(final_status(self.buffers.input()));
        }
        Ok(amount > 0)
    }

    /// Taken out of the pool: has the server closed it meanwhile?
    fn take(&mut self, current: &Current) -> bool {
        self.buffers.expect_lines(current.longest_line);
        let fresh = !current.probe && self.used.elapsed() < FRESH;
        let open =
            (fresh || self.wire.socket().is_quiet()) && self.wire.socket().attach(current).is_ok();
        current.reused.set(open);
        open
    }

    /// Put back into the pool, the reply read to its end. Once detached, nobody can shut it down; who
    /// cancelled the call before that did so.
    fn put_back(&mut self, current: &Current) -> bool {
        self.used = Instant::now();
        current.control.detach();
        self.refused.is_none() && self.wire.is_clean() && !current.control.is_cancelled()
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn ureq::unversioned::transport::Buffers {
        &mut self.buffers
    }

    /// Only gathers; the bytes go out when there is no more room or an answer is awaited.
    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let current = Current::get()?;
        current.phase.set(Phase::Send);
        if self.buffers.gather(amount) {
            self.flush(&current)?;
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        Ok(self.receive(&*Current::get()?)?)
    }

    /// ureq asks on taking a connection out of its pool and on putting it back.
    fn is_open(&mut self) -> bool {
        match Current::get() {
            Ok(current) if current.phase.get() == Phase::Start => self.take(&current),
            Ok(current) => self.put_back(&current),
            Err(_) => false,
        }
    }

    fn is_tls(&self) -> bool {
        self.tls
    }
}

/// The code of a complete status line; none for an interim one (1xx).
pub fn final_status(input: &[u8]) -> Option<u16> {
    let line = &input[..input.iter().position(|it| *it == b'\n')?];
    let version = [&b"HTTP/1.0 "[..], b"HTTP/1.1 "];
    let rest = version.iter().find_map(|it| line.strip_prefix(*it))?;
    let (code, rest) = rest.split_at_checked(3)?;
    let is_code = code.iter().all(u8::is_ascii_digit) && matches!(rest, [] | [b' ' | b'\r', ..]);
    let code = std::str::from_utf8(code).ok()?.parse().ok();
    code.filter(|code| is_code && *code >= 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_final_status_line_has_a_status() {
        assert_eq!(final_status(b"HTTP/1.1 201 Created\r\n"), Some(201));
        assert_eq!(final_status(b"HTTP/1.0 503\n"), Some(503));
        for none in [
            &b"HTTP/1.1 201 Created"[..],
            b"HTTP/1.1 103 Early Hints\r\n",
            b"HTTP/2 201 Created\r\n",
            b"HTTP/1.1 2\r\n",
            b"HTTP/1.1 +99\r\n",
            b"HTTP/1.1 9999\r\n",
            b"",
        ] {
            assert_eq!(final_status(none), None, "{none:?}");
        }
    }
}
