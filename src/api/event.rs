//! The metric event: its fields checked, its key, its JSON.

use std::borrow::Cow;

use crate::api::json;
use crate::api::path;
use crate::api::user;
use crate::error::Error;
use crate::options::check_header_value;

/// What a caller gives, in the words of the C API.
#[derive(Debug, Clone, Copy)]
pub struct EventArgs<'a> {
    pub key: &'a str,
    pub user_json: &'a str,
    pub value: f64,
    pub attributes_json: Option<&'a str>,
    pub idempotency_key: Option<&'a str>,
    pub options_json: Option<&'a str>,
}

/// A checked event.
#[derive(Debug)]
pub struct Event<'a> {
    /// The metric's key.
    pub key: &'a str,
    /// The user's id.
    pub user_id: Cow<'a, str>,
    /// The user, as JSON with the wire's names.
    pub user: Cow<'a, str>,
    pub value: f64,
    /// The attributes, as JSON without null members.
    pub attributes: Option<Cow<'a, str>>,
    /// Left out: the library makes one.
    pub idempotency_key: Option<&'a str>,
}

/// What messages call the fields.
pub struct Names {
    pub key: &'static str,
    pub user: &'static str,
    pub value: &'static str,
    pub attributes: &'static str,
    pub idempotency_key: &'static str,
}

/// The fields as the parameters of the C API.
pub const PARAMETERS: Names = Names {
    key: "key",
    user: "user_json",
    value: "value",
    attributes: "attributes_json",
    idempotency_key: "idempotency_key",
};

impl<'a> Event<'a> {
    /// Checks the fields. `args.options_json` is the caller's to read.
    pub fn check(args: &EventArgs<'a>, names: &Names) -> Result<Self, Error> {
        path::check_segment(&names.key, args.key)?;
        if !args.value.is_finite() {
            return Err(Error::invalid(format!(
                "{}: must be a finite number, not {}",
                names.value, args.value
            )));
        }
        if let Some(key) = args.idempotency_key {
            check_idempotency_key(names.idempotency_key, key)?;
        }
        let (user, user_id) = user::identified(names.user, args.user_json)?;
        let attributes = args
            .attributes_json
            .map(|text| attributes(names.attributes, text))
            .transpose()?;
        Ok(Self {
            key: args.key,
            user_id,
            user,
            value: args.value,
            attributes: attributes.flatten(),
            idempotency_key: args.idempotency_key,
        })
    }

    /// `{"user":…,"value":…,"attributes":…}` followed by `additional` members that it does not have.
    pub fn body(&self, additional: &[(String, String)]) -> String {
        let mut body = String::with_capacity(
            48 + self.user.len() + self.attributes.as_ref().map_or(0, |text| text.len()),
        );
        body.push('{');
        self.write_fields(&mut body, additional);
        body.push('}');
        body
    }

    /// Appends the same as an item of a batch: with its metric and its idempotency key, a JSON string.
    pub fn write_batch_item(
        &self,
        item: &mut String,
        idempotency_key: &str,
        additional: &[(String, String)],
    ) {
        let attributes = self.attributes.as_ref().map_or(0, |text| text.len());
        item.reserve(160 + self.key.len() + self.user.len() + attributes);
        item.push_str("{\"key\":");
        json::write_string(item, self.key);
        item.push_str(",\"idempotencyKey\":");
        item.push_str(idempotency_key);
        item.push(',');
        self.write_fields(item, additional);
        item.push('}');
    }

    fn write_fields(&self, out: &mut String, additional: &[(String, String)]) {
        out.push_str("\"user\":");
        out.push_str(&self.user);
        out.push_str(",\"value\":");
        write_number(out, self.value);
        if let Some(attributes) = &self.attributes {
            out.push_str(",\"attributes\":");
            out.push_str(attributes);
        }
        for (name, value) in additional {
            // The event's own fields win.
            let own = match name.as_str() {
                "user" | "value" | "key" | "idempotencyKey" => true,
                "attributes" => self.attributes.is_some(),
                _ => false,
            };
            if !own {
                out.push(',');
                json::write_string(out, name);
                out.push(':');
                out.push_str(value);
            }
        }
    }
}

/// A finite number as JSON, a whole one without a fraction. -0 is no integer's, and stays the double it is.
pub fn write_number(out: &mut String, value: f64) {
    let is_negative_zero = value == 0.0 && value.is_sign_negative();
    if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 && !is_negative_zero {
        out.push_str(itoa::Buffer::new().format(value as i64));
    } else {
        out.push_str(&serde_json::to_string(&value).unwrap_or_default());
    }
}

