//! Events: each counts once, and its reply tells what it set off.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{EVENT, event, start};
use serde_json::json;

#[test]
fn a_retried_event_counts_once() {
    let client = start().with_header("Idempotency-Key", "key-1");

    let (first, told) = client.call("POST", EVENT, Some(&event("18", 5.0)));
    let (second, told_again) = client.call("POST", EVENT, Some(&event("18", 5.0)));

    assert_eq!((first, second), (201, 202));
    assert_eq!(told["idempotencyKey"], "key-1");
    assert_eq!(told["idempotentReplayed"], false);
    assert_eq!(told_again["idempotentReplayed"], true);
    assert_eq!(told_again["total"], 5);
    assert_eq!(told_again["eventId"], told["eventId"]);
    let lane = client.lane("18");
    assert_eq!((&lane["count"], &lane["replayed"]), (&json!(1), &json!(1)));
}

#[test]
fn a_key_is_of_one_user_and_one_metric() {
    let client = start().with_header("Idempotency-Key", "key-1");

    let paths = [
        (EVENT, "18"),
        (EVENT, "19"),
        ("/v1/metrics/chapters-read/event", "18"),
    ];
    let statuses = paths.map(|(path, user)| client.call("POST", path, Some(&event(user, 1.0))).0);

    assert_eq!(statuses, [201, 201, 201]);
}

#[test]
fn a_batch_and_a_single_event_share_their_keys() {
    let client = start().with_header("Idempotency-Key", "shared");
    client.write("18", 5.0);

    let mut again = event("18", 5.0);
    again["key"] = json!("words-written");
    again["idempotencyKey"] = json!("shared");
    client.post("/admin/v1/metrics/events", &json!([again]));

    let lane = client.lane("18");
    assert_eq!((&lane["count"], &lane["replayed"]), (&json!(1), &json!(1)));
}

#[test]
fn an_event_makes_its_user_and_tells_what_it_set_off() {
    let client = start().at("2026-03-02");
    let mut body = event("new", 750.0);
    body["user"]["name"] = json!("Grace");

    let reply = client.post(EVENT, &body);

    let names: Vec<_> = reply["achievements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["name"])
        .collect();
    assert_eq!(names, ["First words", "500 words"]);
    assert_eq!(reply["currentStreak"]["length"], 1);
    assert_eq!(reply["currentStreak"]["extended"], true);
    assert_eq!(reply["points"]["xp"]["added"], 70);
    assert_eq!(reply["points"]["xp"]["level"]["key"], "silver");
    assert_eq!(reply["leaderboards"]["all-time-words"]["rank"], 1);
    assert_eq!(client.get("/v1/users/new")["name"], "Grace");
}

#[test]
fn an_achievement_and_a_level_are_told_once() {
    let client = start();
    client.write("18", 750.0);

    let second = client.write("18", 1.0);

    assert_eq!(second["achievements"], json!([]));
    assert_eq!(second["points"], json!({}));
    assert_eq!(second["total"], 751);
}

#[test]
fn fractions_and_negative_values_count() {
    let client = start();
    client.write("18", 2.5);
    assert_eq!(client.write("18", -4.0)["total"], -1.5);
}

#[test]
fn what_is_refused_is_not_counted() {
    let client = start();
    let mut unknown = event("18", 1.0);
    unknown["attributes"] = json!({ "colour": "red" });

    let (status, reply) = client.call("POST", EVENT, Some(&unknown));

    assert_eq!(status, 422);
    assert!(
        reply["error"]
            .as_str()
            .unwrap()
            .starts_with("Invalid attribute keys: colour. ")
    );
    assert_eq!(
        client
            .call("POST", "/v1/metrics/none/event", Some(&event("18", 1.0)))
            .0,
        422
    );
    assert_eq!(client.sandbox.ledger()["events"], 0);
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let client = start();
    let good = json!({ "key": "words-written", "user": { "id": "18" }, "value": 1 });
    let bad = json!({ "key": "none", "user": { "id": "18" }, "value": 1 });

    let (status, _) = client.call(
        "POST",
        "/admin/v1/metrics/events",
        Some(&json!([good, bad])),
    );

    assert_eq!(status, 404);
    assert_eq!(client.sandbox.ledger()["events"], 0);
    let reply = client.post("/admin/v1/metrics/events", &vec![good; 1000].into());
    assert_eq!(reply["accepted"], 1000);
    assert_eq!(client.lane("18")["total"], 1000);
}

#[test]
fn the_ledger_sees_events_of_one_lane_that_overlap() {
    let client = start();
    client
        .sandbox
        .add_fault(&json!({ "fault": "hang", "count": 2 }))
        .unwrap();

    // Two events hang, each on a connection of its own; the sandbox has them both in flight.
    let body = event("18", 1.0).to_string();
    let head = format!(
        "POST {EVENT} HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let open: Vec<_> = (0..2)
        .map(|_| common::send(&client.sandbox, &head))
        .collect();

    common::until(|| client.sandbox.ledger()["maxInFlightPerLane"] == 2);
    // They leave with their clients.
    drop(open);
    common::until(|| client.lane("18")["inFlight"] == 0);
}

#[test]
fn a_reset_forgets_everything() {
    let client = start();
    client.write("18", 5.0);
    client
        .sandbox
        .add_fault(&json!({ "fault": "hang" }))
        .unwrap();

    client.post("/_sandbox/reset", &json!({}));

    assert_eq!(client.sandbox.ledger()["events"], 0);
    assert_eq!(client.write("18", 5.0)["total"], 5);
}

#[test]
fn a_total_stays_a_number() {
    let client = start();
    client.write("18", 1.7e308);
    assert_eq!(
        client.call("POST", EVENT, Some(&event("18", 1.7e308))).0,
        422
    );
    assert_eq!(client.lane("18")["count"], 1);
    let wrapped = client.get("/v1/users/18/wrapped");
    let words = &wrapped["activity"]["entireYear"]["metrics"]["words-written"];
    assert!(words["percentChange"].is_number(), "{words}");
}
