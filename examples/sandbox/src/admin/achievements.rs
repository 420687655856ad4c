//! Achievements as they are set up.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::attributes::{Filter, filters, show_filters};
use super::fields::{Fields, badge};
use super::{Context, Resource};
use crate::call::number;
use crate::world::Catalog;

#[derive(Clone, Debug)]
pub struct Achievement {
    pub id: Uuid,
    pub name: String,
    pub description: Option<String>,
    pub badge: Option<String>,
    /// `active`, `inactive` or `locked`.
    pub status: &'static str,
    pub trigger: Trigger,
    pub user_filters: Vec<Filter>,
}

/// What completes an achievement.
#[derive(Clone, Debug)]
pub enum Trigger {
    Metric {
        metric: Uuid,
        value: f64,
        event_filters: Vec<Filter>,
    },
    Streak {
        length: i64,
    },
    /// So many years after the user signed up.
    Anniversary {
        years: i64,
    },
    Api {
        key: String,
    },
    Achievements {
        all_of: Vec<Uuid>,
    },
}

impl Trigger {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Metric { .. } => "metric",
            Self::Streak { .. } => "streak",
            Self::Anniversary { .. } => "anniversary",
            Self::Api { .. } => "api",
            Self::Achievements { .. } => "achievement",
        }
    }
}

const TRIGGERS: [&str; 5] = ["metric", "streak", "api", "achievement", "anniversary"];

impl Resource for Achievement {
    const NOUN: &'static str = "Achievement";
    const NULLABLE: (&'static [&'static str], &'static [&'static str]) = (
        &[],
        &["description", "badge", "userAttributes", "eventAttributes"],
    );
    const KIND: (&'static str, &'static [&'static str]) = (
        "trigger",
        &[
            "key",
            "metricId",
            "metricValue",
            "eventAttributes",
            "streakLength",
            "anniversaryYears",
            "achievementIds",
        ],
    );

    fn id(&self) -> Uuid {
        self.id
    }

    fn fixed(&self) -> &'static [&'static str] {
        &[]
    }

    fn read(id: Uuid, fields: &Fields, context: &Context) -> Result<Self, String> {
        let catalog = context.catalog;
        let trigger = match fields.one_of("trigger", &TRIGGERS)? {
            "metric" => Trigger::Metric {
                metric: fields
                    .maybe_id("metricId")?
                    .filter(|id| catalog.metrics.iter().any(|metric| metric.id == *id))
                    .ok_or("metricId must be a metric that exists")?,
                value: fields
                    .maybe_number("metricValue")?
                    .filter(|value| *value >= 1.0)
                    .ok_or("metricValue must be a number of at least 1")?,
                event_filters: filters(fields, "eventAttributes", "event", catalog)?,
            },
            "streak" => Trigger::Streak {
                length: fields.integer("streakLength", 1)?,
            },
            "anniversary" => Trigger::Anniversary {
                years: fields.integer("anniversaryYears", 1)?,
            },
            "api" => Trigger::Api { key: fields.key()? },
            _ => {
                let all_of = fields.ids("achievementIds")?;
                let exist = |id: &Uuid| catalog.achievements.iter().any(|other| other.id == *id);
                if all_of.is_empty() || !all_of.iter().all(exist) {
                    return Err("achievementIds must be achievements that exist".into());
                }
                Trigger::Achievements { all_of }
            }
        };
        Ok(Self {
            id,
            name: fields.text("name")?,
            description: fields.maybe_text("description")?,
            badge: fields.badge()?,
            status: fields
                .maybe_one_of("status", &["active", "inactive", "locked"])?
                .unwrap_or("inactive"),
            trigger,
            user_filters: filters(fields, "userAttributes", "user", catalog)?,
        })
    }

    fn show(&self, _: Timestamp) -> Value {
        let mut shown = json!({
            "id": self.id.to_string(),
            "name": self.name,
            "description": self.description,
            "trigger": self.trigger.name(),
            "status": self.status,
            "badge": badge(&self.badge),
            "userAttributes": show_filters(&self.user_filters),
        });
        match &self.trigger {
            Trigger::Metric {
                metric,
                value,
                event_filters,
            } => {
                shown["metricId"] = metric.to_string().into();
                shown["metricValue"] = number(*value);
                shown["eventAttributes"] = show_filters(event_filters);
            }
            Trigger::Streak { length } => shown["streakLength"] = (*length).into(),
            Trigger::Anniversary { years } => shown["anniversaryYears"] = (*years).into(),
            Trigger::Api { key } => shown["key"] = key.as_str().into(),
            Trigger::Achievements { all_of } => {
                shown["achievementIds"] = all_of.iter().map(Uuid::to_string).collect();
            }
        }
        shown
    }

    fn shelf<'a>(catalog: &'a mut Catalog, _: &str) -> Option<&'a mut Vec<Self>> {
        Some(&mut catalog.achievements)
    }

    fn clash(&self, other: &Self) -> Option<String> {
        match (&self.trigger, &other.trigger) {
            (Trigger::Api { key }, Trigger::Api { key: others }) if key == others => {
                Some("Key already in use by another achievement".into())
            }
            _ => None,
        }
    }
}
