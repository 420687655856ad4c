//! Users: what they say of themselves, and what comes of the day they signed up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Client, EVENT, event, start};
use serde_json::{Value, json};

fn user(client: &Client) -> Value {
    client.get("/v1/users/18")
}

#[test]
fn a_sign_up_date_is_kept_apart_from_the_creation() {
    let client = start().at("2026-03-02");
    let created = user(&client)["created"].clone();
    assert_eq!(user(&client)["signUpDate"], Value::Null);

    let body = json!({ "signUpDate": "2020-08-20" });
    let (status, changed) = client.call("PUT", "/v1/users/18", Some(&body));

    assert_eq!(
        (status, &changed["signUpDate"]),
        (200, &json!("2020-08-20"))
    );
    assert_eq!(changed["created"], created);
}

#[test]
fn a_date_time_is_kept_as_its_utc_day() {
    let client = start().at("2026-03-02");
    for (given, kept) in [
        ("2020-08-20T23:30:00-05:00", "2020-08-21"),
        ("2020-08-20T12:00:00.000Z", "2020-08-20"),
        ("2020-08-20T23:30:00", "2020-08-20"),
    ] {
        let changed = client.patch("/v1/users/18", &json!({ "signUpDate": given }));
        assert_eq!(changed["signUpDate"], kept, "{given}");
    }
    for given in [json!("yesterday"), json!("2020-02-30"), json!(20200820)] {
        let body = json!({ "signUpDate": given });
        let (status, reply) = client.call("PATCH", "/v1/users/18", Some(&body));
        assert_eq!(status, 400, "{given}: {reply}");
    }
}

#[test]
fn nobody_signs_up_later_than_today_in_their_own_zone() {
    let client = start();
    // In Auckland, it is the 3rd already.
    client
        .sandbox
        .set_clock(Some("2026-03-02T12:00:00Z"))
        .unwrap();
    let mut body = event("new", 1.0);
    body["user"]["signUpDate"] = json!("2026-03-03");

    let (status, reply) = client.call("POST", EVENT, Some(&body));
    assert_eq!(status, 422, "{reply}");
    assert_eq!(client.sandbox.ledger()["events"], 0);

    body["user"]["tz"] = json!("Pacific/Auckland");
    client.post(EVENT, &body);
    assert_eq!(client.get("/v1/users/new")["signUpDate"], "2026-03-03");
}

#[test]
fn null_clears_a_sign_up_date_in_a_patch_alone() {
    let client = start().at("2026-03-02");
    client.patch("/v1/users/18", &json!({ "signUpDate": "2020-08-20" }));

    let null = json!({ "signUpDate": null });
    let (_, kept) = client.call("PUT", "/v1/users/18", Some(&null));
    assert_eq!(kept["signUpDate"], "2020-08-20");
    assert_eq!(
        client.patch("/v1/users/18", &null)["signUpDate"],
        Value::Null
    );
}

#[test]
fn a_batch_passes_over_a_sign_up_date() {
    let client = start().at("2026-03-02");
    let batch = json!([{ "key": "words-written", "value": 1,
        "user": { "id": "new", "name": "Bo", "signUpDate": "nonsense" } }]);
    client.post("/admin/v1/metrics/events", &batch);
    let made = client.get("/v1/users/new");
    assert_eq!(
        (&made["name"], &made["signUpDate"]),
        (&json!("Bo"), &Value::Null)
    );
}

#[test]
fn the_email_of_a_user_who_wants_none_is_not_kept() {
    let client = start();
    let made = client.post("/v1/users", &json!({ "id": "new", "email": "a@b.c" }));
    assert_eq!(
        (&made["subscribeToEmails"], &made["email"]),
        (&json!(true), &json!("a@b.c"))
    );

    let changed = client.patch("/v1/users/new", &json!({ "subscribeToEmails": false }));
    assert_eq!(changed["email"], Value::Null);
    let changed = client.patch("/v1/users/new", &json!({ "email": "a@b.c" }));
    assert_eq!(changed["email"], Value::Null);
}

fn anniversary(client: &Client) {
    let item = json!([{ "name": "Two years", "status": "active", "trigger": "anniversary",
        "anniversaryYears": 2 }]);
    client.post("/admin/v1/achievements", &item);
}

fn done(client: &Client, user: &str) -> Vec<Value> {
    let achievements = client.get(&format!("/v1/users/{user}/achievements"));
    let achievements = achievements.as_array().unwrap();
    achievements.iter().map(|a| a["name"].clone()).collect()
}

#[test]
fn an_anniversary_comes_with_the_day_in_the_users_zone() {
    let client = start().at("2026-03-01");
    anniversary(&client);
    let changes = json!({ "signUpDate": "2024-03-03", "tz": "Pacific/Auckland" });
    client.patch("/v1/users/18", &changes);
    assert!(done(&client, "18").is_empty());

    client
        .sandbox
        .set_clock(Some("2026-03-02T12:00:00Z"))
        .unwrap();

    assert_eq!(done(&client, "18"), ["Two years"]);
    let wrapped = client.get("/v1/users/18/wrapped");
    let year = &wrapped["activity"]["entireYear"]["achievements"];
    assert_eq!(year[0]["anniversaryYears"], 2);
}

#[test]
fn an_event_tells_of_an_anniversary_that_is_due() {
    let client = start().at("2026-03-02");
    anniversary(&client);
    let mut body = event("18", 0.25);
    body["user"]["signUpDate"] = json!("2024-02-29");

    let told = client.post(EVENT, &body);
    assert_eq!(told["achievements"][0]["trigger"], "anniversary");
    assert_eq!(client.post(EVENT, &body)["achievements"], json!([]));
}

#[test]
fn who_never_signed_up_has_no_anniversary() {
    let client = start().at("2026-03-02");
    anniversary(&client);
    client.noon_of("2036-03-02");
    assert!(done(&client, "18").is_empty());
}
