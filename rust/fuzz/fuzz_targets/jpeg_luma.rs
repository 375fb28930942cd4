//! A JPEG at an eighth: a picture, a part of one that says where it ended, or a reason.
#![no_main]

use edusense_decode::jpeg_eighth;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| match jpeg_eighth(data) {
    Ok(picture) => {
        let luma = &picture.luma;
        assert_eq!(luma.data.len(), luma.width * luma.height);
        assert_eq!(luma.width, picture.width.div_ceil(8));
        let rows = picture.height.div_ceil(8);
        assert!(luma.height == rows || luma.height < rows && picture.cut.is_some());
    }
    Err(error) => assert!(!error.to_string().is_empty()),
});
