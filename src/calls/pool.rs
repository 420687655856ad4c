//! The threads of asynchronous calls: plain blocking workers over one backlog. They are started when there is
//! work and stop when there is none for a while.
//!
//! At most `workers` calls are under way, each on a thread of its own. One thread more keeps the time for those
//! that wait, and notifies those that were cancelled, while all others wait for the network. Where callbacks take
//! their time, others take the calls: as many threads again, at most, and one for each callback that waits in the
//! library for a lane, which a call without a thread may have.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backlog::{Awaits, Backlog, Task};
use super::call::{Call, Step};
use crate::delivery::Delivery;
use crate::delivery::callbacks::{Callback, Due};
use crate::delivery::lanes::{LaneId, LaneWaiter, Ticket};
use crate::error::{Error, Status};
use crate::host::cancel::CancelToken;
use crate::host::locks::{Condvar, Mutex, MutexGuard, lock, wait_until};
use crate::host::panics;
use crate::host::threads::{self, Thread};
use crate::options::Callbacks as Mode;

/// How long a job may wait for a worker that runs a callback, before another takes it. To wake one for each would
/// cost more than all else that is done for a call.
const CALLBACK: Duration = Duration::from_millis(5);

/// How long a worker without work stays.
const IDLE: Duration = match cfg!(test) {
    false => Duration::from_secs(10),
    true => Duration::from_millis(20),
};

pub struct Pool {
    delivery: Arc<Delivery>,
    state: Mutex<State>,
    /// There is something to do for a worker.
    work: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    last_id: u64,
    backlog: Backlog,
    /// Calls under way.
    running: HashMap<u64, Running>,
    /// Ends of calls that no worker was at, of which one is to notify the host.
    ended: VecDeque<Due>,
    /// Ends that are on their way to the host.
    notifying: usize,
    threads: Threads,
}

struct Running {
    tag: usize,
    cancel: CancelToken,
}

#[derive(Default)]
struct Threads {
    handles: Vec<Thread>,
    alive: usize,
    /// Started and not yet at work.
    starting: usize,
    /// Those that wait for work, each by the time when it looks by itself.
    sleeping: BTreeSet<(Instant, u64)>,
    last_sleep: u64,
    /// Those in callbacks that began in this round: they are taken to look for work soon.
    returning: usize,
    round: u64,
    /// When a round with jobs that are left to them ends. Another thread looks then.
    round_ends: Option<Instant>,
    /// Jobs were left to them in this round.
    leaves_jobs: bool,
    /// Those in callbacks that wait for calls which may have no thread: others take their place.
    waiting_for_calls: usize,
}

impl Threads {
    /// Those that will take the next job.
    fn idle(&self) -> usize {
        self.starting + self.sleeping.len()
    }

    /// A callback begins, on a worker.
    fn callback_begins(&mut self) -> Round {
        self.returning += 1;
        Round(self.round)
    }

    fn callback_ends(&mut self, Round(round): Round) {
        if round == self.round {
            self.returning -= 1;
        }
    }

    /// Jobs are left to those in callbacks, for a while.
    fn leave_jobs(&mut self) {
        self.leaves_jobs = true;
        if self.round_ends.is_none() {
            self.round_ends = Some(Instant::now() + CALLBACK);
        }
    }

    /// Who is still in a callback then takes his time.
    fn end_round(&mut self, now: Instant) {
        if self.round_ends.is_some_and(|end| end <= now) {
            self.begin_round();
            // As long as jobs keep coming, there is no need to wake somebody for the look.
            let goes_on = std::mem::take(&mut self.leaves_jobs);
            self.round_ends = goes_on.then(|| now + CALLBACK);
        }
    }

    fn begin_round(&mut self) {
        self.round += 1;
        self.returning = 0;
    }

    /// When the first of those that sleep looks by itself.
    fn next_look(&self) -> Option<Instant> {
        self.sleeping.first().map(|(look, _)| *look)
    }
}

/// A callback is counted among those of its round.
struct Round(u64);

enum Job {
    Notify(Due, Round),
    Attempt(Task, CancelToken),
}

impl State {
    /// When the time alone changes something.
    fn next_change(&self) -> Option<Instant> {
        let timer = self.backlog.next_timer();
        timer.into_iter().chain(self.threads.round_ends).min()
    }
}

impl Pool {
    pub fn new(delivery: Arc<Delivery>) -> Arc<Self> {
        Arc::new(Self {
            delivery,
            state: Mutex::default(),
            work: Condvar::new(),
        })
    }

