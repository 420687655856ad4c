//! What became of a request: its events end, rest, or are searched for those that are to blame.

use std::sync::Arc;
use std::time::Duration;

use super::backlog::{Group, Item};
use super::dead::for_each_event;
use super::health::{self, rest};
use super::outcome::{Outcome, judge, own_word};
use super::record::{self, Record};
use super::refusal::{self, Search, Traits};
use super::sender::{Sender, State, report};
use super::sending::put_back;
use super::store::Note;
use super::work::Sending;
use crate::api::{json, retry};
use crate::delivery::attempt::Refusal;
use crate::delivery::callbacks::Notice;
use crate::error::{Error, Status};
use crate::host::log;

/// Failures by which the pause grows of one that meets a limit which others do not: to half a minute.
const LONGEST_LIMITED: u32 = 7;
/// How long a group waits for its probe, before it goes on without.
const WITNESS: Duration = Duration::from_secs(60);

impl Sender {
    pub(super) fn settle(
        &self,
        state: &mut State,
        sending: Sending,
        result: Result<String, Refusal>,
    ) {
        let now = self.clock.elapsed();
        let random = self.delivery.random.fraction();
        let is_current_key = sending.keys == state.keys;
        let events = sending.items.len();
        let result = result.and_then(own_word);
        let reply = result.as_ref().map(String::as_str);
        let outcome = judge(reply, sending.batch, events, is_current_key);
        let bytes = sending.items.iter().map(|item| item.bytes).sum();
        let probe_of = sending.group.probe_of;

        match outcome {
            Outcome::Failed { .. } | Outcome::RateLimited | Outcome::Again => {}
            _ => self.answered(state, now),
        }
        match (outcome, result) {
            (Outcome::Delivered, result) => {
                let reply = result.unwrap_or_default();
                if sending.batch {
                    state.batch_size.was_taken(bytes);
                }
                if let Some(group) = probe_of {
                    state.backlog.probe_passed(group);
                }
                let events = sending.items.iter().map(Item::events).sum();
                self.delivery.stats.delivered.add(events);
                self.end(state, &sending.items, Ok(&reply));
            }
            (Outcome::PartlyAccepted, _) => {
                log::warn(|| {
                    "queue: the service accepted fewer events than were sent; all go again, in smaller parts"
                        .to_owned()
                });
                self.rest_in_halves(state, sending, now, random);
            }
            (_, Ok(_)) => {}
            (outcome, Err(refusal)) => {
                self.refused(state, outcome, sending, refusal, now, random);
            }
        }
    }

    fn refused(
        &self,
        state: &mut State,
        outcome: Outcome,
        sending: Sending,
        refusal: Refusal,
        now: Duration,
        random: f64,
    ) {
        let mut error = refusal.error;
        error.details.attempts = sending.group.failures + 1;
        let retry_after = error.details.retry_after;
        let bytes = sending.items.iter().map(|item| item.bytes).sum();
        match outcome {
            Outcome::Again => {
                state.pacer.ended();
                put_back(state, sending.items, sending.group);
            }
            Outcome::NoBatches => {
                state.may_batch = false;
                log::info(|| {
                    "queue: this API key may send no batches; events go one by one".to_owned()
                });
                put_back(state, sending.items, sending.group);
            }
            Outcome::Paused => {
                state.paused = true;
                log::warn(|| {
                    format!(
                        "queue: paused, and every event kept, until trophy_client_set_api_key() or a new client: {}",
                        error.message
                    )
                });
                put_back(state, sending.items, sending.group);
            }
            Outcome::RateLimited => {
                log::warn(|| format!("queue: kept, and sent more slowly: {}", error.message));
                state.pacer.limited(now, retry_after, random);
                self.note_hold(state, retry_after);
                self.limited(state, sending, now, random);
            }
            Outcome::TooLarge => {
                state.batch_size.was_refused(bytes);
                self.divide(state, sending, &error, true);
            }
            Outcome::Refused if sending.items.len() > 1 => {
                let by_halves = sending.group.by_halves;
                self.divide(state, sending, &error, by_halves);
            }
            Outcome::Refused => {
                let mut dead = sending.items;
                dead.extend(self.dead_with_probe(state, &dead, sending.group, &error));
                self.set_aside(state, dead, &error);
            }
            Outcome::Failed { sent } => {
                self.failed(state, sending, &error, sent, now, random);
            }
            Outcome::Delivered | Outcome::PartlyAccepted => {}
        }
    }

