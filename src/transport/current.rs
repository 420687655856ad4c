//! The exchange under way on this thread. ureq hands its connectors nothing of ours, so what they need to
//! know of it (until when, cancelled?) and what they find out (sent? answered?) is here.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::exchange::{Exchange, Kind};
use super::fault::Fault;
use crate::host::cancel::CancelToken;

type Slot = RefCell<Option<Rc<Current>>>;

thread_local! {
    /// Without a destructor, so that a call can still be made while a thread, or the process, ends: [`Guard`] empties it.
    static CURRENT: ManuallyDrop<Slot> = const { ManuallyDrop::new(RefCell::new(None)) };
}

pub struct Current {
    pub control: CancelToken,
    /// Look at a kept connection before it is used.
    pub probe: Cell<bool>,
    deadline: Instant,
    deadline_option: &'static str,
    connect_deadline: Instant,
    pub phase: Cell<Phase>,
    /// Where the URL comes from.
    url_option: &'static str,
    /// The proxy that a new connection goes through, as messages name it.
    proxy: Option<String>,
    /// The connection is on its way to the proxy, or through it.
    pub at_proxy: Cell<bool>,
    /// The connection carried an exchange before.
    pub reused: Cell<bool>,
    /// Set for the connection to be closed, not kept.
    closes: RefCell<Option<Arc<AtomicBool>>>,
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
    /// The reply is whole: the connection may go back to the pool.
    Done,
}

/// Ends with the exchange, also if that panics: another must not see its leavings.
pub struct Guard(Rc<Current>);

impl Current {
    pub fn begin(exchange: &Exchange<'_>, control: &CancelToken, proxy: Option<String>) -> Guard {
        let connect_deadline = Instant::now()
            .checked_add(exchange.connect_timeout)
            .map_or(exchange.deadline, |until| until.min(exchange.deadline));
        let current = Rc::new(Current {
            control: control.clone(),
            probe: Cell::new(exchange.probe),
            deadline: exchange.deadline,
            deadline_option: exchange.deadline_option,
            connect_deadline,
            phase: Cell::new(Phase::Start),
            url_option: exchange.url_option,
            proxy,
            at_proxy: Cell::new(false),
            reused: Cell::new(false),
            closes: RefCell::new(None),
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
        let until = match self.phase.get() < Phase::Send {
            true => self.connect_deadline,
            false => self.deadline,
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

    /// A new connection begins: with the proxy, where there is one.
    pub fn begin_connecting(&self) {
        self.reused.set(false);
        self.at_proxy.set(self.proxy.is_some());
    }

    /// The exchange uses this connection, which `closes` lets end.
    pub fn uses_connection(&self, closes: &Arc<AtomicBool>) {
        self.closes.replace(Some(Arc::clone(closes)));
    }

    /// The connection must not carry another exchange.
    pub fn end_connection(&self) {
        if let Some(closes) = &*self.closes.borrow() {
            closes.store(true, Ordering::Relaxed);
        }
    }

    /// The option that says where the connection leads: to the server, or first to the proxy.
    pub fn option(&self) -> &'static str {
        match self.at_proxy.get() {
            true => "proxy",
            false => self.url_option,
        }
    }

    /// Whose fault it is: the proxy's, if the connection did not come past that.
    pub fn blame(&self, fault: Fault) -> Fault {
        match &self.proxy {
            Some(proxy) if self.at_proxy.get() && fault.kind != Kind::Cancelled => Fault {
                reason: format!("the proxy {proxy}: {}", fault.reason),
                ..fault
            },
            _ => fault,
        }
    }

    fn timed_out(&self) -> Fault {
        let phase = self.phase.get();
        let doing = match phase {
            Phase::Start | Phase::LookUp => "looking up the host",
            Phase::Connect => "connecting",
            Phase::Tunnel => "waiting for the proxy",
            Phase::Handshake => "in the TLS handshake",
            Phase::Send => "sending the request",
            _ if self.answering.get() => "reading the reply",
            _ => "waiting for the reply",
        };
        let option = if phase < Phase::Send && self.connect_deadline < self.deadline {
            "connect_timeout_in_seconds"
        } else {
            self.deadline_option
        };
        Fault::new(
            Kind::Timeout,
            format!("timed out while {doing}; `{option}` sets the time allowed"),
        )
    }
}

impl Deref for Guard {
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
