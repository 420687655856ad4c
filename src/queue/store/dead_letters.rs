//! Events the service refused, as JSON lines for people to read: two files, each bounded.

use super::Durability;
use super::folder::{File, Folder, is_there, read_full, write_all};
use std::io;

pub const NAME: &str = "dead.jsonl";
const BEFORE: &str = "dead.1.jsonl";
const MOST_BYTES: u64 = 1 << 20;
/// While the names cannot be changed: on Windows a program that shows one of the files may hold its name.
const MOST_BYTES_HELD: u64 = 16 << 20;

pub struct DeadLetters {
    durability: Durability,
    open: Option<Open>,
}

struct Open {
    file: Box<dyn File>,
    length: u64,
    /// It ends with part of a line, which the next one must not continue.
    is_torn: bool,
    /// A power cut may take its name.
    is_new: bool,
}

impl DeadLetters {
    pub fn new(durability: Durability) -> DeadLetters {
        DeadLetters {
            durability,
            open: None,
        }
    }

    /// Each of them, or after an error none; unless there are so many that they fill a file.
    pub fn append(&mut self, folder: &dyn Folder, json_lines: &[String]) -> io::Result<()> {
        let mut text = String::new();
        for line in json_lines {
            if !text.is_empty() && (text.len() + line.len() + 1) as u64 > MOST_BYTES {
                self.write(folder, &text)?;
                text.clear();
            }
            text.push_str(&line.replace('\n', " "));
            text.push('\n');
        }
        if text.is_empty() {
            return Ok(());
        }
        self.write(folder, &text)
    }

    fn write(&mut self, folder: &dyn Folder, text: &str) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) if is_there(&*open.file) => open,
            _ => open(folder)?,
        };
        let added = (text.len() + usize::from(open.is_torn)) as u64;
        if open.length > 0 && open.length + added > MOST_BYTES {
            match folder.rename(NAME, BEFORE) {
                Ok(()) => open = self::open(folder)?,
                // A full one is no reason to hold up the events; the next line tries again.
                Err(_) if open.length + added <= MOST_BYTES_HELD => {}
                Err(error) => {
                    self.open = Some(open);
                    return Err(error);
                }
            }
        }
        let written = self.write_to(folder, &mut open, text);
        self.open = Some(open);
        written
    }

    fn write_to(&self, folder: &dyn Folder, open: &mut Open, text: &str) -> io::Result<()> {
        let line_end: &[u8] = if open.is_torn { b"\n" } else { b"" };
        let bytes = [line_end, text.as_bytes()].concat();
        let written = write_all(&*open.file, &bytes).and_then(|()| match self.durability {
            Durability::Process => Ok(()),
            Durability::Power => {
                open.file.sync_data()?;
                if open.is_new {
                    folder.sync()?;
                    open.is_new = false;
                }
                Ok(())
            }
        });
        match written {
            Ok(()) => {
                open.length += bytes.len() as u64;
                open.is_torn = false;
            }
            Err(_) if open.file.truncate(open.length).is_err() => open.is_torn = true,
            Err(_) => {}
        }
        written
    }
}

fn open(folder: &dyn Folder) -> io::Result<Open> {
    let file = match folder.append(NAME) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folder.make()?;
            folder.append(NAME)?
        }
        file => file?,
    };
    let length = file.size()?;
    let mut last = [b'\n'];
    if length > 0 {
        read_full(&*file, &mut last, length - 1)?;
    }
    Ok(Open {
        file,
        length,
        is_torn: last != *b"\n",
        is_new: true,
    })
}
