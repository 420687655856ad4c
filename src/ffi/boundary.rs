//! The guard around every exported function: no panic passes it, and `out_json` is always set.

use std::ffi::c_char;

use super::pointers::owned;
use crate::client::Ending;
use crate::error::{Error, Status};
use crate::host::panics;

/// What a call answers with.
pub struct Answer {
    status: Status,
    json: String,
}

/// The service's reply.
impl From<String> for Answer {
    fn from(json: String) -> Self {
        Self {
            status: Status::Ok,
            json,
        }
    }
}

/// Done, with nothing to tell.
impl From<()> for Answer {
    fn from((): ()) -> Self {
        // With room for the NUL that C needs.
        let mut json = String::with_capacity(5);
        json.push_str("null");
        Self::from(json)
    }
}

impl From<Ending> for Answer {
    fn from(ending: Ending) -> Self {
        Self {
            status: ending.status,
            json: format!(
                "{{\"undelivered\":{},\"cancelled\":{}}}",
                ending.undelivered, ending.cancelled
            ),
        }
    }
}

/// For functions that return a status: runs `work` and sets `*out_json` to its answer or its error.
///
/// # Safety
/// `out_json` is NULL or may be written to.
pub unsafe fn boundary<A: Into<Answer>>(
    out_json: *mut *mut c_char,
    work: impl Fn() -> Result<A, Error>,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { answer(out_json, &|| work().map(Into::into)) }
}

/// One function for all the work there is: one for each would be 1 KB each.
///
/// # Safety
/// As [`boundary`].
unsafe fn answer(out_json: *mut *mut c_char, work: &dyn Fn() -> Result<Answer, Error>) -> Status {
    if !out_json.is_null() {
        // SAFETY: not NULL, so the caller may be written to.
        unsafe { out_json.write(std::ptr::null_mut()) };
    }
    let result = panics::catch(work).unwrap_or_else(Err);
    let status = match &result {
        Ok(answer) => answer.status,
        Err(error) => error.status,
    };
    if !out_json.is_null() {
        let json = result.map_or_else(|error| error.to_json(), |answer| answer.json);
        // SAFETY: as above.
        unsafe { out_json.write(owned(json)) };
    }
    status
}

/// For functions that return something else: `fallback` after a panic.
pub fn guard<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    panics::catch(work).unwrap_or(fallback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::ptr;

    fn run<A: Into<Answer>>(work: impl Fn() -> Result<A, Error>) -> (Status, String) {
        let mut out = ptr::dangling_mut();
        let status = unsafe { boundary(&mut out, work) };
        let json = unsafe { CString::from_raw(out) };
        (status, json.into_string().unwrap())
    }

    #[test]
    fn out_json_is_set_whatever_happens() {
        assert_eq!(run(|| Ok("{}".to_owned())), (Status::Ok, "{}".into()));
        assert_eq!(run(|| Ok(())), (Status::Ok, "null".into()));
        let (status, json) = run(|| Err::<(), _>(Error::invalid("key: is empty")));
        assert_eq!(status, Status::InvalidArgument);
        assert_eq!(
            json,
            r#"{"error":{"code":"invalid_argument","message":"key: is empty"}}"#
        );
        let (status, json) = run(|| -> Result<(), Error> { panic!("a \"bug\"") });
        assert_eq!(status, Status::Panic);
        assert!(json.starts_with(r#"{"error":{"code":"panic","message":""#));
        assert!(json.contains(r#"a \"bug\""#));
    }

    #[test]
    fn a_timeout_tells_what_is_left_and_not_an_error() {
        let ending = Ending {
            undelivered: 3,
            cancelled: 2,
            status: Status::Timeout,
        };
        let json = r#"{"undelivered":3,"cancelled":2}"#.to_owned();
        assert_eq!(run(|| Ok(ending)), (Status::Timeout, json));
    }

    #[test]
    fn out_json_may_be_null() {
        let status = unsafe { boundary(ptr::null_mut(), || Ok("1".to_owned())) };
        assert_eq!(status, Status::Ok);
    }

    #[test]
    fn a_panic_gives_the_fallback() {
        assert_eq!(guard(-1, || panic!("a bug")), -1);
        assert_eq!(guard(-1, || 2), 2);
    }
}
