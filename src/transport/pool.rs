//! The connections that no exchange uses at the moment.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::current::{Current, Fault};
use super::input::Input;
use super::origin::Origin;
use super::tls::Wire;
use crate::host::locks::lock;

/// How long an unused connection is kept.
const KEPT_IDLE: Duration = Duration::from_secs(60);

/// A connection used this lately is taken to be open without a look at it, which is a system call.
const FRESH: Duration = Duration::from_millis(10);

pub struct Connection {
    pub origin: Arc<Origin>,
    pub wire: Wire,
    /// What has been read and not used.
    pub input: Input,
    /// The last read filled its buffer, so that there may be more to read.
    pub may_hold_more: bool,
    /// It carried an exchange before.
    pub reused: bool,
    /// When the last one ended.
    used: Instant,
}

/// The one used last is taken first, so that those not needed grow old.
pub struct Pool {
    idle: Mutex<Vec<Connection>>,
    most: usize,
}

impl Connection {
    pub fn new(origin: Arc<Origin>, wire: Wire) -> Self {
        Self {
            origin,
            wire,
            input: Input::default(),
            may_hold_more: false,
            reused: false,
            used: Instant::now(),
        }
    }

    /// False if the server has closed it or said what nobody asked for, or may have forgotten it.
    fn is_open(&self, probe: bool) -> bool {
        match self.used.elapsed() {
            age if age < FRESH && !probe && !self.may_hold_more => true,
            age => age < KEPT_IDLE && self.wire.socket().is_quiet(),
        }
    }
}

impl Pool {
    pub fn new(most: usize) -> Self {
        Self {
            idle: Mutex::default(),
            most,
        }
    }

    /// A connection to `origin` that is still open, for an exchange that may be cancelled. `probe`: look at
    /// it, however lately it was used.
    pub fn take(
        &self,
        origin: &Arc<Origin>,
        probe: bool,
        current: &Current,
    ) -> Result<Option<Connection>, Fault> {
        while let Some(mut connection) = self.pop(origin) {
            if !connection.is_open(probe) {
                continue;
            }
            if let Err(cancelled) = connection.wire.socket().attach(current) {
                // Nothing is wrong with the connection.
                lock(&self.idle).push(connection);
                return Err(cancelled);
            }
            connection.reused = true;
            return Ok(Some(connection));
        }
        Ok(None)
    }

    fn pop(&self, origin: &Arc<Origin>) -> Option<Connection> {
        let mut idle = lock(&self.idle);
        let is_same = |it: &Connection| Arc::ptr_eq(&it.origin, origin) || it.origin == *origin;
        let at = idle.iter().rposition(is_same)?;
        Some(idle.remove(at))
    }

    /// Keeps a connection that is free again; those that are too old or too many are closed.
    pub fn put(&self, mut connection: Connection) {
        connection.used = Instant::now();
        let now = connection.used;
        let is_old = |it: &Connection| now.duration_since(it.used) >= KEPT_IDLE;
        // Closed when the lock is free again, since that is a system call.
        let mut closed = Vec::new();
        let mut idle = lock(&self.idle);
        idle.push(connection);
        while idle.len() > self.most || idle.first().is_some_and(is_old) {
            closed.push(idle.remove(0));
        }
        drop(idle);
    }

    pub fn clear(&self) {
        let closed = std::mem::take(&mut *lock(&self.idle));
        drop(closed);
    }
}
