//! What is done to the service, to the network, to the disk and to the hosts: by chance, from the seed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trophy_sandbox::Sandbox;

use crate::books::Books;
use crate::hosts::Hosts;
use crate::page::Page;

pub struct Trouble<'a> {
    random: fastrand::Rng,
    sandbox: &'a Sandbox,
    page: &'a Page,
    key: i64,
    books: &'a Books,
    /// When each kind is due next.
    due: Vec<Due>,
    stopped: Option<usize>,
    /// How often each fault of the service struck, and each other was made.
    pub struck: BTreeMap<String, u64>,
}

#[derive(Clone, Copy)]
enum Kind {
    Calm,
    Weather,
    Kill,
    Stop,
    GoOn,
    Clock,
    Key,
    FullDisk,
}

/// Each kind, with the milliseconds and the events counted between two, on average: so that a machine that has little
/// time for the run gets ahead with it, too.
const KINDS: &[(Kind, u64, u64)] = &[
    (Kind::Calm, 400, 0),
    (Kind::Weather, 1_500, 300),
    (Kind::Kill, 600, 300),
    (Kind::Stop, 3_000, 2_000),
    (Kind::GoOn, 500, 0),
    (Kind::Clock, 2_000, 1_000),
    (Kind::Key, 8_000, 4_000),
    (Kind::FullDisk, 4_000, 2_000),
];
/// After so long it comes, however little was counted.
const LONGEST: Duration = Duration::from_secs(20);

struct Due {
    kind: Kind,
    at: Instant,
    events: u64,
}

/// Always there: events that the service refuses, whatever they are with.
fn poison() -> Value {
    json!({"fault": "poison", "attribute": "device", "value": "poison"})
}

/// The weathers that there are: what may happen to a request, each with its own chance.
fn weathers() -> Vec<Vec<Value>> {
    let portal = json!("<html><body>Please log in to the network.</body></html>");
    vec![
        vec![
            json!({"fault": "close_before", "probability": 0.1}),
            json!({"fault": "close_after", "probability": 0.15}),
            json!({"fault": "reset", "probability": 0.1}),
            json!({"fault": "stale", "probability": 0.1}),
        ],
        vec![
            json!({"fault": "cut", "bytes": 5, "probability": 0.1}),
            json!({"fault": "cut", "bytes": 60, "probability": 0.1}),
            json!({"fault": "cut", "bytes": 230, "probability": 0.1}),
            json!({"fault": "oversized", "bytes": 1_100_000, "probability": 0.02}),
        ],
        vec![
            json!({"fault": "status_before", "status": 500, "probability": 0.1}),
            json!({"fault": "status_after", "status": 500, "probability": 0.1}),
            json!({"fault": "status_before", "status": 503, "probability": 0.1, "headers": {"retry-after": "0"}}),
            json!({"fault": "status_after", "status": 504, "probability": 0.1, "body": "<html>gateway</html>"}),
            json!({"fault": "status_before", "status": 409, "probability": 0.05}),
            json!({"fault": "status_before", "status": 408, "probability": 0.05}),
        ],
        vec![
            json!({"fault": "rate_limited", "probability": 0.7, "retryAfter": "0"}),
            json!({"fault": "rate_limited", "probability": 0.5}),
            json!({"fault": "rate_limited", "probability": 0.1, "retryAfter": "1"}),
        ],
        // A portal: every name is at its own address, and it says yes, no and elsewhere.
        vec![
            json!({"fault": "status_before", "status": 200, "body": portal, "probability": 0.3}),
            json!({"fault": "status_before", "status": 403, "body": portal, "probability": 0.2}),
            json!({"fault": "status_before", "status": 404, "body": portal, "probability": 0.2}),
            json!({"fault": "redirect", "location": "http://127.0.0.1:9/login", "probability": 0.5}),
        ],
        vec![
            json!({"fault": "hang", "probability": 0.05}),
            json!({"fault": "hang_after", "probability": 0.05}),
            json!({"fault": "delay", "ms": 300, "probability": 0.2}),
            json!({"fault": "slow", "ms": 2, "probability": 0.1}),
            json!({"fault": "not_json", "probability": 0.1}),
        ],
        vec![json!({"fault": "close_before"})],
    ]
}

impl<'a> Trouble<'a> {
    pub fn new(seed: u64, sandbox: &'a Sandbox, page: &'a Page, books: &'a Books) -> Self {
        let mut trouble = Self {
            random: fastrand::Rng::with_seed(seed),
            sandbox,
            page,
            books,
            key: 0,
            due: Vec::new(),
            stopped: None,
            struck: BTreeMap::new(),
        };
        for number in 0..KINDS.len() {
            let due = trouble.next(number);
            trouble.due.push(due);
        }
        sandbox.set_admin_keys(&[&key_text(0)]);
        trouble.order(&[]);
        trouble
    }

