//! What the hosts read while they run: a file that they map.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

pub struct Page {
    file: File,
}

/// As in client.c.
const CLOCK_AHEAD_NS: u64 = 0;
const KEY_NUMBER: u64 = 1;
const STOP: u64 = 2;
const MEAN_PAUSE_MS: u64 = 3;
const FIELDS: usize = 4;

impl Page {
    pub fn new(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        file.write_all_at(&[0; FIELDS * 8], 0)?;
        Ok(Self { file })
    }

    fn set(&self, field: u64, value: i64) {
        self.file
            .write_all_at(&value.to_ne_bytes(), field * 8)
            .expect("the page can be written");
    }

    pub fn set_clock_ahead(&self, by: Duration, is_behind: bool) {
        let ns = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.set(CLOCK_AHEAD_NS, if is_behind { -ns } else { ns });
    }

    pub fn set_key(&self, number: i64) {
        self.set(KEY_NUMBER, number);
    }

    pub fn set_mean_pause(&self, pause: Duration) {
        self.set(MEAN_PAUSE_MS, pause.as_millis() as i64);
    }

    pub fn stop(&self) {
        self.set(STOP, 1);
    }

    pub fn go_on(&self) {
        self.set(STOP, 0);
    }
}
