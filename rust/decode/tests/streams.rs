//! Small streams, whole and mutated: luma equals FFmpeg's and libjpeg's, and nothing that can be done to the bytes brings it down.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use edusense_bitstream::{AccessUnit, Codec};
use edusense_decode::{Decoder, Detail, Gather, H264Intra, JpegEighth, Luma, Refusal, jpeg_eighth};
use proptest::prelude::*;

/// Name, bytes, width, height, checksum of luma.
type Sample = (&'static str, &'static [u8], usize, usize, u64);

/// Luma by FFmpeg 8 with `skip_loop_filter=all`; the raw ones are macroblocks of type I_PCM, written by hand.
#[rustfmt::skip]
const H264: &[Sample] = &[
    ("cabac_high_jvt_3_slices_100x60.h264", include_bytes!("data/cabac_high_jvt_3_slices_100x60.h264"), 100, 60, 0x51177b554d07c6f9),
    ("cabac_main_70x50.h264", include_bytes!("data/cabac_main_70x50.h264"), 70, 50, 0x263ab82c7d4cb92e),
    ("cavlc_high_100x60.h264", include_bytes!("data/cavlc_high_100x60.h264"), 100, 60, 0xeb7e2a2848409d9f),
    ("cavlc_baseline_64x48.h264", include_bytes!("data/cavlc_baseline_64x48.h264"), 64, 48, 0xc6dec47944c2d62b),
    ("cabac_grey_66x34.h264", include_bytes!("data/cabac_grey_66x34.h264"), 66, 34, 0xfabb9fa75e23100),
    ("cabac_raw_32x16.h264", include_bytes!("data/cabac_raw_32x16.h264"), 32, 16, 0x5a73f5a990e359bf),
    ("cavlc_raw_32x16.h264", include_bytes!("data/cavlc_raw_32x16.h264"), 32, 16, 0x5a73f5a990e359bf),
];

/// Luma by libjpeg at a scale of 1/8.
#[rustfmt::skip]
const JPEG: &[Sample] = &[
    ("420_restart_90x60.jpg", include_bytes!("data/420_restart_90x60.jpg"), 12, 8, 0x2054dcdf7cb638ea),
    ("422_90x60.jpg", include_bytes!("data/422_90x60.jpg"), 12, 8, 0xdc7341451bb9e3e3),
];

/// FNV-1a.
fn checksum(luma: &Luma) -> u64 {
    luma.data.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

fn unit(data: &[u8], key: bool) -> AccessUnit {
    AccessUnit {
        codec: Codec::H264,
        data: bytes::Bytes::copy_from_slice(data),
        pts: 0,
        received_s: 0.0,
        key,
        loss: 0,
    }
}

fn decoded(data: &[u8]) -> Result<Luma, Refusal> {
    let (mut luma, mut gather) = (None, Gather::default());
    H264Intra.decode(
        &[unit(data, true)],
        &|_| true,
        Detail::Whole,
        &mut |_, band| {
            luma = gather.push(band);
        },
    )?;
    Ok(luma.expect("a picture or a refusal"))
}

#[test]
fn luma_is_what_others_make() {
    for (name, data, width, height, sum) in H264 {
        let luma = decoded(data).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(
            (luma.width, luma.height, checksum(&luma)),
            (*width, *height, *sum),
            "{name}"
        );
    }
    for (name, data, width, height, sum) in JPEG {
        let luma = jpeg_eighth(data)
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .luma;
        assert_eq!(
            (luma.width, luma.height, checksum(&luma)),
            (*width, *height, *sum),
            "{name}"
        );
    }
}

#[test]
fn runs_of_which_more_than_key_pictures_are_wanted_are_left_to_others() {
    let run = [
        unit(H264[0].1, true),
        unit(b"", false),
        unit(H264[1].1, true),
    ];
    let mut seen = Vec::new();
    let all = H264Intra.decode(&run, &|_| true, Detail::Motion, &mut |index, _| {
        seen.push(index);
    });
    assert!(matches!(all, Err(Refusal::Declined { .. })));
    assert!(seen.is_empty());
    H264Intra
        .decode(
            &run,
            &|index| index != 1,
            Detail::Motion,
            &mut |index, band| seen.extend(band.is_last().then_some(index)),
        )
        .unwrap();
    assert_eq!(seen, [0, 2]);
}

#[test]
fn a_damaged_jpeg_costs_no_other_picture() {
    let jpeg = |data: &[u8]| AccessUnit {
        codec: Codec::Jpeg,
        ..unit(data, true)
    };
    let (whole, other) = (JPEG[0].1, JPEG[1].1);
    let run = [jpeg(whole), jpeg(&whole[..whole.len() - 40]), jpeg(other)];
    let mut seen = Vec::new();
    let mut sink = |index, band: edusense_decode::Band<'_>| {
        assert_eq!((band.shape().width, band.shape().height), (90, 60));
        assert_eq!(
            (band.shape().scale, band.rows().width(), band.is_last()),
            (8, 12, true)
        );
        seen.push(index);
    };
    let refused = JpegEighth.decode(&run, &|_| true, Detail::Motion, &mut sink);
    assert!(
        matches!(&refused, Err(Refusal::Damaged { index: 1, reason }) if reason.contains("luma blocks")),
        "{refused:?}"
    );
    assert!(matches!(
        JpegEighth.decode(&run, &|_| true, Detail::Whole, &mut sink),
        Err(Refusal::Declined { .. })
    ));
    assert_eq!(seen, [0, 2]);
}

#[test]
fn every_cut_is_told() {
    for (name, data, ..) in H264 {
        for length in 0..data.len() {
            let cut = decoded(&data[..length]);
            // Zeros at the end belong to no unit, and a stop bit may be all that is missing.
            let whole = length + 2 >= data.len();
            assert!(
                whole || cut.is_err(),
                "{name}: {length} of {} bytes",
                data.len()
            );
        }
    }
    for (name, data, _, height, _) in JPEG {
        for length in 0..data.len() - 3 {
            if let Ok(picture) = jpeg_eighth(&data[..length]) {
                assert!(
                    picture.cut.is_some(),
                    "{name}: {length} of {} bytes",
                    data.len()
                );
                assert!(picture.luma.height <= *height);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn mutated_bytes_give_a_picture_or_a_reason(
        which in 0..H264.len() + JPEG.len(),
        cut in 0usize..4000,
        changes in prop::collection::vec((0usize..4000, any::<u8>()), 1..8),
    ) {
        let (_, data, ..) = H264.iter().chain(JPEG).nth(which).unwrap();
        let mut data = data.to_vec();
        for (at, value) in changes {
            let length = data.len();
            data[at % length] ^= value;
        }
        if cut % 3 == 0 {
            data.truncate(cut);
        }
        drop(decoded(&data));
        drop(jpeg_eighth(&data));
    }

    #[test]
    fn random_slices_give_a_picture_or_a_reason(which in 0..H264.len(), keep in 0usize..24, noise in prop::collection::vec(any::<u8>(), 0..900)) {
        let (_, data, ..) = H264[which];
        let slice = data.windows(4).rposition(|bytes| bytes[..3] == [0, 0, 1] && bytes[3] & 31 == 5).unwrap();
        let mut data = data[..data.len().min(slice + 4 + keep)].to_vec();
        data.extend_from_slice(&noise);
        drop(decoded(&data));
    }
}
