//! A request without a key, by the library's own way to send one, so that its options count here as they do there:
//! whether TLS holds, whether it is the service that answers, and what its clock says.

use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use trophy::client;
use trophy::error::Status;
use trophy::host::cancel::CancelToken;
use trophy::options::ClientOptions;
use trophy::transport::{Exchange, Failure, Kind, Method, Reply, Transport};

use super::address::Address;
use super::finding::Finding;

/// Signed webhooks, and the service's idea of a day, bear so much.
const TOLERATED: f64 = 5.0;

pub fn check(address: &Address, options: &ClientOptions) -> Vec<Finding> {
    let transport = match Transport::new(&client::settings(options)) {
        Ok(transport) => transport,
        Err(why) => return vec![unusable(why)],
    };
    let start = Instant::now();
    let reply = match get(&transport, address, options) {
        Ok(reply) => reply,
        Err(failure) => return vec![failed(address, failure)],
    };
    // The service wrote its date about half the way back.
    let half = start.elapsed() / 2;
    let mut findings = vec![secured(address)];
    findings.extend(clock(reply.head.date.as_deref(), half));
    findings.extend(is_the_service(address, &reply));
    findings
}

fn get(
    transport: &Transport,
    address: &Address,
    options: &ClientOptions,
) -> Result<Reply, Failure> {
    let headers: Vec<(&str, &str)> = options
        .additional_headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let exchange = Exchange {
        method: Method::Get,
        url: &address.url,
        url_option: address.option,
        headers: &headers,
        body: None,
        deadline: Instant::now() + options.attempt_timeout,
        deadline_option: "attempt_timeout_in_seconds",
        connect_timeout: options.connect_timeout,
        max_response_bytes: options.max_response_bytes,
        probe: false,
    };
    transport.exchange(&exchange, &CancelToken::new())
}

fn unusable(why: String) -> Finding {
    Finding::wrong(
        "tls",
        Status::InvalidArgument,
        why,
        "\"ca_file\" names a PEM file with the certificate of the authority; \"tls_roots\" is \"builtin\" or \"system\"",
    )
}

fn failed(address: &Address, failure: Failure) -> Finding {
    let wrong = |check, status, advice| {
        let detail = format!("{}: {}", address.url, failure.message);
        Finding::wrong(check, status, detail, advice)
    };
    let speaks_no_tls = ["does not speak TLS", "corrupt message"]
        .iter()
        .any(|words| failure.message.contains(words));
    match failure.kind {
        Kind::Tls if speaks_no_tls => wrong(
            "tls",
            Status::Tls,
            "the port speaks no TLS; is the address http:// or is the port another?",
        ),
        Kind::Tls => wrong(
            "tls",
            Status::Tls,
            "somebody else answers (a proxy that opens TLS?), or the clock of this machine is wrong; the certificate \
             of an authority of your own is named in --option '{\"ca_file\":\"…\"}', or is in the machine's store: \
             '{\"tls_roots\":\"system\"}'",
        ),
        Kind::Timeout => wrong(
            "reply",
            Status::Timeout,
            "something takes the connection and does not answer: a firewall, a proxy, or another program's port",
        ),
        Kind::Network if failure.message.contains(": the proxy ") => wrong(
            "proxy",
            Status::Network,
            "the proxy does not let it through; ask who runs it for this host and port",
        ),
        Kind::InvalidResponse => wrong(
            "reply",
            Status::InvalidResponse,
            "this does not look like the service: a portal, a proxy, or another program?",
        ),
        _ => wrong(
            "reply",
            Status::Network,
            "something answers there, and it is no web server",
        ),
    }
}

fn secured(address: &Address) -> Finding {
    let host = address.host();
    match address.is_tls() {
        true => Finding::fine("tls", format!("{host} has a certificate that holds")),
        false if address.is_loopback() => {
            Finding::fine("tls", format!("none: {host} is this machine"))
        }
        false => Finding::doubtful(
            "tls",
            format!("none: the key travels to {host} in the clear"),
            "only a network that is trusted is one for \"allow_insecure_http\"",
        ),
    }
}

/// This machine's clock against the service's.
fn clock(date: Option<&str>, half: Duration) -> Option<Finding> {
    let date = jiff::fmt::rfc2822::parse(date?).ok()?;
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
fn is_the_service(address: &Address, reply: &Reply) -> Option<Finding> {
    let status = reply.head.status;
    if serde_json::from_slice::<Value>(&reply.body).is_ok() {
        return None;
    }
    if (300..400).contains(&status) {
        return Some(Finding::wrong(
            "reply",
            Status::Http,
            format!("{} redirects ({status})", address.url),
            "redirects are not followed, since the key must not travel; give the address it leads to, if you trust it",
        ));
    }
    // A root that is not there need not say so in JSON.
    (!matches!(status, 401 | 404)).then(|| {
        Finding::doubtful(
            "reply",
            format!(
                "{} answers {status} with something that is no JSON",
                address.url
            ),
            "this does not look like the service: a portal, a proxy, or another program?",
        )
    })
}
