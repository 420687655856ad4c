//! The segments that a drain knows: it finds them, reads them in order, and takes them away when all their
//! events are settled.

use super::StoreError;
use super::accounting::{Accounting, segment_stem};
use super::damage::{self, Damage};
use super::folder::{Folder, absent_is_fine, is_gone};
use super::format;
use super::reader::{Batch, Reader, Reading};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// So often in a row a segment may fail to be read before the reader goes on with those behind it.
const PATIENCE: u32 = 8;
/// Acks that are open to be written: descriptors are the host's, and there may be thousands of segments.
const MOST_OPEN: usize = 8;

pub struct Segments {
    folder: Arc<dyn Folder>,
    accounting: Arc<Accounting>,
    /// The folder is synced before acks go.
    is_synced: bool,
    numbers: HashMap<String, u32>,
    known: BTreeMap<u32, Segment>,
    /// Those that may have more to read, in order.
    unread: Vec<u32>,
    /// Those whose acks are open, the last that was written to behind the others.
    open: VecDeque<u32>,
    /// Acks of segments that were removed.
    acks_to_remove: Vec<AcksToRemove>,
    damage: Vec<Damage>,
    failure: Option<StoreError>,
    /// Damage that was copied aside.
    copies: usize,
}

struct Segment {
    stem: String,
    /// Reads that failed.
    failures: u32,
    /// `None` until the reader comes to it.
    reader: Option<Reader>,
}

struct AcksToRemove {
    name: String,
    /// If the segment came back without them, events would count twice.
    held_merges: bool,
}

impl Segments {
    pub fn new(folder: Arc<dyn Folder>, accounting: Arc<Accounting>, is_synced: bool) -> Segments {
        Segments {
            folder,
            accounting,
            is_synced,
            numbers: HashMap::new(),
            known: BTreeMap::new(),
            unread: Vec::new(),
            open: VecDeque::new(),
            acks_to_remove: Vec::new(),
            damage: Vec::new(),
            failure: None,
            copies: 0,
        }
    }

    pub fn reader(&self, number: u32) -> Option<&Reader> {
        self.known.get(&number)?.reader.as_ref()
    }

    pub fn reader_mut(&mut self, number: u32) -> Option<&mut Reader> {
        self.known.get_mut(&number)?.reader.as_mut()
    }

    /// Whether any of them still has its name in the folder. Trouble in looking is no news.
    pub fn any_is_there(&self) -> bool {
        let mut stems = self.known.values().map(|segment| &segment.stem);
        stems.any(|stem| match self.folder.id(&format!("{stem}.seg")) {
            Ok(_) => true,
            Err(error) => !is_gone(&error),
        })
    }

