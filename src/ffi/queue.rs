//! The queue: waiting for it, and hearing of what it delivered.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::{boundary, guard};
use super::callback::{CallbackFunction, HostCallback};
use super::pointers::{ClientHandle, client};
use crate::client::DeliveryCallback;
use crate::error::Status;

/// Waits until the queue has delivered all it holds, and the callback of trophy_client_on_delivery() has been
/// told (or has it to be dispatched).
///
/// Blocks at most `timeout_ms`. The client goes on as before.
///
/// @param client     Borrowed; safe from any thread.
/// @param timeout_ms 0 only asks; a negative number waits for ever.
/// @param out_json   Set to `{"undelivered": n, "cancelled": 0}`: events left in the queue; or to error JSON.
///                   Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK if nothing is left to deliver; TROPHY_STATUS_TIMEOUT if something is;
///         TROPHY_STATUS_CANCELLED if something is and the client was closed meanwhile; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_client_flush(
    client: *const ClientHandle,
    timeout_ms: i64,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { boundary(out_json, || self::client(client)?.flush(timeout_ms)) }
}

/// Sets who hears how each queued event ended: delivered, refused, expired, or dropped to make room.
///
/// The callback's status is TROPHY_STATUS_OK, the service's refusal, TROPHY_STATUS_EXPIRED or
/// TROPHY_STATUS_QUEUE_FULL; its JSON `{"idempotencyKey","key","userId","response"}`, or with `"error"` in place
/// of `"response"`. Set it before the first event: what ended earlier is not told. When this returns, the callback
/// before it is no longer running and will not be called again (unless it is what called). A forked child sets its
/// own. While more than 10,000 callbacks are due, what is dropped to make room is only counted, in `dropped` of
/// trophy_client_stats().
///
/// @param client    Borrowed; safe from any thread. The callback is for all handles of the client.
/// @param callback  Called once for each event that left the queue. NULL: nobody hears.
/// @param user_data Passed to each call. Yours: it must live until the callback is replaced or the client ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_client_on_delivery(
    client: *const ClientHandle,
    callback: CallbackFunction,
    user_data: *mut c_void,
) {
    guard((), || {
        // SAFETY: the rules of the header.
        if let Ok(client) = unsafe { self::client(client) } {
            let callback = HostCallback::new(callback, user_data);
            client.on_delivery(
                callback.map(|callback| Arc::new(callback) as Arc<dyn DeliveryCallback>),
            );
        }
    });
}
