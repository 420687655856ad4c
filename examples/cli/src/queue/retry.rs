//! `trophy queue dead --retry`: puts dead events back, under their idempotency keys.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use trophy::api::event::EventArgs;
use trophy::client::Client;

use crate::arguments::Dead;
use crate::dead_letters;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::wording;

#[derive(Deserialize)]
struct DeadLetter<'a> {
    tenant: Option<String>,
    #[serde(borrow)]
    event: Event<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    key: String,
    #[serde(borrow)]
    user: &'a RawValue,
    value: f64,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    idempotency_key: Option<String>,
    /// What the caller added.
    #[serde(flatten)]
    more: Map<String, Value>,
}

pub fn run(path: &str, args: &Dead, out: &mut Output) -> Result<(), Failure> {
    let mut session = Session::read(&args.session)?;
    let lines = dead_letters::list(path)?;
    session.queue(path);
    let client = session.open()?;
    let mut retried = Vec::new();
    let mut result = Ok(());
    for line in &lines {
        // A record that held no event stays where it is.
        let Ok(dead) = serde_json::from_str(line) else {
            continue;
        };
        match put_back(&client, &dead) {
            Ok(()) => retried.push(line.as_str()),
            Err(failure) => {
                result = Err(failure);
                break;
            }
        }
    }
    // They are safe in the queue; if this is not written, they only go there twice, under one key.
    dead_letters::mark_retried(path, &retried)?;
    client
        .close(0)
        .map_err(|error| wording::CLIENT.failure(error))?;
    let (retried, left) = (retried.len(), lines.len() - retried.len());
    match out.is_for_people() {
        true => out.facts(&[("retried", retried.to_string()), ("left", left.to_string())])?,
        false => out.line(&json!({ "retried": retried, "left": left }).to_string())?,
    }
    result
}

fn put_back(client: &Client, dead: &DeadLetter<'_>) -> Result<(), Failure> {
    let event = &dead.event;
    let options = json!({
        "tenant_id": dead.tenant,
        "additional_body_parameters": event.more,
    });
    client
        .event_enqueue(&EventArgs {
            key: &event.key,
            user_json: event.user.get(),
            value: event.value,
            attributes_json: event.attributes.map(RawValue::get),
            idempotency_key: event.idempotency_key.as_deref(),
            options_json: Some(&options.to_string()),
        })
        .map(drop)
        .map_err(|error| wording::ROW.failure(error))
}
