//! A row of the table and its arguments, validated, as method, path, headers and body: plain data.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;

use crate::api::event::{self, Event, EventArgs};
use crate::api::json::{self, Members, raw};
use crate::api::operations::{self, Body, Kind, Operation, Query};
use crate::api::path::target_of;
use crate::api::retry::Repetition;
use crate::api::user;
use crate::error::Error;
use crate::options::RequestOptions;

/// What is sent, apart from what the client adds: the base URL and the API key.
#[derive(Debug)]
pub struct Request {
    pub operation: &'static Operation,
    /// Below the base URL, with the query.
    pub path: String,
    pub body: Option<String>,
    pub idempotency_key: Option<String>,
    /// Sending it twice has the effect of sending it once.
    pub repeatable: bool,
    /// User id, for an event: with the metric it names the lane.
    pub lane: Option<LaneName>,
    pub options: RequestOptions,
}

impl Request {
    /// What sending it twice would do.
    pub fn repetition(&self) -> Repetition {
        let is_keyed =
            self.idempotency_key.is_some() || self.operation.name == operations::EVENT_BATCH;
        match (self.repeatable, is_keyed) {
            (true, true) => Repetition::CountsOnce,
            (true, false) => Repetition::Harmless,
            (false, _) => Repetition::Harmful,
        }
    }
}

/// The user and the metric of an event: no two of them are in flight together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LaneName {
    pub user: String,
    pub metric: String,
}

/// How a call's own idempotency keys are made.
pub trait MakeKey {
    /// Appends one. It holds nothing that JSON would escape.
    fn write_key(&self, out: &mut String) -> Result<(), Error>;

    /// The same as a JSON string.
    fn write_quoted(&self, out: &mut String) -> Result<(), Error> {
        out.push('"');
        self.write_key(out)?;
        out.push('"');
        Ok(())
    }
}

/// Makes the same one always.
#[cfg(test)]
pub struct Made;

#[cfg(test)]
impl MakeKey for Made {
    fn write_key(&self, out: &mut String) -> Result<(), Error> {
        out.push_str("made");
        Ok(())
    }
}

/// What checking a request needs of the client.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub allow_insecure_http: bool,
    pub make_key: &'a dyn MakeKey,
}

/// The main job.
pub fn from_event(args: &EventArgs<'_>, context: Context<'_>) -> Result<Request, Error> {
    let event = Event::check(args, &event::PARAMETERS)?;
    let options = RequestOptions::parse(
        "options_json: ",
        args.options_json,
        context.allow_insecure_http,
    )?;
    keyed_event(&event, options, context)
}

/// `trophy_call`: everything in `args_json`.
pub fn from_args(
    name: &str,
    args_json: Option<&str>,
    context: Context<'_>,
) -> Result<Request, Error> {
    let operation = operations::find(name).ok_or_else(|| no_operation(name))?;
    let mut args = Members::parse("args_json", args_json.unwrap_or("{}"))?;
    let mut path = Vec::new();
    for parameter in operation.path_parameters() {
        let label = format!("args_json: \"{parameter}\"");
        let value = args
            .take(parameter)
            .ok_or_else(|| Error::invalid(format!("{label} is missing; it is part of the path")))?;
        path.push(json::string(value).ok_or_else(|| must_be(&label, "a string", value))?);
    }
    let path: Vec<&str> = path.iter().map(|part| &**part).collect();
    let body = args
        .take("body")
        .map(|value| ("args_json: \"body\"", value.get()));
    build(operation, &path, "args_json: ", body, args, context)
}

fn no_operation(name: &str) -> Error {
    Error::invalid(if !cfg!(feature = "admin") && name.starts_with("admin_") {
        format!(
            "operation: \"{name}\" is not in this build of the library, which leaves the Admin API out \
             (SMALL=1, or cargo's feature \"admin\" turned off)"
        )
    } else {
        format!("operation: \"{name}\" is none; the TROPHY_OP_* macros in trophy.h name them all")
    })
}

