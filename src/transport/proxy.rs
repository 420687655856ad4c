//! Which proxy stands before which server. ureq asks it for a tunnel by CONNECT, for https and http alike, so
//! that the API key never reaches the proxy's logs. Of plain http it could read the key; but that goes only to this
//! machine, past the proxy, or where `allow_insecure_http` lets it.

use std::ffi::OsString;
use std::net::IpAddr;

use ureq::Proxy;
use ureq::http::Uri;

use super::exchange::Kind;
use super::fault::Fault;
use super::url::authority;
use crate::api::url::{host, is_loopback, server};

/// A proxy, and the option or the variable that it comes from, for messages.
#[derive(Debug, Clone)]
pub struct Route {
    pub proxy: Proxy,
    pub from: &'static str,
}

impl Route {
    /// As messages name it.
    pub fn name(&self) -> String {
        authority(host(self.proxy.uri()), self.proxy.port())
    }
}

/// Which proxy, if any, stands before which server.
#[derive(Debug, Clone)]
pub enum Routes {
    /// The `proxy` option: for all servers, but for plain http to loopback.
    Option(Option<Route>),
    /// The usual environment variables: not for loopback, and not for what NO_PROXY lists.
    Environment {
        https: Option<Result<Route, String>>,
        http: Option<Result<Route, String>>,
        no_proxy: String,
    },
}