    /// Those for which a refused probe stood: dead like it, if what is wrong with it is what they have in common, and a
    /// second says so.
    fn dead_with_probe(
        &self,
        state: &mut State,
        probe: &[Item],
        group: Group,
        error: &Error,
    ) -> Vec<Item> {
        let Some(waiting) = group.probe_of else {
            return Vec::new();
        };
        let others = state.backlog.take_group(waiting);
        let traits: Vec<_> = probe
            .iter()
            .chain(&others)
            .map(|item| traits_of(state, item))
            .collect();
        match refusal::search(&traits, error.status, &refusal_text(error), false) {
            Search::Probe(..) if group.is_second_probe => others,
            Search::Probe(..) => {
                let Some((refused, of_others)) = traits.split_first() else {
                    return others;
                };
                let (alike, second) = refusal::second_probe(refused, of_others);
                let (dead, rest) = others
                    .into_iter()
                    .partition(|item| alike.contains(&item.number));
                if let Some(second) = second {
                    let group = Group {
                        is_second_probe: true,
                        ..group
                    };
                    self.put_back_with_probe(state, rest, second, group);
                }
                dead
            }
            Search::Parts(_) => {
                let group = Group {
                    refused: true,
                    by_halves: true,
                    ..Group::default()
                };
                state.backlog.put_back_as(others, group);
                Vec::new()
            }
        }
    }

    /// The service has answered with its own word.
    fn answered(&self, state: &mut State, now: Duration) {
        state.pacer.succeeded();
        state.throughput.succeeded(now);
        if state.health.succeeded(now) {
            state.backlog.end_rests(now);
        }
    }

    /// It rests by itself; the others go on, unless nothing succeeds.
    fn failed(
        &self,
        state: &mut State,
        sending: Sending,
        error: &Error,
        sent: bool,
        now: Duration,
        random: f64,
    ) {
        let retry_after = error.details.retry_after;
        let first = sending.items.first().map_or(0, |item| item.number);
        state.health.failed(first);
        match state.health.slows_down() {
            true => {
                state.pacer.failed(now, retry_after, random);
                self.note_hold(state, retry_after);
            }
            false => state.pacer.ended(),
        }
        log::warn(|| format!("queue: kept, and tried again: {}", error.message));
        let failures = sending.group.failures + 1;
        put_back_apart(state, sending, now, |contradicted| {
            rest(failures, contradicted, sent, retry_after, random)
        });
    }

    /// Whoever delivers next is to wait as well.
    fn note_hold(&self, state: &mut State, retry_after: Option<Duration>) {
        if let (Some(wait), Some(drain)) = (retry_after, &mut state.drain) {
            let wait = wait.min(retry::LONGEST_QUEUE_WAIT).as_millis() as u64;
            drain.note(Note::HeldUntil(self.clock.date_ms() + wait));
        }
    }

    /// The limit is everybody's, and so is the pause. But who meets it twice in a row may have one of his own: then
    /// others have their turn, and if they do not meet it, he rests.
    fn limited(&self, state: &mut State, sending: Sending, now: Duration, random: f64) {
        let first = sending.items.first().map_or(0, |item| item.number);
        let is_first_time = std::mem::replace(&mut state.last_limited, first) != first;
        let failures = sending.group.failures + 1;
        if is_first_time && failures == 1 {
            put_back(state, sending.items, sending.group);
            return;
        }
        put_back_apart(state, sending, now, |contradicted| match contradicted {
            0 => Duration::ZERO,
            _ => rest(failures.min(LONGEST_LIMITED), 0, false, None, random),
        });
    }

    /// A batch of which nobody says what was taken.
    fn rest_in_halves(&self, state: &mut State, sending: Sending, now: Duration, random: f64) {
        let Sending {
            items, mut group, ..
        } = sending;
        group.failures += 1;
        group.last_failed = now;
        group.rests_until = now + rest(group.failures, 0, true, None, random);
        let half = items.len().div_ceil(2);
        put_back_in_parts(state, items, &group, |at| at / half);
    }

