//! The ledger: what truly happened, for tests to compare with what a client believes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::call::number;

/// Events of one user and metric come one after another; this is their road.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    pub tenant: String,
    pub user: String,
    pub metric: String,
}

/// Hears what the ledger sums up, one by one and in order. It is called with the state locked: it takes no time.
pub trait Observer: std::fmt::Debug + Send + Sync {
    /// A request has come, from a client of this `User-Agent`; its events are on these lanes.
    fn arrived(&self, request: u64, user_agent: &str, lanes: &[Lane]);
    /// It was answered, or its client has gone.
    fn left(&self, request: u64);
    /// An event has counted. One that is replayed does not.
    fn counted(&self, lane: &Lane, key: Option<&str>, value: f64);
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    events: u64,
    total: f64,
    replayed: u64,
    in_flight: u64,
    most_in_flight: u64,
}

#[derive(Debug, Default)]
pub struct Ledger {
    pub connections: u64,
    events: u64,
    replayed: u64,
    lanes: HashMap<Lane, Count>,
    /// Those with events under way. Of the others there may be a million, and the page asks four times a second.
    busy: HashSet<Lane>,
    most_in_flight: u64,
    requests: BTreeMap<&'static str, u64>,
    statuses: BTreeMap<u16, u64>,
    pub observer: Option<Arc<dyn Observer>>,
}

impl Ledger {
    /// An empty one that the same observer hears.
    pub fn emptied(self) -> Self {
        Self {
            observer: self.observer,
            ..Self::default()
        }
    }

    pub fn request(&mut self, operation: &'static str) {
        *self.requests.entry(operation).or_default() += 1;
    }

    pub fn status(&mut self, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
    }

    pub fn counted(&mut self, lane: Lane, key: Option<&str>, value: f64) {
        if let Some(observer) = &self.observer {
            observer.counted(&lane, key, value);
        }
        self.events += 1;
        let count = self.lanes.entry(lane).or_default();
        count.events += 1;
        count.total += value;
    }

    pub fn replayed(&mut self, lane: Lane) {
        self.replayed += 1;
        self.lanes.entry(lane).or_default().replayed += 1;
    }

    pub fn enter(&mut self, request: u64, user_agent: &str, lanes: &[Lane]) {
        if let Some(observer) = &self.observer {
            observer.arrived(request, user_agent, lanes);
        }
        for lane in lanes {
            let count = self.lanes.entry(lane.clone()).or_default();
            count.in_flight += 1;
            count.most_in_flight = count.most_in_flight.max(count.in_flight);
            self.most_in_flight = self.most_in_flight.max(count.in_flight);
            self.busy.insert(lane.clone());
        }
    }

    pub fn leave(&mut self, request: u64, lanes: &[Lane]) {
        if let Some(observer) = &self.observer {
            observer.left(request);
        }
        for lane in lanes {
            // A reset in between has forgotten the lane.
            if let Some(count) = self.lanes.get_mut(lane) {
                count.in_flight = count.in_flight.saturating_sub(1);
                if count.in_flight == 0 {
                    self.busy.remove(lane);
                }
            }
        }
    }

    /// How many events were counted, and how many replayed.
    pub fn counts(&self) -> (u64, u64) {
        (self.events, self.replayed)
    }

    /// The ledger without its lanes, of which there may be many.
    pub fn totals(&self) -> Value {
        json!({
            "events": self.events,
            "replayed": self.replayed,
            "maxInFlightPerLane": self.most_in_flight,
            "connections": self.connections,
            "requests": self.requests,
            "statuses": self.statuses.iter().map(|(k, v)| (k.to_string(), Value::from(*v)))
                .collect::<serde_json::Map<_, _>>(),
        })
    }

    /// The lanes with events under way, those with the most first.
    pub fn busiest(&self, most: usize) -> Value {
        let mut busy: Vec<(&Lane, u64)> = self
            .busy
            .iter()
            .filter_map(|lane| Some((lane, self.lanes.get(lane)?.in_flight)))
            .collect();
        busy.sort_by_key(|(lane, in_flight)| (std::cmp::Reverse(*in_flight), *lane));
        busy.truncate(most);
        busy.into_iter()
            .map(|(lane, in_flight)| {
                json!({
                    "tenant": lane.tenant,
                    "user": lane.user,
                    "metric": lane.metric,
                    "inFlight": in_flight,
                })
            })
            .collect()
    }

    /// The whole ledger, its lanes narrowed to a tenant, user or metric if asked.
    pub fn show(&self, asked: impl Fn(&str) -> Option<String>) -> Value {
        let (tenant, user, metric) = (asked("tenant"), asked("user"), asked("metric"));
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        let mut lanes: Vec<(&Lane, &Count)> = self
            .lanes
            .iter()
            .filter(|(lane, _)| {
                fits(&tenant, &lane.tenant)
                    && fits(&user, &lane.user)
                    && fits(&metric, &lane.metric)
            })
            .collect();
        lanes.sort_by_key(|(lane, _)| *lane);
        let mut shown = self.totals();
        shown["lanes"] = lanes
            .into_iter()
            .map(|(lane, count)| {
                json!({
                    "tenant": lane.tenant,
                    "user": lane.user,
                    "metric": lane.metric,
                    "count": count.events,
                    "total": number(count.total),
                    "replayed": count.replayed,
                    "inFlight": count.in_flight,
                    "maxInFlight": count.most_in_flight,
                })
            })
            .collect();
        shown
    }
}
