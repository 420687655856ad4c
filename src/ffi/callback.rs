//! C's functions as the library's callbacks: a function pointer and the `user_data` it is called with. On which
//! thread it runs, `delivery/callbacks.rs` says.

use std::ffi::{c_char, c_void};

use super::pointers::terminated;
use crate::client::{Callback, DeliveryCallback, ReadyCallback};
use crate::error::{Error, Status};
use crate::host::log::{LogLevel, Sink};

/// Called with the outcome of an asynchronous call, or of a queued event.
///
/// It runs with no lock held, where the option `callbacks` says. It may call the library, except
/// trophy_client_close() and trophy_client_free(). It must return: no longjmp(), no C++ exception may
/// leave it.
///
/// @param status    What became of it.
/// @param json      The service's reply, or error JSON. Borrowed until the callback returns.
/// @param user_data What was given with the callback.
pub type CallbackFunction =
    Option<unsafe extern "C" fn(status: Status, json: *const c_char, user_data: *mut c_void)>;

/// Called when callbacks wait to be dispatched where none did: see trophy_client_on_ready().
///
/// Wake your event loop and return: write a byte to a pipe or an eventfd, post an event. Do no more than that: wait for
/// nothing, and call nothing of the library.
///
/// @param user_data What was given with the callback.
pub type ReadyFunction = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Called with each log line, on the thread it comes from: return soon, and log nothing from there.
///
/// @param level     How much it matters.
/// @param message   One line, without a line break at its end. Never holds an API key's secret part.
///                  Borrowed until the callback returns.
/// @param user_data What was given with the callback.
pub type LogFunction =
    Option<unsafe extern "C" fn(level: LogLevel, message: *const c_char, user_data: *mut c_void)>;

/// A callback of the host.
pub struct HostCallback {
    function: unsafe extern "C" fn(Status, *const c_char, *mut c_void),
    user_data: UserData,
}

/// The host's pointer: passed on, never followed.
#[derive(Clone, Copy)]
struct UserData(*mut c_void);

// SAFETY: the library only hands it back; the header tells the host on which threads.
unsafe impl Send for UserData {}
unsafe impl Sync for UserData {}

impl HostCallback {
    /// None for NULL.
    pub fn new(function: CallbackFunction, user_data: *mut c_void) -> Option<Self> {
        function.map(|function| Self {
            function,
            user_data: UserData(user_data),
        })
    }

    /// For calls that cannot do without.
    pub fn required(
        function: CallbackFunction,
        user_data: *mut c_void,
    ) -> Result<Box<dyn Callback>, Error> {
        match Self::new(function, user_data) {
            Some(callback) => Ok(Box::new(callback)),
            None => Err(Error::invalid(
                "callback: is NULL; an asynchronous call needs one",
            )),
        }
    }

    fn call(&self, status: Status, json: &str) {
        let json = terminated(json.to_owned());
        // SAFETY: the host gave this function to be called so, with this pointer.
        unsafe { (self.function)(status, json.as_ptr(), self.user_data.0) };
    }
}

impl Callback for HostCallback {
    fn tag(&self) -> usize {
        self.user_data.0 as usize
    }

    fn run(self: Box<Self>, status: Status, json: &str) {
        self.call(status, json);
    }
}

impl DeliveryCallback for HostCallback {
    fn run(&self, status: Status, json: &str) {
        self.call(status, json);
    }
}

/// What wakes the host's event loop.
pub struct HostReady {
    function: unsafe extern "C" fn(*mut c_void),
    user_data: UserData,
}

impl HostReady {
    /// None for NULL.
    pub fn new(function: ReadyFunction, user_data: *mut c_void) -> Option<Self> {
        function.map(|function| Self {
            function,
            user_data: UserData(user_data),
        })
    }
}

impl ReadyCallback for HostReady {
    fn run(&self) {
        // SAFETY: as for a callback.
        unsafe { (self.function)(self.user_data.0) };
    }
}

/// The host's log function. None for NULL.
pub fn log_sink(function: LogFunction, user_data: *mut c_void) -> Option<Sink> {
    let function = function?;
    let user_data = UserData(user_data);
    Some(Box::new(move |level, message| {
        // The whole struct moves into the closure, not its bare pointer.
        let user_data = user_data;
        let message = terminated(message.to_owned());
        // SAFETY: as for a callback.
        unsafe { function(level, message.as_ptr(), user_data.0) };
    }))
}
