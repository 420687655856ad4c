//! `trophy import`: files in, events out, once each, whatever happens on the way.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::{
    bare, fail, lines, requests, sandbox, succeed, text, total, trophy, wait_for, with_stdin, write,
};
use tempfile::TempDir;
use trophy_sandbox::Sandbox;

/// A folder for the file, for where the import stands, and for what it refuses.
struct Desk {
    sandbox: Sandbox,
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            sandbox: sandbox(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        write(&path, text);
        path
    }

    /// At a pace that tests can wait for.
    fn import(&self, file: &Path) -> Command {
        let mut command = trophy(&self.sandbox);
        command
            .env("XDG_STATE_HOME", self.path("state"))
            .current_dir(self.folder.path())
            .arg("import")
            .arg(file)
            .args(["--option", r#"{"queue":{"requests_per_second":1000}}"#]);
        command
    }

    /// One event a request.
    fn import_singly(&self, file: &Path) -> Command {
        let mut command = self.import(file);
        command.args([
            "--option",
            r#"{"queue":{"requests_per_second":1000,"delivery":"single"}}"#,
        ]);
        command
    }

    fn total(&self, user: &str) -> f64 {
        total(&self.sandbox, user, "words-written")
    }

    /// Where imports stand that are not done.
    fn places(&self) -> Vec<PathBuf> {
        match fs::read_dir(self.path("state/trophy")) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Rows that came to their end, as the ledger on disk has it.
    fn ended(&self) -> usize {
        self.places()
            .iter()
            .filter_map(|place| fs::read(place.join("rows")).ok())
            .map(|rows| rows.iter().filter(|byte| **byte == b'd').count())
            .sum()
    }

    /// Events that counted.
    fn counted(&self) -> u64 {
        self.sandbox.ledger()["events"].as_u64().unwrap()
    }

    /// Requests that the sandbox had of an operation.
    fn requests(&self, operation: &str) -> u64 {
        let ledger = self.sandbox.ledger();
        ledger["requests"][operation].as_u64().unwrap_or(0)
    }
}

fn rows(count: usize) -> String {
    let mut text = String::new();
    for row in 0..count {
        let user = row % 50;
        writeln!(
            text,
            r#"{{"metric":"words-written","user":{{"id":"u{user}"}},"value":1}}"#
        )
        .unwrap();
    }
    text
}

fn start(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn the_same_content_counts_once_as_a_file_packed_or_from_stdin() {
    let desk = Desk::new();
    let text = rows(120);
    let file = desk.file("events.jsonl", &text);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    fs::write(desk.path("events.jsonl.gz"), gzip.finish().unwrap()).unwrap();

    let first = succeed(desk.import(&file).output().unwrap());
    assert_eq!(
        (&first["rows"], &first["delivered"], &first["refused"]),
        (&json!(120), &json!(120), &json!(0))
    );
    succeed(desk.import(&file).output().unwrap());
    succeed(desk.import(&desk.path("events.jsonl.gz")).output().unwrap());
    succeed(with_stdin(
        &mut desk.import(Path::new("-")),
        text.as_bytes(),
    ));

    assert_eq!(desk.counted(), 120);
    assert!(desk.places().is_empty(), "nothing is left behind");
}

#[test]
fn csv_with_named_columns_is_imported_with_user_and_attributes() {
    let desk = Desk::new();
    let file = desk.file(
        "events.csv",
        "\u{feff}value,metric,user.id,user.email,user.attributes.plan,attributes.genre,idempotencyKey\r\n\
         2.5,words-written,ann,ann@example.com,pro,horror,chapter-1\r\n\
         -1,words-written,ann,,,,\r\n",
    );
    succeed(desk.import_singly(&file).output().unwrap());
    assert_eq!(desk.total("ann"), 1.5);
    let sent = requests(&desk.sandbox, "metrics_event");
    let body: Value = serde_json::from_str(sent[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        body,
        json!({
            "user": { "id": "ann", "email": "ann@example.com", "attributes": { "plan": "pro" } },
            "value": 2.5,
            "attributes": { "genre": "horror" },
        })
    );
    let keys = |request: &Value| request["headers"].to_string();
    assert!(keys(&sent[0]).contains("\"chapter-1\""));
    assert!(keys(&sent[1]).contains("\"import-"));
}

#[test]
fn check_lists_what_is_wrong_by_line_and_needs_no_key_and_sends_nothing() {
    let desk = Desk::new();
    let good = rows(2);
    let file = desk.file(
        "events.jsonl",
        &format!(
            "{good}\n{}\n{}\n{}\n{good}",
            r#"{"metric":"m","user":{"id":7},"value":1}"#,
            r#"{"metric":"m","user":{"id":"7"},"value":1,"attributes":{"level":3}}"#,
            r#"{"metric":"m","userId":"7"}"#,
        ),
    );
    let output = bare()
        .args(["import", "--check"])
        .arg(&file)
        .env("TROPHY_BASE_URL", desk.sandbox.url())
        .output()
        .unwrap();
    assert_eq!(
        lines(&output.stdout),
        [
            json!({"line":4,"reason":"user: \"id\" must be a string, not a number"}),
            json!({"line":5,"reason":"attributes: \"level\" must be a string, not a number"}),
            json!({"line":6,"reason":"has no \"value\""}),
            json!({"rows":7,"invalid":3}),
        ]
    );
    assert_eq!(fail(output).0, 2);
    assert_eq!(desk.sandbox.requests(1), json!([]));

    let good = desk.file("good.jsonl", &good);
    let output = bare().args(["import", "--check"]).arg(&good).output();
    assert_eq!(succeed(output.unwrap()), json!({"rows":2,"invalid":0}));
}

#[test]
fn wrong_rows_keep_the_others_from_being_sent_unless_that_is_wanted() {
    let desk = Desk::new();
    let file = desk.file("events.jsonl", &format!("{}{{}}\n", rows(3)));
    let (exit, code, sentence) = fail(desk.import(&file).output().unwrap());
    assert_eq!((exit, code.as_str()), (2, "invalid_argument"));
    assert!(sentence.contains("line 4"), "{sentence}");
    assert_eq!(desk.sandbox.requests(1), json!([]));

    let output = desk.import(&file).arg("--skip-invalid").output().unwrap();
    let summary = support::json(&output.stdout);
    assert_eq!(
        (&summary["delivered"], &summary["refused"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(fail(output).0, 24);
    let refused = fs::read(desk.path("events.jsonl.refused.jsonl")).unwrap();
    assert_eq!(
        lines(&refused),
        [json!({"row":4,"line":4,"reason":"has no \"user\"","text":"{}"})]
    );
}

#[test]
fn refused_rows_come_in_a_file_that_can_be_mended_and_imported() {
    let desk = Desk::new();
    let file = desk.file(
        "events.csv",
        "metric,user.id,value\nwords-written,ann,1\nno-such-metric,ann,2\nwords-written,ann,4\n",
    );
    let output = desk
        .import(&file)
        .args(["--refused", "refused"])
        .output()
        .unwrap();
    let summary = support::json(&output.stdout);
    assert_eq!(
        (
            &summary["delivered"],
            &summary["refused"],
            &summary["refusedFile"]
        ),
        (&json!(2), &json!(1), &json!("refused"))
    );
    let (exit, code, sentence) = fail(output);
    assert_eq!((exit, code.as_str()), (24, "unprocessable"));
    assert!(sentence.contains("refused has them"), "{sentence}");

    let refused = fs::read_to_string(desk.path("refused")).unwrap();
    let row = &lines(refused.as_bytes())[0];
    assert_eq!((&row["row"], &row["line"]), (&json!(2), &json!(3)));
    assert!(row["reason"].as_str().unwrap().contains("no-such-metric"));

    let mended = refused.replace(
        "\"metric\":\"no-such-metric\"",
        "\"metric\":\"words-written\"",
    );
    let mended = desk.file("mended.jsonl", &mended);
    succeed(desk.import(&mended).output().unwrap());
    assert_eq!(desk.total("ann"), 7.0);
}

#[test]
fn a_file_that_is_imported_again_leaves_the_rows_alone_that_were_mended_meanwhile() {
    let desk = Desk::new();
    let file = desk.file("events.csv", "metric,user.id,value\nno-such-metric,ann,2\n");
    let first = desk.path("events.csv.refused.jsonl");
    let mut import = desk.import(&file);
    fail(import.output().unwrap());
    fail(import.output().unwrap());
    assert!(!desk.path("events.csv.refused.2.jsonl").exists());

    fs::write(&first, "mended").unwrap();
    let summary = support::json(&import.output().unwrap().stdout);
    assert_eq!(fs::read_to_string(&first).unwrap(), "mended");
    let second = desk.path("events.csv.refused.2.jsonl");
    assert_eq!(summary["refusedFile"], json!(second));
    assert_eq!(lines(&fs::read(&second).unwrap())[0]["line"], 2);
}

#[test]
fn killed_at_any_moment_the_same_command_goes_on_and_every_row_counts_once() {
    const ROWS: u64 = 1_500;
    let desk = Desk::new();
    let file = desk.file("events.jsonl", &rows(ROWS as usize));
    let mut kills: u64 = 0;
    // Between two kills something is to have been done.
    for more in [1, 90, 300, 600] {
        let mut child = start(&mut desk.import_singly(&file));
        wait_for("rows that ended, or the end", || {
            desk.ended() >= more || child.try_wait().unwrap().is_some()
        });
        child.kill().unwrap();
        kills += u64::from(!child.wait().unwrap().success());
    }
    assert_eq!(kills, 4, "it was killed before it was done");
    let summary = succeed(desk.import_singly(&file).output().unwrap());
    assert_eq!(
        (&summary["delivered"], &summary["undelivered"]),
        (&json!(ROWS), &json!(0))
    );
    assert_eq!(desk.counted(), ROWS);
    // It went on, and did not begin again: only what was under way was sent twice.
    let sent = desk.requests("metrics_event");
    assert!(sent <= ROWS + kills * 50, "{sent}");
    assert!(desk.places().is_empty());
}

#[test]
fn killed_in_batches_the_same_command_goes_on_and_every_row_counts_once() {
    const ROWS: u64 = 6_000;
    let desk = Desk::new();
    let file = desk.file("events.jsonl", &rows(ROWS as usize));
    for more in [1, 2_500] {
        let mut child = start(&mut desk.import(&file));
        wait_for("rows that ended, or the end", || {
            desk.ended() >= more || child.try_wait().unwrap().is_some()
        });
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let summary = succeed(desk.import(&file).output().unwrap());
    assert_eq!(summary["delivered"], ROWS);
    assert_eq!(desk.counted(), ROWS);
    assert!(desk.requests("admin_metrics_batch_events") > 0);
}

#[test]
fn ctrl_c_ends_in_good_order_and_the_same_command_goes_on() {
    const ROWS: u64 = 600;
    let desk = Desk::new();
    let file = desk.file("events.jsonl", &rows(ROWS as usize));
    let child = start(&mut desk.import_singly(&file));
    wait_for("rows that ended", || desk.ended() >= 20);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let summary = support::json(&output.stdout);
    assert!(summary["undelivered"].as_u64().unwrap() > 0, "{summary}");
    let (exit, code, sentence) = fail(output);
    assert_eq!((exit, code.as_str()), (3, "cancelled"));
    assert!(sentence.contains("the same command goes on"), "{sentence}");

    let summary = succeed(desk.import_singly(&file).output().unwrap());
    assert_eq!(summary["delivered"], ROWS);
    assert_eq!(desk.counted(), ROWS);
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn refused_rows_of_a_run_that_was_killed_are_in_the_file_once_each() {
    // Spreadsheets write the second as "CSV (Macintosh)".
    for end in ["\n", "\r"] {
        refused_rows_are_in_the_file_once_each(end);
    }
}

fn refused_rows_are_in_the_file_once_each(end: &str) {
    let desk = Desk::new();
    let mut text = String::from("metric,user.id,value\n");
    for row in 0..400 {
        let (metric, value) = match row % 4 {
            1 => ("no-such-metric", "1"),
            3 => ("words-written", "many"),
            _ => ("words-written", "1"),
        };
        writeln!(text, "{metric},u{row},{value}").unwrap();
    }
    let file = desk.file("events.csv", &text.replace('\n', end));
    let import = || {
        let mut command = desk.import_singly(&file);
        command.arg("--skip-invalid");
        command
    };
    for more in [10, 80] {
        let mut child = start(&mut import());
        wait_for("rows that ended", || desk.ended() >= more);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = import().output().unwrap();
    let summary = support::json(&output.stdout);
    assert_eq!(
        (&summary["delivered"], &summary["refused"]),
        (&json!(200), &json!(200))
    );
    let refused = fs::read(desk.path("events.csv.refused.jsonl")).unwrap();
    let mut found: Vec<u64> = lines(&refused)
        .iter()
        .map(|row| row["line"].as_u64().unwrap())
        .collect();
    found.sort_unstable();
    let expected: Vec<u64> = (0..200).map(|row| 3 + 2 * row).collect();
    assert_eq!(found, expected, "{end:?}");
    assert_eq!(desk.counted(), 200);
}

#[test]
fn rows_that_end_in_cr_alone_are_told_apart_after_a_restart() {
    const ROWS: u64 = 400;
    let desk = Desk::new();
    let mut text = String::from("metric,user.id,value\rno-such-metric,u,1\r");
    for row in 1..ROWS {
        write!(text, "words-written,u{row},1\r").unwrap();
    }
    let file = desk.file("events.csv", &text);
    let option = r#"{"queue":{"requests_per_second":100,"delivery":"single"}}"#;
    let child = start(desk.import(&file).args(["--option", option]));
    wait_for("rows that ended", || desk.ended() >= 12);
    interrupt(&child);
    let (exit, code, _) = fail(child.wait_with_output().unwrap());
    assert_eq!((exit, code.as_str()), (3, "cancelled"));

    let output = desk.import_singly(&file).output().unwrap();
    let summary = support::json(&output.stdout);
    assert_eq!(
        (
            &summary["delivered"],
            &summary["refused"],
            &summary["undelivered"]
        ),
        (&json!(ROWS - 1), &json!(1), &json!(0))
    );
    assert_eq!(desk.counted(), ROWS - 1);
    let refused = fs::read(desk.path("events.csv.refused.jsonl")).unwrap();
    let refused = lines(&refused);
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (&refused[0]["row"], &refused[0]["line"]),
        (&json!(1), &json!(2))
    );
}

/// A version before wrote lines of refused rows without the row.
#[test]
fn an_import_that_an_older_version_began_loses_nothing() {
    const ROWS: u64 = 400;
    let desk = Desk::new();
    let mut text = String::from("metric,user.id,value\rno-such-metric,u,1\r");
    for row in 1..ROWS {
        write!(text, "words-written,u{row},1\r").unwrap();
    }
    let file = desk.file("events.csv", &text);
    let mut child = start(&mut desk.import_singly(&file));
    wait_for("rows that ended", || desk.ended() >= 12);
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = desk.places()[0].join("refused.jsonl");
    let refused = fs::read_to_string(&kept).unwrap();
    write(
        &kept,
        &refused.replace(r#""row":1,"line":2,"#, r#""line":1,"#),
    );

    let output = desk.import_singly(&file).output().unwrap();
    let summary = support::json(&output.stdout);
    assert_eq!(
        (&summary["delivered"], &summary["refused"]),
        (&json!(ROWS - 1), &json!(1))
    );
    assert_eq!(desk.counted(), ROWS - 1);
}

#[test]
fn after_a_start_of_the_machine_what_was_begun_goes_into_the_queue_again() {
    let desk = Desk::new();
    let file = desk.file("events.jsonl", &rows(300));
    let mut child = start(&mut desk.import_singly(&file));
    wait_for("rows that ended", || desk.ended() >= 20);
    child.kill().unwrap();
    child.wait().unwrap();
    // The power was lost, and with it what the queue had not synced.
    let place = &desk.places()[0];
    fs::remove_dir_all(place.join("queue")).unwrap();
    write(&place.join("started"), "another start of the machine");

    let summary = succeed(desk.import_singly(&file).output().unwrap());
    assert_eq!(summary["delivered"], 300);
    assert_eq!(desk.counted(), 300);
}

#[test]
fn an_import_that_is_under_way_is_not_begun_a_second_time() {
    let desk = Desk::new();
    let file = desk.file("events.jsonl", &rows(2_000));
    let mut first = start(&mut desk.import_singly(&file));
    wait_for("rows that ended", || desk.ended() >= 1);
    let (exit, _, sentence) = fail(desk.import_singly(&file).output().unwrap());
    assert_eq!(exit, 2);
    assert!(sentence.contains("under way"), "{sentence}");
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn another_service_gets_all_of_it_again() {
    let desk = Desk::new();
    let file = desk.file("events.jsonl", &rows(100));
    let mut child = start(&mut desk.import_singly(&file));
    wait_for("rows that ended", || desk.ended() >= 10);
    child.kill().unwrap();
    child.wait().unwrap();

    let other = sandbox();
    let summary = succeed(
        desk.import_singly(&file)
            .env("TROPHY_BASE_URL", other.url())
            .env("TROPHY_ADMIN_BASE_URL", other.admin_url())
            .output()
            .unwrap(),
    );
    assert_eq!(summary["delivered"], 100);
    assert_eq!(other.ledger()["events"], 100);
}

#[test]
fn another_tenant_gets_all_of_it_also_where_an_option_names_it() {
    let desk = Desk::new();
    let file = desk.file("events.jsonl", &rows(200));
    let import = |tenant: &str| {
        let mut command = desk.import_singly(&file);
        command.args(["--option", &json!({ "tenant_id": tenant }).to_string()]);
        command
    };
    let mut child = start(&mut import("tenant-a"));
    wait_for("rows that ended", || desk.ended() >= 10);
    child.kill().unwrap();
    child.wait().unwrap();

    let summary = succeed(import("tenant-b").output().unwrap());
    assert_eq!(summary["delivered"], 200);
    let sent = requests(&desk.sandbox, "metrics_event");
    let to_b = |request: &&Value| request["headers"].to_string().contains("\"tenant-b\"");
    assert_eq!(sent.iter().filter(to_b).count(), 200);
    assert_eq!(desk.places().len(), 1, "where the other stands is kept");
}

#[test]
fn the_file_itself_is_no_place_for_refused_rows() {
    let desk = Desk::new();
    let text = "metric,user.id,value\nno-such-metric,ann,1\n";
    let file = desk.file("events.csv", text);
    let output = desk
        .import(&file)
        .args(["--refused", "./events.csv"])
        .output()
        .unwrap();
    assert_eq!(fail(output).0, 2);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_key_that_is_refused_ends_it_and_a_rotated_one_goes_on() {
    let desk = Desk::new();
    let file = desk.file("events.jsonl", &rows(50));
    desk.sandbox.set_admin_keys(&["sandbox_admin.rotated"]);
    let output = desk.import(&file).output().unwrap();
    let (exit, code, sentence) = fail(output);
    assert_eq!((exit, code.as_str()), (21, "unauthorized"));
    assert!(sentence.contains("goes on"), "{sentence}");

    let summary = succeed(
        desk.import(&file)
            .env("TROPHY_API_KEY", "sandbox_admin.rotated")
            .output()
            .unwrap(),
    );
    assert_eq!(summary["delivered"], 50);
}

#[test]
fn a_named_queue_is_used_and_stays() {
    let desk = Desk::new();
    let file = desk.file("events.jsonl", &rows(40));
    let queue = desk.path("queue");
    let summary = succeed(
        desk.import(&file)
            .arg("--queue")
            .arg(&queue)
            .output()
            .unwrap(),
    );
    assert_eq!(summary["delivered"], 40);
    let status = bare()
        .args(["queue", "status", "--queue"])
        .arg(&queue)
        .output();
    assert_eq!(succeed(status.unwrap())["queued"], 0);
    let left = fs::read_dir(&queue).unwrap();
    let names: Vec<String> = left
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        !names.iter().any(|name| name.starts_with("import-")),
        "{names:?}"
    );
}

#[test]
fn where_another_process_delivers_the_queue_the_import_ends_and_finds_what_was_refused() {
    let desk = Desk::new();
    let queue = desk.path("queue");
    let file = desk.file(
        "events.csv",
        "metric,user.id,value\nwords-written,ann,1\nno-such-metric,ann,2\nwords-written,ann,4\n",
    );
    fs::create_dir(&queue).unwrap();
    // It drains the queue from now on: it has seen an event through.
    let mut tail = trophy(&desk.sandbox);
    let mut tail = start(tail.args(["tail", "--queue"]).arg(&queue));
    let mut first = trophy(&desk.sandbox);
    let kept = first
        .args(["enqueue", "words-written", "--user", r#"{"id":"first"}"#])
        .args(["--value", "1", "--queue"])
        .arg(&queue);
    succeed(kept.output().unwrap());
    wait_for("the first event", || desk.total("first") == 1.0);

    let output = desk
        .import(&file)
        .arg("--queue")
        .arg(&queue)
        .output()
        .unwrap();
    tail.kill().unwrap();
    tail.wait().unwrap();
    let summary = support::json(&output.stdout);
    assert_eq!(
        (&summary["delivered"], &summary["refused"]),
        (&json!(2), &json!(1)),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(desk.total("ann"), 5.0);
    let refused = fs::read(desk.path("events.csv.refused.jsonl")).unwrap();
    assert_eq!(lines(&refused)[0]["line"], 3);
}

#[test]
fn a_queue_with_little_room_is_waited_for() {
    let desk = Desk::new();
    let file = desk.file("events.jsonl", &rows(200));
    let option = r#"{"queue":{"requests_per_second":1000,"max_events":7}}"#;
    let summary = succeed(
        desk.import(&file)
            .args(["--option", option])
            .output()
            .unwrap(),
    );
    assert_eq!(summary["delivered"], 200);
}

#[test]
fn a_row_that_no_queue_takes_is_refused_and_holds_up_nothing() {
    let desk = Desk::new();
    let long = format!(
        "{{\"metric\":\"words-written\",\"userId\":\"u\",\"value\":1,\"attributes\":{{\"genre\":\"{}\"}}}}\n",
        "x".repeat(20_000)
    );
    let file = desk.file("events.jsonl", &format!("{}{long}{}", rows(2), rows(2)));
    let option = r#"{"queue":{"requests_per_second":1000,"max_bytes":10000}}"#;
    let output = desk
        .import(&file)
        .args(["--option", option])
        .output()
        .unwrap();
    let summary = support::json(&output.stdout);
    assert_eq!(
        (&summary["delivered"], &summary["refused"]),
        (&json!(4), &json!(1))
    );
}

#[test]
fn rows_with_one_key_count_once_and_are_all_delivered() {
    let desk = Desk::new();
    let row = r#"{"metric":"words-written","userId":"u","value":1,"idempotencyKey":"same"}"#;
    let other = r#"{"metric":"words-written","userId":"v","value":1,"idempotencyKey":"same"}"#;
    let file = desk.file("events.jsonl", &format!("{row}\n{row}\n{other}\n"));
    let summary = succeed(desk.import(&file).output().unwrap());
    assert_eq!(summary["delivered"], 3);
    assert_eq!((desk.total("u"), desk.total("v")), (1.0, 1.0));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let desk = Desk::new();
    let (exit, code, sentence) = fail(desk.import(Path::new("nowhere.csv")).output().unwrap());
    assert_eq!((exit, code.as_str()), (1, "input"));
    assert!(sentence.contains("nowhere.csv"), "{sentence}");

    let file = desk.file("events.csv.gz", "this is not packed");
    let (exit, code, sentence) = fail(desk.import(&file).output().unwrap());
    assert_eq!((exit, code.as_str()), (1, "input"));
    assert!(sentence.contains("events.csv.gz"), "{sentence}");

    let file = desk.file("events.csv", "metric;user.id;value\n");
    let (exit, _, sentence) = fail(desk.import(&file).output().unwrap());
    assert_eq!(exit, 2);
    assert!(sentence.contains("separated by commas"), "{sentence}");
}

#[test]
fn an_empty_file_is_imported_at_once() {
    let desk = Desk::new();
    let file = desk.file("events.jsonl", "");
    assert_eq!(succeed(desk.import(&file).output().unwrap())["rows"], 0);
}

#[test]
fn how_far_it_is_comes_as_lines_of_json() {
    let desk = Desk::new();
    let file = desk.file("events.jsonl", &rows(40));
    let option = r#"{"queue":{"requests_per_second":10,"delivery":"single"}}"#;
    let output = desk
        .import(&file)
        .args(["--option", option])
        .output()
        .unwrap();
    let said = lines(&output.stderr);
    assert!(!said.is_empty());
    let mut before = 0;
    for line in &said {
        let progress = &line["progress"];
        let done = progress["done"].as_u64().unwrap();
        assert!(done >= before && progress["total"] == 40, "{line}");
        before = done;
    }
    assert!(
        said.iter()
            .any(|line| line["progress"]["secondsLeft"].is_u64())
    );
    succeed(output);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_file() {
    let desk = Desk::new();
    let peak = |name: &str, count: usize| {
        let file = desk.file(name, &rows(count));
        let mut child = start(&mut desk.import(&file));
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        wait_for("the end", || {
            let status = fs::read_to_string(&status).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("VmHWM:"));
            let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
            peak = kilobytes.map_or(peak, |number| number.parse::<u64>().unwrap().max(peak));
            child.try_wait().unwrap().is_some()
        });
        succeed(child.wait_with_output().unwrap());
        peak
    };
    // The window is full with both. A row that is held takes 365 bytes at least, so 26,000 of them would be 9 MiB; on a
    // busy machine the peak of the same run differs by 4.
    let (few, many) = (peak("few.jsonl", 13_000), peak("many.jsonl", 39_000));
    assert!(many < few + 8_192, "{few} KiB, then {many} KiB");
}
