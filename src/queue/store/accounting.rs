//! How many events and bytes lie in the folder, as far as this process knows.

use super::folder::{Folder, read_full};
use super::format::{self, Kind};
use super::scan::{Found, Scanner};
use super::{Usage, acks};
use crate::host::locks::{Mutex, lock};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Counts are kept up by who makes them: the writer here, the drain here; the rest is looked up.
#[derive(Default)]
pub struct Accounting {
    /// Held by who changes which files there are or looks at them all; never by an append.
    looking: Mutex<()>,
    tallies: Mutex<Tallies>,
}

#[derive(Default)]
struct Tallies {
    segments: BTreeMap<String, Tally>,
    /// The sums over `segments`.
    events: i64,
    bytes: i64,
    /// The segment that is written here, of which the map knows only the acks.
    live_events: i64,
    live_bytes: i64,
}

#[derive(Clone, Copy, Default)]
pub struct Tally {
    pub events: u64,
    pub settled: u64,
    pub bytes: u64,
    pub ack_bytes: u64,
    counted: Counted,
    written_here: bool,
    drained_here: bool,
}

/// The sound frames of a segment, as far as they were looked at: its writer only adds to them. One that takes some back
/// adds nothing more.
#[derive(Clone, Copy, Default)]
struct Counted {
    events: u64,
    /// Where they end.
    to: u64,
}

impl Tally {
    /// Events not settled. Where events were damaged, more may be settled than are there, which says
    /// nothing about other segments; where they are written here, they are counted apart.
    fn open(&self) -> i64 {
        let open = self.events as i64 - self.settled as i64;
        if self.written_here { open } else { open.max(0) }
    }
}

impl Tallies {
    fn change(&mut self, stem: &str, change: impl FnOnce(&mut Tally)) {
        let before = self.segments.get(stem).copied().unwrap_or_default();
        let mut tally = before;
        change(&mut tally);
        self.add(&before, -1);
        self.add(&tally, 1);
        self.segments.insert(stem.to_owned(), tally);
    }

    /// Unless the drain has removed it meanwhile.
    fn change_known(&mut self, stem: &str, change: impl FnOnce(&mut Tally)) {
        if self.segments.contains_key(stem) {
            self.change(stem, change);
        }
    }

    fn remove(&mut self, stem: &str) {
        if let Some(tally) = self.segments.remove(stem) {
            self.add(&tally, -1);
        }
    }

    fn add(&mut self, tally: &Tally, sign: i64) {
        self.events += sign * tally.open();
        self.bytes += sign * (tally.bytes + tally.ack_bytes) as i64;
    }
}

impl Accounting {
    pub fn usage(&self) -> Usage {
        let tallies = lock(&self.tallies);
        Usage {
            events: (tallies.events + tallies.live_events).max(0) as u64,
            bytes: (tallies.bytes + tallies.live_bytes).max(0) as u64,
        }
    }

    /// Whether there is any segment, also one whose events are all damaged.
    pub fn has_segments(&self) -> bool {
        !lock(&self.tallies).segments.is_empty()
    }

    /// Looks at the folder again. Only what changed its size is opened, and of a full segment only
    /// the end.
    pub fn recount(&self, folder: &dyn Folder) -> io::Result<()> {
        let _looking = lock(&self.looking);
        // Before the listing: what is made after it is not in it, and not gone.
        let known = lock(&self.tallies).segments.clone();
        let mut files = BTreeMap::new();
        files.extend(folder.list()?);
        let mut found = BTreeMap::new();
        for (name, bytes) in &files {
            if let Some(stem) = segment_stem(name) {
                let ack_bytes = files.get(&format!("{stem}.ack")).copied().unwrap_or(0);
                found.insert(stem.to_owned(), (*bytes, ack_bytes));
            }
        }
        for (stem, (bytes, ack_bytes)) in &found {
            let tally = known.get(stem).copied().unwrap_or_default();
            // What cannot be read now is looked at again with the next recount; the drain reports it.
            // What is written here is counted as it is, and looked at once it has ended, if then.
            let counted = (tally.bytes != *bytes && !tally.written_here)
                .then(|| count(folder, &format!("{stem}.seg"), *bytes, tally.counted).ok())
                .flatten();
            let acks = (tally.ack_bytes != *ack_bytes && !tally.drained_here)
                .then(|| acks::load(folder, &format!("{stem}.ack")).ok())
                .flatten();
            lock(&self.tallies).change(stem, |tally| {
                if let (Some((events, counted)), false) = (counted, tally.written_here) {
                    tally.events = events;
                    tally.bytes = *bytes;
                    tally.counted = counted;
                }
                if let (Some(loaded), false) = (acks, tally.drained_here) {
                    // Of a segment that was cut off, only what is left.
                    let settled = loaded.acks.settled.iter();
                    let left = settled.take_while(|offset| u64::from(**offset) < *bytes);
                    tally.settled = left.count() as u64;
                    tally.ack_bytes = *ack_bytes;
                }
            });
        }
        let mut tallies = lock(&self.tallies);
        for stem in known.keys().filter(|stem| !found.contains_key(*stem)) {
            tallies.remove(stem);
        }
        Ok(())
    }

