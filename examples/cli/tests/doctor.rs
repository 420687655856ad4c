//! `trophy doctor`: each thing that goes wrong for newcomers is found, and what to do is said.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::thread;

use serde_json::{Value, json};
use support::{KEY, bare, fail, lines, sandbox, text, trophy};
use trophy_sandbox::{Options, Sandbox};

struct Found {
    exit: Option<i32>,
    findings: Vec<Value>,
    said: String,
}

impl Found {
    fn of(output: Output) -> Self {
        Self {
            exit: output.status.code(),
            findings: lines(&output.stdout),
            said: text(&output.stdout),
        }
    }

    /// The verdicts of a check.
    fn verdicts(&self, check: &str) -> Vec<&str> {
        let of = self.findings.iter().filter(|it| it["check"] == check);
        of.map(|it| it["verdict"].as_str().unwrap()).collect()
    }

    /// Something is wrong with this, and what to do has this word in it.
    fn is_wrong(&self, check: &str, advice: &str) {
        let found = self.findings.iter().find(|it| {
            it["check"] == check
                && it["verdict"] != "ok"
                && it["advice"].as_str().is_some_and(|it| it.contains(advice))
        });
        assert!(found.is_some(), "{check}, {advice}: {}", self.said);
    }
}

fn doctor(command: &mut Command) -> Found {
    Found::of(command.arg("doctor").output().unwrap())
}

#[test]
fn where_all_is_well_each_line_says_so() {
    let sandbox = sandbox();
    let found = doctor(&mut trophy(&sandbox));
    assert_eq!(found.exit, Some(0), "{}", found.said);
    for check in [
        "key", "address", "proxy", "connect", "tls", "clock", "service", "batches", "limits",
        "queue",
    ] {
        let verdicts = found.verdicts(check);
        assert!(!verdicts.is_empty(), "{check}: {}", found.said);
        assert!(
            verdicts.iter().all(|verdict| *verdict == "ok"),
            "{}",
            found.said
        );
    }
    assert!(!found.said.contains("open-sesame"));
    // It reads, and sends no event.
    assert_eq!(sandbox.ledger()["events"], 0);
}

#[test]
fn a_key_that_is_missing_malformed_or_refused_is_told_apart() {
    let sandbox = sandbox();
    let with_key = |key: &str| doctor(trophy(&sandbox).env("TROPHY_API_KEY", key));

    let missing = with_key("");
    assert_eq!(missing.exit, Some(2));
    missing.is_wrong("key", "--key-file");
    assert_eq!(
        missing.verdicts("connect"),
        ["ok"],
        "the rest is checked all the same"
    );

    let malformed = with_key("\"sandbox_admin.open-sesame\"");
    assert_eq!(malformed.exit, Some(2));
    malformed.is_wrong("key", "copy it again");

    let refused = with_key("app_1.wrong-secret");
    assert_eq!(refused.exit, Some(21));
    refused.is_wrong("service", "was rotated");
    assert!(!refused.said.contains("wrong-secret"));
}

#[test]
fn an_application_key_is_told_that_it_sends_no_batches() {
    let sandbox = sandbox();
    let found = doctor(trophy(&sandbox).env("TROPHY_API_KEY", Sandbox::APPLICATION_KEY));
    assert_eq!(found.exit, Some(0), "{}", found.said);
    assert!(found.said.contains("one by one"), "{}", found.said);
}

#[test]
fn addresses_that_cannot_be_right_are_named_and_nothing_is_sent_there() {
    let sandbox = sandbox();
    let at = |url: &str| doctor(trophy(&sandbox).env("TROPHY_BASE_URL", url));
    let plain = at("http://192.0.2.1/v1");
    plain.is_wrong("address", "in the clear");
    let none = at("api.trophy.so");
    none.is_wrong("address", "no address such as");
    assert_eq!(none.exit, Some(2));
    let short = at(sandbox.origin());
    short.is_wrong("address", "end in /v1");
}

