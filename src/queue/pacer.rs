//! The queue's rate limiter: when the next request may start, as a function of time and outcomes.
//!
//! The clients of an organisation share its limit and cannot see each other, so the pacer makes a
//! schedule out of nothing but its own answers. Its period is the shortest one (the ceiling's) times a
//! power of two. After a success the next request comes exactly one period later: a client that found
//! a free slot keeps it, and periods that are powers of two fill the limit without gaps (as in CSMA
//! with enhanced collision avoidance and hysteresis). On a 429 the period doubles. A client that was
//! settled at its rate gives way once, in its place, and its next success takes the rate back; a
//! second 429 in a row, or one soon after the last change, is a real loss, and the client looks for
//! another place at random. After `patience` successes it tries the next higher rate; when that try
//! fails, its patience grows, the more the slower it runs, since a slow client is one of many. So a
//! lone client is back at full speed seconds after a passing 429, and a fleet of thousands stops trying
//! what fails. `tests/fleet.rs` measures both.
//!
//! What no client can know is that others have left: one answer tells one bit, and a fleet that meets
//! few 429s learns slowly. A client that a crowd has driven down to one request an hour, and whose
//! climbs have failed, stays there for weeks. A new pacer starts at the ceiling.
//!
//! A request that makes its connection goes out later than it starts, and one on a busy machine or network arrives
//! later than it went out. How much later is known, or can be guessed, only with its answer, when others have
//! started. So the schedule alone could put six of five into a second: a start also keeps its distance from the fifth
//! before it, as late as that may have arrived.
//!
//! Outcomes carry no name. Those of requests that were under way at the last slow-down or backoff come
//! before the others as a rule, so that many outcomes are passed over: one halving a round trip.

use std::collections::VecDeque;
use std::time::Duration;

use crate::api::retry;

/// Added to the period: the jitter of the network must not make six requests of five in a second.
const MARGIN: f64 = 1.02;
/// No period is longer (if the ceiling's own is not): a client of any fleet tries about once an hour.
const LONGEST_PERIOD: Duration = Duration::from_secs(3600);

/// Successes before the first try at a higher rate.
const FIRST_PATIENCE: u32 = 4;
/// The most, at the ceiling; half of it with every three levels below: the slower try sooner, which
/// evens out the shares of a fleet.
const LONGEST_PATIENCE: u32 = 32_768;
/// Successes since the last change of rate that make a client settled: the latter at the ceiling, half
/// of it with every level below, down to the former. So it is a time rather than a count (100 s at
/// 5 requests a second), or the fastest of a fleet would never give way for good.
const SETTLED: u32 = 4;
const SETTLED_AT_CEILING: u32 = 512;
/// After so many successes at the ceiling, failed tries are forgotten.
const FORGOTTEN: u32 = 64;

/// Of a higher ceiling, where single requests do not matter so, none is remembered.
const MOST_RECENT: f64 = 64.0;
/// So many tell well what is late: fewer, and more are taken for punctual that were not; more, and a path that got
/// longer is taken for late the longer (6 s at 5 requests a second).
const ROUND_TRIPS: usize = 32;

/// Backoff with full jitter: up to 0.5 s at first, doubled up to this.
const LONGEST_BACKOFF: Duration = Duration::from_secs(32);

/// A request that has started.
#[derive(Debug, Clone)]
struct Recent {
    /// When it leaves the window, by when it started as long as no more is known, if it was punctual.
    leaves: Duration,
    is_known: bool,
    round_trip: Option<Duration>,
}

/// Says when requests may start. Times are since any epoch of the caller's.
#[derive(Debug, Clone)]
pub struct Pacer {
    /// In whole nanoseconds, so nothing drifts.
    shortest_period: Duration,
    lowest_level: u32,
    /// How often the shortest period is doubled.
    level: u32,
    last_start: Option<Duration>,
    /// The next start by the schedule.
    slot: Duration,
    /// No start before this, by `Retry-After` or backoff.
    held_until: Duration,
    /// The last requests, in the order of their starts: as many as the ceiling has in a second, or none.
    recent: VecDeque<Recent>,
    most_recent: usize,
    /// The last ones: the least of them was not late.
    round_trips: VecDeque<Duration>,

