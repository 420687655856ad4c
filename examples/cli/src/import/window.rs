//! The rows that are in the queue: as many as it takes to keep it busy, so that memory does not grow with the file.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::Value;
use trophy::client::DeliveryCallback;
use trophy::error::Status;

use super::ledger::{Fate, Ledger};
use super::refused::Refused;
use super::row::{At, Event};

/// Ten full batches, so that neither the disk nor this process is waited for.
const MOST_ROWS: usize = 10_000;
const MOST_BYTES: usize = 32 << 20;

#[derive(Clone, Debug)]
pub struct Waiting {
    pub at: At,
    pub event: Event,
}

/// What tells one event from another, to the service and to a delivery callback.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    pub idempotency_key: String,
    pub metric: String,
    pub user_id: String,
}

pub struct Window {
    rows: Mutex<Rows>,
    ledger: Arc<Ledger>,
    refused: Arc<Refused>,
}

#[derive(Default)]
struct Rows {
    /// A file may hold the same event twice; the first in comes to its end first.
    by_name: HashMap<Name, VecDeque<Waiting>>,
    count: usize,
    bytes: usize,
    /// Of the first that was refused.
    first_refusal: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notice {
    idempotency_key: String,
    key: String,
    user_id: String,
    error: Option<Value>,
}

impl Name {
    /// `None`: it is no event that the queue would take.
    pub fn of(event: &Event) -> Option<Self> {
        Some(Self {
            idempotency_key: event.idempotency_key.clone()?,
            metric: event.metric.clone(),
            user_id: event.user_id()?,
        })
    }
}

impl Waiting {
    fn bytes(&self) -> usize {
        let event = &self.event;
        event.user.len() + event.attributes.as_ref().map_or(0, String::len)
    }
}

impl Window {
    pub fn new(ledger: Arc<Ledger>, refused: Arc<Refused>) -> Self {
        Self {
            rows: Mutex::default(),
            ledger,
            refused,
        }
    }

    pub fn has_room(&self) -> bool {
        let rows = self.rows();
        rows.count < MOST_ROWS && rows.bytes < MOST_BYTES
    }

    pub fn is_empty(&self) -> bool {
        self.rows().count == 0
    }

    /// To be told before the queue has it, or its end could be missed.
    pub fn add(&self, name: Name, row: Waiting) {
        let mut rows = self.rows();
        rows.count += 1;
        rows.bytes += row.bytes();
        rows.by_name.entry(name).or_default().push_back(row);
    }

    /// The queue did not take it.
    pub fn take_back(&self, name: &Name) -> Option<Waiting> {
        self.rows().take(name, VecDeque::pop_back)
    }

    /// A row came to its end.
    fn ended(&self, name: &Name, status: Status, reason: &str) {
        let Some(row) = self.rows().take(name, VecDeque::pop_front) else {
            // Somebody else's, or one that is in the queue twice since this process was killed.
            return;
        };
        if status == Status::Ok {
            self.ledger.end(row.at.row, Fate::Delivered);
        } else {
            self.refuse(&row, status, status.name(), reason);
        }
    }

    fn refuse(&self, row: &Waiting, status: Status, code: &str, reason: &str) {
        self.rows().first_refusal.get_or_insert(status);
        self.refused.add(row.at, &row.event, (code, reason), || {
            self.ledger.end(row.at.row, Fate::Refused);
        });
    }

    /// The queue is empty, so all rows have come to their end. Of those that were not heard of, `dead` has the ones
    /// that the service refused.
    pub fn settle(&self, dead: &HashMap<Name, (String, String)>) {
        let left = std::mem::take(&mut *self.rows());
        self.rows().first_refusal = left.first_refusal;
        for (name, rows) in left.by_name {
            for row in rows {
                match dead.get(&name) {
                    Some((code, reason)) => {
                        self.refuse(&row, Status::Unprocessable, code, reason);
                    }
                    None => self.ledger.end(row.at.row, Fate::Delivered),
                }
            }
        }
    }

    pub fn first_refusal(&self) -> Option<Status> {
        self.rows().first_refusal
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn take(
        &mut self,
        name: &Name,
        which: fn(&mut VecDeque<Waiting>) -> Option<Waiting>,
    ) -> Option<Waiting> {
        let rows = self.by_name.get_mut(name)?;
        let row = which(rows);
        if rows.is_empty() {
            self.by_name.remove(name);
        }
        let row = row?;
        self.count -= 1;
        self.bytes -= row.bytes();
        Some(row)
    }
}

/// What the queue calls back.
pub struct Ends(pub Arc<Window>);

impl DeliveryCallback for Ends {
    fn run(&self, status: Status, json: &str) {
        let Ok(notice) = serde_json::from_str::<Notice>(json) else {
            return;
        };
        let message = notice
            .error
            .as_ref()
            .and_then(|error| error["message"].as_str())
            .unwrap_or_default()
            .to_owned();
        let name = Name {
            idempotency_key: notice.idempotency_key,
            metric: notice.key,
            user_id: notice.user_id,
        };
        self.0.ended(&name, status, &message);
    }
}
