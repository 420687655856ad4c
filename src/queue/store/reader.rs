//! One segment as the drain reads it: its events in order, each with what became of it.

use super::acks::{self, Acks, Log};
use super::damage::Damage;
use super::folder::{File, Folder, read_full};
use super::format::{self, Frame, Kind};
use super::scan::{Found, Scanner};
use std::collections::BTreeSet;
use std::io;

/// Where an event is. Places compare in the order in which events are given. A place is known only to
/// the drain that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Unique in this process.
    pub(super) segment: u32,
    pub(super) offset: u32,
}

impl Place {
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
    pub place: Place,
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
    pub members: Vec<Place>,
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
    /// Of another version, and nobody writes to it any more.
    Unknown,
}

pub struct Reader {
    number: u32,
    name: String,
    /// `None` when all has been read.
    scanner: Option<Scanner>,
    /// Nobody writes to it any more.
    ended: bool,
    /// Sound frames and events read so far.
    frames: u64,
    events: u64,
    /// Found since it was last taken.
    pub damage: Vec<Damage>,
    pub acks: Acks,
    pub log: Log,
    /// Read and not settled: given, or members of one that was given.
    unsettled: BTreeSet<u32>,
    settled: u64,
}

impl Reader {
    /// `without_acks` gives up on an ack file that cannot be read: its events are sent again with
    /// their own keys, which count once, rather than never.
    pub fn open(
        folder: &dyn Folder,
        number: u32,
        stem: &str,
        without_acks: bool,
    ) -> io::Result<Reader> {
        let (name, ack) = (format!("{stem}.seg"), format!("{stem}.ack"));
        let scanner = Scanner::new(folder.open(&name)?);
        let mut damage = Vec::new();
        let loaded = match acks::load(folder, &ack) {
            Err(_) if without_acks => {
                damage.push(Damage::of_file(&ack, "it cannot be read"));
                acks::Loaded::default()
            }
            loaded => loaded?,
        };
        if loaded.unknown {
            let aside = format!("{ack}.unknown");
            folder.rename(&ack, &aside)?;
            damage.push(Damage::of_file(&aside, "another version of the format"));
        }
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
            frames: 0,
            events: 0,
            damage,
            settled: loaded.acks.settled.len() as u64,
            acks: loaded.acks,
            log: Log::new(ack, loaded.length),
            unsettled: BTreeSet::new(),
        })
    }

    /// Fills the batch with what comes next.
    pub fn read(&mut self, batch: &mut Batch) -> io::Result<Reading> {
        loop {
            let Some(scanner) = &mut self.scanner else {
                return Ok(Reading::Finished);
            };
            let (offset, kind, bytes) = match scanner.peek(self.ended)? {
                Found::Frame {
                    offset,
                    kind,
                    bytes,
                } => (offset, kind, bytes),
                Found::Damage { offset, length } => {
                    self.report(offset, length, "bytes that do not check");
                    continue;
                }
                Found::Nothing if self.ended => return Ok(self.finish()),
                Found::Nothing => {
                    // Asked before the last look at the end, which so misses nothing.
                    self.ended = scanner.file().try_lock()?;
                    if self.ended {
                        continue;
                    }
                    return Ok(Reading::CaughtUp);
                }
            };
            match format::read(bytes, kind) {
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
                        }
                        batch.bytes += payload.len();
                        let place = Place {
                            segment: self.number,
                            offset,
                        };
                        batch.entries.push(entry(&self.acks, place, at_ms, payload));
                        self.unsettled.insert(offset);
                    } else {
                        return Ok(Reading::BatchFull);
                    }
                    self.events += 1;
                }
                Frame::Seal { .. } => self.ended = true,
                Frame::Header { version } if version != format::VERSION => {
                    return Ok(if self.ended || scanner.file().try_lock()? {
                        Reading::Unknown
                    } else {
                        Reading::CaughtUp
                    });
                }
                _ => {}
            }
            self.frames += 1;
            let length = bytes.len();
            scanner.pass(length);
        }
    }

    /// An unsettled event once more.
    pub fn reread(&self, folder: &dyn Folder, place: Place) -> io::Result<Entry> {
        if !self.unsettled.contains(&place.offset) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "no unsettled event is there",
            ));
        }
        let frame = match &self.scanner {
            Some(scanner) => read_frame(scanner.file(), place.offset)?,
            None => read_frame(&*folder.open(&self.name)?, place.offset)?,
        };
        match format::read(&frame, Kind::Event) {
            Frame::Event { at_ms, payload } => Ok(entry(&self.acks, place, at_ms, payload)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Unsettled and standing for itself; members follow their leader.
    pub fn is_open(&self, offset: u32) -> bool {
        self.unsettled.contains(&offset) && self.acks.leader_of(offset).is_none()
    }

    /// And its members.
    pub fn settle(&mut self, offset: u32) {
        for offset in self.acks.settle(offset) {
            if self.unsettled.remove(&offset) {
                self.settled += 1;
            } else if self.scanner.is_some() && self.acks.settled.insert(offset) {
                // A member the reader has not come to: passed over when it does.
                self.settled += 1;
            }
        }
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
        // What an ack names and no sound event answers to.
        self.acks.settled.clear();
        self.settled = self.events - self.unsettled.len() as u64;
        Reading::Finished
    }

    fn report(&mut self, offset: u64, length: u64, reason: &'static str) {
        let file = self.name.clone();
        self.damage.push(Damage {
            file,
            offset,
            length,
            reason,
        });
    }
}

fn entry(acks: &Acks, place: Place, at_ms: u64, payload: &[u8]) -> Entry {
    let at = |offset: &u32| Place {
        offset: *offset,
        ..place
    };
    Entry {
        place,
        at_ms,
        payload: payload.to_vec(),
        attempted: acks.attempted(place.offset),
        merged: acks.merged(place.offset).map(|merged| Merge {
            value: merged.value,
            members: merged.members.iter().map(at).collect(),
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
