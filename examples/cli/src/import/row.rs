//! A row of an import: an event, or why it is none.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use trophy::api::event::EventArgs;

use super::source::Digest;

#[derive(Clone, Debug)]
pub struct Row {
    pub at: At,
    pub event: Result<Event, Wrong>,
}

/// Where a row stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// From 1; what is blank, and the names of the columns, are no rows. This alone says which row it is.
    pub row: u64,
    /// Where it begins, from 1: for people.
    pub line: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub metric: String,
    /// JSON.
    pub user: String,
    pub value: f64,
    /// JSON.
    pub attributes: Option<String>,
    /// The row's own.
    pub idempotency_key: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Wrong {
    pub reason: String,
    /// The row as it stands.
    pub text: String,
}

impl Event {
    pub fn args(&self) -> EventArgs<'_> {
        EventArgs {
            key: &self.metric,
            user_json: &self.user,
            value: self.value,
            attributes_json: self.attributes.as_deref(),
            idempotency_key: self.idempotency_key.as_deref(),
            options_json: None,
        }
    }

    pub fn user_id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct User {
            id: String,
        }
        let user: User = serde_json::from_str(&self.user).ok()?;
        Some(user.id)
    }

    /// It is an event to look at, and not to the library.
    pub fn wrong(&self, reason: String) -> Wrong {
        Wrong::new(reason, self.to_json(&[]))
    }

    /// As a row of JSON Lines, with members before it.
    pub fn to_json(&self, before: &[(&str, serde_json::Value)]) -> String {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).ok();
        let members = Members {
            metric: &self.metric,
            user: raw(&self.user),
            value: self.value,
            attributes: self.attributes.as_deref().and_then(raw),
            idempotency_key: self.idempotency_key.as_deref(),
        };
        let mut line = String::from("{");
        for (name, value) in before {
            line.push_str(&format!("\"{name}\":{value},"));
        }
        let members = serde_json::to_string(&members).unwrap_or_default();
        line.push_str(members.strip_prefix('{').unwrap_or("}"));
        line
    }

    /// A row without a key gets one that the same row of the same content gets again, and no other does.
    pub fn give_key(&mut self, content: &Digest, number: u64) {
        if self.idempotency_key.is_none() {
            self.idempotency_key = Some(format!("import-{}-{number}", content.short()));
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    metric: &'a str,
    user: Option<Box<RawValue>>,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
}

impl Wrong {
    pub fn new(reason: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            text: text.into(),
        }
    }
}

/// JSON that is there and is not null.
pub fn given(json: Option<&RawValue>) -> Option<String> {
    json.map(RawValue::get)
        .filter(|text| *text != "null")
        .map(str::to_owned)
}
