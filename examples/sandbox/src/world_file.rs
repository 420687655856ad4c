//! World files: JSON from which a world is made. Items are as the Admin API creates them, but may
//! refer to each other by key.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::admin::achievements::{Achievement, Trigger};
use crate::admin::attributes::Attribute;
use crate::admin::keys::ApplicationKey;
use crate::admin::leaderboards::Leaderboard;
use crate::admin::metrics::Metric;
use crate::admin::points::add_system;
use crate::admin::tenants::Tenant;
use crate::admin::{Resource, add};
use crate::users;
use crate::world::{Catalog, World};

/// The world the sandbox has without `--world`.
pub const DEFAULT: &str = include_str!("../worlds/default.json");

const SECTIONS: [&str; 13] = [
    "$comment",
    "adminKeys",
    "applicationKeys",
    "multiTenancy",
    "tenants",
    "attributes",
    "metrics",
    "achievements",
    "pointsSystems",
    "leaderboards",
    "streakSettings",
    "settings",
    "users",
];

pub fn load(file: &Value) -> Result<World, String> {
    let sections = file.as_object().ok_or("a world must be a JSON object")?;
    if let Some(name) = sections
        .keys()
        .find(|name| !SECTIONS.contains(&name.as_str()))
    {
        return Err(format!("unknown section: {name}"));
    }
    let mut world = World::default();
    each(file, "adminKeys", |key| {
        world
            .admin_keys
            .insert(key.as_str().ok_or("a key must be a string")?.to_owned());
        Ok(())
    })?;
    each(file, "applicationKeys", |item| {
        let (key, user) = (item["key"].as_str(), item["userId"].as_str());
        let (Some(key), Some(user)) = (key, user) else {
            return Err("an application key needs key and userId".into());
        };
        let id = world.ids.next();
        world.application_keys.push(ApplicationKey {
            id,
            key: key.into(),
            user: user.into(),
        });
        Ok(())
    })?;
    if let Some(multi_tenancy) = file.get("multiTenancy") {
        world.catalog.multi_tenancy = multi_tenancy
            .as_bool()
            .ok_or("multiTenancy must be true or false")?;
    }
    all::<Tenant>(&mut world, file, "tenants")?;
    all::<Attribute>(&mut world, file, "attributes")?;
    all::<Metric>(&mut world, file, "metrics")?;
    all::<Achievement>(&mut world, file, "achievements")?;
    each(file, "users", |item| {
        let fields = item.as_object().ok_or("a user must be an object")?;
        let mut fields = fields.clone();
        let tenant = fields.remove("tenantId");
        let tenant = tenant.as_ref().and_then(Value::as_str).unwrap_or_default();
        let id = users::id_of(&fields).map_err(|refusal| refusal.body()["error"].to_string())?;
        users::upsert(&mut world, tenant, id, &fields)
            .map_err(|refusal| refusal.body()["error"].to_string())
    })?;
    each(file, "pointsSystems", |item| {
        let item = resolved(item, "", &world.catalog)?;
        let (_, issues) = add_system(&mut world, "", &item)?;
        issues.first().map_or(Ok(()), |issue| Err(issue.clone()))
    })?;
    all::<Leaderboard>(&mut world, file, "leaderboards")?;
    if let Some(settings) = file.get("streakSettings") {
        let settings = settings
            .as_object()
            .ok_or("streakSettings must be an object")?;
        world.catalog.streaks = world.catalog.streaks.with(settings, &world.catalog)?;
    }
    if let Some(settings) = file.get("settings") {
        let settings = settings.as_object().ok_or("settings must be an object")?;
        world.catalog.settings.apply(settings)?;
    }
    Ok(world)
}

fn each(
    file: &Value,
    section: &str,
    mut make: impl FnMut(&Value) -> Result<(), String>,
) -> Result<(), String> {
    let Some(items) = file.get(section) else {
        return Ok(());
    };
    let items = items
        .as_array()
        .ok_or(format!("{section} must be an array"))?;
    for (at, item) in items.iter().enumerate() {
        make(item).map_err(|why| format!("{section}[{at}]: {why}"))?;
    }
    Ok(())
}

fn all<R: Resource>(world: &mut World, file: &Value, section: &str) -> Result<(), String> {
    each(file, section, |item| {
        let item = resolved(item, "", &world.catalog)?;
        add::<R>(world, "", "", &item).map(|_| ())
    })
}

/// The item with ids in place of keys: `metricKey` becomes `metricId`, and so on.
fn resolved(item: &Value, within: &str, catalog: &Catalog) -> Result<Value, String> {
    match item {
        Value::Array(items) => items
            .iter()
            .map(|item| resolved(item, within, catalog))
            .collect(),
        Value::String(key) if matches!(within, "breakdownAttributes" | "achievementIds") => {
            let id = match within {
                "breakdownAttributes" => attribute(key, "user", catalog),
                _ => achievement(key, catalog),
            };
            id.map(|id| id.to_string().into())
                .ok_or(format!("{within}: there is no {key}"))
        }
        Value::Object(fields) => {
            let mut shown = Map::new();
            for (name, value) in fields {
                let key = value.as_str().unwrap_or_default();
                let (id_name, id) = match name.as_str() {
                    "metricKey" => ("metricId", catalog.metric(key).map(Metric::id)),
                    "achievementKey" => ("achievementId", achievement(key, catalog)),
                    "attributeKey" => {
                        let of = if within == "eventAttributes" {
                            "event"
                        } else {
                            "user"
                        };
                        ("attributeId", attribute(key, of, catalog))
                    }
                    "pointsSystemKey" => {
                        let systems = &catalog.points_systems;
                        let found = systems.iter().find(|system| system.key == key);
                        ("pointsSystemId", found.map(|system| system.id))
                    }
                    name => {
                        shown.insert(name.into(), resolved(value, name, catalog)?);
                        continue;
                    }
                };
                let id = id.ok_or(format!("{name}: there is no {key}"))?;
                shown.insert(id_name.into(), id.to_string().into());
            }
            Ok(shown.into())
        }
        other => Ok(other.clone()),
    }
}

fn attribute(key: &str, of: &str, catalog: &Catalog) -> Option<Uuid> {
    catalog
        .attributes
        .iter()
        .find(|a| a.key == key && a.of == of)
        .map(Attribute::id)
}

/// Only `api` achievements have a key; the others go by name.
fn achievement(key: &str, catalog: &Catalog) -> Option<Uuid> {
    let found = catalog.achievements.iter().find(|achievement| {
        achievement.name == key
            || matches!(&achievement.trigger, Trigger::Api { key: own } if own == key)
    });
    found.map(Achievement::id)
}
