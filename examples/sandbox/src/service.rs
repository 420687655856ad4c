//! From a request to its reply: record, fault, key, limit, tenant, then the operation itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request::Parts,
};
use axum::routing::{MethodFilter, MethodRouter, on};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::call::{Actor, Answer, Call, Refusal, Reply};
use crate::connection::{Control, Plan};
use crate::control;
use crate::events;
use crate::faults::{Fault, Faults, Kind};
use crate::ledger::{Lane, Ledger};
use crate::limits::{Limits, Rates, Tier};
use crate::operations::{Api, Handler, OPERATIONS, Operation};
use crate::page::{self, Site};
use crate::pulse::Pulse;
use crate::requests::{Record, Requests};
use crate::world::World;
use crate::world_file;

/// More than the largest batch has.
const MOST_BYTES: usize = 16 << 20;

/// All that the sandbox keeps beside the world itself.
pub struct Books {
    pub ledger: Ledger,
    pub faults: Faults,
    pub requests: Requests,
    pub pulse: Pulse,
    limits: Limits,
}

pub struct State {
    pub world: World,
    pub books: Books,
    /// What the world was made of, to make it again.
    start: Value,
    pub rates: Rates,
}

impl State {
    pub fn new(start: Value, rates: Rates) -> Result<Self, String> {
        let world = world_file::load(&start)?;
        Ok(Self {
            world,
            books: books(rates),
            start,
            rates,
        })
    }

    /// Back to the start world, with empty books.
    pub fn reset(&mut self) -> Result<(), String> {
        self.world = world_file::load(&self.start)?;
        let requests = std::mem::take(&mut self.books.requests).emptied();
        let ledger = std::mem::take(&mut self.books.ledger).emptied();
        self.books = Books {
            requests,
            ledger,
            ..books(self.rates)
        };
        Ok(())
    }
}

fn books(rates: Rates) -> Books {
    Books {
        ledger: Ledger::default(),
        faults: Faults::default(),
        requests: Requests::default(),
        pulse: Pulse::default(),
        limits: Limits::new(rates),
    }
}

#[derive(Clone)]
pub struct Service(Arc<Mutex<State>>);

impl Service {
    pub fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn router(service: &Service, site: &Site) -> Router {
    let mut router = Router::new();
    for operation in &OPERATIONS {
        let base = match operation.api {
            Api::Application => "/v1",
            Api::Admin => "/admin/v1",
        };
        let service = service.clone();
        let path = format!("{base}{}", operation.path);
        let template = path.clone();
        let handler = move |request: Request| {
            let path = parameters(&template, request.uri().path());
            let service = service.clone();
            async move { answer(operation, service, path, request).await }
        };
        let route: MethodRouter = on(filter(operation.method), handler);
        router = router.route(&path, route);
    }
    let unknown = {
        let service = service.clone();
        move |request: Request| refuse_unknown(service.clone(), request)
    };
    router
        .merge(page::guarded(
            control::router(service).merge(page::router(service, site)),
            site,
        ))
        .fallback(unknown.clone())
        .method_not_allowed_fallback(unknown)
}

/// The parameters of a path, decoded. What is not UTF-8 then is a name that nobody has.
fn parameters(template: &str, path: &str) -> Vec<String> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let places = template.split('/').zip(path.split('/'));
    places
        .filter(|(place, _)| place.starts_with('{'))
        .map(|(_, text)| decoded(text))
        .collect()
}

fn filter(method: &str) -> MethodFilter {
    match method {
        "POST" => MethodFilter::POST,
        "PUT" => MethodFilter::PUT,
        "PATCH" => MethodFilter::PATCH,
        "DELETE" => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    }
}

/// Events on their way; they leave their lanes when the answer is made or the client has gone.
struct InFlight {
    service: Service,
    lanes: Vec<Lane>,
    request: u64,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let books = &mut self.service.lock().books;
        books.ledger.leave(self.request, &self.lanes);
        books.requests.left(self.request);
    }
}

/// Records a request and numbers it; `None` if its body is too large, or never came whole.
async fn receive(
    service: &Service,
    operation: &'static str,
    request: Request,
) -> Option<(Parts, Bytes, u64)> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MOST_BYTES).await.ok()?;
    let mut state = service.lock();
    state.books.ledger.request(operation);
    let record = Record::new(operation, &parts, &body, state.world.now());
    let request = state.books.requests.add(record);
    drop(state);
    Some((parts, body, request))
}

