//! One helper starts the service and a client for it.
#![allow(dead_code)] // each test file uses some

pub mod scripted;
#[path = "../emulator/mod.rs"]
pub mod emulator;

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};
use trophy::api::event::EventArgs;
use trophy::client::{Callback, Client, DeliveryCallback};
use trophy::error::Status;
use trophy_sandbox::{Options, Sandbox};

pub const KEY: &str = "sandbox_admin.open-sesame";

/// Long enough for anything that is to happen; waited for whole only by a test that fails.
pub static PATIENCE: LazyLock<Duration> =
    LazyLock::new(|| Duration::from_secs(60) * emulator::slower());

pub struct Service(pub Sandbox);

impl Service {
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        Self(Sandbox::start(Options { port: 0, ..options }).unwrap())
    }

    /// `options`: an object, to which the URLs are added.
    pub fn client(&self, options: Value) -> Client {
        self.client_with_key(KEY, options)
    }

    pub fn client_with_key(&self, key: &str, options: Value) -> Client {
        Client::new(Some(key), Some(&self.options(options))).unwrap()
    }

    pub fn options(&self, mut options: Value) -> String {
        options["base_url"] = self.0.url().into();
        options["admin_base_url"] = self.0.admin_url().into();
        options.to_string()
    }

    pub fn fault(&self, fault: Value) {
        self.0.add_fault(&fault).unwrap();
    }

    /// Events counted, by user.
    pub fn counted(&self) -> HashMap<String, u64> {
        self.lanes(|lane| lane["count"].as_u64().unwrap())
    }

    /// The sum of values, by user.
    pub fn totals(&self) -> HashMap<String, f64> {
        self.lanes(|lane| lane["total"].as_f64().unwrap())
    }

    pub fn events(&self) -> u64 {
        self.0.ledger()["events"].as_u64().unwrap()
    }

    /// The most events of one user and metric that were ever in flight at once.
    pub fn most_in_flight(&self) -> u64 {
        self.lanes(|lane| lane["maxInFlight"].as_u64().unwrap())
            .into_values()
            .max()
            .unwrap_or(0)
    }

    /// How many requests of an operation came.
    pub fn requests(&self, operation: &str) -> u64 {
        self.0.ledger()["requests"][operation].as_u64().unwrap_or(0)
    }

    fn lanes<T>(&self, read: impl Fn(&Value) -> T) -> HashMap<String, T> {
        let ledger = self.0.ledger();
        let lanes = ledger["lanes"].as_array().unwrap().clone();
        lanes
            .iter()
            .map(|lane| (lane["user"].as_str().unwrap().to_owned(), read(lane)))
            .collect()
    }
}

/// An event of a user: a metric of the default world, value 1.
pub fn event<'a>(user_json: &'a str) -> EventArgs<'a> {
    EventArgs {
        key: "words-written",
        user_json,
        value: 1.0,
        attributes_json: None,
        idempotency_key: None,
        options_json: None,
    }
}

pub fn user(id: impl std::fmt::Display) -> String {
    json!({ "id": id.to_string() }).to_string()
}

/// Hears callbacks.
pub struct Ear(Receiver<(Status, Value)>, Sender<(Status, Value)>);

#[derive(Clone)]
pub struct Mouth {
    tag: usize,
    sender: Sender<(Status, Value)>,
}

impl Ear {
    pub fn new() -> Self {
        let (sender, receiver) = channel();
        Self(receiver, sender)
    }

    pub fn callback(&self, tag: usize) -> Box<dyn Callback> {
        Box::new(self.mouth(tag))
    }

    pub fn mouth(&self, tag: usize) -> Mouth {
        Mouth {
            tag,
            sender: self.1.clone(),
        }
    }

    /// The next, waited for.
    pub fn next(&self) -> (Status, Value) {
        self.0.recv_timeout(*PATIENCE).unwrap()
    }

    pub fn take(&self, count: usize) -> Vec<(Status, Value)> {
        (0..count).map(|_| self.next()).collect()
    }

    /// What has been said and not been taken.
    pub fn rest(&self) -> Vec<(Status, Value)> {
        self.0.try_iter().collect()
    }
}

impl Mouth {
    fn say(&self, status: Status, json: &str) {
        let _ = self
            .sender
            .send((status, serde_json::from_str(json).unwrap()));
    }
}

impl Callback for Mouth {
    fn tag(&self) -> usize {
        self.tag
    }

    fn run(self: Box<Self>, status: Status, json: &str) {
        self.say(status, json);
    }
}

impl DeliveryCallback for Mouth {
    fn run(&self, status: Status, json: &str) {
        self.say(status, json);
    }
}

/// Options of a queue that is not to wait for its pace.
pub fn fast(more: Value) -> Value {
    let mut queue = json!({"requests_per_second": 2000});
    for (name, value) in more.as_object().unwrap() {
        queue[name] = value.clone();
    }
    json!({ "queue": queue })
}

pub fn enqueue(client: &Client, user_id: impl std::fmt::Display) {
    client.event_enqueue(&event(&user(user_id))).unwrap();
}

/// Events that are not delivered, as far as this client knows.
pub fn queued(client: &Client) -> u64 {
    let stats = stats(client);
    stats["queued"].as_u64().unwrap() + stats["inFlight"].as_u64().unwrap()
}

/// Waits until everything is delivered.
pub fn flush(client: &Client) {
    let ending = client.flush(PATIENCE.as_millis() as i64).unwrap();
    assert!(ending.is_done(), "{ending:?} {}", client.stats().unwrap());
}

pub fn stats(client: &Client) -> Value {
    serde_json::from_str(&client.stats().unwrap()).unwrap()
}

/// That something takes no longer than `limit`: on a machine that is busy with other things, at one of ten times; in an
/// emulator, where ours and the service's steps take longer, no longer than ten of it.
#[track_caller]
pub fn takes_at_most(limit: Duration, mut attempt: impl FnMut() -> Duration) {
    let limit = limit * emulator::slower();
    let mut shortest = Duration::MAX;
    for _ in 0..10 {
        shortest = shortest.min(attempt());
        if shortest <= limit {
            return;
        }
    }
    panic!("{shortest:?} at best");
}

/// Waits until it is so.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let end = std::time::Instant::now() + *PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < end, "never came: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
