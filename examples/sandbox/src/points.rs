//! Points: what earns them, what boosts them, and the levels they reach.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::admin::attributes::{pass, show_event_filters, show_filters_by_key};
use crate::admin::leaderboards::RankBy;
use crate::admin::points::{Boost, Level, On, PointsSystem, Trigger};
use crate::call::{Answer, Call, Refusal, number, ok};
use crate::clock::written;
use crate::effects::{self, Effects, Scene};
use crate::leaderboards;
use crate::summaries::{Days, summary};
use crate::users::User;
use crate::world::{Catalog, Community, World, by_key};

/// A user's points in one system.
#[derive(Default)]
pub struct Purse {
    pub total: i64,
    pub days: Days,
    /// The latest, newest first.
    awards: VecDeque<Award>,
    /// How often each time trigger has paid.
    paid: HashMap<Uuid, i64>,
}

/// The most awards that can be asked for, so the most that are kept.
const AWARDS: usize = 100;

#[derive(Clone)]
pub struct Award {
    id: Uuid,
    trigger: Uuid,
    awarded: i64,
    total: i64,
    at: Timestamp,
    boosts: Vec<Uuid>,
}

/// What an event earned in one system.
#[derive(Default)]
pub struct Gain {
    added: i64,
    awards: Vec<Award>,
    level_before: Option<Uuid>,
}

fn boosts_for<'a>(
    system: &'a PointsSystem,
    user: &'a User,
    catalog: &'a Catalog,
    now: Timestamp,
) -> impl Iterator<Item = &'a Boost> {
    let today = user.day(now);
    system.boosts.iter().filter(move |boost| {
        boost.status_on(today) == "active"
            && boost.user.as_deref().is_none_or(|own| own == &*user.id)
            && pass(&boost.user_filters, &user.attributes, catalog)
    })
}

fn boosted(points: i64, boost: &Boost) -> i64 {
    let product = points as f64 * boost.multiplier;
    let rounded = match boost.rounding {
        "up" => product.ceil(),
        "nearest" => product.round(),
        _ => product.floor(),
    };
    rounded as i64
}

fn award(
    scene: &mut Scene,
    user: &mut User,
    system: &PointsSystem,
    trigger: &Trigger,
    times: i64,
    effects: &mut Effects,
) {
    let catalog = scene.catalog;
    if times == 0 || !trigger.active || !pass(&trigger.user_filters, &user.attributes, catalog) {
        return;
    }
    let mut points = trigger.points.saturating_mul(times);
    let mut boosts = Vec::new();
    if points > 0 {
        for boost in boosts_for(system, user, catalog, scene.now) {
            points = boosted(points, boost);
            boosts.push(boost.id);
        }
    }
    let today = user.day(scene.now);
    let purse = user.points.or_insert_with(system.id, Purse::default);
    let before = purse.total;
    if points < 0 && trigger.block_if_out_of_points && before.saturating_add(points) < 0 {
        return;
    }
    let most = system.most.unwrap_or(i64::MAX);
    let after = before.saturating_add(points).min(most.max(before));
    let added = after.saturating_sub(before);
    if added == 0 {
        return;
    }
    purse.total = after;
    purse.days.add(today, added as f64);
    let award = Award {
        id: scene.ids.next(),
        trigger: trigger.id,
        awarded: added,
        total: after,
        at: scene.now,
        boosts,
    };
    purse.awards.push_front(award.clone());
    purse.awards.truncate(AWARDS);
    let gain = effects.points.entry(system.id).or_insert_with(|| Gain {
        level_before: system.level_at(before).map(|level| level.id),
        ..Gain::default()
    });
    gain.added = gain.added.saturating_add(added);
    gain.awards.push(award);
    leaderboards::add(
        scene,
        user,
        RankBy::Points(system.id),
        added as f64,
        effects,
    );
}

