//! The rows of a file, one after the other, whichever format they are in.

use std::io::BufRead;
use std::path::Path;

use super::csv_rows::CsvRows;
use super::json_rows::JsonRows;
use super::row::Row;
use super::source::{Digest, Source, has_ending};
use crate::arguments::Format;
use crate::failure::Failure;

pub struct Rows {
    rows: Box<dyn Iterator<Item = Result<Row, Failure>>>,
    digest: Box<dyn FnOnce() -> Digest>,
}

impl Rows {
    pub fn read(source: &Source, format: Option<Format>) -> Result<Self, Failure> {
        let name = source.name();
        let (mut bytes, digest) = source.read()?.split();
        let format = match format.or_else(|| by_name(name)) {
            Some(format) => format,
            None => by_first_byte(&mut *bytes, name)?,
        };
        Ok(Self {
            rows: match format {
                Format::Csv => Box::new(CsvRows::read(bytes, name)?),
                Format::Jsonl => Box::new(JsonRows::read(bytes, name)?),
            },
            digest: Box::new(digest),
        })
    }

    /// Of all that has been read.
    pub fn digest(self) -> Digest {
        drop(self.rows);
        (self.digest)()
    }
}

impl Iterator for Rows {
    type Item = Result<Row, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next()
    }
}

fn by_name(name: &Path) -> Option<Format> {
    let unpacked = match has_ending(name, "gz") {
        true => name.with_extension(""),
        false => name.to_owned(),
    };
    if has_ending(&unpacked, "csv") {
        return Some(Format::Csv);
    }
    ["jsonl", "ndjson"]
        .iter()
        .any(|ending| has_ending(&unpacked, ending))
        .then_some(Format::Jsonl)
}

fn by_first_byte(bytes: &mut dyn BufRead, name: &Path) -> Result<Format, Failure> {
    let begin = bytes
        .fill_buf()
        .map_err(|error| Failure::reading(name, &error))?;
    let first = begin.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(match first {
        Some(b'{' | b'[') => Format::Jsonl,
        _ => Format::Csv,
    })
}
