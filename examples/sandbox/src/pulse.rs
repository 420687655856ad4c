//! What came in each of the last seconds: the page plots it.

use std::collections::VecDeque;
use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use crate::limits::Tier;

/// Seconds that are kept.
pub const MOST: usize = 120;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Second {
    tier_one: u64,
    tier_two: u64,
    /// Answered with 429, by the limit or by a fault.
    refused_one: u64,
    refused_two: u64,
    counted: u64,
    replayed: u64,
}

#[derive(Debug, Default)]
pub struct Pulse {
    first: Option<Instant>,
    /// The second that the last entry is, since the first.
    now: u64,
    seconds: VecDeque<Second>,
}

impl Pulse {
    pub fn arrived(&mut self, tier: Tier, now: Instant) {
        let second = self.second(now);
        match tier {
            Tier::One => second.tier_one += 1,
            Tier::Two => second.tier_two += 1,
        }
    }

    pub fn refused(&mut self, tier: Tier, now: Instant) {
        let second = self.second(now);
        match tier {
            Tier::One => second.refused_one += 1,
            Tier::Two => second.refused_two += 1,
        }
    }

    pub fn counted(&mut self, counted: u64, replayed: u64, now: Instant) {
        let second = self.second(now);
        second.counted += counted;
        second.replayed += replayed;
    }

    fn second(&mut self, now: Instant) -> &mut Second {
        let first = *self.first.get_or_insert(now);
        let second = now.saturating_duration_since(first).as_secs();
        let passed = second.saturating_sub(self.now);
        self.now = self.now.max(second);
        for _ in 0..passed.min(MOST as u64) {
            self.seconds.push_back(Second::default());
        }
        let surplus = self.seconds.len().saturating_sub(MOST);
        self.seconds.drain(..surplus);
        if self.seconds.is_empty() {
            self.seconds.push_back(Second::default());
        }
        let last = self.seconds.len() - 1;
        &mut self.seconds[last]
    }

    /// The last so many seconds, the oldest first, and the number of the last.
    pub fn show(&mut self, most: usize, now: Instant) -> Value {
        self.second(now);
        let skip = self.seconds.len().saturating_sub(most);
        let seconds: Vec<&Second> = self.seconds.iter().skip(skip).collect();
        json!({ "second": self.now, "seconds": seconds })
    }

    /// The number of the present second.
    pub fn number(&mut self, now: Instant) -> u64 {
        self.second(now);
        self.now
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_in_which_nothing_came_is_shown_empty_and_old_ones_are_forgotten() {
        let start = Instant::now();
        let mut pulse = Pulse::default();

        pulse.arrived(Tier::One, start);
        pulse.arrived(Tier::One, start + Duration::from_millis(900));
        pulse.refused(Tier::One, start + Duration::from_millis(900));
        let shown = pulse.show(MOST, start + Duration::from_secs(2));

        assert_eq!(shown["second"], 2);
        assert_eq!(shown["seconds"][0]["tierOne"], 2);
        assert_eq!(shown["seconds"][0]["refusedOne"], 1);
        assert_eq!(shown["seconds"][1]["tierOne"], 0);
        assert_eq!(shown["seconds"].as_array().unwrap().len(), 3);
        let much_later = pulse.show(MOST, start + Duration::from_secs(9_000));
        assert_eq!(much_later["seconds"].as_array().unwrap().len(), MOST);
        assert_eq!(much_later["seconds"][0]["tierOne"], 0);
    }
}
