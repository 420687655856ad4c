//! What one exchange may take (until when, cancelled?), and what it has found out so far.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::{Exchange, Kind};
use crate::host::cancel::CancelToken;

pub struct Current {
    pub control: CancelToken,
    /// Whether this thread may sleep until the socket is ready; else, "not yet" is an answer.
    pub waits: bool,
    connect_timeout: Duration,
    /// Set when connecting begins.
    connect_deadline: Cell<Option<Instant>>,
    pub deadline: Instant,
    pub phase: Cell<Phase>,
    /// A byte of the request may have gone out.
    pub sent: Cell<bool>,
    /// When the first did, or was about to.
    pub sent_at: Cell<Option<Instant>>,
    /// A byte of the answer has come.
    pub answering: Cell<bool>,
}

/// What an exchange is doing; a timeout names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum Phase {
    LookUp,
    Connect,
    Tunnel,
    Handshake,
    Send,
    Receive,
}

impl Current {
    pub fn new(exchange: &Exchange<'_>, control: &CancelToken, waits: bool) -> Self {
        Self {
            control: control.clone(),
            waits,
            connect_timeout: exchange.connect_timeout,
            connect_deadline: Cell::new(None),
            deadline: exchange.deadline,
            phase: Cell::new(Phase::LookUp),
            sent: Cell::new(false),
            sent_at: Cell::new(None),
            answering: Cell::new(false),
        }
    }

    /// From now on, the time for connecting runs.
    pub fn begin_connecting(&self) {
        let until = Instant::now().checked_add(self.connect_timeout);
        self.connect_deadline.set(until);
    }

    /// How long this phase may still take.
    pub fn left(&self) -> Result<Duration, Fault> {
        let until = match (self.phase.get(), self.connect_deadline.get()) {
            (Phase::Send | Phase::Receive, _) | (_, None) => self.deadline,
            (_, Some(connect_deadline)) => connect_deadline.min(self.deadline),
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.timed_out());
        }
        Ok(left)
    }

    pub fn check_cancelled(&self) -> Result<(), Fault> {
        if self.control.is_cancelled() {
            return Err(Fault::cancelled());
        }
        Ok(())
    }

    /// A socket failed: by itself, or because the call was cancelled.
    pub fn socket_failed(&self, error: &io::Error) -> Fault {
        match self.check_cancelled() {
            Err(cancelled) => cancelled,
            Ok(()) => Fault::new(Kind::Network, format!("the connection failed: {error}")),
        }
    }

    fn timed_out(&self) -> Fault {
        let doing = match self.phase.get() {
            Phase::LookUp => "looking up the host",
            Phase::Connect => "connecting",
            Phase::Tunnel => "waiting for the proxy",
            Phase::Handshake => "in the TLS handshake",
            Phase::Send => "sending the request",
            Phase::Receive if self.answering.get() => "reading the reply",
            Phase::Receive => "waiting for the reply",
        };
        let connect_deadline = self.connect_deadline.get();
        let option = if self.phase.get() < Phase::Send
            && connect_deadline.is_some_and(|until| until < self.deadline)
        {
            "connect_timeout_in_seconds"
        } else {
            "attempt_timeout_in_seconds"
        };
        Fault::new(
            Kind::Timeout,
            format!("timed out while {doing}; `{option}` sets the time allowed"),
        )
    }
}

/// Why an exchange failed.
#[derive(Debug)]
pub struct Fault {
    pub kind: Kind,
    pub reason: String,
}

impl Fault {
    pub fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
        }
    }

    pub fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "the call was cancelled")
    }

    /// The same fault of another host than the one the request is for.
    pub fn of(self, host: &str) -> Self {
        Self {
            reason: format!("{host}: {}", self.reason),
            ..self
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Fault {}

/// For rustls, which reads through [`io::Read`].
impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        io::Error::other(fault)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.downcast::<Fault>() {
            Ok(fault) => fault,
            Err(error) => Fault::new(Kind::Network, format!("the connection failed: {error}")),
        }
    }
}
