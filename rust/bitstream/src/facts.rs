//! What the gate wants to know of a picture: how many bits, at what quantiser, in which slices.

use crate::error::Error;
use crate::h264::Parameters;
use crate::length_prefixed::{Configuration, LengthSize, length_prefixed};
use crate::nal::{annex_b, h264, h265};
use crate::stream::Description;
use crate::{AccessUnit, Codec, jpeg};

/// Slices that are told apart; what a picture has more is added to the last.
pub const MAX_SLICES: usize = 16;

/// Kind of a slice; SP counts as P and SI as I.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SliceKind {
    /// Intra only.
    #[default]
    I,
    /// One reference a block.
    P,
    /// Two references a block.
    B,
}

impl SliceKind {
    /// From H.264's `slice_type`, table 7-6.
    pub(crate) fn from_slice_type(slice_type: u32) -> Option<Self> {
        match slice_type {
            0 | 3 | 5 | 8 => Some(Self::P),
            1 | 6 => Some(Self::B),
            2 | 4 | 7 | 9 => Some(Self::I),
            _ => None,
        }
    }
}

/// One slice of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceFacts {
    /// Where it begins, in macroblocks in raster order; 0 where that is not read.
    pub first_macroblock: u32,
    /// Bits of its NAL units, headers and emulation prevention included.
    pub bits: u64,
    /// The slice's QP; None where it is not read (JPEG, damage).
    pub qp: Option<i8>,
    /// What it is; I where that is not read.
    pub kind: SliceKind,
}

/// What is known of a picture without decoding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureFacts {
    /// Decoding can start here.
    pub key: bool,
    /// Bits of all slices; filler and other NAL units do not count.
    pub vcl_bits: u64,
    /// Macroblocks of the picture; 0 while that is not known.
    pub macroblocks: u32,
    /// Slices sent, also those beyond [`MAX_SLICES`].
    pub slice_count: u32,
    /// Bits of filler NAL units.
    pub filler_bits: u64,
    slices: [SliceFacts; MAX_SLICES],
}

impl PictureFacts {
    /// Facts made from slices, for tests and for sources that know them otherwise.
    #[must_use]
    pub fn new(key: bool, macroblocks: u32, slices: &[SliceFacts]) -> Self {
        let mut facts = Self::empty(key);
        facts.macroblocks = macroblocks;
        slices.iter().for_each(|slice| facts.add(*slice));
        facts
    }

    fn empty(key: bool) -> Self {
        Self {
            key,
            vcl_bits: 0,
            macroblocks: 0,
            slice_count: 0,
            filler_bits: 0,
            slices: [SliceFacts::default(); MAX_SLICES],
        }
    }

    /// The slices in the order in which they were sent; the last holds the bits of all that did not fit.
    #[must_use]
    pub fn slices(&self) -> &[SliceFacts] {
        &self.slices[..(self.slice_count as usize).min(MAX_SLICES)]
    }

    /// Mean QP of the slices that told theirs.
    #[must_use]
    pub fn qp(&self) -> Option<f32> {
        let (sum, count) = self
            .slices()
            .iter()
            .filter_map(|slice| slice.qp)
            .fold((0.0f32, 0.0f32), |(sum, count), qp| {
                (sum + f32::from(qp), count + 1.0)
            });
        (count > 0.0).then(|| sum / count)
    }

    /// Adds bits that belong to the slice before.
    fn extend(&mut self, bits: u64) {
        self.vcl_bits += bits;
        let last = self.slices().len().saturating_sub(1);
        self.slices[last].bits += bits;
    }

    fn add(&mut self, slice: SliceFacts) {
        self.vcl_bits += slice.bits;
        match self.slices.get_mut(self.slice_count as usize) {
            Some(place) => *place = slice,
            None => self.slices[MAX_SLICES - 1].bits += slice.bits,
        }
        self.slice_count = self.slice_count.saturating_add(1);
    }
}

