//! Delivering what a queue holds while the command waits, and what came of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trophy::client::{Client, DeliveryCallback};
use trophy::error::Status;

use crate::failure::Failure;
use crate::progress::{Position, Progress, Style};
use crate::session::Session;
use crate::stats::Stats;
use crate::waiting::Waiting;
use crate::wording;

/// Lines of JSON say nothing of what is done in a moment.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Outcome {
    stats: Stats,
    undelivered: u64,
    /// The service refuses the key.
    paused: bool,
    /// Why nothing moved at the end.
    waits_for: Option<String>,
    /// The first event that was not delivered and will not be.
    refused: Option<(Status, String)>,
}

/// Hears how events end. To be made before the first of them can.
pub struct Watch(Arc<FirstRefusal>);

impl Watch {
    pub fn begin(client: &Client) -> Self {
        let refusal = Arc::new(FirstRefusal::default());
        client.on_delivery(Some(Arc::clone(&refusal) as Arc<dyn DeliveryCallback>));
        Self(refusal)
    }
}

/// Waits until nothing is left, or the time is over. A refused key pauses the queue for good, so there is
/// no point in waiting then. Closes the client.
pub fn deliver(
    client: &Client,
    session: &Session,
    watch: &Watch,
    timeout_ms: i64,
    style: Style,
) -> Result<Outcome, Failure> {
    let failure = |error| wording::CLIENT.failure(error);
    let until = Instant::now() + Duration::from_millis(timeout_ms.unsigned_abs());
    let mut progress = Progress::begin(style, "delivering", PATIENCE);
    let mut waiting = Waiting::new(session);
    let (ending, paused, waits_for) = loop {
        let remaining = until.saturating_duration_since(Instant::now());
        let step = remaining.min(Duration::from_millis(100));
        let ending = client.flush(step.as_millis() as i64).map_err(failure)?;
        let stats = Stats::of(client)?;
        let waits_for = waiting.look(&stats, ending.undelivered);
        progress.show(&Position {
            done: stats.ended(),
            total: Some(stats.ended() + ending.undelivered),
            refused: stats.dead,
            waits_for: waits_for.clone(),
        });
        if ending.is_done() || stats.paused || remaining.is_zero() {
            break (ending, stats.paused && !ending.is_done(), waits_for);
        }
    };
    progress.end();
    // With nothing left it waits only for the callbacks.
    let wait_ms = if ending.is_done() { 5_000 } else { 0 };
    client.close(wait_ms).map_err(failure)?;
    Ok(Outcome {
        stats: Stats::of(client)?,
        undelivered: ending.undelivered,
        paused,
        waits_for,
        refused: watch.0.take(),
    })
}

impl Outcome {
    pub fn report(&self) -> Value {
        json!({
            "delivered": self.stats.delivered,
            "undelivered": self.undelivered,
            "dead": self.stats.dead,
            "expired": self.stats.expired,
            "paused": self.paused,
        })
    }

    /// For people.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("delivered", self.stats.delivered.to_string()),
            ("undelivered", self.undelivered.to_string()),
            ("dead", self.stats.dead.to_string()),
            ("expired", self.stats.expired.to_string()),
            ("paused", if self.paused { "yes" } else { "no" }.to_owned()),
        ]
    }

    /// What the exit code is to say: the worst of it.
    pub fn verdict(self, path: &str) -> Result<(), Failure> {
        let (status, message) = if self.paused {
            (
                Status::Unauthorized,
                format!(
                    "the service refuses the API key; every event is safe in {path}, so come again with another key"
                ),
            )
        } else if self.undelivered > 0 {
            let why = self
                .waits_for
                .map_or(String::new(), |why| format!(": {why}"));
            (
                Status::Timeout,
                format!(
                    "{} not delivered yet, safe in {path}; `trophy queue flush` goes on{why}",
                    self.undelivered
                ),
            )
        } else if let Some((status, message)) = self.refused {
            (
                status,
                format!("an event was not taken: {message} (see `trophy queue dead`)"),
            )
        } else if self.stats.dead != 0 {
            // It ended before the watch began.
            (
                Status::Unprocessable,
                "an event was not taken (see `trophy queue dead`)".to_owned(),
            )
        } else {
            return Ok(());
        };
        Err(Failure::status(status, message))
    }
}

#[derive(Default)]
struct FirstRefusal(Mutex<Option<(Status, String)>>);

impl FirstRefusal {
    fn take(&self) -> Option<(Status, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl DeliveryCallback for FirstRefusal {
    fn run(&self, status: Status, json: &str) {
        if status == Status::Ok {
            return;
        }
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| (status, message_of(json)));
    }
}

/// Of what a delivery callback is told.
pub fn message_of(json: &str) -> String {
    serde_json::from_str::<Value>(json)
        .ok()
        .and_then(|json| Some(json.pointer("/error/message")?.as_str()?.to_owned()))
        .unwrap_or_default()
}
