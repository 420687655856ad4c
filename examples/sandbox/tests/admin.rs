//! The Admin API: defaults, what null does, and what can be changed when.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Client, id_of, start};
use serde_json::{Value, json};

/// The one thing created.
fn create(client: &Client, path: &str, item: Value) -> Value {
    let reply = client.post(path, &json!([item]));
    assert_eq!(reply["issues"], json!([]), "{reply}");
    reply["created"][0].clone()
}

/// Why an item is not created, or a change not made.
fn issue(client: &Client, method: &str, path: &str, item: Value) -> String {
    let (status, reply) = client.call(method, path, Some(&json!([item])));
    assert_eq!(status, 200, "{reply}");
    reply["issues"][0]["message"]
        .as_str()
        .unwrap_or_else(|| panic!("{reply}"))
        .to_owned()
}

fn change(client: &Client, path: &str, item: Value) -> Value {
    let reply = client.patch(path, &json!([item]));
    assert_eq!(reply["issues"], json!([]), "{reply}");
    reply["updated"][0].clone()
}

const BOARDS: &str = "/admin/v1/leaderboards";
const ACHIEVEMENTS: &str = "/admin/v1/achievements";

/// `[{"attributeId":…,"attributeValue":"pro"}]`
fn pros(client: &Client) -> Value {
    let plan = id_of(&client.get("/admin/v1/attributes"), "plan");
    json!([{ "attributeId": plan, "attributeValue": "pro" }])
}

fn board_of_pros(client: &Client) -> Value {
    let metric = id_of(&client.get("/admin/v1/metrics"), "words-written");
    create(
        client,
        BOARDS,
        json!({ "name": "Pros", "key": "pros", "rankBy": "metric", "metricId": metric,
            "start": "2026-01-01", "userAttributes": pros(client) }),
    )
}

#[test]
fn a_leaderboard_has_1000_places_unless_it_says_otherwise() {
    let client = start();
    let made = board_of_pros(&client);
    assert_eq!(made["maxParticipants"], 1000);
    let free =
        json!({ "name": "Free", "key": "free", "rankBy": "streak", "maxParticipants": null });
    assert_eq!(
        create(&client, BOARDS, free)["maxParticipants"],
        Value::Null
    );
    for most in [json!(0), json!(1001), json!("9")] {
        let item = json!({ "name": "x", "key": "x", "rankBy": "streak", "maxParticipants": most });
        assert!(issue(&client, "POST", BOARDS, item).contains("maxParticipants"));
    }
}

#[test]
fn only_users_with_its_attributes_are_on_a_leaderboard() {
    let client = start().at("2026-03-02");
    let made = board_of_pros(&client);
    change(
        &client,
        BOARDS,
        json!({ "id": made["id"], "status": "active" }),
    );
    client.patch("/v1/users/18", &json!({ "attributes": { "plan": "pro" } }));

    let (pro, other) = (client.write("18", 5.0), client.write("19", 9.0));

    let of_pro = &pro["leaderboards"]["pros"];
    assert_eq!(of_pro["rank"], 1);
    assert_eq!(
        of_pro["userAttributes"],
        json!([{ "key": "plan", "value": "pro" }])
    );
    assert_eq!(
        pro["leaderboards"]["all-time-words"]["userAttributes"],
        json!([])
    );
    assert_eq!(other["leaderboards"].get("pros"), None);
    let shown = client.get("/v1/leaderboards/pros");
    assert_eq!(shown["rankings"].as_array().unwrap().len(), 1);
    assert_eq!(shown["userAttributes"], of_pro["userAttributes"]);
    assert_eq!(
        client.get("/v1/users/19/leaderboards/pros")["rank"],
        Value::Null
    );

    // Who has them no more is on it no more.
    client.patch("/v1/users/18", &json!({ "attributes": { "plan": "free" } }));
    assert_eq!(client.get("/v1/leaderboards/pros")["rankings"], json!([]));
    assert_eq!(
        client.get("/v1/users/18/leaderboards/pros")["rank"],
        Value::Null
    );
}

