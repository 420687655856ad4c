//! Client and request options. An option is a field here and a row in the `match` that reads it; a
//! name that is not there is an error, so that a typo is never silence.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::api::json::{self, Members};
use crate::api::operations::Api;
use crate::api::request::MAX_URL_PART;
use crate::error::Error;
use crate::transport;

/// What `trophy_client_new` takes as `options_json`.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    pub base_url: Option<BaseUrl>,
    pub admin_base_url: Option<BaseUrl>,
    pub tenant_id: Option<String>,
    /// The whole call, retries and waits included.
    pub timeout: Duration,
    pub attempt_timeout: Duration,
    pub connect_timeout: Duration,
    pub max_retries: u32,
    pub additional_headers: Vec<(String, String)>,
    pub proxy: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub allow_insecure_http: bool,
    pub max_response_bytes: u64,
    pub callbacks: Callbacks,
    pub workers: usize,
    /// Asynchronous calls waiting for a worker, a lane or a retry.
    pub max_pending_calls: usize,
    pub user_agent: String,
    pub queue: QueueOptions,
}

/// Where callbacks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callbacks {
    /// On a thread of the library.
    Worker,
    /// Inside `trophy_client_dispatch`.
    Dispatch,
}

#[derive(Debug, Clone)]
pub struct QueueOptions {
    /// The folder; in memory if there is none.
    pub path: Option<PathBuf>,
    pub durability: Durability,
    pub max_events: u64,
    pub max_bytes: u64,
    pub max_age: Option<Duration>,
    pub overflow: Overflow,
    pub delivery: Delivery,
    pub batch_size: usize,
    pub requests_per_second: f64,
    pub coalesce: bool,
}

/// What an enqueued event survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process: written to the operating system.
    Process,
    /// The loss of power: synced to the disk.
    Power,
}

/// What gives way when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    Reject,
    DropOldest,
}

/// How events leave the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Auto,
    Single,
    Batch,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            base_url: None,
            admin_base_url: None,
            tenant_id: None,
            timeout: Duration::from_secs(60),
            attempt_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(10),
            max_retries: 2,
            additional_headers: Vec::new(),
            proxy: None,
            ca_file: None,
            allow_insecure_http: false,
            max_response_bytes: 16 << 20,
            callbacks: Callbacks::Worker,
            workers: 4,
            max_pending_calls: 10_000,
            user_agent: concat!("libtrophy/", env!("CARGO_PKG_VERSION")).to_owned(),
            queue: QueueOptions::default(),
        }
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            path: None,
            durability: Durability::Process,
            max_events: 100_000,
            max_bytes: 64 << 20,
            max_age: None,
            overflow: Overflow::Reject,
            delivery: Delivery::Auto,
            batch_size: 1_000,
            requests_per_second: 5.0,
            coalesce: false,
        }
    }
}

/// Named sets of hosts. The service has one.
const ENVIRONMENTS: &[(&str, ())] = &[("default", ())];

