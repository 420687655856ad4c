//! Triggers of a points system.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::system;
use crate::admin::attributes::{Filter, filters, show_filters};
use crate::admin::fields::{Fields, compact};
use crate::admin::{Context, Resource};
use crate::world::Catalog;

/// What earns points.
#[derive(Clone, Debug)]
pub struct Trigger {
    pub id: Uuid,
    pub on: On,
    pub points: i64,
    pub active: bool,
    /// For points taken: nothing happens if the user has too few.
    pub block_if_out_of_points: bool,
    pub user_filters: Vec<Filter>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

#[derive(Clone, Debug)]
pub enum On {
    /// Each time the metric's total passes a multiple of the threshold.
    Metric {
        metric: Uuid,
        threshold: i64,
        event_filters: Vec<Filter>,
    },
    Achievement(Uuid),
    /// Each time the streak's length reaches a multiple.
    Streak(i64),
    /// Every so many hours or days from the user's creation.
    Time {
        unit: &'static str,
        interval: i64,
    },
    UserCreation,
}

impl On {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Metric { .. } => "metric",
            Self::Achievement(_) => "achievement",
            Self::Streak(_) => "streak",
            Self::Time { .. } => "time",
            Self::UserCreation => "user_creation",
        }
    }
}

impl Resource for Trigger {
    const NOUN: &'static str = "Trigger";
    const NULLABLE: (&'static [&'static str], &'static [&'static str]) = (
        &["userAttributes", "eventAttributes"],
        &["userAttributes", "eventAttributes"],
    );
    const KIND: (&'static str, &'static [&'static str]) = (
        "type",
        &[
            "metricId",
            "metricThreshold",
            "eventAttributes",
            "achievementId",
            "streakLength",
            "timeUnit",
            "timeInterval",
        ],
    );

    fn id(&self) -> Uuid {
        self.id
    }

    fn fixed(&self) -> &'static [&'static str] {
        match self.active {
            true => &["type"],
            false => &[],
        }
    }

    fn read(id: Uuid, fields: &Fields, context: &Context) -> Result<Self, String> {
        let catalog = context.catalog;
        let kinds = ["metric", "achievement", "streak", "time", "user_creation"];
        let kind = fields.one_of("type", &kinds)?;
        let on = match kind {
            "metric" => On::Metric {
                metric: fields
                    .maybe_id("metricId")?
                    .filter(|id| catalog.metrics.iter().any(|metric| metric.id == *id))
                    .ok_or("metricId must be a metric that exists")?,
                threshold: fields.integer("metricThreshold", 1)?,
                event_filters: filters(fields, "eventAttributes", "event", catalog)?,
            },
            "achievement" => On::Achievement(
                fields
                    .maybe_id("achievementId")?
                    .filter(|id| catalog.achievements.iter().any(|a| a.id == *id))
                    .ok_or("achievementId must be an achievement that exists")?,
            ),
            "streak" => On::Streak(fields.integer("streakLength", 1)?),
            "time" => On::Time {
                unit: fields.one_of("timeUnit", &["hours", "days"])?,
                interval: fields.integer("timeInterval", 1)?,
            },
            _ => On::UserCreation,
        };
        Ok(Self {
            id,
            on,
            points: match fields.integer("points", i64::MIN)? {
                0 => return Err("points must not be 0".into()),
                points => points,
            },
            active: fields.maybe_one_of("status", &["active", "inactive"])? == Some("active"),
            block_if_out_of_points: fields.flag("blockIfOutOfPoints")?,
            user_filters: filters(fields, "userAttributes", "user", catalog)?,
            created: context.now,
            updated: context.now,
        })
    }

    fn show(&self, _: Timestamp) -> Value {
        let mut shown = json!({
            "id": self.id.to_string(),
            "type": self.on.name(),
            "points": self.points,
            "status": if self.active { "active" } else { "inactive" },
            "userAttributes": show_filters(&self.user_filters),
            "blockIfOutOfPoints": self.block_if_out_of_points,
        });
        match &self.on {
            On::Metric {
                metric,
                threshold,
                event_filters,
            } => {
                shown["metricId"] = metric.to_string().into();
                shown["metricThreshold"] = (*threshold).into();
                shown["eventAttributes"] = show_filters(event_filters);
            }
            On::Achievement(id) => shown["achievementId"] = id.to_string().into(),
            On::Streak(length) => shown["streakLength"] = (*length).into(),
            On::Time { unit, interval } => {
                shown["timeUnit"] = (*unit).into();
                shown["timeInterval"] = (*interval).into();
            }
            On::UserCreation => {}
        }
        compact(shown)
    }

    fn shelf<'a>(catalog: &'a mut Catalog, parent: &str) -> Option<&'a mut Vec<Self>> {
        system(catalog, parent).map(|system| &mut system.triggers)
    }

    fn carry(&mut self, former: &Self) {
        self.created = former.created;
    }
}
