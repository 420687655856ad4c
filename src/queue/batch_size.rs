//! How large a batch may be. Pure.

/// The largest body of a batch.
const LARGEST: usize = 4 << 20;

/// How large a batch may be, in bytes of its events: learnt from the service's answers, of which 413
/// says "too large" and never how large it may be.
#[derive(Debug)]
pub struct BatchSize {
    /// The largest that was taken, and the smallest that was too large.
    taken: usize,
    refused: usize,
}

impl BatchSize {
    pub fn bytes(&self) -> usize {
        match self.refused {
            usize::MAX => LARGEST,
            refused => self.taken.max(refused / 2).min(LARGEST),
        }
    }

    pub fn was_taken(&mut self, bytes: usize) {
        self.taken = self.taken.max(bytes);
        if self.refused <= bytes {
            self.refused = usize::MAX;
        }
    }

    pub fn was_refused(&mut self, bytes: usize) {
        self.refused = self.refused.min(bytes);
        if self.taken >= self.refused {
            self.taken = 0;
        }
    }
}

impl Default for BatchSize {
    fn default() -> Self {
        Self {
            taken: 0,
            refused: usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_was_too_large_is_halved_until_one_is_taken() {
        let mut size = BatchSize::default();
        assert_eq!(size.bytes(), LARGEST);
        size.was_refused(800);
        assert_eq!(size.bytes(), 400);
        size.was_taken(390);
        size.was_taken(300);
        assert_eq!(size.bytes(), 400);
        size.was_refused(399);
        assert_eq!(size.bytes(), 390);
        // The service has changed its mind, either way.
        size.was_refused(380);
        assert_eq!(size.bytes(), 190);
        size.was_taken(380);
        assert_eq!(size.bytes(), LARGEST);
    }
}
