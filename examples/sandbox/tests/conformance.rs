//! All 85 operations, held against the service's own description where it is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::cell::RefCell;
use std::collections::BTreeSet;

use common::description::Description;
use common::{Client, EVENT, event, id_of, shared, start};
use serde_json::{Value, json};

/// Calls, checks the status it hopes for, and the reply against the description.
struct Driver {
    client: Client,
    description: Option<Description>,
    troubles: RefCell<Vec<String>>,
    succeeded: RefCell<BTreeSet<String>>,
}

impl Driver {
    fn call(&self, expected: u16, method: &str, path: &str, body: Value) -> Value {
        let body = (!body.is_null()).then_some(body);
        let (status, reply) = self.client.call(method, path, body.as_ref());
        let request = self.client.sandbox.requests(1);
        let operation = request[0]["operation"].as_str().unwrap();
        if status < 300 {
            self.succeeded.borrow_mut().insert(operation.to_owned());
        } else {
            assert!(reply["error"].is_string(), "{operation} {status}: {reply}");
        }
        let mut troubles = self.troubles.borrow_mut();
        if status != expected {
            troubles.push(format!(
                "{method} {path}: {status}, not {expected}: {reply}"
            ));
        }
        if let Some(description) = &self.description
            && let Err(trouble) = description.check(operation, status, &reply)
        {
            troubles.push(trouble);
        }
        reply
    }

    fn get(&self, path: &str) -> Value {
        self.call(200, "GET", path, Value::Null)
    }
}

fn first_id(created: &Value) -> String {
    created["created"][0]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{created}"))
        .to_owned()
}

#[test]
fn every_operation_answers_as_described() {
    let description = shared().map(|folder| Description::read(&folder));
    if description.is_none() {
        println!("skipped: replies against the service's schemas, which are not here");
    }
    let driver = Driver {
        client: start().at("2026-03-02"),
        description,
        troubles: RefCell::default(),
        succeeded: RefCell::default(),
    };

    set_up(&driver);
    play(&driver);
    look(&driver);
    administer_points(&driver);
    administer_streaks(&driver);
    administer_the_rest(&driver);
    err(&driver);

    let troubles = driver.troubles.borrow();
    assert!(troubles.is_empty(), "{}", troubles.join("\n\n"));
    assert_eq!(
        driver.succeeded.borrow().len(),
        85,
        "{:?}",
        driver.succeeded.borrow()
    );
    compare_with_the_table(&driver);
}

