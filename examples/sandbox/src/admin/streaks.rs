//! How streaks are counted, and what an admin can do to them.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{named_users, outcome, remove};
use crate::call::{Answer, Call, Refusal, Reply, number, ok};
use crate::streaks::Pause;
use crate::summaries::Period;
use crate::world::{Catalog, World};

#[derive(Clone)]
pub struct StreakSettings {
    pub period: Period,
    /// Metrics and how much of each a period takes; none: any event will do.
    pub metrics: Vec<(Uuid, f64)>,
    /// All metrics must be reached, not just one.
    pub all_metrics: bool,
    /// Whether users may choose metrics of their own.
    pub customization: bool,
    days_off: Vec<Weekday>,
    pub freezes: Option<Freezes>,
}

#[derive(Clone, Copy)]
pub struct Freezes {
    pub initial: i64,
    pub most: i64,
    /// So many every so many days: (days, freezes).
    pub auto_earn: Option<(i64, i64)>,
}

impl Default for StreakSettings {
    fn default() -> Self {
        Self {
            period: Period::Day,
            metrics: Vec::new(),
            all_metrics: false,
            customization: false,
            days_off: Vec::new(),
            freezes: None,
        }
    }
}

const WEEK: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

impl StreakSettings {
    /// Days off matter to daily streaks only.
    pub fn is_off(&self, day: Date) -> bool {
        self.period == Period::Day && self.days_off.contains(&day.weekday())
    }

    fn show(&self) -> Value {
        let off = WEEK.iter().filter(|(_, day)| self.days_off.contains(day));
        json!({
            "frequency": self.period.name(),
            "evaluationMode": if self.all_metrics { "AND" } else { "OR" },
            "customizationEnabled": self.customization,
            "daysOff": off.map(|(name, _)| *name).collect::<Vec<_>>(),
            "metrics": self.metrics.iter().map(|(id, threshold)| json!({
                "metricId": id.to_string(),
                "threshold": number(*threshold),
            })).collect::<Vec<_>>(),
            "freezes": self.freezes.map_or(json!({ "enabled": false }), |freezes| json!({
                "enabled": true,
                "initial": freezes.initial,
                "max": freezes.most,
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
                "daysOff" => {
                    let day = |name: &Value| {
                        WEEK.iter()
                            .find(|(known, _)| name.as_str() == Some(known))
                            .map(|(_, d)| *d)
                    };
                    let days = value
                        .as_array()
                        .and_then(|days| days.iter().map(day).collect());
                    new.days_off = days.ok_or("daysOff must be an array of weekdays")?;
                }
                "metrics" => {
                    let read = |item: &Value| {
                        let id: Uuid = item["metricId"].as_str()?.parse().ok()?;
                        catalog.metrics.iter().find(|metric| metric.id == id)?;
                        Some((id, item["threshold"].as_f64()?))
                    };
                    let metrics = value
                        .as_array()
                        .and_then(|all| all.iter().map(read).collect());
                    new.metrics = metrics.ok_or("metrics must have a metricId and a threshold")?;
                }
                "freezes" => new.freezes = read_freezes(value)?,
                _ => return Err(format!("Unknown streak setting: {name}")),
            }
        }
        Ok(new)
    }
}

fn read_freezes(value: &Value) -> Result<Option<Freezes>, String> {
    let fields = value.as_object().ok_or("freezes must be an object")?;
    let known = [
        "enabled",
        "initial",
        "max",
        "autoEarnInterval",
        "autoEarnAmount",
    ];
    if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("Unknown freeze setting: {name}"));
    }
    if fields.get("enabled") == Some(&Value::Bool(false)) {
        return Ok(None);
    }
    let count = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let count = value.as_i64().filter(|count| *count >= 0);
            count
                .map(Some)
                .ok_or(format!("{name} must be an integer of at least 0"))
        }
    };
    Ok(Some(Freezes {
        initial: count("initial")?.unwrap_or(0),
        most: count("max")?.unwrap_or(3),
        auto_earn: count("autoEarnInterval")?
            .filter(|interval| *interval > 0)
            .zip(Some(count("autoEarnAmount")?.unwrap_or(1))),
    }))
}

pub fn settings(world: &mut World, _: &Call) -> Answer {
    ok(world.catalog.streaks.show())
}

pub fn update_settings(world: &mut World, call: &Call) -> Answer {
    let changed = world.catalog.streaks.with(call.object()?, &world.catalog);
    world.catalog.streaks = changed.map_err(Refusal::Unprocessable)?;
    settings(world, call)
}

fn user_issue(user: &str, severity: &str, message: &str) -> Value {
    json!({ "userId": user, "severity": severity, "message": message })
}

