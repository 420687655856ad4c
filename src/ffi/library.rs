//! The library as a whole: its version, the names of statuses, freeing its strings, its log.

use std::ffi::{CString, c_char, c_void};

use super::boundary::guard;
use super::callback::{LogFunction, log_sink};
use crate::error::Status;
use crate::host::log::{self, LogLevel};

/// A status as C passes it: any integer.
type StatusNumber = i32;
/// A log level as C passes it: any integer.
type LogLevelNumber = i32;

/// The version of the library that runs; TROPHY_VERSION is that of the header it was compiled with.
///
/// @return "1.2.3". Static: never free it.
#[unsafe(no_mangle)]
pub extern "C" fn trophy_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// The name of a status, as error JSON has it in "code".
///
/// @param status Any number.
/// @return "rate_limited"; "unknown" for a number that is no status. Static: never free it.
#[unsafe(no_mangle)]
pub extern "C" fn trophy_status_name(status: StatusNumber) -> *const c_char {
    guard(c"unknown", || Status::name_of(status)).as_ptr()
}

/// Frees a string that the library gave: an `out_json`, or the result of trophy_json_string() or
/// trophy_json_quote().
///
/// @param string Owned by the caller until now. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: the rules of the header: it came from `CString::into_raw`, and is freed once.
        guard((), || drop(unsafe { CString::from_raw(string) }));
    }
}

/// Sets where log lines go: the only thing that all clients of a process share.
///
/// Without it the library says nothing: it never writes to stdout or stderr. When this returns, the
/// callback before it is no longer running and will not be called again (unless it is what called).
///
/// @param level     How much to log: this level and those above it.
/// @param callback  Called on the thread that logs, which may be any. NULL turns logging off.
/// @param user_data Passed to each call. Yours: it must live until the callback is replaced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_log_set_callback(
    level: LogLevelNumber,
    callback: LogFunction,
    user_data: *mut c_void,
) {
    guard((), || {
        log::set(LogLevel::from_number(level), log_sink(callback, user_data))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn the_version_is_cargos() {
        let version = unsafe { CStr::from_ptr(trophy_version()) };
        assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    }
}
