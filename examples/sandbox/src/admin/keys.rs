//! Application keys: each acts for one user, on the application API only.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::fields::Fields;
use super::{MOST, issue, numbered, outcome, remove};
use crate::call::{Answer, Call};
use crate::world::World;

pub struct ApplicationKey {
    pub id: Uuid,
    pub key: String,
    pub user: Arc<str>,
}

/// `prefix.body`: the prefix may be shown, the body is the secret.
pub fn prefix(key: &str) -> &str {
    key.split_once('.').map_or("", |(prefix, _)| prefix)
}

pub fn create(world: &mut World, call: &Call) -> Answer {
    let (mut created, mut issues) = (Vec::new(), Vec::new());
    for (index, item) in call.array(MOST)?.iter().enumerate() {
        match add(world, item) {
            Ok(shown) => created.push(shown),
            Err(why) => issues.push(numbered(issue(why), index)),
        }
    }
    outcome("created", created, issues, 201)
}

fn add(world: &mut World, item: &Value) -> Result<Value, String> {
    let fields = Fields::of(item)?;
    let user = fields.short_text("userId")?;
    fields.all_known()?;
    let id = world.ids.next();
    let prefix = format!("app_{}", &world.ids.next().simple().to_string()[..8]);
    let key = format!("{prefix}.{}", world.ids.next().simple());
    let shown = json!({ "id": id.to_string(), "userId": user, "key": key, "prefix": prefix });
    world.application_keys.push(ApplicationKey {
        id,
        key,
        user: user.into(),
    });
    Ok(shown)
}

pub fn delete(world: &mut World, call: &Call) -> Answer {
    remove(call, "Application API key", |id| {
        let before = world.application_keys.len();
        world.application_keys.retain(|key| key.id != id);
        world.application_keys.len() < before
    })
}
