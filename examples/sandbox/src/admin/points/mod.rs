//! Points systems as they are set up, with their levels, boosts and triggers.

mod boost;
mod level;
mod trigger;

pub use boost::Boost;
pub use level::Level;
pub use trigger::{On, Trigger};

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fields::{Fields, badge};
use super::{Context, Resource, add, issue, outcome};
use crate::call::{Answer, Call};
use crate::world::{Catalog, World};

#[derive(Clone, Debug)]
pub struct PointsSystem {
    pub id: Uuid,
    pub key: String,
    pub name: String,
    pub description: Option<String>,
    pub badge: Option<String>,
    pub most: Option<i64>,
    pub levels: Vec<Level>,
    pub boosts: Vec<Boost>,
    pub triggers: Vec<Trigger>,
}

impl PointsSystem {
    /// The highest level that so many points reach.
    pub fn level_at(&self, points: i64) -> Option<&Level> {
        self.levels
            .iter()
            .filter(|level| level.points <= points)
            .max_by_key(|level| level.points)
    }
}

fn system<'a>(catalog: &'a mut Catalog, id: &str) -> Option<&'a mut PointsSystem> {
    let id: Uuid = id.parse().ok()?;
    catalog
        .points_systems
        .iter_mut()
        .find(|system| system.id == id)
}

/// Creates systems, each with the levels, boosts and triggers its item brings along.
pub fn create_systems(world: &mut World, call: &Call) -> Answer {
    let (mut created, mut issues) = (Vec::new(), Vec::new());
    for (index, item) in call.array(super::MOST)?.iter().enumerate() {
        match add_system(world, &call.tenant, item) {
            Ok((shown, troubles)) => {
                created.push(shown);
                issues.extend(
                    troubles
                        .into_iter()
                        .map(|why| super::numbered(issue(why), index)),
                );
            }
            Err(why) => issues.push(super::numbered(issue(why), index)),
        }
    }
    outcome("created", created, issues, 201)
}

const PARTS: [&str; 3] = ["levels", "boosts", "triggers"];

/// Creates a system; the second list says what of its parts could not be.
pub fn add_system(
    world: &mut World,
    tenant: &str,
    item: &Value,
) -> Result<(Value, Vec<String>), String> {
    for name in PARTS {
        if item.get(name).is_some_and(|parts| !parts.is_array()) {
            return Err(format!("{name} must be an array"));
        }
    }
    let mut bare = item.clone();
    if let Some(fields) = bare.as_object_mut() {
        fields.retain(|name, _| !PARTS.contains(&name.as_str()));
    }
    let created = add::<PointsSystem>(world, tenant, "", &bare)?;
    let parent = created.id.to_string();
    let now = world.now();
    let mut shown = created.show(now);
    let mut issues = Vec::new();
    let mut parts = |name: &str, make: &mut dyn FnMut(&Value) -> Result<Value, String>| {
        let Some(items) = item.get(name).and_then(Value::as_array) else {
            return;
        };
        let mut made = Vec::new();
        for (at, part) in items.iter().enumerate() {
            match make(part) {
                Ok(part) => made.push(part),
                Err(why) => issues.push(format!("{name}[{at}]: {why}")),
            }
        }
        shown[name] = made.into();
    };
    parts("levels", &mut |part| {
        add::<Level>(world, tenant, &parent, part).map(|p| p.show(now))
    });
    parts("boosts", &mut |part| {
        add::<Boost>(world, tenant, &parent, part).map(|p| p.show(now))
    });
    parts("triggers", &mut |part| {
        add::<Trigger>(world, tenant, &parent, part).map(|p| p.show(now))
    });
    Ok((shown, issues))
}

impl Resource for PointsSystem {
    const NOUN: &'static str = "Points system";
    const NULLABLE: (&'static [&'static str], &'static [&'static str]) =
        (&["badge", "maxPoints"], &["badge", "maxPoints"]);

    fn id(&self) -> Uuid {
        self.id
    }

    fn read(id: Uuid, fields: &Fields, _: &Context) -> Result<Self, String> {
        fields.value("status"); // `show` writes it; a system in the list is active
        Ok(Self {
            id,
            key: fields.key()?,
            name: fields.text("name")?,
            description: fields.maybe_text("description")?,
            badge: fields.badge()?,
            most: fields.maybe_integer("maxPoints", 1)?,
            levels: Vec::new(),
            boosts: Vec::new(),
            triggers: Vec::new(),
        })
    }

    fn show(&self, _: Timestamp) -> Value {
        json!({
            "id": self.id.to_string(),
            "key": self.key,
            "name": self.name,
            "description": self.description.as_deref().unwrap_or_default(),
            "status": "active",
            "badge": badge(&self.badge),
            "maxPoints": self.most,
        })
    }

    fn shelf<'a>(catalog: &'a mut Catalog, _: &str) -> Option<&'a mut Vec<Self>> {
        Some(&mut catalog.points_systems)
    }

    fn clash(&self, other: &Self) -> Option<String> {
        (self.key == other.key).then(|| "Key already in use by another points system".into())
    }

    fn carry(&mut self, former: &Self) {
        self.levels.clone_from(&former.levels);
        self.boosts.clone_from(&former.boosts);
        self.triggers.clone_from(&former.triggers);
    }
}
