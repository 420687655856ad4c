//! Streaks as the organisation sets them up, as users choose, and as an admin resets them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Client, start};
use serde_json::{Value, json};

const SETTINGS: &str = "/admin/v1/streaks/settings";
const PREFERENCES: &str = "/v1/users/18/preferences";

fn streak(client: &Client) -> Value {
    client.get("/v1/users/18/streak")["length"].clone()
}

fn refused(client: &Client, path: &str, body: &Value) -> String {
    let (status, reply) = client.call("PATCH", path, Some(body));
    assert_eq!(status, 422, "{body}: {reply}");
    reply["error"].as_str().unwrap().to_owned()
}

#[test]
fn a_day_off_holds_a_streak_and_an_event_on_it_extends_it() {
    let client = start();
    client.patch(SETTINGS, &json!({ "daysOff": [0, 6] }));
    // A Friday; then a weekend; then a Monday.
    client.noon_of("2026-03-06");
    client.write("18", 5.0);
    client.noon_of("2026-03-09");
    assert_eq!(streak(&client), 1);
    client.write("18", 5.0);
    client.noon_of("2026-03-14");
    assert_eq!(streak(&client), 0, "Tuesday was none off");
    client.write("18", 5.0);
    assert_eq!(streak(&client), 1, "an event on a Saturday");
}

#[test]
fn users_may_have_days_off_of_their_own() {
    let client = start().at("2026-03-02");
    client.patch(SETTINGS, &json!({ "daysOff": [0, 6] }));
    client.patch(PREFERENCES, &json!({ "streak": { "daysOff": [2] } }));
    assert_eq!(client.get(PREFERENCES)["streak"]["daysOff"], json!([2]));

    // Tuesday the 3rd is off, and the weekend no more.
    client.write("18", 5.0);
    client.noon_of("2026-03-04");
    assert_eq!(client.write("18", 5.0)["currentStreak"]["length"], 2);
    client.noon_of("2026-03-06");
    client.write("18", 5.0);
    client.noon_of("2026-03-09");
    assert_eq!(streak(&client), 0);
}

#[test]
fn days_off_are_for_daily_streaks_and_from_0_to_6() {
    let client = start().at("2026-03-02");
    for days in [
        json!([7]),
        json!([-1]),
        json!(["sunday"]),
        json!(0),
        json!([0.5]),
    ] {
        refused(&client, SETTINGS, &json!({ "daysOff": days }));
        refused(
            &client,
            PREFERENCES,
            &json!({ "streak": { "daysOff": days } }),
        );
    }
    client.patch(SETTINGS, &json!({ "daysOff": [0] }));
    let weekly = json!({ "frequency": "weekly", "daysOff": [0] });
    assert!(refused(&client, SETTINGS, &weekly).contains("daily"));

    // Another frequency clears them, said or not.
    let cleared = client.patch(SETTINGS, &json!({ "frequency": "weekly" }));
    assert_eq!(cleared["daysOff"], json!([]));
    refused(
        &client,
        PREFERENCES,
        &json!({ "streak": { "daysOff": [0] } }),
    );
    client.patch(PREFERENCES, &json!({ "streak": { "daysOff": [] } }));
    let daily = client.patch(SETTINGS, &json!({ "frequency": "daily" }));
    assert_eq!(daily["daysOff"], json!([]));
}

#[test]
fn whether_to_have_a_streak_is_the_users_choice_without_customization() {
    let client = start().at("2026-03-02");
    client.patch(SETTINGS, &json!({ "customizationEnabled": false }));
    client.write("18", 5.0);

    client.patch(PREFERENCES, &json!({ "streak": { "enabled": false } }));
    assert_eq!(streak(&client), 0);
    assert_eq!(client.write("18", 5.0)["currentStreak"]["length"], 0);
    let only = json!({ "enabled": false });
    assert_eq!(client.get(PREFERENCES)["streak"], only);

    let days = json!({ "streak": { "daysOff": [0] } });
    assert_eq!(client.call("PATCH", PREFERENCES, Some(&days)).0, 403);
}

#[test]
fn freezes_are_counts_or_null() {
    let client = start();
    let freezes =
        json!({ "startCount": 2, "maxCount": 5, "autoEarnInterval": 7, "autoEarnAmount": 1 });
    let shown = client.patch(SETTINGS, &json!({ "freezes": freezes }));
    assert_eq!(shown["freezes"], freezes);
    client.write("new", 1.0);
    let of = client.get("/v1/users/new/streak");
    assert_eq!((&of["freezes"], &of["maxFreezes"]), (&json!(2), &json!(5)));

    for (freezes, why) in [
        (json!({ "startCount": 2 }), "maxCount"),
        (json!({ "startCount": 2, "maxCount": 1 }), "startCount"),
        (
            json!({ "startCount": 0, "maxCount": 1, "autoEarnInterval": 7 }),
            "autoEarnAmount",
        ),
        (
            json!({ "startCount": 0, "maxCount": 1, "enabled": true }),
            "enabled",
        ),
        (json!(3), "object"),
    ] {
        let error = refused(&client, SETTINGS, &json!({ "freezes": freezes }));
        assert!(error.contains(why), "{error}");
    }

    let shown = client.patch(SETTINGS, &json!({ "freezes": null }));
    assert_eq!(shown["freezes"], Value::Null);
    assert_eq!(client.get("/v1/users/new/streak")["freezes"], Value::Null);
}

