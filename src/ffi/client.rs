//! The client: made, used from any thread, closed, freed.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::{boundary, guard};
use super::callback::{HostReady, ReadyFunction};
use super::pointers::{ClientHandle, OutClient, client, optional, required};
use crate::client::ReadyCallback;
use crate::error::Status;
use crate::host::log;

/// Makes a client: its connections, its threads, its queue. One for a process is enough.
///
/// Sends nothing, and starts no thread unless the queue's folder holds undelivered events.
///
/// @param api_key      Your API key. NULL: the environment variable TROPHY_API_KEY. Borrowed, UTF-8.
/// @param options_json Client options (see above) as a JSON object. NULL for the defaults. Borrowed, UTF-8.
/// @param out_client   Set to the client, or to NULL on failure. Owned: free with trophy_client_free().
/// @param out_json     Set to `null`, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_ARGUMENT for an option that is unknown or wrong, or no
///         key; TROPHY_STATUS_STORAGE if the queue's folder cannot be used.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_client_new(
    api_key: *const c_char,
    options_json: *const c_char,
    out_client: *mut *mut ClientHandle,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        let out_client = OutClient::new(out_client);
        boundary(out_json, || {
            let api_key = optional("api_key", api_key)?;
            let options_json = optional("options_json", options_json)?;
            out_client.set(|| crate::client::Client::new(api_key, options_json))
        })
    }
}

/// Makes a second handle on the same client (connections, threads, queue), whose calls are for a tenant.
///
/// The client ends when its last handle is freed; trophy_client_close() on any of them closes it for all.
///
/// @param client     Borrowed; safe from any thread.
/// @param tenant_id  Sent as the Tenant-ID header of each call. Borrowed, UTF-8.
/// @param out_client Set to the handle, or to NULL on failure. Owned: free with trophy_client_free().
/// @param out_json   Set to `null`, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_ARGUMENT; or TROPHY_STATUS_CLOSED.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_client_for_tenant(
    client: *const ClientHandle,
    tenant_id: *const c_char,
    out_client: *mut *mut ClientHandle,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        let out_client = OutClient::new(out_client);
        boundary(out_json, || {
            let client = self::client(client)?;
            let tenant_id = required("tenant_id", tenant_id)?;
            out_client.set(|| client.for_tenant(tenant_id))
        })
    }
}

/// Runs the callbacks that are ready, on this thread. For clients with `"callbacks": "dispatch"`.
///
/// Call it from your main loop. Several threads may. Callbacks that become ready while these run wait for the
/// next call.
///
/// @param client     Borrowed; safe from any thread.
/// @param timeout_ms How long to wait for the first callback: 0 never waits, a negative number waits for ever.
/// @return How many callbacks ran. 0 at once if the client is closed, or if its callbacks run on threads of the
///         library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_client_dispatch(
    client: *const ClientHandle,
    timeout_ms: i64,
) -> usize {
    // SAFETY: the rules of the header.
    guard(0, || {
        unsafe { self::client(client) }.map_or(0, |client| client.dispatch(timeout_ms))
    })
}

/// Sets what wakes your event loop when there is something to dispatch. For clients with `"callbacks": "dispatch"`.
///
/// It is called whenever callbacks become ready where none were: once, however many follow before the next
/// trophy_client_dispatch(), and at once if some are ready already. What becomes ready while a dispatch runs calls it
/// again, so nothing is missed by a loop that first takes the wake-up off its pipe and then dispatches. When this
/// returns, the callback before it is no longer running and will not be called again (unless it is what called); after
/// trophy_client_close() or trophy_client_free() none is. A forked child sets its own.
///
/// @param client    Borrowed; safe from any thread. The callback is for all handles of the client.
/// @param ready     Called from any thread, also inside a call of the library. NULL: nobody is woken.
/// @param user_data Passed to each call. Yours: it must live until the callback is replaced or the client ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_client_on_ready(
    client: *const ClientHandle,
    ready: ReadyFunction,
    user_data: *mut c_void,
) {
    guard((), || {
        // SAFETY: the rules of the header.
        if let Ok(client) = unsafe { self::client(client) } {
            let ready = HostReady::new(ready, user_data);
            client.on_ready(ready.map(|ready| Arc::new(ready) as Arc<dyn ReadyCallback>));
        }
    });
}

