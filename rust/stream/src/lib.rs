//! All cameras of a school in one process: RTSP sessions, the last groups of pictures in RAM, and who is looked at when.

#![forbid(unsafe_code)]

mod arrivals;
mod budget;
mod camera;
mod clips;
mod clock;
mod engine;
mod error;
#[cfg(test)]
mod faults;
mod gating;
mod gops;
mod habits;
mod look;
mod news;
mod pace;
mod queue;
mod session;
mod settings;
mod timeline;
mod watch;

pub use arrivals::Arrival;
pub use budget::Budget;
pub use clips::Clip;
pub use clock::{Clock, ManualClock, SystemClock};
pub use engine::{CameraConfig, Engine, EngineSettings};
pub use error::{Coordinates, StreamError};
pub use gating::GateStatus;
pub use gops::{Gop, GopBuffer, Pushed, Unit};
pub use habits::Habit;
pub use look::{Depth, Look, Picture, Shot, shown};
pub use news::{CameraStatus, EngineEvent, News, Stage};
pub use pace::{Backoff, Pace};
pub use session::{Arrived, Listener, Orders, Shared, Source, State, Waits, keep};
pub use timeline::{Placed, TICKS, Timeline};
pub use watch::{
    CameraWatch, Outcome, Urgency, Want, WatchCounts, WatchEvent, WatchSettings, afford,
};
