//! Words and flags of the command line, taken one by one; what nobody takes is an error.

use std::ffi::OsString;

use lexopt::{Arg, Parser};

use crate::failure::Failure;

pub struct Flags {
    words: std::collections::VecDeque<String>,
    flags: Vec<(String, String)>,
    help: bool,
    version: bool,
    wrong: Option<Failure>,
}

/// Every flag takes a value but `--help` and `--version`. The commands say which they know.
const FLAGS: &[&str] = &[
    "attributes",
    "body",
    "flush",
    "idempotency-key",
    "key-file",
    "option",
    "queue",
    "request-option",
    "secret-file",
    "signature",
    "tenant",
    "timeout",
    "user",
    "value",
];

impl Flags {
    pub fn from_environment() -> Self {
        let mut flags = Self {
            words: Default::default(),
            flags: Vec::new(),
            help: false,
            version: false,
            wrong: None,
        };
        flags.wrong = flags.read(Parser::from_env()).err();
        flags
    }

    fn read(&mut self, mut parser: Parser) -> Result<(), Failure> {
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Value(word) => self.words.push_back(utf8(word)?),
                Arg::Long("help") | Arg::Short('h') => self.help = true,
                Arg::Long("version") | Arg::Short('V') => self.version = true,
                // `--path` is what the queue's option is called.
                Arg::Long("path") => self.keep("queue", &mut parser)?,
                Arg::Long(name) => match FLAGS.iter().find(|known| **known == name) {
                    Some(known) => self.keep(known, &mut parser)?,
                    None => return Err(argument.unexpected().into()),
                },
                Arg::Short(_) => return Err(argument.unexpected().into()),
            }
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, parser: &mut Parser) -> Result<(), Failure> {
        // Takes `-5` for a value, as it is after --value.
        let value = parser.value()?;
        self.flags.push((name.to_owned(), utf8(value)?));
        Ok(())
    }

    /// Help is wanted more than a mistake is worth pointing out.
    pub fn wants_help(&self) -> bool {
        self.help
    }

    pub fn wants_version(&self) -> bool {
        self.version
    }

    /// The next word. The first mistake in the flags comes up here.
    pub fn word(&mut self) -> Result<Option<String>, Failure> {
        match self.wrong.take() {
            Some(wrong) if !self.help => Err(wrong),
            _ => Ok(self.words.pop_front()),
        }
    }

    pub fn need_word(&mut self, what: &str) -> Result<String, Failure> {
        self.word()?
            .ok_or_else(|| Failure::usage(format!("{what} is missing; `--help` shows how")))
    }

    /// A flag's value; it may be given once.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let mut all = self.take_all(name);
        match all.len() {
            0 | 1 => Ok(all.pop()),
            _ => Err(Failure::usage(format!("--{name} is given twice"))),
        }
    }

    pub fn take_all(&mut self, name: &str) -> Vec<String> {
        let flags = std::mem::take(&mut self.flags);
        let (taken, left) = flags.into_iter().partition(|(flag, _)| flag == name);
        self.flags = left;
        let taken: Vec<_> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    pub fn need(&mut self, name: &str) -> Result<String, Failure> {
        self.take(name)?
            .ok_or_else(|| Failure::usage(format!("--{name} is missing; `--help` shows how")))
    }

    /// A time in seconds, as milliseconds.
    pub fn take_seconds(&mut self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.take(name)? else {
            return Ok(None);
        };
        match text.parse::<f64>() {
            Ok(seconds) if (0.0..1e12).contains(&seconds) => Ok(Some((seconds * 1e3) as i64)),
            _ => Err(Failure::usage(format!(
                "--{name}: \"{text}\" is no number of seconds"
            ))),
        }
    }

    /// Nothing may be left.
    pub fn end(&mut self) -> Result<(), Failure> {
        if let Some(word) = self.word()? {
            return Err(Failure::usage(format!(
                "\"{word}\" is one word too many; `--help` shows how"
            )));
        }
        if self.version {
            return Err(Failure::usage("--version stands alone: `trophy --version`"));
        }
        match self.flags.first() {
            Some((name, _)) => Err(Failure::usage(format!(
                "--{name} has no meaning here; `--help` shows which have"
            ))),
            None => Ok(()),
        }
    }
}

fn utf8(text: OsString) -> Result<String, Failure> {
    text.into_string().map_err(|text| {
        Failure::usage(format!(
            "\"{}\" is not UTF-8",
            text.as_os_str().to_string_lossy()
        ))
    })
}
