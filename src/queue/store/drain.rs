//! Takes events out of the folder, oldest first, and keeps on record what became of them.

use super::accounting::Accounting;
use super::damage::Damage;
use super::dead_letters::{self, DeadLetters};
use super::folder::Folder;
use super::lock::{self, DrainLock, Note};
use super::reader::{Batch, Entry, Position, Reader, Reading};
use super::segments::Segments;
use super::{Durability, Options, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// The right to drain the folder, until it is dropped.
pub struct Drain {
    folder: Arc<dyn Folder>,
    accounting: Arc<Accounting>,
    /// What is sent is put on record for good before it is.
    syncs_attempts: bool,
    generation: u32,
    lock: DrainLock,
    segments: Segments,
    dead_letters: DeadLetters,
    is_caught_up: bool,
}

/// What a drain's right is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Held,
    /// The lock file was removed: another process may drain the same events. What is under way can still
    /// be settled; nothing more may be sent.
    Lost,
    /// The folder was removed with all that is known here, which nobody else can find.
    FolderGone,
}

impl Drain {
    pub(super) fn begin(
        folder: &Arc<dyn Folder>,
        accounting: &Arc<Accounting>,
        options: Options,
    ) -> Result<Option<Drain>, StoreError> {
        let taken = DrainLock::take(folder)
            .map_err(|words| StoreError::new(&**folder, "lock", lock::NAME, &words))?;
        let syncs_attempts = options.durability == Durability::Power || options.merges;
        Ok(taken.map(|lock| Drain {
            folder: Arc::clone(folder),
            accounting: Arc::clone(accounting),
            syncs_attempts,
            generation: crate::host::sys::generation(),
            lock,
            segments: Segments::new(Arc::clone(folder), Arc::clone(accounting), syncs_attempts),
            dead_letters: DeadLetters::new(options.durability),
            is_caught_up: false,
        }))
    }

    /// Whether nobody else can drain the folder: the lock's name still leads to the file that is locked.
    /// One system call.
    pub fn is_valid(&self) -> bool {
        self.lock.is_valid()
    }

    /// What was last noted of the pace, by this drain or those before it, as seen at this date.
    pub fn notes(&mut self, date: u64) -> impl Iterator<Item = Note> {
        self.lock.notes(date)
    }

    /// For whoever drains next, who is to keep to the same limit. One system call.
    pub fn note(&mut self, note: Note) {
        self.lock.note(note);
    }

    pub fn hold(&self) -> Hold {
        if self.lock.is_valid() {
            Hold::Held
        } else if self.segments.any_is_there() {
            Hold::Lost
        } else {
            Hold::FolderGone
        }
    }

    /// The next unsettled events after those already given, oldest segment first, each writer's in
    /// their order; at most so many, and of so many bytes unless the first alone is larger. Empty if
    /// there is nothing now. Once the lock is lost, no new segment is read, and it is an error of the kind
    /// `NotFound` when all that is known was given.
    pub fn read(&mut self, most: usize, most_bytes: usize) -> Result<Vec<Entry>, StoreError> {
        let mut batch = Batch {
            entries: Vec::new(),
            bytes: 0,
            most,
            most_bytes,
        };
        if most == 0 {
            return Ok(batch.entries);
        }
        let mut read = self.segments.read(&mut batch);
        if let Ok(Reading::CaughtUp) = read {
            read = match self.discover() {
                // What a writer appended before it began a new segment comes before that.
                Ok(()) => self.segments.read(&mut batch),
                Err(error) => Err(error),
            };
        }
        let has_caught_up = matches!(read, Ok(Reading::CaughtUp));
        let failed = read.err().or(self.segments.take_failure());
        self.is_caught_up = has_caught_up && failed.is_none();
        match failed {
            Some(error) if batch.entries.is_empty() => Err(error),
            _ => Ok(batch.entries),
        }
    }

    /// There was no more when it was last read.
    pub fn is_caught_up(&self) -> bool {
        self.is_caught_up
    }

