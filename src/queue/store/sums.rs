//! Checksums of any stretch of a window at a small price, so that bytes which look like the beginnings of
//! many long frames cost no more than those of one.
//!
//! The CRC of a prefix is kept for every `STEP` bytes, each made from the one before. A CRC is linear: that
//! of a stretch follows from those of the prefixes that end where it begins and where it ends.

const STEP: usize = 512;
/// CRC32C, in the reflected order in which its bits are written.
const POLYNOMIAL: u32 = 0x82F6_3B78;

#[derive(Default)]
pub struct Sums {
    /// Of the bytes before each multiple of `STEP` in the window, as far as they were asked for.
    prefixes: Vec<u32>,
    /// Bytes that were summed.
    work: u64,
}

impl Sums {
    /// The CRC32C of these bytes of the window, continuing that of others.
    pub fn append(&mut self, before: u32, window: &[u8], from: usize, to: usize) -> u32 {
        let length = to - from;
        if length <= STEP {
            self.work += length as u64;
            return crc32c::crc32c_append(before, &window[from..to]);
        }
        let (first, last) = (self.prefix(window, from), self.prefix(window, to));
        shift(before ^ first, length) ^ last
    }

    fn prefix(&mut self, window: &[u8], to: usize) -> u32 {
        if self.prefixes.is_empty() {
            self.prefixes.push(0);
        }
        while self.prefixes.len() <= to / STEP {
            let end = self.prefixes.len() * STEP;
            let before = self.prefixes.last().copied().unwrap_or_default();
            self.work += STEP as u64;
            self.prefixes
                .push(crc32c::crc32c_append(before, &window[end - STEP..end]));
        }
        let start = to / STEP * STEP;
        self.work += (to - start) as u64;
        crc32c::crc32c_append(self.prefixes[to / STEP], &window[start..to])
    }

    /// How much may be dropped from the front of the window, of so much.
    pub fn droppable(length: usize) -> usize {
        length / STEP * STEP
    }

    /// So much was dropped, which was `droppable`.
    pub fn dropped(&mut self, length: usize) {
        let gone = (length / STEP).min(self.prefixes.len());
        self.prefixes.drain(..gone);
    }

    /// The window is another one.
    pub fn clear(&mut self) {
        self.prefixes.clear();
    }

    #[cfg(test)]
    pub fn work(&self) -> u64 {
        self.work
    }
}

/// The CRC after so many bytes of zeros: it is multiplied by x to the power of their bits.
fn shift(crc: u32, mut bytes: usize) -> u32 {
    /// x to the power of 8, 16, 32, …
    const POWERS: [u32; 32] = {
        let mut powers = [0x0080_0000; 32];
        let mut at = 1;
        while at < powers.len() {
            powers[at] = multiply(powers[at - 1], powers[at - 1]);
            at += 1;
        }
        powers
    };
    let mut shifted = crc;
    for power in POWERS {
        if bytes == 0 {
            break;
        }
        if bytes & 1 == 1 {
            shifted = multiply(power, shifted);
        }
        bytes >>= 1;
    }
    shifted
}

/// The product of two polynomials modulo CRC32C's.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 1 << 31;
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = if b & 1 == 1 {
            b >> 1 ^ POLYNOMIAL
        } else {
            b >> 1
        };
        bit >>= 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_stretch_has_the_sum_of_its_bytes() {
        let bytes: Vec<u8> = (0..9000u32).map(|at| (at * at / 7) as u8).collect();
        let mut sums = Sums::default();
        let check = |sums: &mut Sums, window: &[u8]| {
            for (from, to) in [
                (0, 0),
                (3, 500),
                (0, 513),
                (1, 4000),
                (511, 5000),
                (1024, 4096),
            ] {
                let expected = crc32c::crc32c_append(77, &window[from..to]);
                assert_eq!(sums.append(77, window, from, to), expected, "{from} {to}");
            }
        };
        check(&mut sums, &bytes);
        let gone = Sums::droppable(2000);
        sums.dropped(gone);
        check(&mut sums, &bytes[gone..]);
    }
}
