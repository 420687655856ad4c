//! The threads for asynchronous calls: they are started when there is work, stop when there is none
//! for a while, and run the callbacks, unless the host dispatches those itself.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use crate::calls::driver::{Flying, PATIENCE, QUIET, TICK};
use crate::calls::{Air, AnyCallback, Finished, Phase, Resting, State, Task, Watch};
use crate::delivery::callback::{Callback, Inside};
use crate::delivery::engine::{Call, Engine, Step};
use crate::error::{Error, Status};
use crate::host::locks::{deadline, wait_until};
use crate::host::panics;
use crate::host::sys;
use crate::options::Callbacks;

/// How long a worker without work stays.
const IDLE: Duration = match cfg!(test) {
    false => Duration::from_secs(10),
    true => Duration::from_millis(20),
};
/// How long cancelled calls may take to notice, within the 50 ms that `close` promises.
const GRACE: Duration = Duration::from_millis(40);

/// What a worker found to do.
enum Job {
    /// A call that was ready.
    Call(Task),
    /// The same, but it has to wait for the network.
    Grounded(Task),
    Callback(Finished),
    /// The replies to be awaited.
    Flights(Vec<Flying>),
}

/// A thread that looks now and then whether the driver stays away for too long.
struct Watching {
    /// When it looks again.
    until: Instant,
    /// The parkings it has seen, and when it saw the last.
    parkings: u64,
    seen: Instant,
}

impl Engine {
    /// Takes an asynchronous call in. `Ok`: its callback will run, exactly once.
    pub fn submit(self: &Arc<Self>, call: Call, callback: Box<dyn Callback>) -> Result<(), Error> {
        let mut state = self.calls.lock();
        self.calls.check_room(&state)?;
        // Before the call is taken in, since without any thread it would never be made.
        if state.threads.alive == 0 {
            self.start_worker(&mut state).map_err(|error| {
                Error::new(
                    Status::QueueFull,
                    format!("client: no thread could be started for an asynchronous call: {error}"),
                )
            })?;
        }
        state.accept(call, callback);
        self.staff(state);
        Ok(())
    }

    /// Sees to it that there are threads for the work, and lets go of the lock: a thread that is woken
    /// would only wait for it.
    pub(crate) fn staff(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let callbacks = match (self.calls.mode, &state.air) {
            (Callbacks::Dispatch, _) | (_, Air::Parked { .. }) => 0,
            (Callbacks::Worker, _) => state.finished.len(),
        };
        let ready = match state.air {
            Air::Empty if self.has_place(&state) => state.ready.len(),
            _ => 0,
        };
        let grounded = match self.has_worker_free(&state) {
            true => state.grounded.len(),
            false => 0,
        };
        // At the end, flights that are parked are for anybody.
        let is_watch_wanted = state.watch == Watch::Wanted && state.phase != Phase::Closed;
        let watch = usize::from(is_watch_wanted);
        let jobs = callbacks + ready + grounded + watch;
        let is_unwatched = state.is_unwatched();
        // One more for replies, callbacks and the time, so that calls that are cancelled or overdue wait for
        // no network.
        let is_in_the_air = !matches!(state.air, Air::Empty);
        let is_extra = callbacks > 0 || watch > 0 || is_unwatched || is_in_the_air;
        let most = self.calls.workers + usize::from(is_extra);
        if (jobs > state.threads.free() || is_unwatched) && state.threads.alive < most {
            // Fewer threads than wished are no error: those there are do the work.
            let _ = self.start_worker(&mut state);
        }
        let has_driver = matches!(state.air, Air::Driven { .. });
        let rouses = matches!(state.air, Air::Driven { asleep: true })
            && (state.is_sooner || !state.ready.is_empty() && self.has_place(&state));
        let wakes = (jobs > 0 || state.is_sooner && !has_driver) && state.threads.idle > 0;
        if rouses {
            state.air = Air::Driven { asleep: false };
        }
        if rouses || wakes && !has_driver {
            state.is_sooner = false;
        }
        drop(state);
        if rouses {
            self.calls.waker.ring();
        }
        if wakes {
            self.calls.work.notify_one();
        }
    }

    /// Whether one more call may be under way.
    pub(crate) fn has_worker_free(&self, state: &State) -> bool {
        state.running.len() < self.calls.workers
    }

    /// Whether that may be one that is ready: those that are grounded were first.
    pub(crate) fn has_place(&self, state: &State) -> bool {
        state.running.len() + state.grounded.len() < self.calls.workers
    }

