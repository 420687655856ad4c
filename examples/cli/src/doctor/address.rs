//! Where the two APIs are.

use serde_json::Value;
use trophy::api::url::is_loopback;
use trophy::error::Status;
use trophy::options::ClientOptions;
use ureq::http::Uri;

use super::finding::Finding;
use crate::session::{Session, variable};

const CHECK: &str = "address";

pub struct Address {
    pub api: &'static str,
    pub url: String,
    pub option: &'static str,
    /// The option or variable, or that it is the service's own.
    source: String,
    uri: Option<Uri>,
    /// Plain http to another machine is wanted.
    allows_plain: bool,
}

/// What of an API is where.
const APIS: [(&str, &str, &str, &str); 2] = [
    (
        "application API",
        "base_url",
        "TROPHY_BASE_URL",
        "https://api.trophy.so/v1",
    ),
    (
        "Admin API",
        "admin_base_url",
        "TROPHY_ADMIN_BASE_URL",
        "https://admin.trophy.so/v1",
    ),
];

impl Address {
    pub fn of(session: &Session, options: &ClientOptions) -> Vec<Self> {
        APIS.iter()
            .map(|(api, option, name, own)| {
                let (url, source) = match session.option(option) {
                    Some(Value::String(url)) => (url.clone(), format!("\"{option}\" in --option")),
                    _ => match variable(name) {
                        Some(url) => (url, (*name).to_owned()),
                        None => ((*own).to_owned(), OWN.to_owned()),
                    },
                };
                let uri = url.parse().ok();
                Self {
                    api,
                    url,
                    option,
                    source,
                    uri,
                    allows_plain: options.allow_insecure_http,
                }
            })
            .collect()
    }

    pub fn host(&self) -> &str {
        let host = self.uri.as_ref().and_then(Uri::host).unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    pub fn port(&self) -> u16 {
        let given = self.uri.as_ref().and_then(Uri::port_u16);
        given.unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    pub fn is_tls(&self) -> bool {
        self.scheme() == "https"
    }

    pub fn is_loopback(&self) -> bool {
        is_loopback(self.host())
    }

    /// On the same port of the same host.
    pub fn is_beside(&self, other: &Self) -> bool {
        let place = |it: &Self| (it.scheme().to_owned(), it.host().to_owned(), it.port());
        place(self) == place(other)
    }

    /// There is something to connect to, and it may be.
    pub fn is_usable(&self) -> bool {
        self.has_form() && (self.keeps_secrets() || self.allows_plain)
    }

    /// The key cannot be read on the way.
    fn keeps_secrets(&self) -> bool {
        self.is_tls() || self.is_loopback()
    }

    fn has_form(&self) -> bool {
        matches!(self.scheme(), "http" | "https") && !self.host().is_empty()
    }

    fn scheme(&self) -> &str {
        self.uri
            .as_ref()
            .and_then(Uri::scheme_str)
            .unwrap_or_default()
    }

    fn is_own(&self) -> bool {
        self.source == OWN
    }

    fn check(&self) -> Finding {
        let detail = format!("{}: {} ({})", self.api, self.url, self.source);
        let wrong =
            |advice: &str| Finding::wrong(CHECK, Status::InvalidArgument, detail.clone(), advice);
        if !self.has_form() {
            return wrong("it is no address such as https://api.trophy.so/v1");
        }
        if !self.is_usable() {
            return wrong(
                "plain http would send the key in the clear; it begins with https://, or \"allow_insecure_http\" is \
                 true if the network is trusted",
            );
        }
        if !self.keeps_secrets() {
            return Finding::doubtful(
                CHECK,
                detail,
                "plain http sends the key in the clear, as \"allow_insecure_http\" wants it; is the network trusted?",
            );
        }
        if !self.url.trim_end_matches('/').ends_with("/v1") {
            return Finding::doubtful(CHECK, detail, "addresses of the service end in /v1");
        }
        Finding::fine(CHECK, detail)
    }
}

const OWN: &str = "the service's own";

pub fn check(addresses: &[Address], session: &Session) -> Vec<Finding> {
    let mut findings: Vec<Finding> = addresses.iter().map(Address::check).collect();
    let own = addresses.iter().filter(|address| address.is_own()).count();
    if own == 1 {
        let missing = addresses
            .iter()
            .zip(APIS)
            .find(|(address, _)| address.is_own())
            .map_or("", |(_, (_, _, variable, _))| variable);
        findings.push(Finding::doubtful(
            CHECK,
            "one API is at an address of yours and the other at the service's own",
            format!("set {missing} too; the sandbox prints a line that sets all"),
        ));
    }
    if own > 0 && session.key_prefix().starts_with("sandbox") {
        findings.push(Finding::wrong(
            CHECK,
            Status::InvalidArgument,
            "a sandbox's key would go to the real service",
            "set TROPHY_BASE_URL and TROPHY_ADMIN_BASE_URL as the sandbox prints them",
        ));
    }
    findings
}
