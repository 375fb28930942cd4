//! What a watch knows of its place: where things moved.

use edusense_motion::Heat;

use super::CameraWatch;

impl CameraWatch {
    /// Where things moved so far, and which places mask themselves. None before the first look, and while the detector is away
    /// with one.
    #[must_use]
    pub fn heat(&self) -> Option<Heat> {
        self.detector.as_ref()?.heat()
    }
}