    /// Since the last try, loss or 429.
    successes: u32,
    /// Successes since the last change of level.
    calm: u32,
    patience: u32,
    /// 0.5 to 1.5 times patience: moves the tries of equal clients apart.
    spread: f64,
    /// The next success takes one level back.
    gave_way: bool,
    last_was_429: bool,
    /// In a row, for the backoff.
    failures: u32,

    in_flight: u32,
    /// How many outcomes are still of requests from before the last slow-down or backoff.
    passed_over: u32,
}

impl Pacer {
    /// `ceiling`, in requests a second, from 0.001 to 10,000.
    #[must_use]
    pub fn new(ceiling: f64) -> Pacer {
        let shortest_period = Duration::from_secs_f64(MARGIN / ceiling);
        let mut lowest_level = 0;
        while shortest_period * (2 << lowest_level) <= LONGEST_PERIOD && lowest_level < 30 {
            lowest_level += 1;
        }
        Pacer {
            shortest_period,
            lowest_level,
            level: 0,
            last_start: None,
            slot: Duration::ZERO,
            held_until: Duration::ZERO,
            recent: VecDeque::new(),
            most_recent: match ceiling <= MOST_RECENT {
                true => ceiling.max(1.0) as usize,
                false => 0,
            },
            round_trips: VecDeque::new(),
            successes: 0,
            calm: 0,
            patience: FIRST_PATIENCE,
            spread: 1.0,
            gave_way: false,
            last_was_429: false,
            failures: 0,
            in_flight: 0,
            passed_over: 0,
        }
    }

    /// The earliest time at which the next request may start.
    #[must_use]
    pub fn next_at(&self) -> Duration {
        self.slot.max(self.held_until).max(self.window_opens_at())
    }

    /// When there is room for one more in a second: the first of the recent ones has left it.
    fn window_opens_at(&self) -> Duration {
        if self.recent.len() < self.most_recent {
            return Duration::ZERO;
        }
        let window = self.window();
        // Within the margin nothing is late.
        let margin = window - window.div_f64(MARGIN);
        let least = self.round_trips.iter().min().copied().unwrap_or_default() + margin;
        let leaves = self.recent.iter().map(|request| {
            let late = request.round_trip.unwrap_or_default().saturating_sub(least);
            request.leaves.saturating_add(late)
        });
        leaves.min().unwrap_or(Duration::ZERO)
    }

    /// In which there are as many as the ceiling has in a second.
    fn window(&self) -> Duration {
        self.shortest_period * self.most_recent as u32
    }

