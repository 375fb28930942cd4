//! NAL units with their length in front: ISO/IEC 14496-15, as MP4 and Matroska hold them, and as RTP's packets are joined.
//!
//! How long the length is stands in the decoder configuration record (`avcC`, 5.3.3.1; `hvcC`, 8.3.3.1), with the parameter sets,
//! which streams of this kind need not repeat. Everything is borrowed: no number of the bytes is ever allocated by.

use crate::error::Error;
use crate::unit::Codec;

/// Bytes of the length in front of each NAL unit (`lengthSizeMinusOne` + 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthSize {
    /// One byte: units of up to 255 bytes.
    One,
    /// Two bytes.
    Two,
    /// Four bytes, as nearly everybody writes.
    Four,
}

impl LengthSize {
    /// From the two bits of `lengthSizeMinusOne`; 2 is reserved.
    fn from_bits(minus_one: u8) -> Option<Self> {
        match minus_one & 3 {
            0 => Some(Self::One),
            1 => Some(Self::Two),
            3 => Some(Self::Four),
            _ => None,
        }
    }

    /// How many bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// NAL units of a sample, without their lengths; empty ones are passed over.
///
/// After an error, which names the byte of the sample, nothing more comes: where the next length stands is not known.
pub fn length_prefixed(
    sample: &[u8],
    size: LengthSize,
) -> impl Iterator<Item = Result<&[u8], Error>> {
    let mut cursor = Cursor::new(sample);
    std::iter::from_fn(move || {
        while !cursor.rest.is_empty() {
            match cursor.prefixed(size.bytes(), "the length of a NAL unit") {
                Ok([]) => {}
                Ok(unit) => return Some(Ok(unit)),
                Err(error) => {
                    cursor.rest = &[];
                    return Some(Err(error));
                }
            }
        }
        None
    })
}

/// What a decoder configuration record says: how to cut samples, and the parameter sets that they may leave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration<'a> {
    /// Bytes of each length in the samples.
    pub length_size: LengthSize,
    /// Parameter sets and SEI messages as NAL units, in the order in which they stand: those referred to come first.
    pub units: Vec<&'a [u8]>,
}

impl<'a> Configuration<'a> {
    /// Reads the record of a codec: `avcC` for H.264, `hvcC` for H.265.
    ///
    /// # Errors
    /// [`Error::Framing`] with the byte of the record; [`Error::Declined`] for a version that is not 1, and for JPEG.
    pub fn read(codec: Codec, record: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(record);
        // Some early writers of H.265 left the version at 0.
        let version = cursor.byte("configurationVersion")?;
        match (codec, version) {
            (Codec::H264, 1) => Self::avc(&mut cursor),
            (Codec::H265, 0 | 1) => Self::hevc(&mut cursor),
            (Codec::H264 | Codec::H265, _) => Err(Error::Declined {
                what: "a decoder configuration record of another version than 1",
            }),
            (Codec::Jpeg, _) => Err(Error::Declined {
                what: "a decoder configuration record of JPEG",
            }),
        }
    }

    fn avc(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        cursor.take(3, "AVCProfileIndication")?;
        let length_size = cursor.length_size()?;
        let mut units = Vec::new();
        let sequence_sets = cursor.byte("numOfSequenceParameterSets")? & 0x1f;
        cursor.units(sequence_sets.into(), &mut units)?;
        let picture_sets = cursor.byte("numOfPictureParameterSets")?;
        cursor.units(picture_sets.into(), &mut units)?;
        // What follows for High profiles repeats the sequence parameter set; its extension is for alpha planes only.
        Ok(Self { length_size, units })
    }

    fn hevc(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        cursor.take(20, "general_profile_idc")?;
        let length_size = cursor.length_size()?;
        let mut units = Vec::new();
        for _ in 0..cursor.byte("numOfArrays")? {
            cursor.byte("NAL_unit_type")?;
            let count = cursor.number(2, "numNalus")?;
            cursor.units(count, &mut units)?;
        }
        Ok(Self { length_size, units })
    }
}

/// Reads bytes from front to back and knows where it is.
struct Cursor<'a> {
    rest: &'a [u8],
    all: usize,
}

