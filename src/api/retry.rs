//! What is tried again, and when: pure functions of (failure, attempt, time left).

use std::time::Duration;

/// The longest first pause; it doubles with each failure.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause of all.
const LONGEST: Duration = Duration::from_secs(8);
/// After a request that went out and got no answer: the service stores an idempotency key when it
/// has processed the event, so a retry that overtakes the first request could count twice.
pub const AFTER_SILENCE: Duration = Duration::from_secs(1);

/// What sending a request twice does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetition {
    /// It takes effect twice.
    Harmful,
    /// The same as sending it once.
    Harmless,
    /// The same, by the idempotency keys that its events carry.
    CountsOnce,
}

/// How an attempt failed, as far as it matters for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer. `sent`: bytes of the request went out, so the service may have it.
    NoAnswer { sent: bool },
    /// The service answered with this HTTP status, and perhaps said how long to wait.
    Answer {
        status: u16,
        retry_after: Option<Duration>,
    },
    /// Trying again would change nothing.
    Final,
}

/// How long to wait before the next attempt, or `None` if there is to be none.
///
/// `attempts`: how many were made. `left`: until the call's deadline. `random`: in 0.0..1.0.
pub fn pause(
    failure: Failure,
    attempts: u32,
    max_retries: u32,
    left: Duration,
    repetition: Repetition,
    random: f64,
) -> Option<Duration> {
    if attempts > max_retries || !is_worth_it(failure, repetition) {
        return None;
    }
    let pause = match failure {
        // A server that says "now", or a date that has passed, is not met with a storm.
        Failure::Answer {
            retry_after: Some(after),
            ..
        } => backoff(attempts, random).max(after),
        Failure::NoAnswer { sent: true } => backoff(attempts, random).max(AFTER_SILENCE),
        _ => backoff(attempts, random),
    };
    (pause < left).then_some(pause)
}

fn is_worth_it(failure: Failure, repetition: Repetition) -> bool {
    let is_repeatable = repetition != Repetition::Harmful;
    match failure {
        Failure::NoAnswer { sent } => is_repeatable || !sent,
        Failure::Answer { status, .. } => match status {
            // It is said before anything is done.
            429 => true,
            // Documented nowhere: perhaps the same event in flight. Its key tells.
            409 => repetition == Repetition::CountsOnce,
            408 | 421 | 425 | 500..=599 => is_repeatable,
            _ => false,
        },
        Failure::Final => false,
    }
}

/// Exponential backoff with full jitter: anywhere between nothing and the pause of this attempt.
pub fn backoff(attempts: u32, random: f64) -> Duration {
    longest_pause(attempts, LONGEST).mul_f64(random)
}

/// The longest pause after so many failures in a row, which is never longer than `most`.
pub fn longest_pause(failures: u32, most: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST * 2u32.pow(doublings)).min(most)
}

/// The longest that is believed of an answer. A call goes by its deadline anyway.
pub const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// The longest that a queue waits for the asking, which has no deadline: then it looks for itself.
pub const LONGEST_QUEUE_WAIT: Duration = Duration::from_secs(300);

/// From here on, a number of seconds is a Unix time (of 2001), and from there on one of milliseconds.
const UNIX_SECONDS: f64 = 1e9;
const UNIX_MILLISECONDS: f64 = 1e12;

/// The headers of an answer that say when to come again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// `Retry-After`: seconds or an HTTP date (RFC 9110, 10.2.3).
    pub retry_after: Option<&'a str>,
    /// `X-RateLimit-Reset`: Unix seconds.
    pub rate_limit_reset: Option<&'a str>,
    /// `Date`: what the sender of the others takes for now.
    pub date: Option<&'a str>,
}

