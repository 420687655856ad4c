//! Metric events: the main job. An event counts once, and its reply tells all it set off.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::achievements;
use crate::admin::attributes::check;
use crate::admin::leaderboards::RankBy;
use crate::call::{Answer, Call, Refusal, Reply, number};
use crate::effects::{Effects, Scene};
use crate::ledger::Lane;
use crate::metrics::Tally;
use crate::service::Books;
use crate::world::{Community, World};
use crate::{leaderboards, points, streaks, users};

/// An event, checked.
pub struct Event<'a> {
    metric: &'a str,
    pub user: &'a str,
    user_fields: &'a Map<String, Value>,
    value: f64,
    pub attributes: Option<&'a Map<String, Value>>,
    key: Option<&'a str>,
}

impl<'a> Event<'a> {
    /// Reads the body of an event, or an item of a batch.
    pub fn read(
        fields: &'a Map<String, Value>,
        metric: &'a str,
        key: Option<&'a str>,
    ) -> Result<Self, Refusal> {
        let wrong = |text: &str| Refusal::Malformed(text.into());
        let user = fields.get("user").and_then(Value::as_object);
        let user_fields = user.ok_or_else(|| wrong("user must be an object"))?;
        let value = fields.get("value").and_then(Value::as_f64);
        let attributes = match fields.get("attributes") {
            None | Some(Value::Null) => None,
            Some(Value::Object(attributes)) => Some(attributes),
            Some(_) => return Err(wrong("attributes must be an object")),
        };
        Ok(Self {
            metric,
            user: users::id_of(user_fields)?,
            user_fields,
            value: value.ok_or_else(|| wrong("value must be a number"))?,
            attributes,
            key,
        })
    }

    fn lane(&self, tenant: &str) -> Lane {
        Lane {
            tenant: tenant.to_owned(),
            user: self.user.to_owned(),
            metric: self.metric.to_owned(),
        }
    }

    /// Checks all that can be refused, and gives the event's attributes.
    pub fn check(&self, world: &World) -> Result<BTreeMap<String, String>, Refusal> {
        let catalog = &world.catalog;
        if catalog.metric(self.metric).is_none() {
            let text = format!("Metric not found: {}", self.metric);
            return Err(Refusal::Unprocessable(text));
        }
        users::Changes::read(self.user_fields, catalog)?;
        let none = Map::new();
        check(self.attributes.unwrap_or(&none), "event", catalog).map_err(Refusal::Unprocessable)
    }
}

/// What became of an event.
pub struct Outcome {
    event: Uuid,
    metric: Uuid,
    replayed: bool,
    effects: Effects,
}

/// Counts an event, unless its key was seen before.
pub fn count(
    world: &mut World,
    books: &mut Books,
    tenant: &str,
    event: &Event,
) -> Result<Outcome, Refusal> {
    let attributes = event.check(world)?;
    users::upsert(world, tenant, event.user, event.user_fields)?;
    let now = world.now();
    let (catalog, community, ids) = world.parts(tenant);
    let Community {
        users,
        boards,
        completions,
    } = community;
    let (Some(metric), Some(user)) = (catalog.metric(event.metric), users.get_mut(event.user))
    else {
        return Err(Refusal::Unprocessable(
            "The event has no metric or no user".into(),
        ));
    };
    let metric = metric.id;
    let today = user.day(now);
    let tally = user.metrics.or_insert_with(metric, Tally::default);
    if let Some(former) = event.key.and_then(|key| tally.keys.get(key)) {
        books.ledger.replayed(event.lane(tenant));
        let effects = Effects::default();
        return Ok(Outcome {
            event: *former,
            metric,
            replayed: true,
            effects,
        });
    }
    if !(tally.total + event.value).is_finite() {
        return Err(Refusal::Unprocessable(
            "value is too large: the total would be infinite".into(),
        ));
    }
    let id = ids.next();
    if let Some(key) = event.key {
        tally.keys.insert(key.into(), id);
    }
    let before = tally.total;
    tally.add(today, event.value, &attributes);
    let after = tally.total;
    books
        .ledger
        .counted(event.lane(tenant), event.key, event.value);

    let mut effects = Effects::default();
    let mut scene = Scene {
        catalog,
        boards,
        completions,
        ids,
        now,
    };
    let extended = streaks::after_event(catalog, user, metric, now);
    effects.streak_extended = extended.is_some();
    points::settle(&mut scene, user);
    leaderboards::add(
        &mut scene,
        user,
        RankBy::Metric(metric),
        event.value,
        &mut effects,
    );
    points::on_event(
        &mut scene,
        user,
        metric,
        (before, after),
        &attributes,
        &mut effects,
    );
    if let Some(length) = extended {
        leaderboards::set(
            &mut scene,
            user,
            RankBy::Streak,
            length as f64,
            &mut effects,
        );
        points::on_streak(&mut scene, user, length, &mut effects);
    }
    let streak = user.streak_length(catalog, now);
    let happened = Some((metric, &attributes));
    achievements::after_event(&mut scene, user, streak, happened, &mut effects);
    Ok(Outcome {
        event: id,
        metric,
        replayed: false,
        effects,
    })
}

