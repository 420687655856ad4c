//! The game itself: streaks, points, leaderboards, summaries.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Client, EVENT, event, id_of, start};
use serde_json::{Value, json};

fn streak(client: &Client) -> Value {
    client.get("/v1/users/18/streak")["length"].clone()
}

#[test]
fn days_in_a_row_make_a_streak_and_a_missed_one_ends_it() {
    let client = start();
    for day in ["2026-03-02", "2026-03-03", "2026-03-04"] {
        client.noon_of(day);
        client.write("18", 5.0);
    }
    assert_eq!(streak(&client), 3);
    client.noon_of("2026-03-05");
    assert_eq!(streak(&client), 3, "today is not over");
    client.noon_of("2026-03-06");
    assert_eq!(streak(&client), 0);
    assert_eq!(client.write("18", 5.0)["currentStreak"]["length"], 1);
}

#[test]
fn the_third_day_running_earns_its_achievement_and_points() {
    let client = start();
    let mut last = Value::Null;
    for day in ["2026-03-02", "2026-03-03", "2026-03-04"] {
        client.noon_of(day);
        last = client.write("18", 1.0);
    }
    assert_eq!(last["achievements"][0]["name"], "3 days running");
    assert_eq!(last["points"]["xp"]["added"], 20);
}

#[test]
fn a_day_is_the_users_own() {
    let client = start();
    let mut body = event("18", 1.0);
    body["user"]["tz"] = json!("Pacific/Auckland");

    // 11:30 and 12:30 UTC are before and after midnight in Auckland's summer (UTC+13).
    for now in ["2026-01-10T10:30:00Z", "2026-01-10T11:30:00Z"] {
        client.sandbox.set_clock(Some(now)).unwrap();
        client.post(EVENT, &body);
    }

    assert_eq!(streak(&client), 2);
}

#[test]
fn too_little_does_not_extend_a_streak() {
    let client = start().at("2026-03-02");
    assert_eq!(client.write("18", 0.5)["currentStreak"]["length"], 0);
    let reply = client.write("18", 0.5);
    assert_eq!(reply["currentStreak"]["length"], 1);
    assert_eq!(reply["currentStreak"]["extended"], true);
    assert_eq!(client.write("18", 9.0)["currentStreak"]["extended"], false);
}

#[test]
fn a_freeze_saves_a_streak_once() {
    let client = start().at("2026-03-02");
    client.write("18", 5.0);
    client.post(
        "/admin/v1/streaks/freezes",
        &json!({ "freezes": [{ "userId": "18" }] }),
    );

    client.noon_of("2026-03-04");
    let saved = client.get("/v1/users/18/streak");
    assert_eq!(
        (&saved["length"], &saved["freezes"]),
        (&json!(1), &json!(0))
    );
    let history = saved["streakHistory"].as_array().unwrap();
    assert_eq!(history[history.len() - 2]["usedFreeze"], true);
    client.noon_of("2026-03-05");
    assert_eq!(streak(&client), 0);
}

#[test]
fn a_pause_saves_the_days_it_covers() {
    let client = start().at("2026-03-02");
    client.write("18", 5.0);
    let pause =
        json!({ "pauses": [{ "userId": "18", "start": "2026-03-03", "end": "2026-03-05" }] });
    client.post("/admin/v1/streaks/pauses", &pause);

    client.noon_of("2026-03-06");
    assert_eq!(streak(&client), 1);
    client.noon_of("2026-03-07");
    assert_eq!(streak(&client), 0);
}

#[test]
fn weekly_streaks_count_weeks() {
    let client = start();
    client.patch(
        "/admin/v1/streaks/settings",
        &json!({ "frequency": "weekly" }),
    );
    for day in ["2026-03-02", "2026-03-15", "2026-03-16"] {
        client.noon_of(day);
        client.write("18", 5.0);
    }
    let streak = client.get("/v1/users/18/streak");
    assert_eq!(streak["length"], 3);
    assert_eq!(streak["periodStart"], "2026-03-16");
    assert_eq!(streak["expires"], "2026-03-29");
}

