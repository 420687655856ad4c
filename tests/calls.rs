//! Calls over a service that fails in all its ways: what is tried again, what counts, and in what order.

mod service;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::json;
use service::*;
use trophy::api::event::EventArgs;
use trophy::client::Client;
use trophy::error::Status;
use trophy::host::log::{self, LogLevel};

#[test]
fn an_event_counts_once_when_its_reply_is_lost() {
    for fault in [
        json!({"fault": "close_after", "probability": 0.3, "seed": 7, "operation": "metrics_event"}),
        json!({"fault": "status_after", "status": 500, "probability": 0.3, "seed": 7, "operation": "metrics_event"}),
        json!({"fault": "reset", "probability": 0.3, "seed": 7, "operation": "metrics_event"}),
    ] {
        let service = Service::start();
        service.fault(fault);
        let client = Arc::new(service.client(json!({"max_retries": 20, "workers": 20})));
        let ear = Ear::new();
        for number in 0..60 {
            client
                .event_async(&event(&user(number % 20)), ear.callback(0))
                .unwrap();
        }
        for (status, json) in ear.take(60) {
            assert_eq!(status, Status::Ok, "{json}");
        }
        assert_eq!(service.events(), 60);
        assert!(service.counted().values().all(|count| *count == 3));
        assert_eq!(service.most_in_flight(), 1);
    }
}

#[test]
fn a_reply_that_cannot_be_read_is_not_asked_for_again() {
    for fault in [
        json!({"fault": "not_json"}),
        json!({"fault": "oversized", "bytes": 100_000}),
        json!({"fault": "cut", "bytes": 200}),
    ] {
        let service = Service::start();
        service.fault(fault.clone());
        let client = service.client(json!({"max_response_bytes": 50_000}));
        let error = client.event(&event(&user(18))).unwrap_err();
        assert_eq!(error.status, Status::InvalidResponse, "{fault}: {error}");
        assert!(error.message.contains("may have been counted"), "{error}");
        assert_eq!(service.requests("metrics_event"), 1);
        assert_eq!(service.events(), 1);
    }
}

