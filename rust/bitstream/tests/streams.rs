//! Real streams, whole and mutated: what is read is right, and nothing that can be done to the bytes brings it down.

use edusense_bitstream::nal::{annex_b, h264, h265};
use edusense_bitstream::{Codec, Error, LengthSize, Reader, SliceKind};
use proptest::prelude::*;

const CABAC: &[u8] = include_bytes!("data/cabac_4_slices_100x60.h264");
const CAVLC: &[u8] = include_bytes!("data/cavlc_baseline_64x48.h264");
const FIELDS: &[u8] = include_bytes!("data/b_weighted_fields_64x64.h264");
const HEVC: &[u8] = include_bytes!("data/main_64x48.h265");
const JPEG: &[u8] = include_bytes!("data/grey_70x50.jpg");

/// Access units of a stream whose pictures have `slices` slices.
fn pictures(stream: &[u8], slices: usize) -> Vec<Vec<u8>> {
    let (mut units, mut unit, mut found) = (Vec::new(), Vec::new(), 0);
    for nal in annex_b(stream) {
        unit.extend_from_slice(&[0, 0, 0, 1]);
        unit.extend_from_slice(nal);
        found += usize::from(h264::is_vcl(h264::kind(nal)));
        if found == slices {
            units.push(std::mem::take(&mut unit));
            found = 0;
        }
    }
    units
}

#[test]
fn four_slices_of_cabac() {
    let mut reader = Reader::new();
    let units = pictures(CABAC, 4);
    assert_eq!(units.len(), 6);
    for (index, unit) in units.iter().enumerate() {
        let facts = reader.read(Codec::H264, unit, false).unwrap();
        assert_eq!(reader.take_fault(), None);
        assert_eq!(facts.key, index % 4 == 0);
        assert_eq!((facts.macroblocks, facts.slice_count), (7 * 4, 4));
        let slices = facts.slices();
        assert_eq!(
            slices
                .iter()
                .map(|slice| slice.first_macroblock)
                .collect::<Vec<_>>(),
            [0, 7, 14, 21]
        );
        assert_eq!(
            slices.iter().map(|slice| slice.bits).sum::<u64>(),
            facts.vcl_bits
        );
        let kind = if facts.key {
            SliceKind::I
        } else {
            SliceKind::P
        };
        assert!(
            slices.iter().all(
                |slice| slice.kind == kind && slice.qp.is_some_and(|qp| (15..45).contains(&qp))
            )
        );
    }
    let stream = reader.description().unwrap();
    assert_eq!(
        (
            stream.width,
            stream.height,
            stream.coded_width,
            stream.coded_height
        ),
        (100, 60, 112, 64)
    );
    assert_eq!(
        (stream.profile.as_str(), stream.entropy_coder, stream.chroma),
        ("High", Some("CABAC"), "4:2:0")
    );
    assert_eq!(stream.rate, Some(25.0));
}

#[test]
fn baseline_and_interlaced_with_b_pictures() {
    let mut reader = Reader::new();
    for unit in pictures(CAVLC, 1) {
        assert!(
            reader
                .read(Codec::H264, &unit, false)
                .unwrap()
                .qp()
                .is_some()
        );
    }
    assert_eq!(reader.description().unwrap().entropy_coder, Some("CAVLC"));
    let mut reader = Reader::new();
    let mut kinds = Vec::new();
    for unit in pictures(FIELDS, 1) {
        let facts = reader.read(Codec::H264, &unit, false).unwrap();
        assert_eq!(reader.take_fault(), None);
        assert_eq!(facts.macroblocks, 16);
        kinds.push(facts.slices()[0].kind);
    }
    assert!(
        kinds.contains(&SliceKind::B) && kinds.contains(&SliceKind::P),
        "{kinds:?}"
    );
    assert!(reader.description().unwrap().interlaced);
}

