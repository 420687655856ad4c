//! Reading the fields of an item: each with its type, and a message that names it.

use std::cell::RefCell;

use jiff::civil::{Date, Time};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The fields of an item. It remembers which were asked for, so that unknown ones are refused.
pub struct Fields<'a> {
    item: &'a Map<String, Value>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    pub fn of(item: &'a Value) -> Result<Self, String> {
        let item = item.as_object().ok_or("Item must be an object")?;
        Ok(Self {
            item,
            asked: RefCell::new(vec!["id"]),
        })
    }

    /// The field; absent and null are the same.
    pub fn value(&self, name: &'static str) -> Option<&'a Value> {
        self.asked.borrow_mut().push(name);
        self.item.get(name).filter(|value| !value.is_null())
    }

    /// Whether the item has the field, were it null.
    pub fn has(&self, name: &'static str) -> bool {
        self.asked.borrow_mut().push(name);
        self.item.contains_key(name)
    }

    pub fn all_known(&self) -> Result<(), String> {
        let asked = self.asked.borrow();
        match self
            .item
            .keys()
            .find(|name| !asked.contains(&name.as_str()))
        {
            Some(name) => Err(format!("Unknown field: {name}")),
            None => Ok(()),
        }
    }

    pub fn text(&self, name: &'static str) -> Result<String, String> {
        match self.maybe_text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(format!("{name} must be a string")),
        }
    }

    /// A text of at most 255 characters.
    pub fn short_text(&self, name: &'static str) -> Result<String, String> {
        match self.text(name)? {
            text if text.chars().count() > 255 => {
                Err(format!("{name} must have at most 255 characters"))
            }
            text => Ok(text),
        }
    }

    pub fn maybe_text(&self, name: &'static str) -> Result<Option<String>, String> {
        self.value(name)
            .map(|value| {
                value
                    .as_str()
                    .map(str::to_owned)
                    .ok_or(format!("{name} must be a string"))
            })
            .transpose()
    }

    /// A key: letters, digits, `-` and `_`.
    pub fn key(&self) -> Result<String, String> {
        let key = self.text("key")?;
        if key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        {
            Ok(key)
        } else {
            Err("key may only contain letters, digits, - and _".into())
        }
    }

    pub fn one_of(
        &self,
        name: &'static str,
        choices: &[&'static str],
    ) -> Result<&'static str, String> {
        self.maybe_one_of(name, choices)?
            .ok_or_else(|| format!("{name} must be one of {}", choices.join(", ")))
    }

    pub fn maybe_one_of(
        &self,
        name: &'static str,
        choices: &[&'static str],
    ) -> Result<Option<&'static str>, String> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        match choices.iter().find(|choice| value.as_str() == Some(choice)) {
            Some(choice) => Ok(Some(choice)),
            None => Err(format!("{name} must be one of {}", choices.join(", "))),
        }
    }

    pub fn maybe_integer(&self, name: &'static str, least: i64) -> Result<Option<i64>, String> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        match value.as_i64().filter(|number| *number >= least) {
            Some(number) => Ok(Some(number)),
            None if least == i64::MIN => Err(format!("{name} must be an integer")),
            None => Err(format!("{name} must be an integer of at least {least}")),
        }
    }

    pub fn integer(&self, name: &'static str, least: i64) -> Result<i64, String> {
        self.maybe_integer(name, least)?
            .ok_or_else(|| format!("{name} must be an integer"))
    }

    pub fn maybe_number(&self, name: &'static str) -> Result<Option<f64>, String> {
        self.value(name)
            .map(|value| value.as_f64().ok_or(format!("{name} must be a number")))
            .transpose()
    }

    pub fn flag(&self, name: &'static str) -> Result<bool, String> {
        match self.value(name) {
            None => Ok(false),
            Some(value) => value
                .as_bool()
                .ok_or(format!("{name} must be true or false")),
        }
    }

    pub fn maybe_date(&self, name: &'static str) -> Result<Option<Date>, String> {
        let Some(text) = self.maybe_text(name)? else {
            return Ok(None);
        };
        crate::call::date(&text)
            .map(Some)
            .ok_or(format!("{name} must be a date in YYYY-MM-DD format"))
    }

    /// A time of day, kept as it was written.
    pub fn maybe_time(&self, name: &'static str) -> Result<Option<String>, String> {
        let Some(text) = self.maybe_text(name)? else {
            return Ok(None);
        };
        if time(&text).is_some() {
            Ok(Some(text))
        } else {
            Err(format!("{name} must be a time in HH:MM or HH:MM:SS format"))
        }
    }

    pub fn maybe_id(&self, name: &'static str) -> Result<Option<Uuid>, String> {
        let Some(text) = self.maybe_text(name)? else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| format!("{name} must be a UUID"))
    }

    pub fn ids(&self, name: &'static str) -> Result<Vec<Uuid>, String> {
        self.list(name)?
            .iter()
            .map(|value| value.as_str().and_then(|text| text.parse().ok()))
            .collect::<Option<_>>()
            .ok_or_else(|| format!("{name} must be an array of UUIDs"))
    }

    /// An array, empty if left out.
    pub fn list(&self, name: &'static str) -> Result<&'a [Value], String> {
        match self.value(name) {
            None => Ok(&[]),
            Some(value) => value
                .as_array()
                .map(Vec::as_slice)
                .ok_or(format!("{name} must be an array")),
        }
    }

    /// `{"url":"…"}`.
    pub fn badge(&self) -> Result<Option<String>, String> {
        let Some(badge) = self.value("badge") else {
            return Ok(None);
        };
        match badge["url"].as_str() {
            Some(url) => Ok(Some(url.to_owned())),
            None => Err("badge must have a url".into()),
        }
    }
}

/// `HH:MM` or `HH:MM:SS`.
pub fn time(text: &str) -> Option<Time> {
    let form = |(at, byte): (usize, u8)| match at {
        2 | 5 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    let written = matches!(text.len(), 5 | 8) && text.bytes().enumerate().all(form);
    // jiff takes a leap second; the service does not.
    let time: Time = text.parse().ok().filter(|_| written)?;
    (!text.ends_with(":60")).then_some(time)
}

/// A badge as the Admin API shows it.
pub fn badge(url: &Option<String>) -> Value {
    url.as_ref()
        .map_or(Value::Null, |url| json!({ "url": url }))
}

/// Leaves out what is null: optional fields have no null in the schemas.
pub fn compact(mut shown: Value) -> Value {
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    shown
}
