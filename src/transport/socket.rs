//! A TCP connection whose waits end at the exchange's deadline and when its call is cancelled.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::Kind;
use super::current::{Current, Fault, Phase};
use crate::host::sys;

#[derive(Debug)]
pub struct Socket {
    /// Shared with the [`crate::host::cancel::CancelToken`] of the call that uses it.
    stream: Arc<TcpStream>,
    generation: u32,
    /// The timeouts that the socket has; none are set at first.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Socket {
    /// Connects to the first address that answers. Each gets its share of the time that is left.
    pub fn connect(
        addresses: &[SocketAddr],
        current: &Current,
    ) -> Result<(Socket, SocketAddr), Fault> {
        let mut failed = None;
        for (tried, address) in addresses.iter().enumerate() {
            let others = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = current.left()? / others;
            match connect_within(*address, share, current) {
                Ok(stream) => return Self::new(stream, current).map(|socket| (socket, *address)),
                Err(Unconnected::Fault(fault)) => return Err(fault),
                Err(Unconnected::Refused(error)) => {
                    failed = Some(format!(
                        "could not connect to {address}: {error}; check the URL and the network"
                    ));
                }
            }
        }
        // Where the last address used up its share, the time is over.
        current.left()?;
        Err(Fault::new(
            Kind::Network,
            failed.unwrap_or_else(|| "the host has no address".to_owned()),
        ))
    }

