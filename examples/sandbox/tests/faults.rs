//! Faults: each does to the connection what its name says, and to the event no more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{ErrorKind, Read, Write};

use common::{Client, EVENT, event, send, start};
use serde_json::{Value, json};
use trophy_sandbox::Sandbox;

fn with(fault: Value) -> Client {
    let client = start();
    client.sandbox.add_fault(&fault).unwrap();
    client
}

fn raw_event() -> String {
    let (key, body) = (Sandbox::ADMIN_KEY, event("18", 1.0).to_string());
    let length = body.len();
    format!(
        "POST {EVENT} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// All that comes back until the connection ends.
fn reply(client: &Client) -> (Vec<u8>, Option<ErrorKind>) {
    let mut stream = send(&client.sandbox, &raw_event());
    let mut bytes = Vec::new();
    let end = stream
        .read_to_end(&mut bytes)
        .err()
        .map(|error| error.kind());
    (bytes, end)
}

fn counted(client: &Client) -> Value {
    client.sandbox.ledger()["events"].clone()
}

#[test]
fn close_before_gives_no_byte_and_counts_nothing() {
    let client = with(json!({ "fault": "close_before" }));
    assert_eq!(reply(&client), (Vec::new(), None));
    assert_eq!(counted(&client), 0);
}

#[test]
fn close_after_gives_no_byte_though_the_event_counted() {
    let client = with(json!({ "fault": "close_after" }));
    assert_eq!(reply(&client), (Vec::new(), None));
    assert_eq!(counted(&client), 1);
}

#[test]
fn reset_breaks_the_connection_after_the_event_counted() {
    let client = with(json!({ "fault": "reset" }));
    assert_eq!(
        reply(&client),
        (Vec::new(), Some(ErrorKind::ConnectionReset))
    );
    assert_eq!(counted(&client), 1);
}

#[test]
fn cut_ends_the_reply_at_the_byte() {
    for bytes in [1, 17, 200] {
        let client = with(json!({ "fault": "cut", "bytes": bytes }));
        let (got, end) = reply(&client);
        assert_eq!((got.len(), end), (bytes, None));
        assert!(b"HTTP/1.1 201 Created\r\n".starts_with(&got[..got.len().min(22)]));
        assert_eq!(counted(&client), 1);
    }
}

#[test]
fn stale_closes_a_connection_that_it_promised_to_keep() {
    let client = with(json!({ "fault": "stale", "count": 1 }));
    let (got, end) = reply(&client);
    let text = String::from_utf8(got).unwrap().to_lowercase();
    assert_eq!(end, None);
    assert!(
        text.starts_with("http/1.1 201") && text.ends_with('}'),
        "{text}"
    );
    assert!(!text.contains("connection: close"), "{text}");
}

#[test]
fn slow_gives_the_whole_reply_byte_by_byte() {
    let client = with(json!({ "fault": "slow", "ms": 0 }));
    assert_eq!(client.write("18", 1.0)["total"], 1);
}

#[test]
fn a_status_before_counts_nothing_and_one_after_does() {
    let client = with(json!({ "fault": "status_before", "status": 503, "count": 1 }));
    client
        .sandbox
        .add_fault(&json!({ "fault": "status_after", "status": 500, "count": 1,
            "body": { "error": "boom" }, "headers": { "x-mark": "yes" } }))
        .unwrap();

    let first = client.call("POST", EVENT, Some(&event("18", 1.0)));
    assert_eq!((first.0, counted(&client)), (503, json!(0)));
    let second = client.call("POST", EVENT, Some(&event("18", 1.0)));
    assert_eq!(second, (500, json!({ "error": "boom" })));
    assert_eq!(counted(&client), 1);
    assert_eq!(client.sandbox.faults()[1]["fired"], 1);
}

#[test]
fn rate_limited_says_when_to_come_back_if_told_to() {
    let client = with(json!({ "fault": "rate_limited", "count": 1, "retryAfter": "7" }));
    client
        .sandbox
        .add_fault(&json!({ "fault": "rate_limited" }))
        .unwrap();
    let mut stream = send(&client.sandbox, &raw_event());
    let text = |stream: &mut std::net::TcpStream| {
        let mut buffer = [0; 4096];
        let mut text = String::new();
        while !text.ends_with('}') {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "{text}");
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        text
    };
    let first = text(&mut stream);
    assert!(
        first.starts_with("HTTP/1.1 429") && first.contains("retry-after: 7"),
        "{first}"
    );
    stream.write_all(raw_event().as_bytes()).unwrap();
    let second = text(&mut stream);
    assert!(
        second.starts_with("HTTP/1.1 429") && !second.contains("retry-after"),
        "{second}"
    );
    assert_eq!(counted(&client), 0);
}

#[test]
fn redirect_names_another_place() {
    let client = with(json!({ "fault": "redirect", "location": "http://x/", "status": 302 }));
    assert_eq!(client.call("POST", EVENT, Some(&event("18", 1.0))).0, 302);
    assert_eq!(counted(&client), 0);
}

#[test]
fn not_json_is_a_page_after_the_event_counted() {
    let client = with(json!({ "fault": "not_json" }));
    let (status, body) = client.call("POST", EVENT, Some(&event("18", 1.0)));
    assert_eq!((status, body), (201, json!("<html>Not the service</html>")));
    assert_eq!(counted(&client), 1);
}

#[test]
fn oversized_is_as_large_as_ordered() {
    let client = with(json!({ "fault": "oversized", "bytes": 300_000 }));
    let (status, body) = client.call("POST", EVENT, Some(&event("18", 1.0)));
    assert_eq!((status, body.to_string().len()), (201, 300_000));
}

#[test]
fn a_delayed_event_has_counted_before_its_reply() {
    let client = with(json!({ "fault": "delay", "ms": 3_600_000 }));
    let _open = send(&client.sandbox, &raw_event());
    common::until(|| counted(&client) == 1);
    assert_eq!(client.lane("18")["maxInFlight"], 1);
}

#[test]
fn hang_after_counts_and_never_answers() {
    let client = with(json!({ "fault": "hang_after" }));
    let _open = send(&client.sandbox, &raw_event());
    common::until(|| counted(&client) == 1);
    assert_eq!(client.sandbox.ledger()["statuses"], json!({}));
}

#[test]
fn a_poisoned_event_has_its_batch_refused() {
    let client = with(json!({ "fault": "poison", "user": "bad" }));
    client
        .sandbox
        .add_fault(&json!({ "fault": "poison", "attribute": "genre", "value": "noise" }))
        .unwrap();
    let batch = |users: &[&str]| -> Value {
        let item =
            |user: &&str| json!({ "key": "words-written", "user": { "id": user }, "value": 1 });
        users.iter().map(item).collect()
    };
    let path = "/admin/v1/metrics/events";

    assert_eq!(
        client
            .call("POST", path, Some(&batch(&["a", "bad", "c"])))
            .0,
        422
    );
    assert_eq!(counted(&client), 0);
    assert_eq!(client.call("POST", path, Some(&batch(&["a", "c"]))).0, 202);
    assert_eq!(client.call("POST", EVENT, Some(&event("bad", 1.0))).0, 422);
    let mut noise = event("a", 1.0);
    noise["attributes"] = json!({ "genre": "noise" });
    assert_eq!(client.call("POST", EVENT, Some(&noise)).0, 422);
    assert_eq!(counted(&client), 2);
}

#[test]
fn faults_are_ordered_listed_and_cleared_over_http() {
    let client = start();
    let order = json!({ "fault": "status_before", "status": 500, "operation": "users_get" });
    client.post("/_sandbox/faults", &order);

    assert_eq!(client.call("GET", "/v1/users/18", None).0, 500);
    assert_eq!(client.call("GET", "/v1/users/18/streak", None).0, 200);
    assert_eq!(client.get("/_sandbox/faults")[0]["fired"], 1);
    assert_eq!(client.call("DELETE", "/_sandbox/faults", None).0, 200);
    assert_eq!(client.call("GET", "/v1/users/18", None).0, 200);
    let (status, refusal) = client.call(
        "POST",
        "/_sandbox/faults",
        Some(&json!({ "fault": "explode" })),
    );
    assert_eq!(status, 400);
    assert!(
        refusal["error"].as_str().unwrap().contains("explode"),
        "{refusal}"
    );
}

#[test]
fn requests_are_kept_as_they_came_without_the_secret() {
    let client = start();
    client.get("/v1/users/18/points/xp?awards=3");

    let kept = client.get("/_sandbox/requests?last=1");

    let kept = &kept[0];
    assert_eq!(kept["operation"], "users_points");
    assert_eq!(kept["path"], "/v1/users/18/points/xp");
    assert_eq!(kept["query"], "awards=3");
    assert!(
        kept["headers"].to_string().contains("sandbox_admin.***"),
        "{kept}"
    );
    assert!(!kept.to_string().contains("open-sesame"), "{kept}");
}
