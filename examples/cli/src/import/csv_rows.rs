//! CSV: the columns are named in the first line.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::{ByteRecord, Position, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use super::columns::{self, Column};
use super::row::{At, Event, Row, Wrong};
use crate::failure::Failure;

/// A row that is longer has a quote that is not closed.
const LONGEST: usize = 4 << 20;

pub struct CsvRows {
    csv: Reader<Guarded>,
    ahead: Rc<RefCell<Ahead>>,
    columns: Vec<Column>,
    record: ByteRecord,
    name: PathBuf,
    number: u64,
}

impl CsvRows {
    pub fn read(bytes: Box<dyn BufRead>, name: &Path) -> Result<Self, Failure> {
        let ahead = Rc::new(RefCell::new(Ahead::default()));
        let guarded = Guarded {
            bytes,
            ahead: Rc::clone(&ahead),
        };
        let mut csv = ReaderBuilder::new()
            .has_headers(true)
            // Its own message for a row that is too short.
            .flexible(true)
            .from_reader(guarded);
        let heads = csv.byte_headers().map_err(|error| failure(name, error))?;
        let heads: Vec<String> = heads
            .iter()
            .map(|head| String::from_utf8_lossy(head).trim().to_owned())
            .collect();
        let columns = columns::read(&heads)
            .map_err(|why| Failure::usage(format!("{}: {why}", name.display())))?;
        Ok(Self {
            csv,
            ahead,
            columns,
            record: ByteRecord::new(),
            name: name.to_owned(),
            number: 0,
        })
    }

    fn at(&self) -> At {
        let begin = self.record.position().map_or(0, Position::byte);
        At {
            row: self.number,
            line: self.ahead.borrow_mut().line_of(begin),
        }
    }

    fn event(&self) -> Result<Event, Wrong> {
        event(&self.columns, &self.record).map_err(|reason| Wrong::new(reason, text(&self.record)))
    }
}

impl Iterator for CsvRows {
    type Item = Result<Row, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.ahead.borrow_mut().since_row = 0;
        match self.csv.read_byte_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(Err(failure(&self.name, error))),
        }
        self.number += 1;
        Some(Ok(Row {
            at: self.at(),
            event: self.event(),
        }))
    }
}

fn event(columns: &[Column], record: &ByteRecord) -> Result<Event, String> {
    if record.len() != columns.len() {
        return Err(format!(
            "has {} fields, and the first line names {}",
            record.len(),
            columns.len()
        ));
    }
    let (mut user, mut attributes) = (Map::new(), Map::new());
    let (mut metric, mut value, mut idempotency_key) = (None, None, None);
    for (column, bytes) in columns.iter().zip(record) {
        let text = std::str::from_utf8(bytes).map_err(|_| format!("{column}: is not UTF-8"))?;
        if text.is_empty() {
            continue;
        }
        match column {
            Column::Metric => metric = Some(text.to_owned()),
            Column::Value => value = Some(number(text)?),
            Column::IdempotencyKey => idempotency_key = Some(text.to_owned()),
            Column::User => user.extend(object(column, text)?),
            Column::Attributes => attributes.extend(object(column, text)?),
            Column::Attribute(name) => drop(attributes.insert(name.clone(), text.into())),
            Column::UserField(name) => drop(user.insert((*name).to_owned(), text.into())),
            Column::UserFlag(name) => drop(user.insert((*name).to_owned(), flag(column, text)?)),
            Column::UserList(name) => drop(user.insert((*name).to_owned(), list(column, text)?)),
            Column::UserAttribute(name) => add_attribute(&mut user, name, text),
            Column::PassedOver => {}
        }
    }
    Ok(Event {
        metric: metric.ok_or("has no metric")?,
        user: Value::Object(user).to_string(),
        value: value.ok_or("has no value")?,
        attributes: (!attributes.is_empty()).then(|| Value::Object(attributes).to_string()),
        idempotency_key,
    })
}

fn add_attribute(user: &mut Map<String, Value>, name: &str, text: &str) {
    let attributes = user
        .entry("attributes")
        .or_insert_with(|| Value::Object(Map::new()));
    // Whatever else the user's JSON has there is the library's to refuse.
    if let Value::Object(attributes) = attributes {
        attributes.insert(name.to_owned(), text.into());
    }
}

fn number(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim().parse().ok();
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| format!("value: \"{text}\" is no number"))
}

fn flag(column: &Column, text: &str) -> Result<Value, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true.into()),
        "false" | "0" | "no" => Ok(false.into()),
        _ => Err(format!("{column}: \"{text}\" is neither true nor false")),
    }
}

fn list(column: &Column, text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(list @ Value::Array(_)) => Ok(list),
        _ => Err(format!("{column}: is no JSON array such as [\"a\",\"b\"]")),
    }
}

fn object(column: &Column, text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(format!("{column}: is no JSON object")),
    }
}

/// The row, near to how it stands in the file.
fn text(record: &ByteRecord) -> String {
    let fields: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
    fields.join(",")
}

fn failure(name: &Path, error: csv::Error) -> Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Failure::reading(name, &error),
        other => Failure::Input(format!("cannot read {}: {other:?}", name.display())),
    }
}

/// Ends a row that would fill the memory.
struct Guarded {
    bytes: Box<dyn BufRead>,
    ahead: Rc<RefCell<Ahead>>,
}