    fn new(stream: TcpStream, current: &Current) -> Result<Self, Fault> {
        let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(30));
        stream
            .set_nodelay(true)
            .and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive))
            .map_err(|error| current.socket_failed(&error))?;
        let socket = Socket {
            stream: Arc::new(stream),
            generation: sys::generation(),
            read_timeout: None,
            write_timeout: None,
        };
        socket.attach(current)?;
        Ok(socket)
    }

    /// Lets a cancel of the call shut this socket down.
    pub fn attach(&self, current: &Current) -> Result<(), Fault> {
        current
            .control
            .attach(Arc::clone(&self.stream))
            .map_err(|_| Fault::cancelled())
    }

    /// For those who wait for it with others.
    #[cfg(unix)]
    pub fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&*self.stream)
    }

    /// Reads what there is, at least a byte; 0 at the end of the stream. None: nothing has come yet, which
    /// is said only where the exchange does not wait.
    pub fn read(&mut self, buffer: &mut [u8], current: &Current) -> Result<Option<usize>, Fault> {
        let mut expired = false;
        loop {
            // What has come is read, however late it is.
            let read = if current.waits {
                let left = current.left()?;
                if let Some(timeout) = new_timeout(self.read_timeout, left, expired) {
                    set(self.stream.set_read_timeout(Some(timeout)), current)?;
                    self.read_timeout = Some(timeout);
                }
                (&*self.stream).read(buffer)
            } else {
                sys::read_now(&self.stream, buffer)
            };
            match read {
                Ok(0) => {
                    // A cancel shuts the socket down, which must not look like the end of a reply.
                    current.check_cancelled()?;
                    return Ok(Some(0));
                }
                Ok(amount) => return Ok(Some(amount)),
                Err(error) if is_timeout(&error) && !current.waits => {
                    return current.left().map(|_| None);
                }
                Err(error) if is_timeout(&error) => expired = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(current.socket_failed(&error)),
            }
        }
    }

    /// Writes some of it, at least a byte. None: there is no room yet, which is said only where the
    /// exchange does not wait.
    pub fn write(&mut self, bytes: &[u8], current: &Current) -> Result<Option<usize>, Fault> {
        let mut expired = false;
        loop {
            let left = current.left()?;
            let written = if current.waits {
                if let Some(timeout) = new_timeout(self.write_timeout, left, expired) {
                    set(self.stream.set_write_timeout(Some(timeout)), current)?;
                    self.write_timeout = Some(timeout);
                }
                (&*self.stream).write(bytes)
            } else {
                sys::write_now(&self.stream, bytes)
            };
            match written {
                Ok(amount) => {
                    if current.phase.get() >= Phase::Send {
                        current.sent.set(true);
                    }
                    return Ok(Some(amount));
                }
                Err(error) if is_timeout(&error) && !current.waits => return Ok(None),
                Err(error) if is_timeout(&error) => expired = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(current.socket_failed(&error)),
            }
        }
    }

    /// True if the other side neither closed the connection nor sent what nobody asked for.
    pub fn is_quiet(&self) -> bool {
        let peeked = sys::peek_now(&self.stream);
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Drop for Socket {
    /// A child forked meanwhile holds a copy of the socket, so closing ours would not end the
    /// connection. The child leaves it alone: it is the parent's.
    fn drop(&mut self) {
        if self.generation == sys::generation() {
            // An error means that it has ended already.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}

/// The timeout to set for a wait of `left`, or `None` where the one in place will do. Setting it is
/// a system call, and `left` is never twice the same: so a shorter one is as good, since an early
/// timeout (`expired`) is followed by another wait for exactly the rest.
fn new_timeout(in_place: Option<Duration>, left: Duration, expired: bool) -> Option<Duration> {
    if expired {
        return Some(left);
    }
    match in_place {
        Some(in_place) if in_place <= left && in_place >= left / 4 * 3 => None,
        _ => Some(left / 8 * 7).filter(|it| !it.is_zero()).or(Some(left)),
    }
}

/// macOS refuses a timeout once the peer has closed, though a reply may still be there to be read.
fn set(result: io::Result<()>, current: &Current) -> Result<(), Fault> {
    match result {
        Err(error)
            if cfg!(target_vendor = "apple") && error.kind() == io::ErrorKind::InvalidInput =>
        {
            Ok(())
        }
        result => result.map_err(|error| current.socket_failed(&error)),
    }
}

/// On Unix, `TimedOut` is not ours: the network gave the connection up.
fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || (cfg!(windows) && error.kind() == io::ErrorKind::TimedOut)
}

enum Unconnected {
    /// This address failed, the next may do.
    Refused(io::Error),
    Fault(Fault),
}

impl From<Fault> for Unconnected {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<io::Error> for Unconnected {
    fn from(error: io::Error) -> Self {
        Self::Refused(error)
    }
}

#[cfg(unix)]
fn connect_within(
    address: SocketAddr,
    share: Duration,
    current: &Current,
) -> Result<TcpStream, Unconnected> {
    use socket2::{Domain, Protocol, Socket, Type};
    use std::time::Instant;

    /// How soon a cancelled call notices.
    const SLICE: Duration = Duration::from_millis(10);

    current.check_cancelled()?;
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    let started = Instant::now();
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error)
            if error.raw_os_error() == Some(libc::EINPROGRESS)
                || error.kind() == io::ErrorKind::Interrupted =>
        {
            loop {
                let left = share.saturating_sub(started.elapsed());
                if sys::poll_writable(&socket, left.min(SLICE))? {
                    break;
                }
                current.check_cancelled()?;
                if left.is_zero() {
                    return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                }
            }
            if let Some(error) = socket.take_error()? {
                return Err(error.into());
            }
        }
        Err(error) => return Err(error.into()),
    }
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

/// Without poll(), a cancelled call notices at the end of the wait.
#[cfg(not(unix))]
fn connect_within(
    address: SocketAddr,
    share: Duration,
    current: &Current,
) -> Result<TcpStream, Unconnected> {
    current.check_cancelled()?;
    Ok(TcpStream::connect_timeout(&address, share)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_timeout_in_place_serves_waits_of_about_its_length() {
        let first = new_timeout(None, seconds(20), false);
        assert_eq!(first, Some(Duration::from_millis(17_500)));
        for left in [seconds(20), Duration::from_millis(19_990), seconds(18)] {
            assert_eq!(new_timeout(first, left, false), None);
        }
    }

    #[test]
    fn a_timeout_is_replaced_when_it_would_end_late_or_far_too_early() {
        let in_place = Some(seconds(16));
        assert!(new_timeout(in_place, seconds(15), false).is_some_and(|new| new < seconds(15)));
        assert!(new_timeout(in_place, seconds(60), false).is_some_and(|new| new > seconds(45)));
    }

    #[test]
    fn after_an_early_timeout_the_rest_is_waited_for_exactly() {
        let rest = Duration::from_millis(2_500);
        assert_eq!(new_timeout(Some(seconds(17)), rest, true), Some(rest));
    }

    #[test]
    fn a_timeout_is_never_zero() {
        let left = Duration::from_nanos(1);
        assert_eq!(new_timeout(None, left, false), Some(left));
    }
}
