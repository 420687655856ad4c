//! A queued event as the store keeps it: JSON, so that a person can read it in the file. The event
//! itself is an item of the service's batch; around it stands what the item has no place for.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::api::event::{self, Event, EventArgs};
use crate::api::json::{self, Members, raw};
use crate::api::request::{self, MakeKey};
use crate::api::user;
use crate::error::Error;
use crate::options::RequestOptions;

#[derive(Debug, Serialize, Deserialize)]
pub struct Record<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// The caller gave the idempotency key: then it is the caller's event and no other's part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_key: bool,
    #[serde(borrow)]
    pub event: &'a RawValue,
}

/// What of an event is looked at.
#[derive(Debug, Deserialize)]
pub struct Fields<'a> {
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    #[serde(borrow, rename = "idempotencyKey")]
    pub idempotency_key: Cow<'a, str>,
    #[serde(borrow)]
    pub user: User<'a>,
    pub value: f64,
}

#[derive(Debug, Deserialize)]
pub struct User<'a> {
    #[serde(borrow)]
    pub id: Cow<'a, str>,
}

/// The options of an event that is to be kept.
fn options(text: &str, allow_insecure_http: bool) -> Result<RequestOptions, Error> {
    let options = RequestOptions::parse("options_json: ", Some(text), allow_insecure_http)?;
    for (given, option, why) in [
        (
            options.api_key.is_some(),
            "api_key",
            "a key is never written to the disk",
        ),
        (
            options.base_url.is_some(),
            "base_url",
            "the queue has one destination, the client's",
        ),
        (
            options.timeout.is_some(),
            "timeout_in_seconds",
            "the queue keeps an event until it is delivered; see \"max_age_in_seconds\"",
        ),
        (
            options.max_retries.is_some(),
            "max_retries",
            "the queue tries until an event is delivered; see \"max_age_in_seconds\"",
        ),
    ] {
        if given {
            return Err(Error::invalid(format!(
                "options_json: {option}: does not go with an enqueued event: {why}"
            )));
        }
    }
    Ok(options)
}

/// An event that is to be kept, and the answer to who gave it: `{"idempotencyKey":"…"}`.
pub fn write(
    args: &EventArgs<'_>,
    tenant: Option<&str>,
    allow_insecure_http: bool,
    make_key: &dyn MakeKey,
) -> Result<(String, String), Error> {
    let event = Event::check(args, &event::PARAMETERS)?;
    let options = match args.options_json {
        None => None,
        Some(text) => Some(options(text, allow_insecure_http)?),
    };
    let (query, additional) = options.as_ref().map_or((&[][..], &[][..]), |it| {
        (
            &*it.additional_query_parameters,
            &*it.additional_body_parameters,
        )
    });
    // What can never be sent is not kept.
    if !query.is_empty() {
        request::event_path(event.key, query)?;
    }
    // With room for the NUL that C needs.
    let mut answer = String::with_capacity(event.idempotency_key.map_or(36, str::len) + 22);
    answer.push_str("{\"idempotencyKey\":");
    let before = answer.len();
    match event.idempotency_key {
        Some(key) => json::write_string(&mut answer, key),
        None => make_key.write_quoted(&mut answer)?,
    }
    answer.push('}');
    let idempotency_key = &answer[before..answer.len() - 1];
    let own_key = event.idempotency_key.is_some();
    let has_around = options.as_ref().is_some_and(|it| {
        it.tenant_id.is_some() || !it.additional_headers.is_empty() || !query.is_empty()
    });
    if tenant.is_none() && !has_around {
        // The common case, without taking the event apart again. Room for the rest, too.
        let mut record = String::with_capacity(288 + event.user.len());
        record.push('{');
        if own_key {
            record.push_str("\"own_key\":true,");
        }
        record.push_str("\"event\":");
        event.write_batch_item(&mut record, idempotency_key, additional);
        record.push('}');
        return Ok((record, answer));
    }
    let mut item = String::new();
    event.write_batch_item(&mut item, idempotency_key, additional);
    let options = options.unwrap_or_default();
    let record = Record {
        tenant: options
            .tenant_id
            .map(Cow::Owned)
            .or(tenant.map(Cow::Borrowed)),
        headers: options.additional_headers,
        query: options.additional_query_parameters,
        own_key,
        event: raw(&item)?,
    };
    let record =
        serde_json::to_string(&record).map_err(|error| Error::invalid(error.to_string()))?;
    Ok((record, answer))
}

