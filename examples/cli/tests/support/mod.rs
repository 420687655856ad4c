//! The command against a sandbox, for the tests.

#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use trophy_sandbox::{Options, Sandbox};

pub const KEY: &str = "sandbox_admin.open-sesame";

pub fn sandbox() -> Sandbox {
    Sandbox::start(Options {
        port: 0,
        ..Options::default()
    })
    .unwrap()
}

/// The command with no variable of Trophy's set.
pub fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trophy"));
    clear(&mut command);
    command.stdin(Stdio::null());
    command
}

fn clear(command: &mut Command) {
    for name in [
        "TROPHY_API_KEY",
        "TROPHY_BASE_URL",
        "TROPHY_ADMIN_BASE_URL",
        "TROPHY_QUEUE",
        "TROPHY_WEBHOOK_SECRET",
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
    ] {
        command.env_remove(name);
    }
}

/// The command with the sandbox's key and address.
pub fn trophy(sandbox: &Sandbox) -> Command {
    let mut command = bare();
    aim(&mut command, sandbox);
    command
}

fn aim(command: &mut Command, sandbox: &Sandbox) {
    command
        .env("TROPHY_API_KEY", KEY)
        .env("TROPHY_BASE_URL", sandbox.url())
        .env("TROPHY_ADMIN_BASE_URL", sandbox.admin_url());
}

/// The command as a person has it: with a terminal for stdin, stdout and stderr. What comes is both outputs.
pub fn on_terminal(sandbox: &Sandbox, words: &[&str]) -> Command {
    let quoted: Vec<String> = [env!("CARGO_BIN_EXE_trophy")]
        .iter()
        .chain(words)
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect();
    let mut command = Command::new("script");
    clear(&mut command);
    aim(&mut command, sandbox);
    command
        .env("TERM", "xterm-256color")
        .args(["-qec", &quoted.join(" "), "/dev/null"])
        .stdin(Stdio::null());
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|why| panic!("{why}: {}", text(bytes)))
}

pub fn lines(bytes: &[u8]) -> Vec<Value> {
    text(bytes)
        .lines()
        .map(|line| json(line.as_bytes()))
        .collect()
}

/// Success, with nothing on stderr but how far it was.
pub fn succeed(output: Output) -> Value {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let other = said
        .lines()
        .find(|line| !line.starts_with("{\"progress\":"));
    assert_eq!(other, None);
    json(&output.stdout)
}

/// The exit code, the error's code, and the sentence.
pub fn fail(output: Output) -> (i32, String, String) {
    let said = text(&output.stderr);
    let mut said = said
        .lines()
        .skip_while(|line| line.starts_with("{\"progress\":"));
    let first = said.next().unwrap_or_else(|| panic!("no error"));
    let code = json(first.as_bytes())["error"]["code"].clone();
    let rest: Vec<&str> = said.collect();
    (
        output.status.code().unwrap_or(-1),
        code.as_str().unwrap_or_default().to_owned(),
        rest.join("\n"),
    )
}

pub fn with_stdin(command: &mut Command, text: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    child.wait_with_output().unwrap()
}

/// Waits for what comes sooner or later.
pub fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < Duration::from_secs(300), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a user has of a metric in the sandbox.
pub fn total(sandbox: &Sandbox, user: &str, metric: &str) -> f64 {
    let args = serde_json::json!({ "id": user, "key": metric }).to_string();
    let output = trophy(sandbox)
        .args(["call", "users_single_metric", &args])
        .output()
        .unwrap();
    if output.status.code() == Some(23) {
        return 0.0;
    }
    succeed(output)["current"].as_f64().unwrap()
}

/// Requests that the sandbox had of an operation.
pub fn requests(sandbox: &Sandbox, operation: &str) -> Vec<Value> {
    let all = sandbox.requests(usize::MAX);
    let all = all.as_array().unwrap().iter();
    all.filter(|request| request["operation"] == operation)
        .cloned()
        .collect()
}

pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
