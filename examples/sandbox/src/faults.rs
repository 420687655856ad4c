//! Faults on demand: which request is struck, and by what.

use std::collections::BTreeMap;

use hyper::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    CloseBefore,
    CloseAfter,
    StatusBefore,
    StatusAfter,
    RateLimited,
    Redirect,
    Delay,
    Hang,
    HangAfter,
    Cut,
    NotJson,
    Oversized,
    Reset,
    Stale,
    Slow,
    Poison,
}

/// A fault as it is ordered with `POST /_sandbox/faults`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Fault {
    pub fault: Kind,
    /// How often it strikes; for ever if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// How many requests it lets pass first.
    #[serde(default)]
    skip: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// An operation id; any operation if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Kind {
    /// The fields this kind understands, beside those of every fault.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::StatusBefore | Self::StatusAfter => &["status", "body", "headers"],
            Self::RateLimited => &["retryAfter", "body", "headers"],
            Self::Redirect => &["location", "status"],
            Self::Delay | Self::Slow => &["ms"],
            Self::Cut | Self::Oversized => &["bytes"],
            Self::NotJson => &["body", "status"],
            Self::Poison => &["user", "attribute", "value", "status"],
            Self::CloseBefore
            | Self::CloseAfter
            | Self::Hang
            | Self::HangAfter
            | Self::Reset
            | Self::Stale => &[],
        }
    }

    fn needs(self) -> &'static [&'static str] {
        match self {
            Self::StatusBefore | Self::StatusAfter => &["status"],
            Self::Redirect => &["location"],
            Self::Delay | Self::Slow => &["ms"],
            Self::Cut | Self::Oversized => &["bytes"],
            _ => &[],
        }
    }
}

/// A reply is made in memory.
const MOST_BYTES: usize = 1 << 30;

const OF_EVERY_FAULT: [&str; 6] = ["fault", "count", "skip", "probability", "seed", "operation"];

impl Fault {
    pub fn read(order: &Value) -> Result<Self, String> {
        let fault: Self = serde_json::from_value(order.clone()).map_err(|e| e.to_string())?;
        let kind = fault.fault;
        let given = order
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.keys());
        for name in given.map(String::as_str) {
            if !OF_EVERY_FAULT.contains(&name) && !kind.fields().contains(&name) {
                return Err(format!(
                    "{name} means nothing to the fault {}",
                    order["fault"]
                ));
            }
        }
        if let Some(name) = kind.needs().iter().find(|name| order.get(**name).is_none()) {
            return Err(format!("the fault {} needs {name}", order["fault"]));
        }
        if fault.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err("probability must be between 0 and 1".into());
        }
        if fault
            .status
            .is_some_and(|status| !(200..=599).contains(&status))
        {
            return Err("status must be between 200 and 599".into());
        }
        if fault.bytes.is_some_and(|bytes| bytes > MOST_BYTES) {
            return Err(format!("bytes must be at most {MOST_BYTES}"));
        }
        let own = [
            ("retry-after", &fault.retry_after),
            ("location", &fault.location),
        ];
        let own = own
            .iter()
            .filter_map(|(name, value)| Some((*name, value.as_ref()?)));
        let given = fault.headers.iter().flatten();
        for (name, value) in given.map(|(name, value)| (name.as_str(), value)).chain(own) {
            check_header(name, value)?;
        }
        if kind == Kind::Poison && fault.user.is_none() && fault.attribute.is_none() {
            return Err("the fault \"poison\" needs user or attribute".into());
        }
        if let Some(name) = &fault.operation
            && crate::operations::find(name).is_none()
        {
            return Err(format!("there is no operation {name}"));
        }
        Ok(fault)
    }

    /// Whether a poisoned event is this one.
    fn poisons(&self, user: &str, attributes: Option<&serde_json::Map<String, Value>>) -> bool {
        let attribute = self.attribute.as_ref().is_none_or(|name| {
            let found = attributes.and_then(|attributes| attributes.get(name));
            match &self.value {
                Some(value) => found.and_then(Value::as_str) == Some(value),
                None => found.is_some(),
            }
        });
        attribute && self.user.as_deref().is_none_or(|bad| bad == user)
    }
}

/// Whether a reply can carry it. How long that is the sandbox says itself.
fn check_header(name: &str, value: &str) -> Result<(), String> {
    let is_of_length = ["content-length", "transfer-encoding"]
        .iter()
        .any(|of_length| name.eq_ignore_ascii_case(of_length));
    match HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok() {
        true if !is_of_length => Ok(()),
        true => Err(format!(
            "{name} follows from the body; \"cut\" makes it untrue"
        )),
        false => Err(format!("no reply can carry the header {name:?}: {value:?}")),
    }
}

