//! Events that the service refused, as a queue's folder keeps them: two files of JSON lines that the library
//! writes, and beside them one with the marks of those that were put back. Nothing is ever taken out of the
//! library's files, to which another process may be writing.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use crate::failure::Failure;
use crate::queue_folder;

/// The older, and the one that is written.
const BEFORE: &str = "dead.1.jsonl";
const NOW: &str = "dead.jsonl";
/// A mark a line.
const RETRIED: &str = "dead.retried";

/// One a line, the older first, without those that were put back.
pub fn list(folder: &str) -> Result<Vec<String>, Failure> {
    queue_folder::need(folder)?;
    let retried = marks(folder)?;
    let mut lines = Vec::new();
    for name in [BEFORE, NOW] {
        lines.extend(read(folder, name)?.lines().map(str::to_owned));
    }
    lines.retain(|line| !retried.contains(&mark(line)));
    Ok(lines)
}

/// These lines are back in the queue. One that dies again has another line.
pub fn mark_retried(folder: &str, retried: &[&str]) -> Result<(), Failure> {
    if retried.is_empty() {
        return Ok(());
    }
    let before = marks(folder)?;
    let mut now: Vec<String> = retried.iter().map(|line| mark(line)).collect();
    // A line that the library has thrown away needs no mark any more.
    for name in [BEFORE, NOW] {
        let kept = read(folder, name)?;
        now.extend(kept.lines().map(mark).filter(|mark| before.contains(mark)));
    }
    let path = Path::new(folder).join(RETRIED);
    let new = path.with_extension("retried.tmp");
    fs::write(&new, now.join("\n") + "\n")
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|error| Failure::writing(&path, &error))
}

fn marks(folder: &str) -> Result<HashSet<String>, Failure> {
    Ok(read(folder, RETRIED)?.lines().map(str::to_owned).collect())
}

fn mark(line: &str) -> String {
    let hash = digest(&SHA256, line.as_bytes());
    let bytes = hash.as_ref().iter().take(16);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn read(folder: &str, name: &str) -> Result<String, Failure> {
    let path = Path::new(folder).join(name);
    match fs::read(&path) {
        // A line that was cut is no reason to show none.
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Failure::reading(&path, &error)),
    }
}

/// The lines that are added from now on.
pub struct Follow {
    folder: PathBuf,
    /// How the file begins that is followed, by which it is known when it has become the older one. A line has an
    /// event's idempotency key, and when it died.
    begin: Vec<u8>,
    offset: u64,
}

/// Of how a file begins, so much is remembered.
const BEGIN: u64 = 1 << 10;

impl Follow {
    pub fn begin(folder: &str) -> Result<Self, Failure> {
        let mut follow = Self {
            folder: PathBuf::from(folder),
            begin: Vec::new(),
            offset: 0,
        };
        follow.new_lines()?;
        Ok(follow)
    }

