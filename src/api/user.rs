//! A user as callers give one: the known fields checked for their type, under the wire's names. Fields
//! that are not known here pass through, since the service grows.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::api::json::{self, Members};
use crate::error::Error;

/// The names that are accepted beside the wire's, as the official SDKs spell them.
const ALIASES: &[(&str, &str)] = &[
    ("device_tokens", "deviceTokens"),
    ("subscribe_to_emails", "subscribeToEmails"),
    (SIGN_UP_DATE_ALIAS, SIGN_UP_DATE),
];
const SIGN_UP_DATE: &str = "signUpDate";
const SIGN_UP_DATE_ALIAS: &str = "sign_up_date";

/// A user that must have an id: its JSON with the wire's names, and the id.
pub fn identified<'a>(
    parameter: &str,
    text: &'a str,
) -> Result<(Cow<'a, str>, Cow<'a, str>), Error> {
    let members = Members::parse(parameter, text)?;
    let id = id(parameter, &members)?;
    Ok((on_the_wire(parameter, text, members)?, id))
}

/// The fields of a user that is named elsewhere.
pub fn fields<'a>(parameter: &str, text: &'a str) -> Result<Cow<'a, str>, Error> {
    on_the_wire(parameter, text, Members::parse(parameter, text)?)
}

fn id<'a>(parameter: &str, members: &Members<'a>) -> Result<Cow<'a, str>, Error> {
    let id = members.get("id").ok_or_else(|| {
        Error::invalid(format!(
            "{parameter}: has no \"id\"; give at least {{\"id\":\"…\"}}, your id for the user"
        ))
    })?;
    match json::string(id) {
        Some(id) if id.is_empty() => Err(Error::invalid(format!("{parameter}: \"id\" is empty"))),
        Some(id) => Ok(id),
        None if json::kind(id) == "a string" => Err(Error::invalid(format!(
            "{parameter}: \"id\" holds an escape that is no character"
        ))),
        None => Err(must_be(parameter, "id", "a string", id)),
    }
}

/// The text as it is, unless something in it has to change.
fn on_the_wire<'a>(
    parameter: &str,
    text: &'a str,
    mut members: Members<'a>,
) -> Result<Cow<'a, str>, Error> {
    let mut renamed = false;
    for at in 0..members.0.len() {
        let (name, value) = &members.0[at];
        let alias = ALIASES.iter().find(|(alias, _)| alias == name);
        let wire = alias.map_or(&**name, |(_, wire)| wire);
        check_type(parameter, name, wire, value)?;
        if let Some((alias, wire)) = alias {
            if members.get(wire).is_some() {
                return Err(Error::invalid(format!(
                    "{parameter}: \"{alias}\" and \"{wire}\" are the same; give one"
                )));
            }
            members.0[at].0 = Cow::Borrowed(wire);
            renamed = true;
        }
    }
    let given = members
        .get("attributes")
        .filter(|value| value.get() != "null");
    let attributes = given
        .map(|value| strings(&format!("{parameter}: \"attributes\""), value.get()))
        .transpose()?;
    let cleaned = match &attributes {
        Some(Cow::Owned(cleaned)) => Some(json::raw(cleaned)?),
        _ => None,
    };
    if !renamed && cleaned.is_none() {
        return Ok(Cow::Borrowed(text));
    }
    let mut members: Members<'_> = members;
    if let Some(cleaned) = cleaned {
        members.set("attributes", cleaned);
    }
    Ok(Cow::Owned(members.to_text()))
}

/// Null passes, but for an id: the service takes it where it means something, to clear a time zone, say.
fn check_type(parameter: &str, name: &str, wire: &str, value: &RawValue) -> Result<(), Error> {
    let kind = json::kind(value);
    let (is_right, what) = match wire {
        "id" => (kind == "a string", "a string"),
        "email" | "name" | "tz" | SIGN_UP_DATE => (matches!(kind, "a string" | "null"), "a string"),
        "subscribeToEmails" => (matches!(kind, "a boolean" | "null"), "true or false"),
        "deviceTokens" => (kind == "null" || is_strings(value), "an array of strings"),
        "attributes" => (
            matches!(kind, "an object" | "null"),
            "a JSON object of strings",
        ),
        _ => return Ok(()),
    };
    match is_right {
        true => Ok(()),
        false => Err(must_be(parameter, name, what, value)),
    }
}

fn is_strings(value: &RawValue) -> bool {
    serde_json::from_str::<Vec<&RawValue>>(value.get())
        .is_ok_and(|elements| elements.iter().all(|it| json::kind(it) == "a string"))
}

fn must_be(parameter: &str, name: &str, what: &str, value: &RawValue) -> Error {
    let given = match json::kind(value) {
        "an array" if what == "an array of strings" => "an array of something else",
        kind => kind,
    };
    Error::invalid(format!(
        "{parameter}: \"{name}\" must be {what}, not {given}"
    ))
}

