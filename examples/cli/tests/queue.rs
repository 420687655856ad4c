//! `trophy queue` and `trophy tail`: what is seen of deliveries, and what is done about those that failed.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use support::{fail, sandbox, succeed, text, total, trophy, wait_for};
use tempfile::TempDir;
use trophy_sandbox::Sandbox;

/// Nothing listens on port 1.
const NOWHERE: &str = "http://127.0.0.1:1/v1";

struct Desk {
    sandbox: Sandbox,
    queue: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            sandbox: sandbox(),
            queue: tempfile::tempdir().unwrap(),
        }
    }

    fn trophy(&self, words: &[&str]) -> Command {
        let mut command = trophy(&self.sandbox);
        command.env("TROPHY_QUEUE", self.queue.path()).args(words);
        command
    }

    /// Keeps an event, with the service away.
    fn keep(&self, metric: &str, user: &str, key: &str) {
        let user = json!({ "id": user }).to_string();
        let words = ["enqueue", metric, "--user", &user, "--value", "1"];
        let mut command = self.trophy(&words);
        command
            .env("TROPHY_BASE_URL", NOWHERE)
            .args(["--idempotency-key", key]);
        succeed(command.output().unwrap());
    }

    fn status(&self) -> Value {
        succeed(self.trophy(&["queue", "status"]).output().unwrap())
    }
}

/// A command whose lines are read as they come.
struct Running {
    child: Child,
    lines: Receiver<Value>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (tell, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in out.lines() {
                let line = serde_json::from_str(&line.unwrap()).unwrap();
                // The test may have seen enough.
                let _ = tell.send(line);
            }
        });
        Self { child, lines }
    }

    fn line(&mut self) -> Value {
        self.lines.recv_timeout(Duration::from_secs(300)).unwrap()
    }

    /// The exit code after Ctrl-C.
    fn interrupt(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

#[test]
fn a_flush_that_cannot_reach_the_service_says_so_while_it_waits_and_at_the_end() {
    let desk = Desk::new();
    desk.keep("words-written", "ann", "k-1");
    let output = desk
        .trophy(&["queue", "flush", "--timeout", "8"])
        .env("TROPHY_BASE_URL", NOWHERE)
        .output()
        .unwrap();
    let waits: Vec<Value> = lines_of_progress(&output.stderr)
        .into_iter()
        .filter(|progress| progress["waitsFor"].is_string())
        .collect();
    assert!(!waits.is_empty(), "{}", text(&output.stderr));
    assert!(
        waits[0]["waitsFor"].to_string().contains("127.0.0.1"),
        "{waits:?}"
    );
    let (exit, code, sentence) = fail(output);
    assert_eq!((exit, code.as_str()), (11, "timeout"));
    assert!(sentence.contains("network"), "{sentence}");
}

fn lines_of_progress(bytes: &[u8]) -> Vec<Value> {
    text(bytes)
        .lines()
        .filter(|line| line.starts_with("{\"progress\":"))
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["progress"].clone())
        .collect()
}

#[test]
fn a_flush_that_the_service_holds_back_says_what_the_service_says() {
    for (fault, word) in [
        (
            json!({"fault":"rate_limited","operation":"metrics_event"}),
            "429",
        ),
        (
            json!({"fault":"status_before","status":503,"operation":"metrics_event"}),
            "takes no event",
        ),
    ] {
        let desk = Desk::new();
        desk.keep("words-written", "ann", "k-1");
        desk.sandbox.add_fault(&fault).unwrap();
        let output = desk
            .trophy(&["queue", "flush", "--timeout", "8"])
            .output()
            .unwrap();
        let why: Vec<String> = lines_of_progress(&output.stderr)
            .iter()
            .filter_map(|progress| progress["waitsFor"].as_str().map(str::to_owned))
            .collect();
        assert!(why.iter().any(|why| why.contains(word)), "{why:?}");
        assert_eq!(fail(output).0, 11);
        assert_eq!(desk.status()["queued"], 1);
    }
}

#[test]
fn dead_events_are_put_back_once_the_cause_is_mended_and_count_once() {
    let desk = Desk::new();
    desk.keep("later", "ann", "k-1");
    desk.keep("later", "bob", "k-2");
    let flush = desk.trophy(&["queue", "flush"]).output().unwrap();
    assert_eq!(fail(flush).0, 24);
    assert_eq!(desk.status()["dead"], 2);

    let metric = json!({"body":[{"key":"later","name":"Later","unitType":"number"}]}).to_string();
    succeed(
        desk.trophy(&["call", "admin_metrics_create", &metric])
            .output()
            .unwrap(),
    );
    let retried = desk.trophy(&["queue", "dead", "--retry"]).output().unwrap();
    assert_eq!(succeed(retried), json!({ "retried": 2, "left": 0 }));
    succeed(desk.trophy(&["queue", "flush"]).output().unwrap());
    assert_eq!(total(&desk.sandbox, "ann", "later"), 1.0);
    assert_eq!(total(&desk.sandbox, "bob", "later"), 1.0);

    assert_eq!(desk.status()["dead"], 0);
    let dead = desk.trophy(&["queue", "dead"]).output().unwrap();
    assert_eq!(text(&dead.stdout), "");
    let again = desk.trophy(&["queue", "dead", "--retry"]).output().unwrap();
    assert_eq!(succeed(again), json!({ "retried": 0, "left": 0 }));
}

