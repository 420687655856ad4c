//! The settings of the organisation, and its environments.

use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Refusal, ok};
use crate::ids::Ids;
use crate::world::World;

/// As they are shown: a PATCH is merged into them, field by field.
pub struct Settings(Value);

impl Default for Settings {
    fn default() -> Self {
        Self(json!({
            "branding": {
                "appName": "Sandbox",
                "appUrl": "http://localhost",
                "brandColor": "#5b4ddb",
                "font": "MODERN_SANS",
                "logo": null,
                "appIcon": null,
            },
            "experimentation": { "controlRatio": 0, "userActivationWindow": 7 },
            "aggregationPeriod": "weekly",
        }))
    }
}

const FONTS: [&str; 9] = [
    "MODERN_SANS",
    "BOOK_SANS",
    "ORGANIC_SANS",
    "GEOMETRIC_SANS",
    "HEAVY_SANS",
    "ROUNDED_SANS",
    "MODERN_SERIF",
    "BOOK_SERIF",
    "MONOSPACE",
];

impl Settings {
    /// Makes all of the changes, or none. World files use it too.
    pub fn apply(&mut self, changes: &Map<String, Value>) -> Result<(), String> {
        let mut new = self.0.clone();
        for (name, value) in changes {
            match name.as_str() {
                "branding" | "experimentation" => {
                    let parts = value.as_object();
                    for (part, value) in parts.ok_or(format!("{name} must be an object"))? {
                        check(name, part, value)?;
                        new[name][part] = value.clone();
                    }
                }
                "aggregationPeriod" => {
                    if !matches!(value.as_str(), Some("weekly" | "monthly")) {
                        return Err("aggregationPeriod must be weekly or monthly".into());
                    }
                    new[name] = value.clone();
                }
                _ => return Err(format!("Unknown setting: {name}")),
            }
        }
        self.0 = new;
        Ok(())
    }

    /// Whether a new user is one of the control group.
    pub fn is_control(&self, ids: &mut Ids) -> bool {
        let ratio = self.0["experimentation"]["controlRatio"].as_i64();
        ids.chance(ratio.unwrap_or(0))
    }
}

fn check(of: &str, name: &str, value: &Value) -> Result<(), String> {
    let (right, must) = match (of, name) {
        ("branding", "appName" | "appUrl") => (value.is_string(), "a string"),
        ("branding", "brandColor") => (
            value.as_str().is_some_and(is_color),
            "a color such as #5b4ddb or rgb(91,77,219)",
        ),
        ("branding", "font") => (
            value.as_str().is_some_and(|font| FONTS.contains(&font)),
            "one of the fonts of the Trophy dashboard, such as MODERN_SANS",
        ),
        ("branding", "logo" | "appIcon") => (
            value.is_null() || value["url"].is_string(),
            "an object with a url, or null",
        ),
        ("experimentation", "controlRatio") => (
            value
                .as_i64()
                .is_some_and(|ratio| (0..=100).contains(&ratio)),
            "an integer between 0 and 100",
        ),
        ("experimentation", "userActivationWindow") => (
            value.as_i64().is_some_and(|days| days >= 1),
            "an integer of at least 1",
        ),
        _ => return Err(format!("Unknown setting: {of}.{name}")),
    };
    match right {
        true => Ok(()),
        false => Err(format!("{of}.{name} must be {must}")),
    }
}

/// `#RGB`, `#RRGGBB`, `rgb(r,g,b)` or `rgba(r,g,b,a)`.
fn is_color(text: &str) -> bool {
    if let Some(digits) = text.strip_prefix('#') {
        return matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    }
    let parts = |name: &str| {
        let inner = text.strip_prefix(name)?.strip_suffix(')')?;
        Some(inner.split(',').map(str::trim).collect::<Vec<_>>())
    };
    let (parts, with_alpha) = match (parts("rgb("), parts("rgba(")) {
        (Some(parts), _) => (parts, false),
        (_, Some(parts)) => (parts, true),
        _ => return false,
    };
    let color = |part: &&str| part.parse::<u8>().is_ok();
    let alpha = |part: &&str| part.parse::<f64>().is_ok_and(|a| (0.0..=1.0).contains(&a));
    parts.len() == 3 + usize::from(with_alpha)
        && parts.iter().take(3).all(color)
        && parts.iter().skip(3).all(alpha)
}

pub fn get(world: &mut World, _: &Call) -> Answer {
    ok(world.catalog.settings.0.clone())
}

pub fn update(world: &mut World, call: &Call) -> Answer {
    world
        .catalog
        .settings
        .apply(call.object()?)
        .map_err(Refusal::Unprocessable)?;
    get(world, call)
}

/// The sandbox is one environment.
pub fn environments(_: &mut World, _: &Call) -> Answer {
    ok(vec![
        json!({ "name": "Sandbox", "key": "default", "priority": 1 }),
    ])
}

#[cfg(test)]
mod tests {
    use super::is_color;

    #[test]
    fn a_color_has_one_of_four_forms() {
        for color in ["#5b4", "#5b4ddb", "rgb(91,77, 219)", "rgba(0,0,0,0.5)"] {
            assert!(is_color(color), "{color}");
        }
        for text in ["", "#", "#12345", "#ggg", "red", "rgb(1,2)", "rgb(256,0,0)"] {
            assert!(!is_color(text), "{text}");
        }
        assert!(!is_color("rgba(1,2,3)"));
        assert!(!is_color("rgba(1,2,3,2)"));
    }
}