fn no_such_user(user: &str) -> Value {
    user_issue(user, "error", "User does not exist")
}

pub fn create_freezes(world: &mut World, call: &Call) -> Answer {
    // A user may be named several times here: a freeze each.
    let body = call.object()?;
    let items = crate::call::items(body.get("freezes").unwrap_or(&Value::Null), "freezes", 100)?;
    let (catalog, community, _) = world.parts(&call.tenant);
    let Some(settings) = catalog.streaks.freezes else {
        return Err(Refusal::Malformed("Streak freezes are not enabled".into()));
    };
    let (mut granted, mut issues) = (0, Vec::new());
    for item in items {
        let id = item["userId"].as_str();
        let id = id.ok_or_else(|| Refusal::Malformed("userId must be a string".into()))?;
        match community.users.get_mut(id) {
            None => issues.push(no_such_user(id)),
            Some(user) if user.streak.freezes >= settings.most => {
                issues.push(user_issue(
                    id,
                    "warning",
                    "Would exceed maximum freeze limit",
                ));
            }
            Some(user) => {
                user.streak.freezes += 1;
                granted += 1;
            }
        }
    }
    let status = if granted > 0 { 201 } else { 200 };
    Ok(Reply {
        status,
        body: json!({ "issues": issues }),
    })
}

pub fn create_pauses(world: &mut World, call: &Call) -> Answer {
    let now = world.now();
    let (_, community, ids) = world.parts(&call.tenant);
    let (mut created, mut issues) = (Vec::new(), Vec::new());
    for (id, fields) in named_users(call, "pauses", "userId")? {
        let date = |name: &str| -> Result<Date, Refusal> {
            let date = fields
                .get(name)
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok());
            date.ok_or_else(|| {
                Refusal::Unprocessable(format!("{name} must be a date in YYYY-MM-DD format"))
            })
        };
        let (start, end) = (date("start")?, date("end")?);
        let Some(user) = community.users.get_mut(id) else {
            issues.push(no_such_user(id));
            continue;
        };
        let overlaps = |pause: &Pause| pause.start <= end && pause.end >= start;
        if start < user.day(now) {
            issues.push(user_issue(id, "error", "Start date is in the past"));
        } else if end < start {
            issues.push(user_issue(id, "error", "End date is before start date"));
        } else if user.streak.pauses.iter().any(overlaps) {
            issues.push(user_issue(id, "error", "Overlaps another pause"));
        } else {
            let pause = Pause {
                id: ids.next(),
                start,
                end,
            };
            created.push(json!({
                "id": pause.id.to_string(),
                "userId": id,
                "start": start.to_string(),
                "end": end.to_string(),
                "status": "active",
            }));
            user.streak.pauses.push(pause);
        }
    }
    outcome("created", created, issues, 201)
}

pub fn delete_pauses(world: &mut World, call: &Call) -> Answer {
    let (_, community, _) = world.parts(&call.tenant);
    remove(call, "Streak pause", |id| {
        community.users.values_mut().any(|user| {
            let before = user.streak.pauses.len();
            user.streak.pauses.retain(|pause| pause.id != id);
            user.streak.pauses.len() < before
        })
    })
}

pub fn restore(world: &mut World, call: &Call) -> Answer {
    let now = world.now();
    let (catalog, community, _) = world.parts(&call.tenant);
    let (mut restored, mut issues) = (Vec::new(), Vec::new());
    for (id, _) in named_users(call, "users", "id")? {
        let Some(user) = community.users.get_mut(id) else {
            issues.push(no_such_user(id));
            continue;
        };
        let today = user.day(now);
        // How far back each frequency reaches.
        let since = match catalog.streaks.period {
            Period::Day => today.saturating_sub(90.days()),
            Period::Week => Period::Week.start(today.first_of_year()),
            Period::Month => today.first_of_year().saturating_sub(1.year()),
        };
        if user.streak.restore(&catalog.streaks, since, today) {
            restored.push(id.into());
        } else {
            issues.push(user_issue(id, "warning", "No streak to restore"));
        }
    }
    outcome("restoredUsers", restored, issues, 201)
}

pub fn reset(world: &mut World, call: &Call) -> Answer {
    let (_, community, _) = world.parts(&call.tenant);
    let (mut reset, mut issues) = (Vec::new(), Vec::new());
    for (id, _) in named_users(call, "users", "id")? {
        match community.users.get_mut(id) {
            None => issues.push(no_such_user(id)),
            Some(user) => {
                user.streak.clear();
                reset.push(id.into());
            }
        }
    }
    outcome("resetUsers", reset, issues, 201)
}