    pub fn new_lines(&mut self) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        self.read(&mut lines)
            .map_err(|error| Failure::reading(&self.folder.join(NOW), &error))?;
        Ok(lines)
    }

    fn read(&mut self, lines: &mut Vec<String>) -> io::Result<()> {
        let mut now = self.open(NOW)?;
        if let Some(now) = &mut now
            && self.is_followed(now)?
        {
            return self.read_on(now, lines);
        }
        // It was full, and is the older one; or that was full since, too, and all of it is new.
        if let Some(mut before) = self.open(BEFORE)? {
            if !self.is_followed(&mut before)? {
                self.offset = 0;
            }
            self.read_on(&mut before, lines)?;
        }
        if let Some(mut now) = now {
            self.offset = 0;
            self.read_on(&mut now, lines)?;
        }
        Ok(())
    }

    fn open(&self, name: &str) -> io::Result<Option<File>> {
        match File::open(self.folder.join(name)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_followed(&self, file: &mut File) -> io::Result<bool> {
        Ok(begin(file, self.begin.len() as u64)? == self.begin)
    }

    /// Whole lines only.
    fn read_on(&mut self, file: &mut File, lines: &mut Vec<String>) -> io::Result<()> {
        // It is shorter where what could not be written whole was cut off.
        self.offset = self.offset.min(file.metadata()?.len());
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let text = String::from_utf8_lossy(&bytes[..whole]);
        lines.extend(text.lines().map(str::to_owned));
        self.offset += whole as u64;
        self.begin = begin(file, self.offset.min(BEGIN))?;
        Ok(())
    }
}

fn begin(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        (folder, path)
    }

    #[test]
    fn what_was_put_back_is_listed_no_more_until_it_dies_again() {
        let (_keep, folder) = folder();
        let file = Path::new(&folder).join(NOW);
        fs::write(&file, "{\"a\":1}\n{\"a\":2}\n").unwrap();

        mark_retried(&folder, &["{\"a\":1}"]).unwrap();
        assert_eq!(list(&folder).unwrap(), ["{\"a\":2}"]);

        // A second round keeps the marks of the first.
        mark_retried(&folder, &["{\"a\":2}"]).unwrap();
        assert!(list(&folder).unwrap().is_empty());

        fs::write(&file, "{\"a\":1}\n{\"a\":2}\n{\"a\":1,\"again\":1}\n").unwrap();
        assert_eq!(list(&folder).unwrap(), ["{\"a\":1,\"again\":1}"]);
    }

    #[test]
    fn marks_go_with_the_lines_that_the_library_threw_away() {
        let (_keep, folder) = folder();
        let file = Path::new(&folder).join(NOW);
        for line in ["{\"a\":1}", "{\"a\":2}"] {
            fs::write(&file, format!("{line}\n")).unwrap();
            mark_retried(&folder, &[line]).unwrap();
        }
        let marks = read(&folder, RETRIED).unwrap();
        assert_eq!(marks.lines().count(), 1);
    }

    #[test]
    fn new_lines_are_followed_whole_and_past_a_full_file() {
        let (_keep, folder) = folder();
        let file = Path::new(&folder).join(NOW);
        fs::write(&file, "old\n").unwrap();
        let mut follow = Follow::begin(&folder).unwrap();
        assert!(follow.new_lines().unwrap().is_empty());

        fs::write(&file, "old\none\ntw").unwrap();
        assert_eq!(follow.new_lines().unwrap(), ["one"]);
        fs::write(&file, "old\none\ntwo\nthree\n").unwrap();
        fs::rename(&file, Path::new(&folder).join(BEFORE)).unwrap();
        fs::write(&file, "four\n").unwrap();
        assert_eq!(follow.new_lines().unwrap(), ["two", "three", "four"]);

        // Nothing is there for a moment, and then two are full before anybody looks.
        fs::rename(&file, Path::new(&folder).join(BEFORE)).unwrap();
        assert!(follow.new_lines().unwrap().is_empty());
        fs::write(Path::new(&folder).join(BEFORE), "five\nsix\n").unwrap();
        fs::write(&file, "seven\n").unwrap();
        assert_eq!(follow.new_lines().unwrap(), ["five", "six", "seven"]);
    }

    #[test]
    fn a_new_file_is_known_although_it_is_as_long() {
        let (_keep, folder) = folder();
        let file = Path::new(&folder).join(NOW);
        let mut follow = Follow::begin(&folder).unwrap();
        fs::write(&file, "one\n").unwrap();
        assert_eq!(follow.new_lines().unwrap(), ["one"]);
        fs::write(&file, "one\ntwo\n").unwrap();
        fs::rename(&file, Path::new(&folder).join(BEFORE)).unwrap();
        fs::write(&file, "three\nfour\n").unwrap();
        assert_eq!(follow.new_lines().unwrap(), ["two", "three", "four"]);
    }
}
