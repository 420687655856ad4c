//! What became of a segment's events: the state, and the file that keeps it.

use super::folder::{File, Folder, write_all};
use super::format::{self, Frame, Kind};
use super::scan::{Found, Scanner};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;

/// By offsets in the segment.
#[derive(Default)]
pub struct Acks {
    pub settled: BTreeSet<u32>,
    attempted: HashSet<u32>,
    merges: BTreeMap<u32, Merged>,
    leader_of: HashMap<u32, u32>,
}

pub struct Merged {
    pub value: f64,
    pub members: Vec<u32>,
}

impl Acks {
    /// Everything that is settled with this one: itself, and its members.
    pub fn settle(&mut self, offset: u32) -> Vec<u32> {
        let mut settled = vec![offset];
        settled.extend(self.dissolve(offset));
        for offset in &settled {
            self.attempted.remove(offset);
        }
        settled
    }

    pub fn attempt(&mut self, offset: u32) {
        self.attempted.insert(offset);
    }

    pub fn attempted(&self, offset: u32) -> bool {
        self.attempted.contains(&offset)
    }

    /// A member that led others brings them along.
    pub fn merge(&mut self, leader: u32, members: &[u32], value: f64) {
        let mut all = self.dissolve(leader);
        for member in members {
            all.push(*member);
            all.extend(self.dissolve(*member));
        }
        for member in &all {
            self.leader_of.insert(*member, leader);
        }
        self.merges.insert(
            leader,
            Merged {
                value,
                members: all,
            },
        );
    }

    pub fn merged(&self, leader: u32) -> Option<&Merged> {
        self.merges.get(&leader)
    }

    pub fn leader_of(&self, member: u32) -> Option<u32> {
        self.leader_of.get(&member).copied()
    }

    /// The members of a leader, which has none from here on.
    pub fn dissolve(&mut self, leader: u32) -> Vec<u32> {
        let members = self
            .merges
            .remove(&leader)
            .map_or_else(Vec::new, |merged| merged.members);
        for member in &members {
            self.leader_of.remove(member);
        }
        members
    }

    fn apply(&mut self, frame: Frame<'_>) {
        match frame {
            Frame::Settle(offsets) => {
                for offset in offsets {
                    let settled = self.settle(offset);
                    self.settled.extend(settled);
                }
            }
            Frame::Attempt(offsets) => self.attempted.extend(offsets),
            Frame::Merge {
                value,
                leader,
                members,
            } => self.merge(leader, &members, value),
            _ => {}
        }
    }
}

/// An ack file as it was found.
#[derive(Default)]
pub struct Loaded {
    pub acks: Acks,
    pub length: u64,
    /// Offset and length.
    pub damage: Vec<(u64, u64)>,
    /// Of another version: nothing of it was used.
    pub unknown: bool,
}

/// Reads an ack file; an absent one says nothing.
pub fn load(folder: &dyn Folder, name: &str) -> io::Result<Loaded> {
    let mut loaded = Loaded::default();
    let file = match folder.open(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(loaded),
        file => file?,
    };
    let mut scanner = Scanner::new(file);
    loop {
        let length = match scanner.peek(true)? {
            Found::Nothing => break,
            Found::Damage { offset, length } => {
                loaded.damage.push((offset, length));
                continue;
            }
            Found::Frame { kind, bytes, .. } => match format::read(bytes, kind) {
                Frame::Header { version } if version != format::VERSION => {
                    return Ok(Loaded {
                        unknown: true,
                        ..Loaded::default()
                    });
                }
                frame => {
                    loaded.acks.apply(frame);
                    bytes.len()
                }
            },
        };
        scanner.pass(length);
    }
    loaded.length = scanner.offset();
    Ok(loaded)
}

/// Appends to an ack file. What could not be written is kept and goes with the next write.
pub struct Log {
    name: String,
    file: Option<Box<dyn File>>,
    /// Where the file ends, and the next write begins.
    length: u64,
    pending: Vec<u8>,
    /// Whether the file's name is safe against power loss.
    named: bool,
}

impl Log {
    pub fn new(name: String, length: u64) -> Log {
        Log {
            name,
            file: None,
            length,
            pending: Vec::new(),
            named: length > 0,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn settle(&mut self, folder: &dyn Folder, offsets: &[u32]) -> io::Result<()> {
        format::put_offsets(&mut self.pending, Kind::Settle, offsets);
        self.write(folder)
    }

    pub fn attempt(&mut self, folder: &dyn Folder, offsets: &[u32]) -> io::Result<()> {
        format::put_offsets(&mut self.pending, Kind::Attempt, offsets);
        self.write(folder)
    }

    /// All or nothing: a merge that was not written has not happened.
    pub fn merge(
        &mut self,
        folder: &dyn Folder,
        value: f64,
        leader: u32,
        members: &[u32],
    ) -> io::Result<()> {
        let before = self.pending.len();
        format::put_merge(&mut self.pending, value, leader, members);
        self.write(folder)
            .inspect_err(|_| self.pending.truncate(before))
    }

    /// Makes all that was written safe against power loss.
    pub fn sync(&mut self, folder: &dyn Folder) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.sync_data()?;
        }
        if !self.named {
            folder.sync()?;
            self.named = true;
        }
        Ok(())
    }

    /// Writes what could not be written before.
    pub fn flush(&mut self, folder: &dyn Folder) -> io::Result<()> {
        if self.pending.is_empty() {
            Ok(())
        } else {
            self.write(folder)
        }
    }

    fn write(&mut self, folder: &dyn Folder) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(folder.append(&self.name)?),
        };
        let mut first = Vec::new();
        let bytes = if self.length == 0 {
            format::put_header(&mut first);
            first.extend_from_slice(&self.pending);
            &first
        } else {
            &self.pending
        };
        match write_all(&**file, bytes) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                self.pending.clear();
                Ok(())
            }
            Err(error) => {
                // If this fails too, a torn frame stays; the reader finds the next one behind it.
                if file.truncate(self.length).is_err() {
                    self.length = file.size().unwrap_or(self.length);
                }
                Err(error)
            }
        }
    }
}
