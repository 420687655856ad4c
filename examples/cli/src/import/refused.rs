//! The file of refused rows: JSON Lines that can be mended and imported again, each with its row, its line and
//! the reason.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::json;
use tempfile::NamedTempFile;

use super::row::{At, Event, Wrong};
use crate::failure::Failure;

/// No line is longer.
const LONGEST: u64 = 8 << 20;

pub struct Refused {
    path: PathBuf,
    file: Mutex<(File, Option<io::Error>)>,
    /// The row that was written last. A process that was killed may have written it and not marked it in the ledger.
    /// Where it is not known, since an older version wrote the file, such a row comes once more: then it may be here
    /// twice, and none is missing.
    pub last_row: Option<u64>,
}

impl Refused {
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::writing(path, &error);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(failed)?;
        let last_row = mend(&mut file).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new((file, None)),
            last_row,
        })
    }

    /// It was not taken. `mark` notes that it is here, before another row comes: so whoever is killed between the two
    /// leaves no more than the last line unmarked.
    pub fn add<T>(
        &self,
        at: At,
        event: &Event,
        (code, reason): (&str, &str),
        mark: impl FnOnce() -> T,
    ) -> T {
        let row = event.to_json(&[
            ("row", at.row.into()),
            ("line", at.line.into()),
            ("code", code.into()),
            ("reason", reason.into()),
        ]);
        self.write(&row, mark)
    }

    /// It is no event, and was not sent.
    pub fn add_wrong<T>(&self, at: At, wrong: &Wrong, mark: impl FnOnce() -> T) -> T {
        let row = json!({
            "row": at.row,
            "line": at.line,
            "reason": wrong.reason,
            "text": wrong.text,
        });
        self.write(&row.to_string(), mark)
    }

    fn write<T>(&self, line: &str, mark: impl FnOnce() -> T) -> T {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.0.write_all(format!("{line}\n").as_bytes()) {
            file.1.get_or_insert(error);
        }
        mark()
    }

    /// The first write that failed.
    pub fn check(&self) -> Result<(), Failure> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match file.1.take() {
            Some(error) => Err(Failure::writing(&self.path, &error)),
            None => Ok(()),
        }
    }

    /// The name, or that with a number, where there is nothing, or the same: who imports a file again keeps the
    /// rows that he mended.
    pub fn free_name(&self, wanted: PathBuf) -> PathBuf {
        let mut name = wanted.clone();
        let mut number = 1;
        while name.exists() && !is_same(&self.path, &name) {
            number += 1;
            name = wanted.with_extension(format!("{number}.jsonl"));
        }
        name
    }

    /// Puts it where the user looks for it, whole or not at all.
    pub fn hand_over(&self, to: &Path) -> Result<(), Failure> {
        let folder = match to.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let written = NamedTempFile::new_in(folder).and_then(|new| {
            fs::copy(&self.path, new.path())?;
            Ok(new.persist(to)?)
        });
        written
            .map(drop)
            .map_err(|error| Failure::writing(to, &error))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What cannot be read is not the same.
fn is_same(one: &Path, other: &Path) -> bool {
    let open = |path: &Path| {
        let file = File::open(path)?;
        io::Result::Ok((file.metadata()?.len(), BufReader::new(file).bytes()))
    };
    match (open(one), open(other)) {
        (Ok((length, one)), Ok((other_length, other))) => {
            let mut bytes = one.zip(other);
            length == other_length
                && bytes.all(|pair| matches!(pair, (Ok(one), Ok(other)) if one == other))
        }
        _ => false,
    }
}

/// Cuts off a line that was not written to its end. Gives the row in the last one.
fn mend(file: &mut File) -> io::Result<Option<u64>> {
    #[derive(Deserialize)]
    struct Line {
        row: u64,
    }
    let length = file.metadata()?.len();
    let begin = length.saturating_sub(LONGEST);
    file.seek(SeekFrom::Start(begin))?;
    let mut whole = begin;
    let mut last = None;
    let mut lines = BufReader::new(&mut *file);
    let mut line = Vec::new();
    while lines.by_ref().read_until(b'\n', &mut line)? > 0 {
        if line.ends_with(b"\n") {
            whole += line.len() as u64;
            last = serde_json::from_slice(&line).ok().map(|it: Line| it.row);
        }
        line.clear();
    }
    if whole < length {
        file.set_len(whole)?;
    }
    Ok(last)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_kill_cut_off_is_mended_and_the_last_whole_one_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused");
        fs::write(
            &path,
            "{\"row\":3,\"line\":4}\n{\"row\":6,\"line\":7,\"text\":\"a\"}\n{\"row\":8,\"line\":9,\"te",
        )
        .unwrap();
        let refused = Refused::open(&path).unwrap();
        assert_eq!(refused.last_row, Some(6));
        refused.add_wrong(At { row: 8, line: 9 }, &Wrong::new("why", "b"), || ());
        assert!(refused.check().is_ok());
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(text.ends_with("{\"line\":9,\"reason\":\"why\",\"row\":8,\"text\":\"b\"}\n"));
    }

    #[test]
    fn rows_that_somebody_mended_keep_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Refused::open(&folder.path().join("kept")).unwrap();
        refused.add_wrong(At { row: 8, line: 9 }, &Wrong::new("why", "b"), || ());
        let wanted = folder.path().join("events.csv.refused.jsonl");
        let second = folder.path().join("events.csv.refused.2.jsonl");
        let free = || refused.free_name(wanted.clone());
        assert_eq!(free(), wanted);

        refused.hand_over(&free()).unwrap();
        assert_eq!(free(), wanted, "it is there already");

        let mended = fs::read_to_string(&wanted).unwrap().replace('b', "c");
        fs::write(&wanted, mended).unwrap();
        assert_eq!(free(), second);
        refused.hand_over(&second).unwrap();
        assert_eq!(free(), second);
    }

    #[test]
    fn a_file_without_rows_names_no_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused");
        fs::write(&path, "{\"line\":1,\"code\":\"x\"}\n").unwrap();
        assert_eq!(Refused::open(&path).unwrap().last_row, None);
    }

    #[test]
    fn a_refused_event_can_be_imported_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused");
        let refused = Refused::open(&path).unwrap();
        let event = Event {
            metric: "m".into(),
            user: r#"{"id":"1"}"#.into(),
            value: 0.1,
            attributes: Some(r#"{"a":"b"}"#.into()),
            idempotency_key: Some("k".into()),
        };
        let at = At { row: 11, line: 12 };
        refused.add(at, &event, ("unprocessable", "no \"a\""), || ());
        let source = super::super::source::Source::File(path);
        let mut rows = super::super::rows::Rows::read(&source, None).unwrap();
        let row = rows.next().unwrap().unwrap();
        assert_eq!(row.event, Ok(event));
    }
}