/// Visible ASCII: another character would be one text in a header, where servers read Latin-1, and another
/// in a batch, which is UTF-8, and the event would count twice.
pub fn check_idempotency_key(label: &str, key: &str) -> Result<(), Error> {
    check_header_value(label, key)?;
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid(format!(
            "{label}: holds a character that is not visible ASCII (a space, or one beyond \"~\"), which would not \
             be the same in a header and in a batch"
        )));
    }
    Ok(())
}

/// An object of strings, without its null members; `None` if it is null.
pub fn attributes<'a>(parameter: &str, text: &'a str) -> Result<Option<Cow<'a, str>>, Error> {
    match text.trim_ascii() {
        "null" => Ok(None),
        _ => user::strings(parameter, text).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args<'a>(user_json: &'a str, attributes_json: Option<&'a str>) -> EventArgs<'a> {
        EventArgs {
            key: "words-written",
            user_json,
            value: 750.0,
            attributes_json,
            idempotency_key: None,
            options_json: None,
        }
    }

    #[test]
    fn an_event_becomes_the_body_of_the_wire() {
        let event = Event::check(
            &args(
                r#"{"id":"18","email":"a@b.c","sign_up_date":"2025-01-01","new":{"x":[1]}}"#,
                Some(r#"{"genre":"horror","mood":null}"#),
            ),
            &PARAMETERS,
        )
        .unwrap();
        assert_eq!(event.user_id, "18");
        assert_eq!(
            event.body(&[("value".into(), "1".into()), ("extra".into(), "[2]".into())]),
            r#"{"user":{"id":"18","email":"a@b.c","signUpDate":"2025-01-01","new":{"x":[1]}},"value":750,"attributes":{"genre":"horror"},"extra":[2]}"#
        );
        let mut item = String::new();
        event.write_batch_item(&mut item, r#""k\"1""#, &[]);
        assert_eq!(
            item,
            r#"{"key":"words-written","idempotencyKey":"k\"1","user":{"id":"18","email":"a@b.c","signUpDate":"2025-01-01","new":{"x":[1]}},"value":750,"attributes":{"genre":"horror"}}"#
        );
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for (value, text) in [
            (750.0, "750"),
            (-1.0, "-1"),
            (0.5, "0.5"),
            (0.0, "0"),
            (-0.0, "-0.0"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (0.1, "0.1"),
        ] {
            let mut out = String::new();
            write_number(&mut out, value);
            assert_eq!(out, text);
        }
        let mut out = String::new();
        write_number(&mut out, f64::MAX);
        assert_eq!(out.parse::<f64>().unwrap(), f64::MAX);
    }

    #[test]
    fn an_idempotency_key_is_visible_ascii() {
        for key in ["!~", "chapter-7", "a\"b"] {
            assert!(check_idempotency_key("k", key).is_ok(), "{key}");
        }
        for key in ["chapter-é", "a b", "\u{7f}", "a\nb", "", " a", "日"] {
            let error = check_idempotency_key("k", key).unwrap_err();
            assert!(error.message.starts_with("k: "), "{key}");
        }
        let error = check_idempotency_key("k", "chapter-é").unwrap_err();
        assert!(error.message.contains("visible ASCII"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (user, attributes, message) in [
            ("{}", None, "user_json: has no \"id\""),
            (
                r#"{"id":18}"#,
                None,
                "user_json: \"id\" must be a string, not a number",
            ),
            (r#"{"id":""}"#, None, "user_json: \"id\" is empty"),
            (
                r#"{"id":"\ud800"}"#,
                None,
                "user_json: \"id\" holds an escape",
            ),
            (
                r#"{"id":"1","id":"2"}"#,
                None,
                "user_json: \"id\" is given twice",
            ),
            (
                r#"{"id":"1","deviceTokens":[],"device_tokens":[]}"#,
                None,
                "user_json: \"device_tokens\" and",
            ),
            ("18", None, "user_json: must be a JSON object, not a number"),
            ("{", None, "user_json: is not JSON"),
            (
                r#"{"id":"1"}"#,
                Some(r#"{"level":3}"#),
                "attributes_json: \"level\" must be a string, not a number",
            ),
            (
                r#"{"id":"1"}"#,
                Some("[]"),
                "attributes_json: must be a JSON object, not an array",
            ),
        ] {
            let error = Event::check(&args(user, attributes), &PARAMETERS).unwrap_err();
            assert!(error.message.starts_with(message), "{}", error.message);
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = Event::check(
                &EventArgs {
                    value,
                    ..args(r#"{"id":"1"}"#, None)
                },
                &PARAMETERS,
            )
            .unwrap_err();
            assert!(error.message.starts_with("value: must be a finite number"));
        }
    }
}