#[test]
fn users_may_choose_what_keeps_their_streak() {
    let client = start().at("2026-03-02");
    let choice = json!({ "streak": { "metrics": [{ "key": "chapters-read", "threshold": 2 }] } });
    client.patch("/v1/users/18/preferences", &choice);

    assert_eq!(client.write("18", 500.0)["currentStreak"]["length"], 0);
    let chapters = client.post("/v1/metrics/chapters-read/event", &event("18", 2.0));
    assert_eq!(chapters["currentStreak"]["length"], 1);

    client.patch(
        "/admin/v1/streaks/settings",
        &json!({ "customizationEnabled": false }),
    );
    assert_eq!(
        client
            .call("PATCH", "/v1/users/18/preferences", Some(&choice))
            .0,
        403
    );
}

#[test]
fn each_multiple_of_a_threshold_earns_points_once() {
    let client = start();
    assert_eq!(client.write("18", 99.0)["points"], json!({}));
    assert_eq!(client.write("18", 1.0)["points"]["xp"]["added"], 10);
    assert_eq!(client.write("18", 250.0)["points"]["xp"]["added"], 20);
    assert_eq!(client.get("/v1/users/18/points/xp")["total"], 30);
}

#[test]
fn a_boost_multiplies_and_the_system_caps() {
    let client = start().at("2026-03-02");
    let system = id_of(&client.get("/admin/v1/points"), "xp");
    let boost =
        json!([{ "name": "Triple", "start": "2026-03-01", "end": "2026-03-02", "multiplier": 3 }]);
    client.post(&format!("/admin/v1/points/{system}/boosts"), &boost);
    client.patch(
        "/admin/v1/points",
        &json!([{ "id": system, "maxPoints": 45 }]),
    );

    let award = &client.write("18", 100.0)["points"]["xp"];
    assert_eq!(award["added"], 30);
    assert_eq!(award["awards"][0]["boosts"][0]["name"], "Triple");
    assert_eq!(client.write("18", 100.0)["points"]["xp"]["total"], 45);
    client.noon_of("2026-03-03");
    assert_eq!(client.get("/v1/users/18/points/xp/boosts"), json!([]));
}

#[test]
fn an_achievement_completed_by_the_application_completes_the_next() {
    let client = start();
    client.write("18", 500.0);
    let path = "/v1/achievements/finish-onboarding/complete";

    let reply = client.post(path, &json!({ "user": { "id": "18" } }));

    assert_eq!(reply["achievement"]["key"], "finish-onboarding");
    assert_eq!(reply["points"]["xp"]["added"], 25);
    let done = client.get("/v1/users/18/achievements");
    assert!(
        done.as_array()
            .unwrap()
            .iter()
            .any(|a| a["name"] == "Off to a good start"),
        "{done}"
    );
    let again = client.post(path, &json!({ "user": { "id": "18" } }));
    assert_eq!(again["points"], json!({}));
}

#[test]
fn leaderboards_rank_and_tell_how_an_event_moved_its_user() {
    let client = start().at("2026-03-02");
    client.write("a", 10.0);
    client.write("b", 20.0);
    client.write("c", 20.0);

    let moved = &client.write("a", 11.0)["leaderboards"]["all-time-words"];

    assert_eq!(
        (&moved["previousRank"], &moved["rank"]),
        (&json!(3), &json!(1))
    );
    let ranked = |path: &str| -> Vec<(Value, Value)> {
        let board = client.get(path);
        let rankings = board["rankings"].as_array().unwrap().clone();
        rankings
            .iter()
            .map(|r| (r["userId"].clone(), r["rank"].clone()))
            .collect()
    };
    let expected = [("a", 1), ("b", 2), ("c", 3)].map(|(u, r)| (json!(u), json!(r)));
    assert_eq!(ranked("/v1/leaderboards/all-time-words"), expected);
    assert_eq!(
        ranked("/v1/leaderboards/all-time-words?userId=b&limit=1"),
        expected[1..2]
    );
    assert_eq!(
        ranked("/v1/leaderboards/all-time-words?offset=2"),
        expected[2..]
    );
    client.noon_of("2026-03-03");
    assert_eq!(ranked("/v1/leaderboards/daily-words"), []);
    assert_eq!(
        ranked("/v1/leaderboards/daily-words?run=2026-03-02"),
        expected
    );
}

