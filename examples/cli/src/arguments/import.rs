//! The flags of `trophy import`.

use clap::{Args, ValueEnum};

use super::WithTenant;

/// Send a file of events: a backlog, or the history from another system
///
/// Checks the whole file, then sends its events through a queue on disk at the service's pace, in batches where
/// the key may. It can be stopped at any moment; the same command goes on where it was. A row without an
/// idempotency key gets one from the content of the whole file and the row's number, so that the same file counts
/// once if it is imported twice. A part of it, or a file that was edited, is another file, and counts anew.
#[derive(Debug, Args)]
#[command(after_help = r#"JSON Lines, one event a line:
  {"metric":"words-written","user":{"id":"18","tz":"Europe/Berlin"},
   "value":750,"attributes":{"genre":"horror"},"idempotencyKey":"chapter-7"}
(here in two; "userId":"18" will do for the user).

CSV, with the columns named in the first line, in any order; metric, user.id
and value must be there:
  metric  user.id  value  idempotencyKey  attributes.NAME  user.email
  user.name  user.tz  user.signUpDate  user.subscribeToEmails
  user.deviceTokens  user.attributes.NAME

At the end a summary goes to stdout. Rows that were refused go to a file of
JSON Lines, each with its row, its line and the reason: mend them there, and import that
file. Meanwhile stderr shows how far it is: as a bar on a terminal, else as
lines of JSON.

Examples:
  trophy import events.csv.gz --check
  trophy import events.csv.gz
  psql -c "copy (...) to stdout csv header" | trophy import - --format csv"#)]
pub struct Import {
    /// JSON Lines or CSV; unpacked if its name ends in .gz; - is stdin
    #[arg(value_name = "FILE")]
    pub file: String,

    /// Only check: list the lines that are wrong, with the reason. Needs no key, sends nothing
    #[arg(long)]
    pub check: bool,

    /// What the file is; else it follows from its name, or its first character
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// Send the rows that are right, although others are wrong
    #[arg(long)]
    pub skip_invalid: bool,

    /// Where refused rows go; else FILE.refused.jsonl, or FILE.refused.2.jsonl if that has others
    #[arg(long, value_name = "FILE")]
    pub refused: Option<String>,

    /// The queue's folder; else TROPHY_QUEUE, else one of its own, which is gone when all is sent
    #[arg(long, visible_alias = "path", value_name = "DIR")]
    pub queue: Option<String>,

    #[command(flatten)]
    pub client: WithTenant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Jsonl,
    Csv,
}
