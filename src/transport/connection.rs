//! A connection to the server, ready for requests: the outermost of ureq's transports. It marks when a request
//! begins and its answer comes, and says whether a kept connection may be used again.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use super::current::{Current, Phase};
use super::exchange::Kind;
use super::fault::Fault;
use crate::host::locks::{Mutex, lock};

/// How long an unused connection is kept.
pub const KEPT_IDLE: Duration = Duration::from_secs(60);

/// A connection used this lately is taken to be open without a look at it, which is a system call.
const FRESH: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub struct Connection<Way> {
    way: Way,
    server: String,
    /// When its last exchange ended.
    used: Instant,
    /// It must not carry another; see [`Current::end_connection`].
    closes: Arc<AtomicBool>,
    distrust: Arc<Distrust>,
}

impl<Way: Transport> Connection<Way> {
    pub fn new(way: Way, uri: &Uri, distrust: Arc<Distrust>, current: &Current) -> Self {
        let closes = Arc::default();
        current.uses_connection(&closes);
        Self {
            way,
            server: name(uri),
            used: Instant::now(),
            closes,
            distrust,
        }
    }

    /// Taken out of the pool: is it still open? ureq asks with the pool's lock held.
    fn take(&mut self, current: &Current) -> bool {
        if self.used.elapsed() >= FRESH {
            current.probe.set(true);
        }
        let is_open = !self.closes.load(Ordering::Relaxed)
            && !self.distrust.covers(&self.server, self.used)
            && self.way.is_open();
        if is_open {
            current.uses_connection(&self.closes);
        }
        current.reused.set(is_open);
        is_open
    }

    /// To be put back into the pool, the reply read to its end.
    fn put_back(&mut self, current: &Current) -> bool {
        self.used = Instant::now();
        current.phase.set(Phase::Done);
        current.probe.set(false);
        // Once detached, nobody can shut it down; who cancelled the call before that did so.
        let is_cancelled = current.control.detach();
        !is_cancelled
            && !self.closes.load(Ordering::Relaxed)
            && self.is_silent()
            && self.way.is_open()
    }

    /// False if TLS holds the peer's farewell, or bytes that nobody asked for. The socket reads nothing now, so
    /// an answer can only come from what TLS has.
    fn is_silent(&mut self) -> bool {
        !self.way.is_tls() || self.way.await_input(NextTimeout::default()).is_err()
    }

    fn receive(&mut self, current: &Current, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let has_come = self.way.await_input(timeout).map_err(|error| match error {
            // ureq takes these for the end of a body without a length, which somebody may have cut.
            ureq::Error::Io(error) if is_cut(error.kind()) => {
                let reason = match error.kind() {
                    // In rustls's words it is a link to its manual.
                    ErrorKind::UnexpectedEof => "the connection was cut".to_owned(),
                    _ => format!("the connection was cut: {error}"),
                };
                Fault::new(Kind::Network, reason).into()
            }
            error => error,
        })?;
        if has_come {
            current.answering.set(true);
        }
        if current.status.get().is_none() {
            current.status.set(final_status(self.way.buffers().input()));
        }
        Ok(has_come)
    }
}

impl<Way: Transport> Transport for Connection<Way> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.way.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        Current::get()?.phase.set(Phase::Send);
        self.way.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.receive(&*Current::get()?, timeout)
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
        self.way.is_tls()
    }
}

fn is_cut(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// As ureq's pool tells servers apart.
fn name(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |it| it.as_str());
    format!("{scheme}://{authority}")
}

/// Servers of which a kept connection failed. Those that were idle by then will fail too: a network that
/// changed, a server that was started anew.
#[derive(Debug, Default)]
pub struct Distrust(Mutex<HashMap<String, Instant>>);

impl Distrust {
    pub fn add(&self, server: &Uri) {
        let now = Instant::now();
        let mut failed = lock(&self.0);
        // Longer than that none is kept.
        failed.retain(|_, at| now.duration_since(*at) < KEPT_IDLE);
        failed.insert(name(server), now);
    }

    fn covers(&self, server: &str, used: Instant) -> bool {
        lock(&self.0).get(server).is_some_and(|at| used <= *at)
    }
}

/// The code of a complete status line that is the answer: interim ones (1xx) are passed over.
fn final_status(mut input: &[u8]) -> Option<u16> {
    loop {
        let line = &input[..input.iter().position(|it| *it == b'\n')?];
        let version = [&b"HTTP/1.0 "[..], b"HTTP/1.1 "];
        let rest = version.iter().find_map(|it| line.strip_prefix(*it))?;
        let (code, rest) = rest.split_at_checked(3)?;
        let is_code =
            code.iter().all(u8::is_ascii_digit) && matches!(rest, [] | [b' ' | b'\r', ..]);
        let code: u16 = std::str::from_utf8(code).ok()?.parse().ok()?;
        match code {
            _ if !is_code => return None,
            100..200 => {
                let end = input.windows(4).position(|it| it == b"\r\n\r\n")?;
                input = &input[end + 4..];
            }
            200.. => return Some(code),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_final_status_line_has_a_status() {
        assert_eq!(final_status(b"HTTP/1.1 201 Created\r\n"), Some(201));
        assert_eq!(final_status(b"HTTP/1.0 503\n"), Some(503));
        assert_eq!(
            final_status(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"),
            Some(200)
        );
        for none in [
            &b"HTTP/1.1 201 Created"[..],
            b"HTTP/1.1 103 Early Hints\r\n",
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200",
            b"HTTP/2 201 Created\r\n",
            b"HTTP/1.1 2\r\n",
            b"HTTP/1.1 +99\r\n",
            b"HTTP/1.1 9999\r\n",
            b"HTTP/1.1 099 None\r\n",
            b"",
        ] {
            assert_eq!(final_status(none), None, "{none:?}");
        }
    }

    #[test]
    fn what_was_idle_when_another_failed_is_distrusted_and_what_came_later_is_not() {
        let distrust = Distrust::default();
        let before = Instant::now();
        distrust.add(&Uri::from_static("https://trophy.test/v1"));
        assert!(distrust.covers("https://trophy.test", before));
        assert!(!distrust.covers("https://other.test", before));
        let after = Instant::now() + Duration::from_millis(1);
        assert!(!distrust.covers("https://trophy.test", after));
    }
}