#[test]
fn null_clears_a_leaderboards_attributes_while_it_is_inactive() {
    let client = start().at("2026-03-02");
    let id = board_of_pros(&client)["id"].clone();
    let clear = json!({ "id": id, "userAttributes": null });
    assert_eq!(
        change(&client, BOARDS, clear.clone())["userAttributes"],
        json!([])
    );
    let set = json!({ "id": id, "userAttributes": pros(&client) });
    assert_eq!(
        change(&client, BOARDS, set)["userAttributes"],
        pros(&client)
    );

    let active = change(&client, BOARDS, json!({ "id": id, "status": "active" }));
    assert_eq!(
        active["userAttributes"],
        pros(&client),
        "left out is not null"
    );
    assert_eq!(
        issue(&client, "PATCH", BOARDS, clear.clone()),
        "userAttributes cannot be changed"
    );
    let inactive = json!({ "id": id, "status": "inactive" });
    change(&client, BOARDS, inactive);
    assert_eq!(change(&client, BOARDS, clear)["userAttributes"], json!([]));
}

#[test]
fn an_active_leaderboard_ranks_as_it_did() {
    let client = start().at("2026-03-02");
    let id = id_of(&client.get(BOARDS), "all-time-words");
    for (name, value) in [
        ("key", json!("other")),
        ("rankBy", json!("streak")),
        ("start", json!("2025-01-01")),
        ("runUnit", json!("day")),
    ] {
        let item = json!({ "id": id, name: value });
        assert_eq!(
            issue(&client, "PATCH", BOARDS, item),
            format!("{name} cannot be changed")
        );
    }
    let renamed = change(
        &client,
        BOARDS,
        json!({ "id": id, "name": "Most", "end": "2027-01-01" }),
    );
    assert_eq!(
        (&renamed["name"], &renamed["end"]),
        (&json!("Most"), &json!("2027-01-01"))
    );
    assert_eq!(
        change(&client, BOARDS, json!({ "id": id, "end": null })).get("end"),
        None
    );
}

#[test]
fn a_leaderboard_tells_its_status_by_the_calendar() {
    let client = start().at("2026-03-02");
    let item = json!({ "name": "Soon", "key": "soon", "rankBy": "streak", "status": "scheduled",
        "start": "2026-03-04", "end": "2026-03-05" });
    let id = create(&client, BOARDS, item)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for (day, status) in [
        ("2026-03-03", "scheduled"),
        ("2026-03-05", "active"),
        ("2026-03-06", "finished"),
    ] {
        client.noon_of(day);
        assert_eq!(
            client.get(&format!("{BOARDS}/{id}"))["status"],
            status,
            "{day}"
        );
    }
}

#[test]
fn a_streak_leaderboard_does_not_repeat_and_others_say_how_often() {
    let client = start();
    let item =
        json!({ "name": "x", "key": "x", "rankBy": "streak", "runUnit": "day", "runInterval": 1 });
    assert!(issue(&client, "POST", BOARDS, item).contains("cannot repeat"));
    let system = id_of(&client.get("/admin/v1/points"), "xp");
    let item = json!({ "name": "x", "key": "x", "rankBy": "points", "pointsSystemId": system,
        "runUnit": "day" });
    assert!(issue(&client, "POST", BOARDS, item).contains("runInterval"));
}

#[test]
fn a_leaderboard_counts_within_its_hours() {
    let client = start().at("2026-03-02");
    let metric = id_of(&client.get("/admin/v1/metrics"), "words-written");
    create(
        &client,
        BOARDS,
        json!({ "name": "Early", "key": "early", "rankBy": "metric", "metricId": metric,
            "status": "active", "start": "2026-01-01", "startTime": "06:00", "endTime": "09:30:00" }),
    );
    for (time, counts) in [
        ("05:59", false),
        ("06:00", true),
        ("09:29", true),
        ("09:30", false),
    ] {
        // User 18 is in London, where it is winter.
        client
            .sandbox
            .set_clock(Some(&format!("2026-03-02T{time}:00Z")))
            .unwrap();
        let told = client.write("18", 1.0);
        assert_eq!(
            told["leaderboards"].get("early").is_some(),
            counts,
            "{time}"
        );
    }
    for time in ["6:00", "24:00", "06:00:60", "0600"] {
        let item = json!({ "name": "x", "key": "x", "rankBy": "streak", "startTime": time });
        assert!(
            issue(&client, "POST", BOARDS, item).contains("startTime"),
            "{time}"
        );
    }
}

