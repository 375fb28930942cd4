//! The payload of a NAL unit (RBSP, clause 7.3.1), and bits read from it.

use memchr::memmem;

/// Zeros behind a payload, so that eight bytes can be read at every place in it.
const PADDING: usize = 8;

/// A payload without its emulation prevention bytes.
#[derive(Debug, Default)]
pub(super) struct Payload {
    bytes: Vec<u8>,
    /// Bits before `rbsp_stop_one_bit`.
    pub(super) length: usize,
}

impl Payload {
    /// Takes a NAL unit with its header of one byte; None if there is no stop bit.
    pub(super) fn take(&mut self, unit: &[u8]) -> Option<()> {
        let body = unit.get(1..)?;
        self.bytes.clear();
        let mut from = 0;
        for at in memmem::find_iter(body, b"\0\0\x03") {
            self.bytes.extend_from_slice(&body[from..at + 2]);
            from = at + 3;
        }
        self.bytes.extend_from_slice(&body[from..]);
        // `cabac_zero_word`s may follow the stop bit.
        let last = self.bytes.iter().rposition(|byte| *byte != 0)?;
        self.bytes.truncate(last + 1);
        self.length = last * 8 + 7 - self.bytes[last].trailing_zeros() as usize;
        self.bytes.extend_from_slice(&[0; PADDING]);
        Some(())
    }

    /// The bytes with the zeros behind them.
    pub(super) fn padded(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bits(&self) -> Bits<'_> {
        Bits {
            bytes: &self.bytes,
            at: 0,
        }
    }
}

/// Reads bits from the highest down; behind the end there are zeros, so the caller looks at where it is.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    pub(super) bytes: &'a [u8],
    /// Bits read.
    pub(super) at: usize,
}

impl<'a> Bits<'a> {
    /// The next 57 bits or more, left-aligned.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        let word = self
            .bytes
            .get(self.at >> 3..)
            .and_then(|rest| rest.first_chunk::<8>());
        word.map_or(0, |word| u64::from_be_bytes(*word) << (self.at & 7))
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, bits: u32) {
        self.at += bits as usize;
    }

    /// `u(n)`, 1 to 32 bits.
    #[inline(always)]
    pub(super) fn read(&mut self, bits: u32) -> u32 {
        let value = (self.peek() >> (64 - bits)) as u32;
        self.skip(bits);
        value
    }

    #[inline(always)]
    pub(super) fn flag(&mut self) -> bool {
        self.read(1) != 0
    }

    /// `ue(v)`, clause 9.1; None above 2²⁴, which no element of a slice can be.
    #[inline(always)]
    pub(super) fn ue(&mut self) -> Option<u32> {
        let window = self.peek();
        let zeros = window.leading_zeros();
        if zeros > 24 {
            return None;
        }
        self.skip(2 * zeros + 1);
        Some((window >> (63 - 2 * zeros)) as u32 - 1)
    }

    /// `se(v)`, clause 9.1.1.
    #[inline(always)]
    pub(super) fn se(&mut self) -> Option<i32> {
        let coded = self.ue()?;
        let half = coded.div_ceil(2) as i32;
        Some(if coded & 1 == 1 { half } else { -half })
    }

    pub(super) fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// Whole bytes from here; the reader stands at the start of a byte.
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let from = self.at / 8;
        self.at += count * 8;
        self.bytes.get(from..from + count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_and_elements() {
        let mut payload = Payload::default();
        payload
            .take(&[0x65, 0b1010_0110, 0, 0, 3, 1, 0x80, 0, 0])
            .unwrap();
        assert_eq!(payload.length, 32);
        let mut bits = payload.bits();
        assert_eq!(
            (bits.ue(), bits.ue(), bits.ue()),
            (Some(0), Some(1), Some(2))
        );
        assert_eq!(bits.read(1), 0);
        assert_eq!(bits.read(24), 1);
        assert!(payload.take(&[0x65, 0, 0]).is_none());
        assert!(payload.take(&[]).is_none());
    }
}
