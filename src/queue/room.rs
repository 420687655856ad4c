//! Room in the queue: its limits, and what gives way when one is reached.

use std::sync::Arc;
use std::time::Instant;

use super::sender::{Sender, State, storage};
use super::store::Usage;
use crate::error::{Error, Status};
use crate::host::locks::lock;
use crate::host::log;
use crate::options::Overflow;

impl Sender {
    pub(super) fn make_room(self: &Arc<Self>, bytes: u64) -> Result<(), Error> {
        let options = self.options();
        if bytes > options.max_bytes {
            return Err(Error::new(
                Status::QueueFull,
                format!(
                    "queue: the event alone, of {bytes} bytes, is larger than \"max_bytes\" ({}), and was not kept",
                    options.max_bytes
                ),
            ));
        }
        if self.over(self.store.usage(), 1, bytes).is_none() {
            return Ok(());
        }
        // What is delivered goes with its segment.
        self.store.end_settled();
        // Another process may have delivered some.
        let usage = self
            .store
            .recount()
            .map_err(|error| storage("the queue could not be counted", &error))?;
        if self.over(usage, 1, bytes).is_none() {
            return Ok(());
        }
        let lines = log::defer();
        let mut state = lock(&self.state);
        state.look_at = Instant::now();
        self.look(&mut state, Instant::now());
        let is_drainer = state.drain.is_some();
        if is_drainer {
            self.fill(&mut state);
        }
        let drops = options.overflow == Overflow::DropOldest;
        if is_drainer && drops {
            self.trim(&mut state, 1, bytes);
        }
        if state.paused {
            self.give_up_drain(&mut state);
        }
        drop(state);
        drop(lines);
        // Its thread notifies the host, and delivers.
        self.look_again();
        self.ensure_thread();

        let usage = self.store.usage();
        let Some((option, limit)) = self.over(usage, 1, bytes) else {
            return Ok(());
        };
        // Room is made by the process that drains, when it next looks, or when what is under way is back. Until then,
        // some more is taken.
        if drops && self.is_within_slack(usage, bytes) {
            return Ok(());
        }
        let advice = match drops {
            true => "the process that delivers the queue has made no room yet",
            false => "deliver what is there, raise it, or set \"overflow\" to \"drop_oldest\"",
        };
        Err(Error::new(
            Status::QueueFull,
            format!(
                "queue: \"{option}\" ({limit}) is reached, and the event was not kept; {advice}"
            ),
        ))
    }

    /// The limit that so much more would break.
    fn over(&self, usage: Usage, events: u64, bytes: u64) -> Option<(&'static str, u64)> {
        let options = self.options();
        if usage.events + events > options.max_events {
            Some(("max_events", options.max_events))
        } else if usage.events > 0 && usage.bytes + bytes > options.max_bytes {
            Some(("max_bytes", options.max_bytes))
        } else {
            None
        }
    }

    /// A quarter more than the limits.
    fn is_within_slack(&self, usage: Usage, bytes: u64) -> bool {
        let options = self.options();
        usage.events < options.max_events + options.max_events.div_ceil(4)
            && usage.bytes + bytes <= options.max_bytes + options.max_bytes / 4
    }

    /// Drops the oldest until so much more fits. The host hears of it, unless it has long not heard.
    pub(super) fn trim(&self, state: &mut State, events: u64, bytes: u64) {
        while self.over(self.store.usage(), events, bytes).is_some() {
            if state.backlog.is_empty() {
                self.fill(state);
            }
            // Not ten for one, where one that is under way may soon be back.
            let is_all_here = state.in_flight == 0 && state.is_read;
            let Some(item) = state.backlog.take_oldest(is_all_here) else {
                return;
            };
            self.delivery.stats.dropped.add(item.events());
            let error = Error::new(
                Status::QueueFull,
                "queue: dropped as the oldest, to make room (\"overflow\": \"drop_oldest\")",
            );
            self.end(state, &[item], Err(&error));
            self.forget_lanes(state);
        }
    }
}
