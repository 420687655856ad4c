//! Every operation of the service, by its name and with its arguments as JSON.

use std::ffi::{c_char, c_void};

use super::boundary::boundary;
use super::callback::{CallbackFunction, HostCallback};
use super::pointers::{ClientHandle, client, optional, required};
use crate::error::Status;

/// Calls any operation of the service, application or admin.
///
/// Blocks until the reply, at most the client's `timeout_in_seconds`.
/// `trophy_call(client, TROPHY_OP_USERS_STREAK, "{\"id\": \"42\", \"historyPeriods\": 14}", &json)`.
///
/// @param client    Borrowed; safe from any thread.
/// @param operation A TROPHY_OP_ name. Borrowed, UTF-8.
/// @param args_json One flat object: path and query parameters by their names, `"body"` for the body,
///                  `"idempotencyKey"` for an event, `"options"` for request options (see above). A name that
///                  the operation does not have is an error. NULL for none. Borrowed, UTF-8.
/// @param out_json  Set to the reply, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_ARGUMENT; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_call(
    client: *const ClientHandle,
    operation: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        boundary(out_json, || {
            let operation = required("operation", operation)?;
            self::client(client)?.call(operation, optional("args_json", args_json)?)
        })
    }
}

/// Calls any operation without waiting: the reply comes to `callback`.
///
/// Returns at once; everything is copied.
///
/// @param client    Borrowed; safe from any thread.
/// @param operation A TROPHY_OP_ name. Borrowed, UTF-8.
/// @param args_json As for trophy_call(). NULL for none. Borrowed, UTF-8.
/// @param callback  Called exactly once if this returns TROPHY_STATUS_OK, cancelled calls included; else never.
///                  On a thread of the library, or inside trophy_client_dispatch(): see the option `callbacks`.
/// @param user_data Passed to `callback`. Yours: it must live until then.
/// @param out_json  Set to `null`, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_ARGUMENT; TROPHY_STATUS_QUEUE_FULL if too many calls wait; or
///         TROPHY_STATUS_CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_call_async(
    client: *const ClientHandle,
    operation: *const c_char,
    args_json: *const c_char,
    callback: CallbackFunction,
    user_data: *mut c_void,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        boundary(out_json, || {
            let operation = required("operation", operation)?;
            let args_json = optional("args_json", args_json)?;
            let callback = HostCallback::required(callback, user_data)?;
            self::client(client)?.call_async(operation, args_json, callback)
        })
    }
}
