//! The calls of a client, under one lock: those under way, those that wait for their lane, a worker
//! or their next attempt, and the callbacks still to run. `worker.rs` has the threads.

pub mod driver;
pub mod worker;

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::calls::driver::{Flying, Waker};
use crate::delivery::callback::{Callback, DeliveryCallback};
use crate::delivery::control::Control;
use crate::delivery::engine::{Call, Engine};
use crate::delivery::lanes::{IdMap, LaneId, Lanes, extract};
use crate::delivery::stats::Stats;
use crate::error::{Error, Status};
use crate::host::locks::{lock, wait_until};
use crate::options::{Callbacks, ClientOptions};
use crate::queue::Bell;

pub struct Calls {
    pub(crate) state: Mutex<State>,
    /// Something for a worker to do.
    pub(crate) work: Condvar,
    /// Something for those who wait for the calls to end, or to dispatch.
    pub(crate) changed: Condvar,
    /// Rouses the thread that waits for replies.
    pub(crate) waker: Waker,
    pub(crate) mode: Callbacks,
    pub(crate) workers: usize,
    max_pending: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    #[default]
    Open,
    /// Nothing new; what is there may finish.
    Closing,
    /// What was left has been cancelled.
    Closed,
}

#[derive(Default)]
pub(crate) struct State {
    pub phase: Phase,
    next_id: u64,
    pub lanes: Lanes<Waiter>,
    /// Asynchronous calls that a worker may take, in order.
    pub ready: VecDeque<Task>,
    /// Those of them that found no kept connection: a worker takes each, and waits for the network.
    pub grounded: VecDeque<Task>,
    /// Asynchronous calls between two attempts. They keep their lane.
    pub resting: BinaryHeap<Resting>,
    /// Asynchronous calls that are ready, grounded, resting, or in a lane's queue.
    pub pending: usize,
    /// None of those has to end before this for lack of time.
    pub next_overdue: Option<Instant>,
    /// It is sooner than an idle worker may know.
    pub is_sooner: bool,
    /// Asynchronous calls under way.
    pub running: IdMap<Running>,
    /// The replies that one thread awaits for all.
    pub air: Air,
    pub watch: Watch,
    /// How often flights were parked: it numbers those that are.
    pub parkings: u64,
    /// How long callbacks take, by a moving average.
    pub callback_time: Duration,
    /// Synchronous calls, waiting or under way.
    blocking: IdMap<Control>,
    /// Callbacks to be run: by a worker, or by dispatch.
    pub finished: VecDeque<Finished>,
    /// Callbacks that run now.
    pub calling: usize,
    /// Threads that wait for `changed`: a wake-up costs a system call.
    watchers: usize,
    pub threads: Threads,
}

#[derive(Default)]
pub(crate) struct Threads {
    pub handles: Vec<JoinHandle<()>>,
    pub alive: usize,
    pub idle: usize,
    /// Started, and not yet looking for work.
    pub starting: usize,
}

impl Threads {
    /// Those that will take the next job.
    pub fn free(&self) -> usize {
        self.idle + self.starting
    }
}

/// Who has the flights.
#[derive(Default)]
pub(crate) enum Air {
    /// There are none.
    #[default]
    Empty,
    /// A thread has them, the driver. It takes the calls that are ready as well. `asleep`: until a reply
    /// comes or it is roused.
    Driven { asleep: bool },
    /// The driver is away, for callbacks that take a moment. Until it is back, others leave flights,
    /// callbacks and ready calls to it, but not for longer than [`crate::calls::driver::PATIENCE`].
    Parked {
        flights: Vec<Flying>,
        since: Instant,
    },
}

/// Whether a thread looks, now and then, if a driver stays away for too long.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    #[default]
    None,
    /// The next thread without work is to keep it.
    Wanted,
    Kept,
}

/// Who waits for a lane.
pub(crate) enum Waiter {
    /// A synchronous call: its thread sleeps on the control.
    Thread(Control),
    Task(Task),
    /// The queue, which looks for itself which event is next.
    Queue(Arc<Bell>),
}

/// An asynchronous call.
pub(crate) struct Task {
    pub id: u64,
    pub call: Box<Call>,
    pub callback: Box<dyn Callback>,
}

/// An asynchronous call under way.
pub(crate) struct Running {
    pub tag: usize,
    pub control: Control,
    /// Its attempt is over by then.
    pub until: Instant,
}

/// The one that is due first is the greatest, as the heap wants it.
pub(crate) struct Resting {
    pub until: Instant,
    pub task: Task,
}

