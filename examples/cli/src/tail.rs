//! `trophy tail`: deliveries of a queue as they end.

use std::io::Write as _;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use console::style;
use serde_json::{Value, json};
use trophy::client::{Client, DeliveryCallback};
use trophy::error::Status;

use crate::arguments::Tail;
use crate::dead_letters::Follow;
use crate::delivery::message_of;
use crate::failure::Failure;
use crate::output::Output;
use crate::pretty;
use crate::progress::Style;
use crate::queue_folder;
use crate::session::Session;
use crate::signals::Interrupt;
use crate::stats::Stats;
use crate::waiting::Waiting;
use crate::wording;

/// Between two looks at the folder.
const LOOK: Duration = Duration::from_millis(200);
const PATIENCE_MS: i64 = 50;

pub fn run(args: &Tail, out: &mut Output) -> Result<(), Failure> {
    let path = queue_folder::path(args.folder.queue.as_deref())?;
    queue_folder::need(&path)?;
    let mut session = Session::read(&args.session)?;
    session.queue(&path);
    let interrupt = Interrupt::listen()?;
    let mut tail = Source::begin(&session, &path)?;
    let mut waiting = Waiting::new(&session);
    let mut told = None;
    let mut left = 0;
    // How many have left the queue, as far as is seen.
    let mut gone = 0;
    while !interrupt.is_asked() {
        for end in tail.wait()? {
            print(out, &end)?;
        }
        let undelivered = tail.undelivered()?;
        // After that, so that all of this process's own are in it.
        let stats = Stats::of(&tail.client)?;
        gone += u64::saturating_sub(left, undelivered);
        left = undelivered;
        if gone > stats.ended() {
            // Nobody here ended them.
            print(out, &json!({ "undelivered": undelivered }).to_string())?;
            gone = stats.ended();
        }
        out.flush()?;
        if stats.paused {
            return Err(Failure::status(
                Status::Unauthorized,
                format!(
                    "the service refuses the API key; every event is safe in {path}, so come again with another key"
                ),
            ));
        }
        let why = waiting.look(&stats, undelivered);
        if why != told {
            say(Style::of(out), why.as_deref());
            told = why;
        }
    }
    tail.end()
}

/// Where ends are heard of. What the service refuses is read from the folder, whoever delivers it; the rest is
/// heard of by who delivers.
struct Source {
    client: Client,
    heard: Receiver<String>,
    dead: Follow,
}

impl Source {
    fn begin(session: &Session, path: &str) -> Result<Self, Failure> {
        let dead = Follow::begin(path)?;
        let (tell, heard) = mpsc::channel();
        let client = session.open()?;
        client.on_delivery(Some(Arc::new(Ends(Mutex::new(tell)))));
        Ok(Self {
            client,
            heard,
            dead,
        })
    }

    fn wait(&mut self) -> Result<Vec<String>, Failure> {
        let mut ends: Vec<String> = self.heard.recv_timeout(LOOK).into_iter().collect();
        ends.extend(self.heard.try_iter());
        ends.extend(self.dead.new_lines()?.iter().map(|line| refused(line)));
        Ok(ends)
    }

    /// With a moment's patience, in which the client begins to deliver what others have put there.
    fn undelivered(&self) -> Result<u64, Failure> {
        let ending = self
            .client
            .flush(PATIENCE_MS)
            .map_err(|error| wording::CLIENT.failure(error))?;
        Ok(ending.undelivered)
    }

    fn end(self) -> Result<(), Failure> {
        self.client
            .close(0)
            .map(drop)
            .map_err(|error| wording::CLIENT.failure(error))
    }
}

struct Ends(Mutex<Sender<String>>);

impl DeliveryCallback for Ends {
    fn run(&self, status: Status, json: &str) {
        if matches!(status, Status::Ok | Status::Expired | Status::QueueFull) {
            // Nobody listens any more: then it is over.
            let tell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = tell.send(json.to_owned());
        }
    }
}

/// A dead event as a delivery callback would have told of it.
fn refused(line: &str) -> String {
    let dead: Value = serde_json::from_str(line).unwrap_or_default();
    json!({
        "idempotencyKey": dead["event"]["idempotencyKey"],
        "key": dead["event"]["key"],
        "userId": dead["event"]["user"]["id"],
        "error": dead["error"],
    })
    .to_string()
}

fn print(out: &mut Output, end: &str) -> Result<(), Failure> {
    if !out.is_for_people() {
        return out.line(end);
    }
    let event: Value = serde_json::from_str(end).unwrap_or_default();
    if let Some(left) = event.get("undelivered") {
        return out.line(&format!("{left} left, delivered by another process"));
    }
    let text = |name: &str| pretty::text(event[name].as_str().unwrap_or_default());
    let of = format!(
        "{} of {}  {}",
        style(text("key")).bold(),
        text("userId"),
        style(text("idempotencyKey")).dim()
    );
    match event.get("error") {
        None => out.line(&format!("{} {of}", style("delivered").green())),
        Some(_) => out.line(&format!(
            "{} {of}  {}",
            style("refused  ").red(),
            pretty::text(&message_of(end))
        )),
    }
}

/// Why nothing ends.
fn say(to: Style, why: Option<&str>) {
    let Some(why) = why else { return };
    let text = match to {
        Style::Bar => format!(
            "{} {}",
            style("waiting:").for_stderr().yellow(),
            pretty::text(why)
        ),
        Style::Lines => json!({ "progress": { "waitsFor": why } }).to_string(),
    };
    // Who does not read it misses nothing else.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
