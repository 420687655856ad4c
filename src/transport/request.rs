//! A request, handed to ureq.

use ureq::http::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
    USER_AGENT,
};
use ureq::http::{Request, Response, Uri};
use ureq::{Agent, Body};

use super::current::Current;
use super::exchange::{Exchange, Kind};
use super::explain::explain;
use super::fault::Fault;
use crate::api::operations::Method;
use crate::api::url::MAX_IN_LINE;

/// The first three say where a message ends; a second opinion on that is how requests are smuggled.
const OURS: [HeaderName; 4] = [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, ACCEPT_ENCODING];

/// Sends the request and reads the reply's head.
pub fn send(
    exchange: &Exchange<'_>,
    uri: &Uri,
    user_agent: &str,
    agent: &Agent,
    current: &Current,
) -> Result<Response<Body>, Fault> {
    let mut headers = HeaderMap::with_capacity(exchange.headers.len() + 1);
    let mut has_user_agent = user_agent.is_empty();
    check_length("the URL", exchange.url.len())?;
    for (name, value) in exchange.headers {
        check_length("a header", name.len() + value.len())?;
        let name = header_name(name)?;
        has_user_agent |= name == USER_AGENT;
        headers.append(name, header_value(value)?);
    }
    if !has_user_agent {
        headers.append(USER_AGENT, header_value(user_agent)?);
    }
    // Without a body, ureq would send these chunked.
    let needs_body = matches!(exchange.method, Method::Post | Method::Put | Method::Patch);
    let body = exchange.body.or(needs_body.then_some(&[][..]));
    let mut request = Request::new(());
    *request.method_mut() = method(exchange.method);
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = headers;
    let response = match body {
        Some(body) => agent.run(request.map(|()| body)),
        None => agent.run(request),
    };
    response.map_err(|error| explain(error, current))
}

fn method(method: Method) -> ureq::http::Method {
    match method {
        Method::Get => ureq::http::Method::GET,
        Method::Post => ureq::http::Method::POST,
        Method::Put => ureq::http::Method::PUT,
        Method::Patch => ureq::http::Method::PATCH,
        Method::Delete => ureq::http::Method::DELETE,
    }
}

pub fn check_user_agent(user_agent: &str) -> Result<(), String> {
    header_value(user_agent)
        .map(drop)
        .map_err(|_| "`user_agent`: holds a line break or another control character".to_owned())
}

fn check_length(what: &str, length: usize) -> Result<(), Fault> {
    if length > MAX_IN_LINE {
        let reason = format!("{what} is {length} bytes long, which servers do not take");
        return Err(Fault::new(Kind::InvalidRequest, reason));
    }
    Ok(())
}

fn header_name(name: &str) -> Result<HeaderName, Fault> {
    let found = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Fault::new(Kind::InvalidRequest, "a header's name is none"))?;
    if OURS.contains(&found) {
        let reason = format!("the header `{name}` is the library's own");
        return Err(Fault::new(Kind::InvalidRequest, reason));
    }
    Ok(found)
}

fn header_value(value: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        let reason = "a header holds a line break or another control character";
        Fault::new(Kind::InvalidRequest, reason)
    })
}
