//! What did not check: copied aside, within bounds, and reported once.

use super::folder::{Folder, read_full, write_all};
use std::io;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub file: String,
    pub offset: u64,
    pub length: u64,
    pub reason: &'static str,
}

impl Damage {
    pub(super) fn of_file(file: &str, reason: &'static str) -> Damage {
        Damage {
            file: file.to_owned(),
            offset: 0,
            length: 0,
            reason,
        }
    }
}

/// So many places are told apart in a file. The rest is one, whose length is the sum of theirs.
pub const MOST_REPORTS: usize = 64;

const FOLDER: &str = "damaged";
pub const MOST_FILES: usize = 64;
const MOST_BYTES: u64 = 64 << 10;

/// Copies the bytes to `damaged/<file>.<offset>`, unless they are there already.
pub fn copy_aside(folder: &dyn Folder, damage: &Damage) -> io::Result<()> {
    if damage.length == 0 {
        return Ok(());
    }
    let aside = folder.inside(FOLDER)?;
    if aside.list()?.len() >= MOST_FILES {
        return Ok(());
    }
    let mut bytes = vec![0; damage.length.min(MOST_BYTES) as usize];
    let source = folder.open(&damage.file)?;
    let read = read_full(&*source, &mut bytes, damage.offset)?;
    let copy = aside.create(&format!("{}.{}", damage.file, damage.offset))?;
    write_all(&*copy, &bytes[..read])
}
