//! The queue's threads: they take what the backlog chooses, send it at the pace the service allows,
//! and act on what became of it.
//!
//! One thread looks after the queue. When it is about to wait for the network and there is more to
//! send, it leaves the post to another, which sends over a second connection only if the pace allows
//! it before the first is back: so there are as many connections as the round trip needs.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::api::json;
use crate::api::operations;
use crate::api::request::{self, LaneName, Request};
use crate::api::retry::Failure;
use crate::calls::worker::run_callback;
use crate::calls::{AnyCallback, Finished};
use crate::delivery::callback::{self, DeliveryCallback};
use crate::delivery::control::Control;
use crate::delivery::engine::{Engine, Refusal, Sent};
use crate::delivery::lanes::LaneId;
use crate::delivery::stats::Now;
use crate::error::{Error, Status};
use crate::host::locks::lock;
use crate::host::log;
use crate::host::panics;
use crate::host::sys;
use crate::options::{Callbacks, Delivery, Overflow, QueueOptions, RequestOptions};
use crate::queue::backlog::{Backlog, BatchSize, Item, Limits, Merged, Shipment, halves};
use crate::queue::bell::{Bell, Rings};
use crate::queue::pacer::Pacer;
use crate::queue::record::{self, Record};
use crate::queue::store::{Drain, Entry, Hold, Position, Store, StoreError, Usage};

/// How much is read from the folder at a time, before others have their turn.
const PIECE_EVENTS: usize = 256;
const PIECE_BYTES: usize = 1 << 20;
/// Events that are looked through for those that can become one, before the first is sent.
const ENOUGH_TO_COALESCE: usize = 4_096;
/// The largest body of a batch.
const BATCH_BYTES: usize = 4 << 20;
/// How often the folder is looked at for events of other processes, and for the drain lock.
const LOOK: Duration = Duration::from_millis(500);
/// How long a thread without work stays, and the drain lock is kept.
const IDLE: Duration = Duration::from_secs(10);
/// More would only pile up at a service that does not answer.
const MOST_THREADS: usize = 16;
/// Callbacks not yet dispatched at which the queue waits for the host.
const MOST_NOTICES: usize = 10_000;
/// Auto delivery batches when there is more than single events can deliver in so many seconds.
const KEEPS_UP: f64 = 5.0;
/// A lane that falls to the queue is kept if it can be used this soon.
const LANE_PATIENCE: Duration = Duration::from_millis(250);
/// Answers of 2xx that cannot be read before an event is set aside.
const MOST_UNREADABLE: u32 = 3;

/// What the queue has once there are events.
pub struct Sender {
    pub store: Store,
    pub bell: Arc<Bell>,
    /// Rung when something has been delivered, for those who flush.
    pub progress: Bell,
    state: Mutex<State>,
    threads: Mutex<Threads>,
    callback: Mutex<Option<Arc<dyn DeliveryCallback>>>,
    /// What the host is still to be told.
    notices: Mutex<Notices>,
    options: QueueOptions,
    /// The Admin API is where the application API is: so batches may go there unasked.
    knows_admin_api: bool,
    /// The origin of the pacer's time.
    start: Instant,
}

#[derive(Default)]
struct Notices {
    due: VecDeque<(Status, String)>,
    /// Those that the host is being told.
    under_way: usize,
}

struct State {
    drain: Option<Drain>,
    /// Its folder was removed: what is known of it is delivered, from files that are still open.
    is_lost: bool,
    /// Another may drain: nothing more is sent, and the drain goes when what is under way is back.
    gives_up: bool,
    /// Dead events that could not be put on record yet, and so stay in the store.
    unrecorded: Vec<Unrecorded>,
    /// The next look at the folder.
    look_at: Instant,
    /// When there last was something to send.
    idle_since: Instant,
    /// The store had no more when it was last read.
    is_read: bool,
    backlog: Backlog,
    pacer: Pacer,
    in_flight: u64,
    controls: Vec<Control>,
    /// Lanes that the queue has and does not use yet.
    held: HashSet<LaneId>,
    /// Lanes that the queue waits for.
    awaited: HashSet<LaneId>,
    paused: bool,
    /// How many keys there were: what the service says of an earlier one is no news.
    keys: u64,
    /// The key may send batches, as far as is known.
    may_batch: bool,
    batch_size: BatchSize,
    stopping: bool,
}

struct Unrecorded {
    lines: Vec<String>,
    dead: Dead,
    /// The log has it.
    said: bool,
}

enum Dead {
    Refused(Item, Error),
    /// A record that is no event.
    Unreadable(Position),
}

#[derive(Default)]
struct Threads {
    handles: Vec<JoinHandle<()>>,
    alive: usize,
    /// Those that look after the queue, not those that wait for the network or a callback.
    on_post: usize,
    stopping: bool,
}

