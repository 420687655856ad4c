//! Achievements: what completes them, and how they are shown.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::admin::achievements::{Achievement, Trigger};
use crate::admin::attributes::{pass, show_event_filters, show_filters_by_key};
use crate::call::{Answer, Call, Refusal, created, number, ok};
use crate::clock::written;
use crate::effects::{self, Effects, Scene};
use crate::points;
use crate::users::{self, User};
use crate::world::{Catalog, Community, World};
use std::collections::BTreeMap;

/// Whether the user has now earned it, by other means than `complete`.
fn earned(
    achievement: &Achievement,
    user: &User,
    streak: i64,
    event: Option<(Uuid, &BTreeMap<String, String>)>,
    scene: &Scene,
) -> bool {
    match &achievement.trigger {
        Trigger::Metric {
            metric,
            value,
            event_filters,
        } => {
            let Some((of, attributes)) = event else {
                return false;
            };
            let total = user.metrics.get(metric).map_or(0.0, |tally| tally.total);
            of == *metric && total >= *value && pass(event_filters, attributes, scene.catalog)
        }
        Trigger::Streak { length } => streak >= *length,
        Trigger::Anniversary { years } => user
            .anniversary(*years)
            .is_some_and(|day| day <= user.day(scene.now)),
        Trigger::Api { .. } => false,
        Trigger::Achievements { all_of } => all_of.iter().all(|id| user.achievements.contains(id)),
    }
}

/// Completes what an event has earned. What is completed may complete more.
pub fn after_event(
    scene: &mut Scene,
    user: &mut User,
    streak: i64,
    event: Option<(Uuid, &BTreeMap<String, String>)>,
    effects: &mut Effects,
) {
    let catalog = scene.catalog;
    loop {
        let before = effects.achievements.len();
        let open = |achievement: &&Achievement| achievement.status == "active";
        for achievement in catalog.achievements.iter().filter(open) {
            if !user.achievements.contains(&achievement.id)
                && pass(&achievement.user_filters, &user.attributes, catalog)
                && earned(achievement, user, streak, event, scene)
            {
                complete(scene, user, achievement, effects);
            }
        }
        if effects.achievements.len() == before {
            break;
        }
    }
}

/// Completes what time alone has earned: anniversaries.
pub fn settle(scene: &mut Scene, user: &mut User) {
    after_event(scene, user, 0, None, &mut Effects::default());
}

fn complete(scene: &mut Scene, user: &mut User, done: &Achievement, effects: &mut Effects) {
    user.achievements.or_insert_with(done.id, || scene.now);
    *scene.completions.entry(done.id).or_default() += 1;
    effects.achievements.push(done.id);
    points::on_achievement(scene, user, done.id, effects);
}

fn show(catalog: &Catalog, achievement: &Achievement) -> Value {
    let mut shown = json!({
        "id": achievement.id.to_string(),
        "name": achievement.name,
        "trigger": achievement.trigger.name(),
        "description": achievement.description,
        "badgeUrl": achievement.badge,
        "userAttributes": show_filters_by_key(&achievement.user_filters, catalog),
    });
    match &achievement.trigger {
        Trigger::Metric {
            metric,
            value,
            event_filters,
        } => {
            shown["metricId"] = metric.to_string().into();
            shown["metricValue"] = number(*value);
            if let Some(metric) = catalog.metrics.iter().find(|known| known.id == *metric) {
                shown["metricName"] = metric.name.as_str().into();
            }
            show_event_filters(&mut shown, event_filters, catalog);
        }
        Trigger::Streak { length } => shown["streakLength"] = (*length).into(),
        Trigger::Anniversary { years } => shown["anniversaryYears"] = (*years).into(),
        Trigger::Api { key } => shown["key"] = key.as_str().into(),
        Trigger::Achievements { all_of } => {
            shown["achievementIds"] = all_of.iter().map(Uuid::to_string).collect();
        }
    }
    shown
}

/// An achievement as a user sees it.
pub fn show_for(catalog: &Catalog, user: &User, achievement: &Achievement) -> Value {
    let mut shown = show(catalog, achievement);
    shown["achievedAt"] = user
        .achievements
        .get(&achievement.id)
        .copied()
        .map(written)
        .into();
    shown
}

