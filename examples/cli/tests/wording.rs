//! A message speaks the language of the door through which the mistake came: flags and commands, never C.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use support::{fail, sandbox, text, trophy};

const USER: &str = r#"{"id":"18"}"#;

/// Words that only somebody who calls the library from C knows.
const OF_C: [&str; 8] = [
    "user_json",
    "attributes_json",
    "options_json",
    "args_json",
    "idempotency_key:",
    "TROPHY_OP_",
    "trophy_client",
    "NULL",
];

#[test]
fn every_mistake_is_named_as_it_was_typed() {
    let sandbox = sandbox();
    let event =
        |more: &[&'static str]| [&["event", "m", "--user", USER, "--value", "1"], more].concat();
    for (words, here) in [
        (
            vec!["event", "m", "--user", "{}", "--value", "1"],
            "--user: has no \"id\"",
        ),
        (
            vec!["event", "m", "--user", "18", "--value", "1"],
            "--user: must be",
        ),
        (
            vec!["event", "m", "--user", USER, "--value", "nan"],
            "--value: must be",
        ),
        (
            vec!["event", "", "--user", USER, "--value", "1"],
            "METRIC: is empty",
        ),
        (event(&["--attributes", "[]"]), "--attributes: must be"),
        (
            event(&["--attributes", r#"{"a":1}"#]),
            "--attributes: \"a\"",
        ),
        (
            event(&["--idempotency-key", ""]),
            "--idempotency-key: is empty",
        ),
        (
            event(&["--request-option", r#"{"x":1}"#]),
            "--request-option: x: is not an option",
        ),
        (
            event(&["--option", r#"{"x":1}"#]),
            "--option: x: is not an option",
        ),
        (event(&["--tenant", ""]), "--tenant: is empty"),
        (
            vec!["call", "users_streek"],
            "OPERATION: \"users_streek\" is none; `trophy operations` lists them",
        ),
        (vec!["call", "users_streak"], "ARGS: \"id\" is missing"),
        (vec!["call", "users_streak", "{"], "ARGS: is not JSON"),
        (
            vec!["call", "users_streak", r#"{"id":"1","x":2}"#],
            "ARGS: users_streak takes no \"x\"",
        ),
    ] {
        let output = trophy(&sandbox).args(&words).output().unwrap();
        let said = text(&output.stderr);
        assert!(
            said.contains(&format!("trophy: invalid_argument: {here}")),
            "{words:?}: {said}"
        );
        for word in OF_C {
            assert!(!said.contains(word), "{words:?}: {said}");
        }
        assert_eq!(fail(output).0, 2);
    }
}

#[test]
fn a_key_is_called_by_where_it_came_from() {
    let sandbox = sandbox();
    let call = ["call", "achievements_all"];
    let variable = trophy(&sandbox)
        .env("TROPHY_API_KEY", "bad key")
        .args(call)
        .output()
        .unwrap();
    let (exit, _, sentence) = fail(variable);
    assert_eq!(exit, 2);
    assert!(sentence.contains("TROPHY_API_KEY: holds"), "{sentence}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "bad key").unwrap();
    let flag = trophy(&sandbox)
        .args(call)
        .arg("--key-file")
        .arg(&file)
        .output()
        .unwrap();
    let (_, _, sentence) = fail(flag);
    assert!(sentence.contains("--key-file: holds"), "{sentence}");
}

#[test]
fn a_folder_that_cannot_be_a_queue_is_named_by_its_flag() {
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = trophy(&sandbox)
        .args(["enqueue", "m", "--user", USER, "--value", "1", "--queue"])
        .arg(&file)
        .output()
        .unwrap();
    let (exit, code, sentence) = fail(output);
    assert_eq!((exit, code.as_str()), (31, "storage"));
    assert!(sentence.contains("--queue: the folder"), "{sentence}");
}

#[test]
fn a_host_that_is_not_there_is_traced_to_the_variable_that_names_it() {
    let sandbox = sandbox();
    let output = trophy(&sandbox)
        .env("TROPHY_BASE_URL", "https://nowhere.invalid/v1")
        .args([
            "call",
            "achievements_all",
            "--option",
            r#"{"max_retries":0}"#,
        ])
        .output()
        .unwrap();
    let (exit, _, sentence) = fail(output);
    assert_eq!(exit, 10);
    assert!(sentence.contains("TROPHY_BASE_URL"), "{sentence}");
}