/// What a thread is to do next.
enum Action {
    Send(Shipment, Control),
    /// Nothing that takes time: look again, once others had their turn at the lock.
    Again,
    /// Nothing until then, unless the bell rings.
    Wait(Instant),
    /// Nothing until then, unless the bell rings or an event comes: then the thread may go.
    Rest(Instant),
    /// The next look at the folder, or an event.
    Look(Instant),
    Stop,
}

impl Sender {
    pub fn new(
        store: Store,
        options: &QueueOptions,
        knows_admin_api: bool,
        callback: Option<Arc<dyn DeliveryCallback>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            store,
            bell: Arc::default(),
            progress: Bell::default(),
            state: Mutex::new(State {
                drain: None,
                is_lost: false,
                gives_up: false,
                unrecorded: Vec::new(),
                look_at: now,
                idle_since: now,
                is_read: false,
                backlog: Backlog::default(),
                pacer: Pacer::new(options.requests_per_second),
                in_flight: 0,
                controls: Vec::new(),
                held: HashSet::new(),
                awaited: HashSet::new(),
                paused: false,
                keys: 1,
                may_batch: true,
                batch_size: BatchSize::new(BATCH_BYTES),
                stopping: false,
            }),
            threads: Mutex::default(),
            callback: Mutex::new(callback),
            notices: Mutex::default(),
            options: options.clone(),
            knows_admin_api,
            start: now,
        }
    }

    /// Keeps an event. It is safe when this returns.
    pub fn keep(self: &Arc<Self>, engine: &Arc<Engine>, payload: &str) -> Result<(), Error> {
        self.make_room(engine, payload.len() as u64)?;
        self.store
            .append(unix_ms(), payload.as_bytes())
            .map_err(|error| storage("the event was not kept", &error))?;
        self.bell.ring_for_event();
        self.staff(engine);
        Ok(())
    }

    fn make_room(&self, engine: &Engine, bytes: u64) -> Result<(), Error> {
        if bytes > self.options.max_bytes {
            return Err(Error::new(
                Status::QueueFull,
                format!(
                    "queue: the event alone, of {bytes} bytes, is larger than \"max_bytes\" ({}), and was not kept",
                    self.options.max_bytes
                ),
            ));
        }
        let Some(_) = self.over(self.store.usage(), 1, bytes) else {
            return Ok(());
        };
        // What is delivered goes with its segment.
        self.store.end_settled();
        let mut state = lock(&self.state);
        self.look(&mut state, Instant::now());
        self.fill(&mut state, engine);
        drop(state);
        // Another process may have delivered some.
        let usage = self
            .store
            .recount()
            .map_err(|error| storage("the queue could not be counted", &error))?;
        let Some((option, limit)) = self.over(usage, 1, bytes) else {
            return Ok(());
        };
        if self.options.overflow == Overflow::DropOldest && self.drop_oldest(engine, bytes) {
            return Ok(());
        }
        Err(Error::new(
            Status::QueueFull,
            format!(
                "queue: \"{option}\" ({limit}) is reached, and the event was not kept; deliver what is there, \
                 raise it, or set \"overflow\" to \"drop_oldest\""
            ),
        ))
    }

    /// The limit that so much more would break.
    fn over(&self, usage: Usage, events: u64, bytes: u64) -> Option<(&'static str, u64)> {
        let options = &self.options;
        if usage.events + events > options.max_events {
            Some(("max_events", options.max_events))
        } else if usage.events > 0 && usage.bytes + bytes > options.max_bytes {
            Some(("max_bytes", options.max_bytes))
        } else {
            None
        }
    }

    /// Drops old events until there is room. True also where another process drains, which trims
    /// the queue when it next looks.
    fn drop_oldest(&self, engine: &Engine, bytes: u64) -> bool {
        let mut state = lock(&self.state);
        if state.drain.is_none() {
            return true;
        }
        let made_room = self.trim(&mut state, engine, 1, bytes);
        drop(state);
        // Its thread tells the host.
        self.bell.ring();
        made_room
    }

    /// Drops the oldest until so much more fits.
    fn trim(&self, state: &mut State, engine: &Engine, events: u64, bytes: u64) -> bool {
        while self.over(self.store.usage(), events, bytes).is_some() {
            if state.backlog.len() == 0 {
                self.fill(state, engine);
            }
            let Some(item) = state.backlog.take_oldest() else {
                return false;
            };
            engine.stats.dropped.add(item.events());
            let error = Error::new(
                Status::QueueFull,
                "queue: dropped as the oldest, to make room (\"overflow\": \"drop_oldest\")",
            );
            self.end(state, &[item], Err(&error));
        }
        true
    }

    /// Sees to it that somebody looks after the queue.
    pub fn staff(self: &Arc<Self>, engine: &Arc<Engine>) {
        let mut threads = lock(&self.threads);
        if threads.on_post > 0 || threads.alive >= MOST_THREADS || threads.stopping {
            return;
        }
        threads.handles.retain(|handle| !handle.is_finished());
        let (sender, engine) = (Arc::clone(self), Arc::clone(engine));
        let body = move || {
            if panics::catch(|| sender.work(&engine)).is_err() {
                // The next event, flush or close starts another.
                let mut threads = lock(&sender.threads);
                threads.on_post -= 1;
                threads.alive -= 1;
            }
        };
        match sys::spawn("trophy-queue", body) {
            Ok(handle) => {
                threads.handles.push(handle);
                threads.alive += 1;
                threads.on_post += 1;
            }
            Err(error) => log::warn(|| {
                format!("queue: no thread could be started, and the events wait: {error}")
            }),
        }
    }

    fn work(self: &Arc<Self>, engine: &Arc<Engine>) {
        loop {
            let rings = self.bell.rings();
            let action = {
                let mut state = lock(&self.state);
                self.plan(&mut state, engine)
            };
            self.tell(engine);
            match action {
                Action::Send(shipment, control) => {
                    let has_more = lock(&self.state).has_more();
                    self.away(engine, has_more, || {
                        self.ship(engine, shipment, &control);
                    });
                    self.tell(engine);
                }
                Action::Again => std::thread::yield_now(),
                Action::Wait(until) => {
                    self.bell.wait(rings, until, false);
                }
                Action::Rest(until) => {
                    if !self.bell.wait(rings, until, true) && self.retire(rings) {
                        return;
                    }
                }
                Action::Look(at) => {
                    self.bell.wait(rings, at, true);
                }
                Action::Stop => {
                    self.leave();
                    return;
                }
            }
        }
    }

    /// Does something that takes time, while another thread may look after the queue.
    fn away(self: &Arc<Self>, engine: &Arc<Engine>, has_more: bool, action: impl FnOnce()) {
        lock(&self.threads).on_post -= 1;
        let _back = Back(&self.threads);
        if has_more {
            self.staff(engine);
        }
        action();
    }

    /// The thread goes, since the queue stops. The last one lets another process, or client, drain.
    fn leave(&self) {
        let mut state = lock(&self.state);
        let mut threads = lock(&self.threads);
        threads.on_post -= 1;
        threads.alive -= 1;
        if threads.alive == 0 {
            state.drain = None;
        }
    }

    /// The thread goes, unless something came up. The last one lets another process drain.
    fn retire(&self, rings: Rings) -> bool {
        let mut state = lock(&self.state);
        let mut threads = lock(&self.threads);
        if self.bell.rings() != rings {
            return false;
        }
        threads.on_post -= 1;
        threads.alive -= 1;
        if threads.alive == 0 {
            state.drain = None;
            state.backlog = Backlog::default();
            // What crowded the service then says nothing about the next event.
            state.pacer = Pacer::new(self.options.requests_per_second);
        }
        true
    }

    fn plan(&self, state: &mut State, engine: &Arc<Engine>) -> Action {
        let now = Instant::now();
        if state.stopping {
            return Action::Stop;
        }
        let next = self.start + state.pacer.next_at();
        let unused = self.take_granted(state, next <= now + LANE_PATIENCE);
        engine.leave_lanes(unused);

        self.look(state, now);
        if state.drain.is_none() {
            // Another process drains. This one stays to take over, as long as there is something.
            let is_empty = self.store.recount().is_ok_and(|usage| usage.events == 0);
            return match is_empty {
                true => Action::Rest(now + IDLE),
                false => Action::Look(state.look_at),
            };
        }
        if let Some(action) = self.give_up_lost_drain(state, now) {
            return action;
        }
        self.fill(state, engine);
        if state.is_lost && state.backlog.len() == 0 && state.in_flight == 0 {
            state.is_lost = false;
            state.drain = None;
            // If it cannot be counted now, the next look does.
            let _ = self.store.recount();
            return Action::Again;
        }
        self.expire(state, engine);
        if self.options.overflow == Overflow::DropOldest {
            self.trim(state, engine, 0, 0);
        }
        if state.paused || state.backlog.len() == 0 {
            return match self.options.path.is_some() {
                // Events of other processes do not ring.
                true if state.idle_since.elapsed() < IDLE => Action::Look(now + LOOK),
                _ => Action::Rest(now + IDLE),
            };
        }
        state.idle_since = now;
        if engine.options.callbacks == Callbacks::Dispatch
            && engine.calls.callbacks_due() > MOST_NOTICES
        {
            return Action::Wait(now + LOOK);
        }
        // What the next request carries is better chosen among many.
        let has = state.backlog.len() + state.backlog.members();
        let has_more_to_read = !state.is_read && !state.backlog.is_full();
        if has_more_to_read && (next > now || has < self.enough(state)) {
            return Action::Again;
        }
        if next > now {
            // Not for long: the folder, or its lock, may be removed meanwhile.
            return Action::Wait(next.min(now + LOOK));
        }
        let shipment = self.choose(state, engine);
        // Lanes that fell to the queue and are not used now are asked for again.
        engine.leave_lanes(std::mem::take(&mut state.held));
        match shipment {
            // Further on there may be lanes that are free.
            None if has_more_to_read => Action::Again,
            None => Action::Wait(now + LOOK),
            Some(shipment) => self.depart(state, engine, shipment, now),
        }
    }

    /// If the lock file was removed, another process may hold a new one.
    fn give_up_lost_drain(&self, state: &mut State, now: Instant) -> Option<Action> {
        if let Some(drain) = &state.drain
            && !state.gives_up
            && drain.hold() == Hold::Lost
        {
            log::warn(|| "queue: the drain lock was removed; it is taken anew".to_owned());
            state.gives_up = true;
        }
        if !state.gives_up {
            return None;
        }
        if state.in_flight > 0 {
            return Some(Action::Wait(now + LOOK));
        }
        state.gives_up = false;
        state.is_lost = false;
        state.drain = None;
        state.backlog = Backlog::default();
        state.look_at = now;
        Some(Action::Again)
    }

    /// How many events to look at before the next request is made.
    fn enough(&self, state: &State) -> usize {
        match self.options.coalesce {
            true => ENOUGH_TO_COALESCE,
            false => self.events_a_request(state),
        }
    }

    /// Takes in the lanes that fell to the queue; gives back those that it cannot use soon.
    fn take_granted(&self, state: &mut State, soon: bool) -> Vec<LaneId> {
        let granted = self.bell.take_granted();
        for lane in &granted {
            state.awaited.remove(lane);
        }
        if soon && !state.paused {
            state.held.extend(granted);
            return Vec::new();
        }
        granted
    }

    /// Takes the drain lock if it is free.
    fn look(&self, state: &mut State, now: Instant) {
        if state.drain.is_some() || now < state.look_at {
            return;
        }
        state.look_at = now + LOOK;
        match self.store.try_drain() {
            Ok(Some(drain)) => {
                log::info(|| "queue: this process delivers the events".to_owned());
                state.drain = Some(drain);
                state.backlog = Backlog::default();
                state.unrecorded.clear();
                state.idle_since = now;
            }
            Ok(None) => {}
            Err(error) => log::warn(|| format!("queue: the drain lock failed: {error}")),
        }
    }

    /// Reads the next events into the window: a piece at a time, since it is done under the lock.
    fn fill(&self, state: &mut State, engine: &Engine) {
        let Some(drain) = &mut state.drain else {
            return;
        };
        state.is_read = false;
        if state.backlog.is_full() {
            self.record_dead(state, engine);
            return;
        }
        let entries = match drain.read(PIECE_EVENTS, PIECE_BYTES) {
            Ok(entries) => entries,
            Err(error) => {
                log::error(|| format!("queue: the folder could not be read: {error}"));
                if error.kind() == std::io::ErrorKind::NotFound {
                    self.store.folder_was_removed();
                    state.is_lost = true;
                }
                // Not before the next look.
                state.is_read = true;
                return;
            }
        };
        state.is_read = entries.is_empty();
        let mut entries = VecDeque::from(entries);
        while let Some(entry) = entries.pop_front() {
            let position = entry.position;
            let is_merged = entry.merged.is_some();
            let Err(payload) = self.take_in(&mut state.backlog, engine, entry) else {
                continue;
            };
            log::error(|| "queue: a sound record holds no event; it is set aside".to_owned());
            let mut lines = vec![unreadable_line(&payload)];
            if is_merged {
                match drain.dissolve(position) {
                    // What was merged into it is sound.
                    Ok(members) => members
                        .into_iter()
                        .rev()
                        .for_each(|it| entries.push_front(it)),
                    // It was sent by another version, with its members, and they share its end.
                    Err(error) => {
                        log::error(|| {
                            format!("queue: so are those that were merged into it: {error}")
                        });
                        lines.extend(member_lines(drain, position));
                    }
                }
            }
            state.unrecorded.push(Unrecorded {
                lines,
                dead: Dead::Unreadable(position),
                said: false,
            });
        }
        for damage in drain.take_damage() {
            engine.stats.damaged.add(1);
            log::error(|| format!("queue: damage was set aside: {damage:?}"));
        }
        self.record_dead(state, engine);
    }

    /// Takes a stored event into the backlog; gives its bytes back if they are none.
    fn take_in(&self, backlog: &mut Backlog, engine: &Engine, entry: Entry) -> Result<(), Vec<u8>> {
        let parsed = Record::parse(&entry.payload).and_then(|record| {
            let fields = record.fields()?;
            let lane = engine.lane_id(record.tenant.as_deref(), &fields.user.id, &fields.key);
            let tenant: Option<Arc<str>> = record.tenant.as_deref().map(Arc::from);
            let likeness = match self.options.coalesce {
                true => Some(record.likeness()?),
                false => None,
            };
            Some((lane, fields.value, tenant, record.fits_a_batch(), likeness))
        });
        let Some((lane, value, tenant, fits_a_batch, likeness)) = parsed else {
            return Err(entry.payload);
        };
        let item = Item {
            number: backlog.number(),
            place: entry.position,
            at_ms: entry.at_ms,
            lane,
            value,
            tenant,
            fits_a_batch,
            attempted: entry.attempted,
            merged: entry.merged.map(|merge| Merged {
                value: merge.value,
                recorded: merge.members.len(),
                members: merge.members,
            }),
            unreadable: 0,
            payload: entry.payload,
        };
        let item = match likeness {
            Some(likeness) => backlog.join(item, likeness),
            None => Some(item),
        };
        if let Some(item) = item {
            backlog.add(item);
        }
        Ok(())
    }

    fn expire(&self, state: &mut State, engine: &Engine) {
        let Some(max_age) = self.options.max_age else {
            return;
        };
        let oldest = unix_ms().saturating_sub(max_age.as_millis() as u64);
        let expired = state.backlog.take_older_than(oldest);
        if expired.is_empty() {
            return;
        }
        engine
            .stats
            .expired
            .add(expired.iter().map(Item::events).sum());
        let error = Error::new(
            Status::Expired,
            "queue: not delivered within \"max_age_in_seconds\"",
        );
        self.end(state, &expired, Err(&error));
    }

    fn wants_batch(&self, state: &State) -> bool {
        match self.options.delivery {
            Delivery::Single => false,
            Delivery::Batch => true,
            Delivery::Auto => {
                // As long as single events keep up, their replies tell of achievements.
                let waiting = match self.options.coalesce && state.is_read {
                    true => state.backlog.len() as u64,
                    false => self.store.usage().events.saturating_sub(state.in_flight),
                };
                self.knows_admin_api && waiting as f64 > state.pacer.rate() * KEEPS_UP
            }
        }
    }

    fn events_a_request(&self, state: &State) -> usize {
        match self.wants_batch(state) && state.may_batch {
            true => self.options.batch_size,
            false => 1,
        }
    }

    fn choose(&self, state: &mut State, engine: &Engine) -> Option<Shipment> {
        let limits = Limits {
            events: self.events_a_request(state),
            bytes: state.batch_size.bytes(),
        };
        let State {
            backlog,
            held,
            awaited,
            ..
        } = state;
        let mut shipment = backlog.choose(limits, |lane| {
            if held.remove(&lane) {
                return true;
            }
            if awaited.contains(&lane) {
                return false;
            }
            let is_free = engine.calls.enter_for_queue(lane, &self.bell);
            if !is_free {
                awaited.insert(lane);
            }
            is_free
        })?;
        shipment.batch &= self.options.delivery == Delivery::Batch || shipment.items.len() > 1;
        Some(shipment)
    }

    /// Puts the attempt on record, before its first byte is sent.
    fn depart(
        &self,
        state: &mut State,
        engine: &Arc<Engine>,
        mut shipment: Shipment,
        now: Instant,
    ) -> Action {
        let Some(drain) = &mut state.drain else {
            return Action::Look(state.look_at);
        };
        let fresh = shipment.items.iter_mut().filter(|item| !item.attempted);
        let mut places = Vec::new();
        let mut result = Ok(());
        for item in fresh {
            if let Some(merged) = &mut item.merged
                && merged.recorded < merged.members.len()
                && result.is_ok()
            {
                let new = &merged.members[merged.recorded..];
                result = drain.merge(item.place, new, merged.value);
                if result.is_ok() {
                    merged.recorded = merged.members.len();
                }
            }
            places.push(item.place);
        }
        if result.is_ok() && !places.is_empty() {
            result = drain.attempt(&places);
        }
        let is_off_record = result.is_err();
        if let Err(error) = result {
            log::warn(|| format!("queue: an attempt could not be put on record: {error}"));
        }
        if is_off_record && self.options.coalesce {
            // Sent all the same, it could be merged with another after a crash, under a key that is used up.
            // Where nothing is merged, only sending makes room on a full disk.
            let lanes = shipment.lanes();
            state.backlog.landed(&lanes);
            state.backlog.put_back(shipment.items);
            engine.leave_lanes(lanes);
            return Action::Wait(now + LOOK);
        }
        for item in &mut shipment.items {
            item.attempted = true;
        }
        shipment.keys = state.keys;
        state.in_flight += shipment.items.iter().map(Item::events).sum::<u64>();
        state.pacer.started(now - self.start);
        let control = Control::new();
        state.controls.push(control.clone());
        Action::Send(shipment, control)
    }

    /// Sends it and acts on what became of it.
    fn ship(&self, engine: &Arc<Engine>, shipment: Shipment, control: &Control) {
        let tenant = shipment.items.first().and_then(|item| item.tenant.clone());
        let deadline = Instant::now() + engine.options.attempt_timeout;
        let sent = match request_of(&shipment) {
            // A panic over one event must not stop those behind it.
            Some(request) => {
                panics::catch(|| engine.send(&request, tenant.as_deref(), deadline, control, true))
                    .unwrap_or_else(Sent::nothing)
            }
            None => Sent::nothing(Error::new(
                Status::Storage,
                "queue: the record holds no event",
            )),
        };

        let lanes = shipment.lanes();
        let mut state = lock(&self.state);
        state.controls.retain(|other| !other.is(control));
        state.in_flight -= shipment.items.iter().map(Item::events).sum::<u64>();
        state.backlog.landed(&lanes);
        if let Some(at) = sent.at {
            state.pacer.went_out(at.duration_since(self.start));
        }
        self.settle(&mut state, engine, shipment, sent.result);
        drop(state);

        engine.leave_lanes(lanes);
        self.bell.ring();
        self.progress.ring();
        if self.store.usage().events == 0 {
            engine.calls.look_again();
        }
    }

    fn settle(
        &self,
        state: &mut State,
        engine: &Engine,
        shipment: Shipment,
        result: Result<String, Refusal>,
    ) {
        let now = self.start.elapsed();
        let random = engine.random.fraction();
        let bytes = shipment.bytes();
        let Shipment {
            mut items,
            batch,
            keys,
        } = shipment;
        let refusal = match result {
            Ok(reply) => {
                state.pacer.succeeded(now);
                if batch {
                    state.batch_size.was_taken(bytes);
                }
                engine
                    .stats
                    .delivered
                    .add(items.iter().map(Item::events).sum());
                self.end(state, &items, Ok(&reply));
                return;
            }
            Err(refusal) => refusal,
        };
        let mut error = refusal.error;
        error.details.attempts = 1;
        let retry_after = error.details.retry_after;
        let http_status = error.details.http_status;
        match error.status {
            Status::Cancelled => {
                state.pacer.failed(now, true, None, random);
                state.backlog.put_back(items);
            }
            Status::Unauthorized | Status::Forbidden if keys != state.keys => {
                state.pacer.succeeded(now);
                state.backlog.put_back(items);
            }
            Status::Unauthorized | Status::Forbidden if batch => {
                state.pacer.succeeded(now);
                state.may_batch = false;
                log::info(|| {
                    "queue: this API key may send no batches; events go one by one".to_owned()
                });
                state.backlog.put_back(items);
            }
            Status::Unauthorized | Status::Forbidden => {
                state.pacer.succeeded(now);
                state.paused = true;
                log::warn(|| {
                    format!(
                        "queue: paused, and every event kept, until trophy_client_set_api_key() or a new client: {}",
                        error.message
                    )
                });
                state.backlog.put_back(items);
            }
            Status::RateLimited => {
                state.pacer.limited(now, retry_after, random);
                state.backlog.put_back(items);
            }
            Status::InvalidResponse => {
                // The key makes it safe to ask again what became of it.
                state.pacer.failed(now, true, retry_after, random);
                for item in &mut items {
                    item.unreadable += 1;
                }
                let (dead, kept): (Vec<_>, Vec<_>) = items
                    .into_iter()
                    .partition(|item| item.unreadable >= MOST_UNREADABLE);
                state.backlog.put_back(kept);
                self.set_aside(state, engine, dead, &error);
            }
            _ if http_status.is_some_and(|code| (400..500).contains(&code) && code != 408)
                || refusal.failure == Failure::Final && is_of_the_event(error.status) =>
            {
                state.pacer.succeeded(now);
                if http_status == Some(413) && batch {
                    state.batch_size.was_refused(bytes);
                }
                if items.len() > 1 {
                    let parts = parts_of(&items, error.status);
                    state.backlog.put_back_in_parts(items, parts);
                } else {
                    self.set_aside(state, engine, items, &error);
                }
            }
            _ => {
                let sent = refusal.failure != Failure::NoAnswer { sent: false };
                state.pacer.failed(now, sent, retry_after, random);
                log::warn(|| format!("queue: kept, and tried again: {}", error.message));
                state.backlog.put_back(items);
            }
        }
    }

    /// Sets events aside that the service will never take.
    fn set_aside(&self, state: &mut State, engine: &Engine, items: Vec<Item>, error: &Error) {
        let Some(drain) = &state.drain else {
            return;
        };
        for item in items {
            log::error(|| format!("queue: an event is dead: {}", error.message));
            let mut lines = Vec::new();
            for_each_event(drain, &item, |at_ms, payload| {
                lines.extend(dead_line(at_ms, payload, error));
            });
            state.unrecorded.push(Unrecorded {
                lines,
                dead: Dead::Refused(item, error.clone()),
                said: false,
            });
        }
        self.record_dead(state, engine);
    }

    /// Puts dead events on record. One that cannot be stays, and is tried again with the next look.
    fn record_dead(&self, state: &mut State, engine: &Engine) {
        for mut unrecorded in std::mem::take(&mut state.unrecorded) {
            let Some(drain) = &mut state.drain else {
                return;
            };
            if let Err(error) = drain.add_dead_letters(&unrecorded.lines) {
                if !std::mem::replace(&mut unrecorded.said, true) {
                    log::error(|| {
                        format!("queue: a dead event stays until it is on record: {error}")
                    });
                }
                state.unrecorded.push(unrecorded);
                continue;
            }
            match unrecorded.dead {
                Dead::Refused(item, error) => {
                    engine.stats.dead.add(item.events());
                    self.end(state, &[item], Err(&error));
                }
                Dead::Unreadable(position) => {
                    engine.stats.dead.add(unrecorded.lines.len() as u64);
                    report(drain.settle(&[position]));
                }
            }
        }
    }

    /// These events have come to their end: they leave the store, and the host hears of them.
    fn end(&self, state: &mut State, items: &[Item], result: Result<&str, &Error>) {
        let Some(drain) = &mut state.drain else {
            return;
        };
        if lock(&self.callback).is_some() {
            let status = result.err().map_or(Status::Ok, |error| error.status);
            let mut notices = lock(&self.notices);
            for item in items {
                for_each_event(drain, item, |_, payload| {
                    let fields = Record::parse(payload).and_then(|record| record.fields());
                    if let Some(fields) = fields {
                        let notice = record::notice(&fields, result);
                        notices.due.push_back((status, notice));
                    }
                });
            }
        }
        // Also of those whose merge is not on record.
        let positions: Vec<_> = items
            .iter()
            .flat_map(|item| {
                [item.place]
                    .into_iter()
                    .chain(item.members().iter().copied())
            })
            .collect();
        report(drain.settle(&positions));
    }

    /// Tells the host what became of its events. With no lock held.
    fn tell(self: &Arc<Self>, engine: &Arc<Engine>) {
        if lock(&self.notices).due.is_empty() {
            return;
        }
        let Some(callback) = lock(&self.callback).clone() else {
            lock(&self.notices).due.clear();
            return;
        };
        let next = || {
            let mut notices = lock(&self.notices);
            let (status, json) = notices.due.pop_front()?;
            notices.under_way += 1;
            Some(Finished {
                callback: AnyCallback::Delivery(Arc::clone(&callback)),
                status,
                json,
            })
        };
        match engine.options.callbacks {
            Callbacks::Dispatch => {
                while let Some(finished) = next() {
                    engine.calls.push_finished(finished);
                    lock(&self.notices).under_way -= 1;
                }
            }
            Callbacks::Worker => {
                let has_more = lock(&self.state).has_more();
                self.away(engine, has_more, || {
                    while let Some(finished) = engine.calls.calling(next) {
                        run_callback(finished);
                        engine.calls.called(None);
                        lock(&self.notices).under_way -= 1;
                    }
                });
            }
        }
        self.progress.ring();
    }

    /// Nobody is still to be told of an end. Inside a callback, who asks may be the one who is told.
    pub fn has_told(&self) -> bool {
        let notices = lock(&self.notices);
        notices.due.is_empty() && (notices.under_way == 0 || callback::is_inside())
    }

    /// Events that are not delivered, as far as can be known.
    pub fn undelivered(&self) -> u64 {
        let is_drainer = lock(&self.state).drain.is_some();
        if !is_drainer && let Ok(usage) = self.store.recount() {
            return usage.events;
        }
        self.store.usage().events
    }

    /// Waits until everything is delivered, and those who listen were told, at most until `until`. Returns
    /// how much is left.
    pub fn flush(self: &Arc<Self>, engine: &Arc<Engine>, until: Option<Instant>) -> u64 {
        loop {
            let rings = self.progress.rings();
            let undelivered = self.undelivered();
            let now = Instant::now();
            let is_over = until.is_some_and(|until| until <= now) || lock(&self.state).stopping;
            if undelivered == 0 && self.has_told() || is_over {
                return undelivered;
            }
            self.staff(engine);
            // Another process may be the one that delivers.
            let look = now + LOOK / 2;
            let wait = until.map_or(look, |until| until.min(look));
            self.progress.wait(rings, wait, false);
        }
    }

    pub fn resume(self: &Arc<Self>, engine: &Arc<Engine>) {
        let mut state = lock(&self.state);
        state.paused = false;
        state.keys += 1;
        state.may_batch = true;
        drop(state);
        self.bell.ring();
        self.staff(engine);
    }

    /// Once this returns, the callback before it runs no more, unless this is called from inside it.
    pub fn set_callback(&self, engine: &Engine, callback: Option<Arc<dyn DeliveryCallback>>) {
        let before = std::mem::replace(&mut *lock(&self.callback), callback);
        let Some(before) = before else { return };
        engine.calls.forget_deliveries(&before);
        // A callback may use its own `user_data` until it returns.
        while !callback::is_inside() && Arc::strong_count(&before) > 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn now(&self) -> Now {
        let state = lock(&self.state);
        let usage = self.store.usage();
        Now {
            queued: usage.events.saturating_sub(state.in_flight),
            in_flight: state.in_flight,
            bytes_on_disk: match self.options.path {
                Some(_) => usage.bytes,
                None => 0,
            },
            paused: state.paused,
            requests_per_second: state.pacer.rate(),
            ..Now::default()
        }
    }

    /// Ends the threads' work: what is under way is cancelled, and stays in the store.
    pub fn stop(&self) {
        lock(&self.threads).stopping = true;
        let mut state = lock(&self.state);
        state.stopping = true;
        for control in &state.controls {
            control.cancel();
        }
        drop(state);
        self.bell.ring();
        self.progress.ring();
    }

    pub fn join(&self) {
        let handles = std::mem::take(&mut lock(&self.threads).handles);
        for handle in handles {
            // A thread that panicked has been logged.
            let _ = handle.join();
        }
        // The next process may drain now.
        lock(&self.state).drain = None;
    }
}

