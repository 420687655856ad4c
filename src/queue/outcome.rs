//! What the answer to a queued request means for its events. Pure.

use crate::api::answer;
use crate::api::json;
use crate::delivery::attempt::Refusal;
use crate::error::{Error, Status};

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

/// A success that is the service's own word: what it says of events is an object. An empty page, or other JSON, comes
/// from somebody on the way.
pub fn own_word(reply: String) -> Result<String, Refusal> {
    match reply.trim_start().starts_with('{') {
        true => Ok(reply),
        false => Err(Refusal::last(Error::new(
            Status::InvalidResponse,
            format!("the reply says nothing of the events{}", answer::FOREIGN),
        ))),
    }
}

/// `is_current_key`: the key that it was sent with is the one in force.
pub fn judge(
    result: Result<&str, &Refusal>,
    batch: bool,
    events: usize,
    is_current_key: bool,
) -> Outcome {
    let refusal = match result {
        Ok(reply)
            if batch && json::number(reply, "/accepted").is_some_and(|it| it < events as f64) =>
        {
            return Outcome::PartlyAccepted;
        }
        Ok(_) => return Outcome::Delivered,
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
        _ => Outcome::Failed { sent: refusal.sent },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::retry::Failure;

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
            sent: false,
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
        for few in [
            r#"{"accepted":3}"#,
            r#"{"accepted":0}"#,
            r#"{"accepted":-1}"#,
            r#"{"accepted":9.5}"#,
            r#"{"\ud800":1,"accepted":9}"#,
        ] {
            assert_eq!(judge(few), Outcome::PartlyAccepted, "{few}");
        }
    }

    #[test]
    fn a_success_says_something_of_the_events() {
        let is_own = |reply: &str| own_word(reply.to_owned()).is_ok();
        for reply in [r#"{"accepted":3}"#, r#" {"total":1}"#, "{}"] {
            assert!(is_own(reply), "{reply}");
        }
        // An empty page is null.
        for reply in ["null", r#"["accepted"]"#, r#""ok""#, "1", "true"] {
            assert!(!is_own(reply), "{reply}");
        }
        let error = own_word("null".to_owned()).unwrap_err().error;
        assert_eq!(error.status, Status::InvalidResponse);
        assert!(error.message.contains("a proxy or a portal?"));
    }

    #[test]
    fn silence_after_sending_is_told_from_nothing_sent() {
        for (sent, status, failure) in [
            (true, Status::Network, Failure::NoAnswer { sent: true }),
            (false, Status::Network, Failure::NoAnswer { sent: false }),
            // A call is not tried again by itself; an event in the queue is.
            (true, Status::Tls, Failure::Final),
            (true, Status::InvalidResponse, Failure::Final),
        ] {
            let refusal = Refusal {
                error: Error::new(status, ""),
                failure,
                stale: false,
                is_own_word: false,
                sent,
            };
            assert_eq!(single(&refusal), Outcome::Failed { sent });
        }
    }
}