/// Goes through all triggers, and awards as often as `times` says.
fn each_trigger(
    scene: &mut Scene,
    user: &mut User,
    effects: &mut Effects,
    mut times: impl FnMut(&On) -> i64,
) {
    let catalog = scene.catalog;
    for system in &catalog.points_systems {
        for trigger in &system.triggers {
            award(scene, user, system, trigger, times(&trigger.on), effects);
        }
    }
}

pub fn on_creation(scene: &mut Scene, user: &mut User) {
    // No reply tells of these; the purse does.
    each_trigger(scene, user, &mut Effects::default(), |on| {
        i64::from(matches!(on, On::UserCreation))
    });
}

pub fn on_achievement(scene: &mut Scene, user: &mut User, done: Uuid, effects: &mut Effects) {
    each_trigger(scene, user, effects, |on| {
        i64::from(matches!(on, On::Achievement(id) if *id == done))
    });
}

pub fn on_streak(scene: &mut Scene, user: &mut User, length: i64, effects: &mut Effects) {
    each_trigger(scene, user, effects, |on| {
        i64::from(matches!(on, On::Streak(every) if length % every == 0))
    });
}

/// Each multiple of the threshold that the total passes on its way up earns once.
pub fn on_event(
    scene: &mut Scene,
    user: &mut User,
    metric: Uuid,
    (before, after): (f64, f64),
    attributes: &BTreeMap<String, String>,
    effects: &mut Effects,
) {
    let catalog = scene.catalog;
    each_trigger(scene, user, effects, |on| match on {
        On::Metric {
            metric: of,
            threshold,
            event_filters,
        } if *of == metric && pass(event_filters, attributes, catalog) => {
            let step = *threshold as f64;
            ((after / step).floor() - (before / step).floor()).max(0.0) as i64
        }
        _ => 0,
    });
}

/// Pays what time triggers owe since the user's creation.
pub fn settle(scene: &mut Scene, user: &mut User) {
    let catalog = scene.catalog;
    let hours = (scene.now.as_second() - user.created.as_second()) / 3600;
    for system in &catalog.points_systems {
        for trigger in &system.triggers {
            let On::Time { unit, interval } = trigger.on else {
                continue;
            };
            let due = hours
                / if unit == "days" {
                    interval.saturating_mul(24)
                } else {
                    interval
                };
            let purse = user.points.or_insert_with(system.id, Purse::default);
            let paid = purse.paid.entry(trigger.id).or_default();
            let times = (due - *paid).max(0);
            *paid = due.max(*paid);
            award(scene, user, system, trigger, times, &mut Effects::default());
        }
    }
}

pub fn show_level(level: &Level) -> Value {
    json!({
        "id": level.id.to_string(),
        "key": level.key,
        "name": level.name,
        "description": level.description,
        "badgeUrl": level.badge,
        "points": level.points,
    })
}

fn show_system(system: &PointsSystem) -> Value {
    json!({
        "id": system.id.to_string(),
        "key": system.key,
        "name": system.name,
        "description": system.description,
        "badgeUrl": system.badge,
        "maxPoints": system.most,
    })
}

fn show_trigger(catalog: &Catalog, trigger: &Trigger) -> Value {
    let mut shown = json!({
        "id": trigger.id.to_string(),
        "type": trigger.on.name(),
        "points": trigger.points,
        "status": if trigger.active { "active" } else { "inactive" },
        "userAttributes": show_filters_by_key(&trigger.user_filters, catalog),
        "created": written(trigger.created),
        "updated": written(trigger.updated),
    });
    match &trigger.on {
        On::Metric {
            metric,
            threshold,
            event_filters,
        } => {
            shown["metricId"] = metric.to_string().into();
            shown["metricThreshold"] = (*threshold).into();
            if let Some(metric) = catalog.metrics.iter().find(|known| known.id == *metric) {
                shown["metricName"] = metric.name.as_str().into();
            }
            show_event_filters(&mut shown, event_filters, catalog);
        }
        On::Achievement(id) => {
            shown["achievementId"] = id.to_string().into();
            if let Some(achievement) = catalog.achievements.iter().find(|known| known.id == *id) {
                shown["achievementName"] = achievement.name.as_str().into();
            }
        }
        On::Streak(length) => shown["streakLengthThreshold"] = (*length).into(),
        On::Time { unit, interval } => {
            // The two APIs name the units differently.
            shown["timeUnit"] = unit.trim_end_matches('s').into();
            shown["timeInterval"] = (*interval).into();
        }
        On::UserCreation => {}
    }
    shown
}

