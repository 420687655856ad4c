//! What is imported: a file or standard input, unpacked, as bytes that can be read again and that have a digest.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use ring::digest::{Context, SHA256};

use crate::failure::Failure;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

pub enum Source {
    File(PathBuf),
    /// What came from standard input, in a file that has no name any more.
    Kept(File),
    /// Standard input itself, which can be read once.
    Stdin,
}

/// SHA-256 of the content, unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(String);

impl Digest {
    pub fn of(text: &str) -> Self {
        Self(hex(ring::digest::digest(&SHA256, text.as_bytes()).as_ref()))
    }

    /// As many digits as nobody meets twice.
    pub fn short(&self) -> &str {
        &self.0[..32]
    }
}

/// One reading, from the beginning.
pub struct Reading {
    pub bytes: Box<dyn BufRead>,
    context: Rc<RefCell<Context>>,
}

impl Source {
    /// Standard input is kept in a file in `folder`, if it is to be read more than once.
    pub fn open(name: &str, folder: Option<&Path>) -> Result<Self, Failure> {
        if name != "-" {
            return Ok(Self::File(PathBuf::from(name)));
        }
        let Some(folder) = folder else {
            return Ok(Self::Stdin);
        };
        let failed = |error: io::Error| {
            Failure::Input(format!(
                "cannot keep standard input in {}: {error}",
                folder.display()
            ))
        };
        let mut file = tempfile::tempfile_in(folder).map_err(failed)?;
        io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
        Ok(Self::Kept(file))
    }

    pub fn name(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Kept(_) | Self::Stdin => Path::new("standard input"),
        }
    }

    pub fn read(&self) -> Result<Reading, Failure> {
        let failed = |error| Failure::reading(self.name(), &error);
        let packed: Box<dyn Read> = match self {
            Self::File(path) => Box::new(File::open(path).map_err(failed)?),
            Self::Kept(file) => {
                let mut file = file.try_clone().map_err(failed)?;
                file.seek(SeekFrom::Start(0)).map_err(failed)?;
                Box::new(file)
            }
            Self::Stdin => Box::new(io::stdin().lock()),
        };
        let mut packed = BufReader::new(packed);
        let is_packed = match self {
            Self::File(path) => has_ending(path, "gz"),
            // It has no name.
            Self::Kept(_) | Self::Stdin => packed.fill_buf().map_err(failed)?.starts_with(&GZIP),
        };
        let context = Rc::new(RefCell::new(Context::new(&SHA256)));
        let digested = Digested {
            bytes: match is_packed {
                true => Box::new(MultiGzDecoder::new(packed)),
                false => Box::new(packed),
            },
            context: Rc::clone(&context),
        };
        let mut bytes = BufReader::with_capacity(1 << 16, digested);
        if bytes
            .fill_buf()
            .map_err(failed)?
            .starts_with(&BYTE_ORDER_MARK)
        {
            bytes.consume(BYTE_ORDER_MARK.len());
        }
        Ok(Reading {
            bytes: Box::new(bytes),
            context,
        })
    }
}

impl Reading {
    /// What to ask for the digest, when all has been read.
    pub fn split(self) -> (Box<dyn BufRead>, impl FnOnce() -> Digest) {
        let context = self.context;
        (self.bytes, move || {
            Digest(hex(context.borrow().clone().finish().as_ref()))
        })
    }
}

struct Digested {
    bytes: Box<dyn Read>,
    context: Rc<RefCell<Context>>,
}

impl Read for Digested {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.context.borrow_mut().update(&buffer[..count]);
        Ok(count)
    }
}

/// Whether the name ends so, whatever its case.
pub fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
