//! The gate: any facts in any order, with any verdicts.
#![no_main]

use arbitrary::Arbitrary;
use edusense_bitstream::{PictureFacts, SliceFacts, SliceKind};
use edusense_motion::Gate;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Picture {
    key: bool,
    macroblocks: u32,
    slices: Vec<(u32, u32, Option<i8>, u8)>,
    ends: Option<Option<bool>>,
    times: u8,
}

fuzz_target!(|pictures: Vec<Picture>| {
    let mut gate = Gate::new();
    for picture in pictures.iter().take(64) {
        let slices: Vec<SliceFacts> = picture
            .slices
            .iter()
            .take(40)
            .map(|(first_macroblock, bits, qp, kind)| SliceFacts {
                first_macroblock: *first_macroblock,
                bits: u64::from(*bits),
                qp: *qp,
                kind: [SliceKind::I, SliceKind::P, SliceKind::B][usize::from(*kind) % 3],
            })
            .collect();
        let facts = PictureFacts::new(picture.key, picture.macroblocks, &slices);
        for _ in 0..=picture.times % 32 {
            let reading = gate.push(facts);
            assert!(reading.level.is_finite() && reading.threshold.is_finite());
            if let Some(verdict) = picture.ends {
                gate.end_of_gop(verdict);
            }
        }
        assert!(gate.noise().is_none_or(|noise| !noise.is_nan()));
    }
});