    fn discover(&mut self) -> Result<(), StoreError> {
        if self.lock.is_valid() {
            return self.segments.discover();
        }
        let words = io::Error::new(io::ErrorKind::NotFound, "it was removed");
        Err(StoreError::new(
            &*self.folder,
            "read on: no lock is held any more through",
            lock::NAME,
            &words,
        ))
    }

    /// An event that was given and is not settled, once more.
    pub fn reread(&self, position: Position) -> Result<Entry, StoreError> {
        let Some(reader) = self.segments.reader(position.segment) else {
            let words = io::Error::new(io::ErrorKind::NotFound, "no unsettled event is there");
            return Err(StoreError::new(
                &*self.folder,
                "read an event of",
                "",
                &words,
            ));
        };
        reader
            .reread(&*self.folder, position)
            .map_err(|words| StoreError::new(&*self.folder, "read", reader.name(), &words))
    }

    /// Puts on record that these are about to be sent for the first time. With `Durability::Power`, or
    /// where events are merged, it is synced, and every merge before it: an event that was counted must
    /// not come back as unsent and another be merged into it, nor its members by themselves. A member is
    /// attempted with its leader. After an error they are not attempted; if they are sent all the same, that
    /// they were is written with the next change.
    pub fn attempt(&mut self, positions: &[Position]) -> Result<(), StoreError> {
        let mut failed = Ok(());
        for (number, offsets) in by_segment(positions) {
            let folder = Arc::clone(&self.folder);
            let Some(reader) = self.segments.reader_mut(number) else {
                continue;
            };
            let mut new = open_among(reader, offsets);
            new.retain(|offset| !reader.acks.attempted(*offset));
            let leads = new.iter().any(|offset| reader.acks.leads(*offset));
            let must_sync = self.syncs_attempts || leads || reader.log.has_unsynced_merge();
            // Also where an earlier one could not be written: what is not on disk is not on record.
            let written = match new.is_empty() {
                true => reader.log.flush(&*folder),
                false => reader.log.attempt(&*folder, &new),
            }
            .and_then(|()| match must_sync {
                false => Ok(()),
                true => {
                    // If the leader were lost and a member were not, that one would count again.
                    if leads {
                        reader.sync(&*folder)?;
                    }
                    reader.log.sync(&*folder)
                }
            });
            match written {
                Ok(()) => new.iter().for_each(|offset| reader.acks.attempt(*offset)),
                Err(words) => {
                    let name = reader.log.name();
                    failed = Err(StoreError::new(&*folder, "write to", name, &words));
                }
            }
            self.segments.wrote(number);
        }
        failed
    }

    /// Makes the members part of the leader, whose value is now `value`. All are unsettled and not
    /// attempted; the members lie in the leader's segment, behind it. After an error nothing has changed.
    pub fn merge(
        &mut self,
        leader: Position,
        members: &[Position],
        value: f64,
    ) -> Result<(), StoreError> {
        let folder = Arc::clone(&self.folder);
        let refused = |why: &str| Err(refusal(&*folder, why));
        let Some(reader) = self.segments.reader_mut(leader.segment) else {
            return refused("the leader is not known here");
        };
        let mut offsets = Vec::with_capacity(members.len());
        for member in members {
            if member.segment != leader.segment || member.offset <= leader.offset {
                return refused("members follow their leader in one segment");
            }
            offsets.push(member.offset);
        }
        if !value.is_finite() {
            return refused("a value is a number");
        }
        for offset in offsets.iter().chain([&leader.offset]) {
            if !reader.is_open(*offset) {
                return refused("an event is settled, or part of another");
            }
            if reader.acks.attempted(*offset) {
                return refused("an event was attempted");
            }
        }
        let log = &mut reader.log;
        if let Err(words) = log.merge(&*folder, value, leader.offset, &offsets) {
            return Err(StoreError::new(&*folder, "write to", log.name(), &words));
        }
        reader.acks.merge(leader.offset, &offsets, value);
        reader.note_merge();
        self.segments.wrote(leader.segment);
        Ok(())
    }

