//! Client and request options. An option is a field: its name, how it is read and its range are said at the
//! field, its default in `Default`. A name that is no field is an error, so that a typo is never silence. It uses
//! `api`'s JSON and URLs. The ways in: [`ClientOptions::parse`] and [`RequestOptions::parse`].

mod reader;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::api::operations::Api;
use crate::error::Error;
pub use values::{BaseUrl, Secret, check_api_key, check_header_value};
use values::{
    body_parameters, header_value, headers, path, query_parameters, requests_per_second, seconds,
    whole,
};

/// What `trophy_client_new` takes as `options_json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientOptions {
    pub environment: Environment,
    pub base_url: Option<BaseUrl>,
    pub admin_base_url: Option<BaseUrl>,
    #[serde(deserialize_with = "header_value")]
    pub tenant_id: Option<String>,
    /// The whole call, retries and waits included.
    #[serde(rename = "timeout_in_seconds", deserialize_with = "seconds")]
    pub timeout: Duration,
    #[serde(rename = "attempt_timeout_in_seconds", deserialize_with = "seconds")]
    pub attempt_timeout: Duration,
    #[serde(rename = "connect_timeout_in_seconds", deserialize_with = "seconds")]
    pub connect_timeout: Duration,
    #[serde(deserialize_with = "whole::<0, 100, u32, _, _>")]
    pub max_retries: u32,
    #[serde(deserialize_with = "headers")]
    pub additional_headers: Vec<(String, String)>,
    pub proxy: Option<String>,
    /// Absolute.
    #[serde(deserialize_with = "path")]
    pub ca_file: Option<PathBuf>,
    pub tls_roots: TlsRoots,
    pub allow_insecure_http: bool,
    #[serde(deserialize_with = "whole::<1, { i64::MAX as u64 }, u64, _, _>")]
    pub max_response_bytes: u64,
    pub callbacks: Callbacks,
    #[serde(deserialize_with = "whole::<1, 1_024, usize, _, _>")]
    pub workers: usize,
    /// Asynchronous calls waiting for a worker, a lane or a retry.
    #[serde(deserialize_with = "whole::<1, 1_000_000_000, usize, _, _>")]
    pub max_pending_calls: usize,
    #[serde(deserialize_with = "header_value")]
    pub user_agent: String,
    pub queue: QueueOptions,
}

/// A named set of hosts. The service has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    Default,
}

/// Whose certificate authorities are trusted where there is no `ca_file`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsRoots {
    /// Mozilla's, which the library brings along.
    Builtin,
    /// Those of the machine's own store.
    System,
}

/// Where callbacks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Callbacks {
    /// On a thread of the library.
    Worker,
    /// Inside `trophy_client_dispatch`.
    Dispatch,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueOptions {
    /// The folder, absolute; in memory if there is none.
    #[serde(deserialize_with = "path")]
    pub path: Option<PathBuf>,
    pub durability: Durability,
    #[serde(deserialize_with = "whole::<1, 1_000_000_000_000, u64, _, _>")]
    pub max_events: u64,
    #[serde(deserialize_with = "whole::<1, { i64::MAX as u64 }, u64, _, _>")]
    pub max_bytes: u64,
    #[serde(rename = "max_age_in_seconds", deserialize_with = "seconds")]
    pub max_age: Option<Duration>,
    pub overflow: Overflow,
    pub delivery: Delivery,
    #[serde(deserialize_with = "whole::<1, 1_000, usize, _, _>")]
    pub batch_size: usize,
    #[serde(deserialize_with = "requests_per_second")]
    pub requests_per_second: f64,
    pub coalesce: bool,
}

/// What an enqueued event survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The death of the process: written to the operating system.
    Process,
    /// The loss of power: synced to the disk.
    Power,
}

/// What gives way when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    Reject,
    DropOldest,
}

/// How events leave the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    Auto,
    Single,
    Batch,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            environment: Environment::Default,
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
            tls_roots: TlsRoots::Builtin,
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

/// What one call may change: `options_json` of an event, `"options"` in `args_json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestOptions {
    pub api_key: Option<Secret>,
    #[serde(deserialize_with = "header_value")]
    pub tenant_id: Option<String>,
    pub base_url: Option<BaseUrl>,
    #[serde(rename = "timeout_in_seconds", deserialize_with = "seconds")]
    pub timeout: Option<Duration>,
    #[serde(deserialize_with = "whole::<0, 100, u32, _, _>")]
    pub max_retries: Option<u32>,
    #[serde(deserialize_with = "headers")]
    pub additional_headers: Vec<(String, String)>,
    #[serde(deserialize_with = "query_parameters")]
    pub additional_query_parameters: Vec<(String, String)>,
    /// Name and JSON text.
    #[serde(deserialize_with = "body_parameters")]
    pub additional_body_parameters: Vec<(String, String)>,
}

