//! What an event sets off: achievements, points, places on leaderboards.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::ids::Ids;
use crate::leaderboards::{Board, Move};
use crate::points::Gain;
use crate::world::{Catalog, Community, World};
use crate::{achievements, points};

/// Where an event happens: all it may change beside its user.
pub struct Scene<'a> {
    pub catalog: &'a Catalog,
    pub boards: &'a mut HashMap<Uuid, Board>,
    pub completions: &'a mut HashMap<Uuid, u64>,
    pub ids: &'a mut Ids,
    pub now: Timestamp,
}

/// What has changed, for the reply to tell.
#[derive(Default)]
pub struct Effects {
    pub achievements: Vec<Uuid>,
    pub points: BTreeMap<Uuid, Gain>,
    pub places: BTreeMap<Uuid, Move>,
    pub streak_extended: bool,
}

/// Gives a user what time alone brings: the points of time triggers, and anniversaries.
pub fn settle(world: &mut World, tenant: &str, user: &str) {
    let now = world.now();
    let (catalog, community, ids) = world.parts(tenant);
    let Community {
        users,
        boards,
        completions,
    } = community;
    if let Some(user) = users.get_mut(user) {
        let mut scene = Scene {
            catalog,
            boards,
            completions,
            ids,
            now,
        };
        points::settle(&mut scene, user);
        achievements::settle(&mut scene, user);
    }
}

impl Effects {
    /// The `points` of a reply.
    pub fn points(&self, catalog: &Catalog, community: &Community, user: &str) -> Value {
        points::show_gains(catalog, community, user, &self.points)
    }
}