impl<'a> Record<'a> {
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        serde_json::from_str(std::str::from_utf8(payload).ok()?).ok()
    }

    pub fn fields(&self) -> Option<Fields<'a>> {
        serde_json::from_str(self.event.get()).ok()
    }

    /// The event, taken apart.
    pub fn members(&self) -> Option<Members<'a>> {
        serde_json::from_str(self.event.get()).ok()
    }

    /// The event as a batch has it, with another value if it was merged.
    pub fn batch_item(&self, value: Option<f64>) -> Option<Cow<'a, str>> {
        let mut event = self.members()?;
        let user = user::in_a_batch(event.get("user")?.get())?;
        if value.is_none() && matches!(user, Cow::Borrowed(_)) {
            return Some(Cow::Borrowed(self.event.get()));
        }
        event.set("user", raw(&user).ok()?);
        self.write(event, value).map(Cow::Owned)
    }

    /// The event as the body of a request of its own.
    pub fn single_body(&self, value: Option<f64>) -> Option<String> {
        let mut event = self.members()?;
        event
            .0
            .retain(|(name, _)| !matches!(&**name, "key" | "idempotencyKey"));
        self.write(event, value)
    }

    fn write(&self, event: Members<'_>, value: Option<f64>) -> Option<String> {
        let mut number = String::new();
        let mut event: Members<'_> = event;
        if let Some(value) = value {
            event::write_number(&mut number, value);
            event.set("value", raw(&number).ok()?);
        }
        Some(event.to_text())
    }

    /// Whether a batch can carry it.
    pub fn fits_a_batch(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty()
    }
}

/// The beginning of what `on_delivery` hears: `{"idempotencyKey":…,"key":…,"userId":…`, open at its end.
pub fn notice(fields: &Fields<'_>) -> String {
    let mut out = String::from("{\"idempotencyKey\":");
    json::write_string(&mut out, &fields.idempotency_key);
    out.push_str(",\"key\":");
    json::write_string(&mut out, &fields.key);
    out.push_str(",\"userId\":");
    json::write_string(&mut out, &fields.user.id);
    out
}

