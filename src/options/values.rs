//! What the value of an option may be: ranges, URLs, headers, keys.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use serde_json::value::RawValue;

use super::reader::{self, must_be};
use crate::api::json::{self, Members};
use crate::api::url::{MAX_BASE_URL, MAX_HEADER_NAME, MAX_HEADER_VALUE, is_loopback, server};
use crate::error::Error;

/// A whole number in a range.
pub fn whole<'de, const MIN: u64, const MAX: u64, N, T, D>(deserializer: D) -> Result<T, D::Error>
where
    N: TryFrom<u64>,
    T: From<N>,
    D: Deserializer<'de>,
{
    let value = <&RawValue>::deserialize(deserializer)?;
    let number = within(value, "a whole number", &(MIN..=MAX));
    let number = number
        .and_then(|number| N::try_from(number).map_err(|_| must_be("a smaller number", value)));
    number.map(T::from).map_err(D::Error::custom)
}

fn number<'de, D: Deserializer<'de>>(
    deserializer: D,
    range: RangeInclusive<f64>,
) -> Result<f64, D::Error> {
    let value = <&RawValue>::deserialize(deserializer)?;
    within(value, "a number", &range).map_err(D::Error::custom)
}

/// A number of the range, which is `what`.
fn within<N>(value: &RawValue, what: &str, range: &RangeInclusive<N>) -> Result<N, String>
where
    N: DeserializeOwned + PartialOrd + fmt::Display,
{
    let number = serde_json::from_str(value.get()).ok();
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let what = format!("{what} from {} to {}", range.start(), range.end());
            must_be(&what, value)
        })
}

/// A time: at least a millisecond, at most ten years.
pub fn seconds<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: From<Duration>,
    D: Deserializer<'de>,
{
    let seconds = number(deserializer, 0.001..=315_360_000.0)?;
    Ok(Duration::from_secs_f64(seconds).into())
}

pub fn requests_per_second<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(deserializer, 0.001..=10_000.0)
}

/// A path, made absolute now: the process may go to another folder later.
pub fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.contains('\0') {
        return Err(D::Error::custom(
            "must be a path without a NUL character, which it holds",
        ));
    }
    std::path::absolute(&text).map(Some).map_err(|error| {
        D::Error::custom(format!(
            "cannot be made an absolute path: {error}; give one"
        ))
    })
}

/// A value as a header can carry it.
pub fn header_value<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: From<String>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    as_header_value(&text).map_err(D::Error::custom)?;
    Ok(text.into())
}

/// What servers commonly take.
const MAX_HEADERS: usize = 64;

/// The headers that the library writes itself, with what sets each.
const OWN_HEADERS: &[(&str, &str)] = &[
    ("x-api-key", "give the key as api_key"),
    ("tenant-id", "use the option \"tenant_id\""),
    (
        "idempotency-key",
        "use the event's idempotency key parameter",
    ),
    ("content-type", "bodies are always JSON"),
    ("content-length", "it follows from the body"),
    ("transfer-encoding", "it follows from the body"),
    ("host", "use the option \"base_url\""),
    ("connection", "connections are the library's"),
    ("keep-alive", "connections are the library's"),
    ("proxy-connection", "connections are the library's"),
    ("upgrade", "connections are the library's"),
    ("te", "it is not supported"),
    ("trailer", "it is not supported"),
    ("expect", "it is not supported"),
    ("accept-encoding", "replies are not compressed"),
];

/// Headers by their names.
pub fn headers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(String, String)>, D::Error> {
    let members = members(deserializer)?;
    let is_given = |value: &RawValue| value.get() != "null";
    let count = members.iter().filter(|(_, value)| is_given(value)).count();
    if count > MAX_HEADERS {
        return Err(D::Error::custom(format!(
            "must be at most {MAX_HEADERS} headers, not {count}"
        )));
    }
    let mut headers: Vec<(String, String)> = Vec::with_capacity(count);
    for (name, value) in members {
        let refused = |why: String| D::Error::custom(format!("\"{name}\": {why}"));
        let is_one = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
        if !is_one || name.len() > MAX_HEADER_NAME {
            return Err(refused("is not the name of a header".to_owned()));
        }
        let is_name = |other: &str| other.eq_ignore_ascii_case(&name);
        if headers.iter().any(|(other, _)| is_name(other)) {
            return Err(refused(
                "is there twice; the names of headers know no case".to_owned(),
            ));
        }
        if let Some((_, instead)) = OWN_HEADERS.iter().find(|(own, _)| is_name(own)) {
            return Err(refused(format!("is written by the library: {instead}")));
        }
        if !is_given(value) {
            continue;
        }
        let text = json::string(value).ok_or_else(|| refused(must_be("a string", value)))?;
        as_header_value(&text).map_err(refused)?;
        headers.push((name.to_string(), text.into_owned()));
    }
    Ok(headers)
}