#[test]
fn a_new_achievement_is_inactive_unless_it_says_otherwise() {
    let client = start();
    let item = json!({ "name": "By hand", "trigger": "api", "key": "by-hand" });
    let made = create(&client, ACHIEVEMENTS, item);
    assert_eq!(
        (&made["status"], &made["badge"]),
        (&json!("inactive"), &Value::Null)
    );
    let path = "/v1/achievements/by-hand/complete";
    let body = json!({ "user": { "id": "18" } });
    assert_eq!(client.call("POST", path, Some(&body)).0, 404);

    change(
        &client,
        ACHIEVEMENTS,
        json!({ "id": made["id"], "status": "locked" }),
    );
    assert_eq!(client.call("POST", path, Some(&body)).0, 422);
    change(
        &client,
        ACHIEVEMENTS,
        json!({ "id": made["id"], "status": "active" }),
    );
    assert_eq!(client.call("POST", path, Some(&body)).0, 201);
    // Who has it keeps it.
    change(
        &client,
        ACHIEVEMENTS,
        json!({ "id": made["id"], "status": "locked" }),
    );
    assert_eq!(client.call("POST", path, Some(&body)).0, 201);
}

#[test]
fn a_new_points_trigger_is_inactive_unless_it_says_otherwise() {
    let client = start();
    let system = id_of(&client.get("/admin/v1/points"), "xp");
    let path = format!("/admin/v1/points/{system}/triggers");
    let made = create(
        &client,
        &path,
        json!({ "type": "user_creation", "points": 7 }),
    );
    assert_eq!(made["status"], "inactive");
    client.write("new", 0.5);
    assert_eq!(client.get("/v1/users/new/points/xp")["total"], 0);

    // Its type can change, until it is active.
    let timed = json!({ "id": made["id"], "type": "time", "timeUnit": "days", "timeInterval": 1 });
    assert_eq!(change(&client, &path, timed)["type"], "time");
    change(
        &client,
        &path,
        json!({ "id": made["id"], "status": "active" }),
    );
    let back = json!({ "id": made["id"], "type": "user_creation" });
    assert_eq!(
        issue(&client, "PATCH", &path, back),
        "type cannot be changed"
    );
    let none = json!({ "type": "user_creation", "points": 0 });
    assert!(issue(&client, "POST", &path, none).contains("points"));
}

#[test]
fn an_achievement_of_another_trigger_starts_anew() {
    let client = start();
    let item =
        json!({ "name": "x", "trigger": "streak", "streakLength": 5, "description": "Long." });
    let id = create(&client, ACHIEVEMENTS, item)["id"].clone();

    let without = json!({ "id": id, "trigger": "anniversary" });
    assert!(issue(&client, "PATCH", ACHIEVEMENTS, without).contains("anniversaryYears"));
    let changed = change(
        &client,
        ACHIEVEMENTS,
        json!({ "id": id, "trigger": "anniversary", "anniversaryYears": 1, "description": null }),
    );

    assert_eq!(changed.get("streakLength"), None);
    assert_eq!(
        (&changed["anniversaryYears"], &changed["description"]),
        (&json!(1), &Value::Null)
    );
    let mixed =
        json!({ "name": "y", "trigger": "anniversary", "anniversaryYears": 1, "streakLength": 5 });
    assert!(issue(&client, "POST", ACHIEVEMENTS, mixed).contains("streakLength"));
}

