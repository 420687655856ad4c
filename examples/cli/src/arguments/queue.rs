//! The flags of the queue's commands.

use clap::{Args, Subcommand};

use super::{Session, seconds};

#[derive(Debug, Args)]
pub struct Folder {
    /// The queue's folder; else TROPHY_QUEUE
    #[arg(long, visible_alias = "path", value_name = "DIR")]
    pub queue: Option<String>,
}

/// Look at a queue's folder, or deliver what is in it
#[derive(Debug, Args)]
#[command(after_help = "\
For cron, with TROPHY_QUEUE=/var/lib/app/trophy above it:
  * * * * * trophy queue flush --key-file /etc/app/trophy.key")]
pub struct Queue {
    /// The queue's folder; else TROPHY_QUEUE
    #[arg(long, visible_alias = "path", value_name = "DIR", global = true)]
    pub queue: Option<String>,

    #[command(subcommand)]
    pub command: QueueCommand,
}

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// How much waits in a queue: {"path","queued","bytesOnDisk","dead"}; needs no key, sends nothing
    Status,
    Flush(Flush),
    Dead(Dead),
}

/// Deliver what waits
///
/// Delivers what waits and prints {"delivered","undelivered","dead","expired","paused"}. Meanwhile stderr shows
/// how far it is, and why it waits: as a bar on a terminal, else as lines of JSON. The exit code is 11 if
/// something is left, which is safe in the queue, or that of a refused event.
#[derive(Debug, Args)]
pub struct Flush {
    /// How long at most
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "60")]
    pub timeout: i64,

    #[command(flatten)]
    pub session: Session,
}

/// The events that the service refused, with its reason
///
/// The events that the service refused, with its reason. --retry puts them back into the queue, under their
/// idempotency keys, once the cause was mended; it prints {"retried"}.
#[derive(Debug, Args)]
pub struct Dead {
    /// Put them back into the queue
    #[arg(long)]
    pub retry: bool,

    #[command(flatten)]
    pub session: Session,
}

/// Print deliveries of a queue as they end
///
/// Delivers what a queue holds and prints each event as it ends, until Ctrl-C: {"idempotencyKey","key","userId",
/// "response"|"error"}. Where another process delivers the queue, it prints the events that are refused, and
/// {"undelivered"} as their number falls.
#[derive(Debug, Args)]
pub struct Tail {
    #[command(flatten)]
    pub folder: Folder,
    #[command(flatten)]
    pub session: Session,
}
