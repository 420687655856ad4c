//! Batches: up to 1,000 events in one request. The sandbox counts them at once.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::call::{Answer, Call, Refusal, Reply};
use crate::events::{self, Event};
use crate::service::Books;
use crate::world::World;

const MOST: usize = 1000;

/// All of a batch is accepted, or none of it.
pub fn create(world: &mut World, books: &mut Books, call: &Call) -> Answer {
    let items: Vec<Cow<Value>> = call.array(MOST)?.iter().map(described).collect();
    let at = |index: usize, why: &Value| format!("Event {index}: {}", text(why));
    let mut batch = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let wrong = |text: &str| Refusal::Malformed(format!("Event {index}: {text}"));
        let fields = item.as_object().ok_or_else(|| wrong("must be an object"))?;
        let metric = fields.get("key").and_then(Value::as_str);
        let metric = metric.ok_or_else(|| wrong("key must be a string"))?;
        let key = match fields.get("idempotencyKey") {
            None | Some(Value::Null) => None,
            Some(Value::String(key)) if !key.is_empty() => Some(key.as_str()),
            Some(_) => return Err(wrong("idempotencyKey must be a string")),
        };
        let event = Event::read(fields, metric, key)
            .map_err(|refusal| Refusal::Malformed(at(index, &refusal.body()["error"])))?;
        if world.catalog.metric(metric).is_none() {
            return Err(Refusal::NotFound(format!("Metric not found: {metric}")));
        }
        event
            .check(world)
            .map_err(|refusal| Refusal::Unprocessable(at(index, &refusal.body()["error"])))?;
        let operation = "admin_metrics_batch_events";
        if let Some(status) = books.faults.poison(operation, event.user, event.attributes) {
            return Err(Refusal::Status(
                status,
                format!("Event {index}: The event was refused"),
            ));
        }
        batch.push(event);
    }
    for event in &batch {
        // Refused now, an event is lost as in the service, which looks at it after its answer.
        let _ = events::count(world, books, &call.tenant, event);
    }
    Ok(Reply {
        status: 202,
        body: json!({ "accepted": batch.len() }),
    })
}

/// An item without what a batch's user does not have, and the service passes over: the day they
/// signed up.
fn described(item: &Value) -> Cow<'_, Value> {
    if item["user"].get("signUpDate").is_none() {
        return Cow::Borrowed(item);
    }
    let mut item = item.clone();
    item["user"]
        .as_object_mut()
        .map(|user| user.remove("signUpDate"));
    Cow::Owned(item)
}

fn text(why: &Value) -> &str {
    why.as_str().unwrap_or_default()
}