#[test]
fn other_codecs() {
    let mut reader = Reader::new();
    let facts = reader.read(Codec::H265, HEVC, false).unwrap();
    assert!(facts.key && facts.slice_count == 6 && facts.vcl_bits > 0);
    assert_eq!(reader.take_fault(), None);
    // As FFmpeg's `trace_headers` tells them.
    let slices: Vec<(SliceKind, Option<i8>)> = facts
        .slices()
        .iter()
        .map(|slice| (slice.kind, slice.qp))
        .collect();
    let (i, p) = (SliceKind::I, SliceKind::P);
    assert_eq!(
        slices,
        [(i, 41), (p, 41), (p, 41), (p, 41), (i, 39), (p, 41)].map(|(kind, qp)| (kind, Some(qp)))
    );
    let stream = reader.description().unwrap();
    assert_eq!(
        (stream.profile.as_str(), stream.level, stream.rate),
        ("Main", Some(1.0), Some(25.0))
    );
    assert_eq!(
        (stream.width, stream.height, facts.macroblocks),
        (64, 48, 12)
    );
    let mut reader = Reader::new();
    let facts = reader.read(Codec::Jpeg, JPEG, true).unwrap();
    assert_eq!(facts.macroblocks, 5 * 4);
    let stream = reader.description().unwrap();
    assert_eq!(
        (stream.width, stream.height, stream.chroma),
        (70, 50, "4:2:0")
    );
}

#[test]
fn a_slice_before_its_parameter_sets_is_still_a_picture_with_bits() {
    let slice = annex_b(CABAC)
        .find(|unit| h264::kind(unit) == h264::IDR)
        .unwrap();
    let unit = [&[0, 0, 1], slice].concat();
    let mut reader = Reader::new();
    let facts = reader.read(Codec::H264, &unit, false).unwrap();
    assert_eq!(
        (facts.key, facts.qp(), facts.vcl_bits),
        (true, None, 8 * slice.len() as u64)
    );
    let fault = reader.take_fault().unwrap();
    assert!(
        matches!(
            fault,
            Error::Missing {
                what: "picture parameter set",
                ..
            }
        ),
        "{fault}"
    );
    assert_eq!(fault.code(), "picture-damaged");
    assert!(fault.hint().is_some());
}

