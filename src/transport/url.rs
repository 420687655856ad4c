//! Where a URL leads.

use ureq::http::Uri;

use super::exchange::Kind;
use super::fault::Fault;
use crate::api::url::server;

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
        let (host, port) = server(&uri).map_err(invalid)?;
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
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
