//! The right to drain a folder: a lock on a file of it, which counts only while the file's name leads to it.

use super::folder::{File, Folder, is_gone};
use std::io;
use std::sync::Arc;

pub const NAME: &str = "drain.lock";
/// More means that something removes the file again and again.
const MOST_TRIES: u32 = 8;

pub struct DrainLock {
    folder: Arc<dyn Folder>,
    /// Open, so locked.
    file: Box<dyn File>,
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
            let lock = DrainLock {
                folder: Arc::clone(folder),
                file,
            };
            // Removed since it was opened, it is locked for nobody.
            if lock.is_valid() {
                return Ok(Some(lock));
            }
        }
        Ok(None)
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
