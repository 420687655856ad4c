//! The backlog alone: time and lanes are arguments, so that nothing waits.

mod choice;
mod groups;
mod model;
mod window;

use super::*;
use crate::delivery::lanes::LaneId;
use crate::queue::coalesce::CoalesceKey;
use crate::queue::store::Position;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Lanes that others have, and events that are only in the store.
#[derive(Default)]
pub struct Outside {
    busy: HashSet<LaneId>,
    /// How often an event was read again.
    reloads: usize,
    coalesces: bool,
}

impl Resources for Outside {
    fn may_use(&mut self, lane: LaneId) -> bool {
        !self.busy.contains(&lane)
    }

    fn reload(&mut self, position: Position) -> Option<Content> {
        self.reloads += 1;
        self.coalesces.then(|| Content {
            payload: payload(position),
            coalesce_key: coalesce_key(),
        })
    }
}

fn payload(position: Position) -> Vec<u8> {
    format!("{position:?}").into_bytes()
}

fn coalesce_key() -> Option<Arc<CoalesceKey>> {
    Some(Arc::new(CoalesceKey {
        may_join: true,
        attributes: String::new(),
        all_else: String::new(),
    }))
}

/// An event of a lane; `at`: its place in the store, and its age.
fn event(at: u32, lane: LaneId) -> Item {
    let position = Position::new(1, at);
    let payload = payload(position);
    Item {
        number: 0,
        position,
        at_ms: u64::from(at),
        enqueued: i64::from(at),
        lane,
        tenant: None,
        fits_a_batch: true,
        attempted: false,
        value: 1.0,
        members: Vec::new(),
        bytes: payload.len(),
        payload: Some(payload),
        coalesce_key: None,
        group: None,
    }
}

/// Events 1, 2, 3, … of these lanes.
fn backlog(lanes: &[LaneId]) -> Backlog {
    let mut backlog = Backlog::default();
    for (at, lane) in lanes.iter().enumerate() {
        backlog.add(event(at as u32 + 1, *lane));
    }
    backlog
}

fn at_most(events: usize) -> Limits {
    Limits {
        events,
        bytes: 1 << 20,
    }
}

fn choose(backlog: &mut Backlog, now: Duration, events: usize) -> Option<Choice> {
    backlog.choose(now, at_most(events), false, &mut Outside::default())
}

fn numbers(choice: &Option<Choice>) -> Vec<u64> {
    let items = choice.iter().flat_map(|choice| &choice.items);
    items.map(|chosen| chosen.item.number).collect()
}

fn items(choice: Choice) -> Vec<Item> {
    choice.items.into_iter().map(|chosen| chosen.item).collect()
}

/// The request failed: its events rest until then.
fn fail(backlog: &mut Backlog, choice: Choice, until: Duration) {
    let lanes = choice.lanes();
    let group = Group {
        failures: choice.group.failures + 1,
        rests_until: until,
        ..choice.group.clone()
    };
    backlog.put_back_as(items(choice), group);
    backlog.finished(&lanes);
}
