//! What the engine says: events as they happen, and how it is with each camera.

use std::sync::Arc;

use edusense_motion::Region;

use crate::error::Coordinates;
use crate::gating::GateStatus;
use crate::session::State;
use crate::watch::WatchCounts;

/// One piece of news of the engine.
#[derive(Clone, Debug)]
pub struct EngineEvent {
    /// When it was said, Unix seconds.
    pub time_s: f64,
    /// The camera's id.
    pub camera: Arc<str>,
    /// What it is about.
    pub news: News,
}

/// What an event is about.
#[derive(Clone, Debug)]
pub enum News {
    /// Motion: suspected, confirmed, withdrawn or ended.
    Motion {
        /// The event's id.
        id: Arc<str>,
        /// How far it is.
        stage: Stage,
        /// When it began, or was suspected to: Unix seconds.
        start_s: f64,
        /// When it ended.
        end_s: Option<f64>,
        /// 0 to 1.
        score: f32,
        /// Boxes in pixels of the cropped picture.
        regions: Vec<Region>,
        /// Numbers of what moves, one for each region, where it is followed.
        tracks: Vec<u64>,
        /// The look's time, where it is followed.
        at_s: Option<f64>,
        /// What receive times leave open about these times.
        clock_error_s: f64,
        /// Who decoded its pictures.
        decoder: Option<&'static str>,
        /// Why it was withdrawn.
        reason: Option<&'static str>,
    },
    /// A stream's state changed.
    State {
        /// `watch` or `keep`.
        stream: &'static str,
        /// The new state.
        state: State,
        /// Why, in words.
        reason: String,
        /// The error's code and hint, where there is an error.
        error: Option<(&'static str, Option<String>)>,
        /// Where in the camera's bytes.
        at: Coordinates,
    },
}

/// How far a motion event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The gate fired.
    Suspected,
    /// Pixels moved.
    Confirmed,
    /// It goes on: one look of a camera that is followed.
    Moving,
    /// Pixels did not.
    Withdrawn,
    /// A confirmed event is over.
    Ended,
}

/// One camera as `status` shows it.
#[derive(Clone, Debug)]
pub struct CameraStatus {
    /// Its id.
    pub id: Arc<str>,
    /// Its watched stream's state.
    pub state: State,
    /// Why, in words.
    pub reason: String,
    /// State and reason of the kept stream, where it is another.
    pub keep: Option<(State, String)>,
    /// What its watch counted.
    pub counts: WatchCounts,
    /// The gate.
    pub gate: GateStatus,
    /// Received on the watched stream, kbit/s over the last seconds.
    pub bitrate_kbit: f64,
    /// Unix time of the last confirmed event's start.
    pub last_event_s: Option<f64>,
    /// Unix time of the newest key picture that is held.
    pub picture_s: Option<f64>,
    /// Sessions after the first.
    pub reconnects: u64,
    /// How often the camera's clock jumped.
    pub clock_jumps: u32,
    /// What receive times leave open about its pictures' times.
    pub clock_error_s: f64,
    /// Compressed bytes held: both buffers and the clips of open events.
    pub buffer_bytes: usize,
    /// Why its pictures cannot be decoded.
    pub trouble: Option<String>,
}
