//! Points systems as they are set up, with their levels, boosts and triggers.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use uuid::Uuid;

use super::attributes::{Filter, filters, show_filters};
use super::fields::{Fields, badge, compact};
use super::{Context, Resource, add, issue, outcome};
use crate::call::{Answer, Call, number};
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

#[derive(Clone, Debug)]
pub struct Level {
    pub id: Uuid,
    pub key: String,
    pub name: String,
    pub description: String,
    pub badge: Option<String>,
    pub points: i64,
}

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

/// Creates a system; the second list says what of its parts could not be.
pub fn add_system(
    world: &mut World,
    tenant: &str,
    item: &Value,
) -> Result<(Value, Vec<String>), String> {
    let mut bare = item.clone();
    if let Some(fields) = bare.as_object_mut() {
        fields.retain(|name, _| !matches!(name.as_str(), "levels" | "boosts" | "triggers"));
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

impl Resource for Level {
    const NOUN: &'static str = "Level";

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

impl Resource for Boost {
    const NOUN: &'static str = "Boost";
    const FIXED: &'static [&'static str] = &["userId"];

    fn id(&self) -> Uuid {
        self.id
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
        Ok(Self {
            id,
            name: fields.text("name")?,
            user,
            start,
            end,
            multiplier: fields
                .maybe_number("multiplier")?
                .ok_or("multiplier must be a number")?,
            rounding: fields
                .maybe_one_of("rounding", &["down", "up", "nearest"])?
                .unwrap_or("down"),
            user_filters: filters(fields, "userAttributes", "user", context.catalog)?,
        })
    }

    fn show(&self, now: Timestamp) -> Value {
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        json!({
            "id": self.id.to_string(),
            "name": self.name,
            "status": self.status_on(today),
            "start": self.start.to_string(),
            "end": self.end.map(|end| end.to_string()),
            "multiplier": number(self.multiplier),
            "rounding": self.rounding,
            "userId": self.user,
            "userAttributes": show_filters(&self.user_filters),
        })
    }

    fn shelf<'a>(catalog: &'a mut Catalog, parent: &str) -> Option<&'a mut Vec<Self>> {
        system(catalog, parent).map(|system| &mut system.boosts)
    }
}

impl Resource for Trigger {
    const NOUN: &'static str = "Trigger";
    const FIXED: &'static [&'static str] = &[];

    fn id(&self) -> Uuid {
        self.id
    }

    fn read(id: Uuid, fields: &Fields, context: &Context) -> Result<Self, String> {
        let catalog = context.catalog;
        let kinds = ["metric", "achievement", "streak", "time", "user_creation"];
        let kind = fields.one_of("type", &kinds)?;
        // An update may change the type; what belonged to the former one falls away.
        for name in [
            "metricId",
            "metricThreshold",
            "eventAttributes",
            "achievementId",
        ] {
            fields.value(name);
        }
        for name in ["streakLength", "timeUnit", "timeInterval"] {
            fields.value(name);
        }
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
            points: fields.integer("points", i64::MIN)?,
            active: fields.maybe_one_of("status", &["active", "inactive"])? != Some("inactive"),
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