async fn refuse_unknown(service: Service, request: Request) -> Response<Body> {
    let Some((parts, _, request)) = receive(&service, "unknown", request).await else {
        return too_large();
    };
    let text = format!(
        "There is no operation {} {}",
        parts.method,
        parts.uri.path()
    );
    let response = respond(404, &json!({ "error": text }));
    note(&service, None, request, response).await
}

fn too_large() -> Response<Body> {
    respond(413, &json!({ "error": "The body is too large" }))
}

pub async fn answer(
    operation: &'static Operation,
    service: Service,
    path: Vec<String>,
    request: Request,
) -> Response<Body> {
    let Some((mut parts, body, request)) = receive(&service, operation.id, request).await else {
        return too_large();
    };
    let control = parts.extensions.remove::<Control>().unwrap_or_default();
    let body = match serde_json::from_slice(&body) {
        _ if body.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(why) => Err(why.to_string()),
    };
    let query = parts.uri.query().unwrap_or_default();
    let mut call = Call {
        path,
        query: form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        tenant: tenant(operation, &parts.headers),
        headers: parts.headers,
        body,
        actor: Actor::Admin,
    };
    let lanes = events::lanes(operation.id, &call);
    let fault = {
        let mut state = service.lock();
        let books = &mut state.books;
        let user_agent = call.headers.get(header::USER_AGENT);
        let user_agent = user_agent.and_then(|name| name.to_str().ok());
        books
            .ledger
            .enter(request, user_agent.unwrap_or_default(), &lanes);
        books.pulse.arrived(operation.tier, Instant::now());
        let fault = books.faults.strike(operation.id);
        if let Some(fault) = &fault {
            books.requests.struck(request, fault.fault);
        }
        fault
    };
    let _in_flight = InFlight {
        service: service.clone(),
        lanes,
        request,
    };
    let response = match fault {
        None => respond_to(operation, &service, &mut call, request),
        Some(fault) => {
            strike(&fault, &control, || {
                respond_to(operation, &service, &mut call, request)
            })
            .await
        }
    };
    note(&service, Some(operation.tier), request, response).await
}

/// Writes a reply into the books. All of it is in memory: nothing is waited for.
async fn note(
    service: &Service,
    tier: Option<Tier>,
    request: u64,
    response: Response<Body>,
) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let status = parts.status.as_u16();
    let books = &mut service.lock().books;
    books.ledger.status(status);
    books.requests.answered(request, &parts, &body);
    if let Some(tier) = tier.filter(|_| status == 429) {
        books.pulse.refused(tier, Instant::now());
    }
    Response::from_parts(parts, Body::from(body))
}

/// The faults that leave nothing of the operation, and those that spoil its reply.
async fn strike(
    fault: &Fault,
    control: &Control,
    process: impl FnOnce() -> Response<Body>,
) -> Response<Body> {
    let length = Duration::from_millis(fault.ms.unwrap_or(0));
    let closed = || {
        control.set(Plan {
            cut_after: Some(0),
            ..Plan::default()
        });
        Response::default()
    };
    match fault.fault {
        Kind::CloseBefore => closed(),
        Kind::CloseAfter => {
            process();
            closed()
        }
        Kind::StatusBefore | Kind::RateLimited | Kind::Redirect => substitute(fault),
        Kind::StatusAfter => {
            process();
            substitute(fault)
        }
        Kind::Delay => {
            let response = process();
            tokio::time::sleep(length).await;
            response
        }
        Kind::Hang => std::future::pending().await,
        Kind::HangAfter => {
            process();
            std::future::pending().await
        }
        Kind::Cut => {
            control.set(Plan {
                cut_after: fault.bytes,
                ..Plan::default()
            });
            process()
        }
        Kind::Reset => {
            control.set(Plan {
                cut_after: Some(0),
                reset: true,
                ..Plan::default()
            });
            process()
        }
        Kind::Stale => {
            control.set(Plan {
                stale: true,
                ..Plan::default()
            });
            process()
        }
        Kind::Slow => {
            control.set(Plan {
                pause: Some(length),
                ..Plan::default()
            });
            process()
        }
        Kind::NotJson => {
            let processed = process().status().as_u16();
            let status = fault.status.unwrap_or(processed);
            let page = fault
                .body
                .clone()
                .unwrap_or("<html>Not the service</html>".into());
            let mut response = raw(status, &page);
            put(response.headers_mut(), "content-type", "text/html");
            response
        }
        Kind::Oversized => {
            let frame = r#"{"padding":""}"#.len();
            let padding = "x".repeat(fault.bytes.unwrap_or(0).saturating_sub(frame));
            respond(process().status().as_u16(), &json!({ "padding": padding }))
        }
        // It strikes events, not requests.
        Kind::Poison => process(),
    }
}

