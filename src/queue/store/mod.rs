//! The queue's store: append-only segments of checksummed records, kept through crashes and restarts.
//!
//! Every process appends to segments of its own, so that no append waits for another process; one
//! process at a time drains them all. `format.rs` shows the whole of what is on disk. It knows nothing of events but
//! their bytes, and uses `host` only. The way in: [`Store`].

mod accounting;
mod acks;
mod damage;
mod dead_letters;
mod drain;
mod error;
mod folder;
mod format;
mod lock;
mod memory;
mod options;
mod reader;
mod scan;
mod segment;
mod segments;
mod sums;
#[cfg(test)]
mod tests;

pub use damage::Damage;
pub use drain::{Drain, Hold};
pub use error::StoreError;
pub use folder::{File, Folder, OsFolder};
pub use format::MAX_PAYLOAD;
pub use lock::Note;
pub use memory::MemoryFolder;
pub use options::{Durability, Options, Usage};
pub use reader::{Entry, Merge, Position};

use accounting::Accounting;
use folder::{absent_is_fine, in_use_is_fine};
use segment::Writer;
use std::io;
use std::sync::Arc;

pub struct Store {
    folder: Arc<dyn Folder>,
    accounting: Arc<Accounting>,
    writer: Writer,
    options: Options,
    held_segments: bool,
}

impl Store {
    /// Fails only if the folder cannot be written, read or locked, or is of a later version; never for
    /// damage. Reads no more than names, sizes, headers, acks and the segments that were not sealed.
    pub fn open(folder: Box<dyn Folder>, options: Options) -> Result<Store, StoreError> {
        let folder: Arc<dyn Folder> = Arc::from(folder);
        let probe = format!("{}.tmp", segment::random_stem(0));
        let error = |doing, name, words: &_| StoreError::new(&*folder, doing, name, words);
        let file = folder
            .create(&probe)
            .map_err(|words| error("write to", "", &words))?;
        let locked = file.try_lock();
        drop(file);
        // The drain of another process may have cleared it away; a drain clears away what stays.
        in_use_is_fine(absent_is_fine(folder.remove(&probe)))
            .map_err(|words| error("write to", "", &words))?;
        locked.map_err(|words| error("lock files in", "", &words))?;
        // Who drains tries again.
        in_use_is_fine(folder.append(lock::NAME).map(drop))
            .map_err(|words| error("open", lock::NAME, &words))?;
        let later =
            accounting::of_later_version(&*folder).map_err(|words| error("read", "", &words))?;
        if let Some(name) = later {
            let words = io::Error::new(
                io::ErrorKind::Unsupported,
                "it was written by a later version of this library, and is left alone; use that version, or \
                 another folder",
            );
            return Err(error("read", &name, &words));
        }

        let accounting = Arc::new(Accounting::default());
        accounting
            .recount(&*folder)
            .map_err(|words| error("read", "", &words))?;
        let held_segments = accounting.has_segments();
        let writer = Writer::new(Arc::clone(&folder), Arc::clone(&accounting), options);
        Ok(Store {
            folder,
            accounting,
            writer,
            options,
            held_segments,
        })
    }

    /// Keeps an event. It is durable, as chosen, when this returns; after an error it is not there.
    pub fn append(&self, at_ms: u64, payload: &[u8]) -> Result<(), StoreError> {
        self.writer.append(at_ms, payload)
    }

    /// Ends the segment that is written here, if all its events are settled: it takes room for nothing.
    pub fn end_settled(&self) {
        if self.accounting.is_live_settled() {
            self.writer.end_live();
        }
    }

    /// The folder was removed under us: what is appended from now on goes to a new one.
    pub fn folder_was_removed(&self) {
        self.writer.end_live();
        // If it cannot be made, the next append says so.
        let _ = self.folder.make();
    }

    /// Costs no system call; other processes' events are those of the last `recount`.
    pub fn usage(&self) -> Usage {
        self.accounting.usage()
    }

    /// Looks at the folder again, for what other processes appended and drained.
    pub fn recount(&self) -> Result<Usage, StoreError> {
        let recounted = self.accounting.recount(&*self.folder);
        recounted.map_err(|words| StoreError::new(&*self.folder, "read", "", &words))?;
        Ok(self.usage())
    }

    /// Whether there was something to drain when this was opened: undelivered events, or damage, which
    /// only reading tells apart.
    pub fn held_segments(&self) -> bool {
        self.held_segments
    }

    /// Becomes the one that drains the folder; `None` if another is, in this process or elsewhere.
    pub fn try_drain(&self) -> Result<Option<Drain>, StoreError> {
        Drain::begin(&self.folder, &self.accounting, self.options)
    }
}
