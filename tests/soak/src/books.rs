//! What the hosts said and what the service counted, as it happens.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Instant;

use trophy_sandbox::{Lane, Observer};

#[derive(Debug, Default)]
pub struct Books {
    said: Mutex<Said>,
    service: Mutex<OfService>,
}

/// What was heard of the hosts.
#[derive(Debug, Default)]
pub struct Said {
    pub acknowledged: u64,
    pub by_queue: BTreeMap<String, u64>,
    /// Keys of acknowledged events; whether the service refuses the event.
    pub keys: HashMap<String, bool>,
    /// Acknowledged events without a key, by user: they may be merged, and count by their sum.
    pub unkeyed: HashMap<String, u64>,
    /// When requests of a queue went out, in microseconds, by process and client.
    pub sent: HashMap<String, Vec<u64>>,
    /// When a queue's process or client ended, and may have left requests under way.
    pub ends: Vec<(String, Instant)>,
    pub notes: BTreeMap<String, u64>,
    pub failures: Vec<String>,
}

/// What was seen at the service.
#[derive(Debug, Default)]
pub struct OfService {
    pub events: u64,
    /// How often each key counted.
    pub counted: HashMap<String, u32>,
    pub totals: HashMap<String, f64>,
    /// The number of the last event of each lane that counted.
    last: HashMap<Lane, u64>,
    pub out_of_order: Vec<String>,
    under_way: HashMap<u64, Request>,
    in_lanes: HashMap<Lane, Vec<u64>>,
    pub overlaps: Vec<Overlap>,
}

#[derive(Debug)]
struct Request {
    client: String,
    lanes: Vec<Lane>,
    at: Instant,
    overlaps: Vec<usize>,
}

/// Two requests with events of one lane were under way at once.
#[derive(Debug)]
pub struct Overlap {
    pub lane: Lane,
    pub older: (String, Instant),
    pub newer: (String, Instant),
    /// When the older was answered, or its end noticed.
    pub left: Option<Instant>,
}

impl Books {
    pub fn acknowledged(&self) -> u64 {
        self.said.lock().expect("no panic").acknowledged
    }

    /// By the service, so far.
    pub fn counted(&self) -> u64 {
        self.service().events
    }

    pub fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().expect("no panic")
    }

    pub fn service(&self) -> std::sync::MutexGuard<'_, OfService> {
        self.service.lock().expect("no panic")
    }

    pub fn note(&self, what: &str) {
        *self.said().notes.entry(what.to_owned()).or_default() += 1;
    }

    pub fn note_end(&self, queue: &str) {
        self.said().ends.push((queue.to_owned(), Instant::now()));
    }

    pub fn fail(&self, why: String) {
        println!("    {why}");
        self.said().failures.push(why);
    }

    /// A line of a host, as client.c has them.
    pub fn hear(&self, host: &str, line: &str) {
        let (letter, rest) = line.split_at_checked(1).unwrap_or((line, ""));
        let rest = rest.trim_start();
        let mut said = self.said();
        if ["a", "p", "u"].contains(&letter) {
            said.acknowledged += 1;
            let queue = crate::hosts::queue_of(host).to_owned();
            *said.by_queue.entry(queue).or_default() += 1;
        }
        match letter {
            "a" | "p" => {
                said.keys.insert(rest.to_owned(), letter == "p");
            }
            "u" => {
                *said.unkeyed.entry(rest.to_owned()).or_default() += 1;
            }
            "r" => {
                if let Some((client, at)) = rest.rsplit_once(' ')
                    && let Ok(at) = at.parse()
                {
                    said.sent.entry(client.to_owned()).or_default().push(at);
                }
            }
            "e" => {
                let queue = crate::hosts::queue_of(host).to_owned();
                said.ends.push((queue, Instant::now()));
            }
            "x" => *said.notes.entry(rest.to_owned()).or_default() += 1,
            _ => {
                drop(said);
                self.fail(format!("{host}: {line}"));
            }
        }
    }
}

/// Of `q-shared-0-1000000007` the number; of a key that the library made, none.
fn number(key: &str) -> Option<u64> {
    let is_ours = ["q-", "s-", "c-"].iter().any(|way| key.starts_with(way));
    let (_, number) = key.rsplit_once('-').filter(|_| is_ours)?;
    number.parse().ok()
}

impl Observer for Books {
    fn arrived(&self, request: u64, user_agent: &str, lanes: &[Lane]) {
        let at = Instant::now();
        let mut service = self.service();
        let service = &mut *service;
        for lane in lanes {
            let others = service.in_lanes.entry(lane.clone()).or_default();
            for other in others.iter() {
                let older = service.under_way.get_mut(other).expect("it is under way");
                older.overlaps.push(service.overlaps.len());
                service.overlaps.push(Overlap {
                    lane: lane.clone(),
                    older: (older.client.clone(), older.at),
                    newer: (user_agent.to_owned(), at),
                    left: None,
                });
            }
            others.push(request);
        }
        let request_of = Request {
            client: user_agent.to_owned(),
            lanes: lanes.to_vec(),
            at,
            overlaps: Vec::new(),
        };
        service.under_way.insert(request, request_of);
    }

    fn left(&self, request: u64) {
        let mut service = self.service();
        let Some(gone) = service.under_way.remove(&request) else {
            return;
        };
        for lane in gone.lanes {
            if let Some(others) = service.in_lanes.get_mut(&lane) {
                others.retain(|other| *other != request);
                if others.is_empty() {
                    service.in_lanes.remove(&lane);
                }
            }
        }
        for overlap in gone.overlaps {
            service.overlaps[overlap].left = Some(Instant::now());
        }
    }

    fn counted(&self, lane: &Lane, key: Option<&str>, value: f64) {
        let mut service = self.service();
        service.events += 1;
        let Some(key) = key else {
            service.out_of_order.push(format!("{lane:?}: no key"));
            return;
        };
        *service.counted.entry(key.to_owned()).or_default() += 1;
        match number(key) {
            None => *service.totals.entry(lane.user.clone()).or_default() += value,
            Some(number) => {
                let last = service.last.insert(lane.clone(), number);
                if last.is_some_and(|last| last >= number) {
                    let what = format!("{lane:?}: {number} after {}", last.unwrap_or(0));
                    service.out_of_order.push(what);
                }
            }
        }
    }
}
