//! Appends events to a segment of this store's own, one after the other.

use super::census::Census;
use super::folder::{File, Folder, write_all};
use super::format;
use super::{Durability, Options, StoreError};
use crate::host::locks::lock;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

/// More means that no drain is at work, but something that takes all files away.
const MOST_TRIES: u32 = 8;

pub struct Writer {
    folder: Arc<dyn Folder>,
    census: Arc<Census>,
    durability: Durability,
    segment_bytes: u64,
    generation: u32,
    state: Mutex<State>,
    /// Held by the one caller that syncs, for all that wait with it.
    syncing: Mutex<()>,
}

struct State {
    live: Option<Live>,
    newest_ms: u64,
    buffer: Vec<u8>,
    /// The sync that makes what is appended now safe against power loss.
    round: Arc<Round>,
    /// Segments that are full and not synced to their end.
    full: Vec<Live>,
    folder_changed: bool,
}

type Round = OnceLock<Result<(), StoreError>>;

#[derive(Clone)]
struct Live {
    segment: Arc<Segment>,
    extent: Extent,
}

struct Segment {
    stem: String,
    file: Box<dyn File>,
    synced: Mutex<Extent>,
}

#[derive(Clone, Copy)]
struct Extent {
    length: u64,
    events: u32,
}

impl Writer {
    pub fn new(folder: Arc<dyn Folder>, census: Arc<Census>, options: Options) -> Writer {
        let newest_ms = census.newest_ms();
        Writer {
            folder,
            census,
            durability: options.durability,
            // Offsets have 32 bits.
            segment_bytes: options.segment_bytes.min(1 << 30),
            generation: crate::host::sys::generation(),
            state: Mutex::new(State {
                live: None,
                newest_ms,
                buffer: Vec::new(),
                round: Arc::default(),
                full: Vec::new(),
                folder_changed: false,
            }),
            syncing: Mutex::new(()),
        }
    }