/// Those of a list of ids, as a user sees them.
pub fn show_all(catalog: &Catalog, user: &User, ids: &[Uuid]) -> Value {
    catalog
        .achievements
        .iter()
        .filter(|achievement| ids.contains(&achievement.id))
        .map(|achievement| show_for(catalog, user, achievement))
        .collect()
}

/// A metric's achievements with the user's progress.
pub fn of_metric(catalog: &Catalog, user: &User, metric: Uuid) -> Value {
    visible(catalog)
        .filter(|a| matches!(&a.trigger, Trigger::Metric { metric: of, .. } if *of == metric))
        .map(|achievement| show_for(catalog, user, achievement))
        .collect()
}

/// What users see. Of these, nobody earns one that is locked.
fn visible(catalog: &Catalog) -> impl Iterator<Item = &Achievement> {
    catalog
        .achievements
        .iter()
        .filter(|achievement| achievement.status != "inactive")
}

fn add_stats(shown: &mut Value, community: &Community, achievement: &Achievement) {
    let completions = community
        .completions
        .get(&achievement.id)
        .copied()
        .unwrap_or(0);
    let users = community.users.len().max(1) as f64;
    shown["completions"] = completions.into();
    shown["rarity"] = number((completions as f64 / users * 10_000.0).round() / 100.0);
}

pub fn all(world: &mut World, call: &Call) -> Answer {
    let asked: BTreeMap<String, String> = call
        .query_attributes()?
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let (catalog, community, _) = world.parts(&call.tenant);
    let shown: Vec<Value> = visible(catalog)
        .filter(|a| asked.is_empty() || pass(&a.user_filters, &asked, catalog))
        .map(|achievement| {
            let mut shown = show(catalog, achievement);
            add_stats(&mut shown, community, achievement);
            shown
        })
        .collect();
    ok(shown)
}

pub fn of_user(world: &mut World, call: &Call) -> Answer {
    let with_incomplete = call.query("includeIncomplete") == Some("true");
    effects::settle(world, &call.tenant, call.path(0));
    let (catalog, community, _) = world.parts(&call.tenant);
    let user = community.user(call.path(0))?;
    let shown: Vec<Value> = visible(catalog)
        .filter(|a| with_incomplete || user.achievements.contains(&a.id))
        .map(|achievement| {
            let mut shown = show_for(catalog, user, achievement);
            add_stats(&mut shown, community, achievement);
            shown
        })
        .collect();
    ok(shown)
}

/// Completes an `api` achievement. Doing so again changes nothing.
pub fn complete_by_key(world: &mut World, call: &Call) -> Answer {
    let fields = call.object()?.get("user").and_then(Value::as_object);
    let fields = fields.ok_or_else(|| Refusal::Malformed("user must be an object".into()))?;
    let id = users::id_of(fields)?;
    call.may_act_for(id)?;
    let found = visible(&world.catalog)
        .find(|a| matches!(&a.trigger, Trigger::Api { key } if key == call.path(0)))
        .cloned();
    let Some(achievement) = found else {
        return Err(Refusal::NotFound(format!(
            "Achievement not found: {}",
            call.path(0)
        )));
    };
    users::upsert(world, &call.tenant, id, fields)?;
    let now = world.now();
    let (catalog, community, ids) = world.parts(&call.tenant);
    let completion = ids.next();
    let mut effects = Effects::default();
    let Community {
        users,
        boards,
        completions,
    } = community;
    if let Some(user) = users.get_mut(id)
        && !user.achievements.contains(&achievement.id)
    {
        if achievement.status == "locked" {
            return Err(Refusal::Unprocessable("The achievement is locked".into()));
        }
        if !pass(&achievement.user_filters, &user.attributes, catalog) {
            return Err(Refusal::Unprocessable(
                "The user lacks the attributes this achievement asks for".into(),
            ));
        }
        let streak = user.streak_length(catalog, now);
        let mut scene = Scene {
            catalog,
            boards,
            completions,
            ids,
            now,
        };
        complete(&mut scene, user, &achievement, &mut effects);
        after_event(&mut scene, user, streak, None, &mut effects);
    }
    created(json!({
        "completionId": completion.to_string(),
        "achievement": show_for(catalog, community.user(id)?, &achievement),
        "points": effects.points(catalog, community, id),
    }))
}
