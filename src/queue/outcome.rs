//! What the answer to a queued request means for its events. Pure.

use serde::Deserialize;

use crate::api::retry::Failure;
use crate::delivery::attempt::Refusal;
use crate::error::Status;

#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// A batch of which fewer were accepted than sent: nobody says which.
    PartlyAccepted,
    /// It says nothing about the events: they go again.
    Again,
    /// The key may send no batches.
    NoBatches,
    /// The key may not send these events.
    Paused,
    RateLimited,
    /// A batch of so many bytes is too large.
    TooLarge,
    /// The service will not take it, for what is in it.
    Refused,
    /// It is tried again, after a rest. `sent`: it went out, and got no answer.
    Failed {
        sent: bool,
    },
}

#[derive(Deserialize)]
struct Accepted {
    accepted: u64,
}

/// `is_current_key`: the key that it was sent with is the one in force.
pub fn judge(
    result: Result<&str, &Refusal>,
    batch: bool,
    events: usize,
    is_current_key: bool,
) -> Outcome {
    let refusal = match result {
        Ok(reply) => {
            let accepted = serde_json::from_str(reply).map(|it: Accepted| it.accepted);
            return match accepted {
                Ok(accepted) if batch && accepted < events as u64 => Outcome::PartlyAccepted,
                _ => Outcome::Delivered,
            };
        }
        Err(refusal) => refusal,
    };
    let http_status = refusal.error.details.http_status;
    let is_own_word = refusal.is_own_word;
    match refusal.error.status {
        Status::Cancelled => Outcome::Again,
        Status::Unauthorized | Status::Forbidden if is_own_word => match (is_current_key, batch) {
            (false, _) => Outcome::Again,
            (true, true) => Outcome::NoBatches,
            (true, false) => Outcome::Paused,
        },
        Status::RateLimited => Outcome::RateLimited,
        // Whoever says so: a gateway may be right about that.
        _ if http_status == Some(413) && events > 1 => Outcome::TooLarge,
        // It was not sent for what it is: it never will be.
        Status::InvalidArgument | Status::Storage | Status::Panic => Outcome::Refused,
        _ if is_own_word && matches!(http_status, Some(400 | 404 | 413 | 422)) => Outcome::Refused,
        _ => Outcome::Failed {
            sent: refusal.failure == Failure::NoAnswer { sent: true },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn answer(status: u16, is_own_word: bool) -> Refusal {
        let mut error = Error::new(Status::of_http(status), "");
        error.details.http_status = Some(status);
        Refusal {
            error,
            failure: Failure::Answer {
                status,
                retry_after: None,
            },
            stale: false,
            is_own_word,
        }
    }

    fn single(refusal: &Refusal) -> Outcome {
        judge(Err(refusal), false, 1, true)
    }

    #[test]
    fn only_the_services_own_word_ends_an_event_or_pauses_the_queue() {
        for status in [400, 404, 413, 422] {
            assert_eq!(single(&answer(status, true)), Outcome::Refused, "{status}");
            assert_eq!(
                single(&answer(status, false)),
                Outcome::Failed { sent: false },
                "{status}"
            );
        }
        for status in [401, 403] {
            assert_eq!(single(&answer(status, true)), Outcome::Paused);
            assert_eq!(
                single(&answer(status, false)),
                Outcome::Failed { sent: false }
            );
        }
        for status in [302, 405, 407, 408, 409, 421, 423, 425, 451, 500, 504] {
            for is_own_word in [true, false] {
                assert_eq!(
                    single(&answer(status, is_own_word)),
                    Outcome::Failed { sent: false },
                    "{status}"
                );
            }
        }
    }

    #[test]
    fn what_is_said_of_an_earlier_key_is_no_news() {
        assert_eq!(
            judge(Err(&answer(401, true)), false, 1, false),
            Outcome::Again
        );
    }

    #[test]
    fn a_key_that_may_not_batch_may_send_singly() {
        assert_eq!(
            judge(Err(&answer(403, true)), true, 2, true),
            Outcome::NoBatches
        );
    }

    #[test]
    fn not_more_than_accepted_are_delivered() {
        let judge = |reply| judge(Ok(reply), true, 10, true);
        assert_eq!(judge(r#"{"accepted":10}"#), Outcome::Delivered);
        assert_eq!(judge(r#"{"accepted":3}"#), Outcome::PartlyAccepted);
        assert_eq!(judge("null"), Outcome::Delivered);
    }

    #[test]
    fn silence_after_sending_is_told_from_nothing_sent() {
        for sent in [true, false] {
            let refusal = Refusal {
                error: Error::new(Status::Network, ""),
                failure: Failure::NoAnswer { sent },
                stale: false,
                is_own_word: false,
            };
            assert_eq!(single(&refusal), Outcome::Failed { sent });
        }
    }
}