#[test]
fn who_falls_off_a_full_leaderboard_leaves_room_for_the_next() {
    let client = start().at("2026-03-02");
    let id = id_of(&client.get("/admin/v1/leaderboards"), "all-time-words");
    client.patch(
        "/admin/v1/leaderboards",
        &json!([{ "id": id, "maxParticipants": 2 }]),
    );
    for (user, words) in [("a", 30.0), ("b", 20.0), ("c", 10.0)] {
        client.write(user, words);
    }
    let rank = |user: &str| client.get(&format!("/v1/users/{user}/leaderboards/all-time-words"));
    assert_eq!(rank("c")["rank"], Value::Null);

    let fallen = &client.write("a", -25.0)["leaderboards"]["all-time-words"];

    assert_eq!(
        (&fallen["rank"], &fallen["threshold"]),
        (&Value::Null, &json!(10))
    );
    assert_eq!(
        (&rank("b")["rank"], &rank("c")["rank"]),
        (&json!(1), &json!(2))
    );
}

#[test]
fn a_summary_adds_up_by_day_and_by_month() {
    let client = start();
    for (day, words) in [
        ("2026-01-31", 5.0),
        ("2026-02-01", 7.0),
        ("2026-02-03", 1.0),
    ] {
        client.noon_of(day);
        client.write("18", words);
    }
    let of = |aggregation: &str| {
        client.get(&format!(
            "/v1/users/18/metrics/words-written/event-summary?aggregation={aggregation}\
             &startDate=2026-01-31&endDate=2026-02-03"
        ))
    };
    let changes = |rows: &Value| -> Vec<Value> {
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["change"].clone())
            .collect()
    };
    assert_eq!(changes(&of("daily")), [5, 7, 0, 1]);
    let months = of("monthly");
    assert_eq!(changes(&months), [5, 8]);
    assert_eq!(months[1]["total"], 13);
}

#[test]
fn a_year_is_wrapped_up() {
    let client = start();
    for (day, words) in [
        ("2026-01-05", 5.0),
        ("2026-03-02", 70.0),
        ("2026-03-03", 7.0),
    ] {
        client.noon_of(day);
        client.write("18", words);
    }
    let activity = &client.get("/v1/users/18/wrapped")["activity"];
    assert_eq!(activity["daysActive"], 3);
    assert_eq!(activity["monthsActive"], 2);
    assert_eq!(activity["mostActiveDay"]["date"], "2026-03-02");
    assert_eq!(activity["mostActiveMonth"]["month"], 2);
    assert_eq!(activity["entireYear"]["longestStreak"]["length"], 2);
    assert_eq!(
        activity["entireYear"]["metrics"]["words-written"]["changeThisPeriod"],
        82
    );
}

#[test]
fn points_are_spread_over_eleven_ranges() {
    let client = start();
    client.write("18", 1500.0);
    client.write("new", 1.0);
    let ranges = client.get("/v1/points/xp/summary");
    assert_eq!(ranges[0], json!({ "from": 0, "to": 0, "users": 1 }));
    assert_eq!(ranges[2], json!({ "from": 101, "to": 200, "users": 1 }));
    assert_eq!(ranges.as_array().unwrap().len(), 11);
}

#[test]
fn a_summary_reaches_to_the_ends_of_the_calendar() {
    let client = start();
    for (from, to, rows) in [
        ("0001-01-01", "0001-01-20", 3),
        ("9999-12-01", "9999-12-31", 5),
    ] {
        let path = format!(
            "/v1/users/18/metrics/words-written/event-summary?aggregation=weekly\
             &startDate={from}&endDate={to}"
        );
        assert_eq!(client.get(&path).as_array().unwrap().len(), rows, "{from}");
    }
    for date in [
        "0000-01-01",
        "-000001-01-01",
        "20260101",
        "2026-01-01T00:00",
    ] {
        let path = format!(
            "/v1/users/18/metrics/words-written/event-summary?aggregation=daily\
             &startDate={date}&endDate=2026-01-02"
        );
        assert_eq!(client.call("GET", &path, None).0, 422, "{date}");
    }
}
