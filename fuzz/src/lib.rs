//! What the targets share: the C API, and text for it.

#[allow(unused_extern_crates)] // Its functions are linked by their names in C.
extern crate trophy;

mod c_api;

use std::ffi::{CStr, CString, c_char};

pub use c_api::*;

/// Bytes as a caller in C may pass them: up to the first NUL, UTF-8 or not.
pub fn c_text(bytes: &[u8]) -> CString {
    let end = bytes.iter().position(|byte| *byte == 0);
    CString::new(&bytes[..end.unwrap_or(bytes.len())]).expect("it holds no NUL")
}

/// Takes text that the library gave, and frees it there.
///
/// # Safety
/// `text` is NULL or was given by the library to be freed.
pub unsafe fn taken(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, and the caller's promise.
    let copy = unsafe { CStr::from_ptr(text) }
        .to_str()
        .expect("what the library gives is UTF-8")
        .to_owned();
    // SAFETY: the caller's promise.
    unsafe { trophy_string_free(text) };
    Some(copy)
}

/// What `out_json` holds after every call: JSON, which is taken and freed. Returns it.
///
/// # Safety
/// As [`taken`].
pub unsafe fn taken_json(status: i32, text: *mut c_char) -> String {
    // SAFETY: the caller's promise.
    let json = unsafe { taken(text) }.expect("out_json is always set");
    match serde_json::from_str::<serde_json::Value>(&json) {
        Ok(value) if status != 0 && status != 11 && status != 3 => {
            assert!(value["error"]["code"].is_string(), "{status}: {json}");
            assert!(value["error"]["message"].is_string(), "{status}: {json}");
        }
        Ok(_) => {}
        Err(error) => assert!(is_beyond(&error), "{error}: {json:?}"),
    }
    assert_ne!(status, 99, "a panic: {json}");
    json
}

/// Sound JSON all the same, which serde_json will not make values of: too deep, a number beyond a double, or half of a
/// surrogate pair.
pub fn is_beyond(error: &serde_json::Error) -> bool {
    let said = error.to_string();
    said.contains("recursion limit")
        || said.contains("number out of range")
        || said.contains("hex escape")
}
