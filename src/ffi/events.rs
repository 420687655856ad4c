//! The main job: one metric event, sent in one of three ways, with one parameter list.

use std::ffi::{c_char, c_void};

use super::boundary::boundary;
use super::callback::{CallbackFunction, HostCallback};
use super::pointers::{ClientHandle, client, optional, required};
use crate::api::event::EventArgs;
use crate::error::{Error, Status};

/// Sends a metric event: adds `value` to a user's metric, and tells what that changed.
///
/// POST /metrics/{key}/event. Blocks until the reply, at most the client's `timeout_in_seconds`, its turn in
/// its lane and all attempts included. It counts once: every attempt carries the same idempotency key.
///
/// @param client          Borrowed; safe from any thread.
/// @param key             The metric's key. Borrowed, UTF-8.
/// @param user_json       The user: `{"id": "42"}`, and what is to be set or changed: email, name, tz,
///                        device_tokens, subscribe_to_emails, sign_up_date ("YYYY-MM-DD"), attributes. Borrowed,
///                        UTF-8.
/// @param value           How much to add. May be negative or a fraction; not NaN, not infinite.
/// @param attributes_json Optional: the event's attributes, `{"genre": "crime"}`. Values are strings, null ones
///                        are left out. NULL for none. Borrowed, UTF-8.
/// @param idempotency_key Optional: what makes this event the same as another of this user and metric, such as
///                        your row's id. Visible ASCII. NULL: one is made. Borrowed.
/// @param options_json    Optional: request options (see above). NULL for none. Borrowed, UTF-8.
/// @param out_json        Set to the reply: total, achievements, currentStreak, points, leaderboards,
///                        idempotencyKey, idempotentReplayed (true if it had counted before); or to error JSON.
///                        Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_BAD_REQUEST or TROPHY_STATUS_UNPROCESSABLE if the service refuses it
///         (an attribute that was not set up, say); TROPHY_STATUS_INVALID_RESPONSE if it may have counted but the
///         reply cannot be read; or another status.
#[allow(clippy::too_many_arguments)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_metrics_event(
    client: *const ClientHandle,
    key: *const c_char,
    user_json: *const c_char,
    value: f64,
    attributes_json: *const c_char,
    idempotency_key: *const c_char,
    options_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        boundary(out_json, || {
            let client = self::client(client)?;
            client.event(&event_args(
                key,
                user_json,
                value,
                attributes_json,
                idempotency_key,
                options_json,
            )?)
        })
    }
}

/// Sends a metric event without waiting: the reply comes to `callback`.
///
/// POST /metrics/{key}/event. Returns at once; everything is copied. Events of one user and metric are sent in
/// the order of the calls on the client.
///
/// @param client          Borrowed; safe from any thread.
/// @param key             As for trophy_metrics_event(), as are the next five.
/// @param user_json       The user.
/// @param value           How much to add.
/// @param attributes_json Optional: the event's attributes. NULL for none.
/// @param idempotency_key Optional. NULL: one is made.
/// @param options_json    Optional: request options. NULL for none.
/// @param callback        Called exactly once if this returns TROPHY_STATUS_OK, cancelled calls included; else
///                        never. On a thread of the library, or inside trophy_client_dispatch(): see the option
///                        `callbacks`.
/// @param user_data       Passed to `callback`. Yours: it must live until then.
/// @param out_json        Set to `null`, or to error JSON. Owned: free with trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_ARGUMENT; TROPHY_STATUS_QUEUE_FULL if too many calls wait; or
///         TROPHY_STATUS_CLOSED.
#[allow(clippy::too_many_arguments)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_metrics_event_async(
    client: *const ClientHandle,
    key: *const c_char,
    user_json: *const c_char,
    value: f64,
    attributes_json: *const c_char,
    idempotency_key: *const c_char,
    options_json: *const c_char,
    callback: CallbackFunction,
    user_data: *mut c_void,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        boundary(out_json, || {
            let client = self::client(client)?;
            let args = event_args(
                key,
                user_json,
                value,
                attributes_json,
                idempotency_key,
                options_json,
            )?;
            client.event_async(&args, HostCallback::required(callback, user_data)?)
        })
    }
}

/// Puts a metric event into the queue, which delivers it, now or after days offline, and counts it once.
///
/// Returns when the event is safe on disk (see the queue's `durability`), after microseconds; everything is
/// copied. How each event ended is told to trophy_client_on_delivery(). Events of one user and metric are delivered
/// in the order of the calls on the client; two clients that share a folder keep an order each.
///
/// @param client          Borrowed; safe from any thread.
/// @param key             As for trophy_metrics_event(), as are the next five.
/// @param user_json       The user.
/// @param value           How much to add.
/// @param attributes_json Optional: the event's attributes. NULL for none.
/// @param idempotency_key Optional. NULL: one is made.
/// @param options_json    Optional: request options. NULL for none. Refused are `api_key`, since the queue never
///                        writes one down, `base_url`, `timeout_in_seconds` and `max_retries`, since it tries
///                        until the event is delivered.
/// @param out_json        Set to `{"idempotencyKey": "..."}`, or to error JSON. Owned: free with
///                        trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK: it is kept; TROPHY_STATUS_INVALID_ARGUMENT; TROPHY_STATUS_QUEUE_FULL;
///         TROPHY_STATUS_STORAGE if the disk refuses; or TROPHY_STATUS_CLOSED.
#[allow(clippy::too_many_arguments)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_metrics_event_enqueue(
    client: *const ClientHandle,
    key: *const c_char,
    user_json: *const c_char,
    value: f64,
    attributes_json: *const c_char,
    idempotency_key: *const c_char,
    options_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        boundary(out_json, || {
            let client = self::client(client)?;
            client.event_enqueue(&event_args(
                key,
                user_json,
                value,
                attributes_json,
                idempotency_key,
                options_json,
            )?)
        })
    }
}

/// # Safety
/// Each text is NULL or NUL-terminated, and lives and stays the same for `'a`.
unsafe fn event_args<'a>(
    key: *const c_char,
    user_json: *const c_char,
    value: f64,
    attributes_json: *const c_char,
    idempotency_key: *const c_char,
    options_json: *const c_char,
) -> Result<EventArgs<'a>, Error> {
    // SAFETY: the caller's promise.
    unsafe {
        Ok(EventArgs {
            key: required("key", key)?,
            user_json: required("user_json", user_json)?,
            value,
            attributes_json: optional("attributes_json", attributes_json)?,
            idempotency_key: optional("idempotency_key", idempotency_key)?,
            options_json: optional("options_json", options_json)?,
        })
    }
}