/// A function of one operation: its path parameters and its body stand apart from `args_json`.
/// `body` comes with the name of its parameter.
pub fn from_parts(
    operation: &'static Operation,
    path: &[&str],
    body: Option<(&str, &str)>,
    args_json: Option<&str>,
    context: Context<'_>,
) -> Result<Request, Error> {
    let args = Members::parse("args_json", args_json.unwrap_or("{}"))?;
    let wrapped;
    let body = match body {
        // The function takes the user, the wire an object around it.
        Some((label, text)) if operation.name == operations::COMPLETION => {
            let (user, _) = user::identified(label, text)?;
            wrapped = format!("{{\"user\":{user}}}");
            Some((label, wrapped.as_str()))
        }
        body => body,
    };
    build(operation, path, "", body, args, context)
}

fn build(
    operation: &'static Operation,
    path: &[&str],
    path_label: &str,
    body: Option<(&str, &str)>,
    mut args: Members<'_>,
    context: Context<'_>,
) -> Result<Request, Error> {
    let options = RequestOptions::parse(
        "args_json: options.",
        args.take("options").map(RawValue::get),
        context.allow_insecure_http,
    )?;
    let is_event = operation.name == operations::EVENT;
    let idempotency_key = if is_event {
        let label = "args_json: \"idempotencyKey\"";
        args.take("idempotencyKey")
            .map(|value| json::string(value).ok_or_else(|| must_be(label, "a string", value)))
            .transpose()?
    } else {
        None
    };
    let mut query = Vec::new();
    let mut given = Vec::new();
    for parameter in operation.query {
        let before = query.len();
        read_query(parameter, &mut args, &mut query)?;
        if query.len() > before {
            given.push(parameter.name);
        }
    }
    if let Some((name, _)) = args.0.iter().find(|(_, value)| value.get() != "null") {
        return Err(Error::invalid(format!(
            "args_json: {} takes no \"{name}\"",
            operation.name
        )));
    }
    if operation.body == Body::None && body.is_some() {
        return Err(Error::invalid(format!(
            "args_json: {} takes no \"body\"",
            operation.name
        )));
    }
    if operation.body != Body::None && body.is_none() {
        return Err(Error::invalid(format!(
            "args_json: \"body\" is missing; {} needs one",
            operation.name
        )));
    }
    if let (true, Some((label, text))) = (is_event, body) {
        return event_by_name(
            path,
            label,
            text,
            idempotency_key.as_deref(),
            options,
            context,
        );
    }
    for (name, value) in &options.additional_query_parameters {
        // What the operation itself was given wins.
        if !given.contains(&name.as_str()) {
            query.push((name.clone(), value.clone()));
        }
    }
    Ok(Request {
        path: target_of(operation, path, path_label, &query)?,
        body: body
            .map(|(label, text)| body_of(operation, label, text, &options, context))
            .transpose()?
            .map(Cow::into_owned),
        idempotency_key: None,
        // The events of a batch all carry keys.
        repeatable: operation.method.is_repeatable() || operation.name == operations::EVENT_BATCH,
        lane: None,
        operation,
        options,
    })
}