/// How long an answer asks to wait. `now`: the Unix time here, for an answer without a date. Nothing is
/// asked by what cannot be meant: no number and no date, or a negative one.
pub fn retry_after(asked: Asked<'_>, now: Duration) -> Option<Duration> {
    let now = asked.date.and_then(unix_time_of).unwrap_or(now);
    let by_header = asked.retry_after.and_then(|text| match number(text) {
        Some(number) => by_number(number, now),
        None => Some(unix_time_of(text)?.saturating_sub(now)),
    });
    let by_reset = || by_number(number(asked.rate_limit_reset?)?, now);
    by_header
        .or_else(by_reset)
        .map(|wait| wait.min(LONGEST_ASKED))
}

/// As JSON has them, since that is read here anyway: std's own reading would add 13 KB. But a header's may begin with
/// zeros.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let rest = text.trim_start_matches('0');
    let zeros = text.len() - rest.len();
    let keeps_one = !rest.starts_with(|it: char| it.is_ascii_digit());
    let skipped = zeros.saturating_sub(usize::from(keeps_one));
    serde_json::from_str(&text[skipped..]).ok()
}

/// Seconds from now, or a Unix time in the place of them.
fn by_number(number: f64, now: Duration) -> Option<Duration> {
    if number < 0.0 {
        return None;
    }
    let seconds = |number| Duration::try_from_secs_f64(number).unwrap_or(Duration::MAX);
    Some(match number {
        UNIX_MILLISECONDS.. => seconds(number / 1_000.0).saturating_sub(now),
        UNIX_SECONDS.. => seconds(number).saturating_sub(now),
        _ => seconds(number),
    })
}