    pub(crate) fn start_worker(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        state.threads.handles.retain(|handle| !handle.is_finished());
        let engine = Arc::clone(self);
        let handle = sys::spawn("trophy-worker", move || engine.work())?;
        state.threads.handles.push(handle);
        state.threads.alive += 1;
        state.threads.starting += 1;
        Ok(())
    }

    fn work(self: &Arc<Self>) {
        // The flights that this thread has parked, and whether it watches those of another.
        let mut parked = None;
        let mut watching = None;
        let mut state = self.calls.lock();
        state.threads.starting -= 1;
        loop {
            let job = self.next_job(&mut state, parked, watching.is_some());
            let Some(job) = job else {
                if state.phase == Phase::Closed {
                    break;
                }
                let idle_until = Instant::now() + IDLE;
                let until = self.look_after(&mut state, &mut watching);
                let due = state.next_due().into_iter().chain(until);
                let until = due.fold(idle_until, Instant::min);
                state.threads.idle += 1;
                state = wait_until(&self.calls.work, state, Some(until));
                state.threads.idle -= 1;
                // Those who wait for their lane are woken for by nobody else.
                let is_needed = state.pending > 0 && state.threads.idle == 0 || watching.is_some();
                if Instant::now() >= idle_until && !is_needed {
                    break;
                }
                continue;
            };
            if watching.take().is_some() {
                // Somebody else has to, where there is something to be watched.
                state.watch = match state.air {
                    Air::Parked { .. } => Watch::Wanted,
                    _ => Watch::None,
                };
            }
            match job {
                Job::Call(task) => {
                    self.begin_task(&mut state, &task, Instant::now());
                    state.air = Air::Driven { asleep: false };
                    // There may be more than this thread can do.
                    self.staff(state);
                    parked = self.fly(task);
                }
                Job::Grounded(task) => {
                    self.begin_task(&mut state, &task, Instant::now());
                    self.staff(state);
                    self.make_attempt(task);
                }
                Job::Callback(finished) => {
                    self.staff(state);
                    self.call_back(finished);
                }
                Job::Flights(flights) => {
                    self.staff(state);
                    parked = self.drive(flights, Vec::new());
                }
            }
            state = self.calls.lock();
        }
        // Nothing that came in the meantime is left without a thread, nor another asleep for too long.
        state.threads.alive -= 1;
        state.is_sooner |= state.next_due().is_some();
        self.calls.tell(&state);
        self.staff(state);
    }

    /// A call that was ready is under way from now on.
    pub(crate) fn begin_task(&self, state: &mut State, task: &Task, now: Instant) {
        state.begin(task, now + self.options.attempt_timeout);
    }

    /// Ends the waiting calls whose time is over, and the rests.
    pub(crate) fn pass_time(&self, state: &mut State, now: Instant) {
        if state.end_overdue(now, &self.stats) {
            self.calls.tell(state);
        }
        state.end_rests(now);
    }

    /// `parked`: the flights that this thread has parked; `watches`: it watches those of another.
    fn next_job(&self, state: &mut State, parked: Option<u64>, watches: bool) -> Option<Job> {
        let now = Instant::now();
        self.pass_time(state, now);
        let mut is_for_another = false;
        if let Air::Parked { since, .. } = state.air {
            let is_mine = parked == Some(state.parkings);
            let is_late = now.duration_since(since) >= PATIENCE || state.phase == Phase::Closed;
            is_for_another = !is_mine && !is_late;
            let goes_on = if is_mine {
                state.finished.is_empty()
            } else {
                is_late
            };
            if goes_on {
                return Some(Job::Flights(state.take_flights()));
            }
        }
        if is_for_another && (watches || state.watch == Watch::Wanted) {
            return None;
        }
        if self.calls.mode == Callbacks::Worker
            && !is_for_another
            && let Some(finished) = state.finished.pop_front()
        {
            state.calling += 1;
            return Some(Job::Callback(finished));
        }
        if self.has_worker_free(state)
            && let Some(task) = state.grounded.pop_front()
        {
            return Some(Job::Grounded(task));
        }
        if !matches!(state.air, Air::Empty) || !self.has_place(state) {
            return None;
        }
        state.ready.pop_front().map(Job::Call)
    }

    /// Keeps the watch, where one is wanted, for as long as the driver comes and goes. Returns when to look
    /// again.
    fn look_after(&self, state: &mut State, watching: &mut Option<Watching>) -> Option<Instant> {
        let now = Instant::now();
        match watching {
            None if state.watch == Watch::Wanted => {
                state.watch = Watch::Kept;
                *watching = Some(Watching {
                    until: now + TICK,
                    parkings: state.parkings,
                    seen: now,
                });
            }
            Some(watch) if watch.until <= now => {
                watch.until = now + TICK;
                if watch.parkings != state.parkings {
                    watch.parkings = state.parkings;
                    watch.seen = now;
                } else if now.duration_since(watch.seen) >= QUIET {
                    state.watch = Watch::None;
                    *watching = None;
                }
            }
            _ => {}
        }
        let until = watching.as_ref()?.until;
        match state.air {
            Air::Parked { since, .. } => Some(until.min(since + PATIENCE)),
            _ => Some(until),
        }
    }

