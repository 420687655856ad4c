//! The threads of the queue: started when there are events, gone when there is nothing to do for long. Each turn of
//! a thread is a plan under the lock, then an action with none: send, wait, notify the host.
//!
//! When a thread is about to wait for the network and there is more to send, another takes its turn; it sends over
//! a second connection only if the pace allows it before the first is back: so there are as many connections as the
//! round trip needs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::sender::{Action, Sender, Threads};
use crate::delivery::callbacks::{Due, Notice};
use crate::host::locks::{Mutex, lock};
use crate::host::threads::{self, Thread};
use crate::host::{log, panics};

/// How long a thread without work stays, where no other process can bring some.
const IDLE: Duration = Duration::from_secs(10);
/// More would only pile up at a service that does not answer.
const MOST_THREADS: usize = 16;

impl Sender {
    /// Sees to it that a thread looks after the queue.
    pub fn ensure_thread(self: &Arc<Self>) {
        let mut threads = lock(&self.threads);
        if threads.attentive > 0 || threads.alive >= MOST_THREADS || threads.stopping {
            return;
        }
        threads.handles.retain(|thread| !thread.is_finished());
        let sender = Arc::clone(self);
        let body = move || {
            if panics::catch(|| sender.work()).is_err() {
                // The next event, flush or close starts another.
                let mut threads = lock(&sender.threads);
                threads.attentive -= 1;
                threads.alive -= 1;
            }
        };
        match threads::spawn("trophy-queue", body) {
            Ok(handle) => {
                threads.handles.push(handle);
                threads.alive += 1;
                threads.attentive += 1;
            }
            Err(error) => {
                drop(threads);
                log::warn(|| {
                    format!("queue: no thread could be started, and the events wait: {error}")
                });
            }
        }
    }

    fn work(self: &Arc<Self>) {
        let mut last_use = Instant::now();
        loop {
            if last_use.elapsed() > IDLE && self.leave_to_another() {
                return;
            }
            let seen = self.signal.times();
            // Before the look, so that an event that it misses is noticed.
            let kept = self.kept.load(Ordering::SeqCst);
            let action = {
                let _lines = log::defer();
                let mut state = lock(&self.state);
                self.plan(&mut state)
            };
            if !matches!(action, Action::Send(_)) {
                self.notify_host(kept);
            }
            match action {
                Action::Send(sending) => {
                    // Not before it: the host's callback may wait for what is to be sent, or its lane, or just long.
                    // Another thread notifies the host meanwhile; if there can be none, this one does after.
                    let is_notice_due = self.is_notice_due();
                    if is_notice_due {
                        self.signal.notify();
                    }
                    self.away(kept, is_notice_due, || self.send(*sending));
                    self.notify_host(kept);
                    last_use = Instant::now();
                }
                Action::Again => std::thread::yield_now(),
                Action::Wait(until) => {
                    self.signal.wait(seen, Some(until));
                }
                Action::AwaitEvent(until) => {
                    self.await_event(kept, seen, until);
                }
                Action::Rest => {
                    let until = Instant::now() + IDLE;
                    if !self.await_event(kept, seen, until) && self.retire(seen) {
                        return;
                    }
                }
                Action::Stop => {
                    self.leave();
                    return;
                }
            }
        }
    }

    /// Waits for an event after the first `kept`, or a signal after `seen`. False if there was none until `until`.
    fn await_event(&self, kept: usize, seen: u64, until: Instant) -> bool {
        self.awaits_event.store(true, Ordering::SeqCst);
        // Who keeps one counts it before he looks whether somebody waits: so it is noticed here, or there.
        self.kept.load(Ordering::SeqCst) != kept || self.signal.wait(seen, Some(until))
    }

    /// There may be something to send besides what is under way. Other processes' events make no noise, so that
    /// somebody has to look.
    fn has_more(&self) -> bool {
        self.options().path.is_some() || lock(&self.state).has_more()
    }

    /// Does something that takes time, while another thread looks after the queue: if `has_work`, or there is more, or
    /// an event came after the first `kept`.
    pub(super) fn away(self: &Arc<Self>, kept: usize, has_work: bool, action: impl FnOnce()) {
        lock(&self.threads).attentive -= 1;
        let _back = Back(&self.threads);
        // Looked at from here on: who brought something before found this thread attentive, and left it at that.
        if has_work || self.kept.load(Ordering::SeqCst) != kept || self.has_more() {
            self.ensure_thread();
        }
        action();
    }

    /// The thread goes, since the queue stops. The last one lets another process, or client, drain.
    fn leave(&self) {
        let mut state = lock(&self.state);
        let mut threads = lock(&self.threads);
        threads.attentive -= 1;
        threads.alive -= 1;
        if threads.alive == 0 {
            drop(threads);
            self.give_up_drain(&mut state);
        }
    }

    /// A thread that had nothing to send for long goes, if another looks after the queue.
    fn leave_to_another(&self) -> bool {
        let mut threads = lock(&self.threads);
        if threads.attentive < 2 {
            return false;
        }
        threads.attentive -= 1;
        threads.alive -= 1;
        true
    }

    /// The thread goes, unless something came up.
    fn retire(&self, seen: u64) -> bool {
        let mut state = lock(&self.state);
        let mut threads = lock(&self.threads);
        // An event that found nobody waiting starts a thread, once this one is gone.
        if self.signal.times() != seen || self.has_granted() {
            return false;
        }
        threads.attentive -= 1;
        threads.alive -= 1;
        if threads.alive == 0 {
            drop(threads);
            self.give_up_drain(&mut state);
        }
        true
    }

    /// Notifies the host of what became of its events. With no lock held.
    fn notify_host(self: &Arc<Self>, kept: usize) {
        if !self.is_notice_due() {
            return;
        }
        self.away(kept, false, || {
            while let Some(notice) = self.next_notice() {
                self.delivery.callbacks.deliver(Due::Delivery(notice));
                lock(&self.notices).notifying -= 1;
            }
        });
        self.delivery.progress.notify();
    }

    fn is_notice_due(&self) -> bool {
        !lock(&self.notices).due.is_empty()
    }

    fn next_notice(&self) -> Option<Notice> {
        let mut notices = lock(&self.notices);
        let notice = notices.due.pop_front()?;
        notices.notifying += 1;
        Some(notice)
    }

    pub fn join(&self) {
        let handles = std::mem::take(&mut lock(&self.threads).handles);
        Thread::join_all(handles);
        // The next process may drain now.
        self.give_up_drain(&mut lock(&self.state));
    }
}

/// The thread is attentive again, also after a panic.
struct Back<'a>(&'a Mutex<Threads>);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        lock(self.0).attentive += 1;
    }
}
