//! Where something moves, look by look, for whoever follows a camera so closely.

use edusense_motion::{Look, Region};

use super::{CameraWatch, Outcome, WatchEvent};

/// Most looks that are held until an event is confirmed; an event is confirmed long before.
const MOST_HELD: usize = 64;

/// What moved in one look.
pub(super) struct Moving {
    at_s: f64,
    score: f32,
    regions: Vec<Region>,
    tracks: Vec<u64>,
}

impl Moving {
    pub(super) fn told(self, id: u64) -> WatchEvent {
        WatchEvent::Moving {
            id,
            at_s: self.at_s,
            score: self.score,
            regions: self.regions,
            tracks: self.tracks,
        }
    }
}

impl CameraWatch {
    /// Says whether each look in which something moves is told, from the next one on.
    pub fn set_followed(&mut self, followed: bool) {
        self.followed = followed;
    }

    /// Tells what moves now, once the event is confirmed: what moved before that comes with it, in order.
    pub(super) fn tell_moving(&mut self, seen: &Look, outcome: &mut Outcome) {
        let Some(open) = self.open.as_mut().filter(|_| self.followed) else {
            return;
        };
        if seen.moved {
            if open.held.len() >= MOST_HELD {
                open.held.remove(0);
            }
            open.held.push(Moving {
                at_s: seen.t_s + self.wall_s,
                score: seen.score,
                regions: seen.regions.clone(),
                tracks: seen.tracks.clone(),
            });
        }
        if open.confirmed {
            let id = open.id;
            outcome
                .events
                .extend(open.held.drain(..).map(|moving| moving.told(id)));
        }
    }
}