    /// The present rate in requests a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        MARGIN / self.period().as_secs_f64()
    }

    /// A request starts.
    pub fn started(&mut self, now: Duration) {
        self.last_start = Some(now);
        self.slot = now.saturating_add(self.period());
        self.in_flight = self.in_flight.saturating_add(1);
        self.remember(now.saturating_add(self.window()), false);
    }

    /// A request was started so long ago by whoever delivered before: the limit is for both together.
    pub fn started_before(&mut self, now: Duration, ago: Duration) {
        if let Some(left) = self.window().checked_sub(ago) {
            self.remember(now.saturating_add(left), true);
        }
    }

    /// The service asked whoever delivered before to wait for so long yet. What is too long is by a clock that was set.
    pub fn held_before(&mut self, now: Duration, left: Duration) {
        if left <= retry::LONGEST_QUEUE_WAIT {
            self.hold(now, Some(left));
        }
    }

    /// Single requests matter at this ceiling, also to whoever delivers next.
    #[must_use]
    pub fn remembers(&self) -> bool {
        self.most_recent > 0
    }

    fn remember(&mut self, leaves: Duration, is_known: bool) {
        self.recent.push_back(Recent {
            leaves,
            is_known,
            round_trip: None,
        });
        if self.recent.len() > self.most_recent {
            self.recent.pop_front();
        }
    }

    /// A request that had started went out only then: it had to be made, or its connection. The service counts from
    /// there, or from later if it was long on its way. It is back now.
    pub fn went_out(&mut self, at: Duration, now: Duration) {
        self.last_start = self.last_start.max(Some(at));
        self.slot = self.slot.max(at.saturating_add(self.period()));
        // Which of those under way it was does not matter: all their times come.
        let leaves = at.saturating_add(self.window());
        if let Some(request) = self.recent.iter_mut().find(|request| !request.is_known) {
            request.leaves = request.leaves.max(leaves);
            request.is_known = true;
            request.round_trip = Some(now.saturating_sub(at));
        }
        if self.round_trips.len() == ROUND_TRIPS {
            self.round_trips.pop_front();
        }
        self.round_trips.push_back(now.saturating_sub(at));
    }

    /// A request was answered: done, or refused for what is in it.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        if !self.is_news() {
            return;
        }
        self.last_was_429 = false;
        self.successes = self.successes.saturating_add(1);
        self.calm = self.calm.saturating_add(1);
        if self.gave_way {
            self.gave_way = false;
            self.speed_up();
        } else if self.level == 0 {
            if self.calm >= FORGOTTEN {
                self.patience = FIRST_PATIENCE;
            }
        } else if self.calm >= SETTLED && self.out_of_patience() {
            self.successes = 0;
            self.speed_up();
        }
    }

    /// A request ended and says nothing about the pace.
    pub fn ended(&mut self) {
        self.is_news();
    }

    /// The service answered 429. `random` is in 0.0..1.0.
    pub fn limited(&mut self, now: Duration, retry_after: Option<Duration>, random: f64) {
        self.hold(now, retry_after);
        if !self.is_news() {
            return;
        }
        self.passed_over = self.in_flight;
        let first_in_a_row = !self.last_was_429;
        if first_in_a_row {
            self.gave_way = self.is_settled();
            if !self.gave_way {
                let growth = 1 << self.level.clamp(1, 8);
                self.patience = self.patience.saturating_mul(growth);
                self.patience = self.patience.min(self.longest_patience());
            }
            // From the low digits of the number whose high digits draw the phase.
            self.spread = 0.5 + (random * 8192.0).fract();
        }
        self.last_was_429 = true;
        self.successes = 0;
        self.calm = 0;
        self.level = (self.level + 1).min(self.lowest_level);
        let periods = if first_in_a_row && self.gave_way {
            1.0 // its own place, one start left out
        } else {
            0.5 + random
        };
        let start = self.last_start.unwrap_or(now);
        let slot = start.saturating_add(self.period().mul_f64(periods));
        self.slot = self.slot.max(slot);
    }

    /// A request failed: the network, a timeout, 408 or 5xx. `random` is in 0.0..1.0.
    pub fn failed(&mut self, now: Duration, retry_after: Option<Duration>, random: f64) {
        self.hold(now, retry_after);
        if !self.is_news() {
            return;
        }
        self.passed_over = self.in_flight;
        self.failures = self.failures.saturating_add(1);
        let most = retry::longest_pause(self.failures, LONGEST_BACKOFF);
        self.hold(now, Some(most.mul_f64(random)));
    }

    fn period(&self) -> Duration {
        self.shortest_period * (1 << self.level)
    }

    fn out_of_patience(&self) -> bool {
        let patience = self.patience.min(self.longest_patience());
        f64::from(self.successes) >= f64::from(patience) * self.spread
    }

    fn longest_patience(&self) -> u32 {
        (LONGEST_PATIENCE >> (self.level / 3)).max(FIRST_PATIENCE)
    }

    fn is_settled(&self) -> bool {
        self.calm >= (SETTLED_AT_CEILING >> self.level).max(SETTLED)
    }

    fn speed_up(&mut self) {
        self.calm = 0;
        self.level = self.level.saturating_sub(1);
        if let Some(start) = self.last_start {
            self.slot = start.saturating_add(self.period());
        }
    }

    /// A longer `Retry-After` is taken for a mistake.
    fn hold(&mut self, now: Duration, wait: Option<Duration>) {
        let wait = wait.unwrap_or_default().min(retry::LONGEST_QUEUE_WAIT);
        self.held_until = self.held_until.max(now.saturating_add(wait));
    }

    /// Takes one outcome off those to come; false for one from before the last slow-down or backoff.
    fn is_news(&mut self) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        // Of one that never went out nothing more will be known.
        let under_way = self.in_flight as usize;
        let unknown = self.recent.iter_mut().filter(|request| !request.is_known);
        unknown
            .rev()
            .skip(under_way)
            .for_each(|request| request.is_known = true);
        let news = self.passed_over == 0;
        self.passed_over = self.passed_over.saturating_sub(1);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PERIOD: Duration = Duration::from_millis(204);

    /// Starts the next request at its time and answers it 50 ms later.
    fn succeed(pacer: &mut Pacer) -> Duration {
        let start = pacer.next_at();
        pacer.started(start);
        pacer.succeeded();
        start
    }

    fn be_limited(pacer: &mut Pacer, random: f64) -> Duration {
        let start = pacer.next_at();
        pacer.started(start);
        pacer.limited(start + SECOND / 20, None, random);
        start
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6 * b
    }

    #[test]
    fn the_first_request_goes_at_once_and_the_next_a_period_and_a_margin_later() {
        let mut pacer = Pacer::new(5.0);
        assert_eq!(pacer.next_at(), Duration::ZERO);
        pacer.started(7 * SECOND);
        assert_eq!(pacer.next_at(), 7 * SECOND + PERIOD);
    }

    #[test]
    fn no_second_sees_more_requests_than_the_ceiling_whatever_happens() {
        // Given a ceiling of 5 and outcomes of every kind, late and in any order,
        let mut pacer = Pacer::new(5.0);
        let mut starts = Vec::new();
        let mut now = Duration::ZERO;
        for step in 0_u32..20_000 {
            let random = f64::from(step.wrapping_mul(7_919) % 1_000) / 1_000.0;
            match step.wrapping_mul(2_654_435_761) >> 27 {
                0 => pacer.limited(now, None, random),
                1 => pacer.failed(now, None, random),
                2..28 => pacer.succeeded(),
                _ => now += SECOND * 3,
            }
            // when each request starts as soon as it may,
            now = now.max(pacer.next_at());
            pacer.started(now);
            starts.push(now);
        }
        // then no six are within a second.
        assert!(starts.windows(6).all(|six| six[5] - six[0] > SECOND));
    }

    #[test]
    fn a_request_that_went_out_late_moves_the_next() {
        let mut pacer = Pacer::new(5.0);
        pacer.started(SECOND);
        pacer.went_out(SECOND + SECOND / 20, SECOND + SECOND / 10);
        pacer.succeeded();
        assert_eq!(pacer.next_at(), SECOND + SECOND / 20 + PERIOD);
        // Not one that another has overtaken.
        pacer.started(2 * SECOND);
        pacer.went_out(SECOND, 2 * SECOND);
        assert_eq!(pacer.next_at(), 2 * SECOND + PERIOD);
    }

    #[test]
    fn connections_that_take_long_to_make_put_no_sixth_request_into_a_second() {
        // Given that the first two requests make a connection each, so that they go out 210 ms after their start, and
        // that each is answered 70 ms after it went out,
        let late = |request: usize| {
            if request < 2 {
                SECOND * 21 / 100
            } else {
                Duration::ZERO
            }
        };
        let mut pacer = Pacer::new(5.0);
        let (mut went_out, mut answers) = (Vec::new(), Vec::new());
        while went_out.len() < 100 {
            // when each starts as soon as it may, and its answer says when it went out,
            let start = pacer.next_at();
            let next = answers.iter().position(|(answer, _)| *answer <= start);
            if let Some((answer, at)) = next.map(|next| answers.remove(next)) {
                pacer.went_out(at, answer);
                pacer.succeeded();
                continue;
            }
            pacer.started(start);
            let at = start + late(went_out.len());
            answers.push((at + SECOND * 7 / 100, at));
            went_out.push(at);
        }
        // then no six go out within a second, and no more is lost than the time that it took.
        went_out.sort();
        assert!(went_out.windows(6).all(|six| six[5] - six[0] > SECOND));
        assert!(went_out[99] <= 99 * PERIOD + SECOND / 2, "{went_out:?}");
    }

    #[test]
    fn requests_that_are_long_on_their_way_put_no_sixth_into_a_second() {
        // Given a machine so busy that each request arrives, and is answered, up to 60 ms late,
        let mut pacer = Pacer::new(5.0);
        let mut arrivals = Vec::new();
        let mut random = 1_u32;
        let mut late = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            SECOND * (random >> 16) * 6 / 6_553_600
        };
        let mut start = Duration::ZERO;
        for _ in 0..1_000 {
            // when each starts as soon as it may and the one before is back,
            start = pacer.next_at().max(start);
            pacer.started(start);
            let arrival = start + late();
            arrivals.push(arrival);
            let answer = arrival + late();
            pacer.went_out(start, answer);
            pacer.succeeded();
            start = answer;
        }
        // then hardly ever six arrive within a second (244 times if only the schedule is kept), and over nine tenths
        // of the limit are used.
        arrivals.sort();
        let sixth = arrivals.windows(6).filter(|six| six[5] - six[0] < SECOND);
        let (sixth, rate) = (sixth.count(), 1_000.0 / arrivals[999].as_secs_f64());
        assert!(sixth <= 10 && rate > 4.6, "{sixth} times, {rate} a second");
    }

    #[test]
    fn a_path_that_got_longer_is_soon_taken_for_what_it_is() {
        let mut pacer = Pacer::new(5.0);
        let mut send = |round_trip: Duration| {
            let start = pacer.next_at();
            pacer.started(start);
            pacer.went_out(start, start + round_trip);
            pacer.succeeded();
            start
        };
        for _ in 0..ROUND_TRIPS {
            send(SECOND / 100);
        }
        for _ in 0..ROUND_TRIPS {
            send(SECOND / 10);
        }
        let (before, after) = (send(SECOND / 10), send(SECOND / 10));
        assert_eq!(after - before, PERIOD);
    }

    #[test]
    fn who_delivers_next_keeps_to_the_limit_with_those_before() {
        // Given five requests of another in the last second,
        let mut pacer = Pacer::new(5.0);
        let starts = [2, 4, 6, 8].map(|tenth| tenth * SECOND / 10);
        for ago in [9 * SECOND, 9 * SECOND / 10]
            .into_iter()
            .chain(starts.into_iter().rev())
        {
            pacer.started_before(Duration::ZERO, ago);
        }
        // then the next goes when the first of them has left it,
        assert_eq!(pacer.next_at(), 5 * PERIOD - 9 * SECOND / 10);
        pacer.started(pacer.next_at());
        // and the one behind it likewise, but a period later.
        assert_eq!(
            pacer.next_at(),
            (6 * PERIOD - 9 * SECOND / 10).max(5 * PERIOD - 8 * SECOND / 10)
        );
        // One that was alone, or long ago, holds nobody up.
        let mut pacer = Pacer::new(5.0);
        pacer.started_before(Duration::ZERO, Duration::ZERO);
        (0..9).for_each(|_| pacer.started_before(Duration::ZERO, 9 * SECOND));
        assert_eq!(pacer.next_at(), Duration::ZERO);
        // Nor does a pause of which the end was dated by another clock.
        pacer.held_before(SECOND, 9 * retry::LONGEST_QUEUE_WAIT);
        assert_eq!(pacer.next_at(), Duration::ZERO);
        pacer.held_before(SECOND, 60 * SECOND);
        assert_eq!(pacer.next_at(), 61 * SECOND);
    }

    #[test]
    fn requests_that_never_go_out_slow_nobody_down() {
        let mut pacer = Pacer::new(5.0);
        for _ in 0..3 {
            pacer.started(pacer.next_at());
            pacer.ended();
        }
        let send = |pacer: &mut Pacer| {
            let start = pacer.next_at();
            pacer.started(start);
            pacer.went_out(start + SECOND / 1000, start + SECOND / 20);
            pacer.succeeded();
        };
        send(&mut pacer);
        let begin = pacer.next_at();
        for _ in 0..100 {
            send(&mut pacer);
        }
        assert_eq!(pacer.next_at() - begin, 100 * (PERIOD + SECOND / 1000));
    }

    #[test]
    fn idle_time_saves_up_no_burst() {
        let mut pacer = Pacer::new(5.0);
        succeed(&mut pacer);
        pacer.started(100 * SECOND);
        assert_eq!(pacer.next_at(), 100 * SECOND + PERIOD);
    }

    #[test]
    fn a_429_halves_the_rate() {
        let mut pacer = Pacer::new(5.0);
        succeed(&mut pacer);
        let start = be_limited(&mut pacer, 0.25);
        assert!(close(pacer.rate(), 2.5));
        // a random place in the new period of 408 ms: at 0.5 + 0.25 of it
        assert_eq!(pacer.next_at(), start + Duration::from_millis(306));
    }

    #[test]
    fn several_429s_of_one_round_trip_halve_the_rate_once() {
        // Given four requests in flight,
        let mut pacer = Pacer::new(5.0);
        for _ in 0..4 {
            pacer.started(pacer.next_at());
        }
        // when all are refused,
        for _ in 0..4 {
            pacer.limited(SECOND, None, 0.5);
        }
        // then the rate is halved once, and again by the first of the new rate.
        assert!(close(pacer.rate(), 2.5));
        be_limited(&mut pacer, 0.5);
        assert!(close(pacer.rate(), 1.25));
    }

    #[test]
    fn a_lone_client_is_at_full_rate_seconds_after_three_429s() {
        for calm in [0, 1_000] {
            let mut pacer = Pacer::new(5.0);
            for _ in 0..calm {
                succeed(&mut pacer);
            }
            for _ in 0..3 {
                be_limited(&mut pacer, 0.99);
            }
            let slow = pacer.next_at();
            while pacer.rate() < 4.99 {
                succeed(&mut pacer);
            }
            let took = pacer.next_at() - slow;
            assert!(took < 60 * SECOND, "{took:?} after {calm} successes");
        }
    }

    #[test]
    fn a_settled_client_takes_its_rate_back_with_the_next_success() {
        // Given a client settled at the ceiling,
        let mut pacer = Pacer::new(5.0);
        for _ in 0..SETTLED_AT_CEILING {
            succeed(&mut pacer);
        }
        // when it meets a 429, it leaves one place of its schedule free and goes on.
        let start = be_limited(&mut pacer, 0.9);
        assert!(close(pacer.rate(), 2.5));
        assert_eq!(pacer.next_at(), start + 2 * PERIOD);
        succeed(&mut pacer);
        assert!(close(pacer.rate(), 5.0));
        assert_eq!(pacer.next_at(), start + 3 * PERIOD);
    }

    #[test]
    fn the_second_429_in_a_row_is_a_loss() {
        let mut pacer = Pacer::new(5.0);
        for _ in 0..SETTLED_AT_CEILING {
            succeed(&mut pacer);
        }
        be_limited(&mut pacer, 0.9);
        be_limited(&mut pacer, 0.9);
        succeed(&mut pacer);
        assert!(close(pacer.rate(), 2.5));
    }

    #[test]
    fn a_climb_that_fails_is_tried_later_and_later() {
        // Given a service that takes half the ceiling and no more,
        let mut pacer = Pacer::new(5.0);
        be_limited(&mut pacer, 0.5);
        let mut waits = Vec::new();
        for _ in 0..6 {
            let mut successes = 0;
            while pacer.rate() < 4.99 {
                succeed(&mut pacer);
                successes += 1;
            }
            waits.push(successes);
            // when each climb fails at once,
            be_limited(&mut pacer, 0.5);
        }
        // then the next comes later.
        assert!(waits.is_sorted(), "{waits:?}");
        assert!(waits[5] >= 16 * waits[0], "{waits:?}");
        assert!(pacer.patience <= LONGEST_PATIENCE);
    }

    #[test]
    fn a_long_time_at_the_ceiling_makes_failed_climbs_forgotten() {
        let mut pacer = Pacer::new(5.0);
        for _ in 0..4 {
            be_limited(&mut pacer, 0.5);
            succeed(&mut pacer);
        }
        assert!(pacer.patience > FIRST_PATIENCE);
        while pacer.rate() < 4.99 {
            succeed(&mut pacer);
        }
        for _ in 0..FORGOTTEN {
            succeed(&mut pacer);
        }
        assert_eq!(pacer.patience, FIRST_PATIENCE);
    }

    #[test]
    fn retry_after_is_obeyed_even_from_a_request_that_slows_nothing_down() {
        let mut pacer = Pacer::new(5.0);
        pacer.started(Duration::ZERO);
        pacer.started(PERIOD);
        pacer.limited(SECOND, Some(10 * SECOND), 0.0);
        pacer.limited(SECOND, Some(30 * SECOND), 0.0);
        assert!(close(pacer.rate(), 2.5));
        assert_eq!(pacer.next_at(), 31 * SECOND);
    }

    #[test]
    fn a_retry_after_of_a_million_years_is_five_minutes() {
        let mut pacer = Pacer::new(5.0);
        pacer.started(Duration::ZERO);
        pacer.limited(SECOND, Some(Duration::MAX), 0.5);
        assert_eq!(pacer.next_at(), SECOND + retry::LONGEST_QUEUE_WAIT);
    }

    #[test]
    fn failures_back_off_from_half_a_second_to_32() {
        let mut pacer = Pacer::new(5.0);
        let waits: Vec<f64> = (0..8)
            .map(|_| {
                let start = pacer.next_at();
                pacer.started(start);
                pacer.failed(start, None, 0.5);
                (pacer.next_at() - start).as_secs_f64()
            })
            .collect();
        assert_eq!(waits, [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0]);
        // and a success ends that
        succeed(&mut pacer);
        let start = pacer.next_at();
        pacer.started(start);
        pacer.failed(start, None, 0.5);
        assert_eq!(pacer.next_at() - start, SECOND / 4);
    }

    #[test]
    fn a_failure_leaves_the_rate_as_it_is() {
        let mut pacer = Pacer::new(5.0);
        pacer.started(Duration::ZERO);
        pacer.failed(SECOND, None, 0.5);
        assert!(close(pacer.rate(), 5.0));
    }

    #[test]
    fn failures_of_one_round_trip_are_one_step_of_the_backoff() {
        let mut pacer = Pacer::new(5.0);
        for _ in 0..5 {
            pacer.started(pacer.next_at());
        }
        for _ in 0..5 {
            pacer.failed(2 * SECOND, None, 0.9);
        }
        assert_eq!(pacer.next_at(), 2 * SECOND + Duration::from_millis(450));
    }

    #[test]
    fn a_schedule_does_not_drift_in_a_million_periods() {
        let mut pacer = Pacer::new(5.0);
        for _ in 0..1_000_000 {
            succeed(&mut pacer);
        }
        assert_eq!(pacer.next_at(), 1_000_000 * PERIOD);
    }

    #[test]
    fn any_ceiling_and_time_is_borne() {
        for ceiling in [0.001, 5.0, 10_000.0] {
            let mut pacer = Pacer::new(ceiling);
            // outcomes of requests that never started
            pacer.succeeded();
            pacer.limited(Duration::MAX, Some(Duration::MAX), 0.0);
            pacer.failed(Duration::ZERO, Some(Duration::MAX), 0.0);
            for _ in 0..100 {
                pacer.started(Duration::MAX);
                pacer.limited(Duration::MAX, None, 0.999);
                pacer.failed(Duration::MAX, None, 0.999);
                pacer.succeeded();
            }
            assert!(pacer.rate() > 0.0 && pacer.rate().is_finite());
            assert_eq!(pacer.next_at(), Duration::MAX);
        }
    }

    #[test]
    fn no_storm_of_429s_makes_a_period_longer_than_an_hour() {
        for ceiling in [0.01, 5.0, 10_000.0] {
            let mut pacer = Pacer::new(ceiling);
            for _ in 0..1_000 {
                be_limited(&mut pacer, 0.5);
            }
            assert!(pacer.period() <= LONGEST_PERIOD);
            assert!(pacer.period() > LONGEST_PERIOD / 2);
        }
    }
}
