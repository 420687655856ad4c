//! An event that is sent by hand on the page. It goes the way of any other, with an admin key that the page does
//! not have: it is recorded, may meet the limit, and may be struck by a fault.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Site;
use crate::connection::Control;
use crate::operations;
use crate::service::{self, Service, respond};

const MOST_BYTES: usize = 1 << 20;

/// `{"metric", "event": {…}}`, and `idempotencyKey` and `tenant` if there shall be any.
pub async fn send(service: Service, site: Site, mut request: Request) -> Response<Body> {
    let control = request.extensions_mut().remove::<Control>();
    let body = to_bytes(request.into_body(), MOST_BYTES).await;
    let order: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or(Value::Null);
    let key = {
        let state = service.lock();
        site.key(&state.world).unwrap_or_default().to_owned()
    };
    let found = operations::find("metrics_event");
    let (Some(operation), Some(request)) = (found, event(&order, &key)) else {
        let text = "An event needs a metric and the event itself";
        return respond(400, &json!({ "error": text }));
    };
    let mut request = request;
    if let Some(control) = control {
        request.extensions_mut().insert(control);
    }
    let metric = order["metric"].as_str().unwrap_or_default().to_owned();
    service::answer(operation, service, vec![metric], request).await
}

fn event(order: &Value, key: &str) -> Option<Request> {
    let metric = utf8_percent_encode(order["metric"].as_str()?, NON_ALPHANUMERIC);
    let body = order.get("event")?.to_string();
    let mut request = Request::builder()
        .method("POST")
        .uri(format!("/v1/metrics/{metric}/event"))
        .header("content-type", "application/json")
        .header("user-agent", "the sandbox's page")
        .header("x-api-key", key);
    for (header, name) in [
        ("idempotency-key", "idempotencyKey"),
        ("tenant-id", "tenant"),
    ] {
        if let Some(text) = order[name].as_str().filter(|text| !text.is_empty()) {
            request = request.header(header, HeaderValue::from_bytes(text.as_bytes()).ok()?);
        }
    }
    request.body(Body::from(body)).ok()
}
