//! The queue once there are events: what it has, and what is asked of it from outside its threads.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::age::QueueClock;
use super::backlog::Backlog;
use super::batch_size::BatchSize;
use super::health::Health;
use super::pacer::Pacer;
use super::store::{Drain, MAX_PAYLOAD, Store, StoreError};
use super::throughput::Throughput;
use super::work::{LOOK, Sending, Unrecorded};
use crate::delivery::Delivery;
use crate::delivery::callbacks::{self, Notice};
use crate::delivery::lanes::{LaneId, LaneWaiter, Ticket};
use crate::delivery::stats::Now;
use crate::error::{Error, Status};
use crate::host::cancel::CancelToken;
use crate::host::locks::{Mutex, Notify, lock};
use crate::host::log;
use crate::host::threads::Thread;
use crate::options::{Callbacks, QueueOptions};

/// Callbacks not yet dispatched at which the queue waits for the host.
const MOST_NOTICES: usize = 10_000;

pub struct Sender {
    pub(super) delivery: Arc<Delivery>,
    pub(super) store: Store,
    pub(super) clock: QueueClock,
    pub(super) state: Mutex<State>,
    pub(super) threads: Mutex<Threads>,
    /// Something for the threads to look at.
    pub(super) signal: Notify,
    /// How many events were kept here, so that a thread sees whether one came while it looked.
    pub(super) kept: AtomicUsize,
    /// A thread waits for a new event, and none came since.
    pub(super) awaits_event: AtomicBool,
    /// Lanes that others have given up, and the queue has asked for.
    granted: Mutex<Vec<(LaneId, Ticket)>>,
    /// Ends that the host is still to be notified of.
    pub(super) notices: Mutex<Notices>,
    /// Who waits for everything to be delivered.
    flushes: AtomicUsize,
}

#[derive(Default)]
pub(super) struct Notices {
    pub due: VecDeque<Notice>,
    /// Those that are on their way to the host.
    pub notifying: usize,
}

pub(super) struct State {
    pub drain: Option<Drain>,
    /// Its folder was removed: what is known of it is delivered, from files that are still open; what cannot be until
    /// then is given up.
    pub lost_until: Option<Instant>,
    /// Another may drain: nothing more is sent, and the drain goes when what is under way is back.
    pub gives_up: bool,
    /// Dead events that could not be put on record yet, and so stay in the store.
    pub unrecorded: VecDeque<Unrecorded>,
    /// The next look at the folder.
    pub look_at: Instant,
    /// From when on what others put into the folder is counted again.
    pub count_at: Instant,
    /// The store had no more when it was last read.
    pub is_read: bool,
    pub backlog: Backlog,
    pub pacer: Pacer,
    /// How long it took to make the last request: the next is begun so much before it may go out.
    pub making: Duration,
    pub health: Health,
    /// The first event of the last request that was over the limit.
    pub last_limited: u64,
    pub throughput: Throughput,
    /// Events of the requests under way.
    pub in_flight: u64,
    pub cancels: HashMap<u64, CancelToken>,
    pub last_request: u64,
    /// Lanes that the queue has and does not use yet.
    pub held: HashSet<LaneId>,
    /// Lanes that the queue waits for.
    pub awaited: HashMap<LaneId, Ticket>,
    pub paused: bool,
    /// How many keys there were: what the service says of an earlier one is no news.
    pub keys: u64,
    /// The key may send batches, as far as is known.
    pub may_batch: bool,
    pub batch_size: BatchSize,
    pub stopping: bool,
}

#[derive(Default)]
pub(super) struct Threads {
    pub handles: Vec<Thread>,
    pub alive: usize,
    /// Those that do not wait for the network or a callback.
    pub attentive: usize,
    pub stopping: bool,
}

/// What a thread is to do next.
pub(super) enum Action {
    Send(Box<Sending>),
    /// Nothing that takes time: look again, once others had their turn at the lock.
    Again,
    /// Nothing until then. An event changes nothing about that.
    Wait(Instant),
    /// Nothing until then, or until there is an event.
    AwaitEvent(Instant),
    /// The same; and if none comes, the thread may go.
    Rest,
    Stop,
}

