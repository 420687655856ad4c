//! The settings of the organisation, and its environments.

use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Refusal, ok};
use crate::world::World;

pub struct Settings {
    branding: bool,
    experimentation: bool,
    aggregation_period: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            branding: true,
            experimentation: false,
            aggregation_period: "daily",
        }
    }
}

const PERIODS: [&str; 3] = ["daily", "weekly", "monthly"];

impl Settings {
    fn show(&self) -> Value {
        json!({
            "branding": self.branding,
            "experimentation": self.experimentation,
            "aggregationPeriod": self.aggregation_period,
        })
    }

    pub fn apply(&mut self, changes: &Map<String, Value>) -> Result<(), String> {
        for (name, value) in changes {
            let flag = || {
                value
                    .as_bool()
                    .ok_or(format!("{name} must be true or false"))
            };
            match name.as_str() {
                "branding" => self.branding = flag()?,
                "experimentation" => self.experimentation = flag()?,
                "aggregationPeriod" => {
                    let period = PERIODS.iter().find(|period| value.as_str() == Some(period));
                    self.aggregation_period =
                        period.ok_or("aggregationPeriod must be one of daily, weekly, monthly")?;
                }
                _ => return Err(format!("Unknown setting: {name}")),
            }
        }
        Ok(())
    }
}

pub fn get(world: &mut World, _: &Call) -> Answer {
    ok(world.catalog.settings.show())
}

pub fn update(world: &mut World, call: &Call) -> Answer {
    world
        .catalog
        .settings
        .apply(call.object()?)
        .map_err(Refusal::Unprocessable)?;
    get(world, call)
}

/// The sandbox is one environment, and its id never changes.
pub fn environments(_: &mut World, _: &Call) -> Answer {
    let id = uuid::Builder::from_random_bytes(*b"trophy sandbox 1")
        .into_uuid()
        .to_string();
    ok(vec![
        json!({ "id": id, "name": "Sandbox", "key": "default" }),
    ])
}