    /// Makes one attempt of a call, and waits for it; between two attempts it has no thread.
    pub(crate) fn make_attempt(self: &Arc<Self>, mut task: Task) {
        let step = panics::catch(|| self.attempt(&mut task.call))
            .unwrap_or_else(|error| Step::Done(Err(error)));
        let mut state = self.calls.lock();
        let Some(finished) = self.settle(&mut state, task, step) else {
            self.staff(state);
            return;
        };
        match self.calls.mode {
            Callbacks::Worker => {
                state.calling += 1;
                self.staff(state);
                self.call_back(finished);
            }
            Callbacks::Dispatch => {
                state.finished.push_back(finished);
                self.calls.tell(&state);
                self.staff(state);
            }
        }
    }

    /// What follows from an attempt: another, or the callback.
    pub(crate) fn settle(&self, state: &mut State, task: Task, step: Step) -> Option<Finished> {
        state.running.remove(&task.id);
        let result = match step {
            Step::Again(until) if state.phase != Phase::Closed => {
                if task.call.control.is_cancelled() {
                    Err(Error::cancelled())
                } else {
                    state.wait(task.call.deadline);
                    state.resting.push(Resting { until, task });
                    // Somebody must wake up for it: an idle worker sleeps longer perhaps.
                    state.is_sooner = true;
                    return None;
                }
            }
            Step::Again(_) => Err(Error::cancelled()),
            Step::Done(result) => result,
        };
        if let Some(lane) = task.call.lane {
            state.leave_lane(lane);
        }
        let finished = Finished::of(task.callback, result);
        self.stats.finished(finished.status);
        Some(finished)
    }

    /// Runs a callback that is counted in `calling`.
    fn call_back(&self, finished: Finished) {
        let begun = Instant::now();
        run_callback(finished);
        self.calls.called(Some(begun.elapsed()));
    }

    /// Runs the callbacks that are due on this thread; waits for the first at most `timeout_ms`
    /// (negative: for ever). Returns how many ran.
    pub fn dispatch(&self, timeout_ms: i64) -> usize {
        if self.calls.mode == Callbacks::Worker {
            return 0;
        }
        let until = until(timeout_ms);
        let mut state = self.calls.lock();
        while state.finished.is_empty() {
            let is_over = state.phase == Phase::Closed && state.calls_left() == 0;
            if is_over || until.is_some_and(|until| until <= Instant::now()) {
                return 0;
            }
            state = self.calls.watch(state, until);
        }
        // Those that come while these run are for the next time: a frame has an end.
        let due = state.finished.len();
        let mut ran = 0;
        while ran < due {
            let Some(finished) = state.finished.pop_front() else {
                break;
            };
            state.calling += 1;
            drop(state);
            self.call_back(finished);
            ran += 1;
            state = self.calls.lock();
        }
        // Somebody may wait for room among the callbacks not yet run.
        self.queue.look_again();
        ran
    }

    /// Ends the asynchronous calls with this tag.
    pub fn cancel(self: &Arc<Self>, tag: usize) -> usize {
        let cancelled = self.calls.cancel(tag, &self.stats);
        if cancelled > 0 {
            self.staff(self.calls.lock());
        }
        cancelled
    }

    /// Lets nothing new begin.
    pub fn stop_accepting(&self) {
        let mut state = self.calls.lock();
        state.phase = state.phase.max(Phase::Closing);
    }

    /// Lets what is under way finish until `until` (`None`: for ever), then cancels it. In dispatch
    /// mode the callbacks run here. Returns how many calls had to be cancelled.
    pub fn close(self: &Arc<Self>, until: Option<Instant>) -> usize {
        self.stop_accepting();
        // Another thread may close it sooner.
        self.wait_for_calls(until, || self.queue.is_drained() || self.calls.is_closed());
        let cancelled = self.calls.cancel_all(&self.stats);
        self.queue.stop();
        self.staff(self.calls.lock());
        let grace = Instant::now() + GRACE;
        self.wait_for_calls(Some(grace), || true);
        self.transport.close_idle();
        cancelled
    }

