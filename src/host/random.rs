//! The system's randomness, drawn 1 KiB at a time: a call to the system for every idempotency key
//! would be a third system call for every event.

use std::fmt::Write as _;
use std::sync::Mutex;

use crate::api::request::MakeKey;
use crate::error::{Error, Status};
use crate::host::locks::lock;

/// Belongs to one process: a forked child must make its own, or both would make the same keys.
#[derive(Debug)]
pub struct Random(Mutex<Pool>);

#[derive(Debug)]
struct Pool {
    bytes: [u8; 1024],
    used: usize,
}

impl Random {
    pub fn new() -> Self {
        Self(Mutex::new(Pool {
            bytes: [0; 1024],
            used: 1024,
        }))
    }

    fn take<const N: usize>(&self) -> Result<[u8; N], Error> {
        let mut pool = lock(&self.0);
        if pool.used + N > pool.bytes.len() {
            getrandom::getrandom(&mut pool.bytes).map_err(|error| {
                Error::new(
                    Status::Storage,
                    format!("the system gives no randomness for an idempotency key: {error}"),
                )
            })?;
            pool.used = 0;
        }
        let mut taken = [0; N];
        let used = pool.used;
        taken.copy_from_slice(&pool.bytes[used..used + N]);
        pool.bytes[used..used + N].fill(0);
        pool.used += N;
        Ok(taken)
    }

    /// A number in 0.0..1.0, for jitter.
    pub fn fraction(&self) -> f64 {
        let bits = self.take().map_or(1 << 31, u32::from_ne_bytes);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}

/// UUIDs, version 4.
impl MakeKey for Random {
    fn write_key(&self, out: &mut String) -> Result<(), Error> {
        let uuid = uuid::Builder::from_random_bytes(self.take()?).into_uuid();
        // Writing to a String does not fail.
        let _ = write!(out, "{uuid}");
        Ok(())
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_are_uuids_and_never_repeat() {
        let random = Random::new();
        let keys: HashSet<_> = (0..1000)
            .map(|_| {
                let mut key = String::new();
                random.write_key(&mut key).unwrap();
                key
            })
            .collect();
        assert_eq!(keys.len(), 1000);
        assert!(
            keys.iter()
                .all(|key| key.len() == 36 && &key[14..15] == "4")
        );
        assert!((0.0..1.0).contains(&random.fraction()));
    }
}
