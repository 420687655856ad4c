//! Reads the frames of a file one after the other, past any damage, and waits at a tail that is still written.

use super::folder::{File, read_full};
use super::format::{self, Kind, Step};
use super::sums::Sums;
use std::io;
use std::sync::Arc;

const CHUNK: usize = 64 << 10;

pub struct Scanner {
    file: Arc<dyn File>,
    /// Where in the file `window` begins.
    position: u64,
    window: Vec<u8>,
    /// How much of the window has been passed.
    passed: usize,
    sums: Sums,
    /// The window reaches to the end of a file that has ended.
    has_all: bool,
    #[cfg(test)]
    read: u64,
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
    pub fn new(file: Arc<dyn File>) -> Scanner {
        Scanner::at(file, 0)
    }

    /// Begins at a frame.
    pub fn at(file: Arc<dyn File>, position: u64) -> Scanner {
        Scanner {
            file,
            position,
            window: Vec::new(),
            passed: 0,
            sums: Sums::default(),
            has_all: false,
            #[cfg(test)]
            read: 0,
            chunk: vec![0; CHUNK].into(),
        }
    }

    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// The bytes of the frame that was found.
    pub fn front(&self, length: usize) -> &[u8] {
        &self.window[self.passed..self.passed + length]
    }

    /// Forgets what was read ahead: its writer may have taken it back.
    pub fn read_anew(&mut self) {
        self.go_back(Some(self.offset()));
    }

    pub fn offset(&self) -> u64 {
        self.position + self.passed as u64
    }

    /// What comes next. A frame stays next until `pass`; damage is passed at once. `ended` if nobody
    /// writes to the file any more.
    pub fn peek(&mut self, ended: bool) -> io::Result<Found<'_>> {
        let mut at_end = self.has_all;
        let mut fresh = false;
        // Bytes that do not check are dropped as they are found: they may be many.
        let mut damaged_from = None;
        loop {
            let offset = self.offset();
            match format::step_in(&self.window, self.passed, at_end, &mut self.sums) {
                Step::More => match self.fill() {
                    Ok(read) => {
                        at_end = read == 0;
                        self.has_all = at_end && ended;
                    }
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

    /// Bytes read and summed, which is what a file costs.
    #[cfg(test)]
    pub fn work(&self) -> u64 {
        self.read + self.sums.work()
    }

    /// Drops what was read ahead, to read again from there.
    fn go_back(&mut self, to: Option<u64>) {
        if let Some(to) = to {
            self.position = to;
            self.passed = 0;
            self.window.clear();
            self.sums.clear();
            self.has_all = false;
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        // Only a large part of it, so that each byte is moved once or twice, however small the steps are.
        if self.passed > self.window.len() / 2 {
            let dropped = Sums::droppable(self.passed);
            self.window.drain(..dropped);
            self.sums.dropped(dropped);
            self.position += dropped as u64;
            self.passed -= dropped;
        }
        let end = self.position + self.window.len() as u64;
        let read = read_full(&*self.file, &mut self.chunk, end)?;
        #[cfg(test)]
        {
            self.read += read as u64;
        }
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