/// Reads the access units of one stream; remembers its parameter sets.
#[derive(Debug, Default)]
pub struct Reader {
    parameters: Parameters,
    h265: crate::h265::Parameters,
    description: Option<Description>,
    active_sps: Option<u8>,
    macroblocks: u32,
    fault: Option<Error>,
}

impl Reader {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the stream says about itself, as far as it has been seen.
    #[must_use]
    pub fn description(&self) -> Option<&Description> {
        self.description.as_ref()
    }

    /// The last thing that could not be read, taken: damage costs the gate a term of its sum, not the picture.
    pub fn take_fault(&mut self) -> Option<Error> {
        self.fault.take()
    }

    /// The facts of a picture.
    ///
    /// # Errors
    /// [`Error`] only where there is no picture at all; for what is wrong inside one see [`Self::take_fault`].
    pub fn facts(&mut self, unit: &AccessUnit) -> Result<PictureFacts, Error> {
        self.read(unit.codec, &unit.data, unit.key)
    }

    /// As [`Self::facts`], of bytes that are no access unit yet; `key` is what the transport says.
    ///
    /// # Errors
    /// As [`Self::facts`].
    pub fn read(&mut self, codec: Codec, data: &[u8], key: bool) -> Result<PictureFacts, Error> {
        let mut facts = PictureFacts::empty(key);
        match codec {
            Codec::H264 => self.h264(annex_b(data), &mut facts),
            Codec::H265 => self.h265(annex_b(data), &mut facts),
            Codec::Jpeg => self.jpeg(data, &mut facts),
        }
        self.conclude(codec, data.len(), facts)
    }

    /// As [`Self::read`], of a sample of MP4 or of units as RTP joins them, each with its length in front. Parameter sets that
    /// stand in the configuration record alone are taken by [`Self::configure`] before.
    ///
    /// # Errors
    /// As [`Self::facts`]; a length that reaches too far is a fault of the picture, and what stands before it counts.
    pub fn read_length_prefixed(
        &mut self,
        codec: Codec,
        sample: &[u8],
        size: LengthSize,
        key: bool,
    ) -> Result<PictureFacts, Error> {
        let mut facts = PictureFacts::empty(key);
        let mut wrong = None;
        let units = length_prefixed(sample, size)
            .map_while(|unit| unit.map_err(|error| wrong = Some(error)).ok());
        match codec {
            Codec::H264 => self.h264(units, &mut facts),
            Codec::H265 => self.h265(units, &mut facts),
            Codec::Jpeg => {
                return Err(Error::Declined {
                    what: "JPEG with lengths in front",
                });
            }
        }
        if wrong.is_some() {
            self.fault = wrong;
        }
        self.conclude(codec, sample.len(), facts)
    }

    /// Takes the parameter sets of a decoder configuration record (`avcC`, `hvcC`); returns how long the lengths in samples are.
    ///
    /// # Errors
    /// [`Error`], where the record cannot be read; a set that cannot be is told by [`Self::take_fault`].
    pub fn configure(&mut self, codec: Codec, record: &[u8]) -> Result<LengthSize, Error> {
        let record = Configuration::read(codec, record)?;
        // Only sets are taken: a record with a slice in it makes no picture.
        let mut nothing = PictureFacts::empty(false);
        let units = record.units.into_iter();
        match codec {
            Codec::H264 => {
                let sets = |unit: &&[u8]| matches!(h264::kind(unit), h264::SPS | h264::PPS);
                self.h264(units.filter(sets), &mut nothing);
            }
            Codec::H265 => {
                let sets = |unit: &&[u8]| matches!(h265::kind(unit), h265::SPS | h265::PPS);
                self.h265(units.filter(sets), &mut nothing);
            }
            Codec::Jpeg => {}
        }
        Ok(record.length_size)
    }

    fn conclude(
        &mut self,
        codec: Codec,
        bytes: usize,
        mut facts: PictureFacts,
    ) -> Result<PictureFacts, Error> {
        if facts.slice_count == 0 {
            return Err(self
                .fault
                .take()
                .unwrap_or(Error::NoPicture { bytes, codec }));
        }
        if facts.macroblocks == 0 {
            facts.macroblocks = self.macroblocks;
        }
        self.macroblocks = facts.macroblocks;
        Ok(facts)
    }

