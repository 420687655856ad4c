//! The flags of what is left: operations, webhooks, the doctor, and what is made for packages.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Folder, WithTenant};

/// Call any operation of the service and print the reply
#[derive(Debug, Args)]
#[command(after_help = r#"Example:
  trophy call users_streak '{"id":"18","historyPeriods":14}'"#)]
pub struct Call {
    /// Its name; `trophy operations` lists them
    #[arg(value_name = "OPERATION")]
    pub operation: String,

    /// One flat JSON object: path and query parameters by name, "body", "options"; - reads it from stdin
    #[arg(value_name = "ARGS")]
    pub args: Option<String>,

    #[command(flatten)]
    pub client: WithTenant,
}

/// List the operations of the service
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  trophy operations streak")]
pub struct Operations {
    /// Only those whose name contains this
    #[arg(value_name = "PART")]
    pub part: Option<String>,
}

/// Check a webhook's signature
#[derive(Debug, Args)]
pub struct Webhook {
    #[command(subcommand)]
    pub command: WebhookCommand,
}

#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    Verify(Verify),
}

/// Check that a webhook was signed with your secret, and print its body
///
/// Checks that a webhook was signed with your secret, and prints its body, or null if that is no JSON.
/// Exit code 40 if it was not.
#[derive(Debug, Args)]
pub struct Verify {
    /// The X-Trophy-Signature header
    #[arg(long, value_name = "TEXT")]
    pub signature: String,

    /// Read the secret from FILE; else it is TROPHY_WEBHOOK_SECRET
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<String>,

    /// The body's raw bytes; else from stdin
    #[arg(long, value_name = "FILE")]
    pub body: Option<String>,
}

/// Check what can go wrong: key, addresses, network, TLS, proxy, clock, queue, limits
///
/// Checks what can go wrong between this machine and the service, and says of each thing that it is right or what
/// to do. It reads, and sends no event. The exit code is that of the first thing that is wrong.
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    pub folder: Folder,
    #[command(flatten)]
    pub client: WithTenant,
}

/// Print the completions for a shell
#[derive(Debug, Args)]
pub struct Completions {
    pub shell: clap_complete::Shell,
}

/// Write the man pages into a folder
#[derive(Debug, Args)]
pub struct Man {
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}
