//! Events the service refused, as JSON lines for people to read: two files, each bounded.

use super::folder::{File, Folder, write_all};
use std::io;

pub const NAME: &str = "dead.jsonl";
const BEFORE: &str = "dead.1.jsonl";
const MOST_BYTES: u64 = 1 << 20;

#[derive(Default)]
pub struct DeadLetters {
    /// And its length.
    file: Option<(Box<dyn File>, u64)>,
}

impl DeadLetters {
    pub fn append(&mut self, folder: &dyn Folder, json_line: &str) -> io::Result<()> {
        let line = format!("{}\n", json_line.replace('\n', " "));
        let added = line.len() as u64;
        let (mut file, mut length) = match self.file.take() {
            Some(open) => open,
            None => {
                let file = folder.append(NAME)?;
                let length = file.size()?;
                (file, length)
            }
        };
        if length > 0 && length + added > MOST_BYTES {
            folder.rename(NAME, BEFORE)?;
            (file, length) = (folder.append(NAME)?, 0);
        }
        let written = write_all(&*file, line.as_bytes());
        match written {
            Ok(()) => length += added,
            // Half a line would spoil the next one too.
            Err(_) => drop(file.truncate(length)),
        }
        self.file = Some((file, length));
        written
    }
}
