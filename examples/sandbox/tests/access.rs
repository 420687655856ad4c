//! Who may do what: keys, tenants, limits, TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::sync::Arc;

use common::{EVENT, event, start, start_with};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use trophy_sandbox::{Options, Rates, Sandbox};

#[test]
fn an_application_key_acts_for_its_own_user_only() {
    let mut client = start();
    client.key = Sandbox::APPLICATION_KEY.into();

    assert_eq!(client.call("POST", EVENT, Some(&event("18", 1.0))).0, 201);
    assert_eq!(client.call("GET", "/v1/users/18/streak", None).0, 200);
    assert_eq!(
        client
            .call("GET", "/v1/leaderboards/all-time-words", None)
            .0,
        200
    );
    assert_eq!(client.call("POST", EVENT, Some(&event("19", 1.0))).0, 403);
    assert_eq!(client.call("GET", "/v1/users/19", None).0, 403);
    assert_eq!(client.call("GET", "/v1/streaks?userIds=18,19", None).0, 403);
    assert_eq!(client.call("GET", "/admin/v1/metrics", None).0, 401);
}

#[test]
fn an_application_key_lives_from_its_creation_to_its_deletion() {
    let mut client = start();
    let path = "/admin/v1/application-api-keys";
    let made = client.post(path, &json!([{ "userId": "x y" }]))["created"][0].clone();
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with(&format!("{}.", made["prefix"].as_str().unwrap())));

    let admin = std::mem::replace(&mut client.key, key.clone());
    assert_eq!(client.call("POST", EVENT, Some(&event("x y", 1.0))).0, 201);
    client.key = admin;
    let gone = format!("{path}?ids={}", made["id"].as_str().unwrap());
    assert_eq!(client.call("DELETE", &gone, None).0, 200);
    client.key = key;
    assert_eq!(client.call("POST", EVENT, Some(&event("x y", 1.0))).0, 401);
}

#[test]
fn a_rotated_key_is_refused_at_once() {
    let mut client = start();
    client.post("/_sandbox/keys", &json!({ "adminKeys": ["new.key"] }));
    assert_eq!(client.call("GET", "/v1/users/18", None).0, 401);
    client.key = "new.key".into();
    assert_eq!(client.call("GET", "/v1/users/18", None).0, 200);
}

#[test]
fn tenants_do_not_see_each_other() {
    let client = start().with_header("Tenant-ID", "acme");
    client.write("18", 5.0);

    assert_eq!(client.lane("18")["tenant"], "acme");
    let mut none = client;
    none.headers.clear();
    let metric = none.get("/v1/users/18/metrics/words-written");
    assert_eq!(metric["current"], 0);
}

#[test]
fn with_multi_tenancy_a_call_needs_a_tenant_that_exists() {
    let world = json!({
        "adminKeys": [Sandbox::ADMIN_KEY],
        "multiTenancy": true,
        "tenants": [{ "customerId": "acme", "name": "Acme" }],
        "metrics": [{ "key": "words-written", "name": "Words" }],
    });
    let mut client = start_with(Options {
        world: Some(world),
        ..Options::default()
    });
    assert_eq!(client.call("POST", EVENT, Some(&event("1", 1.0))).0, 422);
    assert_eq!(client.call("GET", "/admin/v1/tenants", None).0, 200);
    client = client.with_header("Tenant-ID", "acme");
    assert_eq!(client.call("POST", EVENT, Some(&event("1", 1.0))).0, 201);
}

#[test]
fn limits_refuse_what_is_too_much_in_a_second() {
    let rates = Rates {
        tier_one: Some(1),
        tier_two: None,
    };
    let client = start_with(Options {
        rates,
        ..Options::default()
    });

    // However slow this machine is, some second holds two of so many.
    let statuses: Vec<u16> = (0..200)
        .map(|_| client.call("POST", EVENT, Some(&event("18", 1.0))).0)
        .collect();

    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(refused > 0, "{statuses:?}");
    assert_eq!(client.sandbox.ledger()["events"], 200 - refused);
    assert_eq!(client.call("GET", "/v1/users/18", None).0, 200);
}

