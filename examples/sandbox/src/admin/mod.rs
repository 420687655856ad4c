//! The Admin API: what a dashboard sets up. One file per resource; what they share is here.

pub mod achievements;
pub mod attributes;
pub mod batches;
pub mod fields;
pub mod keys;
pub mod leaderboards;
pub mod metrics;
pub mod points;
pub mod settings;
pub mod streak_settings;
pub mod streaks;
pub mod tenants;

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::call::{Answer, Call, Refusal, Reply, items, ok};
use crate::world::{Catalog, World};
use fields::Fields;

/// The most items a create, update or delete takes.
pub const MOST: usize = 100;

/// Something that is set up over the Admin API. A new resource is this much code and five rows in
/// `operations.rs`.
pub trait Resource: Clone {
    /// What messages call it: "Metric".
    const NOUN: &'static str;
    /// Fields that may be null, in a create and in an update.
    const NULLABLE: (&'static [&'static str], &'static [&'static str]) = (&[], &[]);
    /// The field that says which kind it is, and those that only some kinds have: with a new kind,
    /// they start anew.
    const KIND: (&'static str, &'static [&'static str]) = ("", &[]);

    fn id(&self) -> Uuid;
    /// Fields that an update must leave alone, as the resource is now.
    fn fixed(&self) -> &'static [&'static str] {
        &["key"]
    }
    /// Reads one item of a create; an update gives the item as it will be.
    fn read(id: Uuid, fields: &Fields, context: &Context) -> Result<Self, String>;
    /// As the Admin API shows it; `read` understands it.
    fn show(&self, now: Timestamp) -> Value;
    /// Where they are kept; `None` if the parent in the path does not exist.
    fn shelf<'a>(catalog: &'a mut Catalog, parent: &str) -> Option<&'a mut Vec<Self>>;
    /// Whether two of them cannot both be, and why.
    fn clash(&self, _other: &Self) -> Option<String> {
        None
    }
    /// Takes over from its former self what no item says.
    fn carry(&mut self, _former: &Self) {}
}

/// What reading an item may look at.
pub struct Context<'a> {
    pub catalog: &'a Catalog,
    pub now: Timestamp,
    /// Whether a user exists in the tenant that asks.
    pub user_exists: &'a dyn Fn(&str) -> bool,
}

pub fn issue(message: impl Into<String>) -> Value {
    json!({ "severity": "error", "message": message.into() })
}

/// An array of results, `created` or the like, with the issues: 201 if anything was done, else 200.
pub fn outcome(name: &str, done: Vec<Value>, issues: Vec<Value>, success: u16) -> Answer {
    let status = if done.is_empty() { 200 } else { success };
    Ok(Reply {
        status,
        body: json!({ name: done, "issues": issues }),
    })
}

fn shelf<'a, R: Resource>(world: &'a mut World, call: &Call) -> Result<&'a mut Vec<R>, Refusal> {
    R::shelf(&mut world.catalog, call.path(0))
        .ok_or_else(|| Refusal::NotFound("Points system not found".into()))
}

/// Where a resource's own id stands in the path: after its parent's, if it has one.
fn own_id(call: &Call) -> &str {
    call.path.last().map_or("", String::as_str)
}

fn numbered(mut issue: Value, index: usize) -> Value {
    issue["index"] = index.into();
    issue
}

pub fn list<R: Resource>(world: &mut World, call: &Call) -> Answer {
    let limit = call.query_number("limit", 10, 1..=100)?;
    let skip = call.query_number("skip", 0, 0..=usize::MAX)?;
    let now = world.now();
    let shelf = shelf::<R>(world, call)?;
    ok(shelf
        .iter()
        .skip(skip)
        .take(limit)
        .map(|resource| resource.show(now))
        .collect::<Vec<_>>())
}

pub fn get<R: Resource>(world: &mut World, call: &Call) -> Answer {
    let id = own_id(call).parse::<Uuid>().ok();
    let now = world.now();
    match shelf::<R>(world, call)?
        .iter()
        .find(|resource| Some(resource.id()) == id)
    {
        Some(resource) => ok(resource.show(now)),
        None => Err(Refusal::NotFound(format!("{} not found", R::NOUN))),
    }
}

pub fn create<R: Resource>(world: &mut World, call: &Call) -> Answer {
    shelf::<R>(world, call)?;
    let (mut created, mut issues) = (Vec::new(), Vec::new());
    for (index, item) in call.array(MOST)?.iter().enumerate() {
        match add::<R>(world, &call.tenant, call.path(0), item) {
            Ok(resource) => created.push(resource.show(world.now())),
            Err(why) => issues.push(numbered(issue(why), index)),
        }
    }
    outcome("created", created, issues, 201)
}

/// Creates one: for the Admin API and for world files alike.
pub fn add<R: Resource>(
    world: &mut World,
    tenant: &str,
    parent: &str,
    item: &Value,
) -> Result<R, String> {
    refuse_nulls(item, R::NULLABLE.0)?;
    let id = world.ids.next();
    let resource = read::<R>(world, tenant, id, item)?;
    let Some(shelf) = R::shelf(&mut world.catalog, parent) else {
        return Err("Points system not found".into());
    };
    if let Some(why) = shelf.iter().find_map(|other| resource.clash(other)) {
        return Err(why);
    }
    shelf.push(resource.clone());
    Ok(resource)
}