    fn h264<'a>(&mut self, units: impl Iterator<Item = &'a [u8]>, facts: &mut PictureFacts) {
        for (number, unit) in units.enumerate() {
            let bits = 8 * unit.len() as u64;
            match h264::kind(unit) {
                h264::SPS => {
                    // The same set comes before each key picture: only a changed one is described anew.
                    self.active_sps = None;
                    let read = self.parameters.sps(unit, number);
                    self.keep(read.map(drop));
                }
                h264::PPS => {
                    let read = self.parameters.pps(unit, number);
                    self.keep(read);
                }
                h264::FILLER => facts.filler_bits += bits,
                kind @ (1 | 2 | h264::IDR) => {
                    let header = self.parameters.slice(unit, number);
                    let mut slice = SliceFacts {
                        bits,
                        ..SliceFacts::default()
                    };
                    facts.key |= kind == h264::IDR;
                    match header {
                        Ok(header) => {
                            slice.first_macroblock = header.first_macroblock;
                            slice.qp = Some(header.qp);
                            slice.kind = header.kind;
                            facts.macroblocks = header.macroblocks;
                            if self.active_sps != Some(header.sps) {
                                self.active_sps = Some(header.sps);
                                self.description = self.parameters.describe(header.sps);
                            }
                        }
                        Err(fault) => self.fault = Some(fault),
                    }
                    facts.add(slice);
                }
                // Data partitions B and C belong to the slice before.
                3 | 4 => facts.extend(bits),
                _ => {}
            }
        }
    }

    fn h265<'a>(&mut self, units: impl Iterator<Item = &'a [u8]>, facts: &mut PictureFacts) {
        for (number, unit) in units.enumerate() {
            // Other layers than the first are for those who know that they are there.
            if h265::layer(unit) > 0 {
                continue;
            }
            let bits = 8 * unit.len() as u64;
            match h265::kind(unit) {
                h265::SPS => {
                    self.active_sps = None;
                    let read = self.h265.sps(unit, number);
                    self.keep(read);
                }
                h265::PPS => {
                    let read = self.h265.pps(unit, number);
                    self.keep(read);
                }
                h265::FILLER => facts.filler_bits += bits,
                kind if h265::is_vcl(kind) => {
                    facts.key |= h265::is_irap(kind);
                    let mut slice = SliceFacts {
                        bits,
                        ..SliceFacts::default()
                    };
                    match self.h265.slice(unit, number) {
                        Ok(header) => {
                            slice.first_macroblock = header.first_macroblock;
                            facts.macroblocks = header.macroblocks;
                            self.describe_h265(header.sequence);
                            match header.slice {
                                Some((kind, qp)) => (slice.kind, slice.qp) = (kind, Some(qp)),
                                None if facts.slice_count > 0 => {
                                    facts.extend(bits);
                                    continue;
                                }
                                None => {}
                            }
                        }
                        Err(fault) => self.fault = Some(fault),
                    }
                    facts.add(slice);
                }
                _ => {}
            }
        }
    }

    fn describe_h265(&mut self, sequence: usize) {
        let id = sequence as u8;
        if self.active_sps != Some(id) {
            self.active_sps = Some(id);
            self.description = self.h265.describe(sequence);
        }
    }

    fn jpeg(&mut self, data: &[u8], facts: &mut PictureFacts) {
        facts.key = true;
        match jpeg::describe(data) {
            Ok(description) => {
                facts.macroblocks = description.macroblocks;
                facts.add(SliceFacts {
                    bits: 8 * data.len() as u64,
                    ..SliceFacts::default()
                });
                if self.description.as_ref() != Some(&description) {
                    self.description = Some(description);
                }
            }
            Err(fault) => self.fault = Some(fault),
        }
    }

    fn keep(&mut self, read: Result<(), Error>) {
        if let Err(fault) = read {
            self.fault = Some(fault);
        }
    }
}
