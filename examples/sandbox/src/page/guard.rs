//! Who may use the page and `/_sandbox` from a browser: the page itself. Any site that a developer visits can send
//! requests to this machine, and with a name that it makes point here (DNS rebinding) it can read the replies.

use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, Response, header};
use axum::middleware::{Next, from_fn_with_state};
use serde_json::json;

use super::Site;
use crate::service::respond;

/// Routes that refuse a Host that is not this sandbox's, and requests of other sites' pages.
pub fn guarded(routes: Router, site: &Site) -> Router {
    routes.route_layer(from_fn_with_state(site.clone(), check))
}

async fn check(State(site): State<Site>, request: Request, next: Next) -> Response<Body> {
    match refusal(&site, &request) {
        Some(why) => respond(403, &json!({ "error": why })),
        None => next.run(request).await,
    }
}

fn refusal(site: &Site, request: &Request) -> Option<&'static str> {
    let header = |name: HeaderName| {
        let value = request.headers().get(name);
        value.map(|value| value.to_str().unwrap_or("?"))
    };
    let host = header(header::HOST).unwrap_or_default();
    if !is_here(site, host) {
        return Some("The Host header must be this machine's, with the sandbox's port");
    }
    let origin = format!("{}://{host}", site.0.scheme);
    if header(header::ORIGIN).is_some_and(|from| !from.eq_ignore_ascii_case(&origin)) {
        return Some("Only the sandbox's own page may ask this: the Origin is another");
    }
    // A link to the page may stand anywhere; what it shows is not for others to read.
    let is_page = request.uri().path() == "/";
    let from = header(HeaderName::from_static("sec-fetch-site"));
    if !is_page && from.is_some_and(|from| !matches!(from, "same-origin" | "none")) {
        return Some("Only the sandbox's own page may ask this: Sec-Fetch-Site is another");
    }
    None
}

/// Whether a Host header is a name of this machine that nobody else can make point here.
fn is_here(site: &Site, host: &str) -> bool {
    let default = if site.0.scheme == "https" { 443 } else { 80 };
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => match port.parse() {
            Ok(port) => (name, port),
            Err(_) => return false,
        },
        _ => (host, default),
    };
    let name = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    let listening = site.0.host.as_str();
    let everywhere = listening
        .parse()
        .is_ok_and(|address: IpAddr| address.is_unspecified());
    let known = name.eq_ignore_ascii_case("localhost")
        || name.eq_ignore_ascii_case(listening)
        || name
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback() || everywhere);
    known && port == site.0.port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(listening: &str, host: &str) -> bool {
        is_here(&Site::new("http", listening, 8750, None), host)
    }

    #[test]
    fn a_host_is_a_loopback_name_with_the_port() {
        for host in [
            "127.0.0.1:8750",
            "localhost:8750",
            "LOCALHOST:8750",
            "[::1]:8750",
            "127.0.0.53:8750",
        ] {
            assert!(here("127.0.0.1", host), "{host}");
        }
        for host in [
            "",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.0.0.1:8750:8750",
            "evil.example:8750",
            "localhost.evil.example:8750",
            "127.0.0.1.evil.example:8750",
            "192.168.1.7:8750",
            "[::1]",
            "localhost:",
        ] {
            assert!(!here("127.0.0.1", host), "{host}");
        }
    }

    #[test]
    fn a_sandbox_that_listens_everywhere_is_at_every_address_but_at_no_name() {
        assert!(here("0.0.0.0", "192.168.1.7:8750"));
        assert!(here("::", "[fe80::1]:8750"));
        assert!(!here("0.0.0.0", "evil.example:8750"));
        assert!(here("build-host", "build-host:8750"));
        assert!(!here("build-host", "192.168.1.7:8750"));
    }

    #[test]
    fn the_port_may_be_left_out_where_it_is_the_scheme_s() {
        let site = Site::new("http", "127.0.0.1", 80, None);
        assert!(is_here(&site, "localhost"));
        assert!(is_here(&site, "[::1]"));
    }
}