/// A richer world than the default one: boosts, breakdowns, filters.
fn set_up(driver: &Driver) {
    let attributes = driver.get("/admin/v1/attributes");
    let (plan, genre) = (id_of(&attributes, "plan"), id_of(&attributes, "genre"));
    let metric = id_of(&driver.get("/admin/v1/metrics"), "words-written");
    let system = id_of(&driver.get("/admin/v1/points"), "xp");
    let on = |attribute: &str, value: &str| json!([{ "attributeId": attribute, "attributeValue": value }]);
    let boost = json!([
        { "name": "Double", "start": "2026-01-01", "end": null, "multiplier": 2 },
        { "name": "Mine", "start": "2026-01-01", "end": "2026-12-31", "multiplier": 1.5,
          "rounding": "up", "userId": "18" },
        { "name": "For pros", "start": "2026-01-01", "end": null, "multiplier": 1.1,
          "userAttributes": on(&plan, "pro") },
        { "name": "Over", "start": "2025-01-01", "end": "2025-02-01", "multiplier": 3 },
    ]);
    driver.call(
        201,
        "POST",
        &format!("/admin/v1/points/{system}/boosts"),
        boost,
    );
    let triggers = json!([
        { "type": "metric", "points": 7, "status": "active", "metricId": metric, "metricThreshold": 10,
          "userAttributes": on(&plan, "pro"), "eventAttributes": on(&genre, "poem") },
        { "type": "time", "points": 1, "status": "active", "timeUnit": "days", "timeInterval": 1 },
        { "type": "user_creation", "points": 2, "status": "active" },
        { "type": "streak", "points": 3, "status": "active", "streakLength": 1 },
    ]);
    driver.call(
        201,
        "POST",
        &format!("/admin/v1/points/{system}/triggers"),
        triggers,
    );
    let boards = json!([
        { "name": "By plan", "key": "by-plan", "rankBy": "points", "pointsSystemId": system,
          "status": "active", "start": "2026-01-01", "breakdownAttributes": [plan] },
        { "name": "Streaks", "key": "streaks", "rankBy": "streak", "status": "active",
          "start": "2026-01-01", "startTime": "08:00", "maxParticipants": 10,
          "userAttributes": on(&plan, "pro") },
        { "name": "Each year", "key": "each-year", "rankBy": "metric", "metricId": metric,
          "status": "active", "start": "2026-01-01", "maxParticipants": null,
          "runUnit": "year", "runInterval": 1, "userAttributes": on(&plan, "pro") },
        { "name": "Old", "key": "old", "rankBy": "streak", "status": "finished",
          "start": "2025-01-01", "end": "2025-02-01" },
    ]);
    driver.call(201, "POST", "/admin/v1/leaderboards", boards);
    let achievement = json!([
        { "name": "Two years", "status": "active", "trigger": "anniversary", "anniversaryYears": 2 },
        { "name": "Poet", "status": "active", "trigger": "metric", "metricId": metric, "metricValue": 10,
          "badge": { "url": "https://example.com/poet.png" },
          "userAttributes": on(&plan, "pro"), "eventAttributes": on(&genre, "poem") },
    ]);
    driver.call(201, "POST", "/admin/v1/achievements", achievement);
}

fn play(driver: &Driver) {
    let user = json!({ "id": "a/b é", "name": "Bo", "email": "bo@example.com",
        "tz": "Asia/Tokyo", "deviceTokens": ["t"], "subscribeToEmails": true,
        "signUpDate": "2024-03-01", "attributes": { "plan": "pro" } });
    driver.call(201, "POST", "/v1/users", user);
    driver.call(
        200,
        "PUT",
        "/v1/users/18",
        json!({ "attributes": { "plan": "pro" } }),
    );
    driver.call(
        200,
        "PATCH",
        "/v1/users/18",
        json!({ "tz": "Europe/Berlin" }),
    );
    let mut poem = event("18", 750.5);
    poem["attributes"] = json!({ "genre": "poem" });
    driver.call(201, "POST", EVENT, poem.clone());
    driver.client.noon_of("2026-03-03");
    driver.call(201, "POST", EVENT, poem);
    driver.call(201, "POST", EVENT, event("a/b é", -3.0));
    driver.call(
        201,
        "POST",
        "/v1/metrics/chapters-read/event",
        event("18", 2.0),
    );
    let finished = json!({ "user": { "id": "18" } });
    driver.call(
        201,
        "POST",
        "/v1/achievements/finish-onboarding/complete",
        finished,
    );
    let batch = json!([
        { "key": "words-written", "user": { "id": "19" }, "value": 5, "idempotencyKey": "k" },
        { "key": "chapters-read", "user": { "id": "19" }, "value": 1,
          "attributes": { "device": "phone" } },
    ]);
    let accepted = driver.call(202, "POST", "/admin/v1/metrics/events", batch);
    assert_eq!(accepted, json!({ "accepted": 2 }));
}