#[test]
fn somebody_elses_answer_is_told_from_the_services() {
    let service = Service::start();
    let client = service.client(json!({"max_retries": 0}));
    for (status, expected) in [
        (200, Status::InvalidResponse),
        (403, Status::Forbidden),
        (404, Status::NotFound),
        (407, Status::Http),
        (511, Status::Server),
    ] {
        for (body, is_the_services) in [("<html>", false), (r#"{"error":"no"}"#, true)] {
            if status == 200 && is_the_services {
                continue;
            }
            service.fault(
                json!({"fault": "status_before", "status": status, "body": body, "count": 1}),
            );
            let error = client.event(&event(&user(18))).unwrap_err();
            assert_eq!(error.status, expected, "{error}");
            let doubts = error
                .message
                .contains("this does not look like the service: a proxy or a portal?");
            assert_eq!(doubts, !is_the_services, "{error}");
        }
    }
}

#[test]
fn what_a_server_will_not_take_yet_is_tried_again() {
    for status in [408, 409, 421, 425] {
        let service = Service::start();
        service.fault(
            json!({"fault": "status_before", "status": status, "body": "<html>", "count": 1}),
        );
        let client = service.client(json!({}));
        client.event(&event(&user(18))).unwrap();
        assert_eq!(service.requests("metrics_event"), 2);
        assert_eq!(service.events(), 1);
    }
    // Nobody knows what a conflict is about where there is no key.
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 409, "count": 1}));
    let client = service.client(json!({}));
    let error = client
        .call("users_identify", Some(r#"{"id":"1","body":{}}"#))
        .unwrap_err();
    assert_eq!(error.details.http_status, Some(409));
    assert_eq!(service.requests("users_identify"), 1);
}

#[test]
fn a_byte_order_mark_before_a_reply_is_passed_over() {
    let service = Service::start();
    service
        .fault(json!({"fault": "status_before", "status": 201, "body": "\u{feff}{\"total\":1}"}));
    let client = service.client(json!({}));
    assert_eq!(client.event(&event(&user(18))).unwrap(), r#"{"total":1}"#);
}

#[test]
fn what_is_not_safe_is_not_sent_twice() {
    let service = Service::start();
    service.fault(json!({"fault": "close_after", "operation": "users_create"}));
    let client = service.client(json!({}));
    let error = client
        .call("users_create", Some(r#"{"body":{"id":"new"}}"#))
        .unwrap_err();
    assert_eq!(error.status, Status::Network);
    assert_eq!(error.details.attempts, 1);
    assert_eq!(service.requests("users_create"), 1);
}

#[test]
fn a_connection_that_the_server_closed_meanwhile_is_replaced() {
    let service = Service::start();
    service.fault(json!({"fault": "stale"}));
    let client = service.client(json!({"max_retries": 0}));
    for _ in 0..3 {
        client.event(&event(&user(18))).unwrap();
        client.call("users_get", Some(r#"{"id":"18"}"#)).unwrap();
    }
    assert_eq!(service.events(), 3);
}

#[test]
fn retry_after_is_kept_and_told() {
    let service = Service::start();
    service.fault(json!({"fault": "rate_limited", "retryAfter": "1", "count": 1}));
    let client = service.client(json!({}));
    let start = Instant::now();
    client.event(&event(&user(18))).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));

    service.fault(json!({"fault": "rate_limited", "retryAfter": "3600"}));
    let error = client.event(&event(&user(18))).unwrap_err();
    assert_eq!(error.status, Status::RateLimited);
    assert_eq!(error.details.http_status, Some(429));
    assert_eq!(error.details.retry_after, Some(Duration::from_secs(3600)));
    assert_eq!(
        error.details.attempts, 1,
        "an hour is beyond the call's deadline"
    );
    assert_eq!(stats(&client)["rateLimited"], 2);
}

#[test]
fn redirects_are_not_followed() {
    let service = Service::start();
    let other = Service::start();
    let location = format!("{}/metrics/words-written/event", other.0.url());
    service.fault(json!({"fault": "redirect", "location": location, "status": 307}));
    let client = service.client(json!({}));
    let error = client.event(&event(&user(18))).unwrap_err();
    assert_eq!(error.status, Status::Http);
    assert_eq!(error.details.http_status, Some(307));
    assert_eq!(other.requests("metrics_event"), 0);
}

#[test]
fn a_call_ends_at_its_deadline() {
    let service = Service::start();
    service.fault(json!({"fault": "hang"}));
    let client = service.client(json!({"timeout_in_seconds": 0.3}));
    let start = Instant::now();
    let error = client.event(&event(&user(18))).unwrap_err();
    assert_eq!(error.status, Status::Timeout);
    assert!(start.elapsed() >= Duration::from_millis(290));
    let message = &error.message;
    assert!(message.contains("`timeout_in_seconds` sets"), "{message}");
    let options = json!({"attempt_timeout_in_seconds": 0.3, "max_retries": 0});
    let error = service
        .client(options)
        .event(&event(&user(17)))
        .unwrap_err();
    let message = &error.message;
    assert!(
        message.contains("`attempt_timeout_in_seconds` sets"),
        "{message}"
    );

    // An event behind it in its lane waits no longer than its own deadline.
    std::thread::scope(|scope| {
        let slow = EventArgs {
            options_json: Some(r#"{"timeout_in_seconds":1}"#),
            ..event(r#"{"id":"18"}"#)
        };
        let client = &client;
        scope.spawn(move || client.event(&slow));
        wait_until("the slow event is under way", || {
            stats(client)["callsUnderWay"] == 1
        });
        let error = client.event(&event(&user(18))).unwrap_err();
        assert_eq!(error.status, Status::Timeout);
        assert!(error.message.contains("an earlier event"), "{error}");
    });
}

#[test]
fn events_of_a_lane_go_one_by_one_and_in_order_and_others_overtake() {
    let service = Service::start();
    service.fault(json!({"fault": "delay", "ms": 30, "operation": "metrics_event"}));
    let client = Arc::new(service.client(json!({"workers": 8})));
    let ear = Ear::new();
    for number in 0..10 {
        let value = f64::from(number);
        let user = user("busy");
        client
            .event_async(
                &EventArgs {
                    value,
                    ..event(&user)
                },
                ear.callback(0),
            )
            .unwrap();
    }
    client
        .event_async(&event(&user("other")), ear.callback(1))
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let client = Arc::clone(&client);
            scope.spawn(move || client.event(&event(&user("busy"))).unwrap());
        }
    });
    ear.take(11);
    assert_eq!(service.most_in_flight(), 1);
    let requests = service.0.requests(100);
    let bodies: Vec<_> = requests
        .as_array()
        .unwrap()
        .iter()
        .map(|request| request["body"].as_str().unwrap().to_owned())
        .collect();
    let values: Vec<_> = bodies
        .iter()
        .filter(|body| body.contains("busy"))
        .filter_map(|body| {
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            body["value"].as_f64()
        })
        .collect();
    let asynchronous: Vec<_> = (0..10).map(f64::from).collect();
    let mut expected = asynchronous.iter();
    let mut next = expected.next();
    for value in &values {
        if Some(value) == next {
            next = expected.next();
        }
    }
    assert_eq!(next, None, "not in order: {values:?}");
    let other = bodies
        .iter()
        .position(|body| body.contains("other"))
        .unwrap();
    assert!(other < 5, "the other lane waited");
}

#[test]
fn tenants_have_lanes_and_headers_of_their_own() {
    let service = Service::start();
    let client = service.client(json!({"tenant_id": "the client's"}));
    let other = client.for_tenant("other").unwrap();
    client
        .call("users_create", Some(r#"{"body":{"id":"1"}}"#))
        .unwrap();
    other
        .call("users_create", Some(r#"{"body":{"id":"1"}}"#))
        .unwrap();
    let own = r#"{"body":{"id":"1"},"options":{"tenant_id":"the call's"}}"#;
    other.call("users_create", Some(own)).unwrap();
    other.call("admin_tenants_list", None).unwrap();
    let requests = service.0.requests(10);
    let tenants: Vec<_> = requests
        .as_array()
        .unwrap()
        .iter()
        .map(|request| {
            let headers = request["headers"].as_array().unwrap().iter();
            let mut tenants = headers.filter(|header| header[0] == "tenant-id");
            tenants
                .next()
                .map(|header| header[1].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(
        tenants,
        [
            Some("the client's".into()),
            Some("other".into()),
            Some("the call's".into()),
            None
        ]
    );
}

#[test]
fn a_secret_that_comes_back_in_an_error_is_not_passed_on() {
    for shown in ["open-sesame", r"\u006fpen\u002dsesame", "open%2Dsesame"] {
        let service = Service::start();
        let body = format!("{{\"error\":\"bad key sandbox_admin.{shown}\"}}");
        service.fault(json!({"fault": "status_before", "status": 401, "body": body}));
        let client = service.client(json!({}));
        let error = client.event(&event(&user(18))).unwrap_err();
        assert_eq!(error.status, Status::Unauthorized);
        let json = error.to_json();
        assert!(json.contains("bad key"), "{json}");
        assert!(!json.contains("sesame"), "{json}");
    }
}

#[test]
fn the_log_says_what_the_header_says_of_its_levels_and_its_callback_may_call_the_library() {
    // Never freed, so that a callback that would wait for ever fails the test and does not stop it.
    static CLIENT: OnceLock<Client> = OnceLock::new();
    // The log is the process's: lines of other tests come, too.
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    log::set(
        LogLevel::Info,
        Some(Box::new(move |level, message| {
            if let Some(client) = CLIENT.get() {
                client.stats().unwrap();
            }
            kept.lock().unwrap().push((level, message.to_owned()));
        })),
    );
    let has_line = |expected, begins: &str, ends: &str| {
        lines
            .lock()
            .unwrap()
            .iter()
            .any(|(level, line): &(_, String)| {
                *level == expected && line.starts_with(begins) && line.ends_with(ends)
            })
    };
    let wait_for = |level, begins, ends| {
        wait_until(begins, || has_line(level, begins, ends));
    };
    let service = Service::start();
    service.fault(json!({"fault": "status_before", "status": 503, "operation": "users_wrapped"}));
    service.fault(json!({"fault": "rate_limited", "operation": "metrics_event", "count": 1}));
    let mut options = fast(json!({}));
    options["max_retries"] = 1.into();

    let client = CLIENT.get_or_init(|| service.client(options));
    wait_for(LogLevel::Info, "client made, with key ", "[redacted]");

    let call = client.call("users_wrapped", Some(r#"{"id":"1"}"#));
    assert_eq!(call.unwrap_err().status, Status::Server);
    let given_up = "; given up after 2 attempts";
    wait_for(LogLevel::Warn, "users_wrapped: ", given_up);

    enqueue(client, 1);
    wait_for(LogLevel::Warn, "queue: kept, and sent more slowly: ", "");
    flush(client);

    client.close(0).unwrap();
    let nothing_left = " 0 events undelivered, 0 calls cancelled";
    wait_for(LogLevel::Info, "client closed,", nothing_left);
    log::set(LogLevel::Off, None);
}