impl ClientOptions {
    /// Reads `options_json` and, for base URLs that it leaves out, the environment.
    pub fn parse(
        options_json: Option<&str>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let mut options = Self::default();
        let (mut base_url, mut admin_base_url) = (None, None);
        for option in given("options_json", options_json)? {
            match &*option.name {
                "environment" => option.one_of(ENVIRONMENTS)?,
                "base_url" => base_url = Some(option.text()?.into_owned()),
                "admin_base_url" => admin_base_url = Some(option.text()?.into_owned()),
                "tenant_id" => options.tenant_id = Some(option.header_value()?),
                "timeout_in_seconds" => options.timeout = option.seconds()?,
                "attempt_timeout_in_seconds" => options.attempt_timeout = option.seconds()?,
                "connect_timeout_in_seconds" => options.connect_timeout = option.seconds()?,
                "max_retries" => options.max_retries = option.integer(0..=100)? as u32,
                "additional_headers" => options.additional_headers = option.headers()?,
                "proxy" => options.proxy = Some(option.text()?.into_owned()),
                "ca_file" => options.ca_file = Some(option.path()?),
                "allow_insecure_http" => options.allow_insecure_http = option.flag()?,
                "max_response_bytes" => {
                    options.max_response_bytes = option.integer(1..=i64::MAX as u64)?
                }
                "callbacks" => {
                    options.callbacks = option.one_of(&[
                        ("worker", Callbacks::Worker),
                        ("dispatch", Callbacks::Dispatch),
                    ])?
                }
                "workers" => options.workers = option.integer(1..=1024)? as usize,
                "max_pending_calls" => {
                    options.max_pending_calls = option.integer(1..=1_000_000_000)? as usize
                }
                "user_agent" => options.user_agent = option.header_value()?,
                "queue" => options.queue = QueueOptions::parse(&option)?,
                _ => return Err(option.unknown()),
            }
        }
        let insecure = options.allow_insecure_http;
        for (option, variable, given, url) in [
            (
                "base_url",
                "TROPHY_BASE_URL",
                base_url,
                &mut options.base_url,
            ),
            (
                "admin_base_url",
                "TROPHY_ADMIN_BASE_URL",
                admin_base_url,
                &mut options.admin_base_url,
            ),
        ] {
            *url = match given {
                Some(text) => Some(BaseUrl::parse(
                    &format!("options_json: \"{option}\""),
                    &text,
                    insecure,
                )?),
                None => environment(variable)
                    .map(|text| BaseUrl::parse(variable, &text, insecure))
                    .transpose()?,
            };
        }
        Ok(options)
    }

    /// The Admin API is where it is known to be: nobody who points the library at another server
    /// wants batches to go to the real one.
    pub fn knows_admin_api(&self) -> bool {
        self.admin_base_url.is_some() || self.base_url.is_none()
    }

    /// Where an API is.
    pub fn base_url(&self, api: Api) -> &str {
        let (url, default) = match api {
            Api::Application => (&self.base_url, "https://api.trophy.so/v1"),
            Api::Admin => (&self.admin_base_url, "https://admin.trophy.so/v1"),
        };
        url.as_ref().map_or(default, |url| &url.0)
    }
}

impl QueueOptions {
    fn parse(queue: &Given<'_>) -> Result<Self, Error> {
        let mut options = Self::default();
        for option in queue.members()? {
            match &*option.name {
                "path" => options.path = Some(option.path()?),
                "durability" => {
                    options.durability = option.one_of(&[
                        ("process", Durability::Process),
                        ("power", Durability::Power),
                    ])?
                }
                "max_events" => options.max_events = option.integer(1..=1_000_000_000_000)?,
                "max_bytes" => options.max_bytes = option.integer(1..=i64::MAX as u64)?,
                "max_age_in_seconds" => options.max_age = Some(option.seconds()?),
                "overflow" => {
                    options.overflow = option.one_of(&[
                        ("reject", Overflow::Reject),
                        ("drop_oldest", Overflow::DropOldest),
                    ])?
                }
                "delivery" => {
                    options.delivery = option.one_of(&[
                        ("auto", Delivery::Auto),
                        ("single", Delivery::Single),
                        ("batch", Delivery::Batch),
                    ])?
                }
                "batch_size" => options.batch_size = option.integer(1..=1_000)? as usize,
                "requests_per_second" => {
                    options.requests_per_second = option.number(0.001..=10_000.0)?
                }
                "coalesce" => options.coalesce = option.flag()?,
                _ => return Err(option.unknown()),
            }
        }
        Ok(options)
    }
}

/// What one call may change: `options_json` of an event, `"options"` in `args_json`.
#[derive(Debug, Clone, Default)]
pub struct RequestOptions {
    pub api_key: Option<String>,
    pub tenant_id: Option<String>,
    pub base_url: Option<BaseUrl>,
    pub timeout: Option<Duration>,
    pub max_retries: Option<u32>,
    pub additional_headers: Vec<(String, String)>,
    pub additional_query_parameters: Vec<(String, String)>,
    /// Name and JSON text.
    pub additional_body_parameters: Vec<(String, String)>,
}