/// `POST /metrics/{key}/event`.
pub fn single(world: &mut World, books: &mut Books, call: &Call) -> Answer {
    let key = match call.headers.get("idempotency-key") {
        None => None,
        Some(key) => match std::str::from_utf8(key.as_bytes()) {
            Ok(key) if !key.is_empty() => Some(key),
            _ => return Err(Refusal::Malformed("Idempotency-Key must be text".into())),
        },
    };
    let event = Event::read(call.object()?, call.path(0), key)?;
    call.may_act_for(event.user)?;
    let poison = books
        .faults
        .poison("metrics_event", event.user, event.attributes);
    if let Some(status) = poison {
        return Err(Refusal::Status(status, "The event was refused".into()));
    }
    let outcome = count(world, books, &call.tenant, &event)?;
    let status = if outcome.replayed { 202 } else { 201 };
    Ok(Reply {
        status,
        body: show(world, &call.tenant, &event, &outcome)?,
    })
}

fn show(
    world: &mut World,
    tenant: &str,
    event: &Event,
    outcome: &Outcome,
) -> Result<Value, Refusal> {
    let now = world.now();
    let effects = &outcome.effects;
    let (catalog, community, _) = world.parts(tenant);
    let user = community.user_mut(event.user)?;
    let mut streak = streaks::show(catalog, user, now);
    let today = user.day(now);
    streak["extended"] = effects.streak_extended.into();
    let mut shown = json!({
        "eventId": outcome.event.to_string(),
        "metricId": outcome.metric.to_string(),
        "total": number(user.metrics.get(&outcome.metric).map_or(0.0, |tally| tally.total)),
        "achievements": achievements::show_all(catalog, user, &effects.achievements),
        "currentStreak": streak,
        "points": effects.points(catalog, community, event.user),
        "leaderboards": leaderboards::show_moves(catalog, &effects.places, today),
    });
    if let Some(key) = event.key {
        shown["idempotencyKey"] = key.into();
        shown["idempotentReplayed"] = outcome.replayed.into();
    }
    Ok(shown)
}

/// The lanes that a request's events are on, each once.
pub fn lanes(operation: &str, call: &Call) -> Vec<Lane> {
    let lane = |event: &Value, metric: &str| {
        Some(Lane {
            tenant: call.tenant.clone(),
            user: event["user"]["id"].as_str()?.to_owned(),
            metric: metric.to_owned(),
        })
    };
    let Ok(Some(body)) = &call.body else {
        return Vec::new();
    };
    let mut lanes: Vec<Lane> = match operation {
        "metrics_event" => lane(body, call.path(0)).into_iter().collect(),
        "admin_metrics_batch_events" => body
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|event| lane(event, event["key"].as_str()?))
            .collect(),
        _ => Vec::new(),
    };
    lanes.sort();
    lanes.dedup();
    lanes
}
