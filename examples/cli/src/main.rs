//! The command `trophy`: JSON on stdout, errors on stderr, an exit code that says which.

mod call;
mod delivery;
mod event;
mod failure;
mod flags;
mod help;
mod queue;
mod session;
mod webhook;

use std::io::Write;
use std::process::ExitCode;

use failure::Failure;
use flags::Flags;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let result = run(&mut out).and_then(|()| out.flush().map_err(Failure::output));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(out: &mut dyn Write) -> Result<(), Failure> {
    let mut flags = Flags::from_environment();
    let Some(command) = flags.word()? else {
        if flags.wants_help() {
            return help::print(out, "");
        }
        if flags.wants_version() {
            return line(out, env!("CARGO_PKG_VERSION"));
        }
        return Err(Failure::usage("which command? `trophy --help` lists them"));
    };
    match &*command {
        "event" => event::send(flags, out),
        "enqueue" => event::enqueue(flags, out),
        "queue" => queue::run(flags, out),
        "call" => call::run(flags, out),
        "operations" => call::list(flags, out),
        "webhook" => webhook::run(flags, out),
        "help" => {
            let topic = flags.word()?.unwrap_or_default();
            flags.end()?;
            help::print(out, &topic)
        }
        other => Err(Failure::usage(format!(
            "there is no command \"{other}\"; `trophy --help` lists them"
        ))),
    }
}

/// One line of output.
fn line(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    writeln!(out, "{text}").map_err(Failure::output)
}
