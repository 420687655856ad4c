//! Where a URL leads.

use std::net::Ipv6Addr;

use ureq::http::Uri;

use super::exchange::Kind;
use super::fault::Fault;

/// The server that a URL names, and what to ask it for.
pub struct Target {
    pub uri: Uri,
    pub tls: bool,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
}

impl Target {
    pub fn parse(url: &str) -> Result<Self, Fault> {
        let invalid = |reason: &str| Fault::new(Kind::InvalidRequest, reason);
        // http::Uri takes more, and drops a fragment.
        if !url.bytes().all(|it| it.is_ascii_graphic() && it != b'#') {
            return Err(invalid("the URL is not percent-encoded"));
        }
        let uri = Uri::try_from(url).map_err(|error| invalid(&error.to_string()))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err(invalid("the URL is neither https nor http")),
            None => return Err(invalid("the URL is not absolute")),
        };
        let host = host(&uri);
        if host.is_empty() {
            return Err(invalid("the URL has no host"));
        }
        // `http` takes anything between brackets for an address: a zone, too, which no other machine knows.
        if uri.host().is_some_and(|it| it.starts_with('[')) && host.parse::<Ipv6Addr>().is_err() {
            return Err(invalid("the URL has brackets, but no IPv6 address in them"));
        }
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: port(&uri).map_err(invalid)?,
            uri,
        })
    }

    /// `host:port`, as messages name the server; without the user and password that a URL may have.
    pub fn name(&self) -> String {
        authority(&self.host, self.port)
    }
}

pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Without the brackets of an IPv6 address; empty if there is none.
pub fn host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.unwrap_or(host)
}

/// `http` takes a port that is none, such as 99999, for the lack of one; so look at the text, too.
pub fn port(uri: &Uri) -> Result<u16, &'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_server() {
        for (url, tls, name, path) in [
            ("https://api.trophy.so", true, "api.trophy.so:443", "/"),
            ("http://h:80/v1?x=/", false, "h:80", "/v1?x=/"),
            ("https://me:pw@h:80?x", true, "h:80", "?x"),
            ("http://[::1]:8080/a://b", false, "[::1]:8080", "/a://b"),
            ("HTTPS://Api.Trophy.SO:/", true, "Api.Trophy.SO:443", "/"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.tls, &*target.name()), (tls, name), "{url}");
            assert_eq!(target.uri.path_and_query().unwrap(), path, "{url}");
        }
    }

    #[test]
    fn a_url_that_names_none_is_refused() {
        for url in [
            "h/a",
            "ftp://h/",
            "http://:80/",
            "http://h:99999/",
            "http://[fe80::1%25eth0]/",
            "http://[:]:80/",
            "http://h/#a",
            "http://h/é",
        ] {
            let fault = Target::parse(url).map(drop).unwrap_err();
            assert_eq!(fault.kind, Kind::InvalidRequest, "{url}: {fault}");
        }
    }
}
