//! A request as the bytes of HTTP/1.1.

use super::Exchange;
use super::Kind;
use super::current::Fault;
use super::origin::Origin;
use crate::api::operations::Method;

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

/// RFC 9110: a name is a token, a value has no control characters.
fn check_header(name: &str, value: &str) -> Result<(), Fault> {
    if FRAMING.iter().any(|it| name.eq_ignore_ascii_case(it)) {
        return Err(refused(&format!(
            "the header `{name}` is the library's own"
        )));
    }
    if !is_header_name(name) {
        return Err(refused("a header's name is none"));
    }
    if !is_header_value(value) {
        return Err(refused(&format!(
            "the header `{name}` holds a line break or another control character"
        )));
    }
    Ok(())
}

/// A token, of a length that servers could take.
pub fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= usize::from(u16::MAX) && name.bytes().all(is_token)
}

pub fn is_header_value(value: &str) -> bool {
    // Eight bytes at a time, since every request has hundreds; a tab, which may be there, takes a second look.
    let (words, rest) = value.as_bytes().as_chunks::<8>();
    words
        .iter()
        .all(|word| has_no_control(*word) || word.iter().all(is_value_byte))
        && rest.iter().all(is_value_byte)
}

fn is_value_byte(byte: &u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Whether no byte is below a space or a DEL. (May say no for bytes beyond those, never yes.)
fn has_no_control(word: [u8; 8]) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    let word = u64::from_ne_bytes(word);
    let below_space = word.wrapping_sub(EACH * 0x20) & !word;
    let delete = word ^ (EACH * 0x7f);
    let is_delete = delete.wrapping_sub(EACH) & !delete;
    (below_space | is_delete) & (EACH * 0x80) == 0
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn refused(reason: &str) -> Fault {
    Fault::new(Kind::InvalidRequest, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_the_http_crate_takes_for_one() {
        let long = |length| "x".repeat(length);
        let names = (0..=0xff_u8).map(|byte| format!("a{}b", char::from(byte)));
        for name in names.chain([0, 1, 65_535, 65_536].map(long)) {
            let says_http = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
            assert_eq!(is_header_name(&name), says_http, "{:.20}", name);
        }
    }

    #[test]
    fn a_control_character_is_found_wherever_it_stands() {
        for byte in 0..=0x7f_u8 {
            for at in 0..20 {
                let mut value = vec![b'x'; 20];
                value[at] = byte;
                let value = String::from_utf8(value).unwrap();
                let is_allowed = matches!(byte, b'\t' | b' '..=b'~');
                assert_eq!(is_header_value(&value), is_allowed, "{byte} at {at}");
            }
        }
        for value in [
            "",
            "é",
            "übergrößenträger \u{10ffff}\u{80}",
            "\t\t\t\t\t\t\t\t",
        ] {
            assert!(is_header_value(value), "{value}");
        }
        assert!(!is_header_value("übergrößenträger\u{7f}"));
    }
}
