//! Metrics of a user: totals, and what happened on which day.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::achievements;
use crate::admin::metrics::Metric;
use crate::call::{Answer, Call, Refusal, number, ok};
use crate::summaries::{Days, summary};
use crate::users::User;
use crate::world::{Catalog, World};

/// What a user has done in one metric.
#[derive(Default)]
pub struct Tally {
    pub total: f64,
    pub days: Days,
    /// The same for the events that carried an attribute: by its key and value.
    pub by_attribute: BTreeMap<(String, String), Tally>,
    /// The idempotency keys seen and the events they stand for; they never expire.
    pub keys: HashMap<Box<str>, Uuid>,
}

impl Tally {
    pub fn add(&mut self, day: Date, value: f64, attributes: &BTreeMap<String, String>) {
        self.total += value;
        self.days.add(day, value);
        for (key, text) in attributes {
            let part = self
                .by_attribute
                .entry((key.clone(), text.clone()))
                .or_default();
            part.total += value;
            part.days.add(day, value);
        }
    }
}

fn metric<'a>(catalog: &'a Catalog, key: &str) -> Result<&'a Metric, Refusal> {
    catalog
        .metric(key)
        .ok_or_else(|| Refusal::NotFound(format!("Metric not found: {key}")))
}

fn progress(catalog: &Catalog, user: &User, metric: &Metric) -> Value {
    json!({
        "id": metric.id.to_string(),
        "key": metric.key,
        "name": metric.name,
        // The files name it no more, but Node's official SDK cannot read a metric without it.
        "status": "active",
        "current": number(user.metrics.get(&metric.id).map_or(0.0, |tally| tally.total)),
        "achievements": achievements::of_metric(catalog, user, metric.id),
    })
}

pub fn all(world: &mut World, call: &Call) -> Answer {
    let (catalog, community, _) = world.parts(&call.tenant);
    let user = community.user(call.path(0))?;
    let shown: Vec<_> = catalog
        .metrics
        .iter()
        .map(|m| progress(catalog, user, m))
        .collect();
    ok(shown)
}

pub fn single(world: &mut World, call: &Call) -> Answer {
    let (catalog, community, _) = world.parts(&call.tenant);
    let user = community.user(call.path(0))?;
    ok(progress(catalog, user, metric(catalog, call.path(1))?))
}

pub fn event_summary(world: &mut World, call: &Call) -> Answer {
    let (catalog, community, _) = world.parts(&call.tenant);
    let user = community.user(call.path(0))?;
    let tally = user.metrics.get(&metric(catalog, call.path(1))?.id);
    summary(call, tally.map(|tally| &tally.days))
}
