//! What a watch knows of its place: where things moved, and what the gate has learned.

use edusense_bitstream::AccessUnit;
use edusense_motion::Heat;

use super::{CameraWatch, Part};
use crate::timeline::TICKS;

/// Pictures further apart than this have nothing to say about each other: as for the detector.
const APART_S: f64 = 10.0;

impl CameraWatch {
    /// Where things moved so far, and which places mask themselves. None before the first look, and while the detector is away
    /// with one.
    #[must_use]
    pub fn heat(&self) -> Option<Heat> {
        self.detector.as_ref()?.heat()
    }

    /// What the gate has learned, to be kept over a restart; None while there is nothing.
    #[must_use]
    pub fn kept_gate(&self) -> Option<Vec<u8>> {
        self.gating.kept()
    }

    /// Goes on from what a gate had learned. False, and nothing changed, where pictures have come already, or the bytes are not
    /// what [`CameraWatch::kept_gate`] gave.
    pub fn restore_gate(&mut self, bytes: &[u8]) -> bool {
        self.counts.received == 0 && self.gating.restore(bytes)
    }

    /// The key picture before a part, where the detector has seen nothing for so long that it could not compare the part's own
    /// with anything.
    pub(super) fn key_before(&self, part: Part) -> Option<AccessUnit> {
        let near = |pts: i64| {
            let apart_s = part.start_pts.saturating_sub(pts) as f64 / TICKS;
            (0.0..APART_S).contains(&apart_s)
        };
        if self.seen_pts.is_some_and(near) {
            return None;
        }
        let before = self
            .buffer
            .gops()
            .rev()
            .skip_while(|gop| gop.serial >= part.serial)
            .find_map(|gop| gop.units.iter().find(|unit| unit.au.key))?;
        near(before.au.pts).then(|| before.au.clone())
    }
}