/// An event by its name is an event: checked, keyed, and in its lane.
fn event_by_name(
    path: &[&str],
    label: &str,
    text: &str,
    idempotency_key: Option<&str>,
    mut options: RequestOptions,
    context: Context<'_>,
) -> Result<Request, Error> {
    let names = event::Names {
        key: "args_json: \"key\"",
        user: "args_json: \"body\": \"user\"",
        value: "args_json: \"body\": \"value\"",
        attributes: "args_json: \"body\": \"attributes\"",
        idempotency_key: "args_json: \"idempotencyKey\"",
    };
    let mut body = Members::parse(label, text)?;
    let mut needed = |name: &str| {
        body.take(name)
            .ok_or_else(|| Error::invalid(format!("{label}: has no \"{name}\"")))
    };
    let user = needed("user")?;
    let value = needed("value")?;
    let number =
        json::double(value).ok_or_else(|| must_be(names.value, "a finite number", value))?;
    let attributes = body.take("attributes");
    let event = Event::check(
        &EventArgs {
            key: path.first().copied().unwrap_or_default(),
            user_json: user.get(),
            value: number,
            attributes_json: attributes.map(RawValue::get),
            idempotency_key,
            options_json: None,
        },
        &names,
    )?;
    // Members that are not known here pass through, before those of the options.
    let own = body.0.iter();
    let own = own.map(|(name, value)| (name.to_string(), value.get().to_owned()));
    let added = beside(&body, &options.additional_body_parameters);
    options.additional_body_parameters = own.chain(added.into_iter().cloned()).collect();
    keyed_event(&event, options, context)
}

/// Of additional parameters, those of which the object has none. There may be very many of both.
fn beside<'a>(
    members: &Members<'_>,
    additional: &'a [(String, String)],
) -> Vec<&'a (String, String)> {
    let given: HashSet<&str> = members.0.iter().map(|(name, _)| &**name).collect();
    let additional = additional.iter();
    additional
        .filter(|(name, _)| !given.contains(&**name))
        .collect()
}

/// Path and query of an event of this metric.
pub fn event_path(key: &str, query: &[(String, String)]) -> Result<String, Error> {
    target_of(event_operation()?, &[key], "", query)
}

fn event_operation() -> Result<&'static Operation, Error> {
    operations::find(operations::EVENT)
        .ok_or_else(|| Error::invalid("operation: the table has no event"))
}

fn keyed_event(
    event: &Event<'_>,
    options: RequestOptions,
    context: Context<'_>,
) -> Result<Request, Error> {
    let idempotency_key = match event.idempotency_key {
        Some(key) => key.to_owned(),
        None => {
            let mut key = String::with_capacity(36);
            context.make_key.write_key(&mut key)?;
            key
        }
    };
    Ok(Request {
        operation: event_operation()?,
        path: event_path(event.key, &options.additional_query_parameters)?,
        body: Some(event.body(&options.additional_body_parameters)),
        idempotency_key: Some(idempotency_key),
        repeatable: true,
        lane: Some(LaneName {
            user: event.user_id.clone().into_owned(),
            metric: event.key.to_owned(),
        }),
        options,
    })
}

/// The body as it is sent: users checked, with the wire's names; an object with the additional parameters
/// that it does not have itself; the events of a batch checked, each with an idempotency key.
fn body_of<'a>(
    operation: &Operation,
    label: &str,
    text: &'a str,
    options: &RequestOptions,
    context: Context<'_>,
) -> Result<Cow<'a, str>, Error> {
    let value = json::parse(label, text)?;
    let additional = &options.additional_body_parameters;
    if operation.body == Body::Array {
        if json::kind(value) != "an array" {
            return Err(must_be(label, "a JSON array", value));
        }
        if let Some((name, _)) = additional.first() {
            return Err(Error::invalid(format!(
                "args_json: options.additional_body_parameters: \"{name}\" cannot be added to the array that {} \
                 takes",
                operation.name
            )));
        }
        return match operation.name {
            operations::EVENT_BATCH => batch(label, value, context).map(Cow::Owned),
            _ => Ok(Cow::Borrowed(text)),
        };
    }
    let body = match operation.path {
        "/users" | "/users/{id}" => user::fields(label, text)?,
        _ if operation.name == operations::COMPLETION => completion(label, text)?,
        _ => Cow::Borrowed(text),
    };
    with_additional(label, body, additional)
}

fn completion<'a>(label: &str, text: &'a str) -> Result<Cow<'a, str>, Error> {
    let mut members = Members::parse(label, text)?;
    let Some(value) = members.get("user") else {
        return Ok(Cow::Borrowed(text));
    };
    let (user, _) = user::identified(&format!("{label}: \"user\""), value.get())?;
    members.set("user", raw(&user)?);
    Ok(Cow::Owned(members.to_text()))
}

