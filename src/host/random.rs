//! The system's randomness, drawn 1 KiB at a time: a call to the system for every idempotency key
//! would be a third system call for every event.

use crate::error::{Error, Status};
use crate::host::locks::{Mutex, lock};

/// Belongs to one process: a forked child must make its own, or both would make the same keys.
#[derive(Debug)]
pub struct Random(Mutex<Pool>);

#[derive(Debug)]
struct Pool {
    bytes: [u8; 1024],
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self(Mutex::new(Pool {
            bytes: [0; 1024],
            used: 1024,
        }))
    }
}

impl Random {
    pub fn take<const N: usize>(&self) -> Result<[u8; N], Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_between_0_and_1_and_differ() {
        let random = Random::default();
        let fractions: Vec<_> = (0..1000).map(|_| random.fraction()).collect();
        assert!(fractions.iter().all(|it| (0.0..1.0).contains(it)));
        assert!(fractions.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