impl ClientOptions {
    /// Reads `options_json` and, for base URLs that it leaves out, the environment.
    pub fn parse(
        options_json: Option<&str>,
        environment: impl Fn(&str) -> Result<Option<String>, Error>,
    ) -> Result<Self, Error> {
        let mut options: Self = reader::read("options_json: ", options_json)?;
        let allow_insecure_http = options.allow_insecure_http;
        for (option, variable, url) in [
            ("base_url", "TROPHY_BASE_URL", &mut options.base_url),
            (
                "admin_base_url",
                "TROPHY_ADMIN_BASE_URL",
                &mut options.admin_base_url,
            ),
        ] {
            let mut label = format!("options_json: {option}");
            if url.is_none()
                && let Some(text) = environment(variable)?
            {
                label = variable.to_owned();
                let read = BaseUrl::parse(&text)
                    .map_err(|why| Error::invalid(format!("{label}: {why}")))?;
                *url = Some(read);
            }
            if let Some(url) = url {
                url.check_is_safe(&label, allow_insecure_http)?;
            }
        }
        Ok(options)
    }

    /// The Admin API is where it is known to be: nobody who points the library at another server
    /// wants batches to go to the real one.
    pub fn knows_admin_api(&self) -> bool {
        self.admin_base_url.is_some() || self.base_url.is_none()
    }

    /// Where an API is, and the option that says so.
    pub fn base_url(&self, api: Api) -> (&str, &'static str) {
        let (url, option, default) = match api {
            Api::Application => (&self.base_url, "base_url", "https://api.trophy.so/v1"),
            Api::Admin => {
                let default = "https://admin.trophy.so/v1";
                (&self.admin_base_url, "admin_base_url", default)
            }
        };
        (url.as_ref().map_or(default, BaseUrl::as_str), option)
    }
}