/// The rest of it: `"response":…` or `"error":…`.
pub fn outcome(result: Result<&str, &Error>) -> String {
    match result {
        Ok(response) => format!("\"response\":{response}"),
        Err(error) => {
            let view = serde_json::to_string(&error.view()).unwrap_or_default();
            format!("\"error\":{view}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args<'a>(value: f64, key: Option<&'a str>, options: Option<&'a str>) -> EventArgs<'a> {
        EventArgs {
            key: "words",
            user_json: r#"{"id":"18"}"#,
            value,
            attributes_json: Some(r#"{"genre":"é"}"#),
            idempotency_key: key,
            options_json: options,
        }
    }

    fn make(args: &EventArgs<'_>, tenant: Option<&str>) -> Result<String, Error> {
        write(args, tenant, false, &crate::api::request::Made).map(|(record, _)| record)
    }

    #[test]
    fn an_event_comes_back_as_it_was() {
        let text = make(&args(2.5, None, None), None).unwrap();
        let record = Record::parse(text.as_bytes()).unwrap();
        let fields = record.fields().unwrap();
        assert_eq!((&*fields.key, &*fields.idempotency_key), ("words", "made"));
        assert_eq!((&*fields.user.id, fields.value), ("18", 2.5));
        assert!(!record.own_key && record.fits_a_batch());
        assert_eq!(
            record.single_body(None).unwrap(),
            r#"{"user":{"id":"18"},"value":2.5,"attributes":{"genre":"é"}}"#
        );
        assert_eq!(
            record.batch_item(Some(7.0)).unwrap(),
            r#"{"key":"words","idempotencyKey":"made","user":{"id":"18"},"value":7,"attributes":{"genre":"é"}}"#
        );
    }

    #[test]
    fn the_date_of_signing_up_goes_with_a_single_event_only() {
        for (user, in_a_batch) in [
            (
                r#"{"id":"18","sign_up_date":"2025-01-01"}"#,
                r#"{"id":"18"}"#,
            ),
            (
                r#"{"signUpDate":"2025-01-01","id":"18","tz":"UTC"}"#,
                r#"{"id":"18","tz":"UTC"}"#,
            ),
        ] {
            let args = EventArgs {
                user_json: user,
                attributes_json: None,
                ..args(1.0, None, None)
            };
            let text = make(&args, None).unwrap();
            let record = Record::parse(text.as_bytes()).unwrap();
            let single = record.single_body(None).unwrap();
            assert!(single.contains(r#""signUpDate":"2025-01-01""#), "{single}");
            for (value, written) in [(None, "1"), (Some(3.0), "3")] {
                assert_eq!(
                    record.batch_item(value).unwrap(),
                    format!(
                        r#"{{"key":"words","idempotencyKey":"made","user":{in_a_batch},"value":{written}}}"#
                    )
                );
            }
        }
    }

    #[test]
    fn a_value_is_the_same_double_all_the_way() {
        let check = |value: f64| {
            let text = make(&args(value, None, None), None).unwrap();
            let record = Record::parse(text.as_bytes()).unwrap();
            assert_eq!(record.fields().unwrap().value, value);
            let item = record.batch_item(Some(value)).unwrap();
            for sent in [record.single_body(None).unwrap(), item.into_owned()] {
                assert_eq!(json::number(&sent, "/value"), Some(value), "{sent}");
            }
        };
        check(0.9215686321258545);
        for seed in 0..1_000_u64 {
            // Half of them of any size, half between 0 and 1.
            let bits = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let of_any_size = f64::from_bits(bits);
            if of_any_size.is_finite() {
                check(of_any_size);
            }
            check((bits >> 11) as f64 / (1_u64 << 53) as f64);
        }
    }

    #[test]
    fn what_a_batch_has_no_place_for_is_kept_around_the_event() {
        let options = r#"{"tenant_id":"t","additional_headers":{"X":"y"},"additional_query_parameters":{"q":1}}"#;
        let text = make(&args(1.0, Some("mine"), Some(options)), Some("handle's")).unwrap();
        let record = Record::parse(text.as_bytes()).unwrap();
        assert_eq!(record.tenant.as_deref(), Some("t"));
        assert_eq!(record.headers, [("X".into(), "y".into())]);
        assert_eq!(record.query, [("q".into(), "1".into())]);
        assert!(record.own_key && !record.fits_a_batch());
    }

    #[test]
    fn what_the_wire_has_no_room_for_is_refused_before_it_is_kept() {
        let long = "a".repeat(15 << 10);
        for (option, what) in [
            (
                format!(r#"{{"additional_query_parameters":{{"x":"{long}"}}}}"#),
                "options_json: the query parameters: too long",
            ),
            (
                format!(r#"{{"additional_headers":{{"{long}":"x"}}}}"#),
                "is not the name of a header",
            ),
        ] {
            let error = make(&args(1.0, None, Some(&option)), None).unwrap_err();
            assert!(error.message.contains(what), "{}", error.message);
        }
    }

    #[test]
    fn options_that_a_queue_cannot_keep_are_refused() {
        for option in [
            r#"{"api_key":"k.secret"}"#,
            r#"{"base_url":"https://x"}"#,
            r#"{"timeout_in_seconds":1}"#,
            r#"{"max_retries":1}"#,
        ] {
            let error = make(&args(1.0, None, Some(option)), None).unwrap_err();
            assert!(error.message.contains("does not go with an enqueued event"));
            assert!(!error.message.contains("secret"));
        }
    }
}
