//! A request as the bytes of HTTP/1.1.

use super::Exchange;
use super::Kind;
use super::current::Fault;
use super::origin::Origin;
use crate::operations::Method;

/// They say where a message ends; a second opinion on that is how requests are smuggled.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "expect"];

/// Head and body, ready to be written. `target` is the URL's path and query; what it or a header holds
/// that could end its line is refused.
pub fn request(
    exchange: &Exchange<'_>,
    origin: &Origin,
    target: &str,
    user_agent: &str,
) -> Result<Vec<u8>, Fault> {
    let lines: usize = exchange
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    let body = exchange.body.unwrap_or_default();
    let mut bytes = Vec::with_capacity(
        target.len() + origin.host_header.len() + user_agent.len() + lines + body.len() + 96,
    );
    let mut put = |parts: &[&str]| {
        for part in parts {
            bytes.extend_from_slice(part.as_bytes());
        }
    };

    if !target
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return Err(refused("the URL's path or query is not percent-encoded"));
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    put(&[
        exchange.method.as_str(),
        " ",
        slash,
        target,
        " HTTP/1.1\r\n",
    ]);

    let has = |name: &str| {
        let mut names = exchange.headers.iter().map(|(other, _)| other);
        names.any(|other| other.eq_ignore_ascii_case(name))
    };
    if !has("host") {
        put(&["Host: ", &origin.host_header, "\r\n"]);
    }
    for (name, value) in exchange.headers {
        check_header(name, value)?;
        put(&[name, ": ", value, "\r\n"]);
    }
    if !user_agent.is_empty() && !has("user-agent") {
        put(&["User-Agent: ", user_agent, "\r\n"]);
    }
    // These have a body by nature: none at all would be a length that is missing.
    let needs_body = matches!(exchange.method, Method::Post | Method::Put | Method::Patch);
    if needs_body || exchange.body.is_some() {
        let mut digits = itoa::Buffer::new();
        put(&["Content-Length: ", digits.format(body.len()), "\r\n"]);
    }
    put(&["\r\n"]);
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// RFC 9110: a name is a token; a value has no control characters. Only ASCII, as no encoding is agreed.
fn check_header(name: &str, value: &str) -> Result<(), Fault> {
    if FRAMING.iter().any(|it| name.eq_ignore_ascii_case(it)) {
        return Err(refused(&format!(
            "the header `{name}` is the library's own"
        )));
    }
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(refused("a header's name is none"));
    }
    if !is_header_value(value) {
        return Err(refused(&format!(
            "the header `{name}` must be visible ASCII, with no line breaks"
        )));
    }
    Ok(())
}

pub fn is_header_value(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn refused(reason: &str) -> Fault {
    Fault::new(Kind::InvalidRequest, reason)
}
