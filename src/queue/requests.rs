//! Queued events as a request.

use super::backlog::Item;
use super::record::Record;
use crate::api::operations;
use crate::api::request::{self, LaneName, Request};
use crate::options::RequestOptions;

/// `None`: a record holds no event.
pub fn request_of(items: &[Item], batch: bool) -> Option<Request> {
    match batch {
        true => batch_request(items),
        false => single_request(items.first()?),
    }
}

fn batch_request(items: &[Item]) -> Option<Request> {
    let mut body = String::with_capacity(items.iter().map(|item| item.bytes + 1).sum());
    for item in items {
        body.push(if body.is_empty() { '[' } else { ',' });
        let record = Record::parse(item.payload.as_deref()?)?;
        body.push_str(&record.batch_item(item.sum())?);
    }
    body.push(']');
    let operation = operations::find(operations::EVENT_BATCH)?;
    Some(Request {
        operation,
        path: operation.path.to_owned(),
        body: Some(body),
        idempotency_key: None,
        // Each of its events has a key.
        repeatable: true,
        lane: None,
        options: RequestOptions::default(),
    })
}

fn single_request(item: &Item) -> Option<Request> {
    let record = Record::parse(item.payload.as_deref()?)?;
    let fields = record.fields()?;
    let operation = operations::find(operations::EVENT)?;
    Some(Request {
        operation,
        path: request::event_path(&fields.key, &record.query).ok()?,
        body: Some(record.single_body(item.sum())?),
        idempotency_key: Some(fields.idempotency_key.clone().into_owned()),
        repeatable: true,
        lane: Some(LaneName {
            user: fields.user.id.into_owned(),
            metric: fields.key.into_owned(),
        }),
        options: RequestOptions {
            additional_headers: record.headers,
            ..RequestOptions::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::event::EventArgs;
    use crate::api::json;
    use crate::api::request::Made;
    use crate::queue::backlog::{Backlog, Item, Limits, Resources};
    use crate::queue::record;
    use crate::queue::store::Position;
    use std::time::Duration;

    struct Free;

    impl Resources for Free {
        fn may_use(&mut self, _: u64) -> bool {
            true
        }

        fn reload(&mut self, _: Position) -> Option<crate::queue::backlog::Content> {
            None
        }
    }

    /// Events of users 0, 1, …; the first stands for another, too.
    fn items(count: u32) -> Vec<Item> {
        let mut backlog = Backlog::default();
        for at in 0..count {
            let user = format!("{{\"id\":\"{at}\"}}");
            let args = EventArgs {
                key: "a/b",
                user_json: &user,
                value: 1.5,
                attributes_json: None,
                idempotency_key: None,
                options_json: None,
            };
            let (payload, _) = record::write(&args, None, false, &Made).unwrap();
            backlog.add(Item {
                number: 0,
                position: Position::new(1, at),
                at_ms: 0,
                enqueued: 0,
                lane: at.into(),
                tenant: None,
                fits_a_batch: true,
                attempted: false,
                value: if at == 0 { 4.0 } else { 1.5 },
                members: vec![Position::new(1, 99); usize::from(at == 0)],
                bytes: payload.len(),
                payload: Some(payload.into_bytes()),
                coalesce_key: None,
                group: None,
            });
        }
        let limits = Limits {
            events: 10,
            bytes: 1 << 20,
        };
        let choice = backlog.choose(Duration::ZERO, limits, false, &mut Free);
        let chosen = choice.unwrap().items.into_iter();
        chosen.map(|chosen| chosen.item).collect()
    }

    #[test]
    fn a_batch_carries_each_event_with_its_key_and_its_sum() {
        let request = request_of(&items(3), true).unwrap();
        let body = request.body.unwrap();
        assert_eq!(json::number(&body, "/0/value"), Some(4.0));
        assert_eq!(json::number(&body, "/2/value"), Some(1.5));
        assert_eq!(json::text(&body, "/1/user/id").as_deref(), Some("1"));
        assert_eq!(
            json::text(&body, "/1/idempotencyKey").as_deref(),
            Some("made")
        );
        assert!(request.idempotency_key.is_none() && request.repeatable);
    }

    #[test]
    fn an_event_alone_goes_to_its_metric_under_its_key() {
        let request = request_of(&items(1), false).unwrap();
        assert_eq!(request.path, "/metrics/a%2Fb/event");
        assert_eq!(request.idempotency_key.as_deref(), Some("made"));
        assert_eq!(json::number(&request.body.unwrap(), "/value"), Some(4.0));
    }

    #[test]
    fn what_is_no_event_makes_no_request() {
        let mut items = items(2);
        items[1].payload = Some(b"{}".to_vec());
        assert!(request_of(&items, true).is_none());
        assert!(request_of(&items[1..], false).is_none());
    }
}