#[test]
fn cut_at_every_byte() {
    for (codec, stream) in [
        (Codec::H264, CABAC),
        (Codec::H264, FIELDS),
        (Codec::H265, HEVC),
        (Codec::Jpeg, JPEG),
    ] {
        for length in 0..stream.len() {
            let mut reader = Reader::new();
            if let Err(error) = reader.read(codec, &stream[..length], false) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn a_picture_of_a_million_slices() {
    let mut unit = pictures(CABAC, 4).remove(0);
    for _ in 0..1_000_000 {
        unit.extend_from_slice(&[0, 0, 1, 0x41, 0x9a]);
    }
    let facts = Reader::new().read(Codec::H264, &unit, false).unwrap();
    assert_eq!(facts.slice_count, 1_000_004);
    assert_eq!(
        facts.slices().iter().map(|slice| slice.bits).sum::<u64>(),
        facts.vcl_bits
    );
}

/// Bits as they are written by hand: `u` of a width, `ue` as Exp-Golomb.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn u(mut self, width: u32, value: u32) -> Self {
        self.0
            .extend((0..width).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    fn ue(self, value: u32) -> Self {
        let width = (value + 1).ilog2();
        self.u(width, 0).u(width + 1, value + 1)
    }

    /// The NAL unit with its start code, its trailing bit, and no need for emulation prevention.
    fn unit(self, header: u8) -> Vec<u8> {
        let mut bits = self.u(1, 1).0;
        bits.resize(bits.len().next_multiple_of(8), false);
        let bytes = bits
            .chunks(8)
            .map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
        [0, 0, 1, header].into_iter().chain(bytes).collect()
    }
}

/// A baseline sequence parameter set of 64 × 48, cropped by so many pairs of columns at its left and right.
fn sps(crop: u32) -> Vec<u8> {
    let start = Bits::default().u(8, 66).u(8, 0).u(8, 30);
    let size = start.ue(0).ue(0).ue(2).ue(1).u(1, 0).ue(3).ue(2);
    let cropped = size.u(3, 0b111).ue(crop).ue(crop).ue(0).ue(0);
    cropped.u(1, 0).unit(0x67)
}

/// A picture parameter set with so many slice groups less one, interleaved.
fn pps(groups: u32) -> Vec<u8> {
    let mut bits = Bits::default().ue(0).ue(0).u(2, 0).ue(groups);
    if groups > 0 {
        bits = bits.ue(0);
        for _ in 0..=groups {
            bits = bits.ue(0);
        }
    }
    bits.ue(0)
        .ue(0)
        .u(3, 0)
        .ue(0)
        .ue(0)
        .ue(0)
        .u(3, 0)
        .unit(0x68)
}

#[test]
fn a_picture_that_is_cropped_to_nothing_is_damage() {
    // IDR, first macroblock 0, I, parameter set 0, frame number 0, picture 0, QP unchanged.
    let slice = Bits::default()
        .ue(0)
        .ue(7)
        .ue(0)
        .u(4, 0)
        .ue(0)
        .u(2, 0)
        .ue(0);
    let slice = slice.u(16, 0x5555).unit(0x65);
    let read = |crop| {
        let mut reader = Reader::new();
        let data = [sps(crop), pps(0), slice.clone()].concat();
        let facts = reader.read(Codec::H264, &data, false).unwrap();
        let size = reader.description().map(|told| (told.width, told.height));
        (size, facts.macroblocks, reader.take_fault())
    };
    assert_eq!(read(8), (Some((32, 48)), 12, None));
    for crop in [16, 17, 1 << 23] {
        let (size, macroblocks, fault) = read(crop);
        assert_eq!((size, macroblocks), (None, 0));
        assert!(fault.is_some());
    }
}

#[test]
fn slice_groups_are_declined() {
    let mut reader = Reader::new();
    let data = [sps(0), pps(7), vec![0, 0, 1, 0x41, 0x9a]].concat();
    reader.read(Codec::H264, &data, false).unwrap();
    // The slice's own fault comes last: it refers to a set that was not kept.
    assert!(matches!(reader.take_fault(), Some(Error::Missing { .. })));
    let mut reader = Reader::new();
    let refused = reader.read(Codec::H264, &[sps(0), pps(7)].concat(), false);
    assert!(
        matches!(refused, Err(Error::Declined { .. })),
        "{refused:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn rubbish(data in prop::collection::vec(any::<u8>(), 0..600), codec in 0usize..3) {
        let codec = [Codec::H264, Codec::H265, Codec::Jpeg][codec];
        let _ = Reader::new().read(codec, &data, false);
    }

    #[test]
    fn parameter_sets_of_rubbish(sps in prop::collection::vec(any::<u8>(), 0..60), pps in prop::collection::vec(any::<u8>(), 0..30), slice in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut data = Vec::new();
        for (header, body) in [(0x67, &sps), (0x68, &pps), (0x65, &slice), (0x41, &slice)] {
            data.extend_from_slice(&[0, 0, 1, header]);
            data.extend_from_slice(body);
        }
        let _ = Reader::new().read(Codec::H264, &data, false);
    }

    #[test]
    fn parameter_sets_of_rubbish_in_h265(sps in prop::collection::vec(any::<u8>(), 0..80), pps in prop::collection::vec(any::<u8>(), 0..30), slice in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut data = Vec::new();
        for (header, body) in [(0x42, &sps), (0x44, &pps), (0x26, &slice), (0x02, &slice)] {
            data.extend_from_slice(&[0, 0, 1, header, 1]);
            data.extend_from_slice(body);
        }
        let _ = Reader::new().read(Codec::H265, &data, false);
    }

    #[test]
    fn flipped_bits(which in 0usize..5, flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..12)) {
        let (codec, stream) = [(Codec::H264, CABAC), (Codec::H264, CAVLC), (Codec::H264, FIELDS), (Codec::Jpeg, JPEG), (Codec::H265, HEVC)][which];
        let mut data = stream.to_vec();
        for (at, bit) in flips {
            // The first bytes hold what matters most: parameter sets and the first slice header.
            let at = at.index(data.len().min(120));
            data[at] ^= 1 << bit;
        }
        let mut reader = Reader::new();
        let _ = reader.read(codec, &data, false);
        let _ = reader.take_fault().map(|fault| fault.to_string());
    }
}

/// A stream's parameter sets as its decoder configuration record holds them, with lengths of four bytes.
fn record(codec: Codec, stream: &[u8]) -> Vec<u8> {
    let mut arrays: std::collections::BTreeMap<u8, Vec<&[u8]>> = Default::default();
    for nal in annex_b(stream) {
        let kind = match codec {
            Codec::H265 => h265::kind(nal),
            _ => h264::kind(nal),
        };
        let known = match codec {
            Codec::H265 => matches!(kind, h265::SPS | h265::PPS),
            _ => matches!(kind, h264::SPS | h264::PPS),
        };
        let sets = arrays.entry(kind).or_default();
        if known && !sets.contains(&nal) {
            sets.push(nal);
        }
    }
    arrays.retain(|_, sets| !sets.is_empty());
    let mut record = match codec {
        Codec::H265 => [&[1u8; 21][..], &[3, arrays.len() as u8]].concat(),
        _ => vec![1, 100, 0, 31, 0xff],
    };
    for (kind, sets) in &arrays {
        match codec {
            Codec::H265 => record.extend([*kind, 0, sets.len() as u8]),
            _ => record.push(sets.len() as u8),
        }
        for set in sets {
            record.extend((set.len() as u16).to_be_bytes());
            record.extend_from_slice(set);
        }
    }
    record
}

#[test]
fn lengths_in_front_tell_the_same_as_start_codes() {
    for (codec, stream, slices) in [
        (Codec::H264, CABAC, 4),
        (Codec::H264, CAVLC, 1),
        (Codec::H265, HEVC, 1),
    ] {
        let (mut by_codes, mut by_lengths) = (Reader::new(), Reader::new());
        let size = by_lengths.configure(codec, &record(codec, stream)).unwrap();
        assert_eq!((size, by_lengths.take_fault()), (LengthSize::Four, None));
        let pictures = if codec == Codec::H265 {
            vec![stream.to_vec()]
        } else {
            pictures(stream, slices)
        };
        assert!(!pictures.is_empty());
        for picture in pictures {
            let mut sample = Vec::new();
            // The sets come from the record alone.
            let vcl = annex_b(&picture).filter(|nal| match codec {
                Codec::H265 => h265::is_vcl(h265::kind(nal)),
                _ => h264::is_vcl(h264::kind(nal)),
            });
            for nal in vcl {
                sample.extend((nal.len() as u32).to_be_bytes());
                sample.extend_from_slice(nal);
            }
            let expected = by_codes.read(codec, &picture, false).unwrap();
            let facts = by_lengths
                .read_length_prefixed(codec, &sample, size, false)
                .unwrap();
            assert_eq!(facts, expected);
            assert_eq!(by_lengths.take_fault(), None);
            sample.extend([0, 0, 1, 0, 7]);
            let facts = by_lengths
                .read_length_prefixed(codec, &sample, size, false)
                .unwrap();
            assert_eq!(facts, expected);
            let fault = by_lengths.take_fault();
            assert!(matches!(fault, Some(Error::Framing { byte, .. }) if byte == sample.len() - 5));
        }
        assert_eq!(by_lengths.description(), by_codes.description());
    }
}
