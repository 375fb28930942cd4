//! What a gate has learned, as bytes: so that a box that starts again need not learn its cameras anew.

use super::{
    BANDS, Gate, HIGHEST_THRESHOLD, LEARNING_GROUPS, LOWEST_THRESHOLD, Log2Bits, POSITIONS,
};

/// Raised when the layout of the bytes changes, and when what they mean does.
const VERSION: u8 = 1;

impl Gate {
    /// What it has learned, in less than 1 kB; None while it is learning.
    ///
    /// Little-endian: version, bands, macroblocks, groups, threshold, share; for each band where it begins, its level and its
    /// bits by position; QP by position.
    #[must_use]
    pub fn kept(&self) -> Option<Vec<u8>> {
        if self.groups < LEARNING_GROUPS {
            return None;
        }
        // What was learned before motion that nobody has judged yet is sound in any case.
        let usual = if self.unjudged > 0 || self.fired_in_group {
            &self.safe
        } else {
            &self.usual
        };
        let mut bytes = vec![VERSION, self.bands];
        bytes.extend(self.macroblocks.to_le_bytes());
        bytes.extend(self.groups.to_le_bytes());
        bytes.extend(self.threshold.to_le_bytes());
        bytes.extend(self.wanted_share.to_le_bytes());
        for band in 0..usize::from(self.bands) {
            bytes.extend(self.layout[band].to_le_bytes());
            bytes.extend(usual.level[band].to_le_bytes());
            bytes.extend(
                usual.bits[band]
                    .iter()
                    .flat_map(|bits| bits.0.to_le_bytes()),
            );
        }
        bytes.extend(usual.qp.iter().flat_map(|qp| qp.to_le_bytes()));
        Some(bytes)
    }

    /// A gate that goes on from what another had learned; None where the bytes are not what [`Gate::kept`] gave.
    #[must_use]
    pub fn restored(bytes: &[u8]) -> Option<Self> {
        let mut from = Bytes(bytes);
        let [version, bands] = from.next()?;
        if version != VERSION || !(1..=BANDS).contains(&usize::from(bands)) {
            return None;
        }
        let macroblocks = u32::from_le_bytes(from.next()?);
        let groups = u32::from_le_bytes(from.next()?);
        let threshold = f32::from_le_bytes(from.next()?);
        let wanted_share = f32::from_le_bytes(from.next()?);
        if macroblocks == 0 || groups < LEARNING_GROUPS || !threshold.is_finite() {
            return None;
        }
        let mut gate = Self::with_share(wanted_share);
        (gate.bands, gate.macroblocks, gate.groups) = (bands, macroblocks, groups);
        gate.threshold = threshold.clamp(LOWEST_THRESHOLD, HIGHEST_THRESHOLD);
        for band in 0..usize::from(bands) {
            gate.layout[band] = u32::from_le_bytes(from.next()?);
            let level = f32::from_le_bytes(from.next()?);
            gate.usual.level[band] = if level.is_finite() {
                level.clamp(-8.0, 8.0)
            } else {
                return None;
            };
            for at in 0..POSITIONS {
                gate.usual.bits[band][at] = Log2Bits(u16::from_le_bytes(from.next()?));
            }
        }
        for at in 0..POSITIONS {
            gate.usual.qp[at] = u16::from_le_bytes(from.next()?);
        }
        if !from.0.is_empty() {
            return None;
        }
        gate.safe = gate.usual;
        gate.decide();
        Some(gate)
    }
}

/// The rest of the bytes.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }
}
