//! The bytes of one connection on their way out and in: output is gathered, so that head and body
//! leave in one write; input waits here until it is parsed.

use ureq::unversioned::transport::Buffers as UreqBuffers;

/// Enough for nearly every request and reply; both directions grow where it is not.
const SIZE: usize = 16 * 1024;

#[derive(Debug, Default)]
pub struct Buffers {
    output: Vec<u8>,
    gathered: usize,
    /// No line of the head is longer; ureq must find room for a whole one.
    longest_line: usize,
    input: Vec<u8>,
    /// `input[start..end]` is read and not yet parsed.
    start: usize,
    end: usize,
    /// The last look at the input used some of it, so what is left is worth another look.
    progress: bool,
}

impl Buffers {
    pub fn new(longest_line: usize) -> Self {
        Self {
            longest_line,
            ..Self::default()
        }
    }

    pub fn expect_lines(&mut self, longest: usize) {
        self.longest_line = longest;
    }

    /// `amount` bytes were put into [`UreqBuffers::output`]. True if there is room for no more.
    pub fn gather(&mut self, amount: usize) -> bool {
        self.gathered += amount;
        self.gathered >= self.output.len()
    }

    pub fn gathered(&self) -> &[u8] {
        &self.output[..self.gathered]
    }

    pub fn clear_gathered(&mut self) {
        self.gathered = 0;
    }

    fn reserve_output(&mut self) {
        let needed = (self.gathered + self.longest_line).max(SIZE);
        if self.output.len() < needed {
            self.output.resize(needed, 0);
        }
    }

    fn reserve_input(&mut self) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        if self.end == self.input.len() && self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.input.len() {
            self.input.resize((self.input.len() * 2).max(SIZE), 0);
        }
    }
}

impl UreqBuffers for Buffers {
    fn output(&mut self) -> &mut [u8] {
        self.reserve_output();
        &mut self.output[self.gathered..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.reserve_input();
        &mut self.input[self.end..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.end = (self.end + amount).min(self.input.len());
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.start = (self.start + amount).min(self.end);
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.reserve_input();
        self.reserve_output();
        (
            &mut self.input[self.end..],
            &mut self.output[self.gathered..],
        )
    }

    fn can_use_input(&self) -> bool {
        self.progress && self.start < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_what_is_left_after_the_gathered_bytes() {
        let mut buffers = Buffers::default();
        buffers.output()[..4].copy_from_slice(b"head");
        assert!(!buffers.gather(4));
        buffers.output()[..4].copy_from_slice(b"body");
        assert!(!buffers.gather(4));
        assert_eq!(buffers.gathered(), b"headbody");

        let left = buffers.output().len();
        assert!(buffers.gather(left));
        buffers.clear_gathered();
        assert_eq!(buffers.output().len(), SIZE);
    }

    #[test]
    fn a_line_longer_than_the_buffer_finds_room() {
        let mut buffers = Buffers::default();
        buffers.output();
        buffers.gather(SIZE - 10);
        buffers.expect_lines(3 * SIZE);
        assert!(buffers.output().len() >= 3 * SIZE);
    }

    #[test]
    fn input_grows_only_when_it_is_full_of_unparsed_bytes() {
        let mut buffers = Buffers::default();
        let room = buffers.input_append_buf().len();
        assert_eq!(room, SIZE);
        buffers.input_appended(room);
        buffers.input_consume(room - 1);
        assert_eq!(buffers.input_append_buf().len(), SIZE - 1);
        buffers.input_appended(SIZE - 1);
        assert_eq!(buffers.input_append_buf().len(), SIZE);
    }
}
