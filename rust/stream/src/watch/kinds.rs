//! What a watch is told, what it wants, and what it says.

use std::collections::BTreeMap;

use edusense_motion::{Region, Settings};

use crate::budget::Budget;
use crate::look::{Depth, Shot};

/// How a camera is watched.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// Of the detector and the tracker.
    pub motion: Settings,
    /// Whether the gate is asked at all.
    pub gate: bool,
    /// Longest time between two pictures that the detector is shown.
    pub step_s: f64,
    /// Least media kept compressed, as far as it fits into `buffer_bytes`.
    pub buffer_s: f64,
    /// Most compressed bytes kept.
    pub buffer_bytes: usize,
    /// A group that lasts longer is looked at before it ends.
    pub long_gop_s: f64,
    /// In parts of this length.
    pub slice_s: f64,
    /// Time between two parts that are looked at whatever the gate says, so that it is known what it does not see; 0: never.
    pub probe_s: f64,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            motion: Settings::default(),
            gate: true,
            step_s: 0.2,
            buffer_s: 10.0,
            buffer_bytes: 16 << 20,
            long_gop_s: 4.0,
            slice_s: 2.0,
            probe_s: 60.0,
        }
    }
}

/// What a watch found. Times are those of the pictures: Unix seconds, or media seconds of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent {
    /// The gate holds that something moves.
    Suspected {
        /// Number of the event, one camera's own.
        id: u64,
        /// When the gate fired.
        at_s: f64,
    },
    /// Pixels moved.
    Confirmed {
        /// Number of the event; that of the suspicion, where there was one.
        id: u64,
        /// When it began.
        start_s: f64,
        /// How clear, 0 to 1, so far.
        score: f32,
        /// Where, so far: pixels of the cropped picture.
        regions: Vec<Region>,
    },
    /// A confirmed event goes on: one look of a camera that is followed.
    Moving {
        /// Number of the event.
        id: u64,
        /// The picture's time.
        at_s: f64,
        /// How clear in this look, 0 to 1.
        score: f32,
        /// Where in this look: pixels of the cropped picture.
        regions: Vec<Region>,
        /// Numbers of what moves, one for each region: the same from look to look.
        tracks: Vec<u64>,
    },
    /// Pixels did not move, or could not be looked at.
    Withdrawn {
        /// Number of the event.
        id: u64,
        /// When the gate last fired.
        at_s: f64,
        /// Why.
        reason: &'static str,
    },
    /// A confirmed event is over.
    Ended {
        /// Number of the event.
        id: u64,
        /// When it began.
        start_s: f64,
        /// When it ended.
        end_s: f64,
        /// How clear at its clearest, 0 to 1.
        score: f32,
        /// Where: pixels of the cropped picture.
        regions: Vec<Region>,
    },
}

/// How much a camera wants to be looked at; the first comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Something moves, or may.
    Urgent,
    /// A gate that is not quite believed fired: looked at before others, within the same budget.
    Ordered,
    /// The gate cannot be relied on yet, or at all.
    Untrusted,
    /// The gate says that nothing moves.
    Spare,
}

/// A wish to be looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Want {
    /// How much.
    pub urgency: Urgency,
    /// Since when, or when it was looked at last: the smaller, the sooner.
    pub since_s: f64,
    /// What looking at all of it will cost, in CPU seconds, by experience.
    pub whole_s: f64,
    /// What looking at its key picture will cost.
    pub key_s: f64,
}

/// What a camera's watch counts.
#[derive(Clone, Debug, Default)]
pub struct WatchCounts {
    /// Pictures received.
    pub received: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Pictures shown to the detector.
    pub looked_at: u64,
    /// Pictures decoded for that.
    pub decoded: u64,
    /// Pictures decoded, by decoder.
    pub decoders: BTreeMap<&'static str, u64>,
    /// Pictures not looked at, by reason: `budget`, `late`, `undecodable`, `no-key-picture`, `too-long`.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Packets lost on the way.
    pub lost: u64,
    /// Events confirmed.
    pub events: u64,
    /// CPU seconds of looks.
    pub cpu_s: f64,
}

/// What came back with a look.
#[derive(Default)]
pub struct Outcome {
    /// News, in order.
    pub events: Vec<WatchEvent>,
    /// The clearest pictures so far of confirmed events.
    pub shots: Vec<(u64, Shot)>,
}

/// How deep a look the budget bears. What is urgent is looked at whatever the budget says.
#[must_use]
pub fn afford(want: &Want, budget: &Budget) -> Option<Depth> {
    if !budget.is_short() && budget.allows(want.whole_s) {
        Some(Depth::Whole)
    } else if want.urgency == Urgency::Urgent {
        Some(Depth::Moving)
    } else {
        budget.allows(want.key_s).then_some(Depth::Key)
    }
}
