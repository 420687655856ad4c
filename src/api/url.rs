//! The server that a URL names: what `http` takes for one, and is none, is refused. And how long what is sent may be.

use std::net::{IpAddr, Ipv6Addr};

use http::Uri;

/// The longest line of a request's head, twice what servers commonly take: what is longer is refused before it is
/// kept or sent.
pub const MAX_LINE: usize = 16 << 10;
/// Of a line, besides a URL, or besides a header's name and value, 32 bytes may be needed.
pub const MAX_IN_LINE: usize = MAX_LINE - 32;
/// A URL is a base, and a path with a query.
pub const MAX_BASE_URL: usize = 2 << 10;
pub const MAX_TARGET: usize = MAX_IN_LINE - MAX_BASE_URL;
/// A header is a name and a value.
pub const MAX_HEADER_NAME: usize = 1 << 10;
pub const MAX_HEADER_VALUE: usize = 8 << 10;
const _: () = assert!(MAX_HEADER_NAME + MAX_HEADER_VALUE <= MAX_IN_LINE);

/// The host, without the brackets of an IPv6 address, and the port: the scheme's where the URL has none.
pub fn server(uri: &Uri) -> Result<(&str, u16), &'static str> {
    let name = host(uri);
    if name.is_empty() {
        return Err("the URL has no host");
    }
    // `http` takes anything between brackets for an address: a zone, too, which no other machine knows.
    if uri.host().is_some_and(|it| it.starts_with('[')) && name.parse::<Ipv6Addr>().is_err() {
        return Err("the URL has brackets, but no IPv6 address in them");
    }
    Ok((name, port(uri)?))
}

/// Without the brackets of an IPv6 address; empty if there is none.
pub fn host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.unwrap_or(host)
}

/// `http` takes a port that is none, such as 99999, for the lack of one; so look at the text, too.
fn port(uri: &Uri) -> Result<u16, &'static str> {
    let authority = uri.authority().map_or("", |it| it.as_str());
    let from_host = authority.rsplit_once('@').map_or(authority, |it| it.1);
    let after_host = from_host.strip_prefix(uri.host().unwrap_or_default());
    match (after_host, uri.port_u16()) {
        (Some("" | ":"), None) => Ok(match uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        }),
        (Some(text), Some(port)) if text.starts_with(':') && port > 0 => Ok(port),
        _ => Err("the URL's port must be a number from 1 to 65535"),
    }
}

/// RFC 6761: such names never leave the machine.
pub fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next();
    last.is_some_and(|it| it.eq_ignore_ascii_case("localhost"))
}

/// Whether it is this machine, without the brackets of an IPv6 address.
pub fn is_loopback(host: &str) -> bool {
    let address = || host.parse::<IpAddr>();
    is_localhost(host) || address().is_ok_and(|it| it.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for (url, expected) in [
            ("https://h", Ok(("h", 443))),
            ("http://h:/", Ok(("h", 80))),
            ("http://me:1@h:2", Ok(("h", 2))),
            ("http://[::1]:8080", Ok(("::1", 8080))),
            ("http://:80/", Err("no host")),
            ("http://h:0", Err("port")),
            ("http://h:99999", Err("port")),
            ("http://[fe80::1%25eth0]/", Err("brackets")),
            ("http://[:]:80/", Err("brackets")),
            ("http://[::1]x", Err("port")),
        ] {
            let uri = url.parse().unwrap();
            match (server(&uri), expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{url}"),
                (Err(got), Err(expected)) => assert!(got.contains(expected), "{url}: {got}"),
                (got, _) => panic!("{url}: {got:?}"),
            }
        }
    }
    #[test]
    fn loopback_is_told_by_name_and_by_address() {
        for host in [
            "localhost",
            "LocalHost.",
            "a.localhost",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "notlocalhost",
            "localhost.example",
            "10.0.0.1",
            "0.0.0.0",
            "::2",
            "[::1]",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