fn look(driver: &Driver) {
    for user in ["18", "19", "a%2Fb%20%C3%A9"] {
        for rest in [
            "",
            "/preferences",
            "/metrics",
            "/metrics/words-written",
            "/metrics/words-written/event-summary?aggregation=daily&startDate=2026-02-20&endDate=2026-03-05",
            "/achievements",
            "/achievements?includeIncomplete=true",
            "/streak",
            "/streak?historyPeriods=20",
            "/points/xp",
            "/points/xp?awards=2",
            "/points/xp/boosts",
            "/points/xp/event-summary?aggregation=weekly&startDate=2026-02-20&endDate=2026-03-05",
            "/leaderboards/all-time-words",
            "/leaderboards/daily-words?run=2026-03-02&numEvents=5",
            "/leaderboards/by-plan",
            "/leaderboards/streaks",
            "/leaderboards/each-year",
            "/wrapped",
            "/wrapped?year=2025",
        ] {
            driver.get(&format!("/v1/users/{user}{rest}"));
        }
    }
    for path in [
        "/v1/achievements",
        "/v1/achievements?userAttributes=plan:free",
        "/v1/streaks?userIds=18,19,nobody",
        "/v1/streaks?userIds=18&userIds=19",
        "/v1/points/xp",
        "/v1/points/xp/summary",
        "/v1/points/xp/summary?userAttributes=plan:pro",
        "/v1/points/xp/boosts",
        "/v1/points/xp/boosts?includeFinished=true",
        "/v1/points/xp/levels",
        "/v1/points/xp/level-summary",
        "/v1/leaderboards",
        "/v1/leaderboards?includeFinished=true",
        "/v1/leaderboards/all-time-words?userId=18&limit=3&offset=0",
        "/v1/leaderboards/xp-month",
        "/v1/leaderboards/streaks",
        "/v1/leaderboards/by-plan?userAttributes=plan:pro",
    ] {
        driver.get(path);
    }
    let changes = json!({
        "notifications": { "recap": ["email"], "streak_reminder": [] },
        "streak": { "evaluationMode": "AND", "enabled": true,
            "metrics": [{ "key": "words-written", "threshold": 5 }], "daysOff": [0, 6] },
    });
    driver.call(200, "PATCH", "/v1/users/18/preferences", changes);
}

/// Creates, gets, lists, changes and deletes one, with an item that cannot be made beside it.
fn administer(driver: &Driver, path: &str, item: Value, change: Value) -> String {
    let created = driver.call(201, "POST", path, json!([item, { "name": 5 }]));
    assert_eq!(created["issues"][0]["index"], 1, "{created}");
    let id = first_id(&created);
    driver.call(200, "POST", path, json!([{ "name": 5 }]));
    assert_eq!(driver.get(&format!("{path}/{id}"))["id"], json!(id));
    driver.get(&format!("{path}?limit=1&skip=1"));
    let mut change = change;
    change["id"] = json!(id);
    let updated = driver.call(200, "PATCH", path, json!([change, { "id": NOBODY }]));
    assert_eq!(updated["issues"][0]["id"], NOBODY, "{updated}");
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(
            updated["updated"][0][name], *value,
            "{path} {name}: {updated}"
        );
    }
    let deleted = driver.call(
        200,
        "DELETE",
        &format!("{path}?ids={id}&ids={NOBODY}"),
        Value::Null,
    );
    assert_eq!(deleted["deleted"], json!([{ "id": id }]));
    assert_eq!(deleted["issues"].as_array().unwrap().len(), 1);
    driver.call(404, "GET", &format!("{path}/{id}"), Value::Null);
    driver.call(422, "POST", path, json!({}));
    driver.call(422, "POST", path, json!([]));
    driver.call(422, "DELETE", path, Value::Null);
    driver.call(422, "GET", &format!("{path}?limit=101"), Value::Null);
    id
}

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

