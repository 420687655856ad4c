//! A reply: what its head says to us, and its body up to a limit.

use std::io::Read;

use ureq::Body;
use ureq::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER,
    TRANSFER_ENCODING,
};
use ureq::http::{Response, Version};

use super::current::Current;
use super::exchange::{Head, Kind};
use super::explain::explain;
use super::fault::Fault;

static RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// A server may announce what it never sends: beyond this, memory follows what came.
const MOST_TRUSTED: u64 = 1 << 20;

impl Head {
    pub fn of(response: &Response<Body>) -> Self {
        let text = |name: &HeaderName| {
            let value = response.headers().get(name)?;
            std::str::from_utf8(value.as_bytes())
                .ok()
                .map(str::to_owned)
        };
        let status = response.status();
        let if_refused = |name| (!status.is_success()).then(|| text(name)).flatten();
        Self {
            status: status.as_u16(),
            retry_after: if_refused(&RETRY_AFTER),
            rate_limit_reset: if_refused(&RATE_LIMIT_RESET),
            date: text(&DATE),
            content_type: text(&CONTENT_TYPE),
            content_encoding: text(&CONTENT_ENCODING),
        }
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The coding of the body, which no request of ours allows.
    fn coding(&self) -> Option<&str> {
        let coding = self.content_encoding.as_deref().map(str::trim);
        coding.filter(|it| !it.is_empty() && !it.eq_ignore_ascii_case("identity"))
    }
}

/// Reads the body, which has a spare byte of capacity.
pub fn read_body(
    response: Response<Body>,
    head: &Head,
    max_bytes: u64,
    current: &Current,
) -> Result<Vec<u8>, Fault> {
    let invalid = |reason: String| Fault::new(Kind::InvalidResponse, reason);
    if head.status < 200 {
        let reason = format!("the server changes the protocol, unasked: {}", head.status);
        return Err(invalid(reason));
    }
    if has_doubtful_end(&response) || head.coding().is_some() {
        current.end_connection();
    }
    if has_foreign_framing(response.headers()) {
        return Err(invalid(
            "the reply has a transfer coding that was not asked for".to_owned(),
        ));
    }
    if let Some(coding) = head.coding().filter(|_| head.is_success()) {
        let reason = format!("the reply is compressed ({coding}), which nobody asked for");
        return Err(invalid(reason));
    }
    let too_long = || {
        invalid(format!(
            "the reply is longer than {max_bytes} bytes; `max_response_bytes` sets the limit"
        ))
    };
    let body = response.into_body();
    let announced = body.content_length().unwrap_or(0);
    if announced > max_bytes {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(announced.min(MOST_TRUSTED) as usize + 1);
    body.into_reader()
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| explain(error.into(), current))?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_long());
    }
    bytes.reserve_exact(1);
    Ok(bytes)
}

/// Somebody on the way may have seen another end, so that what follows is not the next reply.
fn has_doubtful_end(response: &Response<Body>) -> bool {
    let headers = response.headers();
    let is_chunked = headers.contains_key(TRANSFER_ENCODING);
    let length = headers.get(CONTENT_LENGTH).map(|it| it.as_bytes());
    let has_no_body = matches!(response.status().as_u16(), 204 | 304);
    is_chunked && (length.is_some() || has_no_body || response.version() == Version::HTTP_10)
        || has_no_body && length.is_some_and(|it| it != b"0")
}

/// Whether the body is framed by anything but `chunked`, once.
fn has_foreign_framing(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings.next();
    codings.next().is_some()
        || first.is_some_and(|it| !it.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
}