struct Order {
    fault: Fault,
    passed: u64,
    fired: u64,
    chance: fastrand::Rng,
}

impl Order {
    fn spent(&self) -> bool {
        self.fault.count.is_some_and(|count| self.fired >= count)
    }

    fn strikes(&mut self) -> bool {
        if self.passed < self.fault.skip {
            self.passed += 1;
            return false;
        }
        let strikes = self.fault.probability.is_none_or(|p| self.chance.f64() < p);
        self.fired += u64::from(strikes);
        strikes
    }
}

#[derive(Default)]
pub struct Faults(Vec<Order>);

impl Faults {
    pub fn add(&mut self, fault: Fault) {
        let chance = fastrand::Rng::with_seed(fault.seed.unwrap_or(1));
        self.0.push(Order {
            fault,
            passed: 0,
            fired: 0,
            chance,
        });
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that strikes a request: the first of those ordered that wants to.
    pub fn strike(&mut self, operation: &str) -> Option<Fault> {
        self.0
            .iter_mut()
            .filter(|order| order.fault.fault != Kind::Poison && !order.spent())
            .filter(|order| {
                order
                    .fault
                    .operation
                    .as_deref()
                    .is_none_or(|only| only == operation)
            })
            .find_map(|order| order.strikes().then(|| order.fault.clone()))
    }

    /// The status that refuses an event, if the event is poisoned.
    pub fn poison(
        &mut self,
        operation: &str,
        user: &str,
        attributes: Option<&serde_json::Map<String, Value>>,
    ) -> Option<u16> {
        self.0
            .iter_mut()
            .filter(|order| order.fault.fault == Kind::Poison && !order.spent())
            .filter(|order| {
                order
                    .fault
                    .operation
                    .as_deref()
                    .is_none_or(|only| only == operation)
            })
            .filter(|order| order.fault.poisons(user, attributes))
            .find_map(|order| order.strikes().then(|| order.fault.status.unwrap_or(422)))
    }

    pub fn show(&self) -> Value {
        self.0
            .iter()
            .map(|order| {
                let mut shown = json!(order.fault);
                shown["fired"] = order.fired.into();
                shown
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(order: Value) -> Faults {
        let mut faults = Faults::default();
        faults.add(Fault::read(&order).unwrap());
        faults
    }

    fn struck(faults: &mut Faults, times: usize) -> Vec<bool> {
        (0..times)
            .map(|_| faults.strike("metrics_event").is_some())
            .collect()
    }

    #[test]
    fn a_fault_skips_then_strikes_its_count() {
        let mut faults = faults(json!({"fault": "close_after", "skip": 1, "count": 2}));
        assert_eq!(struck(&mut faults, 5), [false, true, true, false, false]);
        assert_eq!(faults.show()[0]["fired"], 2);
    }

    #[test]
    fn a_fault_for_another_operation_does_not_strike() {
        let mut faults = faults(json!({"fault": "hang", "operation": "users_get"}));
        assert_eq!(struck(&mut faults, 1), [false]);
        assert!(faults.strike("users_get").is_some());
    }

    #[test]
    fn a_seed_makes_chance_repeat() {
        let order = json!({"fault": "reset", "probability": 0.3, "seed": 7});
        let first = struck(&mut faults(order.clone()), 1000);
        assert_eq!(first, struck(&mut faults(order), 1000));
        let hits = first.iter().filter(|hit| **hit).count();
        assert!((250..350).contains(&hits), "{hits}");
    }

    #[test]
    fn an_order_that_makes_no_sense_is_refused() {
        for order in [
            json!({"fault": "explode"}),
            json!({"fault": "hang", "ms": 5}),
            json!({"fault": "cut"}),
            json!({"fault": "reset", "probability": 2}),
            json!({"fault": "reset", "operation": "nothing"}),
            json!({"fault": "reset", "colour": "red"}),
            json!({"fault": "poison"}),
            json!({"fault": "oversized", "bytes": u64::from(u32::MAX)}),
            json!({"fault": "status_before", "status": 503, "headers": {"a b": "c"}}),
            json!({"fault": "status_before", "status": 503, "headers": {"a": "b\nc"}}),
            json!({"fault": "status_after", "status": 503, "headers": {"Content-Length": "5"}}),
            json!({"fault": "rate_limited", "retryAfter": "a\nb"}),
            json!({"fault": "redirect", "location": "a\nb"}),
        ] {
            assert!(Fault::read(&order).is_err(), "{order}");
        }
    }
}