fn administer_points(driver: &Driver) {
    let whole = json!({
        "name": "Gems", "key": "gems", "description": "Rare.", "maxPoints": 100,
        "badge": { "url": "https://example.com/gem.png" },
        "levels": [{ "name": "One", "key": "one", "points": 1 }],
        "boosts": [{ "name": "B", "start": "2026-01-01", "end": null, "multiplier": 2 }],
        "triggers": [{ "type": "user_creation", "points": 1 }],
    });
    administer(driver, "/admin/v1/points", whole, json!({ "name": "Gem" }));
    let system = id_of(&driver.get("/admin/v1/points"), "xp");
    let of = |part: &str| format!("/admin/v1/points/{system}/{part}");
    let boost = json!({ "name": "B", "start": "2026-04-01", "end": null, "multiplier": 2.5 });
    let change = json!({ "end": "2026-05-01", "rounding": "up" });
    administer(driver, &of("boosts"), boost, change);
    let level = json!({ "name": "Top", "key": "top", "points": 1000, "description": "Far." });
    let change = json!({ "points": 2000, "badge": { "url": "https://example.com/top.png" } });
    administer(driver, &of("levels"), level, change);
    let trigger = json!({ "type": "time", "points": -1, "timeUnit": "hours", "timeInterval": 5,
        "blockIfOutOfPoints": true });
    let change = json!({ "points": -2, "status": "inactive" });
    administer(driver, &of("triggers"), trigger, change);
    for part in ["boosts", "levels", "triggers"] {
        let path = format!("/admin/v1/points/{NOBODY}/{part}");
        driver.call(404, "GET", &path, Value::Null);
        driver.call(404, "GET", &format!("{path}/{NOBODY}"), Value::Null);
        driver.call(404, "POST", &path, json!([{}]));
        driver.call(404, "PATCH", &path, json!([{}]));
        driver.call(404, "DELETE", &format!("{path}?ids={NOBODY}"), Value::Null);
    }
}

fn administer_streaks(driver: &Driver) {
    let freezes = json!({ "freezes": [{ "userId": "18" }, { "userId": "nobody" }] });
    let reply = driver.call(201, "POST", "/admin/v1/streaks/freezes", freezes);
    assert_eq!(reply["issues"][0]["userId"], "nobody");
    let pause = json!({ "pauses": [
        { "userId": "18", "start": "2026-03-10", "end": "2026-03-12" },
        { "userId": "18", "start": "2026-01-01", "end": "2026-01-02" },
    ] });
    let reply = driver.call(201, "POST", "/admin/v1/streaks/pauses", pause);
    assert_eq!(reply["issues"].as_array().unwrap().len(), 1);
    driver.get("/v1/users/18/streak");
    let path = format!("/admin/v1/streaks/pauses?ids={}", first_id(&reply));
    driver.call(200, "DELETE", &path, Value::Null);
    // No event for some days: the streak is lost, and can be had back.
    driver.client.noon_of("2026-03-08");
    let users = json!({ "users": [{ "id": "18" }, { "id": "nobody" }] });
    let reply = driver.call(201, "POST", "/admin/v1/streaks/restore", users.clone());
    assert_eq!(reply["restoredUsers"], json!(["18"]));
    driver.call(200, "POST", "/admin/v1/streaks/restore", users.clone());
    assert_eq!(driver.get("/v1/users/18/streak")["length"], 2);
    let reset = "/admin/v1/streaks/reset";
    let reply = driver.call(200, "POST", reset, users);
    assert_eq!(reply["resetUsers"], json!(["18"]));
    driver.call(200, "POST", reset, json!({ "users": [] }));
    driver.call(400, "POST", reset, json!({ "users": [{}] }));
    assert_eq!(driver.get("/v1/users/18/streak")["length"], 0);
    driver.get("/admin/v1/streaks/settings");
    let changes = json!({ "frequency": "weekly", "daysOff": [],
        "metrics": [{ "key": "words-written", "threshold": 1 }],
        "freezes": { "startCount": 1, "maxCount": 2, "autoEarnInterval": 7,
            "autoEarnAmount": 1 } });
    let settings = "/admin/v1/streaks/settings";
    let changed = driver.call(200, "PATCH", settings, changes.clone());
    for (name, value) in changes.as_object().unwrap() {
        assert_eq!(changed[name], *value, "{name}");
    }
    driver.call(201, "POST", EVENT, event("weekly", 9.0));
    driver.get("/v1/users/weekly/streak");
    driver.call(
        422,
        "PATCH",
        "/admin/v1/streaks/settings",
        json!({ "frequency": "hourly" }),
    );
    driver.call(
        400,
        "POST",
        "/admin/v1/streaks/freezes",
        json!({ "freezes": [] }),
    );
    driver.call(422, "POST", "/admin/v1/streaks/pauses", json!({}));
    driver.call(
        400,
        "POST",
        "/admin/v1/streaks/restore",
        json!({ "users": "18" }),
    );
}