impl Read for Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead.borrow().since_row > LONGEST {
            return Err(io::Error::other(
                "a row is longer than four mebibytes; is a quote not closed?",
            ));
        }
        let count = self.bytes.read(buffer)?;
        let mut ahead = self.ahead.borrow_mut();
        ahead.since_row += count;
        ahead.bytes.extend(&buffer[..count]);
        Ok(count)
    }
}

/// What has been read from the last row on, so that lines are counted by each of the ends that they may have: `\n`,
/// `\r\n`, and `\r` by itself. `csv` counts those with `\n`.
#[derive(Default)]
struct Ahead {
    bytes: VecDeque<u8>,
    /// Before them.
    passed: u64,
    lines: u64,
    is_after_cr: bool,
    /// Read since the last row ended.
    since_row: usize,
}

impl Ahead {
    /// The line, from 1, of the row that `csv` read from this byte on; blank lines are before it.
    fn line_of(&mut self, begin: u64) -> u64 {
        while let Some(byte) = self.bytes.front().copied() {
            let ends_line = matches!(byte, b'\r' | b'\n');
            if self.passed >= begin && !ends_line {
                break;
            }
            self.bytes.pop_front();
            self.passed += 1;
            // The second of two is no end of its own.
            self.lines += u64::from(ends_line && !(byte == b'\n' && self.is_after_cr));
            self.is_after_cr = byte == b'\r';
        }
        self.lines + 1
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Row>, Failure> {
        let bytes = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
        CsvRows::read(bytes, Path::new("x"))?.collect()
    }

    fn rows(text: &str) -> Vec<Row> {
        read(text).unwrap()
    }

    #[test]
    fn columns_become_an_event_and_an_empty_cell_is_not_there() {
        let rows = rows(concat!(
            "value,metric,user.id,user.subscribeToEmails,user.deviceTokens,user.attributes.plan,attributes.genre,idempotencyKey\n",
            "0.1,words,18,no,\"[\"\"a\"\"]\",pro,\"hor,ror\",k-1\n",
            "-2,\"wo\nrds\",19,,,,,\n",
            "\n",
            "3,words,20,,,,,\n",
        ));
        let first = rows[0].event.clone().unwrap();
        assert_eq!(
            first,
            Event {
                metric: "words".into(),
                user: r#"{"attributes":{"plan":"pro"},"deviceTokens":["a"],"id":"18","subscribeToEmails":false}"#.into(),
                value: 0.1,
                attributes: Some(r#"{"genre":"hor,ror"}"#.into()),
                idempotency_key: Some("k-1".into()),
            }
        );
        let second = rows[1].event.clone().unwrap();
        assert_eq!(
            (second.value, second.user.as_str()),
            (-2.0, r#"{"id":"19"}"#)
        );
        assert_eq!((second.attributes, second.idempotency_key), (None, None));
        let at: Vec<(u64, u64)> = rows.iter().map(|row| (row.at.row, row.at.line)).collect();
        assert_eq!(at, [(1, 2), (2, 3), (3, 6)]);
    }

    #[test]
    fn lines_are_counted_by_whatever_ends_them() {
        let lines = |text: &str| -> Vec<u64> { rows(text).iter().map(|row| row.at.line).collect() };
        let text = "metric,user.id,value\na,1,1\n\n\"b\nb\",1,1\nc,1,1";
        for end in ["\n", "\r", "\r\n"] {
            assert_eq!(lines(&text.replace('\n', end)), [2, 4, 6], "{end:?}");
        }
        let mixed = "\r\nmetric,user.id,value\ra,1,1\r\n\rb,1,1\n\r\nc,1,1\r\rd,1,1\n";
        assert_eq!(lines(mixed), [3, 5, 7, 9]);
        // More than is read ahead.
        let many = format!("metric,user.id,value\r{}", "words,18,1\r".repeat(5_000));
        assert_eq!(lines(&many), (2..=5_001).collect::<Vec<u64>>());
    }

    #[test]
    fn what_is_wrong_with_a_row_is_named_and_the_next_is_read() {
        for (row, reason) in [
            ("words,18", "has 2 fields, and the first line names 4"),
            (",18,1,", "has no metric"),
            ("words,18,,", "has no value"),
            ("words,18,many,", "value: \"many\" is no number"),
            ("words,18,NaN,", "value: \"NaN\" is no number"),
            ("words,18,1,perhaps", "user.subscribeToEmails: \"perhaps\""),
        ] {
            let text = format!("metric,user.id,value,user.subscribeToEmails\n{row}\nwords,18,1,\n");
            let rows = rows(&text);
            let wrong = rows[0].event.clone().unwrap_err();
            assert!(wrong.reason.contains(reason), "{}", wrong.reason);
            assert_eq!(wrong.text, row);
            assert!(rows[1].event.is_ok());
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_does_not_fill_the_memory() {
        let text = format!(
            "metric,user.id,value\n\"words,18,1\n{}",
            "words,18,1\n".repeat(1 << 20)
        );
        let taken = read(&text).map(|rows| rows.len());
        assert!(
            matches!(&taken, Err(Failure::Input(message)) if message.contains("quote")),
            "{taken:?}"
        );
    }
}