/// An object of strings, without its null members.
pub fn strings<'a>(parameter: &str, text: &'a str) -> Result<Cow<'a, str>, Error> {
    let members = Members::parse(parameter, text)?;
    for (name, value) in &members.0 {
        if !matches!(json::kind(value), "a string" | "null") {
            return Err(must_be(parameter, name, "a string", value));
        }
    }
    Ok(members.without(text, |_, value| value.get() == "null"))
}

/// A checked user as an item of a batch has it, where there is no date of signing up.
pub fn in_a_batch(user: &str) -> Option<Cow<'_, str>> {
    let members: Members<'_> = serde_json::from_str(user).ok()?;
    let is_date = |name: &str, _: &_| matches!(name, SIGN_UP_DATE | SIGN_UP_DATE_ALIAS);
    Some(members.without(user, is_date))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_needs_no_change_is_passed_on_as_it_came() {
        let text =
            r#" { "id" : "1" , "deviceTokens":["a"], "attributes" : {"a":"b"}, "new":[1] } "#;
        let (user, id) = identified("user_json", text).unwrap();
        assert!(matches!(user, Cow::Borrowed(same) if same == text));
        assert_eq!(id, "1");
    }

    #[test]
    fn names_become_the_wires_and_null_attributes_go() {
        let text =
            r#"{"id":"1","sign_up_date":"2025-01-01","attributes":{"a":null,"b":"c"},"tz":null}"#;
        let (user, _) = identified("user_json", text).unwrap();
        assert_eq!(
            user,
            r#"{"id":"1","signUpDate":"2025-01-01","attributes":{"b":"c"},"tz":null}"#
        );
        assert_eq!(fields("user_json", "{}").unwrap(), "{}");
    }

    #[test]
    fn a_batch_has_no_date_of_signing_up() {
        for text in [
            r#"{"id":"1","signUpDate":"2025-01-01"}"#,
            r#"{"sign_up_date":"2025-01-01","id":"1"}"#,
            r#"{"id":"1","sign\u0055pDate":null}"#,
        ] {
            assert_eq!(in_a_batch(text).unwrap(), r#"{"id":"1"}"#);
        }
        let without = r#"{ "id": "1" }"#;
        assert_eq!(in_a_batch(without).unwrap(), without);
    }

    #[test]
    fn a_known_field_has_its_type() {
        for (field, what) in [
            (r#""email":5"#, "\"email\" must be a string, not a number"),
            (r#""name":[]"#, "\"name\" must be a string, not an array"),
            (r#""tz":true"#, "\"tz\" must be a string, not a boolean"),
            (
                r#""signUpDate":20250101"#,
                "\"signUpDate\" must be a string, not a number",
            ),
            (
                r#""sign_up_date":{}"#,
                "\"sign_up_date\" must be a string, not an object",
            ),
            (
                r#""subscribeToEmails":"yes""#,
                "\"subscribeToEmails\" must be true or false, not a string",
            ),
            (
                r#""subscribe_to_emails":1"#,
                "\"subscribe_to_emails\" must be true or false, not a number",
            ),
            (
                r#""deviceTokens":"t""#,
                "\"deviceTokens\" must be an array of strings, not a string",
            ),
            (
                r#""device_tokens":["t",1]"#,
                "\"device_tokens\" must be an array of strings, not an array of something else",
            ),
            (
                r#""attributes":["a"]"#,
                "\"attributes\" must be a JSON object of strings, not an array",
            ),
            (
                r#""attributes":{"a":1}"#,
                "\"attributes\": \"a\" must be a string, not a number",
            ),
            (
                r#""attributes":{"a":"1","a":"2"}"#,
                "\"attributes\": \"a\" is given twice",
            ),
        ] {
            let error = identified("user_json", &format!(r#"{{"id":"1",{field}}}"#)).unwrap_err();
            assert_eq!(error.message, format!("user_json: {what}"));
            let error = fields("user_json", &format!("{{{field}}}")).unwrap_err();
            assert_eq!(error.message, format!("user_json: {what}"));
        }
        let error = fields("user_json", r#"{"id":null}"#).unwrap_err();
        assert_eq!(
            error.message,
            "user_json: \"id\" must be a string, not null"
        );
        for passes in [
            r#"{"email":null,"name":null,"tz":null,"signUpDate":null}"#,
            r#"{"deviceTokens":null,"subscribeToEmails":null,"attributes":null}"#,
            r#"{"deviceTokens":[],"attributes":{},"anniversary":{"a":[1,null]}}"#,
        ] {
            assert_eq!(fields("user_json", passes).unwrap(), passes);
        }
    }
}
