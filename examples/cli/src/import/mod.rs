//! `trophy import`: a file of events, sent through a queue on disk, that can be stopped and started at any moment.
//!
//! It is read twice. The first reading (`check`) finds what is wrong and the digest, from which follow the rows'
//! idempotency keys and the place where the import keeps its queue (`place`). The second (`feed`) puts rows into
//! the queue as there is room, remembers those that are in it (`window`), and writes down what became of them
//! (`ledger`, `refused`).

mod check;
mod columns;
mod csv_rows;
mod feed;
mod json_rows;
mod ledger;
mod place;
mod refused;
mod row;
mod rows;
mod source;
mod window;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use trophy::error::Status;

use crate::arguments::Import;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Style;
use crate::queue_folder;
use crate::session::Session;
use check::{Checked, Checker};
use feed::{End, Feed};
use ledger::Counts;
use place::Root;
use rows::Rows;
use source::Source;

pub fn run(args: &Import, out: &mut Output) -> Result<(), Failure> {
    if args.check {
        let checker = Checker::new(&Session::keyless(&args.client))?;
        let source = Source::open(&args.file, None)?;
        return check::run(&source, args.format, &checker, out);
    }
    refused_is_not_the_file(args)?;
    let session = Session::read_with_tenant(&args.client)?;
    let checker = Checker::new(&session)?;
    let root = Root::find(queue_folder::named(args.queue.as_deref()))?;
    let source = Source::open(&args.file, Some(root.folder()))?;
    let checked = check::read(
        &source,
        args.format,
        &checker,
        Style::of(out),
        |_, _| Ok(()),
    )?;
    checked.verdict(args.skip_invalid)?;
    send(args, &session, &checker, &root, &source, &checked, out)
}

fn send(
    args: &Import,
    session: &Session,
    checker: &Checker,
    root: &Root,
    source: &Source,
    checked: &Checked,
    out: &mut Output,
) -> Result<(), Failure> {
    let start = Instant::now();
    let place = root.place(&checked.digest, session)?;
    let mut rows = Rows::read(source, args.format)?;
    let mut feed = Feed::new(session, checked, &place, Style::of(out))?;
    let end = feed.run(&mut rows, checker, &place);
    let mut counts = feed.ledger().counts();
    let first_refusal = feed.first_refusal().unwrap_or(Status::Unprocessable);
    let kept = feed.refused().path().to_owned();
    let end = end?;
    if end == End::Done {
        counts.delivered = checked.rows - counts.refused;
    }
    let refused_file = match end {
        End::Done if counts.refused > 0 => {
            let to = match args.refused {
                // Who names it means this one.
                Some(_) => refused_file(args),
                None => feed.refused().free_name(refused_file(args)),
            };
            feed.refused().hand_over(&to)?;
            Some(to)
        }
        End::Done => None,
        _ => (counts.refused > 0).then_some(kept),
    };
    if end == End::Done && rows.digest() != checked.digest {
        return Err(Failure::Input(format!(
            "{} was changed while it was imported; import it again",
            source.name().display()
        )));
    }
    feed.finish();
    let summary = Summary {
        rows: checked.rows,
        counts,
        refused_file,
        seconds: start.elapsed().as_secs_f64(),
    };
    if end == End::Done {
        place.remove()?;
    }
    summary.print(out)?;
    out.flush()?;
    summary.verdict(end, first_refusal)
}

fn refused_file(args: &Import) -> PathBuf {
    match (&args.refused, args.file.as_str()) {
        (Some(file), _) => PathBuf::from(file),
        (None, "-") => PathBuf::from("trophy-import.refused.jsonl"),
        (None, file) => PathBuf::from(format!("{file}.refused.jsonl")),
    }
}

fn refused_is_not_the_file(args: &Import) -> Result<(), Failure> {
    let found = |path: &Path| std::fs::canonicalize(path).ok();
    let is_same = match found(&refused_file(args)) {
        Some(refused) => found(Path::new(&args.file)) == Some(refused),
        None => false,
    };
    match is_same && args.file != "-" {
        true => Err(Failure::usage(format!(
            "--refused names the file itself, {}, which refused rows would take the place of",
            args.file
        ))),
        false => Ok(()),
    }
}

/// What came of it.
struct Summary {
    rows: u64,
    counts: Counts,
    refused_file: Option<PathBuf>,
    /// Of this run.
    seconds: f64,
}

impl Summary {
    fn left(&self) -> u64 {
        let ended = self.counts.delivered + self.counts.refused;
        self.rows.saturating_sub(ended)
    }

    fn print(&self, out: &mut Output) -> Result<(), Failure> {
        let file = self.refused_file.as_ref().map(|file| file.display());
        if !out.is_for_people() {
            let summary = json!({
                "rows": self.rows,
                "delivered": self.counts.delivered,
                "refused": self.counts.refused,
                "undelivered": self.left(),
                "refusedFile": file.map(|file| file.to_string()),
                "seconds": (self.seconds * 1e3).round() / 1e3,
            });
            return out.line(&summary.to_string());
        }
        let mut facts = vec![
            ("rows", self.rows.to_string()),
            ("delivered", self.counts.delivered.to_string()),
            ("refused", self.counts.refused.to_string()),
            ("undelivered", self.left().to_string()),
        ];
        if let Some(file) = file {
            facts.push(("refused rows", file.to_string()));
        }
        facts.push(("time", format!("{:.1} s", self.seconds)));
        out.facts(&facts)
    }

    fn verdict(&self, end: End, first_refusal: Status) -> Result<(), Failure> {
        let goes_on = format!(
            "{} of {} rows are not delivered yet; the same command goes on from there",
            self.left(),
            self.rows
        );
        match end {
            End::Interrupted => Err(Failure::status(Status::Cancelled, goes_on)),
            End::Paused => Err(Failure::status(
                Status::Unauthorized,
                format!("the service refuses the API key; {goes_on}, with a key that it takes"),
            )),
            End::Done if self.counts.refused > 0 => {
                let file = self.refused_file.clone().unwrap_or_default();
                Err(Failure::status(
                    first_refusal,
                    format!(
                        "{} of {} rows were refused; {} has them with the reasons",
                        self.counts.refused,
                        self.rows,
                        file.display()
                    ),
                ))
            }
            End::Done => Ok(()),
        }
    }
}
