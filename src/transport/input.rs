//! What a connection has read and nobody has used yet.

/// Enough for nearly every reply; a longer head makes it grow.
const SIZE: usize = 8 * 1024;

#[derive(Debug, Default)]
pub struct Input {
    bytes: Vec<u8>,
    /// `bytes[start..end]` is what is there.
    start: usize,
    end: usize,
}

impl Input {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room for more, at least a byte.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.bytes.len() {
            self.bytes.resize((self.bytes.len() * 2).max(SIZE), 0);
        }
        &mut self.bytes[self.end..]
    }

    /// So much of the room is filled.
    pub fn fill(&mut self, amount: usize) {
        self.end = (self.end + amount).min(self.bytes.len());
    }

    pub fn consume(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.end);
    }

    /// Gives back what a long head took.
    pub fn shrink(&mut self) {
        if self.bytes.len() > SIZE && self.is_empty() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_only_when_it_is_full_of_unused_bytes() {
        let mut input = Input::default();
        let room = input.room().len();
        assert_eq!(room, SIZE);
        input.room()[room - 1] = b'x';
        input.fill(room);
        input.consume(room - 1);
        assert_eq!(input.bytes(), b"x");

        assert_eq!(input.room().len(), SIZE - 1);
        input.fill(SIZE - 1);
        assert_eq!(input.room().len(), SIZE);
        assert_eq!(input.bytes()[0], b'x');

        input.consume(SIZE);
        input.shrink();
        assert_eq!(input.room().len(), SIZE);
    }
}