    /// Takes an asynchronous call in. `Ok`: its callback will run, exactly once.
    pub fn submit(self: &Arc<Self>, call: Call, callback: Box<dyn Callback>) -> Result<(), Error> {
        let call = Box::new(call);
        let mut state = lock(&self.state);
        if state.closed {
            return Err(Error::closed());
        }
        // A host that does not dispatch is no reason to grow.
        let waiting = state.backlog.len() + state.ended.len() + self.delivery.callbacks.due();
        if waiting >= self.delivery.options.max_pending_calls {
            return Err(Error::new(
                Status::QueueFull,
                format!(
                    "client: {waiting} asynchronous calls or their callbacks are waiting already; wait for \
                     callbacks, enqueue events, or raise \"max_pending_calls\"",
                ),
            ));
        }
        // Before the call is taken in, since without any thread it would never be made.
        if state.threads.alive == 0 {
            self.start_thread(&mut state).map_err(|error| {
                Error::new(
                    Status::QueueFull,
                    format!("client: no thread could be started for an asynchronous call: {error}"),
                )
            })?;
        }
        state.last_id += 1;
        let task = Task {
            id: state.last_id,
            call,
            callback,
        };
        let ticket = task
            .call
            .lane
            .and_then(|lane| Some((lane, self.delivery.lanes.enter(lane, self)?)));
        let awaits = match ticket {
            Some((lane, ticket)) => Awaits::Lane(lane, ticket),
            None => Awaits::Worker,
        };
        state.backlog.add(task, awaits);
        self.wake(state);
        Ok(())
    }

    /// Ends the calls with this tag; returns how many that are not about to end anyway.
    pub fn cancel(self: &Arc<Self>, tag: usize) -> usize {
        let mut state = lock(&self.state);
        let waiting = state.backlog.take_tagged(tag);
        let mut cancelled = waiting.len();
        for running in state.running.values().filter(|it| it.tag == tag) {
            cancelled += usize::from(!running.cancel.is_cancelled());
            running.cancel.cancel();
        }
        self.end_waiting(state, waiting, Call::cancelled);
        cancelled
    }

    /// Ends all calls, and takes no new ones; returns how many that are not about to end anyway.
    pub fn cancel_all(self: &Arc<Self>) -> usize {
        let mut state = lock(&self.state);
        state.closed = true;
        let waiting = state.backlog.take_all();
        let mut cancelled = waiting.len();
        for running in state.running.values() {
            cancelled += usize::from(!running.cancel.is_cancelled());
            running.cancel.cancel();
        }
        self.work.notify_all();
        self.end_waiting(state, waiting, Call::cancelled);
        cancelled
    }

