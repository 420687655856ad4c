//! Completions and man pages, made from the same definition as the arguments.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::process::Command;

use support::{bare, fail, text, with_stdin};

const COMMANDS: [&str; 9] = [
    "event",
    "enqueue",
    "import",
    "queue",
    "tail",
    "call",
    "operations",
    "webhook",
    "doctor",
];

fn completions(shell: &str) -> String {
    let output = bare().args(["completions", shell]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    text(&output.stdout)
}

#[test]
fn each_shell_completes_every_command_and_flag() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = completions(shell);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
        for flag in ["idempotency-key", "skip-invalid", "retry", "key-file"] {
            assert!(script.contains(flag), "{shell}: {flag}");
        }
    }
    assert_eq!(
        fail(bare().args(["completions", "tcsh"]).output().unwrap()).0,
        2
    );
}

#[test]
fn bash_takes_its_completions_and_completes() {
    let script = completions("bash");
    let ask = r#"
        COMP_WORDS=(trophy queue fl) COMP_CWORD=2
        _trophy trophy fl queue
        echo "${COMPREPLY[@]}"
    "#;
    let output = with_stdin(
        Command::new("bash").arg("--norc"),
        (script + ask).as_bytes(),
    );
    assert_eq!(text(&output.stderr), "");
    assert_eq!(text(&output.stdout).trim(), "flush");
}

#[test]
fn every_command_has_a_man_page_that_says_what_its_help_says() {
    let folder = tempfile::tempdir().unwrap();
    let output = bare().arg("man").arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = |name: &str| {
        std::fs::read_to_string(folder.path().join(format!("trophy{name}.1"))).unwrap()
    };
    for command in COMMANDS {
        assert!(page(&format!("-{command}")).contains(".SH NAME"));
        assert!(page("").contains(&format!("trophy\\-{command}")));
    }
    assert!(page("-queue-flush").contains("\\-\\-timeout"));
    assert!(page("-webhook-verify").contains("\\-\\-signature"));
    let hidden = folder.path().join("trophy-completions.1");
    assert!(!hidden.exists());
}

#[test]
fn help_is_wanted_more_than_a_mistake_is_worth_pointing_out() {
    let output = bare()
        .args(["event", "--bogus", "--help"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("Usage: trophy event"));
    let output = bare().args(["queue", "flush", "x", "-h"]).output().unwrap();
    assert!(text(&output.stdout).contains("Usage: trophy queue flush"));
}

#[test]
fn a_slip_of_the_finger_gets_a_hint() {
    let (exit, _, sentence) = fail(bare().arg("evnet").output().unwrap());
    assert_eq!(exit, 2);
    assert!(sentence.contains("'event'"), "{sentence}");
    let (_, _, sentence) = fail(bare().args(["queue", "flsh"]).output().unwrap());
    assert!(sentence.contains("'flush'"), "{sentence}");
    assert!(sentence.contains("`trophy queue --help`"), "{sentence}");
}
