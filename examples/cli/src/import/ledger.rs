//! Where an import stands, on disk: a byte a row, so that a process that is killed at any moment goes on from
//! there. The bytes are written as they change and are never behind by more than what was under way.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::failure::Failure;

/// What became of a row. One that is beyond the end of the file was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// In the queue, as far as is known.
    Queued,
    Delivered,
    Refused,
}

impl Fate {
    fn byte(self) -> u8 {
        match self {
            Self::Queued => b'q',
            Self::Delivered => b'd',
            Self::Refused => b'r',
        }
    }

    /// What cannot be is tried again, under its key.
    fn of(byte: u8) -> Self {
        match byte {
            b'd' => Self::Delivered,
            b'r' => Self::Refused,
            _ => Self::Queued,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that were begun.
    pub begun: u64,
    pub delivered: u64,
    pub refused: u64,
}

pub struct Ledger {
    path: PathBuf,
    books: Mutex<Books>,
}

struct Books {
    file: File,
    counts: Counts,
    /// Rows whose end was heard of before they were written down as queued.
    early: HashMap<u64, Fate>,
    /// The first write that failed.
    failed: Option<io::Error>,
}

impl Ledger {
    /// Locked while it is open: nobody else imports the same.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| Failure::writing(path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::usage(
                    "the same import is under way in another process",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(Failure::writing(path, &error)),
        }
        let counts = count(&file).map_err(|error| Failure::reading(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            books: Mutex::new(Books {
                file,
                counts,
                early: HashMap::new(),
                failed: None,
            }),
        })
    }

    pub fn counts(&self) -> Counts {
        self.books().counts
    }

    /// Rows that were begun, with what became of them; rows are counted from 1.
    pub fn begun(&self) -> Result<impl Iterator<Item = Fate> + use<>, Failure> {
        let file = File::open(&self.path).map_err(|error| Failure::reading(&self.path, &error))?;
        // A row that cannot be read is tried again, under its key.
        Ok(BufReader::new(file)
            .bytes()
            .map(|byte| byte.map_or(Fate::Queued, Fate::of)))
    }

    /// The next row is begun.
    pub fn begin(&self, row: u64) -> Result<(), Failure> {
        let mut books = self.books();
        let fate = books.early.remove(&row).unwrap_or(Fate::Queued);
        books.write(row, fate);
        books.counts.begun = row;
        books.count(fate);
        self.check(&mut books)
    }

    /// A row has come to its end. A failure comes up with the next row that is begun.
    pub fn end(&self, row: u64, fate: Fate) {
        let mut books = self.books();
        if row > books.counts.begun {
            books.early.insert(row, fate);
            return;
        }
        books.write(row, fate);
        books.count(fate);
    }

    fn check(&self, books: &mut Books) -> Result<(), Failure> {
        match books.failed.take() {
            Some(error) => Err(Failure::writing(&self.path, &error)),
            None => Ok(()),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn write(&mut self, row: u64, fate: Fate) {
        let written = self
            .file
            .seek(SeekFrom::Start(row - 1))
            .and_then(|_| self.file.write_all(&[fate.byte()]));
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }

    fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Queued => {}
            Fate::Delivered => self.counts.delivered += 1,
            Fate::Refused => self.counts.refused += 1,
        }
    }
}

fn count(file: &File) -> io::Result<Counts> {
    let mut counts = Counts::default();
    for byte in BufReader::new(file).bytes() {
        counts.begun += 1;
        match Fate::of(byte?) {
            Fate::Queued => {}
            Fate::Delivered => counts.delivered += 1,
            Fate::Refused => counts.refused += 1,
        }
    }
    Ok(counts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Ledger {
        Ledger::open(path).unwrap()
    }

    #[test]
    fn what_became_of_the_rows_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let ledger = open(&path);
        for row in 1..=3 {
            assert!(ledger.begin(row).is_ok());
        }
        ledger.end(2, Fate::Delivered);
        ledger.end(1, Fate::Refused);
        drop(ledger);

        let ledger = open(&path);
        let counts = Counts {
            begun: 3,
            delivered: 1,
            refused: 1,
        };
        assert_eq!(ledger.counts(), counts);
        let fates: Vec<Fate> = ledger.begun().unwrap().collect();
        assert_eq!(fates, [Fate::Refused, Fate::Delivered, Fate::Queued]);
    }

    #[test]
    fn an_end_that_is_heard_of_before_the_beginning_is_written_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(&folder.path().join("rows"));
        ledger.end(1, Fate::Delivered);
        assert_eq!(ledger.counts().delivered, 0);
        assert!(ledger.begin(1).is_ok());
        assert_eq!(ledger.counts().delivered, 1);
        let fates: Vec<Fate> = ledger.begun().unwrap().collect();
        assert_eq!(fates, [Fate::Delivered]);
    }

    #[test]
    fn a_second_process_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let _first = open(&path);
        assert!(matches!(Ledger::open(&path), Err(Failure::Usage(_))));
    }
}
