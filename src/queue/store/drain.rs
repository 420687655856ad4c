//! Takes events out of the folder, oldest first, and keeps on record what became of them.

use super::census::{Census, segment_stem};
use super::damage::{self, Damage};
use super::dead::{self, DeadLetters};
use super::folder::{File, Folder, absent_is_fine};
use super::format;
use super::reader::{Batch, Entry, Place, Reader, Reading};
use super::{Durability, StoreError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub const LOCK: &str = "drain.lock";
/// So often in a row a segment may fail to be read before the reader goes on with those behind it.
const PATIENCE: u32 = 8;

/// The right to drain the folder, until it is dropped.
pub struct Drain {
    folder: Arc<dyn Folder>,
    census: Arc<Census>,
    durability: Durability,
    generation: u32,
    /// Open, so locked.
    _lock: Box<dyn File>,
    numbers: HashMap<String, u32>,
    segments: BTreeMap<u32, Segment>,
    /// Those that may have more to read, in order.
    unread: Vec<u32>,
    dead: DeadLetters,
    damage: Vec<Damage>,
}

struct Segment {
    stem: String,
    /// Reads that failed.
    failures: u32,
    /// `None` until the reader comes to it.
    reader: Option<Reader>,
}

impl Drain {
    pub(super) fn begin(
        folder: &Arc<dyn Folder>,
        census: &Arc<Census>,
        durability: Durability,
    ) -> Result<Option<Drain>, StoreError> {
        let error = |words: io::Error| StoreError::new(&**folder, "lock", LOCK, &words);
        let mut lock = folder.append(LOCK).map_err(error)?;
        // First, so that no child forked in between keeps the lock.
        lock.close_in_child();
        if !lock.try_lock().map_err(error)? {
            return Ok(None);
        }
        Ok(Some(Drain {
            folder: Arc::clone(folder),
            census: Arc::clone(census),
            durability,
            generation: crate::host::sys::generation(),
            _lock: lock,
            numbers: HashMap::new(),
            segments: BTreeMap::new(),
            unread: Vec::new(),
            dead: DeadLetters::default(),
            damage: Vec::new(),
        }))
    }

    /// The next unsettled events after those already given, oldest segment first, each writer's in
    /// their order; at most so many, and of so many bytes unless the first alone is larger. Empty if
    /// there is nothing now.
    pub fn read(&mut self, most: usize, most_bytes: usize) -> Result<Vec<Entry>, StoreError> {
        let mut batch = Batch {
            entries: Vec::new(),
            bytes: 0,
            most,
            most_bytes,
        };
        let mut failed = None;
        if most == 0 {
            return Ok(batch.entries);
        }
        let mut next = 0;
        let mut discovered = false;
        loop {
            while let Some(number) = self.unread.get(next).copied() {
                match self.read_segment(number, &mut batch) {
                    Ok(Reading::BatchFull) => return Ok(batch.entries),
                    Ok(Reading::CaughtUp) => next += 1,
                    Ok(Reading::Finished | Reading::Unknown) => {
                        self.unread.remove(next);
                    }
                    Err(error) if self.blocks(number) => {
                        return if batch.entries.is_empty() {
                            Err(error)
                        } else {
                            Ok(batch.entries)
                        };
                    }
                    Err(error) => {
                        failed = Some(error);
                        next += 1;
                    }
                }
            }
            if discovered {
                break;
            }
            discovered = true;
            if let Err(error) = self.discover() {
                failed = Some(error);
            }
            // What a writer appended before it began a new segment comes before that.
            next = 0;
        }
        match failed {
            Some(error) if batch.entries.is_empty() => Err(error),
            _ => Ok(batch.entries),
        }
    }

    /// An event that was given and is not settled, once more.
    pub fn reread(&self, place: Place) -> Result<Entry, StoreError> {
        let segment = self.segments.get(&place.segment);
        let Some(reader) = segment.and_then(|segment| segment.reader.as_ref()) else {
            let words = io::Error::new(io::ErrorKind::NotFound, "no unsettled event is there");
            return Err(StoreError::new(
                &*self.folder,
                "read an event of",
                "",
                &words,
            ));
        };
        reader
            .reread(&*self.folder, place)
            .map_err(|words| StoreError::new(&*self.folder, "read", reader.name(), &words))
    }

    /// Puts on record that these are about to be sent for the first time. With `Durability::Power` it
    /// is synced, and every merge before it: an event that was counted must not come back as unsent and
    /// be merged into another. A member is attempted with its leader. After an error it is remembered,
    /// and written with the next change.
    pub fn attempt(&mut self, places: &[Place]) -> Result<(), StoreError> {
        let mut failed = Ok(());
        for (number, offsets) in by_segment(places) {
            let Some((_, reader)) = reader_mut(&mut self.segments, number) else {
                continue;
            };
            let mut new = open_among(reader, offsets);
            new.retain(|offset| !reader.acks.attempted(*offset));
            for offset in &new {
                reader.acks.attempt(*offset);
            }
            // Also where an earlier one could not be written: what is not on disk is not on record.
            let written = match new.is_empty() {
                true => reader.log.flush(&*self.folder),
                false => reader.log.attempt(&*self.folder, &new),
            }
            .and_then(|()| match self.durability {
                Durability::Process => Ok(()),
                Durability::Power => reader.log.sync(&*self.folder),
            });
            if let Err(words) = written {
                failed = Err(StoreError::new(
                    &*self.folder,
                    "write to",
                    reader.log.name(),
                    &words,
                ));
            }
            self.publish(number);
        }
        failed
    }

    /// Makes the members part of the leader, whose value is now `value`. All are unsettled and not
    /// attempted; the members lie in the leader's segment, behind it. After an error nothing has changed.
    pub fn merge(
        &mut self,
        leader: Place,
        members: &[Place],
        value: f64,
    ) -> Result<(), StoreError> {
        let refused = |why: &str| {
            let words = io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
            Err(StoreError::new(
                &*self.folder,
                "merge events in",
                "",
                &words,
            ))
        };
        let Some((_, reader)) = reader_mut(&mut self.segments, leader.segment) else {
            return refused("the leader is not known here");
        };
        let mut offsets = Vec::with_capacity(members.len());
        for member in members {
            if member.segment != leader.segment || member.offset <= leader.offset {
                return refused("members follow their leader in one segment");
            }
            offsets.push(member.offset);
        }
        for offset in offsets.iter().chain([&leader.offset]) {
            if !reader.is_open(*offset) {
                return refused("an event is settled, or part of another");
            }
            if reader.acks.attempted(*offset) {
                return refused("an event was attempted");
            }
        }
        if let Err(words) = reader
            .log
            .merge(&*self.folder, value, leader.offset, &offsets)
        {
            return Err(StoreError::new(
                &*self.folder,
                "write to",
                reader.log.name(),
                &words,
            ));
        }
        reader.acks.merge(leader.offset, &offsets, value);
        self.publish(leader.segment);
        Ok(())
    }

    /// These are never given again: acknowledged, dead, expired or dropped. A leader settles its
    /// members too. After an error it is remembered, and written with the next change.
    pub fn settle(&mut self, places: &[Place]) -> Result<(), StoreError> {
        let mut failed = Ok(());
        for (number, offsets) in by_segment(places) {
            let Some((_, reader)) = reader_mut(&mut self.segments, number) else {
                continue;
            };
            let new = open_among(reader, offsets);
            if new.is_empty() {
                continue;
            }
            for offset in &new {
                reader.settle(*offset);
            }
            if self.remove_if_done(number) {
                continue;
            }
            let Some((_, reader)) = reader_mut(&mut self.segments, number) else {
                continue;
            };
            if let Err(words) = reader.log.settle(&*self.folder, &new) {
                failed = Err(StoreError::new(
                    &*self.folder,
                    "write to",
                    reader.log.name(),
                    &words,
                ));
            }
            self.publish(number);
        }
        failed
    }

    /// Keeps a dead event readable: one line of `dead.jsonl`, which is bounded.
    pub fn bury(&mut self, json_line: &str) -> Result<(), StoreError> {
        self.dead
            .append(&*self.folder, json_line)
            .map_err(|words| StoreError::new(&*self.folder, "write to", dead::NAME, &words))
    }

    /// What was found damaged since the last call.
    pub fn take_damage(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damage)
    }

    fn read_segment(&mut self, number: u32, batch: &mut Batch) -> Result<Reading, StoreError> {
        let Some(segment) = self.segments.get_mut(&number) else {
            return Ok(Reading::Finished);
        };
        let stem = segment.stem.clone();
        let reader = match segment.reader.take() {
            Some(reader) => Ok(reader),
            None => Reader::open(
                &*self.folder,
                number,
                &stem,
                segment.failures + 1 >= PATIENCE,
            ),
        };
        let mut damage = Vec::new();
        let read = reader.and_then(|reader| {
            let reader = segment.reader.insert(reader);
            let read = reader.read(batch);
            damage.append(&mut reader.damage);
            read
        });
        damage.into_iter().for_each(|damage| self.report(damage));
        self.publish(number);
        let read = match read {
            Ok(Reading::Finished) => self.finish(number),
            Ok(Reading::Unknown) => self.set_aside(number, "another version of the format"),
            read => read,
        };
        match read {
            Ok(reading) => {
                if let Some(segment) = self.segments.get_mut(&number) {
                    segment.failures = 0;
                }
                Ok(reading)
            }
            // Someone else has taken it away.
            Err(words) if words.kind() == io::ErrorKind::NotFound => {
                self.forget(number);
                let _ = self.census.removing(&stem, || Ok(()));
                Ok(Reading::Finished)
            }
            Err(words) => {
                let name = format!("{stem}.seg");
                Err(StoreError::new(&*self.folder, "read", &name, &words))
            }
        }
    }

    /// Whether a segment that could not be read holds up those behind it: at first, since their events
    /// come later; not for ever.
    fn blocks(&mut self, number: u32) -> bool {
        let Some(segment) = self.segments.get_mut(&number) else {
            return false;
        };
        segment.failures = segment.failures.saturating_add(1);
        if segment.failures == PATIENCE {
            let name = format!("{}.seg", segment.stem);
            self.report(Damage::of_file(&name, "it cannot be read"));
        }
        self.segments
            .get(&number)
            .is_some_and(|segment| segment.failures < PATIENCE)
    }

    /// All of a segment has been read, and nobody writes to it.
    fn finish(&mut self, number: u32) -> io::Result<Reading> {
        let Some((stem, reader)) = reader_mut(&mut self.segments, number) else {
            return Ok(Reading::Finished);
        };
        let bytes = self.folder.open(reader.name())?.size()?;
        self.census.counted(stem, reader.seen(), bytes);
        if reader.is_foreign() && bytes > 0 {
            return self.set_aside(number, "no record in it checks");
        }
        if reader.is_foreign() {
            let damage = Damage::of_file(reader.name(), "an empty file");
            self.report(damage);
        }
        self.remove_if_done(number);
        Ok(Reading::Finished)
    }

    /// Removes a segment whose events are all settled. False if it is not, or cannot be removed.
    fn remove_if_done(&mut self, number: u32) -> bool {
        let Some((stem, reader)) = reader_mut(&mut self.segments, number) else {
            return false;
        };
        if !reader.is_done() {
            return false;
        }
        // The acks last: without them the events would come back.
        let removed = self.census.removing(stem, || {
            absent_is_fine(self.folder.remove(&format!("{stem}.seg")))?;
            let _ = self.folder.remove(reader.log.name());
            Ok(())
        });
        if removed.is_ok() {
            self.forget(number);
        }
        removed.is_ok()
    }

    fn forget(&mut self, number: u32) {
        if let Some(segment) = self.segments.remove(&number) {
            self.numbers.remove(&segment.stem);
        }
    }

    /// Renames what is not ours to read, with its acks, so that it is kept and not looked at again.
    fn set_aside(&mut self, number: u32, reason: &'static str) -> io::Result<Reading> {
        let Some((stem, reader)) = reader_mut(&mut self.segments, number) else {
            return Ok(Reading::Finished);
        };
        let aside = format!("{}.unknown", reader.name());
        self.census.removing(stem, || {
            self.folder.rename(reader.name(), &aside)?;
            let ack = reader.log.name();
            absent_is_fine(self.folder.rename(ack, &format!("{ack}.unknown")))
        })?;
        self.report(Damage::of_file(&aside, reason));
        self.forget(number);
        Ok(Reading::Finished)
    }

    /// Looks for new segments, and clears away what crashes left.
    fn discover(&mut self) -> Result<(), StoreError> {
        let list = || {
            let files = self.folder.list();
            files.map_err(|words| StoreError::new(&*self.folder, "read", "", &words))
        };
        // A listing may miss a file that is made meanwhile and show a later one of the same writer.
        // Two that agree missed none: what the first shows was made before the second began.
        let mut files = list()?;
        let mut new = self.new_stems(&files);
        while let Some(last) = new.last() {
            files = list()?;
            let mut again = self.new_stems(&files);
            again.retain(|stem| stem <= last);
            if again == new {
                break;
            }
            new = again;
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        for stem in new {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            self.numbers.insert(stem.clone(), number);
            self.segments.insert(
                number,
                Segment {
                    stem,
                    failures: 0,
                    reader: None,
                },
            );
            self.unread.push(number);
        }
        for (name, _) in &files {
            self.clear_away(name);
        }
        let done: Vec<u32> = self.segments.keys().copied().collect();
        for number in done {
            self.remove_if_done(number);
        }
        Ok(())
    }

    fn new_stems(&self, files: &[(String, u64)]) -> BTreeSet<String> {
        let stems = files.iter().filter_map(|(name, _)| segment_stem(name));
        stems
            .filter(|stem| !self.numbers.contains_key(*stem))
            .map(str::to_owned)
            .collect()
    }

    /// Removes a segment that was never finished, and acks whose segment is gone. What cannot be
    /// removed does no harm.
    fn clear_away(&self, name: &str) {
        let Some((stem, ending)) = name.rsplit_once('.') else {
            return;
        };
        if format::created_ms(stem).is_none() {
            return;
        }
        match ending {
            // Locked until it is removed: a writer that just begins takes another name.
            "tmp" => {
                if let Ok(file) = self.folder.open(name)
                    && file.try_lock().unwrap_or(false)
                {
                    let _ = self.folder.remove(name);
                }
            }
            "ack" if !self.numbers.contains_key(stem) => {
                let segment = self.folder.open(&format!("{stem}.seg"));
                if segment.is_err_and(|words| words.kind() == io::ErrorKind::NotFound) {
                    let _ = self.folder.remove(name);
                }
            }
            _ => {}
        }
    }

    fn report(&mut self, damage: Damage) {
        // The report counts; a copy that cannot be made is no reason to stop.
        let _ = damage::copy_aside(&*self.folder, &damage);
        self.damage.push(damage);
    }

    /// Tells the census what the drain knows of a segment.
    fn publish(&self, number: u32) {
        if let Some(segment) = self.segments.get(&number)
            && let Some(reader) = &segment.reader
        {
            let (settled, seen) = (reader.settled(), reader.seen());
            self.census
                .drained(&segment.stem, settled, reader.log.length(), seen);
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        // In a forked child the files are the parent's.
        if self.generation == crate::host::sys::generation() {
            let readers = self
                .segments
                .values_mut()
                .filter_map(|segment| segment.reader.as_mut());
            for reader in readers {
                // If it still cannot be written, these are sent again and count once.
                let _ = reader.log.flush(&*self.folder);
            }
        }
        self.census.drain_ended();
    }
}

fn reader_mut(segments: &mut BTreeMap<u32, Segment>, number: u32) -> Option<(&str, &mut Reader)> {
    let segment = segments.get_mut(&number)?;
    Some((&segment.stem, segment.reader.as_mut()?))
}

fn open_among(reader: &Reader, offsets: BTreeSet<u32>) -> Vec<u32> {
    let open = offsets.into_iter().filter(|offset| reader.is_open(*offset));
    open.collect()
}

fn by_segment(places: &[Place]) -> BTreeMap<u32, BTreeSet<u32>> {
    let mut segments: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for place in places {
        segments
            .entry(place.segment)
            .or_default()
            .insert(place.offset);
    }
    segments
}
