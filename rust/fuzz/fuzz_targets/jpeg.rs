//! Markers of JPEG up to the frame header.
#![no_main]

use edusense_bitstream::{Codec, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new();
    match reader.read(Codec::Jpeg, data, true) {
        Ok(facts) => {
            let described = reader
                .description()
                .expect("a picture with facts is described");
            assert!(described.width > 0 && described.height > 0);
            assert_eq!(facts.macroblocks, described.macroblocks);
        }
        Err(fault) => drop((fault.to_string(), fault.hint())),
    }
});
