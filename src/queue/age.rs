//! How old an event is. By a clock that was set nobody grows old: the queue's own time goes by the monotonic
//! clock, and what an earlier process wrote is believed only if it can be true. Pure.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// No event was enqueued before this library existed: 2026-01-01.
const EARLIEST_MS: u64 = 1_767_225_600_000;

/// The queue's own time: milliseconds since it was opened, whatever is done to the clock.
#[derive(Debug)]
pub struct QueueClock {
    start: Instant,
    /// What the clock said then, in Unix milliseconds.
    start_ms: u64,
}

impl QueueClock {
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            start: Instant::now(),
            start_ms: now.map_or(0, |now| now.as_millis() as u64),
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn at(&self, time: Duration) -> Instant {
        self.start + time
    }

    pub fn since_start(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start)
    }

    /// The date of an event that is enqueued now, in Unix milliseconds.
    pub fn date_ms(&self) -> u64 {
        self.start_ms + self.elapsed().as_millis() as u64
    }

    /// When an event of this date was enqueued, in the queue's time, in milliseconds.
    pub fn enqueued(&self, date_ms: u64) -> i64 {
        enqueued(self.start_ms, self.elapsed().as_millis() as u64, date_ms)
    }
}

/// `start_ms`: the date at which the queue was opened; `now`: milliseconds since then. A date that cannot be true
/// counts as now.
fn enqueued(start_ms: u64, now: u64, date_ms: u64) -> i64 {
    let is_ours = date_ms >= start_ms && date_ms <= start_ms + now;
    let can_be_true = date_ms >= EARLIEST_MS && date_ms <= start_ms;
    match is_ours || can_be_true {
        true => date_ms as i64 - start_ms as i64,
        false => now as i64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: u64 = EARLIEST_MS + 10_000_000;

    #[test]
    fn a_date_that_can_be_true_is_believed() {
        assert_eq!(enqueued(TODAY, 5_000, TODAY - 60_000), -60_000);
        assert_eq!(enqueued(TODAY, 5_000, TODAY + 2_000), 2_000);
    }

    #[test]
    fn a_device_whose_clock_was_set_keeps_its_events() {
        // Written in 1970, read after the clock was set: and the other way round.
        assert_eq!(enqueued(TODAY, 5_000, 30_000), 5_000);
        assert_eq!(enqueued(1_000, 5_000, TODAY), 5_000);
        // By the process itself, before its clock was set.
        assert_eq!(enqueued(1_000, 5_000, 3_000), 2_000);
        // By one whose clock was a year ahead.
        assert_eq!(enqueued(TODAY, 5_000, TODAY + 31_536_000_000), 5_000);
    }
}
