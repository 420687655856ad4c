//! The command: its flags, its ready line, its end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::Value;

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_trophy-sandbox"))
}

#[test]
fn it_says_when_it_is_ready_and_ends_with_its_stdin() {
    let folder = std::env::temp_dir().join(format!("trophy-sandbox-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (ready, pem) = (folder.join("ready.json"), folder.join("ca.pem"));
    let mut child = command()
        .args([
            "--port",
            "0",
            "--exit-with-stdin",
            "--limits",
            "--admin-key",
            "my.key",
        ])
        .arg("--ready-file")
        .arg(&ready)
        .arg("--tls-cert-out")
        .arg(&pem)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let told: Value = serde_json::from_str(&line).unwrap();
    let port = told["port"].as_u64().unwrap();
    assert_eq!(told["url"], format!("https://127.0.0.1:{port}/v1"));
    assert_eq!(
        told["adminUrl"],
        format!("https://127.0.0.1:{port}/admin/v1")
    );
    assert_eq!(told["caFile"], pem.display().to_string());
    assert_eq!(std::fs::read_to_string(&ready).unwrap(), line);
    assert!(
        std::fs::read_to_string(&pem)
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    std::net::TcpStream::connect(("127.0.0.1", port as u16)).unwrap();
    let mut exports = String::new();
    stderr.read_line(&mut exports).unwrap();
    assert_eq!(
        exports,
        format!(
            "export TROPHY_API_KEY='my.key' TROPHY_BASE_URL='https://127.0.0.1:{port}/v1' \
             TROPHY_ADMIN_BASE_URL='https://127.0.0.1:{port}/admin/v1'\n"
        )
    );

    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    // Who reads all of stdout as JSON is right.
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[cfg(unix)]
#[test]
fn a_shell_takes_the_line_that_is_for_it() {
    // The key has all that a shell would take for its own.
    let key = r#"it's a $(key) "here"."#;
    let mut child = command()
        .args(["--port", "0", "--exit-with-stdin", "--admin-key", key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let first = |lines: &mut dyn Read| {
        let mut line = String::new();
        BufReader::new(lines).read_line(&mut line).unwrap();
        line
    };
    let told = first(&mut child.stdout.take().unwrap());
    let told: Value = serde_json::from_str(&told).unwrap();
    let exports = first(&mut child.stderr.take().unwrap());

    let script =
        r#"eval "$0"; printf '%s\n' "$TROPHY_API_KEY" "$TROPHY_BASE_URL" "$TROPHY_ADMIN_BASE_URL""#;
    let shell = Command::new("sh")
        .args(["-c", script, &exports])
        .output()
        .unwrap();

    let expected = [
        key,
        told["url"].as_str().unwrap(),
        told["adminUrl"].as_str().unwrap(),
    ];
    let seen = String::from_utf8(shell.stdout).unwrap();
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_flag_it_does_not_know_is_an_error_that_says_so() {
    for (arguments, named) in [
        (vec!["--colour"], "--colour"),
        (vec!["--port"], "--port"),
        (vec!["--port", "many"], "many"),
        (vec!["stray"], "stray"),
    ] {
        let output = command().args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let why = String::from_utf8(output.stderr).unwrap();
        assert!(why.contains(named), "{why}");
    }
}

#[test]
fn help_names_every_flag() {
    let output = command().arg("--help").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for flag in [
        "--port",
        "--host",
        "--world",
        "--admin-key",
        "--limits",
        "--limit-tier1",
        "--limit-tier2",
        "--tls",
        "--tls-cert-out",
        "--resolve-dots",
        "--ready-file",
        "--exit-with-stdin",
        "--help",
    ] {
        assert!(text.contains(flag), "{flag}");
    }
}

#[test]
fn a_world_file_that_is_not_there_is_named() {
    let output = command()
        .args(["--port", "0", "--world", "/no/such.json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("/no/such.json")
    );
}