fn administer_the_rest(driver: &Driver) {
    let attribute = json!({ "name": "Mood", "key": "mood", "type": "event" });
    administer(
        driver,
        "/admin/v1/attributes",
        attribute,
        json!({ "name": "Moods" }),
    );
    let metric = json!({ "name": "Money", "key": "money", "unitType": "currency", "units": "EUR" });
    administer(
        driver,
        "/admin/v1/metrics",
        metric,
        json!({ "units": "USD" }),
    );
    let achievement = json!({ "name": "Ten days", "trigger": "streak", "streakLength": 10 });
    administer(
        driver,
        "/admin/v1/achievements",
        achievement,
        json!({ "trigger": "anniversary", "anniversaryYears": 3, "status": "locked" }),
    );
    let points = id_of(&driver.get("/admin/v1/points"), "xp");
    let board = json!({ "name": "S", "key": "s", "rankBy": "points", "pointsSystemId": points,
        "end": "2027-01-01" });
    let change = json!({ "status": "active", "runUnit": "month", "runInterval": 2 });
    administer(driver, "/admin/v1/leaderboards", board, change);
    let tenant = json!({ "customerId": "acme", "name": "Acme" });
    administer(
        driver,
        "/admin/v1/tenants",
        tenant,
        json!({ "name": "Acme & Co" }),
    );
    let path = "/admin/v1/application-api-keys";
    let created = driver.call(201, "POST", path, json!([{ "userId": "18" }, {}]));
    driver.call(200, "POST", path, json!([{}]));
    driver.call(
        200,
        "DELETE",
        &format!("{path}?ids={}", first_id(&created)),
        Value::Null,
    );
    driver.call(422, "DELETE", path, Value::Null);
    driver.get("/admin/v1/environments");
    driver.get("/admin/v1/settings");
    let changes = json!({
        "branding": { "appName": "Written", "brandColor": "#123", "font": "BOOK_SERIF",
            "logo": { "url": "https://example.com/logo.png" } },
        "experimentation": { "controlRatio": 5 },
        "aggregationPeriod": "monthly",
    });
    driver.call(200, "PATCH", "/admin/v1/settings", changes);
    driver.call(422, "PATCH", "/admin/v1/settings", json!({ "branding": 1 }));
}

