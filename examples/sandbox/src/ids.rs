//! Ids: version 4 UUIDs from a seed, so that the same world gives the same ids.

use uuid::{Builder, Uuid};

pub struct Ids(fastrand::Rng);

impl Default for Ids {
    fn default() -> Self {
        Self(fastrand::Rng::with_seed(0x7209))
    }
}

impl Ids {
    /// Whether chance falls on so many percent. None and all need no chance, so the ids stay the same.
    pub fn chance(&mut self, percent: i64) -> bool {
        match percent {
            ..=0 => false,
            1..=99 => self.0.i64(0..100) < percent,
            100.. => true,
        }
    }

    pub fn next(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        Builder::from_random_bytes(bytes).into_uuid()
    }
}
