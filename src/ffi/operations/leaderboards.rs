//! Leaderboards.

use std::ffi::c_char;

use super::read;
use crate::error::Status;
use crate::ffi::pointers::ClientHandle;

/// Lists all leaderboards.
///
/// GET /leaderboards. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param args_json Optional: `{"includeFinished": true}`: also those that are over. NULL for none. Borrowed,
///                  UTF-8.
/// @param out_json  Set to the leaderboards, an array, or to error JSON. Owned: free with
///                  trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK, or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_leaderboards_all(
    client: *const ClientHandle,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "leaderboards_all", &[], args_json, out_json) }
}

/// Reads a leaderboard, with its rankings.
///
/// GET /leaderboards/{key}. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param key       The leaderboard's key. Borrowed, UTF-8.
/// @param args_json Optional: `{"offset": 0, "limit": 10, "run": "2026-01-05", "userId": "42",
///                  "userAttributes": "city:London"}`: a page of the rankings (default the first 10), counted
///                  from `userId` if given; the run of that date (default the current one); for a leaderboard
///                  by attribute, which value (needed there). NULL for none. Borrowed, UTF-8.
/// @param out_json  Set to the leaderboard, or to error JSON. Owned: free with trophy_string_free(). May be
///                  NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_NOT_FOUND if there is no such leaderboard; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_leaderboards_get(
    client: *const ClientHandle,
    key: *const c_char,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "leaderboards_get", &[key], args_json, out_json) }
}
