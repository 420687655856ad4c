//! Pointers in, pointers out: C's text, clients and out-parameters as Rust's values and back.

use std::ffi::{CStr, CString, c_char};

use crate::client::Client;
use crate::error::Error;

/// A handle on a client: its connections, its threads, its queue.
pub struct ClientHandle(pub Client);

/// # Safety
/// `client` is NULL or not freed yet.
pub unsafe fn client<'a>(client: *const ClientHandle) -> Result<&'a Client, Error> {
    // SAFETY: the caller's promise.
    match unsafe { client.as_ref() } {
        Some(handle) => Ok(&handle.0),
        None => Err(Error::invalid(
            "client: is NULL; make one with trophy_client_new()",
        )),
    }
}

/// Text that may be left out. `name` is the parameter's.
///
/// # Safety
/// `text` is NULL or NUL-terminated, and lives and stays the same for `'a`.
pub unsafe fn optional<'a>(name: &str, text: *const c_char) -> Result<Option<&'a str>, Error> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    check_memory(name, text.count_bytes())?;
    match text.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(error) => Err(Error::invalid(format!(
            "{name}: is not UTF-8, from byte {} on",
            error.valid_up_to()
        ))),
    }
}

/// Without memory for what is made of a text the process would be aborted. Of a large one, whose size is the host's
/// choice, it is asked beforehand, and given back at once.
pub fn check_memory(name: &str, length: usize) -> Result<(), Error> {
    const LARGE: usize = 1 << 20;
    // As it is checked, as JSON, and as it is sent.
    const COPIES: usize = 4;
    if length < LARGE {
        return Ok(());
    }
    let needed = length.saturating_mul(COPIES);
    Vec::<u8>::new().try_reserve_exact(needed).map_err(|_| {
        Error::invalid(format!(
            "{name}: there is no memory for a text of {length} bytes; make it smaller"
        ))
    })
}

/// Text that must be given.
///
/// # Safety
/// As [`optional`].
pub unsafe fn required<'a>(name: &str, text: *const c_char) -> Result<&'a str, Error> {
    // SAFETY: the caller's promise.
    match unsafe { optional(name, text)? } {
        Some(text) => Ok(text),
        None => Err(Error::invalid(format!("{name}: is NULL; it is needed"))),
    }
}

/// Text for C to keep and to give back to `trophy_string_free`.
pub fn owned(text: String) -> *mut c_char {
    terminated(text).into_raw()
}

/// The same text with its NUL at the end. JSON and log lines hold none before; should one do so all the
/// same, it is written as JSON writes it.
pub fn terminated(text: String) -> CString {
    if has_nul(text.as_bytes()) {
        return CString::new(text.replace('\0', "\\u0000")).unwrap_or_default();
    }
    // SAFETY: there is no NUL in it.
    unsafe { CString::from_vec_unchecked(text.into_bytes()) }
}

/// By the C library, which is several times as fast as Rust's own search.
fn has_nul(bytes: &[u8]) -> bool {
    // SAFETY: so many bytes, borrowed for the call.
    let found = unsafe { libc::memchr(bytes.as_ptr().cast(), 0, bytes.len()) };
    !found.is_null()
}

/// `out_client`: NULL until the client is made.
pub struct OutClient(*mut *mut ClientHandle);

impl OutClient {
    /// # Safety
    /// `out` is NULL or may be written to.
    pub unsafe fn new(out: *mut *mut ClientHandle) -> Self {
        if !out.is_null() {
            // SAFETY: not NULL, and the caller's promise.
            unsafe { out.write(std::ptr::null_mut()) };
        }
        Self(out)
    }

    /// Makes a client for the caller, unless there is nowhere to put it.
    pub fn set(&self, make: impl FnOnce() -> Result<Client, Error>) -> Result<(), Error> {
        if self.0.is_null() {
            return Err(Error::invalid(
                "out_client: is NULL; pass the address of a trophy_client pointer",
            ));
        }
        let handle = Box::into_raw(Box::new(ClientHandle(make()?)));
        // SAFETY: not NULL, and `new`'s caller promised the rest.
        unsafe { self.0.write(handle) };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[test]
    fn text_is_checked_and_its_parameter_named() {
        let message = |result: Result<_, Error>| result.map(str::to_owned).unwrap_err().message;
        unsafe {
            assert_eq!(required("key", c"é".as_ptr()).unwrap(), "é");
            assert_eq!(optional("key", ptr::null()).unwrap(), None);
            assert!(message(required("key", ptr::null())).starts_with("key: is NULL"));
            let bad = message(required("key", c"ab\xff".as_ptr()));
            assert_eq!(bad, "key: is not UTF-8, from byte 2 on");
        }
    }

    #[test]
    fn text_that_no_memory_can_hold_is_refused_and_small_text_is_not_asked_for() {
        assert!(check_memory("key", 5).is_ok());
        assert!(check_memory("key", 2 << 20).is_ok());
        let refused = check_memory("key", isize::MAX as usize).unwrap_err();
        assert!(refused.message.starts_with("key: there is no memory"));
    }

    #[test]
    fn a_nul_inside_text_cuts_nothing_off() {
        assert_eq!(terminated("a\0b".into()).to_str(), Ok("a\\u0000b"));
    }
}