    pub fn append(&self, at_ms: u64, payload: &[u8]) -> Result<(), StoreError> {
        if payload.len() > format::MAX_PAYLOAD {
            let words = io::Error::new(io::ErrorKind::FileTooLarge, "an event has at most 16 MiB");
            return Err(self.error("write to", "", &words));
        }
        if self.generation != crate::host::sys::generation() {
            let words = io::Error::other("opened before a fork; a child opens a store of its own");
            return Err(self.error("write to", "", &words));
        }
        let round = {
            let mut state = lock(&self.state);
            self.put(&mut state, at_ms, payload)?;
            Arc::clone(&state.round)
        };
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Power => self.sync(&round),
        }
    }

    fn put(&self, state: &mut State, at_ms: u64, payload: &[u8]) -> Result<(), StoreError> {
        let needed = (format::EVENT_PREFIX + payload.len()) as u64;
        if let Some(live) = &state.live
            && live.extent.events > 0
            && live.extent.length + needed > self.segment_bytes
        {
            self.end(state);
        }
        let State { live, buffer, .. } = state;
        let live = match live {
            Some(live) => live,
            None => {
                // Never before an older segment of ours, even if the clock goes back.
                let created_ms = at_ms.max(state.newest_ms.saturating_add(1));
                let made = self.begin(created_ms)?;
                state.newest_ms = created_ms;
                state.folder_changed = true;
                live.insert(made)
            }
        };
        buffer.clear();
        format::put_event(buffer, at_ms, payload);
        if let Err(words) = write_all(&*live.segment.file, buffer) {
            let error = self.error("write to", &format!("{}.seg", live.segment.stem), &words);
            // A torn frame that stays cannot be followed by others. And on a full disk, room comes from
            // segments that go once they are delivered: not from one that is still written to.
            let is_torn = live.segment.file.truncate(live.extent.length).is_err();
            if is_torn || live.extent.events > 0 {
                self.leave(state);
            }
            return Err(error);
        }
        live.extent.length += needed;
        live.extent.events += 1;
        self.census.appended(needed);
        if buffer.capacity() > 1 << 20 {
            *buffer = Vec::new();
        }
        Ok(())
    }

    /// A drain may take the new file, before it is locked, for one that a crash left, and clear it
    /// away. So another is made.
    fn begin(&self, created_ms: u64) -> Result<Live, StoreError> {
        let mut tries = 1;
        loop {
            match self.create(created_ms) {
                Err(error) if tries < MOST_TRIES && error.is_race() => {
                    tries += 1;
                    // Or the whole folder was removed. If it cannot be made, the next try says so.
                    let _ = self.folder.make();
                }
                made => return made,
            }
        }
    }

    /// Made under another name and locked first: who can lock a `.seg` knows that its writer is gone.
    fn create(&self, created_ms: u64) -> Result<Live, StoreError> {
        let stem = random_stem(created_ms);
        let (making, name) = (format!("{stem}.tmp"), format!("{stem}.seg"));
        let mut header = Vec::new();
        format::put_header(&mut header);
        let made = self.folder.create(&making).and_then(|mut file| {
            // A child that lives on would keep the segment from ever coming to its end.
            file.close_in_child();
            if !file.try_lock()? {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            write_all(&*file, &header)?;
            self.folder.rename(&making, &name)?;
            Ok(file)
        });
        let file = made.map_err(|words| {
            // If this fails too, the drain clears it away.
            let _ = self.folder.remove(&making);
            self.error("create", &name, &words)
        })?;
        self.census.begun(&stem, header.len() as u64);
        let extent = Extent {
            length: header.len() as u64,
            events: 0,
        };
        Ok(Live {
            segment: Arc::new(Segment {
                stem,
                file,
                synced: Mutex::new(extent),
            }),
            extent,
        })
    }

    /// Nothing more is written to the live segment, so that the drain can remove it.
    pub fn end_live(&self) {
        if self.generation == crate::host::sys::generation() {
            self.end(&mut lock(&self.state));
        }
    }

    /// Seals the live segment: it says itself how many events it holds.
    fn end(&self, state: &mut State) {
        if let Some(live) = &mut state.live {
            state.buffer.clear();
            format::put_seal(&mut state.buffer, live.extent.events);
            match write_all(&*live.segment.file, &state.buffer) {
                Ok(()) => live.extent.length += state.buffer.len() as u64,
                // Without a seal its events are counted one by one.
                Err(_) => drop(live.segment.file.truncate(live.extent.length)),
            }
        }
        self.leave(state);
    }

    fn leave(&self, state: &mut State) {
        if let Some(live) = state.live.take() {
            self.census.ended(
                &live.segment.stem,
                live.extent.events.into(),
                live.extent.length,
            );
            if self.durability == Durability::Power {
                state.full.push(live);
            }
        }
    }

    /// One sync for all callers that wait: who comes first syncs what all have written until then.
    fn sync(&self, round: &Round) -> Result<(), StoreError> {
        let _syncing = lock(&self.syncing);
        if let Some(result) = round.get() {
            return result.clone();
        }
        let (due, folder_changed) = {
            let mut state = lock(&self.state);
            state.round = Arc::default();
            let mut due = std::mem::take(&mut state.full);
            due.extend(state.live.clone());
            (due, std::mem::take(&mut state.folder_changed))
        };
        let result = self.sync_all(&due, folder_changed);
        if let Err(error) = &result {
            self.take_back(due, error);
        }
        round.get_or_init(|| result).clone()
    }

    fn sync_all(&self, due: &[Live], folder_changed: bool) -> Result<(), StoreError> {
        for live in due {
            let synced = live.segment.file.sync_data();
            synced.map_err(|words| {
                self.error("sync", &format!("{}.seg", live.segment.stem), &words)
            })?;
        }
        if folder_changed {
            self.folder
                .sync()
                .map_err(|words| self.error("sync", "", &words))?;
        }
        for live in due {
            *lock(&live.segment.synced) = live.extent;
        }
        Ok(())
    }

    /// After a failed sync nobody knows what the disk holds. Every caller since the last good one gets
    /// the error, so their events go; the segment is left, since a reader may know its offsets.
    fn take_back(&self, due: Vec<Live>, error: &StoreError) {
        let mut state = lock(&self.state);
        self.leave(&mut state);
        state.folder_changed = true;
        let later = std::mem::take(&mut state.full);
        for live in due.iter().chain(&later) {
            let synced = *lock(&live.segment.synced);
            if live.segment.file.truncate(synced.length).is_ok() {
                let stem = &live.segment.stem;
                self.census
                    .counted(stem, synced.events.into(), synced.length);
            }
        }
        let round = std::mem::take(&mut state.round);
        let _ = round.set(Err(error.clone()));
    }

    fn error(&self, doing: &'static str, name: &str, words: &io::Error) -> StoreError {
        StoreError::new(&*self.folder, doing, name, words)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end_live();
    }
}

/// A name no other process chooses, not even one with the same pid in another container.
pub fn random_stem(created_ms: u64) -> String {
    let random = RandomState::new().build_hasher().finish();
    format::stem(created_ms, std::process::id(), random)
}