impl Ord for Resting {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.until, other.task.id).cmp(&(self.until, self.task.id))
    }
}

impl PartialOrd for Resting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Resting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Resting {}

/// A callback with what it is to be told.
pub(crate) struct Finished {
    pub callback: AnyCallback,
    pub status: Status,
    pub json: String,
}

pub(crate) enum AnyCallback {
    Call(Box<dyn Callback>),
    Delivery(Arc<dyn DeliveryCallback>),
}

impl Finished {
    pub fn of(callback: Box<dyn Callback>, result: Result<String, Error>) -> Self {
        let (status, json) = match result {
            Ok(json) => (Status::Ok, json),
            Err(error) => (error.status, error.to_json()),
        };
        Self {
            callback: AnyCallback::Call(callback),
            status,
            json,
        }
    }
}

impl Calls {
    pub fn new(options: &ClientOptions) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            changed: Condvar::new(),
            waker: Waker::default(),
            mode: options.callbacks,
            workers: options.workers,
            max_pending: options.max_pending_calls,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Whether one more asynchronous call may come.
    pub(crate) fn check_room(&self, state: &State) -> Result<(), Error> {
        state.check_open()?;
        // A host that does not dispatch is no reason to grow.
        let waiting = state.pending + state.finished.len();
        if waiting >= self.max_pending {
            return Err(Error::new(
                Status::QueueFull,
                format!(
                    "client: {waiting} asynchronous calls or their callbacks are waiting already; wait for \
                     callbacks, enqueue events, or raise \"max_pending_calls\"",
                ),
            ));
        }
        Ok(())
    }

    /// Takes a lane for the queue. If it is in use, the bell is rung when the queue has it.
    pub fn enter_for_queue(&self, lane: LaneId, bell: &Arc<Bell>) -> bool {
        self.lock()
            .lanes
            .enter(lane, Waiter::Queue(Arc::clone(bell)))
            .is_some()
    }

    /// Ends the asynchronous calls with this tag: those that wait at once, those under way by their
    /// control. Their callbacks run as they would have.
    pub(crate) fn cancel(&self, tag: usize, stats: &Stats) -> usize {
        let mut state = self.lock();
        let waiting = state.withdraw(|task| task.callback.tag() == tag);
        let mut cancelled = waiting.len();
        state.finish_cancelled(waiting, stats);
        for running in state.running.values() {
            if running.tag == tag {
                running.control.cancel();
                cancelled += 1;
            }
        }
        self.tell(&state);
        cancelled
    }

    /// Cancels everything, and lets nothing new begin.
    pub(crate) fn cancel_all(&self, stats: &Stats) -> usize {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        let running = state.running.values();
        let cancelled = running.filter(|running| running.control.is_cancelled());
        // Those that the host has cancelled are on their way out.
        let left = state.calls_left() - cancelled.count();
        let waiting = state.withdraw(|_| true);
        state.finish_cancelled(waiting, stats);
        for running in state.running.values() {
            running.control.cancel();
        }
        for control in state.blocking.values() {
            control.cancel();
        }
        self.work.notify_all();
        self.tell(&state);
        left
    }

    /// Whether all that was left has been cancelled.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().phase == Phase::Closed
    }

    /// Calls under way, calls waiting.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (
            (state.running.len() + state.blocking.len()) as u64,
            state.pending as u64,
        )
    }

    /// Something has changed, for those who watch.
    pub(crate) fn tell(&self, state: &State) {
        if state.watchers > 0 {
            self.changed.notify_all();
        }
    }

    /// Sleeps until something changes, or until `until` (`None`: for ever).
    pub(crate) fn watch<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        state.watchers += 1;
        let mut state = wait_until(&self.changed, state, until);
        state.watchers -= 1;
        state
    }

    /// Adds a callback that the host dispatches.
    pub(crate) fn push_finished(&self, finished: Finished) {
        let mut state = self.lock();
        state.finished.push_back(finished);
        self.tell(&state);
    }

    /// Takes the deliveries back that this callback has not heard yet.
    pub(crate) fn forget_deliveries(&self, callback: &Arc<dyn DeliveryCallback>) {
        self.lock().finished.retain(|finished| {
            !matches!(&finished.callback, AnyCallback::Delivery(other) if Arc::ptr_eq(other, callback))
        });
    }

    /// How many callbacks the host has not dispatched yet.
    pub fn callbacks_due(&self) -> usize {
        self.lock().finished.len()
    }

    /// Takes a callback that another thread of the library is about to run; `close` waits for it.
    pub(crate) fn calling(&self, next: impl FnOnce() -> Option<Finished>) -> Option<Finished> {
        let finished = next()?;
        self.lock().calling += 1;
        Some(finished)
    }

    /// It has run; for so long, where that was an asynchronous call's.
    pub(crate) fn called(&self, time: Option<Duration>) {
        let mut state = self.lock();
        state.calling -= 1;
        if let Some(time) = time {
            state.callback_time = (state.callback_time * 7 + time) / 8;
        }
        self.tell(&state);
    }

    /// Those who watch look again: something outside has changed.
    pub fn look_again(&self) {
        self.tell(&self.lock());
    }
}

