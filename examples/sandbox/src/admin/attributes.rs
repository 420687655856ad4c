//! Attributes: what users and events may carry. And filters by them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

use super::fields::Fields;
use super::{Context, Resource};
use crate::world::Catalog;

#[derive(Clone, Debug)]
pub struct Attribute {
    pub id: Uuid,
    pub name: String,
    pub key: String,
    pub of: &'static str,
}

impl Resource for Attribute {
    const NOUN: &'static str = "Attribute";
    fn id(&self) -> Uuid {
        self.id
    }

    fn fixed(&self) -> &'static [&'static str] {
        &["key", "type"]
    }

    fn read(id: Uuid, fields: &Fields, _: &Context) -> Result<Self, String> {
        Ok(Self {
            id,
            name: fields.text("name")?,
            key: fields.key()?,
            of: fields.one_of("type", &["user", "event"])?,
        })
    }

    fn show(&self, _: Timestamp) -> Value {
        json!({ "id": self.id.to_string(), "name": self.name, "key": self.key, "type": self.of })
    }

    fn shelf<'a>(catalog: &'a mut Catalog, _: &str) -> Option<&'a mut Vec<Self>> {
        Some(&mut catalog.attributes)
    }

    fn clash(&self, other: &Self) -> Option<String> {
        (self.key == other.key && self.of == other.of)
            .then(|| "Key already in use by another attribute of this type".into())
    }
}

/// "Only where this attribute has this value."
#[derive(Clone, Debug)]
pub struct Filter {
    attribute: Uuid,
    value: String,
}

/// Filters as the Admin API writes them: `[{"attributeId":…,"attributeValue":…}]`.
pub fn filters(
    fields: &Fields,
    name: &'static str,
    of: &str,
    catalog: &Catalog,
) -> Result<Vec<Filter>, String> {
    fields
        .list(name)?
        .iter()
        .map(|item| {
            let attribute = item["attributeId"].as_str().and_then(|id| id.parse().ok());
            let value = item["attributeValue"].as_str();
            let (Some(attribute), Some(value)) = (attribute, value) else {
                return Err(format!("{name} must be of attributeId and attributeValue"));
            };
            match catalog
                .attributes
                .iter()
                .find(|a| a.id == attribute && a.of == of)
            {
                Some(_) => Ok(Filter {
                    attribute,
                    value: value.to_owned(),
                }),
                None => Err(format!("{name} names an attribute that does not exist")),
            }
        })
        .collect()
}

pub fn show_filters(filters: &[Filter]) -> Value {
    filters
        .iter()
        .map(|filter| {
            json!({
                "attributeId": filter.attribute.to_string(),
                "attributeValue": filter.value,
            })
        })
        .collect()
}

/// Filters as the application API shows them: by key.
pub fn show_filters_by_key(filters: &[Filter], catalog: &Catalog) -> Value {
    filters
        .iter()
        .filter_map(|filter| {
            let attribute = catalog
                .attributes
                .iter()
                .find(|a| a.id == filter.attribute)?;
            Some(json!({ "key": attribute.key, "value": filter.value }))
        })
        .collect()
}

/// Adds an event's filters as the application API shows them: the list, and the one, deprecated.
pub fn show_event_filters(shown: &mut Value, filters: &[Filter], catalog: &Catalog) {
    let by_key = show_filters_by_key(filters, catalog);
    if let Some(first) = by_key.get(0) {
        shown["eventAttribute"] = first.clone();
    }
    shown["eventAttributes"] = by_key;
}

pub fn pass(filters: &[Filter], has: &BTreeMap<String, String>, catalog: &Catalog) -> bool {
    filters.iter().all(|filter| {
        catalog
            .attributes
            .iter()
            .find(|attribute| attribute.id == filter.attribute)
            .is_some_and(|attribute| has.get(&attribute.key) == Some(&filter.value))
    })
}

/// Checks attributes against those set up; null members are left out.
pub fn check(
    attributes: &Map<String, Value>,
    of: &str,
    catalog: &Catalog,
) -> Result<BTreeMap<String, String>, String> {
    let known = |key: &str| {
        catalog
            .attributes
            .iter()
            .any(|a| a.of == of && a.key == key)
    };
    let unknown: Vec<&str> = attributes
        .keys()
        .map(String::as_str)
        .filter(|key| !known(key))
        .collect();
    if !unknown.is_empty() {
        return Err(format!(
            "Invalid attribute keys: {}. Set up {of} attributes in the Trophy dashboard first.",
            unknown.join(", ")
        ));
    }
    attributes
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| match value.as_str() {
            Some(text) => Ok((key.clone(), text.to_owned())),
            None => Err(format!("The attribute {key} must be a string")),
        })
        .collect()
}
