//! The first reading: how many rows there are, which are wrong, and the digest of it all. Nothing is sent.

use std::time::Duration;

use serde_json::json;
use trophy::client::Client;
use trophy::error::Status;

use super::row::{Event, Row};
use super::rows::Rows;
use super::source::{Digest, Source};
use crate::arguments::Format;
use crate::failure::Failure;
use crate::output::Output;
use crate::pretty;
use crate::progress::{Position, Progress, Style};
use crate::session::Session;
use crate::wording;

/// Of rows that are wrong, so many are named in an error.
const NAMED: usize = 3;
/// How far it is is shown after every so many rows.
const SHOW_EVERY: u64 = 4_096;
/// Lines of JSON say nothing of what is done in a moment.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Checked {
    pub rows: u64,
    pub wrong: u64,
    pub digest: Digest,
    /// The first of them.
    named: Vec<String>,
}

/// The library's own check of an event: that of a client which is closed, so that it can send nothing.
pub struct Checker(Client);

impl Checker {
    pub fn new(session: &Session) -> Result<Self, Failure> {
        let mut session = session.clone();
        session.without_queue();
        let client = session.open()?;
        client
            .close(0)
            .map_err(|error| wording::CLIENT.failure(error))?;
        Ok(Self(client))
    }

    /// What is wrong with the event.
    fn reason(&self, event: &Event) -> Option<String> {
        match self.0.event(&event.args()) {
            Err(error) if error.status == Status::InvalidArgument => {
                Some(wording::ROW.translate(error).message)
            }
            _ => None,
        }
    }

    /// A row whose event the library would refuse is wrong.
    pub fn check(&self, mut row: Row) -> Row {
        if let Ok(event) = &row.event
            && let Some(reason) = self.reason(event)
        {
            row.event = Err(event.wrong(reason));
        }
        row
    }
}

/// Reads everything. `tell` hears of each row that is wrong.
pub fn read(
    source: &Source,
    format: Option<Format>,
    checker: &Checker,
    style: Style,
    mut tell: impl FnMut(u64, &str) -> Result<(), Failure>,
) -> Result<Checked, Failure> {
    let mut rows = Rows::read(source, format)?;
    let mut progress = Progress::begin(style, "checking", PATIENCE);
    let (mut count, mut wrong, mut named) = (0, 0, Vec::new());
    for row in rows.by_ref() {
        let row = checker.check(row?);
        count += 1;
        if count % SHOW_EVERY == 0 {
            progress.show(&Position {
                done: count,
                refused: wrong,
                ..Position::default()
            });
        }
        if let Err(why) = row.event {
            wrong += 1;
            if named.len() < NAMED {
                named.push(format!("line {}: {}", row.at.line, why.reason));
            }
            progress.aside(|| tell(row.at.line, &why.reason))?;
        }
    }
    progress.end();
    Ok(Checked {
        rows: count,
        wrong,
        digest: rows.digest(),
        named,
    })
}

/// `--check`: lists what is wrong, and sends nothing.
pub fn run(
    source: &Source,
    format: Option<Format>,
    checker: &Checker,
    out: &mut Output,
) -> Result<(), Failure> {
    let checked = read(
        source,
        format,
        checker,
        Style::of(out),
        |line, reason| match out.is_for_people() {
            true => out.line(&format!("line {line}: {}", pretty::text(reason))),
            false => out.line(&json!({ "line": line, "reason": reason }).to_string()),
        },
    )?;
    match out.is_for_people() {
        true => out.facts(&[
            ("rows", checked.rows.to_string()),
            ("wrong", checked.wrong.to_string()),
        ])?,
        false => {
            let summary = json!({ "rows": checked.rows, "invalid": checked.wrong });
            out.line(&summary.to_string())?;
        }
    }
    match checked.wrong {
        0 => Ok(()),
        wrong => Err(Failure::usage(format!(
            "{wrong} of {} rows are wrong",
            checked.rows
        ))),
    }
}

impl Checked {
    /// Nothing is sent while rows are wrong, unless that is wanted.
    pub fn verdict(&self, skip_invalid: bool) -> Result<(), Failure> {
        if self.wrong == 0 || skip_invalid {
            return Ok(());
        }
        let more = match self.wrong > self.named.len() as u64 {
            true => "; …",
            false => "",
        };
        Err(Failure::usage(format!(
            "{} of {} rows are wrong, so nothing was sent: {}{more}; --check lists them all, --skip-invalid sends \
             the others",
            self.wrong,
            self.rows,
            self.named.join("; "),
        )))
    }
}
