//! How old an event is. By a clock that was set nobody grows old: the queue's own time goes by the monotonic
//! clock, and a date is believed only if it can be true. The monotonic clock stands still while the machine sleeps,
//! so that neither clock is believed alone.

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
        Self {
            start: Instant::now(),
            start_ms: wall_ms(),
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

    /// The date of an event that is enqueued now, in Unix milliseconds: the later one, where the clock was set or the
    /// machine slept. One that is too late makes nobody old.
    pub fn date_ms(&self) -> u64 {
        wall_ms().max(self.own_ms())
    }

    /// When an event of this date was enqueued, in the queue's time, in milliseconds.
    pub fn enqueued(&self, date_ms: u64) -> i64 {
        enqueued(self.start_ms, self.own_ms(), wall_ms(), date_ms)
    }

    /// The date now, for a clock that nobody sets and a machine that never sleeps.
    fn own_ms(&self) -> u64 {
        self.start_ms + self.elapsed().as_millis() as u64
    }
}

fn wall_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}

/// `start_ms`: the date at which the queue was opened; `own_ms`: that of now by the queue's own time; `wall_ms`: by the
/// clock. Of both ages that can be true it is the younger; where none can, it is enqueued now.
fn enqueued(start_ms: u64, own_ms: u64, wall_ms: u64, date_ms: u64) -> i64 {
    let own = own_ms.checked_sub(date_ms);
    let own = own.filter(|_| date_ms >= EARLIEST_MS.min(start_ms));
    let wall = wall_ms.checked_sub(date_ms);
    let wall = wall.filter(|_| date_ms >= EARLIEST_MS);
    let youngest = own.into_iter().chain(wall).min();
    (own_ms - start_ms) as i64 - youngest.unwrap_or_default() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: u64 = EARLIEST_MS + 10_000_000;
    const HOUR: u64 = 3_600_000;

    /// The clock of a queue that was opened at this date, five seconds ago by its own time.
    fn enqueued_since(start_ms: u64, wall_ms: u64, date_ms: u64) -> i64 {
        enqueued(start_ms, start_ms + 5_000, wall_ms, date_ms)
    }

    #[test]
    fn a_date_that_can_be_true_is_believed() {
        let wall = TODAY + 5_000;
        assert_eq!(enqueued_since(TODAY, wall, TODAY - 60_000), -60_000);
        assert_eq!(enqueued_since(TODAY, wall, TODAY + 2_000), 2_000);
    }

    #[test]
    fn a_device_whose_clock_was_set_keeps_its_events() {
        // Written in 1970, read after the clock was set: and the other way round.
        assert_eq!(enqueued_since(TODAY, TODAY + 5_000, 30_000), 5_000);
        assert_eq!(enqueued_since(1_000, 6_000, TODAY), 5_000);
        // By a process before this one, in 1970 too; then the clock was set.
        assert_eq!(enqueued_since(1_000, TODAY, 30_000), 5_000);
        // By the process itself, before its clock was set.
        assert_eq!(enqueued_since(1_000, 6_000, 3_000), 2_000);
        assert_eq!(enqueued_since(1_000, TODAY, 3_000), 2_000);
        // By one whose clock was a year ahead.
        let year = 365 * 24 * HOUR;
        assert_eq!(enqueued_since(TODAY, TODAY + 5_000, TODAY + year), 5_000);
    }

    #[test]
    fn an_event_is_as_young_after_the_machine_slept_as_before() {
        // Given a process that lived through ten hours in which its own time stood still,
        let now = wall_ms();
        let slept = QueueClock {
            start: Instant::now(),
            start_ms: now - 10 * HOUR,
        };
        // when it dates an event, then the next process finds it new,
        let date = slept.date_ms();
        assert!(date >= now, "{} ms old", now - date);
        assert!(QueueClock::new().enqueued(date) > -(HOUR as i64));
        // and so does it itself: what it is told by processes that have started since, too.
        assert_eq!(
            enqueued_since(TODAY, TODAY + 10 * HOUR, TODAY + 9 * HOUR),
            5_000 - HOUR as i64
        );
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_old() {
        // Given a process whose clock was ten hours ahead when it began,
        let now = wall_ms();
        let before = QueueClock {
            start: Instant::now(),
            start_ms: now + 10 * HOUR,
        };
        // then what it dates is new to the next,
        assert!(QueueClock::new().enqueued(before.date_ms()) >= 0);
        // and what others date since, to it.
        assert_eq!(
            enqueued_since(TODAY, TODAY - 10 * HOUR, TODAY - 10 * HOUR),
            5_000
        );
    }
}
