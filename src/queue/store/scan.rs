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
        loop {
            let offset = self.offset();
            match format::step(&self.window[self.passed..], at_end) {
                Step::Frame { kind, length } => {
                    let bytes = &self.window[self.passed..self.passed + length];
                    return Ok(Found::Frame {
                        offset,
                        kind,
                        bytes,
                    });
                }
                Step::More => at_end = self.fill()? == 0,
                // The writer may have taken back a failed write and written anew while this was being
                // read: what is live is only damaged if a second look says so too.
                Step::Damage(_) if !ended && !fresh => {
                    self.forget();
                    fresh = true;
                    at_end = false;
                }
                Step::Damage(length) => {
                    self.pass(length);
                    return Ok(Found::Damage {
                        offset,
                        length: length as u64,
                    });
                }
                Step::Rest => {
                    let length = self.window.len() - self.passed;
                    self.forget();
                    if !ended || length == 0 {
                        return Ok(Found::Nothing);
                    }
                    self.position = offset + length as u64;
                    return Ok(Found::Damage {
                        offset,
                        length: length as u64,
                    });
                }
            }
        }
    }

    pub fn pass(&mut self, length: usize) {
        self.passed += length;
    }

    /// Drops what was read ahead, to be read again.
    fn forget(&mut self) {
        self.position = self.offset();
        self.passed = 0;
        self.window.clear();
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
