//! A TCP connection whose waits end at the exchange's deadline and when its call is cancelled.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::current::{Current, Phase};
use super::fault::Fault;
use crate::host::sys;

#[derive(Debug)]
pub struct Socket {
    /// Shared with the [`crate::host::cancel::CancelToken`] of the call that uses it.
    stream: Arc<TcpStream>,
    generation: u32,
    reads: WaitLimit,
    writes: WaitLimit,
}

impl Socket {
    /// `stream`: connected, and non-blocking.
    pub fn new(stream: TcpStream, current: &Current) -> Result<Self, Fault> {
        let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(30));
        // It comes with the time there, and would be 0; this is the system's own.
        #[cfg(windows)]
        let keepalive = keepalive.with_interval(Duration::from_secs(1));
        stream
            .set_nodelay(true)
            .and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive))
            .and_then(|()| stream.set_nonblocking(cfg!(windows)))
            .map_err(|error| current.socket_failed(&error))?;
        let socket = Socket {
            stream: Arc::new(stream),
            generation: sys::generation(),
            reads: WaitLimit::default(),
            writes: WaitLimit::default(),
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

    /// Reads what there is, at least a byte; 0 at the end of the stream.
    pub fn read(&mut self, buffer: &mut [u8], current: &Current) -> Result<usize, Fault> {
        #[cfg(windows)]
        if let Some(amount) = self.writes.early.take(buffer) {
            return Ok(amount);
        }
        let mut is_late = false;
        loop {
            self.reads
                .allow(&self.stream, Direction::Read, is_late, current)?;
            match (&*self.stream).read(buffer) {
                Ok(0) => {
                    // A cancel shuts the socket down, which must not look like the end of a reply.
                    current.check_cancelled()?;
                    return Ok(0);
                }
                Ok(amount) => return Ok(amount),
                Err(error) => is_late = goes_on(&error, current)?,
            }
        }
    }

    pub fn write_all(&mut self, mut bytes: &[u8], current: &Current) -> Result<(), Fault> {
        let mut is_late = false;
        while !bytes.is_empty() {
            self.writes
                .allow(&self.stream, Direction::Write, is_late, current)?;
            match (&*self.stream).write(bytes) {
                Ok(amount) => {
                    if current.phase.get() >= Phase::Send {
                        current.sent.set(true);
                    }
                    bytes = &bytes[amount..];
                    is_late = false;
                }
                Err(error) => is_late = goes_on(&error, current)?,
            }
        }
        Ok(())
    }

    /// True if the other side neither closed the connection nor sent what nobody asked for.
    pub fn is_quiet(&self) -> bool {
        #[cfg(windows)]
        if !self.writes.early.bytes.is_empty() {
            return false;
        }
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

/// After an error that is none: whether the wait was too short.
fn goes_on(error: &io::Error, current: &Current) -> Result<bool, Fault> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(true),
        io::ErrorKind::Interrupted => Ok(false),
        _ => Err(current.socket_failed(error)),
    }
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    Read,
    Write,
}

/// How long a read or a write waits: on Unix, the kernel sees to it, which costs no further system call. A
/// cancel wakes it by a shutdown.
#[cfg(unix)]
#[derive(Debug, Default)]
struct WaitLimit {
    /// The timeout that the socket has; none is set at first.
    in_place: Option<Duration>,
}

#[cfg(unix)]
impl WaitLimit {
    /// Before a read or a write. `is_late`: the one before took its time.
    fn allow(
        &mut self,
        stream: &TcpStream,
        direction: Direction,
        is_late: bool,
        current: &Current,
    ) -> Result<(), Fault> {
        let left = current.left()?;
        let Some(timeout) = new_timeout(self.in_place, left, is_late) else {
            return Ok(());
        };
        let set = match direction {
            Direction::Read => stream.set_read_timeout(Some(timeout)),
            Direction::Write => stream.set_write_timeout(Some(timeout)),
        };
        match set {
            Ok(()) => self.in_place = Some(timeout),
            // macOS refuses once the peer has closed, though a reply may still be there to be read.
            Err(error)
                if cfg!(target_vendor = "apple") && error.kind() == io::ErrorKind::InvalidInput => {
            }
            Err(error) => return Err(current.socket_failed(&error)),
        }
        Ok(())
    }
}

/// The timeout to set for a wait of `left`, or `None` where the one in place will do. Setting it is
/// a system call, and `left` is never twice the same: so a shorter one is as good, since an early
/// timeout (`is_late`) is followed by another wait for exactly the rest.
#[cfg(unix)]
fn new_timeout(in_place: Option<Duration>, left: Duration, is_late: bool) -> Option<Duration> {
    if is_late {
        return Some(left);
    }
    match in_place {
        Some(in_place) if in_place <= left && in_place >= left / 4 * 3 => None,
        _ => Some(left / 8 * 7).filter(|it| !it.is_zero()).or(Some(left)),
    }
}

/// On Windows a shutdown wakes nobody, and a socket whose timeout has passed is in no known state. So the
/// socket does not block: where a read or a write could do nothing, this waits, and looks for a cancel.
#[cfg(windows)]
#[derive(Debug, Default)]
struct WaitLimit {
    /// Of writes only.
    early: Early,
}

#[cfg(windows)]
impl WaitLimit {
    fn allow(
        &mut self,
        stream: &TcpStream,
        direction: Direction,
        is_late: bool,
        current: &Current,
    ) -> Result<(), Fault> {
        /// How soon a cancelled call notices.
        const SLICE: Duration = Duration::from_millis(20);

        let slice = current.left()?.min(SLICE);
        current.check_cancelled()?;
        if is_late {
            match direction {
                Direction::Read => sys::wait_until_readable(stream, slice),
                Direction::Write => self.early.wait_for_room(stream, slice),
            }
            .map_err(|error| current.socket_failed(&error))?;
        }
        Ok(())
    }
}

/// What the server said while there was no room for more of the request: on Windows a reset that follows takes
/// away what was not read.
#[cfg(windows)]
#[derive(Debug, Default)]
struct Early {
    bytes: std::collections::VecDeque<u8>,
    /// There is no more of it to hear.
    is_over: bool,
}

#[cfg(windows)]
impl Early {
    /// Of a reply that long the beginning will do: it says why.
    const MOST: usize = 64 * 1024;

    fn wait_for_room(&mut self, mut stream: &TcpStream, timeout: Duration) -> io::Result<()> {
        if self.is_over {
            return sys::wait_until_writable(&[stream], timeout).map(drop);
        }
        sys::wait_until_either(stream, timeout)?;
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            // A failure is for the write to find.
            Err(_) => {}
            Ok(amount) => {
                self.bytes.extend(&buffer[..amount]);
                self.is_over = amount == 0 || self.bytes.len() >= Self::MOST;
            }
        }
        Ok(())
    }

    fn take(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match self.bytes.is_empty() {
            true => None,
            false => self.bytes.read(buffer).ok(),
        }
    }
}

#[cfg(all(test, unix))]
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
