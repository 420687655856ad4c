//! Points systems.

use std::ffi::c_char;

use super::read;
use crate::error::Status;
use crate::ffi::pointers::ClientHandle;

/// Counts the users in each range of points.
///
/// GET /points/{key}/summary. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param key       The points system's key. Borrowed, UTF-8.
/// @param args_json Optional: `{"userAttributes": "plan:pro,city:London"}`: only users with all these
///                  attributes. NULL for none. Borrowed, UTF-8.
/// @param out_json  Set to the ranges, an array, or to error JSON. Owned: free with trophy_string_free(). May
///                  be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such points system; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_points_summary(
    client: *const ClientHandle,
    key: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "points_summary", &[key], args_json, out_json) }
}

/// Reads a points system, with its triggers.
///
/// GET /points/{key}. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param key       The points system's key. Borrowed, UTF-8.
/// @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the points system, or to error JSON. Owned: free with trophy_string_free(). May be
///                  NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such points system; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_points_system(
    client: *const ClientHandle,
    key: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "points_system", &[key], args_json, out_json) }
}

/// Lists the points boosts of a points system that are for all users.
///
/// GET /points/{key}/boosts. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param key       The points system's key. Borrowed, UTF-8.
/// @param args_json Optional: `{"includeFinished": true}`: also those that are over. NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the boosts, an array, or to error JSON. Owned: free with trophy_string_free(). May
///                  be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such points system; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_points_boosts(
    client: *const ClientHandle,
    key: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "points_boosts", &[key], args_json, out_json) }
}

/// Lists the levels of a points system.
///
/// GET /points/{key}/levels. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param key       The points system's key. Borrowed, UTF-8.
/// @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the levels, an array, or to error JSON. Owned: free with trophy_string_free(). May
///                  be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such points system; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_points_levels(
    client: *const ClientHandle,
    key: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "points_levels", &[key], args_json, out_json) }
}

/// Counts the users at each level of a points system.
///
/// GET /points/{key}/level-summary. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param key       The points system's key. Borrowed, UTF-8.
/// @param args_json Optional: `{"options": {...}}`, request options (see above). NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the levels with their counts, an array, or to error JSON. Owned: free with
///                  trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such points system; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_points_level_summary(
    client: *const ClientHandle,
    key: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "points_level_summary", &[key], args_json, out_json) }
}