#[test]
fn a_dead_event_goes_back_with_its_key_tenant_attributes_and_what_was_added() {
    let desk = Desk::new();
    let enqueue = [
        "enqueue",
        "nowhere",
        "--user",
        r#"{"id":"ann","name":"Ann"}"#,
        "--value",
        "0.1",
        "--attributes",
        r#"{"genre":"horror"}"#,
        "--idempotency-key",
        "k-1",
        "--request-option",
        r#"{"additional_body_parameters":{"new":[1]}}"#,
        "--tenant",
        "acme",
        "--flush",
        "60",
    ];
    assert_ne!(fail(desk.trophy(&enqueue).output().unwrap()).0, 11);
    let before = succeed(desk.trophy(&["queue", "dead"]).output().unwrap());
    let retried = desk.trophy(&["queue", "dead", "--retry"]).output().unwrap();
    assert_eq!(succeed(retried), json!({ "retried": 1, "left": 0 }));
    // Where it dies again.
    desk.trophy(&["queue", "flush"]).output().unwrap();
    let after = succeed(desk.trophy(&["queue", "dead"]).output().unwrap());
    assert_eq!(before["event"], after["event"]);
    assert_eq!(
        (&before["tenant"], &after["tenant"]),
        (&json!("acme"), &json!("acme"))
    );
    assert_ne!(before["enqueuedAtMs"], after["enqueuedAtMs"]);
}

#[test]
fn tail_prints_each_event_as_it_ends_and_ends_with_ctrl_c() {
    let desk = Desk::new();
    let mut tail = Running::start(&mut desk.trophy(&["tail"]));
    desk.keep("words-written", "ann", "k-1");
    let end = tail.line();
    assert_eq!(
        (&end["idempotencyKey"], &end["key"], &end["userId"]),
        (&json!("k-1"), &json!("words-written"), &json!("ann"))
    );
    assert_eq!(end["response"]["total"], 1.0);

    desk.keep("no-such-metric", "ann", "k-2");
    let end = tail.line();
    assert_eq!(
        (&end["idempotencyKey"], &end["userId"]),
        (&json!("k-2"), &json!("ann"))
    );
    assert!(
        end["error"]["message"]
            .to_string()
            .contains("no-such-metric"),
        "{end}"
    );
    assert_eq!(tail.interrupt(), Some(0));
}

#[test]
fn tail_sees_refusals_and_progress_of_a_queue_that_another_delivers() {
    let desk = Desk::new();
    // It drains the queue from now on: it has seen an event through.
    let mut other = Running::start(&mut desk.trophy(&["tail"]));
    desk.keep("words-written", "first", "k-0");
    assert_eq!(other.line()["idempotencyKey"], "k-0");

    // Long enough to be seen waiting.
    let slow = json!({"fault":"delay","ms":700,"operation":"metrics_event"});
    desk.sandbox.add_fault(&slow).unwrap();
    let tail = Running::start(&mut desk.trophy(&["tail"]));
    let mut seen: Vec<Value> = Vec::new();
    let mut round = 0;
    // What ends before it looks for the first time it does not see.
    wait_for("a refusal and a number that falls", || {
        desk.keep("words-written", "ann", &format!("k-{round}-a"));
        desk.keep("no-such-metric", "ann", &format!("k-{round}-b"));
        round += 1;
        seen.extend(tail.lines.try_iter());
        let has = |is: fn(&Value) -> bool| seen.iter().any(is);
        has(|end| end["error"].is_object()) && has(|end| end["undelivered"].is_u64())
    });
    assert!(
        seen.iter().all(|end| end.get("response").is_none()),
        "{seen:?}"
    );
    assert_eq!(tail.interrupt(), Some(0));
    assert_eq!(other.interrupt(), Some(0));
}

#[test]
fn tail_ends_when_the_key_is_refused() {
    let desk = Desk::new();
    desk.keep("words-written", "ann", "k-1");
    let tail = desk
        .trophy(&["tail"])
        .env("TROPHY_API_KEY", "nobody.knows-me")
        .output()
        .unwrap();
    assert_eq!(fail(tail).0, 21);
    assert_eq!(desk.status()["queued"], 1);
}
