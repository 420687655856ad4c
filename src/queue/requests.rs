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
