//! `/_sandbox`: what a test orders and asks for, beside the service's own operations.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::written;
use crate::faults::Fault;
use crate::service::{Service, State, respond};
use crate::views;

/// What is asked: its query and its body, null without one.
pub struct Order {
    query: Vec<(String, String)>,
    body: Value,
}

impl Order {
    pub fn query(&self, name: &str) -> Option<String> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }
}

type Action = fn(&mut State, &Order) -> Result<Value, String>;

pub fn router(service: &Service) -> Router {
    let at = |action| handler(service, action);
    Router::new()
        .route(
            "/_sandbox/faults",
            get(at(|state, _| Ok(state.books.faults.show())))
                .post(at(|state, order| add_fault(state, &order.body)))
                .delete(at(|state, _| {
                    state.books.faults.clear();
                    Ok(json!([]))
                })),
        )
        .route(
            "/_sandbox/ledger",
            get(at(|state, order| Ok(ledger(state, |n| order.query(n))))),
        )
        .route("/_sandbox/requests", get(at(show_requests)))
        .route("/_sandbox/request", get(at(show_request)))
        .route("/_sandbox/users", get(at(views::users)))
        .route("/_sandbox/user", get(at(views::user)))
        .route("/_sandbox/world", get(at(views::world)))
        .route(
            "/_sandbox/clock",
            get(at(|state, _| {
                Ok(json!({ "now": written(state.world.now()) }))
            }))
            .post(at(|state, order| set_clock(state, &order.body))),
        )
        .route(
            "/_sandbox/keys",
            post(at(|state, order| set_keys(state, &order.body))),
        )
        .route(
            "/_sandbox/reset",
            post(at(|state, _| state.reset().map(|()| json!({})))),
        )
}

fn handler(service: &Service, action: Action) -> impl Fn(Request) -> Running + Clone + use<> {
    let service = service.clone();
    move |request| Box::pin(run(service.clone(), action, request))
}

type Running = std::pin::Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

async fn run(service: Service, action: Action, request: Request) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let query = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let body = to_bytes(request.into_body(), 16 << 20)
        .await
        .unwrap_or_default();
    let body = if body.is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_slice(&body)
    };
    let done = body.map_err(|why| format!("The body is not valid JSON: {why}"));
    match done.and_then(|body| action(&mut service.lock(), &Order { query, body })) {
        Ok(body) => respond(200, &body),
        Err(why) => respond(400, &json!({ "error": why })),
    }
}

pub fn add_fault(state: &mut State, order: &Value) -> Result<Value, String> {
    state.books.faults.add(Fault::read(order)?);
    Ok(state.books.faults.show())
}

pub fn ledger(state: &State, asked: impl Fn(&str) -> Option<String>) -> Value {
    state.books.ledger.show(asked)
}

fn show_requests(state: &mut State, order: &Order) -> Result<Value, String> {
    let last = match order.query("last") {
        None => usize::MAX,
        Some(last) => last.parse().map_err(|_| "last must be a number")?,
    };
    Ok(state
        .books
        .requests
        .show(last, order.query("operation").as_deref()))
}

/// One request with its reply, by its number.
fn show_request(state: &mut State, order: &Order) -> Result<Value, String> {
    let id = order.query("id").and_then(|id| id.parse().ok());
    let id = id.ok_or("id must be a request's number")?;
    state
        .books
        .requests
        .whole(id)
        .ok_or_else(|| format!("request {id} is not kept any more"))
}

/// `{"now":"2026-01-01T12:00:00Z"}`; null goes back to the real time.
pub fn set_clock(state: &mut State, order: &Value) -> Result<Value, String> {
    let now =
        match order.get("now") {
            Some(Value::Null) => None,
            Some(Value::String(now)) => {
                let now: Result<Timestamp, _> = now.parse();
                Some(now.map_err(|why| {
                    format!("now must be a time such as 2026-01-01T12:00:00Z: {why}")
                })?)
            }
            _ => return Err("now must be a time or null".into()),
        };
    state.world.clock.set(now);
    Ok(json!({ "now": written(state.world.now()) }))
}

/// `{"adminKeys":["…"]}`: keys are rotated; the old ones get 401 at once.
pub fn set_keys(state: &mut State, order: &Value) -> Result<Value, String> {
    let keys = order.get("adminKeys").cloned().unwrap_or_default();
    state.world.admin_keys =
        serde_json::from_value(keys).map_err(|_| "adminKeys must be an array of strings")?;
    Ok(json!({}))
}