impl RequestOptions {
    /// `prefix` stands before an option's name in messages: `options_json: `, `args_json: options.`.
    pub fn parse(
        prefix: &str,
        text: Option<&str>,
        allow_insecure_http: bool,
    ) -> Result<Self, Error> {
        let options: Self = reader::read(prefix, text)?;
        if let Some(url) = &options.base_url {
            url.check_is_safe(&format!("{prefix}base_url"), allow_insecure_http)?;
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ClientOptions, Error> {
        ClientOptions::parse(Some(text), |_| Ok(None))
    }

    #[test]
    fn every_client_option_is_read() {
        let options = parse(
            r#"{"environment":"default","base_url":"http://127.0.0.1:1/v1/","admin_base_url":"https://x.example","tenant_id":"t",
            "timeout_in_seconds":1.5,"attempt_timeout_in_seconds":2,"connect_timeout_in_seconds":3,"max_retries":4,
            "additional_headers":{"X-A":"b"},"proxy":"http://p","ca_file":"/ca","tls_roots":"system","allow_insecure_http":true,"max_response_bytes":5,
            "callbacks":"dispatch","workers":6,"max_pending_calls":7,"user_agent":"u",
            "queue":{"path":"/q","durability":"power","max_events":8,"max_bytes":9,"max_age_in_seconds":10,"overflow":"drop_oldest",
            "delivery":"batch","batch_size":11,"requests_per_second":0.5,"coalesce":true}}"#,
        )
        .unwrap();
        assert_eq!(
            options.base_url(Api::Application).0,
            "http://127.0.0.1:1/v1"
        );
        assert_eq!(options.base_url(Api::Admin).0, "https://x.example");
        assert_eq!(options.timeout, Duration::from_millis(1500));
        assert_eq!(options.tls_roots, TlsRoots::System);
        assert_eq!(options.callbacks, Callbacks::Dispatch);
        assert_eq!(options.queue.durability, Durability::Power);
        assert_eq!(options.queue.max_age, Some(Duration::from_secs(10)));
        assert_eq!(options.queue.requests_per_second, 0.5);
    }

    #[test]
    fn paths_are_absolute() {
        let options = parse(r#"{"ca_file":"ca.pem","queue":{"path":"events"}}"#).unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!(options.queue.path, Some(here.join("events")));
        assert_eq!(options.ca_file, Some(here.join("ca.pem")));
        let elsewhere = std::env::temp_dir().join("events");
        let text = serde_json::json!({"queue": {"path": elsewhere}}).to_string();
        assert_eq!(parse(&text).unwrap().queue.path, Some(elsewhere));
    }

    #[test]
    fn null_means_default() {
        let options = parse(
            r#"{"max_retries":null,"queue":null,"base_url":null,"tls_roots":null,"additional_headers":{"A":null}}"#,
        )
        .unwrap();
        assert_eq!(options.tls_roots, TlsRoots::Builtin);
        assert!(options.additional_headers.is_empty());
        let options = parse(r#"{"queue":{"path":null,"batch_size":null}}"#).unwrap();
        assert_eq!(
            (options.queue.path, options.queue.batch_size),
            (None, 1_000)
        );
        let options = parse(r#"{"max_retries":null,"queue":null,"base_url":null}"#).unwrap();
        assert_eq!(options.max_retries, 2);
        assert_eq!(
            options.base_url(Api::Application).0,
            "https://api.trophy.so/v1"
        );
    }

    #[test]
    fn a_wrong_option_is_named() {
        for (text, message) in [
            (
                r#"{"tmeout":1}"#,
                r#"options_json: tmeout: is not an option"#,
            ),
            (
                r#"{"max_retries":"two"}"#,
                r#"options_json: max_retries: must be a whole number from 0 to 100, not "two""#,
            ),
            (
                r#"{"timeout_in_seconds":0}"#,
                r#"options_json: timeout_in_seconds: must be a number from 0.001 to 315360000, not "#,
            ),
            (
                r#"{"timeout_in_seconds":1e99}"#,
                r#"options_json: timeout_in_seconds: must be a number from 0.001 to 315360000, not "#,
            ),
            (
                r#"{"queue":{"overflow":"panic"}}"#,
                r#"options_json: queue.overflow: must be "reject" or "drop_oldest", not "panic""#,
            ),
            (
                r#"{"queue":[]}"#,
                r#"options_json: queue: must be a JSON object, not an array"#,
            ),
            (
                r#"{"additional_headers":{"A":"b\r\nC: d"}}"#,
                r#"options_json: additional_headers: "A": holds a line break"#,
            ),
            (
                r#"{"additional_headers":{"X-Api-Key":"b"}}"#,
                r#"options_json: additional_headers: "X-Api-Key": is written by the library"#,
            ),
            (
                r#"{"additional_headers":{"a b":"b"}}"#,
                r#"options_json: additional_headers: "a b": is not the name of a header"#,
            ),
            (
                r#"{"base_url":"http://api.trophy.so/v1"}"#,
                r#"options_json: base_url: plain http would send the API key in the clear"#,
            ),
            (
                r#"{"base_url":"ftp://x"}"#,
                r#"options_json: base_url: is neither https nor http"#,
            ),
            (
                r#"{"base_url":"https://u:p@x/"}"#,
                r#"options_json: base_url: holds a user name"#,
            ),
            (
                r#"{"base_url":"api"}"#,
                r#"options_json: base_url: is not an absolute URL"#,
            ),
            (
                r#"{"base_url":"https://x/ü"}"#,
                r#"options_json: base_url: holds what has to be percent-encoded"#,
            ),
            (
                r#"{"queue":{"batch_size":"many"}}"#,
                r#"options_json: queue.batch_size: must be a whole number from 1 to 1000, not "many""#,
            ),
            (
                r#"{"queue":{"batch_size":1001}}"#,
                r#"options_json: queue.batch_size: must be a whole number from 1 to 1000, not 1001"#,
            ),
            (
                r#"{"queue":{"requests_per_second":0}}"#,
                r#"options_json: queue.requests_per_second: must be a number from 0.001 to 10000, not 0"#,
            ),
            (
                r#"{"queue":{"coalesce":"yes"}}"#,
                r#"options_json: queue.coalesce: must be true or false, not "yes""#,
            ),
            (
                r#"{"queue":{"colour":1}}"#,
                "options_json: queue.colour: is not an option",
            ),
            (
                r#"{"queue":{"path":"a","path":"b"}}"#,
                r#"options_json: queue: "path" is given twice"#,
            ),
            (
                r#"{"queue":{"path":""}}"#,
                "options_json: queue.path: is empty",
            ),
            (
                r#"{"queue":{"path":"a\u0000b"}}"#,
                "options_json: queue.path: must be a path without a NUL character",
            ),
            (
                r#"{"workers":1,"workers":1}"#,
                r#"options_json: "workers" is given twice"#,
            ),
            (
                r#"{"workers":4.0}"#,
                "options_json: workers: must be a whole number from 1 to 1024, not 4.0",
            ),
            (
                r#"{"workers":-1}"#,
                "options_json: workers: must be a whole number from 1 to 1024, not -1",
            ),
            (
                r#"{"tls_roots":"mozilla"}"#,
                r#"options_json: tls_roots: must be "builtin" or "system", not "mozilla""#,
            ),
            (
                r#"{"environment":7}"#,
                r#"options_json: environment: must be "default", not 7"#,
            ),
            (
                r#"{"proxy":{}}"#,
                "options_json: proxy: must be a string, not an object",
            ),
            (r#"{"proxy":""}"#, "options_json: proxy: is empty"),
            (
                r#"{"additional_headers":["A"]}"#,
                "options_json: additional_headers: must be a JSON object, not an array",
            ),
            (
                r#"{"additional_headers":{"A":1}}"#,
                r#"options_json: additional_headers: "A": must be a string, not 1"#,
            ),
            (
                r#"{"additional_headers":{"A":"1","a":"2"}}"#,
                r#"options_json: additional_headers: "a": is there twice"#,
            ),
            (
                r#"{"base_url":"https://x:99999"}"#,
                "options_json: base_url: the URL's port must be",
            ),
            // Found by the fuzz target `url`.
            (
                r#"{"base_url":"http://[:]0:6160/a"}"#,
                "options_json: base_url: the URL has brackets, but no IPv6 address",
            ),
            (
                r#"{"base_url":"http://[::1]0:6160/a"}"#,
                "options_json: base_url: the URL's port must be",
            ),
            (
                r#"{"base_url":"http://[127.0.0.1]/a"}"#,
                "options_json: base_url: the URL has brackets, but no IPv6 address",
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
        let environment = |name: &str| {
            Ok(Some(format!(
                "https://{}",
                name.to_lowercase().replace('_', "-")
            )))
        };
        let options =
            ClientOptions::parse(Some(r#"{"base_url":"https://x/y"}"#), environment).unwrap();
        assert_eq!(options.base_url(Api::Application).0, "https://x/y");
        assert_eq!(
            options.base_url(Api::Admin).0,
            "https://trophy-admin-base-url"
        );
        let error = ClientOptions::parse(None, |_| Ok(Some("http://x".into()))).unwrap_err();
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
            "trophy.localhost",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(
                BaseUrl::parse(&format!("http://{host}/v1"))
                    .unwrap()
                    .check_is_safe("u", false)
                    .is_ok(),
                "{host}"
            );
        }
        for host in ["10.0.0.1", "localhost.example", "[::2]", "0.0.0.0"] {
            assert!(
                BaseUrl::parse(&format!("http://{host}/v1"))
                    .unwrap()
                    .check_is_safe("u", false)
                    .is_err(),
                "{host}"
            );
        }
    }

    #[test]
    fn every_request_option_is_read() {
        let options = RequestOptions::parse(
            "options_json: ",
            Some(
                r#"{"api_key":"k.1","tenant_id":"t","base_url":"https://x","timeout_in_seconds":1,"max_retries":0,
                "additional_headers":{"A":"b"},"additional_query_parameters":{"q":["1",2.50,true],"r":null},"additional_body_parameters":{"n":{"o":1},"m":null}}"#,
            ),
            false,
        )
        .unwrap();
        assert_eq!(
            options.additional_query_parameters,
            ["1", "2.50", "true"].map(|text| ("q".into(), text.into()))
        );
        assert_eq!(
            options.additional_body_parameters,
            [
                ("n".into(), r#"{"o":1}"#.into()),
                ("m".into(), "null".into())
            ]
        );
        assert_eq!(options.api_key.as_deref(), Some("k.1"));
        assert!(!format!("{options:?}").contains("k.1"));
        let error =
            RequestOptions::parse("options_json: ", Some(r#"{"api_key":"se cret"}"#), false)
                .unwrap_err();
        assert!(error.message.starts_with(r#"options_json: api_key: holds"#));
        assert!(!error.message.contains("cret"));
    }

    #[test]
    fn a_request_option_is_named_with_its_path_and_a_key_is_never_shown() {
        for (text, message) in [
            (r#"{"x":1}"#, "args_json: options.x: is not an option"),
            (
                r#"{"max_retries":101}"#,
                "args_json: options.max_retries: must be a whole number from 0 to 100, not 101",
            ),
            (
                r#"{"additional_query_parameters":{"q":[[]]}}"#,
                "args_json: options.additional_query_parameters: \"q\": must be a string, a number, a boolean, or \
                 an array of these, not an array",
            ),
            (
                r#"{"base_url":"http://x"}"#,
                "args_json: options.base_url: plain http would",
            ),
            (
                r#"{"api_key":12345678}"#,
                "args_json: options.api_key: must be a string, not a number",
            ),
            (
                "[]",
                "args_json: options: must be a JSON object, not an array",
            ),
            ("{", "args_json: options: is not JSON"),
        ] {
            let error =
                RequestOptions::parse("args_json: options.", Some(text), false).unwrap_err();
            assert!(error.message.starts_with(message), "{}", error.message);
        }
    }
}