/// Ends the asynchronous calls that were given this `user_data`, waiting or under way.
///
/// Their callbacks still run, once each, with TROPHY_STATUS_CANCELLED (or with the reply, if it was first).
/// An event under way may have been counted.
///
/// @param client    Borrowed; safe from any thread.
/// @param user_data As it was given to the calls. NULL means those that were given NULL.
/// @return How many calls it ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_client_cancel(
    client: *const ClientHandle,
    user_data: *const c_void,
) -> usize {
    // SAFETY: the rules of the header.
    guard(0, || {
        unsafe { self::client(client) }.map_or(0, |client| client.cancel(user_data as usize))
    })
}

/// Reads what the client has done and has to do, as numbers. No network.
///
/// Of the queue: `queued`, `inFlight`, and how many have been `delivered`, `dead` (refused), `expired`, `dropped`
/// (to make room), `damaged`; `bytesOnDisk`, `paused` (by a key that the service refuses), and its present
/// `requestsPerSecond`. Of all calls: `requests` (attempts), `retries`, `rateLimited`, `callsUnderWay`,
/// `callsWaiting`, and `callsFinished`, an object by status name.
///
/// @param client   Borrowed; safe from any thread.
/// @param out_json Set to an object of these, or to error JSON. Owned: free with trophy_string_free(). May be
///                 NULL.
/// @return TROPHY_STATUS_OK, or TROPHY_STATUS_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_client_stats(
    client: *const ClientHandle,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { boundary(out_json, || self::client(client)?.stats()) }
}

/// Ends the client in an orderly way: takes no more work, delivers what is queued, waits for the calls under
/// way, then cancels those that are left.
///
/// Blocks at most `timeout_ms`, and 50 ms (100 ms on Windows). Calls in other threads, a flush among them,
/// return TROPHY_STATUS_CANCELLED, later calls TROPHY_STATUS_CLOSED. What is still queued stays on disk, for
/// the next client on that path. Callbacks not yet dispatched run here. The handles have still to be freed.
///
/// @param client     Borrowed; safe from any thread, but not inside a callback.
/// @param timeout_ms 0 cancels at once; a negative number waits for ever.
/// @param out_json   Set to `{"undelivered": n, "cancelled": m}`: events left in the queue, calls that had to be
///                   cancelled; or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK if both are 0; TROPHY_STATUS_TIMEOUT if not; TROPHY_STATUS_INVALID_ARGUMENT inside a
///         callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_client_close(
    client: *const ClientHandle,
    timeout_ms: i64,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { boundary(out_json, || self::client(client)?.close(timeout_ms)) }
}

/// Frees a handle. With its last handle the client ends, as by trophy_client_close() with no wait.
///
/// Waits for a callback that is running to return. After that no callback runs, and no thread of the library is
/// left, but for a look-up of a host name that hangs, which nothing can end: it has nothing of the client, and calls
/// nobody. What is queued stays on disk.
///
/// @param client Owned by the caller until now; no other thread may be using this handle. NULL is fine.
///               Inside a callback a client's last handle is not freed, and the log says so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_client_free(client: *mut ClientHandle) {
    guard((), || {
        // SAFETY: the rules of the header.
        let Some(handle) = (unsafe { client.as_mut() }) else {
            return;
        };
        match handle.0.let_go() {
            // SAFETY: it came from `OutClient::set`, and is freed once.
            Ok(()) => drop(unsafe { Box::from_raw(client) }),
            Err(error) => log::error(|| format!("trophy_client_free: {}", error.message)),
        }
    });
}

/// Changes the API key, after it was rotated. A queue that was paused by the old one goes on.
///
/// For all handles of the client. A call under way takes it with its next attempt.
///
/// @param client   Borrowed; safe from any thread.
/// @param api_key  The new key. Borrowed, UTF-8.
/// @param out_json Set to `null`, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_ARGUMENT; or TROPHY_STATUS_CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_client_set_api_key(
    client: *const ClientHandle,
    api_key: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        boundary(out_json, || {
            self::client(client)?.set_api_key(required("api_key", api_key)?)
        })
    }
}
