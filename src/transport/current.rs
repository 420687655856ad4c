//! The exchange under way on this thread. ureq hands its connectors nothing of the request, so what
//! they need to know of it (until when, cancelled?) and what they find out (sent? answered?) is here.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Exchange, Kind};
use crate::control::Control;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Current>>> = const { RefCell::new(None) };
}

pub struct Current {
    pub control: Control,
    /// Skip no check of a kept connection, however lately it was used.
    pub probe: bool,
    /// The longest line of the request's head, which ureq does not split.
    pub longest_line: usize,
    connect_deadline: Instant,
    deadline: Instant,
    pub phase: Cell<Phase>,
    /// The connection carried an exchange before.
    pub reused: Cell<bool>,
    /// A byte of the request may have gone out.
    pub sent: Cell<bool>,
    /// When the first did, or was about to.
    pub sent_at: Cell<Option<Instant>>,
    /// A byte of the answer has come.
    pub answering: Cell<bool>,
    /// The status line has come.
    pub status: Cell<Option<u16>>,
}

/// What an exchange is doing; a timeout names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum Phase {
    /// Before a connection is there: ureq looks into its pool.
    Start,
    LookUp,
    Connect,
    Tunnel,
    Handshake,
    Send,
    Receive,
}

/// Ends with the exchange, also if that panics: another must not see its leavings.
pub struct Guard(Rc<Current>);

impl Current {
    pub fn begin(exchange: &Exchange<'_>, control: &Control) -> Guard {
        let longest_header = exchange
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .max()
            .unwrap_or(0);
        let connect_deadline = Instant::now()
            .checked_add(exchange.connect_timeout)
            .map_or(exchange.deadline, |until| until.min(exchange.deadline));
        let current = Rc::new(Current {
            control: control.clone(),
            probe: exchange.probe,
            // The request line holds the path, the Host header the host: both are in the URL.
            longest_line: longest_header.max(exchange.url.len()) + 64,
            connect_deadline,
            deadline: exchange.deadline,
            phase: Cell::new(Phase::Start),
            reused: Cell::new(false),
            sent: Cell::new(false),
            sent_at: Cell::new(None),
            answering: Cell::new(false),
            status: Cell::new(None),
        });
        CURRENT.with(|slot| slot.replace(Some(Rc::clone(&current))));
        Guard(current)
    }

    pub fn get() -> Result<Rc<Current>, Fault> {
        CURRENT
            .with(|slot| slot.borrow().clone())
            .ok_or_else(|| Fault::new(Kind::Network, "no exchange is under way"))
    }

    /// How long this phase may still take.
    pub fn left(&self) -> Result<Duration, Fault> {
        let until = match self.phase.get() {
            Phase::Send | Phase::Receive => self.deadline,
            _ => self.connect_deadline,
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
            Phase::Start | Phase::LookUp => "looking up the host",
            Phase::Connect => "connecting",
            Phase::Tunnel => "waiting for the proxy",
            Phase::Handshake => "in the TLS handshake",
            Phase::Send => "sending the request",
            Phase::Receive if self.answering.get() => "reading the reply",
            Phase::Receive => "waiting for the reply",
        };
        let option = if self.phase.get() < Phase::Send && self.connect_deadline < self.deadline {
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

impl std::ops::Deref for Guard {
    type Target = Current;
    fn deref(&self) -> &Current {
        &self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.control.detach();
        CURRENT.with(|slot| slot.replace(None));
    }
}

/// Why an exchange failed, on its way out through ureq.
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

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        io::Error::other(fault)
    }
}

impl From<Fault> for ureq::Error {
    fn from(fault: Fault) -> Self {
        ureq::Error::Other(Box::new(fault))
    }
}
