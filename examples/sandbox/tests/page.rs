//! What the page is told, and whom `/_sandbox` answers. The page itself is tested in a browser: tests/page.sh.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use common::{Client, EVENT, event, send, start, start_with};
use serde_json::{Value, json};
use trophy_sandbox::{Options, Sandbox};

/// The status of a request that is written as it is; `HOST` stands for the sandbox's own.
fn status(client: &Client, request: &str) -> u16 {
    let host = format!("127.0.0.1:{}", client.sandbox.port());
    let text = request.replace("HOST", &host).replace('\n', "\r\n");
    let mut reply = BufReader::new(send(&client.sandbox, &text));
    let mut line = String::new();
    reply.read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The messages of the live stream.
struct Live(BufReader<TcpStream>);

impl Live {
    fn of(client: &Client, query: &str) -> Self {
        let port = client.sandbox.port();
        let text = format!("GET /_sandbox/live?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        Self(BufReader::new(send(&client.sandbox, &text)))
    }

    fn next(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            if let Some(message) = line.strip_prefix("data: ") {
                return serde_json::from_str(message).unwrap();
            }
        }
    }

    /// The first message that has what is asked for.
    fn until(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        for _ in 0..100 {
            let message = self.next();
            if wanted(&message) {
                return message;
            }
        }
        panic!("a hundred messages without it");
    }
}

#[test]
fn a_foreign_host_is_refused_by_the_page_and_by_each_control_route() {
    let client = start();
    for path in [
        "/",
        "/_sandbox/page/main.js",
        "/_sandbox/live",
        "/_sandbox/variables",
        "/_sandbox/ledger",
        "/_sandbox/requests",
        "/_sandbox/request?id=1",
        "/_sandbox/faults",
        "/_sandbox/clock",
        "/_sandbox/users",
        "/_sandbox/user?id=18",
        "/_sandbox/world",
    ] {
        let with = |headers: &str| status(&client, &format!("GET {path} HTTP/1.1\n{headers}\n\n"));
        assert_eq!(with("Host: evil.example:8750"), 403, "{path}");
        assert_eq!(
            with("Host: HOST\nOrigin: http://evil.example"),
            403,
            "{path}"
        );
        assert_ne!(with("Host: HOST"), 403, "{path}");
        assert_ne!(with("Host: HOST\nOrigin: http://HOST"), 403, "{path}");
    }
}

#[test]
fn an_order_from_another_site_s_page_changes_nothing() {
    let client = start();
    for path in ["reset", "faults", "clock", "keys", "event"] {
        for from in [
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
            "Origin: null",
        ] {
            let request = format!(
                "POST /_sandbox/{path} HTTP/1.1\nHost: HOST\n{from}\nContent-Length: 2\n\n{{}}"
            );
            assert_eq!(status(&client, &request), 403, "{path} {from}");
        }
    }
    assert_eq!(client.write("18", 1.0)["total"], 1);
}

#[test]
fn the_api_itself_is_at_any_name() {
    // What guards it is the key; containers and proxies have names of their own.
    let client = start();
    let key = Sandbox::ADMIN_KEY;
    let request = format!("GET /v1/users/18 HTTP/1.1\nHost: trophy-sandbox\nX-API-KEY: {key}\n\n");
    assert_eq!(status(&client, &request), 200);
}

#[test]
fn the_page_allows_no_script_but_its_own() {
    let client = start();
    let port = client.sandbox.port();
    let text = format!("GET / HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    let mut reply = String::new();
    send(&client.sandbox, &text)
        .read_to_string(&mut reply)
        .unwrap();
    let (head, page) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-security-policy: default-src 'none'; script-src 'self';"));
    assert!(head.contains("frame-ancestors 'none'") && !head.contains("unsafe"));
    assert!(page.contains("<title>Trophy sandbox</title>"));
    // Nothing is loaded from elsewhere, in no file.
    assert!(!page.contains("http"));
}

#[test]
fn a_page_is_told_what_came_before_it_and_then_what_is_new() {
    let client = start();
    client.write("before", 5.0);
    let mut live = Live::of(&client, "");
    let first = live.next();
    assert_eq!(first["fresh"], true);
    assert_eq!(first["rows"][0]["about"][0]["user"], "before");

    client.write("after", 7.0);
    let news = live.until(|news| news["rows"] != json!([]));
    assert_eq!(news["fresh"], false);
    let rows = news["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["about"][0]["value"].as_f64(), Some(7.0));
    assert_eq!(rows[0]["counted"], 1);
    assert_eq!(rows[0]["status"], 201);
    assert_eq!(news["totals"]["events"], 2);

    client.sandbox.reset().unwrap();
    let news = live.until(|news| news["fresh"] == true);
    assert_eq!(news["rows"], json!([]));
}

#[test]
fn a_page_is_told_of_a_request_again_when_it_has_its_answer() {
    let client = start();
    client
        .sandbox
        .add_fault(&json!({ "fault": "hang", "operation": "users_get", "count": 1 }))
        .unwrap();
    let mut live = Live::of(&client, "user=18");
    let key = Sandbox::ADMIN_KEY;
    let text = format!("GET /v1/users/18 HTTP/1.1\r\nHost: x\r\nX-API-KEY: {key}\r\n\r\n");
    let waiting = send(&client.sandbox, &text);
    let news = live.until(|news| news["rows"][0]["fault"] == "hang");
    assert_eq!(news["rows"][0]["end"], "waiting");
    assert_eq!(news["rows"][0]["status"], Value::Null);
    assert_eq!(news["faults"][0]["fired"], 1);

    drop(waiting);
    live.until(|news| news["rows"][0]["end"] == "left");
}

#[test]
fn a_filter_goes_back_through_all_that_is_kept() {
    let client = start();
    client.post(
        EVENT,
        &json!({ "user": { "id": "7", "name": "Grace" }, "value": 1 }),
    );
    client.call("POST", EVENT, Some(&event("7", f64::NAN)));
    for _ in 0..250 {
        client.write("18", 1.0);
    }
    let rows = |query: &str| {
        let message = Live::of(&client, query).next();
        message["rows"].as_array().unwrap().clone()
    };
    assert_eq!(rows("").len(), 200, "a page keeps so many");
    assert_eq!(rows("user=grace").len(), 1);
    assert_eq!(rows("user=7").len(), 2);
    assert_eq!(rows("user=7&status=2xx").len(), 1);
    assert_eq!(rows("status=400").len(), 1);
    assert_eq!(rows("status=none").len(), 0);
    assert_eq!(rows("metric=chapters-read").len(), 0);
    client.get("/v1/users/7");
    assert_eq!(rows("user=7").len(), 3);
    assert_eq!(rows("user=7&events=only").len(), 2);
}

#[test]
fn however_many_come_a_message_has_forty_rows_and_the_totals_have_all() {
    let client = start();
    let mut live = Live::of(&client, "");
    live.next();
    let batch: Vec<Value> = (0..1000)
        .map(|user| json!({ "key": "words-written", "user": { "id": format!("{user}") }, "value": 1 }))
        .collect();
    client.post("/admin/v1/metrics/events", &json!(batch));
    for _ in 0..200 {
        client.write("18", 1.0);
    }
    let mut most = 0;
    live.until(|news| {
        most = most.max(news["rows"].as_array().unwrap().len());
        news["totals"]["events"] == 1200
    });
    assert!((1..=40).contains(&most), "{most}");
    let mut live = Live::of(&client, "user=999");
    let row = live.next()["rows"][0].clone();
    assert_eq!(row["events"], 1000);
    assert_eq!(row["counted"], 1000);
    assert_eq!(row["about"].as_array().unwrap().len(), 20);
}

#[test]
fn a_request_is_shown_whole_with_its_reply_and_without_a_secret() {
    let client = start();
    client.write("18", 750.0);
    let made = client.post(
        "/admin/v1/application-api-keys",
        &json!([{ "userId": "18" }]),
    );
    let secret = made["created"][0]["key"].as_str().unwrap().to_owned();

    let event = client.get("/_sandbox/request?id=1");
    assert_eq!(event["operation"], "metrics_event");
    assert_eq!(event["request"]["path"], EVENT);
    let reply: Value = serde_json::from_str(event["reply"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(reply["total"], 750);
    let key = client.get("/_sandbox/request?id=2");
    assert_eq!(key["operation"], "admin_application_api_keys_create");
    let shown = format!("{event} {key}");
    assert!(shown.contains("sandbox_admin.***"));
    assert!(!shown.contains("open-sesame"));
    assert!(!shown.contains(&secret));
    assert!(shown.contains(secret.split_once('.').unwrap().0));
    assert_eq!(client.call("GET", "/_sandbox/request?id=3", None).0, 400);
}

#[test]
fn a_reply_that_never_went_out_has_no_status() {
    let client = start();
    for fault in ["close_before", "close_after", "reset"] {
        client
            .sandbox
            .add_fault(&json!({ "fault": fault, "count": 1 }))
            .unwrap();
        assert!(client.try_call("GET", "/v1/users/18", None).is_err());
        let rows = Live::of(&client, "").next()["rows"].clone();
        assert_eq!(rows[0]["fault"], fault);
        assert_eq!(rows[0]["status"], Value::Null);
    }
}

#[test]
fn an_event_by_hand_goes_the_way_of_any_other() {
    let client = start();
    let by_hand = json!({
        "metric": "words-written",
        "event": event("18", 5.0),
        "idempotencyKey": "k",
        "tenant": "north",
    });
    let (status, reply) = client.call("POST", "/_sandbox/event", Some(&by_hand));
    assert_eq!((status, &reply["total"]), (201, &json!(5)));
    let (status, reply) = client.call("POST", "/_sandbox/event", Some(&by_hand));
    assert_eq!((status, &reply["idempotentReplayed"]), (202, &json!(true)));
    let ledger = client.sandbox.ledger();
    assert_eq!(ledger["events"], 1);
    assert_eq!(ledger["requests"]["metrics_event"], 2);
    assert_eq!(ledger["lanes"][0]["tenant"], "north");
    let whole = client.get("/_sandbox/request?id=1");
    assert_eq!(whole["apiKey"], "sandbox_admin.***");

    client
        .sandbox
        .add_fault(&json!({ "fault": "close_before", "count": 1 }))
        .unwrap();
    assert!(
        client
            .try_call("POST", "/_sandbox/event", Some(&by_hand))
            .is_err()
    );
    client.sandbox.set_admin_keys(&[]);
    assert_eq!(
        client.call("POST", "/_sandbox/event", Some(&by_hand)).0,
        401
    );
    let (status, _) = client.call("POST", "/_sandbox/event", Some(&json!({ "metric": "x" })));
    assert_eq!(status, 400);
}

#[test]
fn the_variables_have_a_key_that_works_after_a_rotation_too() {
    let mut client = start_with(Options {
        admin_key: Some("my.key".into()),
        ..Options::default()
    });
    let variables = client.get("/_sandbox/variables");
    assert_eq!(variables["TROPHY_API_KEY"], "my.key");
    assert_eq!(variables["TROPHY_BASE_URL"], client.sandbox.url());
    assert_eq!(
        variables["TROPHY_ADMIN_BASE_URL"],
        client.sandbox.admin_url()
    );
    client.post("/_sandbox/keys", &json!({ "adminKeys": ["new.secret"] }));
    let variables = client.get("/_sandbox/variables");
    assert_eq!(variables["TROPHY_API_KEY"], "new.secret");
    client.key = "new.secret".into();
    assert_eq!(client.write("18", 1.0)["total"], 1);
}

#[test]
fn to_look_at_the_world_is_no_request_and_meets_no_limit() {
    let client = start_with(Options {
        rates: trophy_sandbox::Rates {
            tier_one: Some(1),
            tier_two: Some(1),
        },
        ..Options::default()
    });
    client.write("18", 1200.0);
    let user = client.get("/_sandbox/user?id=18");
    assert_eq!(user["user"]["name"], "Ada");
    assert_eq!(user["metrics"][0]["current"], 1200);
    assert_eq!(user["streak"]["length"], 1);
    assert_eq!(user["points"][0]["total"], 120);
    assert_eq!(user["points"][0]["level"]["name"], "Silver");
    assert_eq!(user["leaderboards"][0]["rank"], 1);
    assert_eq!(user["preferences"]["streak"]["enabled"], true);
    let done = user["achievements"].as_array().unwrap();
    let done = done.iter().filter(|a| a["achievedAt"].is_string()).count();
    assert_eq!(done, 3);
    let users = client.get("/_sandbox/users?q=ADA");
    assert_eq!(users["found"], 1);
    assert_eq!(users["users"][0]["totals"][0]["total"], 1200);
    let world = client.get("/_sandbox/world");
    assert_eq!(world["leaderboards"][0]["rankings"][0]["userName"], "Ada");
    assert_eq!(world["limits"], json!({ "tierOne": 1, "tierTwo": 1 }));
    assert_eq!(
        client.sandbox.ledger()["requests"],
        json!({ "metrics_event": 1 })
    );
    assert_eq!(client.call("GET", "/_sandbox/user?id=nobody", None).0, 400);
    assert_eq!(
        client.call("GET", "/_sandbox/world?tenant=nowhere", None).0,
        400
    );
}

#[test]
fn a_leaderboard_with_breakdown_is_shown_for_each_group_and_each_tenant_by_itself() {
    let world = include_str!("../worlds/language-app.json");
    let client = start_with(Options {
        world: Some(serde_json::from_str(world).unwrap()),
        ..Options::default()
    });
    let shown = client.get("/_sandbox/world");
    assert_eq!(shown["multiTenancy"], true);
    let tenant = shown["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| *t != "")
        .unwrap();
    let tenant = tenant.as_str().unwrap().to_owned();
    let metric = shown["metrics"][0]["key"].as_str().unwrap().to_owned();
    let client = client.with_header("Tenant-ID", &tenant);
    for (user, plan) in [("ann", "free"), ("bob", "pro"), ("cleo", "pro")] {
        let user = json!({ "id": user, "attributes": { "plan": plan } });
        client.post(
            &format!("/v1/metrics/{metric}/event"),
            &json!({ "user": user, "value": 50 }),
        );
    }
    let groups = |shown: &Value| -> Vec<Value> {
        let boards = shown["leaderboards"].as_array().unwrap();
        boards
            .iter()
            .map(|board| board["group"].clone())
            .filter(Value::is_string)
            .collect()
    };
    let shown = client.get(&format!("/_sandbox/world?tenant={tenant}"));
    assert_eq!(groups(&shown), ["plan:free", "plan:pro"]);
    assert_eq!(groups(&client.get("/_sandbox/world")), [] as [&str; 0]);
    let users = client.get(&format!("/_sandbox/users?tenant={tenant}"));
    assert_eq!(users["found"], 4, "the world has a learner");
    let user = client.get(&format!("/_sandbox/user?id=ann&tenant={tenant}"));
    assert_eq!(user["user"]["attributes"]["plan"], "free");
    assert_eq!(client.call("GET", "/_sandbox/user?id=ann", None).0, 400);
}