fn with_additional<'a>(
    label: &str,
    body: Cow<'a, str>,
    additional: &[(String, String)],
) -> Result<Cow<'a, str>, Error> {
    let mut members = Members::parse(label, &body)?;
    let added = beside(&members, additional);
    if added.is_empty() {
        return Ok(body);
    }
    for (name, value) in added {
        members.0.push((Cow::Borrowed(name), raw(value)?));
    }
    Ok(Cow::Owned(members.to_text()))
}

/// A batch of events: those without an idempotency key get one, so that it is safe to send again.
fn batch(label: &str, value: &RawValue, context: Context<'_>) -> Result<String, Error> {
    let events: Vec<&RawValue> = serde_json::from_str(value.get())
        .map_err(|error| Error::invalid(format!("{label}: {error}")))?;
    let mut out = String::with_capacity(value.get().len() + 64 * events.len());
    out.push('[');
    for (at, event) in events.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_batch_event(&mut out, &format!("{label}: event {at}"), event, context)?;
    }
    out.push(']');
    Ok(out)
}

/// What is there is checked as for a single event; what is missing, the service names.
fn write_batch_event(
    out: &mut String,
    label: &str,
    event: &RawValue,
    context: Context<'_>,
) -> Result<(), Error> {
    let mut members = Members::of(label, event)?;
    let named = |name: &str| format!("{label}: \"{name}\"");
    if let Some(key) = members.get("key")
        && json::string(key).is_none_or(|key| key.is_empty())
    {
        return Err(must_be(&named("key"), "a string that is not empty", key));
    }
    if let Some(value) = members.get("value")
        && json::double(value).is_none()
    {
        return Err(must_be(&named("value"), "a finite number", value));
    }
    let (user, attributes);
    let mut key = String::new();
    if let Some(given) = members.get("user") {
        let (checked, _) = user::identified(&named("user"), given.get())?;
        user = user::in_a_batch(&checked)
            .map(Cow::into_owned)
            .unwrap_or_default();
        members.set("user", raw(&user)?);
    }
    if let Some(given) = members.get("attributes") {
        attributes = event::attributes(&named("attributes"), given.get())?;
        match &attributes {
            Some(attributes) => members.set("attributes", raw(attributes)?),
            None => _ = members.take("attributes"),
        }
    }
    match members.get("idempotencyKey") {
        Some(given) if given.get() != "null" => {
            let label = named("idempotencyKey");
            let given = json::string(given).ok_or_else(|| must_be(&label, "a string", given))?;
            event::check_idempotency_key(&label, &given)?;
        }
        _ => {
            members.take("idempotencyKey");
            context.make_key.write_quoted(&mut key)?;
            members
                .0
                .push((Cow::Borrowed("idempotencyKey"), raw(&key)?));
        }
    }
    members.write(out);
    Ok(())
}

/// Takes a query parameter out of the arguments.
fn read_query(
    parameter: &Query,
    args: &mut Members<'_>,
    query: &mut Vec<(String, String)>,
) -> Result<(), Error> {
    let label = format!("args_json: \"{}\"", parameter.name);
    let Some(value) = args.take(parameter.name) else {
        return match parameter.required {
            true => Err(Error::invalid(format!("{label} is missing"))),
            false => Ok(()),
        };
    };
    let mut push = |text: &str| query.push((parameter.name.to_owned(), text.to_owned()));
    match parameter.kind {
        Kind::String => {
            push(&json::string(value).ok_or_else(|| must_be(&label, "a string", value))?);
        }
        Kind::Integer => {
            let number: i64 = serde_json::from_str(value.get())
                .map_err(|_| must_be(&label, "a whole number", value))?;
            push(&number.to_string());
        }
        Kind::Boolean => match value.get() {
            "true" | "false" => push(value.get()),
            _ => return Err(must_be(&label, "true or false", value)),
        },
        Kind::OnlyTrue => match value.get() {
            "true" => push("true"),
            "false" => {}
            _ => push(&json::string(value).ok_or_else(|| must_be(&label, "true or false", value))?),
        },
        Kind::List => {
            let wrong = || must_be(&label, "an array of strings", value);
            let elements: Vec<&RawValue> =
                serde_json::from_str(value.get()).map_err(|_| wrong())?;
            if elements.is_empty() {
                return Err(Error::invalid(format!("{label} is an empty array")));
            }
            for element in elements {
                push(&json::string(element).ok_or_else(wrong)?);
            }
        }
    }
    Ok(())
}

