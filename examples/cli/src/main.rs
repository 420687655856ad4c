//! The command `trophy`: JSON on stdout, errors on stderr, an exit code that says which.

mod arguments;
mod failure;
mod output;
mod pages;
mod pretty;
mod usage;
mod wording;

mod session;
mod signals;
mod stats;

mod call;
mod event;
mod webhook;

mod dead_letters;
mod delivery;
mod progress;
mod queue;
mod queue_folder;
mod tail;
mod waiting;

mod doctor;
mod import;

use std::process::ExitCode;

use arguments::Command;
use failure::Failure;
use output::Output;
use usage::Read;

fn main() -> ExitCode {
    let wants_json = usage::wants_json();
    match run(wants_json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(wants_json),
    }
}

fn run(wants_json: bool) -> Result<(), Failure> {
    let arguments = match usage::read()? {
        Read::Run(arguments) => arguments,
        Read::Print(text) => return text.print().map_err(Failure::output),
    };
    session::check_variables()?;
    let mut out = Output::new(wants_json || arguments.json);
    act(arguments.command, &mut out)?;
    out.flush()
}

fn act(command: Command, out: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Event(args) => event::send(&args, out),
        Command::Enqueue(args) => event::enqueue(&args, out),
        Command::Import(args) => import::run(&args, out),
        Command::Queue(args) => queue::run(&args, out),
        Command::Tail(args) => tail::run(&args, out),
        Command::Call(args) => call::run(&args, out),
        Command::Operations(args) => call::list(&args, out),
        Command::Webhook(args) => webhook::run(&args, out),
        Command::Doctor(args) => doctor::run(&args, out),
        Command::Completions(args) => pages::completions(&args, out),
        Command::Man(args) => pages::man(&args),
    }
}
