//! What an answer means: a success with its JSON, or an error; and who said it, the service or somebody
//! else on the way, such as a portal's sign-in page or a gateway.

use std::time::Duration;

use crate::api::json;
use crate::api::operations;
use crate::api::retry::{self, Asked, Failure};
use crate::error::{Error, Status};

/// The answer of whoever answered, as it arrived.
#[derive(Debug, Clone, Copy, Default)]
pub struct Head<'a> {
    pub status: u16,
    pub content_type: Option<&'a str>,
    pub asked: Asked<'a>,
}

/// An answer that is no success.
#[derive(Debug)]
pub struct Refusal {
    pub error: Error,
    pub failure: Failure,
    /// The service's own word, a JSON object with `error`: only this ends an event or pauses a queue.
    pub is_own_word: bool,
}

/// What an answer to the operation `name` means. `now` is the Unix time here.
pub fn read(name: &str, head: Head<'_>, body: Vec<u8>, now: Duration) -> Result<String, Refusal> {
    let body = match String::from_utf8(body) {
        Ok(body) => Ok(without_mark(body)),
        Err(error) => Err(error.into_bytes()),
    };
    if Status::of_http(head.status) == Status::Ok {
        return match body {
            Ok(body) if body.is_empty() => Ok("null".to_owned()),
            Ok(body) if json::is_json(&body) => Ok(body),
            _ => Err(unreadable(name, head)),
        };
    }
    let body = body.unwrap_or_else(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Err(refused(name, head, body, now))
}

/// A success that cannot be read, since it broke off or is no reply of the service. `what` says why.
pub fn unread(name: &str, http_status: u16, what: &str) -> Error {
    let counted = match name == operations::EVENT {
        true => "the event may have been counted, and was not sent again",
        false => "it was not sent again",
    };
    let mut error = Error::new(
        Status::InvalidResponse,
        format!("{name}: {what}; {counted}"),
    );
    error.details.http_status = Some(http_status);
    error
}

/// How long an answer asks to wait, if it is one that may. `now` is the Unix time here.
pub fn asked_wait(status: u16, asked: Asked<'_>, now: Duration) -> Option<Duration> {
    let asked = match status {
        429 => asked,
        408 | 421 | 425 | 500..=599 => Asked {
            rate_limit_reset: None,
            ..asked
        },
        _ => return None,
    };
    retry::retry_after(asked, now)
}

/// Some servers put a byte order mark before their JSON. It is no part of it (RFC 8259, 8.1).
fn without_mark(mut body: String) -> String {
    const MARK: char = '\u{feff}';
    if body.starts_with(MARK) {
        body.drain(..MARK.len_utf8());
    }
    body
}

fn unreadable(name: &str, head: Head<'_>) -> Refusal {
    let what = format!("the reply is not JSON{}", kind_of(head));
    let mut error = unread(name, head.status, &what);
    error.message.push_str(FOREIGN);
    Refusal {
        error,
        failure: Failure::Final,
        is_own_word: false,
    }
}

fn refused(name: &str, head: Head<'_>, body: String, now: Duration) -> Refusal {
    // The service's errors are `{"error":"…"}`.
    let said = json::text(&body, "/error");
    let retry_after = asked_wait(head.status, head.asked, now);
    let mut error = Error::new(
        Status::of_http(head.status),
        explain(name, head, said.as_deref()),
    );
    error.details.http_status = Some(head.status);
    error.details.retry_after = retry_after;
    error.details.body = (!body.is_empty()).then_some(body);
    Refusal {
        error,
        failure: Failure::Answer {
            status: head.status,
            retry_after,
        },
        is_own_word: said.is_some(),
    }
}

/// What is added to an answer of somebody else's.
pub const FOREIGN: &str = "; this does not look like the service: a proxy or a portal?";

/// What an error answer means and what to do about it.
fn explain(name: &str, head: Head<'_>, said: Option<&str>) -> String {
    let status = head.status;
    let hint = match status {
        300..=399 => {
            "; redirects are not followed, since the API key must not travel: check the base URL"
        }
        401 if said.is_some() => {
            "; check the API key, which may have been rotated, and that it fits this API"
        }
        403 if said.is_some() => "; the API key may not do this",
        429 => {
            "; this is over the service's limit of requests a second, which the queue keeps to by itself"
        }
        _ => "",
    };
    // These come from the service's own gateways too, whose words are theirs; 511 from portals only (RFC 6585, 6).
    let may_be_a_gateways = matches!(status, 408 | 421 | 425 | 429 | 500..=510 | 512..=599);
    match said {
        Some("") => format!("{name}: the service answered {status}{hint}"),
        Some(said) => format!("{name}: the service answered {status}: {said}{hint}"),
        None if may_be_a_gateways => format!("{name}: the service answered {status}{hint}"),
        None => format!(
            "{name}: the answer was {status}{}{hint}{FOREIGN}",
            kind_of(head)
        ),
    }
}

/// ` (text/html)`: the type of a body, as far as it can be shown.
fn kind_of(head: Head<'_>) -> String {
    let essence = head.content_type.and_then(|it| it.split(';').next());
    essence
        .map(str::trim)
        .filter(|it| {
            !it.is_empty() && it.len() <= 60 && it.bytes().all(|byte| byte.is_ascii_graphic())
        })
        .map(|it| format!(" ({it})"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str, status: u16, body: impl AsRef<[u8]>) -> Result<String, Refusal> {
        let head = Head {
            status,
            content_type: Some("text/html; charset=utf-8"),
            asked: Asked::default(),
        };
        read(name, head, body.as_ref().to_vec(), Duration::ZERO)
    }

    #[test]
    fn a_success_is_its_json_as_it_came() {
        for (body, reply) in [
            (r#" {"total":1.50} "#, r#" {"total":1.50} "#),
            ("", "null"),
            ("\u{feff}{\"a\":1}", "{\"a\":1}"),
            ("\u{feff}", "null"),
            ("\"\u{feff}\"", "\"\u{feff}\""),
        ] {
            for status in [200, 201, 202, 204] {
                assert_eq!(answer("users_get", status, body).unwrap(), reply);
            }
        }
    }

    #[test]
    fn a_success_that_is_not_json_is_somebody_elses() {
        for body in [
            &b"<html>"[..],
            b"{",
            b"\xff",
            b" ",
            b"{}{}",
            "\u{feff}\u{feff}1".as_bytes(),
        ] {
            let refusal = answer("metrics_event", 201, body).unwrap_err();
            assert_eq!(refusal.error.status, Status::InvalidResponse);
            assert_eq!(refusal.error.details.http_status, Some(201));
            assert_eq!(refusal.failure, Failure::Final);
            assert!(!refusal.is_own_word);
            assert_eq!(
                refusal.error.message,
                "metrics_event: the reply is not JSON (text/html); the event may have been counted, and was not \
                 sent again; this does not look like the service: a proxy or a portal?"
            );
        }
        let refusal = answer("users_get", 200, "<html>").unwrap_err();
        assert!(refusal.error.message.contains("; it was not sent again; "));
    }

    #[test]
    fn the_services_own_word_is_a_json_object_with_an_error() {
        for (body, is_the_services) in [
            (r#"{"error":"no such metric"}"#, true),
            ("\u{feff} {\"more\":1,\"error\":\"\"}", true),
            (r#"{"error":{"code":1}}"#, true),
            (r#"{"error":"Invalid name: \ud83d"}"#, true),
            (r#"{"\udc00":1,"error":"x"}"#, true),
            (r#"{"message":"no route"}"#, false),
            (r#"["error"]"#, false),
            (r#""error""#, false),
            (r#"{"error":"cut"#, false),
            ("<html>error</html>", false),
            ("", false),
        ] {
            for status in [302, 400, 401, 403, 404, 405, 407, 409, 413, 422, 423, 451] {
                let refusal = answer("metrics_event", status, body).unwrap_err();
                let message = &refusal.error.message;
                assert_eq!(refusal.is_own_word, is_the_services, "{status} {body}");
                assert_eq!(refusal.error.status, Status::of_http(status));
                assert_eq!(
                    message.contains("a proxy or a portal?"),
                    !is_the_services,
                    "{message}"
                );
                assert_eq!(
                    message.contains("(text/html)"),
                    !is_the_services,
                    "{message}"
                );
            }
        }
        for status in [429, 500, 503] {
            let refusal = answer("metrics_event", status, "<html>").unwrap_err();
            assert!(!refusal.is_own_word);
            assert!(!refusal.error.message.contains("portal"));
        }
        assert!(
            !answer("users_get", 404, b"\xff\xfe")
                .unwrap_err()
                .is_own_word
        );
    }

    #[test]
    fn an_error_says_what_the_service_said_and_what_to_do() {
        for (status, body, message) in [
            (
                422,
                r#"{"error":"Invalid attribute keys: device."}"#,
                "metrics_event: the service answered 422: Invalid attribute keys: device.",
            ),
            (
                422,
                r#"{"error":"Invalid name: \ud83d"}"#,
                "metrics_event: the service answered 422: Invalid name: \u{fffd}",
            ),
            (
                401,
                r#"{"error":"Unauthorized"}"#,
                "metrics_event: the service answered 401: Unauthorized; check the API key, which may have been \
                 rotated, and that it fits this API",
            ),
            (
                403,
                "<html>",
                "metrics_event: the answer was 403 (text/html); this does not look like the service: a proxy or a \
                 portal?",
            ),
            (
                302,
                "",
                "metrics_event: the answer was 302 (text/html); redirects are not followed, since the API key must \
                 not travel: check the base URL; this does not look like the service: a proxy or a portal?",
            ),
            (503, "", "metrics_event: the service answered 503"),
            (
                511,
                "<html>",
                "metrics_event: the answer was 511 (text/html); this does not look like the service: a proxy or a \
                 portal?",
            ),
        ] {
            let error = answer("metrics_event", status, body).unwrap_err().error;
            assert_eq!(error.message, message);
            assert_eq!(
                error.details.body.as_deref(),
                (!body.is_empty()).then_some(body)
            );
        }
    }

    #[test]
    fn who_may_ask_to_wait_is_heard() {
        let asked = Asked {
            retry_after: None,
            rate_limit_reset: Some("7"),
            date: None,
        };
        let seven = Some(Duration::from_secs(7));
        assert_eq!(asked_wait(429, asked, Duration::ZERO), seven);
        assert_eq!(asked_wait(503, asked, Duration::ZERO), None);
        let asked = Asked {
            retry_after: Some("7"),
            ..Asked::default()
        };
        for (status, wait) in [
            (408, seven),
            (425, seven),
            (503, seven),
            (404, None),
            (302, None),
        ] {
            assert_eq!(asked_wait(status, asked, Duration::ZERO), wait, "{status}");
        }
        let head = Head {
            status: 503,
            asked,
            ..Head::default()
        };
        let refusal = read("users_get", head, Vec::new(), Duration::ZERO).unwrap_err();
        assert_eq!(refusal.error.details.retry_after, seven);
    }

    #[test]
    fn a_type_is_shown_only_if_it_can_be() {
        for (given, shown) in [
            (Some("text/html; charset=utf-8"), " (text/html)"),
            (Some(" ; x"), ""),
            (Some("a\u{7f}b"), ""),
            (None, ""),
        ] {
            let head = Head {
                content_type: given,
                ..Head::default()
            };
            assert_eq!(kind_of(head), shown);
        }
    }
}
