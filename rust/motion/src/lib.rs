//! What moves: decided from compressed bits where that is enough, from small luma pictures where it is not.
//!
//! ```text
//! access unit → facts (bits, QP) → [Gate] ── fired ──┐
//!                                                     ▼
//!                       picture → luma → about 160 wide → [Detector] → look → [EventTracker] → event
//! ```
//!
//! Pure functions and one small state per camera; time is an argument, in seconds on the caller's clock.

#![forbid(unsafe_code)]

mod detector;
mod differ;
mod events;
mod gate;
mod light;
mod regions;
mod settings;
mod small;
mod tracks;
mod trust;
mod zones;

pub use detector::{Detector, Heat, Look, Region};
pub use events::{Event, EventTracker};
pub use gate::{Gate, GateReading, GateState};
pub use settings::Settings;
pub use trust::{Record, Trust};
pub use zones::{Polygon, Zones};