#[test]
fn nobody_there_a_name_that_is_none_and_a_broken_proxy_are_told_apart() {
    let sandbox = sandbox();
    let at = |url: &str| {
        let mut command = trophy(&sandbox);
        command
            .env("TROPHY_BASE_URL", url)
            .env_remove("NO_PROXY")
            .env_remove("no_proxy");
        command
    };
    let nobody = doctor(&mut at("http://127.0.0.1:1/v1"));
    assert_eq!(nobody.exit, Some(10));
    nobody.is_wrong("connect", "is the port right");

    let unknown = doctor(&mut at("https://nowhere.invalid/v1"));
    assert_eq!(unknown.exit, Some(10));
    unknown.is_wrong("dns", "check the name");

    let broken = doctor(at("https://nowhere.invalid/v1").env("HTTPS_PROXY", "ftp://user:pass@x"));
    broken.is_wrong("proxy", "NO_PROXY");
    assert!(!broken.said.contains("pass@"), "{}", broken.said);

    let away = doctor(at("https://nowhere.invalid/v1").env("HTTPS_PROXY", "http://127.0.0.1:1"));
    away.is_wrong("connect", "who runs the proxy");
}

#[test]
fn tls_is_checked_against_the_authority_that_was_named() {
    let sandbox = Sandbox::start(Options {
        tls: true,
        ..Options::default()
    })
    .unwrap();
    let strange = doctor(&mut trophy(&sandbox));
    assert_eq!(strange.exit, Some(12), "{}", strange.said);
    strange.is_wrong("tls", "ca_file");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, sandbox.ca_pem().unwrap()).unwrap();
    let option = json!({ "ca_file": file }).to_string();
    let output = trophy(&sandbox)
        .args(["doctor", "--option", &option])
        .output()
        .unwrap();
    let known = Found::of(output);
    assert_eq!(known.exit, Some(0), "{}", known.said);
    assert_eq!(known.verdicts("tls"), ["ok"]);

    let none = json!({ "ca_file": folder.path().join("none.pem") }).to_string();
    let output = trophy(&sandbox)
        .args(["doctor", "--option", &none])
        .output()
        .unwrap();
    assert_ne!(Found::of(output).exit, Some(0));
}

