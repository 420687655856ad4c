//! The service's rate limits: so many requests a second for the whole organisation, in two tiers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Events, completions and the Admin API: 5 requests a second.
    One,
    /// The rest of the application API: 50 requests a second.
    Two,
}

/// Requests a second; `None` is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    pub tier_one: Option<usize>,
    pub tier_two: Option<usize>,
}

impl Rates {
    /// The limits the service itself has.
    pub const SERVICE: Self = Self {
        tier_one: Some(5),
        tier_two: Some(50),
    };
}

#[derive(Debug, Default)]
pub struct Limits {
    rates: Rates,
    one: VecDeque<Instant>,
    two: VecDeque<Instant>,
}

impl Limits {
    pub fn new(rates: Rates) -> Self {
        Self {
            rates,
            ..Self::default()
        }
    }

    /// Whether a request may pass now. One that may not does not count.
    pub fn admit(&mut self, tier: Tier, now: Instant) -> bool {
        let (rate, passed) = match tier {
            Tier::One => (self.rates.tier_one, &mut self.one),
            Tier::Two => (self.rates.tier_two, &mut self.two),
        };
        let Some(rate) = rate else { return true };
        while passed
            .front()
            .is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW)
        {
            passed.pop_front();
        }
        let room = passed.len() < rate;
        if room {
            passed.push_back(now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_event_of_a_second_is_refused_and_the_next_second_is_free() {
        let mut limits = Limits::new(Rates::SERVICE);
        let start = Instant::now();

        let first: Vec<bool> = (0..6).map(|_| limits.admit(Tier::One, start)).collect();

        assert_eq!(first, [true, true, true, true, true, false]);
        assert!(limits.admit(Tier::Two, start));
        assert!(!limits.admit(Tier::One, start + Duration::from_millis(999)));
        assert!(limits.admit(Tier::One, start + WINDOW));
    }
}
