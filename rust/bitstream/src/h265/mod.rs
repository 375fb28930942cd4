//! H.265: parameter sets (clause 7.3.2) and slice segment headers down to the slice's QP (7.3.6).
//!
//! ```text
//! unit ─▶ sets: sequence and picture parameter sets, as far as a slice header depends on them
//!           ├▶ references: short-term reference picture sets (7.3.7), which say how long some elements are
//!           └▶ slice: slice_segment_header() down to slice_qp_delta
//! ```
//!
//! Read is Main, Main 10 and the range extensions, of the base layer. What the extensions for screen content, several layers and 3D
//! add to slice headers is not: their slices have no QP here, and all else that is told of them holds.

mod references;
mod sets;
mod slice;

use h264_reader::rbsp::BitReaderError;

use crate::bits::{At, Bits};
use crate::error::{Error, Place};
use crate::nal::h265::kind;
use crate::stream::Description;

pub(crate) use sets::{Picture, Sequence};
pub(crate) use slice::SliceHeader;

/// Ids there are: of sequence, and of picture parameter sets (7.4.3.2, 7.4.3.3).
const SEQUENCES: usize = 16;
const PICTURES: usize = 64;

/// Parameter sets as they were sent.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    sequences: Vec<Option<Sequence>>,
    pictures: Vec<Option<Picture>>,
}

impl Parameters {
    /// Takes a sequence parameter set, the `number`th unit of its access unit.
    pub(crate) fn sps(&mut self, unit: &[u8], number: usize) -> Result<(), Error> {
        let (id, set) = read(unit, number, Sequence::read)?;
        self.sequences.resize(SEQUENCES, None);
        if let Some(place) = self.sequences.get_mut(id) {
            *place = Some(set);
        }
        Ok(())
    }

    /// Takes a picture parameter set, the `number`th unit of its access unit.
    pub(crate) fn pps(&mut self, unit: &[u8], number: usize) -> Result<(), Error> {
        let (id, set) = read(unit, number, Picture::read)?;
        self.pictures.resize(PICTURES, None);
        if let Some(place) = self.pictures.get_mut(id) {
            *place = Some(set);
        }
        Ok(())
    }

    /// The sets that a slice with this `slice_pic_parameter_set_id` refers to.
    fn active(&self, id: u32) -> Result<(&Sequence, &Picture), Fault> {
        let picture = self.pictures.get(id as usize).and_then(Option::as_ref);
        let picture = picture.ok_or(Fault::Missing("picture parameter set", id))?;
        let sequence = self
            .sequences
            .get(picture.sequence)
            .and_then(Option::as_ref);
        let sequence = sequence.ok_or(Fault::Missing(
            "sequence parameter set",
            picture.sequence as u32,
        ))?;
        Ok((sequence, picture))
    }

    /// Reads a slice segment header down to its QP.
    pub(crate) fn slice(&self, unit: &[u8], number: usize) -> Result<SliceHeader, Error> {
        read(unit, number, |bits| {
            SliceHeader::read(self, kind(unit), bits)
        })
    }

    /// What the sequence parameter set says of the stream.
    pub(crate) fn describe(&self, sequence: usize) -> Option<Description> {
        self.sequences
            .get(sequence)?
            .as_ref()
            .map(Sequence::describe)
    }
}

/// Why something cannot be read; the place is added by [`read`].
enum Fault {
    Bits(BitReaderError),
    Value(String),
    Missing(&'static str, u32),
    Declined(&'static str),
}

impl From<BitReaderError> for Fault {
    fn from(error: BitReaderError) -> Self {
        Self::Bits(error)
    }
}

/// A value outside what the standard allows, or what can be meant.
fn impossible<T>(value: impl ToString) -> Result<T, Fault> {
    Err(Fault::Value(value.to_string()))
}

/// Reads the payload of a unit behind its header of two bytes; says where it went wrong.
fn read<T>(
    unit: &[u8],
    number: usize,
    reader: impl FnOnce(&mut Bits<'_>) -> Result<T, Fault>,
) -> Result<T, Error> {
    let mut at = At::default();
    let payload = unit.get(1..).unwrap_or_default();
    let fault = match reader(&mut Bits::new(payload, &mut at)) {
        Ok(read) => return Ok(read),
        Err(fault) => fault,
    };
    let place = Place {
        unit: number,
        kind: kind(unit),
        bit: at.bit,
    };
    let element = at.element;
    Err(match fault {
        Fault::Declined(what) => Error::Declined { what },
        Fault::Missing(what, id) => Error::Missing { place, what, id },
        Fault::Value(detail) => Error::Value {
            place,
            element,
            detail,
        },
        Fault::Bits(BitReaderError::ExpGolombTooLarge(element)) => Error::Value {
            place,
            element,
            detail: "too large for anything".to_owned(),
        },
        Fault::Bits(_) if at.ended => Error::Ended { place, element },
        Fault::Bits(_) => Error::Value {
            place,
            element,
            detail: "not the byte sequence of a payload".to_owned(),
        },
    })
}

/// Bits that a number below `count` takes: `Ceil(Log2(count))`.
fn bits_for(count: u32) -> u32 {
    count.max(1).next_power_of_two().trailing_zeros()
}
