//! Why the store could not do something.

use std::fmt;
use std::io;

use super::folder::Folder;

/// A system call that failed, on which file, in the operating system's words.
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: io::ErrorKind,
    message: String,
}

impl StoreError {
    pub(super) fn new(
        folder: &dyn Folder,
        doing: &str,
        name: &str,
        words: &io::Error,
    ) -> StoreError {
        let path = if name.is_empty() {
            folder.path().to_owned()
        } else {
            folder.path().join(name)
        };
        let message = format!("cannot {doing} {}: {words}", path.display());
        StoreError {
            kind: words.kind(),
            message,
        }
    }

    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }

    /// Somebody else had the file, or took it away.
    pub(super) fn is_race(&self) -> bool {
        matches!(
            self.kind,
            io::ErrorKind::ResourceBusy | io::ErrorKind::NotFound
        )
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {}