    /// Waits until no call is left, no callback runs, and `also` is true, which is asked with no lock
    /// held: the queue's threads take theirs first.
    fn wait_for_calls(&self, until: Option<Instant>, also: impl Fn() -> bool) {
        loop {
            let also = also();
            let mut state = self.calls.lock();
            if self.calls.mode == Callbacks::Dispatch {
                state = self.run_finished(state);
            }
            let is_done =
                state.calls_left() == 0 && state.finished.is_empty() && state.calling == 0;
            if is_done && also || until.is_some_and(|until| until <= Instant::now()) {
                return;
            }
            // The queue of another process makes no noise.
            let look = Instant::now() + Duration::from_millis(100);
            let until = until.map_or(look, |until| until.min(look));
            drop(self.calls.watch(state, Some(until)));
        }
    }

    /// Waits for the threads to end, after `close`, and runs the callbacks that they left: of calls that
    /// took their time to notice that they were cancelled.
    pub fn join(&self) {
        loop {
            let handles = std::mem::take(&mut self.calls.lock().threads.handles);
            if handles.is_empty() {
                break;
            }
            for handle in handles {
                // A worker catches its panics.
                let _ = handle.join();
            }
        }
        self.queue.join();
        drop(self.run_finished(self.calls.lock()));
    }

    /// Runs the callbacks that are due on this thread.
    fn run_finished<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        while let Some(finished) = state.finished.pop_front() {
            state.calling += 1;
            drop(state);
            self.call_back(finished);
            state = self.calls.lock();
        }
        state
    }
}

/// The moment that a timeout of the C API means; negative is for ever.
pub fn until(timeout_ms: i64) -> Option<Instant> {
    match u64::try_from(timeout_ms) {
        Ok(timeout_ms) => deadline(Duration::from_millis(timeout_ms)),
        Err(_) => None,
    }
}

/// Runs a callback with no lock held.
pub(crate) fn run_callback(finished: Finished) {
    let _inside = Inside::enter();
    // A panic has been logged, and must not take the thread with it.
    let _ = panics::catch(|| match finished.callback {
        AnyCallback::Call(callback) => callback.run(finished.status, &finished.json),
        AnyCallback::Delivery(callback) => callback.run(finished.status, &finished.json),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::event::EventArgs;
    use crate::client::Client;
    use std::sync::mpsc::{Sender, channel};

    struct Tell(Sender<Status>);

    impl Callback for Tell {
        fn tag(&self) -> usize {
            0
        }
        fn run(self: Box<Self>, status: Status, _: &str) {
            self.0.send(status).unwrap();
        }
    }

    fn client(base_url: &str) -> Client {
        let options = format!(r#"{{"base_url":"{base_url}","max_retries":0}}"#);
        Client::new(Some("key.secret"), Some(&options)).unwrap()
    }

    fn event(user_json: &str) -> EventArgs<'_> {
        EventArgs {
            key: "words",
            user_json,
            value: 1.0,
            attributes_json: None,
            idempotency_key: None,
            options_json: None,
        }
    }

    #[test]
    fn a_call_that_waits_for_its_lane_is_made_however_long_that_takes() {
        // Nobody listens there.
        let client = client("http://127.0.0.1:9");
        let (tell, told) = channel();
        let engine = client.engine();
        let lane = engine.lane_id(None, "18", "words");
        let bell = Arc::default();
        assert!(engine.calls.enter_for_queue(lane, &bell));
        client
            .event_async(&event(r#"{"id":"18"}"#), Box::new(Tell(tell)))
            .unwrap();

        // Long enough for a worker that finds nothing to do to retire.
        assert!(told.recv_timeout(IDLE * 10).is_err());
        engine.leave_lanes([lane]);

        let status = told.recv_timeout(Duration::from_secs(60));
        assert_eq!(status, Ok(Status::Network));
    }

    #[test]
    fn a_lane_that_comes_free_gets_a_thread_while_another_call_hangs() {
        // Given a server that never answers, and one worker that waits for it,
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = client(&format!("http://{}", server.local_addr().unwrap()));
        let (tell, told) = channel();
        let engine = client.engine();
        let lane = engine.lane_id(None, "18", "words");
        let bell = Arc::default();
        assert!(engine.calls.enter_for_queue(lane, &bell));
        for user in [r#"{"id":"18"}"#, r#"{"id":"other"}"#] {
            let tell = Box::new(Tell(tell.clone()));
            client.event_async(&event(user), tell).unwrap();
        }
        let _hanging = server.accept().unwrap();

        // when the lane comes free, then its call is made, too.
        engine.leave_lanes([lane]);
        let _second = server.accept().unwrap();

        assert_eq!(engine.cancel(0), 2);
        for _ in 0..2 {
            let status = told.recv_timeout(Duration::from_secs(60));
            assert_eq!(status, Ok(Status::Cancelled));
        }
    }
}
