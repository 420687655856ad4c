//! Achievements.

use std::ffi::c_char;

use super::read;
use crate::error::Status;
use crate::ffi::boundary::boundary;
use crate::ffi::pointers::{ClientHandle, client, optional, required};

/// Lists all achievements, with how many users have completed each.
///
/// GET /achievements. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param args_json Optional: `{"userAttributes": "plan:pro,city:London"}`: only those open to a user with
///                  these attributes. NULL for none. Borrowed, UTF-8.
/// @param out_json  Set to the achievements, an array, or to error JSON. Owned: free with
///                  trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK, or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_achievements_all(
    client: *const ClientHandle,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "achievements_all", &[], args_json, out_json) }
}

/// Marks an achievement as completed by a user. For achievements that are completed by your program, not by a
/// metric.
///
/// POST /achievements/{key}/complete. Blocks until the reply, at most the client's `timeout_in_seconds`. Sent
/// again only if it did not reach the service, or on 429, since it would take effect twice.
///
/// @param client    Borrowed; safe from any thread.
/// @param key       The achievement's key. Borrowed, UTF-8.
/// @param user_json The user: `{"id": "42"}`, and what is to be set or changed: email, name, tz,
///                  device_tokens, subscribe_to_emails (needs an email), sign_up_date ("YYYY-MM-DD"),
///                  attributes (strings). Borrowed, UTF-8.
/// @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the completion, or to error JSON. Owned: free with trophy_string_free(). May be
///                  NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such achievement;
///         TROPHY_STATUS_UNPROCESSABLE if the service refuses it; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_achievements_complete(
    client: *const ClientHandle,
    key: *const c_char,
    user_json: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        boundary(out_json, || {
            let path = [required("key", key)?];
            let body = Some(("user_json", required("user_json", user_json)?));
            let args_json = optional("args_json", args_json)?;
            self::client(client)?.invoke("achievements_complete", &path, body, args_json)
        })
    }
}
