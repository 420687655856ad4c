//! Appends events to a segment of this store's own, one after the other.

use super::accounting::Accounting;
use super::folder::{File, Folder, is_gone, is_there, write_all};
use super::format;
use super::{Durability, Options, StoreError};
use crate::host::locks::{Condvar, Mutex, lock, wait_until};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::{Arc, OnceLock};

/// More means that no drain is at work, but something that takes all files away.
const MOST_TRIES: u32 = 8;

pub struct Writer {
    folder: Arc<dyn Folder>,
    accounting: Arc<Accounting>,
    durability: Durability,
    segment_bytes: u64,
    generation: u32,
    state: Mutex<State>,
}

struct State {
    live: Option<Live>,
    newest_ms: u64,
    buffer: Vec<u8>,
    /// The sync that makes what is appended now safe against power loss.
    round: Arc<Round>,
    /// One caller syncs, for all that wait with it; who comes meanwhile waits for the next round.
    is_syncing: bool,
    /// Segments that are full and not synced to their end.
    full: Vec<Live>,
    /// Segments with events at their end that were refused: locked, so that nobody takes them for
    /// events, until they could be cut off.
    refused: Vec<Live>,
    folder_changed: bool,
}

/// Callers that wait for one sync.
#[derive(Default)]
struct Round {
    result: OnceLock<Result<(), StoreError>>,
    /// It has ended; or the one before has, so that one of them can begin it.
    changed: Condvar,
}

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
    pub fn new(folder: Arc<dyn Folder>, accounting: Arc<Accounting>, options: Options) -> Writer {
        let newest_ms = accounting.newest_ms();
        Writer {
            folder,
            accounting,
            durability: options.durability,
            // Offsets have 32 bits.
            segment_bytes: options.segment_bytes.min(1 << 30),
            generation: crate::host::sys::generation(),
            state: Mutex::new(State {
                live: None,
                newest_ms,
                buffer: Vec::new(),
                round: Arc::default(),
                is_syncing: false,
                full: Vec::new(),
                refused: Vec::new(),
                folder_changed: true,
            }),
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
        let mut state = lock(&self.state);
        let mut tries = 1;
        while !self.put(&mut state, at_ms, payload)? {
            tries += 1;
            if tries > MOST_TRIES {
                let words = io::Error::new(io::ErrorKind::NotFound, "its files are being removed");
                return Err(self.error("write to", "", &words));
            }
        }
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Power => {
                let round = Arc::clone(&state.round);
                drop(state);
                self.sync(&round)
            }
        }
    }

    /// Writes an event. False if it went into a file that was removed, where nobody will find it.
    fn put(&self, state: &mut State, at_ms: u64, payload: &[u8]) -> Result<bool, StoreError> {
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
        let file = &*live.segment.file;
        match write_all(file, buffer) {
            // Removed, on another machine.
            Err(words) if is_gone(&words) => {
                self.abandon(state);
                return Ok(false);
            }
            Err(words) => {
                let error = self.error("write to", &live.segment.name(), &words);
                // A torn frame that stays cannot be followed by others. And on a full disk, room comes from
                // segments that go once they are delivered: not from one that is still written to.
                let is_torn = file.truncate(live.extent.length).is_err();
                if is_torn || live.extent.events > 0 {
                    self.leave(state);
                }
                return Err(error);
            }
            Ok(()) => {}
        }
        // Asked after the write: what is removed from here on was there when it was acknowledged. Over NFS
        // another machine may have removed a segment whose lock was lost.
        if !is_there(file) {
            self.abandon(state);
            return Ok(false);
        }
        live.extent.length += needed;
        live.extent.events += 1;
        self.accounting.appended(needed);
        if buffer.capacity() > 1 << 20 {
            *buffer = Vec::new();
        }
        Ok(true)
    }

    /// The live segment was removed: its events are nobody's.
    fn abandon(&self, state: &mut State) {
        if let Some(live) = state.live.take() {
            self.accounting.removed(&live.segment.stem);
        }
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
        format::put_header(&mut header, self.durability == Durability::Power);
        let made = self.folder.create(&making).and_then(|file| {
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
        self.accounting.begun(&stem, header.len() as u64);
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

    /// Seals the live segment, once it is synced if it must be.
    fn end(&self, state: &mut State) {
        if let Some(live) = &mut state.live {
            let is_synced = lock(&live.segment.synced).events == live.extent.events;
            if self.durability == Durability::Process || is_synced {
                live.seal();
            }
        }
        self.leave(state);
    }

    fn leave(&self, state: &mut State) {
        if let Some(live) = state.live.take() {
            let Extent { length, events } = live.extent;
            self.accounting
                .ended(&live.segment.stem, events.into(), length);
            if self.durability == Durability::Power && lock(&live.segment.synced).events < events {
                state.full.push(live);
            }
        }
    }

    /// One sync for all callers that wait: the first of them syncs what all have written until then, with
    /// no lock held.
    fn sync(&self, round: &Round) -> Result<(), StoreError> {
        let mut state = lock(&self.state);
        loop {
            if let Some(result) = round.result.get() {
                return result.clone();
            }
            if !state.is_syncing {
                break;
            }
            state = wait_until(&round.changed, state, None);
        }
        state.is_syncing = true;
        let round = std::mem::take(&mut state.round);
        let mut due = std::mem::take(&mut state.full);
        let live_from = due.len();
        due.extend(state.live.clone());
        let folder_changed = std::mem::take(&mut state.folder_changed);
        drop(state);

        let synced = self.sync_all(&due, folder_changed);

        let mut state = lock(&self.state);
        let result = synced.and_then(|()| self.commit(&mut state, &mut due, live_from));
        if let Err(error) = &result {
            self.take_back(&mut state, due, error);
        }
        state.is_syncing = false;
        let next = Arc::clone(&state.round);
        let result = round.result.get_or_init(|| result).clone();
        drop(state);
        round.changed.notify_all();
        next.changed.notify_one();
        result
    }

    fn sync_all(&self, due: &[Live], folder_changed: bool) -> Result<(), StoreError> {
        for live in due {
            let file = &live.segment.file;
            let synced = file.sync_data().and_then(|()| match is_there(&**file) {
                true => Ok(()),
                false => Err(io::ErrorKind::NotFound.into()),
            });
            synced.map_err(|words| self.error("sync", &live.segment.name(), &words))?;
        }
        if folder_changed {
            self.folder
                .sync()
                .map_err(|words| self.error("sync", "", &words))?;
        }
        Ok(())
    }

    /// Says in the segments how much of them is synced, and may be given.
    fn commit(
        &self,
        state: &mut State,
        due: &mut [Live],
        live_from: usize,
    ) -> Result<(), StoreError> {
        // First what may fail: if it does, none of them is given.
        for live in &due[live_from..] {
            self.put_commit(state, live)?;
            *lock(&live.segment.synced) = live.extent;
        }
        for live in &mut due[..live_from] {
            *lock(&live.segment.synced) = live.extent;
            live.seal();
            let Extent { length, events } = live.extent;
            self.accounting
                .counted(&live.segment.stem, events.into(), length);
        }
        Ok(())
    }

    fn put_commit(&self, state: &mut State, synced: &Live) -> Result<(), StoreError> {
        let is_it = |live: &&mut Live| Arc::ptr_eq(&live.segment, &synced.segment);
        // Others may have appended meanwhile, and it may be full since; then it will be sealed.
        let Some(live) = state.live.as_mut().filter(is_it) else {
            return Ok(());
        };
        state.buffer.clear();
        format::put_commit(&mut state.buffer, synced.extent.length as u32);
        write_all(&*live.segment.file, &state.buffer)
            .map_err(|words| self.error("write to", &live.segment.name(), &words))?;
        live.extent.length += state.buffer.len() as u64;
        self.accounting.lengthened(state.buffer.len() as u64);
        Ok(())
    }

    /// After a failed sync nobody knows what the disk holds. Every caller since the last good one gets
    /// the error, so their events go; the segment is left, since a reader may know its offsets.
    fn take_back(&self, state: &mut State, due: Vec<Live>, error: &StoreError) {
        self.leave(state);
        state.folder_changed = true;
        state.refused.extend(due);
        let later = std::mem::take(&mut state.full);
        for live in later {
            let known = |other: &Live| Arc::ptr_eq(&other.segment, &live.segment);
            if !state.refused.iter().any(known) {
                state.refused.push(live);
            }
        }
        self.cut_refused(state);
        let round = std::mem::take(&mut state.round);
        let _ = round.result.set(Err(error.clone()));
        round.changed.notify_all();
    }

    /// What cannot be cut off now is tried again with the next failure, and at the end.
    fn cut_refused(&self, state: &mut State) {
        state.refused.retain(|live| {
            let synced = *lock(&live.segment.synced);
            let is_cut = live.segment.file.truncate(synced.length).is_ok();
            if is_cut {
                let events = synced.events.into();
                self.accounting
                    .counted(&live.segment.stem, events, synced.length);
            }
            !is_cut
        });
    }

    fn error(&self, doing: &'static str, name: &str, words: &io::Error) -> StoreError {
        StoreError::new(&*self.folder, doing, name, words)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end_live();
        if self.generation == crate::host::sys::generation() {
            self.cut_refused(&mut lock(&self.state));
        }
    }
}

impl Live {
    /// It says itself how many events it holds. Without a seal they are counted one by one.
    fn seal(&mut self) {
        let mut seal = Vec::new();
        format::put_seal(&mut seal, self.extent.events);
        match write_all(&*self.segment.file, &seal) {
            Ok(()) => self.extent.length += seal.len() as u64,
            Err(_) => drop(self.segment.file.truncate(self.extent.length)),
        }
    }
}

impl Segment {
    fn name(&self) -> String {
        format!("{}.seg", self.stem)
    }
}

/// A name no other process chooses, not even one with the same pid in another container.
pub fn random_stem(created_ms: u64) -> String {
    let random = RandomState::new().build_hasher().finish();
    format::stem(created_ms, std::process::id(), random)
}