impl<'a> Cursor<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self {
            rest: data,
            all: data.len(),
        }
    }

    fn take(&mut self, count: usize, element: &'static str) -> Result<&'a [u8], Error> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(Error::Framing {
                byte: self.all - self.rest.len(),
                element,
                detail: "reaches beyond the end",
            });
        };
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self, element: &'static str) -> Result<u8, Error> {
        Ok(self.take(1, element)?[0])
    }

    fn number(&mut self, bytes: usize, element: &'static str) -> Result<usize, Error> {
        let taken = self.take(bytes, element)?;
        Ok(taken
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// What a number says the length of. An error names the byte of the number, which is what is wrong.
    fn prefixed(&mut self, bytes: usize, element: &'static str) -> Result<&'a [u8], Error> {
        let byte = self.all - self.rest.len();
        let length = self.number(bytes, element)?;
        self.take(length, element).map_err(|_| Error::Framing {
            byte,
            element,
            detail: "reaches beyond the end",
        })
    }

    fn length_size(&mut self) -> Result<LengthSize, Error> {
        let byte = self.all - self.rest.len();
        LengthSize::from_bits(self.byte("lengthSizeMinusOne")?).ok_or(Error::Framing {
            byte,
            element: "lengthSizeMinusOne",
            detail: "2 is reserved",
        })
    }

    fn units(&mut self, count: usize, units: &mut Vec<&'a [u8]>) -> Result<(), Error> {
        for _ in 0..count {
            let unit = self.prefixed(2, "the length of a parameter set")?;
            if !unit.is_empty() {
                units.push(unit);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framing(byte: usize, element: &'static str, detail: &'static str) -> Error {
        Error::Framing {
            byte,
            element,
            detail,
        }
    }

    #[test]
    fn units_come_by_their_length_and_a_wrong_length_ends_it() {
        let sample = [0, 2, 0x65, 9, 0, 0, 0, 1, 0x41, 0, 9, 1];
        let mut units = length_prefixed(&sample, LengthSize::Two);
        assert_eq!(units.next(), Some(Ok(&[0x65, 9][..])));
        assert_eq!(units.next(), Some(Ok(&[0x41][..])));
        let wrong = framing(9, "the length of a NAL unit", "reaches beyond the end");
        assert_eq!(wrong.code(), "picture-damaged");
        assert_eq!(units.next(), Some(Err(wrong)));
        assert_eq!(units.next(), None);
        let endless = [0xff; 8];
        assert!(matches!(
            length_prefixed(&endless, LengthSize::Four).next(),
            Some(Err(Error::Framing { byte: 0, .. }))
        ));
    }

    #[test]
    fn the_record_of_h264_is_read_and_cut_anywhere_is_an_error() {
        // As x264's muxer writes it, High profile, with the four bytes that follow.
        let record = [
            1, 100, 0, 31, 0xff, 0xe1, 0, 3, 0x67, 100, 0, 1, 0, 2, 0x68, 0xee, 0xfd, 0xf8, 0xf8, 0,
        ];
        let read = Configuration::read(Codec::H264, &record).unwrap();
        assert_eq!(read.length_size, LengthSize::Four);
        assert_eq!(read.units, [&[0x67, 100, 0][..], &[0x68, 0xee]]);
        for length in 0..16 {
            let cut = Configuration::read(Codec::H264, &record[..length]);
            assert!(matches!(cut, Err(Error::Framing { byte, .. }) if byte <= length));
        }
        let mut reserved = record;
        reserved[4] = 0xfe;
        assert_eq!(
            Configuration::read(Codec::H264, &reserved),
            Err(framing(4, "lengthSizeMinusOne", "2 is reserved"))
        );
    }

    #[test]
    fn the_record_of_h265_is_read_and_other_records_are_declined() {
        let mut record = vec![1; 21];
        record.extend([
            0xf1, 2, 0xa1, 0, 1, 0, 2, 0x42, 1, 0xa2, 0, 2, 0, 1, 0x44, 0, 1, 0x45,
        ]);
        let read = Configuration::read(Codec::H265, &record).unwrap();
        assert_eq!(read.length_size, LengthSize::Two);
        assert_eq!(read.units, [&[0x42, 1][..], &[0x44], &[0x45]]);
        for length in 0..record.len() {
            assert!(Configuration::read(Codec::H265, &record[..length]).is_err());
        }
        for (codec, version) in [(Codec::H264, 0), (Codec::H265, 7), (Codec::Jpeg, 1)] {
            record[0] = version;
            let refused = Configuration::read(codec, &record).unwrap_err();
            assert_eq!(refused.code(), "picture-declined");
        }
    }

    proptest! {
        #[test]
        fn what_was_joined_comes_apart(units in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..8)) {
            for size in [LengthSize::One, LengthSize::Two, LengthSize::Four] {
                let mut sample = Vec::new();
                for unit in &units {
                    let length = (unit.len() as u32).to_be_bytes();
                    sample.extend_from_slice(&length[4 - size.bytes()..]);
                    sample.extend_from_slice(unit);
                }
                let apart: Result<Vec<&[u8]>, Error> = length_prefixed(&sample, size).collect();
                prop_assert_eq!(apart.unwrap(), units.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
        }

        #[test]
        fn any_bytes_give_units_or_an_error(data in prop::collection::vec(any::<u8>(), 0..300)) {
            let taken: usize = length_prefixed(&data, LengthSize::One).flatten().map(<[u8]>::len).sum();
            prop_assert!(taken <= data.len());
            for codec in [Codec::H264, Codec::H265] {
                if let Ok(read) = Configuration::read(codec, &data) {
                    prop_assert!(read.units.iter().map(|unit| unit.len()).sum::<usize>() <= data.len());
                }
            }
        }
    }
}