    /// When the kind comes again.
    fn next(&mut self, number: usize) -> Due {
        let (kind, ms, events) = KINDS[number];
        let mut about = |usual| self.random.u64(usual / 10..=usual * 19 / 10);
        Due {
            kind,
            at: Instant::now() + Duration::from_millis(about(ms)),
            events: self.books.counted() + about(events),
        }
    }

    /// Does what is due, or waits for a moment.
    pub fn go_on(&mut self, hosts: &Hosts, disk: Option<&Path>) {
        let (now, counted) = (Instant::now(), self.books.counted());
        let is_due =
            |due: &Due| due.at <= now && (due.events <= counted || due.at + LONGEST <= now);
        let Some(number) = self.due.iter().position(is_due) else {
            std::thread::sleep(Duration::from_millis(5));
            return;
        };
        let kind = self.due[number].kind;
        match kind {
            Kind::Calm => self.order(&[]),
            Kind::Weather => {
                let mut weathers = weathers();
                let weather = weathers.swap_remove(self.random.usize(0..weathers.len()));
                self.order(&weather);
            }
            Kind::Kill => hosts.kill_one(&mut self.random),
            Kind::Stop => {
                self.let_go_on(hosts);
                self.stopped = Some(hosts.stop_one(&mut self.random));
            }
            Kind::GoOn => self.let_go_on(hosts),
            Kind::Clock => self.step_clock(),
            Kind::Key => {
                self.key += 1;
                self.sandbox.set_admin_keys(&[&key_text(self.key)]);
                // The hosts hear of it later than the service.
                std::thread::sleep(Duration::from_millis(self.random.u64(0..300)));
                self.page.set_key(self.key);
                self.note("key rotated");
            }
            Kind::FullDisk => {
                if let Some(disk) = disk {
                    self.fill(disk);
                }
            }
        }
        self.due[number] = self.next(number);
    }

    /// The last trouble is over.
    pub fn end(&mut self, hosts: &Hosts) {
        self.let_go_on(hosts);
        self.order(&[]);
        self.page.set_clock_ahead(Duration::ZERO, false);
        hosts.end();
    }

    fn let_go_on(&mut self, hosts: &Hosts) {
        if let Some(number) = self.stopped.take() {
            hosts.let_go_on(number);
        }
    }

    fn note(&mut self, what: &str) {
        *self.struck.entry(what.to_owned()).or_default() += 1;
    }

    /// Faults in place of those that there were.
    fn order(&mut self, weather: &[Value]) {
        self.count_faults();
        self.sandbox.clear_faults();
        for (number, fault) in [poison()].iter().chain(weather).enumerate() {
            let mut fault = fault.clone();
            if fault.get("probability").is_some() {
                fault["seed"] = (self.random.u64(..) >> 8)
                    .wrapping_add(number as u64)
                    .into();
            }
            self.sandbox.add_fault(&fault).expect("a fault");
        }
    }

    pub fn count_faults(&mut self) {
        for fault in self.sandbox.faults().as_array().into_iter().flatten() {
            let mut name = fault["fault"].as_str().unwrap_or_default().to_owned();
            if let Some(status) = fault["status"].as_u64() {
                name += &format!(" {status}");
            }
            if fault["body"].is_string() {
                name += " with HTML";
            }
            *self.struck.entry(name).or_default() += fault["fired"].as_u64().unwrap_or(0);
        }
    }

    fn step_clock(&mut self) {
        const DAY: u64 = 86_400;
        let seconds = [0, 2, 3_600, DAY, 400 * DAY, 20_000 * DAY];
        let by = seconds[self.random.usize(0..seconds.len())];
        let is_behind = self.random.bool();
        self.page
            .set_clock_ahead(Duration::from_secs(by), is_behind);
        self.note("clock stepped");
    }

    /// Leaves no room on the disk for a while.
    fn fill(&mut self, disk: &Path) {
        let path = disk.join("filled");
        let most = self.random.u64(20..500);
        let end = Instant::now() + Duration::from_millis(most);
        if let Ok(mut file) = File::create(&path) {
            for length in [1 << 20, 4_096, 1] {
                while Instant::now() < end && file.write_all(&vec![0; length]).is_ok() {}
            }
        }
        std::thread::sleep(end.saturating_duration_since(Instant::now()));
        let _ = std::fs::remove_file(&path);
        self.note("disk full");
    }
}

fn key_text(number: i64) -> String {
    format!("soak_admin.key-{number}")
}
