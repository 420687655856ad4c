//! The requests as they came and what was answered, the latest of them: tests can look at the wire, and the page
//! shows it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Instant;

use axum::http::{HeaderMap, request, response};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::admin::keys::prefix;
use crate::clock::written;
use crate::dots::AsWritten;
use crate::faults::Kind;

const MOST: usize = 10_000;
/// Large batches must not fill the memory.
const MOST_BYTES: usize = 64 << 20;
/// Of a reply, which may have been ordered to be oversized.
const MOST_OF_A_REPLY: usize = 64 << 10;
/// Of a batch's events, in the row of a list. The request itself has all.
const MOST_IN_A_ROW: usize = 20;

pub struct Record {
    id: u64,
    /// When it last changed, as `Requests::revision` counts.
    revision: u64,
    operation: &'static str,
    method: String,
    /// Path and query exactly as on the wire.
    target: String,
    /// A line each, the key's secret left out.
    headers: String,
    body: String,
    /// The sandbox's time.
    at: Timestamp,
    received: Instant,
    /// Events of it that were counted, and replayed.
    counted: u64,
    replayed: u64,
    fault: Option<Kind>,
    end: End,
}

enum End {
    Waiting,
    /// The client went away before it was answered.
    Left,
    Answered(Answered),
}

struct Answered {
    status: u16,
    headers: String,
    body: String,
    cut: bool,
    ms: f64,
}

/// Which requests are asked for; what is empty asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// A part of a user's id or name.
    pub user: String,
    pub metric: String,
    /// `429`, `4xx`, or `none` for those without a reply.
    pub status: String,
    pub events_only: bool,
}

#[derive(Default)]
pub struct Requests {
    /// Their numbers follow on each other.
    ring: VecDeque<Record>,
    bytes: usize,
    last: u64,
    revision: u64,
    resets: u64,
}

impl Requests {
    /// None of them, with numbers that go on.
    pub fn emptied(self) -> Self {
        Self {
            last: self.last,
            revision: self.revision + 1,
            resets: self.resets + 1,
            ..Self::default()
        }
    }

    /// Counts the changes.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn resets(&self) -> u64 {
        self.resets
    }

    /// Gives it its number.
    pub fn add(&mut self, mut record: Record) -> u64 {
        self.last += 1;
        self.revision += 1;
        record.id = self.last;
        record.revision = self.revision;
        self.bytes += record.bytes();
        self.ring.push_back(record);
        self.make_room();
        self.last
    }

    fn make_room(&mut self) {
        while self.ring.len() > MOST || self.bytes > MOST_BYTES {
            let Some(oldest) = self.ring.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes();
        }
    }

    fn position(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.ring.front()?.id)?).ok()
    }

    /// Changes a request, if it is still kept.
    fn change(&mut self, id: u64, change: impl FnOnce(&mut Record)) {
        let record = self.position(id).and_then(|at| self.ring.get_mut(at));
        let Some(record) = record else { return };
        self.revision += 1;
        record.revision = self.revision;
        self.bytes -= record.bytes();
        change(record);
        self.bytes += record.bytes();
        self.make_room();
    }

    pub fn struck(&mut self, id: u64, fault: Kind) {
        self.change(id, |record| record.fault = Some(fault));
    }

    pub fn counted(&mut self, id: u64, counted: u64, replayed: u64) {
        self.change(id, |record| {
            (record.counted, record.replayed) = (counted, replayed);
        });
    }

    pub fn answered(&mut self, id: u64, parts: &response::Parts, body: &[u8]) {
        self.change(id, |record| {
            let body = without_secrets(record.operation, body);
            let kept = &body[..body.len().min(MOST_OF_A_REPLY)];
            record.end = End::Answered(Answered {
                status: parts.status.as_u16(),
                headers: lines(&parts.headers),
                body: String::from_utf8_lossy(kept).into_owned(),
                cut: kept.len() < body.len(),
                ms: record.received.elapsed().as_secs_f64() * 1000.0,
            });
        });
    }

    /// Its client has gone, or has its answer.
    pub fn left(&mut self, id: u64) {
        let waiting = self.position(id).and_then(|at| self.ring.get(at));
        if waiting.is_some_and(|record| matches!(record.end, End::Waiting)) {
            self.change(id, |record| record.end = End::Left);
        }
    }

    /// The last so many, of one operation if asked; the oldest first.
    pub fn show(&self, last: usize, operation: Option<&str>) -> Value {
        let mut shown: Vec<Value> = self
            .ring
            .iter()
            .rev()
            .filter(|record| operation.is_none_or(|only| only == record.operation))
            .take(last)
            .map(Record::show)
            .collect();
        shown.reverse();
        shown.into()
    }

    /// Rows for those that changed since a revision, the newest first, at most so many.
    pub fn rows_since(&self, revision: u64, filter: &Filter, most: usize) -> Vec<Value> {
        self.ring
            .iter()
            .rev()
            .filter(|record| record.revision > revision && filter.takes(record))
            .map(|record| (record, record.about()))
            .filter(|(_, about)| filter.takes_one_of(about))
            .map(|(record, about)| record.row(about))
            .take(most)
            .collect()
    }

    /// All of one, with its reply.
    pub fn whole(&self, id: u64) -> Option<Value> {
        let record = self.position(id).and_then(|at| self.ring.get(at))?;
        let about = record.about();
        let mut shown = record.row(about.clone());
        shown["about"] = about.into();
        shown["request"] = record.show();
        if let End::Answered(answered) = &record.end {
            shown["reply"] = json!({
                "headers": pairs(&answered.headers),
                "body": answered.body,
                "cut": answered.cut,
            });
        }
        Some(shown)
    }
}

