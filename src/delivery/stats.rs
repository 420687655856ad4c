//! What a client has done so far, for `trophy_client_stats`.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::error::{STATUSES, Status};

/// Counts that only go up. Relaxed: they order nothing.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub struct Stats {
    /// Attempts, also those that got no answer.
    pub requests: Counter,
    pub retries: Counter,
    pub rate_limited: Counter,
    pub delivered: Counter,
    pub dead: Counter,
    pub expired: Counter,
    pub dropped: Counter,
    pub damaged: Counter,
    finished: Finished,
}

/// Calls by the status they ended with, in the order of [`STATUSES`].
#[derive(Debug, Default)]
struct Finished([Counter; STATUSES.len()]);

impl Stats {
    /// A call, synchronous or not, has ended.
    pub fn finished(&self, status: Status) {
        for ((each, _), counter) in STATUSES.iter().zip(&self.finished.0) {
            if *each == status {
                counter.add(1);
            }
        }
    }

    pub fn to_json(&self, now: Now) -> String {
        let view = View {
            queued: now.queued,
            in_flight: now.in_flight,
            delivered: self.delivered.get(),
            dead: self.dead.get(),
            expired: self.expired.get(),
            dropped: self.dropped.get(),
            requests: self.requests.get(),
            retries: self.retries.get(),
            rate_limited: self.rate_limited.get(),
            bytes_on_disk: now.bytes_on_disk,
            paused: now.paused,
            damaged: self.damaged.get(),
            requests_per_second: now.requests_per_second,
            calls_under_way: now.calls_under_way,
            calls_waiting: now.calls_waiting,
            calls_finished: &self.finished,
        };
        serde_json::to_string(&view).unwrap_or_default()
    }
}

/// What is the case at this moment.
#[derive(Debug, Default)]
pub struct Now {
    pub queued: u64,
    pub in_flight: u64,
    pub bytes_on_disk: u64,
    pub paused: bool,
    pub requests_per_second: f64,
    pub calls_under_way: u64,
    pub calls_waiting: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    queued: u64,
    in_flight: u64,
    delivered: u64,
    dead: u64,
    expired: u64,
    dropped: u64,
    requests: u64,
    retries: u64,
    rate_limited: u64,
    bytes_on_disk: u64,
    paused: bool,
    damaged: u64,
    requests_per_second: f64,
    calls_under_way: u64,
    calls_waiting: u64,
    calls_finished: &'a Finished,
}

impl Serialize for Finished {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for ((status, _), counter) in STATUSES.iter().zip(&self.0) {
            if counter.get() > 0 {
                map.serialize_entry(status.name(), &counter.get())?;
            }
        }
        map.end()
    }
}
