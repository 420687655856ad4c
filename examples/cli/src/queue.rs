//! `trophy queue`: what waits in a queue's folder, what was refused, and delivering it now.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde_json::json;
use trophy::error::{Error, Status};
use trophy::queue::store::{self, OsFolder, Store};

use crate::delivery::{self, Watch};
use crate::failure::Failure;
use crate::flags::Flags;
use crate::session::Session;
use crate::{help, line};

/// Events that the service refused, one a line, the older file first.
const DEAD: [&str; 2] = ["dead.1.jsonl", "dead.jsonl"];

pub fn run(mut flags: Flags, out: &mut dyn Write) -> Result<(), Failure> {
    if flags.wants_help() {
        return help::print(out, "queue");
    }
    match &*flags.need_word("status, flush or dead")? {
        "status" => status(flags, out),
        "flush" => flush(flags, out),
        "dead" => dead(flags, out),
        other => Err(Failure::usage(format!(
            "queue: there is no \"{other}\"; it is status, flush or dead"
        ))),
    }
}

/// The queue's folder.
pub fn path(flags: &mut Flags) -> Result<String, Failure> {
    match flags.take("queue")? {
        Some(path) => Ok(path),
        None => std::env::var("TROPHY_QUEUE")
            .ok()
            .filter(|path| !path.is_empty())
            .ok_or_else(|| {
                Failure::usage("no queue; name its folder with --queue or TROPHY_QUEUE")
            }),
    }
}

/// No key, no network: it only looks.
fn status(mut flags: Flags, out: &mut dyn Write) -> Result<(), Failure> {
    let path = path(&mut flags)?;
    flags.end()?;
    let dead = dead_lines(&path)?.len();
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(
            Status::Storage,
            format!("the queue {path} cannot be read: {error}"),
        )
    };
    let folder = OsFolder::new(&path).map_err(|error| failed(&error))?;
    let store =
        Store::open(Box::new(folder), store::Options::default()).map_err(|error| failed(&error))?;
    let usage = store.usage();
    let status = json!({
        "path": path,
        "queued": usage.events,
        "bytesOnDisk": usage.bytes,
        "dead": dead,
    });
    line(out, &status.to_string())
}

fn dead(mut flags: Flags, out: &mut dyn Write) -> Result<(), Failure> {
    let path = path(&mut flags)?;
    flags.end()?;
    for event in dead_lines(&path)? {
        line(out, &event)?;
    }
    Ok(())
}

fn dead_lines(path: &str) -> Result<Vec<String>, Failure> {
    need_folder(path)?;
    let mut lines = Vec::new();
    for name in DEAD {
        let file = Path::new(path).join(name);
        match fs::read_to_string(&file) {
            Ok(text) => lines.extend(text.lines().map(str::to_owned)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::reading(&file, &error)),
        }
    }
    Ok(lines)
}

/// The library would make it.
fn need_folder(path: &str) -> Result<(), Failure> {
    if Path::new(path).is_dir() {
        return Ok(());
    }
    Err(Error::new(
        Status::Storage,
        format!("there is no queue at {path}; `trophy enqueue` makes one"),
    )
    .into())
}

fn flush(mut flags: Flags, out: &mut dyn Write) -> Result<(), Failure> {
    let path = path(&mut flags)?;
    let timeout_ms = flags.take_seconds("timeout")?.unwrap_or(60_000);
    let mut session = Session::take(&mut flags)?;
    flags.end()?;
    need_folder(&path)?;
    session.queue(&path);

    let client = session.open()?;
    let outcome = delivery::deliver(&client, &Watch::begin(&client), timeout_ms)?;
    line(out, &outcome.report().to_string())?;
    outcome.verdict(&path)
}
