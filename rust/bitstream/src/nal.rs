//! NAL units in a byte stream: ITU-T H.264 and H.265, Annex B.

use memchr::memmem;

/// NAL units of an Annex B byte stream, without start codes and without the zero bytes around them.
///
/// Borrows; bytes before the first start code are passed over, empty units too.
pub fn annex_b(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut starts = memmem::find_iter(data, b"\0\0\x01")
        .map(|at| at + 3)
        .peekable();
    std::iter::from_fn(move || {
        let start = starts.next()?;
        let end = starts.peek().map_or(data.len(), |next| next - 3);
        Some(trimmed(&data[start..end]))
    })
    .filter(|unit| !unit.is_empty())
}

/// `trailing_zero_8bits` and the fourth byte of the next start code belong to no unit.
fn trimmed(unit: &[u8]) -> &[u8] {
    let end = unit
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    &unit[..end]
}

/// What a NAL unit of H.264 is (`nal_unit_type`, table 7-1), as far as it matters here.
pub mod h264 {
    /// `nal_unit_type` of a unit that is not empty.
    #[must_use]
    pub fn kind(unit: &[u8]) -> u8 {
        unit.first().map_or(0, |header| header & 0x1f)
    }

    /// Coded slice data: the picture itself (a slice, its partitions, an IDR slice).
    #[must_use]
    pub fn is_vcl(kind: u8) -> bool {
        (1..=5).contains(&kind)
    }

    /// Slice of an IDR picture.
    pub const IDR: u8 = 5;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
    /// Filler data: makes a constant bit rate look constant.
    pub const FILLER: u8 = 12;
}

/// What a NAL unit of H.265 is (`nal_unit_type`, table 7-1), as far as it matters here.
pub mod h265 {
    /// `nal_unit_type` of a unit that is not empty.
    #[must_use]
    pub fn kind(unit: &[u8]) -> u8 {
        unit.first().map_or(0, |header| header >> 1 & 0x3f)
    }

    /// Coded slice segments.
    #[must_use]
    pub fn is_vcl(kind: u8) -> bool {
        kind < 32
    }

    /// Pictures at which decoding can start (IRAP).
    #[must_use]
    pub fn is_irap(kind: u8) -> bool {
        (16..24).contains(&kind)
    }

    /// Pictures behind which no earlier one is referred to (IDR).
    #[must_use]
    pub fn is_idr(kind: u8) -> bool {
        matches!(kind, 19 | 20)
    }

    /// `nuh_layer_id` of a unit: 0 in streams of one layer.
    #[must_use]
    pub fn layer(unit: &[u8]) -> u8 {
        match unit {
            [first, second, ..] => (first & 1) << 5 | second >> 3,
            _ => 0,
        }
    }

    /// Video parameter set.
    pub const VPS: u8 = 32;
    /// Sequence parameter set.
    pub const SPS: u8 = 33;
    /// Picture parameter set.
    pub const PPS: u8 = 34;
    /// Filler data: makes a constant bit rate look constant.
    pub const FILLER: u8 = 38;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_found_whatever_the_start_codes() {
        let data = [
            9, 9, 0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 0, 1, 0, 0, 1, 0x65, 0, 0, 3,
            1, 0, 0,
        ];
        let units: Vec<&[u8]> = annex_b(&data).collect();
        assert_eq!(units, [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 0, 0, 3, 1]]);
        assert_eq!(annex_b(&[]).count(), 0);
        assert_eq!(annex_b(&[0, 0, 1]).count(), 0);
    }

    proptest! {
        #[test]
        fn what_was_joined_comes_apart(units in prop::collection::vec(prop::collection::vec(1u8..=255, 1..40), 0..8), four: bool) {
            let mut data = Vec::new();
            for unit in &units {
                data.extend_from_slice(if four { &[0, 0, 0, 1] } else { &[0, 0, 1] });
                data.extend_from_slice(unit);
            }
            prop_assert_eq!(annex_b(&data).map(<[u8]>::to_vec).collect::<Vec<_>>(), units);
        }
    }
}