fn unix_time_of(date: &str) -> Option<Duration> {
    let date = httpdate::parse_http_date(date.trim()).ok()?;
    date.duration_since(std::time::UNIX_EPOCH).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn answer(status: u16) -> Failure {
        Failure::Answer {
            status,
            retry_after: None,
        }
    }

    #[test]
    fn the_pause_doubles_up_to_eight_seconds() {
        let pauses: Vec<_> = (1..=7)
            .map(|attempts| backoff(attempts, 1.0).as_millis())
            .collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(backoff(u32::MAX, 1.0), LONGEST);
        assert_eq!(backoff(3, 0.0), Duration::ZERO);
    }

    #[test]
    fn only_what_is_safe_is_tried_again() {
        use Repetition::{CountsOnce, Harmful, Harmless};
        // Failure; again if harmful, if harmless, if keyed.
        for (failure, harmful, harmless, keyed) in [
            (Failure::NoAnswer { sent: true }, false, true, true),
            (Failure::NoAnswer { sent: false }, true, true, true),
            (answer(408), false, true, true),
            (answer(409), false, false, true),
            (answer(421), false, true, true),
            (answer(425), false, true, true),
            (answer(429), true, true, true),
            (answer(500), false, true, true),
            (answer(599), false, true, true),
            (answer(400), false, false, false),
            (answer(404), false, false, false),
            (answer(423), false, false, false),
            (answer(302), false, false, false),
            (Failure::Final, false, false, false),
        ] {
            for (repetition, again) in [
                (Harmful, harmful),
                (Harmless, harmless),
                (CountsOnce, keyed),
            ] {
                let pause = pause(failure, 1, 2, HOUR, repetition, 0.5);
                assert_eq!(pause.is_some(), again, "{failure:?} {repetition:?}");
            }
        }
    }

    #[test]
    fn silence_is_met_with_a_second_of_patience() {
        let pause = pause(
            Failure::NoAnswer { sent: true },
            1,
            2,
            HOUR,
            Repetition::Harmless,
            0.0,
        );
        assert_eq!(pause, Some(AFTER_SILENCE));
    }

    #[test]
    fn the_retries_and_the_deadline_are_kept() {
        assert_eq!(
            pause(answer(500), 3, 2, HOUR, Repetition::Harmless, 1.0),
            None
        );
        assert_eq!(
            pause(answer(500), 1, 0, HOUR, Repetition::Harmless, 1.0),
            None
        );
        let asked = Failure::Answer {
            status: 429,
            retry_after: Some(Duration::from_secs(30)),
        };
        assert_eq!(
            pause(asked, 1, 2, HOUR, Repetition::Harmless, 0.0),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            pause(
                asked,
                1,
                2,
                Duration::from_secs(30),
                Repetition::Harmless,
                0.0
            ),
            None
        );
        let at_once = Failure::Answer {
            status: 429,
            retry_after: Some(Duration::ZERO),
        };
        assert_eq!(
            pause(at_once, 1, 2, HOUR, Repetition::Harmless, 0.5),
            Some(FIRST / 2)
        );
    }

    /// Sun, 06 Nov 1994 08:48:37 GMT.
    const THEN: u64 = 784_111_777 - 60;

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        for (header, reset, seconds) in [
            (Some("2"), None, Some(2)),
            (Some(" 0 "), Some("1"), Some(0)),
            (Some("05"), Some("1"), Some(5)),
            (Some("000"), Some("1"), Some(0)),
            (Some("002.5e1"), None, Some(25)),
            (Some("00.2e1"), None, Some(2)),
            (None, Some(" 007"), Some(7)),
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), None, Some(60)),
            (Some("Sun, 06 Nov 1983 08:49:37 GMT"), None, Some(0)),
            (Some("soon"), None, None),
            (Some("soon"), Some("7"), Some(7)),
            (Some(""), None, None),
            (Some(""), Some("7"), Some(7)),
            (Some("-1"), None, None),
            (Some("-1"), Some("7"), Some(7)),
            (None, Some("-7"), None),
            (Some("NaN"), None, None),
            (Some("99999999999999999999"), None, Some(3600)),
            (Some("1e300"), None, Some(3600)),
            (Some("inf"), None, None),
            (None, None, None),
        ] {
            let asked = Asked {
                retry_after: header,
                rate_limit_reset: reset,
                date: None,
            };
            assert_eq!(
                retry_after(asked, Duration::from_secs(THEN)),
                seconds.map(Duration::from_secs),
                "{header:?} {reset:?}"
            );
        }
    }

    #[test]
    fn a_time_is_read_against_the_replys_own_date() {
        // The clock here is a day behind, and one ahead.
        for here in [1_767_225_600 - 86_400, 1_767_225_600 + 86_400] {
            for (header, reset, date, seconds) in [
                (
                    Some("Thu, 01 Jan 2026 00:00:01 GMT"),
                    None,
                    Some("Thu, 01 Jan 2026 00:00:00 GMT"),
                    1,
                ),
                (
                    None,
                    Some("1767225601"),
                    Some("Thu, 01 Jan 2026 00:00:00 GMT"),
                    1,
                ),
                // A Unix time where seconds belong, and in milliseconds.
                (
                    Some("1767225605"),
                    None,
                    Some(" Thu, 01 Jan 2026 00:00:00 GMT "),
                    5,
                ),
                (
                    Some("1767225605000"),
                    None,
                    Some("Thu, 01 Jan 2026 00:00:00 GMT"),
                    5,
                ),
                (
                    None,
                    Some("1767225605000"),
                    Some("Thu, 01 Jan 2026 00:00:00 GMT"),
                    5,
                ),
                // A time that has passed.
                (
                    Some("1767225000"),
                    None,
                    Some("Thu, 01 Jan 2026 00:00:00 GMT"),
                    0,
                ),
            ] {
                let asked = Asked {
                    retry_after: header,
                    rate_limit_reset: reset,
                    date,
                };
                assert_eq!(
                    retry_after(asked, Duration::from_secs(here)),
                    Some(Duration::from_secs(seconds)),
                    "{asked:?}"
                );
            }
        }
        // Without a date, or with one that is none, the clock here counts.
        for date in [None, Some("yesterday")] {
            let asked = Asked {
                rate_limit_reset: Some("1767225610"),
                date,
                ..Asked::default()
            };
            assert_eq!(
                retry_after(asked, Duration::from_secs(1_767_225_600)),
                Some(Duration::from_secs(10))
            );
        }
    }
}