#[test]
fn options_of_the_client_count_as_they_do_for_the_library() {
    let sandbox = Sandbox::start(Options {
        tls: true,
        ..Options::default()
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, sandbox.ca_pem().unwrap()).unwrap();
    let option = json!({ "tls_roots": "system", "additional_headers": { "X-Gate": "open" } });
    let output = trophy(&sandbox)
        .env("SSL_CERT_FILE", &file)
        .args(["doctor", "--option", &option.to_string()])
        .output()
        .unwrap();
    let found = Found::of(output);
    assert_eq!(found.exit, Some(0), "{}", found.said);
    assert_eq!(found.verdicts("tls"), ["ok"]);
    let sent = sandbox.requests(usize::MAX);
    for request in sent.as_array().unwrap() {
        let headers = request["headers"].to_string();
        assert!(headers.contains("\"open\""), "{request}");
    }
}

#[cfg(unix)]
#[test]
fn plain_http_to_another_machine_is_doubtful_where_an_option_wants_it() {
    let sandbox = sandbox();
    let doctor = |option: &str| {
        let elsewhere = |url: &str| url.replace("127.0.0.1", "0.0.0.0");
        let output = trophy(&sandbox)
            // It leads here, and is no loopback address.
            .env("TROPHY_BASE_URL", elsewhere(&sandbox.url()))
            .env("TROPHY_ADMIN_BASE_URL", elsewhere(&sandbox.admin_url()))
            .env("NO_PROXY", "*")
            .args(["doctor", "--option", option])
            .output();
        Found::of(output.unwrap())
    };
    let refused = doctor("{}");
    assert_eq!(refused.exit, Some(2), "{}", refused.said);
    refused.is_wrong("address", "allow_insecure_http");

    let wanted = doctor(r#"{"allow_insecure_http":true}"#);
    assert_eq!(wanted.exit, Some(0), "{}", wanted.said);
    assert_eq!(wanted.verdicts("address"), ["doubtful", "doubtful"]);
    assert_eq!(wanted.verdicts("tls"), ["doubtful"]);
    assert_eq!(wanted.verdicts("service"), ["ok"]);
}

#[test]
fn a_queue_that_an_option_names_is_looked_at_and_not_delivered() {
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let queue = folder.path().join("queue");
    let option = json!({ "queue": { "path": queue } }).to_string();
    let doctor = || {
        let output = trophy(&sandbox)
            .args(["doctor", "--option", &option])
            .output();
        Found::of(output.unwrap())
    };
    doctor().is_wrong("queue", "makes it");
    assert!(!queue.exists(), "it only looks");

    let kept = trophy(&sandbox)
        .env("TROPHY_BASE_URL", "http://127.0.0.1:1/v1")
        .args(["enqueue", "words-written", "--user", r#"{"id":"1"}"#])
        .args(["--value", "1", "--queue"])
        .arg(&queue)
        .output()
        .unwrap();
    assert!(kept.status.success());
    let found = doctor();
    assert!(found.said.contains("1 waiting"), "{}", found.said);
    assert_eq!(sandbox.ledger()["events"], 0);
}

#[test]
fn a_port_that_speaks_no_tls_is_no_question_of_certificates() {
    let sandbox = sandbox();
    let url = sandbox.url().replace("http://", "https://");
    let found = doctor(trophy(&sandbox).env("TROPHY_BASE_URL", url));
    found.is_wrong("tls", "http://");
}

/// Answers every request so, until the process ends.
fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://127.0.0.1:{port}/v1")
}

fn at(url: &str) -> Found {
    doctor(
        bare()
            .env("TROPHY_API_KEY", KEY)
            .env("TROPHY_BASE_URL", url)
            .env("TROPHY_ADMIN_BASE_URL", url),
    )
}

#[test]
fn a_clock_that_is_wrong_is_seen_by_the_services_date() {
    let found = at(&server(
        "HTTP/1.1 404 Not Found\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 15\r\nconnection: close\r\n\r\n{\"error\":\"no\"}\n",
    ));
    found.is_wrong("clock", "NTP");
    assert!(found.said.contains("ahead of"), "{}", found.said);
}

#[test]
fn a_portal_and_a_redirect_do_not_look_like_the_service() {
    let portal = at(&server(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\nconnection: close\r\n\r\n<html>sign in",
    ));
    portal.is_wrong("reply", "portal");
    let elsewhere = at(&server(
        "HTTP/1.1 302 Found\r\nlocation: https://example.com/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ));
    elsewhere.is_wrong("reply", "not followed");
}

#[test]
fn options_limits_and_the_queue_are_looked_at() {
    let sandbox = sandbox();
    let with = |words: &[&str]| {
        let words = [&["doctor"], words].concat();
        Found::of(trophy(&sandbox).args(words).output().unwrap())
    };
    let typo = with(&["--option", r#"{"tiemout":5}"#]);
    assert_eq!(typo.exit, Some(2));
    typo.is_wrong("options", "names the options");

    let fast = with(&["--option", r#"{"queue":{"requests_per_second":50}}"#]);
    fast.is_wrong("limits", "whole organisation");

    let folder = tempfile::tempdir().unwrap();
    let queue = folder.path().join("queue");
    let path = queue.to_str().unwrap();
    with(&["--queue", path]).is_wrong("queue", "makes it");
    assert!(!queue.exists(), "it only looks");
    let enqueue = [
        "enqueue",
        "no-such-metric",
        "--user",
        r#"{"id":"1"}"#,
        "--value",
        "1",
        "--queue",
        path,
        "--flush",
        "60",
    ];
    assert_eq!(fail(trophy(&sandbox).args(enqueue).output().unwrap()).0, 24);
    with(&["--queue", path]).is_wrong("queue", "--retry");

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let found = with(&["--queue", file.to_str().unwrap()]);
    assert_eq!(found.exit, Some(31), "{}", found.said);
}