impl Filter {
    /// What can be told without reading the body.
    fn takes(&self, record: &Record) -> bool {
        (!self.events_only || record.tells_of_events()) && self.takes_status(record.status())
    }

    fn takes_one_of(&self, about: &[Value]) -> bool {
        let like = |value: &Value| {
            let text = value.as_str().unwrap_or_default().to_lowercase();
            text.contains(&self.user.to_lowercase())
        };
        let wanted = |about: &Value| {
            (self.metric.is_empty() || about["metric"] == *self.metric)
                && (self.user.is_empty() || like(&about["user"]) || like(&about["name"]))
        };
        let anything = self.user.is_empty() && self.metric.is_empty();
        anything || about.iter().any(wanted)
    }

    fn takes_status(&self, status: Option<u16>) -> bool {
        match (self.status.as_str(), status) {
            ("", _) => true,
            ("none", status) => status.is_none(),
            (_, None) => false,
            (wanted, Some(status)) => match wanted.strip_suffix("xx") {
                Some(class) => (status / 100).to_string() == class,
                None => status.to_string() == wanted,
            },
        }
    }
}

impl Record {
    /// Copies what it keeps: a part of the request would hold on to all of the connection's buffer.
    pub fn new(
        operation: &'static str,
        parts: &request::Parts,
        body: &[u8],
        at: Timestamp,
    ) -> Self {
        Self {
            id: 0,
            revision: 0,
            operation,
            method: parts.method.to_string(),
            target: match parts.extensions.get::<AsWritten>() {
                Some(AsWritten(uri)) => uri.to_string(),
                None => parts.uri.to_string(),
            },
            headers: lines(&parts.headers),
            body: String::from_utf8_lossy(body).into_owned(),
            at,
            received: Instant::now(),
            counted: 0,
            replayed: 0,
            fault: None,
            end: End::Waiting,
        }
    }

    fn bytes(&self) -> usize {
        let reply = match &self.end {
            End::Answered(answered) => answered.body.len(),
            End::Waiting | End::Left => 0,
        };
        self.body.len() + reply
    }

    fn show(&self) -> Value {
        let (path, query) = self.path_and_query();
        json!({
            "operation": self.operation,
            "method": self.method,
            "path": path,
            "query": query,
            "headers": pairs(&self.headers),
            "body": self.body,
        })
    }
}

