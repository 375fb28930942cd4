//! Annex B, parameter sets and slice headers of H.264, several pictures through one reader, then the gate.
#![no_main]

use edusense_bitstream::{Codec, MAX_SLICES, Reader};
use edusense_motion::Gate;
use libfuzzer_sys::fuzz_target;

/// Longer than any start code, so that a mutation rarely makes one; pictures are told apart by it.
const NEXT_PICTURE: &[u8] = b"\0\0\x01\x09\xf0";

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new();
    let mut gate = Gate::new();
    let mut from = 0;
    let ends = data
        .windows(NEXT_PICTURE.len())
        .enumerate()
        .filter(|(_, window)| *window == NEXT_PICTURE)
        .map(|(at, _)| at)
        .chain([data.len()]);
    for end in ends {
        let picture = &data[from..end];
        from = end;
        let Ok(facts) = reader.read(Codec::H264, picture, false) else {
            continue;
        };
        assert!(facts.slices().len() <= MAX_SLICES);
        assert!(facts.vcl_bits <= 8 * picture.len() as u64);
        // A group is learned from six pictures on: the same one again and again brings the gate there.
        for _ in 0..16 {
            if facts.key {
                gate.end_of_gop(None);
            }
            let reading = gate.push(facts);
            assert!(reading.level.is_finite() && reading.threshold.is_finite());
        }
        gate.end_of_gop(Some(from % 2 == 0));
        assert!(gate.noise().is_none_or(f32::is_finite));
        let _ = reader
            .take_fault()
            .map(|fault| (fault.to_string(), fault.code(), fault.hint()));
        if let Some(described) = reader.description() {
            assert!(described.width > 0 && described.height > 0);
            assert!(
                described
                    .rate
                    .is_none_or(|rate| rate.is_finite() && rate > 0.0)
            );
        }
    }
});
