//! Tenants: the customers of a multi-tenant application.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fields::Fields;
use super::{Context, Resource};
use crate::clock::written;
use crate::world::Catalog;

#[derive(Clone, Debug)]
pub struct Tenant {
    pub id: Uuid,
    /// The application's own id for it: what `Tenant-ID` carries.
    pub customer_id: String,
    name: String,
    created: Timestamp,
    updated: Timestamp,
}

impl Resource for Tenant {
    const NOUN: &'static str = "Tenant";
    fn id(&self) -> Uuid {
        self.id
    }

    fn fixed(&self) -> &'static [&'static str] {
        &[]
    }

    fn read(id: Uuid, fields: &Fields, context: &Context) -> Result<Self, String> {
        // An update reads what `show` wrote; these are not for a caller to set.
        for name in ["status", "created", "updated"] {
            fields.value(name);
        }
        Ok(Self {
            id,
            customer_id: fields.short_text("customerId")?,
            name: fields.short_text("name")?,
            created: context.now,
            updated: context.now,
        })
    }

    fn show(&self, _: Timestamp) -> Value {
        json!({
            "id": self.id.to_string(),
            "customerId": self.customer_id,
            "name": self.name,
            "status": "active",
            "created": written(self.created),
            "updated": written(self.updated),
        })
    }

    fn shelf<'a>(catalog: &'a mut Catalog, _: &str) -> Option<&'a mut Vec<Self>> {
        Some(&mut catalog.tenants)
    }

    fn clash(&self, other: &Self) -> Option<String> {
        (self.customer_id == other.customer_id).then(|| {
            format!(
                "Customer ID \"{}\" already exists in this environment",
                self.customer_id
            )
        })
    }

    fn carry(&mut self, former: &Self) {
        self.created = former.created;
    }
}
