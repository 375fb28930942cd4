//! A watch that begins anew after code of ours failed on its pictures.

use super::{CameraWatch, Outcome, WatchEvent};

impl CameraWatch {
    /// Begins anew after a failure of the program: what was buffered and learned is dropped, what was announced is ended or
    /// withdrawn. Counts and the numbers of events go on.
    pub fn restart(&mut self, trouble: &str) -> Outcome {
        let fresh = Self::new(self.settings.clone());
        let old = std::mem::replace(self, fresh);
        self.next_id = old.next_id;
        self.counts = old.counts;
        self.zones = old.zones;
        self.followed = old.followed;
        self.trouble = Some(trouble.to_owned());
        let mut outcome = Outcome::default();
        let mut withdraw = |id, at_s| {
            let reason = "its pictures made the watch fail";
            outcome
                .events
                .push(WatchEvent::Withdrawn { id, at_s, reason });
        };
        if let Some(suspicion) = old.suspicion {
            withdraw(suspicion.id, suspicion.last_s);
        }
        match old.open {
            Some(open) if open.confirmed => {
                let start_s = open.start_s + old.wall_s;
                outcome.shots.extend(open.shot.map(|shot| (open.id, shot)));
                outcome.events.push(WatchEvent::Ended {
                    id: open.id,
                    start_s,
                    end_s: old.looked_s.max(start_s),
                    score: open.best,
                    regions: Vec::new(),
                });
            }
            Some(open) if open.suspected => withdraw(open.id, open.start_s + old.wall_s),
            _ => {}
        }
        outcome
    }
}
