//! A request as the operations see it, and what they answer.

use std::sync::Arc;

use axum::http::HeaderMap;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

/// Who asks: the key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    Admin,
    /// An application key: this user and no other.
    User(Arc<str>),
}

pub struct Call {
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    /// `None` if there was no body; an error says why it is not JSON.
    pub body: Result<Option<Value>, String>,
    /// Empty without a `Tenant-ID`.
    pub tenant: String,
    pub actor: Actor,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

/// Why a call is refused, and the text of `{"error":"text"}`.
#[derive(Debug)]
pub enum Refusal {
    /// Its form is wrong: 400, or 422 where the operation knows no 400.
    Malformed(String),
    Unauthorized(&'static str),
    Forbidden(String),
    NotFound(String),
    Unprocessable(String),
    RateLimited,
    /// A status of the caller's own choice: a poisoned event.
    Status(u16, String),
}

pub type Answer = Result<Reply, Refusal>;

pub fn ok(body: impl Into<Value>) -> Answer {
    Ok(Reply {
        status: 200,
        body: body.into(),
    })
}

pub fn created(body: impl Into<Value>) -> Answer {
    Ok(Reply {
        status: 201,
        body: body.into(),
    })
}

impl Refusal {
    pub fn status(&self, knows_400: bool) -> u16 {
        match self {
            Self::Malformed(_) if knows_400 => 400,
            Self::Malformed(_) | Self::Unprocessable(_) => 422,
            Self::Unauthorized(_) => 401,
            Self::Forbidden(_) => 403,
            Self::NotFound(_) => 404,
            Self::RateLimited => 429,
            Self::Status(status, _) => *status,
        }
    }

    pub fn body(&self) -> Value {
        let text = match self {
            Self::Malformed(text)
            | Self::Forbidden(text)
            | Self::NotFound(text)
            | Self::Unprocessable(text)
            | Self::Status(_, text) => text.as_str(),
            Self::Unauthorized(text) => text,
            Self::RateLimited => "Rate limit exceeded",
        };
        json!({ "error": text })
    }
}

impl Call {
    pub fn path(&self, index: usize) -> &str {
        self.path.get(index).map_or("", String::as_str)
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A list parameter: repeated, with or without brackets, or comma-separated.
    pub fn query_list(&self, name: &str) -> Vec<&str> {
        self.query
            .iter()
            .filter(|(key, _)| key.strip_suffix("[]").unwrap_or(key) == name)
            .flat_map(|(_, value)| value.split(','))
            .filter(|item| !item.is_empty())
            .collect()
    }

    pub fn query_number(
        &self,
        name: &str,
        default: usize,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, Refusal> {
        let Some(text) = self.query(name) else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                Refusal::Unprocessable(match (range.start(), range.end()) {
                    (low, &usize::MAX) => format!("{name} must be an integer of at least {low}"),
                    (low, high) => format!("{name} must be an integer between {low} and {high}"),
                })
            })
    }

    pub fn query_date(&self, name: &str) -> Result<Option<Date>, Refusal> {
        let Some(text) = self.query(name) else {
            return Ok(None);
        };
        date(text).map(Some).ok_or_else(|| {
            Refusal::Unprocessable(format!("{name} must be a date in YYYY-MM-DD format"))
        })
    }

    /// `attribute:value,attribute:value`.
    pub fn query_attributes(&self) -> Result<Vec<(&str, &str)>, Refusal> {
        let Some(text) = self.query("userAttributes") else {
            return Ok(Vec::new());
        };
        text.split(',')
            .map(|pair| {
                pair.split_once(':').ok_or_else(|| {
                    Refusal::Unprocessable(
                        "userAttributes must be of the form attribute:value".into(),
                    )
                })
            })
            .collect()
    }

    pub fn body(&self) -> Result<&Value, Refusal> {
        match &self.body {
            Ok(Some(body)) => Ok(body),
            Ok(None) => Err(Refusal::Malformed("The request needs a JSON body".into())),
            Err(why) => Err(Refusal::Malformed(format!(
                "The body is not valid JSON: {why}"
            ))),
        }
    }

    pub fn object(&self) -> Result<&Map<String, Value>, Refusal> {
        self.body()?
            .as_object()
            .ok_or_else(|| Refusal::Malformed("The body must be an object".into()))
    }

    /// An array of 1 to `most` items.
    pub fn array(&self, most: usize) -> Result<&[Value], Refusal> {
        self.body()
            .and_then(|body| items(body, "The body", 1, most))
    }

    /// An application key acts for its own user only.
    pub fn may_act_for(&self, user: &str) -> Result<(), Refusal> {
        match &self.actor {
            Actor::User(own) if &**own != user => Err(Refusal::Forbidden(
                "This API key may not act for this user".into(),
            )),
            _ => Ok(()),
        }
    }
}

pub fn items<'a>(
    value: &'a Value,
    what: &str,
    least: usize,
    most: usize,
) -> Result<&'a [Value], Refusal> {
    match value.as_array() {
        None => Err(Refusal::Malformed(format!("{what} must be an array"))),
        Some(items) if items.len() < least => Err(Refusal::Malformed(format!(
            "{what} must have at least {least} item"
        ))),
        Some(items) if items.len() > most => Err(Refusal::Malformed(format!(
            "{what} must have at most {most} items"
        ))),
        Some(items) => Ok(items),
    }
}

/// A day as the service writes it, `YYYY-MM-DD`. jiff alone would take times and years below 1 too.
pub fn date(text: &str) -> Option<Date> {
    let date: Date = text.parse().ok()?;
    (date.year() >= 1 && date.to_string() == text).then_some(date)
}

/// A number as people write it: 25, not 25.0. JSON has no infinity: what is beyond is the largest.
pub fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value = match value.is_nan() {
        true => 0.0,
        false => value.clamp(f64::MIN, f64::MAX),
    };
    if value.fract() == 0.0 && value.abs() < EXACT {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}