impl Routes {
    /// `option` wins over the environment; an empty one means: no proxy whatsoever.
    pub fn new(
        option: Option<&str>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, String> {
        match option {
            Some("") => Ok(Self::Option(None)),
            Some(url) => parse(url, "proxy")
                .map(|proxy| Self::Option(Some(proxy)))
                .map_err(|error| format!("`proxy`: {error}")),
            None => Ok(Self::from_environment(environment)),
        }
    }

    fn from_environment(environment: impl Fn(&str) -> Option<OsString>) -> Self {
        // An empty variable counts as not set.
        let environment = |name: &str| environment(name).filter(|value| !value.is_empty());
        let read = |names: &[&'static str]| {
            let mut set = names.iter().filter_map(|name| {
                let url = environment(name)?;
                let proxy = url.to_str().ok_or_else(not_a_url);
                let proxy = proxy.and_then(|url| parse(url, name));
                Some(proxy.map_err(|error| format!("the variable {name}: {error}")))
            });
            set.next()
        };
        // A web server hands its scripts the request header `Proxy` as HTTP_PROXY (httpoxy).
        let http: &[&'static str] = if environment("REQUEST_METHOD").is_some() {
            &["http_proxy", "ALL_PROXY", "all_proxy"]
        } else {
            &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
        };
        let no_proxy = environment("NO_PROXY").or_else(|| environment("no_proxy"));
        Self::Environment {
            https: read(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            http: read(http),
            no_proxy: no_proxy.unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    /// A variable that names no usable proxy is an error where it would be used: to go straight
    /// instead is what whoever set it did not want.
    pub fn proxy_for(&self, tls: bool, host: &str, port: u16) -> Result<Option<&Route>, Fault> {
        match self {
            // A tunnel would carry the API key in the clear past the machine for which plain http is allowed.
            Self::Option(_) if !tls && is_loopback(host) => Ok(None),
            Self::Option(proxy) => Ok(proxy.as_ref()),
            Self::Environment { no_proxy, .. }
                if is_loopback(host) || is_listed(no_proxy, host, port) =>
            {
                Ok(None)
            }
            Self::Environment { https, http, .. } => (if tls { https } else { http })
                .as_ref()
                .map(Result::as_ref)
                .transpose()
                .map_err(|error| {
                    let hint = "set the `proxy` option, or list the host in NO_PROXY";
                    Fault::new(Kind::Network, format!("{error}; {hint}"))
                }),
        }
    }
}

/// The error never quotes the URL, which may hold a password.
fn parse(url: &str, from: &'static str) -> Result<Route, String> {
    if cfg!(not(feature = "proxies")) {
        return Err("this build of the library has no proxies (SMALL=1, or cargo's feature \"proxies\" turned off)".to_owned());
    }
    let uri: Uri = url.parse().map_err(|_| not_a_url())?;
    if uri.authority().is_none() {
        return Err(not_a_url());
    }
    match uri.scheme_str() {
        None | Some("http" | "https") => {}
        Some(scheme) if scheme.starts_with("socks") => {
            return Err("SOCKS is not supported; give an http:// or https:// proxy".to_owned());
        }
        Some(_) => return Err(not_a_url()),
    }
    server(&uri)?;
    let proxy = Proxy::new(url).map_err(|_| not_a_url())?;
    Ok(Route { proxy, from })
}

fn not_a_url() -> String {
    "not a URL like http://user:password@host:port".to_owned()
}

/// NO_PROXY as curl and Go read it: `*`; a domain with all below it, with or without a leading dot;
/// an address or a network (`10.0.0.0/8`); each may end in `:port`.
fn is_listed(no_proxy: &str, host: &str, port: u16) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    no_proxy
        .split([',', ' '])
        .filter(|entry| !entry.is_empty())
        .any(|entry| matches_entry(&entry.to_ascii_lowercase(), &host, port))
}

fn matches_entry(entry: &str, host: &str, port: u16) -> bool {
    let entry = match entry.rsplit_once(':') {
        // One colon, or one after a bracket: a port. More: an IPv6 address.
        Some((name, number)) if !name.contains(':') || name.ends_with(']') => {
            if number.parse() != Ok(port) {
                return false;
            }
            name
        }
        _ => entry,
    };
    let entry = entry.trim_matches(['[', ']']);
    if entry == "*" {
        return true;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return match entry.split_once('/') {
            Some((network, bits)) => match (network.parse(), bits.parse()) {
                (Ok(network), Ok(bits)) => is_within(address, network, bits),
                _ => false,
            },
            None => entry.parse() == Ok(address),
        };
    }
    let domain = entry.trim_start_matches('*').trim_start_matches('.');
    host.strip_suffix(domain)
        .is_some_and(|rest| !domain.is_empty() && (rest.is_empty() || rest.ends_with('.')))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, length) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits().into(), network.to_bits().into(), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let differ: u128 = address ^ network;
    bits <= length && differ.checked_shr(length - bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| {
            let found = set.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| (*value).into())
        }
    }

    fn route(routes: &Routes, tls: bool, host: &str) -> Option<String> {
        let port = if tls { 443 } else { 80 };
        routes.proxy_for(tls, host, port).unwrap().map(Route::name)
    }

    #[test]
    fn the_option_wins_over_the_environment_and_an_empty_one_means_none() {
        let set = environment(&[("ALL_PROXY", "http://env.test:1")]);
        let routes = Routes::new(Some("https://option.test"), &set).unwrap();
        assert_eq!(
            route(&routes, true, "127.0.0.1").unwrap(),
            "option.test:443"
        );
        let routes = Routes::new(Some(""), &set).unwrap();
        assert_eq!(route(&routes, true, "api.trophy.so"), None);
    }

    #[test]
    fn plain_http_to_this_machine_never_leaves_it() {
        let routes = Routes::new(Some("http://option.test"), environment(&[])).unwrap();
        for loopback in ["localhost", "127.9.9.9", "::1"] {
            assert_eq!(route(&routes, false, loopback), None, "{loopback}");
            assert!(route(&routes, true, loopback).is_some(), "{loopback}");
        }
        assert!(route(&routes, false, "sandbox.test").is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_unicode_is_set() {
        use std::os::unix::ffi::OsStringExt;
        let latin = |text: &[u8]| Some(OsString::from_vec(text.to_vec()));
        let set = |name: &str| match name {
            "HTTPS_PROXY" => latin(b"http://me:p\xe4ss@proxy.test:1"),
            "HTTP_PROXY" => latin(b"http://evil.test:1"),
            "REQUEST_METHOD" => latin(b"\xe4"),
            "NO_PROXY" => latin(b"\xe4.test,trophy.so"),
            _ => None,
        };
        let routes = Routes::new(None, set).unwrap();
        let error = routes.proxy_for(true, "other.test", 443).unwrap_err();
        assert!(error.reason.starts_with("the variable HTTPS_PROXY: "));
        assert_eq!(route(&routes, false, "other.test"), None);
        assert_eq!(route(&routes, true, "api.trophy.so"), None);
    }

    #[test]
    fn the_environment_has_a_proxy_a_scheme_but_none_for_loopback() {
        let set = environment(&[
            ("https_proxy", "http://secure.test:1"),
            ("ALL_PROXY", "all.test:2"),
        ]);
        let routes = Routes::new(None, set).unwrap();
        assert_eq!(
            route(&routes, true, "api.trophy.so").unwrap(),
            "secure.test:1"
        );
        assert_eq!(
            route(&routes, false, "api.trophy.so").unwrap(),
            "all.test:2"
        );
        for loopback in ["localhost", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(route(&routes, false, loopback), None, "{loopback}");
        }
    }

    #[test]
    fn a_request_header_cannot_name_the_proxy_of_a_web_servers_script() {
        let set = environment(&[
            ("REQUEST_METHOD", "GET"),
            ("HTTP_PROXY", "http://evil.test:1"),
        ]);
        let routes = Routes::new(None, set).unwrap();
        assert_eq!(route(&routes, false, "api.trophy.so"), None);
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let set = environment(&[
            ("HTTPS_PROXY", ""),
            ("https_proxy", "http://secure.test:1"),
            ("NO_PROXY", ""),
            ("no_proxy", "trophy.so"),
        ]);
        let routes = Routes::new(None, set).unwrap();
        assert_eq!(route(&routes, true, "api.trophy.so"), None);
        assert_eq!(route(&routes, true, "other.test").unwrap(), "secure.test:1");
    }

    #[test]
    fn no_proxy_lists_domains_addresses_networks_and_ports() {
        for (list, host, listed) in [
            ("*", "api.trophy.so", true),
            ("trophy.so", "api.trophy.so", true),
            ("other.test, .Trophy.SO", "api.trophy.so", true),
            ("*.trophy.so", "API.trophy.so.", true),
            ("trophy.so", "nottrophy.so", false),
            ("trophy.so:443", "trophy.so", true),
            ("trophy.so:80", "trophy.so", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("0.0.0.0/0", "11.1.2.3", true),
            ("fd00::/8", "fd12::1", true),
            ("[fd12::1]:443", "fd12::1", true),
            ("fd12::1", "fd12::1", true),
            ("10.0.0.0/99", "10.0.0.0", false),
            (".", "api.trophy.so", false),
            ("", "api.trophy.so", false),
        ] {
            assert_eq!(is_listed(list, host, 443), listed, "{list:?} {host}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_its_password() {
        for url in [
            "socks5://me:hunter2@host",
            "http://me:hunter2@",
            "a b",
            "http://[::1",
        ] {
            let error = Routes::new(Some(url), |_| None).unwrap_err();
            assert!(error.starts_with("`proxy`: "), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let routes = Routes::new(None, environment(&[("HTTPS_PROXY", "socks5://host")])).unwrap();
        let fault = routes.proxy_for(true, "api.trophy.so", 443).unwrap_err();
        assert!(fault.reason.contains("HTTPS_PROXY"), "{fault}");
    }

    #[test]
    fn debug_output_holds_no_password() {
        let routes = Routes::new(Some("http://me:hunter2@host:1"), |_| None).unwrap();
        let shown = format!("{routes:?}");
        assert!(
            shown.contains("host") && !shown.contains("hunter2") && !shown.contains("bWU6"),
            "{shown}"
        );
    }
}