    /// Undoes the merges of a leader that was not attempted, so that its members do not share its end: it
    /// cannot be read, say. They are events of their own again; those that were passed over are returned, the
    /// others are given when they are read. After an error nothing has changed.
    pub fn dissolve(&mut self, leader: Position) -> Result<Vec<Entry>, StoreError> {
        let folder = Arc::clone(&self.folder);
        let Some(reader) = self.segments.reader_mut(leader.segment) else {
            return Err(refusal(&*folder, "the leader is not known here"));
        };
        if !reader.is_open(leader.offset) || !reader.acks.leads(leader.offset) {
            return Err(refusal(&*folder, "it leads no others"));
        }
        if reader.acks.attempted(leader.offset) {
            return Err(refusal(&*folder, "they may have been counted with it"));
        }
        let failed =
            |doing: &str, name: &str, words| Err(StoreError::new(&*folder, doing, name, &words));
        let mut entries = Vec::new();
        for offset in reader.members_read(leader.offset) {
            match reader.reread(&*folder, Position { offset, ..leader }) {
                Ok(entry) => entries.push(entry),
                Err(words) => return failed("read", reader.name(), words),
            }
        }
        if let Err(words) = reader.log.dissolve(&*folder, leader.offset) {
            return failed("write to", reader.log.name(), words);
        }
        reader.acks.dissolve(leader.offset);
        self.segments.wrote(leader.segment);
        Ok(entries)
    }

    /// These are never given again: acknowledged, dead, expired or dropped. A leader settles its
    /// members too. Those of one segment are settled together or, if the process dies meanwhile, not at all.
    /// After an error it is remembered, and written with the next change, or the next look at the folder.
    pub fn settle(&mut self, positions: &[Position]) -> Result<(), StoreError> {
        let mut failed = Ok(());
        for (number, offsets) in by_segment(positions) {
            let folder = Arc::clone(&self.folder);
            let Some(reader) = self.segments.reader_mut(number) else {
                continue;
            };
            let new = open_among(reader, offsets);
            if new.is_empty() {
                continue;
            }
            // With their members, so that a damaged record of a merge brings none of them back.
            let mut settled = Vec::with_capacity(new.len());
            for offset in &new {
                settled.extend(reader.settle(*offset));
            }
            if self.segments.remove_if_done(number) {
                continue;
            }
            let Some(reader) = self.segments.reader_mut(number) else {
                continue;
            };
            if let Err(words) = reader.log.settle(&*folder, &settled) {
                let name = reader.log.name();
                failed = Err(StoreError::new(&*folder, "write to", name, &words));
            }
            self.segments.wrote(number);
        }
        self.segments.remove_acks();
        failed
    }

    /// Keeps dead events readable: lines of `dead.jsonl`, which is bounded. After an error none of them is
    /// on record, and the event they are about must not be settled.
    pub fn add_dead_letters(&mut self, json_lines: &[String]) -> Result<(), StoreError> {
        self.dead_letters
            .append(&*self.folder, json_lines)
            .map_err(|words| StoreError::new(&*self.folder, "write to", dead_letters::NAME, &words))
    }

    /// What was found damaged since the last call.
    pub fn take_damage(&mut self) -> Vec<Damage> {
        self.segments.take_damage()
    }

    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.segments.size()
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        // In a forked child the files are the parent's.
        if self.generation == crate::host::sys::generation() {
            // If it still cannot be written, these are sent again and count once.
            self.segments.flush();
            self.accounting.drain_ended();
        }
    }
}

fn refusal(folder: &dyn Folder, why: &str) -> StoreError {
    let words = io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
    StoreError::new(folder, "merge events in", "", &words)
}

fn open_among(reader: &Reader, offsets: BTreeSet<u32>) -> Vec<u32> {
    let open = offsets.into_iter().filter(|offset| reader.is_open(*offset));
    open.collect()
}

fn by_segment(positions: &[Position]) -> BTreeMap<u32, BTreeSet<u32>> {
    let mut segments: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for position in positions {
        segments
            .entry(position.segment)
            .or_default()
            .insert(position.offset);
    }
    segments
}
