//! What a thread of the queue does next: decided under the lock, in no time. Reads events into the window, ends those
//! that are too old or too many, and chooses what the next request carries.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backlog::{Content, Item, Limits, Resources};
use super::coalesce::CoalesceKey;
use super::dead;
use super::record::Record;
use super::sender::{Action, Sender, State};
use super::store::{Drain, Entry, Hold, Note, Position};
use super::work::LOOK;
use crate::delivery::lanes::{LaneId, Ticket};
use crate::error::{Error, Status};
use crate::host::log;
use crate::options::{Delivery, Overflow};

/// How often it is looked at for events of other processes, which make no noise.
const LOOK_IDLE: Duration = Duration::from_secs(1);
/// How much is read from the folder at a time, before others have their turn.
const PIECE_EVENTS: usize = 256;
const PIECE_BYTES: usize = 1 << 20;
/// How long what was read of a folder that was removed may fail, and keep what is new waiting.
const LOST_PATIENCE: Duration = Duration::from_secs(60);
/// Auto delivery batches when there is more than single events can deliver in so many seconds.
const KEEPS_UP: f64 = 5.0;
/// What comes in while a request waits for its time is read so much before, since no event ends that wait: then there is
/// little left to read when it is due.
const READ_AHEAD: Duration = Duration::from_millis(20);
/// A lane that falls to the queue is kept if it can be used this soon.
const LANE_PATIENCE: Duration = Duration::from_millis(250);

impl Sender {
    pub(super) fn plan(self: &Arc<Self>, state: &mut State) -> Action {
        let now = Instant::now();
        if state.stopping {
            return Action::Stop;
        }
        self.take_in_lanes(state);
        if state.paused {
            self.give_up_drain(state);
            return match state.drain {
                None => Action::Rest,
                Some(_) => Action::Wait(now + LOOK),
            };
        }
        self.look(state, now);
        self.count_others(state, now);
        if state.drain.is_none() {
            // Another process drains, this one's events too. This one stays to take over.
            return Action::Wait(state.look_at);
        }
        if self.has_lost_drain(state) {
            self.give_up_drain(state);
            state.look_at = now;
            return match state.drain {
                None => Action::Again,
                Some(_) => Action::Wait(now + LOOK),
            };
        }
        self.fill(state);
        if state.lost_until.is_some() && state.backlog.is_empty() && state.in_flight == 0 {
            return self.give_up_lost(state);
        }
        let awaits_dispatch = self.awaits_dispatch();
        if !awaits_dispatch {
            self.expire(state);
        }
        if self.options().overflow == Overflow::DropOldest {
            self.trim(state, 0, 0);
        }
        if state.backlog.is_empty() {
            if !state.is_read {
                // All that was read has ended; behind it there may be what can go.
                return Action::Again;
            }
            self.leave_lanes(state);
            state.throughput.idle();
            return match self.options().path {
                Some(_) => Action::AwaitEvent(now + LOOK_IDLE),
                None => Action::Rest,
            };
        }
        if awaits_dispatch {
            self.leave_lanes(state);
            return Action::Wait(now + LOOK);
        }
        self.plan_request(state, now)
    }

    /// Goes on with the folder that there is now.
    fn give_up_lost(&self, state: &mut State) -> Action {
        self.give_up_drain(state);
        // If it cannot be counted now, the next look does.
        let _ = self.store.recount();
        Action::Again
    }

    /// If the lock file was removed, another process may hold a new one.
    fn has_lost_drain(&self, state: &mut State) -> bool {
        let hold = state.drain.as_ref().map(Drain::hold);
        if !state.gives_up && hold == Some(Hold::Lost) {
            log::warn(|| "queue: the drain lock was removed; it is taken anew".to_owned());
            // Perhaps with the folder, whose files go one by one: what is written here counts only if it is there.
            self.store.folder_was_removed();
            state.gives_up = true;
        }
        state.gives_up
    }

