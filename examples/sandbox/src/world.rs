//! The world: what was set up (the catalog) and who lives in it (a community for each tenant).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::admin::achievements::Achievement;
use crate::admin::attributes::Attribute;
use crate::admin::keys::ApplicationKey;
use crate::admin::leaderboards::Leaderboard;
use crate::admin::metrics::Metric;
use crate::admin::points::PointsSystem;
use crate::admin::settings::Settings;
use crate::admin::streak_settings::StreakSettings;
use crate::admin::tenants::Tenant;
use crate::call::{Actor, Refusal};
use crate::clock::Clock;
use crate::ids::Ids;
use crate::leaderboards::Board;
use crate::users::User;

#[derive(Default)]
pub struct World {
    pub clock: Clock,
    pub ids: Ids,
    pub catalog: Catalog,
    /// By `Tenant-ID`; without one, by "".
    pub communities: HashMap<String, Community>,
    pub admin_keys: HashSet<String>,
    pub application_keys: Vec<ApplicationKey>,
}

/// All that is set up on the dashboard or over the Admin API.
#[derive(Default)]
pub struct Catalog {
    pub attributes: Vec<Attribute>,
    pub metrics: Vec<Metric>,
    pub achievements: Vec<Achievement>,
    pub points_systems: Vec<PointsSystem>,
    pub leaderboards: Vec<Leaderboard>,
    pub tenants: Vec<Tenant>,
    pub streaks: StreakSettings,
    pub settings: Settings,
    /// Whether every call must name a tenant that exists.
    pub multi_tenancy: bool,
}

/// The users of one tenant.
#[derive(Default)]
pub struct Community {
    /// Boxed, since a map keeps room for more than it holds.
    pub users: HashMap<Arc<str>, Box<User>>,
    pub boards: HashMap<Uuid, Board>,
    /// How many users have completed an achievement.
    pub completions: HashMap<Uuid, u64>,
}

impl Catalog {
    pub fn metric(&self, key: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.key == key)
    }

    pub fn points_system(&self, key: &str) -> Result<&PointsSystem, Refusal> {
        self.points_systems
            .iter()
            .find(|system| system.key == key)
            .ok_or_else(|| Refusal::NotFound(format!("Points system not found: {key}")))
    }

    pub fn leaderboard(&self, key: &str) -> Result<&Leaderboard, Refusal> {
        self.leaderboards
            .iter()
            .find(|board| board.key == key && board.status != "inactive")
            .ok_or_else(|| Refusal::NotFound(format!("Leaderboard not found: {key}")))
    }
}

impl World {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Who a key stands for.
    pub fn actor(&self, key: &str) -> Option<Actor> {
        if self.admin_keys.contains(key) {
            return Some(Actor::Admin);
        }
        let own = self.application_keys.iter().find(|own| own.key == key)?;
        Some(Actor::User(own.user.clone()))
    }

    /// The catalog, the tenant's community and the ids, to be used side by side.
    pub fn parts(&mut self, tenant: &str) -> (&Catalog, &mut Community, &mut Ids) {
        if !self.communities.contains_key(tenant) {
            self.communities
                .insert(tenant.to_owned(), Community::default());
        }
        let Self {
            catalog,
            communities,
            ids,
            ..
        } = self;
        (
            catalog,
            communities.entry(tenant.to_owned()).or_default(),
            ids,
        )
    }
}

impl Community {
    pub fn user(&self, id: &str) -> Result<&User, Refusal> {
        self.users
            .get(id)
            .map(|user| &**user)
            .ok_or_else(|| Refusal::NotFound(format!("User not found: {id}")))
    }

    pub fn user_mut(&mut self, id: &str) -> Result<&mut User, Refusal> {
        self.users
            .get_mut(id)
            .map(|user| &mut **user)
            .ok_or_else(|| Refusal::NotFound(format!("User not found: {id}")))
    }
}

/// A JSON object built from pairs.
pub fn by_key(pairs: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(pairs.into_iter().collect::<Map<_, _>>())
}
