//! What the command line says: commands, flags and their help, from which the completions and the man pages
//! are made too. Nothing here acts.

mod event;
mod import;
mod more;
mod queue;
mod session;

pub use event::{Enqueue, Event, Send};
pub use import::{Format, Import};
pub use more::{Call, Completions, Doctor, Man, Operations, Verify, Webhook, WebhookCommand};
pub use queue::{Dead, Flush, Folder, Queue, QueueCommand, Tail};
pub use session::{Session, WithTenant};

use clap::{Parser, Subcommand};

const AFTER_HELP: &str = "\
The API key comes from TROPHY_API_KEY, or from a file: --key-file FILE.
TROPHY_BASE_URL and TROPHY_ADMIN_BASE_URL name another server, such as the
sandbox; TROPHY_QUEUE names a queue's folder.

Output is JSON where it is piped, or with --json. On a terminal it is laid out
for people, in colour unless NO_COLOR is set.

Exit codes: 0 success; 1 a file or stdout could not be read or written;
2 wrong arguments; else the number of the status in trophy.h:
  3 cancelled (Ctrl-C)
  10 network   11 timeout   12 tls   13 invalid_response
  20 bad_request   21 unauthorized   22 forbidden   23 not_found
  24 unprocessable   25 rate_limited   26 http   27 server
  30 queue_full   31 storage   32 expired   40 invalid_signature   99 panic

An error is two lines on stderr, on a terminal only the second:
{\"error\":{\"code\",\"message\",\"httpStatus\",...}} and a sentence.";

/// Trophy from a shell or cron. JSON goes to stdout, errors to stderr.
#[derive(Debug, Parser)]
#[command(name = "trophy", version, after_help = AFTER_HELP, max_term_width = 100)]
#[command(disable_version_flag = true)]
pub struct Arguments {
    /// JSON, also on a terminal
    #[arg(long, global = true)]
    pub json: bool,

    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: Option<bool>,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Event(Send),
    Enqueue(Enqueue),
    Import(Import),
    Queue(Queue),
    Tail(Tail),
    Call(Call),
    Operations(Operations),
    Webhook(Webhook),
    Doctor(Doctor),
    #[command(hide = true)]
    Completions(Completions),
    #[command(hide = true)]
    Man(Man),
}

/// A number of seconds, as milliseconds.
fn seconds(text: &str) -> Result<i64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..1e12).contains(&seconds) => Ok((seconds * 1e3) as i64),
        _ => Err("it is no number of seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }
}