/// Null is a value, not a field left out: it clears what may be clear.
fn refuse_nulls(item: &Value, nullable: &[&str]) -> Result<(), String> {
    let mut fields = item.as_object().into_iter().flatten();
    match fields.find(|(name, value)| value.is_null() && !nullable.contains(&name.as_str())) {
        Some((name, _)) => Err(format!("{name} must not be null")),
        None => Ok(()),
    }
}

fn read<R: Resource>(world: &World, tenant: &str, id: Uuid, item: &Value) -> Result<R, String> {
    let fields = Fields::of(item)?;
    let context = Context {
        catalog: &world.catalog,
        now: world.clock.now(),
        user_exists: &|user| {
            world
                .communities
                .get(tenant)
                .is_some_and(|them| them.users.contains_key(user))
        },
    };
    let resource = R::read(id, &fields, &context)?;
    fields.all_known()?;
    Ok(resource)
}

pub fn update<R: Resource>(world: &mut World, call: &Call) -> Answer {
    shelf::<R>(world, call)?;
    let (mut updated, mut issues) = (Vec::new(), Vec::new());
    for (index, item) in call.array(MOST)?.iter().enumerate() {
        match change::<R>(world, call, item) {
            Ok(resource) => updated.push(resource.show(world.now())),
            Err(why) => {
                let mut issue = numbered(issue(why), index);
                if let Some(id) = item["id"].as_str() {
                    issue["id"] = id.into();
                }
                issues.push(issue);
            }
        }
    }
    outcome("updated", updated, issues, 200)
}

fn change<R: Resource>(world: &mut World, call: &Call, item: &Value) -> Result<R, String> {
    let missing = || format!("{} not found", R::NOUN);
    let id: Uuid = Fields::of(item)?
        .text("id")?
        .parse()
        .map_err(|_| "id must be a UUID")?;
    let former = R::shelf(&mut world.catalog, call.path(0))
        .and_then(|shelf| shelf.iter().find(|resource| resource.id() == id).cloned())
        .ok_or_else(missing)?;
    refuse_nulls(item, R::NULLABLE.1)?;
    let mut merged = former.show(world.now());
    let (kind, of_kind) = R::KIND;
    if item.get(kind).is_some_and(|new| *new != merged[kind]) {
        for name in of_kind {
            merged.as_object_mut().map(|fields| fields.remove(*name));
        }
    }
    let changes = item.as_object().into_iter().flatten();
    for (name, value) in changes.filter(|(name, _)| *name != "id") {
        if former.fixed().contains(&name.as_str()) && merged[name] != *value {
            return Err(format!("{name} cannot be changed"));
        }
        merged[name] = value.clone();
    }
    let mut resource = read::<R>(world, &call.tenant, id, &merged)?;
    resource.carry(&former);
    let shelf = R::shelf(&mut world.catalog, call.path(0)).ok_or_else(missing)?;
    let others = shelf.iter().filter(|other| other.id() != id);
    if let Some(why) = others.into_iter().find_map(|other| resource.clash(other)) {
        return Err(why);
    }
    if let Some(place) = shelf.iter_mut().find(|other| other.id() == id) {
        *place = resource.clone();
    }
    Ok(resource)
}

pub fn delete<R: Resource>(world: &mut World, call: &Call) -> Answer {
    let shelf = shelf::<R>(world, call)?;
    remove(call, R::NOUN, |id| {
        let before = shelf.len();
        shelf.retain(|resource| resource.id() != id);
        shelf.len() < before
    })
}

/// Deletes by the query's `ids`; `take` says whether there was such a one.
pub fn remove(call: &Call, noun: &str, mut take: impl FnMut(Uuid) -> bool) -> Answer {
    let ids = call.query_list("ids");
    if ids.is_empty() || ids.len() > MOST {
        return Err(Refusal::Unprocessable(format!(
            "ids must have 1 to {MOST} items"
        )));
    }
    let (mut deleted, mut issues) = (Vec::new(), Vec::new());
    for id in ids {
        let parsed = id.parse::<Uuid>().ok();
        if let Some(parsed) = parsed.filter(|parsed| take(*parsed)) {
            deleted.push(json!({ "id": parsed.to_string() }));
        } else {
            let mut issue = issue(format!("{noun} not found"));
            issue["id"] = id.into();
            issues.push(issue);
        }
    }
    outcome("deleted", deleted, issues, 200)
}

/// A user's id, and the item that names it.
pub type Named<'a> = (&'a str, &'a Map<String, Value>);

/// The items of a body like `{"users":[{"id":"18"}]}`: each with the user it names, once.
pub fn named_users<'a>(
    call: &'a Call,
    list: &str,
    id: &str,
    least: usize,
) -> Result<Vec<Named<'a>>, Refusal> {
    let body = call.object()?;
    let items = items(body.get(list).unwrap_or(&Value::Null), list, least, MOST)?;
    let mut seen = HashSet::new();
    items
        .iter()
        .map(|item| {
            let object = item.as_object();
            object
                .and_then(|fields| Some((fields.get(id)?.as_str()?, fields)))
                .ok_or_else(|| {
                    Refusal::Malformed(format!("each item of {list} needs a string {id}"))
                })
        })
        .filter(|item| {
            item.as_ref().map_or(true, |(user, fields)| {
                seen.insert((user.to_string(), fields.get("start").map(Value::to_string)))
            })
        })
        .collect()
}
