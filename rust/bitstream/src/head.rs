//! The bit reader of slice headers: one is read for every slice of every picture of every camera.
//!
//! It does what [`crate::bits::Bits`] does for parameter sets, a few times faster: emulation prevention is taken out byte by byte on
//! the way into a window of 64 bits, and nothing is read that is not asked for.

use std::io;

use h264_reader::rbsp::BitReaderError;

use crate::bits::{At, LIMIT};

/// A one in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Reads the payload of one NAL unit behind its header of one byte.
pub(crate) struct Head<'a> {
    rest: &'a [u8],
    /// Zero bytes that were just taken.
    zeros: u32,
    window: u64,
    /// How many bits of the window are there; behind them are zeros.
    valid: u32,
    at: &'a mut At,
}

impl<'a> Head<'a> {
    pub(crate) fn new(unit: &'a [u8], at: &'a mut At) -> Self {
        *at = At::default();
        Self {
            rest: unit.get(1..).unwrap_or_default(),
            zeros: 0,
            window: 0,
            valid: 0,
            at,
        }
    }

    /// Takes bytes until the window is full or nothing is left.
    #[inline(never)]
    fn fill(&mut self) {
        // Eight bytes of which none is 0 hold nothing to take out.
        if self.zeros == 0
            && self.valid <= 56
            && let Some(bytes) = self.rest.first_chunk::<8>()
        {
            let word = u64::from_be_bytes(*bytes);
            if word.wrapping_sub(ONES) & !word & (ONES << 7) == 0 {
                let count = (64 - self.valid) / 8;
                self.window |= (word & (u64::MAX << (64 - 8 * count))) >> self.valid;
                self.valid += 8 * count;
                self.rest = &self.rest[count as usize..];
                return;
            }
        }
        while self.valid <= 56 {
            let Some((&byte, rest)) = self.rest.split_first() else {
                return;
            };
            self.rest = rest;
            if self.zeros >= 2 && byte == 3 {
                self.zeros = 0;
                continue;
            }
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
            self.window |= u64::from(byte) << (56 - self.valid);
            self.valid += 8;
        }
    }

    /// Makes sure that there are so many bits, at most 57.
    #[inline]
    fn need(&mut self, bits: u32, name: &'static str) -> Result<(), BitReaderError> {
        self.at.element = name;
        if self.valid < bits {
            self.fill();
        }
        if self.valid < bits {
            return Err(self.end(name));
        }
        Ok(())
    }

    #[cold]
    fn end(&mut self, name: &'static str) -> BitReaderError {
        self.at.ended = true;
        BitReaderError::ReaderError(name, io::ErrorKind::UnexpectedEof.into())
    }

    #[inline]
    fn pass(&mut self, bits: u32) {
        self.window <<= bits;
        self.valid -= bits;
        self.at.bit += u64::from(bits);
    }

    #[inline]
    pub(crate) fn read_bit(&mut self, name: &'static str) -> Result<bool, BitReaderError> {
        self.need(1, name)?;
        let bit = self.window >> 63 != 0;
        self.pass(1);
        Ok(bit)
    }

    /// Passes over at most 57 bits.
    #[inline]
    pub(crate) fn skip(&mut self, bits: u32, name: &'static str) -> Result<(), BitReaderError> {
        self.need(bits, name)?;
        self.pass(bits);
        Ok(())
    }

    #[inline]
    pub(crate) fn read_ue(&mut self, name: &'static str) -> Result<u32, BitReaderError> {
        let zeros = self.window.leading_zeros();
        if zeros < LIMIT.ilog2() && 2 * zeros < self.valid {
            self.at.element = name;
            let value = (self.window >> (63 - 2 * zeros)) as u32 - 1;
            self.pass(2 * zeros + 1);
            return Ok(value);
        }
        self.read_long_ue(name)
    }

    /// The same where the window must be filled first, or the value is large.
    #[cold]
    fn read_long_ue(&mut self, name: &'static str) -> Result<u32, BitReaderError> {
        self.need(1, name)?;
        self.fill();
        let zeros = self.window.leading_zeros();
        // The longest code that is let through has 49 bits.
        if zeros > LIMIT.ilog2() && zeros < self.valid {
            return Err(BitReaderError::ExpGolombTooLarge(name));
        }
        self.need(2 * zeros.min(28) + 1, name)?;
        let value = (self.window >> (63 - 2 * zeros)) as u32 - 1;
        if value > LIMIT {
            return Err(BitReaderError::ExpGolombTooLarge(name));
        }
        self.pass(2 * zeros + 1);
        Ok(value)
    }

    #[inline]
    pub(crate) fn read_se(&mut self, name: &'static str) -> Result<i32, BitReaderError> {
        let coded = self.read_ue(name)?;
        let half = coded.div_ceil(2) as i32;
        Ok(if coded % 2 == 1 { half } else { -half })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::Bits;
    use h264_reader::rbsp::BitRead;
    use proptest::prelude::*;

    /// A unit with this payload: emulation prevention put in, and a header byte before it.
    fn unit(payload: &[u8]) -> Vec<u8> {
        let mut unit = vec![0x41];
        for &byte in payload {
            if unit.len() > 2 && unit.ends_with(&[0, 0]) && byte <= 3 {
                unit.push(3);
            }
            unit.push(byte);
        }
        unit
    }

    proptest! {
        /// The same elements out of the same bytes as by the reader of parameter sets, and the same end.
        #[test]
        fn reads_what_the_other_reader_reads(payload in prop::collection::vec(prop_oneof![1 => Just(0u8), 1 => Just(3), 6 => any::<u8>()], 0..40), steps in prop::collection::vec(0u32..5, 1..40)) {
            let data = unit(&payload);
            let (mut one, mut other) = (At::default(), At::default());
            let mut quick = Head::new(&data, &mut one);
            let mut slow = Bits::new(&data, &mut other);
            for step in steps {
                let (a, b) = match step {
                    0 => (quick.read_bit("bit").map(i64::from).ok(), slow.read_bit("bit").map(i64::from).ok()),
                    1 => (quick.read_ue("ue").map(i64::from).ok(), slow.read_ue("ue").map(i64::from).ok()),
                    2 => (quick.read_se("se").map(i64::from).ok(), slow.read_se("se").map(i64::from).ok()),
                    bits => (quick.skip(bits, "skip").map(|()| 0).ok(), slow.skip(bits, "skip").map(|()| 0).ok()),
                };
                prop_assert_eq!(a, b);
                if a.is_none() {
                    break;
                }
            }
        }
    }
}