impl Sender {
    pub fn new(delivery: Arc<Delivery>, store: Store) -> Self {
        let options = &delivery.options.queue;
        Self {
            store,
            clock: QueueClock::new(),
            state: Mutex::new(State {
                drain: None,
                lost_until: None,
                gives_up: false,
                unrecorded: VecDeque::new(),
                look_at: Instant::now(),
                count_at: Instant::now() + LOOK,
                is_read: false,
                backlog: Backlog::default(),
                pacer: Pacer::new(options.requests_per_second),
                making: Duration::ZERO,
                health: Health::default(),
                last_limited: 0,
                throughput: Throughput::default(),
                in_flight: 0,
                cancels: HashMap::new(),
                last_request: 0,
                held: HashSet::new(),
                awaited: HashMap::new(),
                paused: false,
                keys: 1,
                may_batch: true,
                batch_size: BatchSize::default(),
                stopping: false,
            }),
            threads: Mutex::default(),
            signal: Notify::default(),
            kept: AtomicUsize::new(0),
            awaits_event: AtomicBool::new(false),
            granted: Mutex::default(),
            notices: Mutex::default(),
            flushes: AtomicUsize::new(0),
            delivery,
        }
    }

    pub(super) fn options(&self) -> &QueueOptions {
        &self.delivery.options.queue
    }

    /// Keeps an event. It is safe when this returns.
    pub fn keep(self: &Arc<Self>, payload: &str) -> Result<(), Error> {
        // Before others give way to it.
        if payload.len() > MAX_PAYLOAD {
            return Err(Error::invalid(format!(
                "queue: the event, of {} bytes with its user, attributes and options, is longer than the {MAX_PAYLOAD} \
                 that one may have, and was not kept",
                payload.len()
            )));
        }
        self.make_room(payload.len() as u64)?;
        self.store
            .append(self.clock.date_ms(), payload.as_bytes())
            .map_err(|error| storage("the event was not kept", &error))?;
        self.kept.fetch_add(1, Ordering::SeqCst);
        // Only who waits for it is woken, and once: what comes in meanwhile he sees by himself.
        if self.awaits_event.load(Ordering::SeqCst)
            && self.awaits_event.swap(false, Ordering::SeqCst)
        {
            self.signal.notify();
        }
        self.ensure_thread();
        Ok(())
    }

    /// Has the threads look at what has changed.
    pub fn look_again(&self) {
        self.signal.notify();
    }

    /// Who cannot deliver, or has nothing to, lets another process; but not before what is under way has ended.
    pub(super) fn give_up_drain(&self, state: &mut State) {
        self.leave_lanes(state);
        if state.in_flight == 0 {
            state.drain = None;
            state.backlog = Backlog::default();
            state.unrecorded.clear();
            state.gives_up = false;
            state.lost_until = None;
            state.is_read = true;
        }
    }

    /// Gives up the lanes that the queue has and does not use, and waits for no others.
    pub(super) fn leave_lanes(&self, state: &mut State) {
        for lane in std::mem::take(&mut state.held) {
            self.delivery.lanes.leave(lane);
        }
        for (lane, ticket) in std::mem::take(&mut state.awaited) {
            self.stop_waiting(lane, ticket);
            state.backlog.lane_is_free(lane);
        }
    }

    pub(super) fn stop_waiting(&self, lane: LaneId, ticket: Ticket) {
        if !self.delivery.lanes.withdraw(lane, ticket) {
            self.delivery.lanes.leave(lane);
        }
    }

    pub(super) fn has_granted(&self) -> bool {
        !lock(&self.granted).is_empty()
    }

    pub(super) fn take_granted(&self) -> Vec<(LaneId, Ticket)> {
        std::mem::take(&mut lock(&self.granted))
    }

    /// The host is to hear of these.
    pub(super) fn add_notices(&self, notices: Vec<Notice>) {
        lock(&self.notices).due.extend(notices);
    }

    /// The host has so many ends to hear of that memory has no room for more.
    pub(super) fn has_many_notices(&self) -> bool {
        let due = lock(&self.notices).due.len();
        self.delivery.callbacks.has_delivery() && due + self.delivery.callbacks.due() > MOST_NOTICES
    }

    /// The queue waits for the host to dispatch callbacks; but not while it waits for the queue.
    pub(super) fn awaits_dispatch(&self) -> bool {
        self.delivery.callbacks.mode == Callbacks::Dispatch
            && self.flushes.load(Ordering::SeqCst) == 0
            && self.has_many_notices()
    }

