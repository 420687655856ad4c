//! How long what failed rests before it is tried again. Whether it is the service that is in trouble, or an event, is
//! told by what succeeds beside it. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::api::retry;

/// Failures in a row, with no success between them, that make an outage.
pub const OUTAGE: u32 = 2;
/// So many different requests that failed, with no success between them, make the whole queue slow down. One event
/// that fails again and again does not: it rests by itself, and who comes after it does not wait.
const SEVERAL: usize = 3;
/// Failures of a batch, each after another request had succeeded, before it is divided.
const PATIENCE: u32 = 2;

/// The longest while the service may be in trouble.
const LONGEST_PAUSE: Duration = Duration::from_secs(32);
/// The longest of an event that fails while others succeed.
const LONGEST_OF_ONE: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub struct Health {
    failures_in_a_row: u32,
    /// The first events of some of those requests.
    failed: BTreeSet<u64>,
    last_success: Option<Duration>,
}

impl Health {
    /// A request succeeded; whether that ends an outage.
    pub fn succeeded(&mut self, now: Duration) -> bool {
        let was_outage = self.is_outage();
        self.failures_in_a_row = 0;
        self.failed.clear();
        self.last_success = Some(now);
        was_outage
    }

    /// A request failed, that began with this event.
    pub fn failed(&mut self, first: u64) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        if self.failed.len() < SEVERAL {
            self.failed.insert(first);
        }
    }

    /// Nothing succeeds, whatever is sent.
    pub fn slows_down(&self) -> bool {
        self.failed.len() >= SEVERAL
    }

    /// Nothing succeeds, though it may be one event that is to blame.
    pub fn is_outage(&self) -> bool {
        self.failures_in_a_row >= OUTAGE
    }

    /// Whether a request has succeeded since.
    pub fn has_succeeded_since(&self, time: Duration) -> bool {
        self.last_success.is_some_and(|success| success > time)
    }
}

/// How long a group rests after so many failures in a row. `sent`: it went out, and got no answer. `random` is in
/// 0.0..1.0.
pub fn rest(
    failures: u32,
    contradicted: u32,
    sent: bool,
    asked: Option<Duration>,
    random: f64,
) -> Duration {
    let longest = match contradicted {
        0 => LONGEST_PAUSE,
        _ => LONGEST_OF_ONE,
    };
    let pause = retry::longest_pause(failures, longest);
    let least = if sent {
        retry::AFTER_SILENCE
    } else {
        Duration::ZERO
    };
    let asked = asked.unwrap_or_default().min(retry::LONGEST_QUEUE_WAIT);
    pause.mul_f64(0.5 + random / 2.0).max(least).max(asked)
}

/// Whether a batch is to be divided: it fails again and again while others succeed.
pub fn divides(contradicted: u32) -> bool {
    contradicted >= PATIENCE
}

/// What the parts of a divided batch begin with: the next such failure divides them, too.
pub const CONTRADICTED_PART: u32 = PATIENCE - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_with_each_failure_and_longer_for_one_event_alone() {
        let rests = |contradicted| {
            (1..=12).map(move |failures| rest(failures, contradicted, false, None, 1.0).as_secs())
        };
        assert_eq!(
            rests(0).collect::<Vec<_>>(),
            [0, 1, 2, 4, 8, 16, 32, 32, 32, 32, 32, 32]
        );
        assert_eq!(rests(1).next_back(), Some(300));
        assert_eq!(rest(1, 0, true, None, 0.0), retry::AFTER_SILENCE);
        let asked = Some(Duration::from_secs(20));
        assert_eq!(rest(1, 0, false, asked, 0.0), Duration::from_secs(20));
    }

    #[test]
    fn an_outage_is_when_nothing_succeeds() {
        let mut health = Health::default();
        health.failed(1);
        assert!(!health.is_outage());
        health.failed(1);
        assert!(health.is_outage() && !health.slows_down());
        health.failed(2);
        health.failed(3);
        assert!(health.slows_down());
        assert!(health.succeeded(Duration::from_secs(5)));
        assert!(!health.slows_down());
        assert!(!health.is_outage());
        assert!(health.has_succeeded_since(Duration::from_secs(4)));
        assert!(!health.has_succeeded_since(Duration::from_secs(5)));
    }
}
