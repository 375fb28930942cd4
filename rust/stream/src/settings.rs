//! What can be set about an engine, by name: one table for Python, the command line and the documentation.

use std::time::Duration;

use edusense_motion::Settings;

use crate::engine::EngineSettings;

/// A setting: its name, its unit and what it does.
pub(crate) type Row = (&'static str, &'static str);

impl EngineSettings {
    /// Names that [`Self::set`] knows beside those of [`Settings::NAMES`], with their meaning.
    pub const ROWS: &'static [Row] = &[
        (
            "look_cores",
            "CPU seconds a second for looks that nothing urgent asks for",
        ),
        (
            "pool_threads",
            "threads that decode, up to 16; 0: receive and keep, never look",
        ),
        ("workers", "threads that receive, 1 or 2"),
        (
            "sessions_per_s",
            "new sessions a second, all cameras together",
        ),
        (
            "answer_s",
            "seconds for a camera's answers from connecting to PLAY, together",
        ),
        (
            "stall_s",
            "seconds without a picture until a camera counts as stalled",
        ),
        (
            "retry_refused_s",
            "seconds until a camera that refused its password is asked again",
        ),
        ("pre_roll_s", "seconds kept before an event began"),
        ("post_roll_s", "seconds kept after it ended"),
        ("clips", "events whose clips and pictures are kept in RAM"),
        (
            "clips_mb",
            "megabytes of these together, and once more of all events that go on",
        ),
        ("clip_mb", "megabytes of one clip"),
        (
            "buffer_s",
            "seconds of compressed pictures kept for each stream",
        ),
        ("buffer_mb", "megabytes of these at most"),
        (
            "arrivals",
            "pictures of each watched stream of which is kept when they came and how large they were",
        ),
        (
            "gate",
            "0: never ask the gate; looks are made by the clock alone",
        ),
        (
            "step_s",
            "seconds between two pictures that are looked at, at most",
        ),
        (
            "long_gop_s",
            "a group of pictures longer than this is looked at before it ends",
        ),
        (
            "slice_s",
            "seconds of a long group that are looked at at once",
        ),
        (
            "probe_s",
            "seconds between looks that are made whatever the gate says, to know what it does not see; 0: none",
        ),
    ];

    /// Sets one by its name. False, and nothing changed, for an unknown name or a value that is negative or no number.
    pub fn set(&mut self, name: &str, value: f64) -> bool {
        if !value.is_finite() || value < 0.0 {
            return false;
        }
        if Settings::NAMES.contains(&name) {
            return self.watch.motion.set(name, value as f32);
        }
        let seconds = Duration::from_secs_f64(value.min(1e9));
        let megabytes = (value.min(1e9) * 1e6) as usize;
        match name {
            "look_cores" => self.look_cores = value,
            "pool_threads" => self.pool_threads = value as usize,
            "workers" => self.workers = value as usize,
            "sessions_per_s" => self.sessions_per_s = value,
            "answer_s" => self.waits.answer = seconds,
            "stall_s" => self.waits.stall = seconds,
            "retry_refused_s" => self.waits.refused = seconds,
            "pre_roll_s" => self.pre_roll_s = value,
            "post_roll_s" => self.post_roll_s = value,
            "clips" => self.clips = value as usize,
            "clips_mb" => self.clips_bytes = megabytes,
            "clip_mb" => self.clip_bytes = megabytes,
            "buffer_s" => self.watch.buffer_s = value,
            "buffer_mb" => self.watch.buffer_bytes = megabytes,
            "arrivals" => self.arrivals = value.min(1e6) as usize,
            "gate" => self.watch.gate = value != 0.0,
            "step_s" => self.watch.step_s = value,
            "long_gop_s" => self.watch.long_gop_s = value,
            "slice_s" => self.watch.slice_s = value,
            "probe_s" => self.watch.probe_s = value,
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_can_be_set_and_nothing_else() {
        let mut settings = EngineSettings::default();
        for name in EngineSettings::ROWS
            .iter()
            .map(|row| row.0)
            .chain(Settings::NAMES.iter().copied())
        {
            assert!(settings.set(name, 0.5), "{name}");
        }
        assert!(!settings.set("colour", 0.5));
        assert!(!settings.set("look_cores", f64::NAN));
        assert!(!settings.set("look_cores", -1.0));
    }
}
