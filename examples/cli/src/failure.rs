//! Why the command failed: its exit code, its JSON and its sentence.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use trophy::error::{Error, Status};

use crate::pretty;

#[derive(Debug)]
pub enum Failure {
    /// The library's, or in its words.
    Trophy(Error),
    /// Wrong arguments.
    Usage(String),
    /// A file, or standard input, could not be read.
    Input(String),
    /// A file could not be written.
    File(String),
    /// Nobody reads standard output any more, or its disk is full.
    Output(io::Error),
}

impl Failure {
    pub fn usage(message: impl Display) -> Self {
        Self::Usage(message.to_string())
    }

    pub fn status(status: Status, message: impl Into<String>) -> Self {
        Self::Trophy(Error::new(status, message))
    }

    pub fn reading(path: &Path, error: &io::Error) -> Self {
        Self::Input(format!("cannot read {}: {error}", path.display()))
    }

    pub fn writing(path: &Path, error: &io::Error) -> Self {
        Self::File(format!("cannot write {}: {error}", path.display()))
    }

    pub fn output(error: io::Error) -> Self {
        Self::Output(error)
    }

    /// Says it on standard error: as JSON on the first line and as a sentence on the second, or to a person only
    /// the sentence.
    pub fn report(&self, wants_json: bool) -> ExitCode {
        let (json, sentence) = match self {
            Self::Trophy(error) => (error.to_json(), error.to_string()),
            Self::Usage(message) => (
                Error::invalid(message.as_str()).to_json(),
                format!("usage: {message}"),
            ),
            Self::Input(message) => (json("input", message), message.clone()),
            Self::File(message) => (json("output", message), message.clone()),
            // The reader has gone on purpose: `trophy operations | head -n 1`.
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => {
                return ExitCode::from(1);
            }
            Self::Output(error) => {
                let message = format!("cannot write the output: {error}");
                (json("output", &message), message)
            }
        };
        let for_people = io::stderr().is_terminal() && !wants_json;
        let sentence = pretty::text(&sentence);
        let name = console::style("trophy:").for_stderr().red().bold();
        // With standard error gone too, the exit code is all there is to say it with.
        let _ = match for_people {
            true => writeln!(io::stderr().lock(), "{name} {sentence}"),
            false => writeln!(io::stderr().lock(), "{json}\ntrophy: {sentence}"),
        };
        ExitCode::from(self.code())
    }

    /// The number of the status in trophy.h. 1 is what cannot be read or written, so a wrong argument is
    /// 2, as shells have it.
    fn code(&self) -> u8 {
        match self {
            Self::Trophy(error) if error.status == Status::InvalidArgument => 2,
            Self::Trophy(error) => error.status as u8,
            Self::Usage(_) => 2,
            Self::Input(_) | Self::File(_) | Self::Output(_) => 1,
        }
    }
}

fn json(code: &str, message: &str) -> String {
    serde_json::json!({ "error": { "code": code, "message": message } }).to_string()
}