#[test]
fn a_client_that_trusts_the_certificate_speaks_tls() {
    let sandbox = Sandbox::start(Options {
        tls: true,
        ..Options::default()
    })
    .unwrap();
    let mut roots = RootCertStore::empty();
    let pem = sandbox.ca_pem().unwrap();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    for name in ["127.0.0.1", "localhost"] {
        let server = ServerName::try_from(name).unwrap();
        let connection = ClientConnection::new(config.clone(), server).unwrap();
        let tcp = common::send(&sandbox, "");
        let mut stream = StreamOwned::new(connection, tcp);
        let request = format!(
            "GET /v1/users/18 HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {}\r\n\r\n",
            Sandbox::ADMIN_KEY
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200 OK"), "{reply}");
    }
    assert!(sandbox.url().starts_with("https://127.0.0.1:"));
}

#[test]
fn a_world_that_makes_no_sense_is_refused_with_its_place() {
    for (world, place) in [
        (json!([]), "object"),
        (json!({ "metriks": [] }), "metriks"),
        (
            json!({ "metrics": [{ "key": "a b", "name": "x" }] }),
            "metrics[0]: key",
        ),
        (
            json!({ "metrics": [{ "key": "a", "name": "x", "colour": 1 }] }),
            "colour",
        ),
        (
            json!({ "leaderboards": [{ "key": "a", "name": "x", "rankBy": "metric", "metricKey": "none" }] }),
            "leaderboards[0]: metricKey: there is no none",
        ),
    ] {
        let started = Sandbox::start(Options {
            world: Some(world),
            ..Options::default()
        });
        let why = started.err().unwrap();
        assert!(why.contains(place), "{why}");
    }
}

#[test]
fn an_operation_that_does_not_exist_is_told_so() {
    let client = start();
    for (method, path) in [("GET", "/v1/nothing"), ("DELETE", "/v1/users")] {
        let (status, body) = client.call(method, path, None);
        assert_eq!(status, 404);
        assert!(body["error"].is_string(), "{body}");
    }
    assert_eq!(
        client.sandbox.requests(1)[0]["operation"],
        Value::from("unknown")
    );
}

#[test]
fn a_path_that_climbs_is_found_out_if_it_is_read_as_url_parsers_do() {
    let climbing = "/v1/users/%2E%2E/achievements?includeIncomplete=true";
    let of_last = |sandbox: &Sandbox| sandbox.requests(1)[0].clone();
    for (resolve_dots, status, operation) in [
        (false, 404, "users_achievements"),
        (true, 200, "achievements_all"),
    ] {
        let client = start_with(Options {
            resolve_dots,
            ..Options::default()
        });
        assert_eq!(client.call("GET", climbing, None).0, status);
        let request = of_last(&client.sandbox);
        assert_eq!(request["operation"], operation);
        // The record is of what was on the wire.
        assert_eq!(request["path"], "/v1/users/%2E%2E/achievements");
        assert_eq!(client.call("GET", "/v1/users/.../streak", None).0, 404);
        assert_eq!(of_last(&client.sandbox)["operation"], "users_streak");
    }
}

#[test]
fn a_path_that_is_not_utf8_names_nobody() {
    let client = start();
    assert_eq!(client.call("GET", "/v1/users/%FF/streak", None).0, 404);
    assert_eq!(client.call("GET", "/v1/users/%FF", None).0, 422);
    assert_eq!(client.call("GET", "/v1/points/%FF", None).0, 404);
}

#[test]
fn every_world_that_comes_along_loads() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/worlds");
    let mut loaded = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let world = Some(serde_json::from_str(&text).unwrap());
        Sandbox::start(Options {
            world,
            ..Options::default()
        })
        .map(drop)
        .unwrap();
        loaded += 1;
    }
    assert!(loaded >= 2);
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let client = start();
    let body = Value::from("x".repeat(17 << 20));
    assert_eq!(client.call("POST", EVENT, Some(&body)).0, 413);
}
