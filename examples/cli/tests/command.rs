//! The command as a shell has it: arguments in, JSON out, exit codes, against the sandbox.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;

use support::{KEY, bare, fail, json, sandbox, succeed, trophy, with_stdin};

const EVENT: [&str; 6] = [
    "words-written",
    "--user",
    r#"{"id":"18"}"#,
    "--value",
    "750",
    "--idempotency-key",
];

#[test]
fn an_event_is_sent_and_its_reply_printed() {
    let sandbox = sandbox();
    let reply = succeed(
        trophy(&sandbox)
            .arg("event")
            .args(EVENT)
            .args(["row-1", "--attributes", r#"{"genre":"horror"}"#])
            .output()
            .unwrap(),
    );
    assert_eq!(reply["total"], 750.0);
    assert_eq!(reply["idempotencyKey"], "row-1");
}

#[test]
fn a_key_given_twice_counts_once() {
    let sandbox = sandbox();
    let send = || {
        trophy(&sandbox)
            .arg("event")
            .args(EVENT)
            .arg("row-2")
            .output()
            .unwrap()
    };
    succeed(send());
    let again = succeed(send());
    assert_eq!(again["idempotentReplayed"], true);
    assert_eq!(again["total"], 750.0);
}

#[test]
fn a_negative_value_is_a_value_and_not_a_flag() {
    let sandbox = sandbox();
    let reply = succeed(
        trophy(&sandbox)
            .args(["event", "words-written", "--user", r#"{"id":"neg"}"#])
            .args(["--value", "-2.5"])
            .output()
            .unwrap(),
    );
    assert_eq!(reply["total"], -2.5);
}

#[test]
fn a_tenant_travels_with_the_call() {
    let sandbox = sandbox();
    let output = trophy(&sandbox)
        .arg("event")
        .args(EVENT)
        .args(["row-3", "--tenant", "acme"])
        .output()
        .unwrap();
    let requests = sandbox.requests(1).to_string().to_lowercase();
    assert!(requests.contains("acme"), "{requests} {output:?}");
}

#[test]
fn any_operation_can_be_called_with_arguments_from_stdin_too() {
    let sandbox = sandbox();
    succeed(
        trophy(&sandbox)
            .arg("event")
            .args(EVENT)
            .arg("row-4")
            .output()
            .unwrap(),
    );
    let args = r#"{"id":"18","historyPeriods":3}"#;
    let given = succeed(
        trophy(&sandbox)
            .args(["call", "users_streak", args])
            .output()
            .unwrap(),
    );
    let read = succeed(with_stdin(
        trophy(&sandbox).args(["call", "users_streak", "-"]),
        args.as_bytes(),
    ));
    assert_eq!(given["length"], 1);
    assert_eq!(given, read);
}

#[test]
fn the_exit_code_is_the_number_of_the_status() {
    let sandbox = sandbox();
    let call = |args: &[&str]| fail(trophy(&sandbox).args(args).output().unwrap());

    let (exit, code, sentence) = call(&["call", "leaderboards_get", r#"{"key":"none"}"#]);
    assert_eq!((exit, code.as_str()), (23, "not_found"));
    assert!(sentence.starts_with("trophy: not_found: "), "{sentence}");

    let (exit, code, _) = call(&["call", "users_streek"]);
    assert_eq!((exit, code.as_str()), (2, "invalid_argument"));

    let unauthorized = trophy(&sandbox)
        .env("TROPHY_API_KEY", "nobody.knows-me")
        .args(["call", "achievements_all"])
        .output()
        .unwrap();
    let (exit, code, sentence) = fail(unauthorized);
    assert_eq!((exit, code.as_str()), (21, "unauthorized"));
    assert!(!sentence.contains("knows-me"), "{sentence}");

    // Nothing listens on port 1.
    let offline = trophy(&sandbox)
        .args(["call", "achievements_all", "--option"])
        .arg(r#"{"base_url":"http://127.0.0.1:1/v1","max_retries":0}"#)
        .output()
        .unwrap();
    assert_eq!(fail(offline).0, 10);
}

#[test]
fn wrong_arguments_are_named_and_send_nothing() {
    let sandbox = sandbox();
    let event = ["event", "words-written", "--user", r#"{"id":"18"}"#];
    for (more, named) in [
        (&["--value"][..], "--value"),
        (&["--value", "many"], "many"),
        (&["--value", "1", "--attribute", "{}"], "--attribute"),
        (&["--value", "1", "--queue", "x"], "--queue"),
        (&["--value", "1", "--value", "2"], "--value"),
        (&["--value", "1", "more"], "more"),
        (&["--value", "1", "--version"], "--version"),
        (&["--value", "1", "--option", "5"], "--option"),
        (&["--value", "1", "--option", r#"{"tiemout":5}"#], "tiemout"),
        (&["--value", "1", "--api-key", "x"], "--api-key"),
    ] {
        let (exit, code, sentence) =
            fail(trophy(&sandbox).args(event).args(more).output().unwrap());
        assert_eq!((exit, code.as_str()), (2, "invalid_argument"), "{more:?}");
        assert!(sentence.contains(named), "{more:?}: {sentence}");
    }
    assert_eq!(
        sandbox
            .requests(10)
            .to_string()
            .matches("/metrics/")
            .count(),
        0
    );
}

#[test]
fn without_a_key_it_says_where_keys_come_from() {
    let (exit, _, sentence) = fail(bare().args(["call", "streaks_list"]).output().unwrap());
    assert_eq!(exit, 2);
    assert!(sentence.contains("TROPHY_API_KEY") && sentence.contains("--key-file"));
}

#[test]
fn the_key_can_come_from_a_file() {
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let call = |file: &Path| {
        trophy(&sandbox)
            .env_remove("TROPHY_API_KEY")
            .args(["call", "achievements_all", "--key-file"])
            .arg(file)
            .output()
            .unwrap()
    };
    succeed(call(&file));
    let (exit, code, sentence) = fail(call(&folder.path().join("nowhere")));
    assert_eq!((exit, code.as_str()), (1, "input"));
    assert!(sentence.contains("nowhere"), "{sentence}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_not_taken_for_one_that_is_not_set() {
    let broken: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"caf\xe9");
    for name in ["TROPHY_API_KEY", "TROPHY_QUEUE", "TROPHY_WEBHOOK_SECRET"] {
        let ran = bare().env(name, broken).arg("operations").output();
        let (exit, code, sentence) = fail(ran.unwrap());
        assert_eq!((exit, code.as_str()), (2, "invalid_argument"));
        let expected = format!("{name} is not Unicode (UTF-8)");
        assert!(sentence.ends_with(&expected), "{sentence}");
    }
}

#[test]
fn an_event_enqueued_offline_is_delivered_by_a_later_flush() {
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let queue = folder.path().join("queue");
    let status = || {
        succeed(
            bare()
                .args(["queue", "status", "--path"])
                .arg(&queue)
                .output()
                .unwrap(),
        )
    };

    // Nothing listens on port 1.
    let kept = trophy(&sandbox)
        .env("TROPHY_BASE_URL", "http://127.0.0.1:1/v1")
        .arg("enqueue")
        .args(EVENT)
        .args(["row-5", "--queue"])
        .arg(&queue)
        .output()
        .unwrap();
    assert_eq!(succeed(kept)["idempotencyKey"], "row-5");
    assert_eq!(status()["queued"], 1);

    let flushed = trophy(&sandbox)
        .args(["queue", "flush"])
        .env("TROPHY_QUEUE", &queue)
        .output()
        .unwrap();
    let flushed = succeed(flushed);
    assert_eq!(flushed["delivered"], 1, "{flushed}");
    assert_eq!(flushed["undelivered"], 0, "{flushed}");
    assert_eq!(status()["queued"], 0);
    let total = succeed(
        trophy(&sandbox)
            .args(["call", "users_single_metric"])
            .arg(r#"{"id":"18","key":"words-written"}"#)
            .output()
            .unwrap(),
    );
    assert_eq!(total["current"], 750.0);
}

#[test]
fn what_cannot_be_flushed_in_time_stays_and_the_exit_code_says_so() {
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let offline = || {
        let mut command = trophy(&sandbox);
        command
            .env("TROPHY_BASE_URL", "http://127.0.0.1:1/v1")
            .env("TROPHY_QUEUE", folder.path());
        command
    };
    let kept = offline()
        .arg("enqueue")
        .args(EVENT)
        .args(["row-6", "--flush", "0.1"])
        .output()
        .unwrap();
    assert_eq!(json(&kept.stdout)["idempotencyKey"], "row-6");
    assert_eq!(fail(kept).0, 11);

    let flush = offline()
        .args(["queue", "flush", "--timeout", "0.1"])
        .output()
        .unwrap();
    assert_eq!(json(&flush.stdout)["undelivered"], 1);
    assert_eq!(fail(flush).0, 11);
}

#[test]
fn a_refused_key_ends_a_flush_at_once_and_keeps_the_event() {
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let refused = || {
        let mut command = trophy(&sandbox);
        command
            .env("TROPHY_API_KEY", "nobody.knows-me")
            .env("TROPHY_QUEUE", folder.path());
        command
    };
    refused()
        .arg("enqueue")
        .args(EVENT)
        .arg("row-7")
        .output()
        .unwrap();
    let flush = refused()
        .args(["queue", "flush", "--timeout", "3600"])
        .output()
        .unwrap();
    let report = json(&flush.stdout);
    assert_eq!(
        (&report["paused"], &report["undelivered"]),
        (&true.into(), &1.into())
    );
    assert_eq!(fail(flush).0, 21);
}

#[test]
fn an_event_that_the_service_refuses_is_listed_as_dead() {
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let with_queue = || {
        let mut command = trophy(&sandbox);
        command.env("TROPHY_QUEUE", folder.path());
        command
    };
    let kept = with_queue()
        .args(["enqueue", "no-such-metric", "--user", r#"{"id":"18"}"#])
        .args([
            "--value",
            "1",
            "--idempotency-key",
            "row-8",
            "--flush",
            "60",
        ])
        .output()
        .unwrap();
    assert_eq!(json(&kept.stdout)["idempotencyKey"], "row-8");
    assert_eq!(fail(kept).0, 24);

    let dead = succeed(with_queue().args(["queue", "dead"]).output().unwrap());
    assert!(dead["event"].to_string().contains("row-8"), "{dead}");
    assert!(
        dead["error"].to_string().contains("no-such-metric"),
        "{dead}"
    );
    let status = succeed(with_queue().args(["queue", "status"]).output().unwrap());
    assert_eq!((&status["dead"], &status["queued"]), (&1.into(), &0.into()));
}

#[test]
fn a_queue_that_is_not_there_is_not_made_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let queue = folder.path().join("none");
    for command in ["status", "dead"] {
        let output = bare()
            .args(["queue", command, "--queue"])
            .arg(&queue)
            .output()
            .unwrap();
        assert_eq!(fail(output).0, 31);
        assert!(!queue.exists());
    }
}

#[test]
fn operations_are_listed_and_found_by_a_part_of_their_name() {
    let all = bare().arg("operations").output().unwrap();
    assert_eq!(String::from_utf8(all.stdout).unwrap().lines().count(), 85);
    let one = succeed(
        bare()
            .args(["operations", "users_points_event"])
            .output()
            .unwrap(),
    );
    assert_eq!(one["operation"], "users_points_event_summary");
    assert_eq!(one["method"], "GET");
    assert!(
        one["required"]
            .as_array()
            .unwrap()
            .contains(&"startDate".into())
    );
}

#[test]
fn a_webhook_is_verified_over_its_raw_bytes() {
    // HMAC-SHA256 of the body under "secret", in base64, from: openssl dgst -sha256 -hmac secret -binary
    const BODY: &[u8] = br#"{"type":"points.changed"}"#;
    const SIGNATURE: &str = "W0PN/FcBmNHv87+alK6qlictMmFL9UVGjvqTt3aPH8w=";
    let verify = |body: &[u8], secret: &str| {
        with_stdin(
            bare().env("TROPHY_WEBHOOK_SECRET", secret).args([
                "webhook",
                "verify",
                "--signature",
                SIGNATURE,
            ]),
            body,
        )
    };
    assert_eq!(succeed(verify(BODY, "secret"))["type"], "points.changed");
    assert_eq!(fail(verify(&[BODY, b"\n"].concat(), "secret")).0, 40);
    assert_eq!(fail(verify(BODY, "Secret")).0, 40);
}

#[test]
fn every_command_has_help() {
    let all = String::from_utf8(bare().arg("--help").output().unwrap().stdout).unwrap();
    for command in ["event", "enqueue", "queue", "call", "operations", "webhook"] {
        assert!(
            all.contains(&format!("\n  {command} ")) || all.contains(&format!("\n  {command}\n"))
        );
        let flag = bare().args([command, "--help"]).output().unwrap();
        let word = bare().args(["help", command]).output().unwrap();
        assert_eq!(flag.status.code(), Some(0));
        assert_eq!(flag.stdout, word.stdout);
        let text = String::from_utf8(flag.stdout).unwrap();
        assert!(text.contains(&format!("Usage: trophy {command}")), "{text}");
    }
}

#[test]
fn no_command_is_an_error_that_points_at_help() {
    for args in [&[][..], &["evnet"]] {
        let (exit, _, sentence) = fail(bare().args(args).output().unwrap());
        assert_eq!(exit, 2);
        assert!(sentence.contains("trophy --help"), "{sentence}");
    }
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_no_text_is_a_mistake_wherever_it_stands() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let file = OsStr::from_bytes(b"events\xff.csv");
    let words: [&[&OsStr]; 3] = [
        &["import".as_ref(), file],
        &[file],
        &["queue".as_ref(), file, "status".as_ref()],
    ];
    for words in words {
        let (exit, code, sentence) = fail(bare().args(words).output().unwrap());
        assert_eq!((exit, code.as_str()), (2, "invalid_argument"), "{words:?}");
        assert!(sentence.contains("--help"), "{sentence}");
    }
}
