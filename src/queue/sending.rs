//! A request of the queue on its way: put on record before its first byte is sent, then sent.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backlog::{Choice, Chosen, Group, Item};
use super::coalesce::exact_sum;
use super::health;
use super::requests::request_of;
use super::sender::{Action, Sender, State, report};
use super::store::{Drain, Note, Position, StoreError};
use super::work::{LOOK, Sending};
use crate::delivery::attempt::Sent;
use crate::delivery::lanes::LaneId;
use crate::error::{Error, Status};
use crate::host::cancel::CancelToken;
use crate::host::locks::lock;
use crate::host::{log, panics};
use crate::options::Delivery;

/// More is no making, but a machine that was asleep or had no time.
const LONGEST_MAKING: Duration = Duration::from_millis(50);

impl Sender {
    /// Puts the attempt on record, before its first byte is sent, at `due`.
    pub(super) fn depart(
        &self,
        state: &mut State,
        choice: Choice,
        now: Instant,
        due: Instant,
    ) -> Action {
        let lanes = choice.lanes();
        let Choice {
            items: chosen,
            batch,
            group,
        } = choice;
        let Some(drain) = &mut state.drain else {
            return Action::Again;
        };
        let mut items = Vec::with_capacity(chosen.len());
        let mut apart = Vec::new();
        for chosen in chosen {
            let (item, unmerged) = merge(drain, chosen);
            items.push(item);
            apart.extend(unmerged);
        }
        state.backlog.put_back(apart);
        let loaded = load(drain, items);
        if !loaded.gone.is_empty() {
            self.delivery.stats.damaged.add(loaded.gone.len() as u64);
            report(drain.settle(&loaded.gone));
        }
        let items = loaded.items;
        let may_go = match record_attempt(drain, &items) {
            Ok(()) => true,
            Err(error) => {
                log::warn(|| format!("queue: an attempt could not be put on record: {error}"));
                // Where things are merged, an event that is sent off the record could be merged with another after
                // a crash, under a key that is used up. Where nothing is, only sending makes room on a full disk.
                !self.options().coalesce
            }
        };
        if let Some((unreadable, behind)) = loaded.unreadable {
            self.rest_unreadable(state, unreadable, &group);
            put_back(state, behind, group.clone());
        }
        let goes = may_go && !items.is_empty();
        let going = items.iter().map(|item| item.lane).filter(|_| goes);
        let going: HashSet<_> = going.collect();
        if !goes {
            put_back(state, items, group);
            self.leave_all(state, &lanes);
            return match may_go {
                true => Action::Again,
                false => Action::Wait(now + LOOK),
            };
        }
        self.leave_all(state, &lanes.difference(&going).copied().collect());
        let mut items = items;
        let is_retry = items.iter().any(|item| item.attempted);
        for item in &mut items {
            item.attempted = true;
        }
        state.in_flight += items.iter().map(Item::events).sum::<u64>();
        state.pacer.started(self.clock.since_start(due));
        if state.pacer.remembers()
            && let Some(drain) = &mut state.drain
        {
            let until = due.saturating_duration_since(Instant::now());
            let date = self.clock.date_ms() + until.as_millis() as u64;
            drain.note(Note::Started(date));
        }
        state.last_request += 1;
        let cancel = CancelToken::new();
        state.cancels.insert(state.last_request, cancel.clone());
        Action::Send(Box::new(Sending {
            id: state.last_request,
            batch: batch && (self.options().delivery == Delivery::Batch || items.len() > 1),
            items,
            group,
            keys: state.keys,
            is_retry,
            cancel,
            begun: now,
            due,
        }))
    }

    /// Gives up lanes of which nothing is under way.
    fn leave_all(&self, state: &mut State, lanes: &HashSet<LaneId>) {
        state.backlog.finished(lanes);
        for lane in lanes {
            self.delivery.lanes.leave(*lane);
        }
    }

    /// One that cannot be read now is tried again, and others do not wait for it.
    fn rest_unreadable(&self, state: &mut State, items: Vec<Item>, group: &Group) {
        let failures = group.failures + 1;
        let rest = health::rest(failures, 1, false, None, self.delivery.random.fraction());
        let group = Group {
            failures,
            rests_until: self.clock.elapsed() + rest,
            ..group.clone()
        };
        state.backlog.put_back_as(items, group);
    }

