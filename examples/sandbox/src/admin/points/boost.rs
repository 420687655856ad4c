//! Boosts of a points system.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use uuid::Uuid;

use super::system;
use crate::admin::attributes::{Filter, filters, show_filters};
use crate::admin::fields::Fields;
use crate::admin::{Context, Resource};
use crate::call::number;
use crate::world::Catalog;

/// A time in which points count more.
#[derive(Clone, Debug)]
pub struct Boost {
    pub id: Uuid,
    pub name: String,
    pub user: Option<String>,
    pub start: Date,
    pub end: Option<Date>,
    pub multiplier: f64,
    pub rounding: &'static str,
    pub user_filters: Vec<Filter>,
}

impl Boost {
    pub fn status_on(&self, today: Date) -> &'static str {
        if today < self.start {
            "scheduled"
        } else if self.end.is_some_and(|end| today > end) {
            "finished"
        } else {
            "active"
        }
    }
}

impl Resource for Boost {
    const NOUN: &'static str = "Boost";
    const NULLABLE: (&'static [&'static str], &'static [&'static str]) = (
        &["userId", "end", "userAttributes"],
        &["end", "userAttributes"],
    );

    fn id(&self) -> Uuid {
        self.id
    }

    fn fixed(&self) -> &'static [&'static str] {
        &["userId"]
    }

    fn read(id: Uuid, fields: &Fields, context: &Context) -> Result<Self, String> {
        fields.value("status"); // the calendar says
        let user = fields.maybe_text("userId")?;
        if user
            .as_deref()
            .is_some_and(|user| !(context.user_exists)(user))
        {
            return Err("User does not exist".into());
        }
        let start = fields.maybe_date("start")?.ok_or("start must be a date")?;
        let end = fields.maybe_date("end")?;
        if end.is_some_and(|end| end < start) {
            return Err("end must not be before start".into());
        }
        let user_filters = filters(fields, "userAttributes", "user", context.catalog)?;
        if user.is_some() && fields.value("userAttributes").is_some() {
            return Err("userAttributes cannot be given when userId is set".into());
        }
        Ok(Self {
            id,
            name: fields.short_text("name")?,
            user,
            start,
            end,
            multiplier: fields
                .maybe_number("multiplier")?
                .filter(|factor| *factor > 0.0 && *factor < 100.0 && *factor != 1.0)
                .ok_or("multiplier must be a number above 0 and below 100, and not 1")?,
            rounding: fields
                .maybe_one_of("rounding", &["down", "up", "nearest"])?
                .unwrap_or("down"),
            user_filters,
        })
    }

    fn show(&self, now: Timestamp) -> Value {
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let mut shown = json!({
            "id": self.id.to_string(),
            "name": self.name,
            "status": self.status_on(today),
            "start": self.start.to_string(),
            "end": self.end.map(|end| end.to_string()),
            "multiplier": number(self.multiplier),
            "rounding": self.rounding,
            "userId": self.user,
        });
        if self.user.is_none() {
            shown["userAttributes"] = show_filters(&self.user_filters);
        }
        shown
    }

    fn shelf<'a>(catalog: &'a mut Catalog, parent: &str) -> Option<&'a mut Vec<Self>> {
        system(catalog, parent).map(|system| &mut system.boosts)
    }
}
