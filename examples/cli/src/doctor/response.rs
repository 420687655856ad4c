//! A request without a key: whether TLS holds, whether it is the service that answers, and what its clock says.

use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use trophy::error::Status;
use ureq::http::Response;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Error};

use super::address::Address;
use super::finding::Finding;
use super::network::{PATIENCE, Route};
use crate::session::Session;

/// Signed webhooks, and the service's idea of a day, bear so much.
const TOLERATED: f64 = 5.0;

pub fn check(address: &Address, route: &Route, session: &Session) -> Vec<Finding> {
    let agent = match agent(route, session) {
        Ok(agent) => agent,
        Err(finding) => return vec![finding],
    };
    let start = Instant::now();
    let response = match agent.get(&address.url).call() {
        Ok(response) => response,
        Err(error) => return vec![failed(address, &error)],
    };
    // The service wrote its date about half the way back.
    let half = start.elapsed() / 2;
    let mut findings = vec![secured(address)];
    findings.extend(clock(response.headers().get("date"), half));
    findings.extend(is_the_service(address, response));
    findings
}

fn agent(route: &Route, session: &Session) -> Result<Agent, Finding> {
    let mut tls = TlsConfig::builder();
    if let Some(Value::String(file)) = session.option("ca_file") {
        tls = tls.root_certs(roots(file)?);
    }
    Ok(Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(route.proxy.clone())
        .timeout_global(Some(PATIENCE))
        .tls_config(tls.build())
        .build()
        .new_agent())
}

fn roots(file: &str) -> Result<RootCerts, Finding> {
    let wrong = |why: String| {
        Finding::wrong(
            "tls",
            Status::InvalidArgument,
            format!("\"ca_file\" {file}: {why}"),
            "it names a PEM file with the certificate of the authority",
        )
    };
    let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        true => Err(wrong("it holds no certificate".to_owned())),
        false => Ok(RootCerts::new_with_certs(&certificates)),
    }
}

fn failed(address: &Address, error: &Error) -> Finding {
    let detail = format!("{}: {error}", address.url);
    let text = error.to_string();
    let speaks_no_tls = text.contains("InvalidContentType") || text.contains("corrupt message");
    match error {
        _ if address.is_tls() && speaks_no_tls => Finding::wrong(
            "tls",
            Status::Tls,
            detail,
            "the port speaks no TLS; is the address http:// or is the port another?",
        ),
        Error::Tls(_) | Error::Rustls(_) | Error::Pem(_) => certificate(detail),
        Error::Io(_) if text.contains("certificate") || text.contains("Certificate") => {
            certificate(detail)
        }
        Error::Timeout(_) => Finding::wrong(
            "reply",
            Status::Timeout,
            format!("{}: no reply within {} s", address.url, PATIENCE.as_secs()),
            "something takes the connection and does not answer: a firewall, a proxy, or another program's port",
        ),
        Error::ConnectProxyFailed(_) => Finding::wrong(
            "proxy",
            Status::Network,
            detail,
            "the proxy does not let it through; ask who runs it for this host, port 443",
        ),
        _ => Finding::wrong(
            "reply",
            Status::Network,
            detail,
            "something answers there, and it is no web server",
        ),
    }
}

fn certificate(detail: String) -> Finding {
    Finding::wrong(
        "tls",
        Status::Tls,
        detail,
        "somebody else answers (a proxy that opens TLS?), or the clock of this machine is wrong; the certificate \
         of an authority of your own is named in --option '{\"ca_file\":\"…\"}'",
    )
}

fn secured(address: &Address) -> Finding {
    match address.is_tls() {
        true => Finding::fine(
            "tls",
            format!("{} has a certificate that holds", address.host()),
        ),
        false => Finding::fine("tls", format!("none: {} is this machine", address.host())),
    }
}

/// This machine's clock against the service's.
fn clock(date: Option<&ureq::http::HeaderValue>, half: Duration) -> Option<Finding> {
    let date = jiff::fmt::rfc2822::parse(date?.to_str().ok()?).ok()?;
    let there = date.timestamp().as_second() as f64 + half.as_secs_f64();
    let here = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |now| now.as_secs_f64());
    // A date has whole seconds.
    let ahead = here - there - 0.5;
    Some(match ahead.abs() <= TOLERATED {
        true => Finding::fine("clock", "within seconds of the service's"),
        false => Finding::doubtful(
            "clock",
            format!(
                "{:.0} s {} the service's",
                ahead.abs(),
                if ahead > 0.0 { "ahead of" } else { "behind" }
            ),
            "set it (NTP); certificates, waits and ages are reckoned by it",
        ),
    })
}

/// The service speaks JSON, also where it says no.
fn is_the_service(address: &Address, mut response: Response<Body>) -> Option<Finding> {
    let status = response.status();
    let text = response.body_mut().read_to_string().unwrap_or_default();
    if serde_json::from_str::<Value>(&text).is_ok() {
        return None;
    }
    if status.is_redirection() {
        return Some(Finding::wrong(
            "reply",
            Status::Http,
            format!("{} redirects ({})", address.url, status.as_u16()),
            "redirects are not followed, since the key must not travel; give the address it leads to, if you trust it",
        ));
    }
    // A root that is not there need not say so in JSON.
    (!matches!(status.as_u16(), 401 | 404)).then(|| {
        Finding::doubtful(
            "reply",
            format!(
                "{} answers {} with something that is no JSON",
                address.url,
                status.as_u16()
            ),
            "this does not look like the service: a portal, a proxy, or another program?",
        )
    })
}
