//! Streaks.

use std::ffi::c_char;

use super::read;
use crate::error::Status;
use crate::ffi::pointers::ClientHandle;

/// Lists the streaks of some users, the longest first.
///
/// GET /streaks. Blocks until the reply, at most the client's `timeout_in_seconds`.
///
/// @param client    Borrowed; safe from any thread.
/// @param args_json `{"userIds": ["42", "43"]}`: needed, up to 100. Borrowed, UTF-8.
/// @param out_json  Set to the streaks, an array, or to error JSON. Owned: free with trophy_string_free().
///                  May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_UNPROCESSABLE if the service refuses it; or another status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_streaks_list(
    client: *const ClientHandle,
    args_json: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe { read(client, "streaks_list", &[], args_json, out_json) }
}
