//! What an admin can do to users' streaks: freezes, pauses, restore, reset.

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::{named_users, outcome, remove};
use crate::call::{self, Answer, Call, Refusal, Reply, ok};
use crate::streaks::Pause;
use crate::summaries::Period;
use crate::world::World;

fn user_issue(user: &str, severity: &str, message: &str) -> Value {
    json!({ "userId": user, "severity": severity, "message": message })
}

fn no_such_user(user: &str) -> Value {
    user_issue(user, "error", "User does not exist")
}

pub fn create_freezes(world: &mut World, call: &Call) -> Answer {
    // A user may be named several times here: a freeze each.
    let body = call.object()?;
    let items = call::items(
        body.get("freezes").unwrap_or(&Value::Null),
        "freezes",
        1,
        100,
    )?;
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
    for (id, fields) in named_users(call, "pauses", "userId", 1)? {
        let date = |name: &str| -> Result<Date, Refusal> {
            let date = fields.get(name).and_then(Value::as_str);
            let date = date.and_then(call::date);
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
    for (id, _) in named_users(call, "users", "id", 1)? {
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
        let own = user.preferences.days_off();
        if user.streak.restore(&catalog.streaks, own, since, today) {
            restored.push(id.into());
        } else {
            issues.push(user_issue(id, "warning", "No streak to restore"));
        }
    }
    outcome("restoredUsers", restored, issues, 201)
}

pub fn reset(world: &mut World, call: &Call) -> Answer {
    let now = world.now();
    let (catalog, community, _) = world.parts(&call.tenant);
    let (mut reset, mut issues) = (Vec::new(), Vec::new());
    for (id, _) in named_users(call, "users", "id", 0)? {
        match community.users.get_mut(id) {
            None => issues.push(no_such_user(id)),
            Some(user) => {
                if user.streak_length(catalog, now) > 0 {
                    let today = user.day(now);
                    user.streak.reset(&catalog.streaks, today, now);
                }
                reset.push(Value::from(id));
            }
        }
    }
    ok(json!({ "resetUsers": reset, "issues": issues }))
}