impl Engine {
    /// Begins a synchronous call: waits for its lane. The call is over when the turn is dropped.
    pub fn begin(self: &Arc<Self>, call: &Call) -> Result<Turn<'_>, Error> {
        let mut state = self.calls.lock();
        state.check_open()?;
        let id = state.new_id();
        state.blocking.insert(id, call.control.clone());
        let granted = call.lane.is_none_or(|lane| {
            let waiter = Waiter::Thread(call.control.clone());
            state.lanes.enter(lane, waiter).is_some()
        });
        drop(state);
        let mut turn = Turn {
            engine: self,
            id,
            lane: call.lane.filter(|_| granted),
        };
        let Some(lane) = call.lane.filter(|_| !granted) else {
            return Ok(turn);
        };

        let answer = call.control.wait_for_grant(call.deadline);
        if answer == Ok(true) {
            turn.lane = Some(lane);
            return Ok(turn);
        }
        let withdrawn = self.calls.lock().lanes.withdraw_from(
            lane,
            |waiter| matches!(waiter, Waiter::Thread(control) if control.is(&call.control)),
        );
        if withdrawn.is_empty() {
            // Granted at the last moment: the turn, once dropped, passes it on.
            turn.lane = Some(lane);
        }
        Err(match answer {
            Ok(_) => Error::new(
                Status::Timeout,
                "metrics_event: an earlier event of this user and metric was under way until this call's \
                 timeout_in_seconds had passed",
            ),
            Err(_) => Error::cancelled(),
        })
    }

    /// The queue gives lanes up that it had.
    pub fn leave_lanes(self: &Arc<Self>, lanes: impl IntoIterator<Item = LaneId>) {
        let mut state = self.calls.lock();
        for lane in lanes {
            state.leave_lane(lane);
        }
        self.staff(state);
    }
}

/// A synchronous call under way.
pub struct Turn<'a> {
    engine: &'a Arc<Engine>,
    id: u64,
    lane: Option<LaneId>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.engine.calls.lock();
        state.blocking.remove(&self.id);
        self.engine.calls.tell(&state);
        if let Some(lane) = self.lane {
            state.leave_lane(lane);
            self.engine.staff(state);
        }
    }
}

