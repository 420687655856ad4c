//! The requests as they came, the latest of them, so that tests can look at the wire.

use std::collections::VecDeque;

use axum::http::request::Parts;
use serde_json::{Value, json};

use crate::admin::keys::prefix;
use crate::dots::AsWritten;

const MOST: usize = 10_000;
/// Large batches must not fill the memory.
const MOST_BYTES: usize = 64 << 20;

pub struct Record {
    operation: &'static str,
    method: String,
    /// Path and query exactly as on the wire.
    target: String,
    /// A line each, the key's secret left out.
    headers: String,
    body: String,
}

#[derive(Default)]
pub struct Requests {
    ring: VecDeque<Record>,
    bytes: usize,
}

impl Requests {
    pub fn add(&mut self, record: Record) {
        self.bytes += record.body.len();
        self.ring.push_back(record);
        while self.ring.len() > MOST || self.bytes > MOST_BYTES {
            let Some(oldest) = self.ring.pop_front() else {
                break;
            };
            self.bytes -= oldest.body.len();
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
}

impl Record {
    /// Copies what it keeps: a part of the request would hold on to all of the connection's buffer.
    pub fn new(operation: &'static str, parts: &Parts, body: &[u8]) -> Self {
        let mut headers = String::new();
        for (name, value) in &parts.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let value = match name.as_str() {
                "x-api-key" | "authorization" => format!("{}.***", prefix(&value)).into(),
                _ => value,
            };
            headers.extend([name.as_str(), ": ", &value, "\n"]);
        }
        Self {
            operation,
            method: parts.method.to_string(),
            target: match parts.extensions.get::<AsWritten>() {
                Some(AsWritten(uri)) => uri.to_string(),
                None => parts.uri.to_string(),
            },
            headers,
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }

    fn show(&self) -> Value {
        let headers = self
            .headers
            .lines()
            .filter_map(|line| line.split_once(": "));
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        json!({
            "operation": self.operation,
            "method": self.method,
            "path": path,
            "query": query,
            "headers": headers.map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
            "body": self.body,
        })
    }
}
