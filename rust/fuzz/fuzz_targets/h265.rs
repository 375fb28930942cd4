//! NAL units of H.265, as far as they are read: which are slices, and how large.
#![no_main]

use edusense_bitstream::{Codec, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new();
    for picture in data.chunks(4096) {
        if let Ok(facts) = reader.read(Codec::H265, picture, false) {
            assert!(facts.vcl_bits <= 8 * picture.len() as u64);
            assert!(facts.slice_count > 0);
        }
    }
});
