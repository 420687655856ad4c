//! Webhooks: checking that a request came from Trophy.

use std::ffi::c_char;

use super::boundary::boundary;
use super::pointers::{check_memory, required};
use crate::api::{json, webhook};
use crate::error::{Error, Status};

/// Checks that a webhook was signed with your secret, so that it comes from Trophy and is unchanged.
///
/// Compares in constant time. No network. Call it before you read the body.
///
/// @param body        The raw bytes of the request's body, as they came. Borrowed. NULL only if
///                    `body_length` is 0.
/// @param body_length How many bytes.
/// @param signature   The X-Trophy-Signature header. Borrowed, UTF-8.
/// @param secret      The webhook's secret, from the dashboard. Borrowed, UTF-8.
/// @param out_json    Set to the body if it is JSON, else to `null`; or to error JSON. Owned: free with
///                    trophy_string_free(). May be NULL.
/// @return TROPHY_STATUS_OK; TROPHY_STATUS_INVALID_SIGNATURE if it was not, so answer 401 and do nothing;
///         or TROPHY_STATUS_INVALID_ARGUMENT.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_webhook_verify(
    body: *const u8,
    body_length: usize,
    signature: *const c_char,
    secret: *const c_char,
    out_json: *mut *mut c_char,
) -> Status {
    // SAFETY: the rules of the header.
    unsafe {
        boundary(out_json, || {
            let body = bytes("body", body, body_length)?;
            check_memory("body", body_length)?;
            webhook::verify(
                body,
                required("signature", signature)?,
                required("secret", secret)?,
            )?;
            let json = str::from_utf8(body).ok().filter(|text| json::is_json(text));
            Ok(json.unwrap_or("null").to_owned())
        })
    }
}

/// # Safety
/// `start` is NULL or the start of `length` bytes that live and stay the same for `'a`.
unsafe fn bytes<'a>(name: &str, start: *const u8, length: usize) -> Result<&'a [u8], Error> {
    match (start.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Error::invalid(format!(
            "{name}: is NULL, but {name}_length is {length}"
        ))),
        (false, length) if isize::try_from(length).is_err() => Err(Error::invalid(format!(
            "{name}_length: {length} is more than memory can hold"
        ))),
        // SAFETY: not NULL, a length that a slice may have, and the caller's promise.
        (false, length) => Ok(unsafe { std::slice::from_raw_parts(start, length) }),
    }
}
