//! Reads the frames of a file one after the other, past any damage, and waits at a tail that is still written.

use super::folder::{File, read_full};
use super::format::{self, Kind, Step};
use std::io;

const CHUNK: usize = 64 << 10;

pub struct Scanner {
    file: Box<dyn File>,
    /// Where in the file `window` begins.
    position: u64,
    window: Vec<u8>,
    /// How much of the window has been passed.
    passed: usize,
    chunk: Box<[u8]>,
}

pub enum Found<'a> {
    Frame {
        offset: u64,
        kind: Kind,
        bytes: &'a [u8],
    },
    Damage {
        offset: u64,
        length: u64,
    },
    /// Nothing more for now; or, if the file has ended, for good.
    Nothing,
}

impl Scanner {
    pub fn new(file: Box<dyn File>) -> Scanner {
        Scanner {
            file,
            position: 0,
            window: Vec::new(),
            passed: 0,
            chunk: vec![0; CHUNK].into(),
        }
    }

    pub fn file(&self) -> &dyn File {
        &*self.file
    }

    pub fn offset(&self) -> u64 {
        self.position + self.passed as u64
    }

    /// What comes next. A frame stays next until `pass`; damage is passed at once. `ended` if nobody
    /// writes to the file any more.
    pub fn peek(&mut self, ended: bool) -> io::Result<Found<'_>> {
        let mut at_end = false;
        let mut fresh = false;
        // Bytes that do not check are dropped as they are found: they may be many.
        let mut damaged_from = None;
        loop {
            let offset = self.offset();
            match format::step(&self.window[self.passed..], at_end) {
                Step::More => match self.fill() {
                    Ok(read) => at_end = read == 0,
                    Err(error) => {
                        self.go_back(damaged_from);
                        return Err(error);
                    }
                },
                Step::Skip(length) => {
                    damaged_from.get_or_insert(offset);
                    self.pass(length);
                }
                Step::Frame { kind, length } => match damaged_from {
                    None => {
                        let bytes = &self.window[self.passed..self.passed + length];
                        return Ok(Found::Frame {
                            offset,
                            kind,
                            bytes,
                        });
                    }
                    // The writer may have taken back a failed write and written anew while this was
                    // being read: what is live is only damaged if a second look says so too.
                    Some(_) if !ended && !fresh => {
                        self.go_back(damaged_from.take());
                        fresh = true;
                        at_end = false;
                    }
                    Some(from) => return Ok(damage(from, offset)),
                },
                Step::End => match damaged_from {
                    Some(from) if ended => return Ok(damage(from, offset)),
                    // To be read again: the tail may be a frame on its way.
                    _ => {
                        self.go_back(damaged_from.or(Some(offset)));
                        return Ok(Found::Nothing);
                    }
                },
            }
        }
    }

    pub fn pass(&mut self, length: usize) {
        self.passed += length;
    }

    /// Drops what was read ahead, to read again from there.
    fn go_back(&mut self, to: Option<u64>) {
        if let Some(to) = to {
            self.position = to;
            self.passed = 0;
            self.window.clear();
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        self.window.drain(..self.passed);
        self.position += self.passed as u64;
        self.passed = 0;
        let end = self.position + self.window.len() as u64;
        let read = read_full(&*self.file, &mut self.chunk, end)?;
        self.window.extend_from_slice(&self.chunk[..read]);
        Ok(read)
    }
}

fn damage<'a>(from: u64, to: u64) -> Found<'a> {
    Found::Damage {
        offset: from,
        length: to - from,
    }
}