#[test]
fn null_is_refused_where_there_is_nothing_to_clear() {
    let client = start();
    for path in [
        BOARDS,
        ACHIEVEMENTS,
        "/admin/v1/metrics",
        "/admin/v1/attributes",
        "/admin/v1/points",
    ] {
        let id = client.get(path)[0]["id"].clone();
        for name in ["name", "status"] {
            let item = json!({ "id": id, name: null });
            assert_eq!(
                issue(&client, "PATCH", path, item),
                format!("{name} must not be null"),
                "{path}"
            );
        }
    }
}

#[test]
fn a_boost_is_for_a_user_or_for_attributes() {
    let client = start();
    let system = id_of(&client.get("/admin/v1/points"), "xp");
    let path = format!("/admin/v1/points/{system}/boosts");
    let boost = |name: &str, value: Value| {
        let mut item = json!({ "name": "B", "start": "2026-01-01", "end": null, "multiplier": 2 });
        item[name] = value;
        item
    };
    let made = create(&client, &path, boost("userId", json!("18")));
    assert_eq!(made.get("userAttributes"), None);
    let mut both = boost("userId", json!("18"));
    both["userAttributes"] = pros(&client);
    assert!(issue(&client, "POST", &path, both).contains("userAttributes"));
    for factor in [0.0, 1.0, 100.0, -2.0] {
        let why = issue(&client, "POST", &path, boost("multiplier", json!(factor)));
        assert!(why.contains("multiplier"), "{factor}: {why}");
    }
    let long = issue(
        &client,
        "POST",
        &path,
        boost("name", json!("n".repeat(256))),
    );
    assert!(long.contains("255"), "{long}");
}

#[test]
fn settings_are_changed_field_by_field_or_not_at_all() {
    let client = start();
    let path = "/admin/v1/settings";
    let before = client.get(path);
    let wrong = json!({ "branding": { "appName": "New" }, "aggregationPeriod": "daily" });
    assert_eq!(client.call("PATCH", path, Some(&wrong)).0, 422);
    assert_eq!(client.get(path), before);

    let logo = json!({ "url": "https://example.com/logo.png" });
    let changes = json!({ "branding": { "appName": "New", "logo": logo },
        "experimentation": { "controlRatio": 100 }, "aggregationPeriod": "monthly" });
    let after = client.patch(path, &changes);
    assert_eq!(after["branding"]["appName"], "New");
    assert_eq!(after["branding"]["logo"], logo);
    assert_eq!(after["branding"]["font"], before["branding"]["font"]);
    assert_eq!(after["aggregationPeriod"], "monthly");
    let cleared = client.patch(path, &json!({ "branding": { "logo": null } }));
    assert_eq!(cleared["branding"]["logo"], Value::Null);
    for (of, name, value) in [
        ("branding", "font", json!("COMIC_SANS")),
        ("branding", "brandColor", json!("red")),
        ("branding", "appUrl", Value::Null),
        ("experimentation", "controlRatio", json!(101)),
        ("experimentation", "userActivationWindow", json!("week")),
    ] {
        let (status, reply) = client.call("PATCH", path, Some(&json!({ of: { name: value } })));
        assert_eq!(status, 422);
        assert!(reply["error"].as_str().unwrap().contains(name), "{reply}");
    }

    // All new users are in the control group now.
    client.write("new", 1.0);
    assert_eq!(client.get("/v1/users/new")["control"], true);
    assert_eq!(client.get("/v1/users/18")["control"], false);
}

#[test]
fn an_environment_has_a_priority_and_no_id() {
    let environments = start().get("/admin/v1/environments");
    assert_eq!(environments[0]["priority"], 1);
    assert_eq!(environments[0].get("id"), None);
}

#[test]
fn ids_are_told_as_the_service_writes_them() {
    let client = start();
    let id = id_of(&client.get(BOARDS), "xp-month");
    let path = format!("{BOARDS}?ids={}", id.to_uppercase().replace('-', ""));
    let (_, reply) = client.call("DELETE", &path, None);
    assert_eq!(reply["deleted"], json!([{ "id": id }]));
}