    /// The host was notified of every end. Inside a callback, who asks may be the one who is notified.
    pub fn has_notified(&self) -> bool {
        let notices = lock(&self.notices);
        notices.due.is_empty() && (notices.notifying == 0 || callbacks::is_inside())
    }

    /// What the folder holds, whoever put it there.
    pub fn undelivered(&self) -> u64 {
        let usage = self.store.recount();
        usage.unwrap_or_else(|_| self.store.usage()).events
    }

    /// Waits until everything is delivered, and those who listen were told, at most until `until`. Returns how much
    /// is left.
    pub fn flush(self: &Arc<Self>, until: Option<Instant>) -> u64 {
        let awaits_dispatch = self.awaits_dispatch();
        self.flushes.fetch_add(1, Ordering::SeqCst);
        if awaits_dispatch {
            self.look_again();
        }
        let undelivered = self.wait_for_all(until);
        self.flushes.fetch_sub(1, Ordering::SeqCst);
        undelivered
    }

    fn wait_for_all(self: &Arc<Self>, until: Option<Instant>) -> u64 {
        loop {
            let seen = self.delivery.progress.times();
            let undelivered = self.undelivered();
            let now = Instant::now();
            let is_over = until.is_some_and(|until| until <= now) || self.is_stopped();
            if undelivered == 0 && self.has_notified() || is_over {
                return undelivered;
            }
            self.ensure_thread();
            // Another process may be the one that delivers.
            let look = now + LOOK / 2;
            let wait = until.map_or(look, |until| until.min(look));
            self.delivery.progress.wait(seen, Some(wait));
        }
    }

    /// There is a new key: what was paused goes on.
    pub fn resume(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        state.paused = false;
        // Also for a thread that is about to be away.
        state.is_read = false;
        state.keys += 1;
        state.may_batch = true;
        state.look_at = Instant::now();
        drop(state);
        self.signal.notify();
        self.ensure_thread();
    }

    pub fn now(&self) -> Now {
        let mut state = lock(&self.state);
        // Perhaps no thread has anything to do here.
        self.count_others(&mut state, Instant::now());
        let usage = self.store.usage();
        Now {
            queued: usage.events.saturating_sub(state.in_flight),
            in_flight: state.in_flight,
            bytes_on_disk: match self.options().path {
                Some(_) => usage.bytes,
                None => 0,
            },
            paused: state.paused,
            requests_per_second: state.pacer.rate(),
            ..Now::default()
        }
    }

    /// Counts what other processes put into the folder, and delivered of it: now and then, since it takes a look at
    /// every file. Where that takes long, the less often.
    pub(super) fn count_others(&self, state: &mut State, now: Instant) {
        if self.options().path.is_some() && now >= state.count_at {
            let before = Instant::now();
            // If it cannot be counted now, what was known before goes on to count.
            let _ = self.store.recount();
            state.count_at = Instant::now() + LOOK.max(10 * before.elapsed());
        }
    }

    pub fn is_stopped(&self) -> bool {
        lock(&self.state).stopping
    }

    /// Ends the threads' work: what is under way is cancelled, and stays in the store.
    pub fn stop(&self) {
        lock(&self.threads).stopping = true;
        let mut state = lock(&self.state);
        state.stopping = true;
        for cancel in state.cancels.values() {
            cancel.cancel();
        }
        drop(state);
        self.signal.notify();
        self.delivery.progress.notify();
    }
}

impl LaneWaiter for Sender {
    fn granted(self: Arc<Self>, lane: LaneId, ticket: Ticket) {
        lock(&self.granted).push((lane, ticket));
        self.signal.notify();
        self.ensure_thread();
    }
}

impl State {
    /// There is something to send besides what is under way.
    pub fn has_more(&self) -> bool {
        !self.backlog.is_empty() || !self.is_read
    }
}

/// A bookkeeping write that failed: the store remembers it for this process, and tries again.
pub(super) fn report(result: Result<(), StoreError>) {
    if let Err(error) = result {
        log::warn(|| format!("queue: {error}"));
    }
}

pub(super) fn storage(what: &str, error: &StoreError) -> Error {
    Error::new(Status::Storage, format!("queue: {what}: {error}"))
}
