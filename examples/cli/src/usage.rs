//! The arguments of this run, or why they are wrong, in one sentence.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::arguments::Arguments;
use crate::failure::Failure;

pub enum Read {
    Run(Box<Arguments>),
    /// Help or the version: clap prints it, in colour where that is wanted.
    Print(clap::Error),
}

pub fn read() -> Result<Read, Failure> {
    let error = match Arguments::try_parse() {
        Ok(arguments) => return Ok(Read::Run(Box::new(arguments))),
        Err(error) => error,
    };
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return Ok(Read::Print(error));
    }
    match help_that_was_asked_for() {
        Some(help) => Ok(Read::Print(help)),
        None => Err(Failure::Usage(sentence(&error))),
    }
}

/// Whether the output is to be JSON, also where the arguments were wrong.
pub fn wants_json() -> bool {
    std::env::args_os()
        .skip(1)
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json")
}

/// Help is wanted more than a mistake is worth pointing out.
fn help_that_was_asked_for() -> Option<clap::Error> {
    let given: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    if !given
        .iter()
        .any(|argument| argument == "--help" || argument == "-h")
    {
        return None;
    }
    let mut path = vec!["trophy".to_owned()];
    let mut command = Arguments::command();
    for word in given {
        match command.find_subcommand(&word) {
            Some(found) => {
                command = found.clone();
                path.push(word);
            }
            None => break,
        }
    }
    path.push("--help".to_owned());
    Arguments::try_parse_from(path)
        .err()
        .filter(|error| error.kind() == ErrorKind::DisplayHelp)
}

/// What clap says, without what it says around it: the mistake, its tips, and where to look.
fn sentence(error: &clap::Error) -> String {
    if matches!(
        error.kind(),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return format!("which command? `{}` lists them", help_command());
    }
    let text = error.render().to_string();
    let mut parts: Vec<String> = Vec::new();
    let mut needed: Vec<&str> = Vec::new();
    for line in text.lines() {
        let line = line.trim_end();
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            continue;
        }
        let line = line.strip_prefix("error: ").unwrap_or(line);
        if let Some(tip) = line.trim_start().strip_prefix("tip: ") {
            parts.push(tip.to_owned());
        } else if line.starts_with("  ") {
            needed.push(line.trim());
        } else if !line.is_empty() {
            parts.push(line.trim_end_matches(':').to_owned());
        }
    }
    if let (Some(first), false) = (parts.first_mut(), needed.is_empty()) {
        first.push_str(&format!(": {}", needed.join(", ")));
    }
    parts.push(format!("`{}` shows how", help_command()));
    parts.join("; ")
}

/// `trophy queue --help` where `trophy queue flsh` was meant to be something.
fn help_command() -> String {
    let mut command = Arguments::command();
    let mut text = "trophy".to_owned();
    for word in std::env::args_os().skip(1) {
        let Some(found) = command.find_subcommand(&word) else {
            break;
        };
        text.push_str(&format!(" {}", found.get_name()));
        command = found.clone();
    }
    text + " --help"
}
