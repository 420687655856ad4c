//! Delivering what a queue holds while the command waits, and what came of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trophy::client::{Client, DeliveryCallback};
use trophy::error::{Error, Status};

use crate::failure::Failure;

pub struct Outcome {
    stats: Value,
    undelivered: u64,
    /// The service refuses the key.
    paused: bool,
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
pub fn deliver(client: &Client, watch: &Watch, timeout_ms: i64) -> Result<Outcome, Failure> {
    let until = Instant::now() + Duration::from_millis(timeout_ms.unsigned_abs());
    let (ending, paused) = loop {
        let remaining = until.saturating_duration_since(Instant::now());
        let step = remaining.min(Duration::from_millis(100));
        let ending = client.flush(step.as_millis() as i64)?;
        let paused = stats(client)?["paused"] == true;
        if ending.is_done() || paused || remaining.is_zero() {
            break (ending, paused && !ending.is_done());
        }
    };
    // With nothing left it waits only for the callbacks.
    client.close(if ending.is_done() { 5_000 } else { 0 })?;
    Ok(Outcome {
        stats: stats(client)?,
        undelivered: ending.undelivered,
        paused,
        refused: watch.0.take(),
    })
}

impl Outcome {
    pub fn report(&self) -> Value {
        json!({
            "delivered": self.stats["delivered"],
            "undelivered": self.undelivered,
            "dead": self.stats["dead"],
            "expired": self.stats["expired"],
            "paused": self.paused,
        })
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
            (
                Status::Timeout,
                format!(
                    "{} not delivered yet, safe in {path}; `trophy queue flush` goes on",
                    self.undelivered
                ),
            )
        } else if let Some((status, message)) = self.refused {
            (
                status,
                format!("an event was not taken: {message} (see `trophy queue dead`)"),
            )
        } else if self.stats["dead"] != 0 {
            // It ended before the watch began.
            (
                Status::Unprocessable,
                "an event was not taken (see `trophy queue dead`)".to_owned(),
            )
        } else {
            return Ok(());
        };
        Err(Error::new(status, message).into())
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
        let message = serde_json::from_str::<Value>(json)
            .ok()
            .and_then(|json| Some(json.pointer("/error/message")?.as_str()?.to_owned()))
            .unwrap_or_default();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert((status, message));
    }
}

fn stats(client: &Client) -> Result<Value, Failure> {
    Ok(serde_json::from_str(&client.stats()?).unwrap_or_default())
}
