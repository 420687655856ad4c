//! What an event sets off: achievements, points, places on leaderboards.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::ids::Ids;
use crate::leaderboards::{Board, Move};
use crate::points::Gain;
use crate::world::{Catalog, Community};

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

impl Effects {
    /// The `points` of a reply.
    pub fn points(&self, catalog: &Catalog, community: &Community, user: &str) -> Value {
        crate::points::show_gains(catalog, community, user, &self.points)
    }
}
