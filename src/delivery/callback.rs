//! What a host is called back with. `ffi` makes these of C functions.

use std::cell::Cell;

use crate::error::{Error, Status};
use crate::host::log;

/// The end of one asynchronous call.
pub trait Callback: Send {
    /// The `user_data`, by which `trophy_client_cancel` finds the call.
    fn tag(&self) -> usize;
    fn run(self: Box<Self>, status: Status, json: &str);
}

/// The ends of queued events.
pub trait DeliveryCallback: Send + Sync {
    fn run(&self, status: Status, json: &str);
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// While it lives, this thread is inside a callback.
pub(crate) struct Inside;

impl Inside {
    pub fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Whether this thread is inside a callback of the host.
pub fn is_inside() -> bool {
    DEPTH.get() > 0 || log::is_logging()
}

/// What a callback may not do: it would wait for itself.
pub fn refuse_inside(what: &str) -> Result<(), Error> {
    if is_inside() {
        return Err(Error::invalid(format!(
            "{what}: not from inside a callback, which it would wait for; return first"
        )));
    }
    Ok(())
}
