//! Levels of a points system.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::system;
use crate::admin::fields::{Fields, badge};
use crate::admin::{Context, Resource};
use crate::world::Catalog;

#[derive(Clone, Debug)]
pub struct Level {
    pub id: Uuid,
    pub key: String,
    pub name: String,
    pub description: String,
    pub badge: Option<String>,
    pub points: i64,
}

impl Resource for Level {
    const NOUN: &'static str = "Level";
    const NULLABLE: (&'static [&'static str], &'static [&'static str]) = (&[], &["badge"]);

    fn id(&self) -> Uuid {
        self.id
    }

    fn read(id: Uuid, fields: &Fields, _: &Context) -> Result<Self, String> {
        Ok(Self {
            id,
            key: fields.key()?,
            name: fields.text("name")?,
            description: fields.maybe_text("description")?.unwrap_or_default(),
            badge: fields.badge()?,
            points: fields.integer("points", 0)?,
        })
    }

    fn show(&self, _: Timestamp) -> Value {
        json!({
            "id": self.id.to_string(),
            "key": self.key,
            "name": self.name,
            "description": self.description,
            "badge": badge(&self.badge),
            "points": self.points,
        })
    }

    fn shelf<'a>(catalog: &'a mut Catalog, parent: &str) -> Option<&'a mut Vec<Self>> {
        system(catalog, parent).map(|system| &mut system.levels)
    }

    fn clash(&self, other: &Self) -> Option<String> {
        (self.key == other.key).then(|| "Key already in use by another level".into())
    }
}