    /// When the newest segment was made.
    pub fn newest_ms(&self) -> u64 {
        let tallies = lock(&self.tallies);
        tallies
            .segments
            .last_key_value()
            .and_then(|(stem, _)| format::created_ms(stem))
            .unwrap_or(0)
    }

    /// A segment is written here from now on; it has its header only.
    pub fn begun(&self, stem: &str, bytes: u64) {
        let mut tallies = lock(&self.tallies);
        tallies.live_bytes = bytes as i64;
        tallies.change(stem, |tally| tally.written_here = true);
    }

    /// Whether a segment is written here of whose events none is left.
    pub fn is_live_settled(&self) -> bool {
        let tallies = lock(&self.tallies);
        let mut live = tallies.segments.values().filter(|it| it.written_here);
        tallies.live_events > 0
            && live.any(|live| live.settled >= tallies.live_events.unsigned_abs())
    }

    /// An event was appended to it.
    pub fn appended(&self, bytes: u64) {
        let mut tallies = lock(&self.tallies);
        tallies.live_events += 1;
        tallies.live_bytes += bytes as i64;
    }

    /// Something that is no event was appended to it.
    pub fn lengthened(&self, bytes: u64) {
        lock(&self.tallies).live_bytes += bytes as i64;
    }

    /// Somebody else has removed it while it was written.
    pub fn removed(&self, stem: &str) {
        let mut tallies = lock(&self.tallies);
        tallies.live_events = 0;
        tallies.live_bytes = 0;
        tallies.remove(stem);
    }

    /// It is written no more and ends up with this.
    pub fn ended(&self, stem: &str, events: u64, bytes: u64) {
        let mut tallies = lock(&self.tallies);
        tallies.live_events = 0;
        tallies.live_bytes = 0;
        tallies.change_known(stem, |tally| {
            tally.events = events;
            tally.bytes = bytes;
            tally.written_here = false;
        });
    }

    /// The drain here knows this segment's acks exactly, and that it has at least so many events.
    pub fn drained(&self, stem: &str, settled: u64, ack_bytes: u64, seen: u64) {
        lock(&self.tallies).change(stem, |tally| {
            tally.drained_here = true;
            tally.settled = settled;
            tally.ack_bytes = ack_bytes;
            if !tally.written_here {
                tally.events = tally.events.max(seen);
            }
        });
    }

    /// A segment without a writer was read to its end, or what had not been synced was taken back.
    pub fn counted(&self, stem: &str, events: u64, bytes: u64) {
        lock(&self.tallies).change_known(stem, |tally| {
            tally.events = events;
            tally.bytes = bytes;
        });
    }

    /// The drain here has ended: another process may go on.
    pub fn drain_ended(&self) {
        for tally in lock(&self.tallies).segments.values_mut() {
            tally.drained_here = false;
        }
    }

    /// Runs what removes a segment's files; if it did, the segment is forgotten.
    pub fn removing(&self, stem: &str, remove: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let _looking = lock(&self.looking);
        remove()?;
        lock(&self.tallies).remove(stem);
        Ok(())
    }
}

/// The stem of a segment's name; `None` for a foreign file.
pub fn segment_stem(name: &str) -> Option<&str> {
    name.strip_suffix(".seg")
        .filter(|stem| format::created_ms(stem).is_some())
}

/// How many events it holds, and as far as they were looked at; `counted` before.
fn count(
    folder: &dyn Folder,
    name: &str,
    bytes: u64,
    counted: Counted,
) -> io::Result<(u64, Counted)> {
    let mut counted = match counted.to <= bytes {
        true => counted,
        false => Counted::default(),
    };
    let file = folder.open(name)?;
    if let Some(offset) = bytes.checked_sub(format::SEAL_LENGTH as u64) {
        let mut tail = [0; format::SEAL_LENGTH];
        let read = read_full(&*file, &mut tail, offset)?;
        if let Some(events) = format::sealed_events(&tail[..read]) {
            return Ok((events.into(), counted));
        }
    }
    let mut scanner = Scanner::at(Arc::from(file), counted.to);
    loop {
        // Not as one that is written, where bytes that do not check are looked at twice.
        let length = match scanner.peek(true)? {
            Found::Nothing => return Ok((counted.events, counted)),
            Found::Damage { .. } => continue,
            Found::Frame { kind, bytes, .. } => {
                counted.events += u64::from(kind == Kind::Event);
                bytes.len()
            }
        };
        scanner.pass(length);
        counted.to = scanner.offset();
    }
}

/// The name of a file here that was begun by a later version of the library.
pub fn of_later_version(folder: &dyn Folder) -> io::Result<Option<String>> {
    for (name, _) in folder.list()? {
        let stem = segment_stem(&name).or_else(|| name.strip_suffix(".ack"));
        if stem.and_then(format::created_ms).is_none() {
            continue;
        }
        let mut header = [0; format::MOST_HEADER];
        // What cannot be read now may be read later; the drain reports it.
        let read = folder
            .open(&name)
            .and_then(|file| read_full(&*file, &mut header, 0));
        if read.is_ok_and(|read| format::is_of_later_version(&header[..read])) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