fn err(driver: &Driver) {
    let none = Value::Null;
    for path in [
        "/metrics",
        "/metrics/words-written",
        "/preferences",
        "/achievements",
        "/streak",
        "/points/xp",
        "/points/xp/boosts",
        "/leaderboards/all-time-words",
        "/wrapped",
    ] {
        driver.call(404, "GET", &format!("/v1/users/nobody{path}"), none.clone());
    }
    for path in [
        "/v1/users/18/metrics/none",
        "/v1/users/18/points/none",
        "/v1/users/18/points/none/boosts",
        "/v1/users/18/leaderboards/none",
        "/v1/points/none",
        "/v1/points/none/summary",
        "/v1/points/none/boosts",
        "/v1/points/none/levels",
        "/v1/points/none/level-summary",
        "/v1/leaderboards/none",
    ] {
        driver.call(404, "GET", path, none.clone());
    }
    for path in [
        "/v1/users/nobody",
        "/v1/users/18/metrics/words-written/event-summary",
        "/v1/users/18/metrics/words-written/event-summary?aggregation=daily&startDate=2024-01-01&endDate=2026-01-01",
        "/v1/users/18/points/xp/event-summary?aggregation=hourly&startDate=2026-01-01&endDate=2026-01-02",
        "/v1/users/18/points/xp?awards=101",
        "/v1/users/18/wrapped?year=0",
        "/v1/users/18/streak?historyPeriods=x",
        "/v1/users/18/leaderboards/all-time-words?run=yesterday",
        "/v1/achievements?userAttributes=plan",
        "/v1/points/xp/summary?userAttributes=none:x",
        "/v1/streaks",
        "/v1/leaderboards/by-plan",
        "/v1/leaderboards/all-time-words?limit=-1",
    ] {
        driver.call(422, "GET", path, none.clone());
    }
    let bare = json!([{ "name": "Bare", "key": "bare" }]);
    driver.call(201, "POST", "/admin/v1/points", bare);
    driver.call(422, "GET", "/v1/points/bare/level-summary", none.clone());
    driver.call(404, "PATCH", "/v1/users/nobody", json!({}));
    driver.call(404, "PATCH", "/v1/users/nobody/preferences", json!({}));
    driver.call(
        422,
        "PATCH",
        "/v1/users/18/preferences",
        json!({ "notifications": [] }),
    );
    driver.call(422, "PUT", "/v1/users/18", json!({ "tz": "Mars/Olympus" }));
    driver.call(
        422,
        "POST",
        "/v1/users",
        json!({ "id": "n", "subscribeToEmails": true }),
    );
    driver.call(400, "POST", "/v1/users", json!({ "name": "n" }));
    driver.call(400, "PUT", "/v1/users/18", json!([]));
    driver.call(
        400,
        "POST",
        EVENT,
        json!({ "user": { "id": "18" }, "value": "5" }),
    );
    driver.call(400, "POST", EVENT, json!({ "user": "18", "value": 5 }));
    driver.call(422, "POST", "/v1/metrics/none/event", event("18", 1.0));
    let complete = json!({ "user": { "id": "18" } });
    driver.call(404, "POST", "/v1/achievements/none/complete", complete);
    driver.call(
        422,
        "POST",
        "/v1/achievements/finish-onboarding/complete",
        json!({}),
    );
    let batches = "/admin/v1/metrics/events";
    let one = json!({ "key": "words-written", "user": { "id": "18" }, "value": 1 });
    driver.call(400, "POST", batches, vec![one.clone(); 1001].into());
    driver.call(
        400,
        "POST",
        batches,
        json!([one, { "key": "words-written" }]),
    );
    driver.call(
        404,
        "POST",
        batches,
        json!([one, { "key": "none", "user": { "id": "1" }, "value": 1 }]),
    );
    driver.call(
        422,
        "POST",
        batches,
        json!([{ "key": "words-written", "user": { "id": "1" },
        "value": 1, "attributes": { "none": "x" } }]),
    );
}

/// Each operation refuses a wrong key, and is where the service's table says it is.
fn compare_with_the_table(driver: &Driver) {
    let Some(folder) = shared() else {
        println!("skipped: the service's table of operations, which is not here");
        return;
    };
    let table = std::fs::read_to_string(folder.join("trophy-api/operations.tsv")).unwrap();
    let mut client = start();
    client.key = "sandbox_admin.wrong".into();
    let mut known = BTreeSet::new();
    for row in table.lines().skip(1) {
        let fields: Vec<&str> = row.split('\t').collect();
        let [api, id, method, path, ..] = fields[..] else {
            panic!("{row}")
        };
        let base = if api == "admin" { "/admin/v1" } else { "/v1" };
        let path = format!("{base}{path}").replace(['{', '}'], "");
        let body = matches!(method, "POST" | "PUT" | "PATCH").then(|| json!({}));
        let (status, reply) = client.call(method, &path, body.as_ref());
        assert_eq!(status, 401, "{row}: {reply}");
        assert_eq!(client.sandbox.requests(1)[0]["operation"], id, "{row}");
        if let Some(description) = &driver.description {
            description.check(id, status, &reply).unwrap();
        }
        known.insert(id.to_owned());
    }
    assert_eq!(known, *driver.succeeded.borrow());
}
