//! Metrics: what is counted.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fields::Fields;
use super::{Context, Resource};
use crate::world::Catalog;

#[derive(Clone, Debug)]
pub struct Metric {
    pub id: Uuid,
    pub key: String,
    pub name: String,
    pub unit_type: &'static str,
    pub units: String,
}

impl Resource for Metric {
    const NOUN: &'static str = "Metric";

    fn id(&self) -> Uuid {
        self.id
    }

    fn read(id: Uuid, fields: &Fields, _: &Context) -> Result<Self, String> {
        let unit_type = fields
            .maybe_one_of("unitType", &["number", "currency"])?
            .unwrap_or("number");
        let units = fields.maybe_text("units")?.unwrap_or_default();
        let code = units.len() == 3 && units.bytes().all(|byte| byte.is_ascii_uppercase());
        if unit_type == "currency" && !code {
            return Err("units must be the code of a currency, such as USD".into());
        }
        Ok(Self {
            id,
            key: fields.key()?,
            name: fields.text("name")?,
            unit_type,
            units,
        })
    }

    fn show(&self, _: Timestamp) -> Value {
        json!({
            "id": self.id.to_string(),
            "key": self.key,
            "name": self.name,
            "unitType": self.unit_type,
            "units": self.units,
        })
    }

    fn shelf<'a>(catalog: &'a mut Catalog, _: &str) -> Option<&'a mut Vec<Self>> {
        Some(&mut catalog.metrics)
    }

    fn clash(&self, other: &Self) -> Option<String> {
        (self.key == other.key).then(|| "Key already in use by another metric".into())
    }
}