#[test]
fn streak_metrics_go_by_key() {
    let client = start().at("2026-03-02");
    let metrics = json!([{ "key": "chapters-read", "threshold": 2 }, { "key": "words-written", "threshold": 0 }]);
    let shown = client.patch(SETTINGS, &json!({ "metrics": metrics }));
    assert_eq!(
        shown["metrics"],
        json!([{ "key": "chapters-read", "threshold": 2 }])
    );
    assert_eq!(client.write("18", 9.0)["currentStreak"]["length"], 0);

    let twice = json!([{ "key": "chapters-read", "threshold": 1 }, { "key": "chapters-read", "threshold": 2 }]);
    assert!(refused(&client, SETTINGS, &json!({ "metrics": twice })).contains("twice"));
    let unknown = json!([{ "key": "none", "threshold": 1 }]);
    assert!(refused(&client, SETTINGS, &json!({ "metrics": unknown })).contains("none"));
    refused(
        &client,
        SETTINGS,
        &json!({ "metrics": [{ "key": "chapters-read", "threshold": 1.5 }] }),
    );
}

fn reset(client: &Client) -> Value {
    let body = json!({ "users": [{ "id": "18" }, { "id": "nobody" }] });
    let (status, reply) = client.call("POST", "/admin/v1/streaks/reset", Some(&body));
    assert_eq!(status, 200, "{reply}");
    assert_eq!(reply["issues"][0]["userId"], "nobody");
    reply["resetUsers"].clone()
}

#[test]
fn a_reset_is_in_the_history_and_the_past_stays() {
    let client = start();
    for day in ["2026-03-02", "2026-03-03"] {
        client.noon_of(day);
        client.write("18", 5.0);
    }

    assert_eq!(reset(&client), json!(["18"]));

    let after = client.get("/v1/users/18/streak");
    assert_eq!(
        (&after["length"], &after["started"]),
        (&json!(0), &Value::Null)
    );
    let history = after["streakHistory"].as_array().unwrap();
    let [.., before, today] = &history[..] else {
        panic!("{after}")
    };
    assert_eq!(
        (&before["length"], &today["length"]),
        (&json!(1), &json!(0))
    );
    assert!(
        today["resetAt"]
            .as_str()
            .unwrap()
            .starts_with("2026-03-03T12:00:")
    );
    assert_eq!(before.get("resetAt"), None);
}

#[test]
fn a_streak_begins_anew_on_the_day_of_its_reset() {
    let client = start();
    for day in ["2026-03-02", "2026-03-03"] {
        client.noon_of(day);
        client.write("18", 5.0);
    }
    reset(&client);

    let told = &client.write("18", 5.0)["currentStreak"];
    assert_eq!(
        (&told["length"], &told["extended"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(told["started"], "2026-03-03");
    client.noon_of("2026-03-04");
    assert_eq!(client.write("18", 5.0)["currentStreak"]["length"], 2);
    assert_eq!(client.get("/v1/users/18/streak")["started"], "2026-03-03");
    let wrapped = client.get("/v1/users/18/wrapped");
    let longest = &wrapped["activity"]["entireYear"]["longestStreak"];
    assert_eq!(
        (&longest["length"], &longest["started"]),
        (&json!(2), &json!("2026-03-03"))
    );
}

#[test]
fn what_was_reset_can_be_restored() {
    let client = start();
    for day in ["2026-03-02", "2026-03-03", "2026-03-04"] {
        client.noon_of(day);
        client.write("18", 5.0);
    }
    reset(&client);
    client.noon_of("2026-03-05");

    client.post(
        "/admin/v1/streaks/restore",
        &json!({ "users": [{ "id": "18" }] }),
    );

    let restored = client.get("/v1/users/18/streak");
    assert_eq!(restored["length"], 3);
    assert!(
        restored["streakHistory"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row.get("resetAt").is_none())
    );
}

#[test]
fn a_reset_takes_no_users_and_marks_no_streak_that_is_zero() {
    let client = start().at("2026-03-02");
    let none = client.call(
        "POST",
        "/admin/v1/streaks/reset",
        Some(&json!({ "users": [] })),
    );
    assert_eq!(none, (200, json!({ "resetUsers": [], "issues": [] })));

    assert_eq!(reset(&client), json!(["18"]));
    client.write("18", 5.0);
    let history = client.get("/v1/users/18/streak")["streakHistory"].clone();
    assert!(
        history
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row.get("resetAt").is_none())
    );
}

#[test]
fn a_freeze_is_not_spent_on_a_reset() {
    let client = start().at("2026-03-02");
    client.write("18", 5.0);
    client.post(
        "/admin/v1/streaks/freezes",
        &json!({ "freezes": [{ "userId": "18" }] }),
    );
    client.noon_of("2026-03-03");
    reset(&client);
    client.noon_of("2026-03-05");
    let streak = client.get("/v1/users/18/streak");
    assert_eq!(
        (&streak["length"], &streak["freezes"]),
        (&json!(0), &json!(1))
    );
}