/// Strings, numbers and booleans; an array of them repeats the name.
pub fn query_parameters<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(String, String)>, D::Error> {
    let mut parameters = Vec::new();
    for (name, value) in members(deserializer)? {
        let wrong = || {
            let what = must_be("a string, a number, a boolean, or an array of these", value);
            D::Error::custom(format!("\"{name}\": {what}"))
        };
        let elements: Vec<&RawValue> = match json::kind(value) {
            "null" => continue,
            "an array" => serde_json::from_str(value.get()).map_err(|_| wrong())?,
            _ => vec![value],
        };
        for element in elements {
            let text = match json::kind(element) {
                "an object" | "an array" | "null" => return Err(wrong()),
                "a string" => json::string(element).ok_or_else(wrong)?,
                _ => Cow::Borrowed(element.get()),
            };
            parameters.push((name.to_string(), text.into_owned()));
        }
    }
    Ok(parameters)
}

/// Any JSON by name. Null is a value here, as it is in the service's bodies.
pub fn body_parameters<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(String, String)>, D::Error> {
    let members = members(deserializer)?.into_iter();
    Ok(members
        .map(|(name, value)| (name.into_owned(), value.get().to_owned()))
        .collect())
}

/// An object whose names are the caller's own.
fn members<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(Cow<'de, str>, &'de RawValue)>, D::Error> {
    let value = <&RawValue>::deserialize(deserializer)?;
    let Members(members) = reader::members(value).map_err(D::Error::custom)?;
    Ok(members)
}

fn as_header_value(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err("is empty".to_owned());
    }
    if value.len() > MAX_HEADER_VALUE {
        return Err(format!(
            "is {} bytes long; servers take headers of at most {MAX_HEADER_VALUE}",
            value.len()
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(
            "holds a line break or another control character, which no header can carry".to_owned(),
        );
    }
    if value.trim() != value {
        return Err("begins or ends with a space, which a header would lose".to_owned());
    }
    Ok(())
}

/// A value as a header can carry it: a tenant, …. `label` names the parameter.
pub fn check_header_value(label: &str, value: &str) -> Result<(), Error> {
    as_header_value(value).map_err(|why| Error::invalid(format!("{label}: {why}")))
}

fn as_api_key(key: &str) -> Result<(), &'static str> {
    if key.is_empty() {
        return Err("is empty");
    }
    if key.len() > MAX_HEADER_VALUE {
        return Err("is too long for an API key");
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "holds a character that no API key has (a space, a line break, or one beyond ASCII); copy it \
             again from the dashboard",
        );
    }
    Ok(())
}

/// An API key as a header can carry it. `label` names the parameter; the key itself is in no message.
pub fn check_api_key(label: &str, key: &str) -> Result<(), Error> {
    as_api_key(key).map_err(|why| Error::invalid(format!("{label}: {why}")))
}

/// An API key, which shows itself to nobody who does not ask for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text of one that is no string may be the key, too: it is in no message.
        let value = <&RawValue>::deserialize(deserializer)?;
        let key = json::string(value).ok_or_else(|| {
            D::Error::custom(format!("must be a string, not {}", json::kind(value)))
        })?;
        as_api_key(&key).map_err(D::Error::custom)?;
        Ok(Self(key.into_owned()))
    }
}

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The root of an API: scheme, host, and a path that does not end in `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    /// The host, if an API key would travel to it in the clear.
    in_the_clear_to: Option<String>,
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl BaseUrl {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{why}; give a URL such as \"https://api.trophy.so/v1\"");
        if text.len() > MAX_BASE_URL {
            return Err(wrong("is too long for a URL"));
        }
        let uri: http::Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong("is not an absolute URL"));
        };
        if authority.as_str().contains('@') {
            return Err(wrong("holds a user name, which belongs in no base URL"));
        }
        let (host, _) = server(&uri).map_err(wrong)?;
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("holds what has to be percent-encoded"));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(wrong("has a query or a fragment"));
        }
        if !matches!(scheme, "https" | "http") {
            return Err(wrong("is neither https nor http"));
        }
        Ok(Self {
            text: text.trim_end_matches('/').to_owned(),
            in_the_clear_to: (scheme == "http" && !is_loopback(host))
                .then(|| authority.host().to_owned()),
        })
    }

    /// `label` is what messages call it.
    pub fn check_is_safe(&self, label: &str, allow_insecure_http: bool) -> Result<(), Error> {
        match &self.in_the_clear_to {
            Some(host) if !allow_insecure_http => Err(Error::invalid(format!(
                "{label}: plain http would send the API key in the clear to {host}; use https, or set \
                 \"allow_insecure_http\" to true if the network is trusted"
            ))),
            _ => Ok(()),
        }
    }
}
