//! How streaks are counted: the organisation's settings.

use jiff::civil::{Date, Weekday};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::call::{Answer, Call, Refusal, ok};
use crate::summaries::Period;
use crate::world::{Catalog, World};

#[derive(Clone)]
pub struct StreakSettings {
    pub period: Period,
    /// Metrics and how much of each a period takes; none: any event will do.
    pub metrics: Vec<(Uuid, i64)>,
    /// All metrics must be reached, not just one.
    pub all_metrics: bool,
    /// Whether users may choose metrics, mode and days off of their own.
    pub customization: bool,
    pub days_off: DaysOff,
    pub freezes: Option<Freezes>,
}

#[derive(Clone, Copy)]
pub struct Freezes {
    pub initial: i64,
    pub most: i64,
    /// So many every so many days: (days, freezes).
    pub auto_earn: Option<(i64, i64)>,
}

/// Weekdays on which a daily streak is kept without an event. The service counts them from Sunday, 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DaysOff([bool; 7]);

impl DaysOff {
    pub fn read(value: &Value) -> Result<Self, String> {
        let wrong = || "daysOff must be an array of integers from 0, Sunday, to 6".to_owned();
        let mut off = [false; 7];
        for day in value.as_array().ok_or_else(wrong)? {
            let day = day.as_u64().and_then(|day| usize::try_from(day).ok());
            *day.and_then(|day| off.get_mut(day)).ok_or_else(wrong)? = true;
        }
        Ok(Self(off))
    }

    /// Only a daily streak can have any.
    pub fn check(self, period: Period) -> Result<(), String> {
        if period == Period::Day || self == Self::default() {
            Ok(())
        } else {
            Err("daysOff needs the frequency daily".into())
        }
    }

    pub fn has(self, day: Weekday) -> bool {
        let day = usize::try_from(day.to_sunday_zero_offset()).ok();
        day.and_then(|day| self.0.get(day)) == Some(&true)
    }

    pub fn show(self) -> Value {
        (0..7).filter(|day| self.0[*day]).map(Value::from).collect()
    }
}

impl Default for StreakSettings {
    fn default() -> Self {
        Self {
            period: Period::Day,
            metrics: Vec::new(),
            all_metrics: false,
            customization: false,
            days_off: DaysOff::default(),
            freezes: None,
        }
    }
}

impl StreakSettings {
    /// Whether a day is off, for a user with these days of their own.
    pub fn is_off(&self, day: Date, own: Option<DaysOff>) -> bool {
        let days = match own {
            Some(own) if self.customization => own,
            _ => self.days_off,
        };
        self.period == Period::Day && days.has(day.weekday())
    }

    fn show(&self, catalog: &Catalog) -> Value {
        let metrics = self.metrics.iter().filter_map(|(id, threshold)| {
            let metric = catalog.metrics.iter().find(|metric| metric.id == *id)?;
            Some(json!({ "key": metric.key, "threshold": threshold }))
        });
        json!({
            "frequency": self.period.name(),
            "evaluationMode": if self.all_metrics { "AND" } else { "OR" },
            "customizationEnabled": self.customization,
            "daysOff": self.days_off.show(),
            "metrics": metrics.collect::<Vec<_>>(),
            "freezes": self.freezes.map(|freezes| json!({
                "startCount": freezes.initial,
                "maxCount": freezes.most,
                "autoEarnInterval": freezes.auto_earn.map(|(interval, _)| interval),
                "autoEarnAmount": freezes.auto_earn.map(|(_, amount)| amount),
            })),
        })
    }

    /// These settings with changes made; world files use it too.
    pub fn with(&self, changes: &Map<String, Value>, catalog: &Catalog) -> Result<Self, String> {
        let mut new = self.clone();
        for (name, value) in changes {
            match name.as_str() {
                "frequency" => {
                    let period = value.as_str().and_then(Period::named);
                    new.period = period.ok_or("frequency must be one of daily, weekly, monthly")?;
                }
                "evaluationMode" => {
                    new.all_metrics = match value.as_str() {
                        Some("AND") => true,
                        Some("OR") => false,
                        _ => return Err("evaluationMode must be OR or AND".into()),
                    };
                }
                "customizationEnabled" => {
                    new.customization = value
                        .as_bool()
                        .ok_or("customizationEnabled must be true or false")?;
                }
                "daysOff" => new.days_off = DaysOff::read(value)?,
                "metrics" => new.metrics = read_metrics(value, catalog)?,
                "freezes" => new.freezes = read_freezes(value)?,
                _ => return Err(format!("Unknown streak setting: {name}")),
            }
        }
        if changes.contains_key("daysOff") {
            new.days_off.check(new.period)?;
        } else if new.period != Period::Day {
            new.days_off = DaysOff::default();
        }
        Ok(new)
    }
}

/// Those with a threshold of 0 do not count.
fn read_metrics(value: &Value, catalog: &Catalog) -> Result<Vec<(Uuid, i64)>, String> {
    let mut metrics: Vec<(Uuid, i64)> = Vec::new();
    for item in value.as_array().ok_or("metrics must be an array")? {
        let (key, threshold) = (item["key"].as_str(), item["threshold"].as_i64());
        let (Some(key), Some(threshold)) = (key, threshold.filter(|least| *least >= 0)) else {
            return Err(
                "metrics must have a key and, as threshold, an integer of at least 0".into(),
            );
        };
        let metric = catalog.metric(key);
        let id = metric.ok_or(format!("Metric not found: {key}"))?.id;
        if metrics.iter().any(|(other, _)| *other == id) {
            return Err(format!("metrics has {key} twice"));
        }
        metrics.push((id, threshold));
    }
    metrics.retain(|(_, threshold)| *threshold > 0);
    Ok(metrics)
}

fn read_freezes(value: &Value) -> Result<Option<Freezes>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let fields = value
        .as_object()
        .ok_or("freezes must be an object or null")?;
    const KNOWN: [&str; 4] = [
        "startCount",
        "maxCount",
        "autoEarnInterval",
        "autoEarnAmount",
    ];
    if let Some(name) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(format!("Unknown freeze setting: {name}"));
    }
    let count = |name: &str, least: i64| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let count = value.as_i64().filter(|count| *count >= least);
            count
                .map(Some)
                .ok_or(format!("{name} must be an integer of at least {least}"))
        }
    };
    let initial = count("startCount", 0)?.ok_or("freezes needs startCount")?;
    let most = count("maxCount", 0)?.ok_or("freezes needs maxCount")?;
    if most < initial {
        return Err("maxCount must not be below startCount".into());
    }
    let auto_earn = match (count("autoEarnInterval", 1)?, count("autoEarnAmount", 1)?) {
        (None, None) => None,
        (Some(interval), Some(amount)) => Some((interval, amount)),
        _ => return Err("autoEarnInterval and autoEarnAmount go together".into()),
    };
    Ok(Some(Freezes {
        initial,
        most,
        auto_earn,
    }))
}

pub fn get(world: &mut World, _: &Call) -> Answer {
    ok(world.catalog.streaks.show(&world.catalog))
}

pub fn update(world: &mut World, call: &Call) -> Answer {
    let changed = world.catalog.streaks.with(call.object()?, &world.catalog);
    world.catalog.streaks = changed.map_err(Refusal::Unprocessable)?;
    get(world, call)
}