impl Record {
    fn path_and_query(&self) -> (&str, &str) {
        self.target.split_once('?').unwrap_or((&self.target, ""))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn tells_of_events(&self) -> bool {
        matches!(
            self.operation,
            "metrics_event" | "admin_metrics_batch_events"
        )
    }

    /// What its client got; `None` if that is nothing, or nothing yet.
    fn status(&self) -> Option<u16> {
        match (&self.end, self.fault) {
            (_, Some(Kind::CloseBefore | Kind::CloseAfter | Kind::Reset)) => None,
            (End::Answered(answered), _) => Some(answered.status),
            (End::Waiting | End::Left, _) => None,
        }
    }

    /// Whom and what it is about: its events, or else the user in its path.
    fn about(&self) -> Vec<Value> {
        let mut segments = self.path_and_query().0.split('/').skip(2);
        let mut segment = || {
            let text = segments.next().unwrap_or_default();
            percent_decode_str(text).decode_utf8_lossy().into_owned()
        };
        let event = |event: &Value, metric: &Value, key: Value| {
            let user = &event["user"];
            json!({
                "metric": metric,
                "user": user["id"],
                "name": user["name"],
                "value": event["value"],
                "key": key,
            })
        };
        let body = || serde_json::from_str(&self.body).unwrap_or(Value::Null);
        match self.operation {
            "metrics_event" => {
                let (_, metric) = (segment(), segment());
                let key = self.header("idempotency-key").into();
                vec![event(&body(), &metric.into(), key)]
            }
            "admin_metrics_batch_events" => {
                let body = body();
                let events = body.as_array().map_or(&[][..], Vec::as_slice);
                events
                    .iter()
                    .map(|item| event(item, &item["key"], item["idempotencyKey"].clone()))
                    .collect()
            }
            "achievements_complete" | "users_create" => {
                let body = body();
                let user = body.get("user").unwrap_or(&body);
                vec![json!({ "user": user["id"], "name": user["name"] })]
            }
            _ if segment() == "users" => vec![json!({ "user": segment() })],
            _ => Vec::new(),
        }
    }

    /// What the page's list shows.
    fn row(&self, mut about: Vec<Value>) -> Value {
        let (path, query) = self.path_and_query();
        let key = self.header("x-api-key").unwrap_or_default();
        let events = about.len();
        about.truncate(MOST_IN_A_ROW);
        let mut row = json!({
            "id": self.id,
            "at": written(self.at),
            "operation": self.operation,
            "method": self.method,
            "path": path,
            "query": query,
            "tenant": self.header("tenant-id"),
            "apiKey": key,
            "about": about,
            "status": self.status(),
            "fault": self.fault,
            "end": match &self.end {
                End::Waiting => "waiting",
                End::Left => "left",
                End::Answered(_) => "answered",
            },
        });
        if self.tells_of_events() {
            row["events"] = events.into();
            row["counted"] = self.counted.into();
            row["replayed"] = self.replayed.into();
        }
        if let End::Answered(answered) = &self.end {
            row["ms"] = ((answered.ms * 10.0).round() / 10.0).into();
            if answered.status >= 400 {
                let body: Value = serde_json::from_str(&answered.body).unwrap_or(Value::Null);
                row["error"] = body["error"].clone();
            }
        }
        row
    }
}

/// A reply as it is kept: that of the operation that makes keys has them whole, this once.
fn without_secrets<'a>(operation: &str, body: &'a [u8]) -> Cow<'a, [u8]> {
    if operation != "admin_application_api_keys_create" {
        return Cow::Borrowed(body);
    }
    let mut shown: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let created = shown["created"].as_array_mut();
    for made in created.into_iter().flatten() {
        made["key"] = format!("{}.***", prefix(made["key"].as_str().unwrap_or_default())).into();
    }
    Cow::Owned(shown.to_string().into_bytes())
}

/// A line for each, the key's secret left out.
fn lines(headers: &HeaderMap) -> String {
    let mut lines = String::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = match name.as_str() {
            "x-api-key" | "authorization" => format!("{}.***", prefix(&value)).into(),
            _ => value,
        };
        lines.extend([name.as_str(), ": ", &value, "\n"]);
    }
    lines
}

fn pairs(headers: &str) -> Vec<Value> {
    headers
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| json!([name, value]))
        .collect()
}
