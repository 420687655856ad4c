//! The way there: a proxy, the name, a connection.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use trophy::error::Status;
use ureq::Proxy;

use super::address::Address;
use super::finding::Finding;
use crate::session::{Session, variable};

/// To whom the connection goes: the service, or a proxy.
pub struct Route {
    proxy: Option<Proxy>,
    /// Why the proxy that is set cannot be used.
    broken: Option<String>,
    source: String,
    host: String,
    port: u16,
    /// Of each step.
    patience: Duration,
}

impl Route {
    pub fn of(address: &Address, session: &Session, patience: Duration) -> Self {
        let straight = Self {
            proxy: None,
            broken: None,
            source: String::new(),
            host: address.host().to_owned(),
            port: address.port(),
            patience,
        };
        let Some((url, source)) = proxy_url(address, session) else {
            return straight;
        };
        match Proxy::new(&url) {
            Ok(proxy) if source != OPTION && is_excepted(address) => {
                drop(proxy);
                straight
            }
            Ok(proxy) => Self {
                host: proxy.host().to_owned(),
                port: proxy.port(),
                proxy: Some(proxy),
                source,
                ..straight
            },
            // It may hold a password.
            Err(_) => Self {
                broken: Some(format!("{source} is no proxy such as http://host:port")),
                ..straight
            },
        }
    }
}

const OPTION: &str = "\"proxy\" in --option";

/// The proxy that is set, and where.
fn proxy_url(address: &Address, session: &Session) -> Option<(String, String)> {
    match session.option("proxy") {
        Some(Value::String(url)) if url.is_empty() => return None,
        Some(Value::String(url)) => return Some((url.clone(), OPTION.to_owned())),
        _ => {}
    }
    if address.is_loopback() {
        return None;
    }
    let names: &[&str] = match address.is_tls() {
        true => &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        false => &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    };
    names
        .iter()
        .find_map(|name| Some((variable(name)?, (*name).to_owned())))
}

/// NO_PROXY, as far as it is commonly written: names, suffixes of names, and `*`.
fn is_excepted(address: &Address) -> bool {
    let listed = variable("NO_PROXY")
        .or_else(|| variable("no_proxy"))
        .unwrap_or_default();
    let host = address.host().to_ascii_lowercase();
    listed.split(',').any(|each| {
        let each = each.trim().to_ascii_lowercase();
        let name = each.trim_start_matches("*.").trim_start_matches('.');
        each == "*" || (!name.is_empty() && (host == name || host.ends_with(&format!(".{name}"))))
    })
}

pub fn proxy(address: &Address, route: &Route) -> Vec<Finding> {
    if let Some(broken) = &route.broken {
        return vec![Finding::wrong(
            "proxy",
            Status::Network,
            broken,
            "mend it, or list the host in NO_PROXY",
        )];
    }
    vec![match &route.proxy {
        Some(_) => Finding::fine(
            "proxy",
            format!(
                "{} through {}:{} ({})",
                address.host(),
                route.host,
                route.port,
                route.source
            ),
        ),
        None => Finding::fine("proxy", format!("none for {}", address.host())),
    }]
}

pub fn look_up(_: &Address, route: &Route) -> Vec<Finding> {
    if route.host.parse::<IpAddr>().is_ok() {
        return Vec::new();
    }
    let start = Instant::now();
    vec![match resolve(route) {
        Ok(found) => {
            let addresses: Vec<String> = found.iter().map(|it| it.ip().to_string()).collect();
            Finding::fine(
                "dns",
                format!("{} is {} {}", route.host, addresses.join(", "), took(start)),
            )
        }
        Err(why) => Finding::wrong(
            "dns",
            Status::Network,
            format!("{} cannot be looked up: {why}", route.host),
            "check the name, and that this machine is online (resolv.conf, VPN)",
        ),
    }]
}

pub fn connect(_: &Address, route: &Route) -> Vec<Finding> {
    let to = format!("{}:{}", route.host, route.port);
    let start = Instant::now();
    let mut why = "it has no address".to_owned();
    for address in resolve(route).unwrap_or_default() {
        match TcpStream::connect_timeout(&address, route.patience) {
            Ok(_) => return vec![Finding::fine("connect", format!("{to} {}", took(start)))],
            Err(error) => why = error.to_string(),
        }
    }
    let advice = match route.proxy {
        Some(_) => "ask who runs the proxy, or list the host in NO_PROXY",
        None => {
            "is the port right, and does a firewall let it through? does a proxy have to be set (HTTPS_PROXY)?"
        }
    };
    vec![Finding::wrong(
        "connect",
        Status::Network,
        format!("no connection to {to}: {why}"),
        advice,
    )]
}

/// On a thread of its own: some resolvers take minutes.
fn resolve(route: &Route) -> Result<Vec<SocketAddr>, String> {
    let (tell, answer) = mpsc::channel();
    let name = (route.host.clone(), route.port);
    thread::spawn(move || {
        let found = (name.0.as_str(), name.1)
            .to_socket_addrs()
            .map(|found| found.collect::<Vec<_>>());
        // Nobody waits any more: then it is over.
        let _ = tell.send(found);
    });
    match answer.recv_timeout(route.patience) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!(
            "no answer within {} s",
            route.patience.as_secs_f64()
        )),
    }
}

fn took(start: Instant) -> String {
    format!("({} ms)", start.elapsed().as_millis())
}
