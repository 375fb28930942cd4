//! An access unit of H.264 to luma: whole pictures in bands without gaps, or a reason.
#![no_main]

use bytes::Bytes;
use edusense_bitstream::{AccessUnit, Codec};
use edusense_decode::{Decoder, Detail, H264Intra, Refusal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let unit = AccessUnit {
        codec: Codec::H264,
        data: Bytes::copy_from_slice(data),
        pts: 0,
        received_s: 0.0,
        key: true,
        loss: 0,
    };
    let (mut rows, mut last) = (0, false);
    let answer = H264Intra.decode(&[unit], &|_| true, Detail::Motion, &mut |index, band| {
        assert_eq!((index, band.top()), (0, rows));
        rows += band.rows().height();
        last = band.is_last();
    });
    match answer {
        Ok(()) => assert!(last, "a picture without an end"),
        Err(refusal) => {
            assert!(!last, "a whole picture, and refused");
            assert!(!matches!(refusal, Refusal::Failed { .. }));
            assert!(!refusal.to_string().is_empty());
        }
    }
});
