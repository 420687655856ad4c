//! Reading JSON without a JSON library, by JSON Pointer (RFC 6901), and writing a string safely.

use std::ffi::{CString, c_char};
use std::ptr;

use super::boundary::guard;
use super::pointers::{owned, required};
use crate::api::json;

/// Reads a number.
///
/// `trophy_json_number(json, "/currentStreak/length", 0)`. A pointer is RFC 6901: `/` before each name or
/// index, `~1` for a `/` in a name, `~0` for a `~`, and "" for the whole text.
///
/// @param json     JSON. Borrowed, UTF-8. NULL gives `fallback`.
/// @param pointer  Where the number is. Borrowed, UTF-8.
/// @param fallback What to return if there is no number: absent, of another type, or no JSON.
/// @return The number, or `fallback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_json_number(
    json: *const c_char,
    pointer: *const c_char,
    fallback: f64,
) -> f64 {
    // SAFETY: the rules of the header.
    unsafe { read(json, pointer, json::number) }.unwrap_or(fallback)
}

/// Reads a string, unescaped; any other value as its JSON text.
///
/// So `trophy_json_string(json, "/achievements")` gives an array that can be read in turn.
///
/// @param json    JSON. Borrowed, UTF-8.
/// @param pointer Where the value is, as for trophy_json_number(). Borrowed, UTF-8.
/// @return Owned: free with trophy_string_free(). NULL if there is no such value, if `json` is no JSON,
///         or if the string holds U+0000, which no C string can.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_json_string(
    json: *const c_char,
    pointer: *const c_char,
) -> *mut c_char {
    let text = |json: &str, pointer: &str| CString::new(json::text(json, pointer)?).ok();
    // SAFETY: the rules of the header.
    unsafe { read(json, pointer, text) }.map_or(ptr::null_mut(), CString::into_raw)
}

/// Counts the items of an array or the members of an object.
///
/// @param json    JSON. Borrowed, UTF-8.
/// @param pointer Where the array or object is, as for trophy_json_number(). Borrowed, UTF-8.
/// @return The count; -1 if there is no array or object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_json_length(json: *const c_char, pointer: *const c_char) -> i64 {
    // SAFETY: the rules of the header.
    unsafe { read(json, pointer, json::length) }.map_or(-1, |length| length as i64)
}

/// Writes text as a JSON string, with its quotes and escapes: the safe way to build JSON with printf().
///
/// @param text Any text. Borrowed, UTF-8.
/// @return Owned: free with trophy_string_free(). NULL if `text` is NULL or not UTF-8.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trophy_json_quote(text: *const c_char) -> *mut c_char {
    guard(ptr::null_mut(), || {
        // SAFETY: the rules of the header.
        let text = unsafe { required("text", text) };
        text.map_or(ptr::null_mut(), |text| owned(json::quote(text)))
    })
}

/// What `find` makes of the two texts; nothing where one of them is missing.
///
/// # Safety
/// Each text is NULL or NUL-terminated.
unsafe fn read<T>(
    json: *const c_char,
    pointer: *const c_char,
    find: impl FnOnce(&str, &str) -> Option<T>,
) -> Option<T> {
    guard(None, || {
        // SAFETY: the caller's promise.
        let texts = unsafe { (required("json", json), required("pointer", pointer)) };
        find(texts.0.ok()?, texts.1.ok()?)
    })
}