    /// There is something to send: now, or later.
    fn plan_request(self: &Arc<Self>, state: &mut State, now: Instant) -> Action {
        let time = self.clock.elapsed();
        state.throughput.busy(time);
        let due = self.clock.at(state.pacer.next_at());
        // One at most is made ahead: what comes of those before it may hold the others back.
        let half_a_period = Duration::from_secs_f64(0.5 / state.pacer.rate());
        let ahead = state.making.min(half_a_period);
        let next = due.checked_sub(ahead).unwrap_or(due);
        if next > now + LANE_PATIENCE {
            self.leave_lanes(state);
        }
        // What the next request carries is better chosen among many.
        let has_more_to_read = !state.is_read && !state.backlog.is_full();
        if has_more_to_read && (next > now || state.backlog.len() < self.enough(state, time)) {
            return Action::Again;
        }
        if next > now {
            // In what looks like an outage somebody may be well whom nobody has tried: who is next is chosen among all.
            if state.health.is_outage() && !state.is_read && state.backlog.make_room() {
                return Action::Again;
            }
            // Not for long: the folder, or its lock, may be removed meanwhile.
            let ahead = next.checked_sub(READ_AHEAD).filter(|at| *at > now);
            let until = ahead.unwrap_or(next).min(now + LOOK);
            return Action::Wait(self.next_change(state, until));
        }
        let limits = Limits {
            events: self.events_a_request(state, time),
            bytes: state.batch_size.bytes(),
        };
        let is_outage = state.health.is_outage();
        let mut resources = LanesAndStore {
            sender: self,
            held: &mut state.held,
            awaited: &mut state.awaited,
            drain: state.drain.as_ref(),
        };
        let choice = state
            .backlog
            .choose(time, limits, is_outage, &mut resources);
        // Lanes that fell to the queue and are not used now are asked for again.
        for lane in std::mem::take(&mut state.held) {
            self.delivery.lanes.leave(lane);
        }
        match choice {
            // Further on there may be lanes that are free.
            None if has_more_to_read || state.backlog.make_room() => Action::Again,
            // All that is left of a folder that was removed rests after failures, or its lanes are others'.
            None if state.in_flight == 0 && state.lost_until.is_some_and(|it| it <= now) => {
                log::warn(|| "queue: what is left of the removed folder is given up".to_owned());
                self.give_up_lost(state)
            }
            None => {
                let rest = state
                    .backlog
                    .next_rest(time)
                    .map(|until| self.clock.at(until));
                let until = rest.map_or(now + LOOK_IDLE, |rest| rest.min(now + LOOK_IDLE));
                // What is new may be able to go.
                Action::AwaitEvent(self.next_change(state, until))
            }
            Some(choice) => self.depart(state, choice, now, due.max(now)),
        }
    }

    /// The first moment, until `until`, at which time alone changes something.
    fn next_change(&self, state: &State, until: Instant) -> Instant {
        let expiry = self.options().max_age.and_then(|max_age| {
            let age = state
                .backlog
                .oldest()?
                .saturating_add(max_age.as_millis() as i64);
            Some(self.clock.at(Duration::from_millis(age.max(0) as u64 + 1)))
        });
        expiry.map_or(until, |expiry| expiry.min(until))
    }

    /// Takes in the lanes that others have given up.
    fn take_in_lanes(&self, state: &mut State) {
        for (lane, ticket) in self.take_granted() {
            if state.awaited.get(&lane) == Some(&ticket) {
                state.awaited.remove(&lane);
                state.held.insert(lane);
                state.backlog.lane_is_free(lane);
            }
        }
    }

    /// Takes the drain lock if it is free.
    pub(super) fn look(&self, state: &mut State, now: Instant) {
        if state.drain.is_some() || now < state.look_at {
            return;
        }
        state.look_at = now + LOOK;
        match self.store.try_drain() {
            Ok(Some(mut drain)) => {
                log::info(|| "queue: this process delivers the events".to_owned());
                self.go_on_at_the_pace(state, &mut drain);
                state.drain = Some(drain);
                state.is_read = false;
            }
            Ok(None) => {}
            Err(error) => log::warn(|| format!("queue: the drain lock failed: {error}")),
        }
    }

