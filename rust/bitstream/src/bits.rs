//! A bit reader that knows where it is, and lets no hostile number pass into parsers that would add to it.

use h264_reader::rbsp::{self, BitRead, BitReaderError, ByteReader, Integer, Primitive};

/// Largest value of an Exp-Golomb element. The largest that means anything here (`first_mb_in_slice`, sizes, offsets) is far
/// below; the few that are legally larger are named in [`LARGE`].
pub(crate) const LIMIT: u32 = 1 << 24;

/// Elements that may be larger and are only stored: annex E of H.264.
const LARGE: &[&str] = &["bit_rate_value_minus1", "cpb_size_value_minus1"];

/// Reads the payload of one NAL unit: emulation prevention removed on the way, position and element remembered.
pub(crate) struct Bits<'a> {
    reader: rbsp::BitReader<ByteReader<&'a [u8]>>,
    at: &'a mut At,
}

/// The position of a [`Bits`], readable after a parser has consumed the reader.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct At {
    pub(crate) bit: u64,
    pub(crate) element: &'static str,
    pub(crate) ended: bool,
}

impl<'a> Bits<'a> {
    /// Starts behind the one-byte header of an H.264 NAL unit.
    pub(crate) fn new(unit: &'a [u8], at: &'a mut At) -> Self {
        *at = At::default();
        Self {
            reader: rbsp::BitReader::new(ByteReader::skipping_h264_header(unit)),
            at,
        }
    }

    fn note<T>(
        &mut self,
        name: &'static str,
        bits: u64,
        got: Result<T, BitReaderError>,
    ) -> Result<T, BitReaderError> {
        self.at.element = name;
        match &got {
            Ok(_) => self.at.bit += bits,
            Err(BitReaderError::ReaderError(_, error)) => {
                self.at.ended = error.kind() == std::io::ErrorKind::UnexpectedEof;
            }
            Err(_) => {}
        }
        got
    }
}

impl BitRead for Bits<'_> {
    fn read_ue(&mut self, name: &'static str) -> Result<u32, BitReaderError> {
        let got = self.reader.read_ue(name).and_then(|value| {
            let fits = value <= LIMIT || LARGE.contains(&name);
            if fits {
                Ok(value)
            } else {
                Err(BitReaderError::ExpGolombTooLarge(name))
            }
        });
        let bits = got.as_ref().map_or(0, |value| {
            2 * u64::from((value.saturating_add(1)).ilog2()) + 1
        });
        self.note(name, bits, got)
    }

    fn read_se(&mut self, name: &'static str) -> Result<i32, BitReaderError> {
        let coded = self.read_ue(name)?;
        let half = coded.div_ceil(2) as i32;
        Ok(if coded % 2 == 1 { half } else { -half })
    }

    fn read_bit(&mut self, name: &'static str) -> Result<bool, BitReaderError> {
        let got = self.reader.read_bit(name);
        self.note(name, 1, got)
    }

    fn read<const BITS: u32, I: Integer>(
        &mut self,
        name: &'static str,
    ) -> Result<I, BitReaderError> {
        let got = self.reader.read::<BITS, I>(name);
        self.note(name, u64::from(BITS), got)
    }

    fn read_var<I: Integer>(
        &mut self,
        bit_count: u32,
        name: &'static str,
    ) -> Result<I, BitReaderError> {
        let got = self.reader.read_var(bit_count, name);
        self.note(name, u64::from(bit_count), got)
    }

    fn read_to<V: Primitive>(&mut self, name: &'static str) -> Result<V, BitReaderError> {
        let got = self.reader.read_to(name);
        self.note(name, 8 * size_of::<V>() as u64, got)
    }

    fn skip(&mut self, bit_count: u32, name: &'static str) -> Result<(), BitReaderError> {
        let got = self.reader.skip(bit_count, name);
        self.note(name, u64::from(bit_count), got)
    }

    fn byte_aligned(&self) -> bool {
        self.reader.byte_aligned()
    }

    fn has_more_rbsp_data(&mut self, name: &'static str) -> Result<bool, BitReaderError> {
        let got = self.reader.has_more_rbsp_data(name);
        self.note(name, 0, got)
    }

    fn finish_rbsp(self) -> Result<(), BitReaderError> {
        // Cameras are met whose parameter sets end with rubbish. What was read is complete by then.
        Ok(())
    }

    fn finish_sei_payload(self) -> Result<(), BitReaderError> {
        self.reader.finish_sei_payload()
    }
}