impl RequestOptions {
    /// `parameter` is what messages call the text.
    pub fn parse(
        parameter: &str,
        text: Option<&str>,
        allow_insecure_http: bool,
    ) -> Result<Self, Error> {
        let mut options = Self::default();
        for option in given(parameter, text)? {
            match &*option.name {
                "api_key" => {
                    let key = option.text()?.into_owned();
                    check_api_key(&option.label(), &key)?;
                    options.api_key = Some(key);
                }
                "tenant_id" => options.tenant_id = Some(option.header_value()?),
                "base_url" => {
                    options.base_url = Some(BaseUrl::parse(
                        &option.label(),
                        &option.text()?,
                        allow_insecure_http,
                    )?)
                }
                "timeout_in_seconds" => options.timeout = Some(option.seconds()?),
                "max_retries" => options.max_retries = Some(option.integer(0..=100)? as u32),
                "additional_headers" => options.additional_headers = option.headers()?,
                "additional_query_parameters" => {
                    options.additional_query_parameters = option.query_parameters()?
                }
                "additional_body_parameters" => {
                    let members = Members::of(&option.label(), option.value)?;
                    options.additional_body_parameters = members
                        .0
                        .into_iter()
                        .map(|(name, value)| (name.into_owned(), value.get().to_owned()))
                        .collect();
                }
                _ => return Err(option.unknown()),
            }
        }
        Ok(options)
    }
}

/// An API key as a header can carry it. `label` names the parameter; the key itself is in no message.
pub fn check_api_key(label: &str, key: &str) -> Result<(), Error> {
    if key.is_empty() {
        return Err(Error::invalid(format!("{label}: is empty")));
    }
    if key.len() > MAX_HEADER_BYTES {
        return Err(Error::invalid(format!(
            "{label}: is too long for an API key"
        )));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid(format!(
            "{label}: holds a character that no API key has (a space, a line break, or one beyond ASCII); \
             copy it again from the dashboard"
        )));
    }
    Ok(())
}

/// A value as a header can carry it: an idempotency key, a tenant, ….
pub fn check_header_value(label: &str, value: &str) -> Result<(), Error> {
    if value.is_empty() {
        return Err(Error::invalid(format!("{label}: is empty")));
    }
    if value.len() > MAX_HEADER_BYTES {
        return Err(Error::invalid(format!(
            "{label}: is {} bytes long; servers take headers of at most {MAX_HEADER_BYTES}",
            value.len()
        )));
    }
    if value.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "{label}: holds a line break or another control character, which no header can carry"
        )));
    }
    if value.trim() != value {
        return Err(Error::invalid(format!(
            "{label}: begins or ends with a space, which a header would lose"
        )));
    }
    Ok(())
}

/// What servers commonly take of a header, and of all of them.
const MAX_HEADER_BYTES: usize = 8 << 10;
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

/// The root of an API: scheme, host, and a path that does not end in `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(label: &str, text: &str, allow_insecure_http: bool) -> Result<Self, Error> {
        let wrong = |why: &str| {
            Error::invalid(format!(
                "{label}: {why}; give a URL such as \"https://api.trophy.so/v1\""
            ))
        };
        if text.len() > MAX_URL_PART {
            return Err(wrong("is too long for a URL"));
        }
        let uri: http::Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong("is not an absolute URL"));
        };
        let host = authority.host();
        if host.is_empty() {
            return Err(wrong("names no host"));
        }
        if authority.as_str().contains('@') {
            return Err(wrong("holds a user name, which belongs in no base URL"));
        }
        if let Err(why) = transport::port(&uri) {
            return Err(wrong(why));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("holds what has to be percent-encoded"));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(wrong("has a query or a fragment"));
        }
        match scheme {
            "https" => {}
            "http" if allow_insecure_http || is_loopback(host) => {}
            "http" => {
                return Err(Error::invalid(format!(
                    "{label}: plain http would send the API key in the clear to {host}; use https, \
                     or set \"allow_insecure_http\" to true if the network is trusted"
                )));
            }
            _ => return Err(wrong("is neither https nor http")),
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// One option as it was given.
struct Given<'a> {
    /// What messages call the text it stands in: `options_json`.
    parameter: String,
    name: Cow<'a, str>,
    value: &'a RawValue,
}