    pub fn take_damage(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damage)
    }

    /// Reads on in all that may have more, until the batch is full. What fails and holds up nobody is
    /// `take_failure`'s.
    pub fn read(&mut self, batch: &mut Batch) -> Result<Reading, StoreError> {
        let mut next = 0;
        while let Some(number) = self.unread.get(next).copied() {
            match self.read_segment(number, batch) {
                Ok(Reading::BatchFull) => return Ok(Reading::BatchFull),
                Ok(Reading::CaughtUp) => next += 1,
                Ok(Reading::Finished | Reading::Unknown) => {
                    self.unread.remove(next);
                }
                Err(error) if self.blocks(number) => return Err(error),
                Err(error) => {
                    self.failure = Some(error);
                    next += 1;
                }
            }
        }
        Ok(Reading::CaughtUp)
    }

    pub fn take_failure(&mut self) -> Option<StoreError> {
        self.failure.take()
    }

    fn read_segment(&mut self, number: u32, batch: &mut Batch) -> Result<Reading, StoreError> {
        let Some(segment) = self.known.get_mut(&number) else {
            return Ok(Reading::Finished);
        };
        let stem = segment.stem.clone();
        let reader = match segment.reader.take() {
            Some(reader) => Ok(reader),
            None => Reader::open(&*self.folder, number, &stem),
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
            Ok(Reading::Unknown) => {
                self.leave_alone(number);
                Ok(Reading::Unknown)
            }
            read => read,
        };
        match read {
            Ok(reading) => {
                if let Some(segment) = self.known.get_mut(&number) {
                    segment.failures = 0;
                }
                Ok(reading)
            }
            // Someone else has taken it away.
            Err(words) if words.kind() == io::ErrorKind::NotFound => {
                self.forget(number);
                let _ = self.accounting.removing(&stem, || Ok(()));
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
        let Some(segment) = self.known.get_mut(&number) else {
            return false;
        };
        segment.failures = segment.failures.saturating_add(1);
        if segment.failures == PATIENCE {
            let name = format!("{}.seg", segment.stem);
            self.report(Damage::of_file(&name, "it cannot be read"));
        }
        self.known
            .get(&number)
            .is_some_and(|segment| segment.failures < PATIENCE)
    }

    /// All of a segment has been read, and nobody writes to it.
    fn finish(&mut self, number: u32) -> io::Result<Reading> {
        let Some((stem, reader)) = self.entry(number) else {
            return Ok(Reading::Finished);
        };
        let (name, is_foreign, seen) =
            (reader.name().to_owned(), reader.is_foreign(), reader.seen());
        let stem = stem.to_owned();
        let bytes = self.folder.open(&name)?.size()?;
        self.accounting.counted(&stem, seen, bytes);
        if is_foreign && bytes > 0 {
            return self.set_aside(number, "no record in it checks");
        }
        if is_foreign {
            self.report(Damage::of_file(&name, "an empty file"));
        }
        self.remove_if_done(number);
        Ok(Reading::Finished)
    }

    /// Removes a segment whose events are all settled. False if it is not, or cannot be removed. What
    /// became of its events goes later, with `remove_acks`: without it they would come back.
    pub fn remove_if_done(&mut self, number: u32) -> bool {
        let folder = Arc::clone(&self.folder);
        let accounting = Arc::clone(&self.accounting);
        let Some((stem, reader)) = self.entry(number) else {
            return false;
        };
        if !reader.is_done() {
            return false;
        }
        let removed = accounting.removing(stem, || {
            absent_is_fine(folder.remove(&format!("{stem}.seg")))
        });
        if removed.is_err() {
            return false;
        }
        reader.log.close();
        let acks = AcksToRemove {
            name: reader.log.name().to_owned(),
            held_merges: reader.held_merges(),
        };
        self.acks_to_remove.push(acks);
        self.forget(number);
        true
    }

    /// Removes the acks of segments that were removed, once a power cut cannot bring those back. What
    /// cannot be removed now does no harm, and goes with the next look at the folder.
    pub fn remove_acks(&mut self) {
        let acks = std::mem::take(&mut self.acks_to_remove);
        let must_sync = self.is_synced && !acks.is_empty() || acks.iter().any(|it| it.held_merges);
        if must_sync && self.folder.sync().is_err() {
            return;
        }
        for acks in acks {
            let _ = self.folder.remove(&acks.name);
        }
    }

    fn forget(&mut self, number: u32) {
        if let Some(segment) = self.known.remove(&number) {
            self.numbers.remove(&segment.stem);
        }
    }

    /// It is of a later version, which reads it when it drains again.
    fn leave_alone(&mut self, number: u32) {
        if let Some(segment) = self.known.get_mut(&number) {
            segment.reader = None;
            let name = format!("{}.seg", segment.stem);
            self.report(Damage::of_file(
                &name,
                "a later version of the format, left alone",
            ));
        }
    }

    /// Renames what is no segment, with its acks, so that it is kept and not looked at again. The acks
    /// first: those without a segment are cleared away.
    fn set_aside(&mut self, number: u32, reason: &'static str) -> io::Result<Reading> {
        let folder = Arc::clone(&self.folder);
        let accounting = Arc::clone(&self.accounting);
        let Some((stem, reader)) = self.entry(number) else {
            return Ok(Reading::Finished);
        };
        let (name, ack) = (reader.name(), reader.log.name());
        let aside = format!("{name}.unknown");
        accounting.removing(stem, || {
            absent_is_fine(folder.rename(ack, &format!("{ack}.unknown")))?;
            folder.rename(name, &aside)
        })?;
        self.report(Damage::of_file(&aside, reason));
        self.forget(number);
        Ok(Reading::Finished)
    }

    /// Looks for new segments, writes what could not be written before, and clears away what crashes left.
    pub fn discover(&mut self) -> Result<(), StoreError> {
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
            let segment = Segment {
                stem,
                failures: 0,
                reader: None,
            };
            self.known.insert(number, segment);
            self.unread.push(number);
        }
        for (name, _) in &files {
            self.clear_away(name);
        }
        // What fails here is tried again.
        self.flush();
        let done: Vec<u32> = self.known.keys().copied().collect();
        for number in done {
            self.remove_if_done(number);
        }
        self.remove_acks();
        Ok(())
    }

    fn new_stems(&self, files: &[(String, u64)]) -> BTreeSet<String> {
        let stems = files.iter().filter_map(|(name, _)| segment_stem(name));
        let new = stems.filter(|stem| !self.numbers.contains_key(*stem));
        let mut stems = BTreeSet::new();
        stems.extend(new.map(str::to_owned));
        stems
    }

    /// Removes a segment that was never finished, and acks whose segment is gone. What cannot be
    /// removed does no harm.
    fn clear_away(&mut self, name: &str) {
        let Some((stem, ending)) = name.rsplit_once('.') else {
            return;
        };
        if format::created_ms(stem).is_none() {
            return;
        }
        match ending {
            // A writer that just begins, and locks it after this, takes another name.
            "tmp" => {
                let is_left = |file: Box<dyn super::File>| file.try_lock();
                if self.folder.open(name).and_then(is_left).unwrap_or(false) {
                    let _ = self.folder.remove(name);
                }
            }
            "ack" if !self.numbers.contains_key(stem) => {
                let segment = self.folder.open(&format!("{stem}.seg"));
                if segment.is_err_and(|words| words.kind() == io::ErrorKind::NotFound) {
                    self.acks_to_remove.push(AcksToRemove {
                        name: name.to_owned(),
                        held_merges: true,
                    });
                }
            }
            _ => {}
        }
    }

    fn report(&mut self, damage: Damage) {
        if self.copies < damage::MOST_FILES {
            self.copies += 1;
            // The report counts; a copy that cannot be made is no reason to stop.
            let _ = damage::copy_aside(&*self.folder, &damage);
        }
        self.damage.push(damage);
    }

    /// Writes what could not be written before.
    pub fn flush(&mut self) {
        let folder = Arc::clone(&self.folder);
        let all: Vec<u32> = self.known.keys().copied().collect();
        for number in all {
            if let Some(reader) = self.reader_mut(number)
                && reader.log.has_pending()
            {
                let _ = reader.log.flush(&*folder);
                self.wrote(number);
            }
        }
    }

    /// What became of some of its events was written.
    pub fn wrote(&mut self, number: u32) {
        self.publish(number);
        if self.open.back() == Some(&number) {
            return;
        }
        self.open.retain(|open| *open != number);
        self.open.push_back(number);
        if self.open.len() > MOST_OPEN
            && let Some(first) = self.open.pop_front()
            && let Some(reader) = self.reader_mut(first)
        {
            reader.log.close();
        }
    }

    /// Tells the accounting what the drain knows of a segment.
    pub fn publish(&self, number: u32) {
        if let Some(segment) = self.known.get(&number)
            && let Some(reader) = &segment.reader
        {
            let (settled, seen) = (reader.settled(), reader.seen());
            let length = reader.log.length();
            self.accounting
                .drained(&segment.stem, settled, length, seen);
        }
    }

    fn entry(&mut self, number: u32) -> Option<(&str, &mut Reader)> {
        let segment = self.known.get_mut(&number)?;
        Some((&segment.stem, segment.reader.as_mut()?))
    }

    /// How much it remembers.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        let readers = self.known.values().filter_map(|it| it.reader.as_ref());
        let of_readers: usize = readers.map(Reader::size).sum();
        self.numbers.len() + self.known.len() + self.unread.len() + of_readers
    }
}
