//! What the page shows of the world: its users, one of them, and what is set up, as the service's own operations
//! answer. To look does not count as a request.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::call::{Actor, Answer, Call, number};
use crate::control::Order;
use crate::operations::OPERATIONS;
use crate::service::State;
use crate::users::User;
use crate::world::World;
use crate::{achievements, leaderboards, metrics, points, preferences, streaks, users as people};

/// Users in one answer.
const MOST_USERS: usize = 100;
/// Places of a leaderboard.
const PLACES: &str = "10";
/// Groups of a leaderboard with breakdown.
const GROUPS: usize = 12;
/// Periods of a streak: eighteen weeks, if they are days.
const PERIODS: &str = "126";

/// What an operation answers the organisation itself; null if it refuses.
fn ask(
    world: &mut World,
    tenant: &str,
    handler: fn(&mut World, &Call) -> Answer,
    path: &[&str],
    query: &[(&str, &str)],
) -> Value {
    let call = Call {
        path: path.iter().map(|part| (*part).to_owned()).collect(),
        query: query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        headers: HeaderMap::new(),
        body: Ok(None),
        tenant: tenant.to_owned(),
        actor: Actor::Admin,
    };
    handler(world, &call).map_or(Value::Null, |reply| reply.body)
}

/// `?q=` is a part of an id, a name or an email; `?tenant=` one tenant only. Those that changed last come first.
pub fn users(state: &mut State, order: &Order) -> Result<Value, String> {
    let wanted = order.query("q").unwrap_or_default().to_lowercase();
    let tenant = order.query("tenant");
    let fits = |user: &User| {
        [Some(&*user.id), user.name.as_deref(), user.email.as_deref()]
            .into_iter()
            .flatten()
            .any(|text| text.to_lowercase().contains(&wanted))
    };
    let world = &state.world;
    let mut found: Vec<(&str, &User)> = world
        .communities
        .iter()
        .filter(|(name, _)| tenant.as_ref().is_none_or(|tenant| tenant == *name))
        .flat_map(|(name, community)| {
            let users = community.users.values();
            users.map(move |user| (name.as_str(), &**user))
        })
        .filter(|(_, user)| fits(user))
        .collect();
    let count = found.len();
    let all: usize = world.communities.values().map(|c| c.users.len()).sum();
    found.sort_by(|(_, a), (_, b)| b.last_change().cmp(&a.last_change()).then(a.id.cmp(&b.id)));
    found.truncate(MOST_USERS);
    let now = world.now();
    let found: Vec<(String, String)> = found
        .into_iter()
        .map(|(tenant, user)| (tenant.to_owned(), user.id.to_string()))
        .collect();
    let rows: Vec<Value> = found
        .iter()
        .map(|(tenant, id)| {
            let (catalog, community, _) = state.world.parts(tenant);
            let Some(user) = community.users.get_mut(id.as_str()) else {
                return Value::Null;
            };
            let totals = catalog.metrics.iter().filter_map(|metric| {
                let tally = user.metrics.get(&metric.id)?;
                Some(json!({ "name": metric.name, "total": number(tally.total) }))
            });
            let totals: Vec<Value> = totals.collect();
            json!({
                "tenant": tenant,
                "id": id,
                "name": user.name,
                "email": user.email,
                "totals": totals,
                "achievements": catalog.achievements.iter()
                    .filter(|a| user.achievements.contains(&a.id)).count(),
                "streak": user.streak_length(catalog, now),
            })
        })
        .collect();
    Ok(json!({ "users": rows, "found": count, "all": all }))
}

/// `?id=` and `?tenant=`: all there is of a user.
pub fn user(state: &mut State, order: &Order) -> Result<Value, String> {
    let id = order.query("id").ok_or("id must be a user's id")?;
    let tenant = order.query("tenant").unwrap_or_default();
    let world = &mut state.world;
    let known = world.communities.get(&tenant);
    if !known.is_some_and(|community| community.users.contains_key(id.as_str())) {
        return Err(format!("there is no user {id}"));
    }
    let incomplete = [("includeIncomplete", "true")];
    let periods = [("historyPeriods", PERIODS)];
    let mut list = ask(world, &tenant, achievements::of_user, &[&id], &incomplete);
    for shown in list.as_array_mut().into_iter().flatten() {
        let all = &world.catalog.achievements;
        let own = all.iter().find(|a| shown["id"] == a.id.to_string());
        shown["locked"] = own.is_some_and(|a| a.status == "locked").into();
    }
    let systems: Vec<String> = keys_of_systems(world);
    let boards: Vec<String> = keys_of_boards(world);
    Ok(json!({
        "tenant": tenant,
        "user": ask(world, &tenant, people::get, &[&id], &[]),
        "metrics": ask(world, &tenant, metrics::all, &[&id], &[]),
        "streak": ask(world, &tenant, streaks::get, &[&id], &periods),
        "achievements": list,
        "points": systems.iter().map(|key| {
            let mut shown = ask(world, &tenant, points::of_user, &[&id, key], &[]);
            shown["levels"] = ask(world, &tenant, points::levels, &[key], &[]);
            shown
        }).collect::<Vec<_>>(),
        "leaderboards": boards.iter()
            .map(|key| ask(world, &tenant, leaderboards::of_user, &[&id, key], &[("numEvents", "1")]))
            .collect::<Vec<_>>(),
        "preferences": ask(world, &tenant, preferences::get, &[&id], &[]),
    }))
}

