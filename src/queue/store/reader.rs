//! One segment as the drain reads it: its events in order, each with what became of it.

use super::acks::{self, Acks, Log};
use super::damage::{Damage, MOST_REPORTS};
use super::folder::{File, Folder, is_no_file, read_full};
use super::format::{self, Frame, Kind};
use super::scan::{Found, Scanner};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// Where an event is. Positions compare in the order in which events are given. One is known only to
/// the drain that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Unique in this process.
    pub(super) segment: u32,
    pub(super) offset: u32,
}

impl Position {
    pub fn new(segment: u32, offset: u32) -> Self {
        Self { segment, offset }
    }

    /// Whether both are in one segment, as merged events must be.
    pub fn same_segment(self, other: Self) -> bool {
        self.segment == other.segment
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub position: Position,
    pub at_ms: u64,
    pub payload: Vec<u8>,
    /// Its first attempt may have been sent.
    pub attempted: bool,
    /// It stands for others too.
    pub merged: Option<Merge>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// Of the leader and all its members.
    pub value: f64,
    pub members: Vec<Position>,
}

/// Entries on their way to the caller, and how many more there may be.
pub struct Batch {
    pub entries: Vec<Entry>,
    pub bytes: usize,
    pub most: usize,
    pub most_bytes: usize,
}

impl Batch {
    fn takes(&self, bytes: usize) -> bool {
        self.entries.is_empty()
            || (self.entries.len() < self.most && self.bytes + bytes <= self.most_bytes)
    }
}

/// How far the reading came.
pub enum Reading {
    BatchFull,
    CaughtUp,
    Finished,
    /// Of a later version: left alone.
    Unknown,
}

pub struct Reader {
    number: u32,
    name: String,
    /// `None` when all has been read.
    scanner: Option<Scanner>,
    /// Nobody writes to it any more.
    ended: bool,
    /// Only what is covered by a commit is given, as long as it is written to.
    commits: bool,
    committed: u64,
    /// Reads ahead, for commits.
    ahead: Option<Scanner>,
    /// Its acks are of a later version, and it is left alone too.
    unknown: bool,
    held_merges: bool,
    /// Sound frames and events read so far.
    frames: u64,
    events: u64,
    /// Found since it was last taken.
    pub damage: Vec<Damage>,
    reports: usize,
    pub acks: Acks,
    pub log: Log,
    /// Read and not settled: given, or members of one that was given.
    unsettled: BTreeSet<u32>,
    settled: u64,
}

impl Reader {
    /// An ack file that cannot be read is an error, since it may say that members of a merge were counted
    /// with their leader; one that is no file never said anything.
    pub fn open(folder: &dyn Folder, number: u32, stem: &str) -> io::Result<Reader> {
        let (name, ack) = (format!("{stem}.seg"), format!("{stem}.ack"));
        let scanner = Scanner::new(Arc::from(folder.open(&name)?));
        let mut damage = Vec::new();
        let loaded = match acks::load(folder, &ack) {
            Err(error) if is_no_file(&error) => {
                let aside = format!("{ack}.unknown");
                folder.rename(&ack, &aside)?;
                damage.push(Damage::of_file(&aside, "it is no file"));
                acks::Loaded::default()
            }
            loaded => loaded?,
        };
        damage.extend(loaded.damage.iter().map(|(offset, length)| Damage {
            file: ack.clone(),
            offset: *offset,
            length: *length,
            reason: "acknowledgements that do not check",
        }));
        Ok(Reader {
            number,
            name,
            scanner: Some(scanner),
            ended: false,
            commits: false,
            committed: 0,
            ahead: None,
            unknown: loaded.unknown,
            held_merges: loaded.held_merges,
            frames: 0,
            events: 0,
            damage,
            reports: 0,
            settled: loaded.acks.settled.len() as u64,
            acks: loaded.acks,
            log: Log::new(ack, loaded.length, loaded.sound),
            unsettled: BTreeSet::new(),
        })
    }

