//! What is tried again, and when: pure functions of (failure, attempt, time left).

use std::time::Duration;

/// The longest first pause; it doubles with each attempt.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause of all.
const LONGEST: Duration = Duration::from_secs(8);
/// After a request that went out and got no answer: the service stores an idempotency key when it
/// has processed the event, so a retry that overtakes the first request could count twice.
const AFTER_SILENCE: Duration = Duration::from_secs(1);

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
/// `repeatable`: sending the request twice has the effect of sending it once.
pub fn pause(
    failure: Failure,
    attempts: u32,
    max_retries: u32,
    left: Duration,
    repeatable: bool,
    random: f64,
) -> Option<Duration> {
    if attempts > max_retries || !is_worth_it(failure, repeatable) {
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

fn is_worth_it(failure: Failure, repeatable: bool) -> bool {
    match failure {
        Failure::NoAnswer { sent } => repeatable || !sent,
        // 429 is said before anything is done.
        Failure::Answer { status: 429, .. } => true,
        Failure::Answer { status, .. } => repeatable && matches!(status, 408 | 500..=599),
        Failure::Final => false,
    }
}

/// Exponential backoff with full jitter: anywhere between nothing and the pause of this attempt.
pub fn backoff(attempts: u32, random: f64) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    (FIRST * 2u32.pow(doublings)).min(LONGEST).mul_f64(random)
}

/// How long an answer asks to wait: `Retry-After` as seconds or an HTTP date (RFC 9110, 10.2.3), or
/// else `X-RateLimit-Reset` as Unix seconds. `now` is the Unix time.
pub fn retry_after(
    header: Option<&str>,
    rate_limit_reset: Option<&str>,
    now: Duration,
) -> Option<Duration> {
    let by_header = header.map(str::trim).and_then(|text| {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
        }
        if let Ok(seconds) = text.parse::<f64>() {
            return Duration::try_from_secs_f64(seconds).ok();
        }
        let date = httpdate::parse_http_date(text).ok()?;
        let date = date.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(date.saturating_sub(now))
    });
    by_header.or_else(|| {
        let reset: f64 = rate_limit_reset?.trim().parse().ok()?;
        Some(Duration::try_from_secs_f64(reset).ok()?.saturating_sub(now))
    })
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
        for (failure, repeatable, again) in [
            (Failure::NoAnswer { sent: true }, true, true),
            (Failure::NoAnswer { sent: true }, false, false),
            (Failure::NoAnswer { sent: false }, false, true),
            (answer(408), true, true),
            (answer(408), false, false),
            (answer(429), false, true),
            (answer(500), true, true),
            (answer(599), true, true),
            (answer(503), false, false),
            (answer(400), true, false),
            (answer(302), true, false),
            (Failure::Final, true, false),
        ] {
            let pause = pause(failure, 1, 2, HOUR, repeatable, 0.5);
            assert_eq!(pause.is_some(), again, "{failure:?} {repeatable}");
        }
    }

    #[test]
    fn silence_is_met_with_a_second_of_patience() {
        let pause = pause(Failure::NoAnswer { sent: true }, 1, 2, HOUR, true, 0.0);
        assert_eq!(pause, Some(AFTER_SILENCE));
    }

    #[test]
    fn the_retries_and_the_deadline_are_kept() {
        assert_eq!(pause(answer(500), 3, 2, HOUR, true, 1.0), None);
        assert_eq!(pause(answer(500), 1, 0, HOUR, true, 1.0), None);
        let asked = Failure::Answer {
            status: 429,
            retry_after: Some(Duration::from_secs(30)),
        };
        assert_eq!(
            pause(asked, 1, 2, HOUR, true, 0.0),
            Some(Duration::from_secs(30))
        );
        assert_eq!(pause(asked, 1, 2, Duration::from_secs(30), true, 0.0), None);
        let at_once = Failure::Answer {
            status: 429,
            retry_after: Some(Duration::ZERO),
        };
        assert_eq!(pause(at_once, 1, 2, HOUR, true, 0.5), Some(FIRST / 2));
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        let now = Duration::from_secs(784_111_777 - 60); // Sun, 06 Nov 1994 08:48:37 GMT
        for (header, reset, seconds) in [
            (Some("2"), None, Some(2)),
            (Some(" 0 "), Some("1"), Some(0)),
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), None, Some(60)),
            (Some("Sun, 06 Nov 1983 08:49:37 GMT"), None, Some(0)),
            (None, Some("784111787"), Some(70)),
            (Some("soon"), None, None),
            (Some("99999999999999999999"), None, Some(u64::MAX)),
            (Some("-1"), None, None),
            (Some("NaN"), None, None),
            (Some("1e300"), None, None),
            (None, None, None),
        ] {
            assert_eq!(
                retry_after(header, reset, now),
                seconds.map(Duration::from_secs),
                "{header:?} {reset:?}"
            );
        }
    }
}
