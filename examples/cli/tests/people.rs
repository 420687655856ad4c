//! Output for people: on a terminal, laid out and in colour unless that is not wanted. Linux has `script`, which
//! gives a command a terminal.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::process::Command;

use serde_json::json;
use support::{on_terminal, sandbox, succeed, text, trophy};

const ESCAPE: char = '\u{1b}';

fn shown(command: &mut Command) -> String {
    text(&command.output().unwrap().stdout)
}

#[test]
fn on_a_terminal_things_come_as_tables_and_in_colour_and_elsewhere_as_json() {
    let sandbox = sandbox();
    let words = ["operations", "users_streak"];
    let table = shown(&mut on_terminal(&sandbox, &words));
    assert!(
        table.contains("OPERATION") && table.contains("GET /users/{id}/streak"),
        "{table}"
    );
    assert!(
        table.contains(ESCAPE) && !table.contains("{\"api\""),
        "{table}"
    );

    let plain = shown(on_terminal(&sandbox, &words).env("NO_COLOR", "1"));
    assert!(
        plain.contains("OPERATION") && !plain.contains(ESCAPE),
        "{plain}"
    );

    let wanted = [&words[..], &["--json"]].concat();
    let line = shown(&mut on_terminal(&sandbox, &wanted));
    assert_eq!(
        support::json(line.trim().as_bytes())["operation"],
        "users_streak"
    );
    let piped = succeed(trophy(&sandbox).args(words).output().unwrap());
    assert_eq!(piped["operation"], "users_streak");
}

#[test]
fn a_reply_is_indented_and_keeps_its_order_and_an_error_is_one_sentence() {
    let sandbox = sandbox();
    let event = [
        "event",
        "words-written",
        "--user",
        r#"{"id":"ann"}"#,
        "--value",
        "2",
    ];
    let reply = shown(on_terminal(&sandbox, &event).env("NO_COLOR", "1"));
    assert!(reply.starts_with("{\r\n  \""), "{reply}");
    assert_eq!(support::json(reply.as_bytes())["total"], 2.0);

    let error = shown(on_terminal(&sandbox, &["call", "nothing"]).env("NO_COLOR", "1"));
    assert!(
        error.starts_with("trophy: invalid_argument: OPERATION: "),
        "{error}"
    );
    let error = shown(&mut on_terminal(&sandbox, &["call", "nothing", "--json"]));
    assert!(error.starts_with("{\"error\":"), "{error}");
}

/// A user's id comes from a user.
#[test]
fn text_from_elsewhere_does_nothing_to_the_terminal() {
    let sandbox = sandbox();
    let queue = tempfile::tempdir().unwrap();
    let folder = queue.path().to_str().unwrap();
    let user = r#"{"id":"\u001b[2Jann"}"#;
    let enqueue = ["enqueue", "no-such-metric", "--user", user, "--value", "2"];
    let enqueue = [&enqueue[..], &["--queue", folder, "--flush", "60"]].concat();
    trophy(&sandbox).args(enqueue).output().unwrap();
    for words in [
        &["queue", "dead", "--queue", folder][..],
        &["call", "users_streak", user],
    ] {
        let said = shown(on_terminal(&sandbox, words).env("NO_COLOR", "1"));
        assert!(!said.contains(ESCAPE), "{said}");
        assert!(said.contains("\\u001b[2Jann"), "{said}");
    }
}

#[test]
fn the_queue_is_shown_as_facts_and_the_dead_as_a_table() {
    let sandbox = sandbox();
    let queue = tempfile::tempdir().unwrap();
    let folder = queue.path().to_str().unwrap();
    let enqueue = [
        "enqueue",
        "no-such-metric",
        "--user",
        r#"{"id":"ann"}"#,
        "--value",
        "2",
        "--queue",
        folder,
        "--flush",
        "60",
    ];
    trophy(&sandbox).args(enqueue).output().unwrap();
    let show = |words: &[&str]| {
        let words = [words, &["--queue", folder]].concat();
        shown(on_terminal(&sandbox, &words).env("NO_COLOR", "1"))
    };
    let status = show(&["queue", "status"]);
    assert!(
        status.contains("queued") && status.contains("dead     1"),
        "{status}"
    );
    let dead = show(&["queue", "dead"]);
    assert!(dead.contains("REASON") && dead.contains("ann"), "{dead}");
    assert!(show(&["queue", "flush"]).contains("delivered    0"));
}

#[test]
fn an_import_and_a_flush_show_a_bar_with_rows_rate_time_left_and_refused() {
    let sandbox = sandbox();
    let desk = tempfile::tempdir().unwrap();
    let file = desk.path().join("events.csv");
    let mut rows = String::from("metric,user.id,value\nno-such-metric,ann,1\n");
    for user in 0..20 {
        rows.push_str(&format!("words-written,u{user},1\n"));
    }
    std::fs::write(&file, rows).unwrap();
    let option = json!({"queue":{"requests_per_second":10,"delivery":"single"}}).to_string();
    let words = ["import", file.to_str().unwrap(), "--option", &option];
    let said = shown(
        on_terminal(&sandbox, &words)
            .env("XDG_STATE_HOME", desk.path())
            .current_dir(&desk),
    );
    for word in [
        "importing",
        "━",
        "/21",
        "/s",
        "left",
        "1 refused",
        "delivered",
    ] {
        assert!(said.contains(word), "no {word}: {said}");
    }

    let queue = desk.path().join("queue");
    let folder = queue.to_str().unwrap();
    let keep = [
        "enqueue",
        "words-written",
        "--user",
        r#"{"id":"ann"}"#,
        "--value",
        "2",
        "--queue",
        folder,
    ];
    let away = trophy(&sandbox)
        .env("TROPHY_BASE_URL", "http://127.0.0.1:1/v1")
        .args(keep)
        .output()
        .unwrap();
    succeed(away);
    let words = ["queue", "flush", "--queue", folder, "--timeout", "8"];
    let said = shown(on_terminal(&sandbox, &words).env("TROPHY_BASE_URL", "http://127.0.0.1:1/v1"));
    for word in ["delivering", "0/1", "·", "127.0.0.1", "undelivered"] {
        assert!(said.contains(word), "no {word}: {said}");
    }
}