    /// Sends it and acts on what became of it.
    pub(super) fn send(self: &Arc<Self>, sending: Sending) {
        let tenant = sending.items.first().and_then(|item| item.tenant.clone());
        if sending.is_retry {
            self.delivery.stats.retries.add(1);
        }
        let request = request_of(&sending.items, sending.batch);
        let making = sending.begun.elapsed().min(LONGEST_MAKING);
        // One that is cancelled meanwhile is not sent.
        let _ = sending.cancel.sleep_until(sending.due);
        let sent = match request {
            // A panic over one event must not stop those behind it.
            Some(request) => panics::catch(|| {
                let tenant = tenant.as_deref();
                self.delivery
                    .send(&request, tenant, None, &sending.cancel, true)
            })
            .unwrap_or_else(Sent::nothing),
            None => Sent::nothing(Error::new(
                Status::Storage,
                "queue: the record holds no event",
            )),
        };

        self.came_back(sending, making, sent);
    }

    /// Acts on what became of it.
    pub(super) fn came_back(&self, sending: Sending, making: Duration, sent: Sent) {
        let lanes = sending.items.iter().map(|item| item.lane).collect();
        let lines = log::defer();
        let mut state = lock(&self.state);
        state.cancels.remove(&sending.id);
        state.making = making;
        state.in_flight -= sending.items.iter().map(Item::events).sum::<u64>();
        if let Some(at) = sent.at {
            let now = self.clock.since_start(Instant::now());
            state.pacer.went_out(self.clock.since_start(at), now);
        }
        self.settle(&mut state, sending, sent.result);
        state.backlog.finished(&lanes);
        drop(state);

        for lane in lanes {
            self.delivery.lanes.leave(lane);
        }
        self.look_again();
        self.delivery.progress.notify();
        drop(lines);
    }
}

/// Merges what is to be merged: on disk, or not at all. Returns what stays apart.
fn merge(drain: &mut Drain, chosen: Chosen) -> (Item, Vec<Item>) {
    let Chosen { mut item, absorbed } = chosen;
    if absorbed.is_empty() {
        return (item, absorbed);
    }
    let sum = absorbed
        .iter()
        .try_fold(item.value, |sum, other| exact_sum(sum, other.value));
    let Some(sum) = sum else {
        return (item, absorbed);
    };
    let members: Vec<_> = absorbed.iter().map(|other| other.position).collect();
    match drain.merge(item.position, &members, sum) {
        Ok(()) => {
            item.value = sum;
            item.members.extend(members);
            // The whole shares one fate: nobody of it ends too early.
            let youngest = absorbed.iter().map(|other| other.enqueued).max();
            item.enqueued = item.enqueued.max(youngest.unwrap_or(item.enqueued));
            (item, Vec::new())
        }
        Err(error) => {
            log::warn(|| format!("queue: events could not be merged: {error}"));
            (item, absorbed)
        }
    }
}

/// What became of events of which only the position was in memory.
#[derive(Default)]
struct Loaded {
    items: Vec<Item>,
    /// Those that are gone with their file, or damaged in it.
    gone: Vec<Position>,
    /// Those that cannot be read now, and those that stand behind them in their lanes.
    unreadable: Option<(Vec<Item>, Vec<Item>)>,
}

fn load(drain: &Drain, items: Vec<Item>) -> Loaded {
    let mut loaded = Loaded::default();
    let mut waiting = HashSet::new();
    let (mut unreadable, mut behind) = (Vec::new(), Vec::new());
    for mut item in items {
        if waiting.contains(&item.lane) {
            behind.push(item);
            continue;
        }
        if item.payload.is_none() {
            match drain.reread(item.position) {
                Ok(entry) => item.payload = Some(entry.payload),
                Err(error) if is_gone(&error) => {
                    log::error(|| format!("queue: an event is gone, or damaged: {error}"));
                    loaded.gone.push(item.position);
                    continue;
                }
                Err(error) => {
                    log::error(|| format!("queue: an event cannot be read now: {error}"));
                    waiting.insert(item.lane);
                    unreadable.push(item);
                    continue;
                }
            }
        }
        loaded.items.push(item);
    }
    loaded.unreadable = (!unreadable.is_empty()).then_some((unreadable, behind));
    loaded
}

/// The file is not there any more, or other bytes stand in the event's place.
fn is_gone(error: &StoreError) -> bool {
    use std::io::ErrorKind::{InvalidData, NotFound};
    matches!(error.kind(), NotFound | InvalidData)
}

/// Puts on record that those which were never sent are about to be.
fn record_attempt(drain: &mut Drain, items: &[Item]) -> Result<(), StoreError> {
    let fresh = items.iter().filter(|item| !item.attempted);
    let places: Vec<_> = fresh.map(|item| item.position).collect();
    match places.is_empty() {
        true => Ok(()),
        false => drain.attempt(&places),
    }
}

/// Puts items back as they were.
pub(super) fn put_back(state: &mut State, items: Vec<Item>, group: Group) {
    match group.failures > 0 || group.refused {
        true => drop(state.backlog.put_back_as(items, group)),
        false => state.backlog.put_back(items),
    }
}