    /// Fills the batch with what comes next.
    pub fn read(&mut self, batch: &mut Batch) -> io::Result<Reading> {
        if self.unknown {
            return Ok(Reading::Unknown);
        }
        if self.frames == 0 && !self.ended {
            // What nobody writes to is looked at once, however damaged it is.
            self.has_ended()?;
        }
        loop {
            let Some(scanner) = &mut self.scanner else {
                return Ok(Reading::Finished);
            };
            let (offset, kind, length) = match scanner.peek(self.ended)? {
                Found::Frame {
                    offset,
                    kind,
                    bytes,
                } => (offset, kind, bytes.len()),
                Found::Damage { offset, length } => {
                    self.report(offset, length, "bytes that do not check");
                    continue;
                }
                Found::Nothing if self.ended => return Ok(self.finish()),
                Found::Nothing => {
                    if self.has_ended()? {
                        continue;
                    }
                    return Ok(Reading::CaughtUp);
                }
            };
            if kind == Kind::Event && !self.is_committed(offset + length as u64)? {
                if self.has_ended()? {
                    continue;
                }
                return Ok(Reading::CaughtUp);
            }
            let Some(scanner) = &self.scanner else {
                return Ok(Reading::Finished);
            };
            match format::read(scanner.front(length), kind) {
                Frame::Event { at_ms, payload } => {
                    let Ok(offset) = u32::try_from(offset) else {
                        self.report(offset, 0, "longer than a segment can be");
                        return Ok(self.finish());
                    };
                    let leader = self.acks.leader_of(offset);
                    if self.acks.settled.remove(&offset) {
                        // By a drain before this one.
                    } else if leader.is_some_and(|leader| self.unsettled.contains(&leader)) {
                        self.unsettled.insert(offset);
                    } else if batch.takes(payload.len()) {
                        if let Some(leader) = leader {
                            // The leader is damaged; its members are not lost with it.
                            self.acks.dissolve(leader);
                            self.log.dissolve_later(leader);
                        }
                        batch.bytes += payload.len();
                        let position = Position {
                            segment: self.number,
                            offset,
                        };
                        batch
                            .entries
                            .push(entry(&self.acks, position, at_ms, payload));
                        self.unsettled.insert(offset);
                    } else {
                        return Ok(Reading::BatchFull);
                    }
                    self.events += 1;
                }
                Frame::Seal { .. } => self.ended = true,
                Frame::Header { version, .. } if version != format::VERSION => {
                    return Ok(Reading::Unknown);
                }
                Frame::Header { commits, .. } => {
                    if commits && self.ended {
                        scanner.file().sync_data()?;
                    }
                    self.commits |= commits;
                }
                _ => {}
            }
            self.frames += 1;
            if let Some(scanner) = &mut self.scanner {
                scanner.pass(length);
            }
        }
    }

    /// Whether its writer is gone, asked before the last look at the end, which so misses nothing. What a
    /// dead writer did not commit, nobody was told of; it is synced, and given.
    fn has_ended(&mut self) -> io::Result<bool> {
        let Some(scanner) = &mut self.scanner else {
            return Ok(true);
        };
        if !scanner.file().try_lock()? {
            return Ok(false);
        }
        if self.commits {
            scanner.file().sync_data()?;
            scanner.read_anew();
        }
        self.ahead = None;
        self.ended = true;
        Ok(true)
    }

    /// Whether what lies before this offset is synced, or need not be.
    fn is_committed(&mut self, end: u64) -> io::Result<bool> {
        if !self.commits || self.ended || end <= self.committed {
            return Ok(true);
        }
        let Some(scanner) = &self.scanner else {
            return Ok(true);
        };
        let ahead = self
            .ahead
            .get_or_insert_with(|| Scanner::at(Arc::clone(scanner.file()), scanner.offset()));
        loop {
            let length = match ahead.peek(false)? {
                Found::Nothing => return Ok(end <= self.committed),
                Found::Damage { .. } => continue,
                Found::Frame {
                    offset,
                    kind,
                    bytes,
                } => {
                    self.committed = match format::read(bytes, kind) {
                        Frame::Commit { length } => {
                            self.committed.max(u64::from(length).min(offset))
                        }
                        Frame::Seal { .. } => offset,
                        _ => self.committed,
                    };
                    bytes.len()
                }
            };
            ahead.pass(length);
        }
    }

