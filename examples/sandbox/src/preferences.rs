//! Preferences: what a user wants to hear of, and what counts toward the user's own streak.

use serde_json::{Map, Value, json};

use crate::admin::streak_settings::DaysOff;
use crate::call::{Answer, Call, Refusal, number, ok};
use crate::world::{Catalog, World};

const KINDS: [&str; 4] = [
    "achievement_completed",
    "recap",
    "reactivation",
    "streak_reminder",
];

#[derive(Default)]
pub struct Preferences {
    /// By kind; a kind that was never set goes to every channel.
    notifications: Map<String, Value>,
    streak: StreakPreferences,
}

#[derive(Clone, Default)]
struct StreakPreferences {
    disabled: bool,
    evaluation_mode: Option<&'static str>,
    /// Metric keys with their thresholds.
    metrics: Option<Vec<(String, f64)>>,
    days_off: Option<DaysOff>,
}

impl Preferences {
    pub fn streak_enabled(&self) -> bool {
        !self.streak.disabled
    }

    pub fn streak_metrics(&self) -> Option<&[(String, f64)]> {
        self.streak.metrics.as_deref()
    }

    pub fn days_off(&self) -> Option<DaysOff> {
        self.streak.days_off
    }

    pub fn evaluation_mode(&self) -> Option<&'static str> {
        self.streak.evaluation_mode
    }

    fn show(&self, catalog: &Catalog) -> Value {
        let mut notifications = Map::new();
        for kind in KINDS {
            let set = self.notifications.get(kind).cloned();
            notifications.insert(kind.into(), set.unwrap_or_else(|| json!(["email", "push"])));
        }
        let mut shown = json!({
            "notifications": notifications,
            "streak": { "enabled": self.streak_enabled() },
        });
        if catalog.streaks.customization {
            let settings = &catalog.streaks;
            let metrics = self.streak.metrics.as_deref().unwrap_or_default();
            let mode = if settings.all_metrics { "AND" } else { "OR" };
            let streak = &mut shown["streak"];
            streak["evaluationMode"] = self.streak.evaluation_mode.unwrap_or(mode).into();
            streak["metrics"] = metrics
                .iter()
                .map(|(key, threshold)| json!({ "key": key, "threshold": number(*threshold) }))
                .collect();
            streak["daysOff"] = self.streak.days_off.unwrap_or(settings.days_off).show();
        }
        shown
    }
}

fn wrong(text: impl Into<String>) -> Refusal {
    Refusal::Unprocessable(text.into())
}

fn read_notifications(given: &Value) -> Result<Map<String, Value>, Refusal> {
    let given = given
        .as_object()
        .ok_or_else(|| wrong("notifications must be an object"))?;
    for (kind, channels) in given {
        if !KINDS.contains(&kind.as_str()) {
            return Err(wrong(format!("Unknown notification type: {kind}")));
        }
        let known = |channel: &Value| matches!(channel.as_str(), Some("email" | "push"));
        if !channels
            .as_array()
            .is_some_and(|channels| channels.iter().all(known))
        {
            return Err(wrong(format!(
                "{kind} must be an array of \"email\" and \"push\""
            )));
        }
    }
    Ok(given.clone())
}

fn read_streak(
    given: &Value,
    catalog: &Catalog,
    mut streak: StreakPreferences,
) -> Result<StreakPreferences, Refusal> {
    let given = given
        .as_object()
        .ok_or_else(|| wrong("streak must be an object"))?;
    for (name, value) in given {
        match name.as_str() {
            "enabled" => {
                let enabled = value
                    .as_bool()
                    .ok_or_else(|| wrong("enabled must be a boolean"))?;
                streak.disabled = !enabled;
            }
            "evaluationMode" => {
                streak.evaluation_mode = match value.as_str() {
                    Some("OR") => Some("OR"),
                    Some("AND") => Some("AND"),
                    _ => return Err(wrong("evaluationMode must be OR or AND")),
                };
            }
            "metrics" => {
                let items = value
                    .as_array()
                    .ok_or_else(|| wrong("metrics must be an array"))?;
                let read = |item: &Value| {
                    let key = item["key"]
                        .as_str()
                        .filter(|key| catalog.metric(key).is_some())?;
                    Some((key.to_owned(), item["threshold"].as_f64()?))
                };
                let metrics: Option<Vec<_>> = items.iter().map(read).collect();
                streak.metrics = Some(metrics.ok_or_else(|| {
                    wrong("metrics must have the key of a metric that exists and a threshold")
                })?);
            }
            "daysOff" => {
                let days = DaysOff::read(value).map_err(wrong)?;
                days.check(catalog.streaks.period).map_err(wrong)?;
                streak.days_off = Some(days);
            }
            _ => return Err(wrong(format!("Unknown streak preference: {name}"))),
        }
    }
    Ok(streak)
}

pub fn get(world: &mut World, call: &Call) -> Answer {
    let (catalog, community, _) = world.parts(&call.tenant);
    ok(community.user(call.path(0))?.preferences.show(catalog))
}

pub fn update(world: &mut World, call: &Call) -> Answer {
    let changes = call.object()?;
    let (catalog, community, _) = world.parts(&call.tenant);
    let preferences = &mut community.user_mut(call.path(0))?.preferences;
    // Whether they have a streak at all, users may always choose.
    let customizes = |streak: &Map<String, Value>| streak.keys().any(|name| name != "enabled");
    let streak = changes.get("streak").and_then(Value::as_object);
    if streak.is_some_and(customizes) && !catalog.streaks.customization {
        return Err(Refusal::Forbidden(
            "Streak customization is not enabled".into(),
        ));
    }
    let notifications = changes
        .get("notifications")
        .map(read_notifications)
        .transpose()?;
    if let Some(streak) = changes.get("streak") {
        preferences.streak = read_streak(streak, catalog, preferences.streak.clone())?;
    }
    preferences
        .notifications
        .extend(notifications.unwrap_or_default());
    ok(preferences.show(catalog))
}
