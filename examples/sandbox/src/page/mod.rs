//! The page at `/`: what the sandbox sees, live. Its files are in `../../page` and part of the binary; all it
//! knows comes from `/_sandbox`. Way in: `router`, and `guarded` for all that a browser must not let others use.

mod by_hand;
mod guard;
mod live;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Response, header};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::service::{Service, respond};
use crate::world::World;

pub use guard::guarded;

/// Where the sandbox is, and the key it was started with.
#[derive(Clone, Debug)]
pub struct Site(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    scheme: &'static str,
    host: String,
    port: u16,
    admin_key: Option<String>,
}

impl Site {
    pub fn new(scheme: &'static str, host: &str, port: u16, admin_key: Option<&str>) -> Self {
        Self(Arc::new(Parts {
            scheme,
            host: host.to_owned(),
            port,
            admin_key: admin_key.map(str::to_owned),
        }))
    }

    /// An admin key that works now: the one it was started with, unless that was rotated away.
    fn key<'a>(&'a self, world: &'a World) -> Option<&'a str> {
        let own = self.0.admin_key.as_deref();
        own.filter(|key| world.admin_keys.contains(*key))
            .or_else(|| world.admin_keys.iter().map(String::as_str).min())
    }
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, type and content of the page's files.
const FILES: [(&str, &str, &str); 12] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("../../page/index.html"),
    ),
    (
        "/_sandbox/page/page.css",
        "text/css; charset=utf-8",
        include_str!("../../page/page.css"),
    ),
    (
        "/_sandbox/page/icon.svg",
        "image/svg+xml",
        include_str!("../../page/icon.svg"),
    ),
    (
        "/_sandbox/page/main.js",
        SCRIPT,
        include_str!("../../page/main.js"),
    ),
    (
        "/_sandbox/page/dom.js",
        SCRIPT,
        include_str!("../../page/dom.js"),
    ),
    (
        "/_sandbox/page/live.js",
        SCRIPT,
        include_str!("../../page/live.js"),
    ),
    (
        "/_sandbox/page/start.js",
        SCRIPT,
        include_str!("../../page/start.js"),
    ),
    (
        "/_sandbox/page/requests.js",
        SCRIPT,
        include_str!("../../page/requests.js"),
    ),
    (
        "/_sandbox/page/users.js",
        SCRIPT,
        include_str!("../../page/users.js"),
    ),
    (
        "/_sandbox/page/world.js",
        SCRIPT,
        include_str!("../../page/world.js"),
    ),
    (
        "/_sandbox/page/pace.js",
        SCRIPT,
        include_str!("../../page/pace.js"),
    ),
    (
        "/_sandbox/page/controls.js",
        SCRIPT,
        include_str!("../../page/controls.js"),
    ),
];

/// The page loads its own files and nothing else, runs no script that is written into it, and is in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub fn router(service: &Service, site: &Site) -> Router {
    let mut router = Router::new();
    for (path, kind, content) in FILES {
        router = router.route(path, get(move || async move { file(kind, content) }));
    }
    let (of_live, of_variables, of_event) = (service.clone(), service.clone(), service.clone());
    let (key_of_variables, key_of_event) = (site.clone(), site.clone());
    router
        .route(
            "/_sandbox/live",
            get(move |request: Request| async move { live::start(of_live, &request) }),
        )
        .route(
            "/_sandbox/variables",
            get(move |request: Request| async move {
                variables(&key_of_variables, &of_variables, &request)
            }),
        )
        .route(
            "/_sandbox/event",
            post(move |request: Request| by_hand::send(of_event, key_of_event, request)),
        )
}

fn file(kind: &'static str, content: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(content));
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What points a program at this sandbox. The page copies the key and does not show it.
fn variables(site: &Site, service: &Service, request: &Request) -> Response<Body> {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let origin = format!("{}://{host}", site.0.scheme);
    let state = service.lock();
    let key = site.key(&state.world).map_or(Value::Null, Value::from);
    respond(
        200,
        &json!({
            "TROPHY_API_KEY": key,
            "TROPHY_BASE_URL": format!("{origin}/v1"),
            "TROPHY_ADMIN_BASE_URL": format!("{origin}/admin/v1"),
        }),
    )
}
