//! The flags of one metric event.

use clap::Args;

use super::{Folder, WithTenant, seconds};

#[derive(Debug, Args)]
pub struct Event {
    /// The metric's key
    #[arg(value_name = "METRIC")]
    pub metric: String,

    /// The user: '{"id":"18"}', and what is to be set: email, name, tz, attributes
    #[arg(long, value_name = "JSON")]
    pub user: String,

    /// How much to add; may be negative or a fraction
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = number)]
    pub value: f64,

    /// The event's attributes: '{"genre":"horror"}'
    #[arg(long, value_name = "JSON")]
    pub attributes: Option<String>,

    /// What makes it the same as another event; one is made without
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub idempotency_key: Option<String>,

    /// Request options, as in trophy.h
    #[arg(long, value_name = "JSON")]
    pub request_option: Option<String>,
}

/// Send a metric event now and print the reply
///
/// Sends a metric event and prints the reply. It counts once, however often it is tried.
#[derive(Debug, Args)]
#[command(after_help = r#"Example:
  trophy event words-written --user '{"id":"18"}' --value 750"#)]
pub struct Send {
    #[command(flatten)]
    pub event: Event,
    #[command(flatten)]
    pub client: WithTenant,
}

/// Keep a metric event in a queue on disk, and deliver it
///
/// Keeps a metric event in a queue on disk and prints its idempotency key. It is delivered now if that
/// goes at once, else by the next `trophy enqueue --flush` or `trophy queue flush` on the same folder.
#[derive(Debug, Args)]
#[command(after_help = r#"Example:
  trophy enqueue words-written --user '{"id":"18"}' --value 750 \
    --queue /var/lib/app/trophy"#)]
pub struct Enqueue {
    #[command(flatten)]
    pub event: Event,
    #[command(flatten)]
    pub folder: Folder,

    /// Wait until all that is queued is delivered, at most so long; exit code 11 if something is left, which
    /// is safe in the queue, or that of a refused event
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub flush: Option<i64>,

    #[command(flatten)]
    pub client: WithTenant,
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "it is no number".to_owned())
}