/// The reply that stands in for the operation's own.
fn substitute(fault: &Fault) -> Response<Body> {
    let (status, text) = match fault.fault {
        Kind::RateLimited => (429, "Rate limit exceeded"),
        Kind::Redirect => (fault.status.unwrap_or(307), "Moved"),
        _ => (fault.status.unwrap_or(500), "A fault was ordered"),
    };
    let body = fault
        .body
        .clone()
        .unwrap_or_else(|| json!({ "error": text }));
    let mut response = raw(status, &body);
    let headers = response.headers_mut();
    for (name, value) in fault.headers.iter().flatten() {
        put(headers, name, value);
    }
    if let Some(wait) = &fault.retry_after {
        put(headers, "retry-after", wait);
    }
    if let Some(location) = &fault.location {
        put(headers, "location", location);
    }
    response
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
        headers.insert(name, value);
    }
}

/// Text as it is, anything else as JSON.
fn raw(status: u16, body: &Value) -> Response<Body> {
    match body {
        Value::String(text) => {
            let mut response = respond(status, &Value::Null);
            *response.body_mut() = Body::from(text.clone());
            response
        }
        body => respond(status, body),
    }
}

pub fn respond(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Tenants and keys belong to the whole organisation.
fn tenant(operation: &Operation, headers: &HeaderMap) -> String {
    if !scoped(operation) {
        return String::new();
    }
    let tenant = headers.get("tenant-id");
    let tenant = tenant.and_then(|tenant| std::str::from_utf8(tenant.as_bytes()).ok());
    tenant.unwrap_or_default().to_owned()
}

fn scoped(operation: &Operation) -> bool {
    let of_organisation = ["/tenants", "/application-api-keys"];
    operation.api == Api::Application
        || !of_organisation
            .iter()
            .any(|path| operation.path.starts_with(path))
}

fn respond_to(
    operation: &'static Operation,
    service: &Service,
    call: &mut Call,
    request: u64,
) -> Response<Body> {
    let mut state = service.lock();
    let (counted, replayed) = state.books.ledger.counts();
    let reply = perform(operation, &mut state, call).unwrap_or_else(|refusal| Reply {
        status: refusal.status(operation.knows_400),
        body: refusal.body(),
    });
    let books = &mut state.books;
    let after = books.ledger.counts();
    let (counted, replayed) = (after.0 - counted, after.1 - replayed);
    if counted + replayed > 0 {
        books.requests.counted(request, counted, replayed);
        books.pulse.counted(counted, replayed, Instant::now());
    }
    drop(state);
    respond(reply.status, &reply.body)
}

fn perform(operation: &'static Operation, state: &mut State, call: &mut Call) -> Answer {
    let State { world, books, .. } = state;
    let key = call
        .headers
        .get("x-api-key")
        .ok_or(Refusal::Unauthorized("No API key provided"))?;
    let actor = key.to_str().ok().and_then(|key| world.actor(key));
    let actor = actor.ok_or(Refusal::Unauthorized("Invalid API key"))?;
    if operation.api == Api::Admin && actor != Actor::Admin {
        return Err(Refusal::Unauthorized(
            "This API key is for the application API only",
        ));
    }
    if !books.limits.admit(operation.tier, Instant::now()) {
        return Err(Refusal::RateLimited);
    }
    call.actor = actor;
    if operation.path.starts_with("/users/{id}") {
        call.may_act_for(call.path(0))?;
    }
    if world.catalog.multi_tenancy && scoped(operation) {
        let known = |tenant: &str| {
            world
                .catalog
                .tenants
                .iter()
                .any(|t| t.customer_id == tenant)
        };
        if call.tenant.is_empty() {
            return Err(Refusal::Unprocessable(
                "The Tenant-ID header is required".into(),
            ));
        } else if !known(&call.tenant) {
            return Err(Refusal::Unprocessable(format!(
                "Tenant not found: {}",
                call.tenant
            )));
        }
    }
    match operation.handler {
        Handler::Plain(handler) => handler(world, call),
        Handler::Counting(handler) => handler(world, books, call),
    }
}
