//! What has really been achieved in the last seconds, in requests. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// How far back it looks.
const WINDOW: Duration = Duration::from_secs(5);
/// Shorter says nothing yet.
const LEAST: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Throughput {
    /// When there began to be something to send.
    busy_since: Option<Duration>,
    /// Successes, oldest first.
    successes: VecDeque<Duration>,
}

impl Throughput {
    pub fn busy(&mut self, now: Duration) {
        self.busy_since.get_or_insert(now);
    }

    pub fn idle(&mut self) {
        self.busy_since = None;
        self.successes.clear();
    }

    pub fn succeeded(&mut self, now: Duration) {
        self.successes.push_back(now);
        self.forget(now);
    }

    fn forget(&mut self, now: Duration) {
        while self.successes.front().is_some_and(|at| *at + WINDOW < now) {
            self.successes.pop_front();
        }
    }

    /// Successful requests a second; `nominal` as long as too little is known, and never more than that.
    pub fn rate(&mut self, now: Duration, nominal: f64) -> f64 {
        self.forget(now);
        let busy = self
            .busy_since
            .map_or(Duration::ZERO, |since| now.saturating_sub(since));
        let span = busy.min(WINDOW);
        if span < LEAST {
            return nominal;
        }
        nominal.min(self.successes.len() as f64 / span.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_was_achieved_once_that_is_known() {
        let second = Duration::from_secs(1);
        let mut throughput = Throughput::default();
        throughput.busy(10 * second);
        assert_eq!(throughput.rate(10 * second + second / 2, 1000.0), 1000.0);
        for tenth in 1..=40 {
            throughput.succeeded(10 * second + tenth * second / 10);
        }
        assert_eq!(throughput.rate(14 * second, 1000.0), 10.0);
        assert_eq!(throughput.rate(14 * second, 5.0), 5.0);
        assert_eq!(throughput.rate(30 * second, 1000.0), 0.0);
        throughput.idle();
        assert_eq!(throughput.rate(30 * second, 1000.0), 1000.0);
    }
}
