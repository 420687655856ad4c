//! The right to drain a folder: a lock on a file of it, which counts only while the file's name leads to it. In the
//! file stands what whoever has it next must know of the pace.

use super::folder::{File, Folder, is_gone, read_full, write_all};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

pub const NAME: &str = "drain.lock";
/// More means that something removes the file again and again.
const MOST_TRIES: u32 = 8;

/// So many notes are read again.
const NOTES: usize = 64;
const NOTE: usize = 8;
/// A file of so many bytes begins anew.
const MOST_BYTES: u64 = 4096;

/// What the next to drain must know of the pace. Dates in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A request started.
    Started(u64),
    /// The service asked for none before this.
    HeldUntil(u64),
}

impl Note {
    const IS_HOLD: u64 = 1 << 63;

    fn of(number: u64) -> Note {
        match number & Note::IS_HOLD {
            0 => Note::Started(number),
            _ => Note::HeldUntil(number & !Note::IS_HOLD),
        }
    }

    fn number(self) -> u64 {
        match self {
            Note::Started(date) => date & !Note::IS_HOLD,
            Note::HeldUntil(date) => date | Note::IS_HOLD,
        }
    }
}

pub struct DrainLock {
    folder: Arc<dyn Folder>,
    /// Open, so locked.
    file: Box<dyn File>,
    /// As long as it is not known to be sound, the most: the next note is written with all before it.
    length: u64,
    /// The last ones.
    notes: VecDeque<Note>,
}

impl DrainLock {
    /// `None` if somebody else has it. Makes the folder if it was removed.
    pub fn take(folder: &Arc<dyn Folder>) -> io::Result<Option<DrainLock>> {
        for _ in 0..MOST_TRIES {
            let file = match folder.append(NAME) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    folder.make()?;
                    continue;
                }
                file => file?,
            };
            if !file.try_lock()? {
                return Ok(None);
            }
            let mut lock = DrainLock {
                folder: Arc::clone(folder),
                file,
                length: MOST_BYTES,
                notes: VecDeque::new(),
            };
            // Removed since it was opened, it is locked for nobody.
            if lock.is_valid() {
                // They are a help, and no reason to fail.
                let _ = lock.read_notes();
                return Ok(Some(lock));
            }
        }
        Ok(None)
    }

    fn read_notes(&mut self) -> io::Result<()> {
        let length = self.file.size()?;
        let whole = length / NOTE as u64;
        let first = whole.saturating_sub(NOTES as u64);
        let mut bytes = vec![0; (whole - first) as usize * NOTE];
        let read = read_full(&*self.file, &mut bytes, first * NOTE as u64)?;
        let (numbers, _) = bytes[..read].as_chunks::<NOTE>();
        let numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
        self.notes.extend(numbers.map(Note::of));
        match length.is_multiple_of(NOTE as u64) {
            true => self.length = length,
            // What follows part of one would be misread.
            false => self.write_anew()?,
        }
        Ok(())
    }

    /// What was noted, as seen at this date: a start that seems to be to come, since the clock was set back, may have
    /// been just now, and grows old from now on.
    pub fn notes(&mut self, date: u64) -> impl Iterator<Item = Note> {
        let mut is_ahead = false;
        for note in &mut self.notes {
            if matches!(note, Note::Started(start) if *start > date) {
                *note = Note::Started(date);
                is_ahead = true;
            }
        }
        if is_ahead {
            let _ = self.write_anew();
        }
        self.notes.iter().copied()
    }

    /// Where it cannot be written, the next to drain does not know of it, unless it is with a later one.
    pub fn note(&mut self, note: Note) {
        self.notes.push_back(note);
        if self.notes.len() > NOTES {
            self.notes.pop_front();
        }
        let _ = match self.length < MOST_BYTES {
            true => {
                let end = self.length + NOTE as u64;
                self.write(&note.number().to_le_bytes(), end)
            }
            false => self.write_anew(),
        };
    }

    fn write_anew(&mut self) -> io::Result<()> {
        let notes = self.notes.iter();
        let bytes: Vec<u8> = notes.flat_map(|note| note.number().to_le_bytes()).collect();
        self.length = MOST_BYTES;
        self.file.truncate(0)?;
        self.write(&bytes, bytes.len() as u64)
    }

    /// `end`: how long the file is then.
    fn write(&mut self, bytes: &[u8], end: u64) -> io::Result<()> {
        self.length = MOST_BYTES;
        write_all(&*self.file, bytes)?;
        self.length = end;
        Ok(())
    }

    /// Whether nobody else can have it. Trouble in looking is no news.
    pub fn is_valid(&self) -> bool {
        match (self.file.id(), self.folder.id(NAME)) {
            (Ok(locked), Ok(named)) => locked == named,
            (_, Err(error)) => !is_gone(&error),
            (Err(_), _) => true,
        }
    }
}