/// The options in `text`; those that are null count as left out.
fn given<'a>(parameter: &str, text: Option<&'a str>) -> Result<Vec<Given<'a>>, Error> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    Ok(options_of(parameter, Members::parse(parameter, text)?))
}

fn options_of<'a>(parameter: &str, members: Members<'a>) -> Vec<Given<'a>> {
    members
        .0
        .into_iter()
        .filter(|(_, value)| value.get() != "null")
        .map(|(name, value)| Given {
            parameter: parameter.to_owned(),
            name,
            value,
        })
        .collect()
}

impl<'a> Given<'a> {
    fn label(&self) -> String {
        format!("{}: \"{}\"", self.parameter, self.name)
    }

    fn unknown(&self) -> Error {
        Error::invalid(format!(
            "{}: \"{}\" is not an option; see the options table in trophy.h",
            self.parameter, self.name
        ))
    }

    fn must_be(&self, what: &str) -> Error {
        let shown = match json::kind(self.value) {
            kind @ ("an object" | "an array") => kind,
            _ if self.value.get().len() > 60 => json::kind(self.value),
            _ => self.value.get(),
        };
        Error::invalid(format!("{} must be {what}, not {shown}", self.label()))
    }

    fn members(&self) -> Result<Vec<Given<'a>>, Error> {
        Ok(options_of(
            &self.label(),
            Members::of(&self.label(), self.value)?,
        ))
    }

    fn text(&self) -> Result<Cow<'a, str>, Error> {
        match json::string(self.value) {
            Some(text) if text.is_empty() => Err(Error::invalid(format!(
                "{} is empty; leave it out for the default",
                self.label()
            ))),
            Some(text) => Ok(text),
            None => Err(self.must_be("a string")),
        }
    }

    fn path(&self) -> Result<PathBuf, Error> {
        let text = self.text()?;
        if text.contains('\0') {
            return Err(self.must_be("a path without a NUL character"));
        }
        Ok(PathBuf::from(text.into_owned()))
    }

    fn header_value(&self) -> Result<String, Error> {
        let text = self.text()?.into_owned();
        check_header_value(&self.label(), &text)?;
        Ok(text)
    }

    fn flag(&self) -> Result<bool, Error> {
        serde_json::from_str(self.value.get()).map_err(|_| self.must_be("true or false"))
    }

    fn integer(&self, range: RangeInclusive<u64>) -> Result<u64, Error> {
        match serde_json::from_str(self.value.get()) {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(self.must_be(&format!(
                "a whole number from {} to {}",
                range.start(),
                range.end()
            ))),
        }
    }

    fn number(&self, range: RangeInclusive<f64>) -> Result<f64, Error> {
        match serde_json::from_str(self.value.get()) {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(self.must_be(&format!(
                "a number from {} to {}",
                range.start(),
                range.end()
            ))),
        }
    }

    /// A time: at least a millisecond, at most ten years.
    fn seconds(&self) -> Result<Duration, Error> {
        self.number(0.001..=315_360_000.0)
            .map(Duration::from_secs_f64)
    }

    fn one_of<T: Copy>(&self, values: &[(&str, T)]) -> Result<T, Error> {
        let found = json::string(self.value)
            .and_then(|text| values.iter().find(|(name, _)| *name == text).copied());
        found.map(|(_, value)| value).ok_or_else(|| {
            let names: Vec<_> = values
                .iter()
                .map(|(name, _)| format!("\"{name}\""))
                .collect();
            self.must_be(&names.join(" or "))
        })
    }

    fn headers(&self) -> Result<Vec<(String, String)>, Error> {
        let mut headers = Vec::new();
        let members = self.members()?;
        if members.len() > MAX_HEADERS {
            return Err(self.must_be(&format!("an object of at most {MAX_HEADERS} headers")));
        }
        for header in members {
            let lower = header.name.to_ascii_lowercase();
            if !transport::is_header_name(&lower) {
                return Err(Error::invalid(format!(
                    "{} is not the name of a header",
                    header.label()
                )));
            }
            if headers
                .iter()
                .any(|(other, _): &(String, String)| other.eq_ignore_ascii_case(&lower))
            {
                return Err(Error::invalid(format!(
                    "{} is there twice; the names of headers know no case",
                    header.label()
                )));
            }
            if let Some((_, instead)) = OWN_HEADERS.iter().find(|(name, _)| *name == lower) {
                return Err(Error::invalid(format!(
                    "{} is written by the library: {instead}",
                    header.label()
                )));
            }
            headers.push((header.name.to_string(), header.header_value()?));
        }
        Ok(headers)
    }

    /// Strings, numbers and booleans; an array of them repeats the name.
    fn query_parameters(&self) -> Result<Vec<(String, String)>, Error> {
        let mut parameters = Vec::new();
        for parameter in self.members()? {
            let wrong = || parameter.must_be("a string, a number, a boolean, or an array of these");
            let elements: Vec<&RawValue> = match json::kind(parameter.value) {
                "an array" => serde_json::from_str(parameter.value.get()).map_err(|_| wrong())?,
                _ => vec![parameter.value],
            };
            for element in elements {
                let text = match json::kind(element) {
                    "an object" | "an array" | "null" => return Err(wrong()),
                    "a string" => json::string(element).ok_or_else(wrong)?,
                    _ => Cow::Borrowed(element.get()),
                };
                parameters.push((parameter.name.to_string(), text.into_owned()));
            }
        }
        Ok(parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ClientOptions, Error> {
        ClientOptions::parse(Some(text), |_| None)
    }

    #[test]
    fn every_client_option_is_read() {
        let options = parse(
            r#"{"environment":"default","base_url":"http://127.0.0.1:1/v1/","admin_base_url":"https://x.example","tenant_id":"t",
            "timeout_in_seconds":1.5,"attempt_timeout_in_seconds":2,"connect_timeout_in_seconds":3,"max_retries":4,
            "additional_headers":{"X-A":"b"},"proxy":"http://p","ca_file":"/ca","allow_insecure_http":true,"max_response_bytes":5,
            "callbacks":"dispatch","workers":6,"max_pending_calls":7,"user_agent":"u",
            "queue":{"path":"/q","durability":"power","max_events":8,"max_bytes":9,"max_age_in_seconds":10,"overflow":"drop_oldest",
            "delivery":"batch","batch_size":11,"requests_per_second":0.5,"coalesce":true}}"#,
        )
        .unwrap();
        assert_eq!(options.base_url(Api::Application), "http://127.0.0.1:1/v1");
        assert_eq!(options.base_url(Api::Admin), "https://x.example");
        assert_eq!(options.timeout, Duration::from_millis(1500));
        assert_eq!(options.callbacks, Callbacks::Dispatch);
        assert_eq!(options.queue.durability, Durability::Power);
        assert_eq!(options.queue.max_age, Some(Duration::from_secs(10)));
        assert_eq!(options.queue.requests_per_second, 0.5);
    }

    #[test]
    fn null_means_default() {
        let options = parse(r#"{"max_retries":null,"queue":null,"base_url":null}"#).unwrap();
        assert_eq!(options.max_retries, 2);
        assert_eq!(
            options.base_url(Api::Application),
            "https://api.trophy.so/v1"
        );
    }

    #[test]
    fn a_wrong_option_is_named() {
        for (text, message) in [
            (
                r#"{"tmeout":1}"#,
                r#"options_json: "tmeout" is not an option"#,
            ),
            (
                r#"{"max_retries":"two"}"#,
                r#"options_json: "max_retries" must be a whole number from 0 to 100, not "two""#,
            ),
            (
                r#"{"timeout_in_seconds":0}"#,
                r#"options_json: "timeout_in_seconds" must be a number"#,
            ),
            (
                r#"{"timeout_in_seconds":1e99}"#,
                r#"options_json: "timeout_in_seconds" must be a number"#,
            ),
            (
                r#"{"queue":{"overflow":"panic"}}"#,
                r#"options_json: "queue": "overflow" must be "reject" or "drop_oldest", not "panic""#,
            ),
            (
                r#"{"queue":[]}"#,
                r#"options_json: "queue": must be a JSON object, not an array"#,
            ),
            (
                r#"{"additional_headers":{"A":"b\r\nC: d"}}"#,
                r#"options_json: "additional_headers": "A": holds a line break"#,
            ),
            (
                r#"{"additional_headers":{"X-Api-Key":"b"}}"#,
                r#"options_json: "additional_headers": "X-Api-Key" is written by the library"#,
            ),
            (
                r#"{"additional_headers":{"a b":"b"}}"#,
                r#"options_json: "additional_headers": "a b" is not the name of a header"#,
            ),
            (
                r#"{"base_url":"http://api.trophy.so/v1"}"#,
                r#"options_json: "base_url": plain http would send the API key in the clear"#,
            ),
            (
                r#"{"base_url":"ftp://x"}"#,
                r#"options_json: "base_url": is neither https nor http"#,
            ),
            (
                r#"{"base_url":"https://u:p@x/"}"#,
                r#"options_json: "base_url": holds a user name"#,
            ),
            (
                r#"{"base_url":"api"}"#,
                r#"options_json: "base_url": is not an absolute URL"#,
            ),
            (
                r#"{"base_url":"https://x/ü"}"#,
                r#"options_json: "base_url": holds what has to be percent-encoded"#,
            ),
            (r#"[]"#, "options_json: must be a JSON object, not an array"),
            (r#"{"#, "options_json: is not JSON"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.message.starts_with(message),
                "{text}: {}",
                error.message
            );
        }
    }

    #[test]
    fn base_urls_come_from_the_environment_where_the_option_is_left_out() {
        let environment =
            |name: &str| Some(format!("https://{}", name.to_lowercase().replace('_', "-")));
        let options =
            ClientOptions::parse(Some(r#"{"base_url":"https://x/y"}"#), environment).unwrap();
        assert_eq!(options.base_url(Api::Application), "https://x/y");
        assert_eq!(
            options.base_url(Api::Admin),
            "https://trophy-admin-base-url"
        );
        let error = ClientOptions::parse(None, |_| Some("http://x".into())).unwrap_err();
        assert!(error.message.starts_with("TROPHY_BASE_URL: plain http"));
    }

    #[test]
    fn loopback_may_be_plain() {
        for host in [
            "127.0.0.1",
            "127.9.9.9:80",
            "localhost:1",
            "[::1]:80",
            "LOCALHOST",
        ] {
            assert!(
                BaseUrl::parse("u", &format!("http://{host}/v1"), false).is_ok(),
                "{host}"
            );
        }
        for host in ["10.0.0.1", "localhost.example", "[::2]", "0.0.0.0"] {
            assert!(
                BaseUrl::parse("u", &format!("http://{host}/v1"), false).is_err(),
                "{host}"
            );
        }
    }

    #[test]
    fn every_request_option_is_read() {
        let options = RequestOptions::parse(
            "options_json",
            Some(
                r#"{"api_key":"k.1","tenant_id":"t","base_url":"https://x","timeout_in_seconds":1,"max_retries":0,
                "additional_headers":{"A":"b"},"additional_query_parameters":{"q":["1",2,true]},"additional_body_parameters":{"n":{"o":1}}}"#,
            ),
            false,
        )
        .unwrap();
        assert_eq!(options.additional_query_parameters.len(), 3);
        assert_eq!(
            options.additional_body_parameters,
            [("n".into(), r#"{"o":1}"#.into())]
        );
        let error = RequestOptions::parse("options_json", Some(r#"{"api_key":"se cret"}"#), false)
            .unwrap_err();
        assert!(
            error
                .message
                .starts_with(r#"options_json: "api_key": holds"#)
        );
        assert!(!error.message.contains("cret"));
    }
}
