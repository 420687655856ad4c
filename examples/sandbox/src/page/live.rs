//! What happens, as server-sent events. However many requests come, a page gets a few messages a second with at
//! most so many rows each: a list that scrolls by at a thousand a second is read by nobody.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Response, header};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::clock::written;
use crate::pulse;
use crate::requests::Filter;
use crate::service::Service;

const TICK: Duration = Duration::from_millis(250);
/// Rows in the first message, as many as the page keeps, and in each that follows.
const FIRST_ROWS: usize = 200;
const ROWS: usize = 40;
/// Lanes with events under way.
const LANES: usize = 8;

/// `?user=`, `?metric=`, `?status=` and `?events=only` narrow the rows.
pub fn start(service: Service, request: &Request) -> Response<Body> {
    let mut filter = Filter::default();
    let query = request.uri().query().unwrap_or_default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "user" => filter.user = value.into_owned(),
            "metric" => filter.metric = value.into_owned(),
            "status" => filter.status = value.into_owned(),
            "events" => filter.events_only = value == "only",
            _ => {}
        }
    }
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut response = Response::new(Body::new(Live {
        service,
        filter,
        ticks,
        told: None,
    }));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    let store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, store);
    response
}

struct Live {
    service: Service,
    filter: Filter,
    ticks: Interval,
    told: Option<Told>,
}

/// How far a page has been told.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Told {
    resets: u64,
    revision: u64,
    second: u64,
}

impl Live {
    /// Once a second at least, so that a page knows that it is still connected.
    fn message(&mut self) -> Option<Value> {
        let now = Instant::now();
        let state = &mut *self.service.lock();
        let books = &mut state.books;
        let present = Told {
            resets: books.requests.resets(),
            revision: books.requests.revision(),
            second: books.pulse.number(now),
        };
        if self.told == Some(present) {
            return None;
        }
        let before = self.told.replace(present);
        let before = before.filter(|told| told.resets == present.resets);
        let revision = before.map_or(0, |told| told.revision);
        let (rows, seconds) = match before {
            None => (FIRST_ROWS, pulse::MOST),
            // The second that was not over then, and those since.
            Some(told) => {
                let passed = present.second.saturating_sub(told.second) as usize;
                (ROWS, passed + 1)
            }
        };
        Some(json!({
            "fresh": before.is_none(),
            "revision": present.revision,
            "rows": books.requests.rows_since(revision, &self.filter, rows),
            "pulse": books.pulse.show(seconds, now),
            "totals": books.ledger.totals(),
            "lanes": books.ledger.busiest(LANES),
            "faults": books.faults.show(),
            "now": written(state.world.now()),
            "clockMoved": state.world.clock.is_moved(),
        }))
    }
}

impl hyper::body::Body for Live {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            ready!(self.ticks.poll_tick(context));
            if let Some(message) = self.message() {
                let text = format!("data: {message}\n\n");
                return Poll::Ready(Some(Ok(Frame::data(text.into()))));
            }
        }
    }
}
