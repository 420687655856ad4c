//! What the service says: to the key, and to what the key may do.

use serde_json::json;
use trophy::error::{Error, Status};

use super::finding::Finding;
use crate::failure::Failure;
use crate::session::Session;
use crate::waiting;
use crate::wording;

/// The service's own limit of events and admin calls, for a whole organisation.
const REQUESTS_PER_SECOND: f64 = 5.0;

/// Whether the library takes the options.
pub fn options(session: &Session) -> Vec<Finding> {
    let mut session = session.clone();
    session.without_queue_folder();
    match session.open() {
        Ok(_) => Vec::new(),
        Err(Failure::Trophy(error)) => vec![Finding::wrong(
            "options",
            error.status,
            error.message,
            "`trophy.h` names the options",
        )],
        Err(_) => Vec::new(),
    }
}

fn asking(session: &Session) -> Session {
    let mut session = session.clone();
    session.without_queue();
    session.set("max_retries", 0.into());
    session
}

pub fn key(session: &Session) -> Vec<Finding> {
    vec![match waiting::reach(&asking(session)) {
        Ok(()) => Finding::fine("service", "takes the key"),
        Err(error) => refused(error),
    }]
}

fn refused(error: Error) -> Finding {
    let advice = match error.status {
        Status::Unauthorized => {
            "the key is wrong, was rotated, or is of another environment; copy it again from the dashboard"
        }
        Status::RateLimited => {
            return Finding::doubtful(
                "limits",
                error.message,
                "other programs of your organisation use up the limit; the queue goes on more slowly by itself",
            );
        }
        Status::Server => {
            "the service is ill; what is in a queue is delivered when it is well again"
        }
        _ => "what stands above says what is in the way",
    };
    Finding::wrong("service", error.status, error.message, advice)
}

/// Whether a backlog can go in batches: then the key is one for the Admin API.
pub fn batches(session: &Session) -> Vec<Finding> {
    let Ok(client) = asking(session).open() else {
        return Vec::new();
    };
    let args = json!({ "limit": 1 }).to_string();
    match client.call("admin_metrics_list", Some(&args)) {
        Ok(_) => vec![Finding::fine(
            "batches",
            "an admin key: a backlog goes in batches of 1,000 events",
        )],
        Err(error) => match error.status {
            Status::Unauthorized | Status::Forbidden | Status::NotFound => vec![Finding::fine(
                "batches",
                "no admin key: events go one by one, which suits a device or a game; an import wants an admin key",
            )],
            Status::RateLimited => Vec::new(),
            status => vec![Finding::doubtful(
                "batches",
                wording::CALL.translate(error).message,
                match status {
                    Status::Network | Status::Tls | Status::Timeout => {
                        "without the Admin API events go one by one; see its address above"
                    }
                    _ => "without the Admin API events go one by one",
                },
            )],
        },
    }
}

pub fn limits(session: &Session) -> Vec<Finding> {
    let asked = session
        .option("queue")
        .and_then(|queue| queue.get("requests_per_second"))
        .and_then(serde_json::Value::as_f64)
        .unwrap_or(REQUESTS_PER_SECOND);
    let detail = format!("the queue sends at most {asked} requests a second");
    vec![match asked > REQUESTS_PER_SECOND {
        false => Finding::fine("limits", detail),
        true => Finding::doubtful(
            "limits",
            detail,
            format!(
                "the service takes {REQUESTS_PER_SECOND} for a whole organisation, unless you agreed on more; the \
                 rest is answered with 429"
            ),
        ),
    }]
}
