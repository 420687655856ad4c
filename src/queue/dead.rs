//! Dead events: those that the service will never take, and records that are no events. Each is on record in the
//! folder before it leaves the queue.

use std::sync::Arc;

use super::backlog::Item;
use super::record::{self, Record};
use super::sender::{Sender, State, report};
use super::store::{Drain, Entry, Position};
use super::work::{Dead, Reason, Unrecorded};
use crate::api::json;
use crate::error::Error;
use crate::host::log;

impl Sender {
    /// Sets events aside that the service will never take.
    pub(super) fn set_aside(&self, state: &mut State, items: Vec<Item>, error: &Error) {
        let reason = Arc::new(Reason {
            error: error.clone(),
            outcome: record::outcome(Err(error)).into(),
        });
        for item in items {
            log::error(|| format!("queue: an event is dead: {}", error.message));
            state.unrecorded.push_back(Unrecorded {
                dead: Dead::Refused(item, Arc::clone(&reason)),
                is_logged: false,
            });
        }
        self.record_dead(state);
    }

    /// Puts dead events on record. Where one cannot be, none can: they stay, and one is tried again with the next look.
    pub(super) fn record_dead(&self, state: &mut State) {
        while let Some(drain) = &mut state.drain
            && let Some(mut unrecorded) = state.unrecorded.pop_front()
        {
            let mut lines = Vec::new();
            match &unrecorded.dead {
                Dead::Refused(item, reason) => for_each_event(drain, item, |at_ms, payload| {
                    lines.extend(refused_line(at_ms, payload, &reason.error));
                }),
                Dead::Unreadable(_, known) => lines.clone_from(known),
            }
            if let Err(error) = drain.add_dead_letters(&lines) {
                if !std::mem::replace(&mut unrecorded.is_logged, true) {
                    log::error(|| {
                        format!("queue: a dead event stays until it is on record: {error}")
                    });
                }
                state.unrecorded.push_front(unrecorded);
                return;
            }
            match unrecorded.dead {
                Dead::Refused(item, reason) => {
                    self.delivery.stats.dead.add(item.events());
                    self.end_as(state, &[item], reason.error.status, &reason.outcome);
                }
                Dead::Unreadable(position, lines) => {
                    self.delivery.stats.dead.add(lines.len() as u64);
                    report(drain.settle(&[position]));
                }
            }
        }
    }
}

/// A sound record that holds no event. Returns the events that were merged into it, if they are not.
pub(super) fn unreadable(
    drain: &mut Drain,
    position: Position,
    is_merged: bool,
    payload: &[u8],
) -> (Vec<Entry>, Unrecorded) {
    log::error(|| "queue: a sound record holds no event; it is set aside".to_owned());
    let mut lines = vec![unreadable_line(payload)];
    let mut members = Vec::new();
    if is_merged {
        match drain.dissolve(position) {
            Ok(dissolved) => members = dissolved,
            // It was sent by another version, with its members, and they share its end.
            Err(error) => {
                log::error(|| format!("queue: so are those that were merged into it: {error}"));
                lines.extend(member_lines(drain, position));
            }
        }
    }
    let unrecorded = Unrecorded {
        dead: Dead::Unreadable(position, lines),
        is_logged: false,
    };
    (members, unrecorded)
}

/// A dead event as a person reads it.
fn refused_line(at_ms: u64, payload: &[u8], error: &Error) -> Option<String> {
    let record = Record::parse(payload)?;
    let tenant = record.tenant.as_deref();
    Some(format!(
        "{{\"enqueuedAtMs\":{at_ms},\"tenant\":{},\"event\":{},\"error\":{}}}",
        tenant.map_or_else(|| "null".to_owned(), json::quote),
        record.event,
        serde_json::to_string(&error.view()).unwrap_or_default()
    ))
}

/// A dead record that is no event, as a person reads it.
fn unreadable_line(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(payload);
    format!("{{\"unreadable\":{}}}", json::quote(&text))
}

fn member_lines(drain: &Drain, leader: Position) -> Vec<String> {
    let merged = drain.reread(leader).ok().and_then(|leader| leader.merged);
    let members = merged.map_or_else(Vec::new, |merged| merged.members);
    let entries = members.into_iter().filter_map(|it| drain.reread(it).ok());
    entries.map(|it| unreadable_line(&it.payload)).collect()
}

/// The records that an item stands for, with when they came: its own, and those merged into it.
pub(super) fn for_each_event(drain: &Drain, item: &Item, mut act: impl FnMut(u64, &[u8])) {
    let own = item.payload.is_none().then_some(item.position);
    if let Some(payload) = &item.payload {
        act(item.at_ms, payload);
    }
    for position in own.iter().chain(&item.members) {
        match drain.reread(*position) {
            Ok(entry) => act(entry.at_ms, &entry.payload),
            Err(error) => log::error(|| {
                format!(
                    "queue: an event came to its end and cannot be read again to say so: {error}"
                )
            }),
        }
    }
}