/// The thread is back on its post, also after a panic.
struct Back<'a>(&'a Mutex<Threads>);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        lock(self.0).on_post += 1;
    }
}

impl State {
    /// There is something to send besides what is under way.
    fn has_more(&self) -> bool {
        self.backlog.len() > 0 || !self.is_read
    }
}

/// A dead event as a person reads it.
fn dead_line(at_ms: u64, payload: &[u8], error: &Error) -> Option<String> {
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

/// The records that an item stands for, with when they came: its own, and those merged into it, which are
/// not in memory.
fn for_each_event(drain: &Drain, item: &Item, mut act: impl FnMut(u64, &[u8])) {
    act(item.at_ms, &item.payload);
    for place in item.members() {
        match drain.reread(*place) {
            Ok(entry) => act(entry.at_ms, &entry.payload),
            Err(error) => log::error(|| {
                format!(
                    "queue: an event came to its end and cannot be read again to say so: {error}"
                )
            }),
        }
    }
}

/// Whether an event was not sent for what it is: it never will be.
fn is_of_the_event(status: Status) -> bool {
    matches!(
        status,
        Status::InvalidArgument | Status::Storage | Status::Panic
    )
}

/// A refused batch in parts: by metric where one of them is missing, else in halves.
fn parts_of(items: &[Item], status: Status) -> Vec<Vec<u64>> {
    if status == Status::NotFound {
        let mut by_key: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for item in items {
            let key = Record::parse(&item.payload)
                .and_then(|record| record.fields())
                .map(|fields| fields.key.into_owned())
                .unwrap_or_default();
            by_key.entry(key).or_default().push(item.number);
        }
        if by_key.len() > 1 {
            return by_key.into_values().collect();
        }
    }
    halves(items)
}

fn request_of(shipment: &Shipment) -> Option<Request> {
    if shipment.batch {
        return batch_request(&shipment.items);
    }
    single_request(shipment.items.first()?)
}

fn batch_request(items: &[Item]) -> Option<Request> {
    let mut body = String::with_capacity(items.iter().map(|item| item.payload.len() + 1).sum());
    for item in items {
        body.push(if body.is_empty() { '[' } else { ',' });
        let record = Record::parse(&item.payload)?;
        body.push_str(&record.batch_item(item.merged.as_ref().map(|merged| merged.value))?);
    }
    body.push(']');
    let operation = operations::find(operations::EVENT_BATCH)?;
    Some(Request {
        operation,
        path: operation.path.to_owned(),
        body: Some(body),
        idempotency_key: None,
        // Each of its events has a key.
        repeatable: true,
        lane: None,
        options: RequestOptions::default(),
    })
}

fn single_request(item: &Item) -> Option<Request> {
    let record = Record::parse(&item.payload)?;
    let fields = record.fields()?;
    let operation = operations::find(operations::EVENT)?;
    Some(Request {
        operation,
        path: request::event_path(&fields.key, &record.query).ok()?,
        body: Some(record.single_body(item.merged.as_ref().map(|merged| merged.value))?),
        idempotency_key: Some(fields.idempotency_key.clone().into_owned()),
        repeatable: true,
        lane: Some(LaneName {
            user: fields.user.id.into_owned(),
            metric: fields.key.into_owned(),
        }),
        options: RequestOptions {
            additional_headers: record.headers,
            ..RequestOptions::default()
        },
    })
}

/// A bookkeeping write that failed: the store remembers it for this process, and tries again.
fn report(result: Result<(), StoreError>) {
    if let Err(error) = result {
        log::warn(|| format!("queue: {error}"));
    }
}

pub fn storage(what: &str, error: &StoreError) -> Error {
    Error::new(Status::Storage, format!("queue: {what}: {error}"))
}

fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_millis() as u64)
}