    /// Calls under way, and calls that wait.
    pub fn counts(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.running.len(), state.backlog.len())
    }

    /// Nothing is left to do, and nobody left to be notified.
    pub fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        state.running.is_empty()
            && state.backlog.is_empty()
            && state.ended.is_empty()
            && state.notifying == 0
    }

    /// A callback waits in the library, for a lane that a call without a thread may have.
    pub fn wait_in_callback<T>(self: &Arc<Self>, wait: impl FnOnce() -> T) -> T {
        let mut state = lock(&self.state);
        state.threads.waiting_for_calls += 1;
        state.threads.begin_round();
        self.wake(state);
        let result = wait();
        lock(&self.state).threads.waiting_for_calls -= 1;
        result
    }

    /// Waits for the threads to end, after [`Self::cancel_all`].
    pub fn join(&self) {
        loop {
            let handles = std::mem::take(&mut lock(&self.state).threads.handles);
            if handles.is_empty() {
                break;
            }
            Thread::join_all(handles);
        }
        // What is left to a thread that could not begin.
        while let Some(due) = self.next_end() {
            self.notify(due, None);
        }
    }

    fn next_end(&self) -> Option<Due> {
        let mut state = lock(&self.state);
        let due = state.ended.pop_front()?;
        state.notifying += 1;
        Some(due)
    }

    /// Notifies the host of calls that were taken out of the backlog, and gives their lanes to others.
    fn end_waiting(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        tasks: Vec<(Task, Awaits)>,
        error: impl Fn(&Call) -> Error,
    ) {
        let mut lanes = Vec::new();
        let mut ended = Vec::new();
        for (task, awaits) in tasks {
            let holds_lane = match awaits {
                Awaits::Lane(lane, ticket) => !self.delivery.lanes.withdraw(lane, ticket),
                Awaits::Worker | Awaits::Retry(_) => true,
            };
            lanes.extend(task.call.lane.filter(|_| holds_lane));
            let error = error(&task.call);
            self.delivery.stats.finished(error.status);
            ended.push(Due::call(task.callback, Err(error)));
        }
        if self.delivery.callbacks.mode == Mode::Worker {
            state.ended.extend(ended.drain(..));
        }
        state.notifying += ended.len();
        self.wake(state);
        for due in ended {
            self.notify(due, None);
        }
        for lane in lanes {
            self.delivery.lanes.leave(lane);
        }
    }

    /// Sees to it that there are threads for what there is to do, and lets go of the lock: a thread that is woken
    /// would only wait for it.
    fn wake(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let jobs = self.jobs(&state);
        let needs_thread = jobs > 0 || state.backlog.next_timer().is_some();
        if needs_thread
            && state.threads.idle() == 0
            && state.threads.alive < self.most_threads(&state)
        {
            // Fewer threads than wished are no error: those there are do the work.
            let _ = self.start_thread(&mut state);
        }
        let is_left = jobs > 0 && jobs <= state.threads.returning;
        if is_left {
            state.threads.leave_jobs();
        }
        let wakes = state.threads.next_look().is_some_and(|look| {
            jobs > 0 && !is_left || state.next_change().is_some_and(|change| change < look)
        });
        drop(state);
        if wakes {
            self.work.notify_one();
        }
    }

    fn workers(&self) -> usize {
        self.delivery.options.workers
    }

    /// One for each call under way, as many for callbacks that take their time, and one to keep the time.
    fn most_threads(&self, state: &State) -> usize {
        2 * self.workers() + 1 + state.threads.waiting_for_calls
    }

    /// How much workers could do now.
    fn jobs(&self, state: &State) -> usize {
        let free = self.workers().saturating_sub(state.running.len());
        state.ended.len() + state.backlog.ready().min(free)
    }

    fn start_thread(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        state.threads.handles.retain(|thread| !thread.is_finished());
        let pool = Arc::clone(self);
        let handle = threads::spawn("trophy-worker", move || pool.work())?;
        state.threads.handles.push(handle);
        state.threads.alive += 1;
        state.threads.starting += 1;
        Ok(())
    }

    fn work(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        state.threads.starting -= 1;
        let mut idle_since = Instant::now();
        loop {
            let now = Instant::now();
            state.threads.end_round(now);
            let overdue = state.backlog.pass_time(now);
            if !overdue.is_empty() {
                self.end_waiting(state, overdue, Call::overdue);
                state = lock(&self.state);
                continue;
            }
            if let Some(job) = self.next_job(&mut state) {
                // There may be more than this thread can do.
                self.wake(state);
                match job {
                    Job::Notify(due, round) => self.notify(due, Some(round)),
                    Job::Attempt(task, cancel) => self.attempt(task, &cancel),
                }
                state = lock(&self.state);
                idle_since = Instant::now();
                continue;
            }
            let is_over = now.duration_since(idle_since) >= IDLE;
            // The last one that waits keeps the time.
            let is_needed = !state.backlog.is_empty() && state.threads.idle() == 0;
            if state.closed || is_over && !is_needed {
                break;
            }
            if is_over {
                idle_since = now;
            }
            let retires = idle_since + IDLE;
            // One of them looks when something changes.
            let next_look = state.threads.next_look();
            let change = state
                .next_change()
                .filter(|change| next_look.is_none_or(|look| *change < look));
            let until = change.map_or(retires, |change| change.min(retires));
            state.threads.last_sleep += 1;
            let sleep = (until, state.threads.last_sleep);
            state.threads.sleeping.insert(sleep);
            state = wait_until(&self.work, state, Some(until));
            state.threads.sleeping.remove(&sleep);
        }
        state.threads.alive -= 1;
        // What came in the meantime is not left without a thread.
        self.wake(state);
    }

    fn next_job(&self, state: &mut State) -> Option<Job> {
        if let Some(due) = state.ended.pop_front() {
            state.notifying += 1;
            return Some(Job::Notify(due, state.threads.callback_begins()));
        }
        if state.running.len() >= self.workers() {
            return None;
        }
        let task = state.backlog.take_ready()?;
        let cancel = CancelToken::new();
        let running = Running {
            tag: task.callback.tag(),
            cancel: cancel.clone(),
        };
        state.running.insert(task.id, running);
        Some(Job::Attempt(task, cancel))
    }

    /// Notifies the host of an end that is counted in `notifying`, and on a worker in `round`.
    fn notify(&self, due: Due, round: Option<Round>) {
        self.delivery.callbacks.deliver(due);
        let mut state = lock(&self.state);
        state.notifying -= 1;
        if let Some(round) = round {
            state.threads.callback_ends(round);
        }
        drop(state);
        self.delivery.progress.notify();
    }

    /// Makes one attempt of a call; between two attempts it has no thread.
    fn attempt(self: &Arc<Self>, mut task: Task, cancel: &CancelToken) {
        let step = panics::catch(|| task.call.attempt(&self.delivery, cancel))
            .unwrap_or_else(|error| Step::Done(Err(error)));
        let mut state = lock(&self.state);
        state.running.remove(&task.id);
        let result = match step {
            Step::Again(at) if !state.closed && !cancel.is_cancelled() => {
                // This thread is about to look what is next.
                state.backlog.add(task, Awaits::Retry(at));
                return;
            }
            Step::Again(_) => Err(task.call.cancelled()),
            Step::Done(result) => result,
        };
        state.notifying += 1;
        let round = state.threads.callback_begins();
        // A callback that takes its time holds up no other call.
        self.wake(state);
        if let Some(lane) = task.call.lane {
            self.delivery.lanes.leave(lane);
        }
        self.delivery.stats.finished(Status::of(&result));
        self.notify(Due::call(task.callback, result), Some(round));
    }
}

impl LaneWaiter for Pool {
    fn granted(self: Arc<Self>, _: LaneId, ticket: Ticket) {
        let mut state = lock(&self.state);
        // A call that waits no more has left the lane itself.
        if state.backlog.grant(ticket) {
            self.wake(state);
        }
    }
}
