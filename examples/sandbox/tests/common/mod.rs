//! A sandbox and a client to talk to it, for every test.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod description;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use trophy_sandbox::{Options, Sandbox};
use ureq::Agent;
use ureq::http::Request;

pub struct Client {
    pub sandbox: Sandbox,
    agent: Agent,
    pub key: String,
    pub headers: Vec<(String, String)>,
}

/// A default sandbox, and its admin key.
pub fn start() -> Client {
    start_with(Options::default())
}

pub fn start_with(options: Options) -> Client {
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .new_agent();
    Client {
        sandbox: Sandbox::start(options).unwrap(),
        agent,
        key: Sandbox::ADMIN_KEY.into(),
        headers: Vec::new(),
    }
}

impl Client {
    /// The same sandbox at noon of a day, UTC.
    pub fn at(self, day: &str) -> Self {
        self.noon_of(day);
        self
    }

    pub fn noon_of(&self, day: &str) {
        self.sandbox
            .set_clock(Some(&format!("{day}T12:00:00Z")))
            .unwrap();
    }

    /// The status and body; an error is the connection's.
    pub fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), ureq::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.sandbox.origin()))
            .header("X-API-KEY", &self.key);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string()).unwrap())?
            }
            None => self.agent.run(request.body(()).unwrap())?,
        };
        let text = response.body_mut().read_to_string()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((response.status().as_u16(), body))
    }

    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_call(method, path, body).unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let (status, reply) = self.call("POST", path, Some(body));
        assert!(matches!(status, 200..=202), "{path}: {status} {reply}");
        reply
    }

    pub fn patch(&self, path: &str, body: &Value) -> Value {
        let (status, reply) = self.call("PATCH", path, Some(body));
        assert_eq!(status, 200, "{path}: {reply}");
        reply
    }

    /// An event of `words-written`.
    pub fn write(&self, user: &str, words: f64) -> Value {
        self.post(EVENT, &event(user, words))
    }

    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// What the ledger counted for a user's `words-written`.
    pub fn lane(&self, user: &str) -> Value {
        let ledger = self.sandbox.ledger();
        let lanes = ledger["lanes"].as_array().unwrap();
        lanes
            .iter()
            .find(|lane| lane["user"] == user && lane["metric"] == "words-written")
            .cloned()
            .unwrap_or(Value::Null)
    }
}

pub const EVENT: &str = "/v1/metrics/words-written/event";

pub fn event(user: &str, words: f64) -> Value {
    json!({ "user": { "id": user }, "value": words })
}

/// The id of the entry of a list with this key or name.
pub fn id_of(list: &Value, name: &str) -> String {
    let found = list
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["key"] == name || e["name"] == name);
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

/// The shared papers, where they are.
pub fn shared() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("TROPHY_SHARED").map_or(beside, PathBuf::from);
    folder
        .join("trophy-api/operations.tsv")
        .exists()
        .then_some(folder)
}

/// Sends text on a connection of its own.
pub fn send(sandbox: &Sandbox, text: &str) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", sandbox.port())).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    std::io::Write::write_all(&mut stream, text.as_bytes()).unwrap();
    stream
}

/// Waits for a condition, for as long as it can reasonably take.
pub fn until(mut met: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !met() {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "waited in vain"
        );
        std::thread::yield_now();
    }
}
