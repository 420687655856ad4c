//! Where a URL leads: the server, and what to ask it for.

use http::Uri;

use super::Kind;
use super::current::Fault;

/// The server that a URL names.
#[derive(Debug, PartialEq, Eq)]
pub struct Origin {
    /// The URL's beginning, up to its path: `https://api.trophy.so`.
    text: String,
    pub tls: bool,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
    /// What the `Host` header says.
    pub host_header: String,
}

impl Origin {
    /// The origin of `url`, and the rest of it.
    pub fn parse(url: &str) -> Result<(Self, &str), Fault> {
        let invalid = |reason: &str| Fault::new(Kind::InvalidRequest, reason);
        let authority = url.find("://").map_or(0, |at| at + 3);
        let end = url[authority..].find(['/', '?', '#']);
        let (text, rest) = url.split_at(end.map_or(url.len(), |end| authority + end));

        let uri = Uri::try_from(text).map_err(|error| invalid(&error.to_string()))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(invalid("the URL is not absolute"));
        };
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(invalid("the URL is neither https nor http")),
        };
        let host = without_brackets(authority.host());
        if host.is_empty() {
            return Err(invalid("the URL has no host"));
        }
        let port = port(&uri).map_err(invalid)?;
        let host_header = if port == default_port(&uri) {
            authority.host().to_owned()
        } else {
            format!("{}:{port}", authority.host())
        };
        let origin = Self {
            text: text.to_owned(),
            tls,
            host: host.to_owned(),
            port,
            host_header,
        };
        Ok((origin, rest))
    }

    /// What follows this origin in `url`, if that leads to it.
    pub fn rest_of<'a>(&self, url: &'a str) -> Option<&'a str> {
        let rest = url.strip_prefix(&*self.text)?;
        matches!(rest.as_bytes(), [] | [b'/' | b'?', ..]).then_some(rest)
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

pub fn without_brackets(host: &str) -> &str {
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.unwrap_or(host)
}

/// `http` takes a port that is none, such as 99999, for the lack of one; so look at the text, too.
pub fn port(uri: &Uri) -> Result<u16, &'static str> {
    let authority = uri.authority().map_or("", |it| it.as_str());
    let from_host = authority.rsplit_once('@').map_or(authority, |it| it.1);
    let after_host = from_host.strip_prefix(uri.host().unwrap_or_default());
    match (after_host, uri.port_u16()) {
        (Some("" | ":"), None) => Ok(default_port(uri)),
        (Some(text), Some(port)) if text.starts_with(':') && port > 0 => Ok(port),
        _ => Err("the URL's port must be a number from 1 to 65535"),
    }
}

fn default_port(uri: &Uri) -> u16 {
    if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_an_origin_and_the_rest() {
        for (url, name, host_header, rest) in [
            (
                "https://api.trophy.so",
                "api.trophy.so:443",
                "api.trophy.so",
                "",
            ),
            ("http://h:80/v1?x=/", "h:80", "h", "/v1?x=/"),
            ("https://me:pw@h:80?x", "h:80", "h:80", "?x"),
            (
                "http://[::1]:8080/a://b",
                "[::1]:8080",
                "[::1]:8080",
                "/a://b",
            ),
            (
                "HTTPS://Api.Trophy.SO:443/",
                "Api.Trophy.SO:443",
                "Api.Trophy.SO",
                "/",
            ),
        ] {
            let (origin, found) = Origin::parse(url).unwrap();
            assert_eq!((&*origin.name(), found), (name, rest), "{url}");
            assert_eq!(origin.host_header, host_header, "{url}");
            assert_eq!(origin.rest_of(url), Some(rest), "{url}");
        }
    }

    #[test]
    fn an_origin_is_not_the_beginning_of_another() {
        let (origin, _) = Origin::parse("http://trophy.so/x").unwrap();
        for other in [
            "http://trophy.so.evil/",
            "http://trophy.so:8080/",
            "https://trophy.so/",
        ] {
            assert_eq!(origin.rest_of(other), None, "{other}");
        }
    }
}