    /// Sends a refused batch again in parts, so that the bad are found.
    fn divide(&self, state: &mut State, sending: Sending, error: &Error, by_halves: bool) {
        let Sending { items, group, .. } = sending;
        let traits: Vec<_> = items.iter().map(|item| traits_of(state, item)).collect();
        let group = Group {
            refused: true,
            by_halves,
            probe_of: None,
            rests_until: Duration::ZERO,
            ..group
        };
        match refusal::search(&traits, error.status, &refusal_text(error), by_halves) {
            Search::Parts(parts) => {
                let part_of = |number: u64| parts.iter().position(|part| part.contains(&number));
                let of: Vec<_> = items.iter().map(|item| part_of(item.number)).collect();
                put_back_in_parts(state, items, &group, |at| of[at].unwrap_or_default());
            }
            Search::Probe(first) => self.put_back_with_probe(state, items, first, group),
        }
    }

    /// One goes alone, and the others wait for what becomes of it.
    fn put_back_with_probe(&self, state: &mut State, items: Vec<Item>, probe: u64, group: Group) {
        let (probe, rest): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| item.number == probe);
        let waiting = Group {
            rests_until: self.clock.elapsed() + WITNESS,
            by_halves: true,
            probe_of: None,
            ..group.clone()
        };
        let id = state.backlog.put_back_as(rest, waiting);
        let group = Group {
            probe_of: Some(id),
            ..group
        };
        state.backlog.put_back_as(probe, group);
    }

    /// These events have come to their end: they leave the store, and the host hears of them.
    pub(super) fn end(&self, state: &mut State, items: &[Item], result: Result<&str, &Error>) {
        let status = result.err().map_or(Status::Ok, |error| error.status);
        self.end_as(state, items, status, &record::outcome(result).into());
    }

    /// The same, with what the host is to hear: all of them share it.
    pub(super) fn end_as(
        &self,
        state: &mut State,
        items: &[Item],
        status: Status,
        outcome: &Arc<str>,
    ) {
        let Some(drain) = &mut state.drain else {
            return;
        };
        // New events are taken, and the oldest dropped, however little the host hears: memory has an end.
        let is_dropped = status == Status::QueueFull;
        if self.delivery.callbacks.has_delivery() && !(is_dropped && self.has_many_notices()) {
            let mut notices = Vec::new();
            for item in items {
                for_each_event(drain, item, |_, payload| {
                    let fields = Record::parse(payload).and_then(|record| record.fields());
                    notices.extend(fields.map(|fields| Notice {
                        status,
                        event: record::notice(&fields),
                        outcome: Arc::clone(outcome),
                    }));
                });
            }
            self.add_notices(notices);
        }
        let places: Vec<_> = items.iter().map(|item| item.position).collect();
        report(drain.settle(&places));
    }
}

fn traits_of(state: &State, item: &Item) -> Traits {
    let reread = || Some(state.drain.as_ref()?.reread(item.position).ok()?.payload);
    let payload = item.payload.clone().or_else(reread);
    Traits::of(item.number, &payload.unwrap_or_default())
}

/// Puts back what failed: to rest by itself, so long as `rest` says of how often others succeeded meanwhile; or in
/// halves, if they do again and again.
fn put_back_apart(
    state: &mut State,
    sending: Sending,
    now: Duration,
    rest: impl FnOnce(u32) -> Duration,
) {
    let Sending {
        items, mut group, ..
    } = sending;
    if group.failures > 0 && state.health.has_succeeded_since(group.last_failed) {
        group.contradicted += 1;
    }
    group.failures += 1;
    group.last_failed = now;
    if items.len() > 1 && health::divides(group.contradicted) {
        group.contradicted = health::CONTRADICTED_PART;
        // The parts are new to us: their pauses begin anew.
        group.failures = 1;
        let half = items.len().div_ceil(2);
        put_back_in_parts(state, items, &group, |at| at / half);
        return;
    }
    group.rests_until = now + rest(group.contradicted);
    state.backlog.put_back_as(items, group);
}

/// Puts items back in parts, each a group of its own. `part_of` says which an item, by its index, belongs to.
fn put_back_in_parts(
    state: &mut State,
    items: Vec<Item>,
    group: &Group,
    part_of: impl Fn(usize) -> usize,
) {
    let mut parts = std::collections::BTreeMap::<usize, Vec<Item>>::new();
    for (at, item) in items.into_iter().enumerate() {
        parts.entry(part_of(at)).or_default().push(item);
    }
    for part in parts.into_values() {
        state.backlog.put_back_as(part, group.clone());
    }
}

/// The service's own words.
fn refusal_text(error: &Error) -> String {
    let body = error.details.body.as_deref();
    body.and_then(|body| json::text(body, "/error"))
        .unwrap_or_default()
}
