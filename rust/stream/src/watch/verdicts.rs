//! From looks to news: what is confirmed, withdrawn, ended.

use edusense_motion::Event;

use super::{CameraWatch, Open, Outcome, WatchEvent};
use crate::timeline::TICKS;

impl CameraWatch {
    /// Turns what the tracker holds into news.
    pub(super) fn follow(&mut self, over: Option<Event>, outcome: &mut Outcome) {
        if let Some(event) = over {
            self.end(event, outcome);
        }
        let Some(now) = self.tracker.open() else {
            self.drop_open(&mut outcome.events);
            return;
        };
        let (start_s, score, lasted_s) = (now.start_s, now.score, now.end_s - now.start_s);
        let regions = now.regions.clone();
        if self.open.is_none() {
            let suspicion = self.suspicion.take().map(|suspicion| suspicion.id);
            let id = suspicion.unwrap_or_else(|| self.new_id());
            self.open = Some(Open {
                id,
                start_s,
                suspected: suspicion.is_some(),
                confirmed: false,
                held: Vec::new(),
                best: 0.0,
                shot: None,
            });
        }
        let Some(open) = &mut self.open else { return };
        let id = open.id;
        open.start_s = start_s;
        if !open.confirmed && lasted_s >= f64::from(self.settings.motion.min_event_s) {
            open.confirmed = true;
            self.counts.events += 1;
            outcome.events.push(WatchEvent::Confirmed {
                id,
                start_s: start_s + self.wall_s,
                score,
                regions,
            });
        }
    }

    /// What was open was too short to be an event.
    fn drop_open(&mut self, events: &mut Vec<WatchEvent>) {
        if let Some(Open {
            id,
            start_s,
            suspected: true,
            ..
        }) = self.open.take()
        {
            events.push(WatchEvent::Withdrawn {
                id,
                at_s: start_s + self.wall_s,
                reason: "what moved was over at once",
            });
        }
    }

    fn end(&mut self, event: Event, outcome: &mut Outcome) {
        let (start_s, end_s) = (event.start_s + self.wall_s, event.end_s + self.wall_s);
        let (id, confirmed, held) = match self.open.take() {
            Some(open) => {
                outcome.shots.extend(open.shot.map(|shot| (open.id, shot)));
                (open.id, open.confirmed, open.held)
            }
            None => (
                self.suspicion
                    .take()
                    .map_or_else(|| self.new_id(), |suspicion| suspicion.id),
                false,
                Vec::new(),
            ),
        };
        if !confirmed {
            self.counts.events += 1;
            outcome.events.push(WatchEvent::Confirmed {
                id,
                start_s,
                score: event.score,
                regions: event.regions.clone(),
            });
        }
        outcome
            .events
            .extend(held.into_iter().map(|moving| moving.told(id)));
        outcome.events.push(WatchEvent::Ended {
            id,
            start_s,
            end_s,
            score: event.score,
            regions: event.regions,
        });
    }

    /// Ends what can be ended now.
    pub(super) fn settle(&mut self, outcome: &mut Outcome) {
        if self.interrupted && self.pending.is_empty() && self.detector.is_some() {
            self.undecided = false;
            match self.tracker.finish() {
                Some(event) => self.end(event, outcome),
                None => self.drop_open(&mut outcome.events),
            }
            self.fires = false;
        }
        let waits = self.fires || self.moving() || self.pending.iter().any(|pending| pending.fired);
        let decided = self
            .suspicion
            .as_ref()
            .is_some_and(|suspicion| self.interrupted || suspicion.last_pts <= self.decided_pts);
        if !waits
            && decided
            && let Some(suspicion) = self.suspicion.take()
        {
            let looked = self
                .seen_pts
                .is_some_and(|seen| seen.saturating_add(TICKS as i64) >= suspicion.last_pts);
            let reason = if looked {
                "nothing moved in its pictures"
            } else {
                "its pictures could not be looked at"
            };
            outcome.events.push(WatchEvent::Withdrawn {
                id: suspicion.id,
                at_s: suspicion.last_s,
                reason,
            });
        }
    }
}