    /// The limit is for who delivered before, and this process, together.
    fn go_on_at_the_pace(&self, state: &mut State, drain: &mut Drain) {
        let (time, date) = (self.clock.elapsed(), self.clock.date_ms());
        for note in drain.notes(date) {
            match note {
                Note::Started(start) => {
                    let ago = Duration::from_millis(date.saturating_sub(start));
                    state.pacer.started_before(time, ago);
                }
                Note::HeldUntil(until) => {
                    let left = Duration::from_millis(until.saturating_sub(date));
                    state.pacer.held_before(time, left);
                }
            }
        }
    }

    /// Reads the next events into the window: a piece at a time, since it is done under the lock.
    pub(super) fn fill(&self, state: &mut State) {
        let Some(drain) = &mut state.drain else {
            return;
        };
        if state.backlog.is_full() {
            state.is_read = false;
            self.record_dead(state);
            return;
        }
        let entries = match drain.read(PIECE_EVENTS, PIECE_BYTES) {
            Ok(entries) => entries,
            Err(error) => {
                log::error(|| format!("queue: the folder could not be read: {error}"));
                if error.kind() == std::io::ErrorKind::NotFound && state.lost_until.is_none() {
                    self.store.folder_was_removed();
                    state.lost_until = Some(Instant::now() + LOST_PATIENCE);
                }
                // Not before the next look.
                state.is_read = true;
                return;
            }
        };
        state.is_read = drain.is_caught_up();
        let mut entries = VecDeque::from(entries);
        while let Some(entry) = entries.pop_front() {
            let (position, is_merged) = (entry.position, entry.merged.is_some());
            // What was merged is as old as its youngest: the whole shares one fate.
            let members = entry.merged.iter().flat_map(|merge| &merge.members);
            let youngest = match self.options().max_age {
                Some(_) => members.max().and_then(|member| drain.reread(*member).ok()),
                None => None,
            };
            match self.item_of(entry, youngest.map(|member| member.at_ms)) {
                Ok(item) => state.backlog.add(item),
                Err(payload) => {
                    let (members, unreadable) =
                        dead::unreadable(drain, position, is_merged, &payload);
                    state.unrecorded.push_back(unreadable);
                    // What was merged into it is sound.
                    for member in members.into_iter().rev() {
                        entries.push_front(member);
                    }
                }
            }
        }
        for damage in drain.take_damage() {
            self.delivery.stats.damaged.add(1);
            log::error(|| format!("queue: damage was set aside: {damage:?}"));
        }
        self.record_dead(state);
    }

    /// A stored event as the backlog has it; its bytes, if they are none. `youngest`: the date of the youngest that was
    /// merged into it.
    fn item_of(&self, entry: Entry, youngest: Option<u64>) -> Result<Item, Vec<u8>> {
        let parsed = Record::parse(&entry.payload).and_then(|record| {
            let fields = record.fields()?;
            let tenant = record.tenant.as_deref();
            let lane = self.delivery.lanes.id(tenant, &fields.user.id, &fields.key);
            let coalesce_key = match self.options().coalesce {
                true => Some(Arc::new(CoalesceKey::of(&record)?)),
                false => None,
            };
            let tenant = tenant.map(Arc::from);
            Some((
                lane,
                fields.value,
                tenant,
                record.fits_a_batch(),
                coalesce_key,
            ))
        });
        let Some((lane, value, tenant, fits_a_batch, coalesce_key)) = parsed else {
            return Err(entry.payload);
        };
        let enqueued = self.clock.enqueued(entry.at_ms);
        let (value, members) = match entry.merged {
            Some(merge) => (merge.value, merge.members),
            None => (value, Vec::new()),
        };
        Ok(Item {
            number: 0,
            position: entry.position,
            at_ms: entry.at_ms,
            enqueued: youngest.map_or(enqueued, |date| enqueued.max(self.clock.enqueued(date))),
            lane,
            tenant,
            fits_a_batch,
            attempted: entry.attempted,
            value,
            members,
            bytes: entry.payload.len(),
            payload: Some(entry.payload),
            coalesce_key,
            group: None,
        })
    }

