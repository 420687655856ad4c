//! Error ↔ status code ↔ error JSON. The one error type of the library.

use std::borrow::Cow;
use std::ffi::CStr;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

/// What became of a call. Numbers are only ever added.
// They are part of the ABI, so a retired one stays reserved. A new status is a variant here and a row
// in `STATUSES`.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Success.
    Ok = 0,
    /// A parameter is wrong; the message names it. Nothing was sent.
    InvalidArgument = 1,
    /// The client is closed, or is closing.
    Closed = 2,
    /// The call was ended by trophy_client_cancel(), trophy_client_close() or trophy_client_free().
    Cancelled = 3,
    /// No connection, or it broke before an answer came.
    Network = 10,
    /// The time allowed has passed. Of a flush or a close: something is left to deliver.
    Timeout = 11,
    /// The server's certificate was refused, or the handshake failed.
    Tls = 12,
    /// The service said yes, with a reply that cannot be read. It was not sent again; an event may have counted.
    InvalidResponse = 13,
    /// HTTP 400: the service found the request malformed.
    BadRequest = 20,
    /// HTTP 401: the API key is missing, wrong or was rotated.
    Unauthorized = 21,
    /// HTTP 403: the API key may not do this.
    Forbidden = 22,
    /// HTTP 404: there is no such user, metric, achievement.
    NotFound = 23,
    /// HTTP 422: the service understood the request and refuses it.
    Unprocessable = 24,
    /// HTTP 429: over the service's limit of requests a second.
    RateLimited = 25,
    /// Any other HTTP status that is not a success, redirects among them: they are not followed.
    Http = 26,
    /// HTTP 5xx: the service failed.
    Server = 27,
    /// The queue, or the backlog of asynchronous calls, is full.
    QueueFull = 30,
    /// The queue's folder could not be read or written.
    Storage = 31,
    /// A queued event became older than `max_age_in_seconds`.
    Expired = 32,
    /// The webhook was not signed with this secret.
    InvalidSignature = 40,
    /// A bug in the library, caught at its boundary. The client stays usable.
    Panic = 99,
}

/// Every status with its name, the `code` of error JSON.
pub const STATUSES: &[(Status, &CStr)] = &[
    (Status::Ok, c"ok"),
    (Status::InvalidArgument, c"invalid_argument"),
    (Status::Closed, c"closed"),
    (Status::Cancelled, c"cancelled"),
    (Status::Network, c"network"),
    (Status::Timeout, c"timeout"),
    (Status::Tls, c"tls"),
    (Status::InvalidResponse, c"invalid_response"),
    (Status::BadRequest, c"bad_request"),
    (Status::Unauthorized, c"unauthorized"),
    (Status::Forbidden, c"forbidden"),
    (Status::NotFound, c"not_found"),
    (Status::Unprocessable, c"unprocessable"),
    (Status::RateLimited, c"rate_limited"),
    (Status::Http, c"http"),
    (Status::Server, c"server"),
    (Status::QueueFull, c"queue_full"),
    (Status::Storage, c"storage"),
    (Status::Expired, c"expired"),
    (Status::InvalidSignature, c"invalid_signature"),
    (Status::Panic, c"panic"),
];

impl Status {
    /// The name of a status number, `c"unknown"` for a number that is none.
    pub fn name_of(number: i32) -> &'static CStr {
        STATUSES
            .iter()
            .find(|(status, _)| *status as i32 == number)
            .map_or(c"unknown", |(_, name)| name)
    }

    pub fn name(self) -> &'static str {
        Self::name_of(self as i32).to_str().unwrap_or_default()
    }

    /// The status of what a call came to.
    pub fn of<T>(result: &Result<T, Error>) -> Self {
        result.as_ref().err().map_or(Self::Ok, |error| error.status)
    }

    /// The status of an HTTP answer.
    pub fn of_http(code: u16) -> Self {
        match code {
            200..=299 => Self::Ok,
            400 => Self::BadRequest,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            422 => Self::Unprocessable,
            429 => Self::RateLimited,
            500..=599 => Self::Server,
            _ => Self::Http,
        }
    }
}

/// Why a call failed, for a program (`status` and the numbers) and for a person (`message`).
#[derive(Debug, Clone)]
pub struct Error {
    pub status: Status,
    /// What was wrong, where, and what to do. Never holds a key.
    pub message: String,
    pub details: Box<Details>,
}

/// The parts of an error that only some have.
#[derive(Debug, Clone, Default)]
pub struct Details {
    pub http_status: Option<u16>,
    /// How often the request was sent; 0 if it never was.
    pub attempts: u32,
    /// How long the service asked to wait.
    pub retry_after: Option<Duration>,
    /// What the service sent.
    pub body: Option<String>,
}

impl Error {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            details: Box::default(),
        }
    }

    /// A parameter is wrong. `message` begins with its name.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Status::InvalidArgument, message)
    }

    pub fn closed() -> Self {
        Self::new(
            Status::Closed,
            "client: it is closed; make a new one with trophy_client_new()",
        )
    }

    pub fn cancelled() -> Self {
        Self::new(Status::Cancelled, "the call was cancelled")
    }

    /// `{"error":{…}}`, as `out_json` gets it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&Envelope { error: self.view() }).unwrap_or_default()
    }

    /// What stands behind `"error"`.
    pub fn view(&self) -> View<'_> {
        let details = &self.details;
        View {
            code: self.status.name(),
            message: in_c(&self.message),
            http_status: details.http_status,
            attempts: (details.attempts > 0).then_some(details.attempts),
            retry_after_ms: details.retry_after.map(|after| after.as_millis() as u64),
            body: details.body.as_deref().map(|body| {
                match serde_json::from_str::<&RawValue>(body) {
                    Ok(json) => BodyView::Json(json),
                    Err(_) => BodyView::Text(body),
                }
            }),
        }
    }
}

/// What the service says, or a name in a caller's JSON, may hold U+0000, and no C string can.
fn in_c(message: &str) -> Cow<'_, str> {
    match message.contains('\0') {
        true => Cow::Owned(message.replace('\0', "\u{fffd}")),
        false => Cow::Borrowed(message),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status.name(), self.message)
    }
}

impl std::error::Error for Error {}

#[derive(Serialize)]
struct Envelope<'a> {
    error: View<'a>,
}

/// An error as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View<'a> {
    code: &'static str,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<BodyView<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum BodyView<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_json_leaves_out_what_is_absent_and_keeps_the_services_body() {
        let mut error = Error::new(Status::RateLimited, "too \"fast\"");
        assert_eq!(
            error.to_json(),
            r#"{"error":{"code":"rate_limited","message":"too \"fast\""}}"#
        );
        error.details.http_status = Some(429);
        error.details.attempts = 3;
        error.details.retry_after = Some(Duration::from_secs(1));
        error.details.body = Some(r#"{"error":"slow down"}"#.into());
        assert_eq!(
            error.to_json(),
            r#"{"error":{"code":"rate_limited","message":"too \"fast\"","httpStatus":429,"attempts":3,"retryAfterMs":1000,"body":{"error":"slow down"}}}"#
        );
        error.details.body = Some("<html>".into());
        assert!(error.to_json().contains(r#""body":"<html>""#));
    }

    #[test]
    fn an_unknown_number_has_a_name_too() {
        assert_eq!(Status::name_of(25), c"rate_limited");
        assert_eq!(Status::name_of(-7), c"unknown");
    }
}
