//! Leaderboards as they are set up.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use serde_json::{Value, json};
use uuid::Uuid;

use super::attributes::{Filter, filters, show_filters};
use super::fields::{Fields, compact, time};
use super::{Context, Resource};
use crate::world::Catalog;

#[derive(Clone, Debug)]
pub struct Leaderboard {
    pub id: Uuid,
    pub key: String,
    pub name: String,
    pub description: Option<String>,
    pub status: &'static str,
    pub rank_by: RankBy,
    pub most: Option<i64>,
    pub start: Date,
    pub end: Option<Date>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    /// User attributes; each combination of their values is a ranking of its own.
    pub breakdown: Vec<Uuid>,
    pub run: Option<Run>,
    /// Who takes part; everybody without any.
    pub user_filters: Vec<Filter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankBy {
    Metric(Uuid),
    Points(Uuid),
    Streak,
}

/// A leaderboard that starts again: every so many days, months or years.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub unit: &'static str,
    pub interval: i64,
}

impl RankBy {
    pub fn name(self) -> &'static str {
        match self {
            Self::Metric(_) => "metric",
            Self::Points(_) => "points",
            Self::Streak => "streak",
        }
    }
}

impl Leaderboard {
    /// Its status on a day: `scheduled` and `finished` come with the calendar.
    pub fn status_on(&self, today: Date) -> &'static str {
        match self.status {
            "active" if today < self.start => "scheduled",
            "active" if self.end.is_some_and(|end| today > end) => "finished",
            status => status,
        }
    }

    /// Whether activity counts at a time of day.
    pub fn counts_at(&self, now: Time) -> bool {
        let limit = |text: &Option<String>| text.as_deref().and_then(time);
        limit(&self.start_time).is_none_or(|start| now >= start)
            && limit(&self.end_time).is_none_or(|end| now < end)
    }
}

const STATUSES: [&str; 4] = ["inactive", "active", "scheduled", "finished"];

impl Resource for Leaderboard {
    const NOUN: &'static str = "Leaderboard";
    const NULLABLE: (&'static [&'static str], &'static [&'static str]) = (
        &["maxParticipants"],
        &[
            "maxParticipants",
            "end",
            "startTime",
            "endTime",
            "runUnit",
            "userAttributes",
        ],
    );
    const KIND: (&'static str, &'static [&'static str]) =
        ("rankBy", &["metricId", "pointsSystemId"]);

    fn id(&self) -> Uuid {
        self.id
    }

    /// Once it is active, how it ranks and when it runs stays as it is.
    fn fixed(&self) -> &'static [&'static str] {
        match self.status {
            "inactive" => &[],
            _ => &[
                "key",
                "rankBy",
                "metricId",
                "pointsSystemId",
                "breakdownAttributes",
                "userAttributes",
                "start",
                "runUnit",
                "runInterval",
            ],
        }
    }

    fn read(id: Uuid, fields: &Fields, context: &Context) -> Result<Self, String> {
        let catalog = context.catalog;
        let rank_by = match fields.one_of("rankBy", &["metric", "streak", "points"])? {
            "metric" => RankBy::Metric(
                fields
                    .maybe_id("metricId")?
                    .filter(|id| catalog.metrics.iter().any(|metric| metric.id == *id))
                    .ok_or("metricId must be a metric that exists")?,
            ),
            "points" => RankBy::Points(
                fields
                    .maybe_id("pointsSystemId")?
                    .filter(|id| catalog.points_systems.iter().any(|system| system.id == *id))
                    .ok_or("pointsSystemId must be a points system that exists")?,
            ),
            _ => RankBy::Streak,
        };
        let unit = fields.maybe_one_of("runUnit", &["day", "month", "year"])?;
        let interval = fields.maybe_integer("runInterval", 1)?;
        let run = unit.map(|unit| match (interval, rank_by) {
            (_, RankBy::Streak) => Err("A leaderboard that ranks by streak cannot repeat"),
            (None, _) => Err("runInterval is required with runUnit"),
            (Some(interval), _) => Ok(Run { unit, interval }),
        });
        let breakdown = fields.ids("breakdownAttributes")?;
        let of_users = |id: &Uuid| {
            catalog
                .attributes
                .iter()
                .any(|a| a.id == *id && a.of == "user")
        };
        if !breakdown.iter().all(of_users) {
            return Err("breakdownAttributes must be user attributes that exist".into());
        }
        let most = match fields.has("maxParticipants") {
            true => fields.maybe_integer("maxParticipants", 1)?,
            false => Some(1000),
        };
        if most.is_some_and(|most| most > 1000) {
            return Err("maxParticipants must be at most 1000".into());
        }
        Ok(Self {
            id,
            key: fields.key()?,
            name: fields.text("name")?,
            description: fields.maybe_text("description")?,
            status: match fields.maybe_one_of("status", &STATUSES)? {
                None => "inactive",
                // The calendar says when it starts.
                Some("scheduled") => "active",
                Some(status) => status,
            },
            rank_by,
            most,
            start: fields
                .maybe_date("start")?
                .unwrap_or_else(|| context.now.to_zoned(jiff::tz::TimeZone::UTC).date()),
            end: fields.maybe_date("end")?,
            start_time: fields.maybe_time("startTime")?,
            end_time: fields.maybe_time("endTime")?,
            breakdown,
            run: run.transpose()?,
            user_filters: filters(fields, "userAttributes", "user", catalog)?,
        })
    }

    fn show(&self, now: Timestamp) -> Value {
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let (metric, system) = match self.rank_by {
            RankBy::Metric(id) => (Some(id.to_string()), None),
            RankBy::Points(id) => (None, Some(id.to_string())),
            RankBy::Streak => (None, None),
        };
        let mut shown = compact(json!({
            "id": self.id.to_string(),
            "key": self.key,
            "name": self.name,
            "description": self.description,
            "status": self.status_on(today),
            "rankBy": self.rank_by.name(),
            "metricId": metric,
            "pointsSystemId": system,
            "start": self.start.to_string(),
            "end": self.end.map(|end| end.to_string()),
            "startTime": self.start_time,
            "endTime": self.end_time,
            "breakdownAttributes": self.breakdown.iter().map(Uuid::to_string).collect::<Vec<_>>(),
            "runUnit": self.run.map(|run| run.unit),
            "runInterval": self.run.map(|run| run.interval),
            "userAttributes": show_filters(&self.user_filters),
        }));
        shown["maxParticipants"] = self.most.into();
        shown
    }

    fn shelf<'a>(catalog: &'a mut Catalog, _: &str) -> Option<&'a mut Vec<Self>> {
        Some(&mut catalog.leaderboards)
    }

    fn clash(&self, other: &Self) -> Option<String> {
        (self.key == other.key).then(|| "Key already in use by another leaderboard".into())
    }
}