fn must_be(label: &str, what: &str, value: &RawValue) -> Error {
    let given = match (json::kind(value), what) {
        ("a number", "a whole number") if !value.get().contains(['.', 'e', 'E']) => {
            "one of more than 64 bits"
        }
        ("a number", "a whole number" | "a finite number") => {
            let number = value.get();
            &number[..number.len().min(60)]
        }
        ("an array", "an array of strings") => "an array of something else",
        ("a string", "a string") => "one with an escape that is no character",
        (kind, _) => kind,
    };
    Error::invalid(format!("{label} must be {what}, not {given}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: Context<'static> = Context {
        allow_insecure_http: false,
        make_key: &Made,
    };

    fn call(name: &str, args: &str) -> Result<Request, Error> {
        from_args(name, Some(args), CONTEXT)
    }

    #[test]
    fn arguments_go_where_the_table_says() {
        let request = call(
            "users_metric_event_summary",
            r#"{"id":"a/b k","key":"é","aggregation":"daily","startDate":"2025-01-01","endDate":"2025-02-01"}"#,
        )
        .unwrap();
        assert_eq!(
            request.path,
            "/users/a%2Fb%20k/metrics/%C3%A9/event-summary?aggregation=daily&startDate=2025-01-01&endDate=2025-02-01"
        );
        let request = call("streaks_list", r#"{"userIds":["1","a&b"]}"#).unwrap();
        assert_eq!(request.path, "/streaks?userIds=1&userIds=a%26b");
        let request = call(
            "users_achievements",
            r#"{"id":"...","includeIncomplete":true,"options":{"additional_query_parameters":{"x":1,"includeIncomplete":"no"}}}"#,
        )
        .unwrap();
        assert_eq!(
            request.path,
            "/users/.../achievements?includeIncomplete=true&x=1"
        );
        let request = call("leaderboards_all", r#"{"includeFinished":false}"#).unwrap();
        assert_eq!(request.path, "/leaderboards?includeFinished=false");
    }

    #[test]
    fn a_wrong_argument_is_named() {
        for (name, args, message) in [
            ("users_strak", "{}", "operation: \"users_strak\" is none"),
            ("users_streak", "{}", "args_json: \"id\" is missing"),
            (
                "users_streak",
                r#"{"id":""}"#,
                "args_json: \"id\": is empty",
            ),
            (
                "users_achievements",
                r#"{"id":".."}"#,
                "args_json: \"id\": is \"..\", which is a step in a URL's path",
            ),
            (
                "users_points",
                r#"{"id":"1","key":"."}"#,
                "args_json: \"key\": is \".\", which is a step in a URL's path",
            ),
            (
                "metrics_event",
                r#"{"key":"..","body":{"user":{"id":"1"},"value":1}}"#,
                "args_json: \"key\": is \"..\", which is a step in a URL's path",
            ),
            (
                "metrics_event",
                r#"{"key":"k","idempotencyKey":"chapter-é","body":{"user":{"id":"1"},"value":1}}"#,
                "args_json: \"idempotencyKey\": holds a character that is not visible ASCII",
            ),
            (
                "metrics_event",
                r#"{"key":"k","body":{"user":{"id":"1","email":5},"value":1}}"#,
                "args_json: \"body\": \"user\": \"email\" must be a string, not a number",
            ),
            (
                "users_update",
                r#"{"id":"1","body":{"attributes":{"a":1}}}"#,
                "args_json: \"body\": \"attributes\": \"a\" must be a string, not a number",
            ),
            (
                "achievements_complete",
                r#"{"key":"k","body":{"user":{"id":"1","subscribeToEmails":"no"}}}"#,
                "args_json: \"body\": \"user\": \"subscribeToEmails\" must be true or false, not a string",
            ),
            (
                "admin_metrics_batch_events",
                r#"{"body":[{"key":"k"},{"idempotencyKey":"é"}]}"#,
                "args_json: \"body\": event 1: \"idempotencyKey\": holds a character that is not visible ASCII",
            ),
            (
                "admin_metrics_batch_events",
                r#"{"body":[{"idempotencyKey":7}]}"#,
                "args_json: \"body\": event 0: \"idempotencyKey\" must be a string, not a number",
            ),
            (
                "admin_metrics_batch_events",
                r#"{"body":[{"user":{"id":7}}]}"#,
                "args_json: \"body\": event 0: \"user\": \"id\" must be a string, not a number",
            ),
            (
                "admin_metrics_batch_events",
                r#"{"body":[{"value":"1"}]}"#,
                "args_json: \"body\": event 0: \"value\" must be a finite number, not a string",
            ),
            (
                "admin_metrics_batch_events",
                r#"{"body":[{"key":""}]}"#,
                "args_json: \"body\": event 0: \"key\" must be a string that is not empty",
            ),
            (
                "admin_metrics_batch_events",
                r#"{"body":[{"attributes":{"a":1}}]}"#,
                "args_json: \"body\": event 0: \"attributes\": \"a\" must be a string, not a number",
            ),
            (
                "admin_metrics_batch_events",
                r#"{"body":[[]]}"#,
                "args_json: \"body\": event 0: must be a JSON object, not an array",
            ),
            (
                "users_streak",
                r#"{"id":1}"#,
                "args_json: \"id\" must be a string, not a number",
            ),
            (
                "users_streak",
                r#"{"id":"1","history":2}"#,
                "args_json: users_streak takes no \"history\"",
            ),
            (
                "users_streak",
                r#"{"id":"1","historyPeriods":"7"}"#,
                "args_json: \"historyPeriods\" must be a whole number",
            ),
            (
                "users_streak",
                r#"{"id":"1","idempotencyKey":"k"}"#,
                "args_json: users_streak takes no \"idempotencyKey\"",
            ),
            (
                "users_streak",
                r#"{"id":"1","body":{}}"#,
                "args_json: users_streak takes no \"body\"",
            ),
            ("streaks_list", "{}", "args_json: \"userIds\" is missing"),
            (
                "streaks_list",
                r#"{"userIds":"1"}"#,
                "args_json: \"userIds\" must be an array of strings",
            ),
            (
                "admin_metrics_delete",
                r#"{"ids":[]}"#,
                "args_json: \"ids\" is an empty array",
            ),
            (
                "admin_metrics_create",
                "{}",
                "args_json: \"body\" is missing",
            ),
            (
                "admin_metrics_create",
                r#"{"body":{}}"#,
                "args_json: \"body\" must be a JSON array, not an object",
            ),
            (
                "users_create",
                r#"{"body":[]}"#,
                "args_json: \"body\": must be a JSON object, not an array",
            ),
            (
                "metrics_event",
                r#"{"key":"k","body":{"user":{"id":"1"}}}"#,
                "args_json: \"body\": has no \"value\"",
            ),
            (
                "metrics_event",
                r#"{"key":"k","body":{"user":{"id":1},"value":1}}"#,
                "args_json: \"body\": \"user\": \"id\" must be",
            ),
            (
                "metrics_event",
                r#"{"key":"k","body":{"user":{"id":"1"},"value":"1"}}"#,
                "args_json: \"body\": \"value\" must be a finite number",
            ),
            (
                "metrics_event",
                r#"{"key":"k","body":{"user":{"id":"1"},"value":1e999}}"#,
                "args_json: \"body\": \"value\" must be a finite number",
            ),
            (
                "metrics_event",
                r#"{"key":"k","idempotencyKey":"a\nb","body":{"user":{"id":"1"},"value":1}}"#,
                "args_json: \"idempotencyKey\": holds",
            ),
            (
                "users_streak",
                r#"{"id":"1","options":{"x":1}}"#,
                "args_json: options.x: is not an option",
            ),
        ] {
            let error = call(name, args).unwrap_err();
            assert!(
                error.message.starts_with(message),
                "{name} {args}: {}",
                error.message
            );
        }
    }

    #[test]
    fn bodies_get_the_wires_names_and_the_additional_parameters() {
        let body = |name: &str, args: &str| call(name, args).unwrap().body.unwrap();
        assert_eq!(
            body(
                "users_identify",
                r#"{"id":"1","body":{"sign_up_date":"x"},"options":{"additional_body_parameters":{"a":1,"signUpDate":2}}}"#
            ),
            r#"{"signUpDate":"x","a":1}"#
        );
        assert_eq!(
            body(
                "achievements_complete",
                r#"{"key":"k","body":{"user":{"id":"1","device_tokens":[]}}}"#
            ),
            r#"{"user":{"id":"1","deviceTokens":[]}}"#
        );
        assert_eq!(
            body(
                "metrics_event",
                r#"{"key":"k","body":{"value":1,"more":true,"user":{"id":"1"},"attributes":{"a":null}},"options":{"additional_body_parameters":{"more":2,"value":3}}}"#
            ),
            r#"{"user":{"id":"1"},"value":1,"attributes":{},"more":true}"#
        );
        assert_eq!(
            body(
                "admin_metrics_batch_events",
                r#"{"body":[{"key":"k"},{"idempotencyKey":"mine"},{"idempotencyKey":null}]}"#
            ),
            r#"[{"key":"k","idempotencyKey":"made"},{"idempotencyKey":"mine"},{"idempotencyKey":"made"}]"#
        );
        assert_eq!(
            body(
                "admin_metrics_batch_events",
                r#"{"body":[{"key":"k","user":{"id":"1","sign_up_date":"2025-01-01","attributes":{"a":null}},"value":0.9215686321258545,"attributes":null,"new":[1.0]},{"user":{"signUpDate":"2025-01-01","id":"1","tz":"UTC"},"attributes":{"a":"b","c":null},"idempotencyKey":"i"}]}"#
            ),
            r#"[{"key":"k","user":{"id":"1","attributes":{}},"value":0.9215686321258545,"new":[1.0],"idempotencyKey":"made"},{"user":{"id":"1","tz":"UTC"},"attributes":{"a":"b"},"idempotencyKey":"i"}]"#
        );
        assert_eq!(
            body(
                "users_update",
                r#"{"id":"1","body":{"tz":null,"deviceTokens":null,"attributes":{"a":null,"b":"c"}}}"#
            ),
            r#"{"tz":null,"deviceTokens":null,"attributes":{"b":"c"}}"#
        );
        assert_eq!(body("admin_metrics_create", r#"{"body":[ 1 ]}"#), "[ 1 ]");
    }

    #[test]
    fn a_parameter_of_the_query_may_stand_there_often() {
        let request = call(
            "users_achievements",
            r#"{"id":"1","includeIncomplete":true,"options":{"additional_query_parameters":{"x":[1,2],"includeIncomplete":["no","no"]}}}"#,
        )
        .unwrap();
        assert_eq!(
            request.path,
            "/users/1/achievements?includeIncomplete=true&x=1&x=2"
        );
    }

    /// Where each name is compared with each other, these take minutes each.
    #[test]
    fn a_body_of_very_many_members_takes_a_moment() {
        let members = |letter: &str| -> Vec<String> {
            (0..100_000)
                .map(|at| format!("\"{letter}{at}\":{at}"))
                .collect()
        };
        let (own, more) = (members("a").join(","), members("b").join(","));
        let event = format!(
            r#"{{"key":"k","body":{{"user":{{"id":"1"}},"value":1,{own}}},"options":{{"additional_body_parameters":{{{more},"a7":0}}}}}}"#
        );
        let body = call("metrics_event", &event).unwrap().body.unwrap();
        assert_eq!(
            body,
            format!(r#"{{"user":{{"id":"1"}},"value":1,{own},{more}}}"#)
        );
        let user = format!(
            r#"{{"body":{{"id":"1",{own}}},"options":{{"additional_body_parameters":{{{more},"a7":0}}}}}}"#
        );
        let body = call("users_create", &user).unwrap().body.unwrap();
        assert_eq!(body, format!(r#"{{"id":"1",{own},{more}}}"#));
        let headers = format!(r#"{{"options":{{"additional_headers":{{{own}}}}}}}"#);
        let error = call("leaderboards_all", &headers).unwrap_err();
        assert!(error.message.contains("at most 64 headers, not 100000"));
        let query = format!(r#"{{"options":{{"additional_query_parameters":{{{own},{more}}}}}}}"#);
        let error = call("leaderboards_all", &query).unwrap_err();
        assert!(error.message.contains("too long for a URL"));
    }

    #[test]
    fn an_event_by_name_is_keyed_and_has_its_lane() {
        let request = call(
            "metrics_event",
            r#"{"key":"words","body":{"user":{"id":"18"},"value":1}}"#,
        )
        .unwrap();
        assert_eq!(request.idempotency_key.as_deref(), Some("made"));
        assert!(request.repeatable);
        let lane = request.lane.unwrap();
        assert_eq!((lane.user.as_str(), lane.metric.as_str()), ("18", "words"));
    }

    #[test]
    fn only_what_is_safe_may_be_repeated() {
        for (name, args, repetition) in [
            ("users_streak", r#"{"id":"1"}"#, Repetition::Harmless),
            (
                "users_identify",
                r#"{"id":"1","body":{}}"#,
                Repetition::Harmless,
            ),
            (
                "admin_metrics_batch_events",
                r#"{"body":[]}"#,
                Repetition::CountsOnce,
            ),
            (
                "metrics_event",
                r#"{"key":"words","body":{"user":{"id":"18"},"value":1}}"#,
                Repetition::CountsOnce,
            ),
            (
                "users_create",
                r#"{"body":{"id":"1"}}"#,
                Repetition::Harmful,
            ),
            ("admin_streaks_reset", r#"{"body":{}}"#, Repetition::Harmful),
        ] {
            let request = call(name, args).unwrap();
            assert_eq!(request.repetition(), repetition, "{name}");
            assert_eq!(request.repeatable, repetition != Repetition::Harmful);
        }
    }

    #[test]
    fn a_value_is_the_same_double_however_it_comes() {
        for seed in 1..1_000_u64 {
            let bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let value = (bits >> 11) as f64 / (1_u64 << 53) as f64;
            let args = format!(r#"{{"key":"k","body":{{"user":{{"id":"1"}},"value":{value:?}}}}}"#);
            let body = call("metrics_event", &args).unwrap().body.unwrap();
            assert_eq!(json::number(&body, "/value"), Some(value), "{body}");
            let args = EventArgs {
                key: "k",
                user_json: r#"{"id":"1"}"#,
                value,
                attributes_json: None,
                idempotency_key: None,
                options_json: None,
            };
            let body = from_event(&args, CONTEXT).unwrap().body.unwrap();
            assert_eq!(json::number(&body, "/value"), Some(value), "{body}");
        }
    }
}