fn show_boost(boost: &Boost, status: &str) -> Value {
    json!({
        "id": boost.id.to_string(),
        "name": boost.name,
        "status": status,
        "start": boost.start.to_string(),
        "end": boost.end.map(|end| end.to_string()),
        "multiplier": number(boost.multiplier),
        "rounding": boost.rounding,
    })
}

fn show_award(catalog: &Catalog, system: &PointsSystem, user: &User, award: &Award) -> Value {
    let day = user.day(award.at);
    let mut shown = json!({
        "id": award.id.to_string(),
        "awarded": award.awarded,
        "date": written(award.at),
        "total": award.total,
        "boosts": system.boosts.iter().filter(|boost| award.boosts.contains(&boost.id))
            .map(|boost| show_boost(boost, boost.status_on(day))).collect::<Vec<_>>(),
    });
    if let Some(trigger) = system
        .triggers
        .iter()
        .find(|trigger| trigger.id == award.trigger)
    {
        shown["trigger"] = show_trigger(catalog, trigger);
    }
    shown
}

/// The `points` of a reply: each system in which something was earned.
pub fn show_gains(
    catalog: &Catalog,
    community: &Community,
    user: &str,
    gains: &BTreeMap<Uuid, Gain>,
) -> Value {
    let Some(user) = community.users.get(user) else {
        return json!({});
    };
    let earned = catalog.points_systems.iter().filter_map(|system| {
        let gain = gains.get(&system.id)?;
        let total = user.points.get(&system.id).map_or(0, |purse| purse.total);
        let level = system.level_at(total);
        let mut shown = show_system(system);
        shown["total"] = total.into();
        shown["added"] = gain.added.into();
        shown["awards"] = gain
            .awards
            .iter()
            .map(|award| show_award(catalog, system, user, award))
            .collect();
        if level.map(|level| level.id) != gain.level_before {
            shown["level"] = level.map(show_level).into();
        }
        Some((system.key.clone(), shown))
    });
    by_key(earned)
}

pub fn of_user(world: &mut World, call: &Call) -> Answer {
    let count = call.query_number("awards", 10, 1..=AWARDS)?;
    effects::settle(world, &call.tenant, call.path(0));
    let (catalog, community, _) = world.parts(&call.tenant);
    let user = community.user(call.path(0))?;
    let system = catalog.points_system(call.path(1))?;
    let empty = Purse::default();
    let purse = user.points.get(&system.id).unwrap_or(&empty);
    let mut shown = show_system(system);
    shown["total"] = purse.total.into();
    shown["level"] = system.level_at(purse.total).map(show_level).into();
    shown["awards"] = purse
        .awards
        .iter()
        .take(count)
        .map(|award| show_award(catalog, system, user, award))
        .collect();
    ok(shown)
}

pub fn boosts_of_user(world: &mut World, call: &Call) -> Answer {
    let now = world.now();
    let (catalog, community, _) = world.parts(&call.tenant);
    let user = community.user(call.path(0))?;
    let system = catalog.points_system(call.path(1))?;
    let boosts = boosts_for(system, user, catalog, now);
    ok(boosts
        .map(|boost| show_boost(boost, "active"))
        .collect::<Vec<_>>())
}

pub fn event_summary(world: &mut World, call: &Call) -> Answer {
    effects::settle(world, &call.tenant, call.path(0));
    let (catalog, community, _) = world.parts(&call.tenant);
    let user = community.user(call.path(0))?;
    let purse = user.points.get(&catalog.points_system(call.path(1))?.id);
    summary(call, purse.map(|purse| &purse.days))
}