    /// An unsettled event once more; also a member of one that lies behind what was read so far.
    pub fn reread(&self, folder: &dyn Folder, position: Position) -> io::Result<Entry> {
        let leader = self.acks.leader_of(position.offset);
        let of_leader = leader.is_some_and(|leader| self.unsettled.contains(&leader));
        if !of_leader && !self.unsettled.contains(&position.offset) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "no unsettled event is there",
            ));
        }
        let frame = match &self.scanner {
            Some(scanner) => read_frame(&**scanner.file(), position.offset)?,
            None => read_frame(&*folder.open(&self.name)?, position.offset)?,
        };
        match format::read(&frame, Kind::Event) {
            Frame::Event { at_ms, payload } => Ok(entry(&self.acks, position, at_ms, payload)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Makes its events safe against power loss, where their writer did not.
    pub fn sync(&self, folder: &dyn Folder) -> io::Result<()> {
        match &self.scanner {
            _ if self.commits => Ok(()),
            Some(scanner) => scanner.file().sync_data(),
            None => folder.open(&self.name)?.sync_data(),
        }
    }

    /// Unsettled and standing for itself; members follow their leader.
    pub fn is_open(&self, offset: u32) -> bool {
        self.unsettled.contains(&offset) && self.acks.leader_of(offset).is_none()
    }

    /// And its members; all that are settled so.
    pub fn settle(&mut self, offset: u32) -> Vec<u32> {
        let settled = self.acks.settle(offset);
        for offset in &settled {
            if self.unsettled.remove(offset) {
                self.settled += 1;
            } else if self.scanner.is_some() && self.acks.settled.insert(*offset) {
                // A member the reader has not come to: passed over when it does.
                self.settled += 1;
            }
        }
        settled
    }

    pub fn note_merge(&mut self) {
        self.held_merges = true;
    }

    /// Events in it were sent as one.
    pub fn held_merges(&self) -> bool {
        self.held_merges
    }

    /// How much it remembers, beside what is unsettled.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.acks.size() + self.acks.settled.len() + self.damage.len()
    }

    /// The members of a leader that have been read; those that have not are given when they are.
    pub fn members_read(&self, leader: u32) -> Vec<u32> {
        let (_, mut members) = self.acks.merged(leader).unwrap_or_default();
        members.retain(|member| self.unsettled.contains(member));
        members
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// Events that are there for sure: read, or settled before.
    pub fn seen(&self) -> u64 {
        self.events + self.acks.settled.len() as u64
    }

    /// Not one frame was sound: not a segment.
    pub fn is_foreign(&self) -> bool {
        self.frames == 0
    }

    /// All has been read and settled.
    pub fn is_done(&self) -> bool {
        self.scanner.is_none() && self.unsettled.is_empty()
    }

    /// All has been read, and nobody writes to it.
    fn finish(&mut self) -> Reading {
        self.scanner = None;
        self.ahead = None;
        // What an ack names and no sound event answers to.
        self.acks.settled.clear();
        self.settled = self.events - self.unsettled.len() as u64;
        Reading::Finished
    }

    fn report(&mut self, offset: u64, length: u64, reason: &'static str) {
        self.reports += 1;
        if self.reports > MOST_REPORTS
            && let Some(last) = self.damage.last_mut()
        {
            last.length += length;
            return;
        }
        let file = self.name.clone();
        self.damage.push(Damage {
            file,
            offset,
            length,
            reason,
        });
    }
}

fn entry(acks: &Acks, position: Position, at_ms: u64, payload: &[u8]) -> Entry {
    let at = |offset: &u32| Position {
        offset: *offset,
        ..position
    };
    Entry {
        position,
        at_ms,
        payload: payload.to_vec(),
        attempted: acks.attempted(position.offset),
        merged: acks.merged(position.offset).map(|(value, members)| Merge {
            value,
            members: members.iter().map(at).collect(),
        }),
    }
}

fn read_frame(file: &dyn File, offset: u32) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; format::PREFIX];
    read_full(file, &mut frame, offset.into())?;
    let length = format::frame_length(&frame).ok_or(io::ErrorKind::InvalidData)?;
    frame.resize(length, 0);
    let read = read_full(file, &mut frame, offset.into())?;
    match format::step(&frame[..read], true) {
        format::Step::Frame {
            kind: Kind::Event, ..
        } => Ok(frame),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