    /// Ends what is too old.
    fn expire(&self, state: &mut State) {
        let Some(max_age) = self.options().max_age else {
            return;
        };
        let now = self.clock.elapsed().as_millis() as i64;
        let oldest = now.saturating_sub(max_age.as_millis().min(i64::MAX as u128) as i64);
        let expired = state.backlog.take_older_than(oldest);
        if expired.is_empty() {
            return;
        }
        let events = expired.iter().map(|item| item.events()).sum();
        self.delivery.stats.expired.add(events);
        let error = Error::new(
            Status::Expired,
            "queue: not delivered within \"max_age_in_seconds\"",
        );
        self.end(state, &expired, Err(&error));
        self.forget_lanes(state);
    }

    /// Stops waiting for lanes that nothing needs any more.
    pub(super) fn forget_lanes(&self, state: &mut State) {
        let State {
            awaited,
            backlog,
            held,
            ..
        } = state;
        held.retain(|lane| {
            let is_needed = backlog.has_lane(*lane);
            if !is_needed {
                self.delivery.lanes.leave(*lane);
            }
            is_needed
        });
        awaited.retain(|lane, ticket| {
            let is_needed = backlog.has_lane(*lane);
            if !is_needed {
                self.stop_waiting(*lane, *ticket);
                backlog.lane_is_free(*lane);
            }
            is_needed
        });
    }

    /// How many events to look at before the next request is made.
    fn enough(&self, state: &mut State, time: Duration) -> usize {
        match self.options().coalesce {
            // As many as fit.
            true => usize::MAX,
            false => self.events_a_request(state, time),
        }
    }

    fn events_a_request(&self, state: &mut State, time: Duration) -> usize {
        match self.wants_batch(state, time) && state.may_batch {
            true => self.options().batch_size,
            false => 1,
        }
    }

    fn wants_batch(&self, state: &mut State, time: Duration) -> bool {
        match self.options().delivery {
            Delivery::Single => false,
            Delivery::Batch => true,
            Delivery::Auto => {
                let options = &self.delivery.options;
                // As long as single events keep up, their replies tell of achievements.
                let waiting = match self.options().coalesce && state.is_read {
                    true => state.backlog.len() as u64,
                    false => self.store.usage().events.saturating_sub(state.in_flight),
                };
                let rate = state.throughput.rate(time, state.pacer.rate());
                options.knows_admin_api() && waiting as f64 > rate * KEEPS_UP
            }
        }
    }
}

/// The lanes and the store of a running queue.
struct LanesAndStore<'a> {
    sender: &'a Arc<Sender>,
    held: &'a mut HashSet<LaneId>,
    awaited: &'a mut HashMap<LaneId, Ticket>,
    drain: Option<&'a Drain>,
}

impl Resources for LanesAndStore<'_> {
    fn may_use(&mut self, lane: LaneId) -> bool {
        if self.held.remove(&lane) {
            return true;
        }
        if self.awaited.contains_key(&lane) {
            return false;
        }
        match self.sender.delivery.lanes.enter(lane, self.sender) {
            None => true,
            Some(ticket) => {
                self.awaited.insert(lane, ticket);
                false
            }
        }
    }

    fn reload(&mut self, position: Position) -> Option<Content> {
        if !self.sender.options().coalesce {
            return None;
        }
        // One that cannot be read is told of when it is to be sent.
        let entry = self.drain?.reread(position).ok()?;
        let record = Record::parse(&entry.payload)?;
        let coalesce_key = CoalesceKey::of(&record).map(Arc::new);
        Some(Content {
            payload: entry.payload,
            coalesce_key,
        })
    }
}