fn keys_of_systems(world: &World) -> Vec<String> {
    let systems = world.catalog.points_systems.iter();
    systems.map(|system| system.key.clone()).collect()
}

fn keys_of_boards(world: &World) -> Vec<String> {
    let boards = world.catalog.leaderboards.iter();
    boards
        .filter(|board| board.status != "inactive")
        .map(|board| board.key.clone())
        .collect()
}

/// `?tenant=`: what is set up, and how its leaderboards and points systems stand.
pub fn world(state: &mut State, order: &Order) -> Result<Value, String> {
    let tenant = order.query("tenant").unwrap_or_default();
    let rates = state.rates;
    let world = &mut state.world;
    // To look at a tenant makes its community: one without users is none that was used.
    let communities = world.communities.iter();
    let mut tenants: Vec<String> = communities
        .filter(|(_, community)| !community.users.is_empty())
        .map(|(tenant, _)| tenant.clone())
        .collect();
    tenants.extend(world.catalog.tenants.iter().map(|t| t.customer_id.clone()));
    tenants.sort();
    tenants.dedup();
    if !tenant.is_empty() && !tenants.contains(&tenant) {
        return Err(format!("there is no tenant {tenant}"));
    }
    let boards: Vec<Value> = keys_of_boards(world)
        .iter()
        .flat_map(|key| rankings(world, &tenant, key))
        .collect();
    let systems: Vec<Value> = keys_of_systems(world)
        .iter()
        .map(|key| {
            let mut shown = ask(world, &tenant, points::system, &[key], &[]);
            shown["levels"] = ask(world, &tenant, points::level_summary, &[key], &[]);
            shown["summary"] = ask(world, &tenant, points::points_summary, &[key], &[]);
            shown
        })
        .collect();
    let metrics = world.catalog.metrics.iter();
    Ok(json!({
        "tenants": tenants,
        "multiTenancy": world.catalog.multi_tenancy,
        "metrics": metrics.map(|m| json!({ "key": m.key, "name": m.name })).collect::<Vec<_>>(),
        "attributes": world.catalog.attributes.iter()
            .filter(|a| a.of == "event").map(|a| a.key.as_str()).collect::<Vec<_>>(),
        "leaderboards": boards,
        "pointsSystems": systems,
        "limits": { "tierOne": rates.tier_one, "tierTwo": rates.tier_two },
        "operations": OPERATIONS.iter().map(|o| o.id).collect::<Vec<_>>(),
    }))
}

/// A leaderboard's present ranking; of one with breakdown, that of each group that its users are in.
fn rankings(world: &mut World, tenant: &str, key: &str) -> Vec<Value> {
    let limit = [("limit", PLACES)];
    let all = ask(world, tenant, leaderboards::all, &[], &[]);
    let boards = all.as_array().map_or(&[][..], Vec::as_slice);
    let attributes = boards
        .iter()
        .find(|board| board["key"] == key)
        .and_then(|board| board["breakdownAttributes"].as_array())
        .map_or(&[][..], Vec::as_slice);
    if attributes.is_empty() {
        return vec![ask(world, tenant, leaderboards::get, &[key], &limit)];
    }
    let (_, community, _) = world.parts(tenant);
    let mut groups: Vec<String> = community
        .users
        .values()
        .filter_map(|user| {
            let pairs = attributes.iter().filter_map(Value::as_str).map(|name| {
                let value = user.attributes.get(name)?;
                Some(format!("{name}:{value}"))
            });
            Some(pairs.collect::<Option<Vec<_>>>()?.join(","))
        })
        .collect();
    groups.sort();
    groups.dedup();
    groups.truncate(GROUPS);
    groups
        .iter()
        .map(|group| {
            let query = [limit[0], ("userAttributes", group)];
            let mut shown = ask(world, tenant, leaderboards::get, &[key], &query);
            shown["group"] = group.as_str().into();
            shown
        })
        .filter(|shown| shown["key"].is_string())
        .collect()
}
