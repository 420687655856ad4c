//! The sandbox's time: the real one, or one that a test has set and that goes on from there.

use jiff::{SignedDuration, Timestamp};

#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    ahead: SignedDuration,
}

impl Clock {
    pub fn now(self) -> Timestamp {
        Timestamp::now()
            .saturating_add(self.ahead)
            .unwrap_or(Timestamp::MAX)
    }

    pub fn is_moved(self) -> bool {
        self.ahead != SignedDuration::ZERO
    }

    /// Sets the time; `None` goes back to the real one.
    pub fn set(&mut self, now: Option<Timestamp>) {
        self.ahead = now.map_or(SignedDuration::ZERO, |now| {
            now.duration_since(Timestamp::now())
        });
    }
}

/// A moment as the service writes it: milliseconds, UTC.
pub fn written(moment: Timestamp) -> String {
    format!("{moment:.3}")
}
