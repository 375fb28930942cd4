//! What can be set about looking; everything in seconds, luma levels and shares, so that cadence and size do not matter.

/// Settings of a [`Detector`](crate::Detector) and its [`EventTracker`](crate::EventTracker).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// A picture is compared with one about this much older, as near as the cadence of looks allows.
    pub lag_s: f32,
    /// Difference in luma levels, averaged over 3 × 3 cells, below which nothing is evidence.
    pub contrast: f32,
    /// What a shift by so many cells explains is no difference; a cell is a 160th of the picture's width.
    pub sway: f32,
    /// Differences below this many times the usual one at the same place are no evidence.
    pub noise_factor: f32,
    /// Share of the picture that must differ clearly in one look for something to count as moving.
    pub area: f32,
    /// How long something must go on changing beyond the lag: what changes once, as a lamp or a clock does, is over by then.
    pub persistence_s: f32,
    /// Share of the picture above which a change is examined for being only light.
    pub light_share: f32,
    /// Change of the whole picture, in luma levels, above which the light is taken to be changing.
    pub light_levels: f32,
    /// Longest time for which changing light can hold back motion.
    pub light_hold_s: f32,
    /// Places that differ for more than this share of the time (clocks, flicker, leaves) are masked.
    pub busy_rate: f32,
    /// Time constant of that share.
    pub busy_s: f32,
    /// Pauses shorter than this do not end an event.
    pub merge_gap_s: f32,
    /// Shorter events are dropped, as far as looks were dense enough to tell.
    pub min_event_s: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lag_s: 0.3,
            contrast: 3.5,
            sway: 0.5,
            noise_factor: 3.5,
            area: 0.0012,
            persistence_s: 0.36,
            light_share: 0.15,
            light_levels: 3.0,
            light_hold_s: 2.0,
            busy_rate: 0.4,
            busy_s: 40.0,
            merge_gap_s: 1.0,
            min_event_s: 0.3,
        }
    }
}

impl Settings {
    /// Names that [`Self::set`] knows.
    pub const NAMES: &'static [&'static str] = &[
        "lag_s",
        "contrast",
        "sway",
        "noise_factor",
        "area",
        "persistence_s",
        "light_share",
        "light_levels",
        "light_hold_s",
        "busy_rate",
        "busy_s",
        "merge_gap_s",
        "min_event_s",
    ];

    /// Sets one by its name. False, and nothing changed, for an unknown name or a value that is negative or no number.
    pub fn set(&mut self, name: &str, value: f32) -> bool {
        let place = match name {
            "lag_s" => &mut self.lag_s,
            "contrast" => &mut self.contrast,
            "sway" => &mut self.sway,
            "noise_factor" => &mut self.noise_factor,
            "area" => &mut self.area,
            "persistence_s" => &mut self.persistence_s,
            "light_share" => &mut self.light_share,
            "light_levels" => &mut self.light_levels,
            "light_hold_s" => &mut self.light_hold_s,
            "busy_rate" => &mut self.busy_rate,
            "busy_s" => &mut self.busy_s,
            "merge_gap_s" => &mut self.merge_gap_s,
            "min_event_s" => &mut self.min_event_s,
            _ => return false,
        };
        let sound = value.is_finite() && value >= 0.0;
        if sound {
            *place = value;
        }
        sound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_can_be_set_and_nothing_else() {
        let mut settings = Settings::default();
        assert!(Settings::NAMES.iter().all(|name| settings.set(name, 0.5)));
        assert!(!settings.set("colour", 0.5));
        assert!(!settings.set("area", f32::NAN));
        assert!(!settings.set("area", -1.0));
    }
}