pub fn system(world: &mut World, call: &Call) -> Answer {
    let (catalog, ..) = world.parts(&call.tenant);
    let system = catalog.points_system(call.path(0))?;
    let mut shown = show_system(system);
    shown["triggers"] = system
        .triggers
        .iter()
        .map(|t| show_trigger(catalog, t))
        .collect();
    ok(shown)
}

pub fn boosts(world: &mut World, call: &Call) -> Answer {
    let today = world.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let finished_too = call.query("includeFinished") == Some("true");
    let (catalog, ..) = world.parts(&call.tenant);
    let global = catalog
        .points_system(call.path(0))?
        .boosts
        .iter()
        .filter(|b| b.user.is_none());
    let shown: Vec<Value> = global
        .map(|boost| (boost, boost.status_on(today)))
        .filter(|(_, status)| finished_too || *status != "finished")
        .map(|(boost, status)| show_boost(boost, status))
        .collect();
    ok(shown)
}

fn sorted_levels(system: &PointsSystem) -> Vec<&Level> {
    let mut levels: Vec<&Level> = system.levels.iter().collect();
    levels.sort_by_key(|level| level.points);
    levels
}

pub fn levels(world: &mut World, call: &Call) -> Answer {
    let system = world.catalog.points_system(call.path(0))?;
    ok(sorted_levels(system)
        .into_iter()
        .map(show_level)
        .collect::<Vec<_>>())
}

pub fn level_summary(world: &mut World, call: &Call) -> Answer {
    let (catalog, community, _) = world.parts(&call.tenant);
    let system = catalog.points_system(call.path(0))?;
    if system.levels.is_empty() {
        return Err(Refusal::Unprocessable(format!(
            "No levels configured on the points system {}",
            system.key
        )));
    }
    let mut users: HashMap<Uuid, u64> = HashMap::new();
    for user in community.users.values() {
        let total = user.points.get(&system.id).map_or(0, |purse| purse.total);
        if let Some(level) = system.level_at(total) {
            *users.entry(level.id).or_default() += 1;
        }
    }
    let shown: Vec<Value> = sorted_levels(system)
        .into_iter()
        .map(|level| {
            json!({
                "level": show_level(level),
                "users": users.get(&level.id).copied().unwrap_or(0),
            })
        })
        .collect();
    ok(shown)
}

/// Eleven ranges: nothing, and ten equal ones up to the next power of ten.
pub fn points_summary(world: &mut World, call: &Call) -> Answer {
    let wanted = call.query_attributes()?;
    let (catalog, community, _) = world.parts(&call.tenant);
    let system = catalog.points_system(call.path(0))?;
    for (key, _) in &wanted {
        if !catalog
            .attributes
            .iter()
            .any(|a| a.of == "user" && a.key == *key)
        {
            return Err(Refusal::Unprocessable(format!(
                "Invalid attribute keys: {key}."
            )));
        }
    }
    let totals: Vec<i64> = community
        .users
        .values()
        .filter(|user| {
            let has = |key: &str| user.attributes.get(key).map(String::as_str);
            wanted.iter().all(|(key, value)| has(key) == Some(value))
        })
        .map(|user| user.points.get(&system.id).map_or(0, |purse| purse.total))
        .collect();
    let greatest = totals.iter().copied().max().unwrap_or(0);
    let mut top: i64 = 10;
    while top < greatest {
        top = top.saturating_mul(10);
    }
    let step = top / 10;
    let mut ranges = vec![(0, 0)];
    ranges.extend((0..10).map(|at| (at * step + 1, (at + 1) * step)));
    let shown: Vec<Value> = ranges
        .into_iter()
        .map(|(from, to)| {
            let users = totals
                .iter()
                .filter(|t| (from..=to).contains(&(**t).max(0)))
                .count();
            json!({ "from": from, "to": to, "users": users })
        })
        .collect();
    ok(shown)
}