impl State {
    pub fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn check_open(&self) -> Result<(), Error> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Closing | Phase::Closed => Err(Error::closed()),
        }
    }

    /// Calls that wait or are under way.
    pub fn calls_left(&self) -> usize {
        self.pending + self.running.len() + self.blocking.len()
    }

    /// Counts an asynchronous call among those that wait.
    pub fn wait(&mut self, deadline: Instant) {
        self.pending += 1;
        if self.next_overdue.is_none_or(|first| deadline < first) {
            self.next_overdue = Some(deadline);
            self.is_sooner = true;
        }
    }

    /// Ends the waiting calls whose time is over. False if there are none.
    pub fn end_overdue(&mut self, now: Instant, stats: &Stats) -> bool {
        if self.next_overdue.is_none_or(|first| first > now) {
            return false;
        }
        let overdue = self.withdraw(|task| task.call.deadline <= now);
        let ended = !overdue.is_empty();
        for task in overdue {
            stats.finished(Status::Timeout);
            let error = task.call.overdue();
            self.finished
                .push_back(Finished::of(task.callback, Err(error)));
        }
        let in_lanes = self.lanes.waiting().filter_map(|waiter| match waiter {
            Waiter::Task(task) => Some(task),
            Waiter::Thread(_) | Waiter::Queue(_) => None,
        });
        self.next_overdue = in_lanes
            .chain(&self.ready)
            .chain(&self.grounded)
            .chain(self.resting.iter().map(|resting| &resting.task))
            .map(|task| task.call.deadline)
            .min();
        ended
    }

    /// Whether time could give a waiting call something to do before any thread notices. A driver would;
    /// one that runs a callback may take for ever.
    pub fn is_unwatched(&self) -> bool {
        matches!(self.air, Air::Empty)
            && self.pending > 0
            && self.threads.alive <= self.running.len() + self.calling
            && self
                .next_due()
                .is_some_and(|due| self.running.values().all(|running| running.until > due))
    }

    /// An asynchronous call that was begun has to wait for a worker after all.
    pub fn ground(&mut self, task: Task) {
        self.running.remove(&task.id);
        self.wait(task.call.deadline);
        self.grounded.push_back(task);
    }

    /// An asynchronous call that was ready is under way from now on.
    pub fn begin(&mut self, task: &Task, attempt_ends: Instant) {
        self.pending -= 1;
        let running = Running {
            tag: task.callback.tag(),
            control: task.call.control.clone(),
            until: task.call.deadline.min(attempt_ends),
        };
        self.running.insert(task.id, running);
    }

    /// Those that have rested long enough are ready.
    pub fn end_rests(&mut self, now: Instant) {
        while self.resting.peek().is_some_and(|next| next.until <= now) {
            if let Some(resting) = self.resting.pop() {
                self.ready.push_back(resting.task);
            }
        }
    }

    /// When time alone gives somebody something to do.
    pub fn next_due(&self) -> Option<Instant> {
        let rested = self.resting.peek().map(|resting| resting.until);
        [rested, self.next_overdue].into_iter().flatten().min()
    }

    /// Takes the flights that are parked: from now on, they are driven.
    pub fn take_flights(&mut self) -> Vec<Flying> {
        match std::mem::replace(&mut self.air, Air::Driven { asleep: false }) {
            Air::Parked { flights, .. } => flights,
            Air::Empty | Air::Driven { .. } => Vec::new(),
        }
    }

    /// Takes an asynchronous call in: into its lane's queue, or ready for a worker.
    pub fn accept(&mut self, call: Call, callback: Box<dyn Callback>) {
        let task = Task {
            id: self.new_id(),
            call: Box::new(call),
            callback,
        };
        self.wait(task.call.deadline);
        match task.call.lane {
            None => self.ready.push_back(task),
            Some(lane) => {
                if let Some(Waiter::Task(task)) = self.lanes.enter(lane, Waiter::Task(task)) {
                    self.ready.push_back(task);
                }
            }
        }
    }

    /// Gives a lane to whoever waits for it next.
    pub fn leave_lane(&mut self, lane: LaneId) {
        match self.lanes.leave(lane) {
            None => {}
            Some(Waiter::Thread(control)) => control.grant(),
            Some(Waiter::Task(task)) => self.ready.push_back(task),
            Some(Waiter::Queue(bell)) => bell.grant(lane),
        }
    }

    /// Takes the waiting calls out that match; lanes that they held go on.
    fn withdraw(&mut self, matches: impl Fn(&Task) -> bool) -> Vec<Task> {
        let is_task = |waiter: &Waiter| matches!(waiter, Waiter::Task(task) if matches(task));
        let in_lanes = self.lanes.withdraw(is_task);
        let mut withdrawn = extract(&mut self.ready, &matches);
        withdrawn.extend(extract(&mut self.grounded, &matches));
        if self.resting.iter().any(|resting| matches(&resting.task)) {
            let (resting, kept) = std::mem::take(&mut self.resting)
                .into_iter()
                .partition::<Vec<_>, _>(|resting| matches(&resting.task));
            self.resting = kept.into();
            withdrawn.extend(resting.into_iter().map(|resting| resting.task));
        }
        for lane in withdrawn.iter().filter_map(|task| task.call.lane) {
            self.leave_lane(lane);
        }
        withdrawn.extend(in_lanes.into_iter().filter_map(|waiter| match waiter {
            Waiter::Task(task) => Some(task),
            Waiter::Thread(_) | Waiter::Queue(_) => None,
        }));
        self.pending -= withdrawn.len();
        withdrawn.sort_by_key(|task| task.id);
        withdrawn
    }

    fn finish_cancelled(&mut self, tasks: Vec<Task>, stats: &Stats) {
        let json = Error::cancelled().to_json();
        for task in tasks {
            stats.finished(Status::Cancelled);
            self.finished.push_back(Finished {
                callback: AnyCallback::Call(task.callback),
                status: Status::Cancelled,
                json: json.clone(),
            });
        }
    }
}
