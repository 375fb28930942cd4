//! One camera watched: access units in, events out, with looks at pixels in between. Pure and synchronous.
//!
//! ```text
//! picture → gate ─ fires ────────────────► `suspected`
//!    └────► GOP buffer → parts → [Look] → detector → tracker ─► `confirmed` or `withdrawn`, then `ended`
//! ```
//!
//! The watch never decodes. It cuts the stream into *parts* (a group of pictures, or two seconds of a long one), says how urgent
//! it is to look at them, and hands out one [`Look`] at a time; whoever has time opens it and brings it back. So the engine's
//! pool and a file read from end to end use the same rules.

mod kinds;
mod moving;
mod place;
mod probes;
mod restart;
mod verdicts;

use std::collections::VecDeque;
use std::sync::Arc;

use edusense_decode::Chain;
use edusense_motion::{Detector, EventTracker, GateState, Zones};

use crate::budget::Budget;
use crate::gating::{GateStatus, Gating};
use crate::gops::{GopBuffer, Pushed, Unit};
use crate::look::{Depth, Done, Look, Shot, choose};
use crate::timeline::TICKS;
use moving::Moving;
use probes::Probes;

pub(crate) use probes::Probe;

pub use kinds::{Outcome, Urgency, Want, WatchCounts, WatchEvent, WatchSettings, afford};

/// A part of the stream: pictures of one group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    serial: u64,
    from: usize,
    to: usize,
    start_pts: i64,
    end_pts: i64,
    start_s: f64,
    /// It is the last of its group.
    closes: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    part: Part,
    /// The gate fired in it, or so soon after it that it may hold the beginning.
    fired: bool,
    /// The gate fired in it, or so soon before it that its key picture shows what it fired at.
    near: bool,
    /// It is looked at whatever the gate says.
    probe: bool,
}

struct Progress {
    serial: u64,
    from: usize,
    count: usize,
    start_pts: i64,
    end_pts: i64,
    start_s: f64,
    fired: bool,
}

struct Suspicion {
    id: u64,
    last_pts: i64,
    last_s: f64,
}

struct Open {
    id: u64,
    start_s: f64,
    suspected: bool,
    confirmed: bool,
    /// What moved before it was confirmed, where that is followed.
    held: Vec<Moving>,
    best: f32,
    shot: Option<Shot>,
}

/// Parts that nobody found time for are given up beyond this many; the newest are kept.
const MOST_WAITING: usize = 3;

/// The same, of parts in which something moves or may: about as many as a buffer holds.
const MOST_URGENT: usize = 8;

/// When the gate fires within this time of a part's beginning, the event may have begun in the part before.
const LEAD_S: f64 = 1.0;

/// A camera's watch.
pub struct CameraWatch {
    settings: WatchSettings,
    buffer: GopBuffer,
    gating: Gating,
    probes: Probes,
    detector: Option<Detector>,
    zones: Arc<Zones>,
    followed: bool,
    tracker: EventTracker,
    progress: Option<Progress>,
    pending: VecDeque<Pending>,
    parts: u64,
    fires: bool,
    suspicion: Option<Suspicion>,
    open: Option<Open>,
    undecided: bool,
    group_moved: bool,
    /// Up to where pictures have been looked at or given up, and up to where they were shown to the detector.
    decided_pts: i64,
    seen_pts: Option<i64>,
    looked_s: f64,
    interrupted: bool,
    /// Wall clock of the pictures less their media time.
    wall_s: f64,
    next_id: u64,
    whole_cost: f64,
    key_cost: f64,
    trouble: Option<String>,
    counts: WatchCounts,
}

impl CameraWatch {
    /// A watch that has seen nothing.
    #[must_use]
    pub fn new(settings: WatchSettings) -> Self {
        Self {
            buffer: GopBuffer::new(settings.buffer_s, settings.buffer_bytes),
            gating: Gating::new(settings.gate),
            probes: Probes::new(settings.probe_s),
            detector: Some(Detector::new(settings.motion)),
            zones: Arc::default(),
            followed: false,
            tracker: EventTracker::new(&settings.motion),
            progress: None,
            pending: VecDeque::new(),
            parts: 0,
            fires: false,
            suspicion: None,
            open: None,
            undecided: false,
            group_moved: false,
            decided_pts: i64::MIN,
            seen_pts: None,
            looked_s: f64::NEG_INFINITY,
            interrupted: false,
            wall_s: 0.0,
            next_id: 1,
            whole_cost: 0.01,
            key_cost: 0.005,
            trouble: None,
            counts: WatchCounts::default(),
            settings,
        }
    }

    /// Says where motion counts, from the next look on. The gate sees whole pictures all the same: what it suspects elsewhere is
    /// withdrawn.
    pub fn set_zones(&mut self, zones: Arc<Zones>) {
        self.zones = zones;
    }

    /// Takes the next picture. `cut`: it does not continue what came before (new parameters, the camera's clock jumped).
    pub fn push(&mut self, unit: Unit, cut: bool) -> Vec<WatchEvent> {
        self.interrupted = false;
        self.counts.received += 1;
        self.counts.bytes += unit.au.data.len() as u64;
        self.counts.lost += u64::from(unit.au.loss);
        let (pts, at_s) = (unit.au.pts, unit.at_s);
        self.wall_s = at_s - pts as f64 / TICKS;
        if cut && unit.au.key {
            self.gating.told(&unit.au);
        }
        let was = std::mem::replace(&mut self.fires, self.gating.push(&unit.au));
        // What follows a loss cannot be decoded rightly before the next key picture.
        let torn = unit.au.loss > 0 && !unit.au.key;
        match self.buffer.push(unit, cut || torn) {
            Pushed::Began => {
                self.close_part(true);
                let serial = self.buffer.newest().map_or(0, |gop| gop.serial);
                self.progress = Some(Progress {
                    serial,
                    from: 0,
                    count: 1,
                    start_pts: pts,
                    end_pts: pts,
                    start_s: at_s,
                    fired: false,
                });
            }
            Pushed::Joined => self.grow_part(pts, at_s),
            Pushed::Headless => {
                self.close_part(true);
                self.skip("no-key-picture", 1);
            }
            Pushed::GivenUp => {
                let count = self
                    .progress
                    .take()
                    .map_or(0, |progress| progress.count - progress.from);
                self.skip("too-long", count as u64);
            }
        }
        let mut events = Vec::new();
        if self.fires {
            self.fired(pts, at_s, !was, &mut events);
        }
        events
    }

    fn fired(&mut self, pts: i64, at_s: f64, rising: bool, events: &mut Vec<WatchEvent>) {
        self.probes.fires(at_s);
        if let Some(progress) = &mut self.progress {
            let early = (pts.saturating_sub(progress.start_pts)) as f64 / TICKS <= LEAD_S;
            if !progress.fired
                && early
                && let Some(before) = self.pending.back_mut()
            {
                before.fired = true;
            }
            progress.fired = true;
        }
        match &mut self.suspicion {
            Some(suspicion) => (suspicion.last_pts, suspicion.last_s) = (pts, at_s),
            None if rising && self.open.is_none() => {
                let id = self.new_id();
                self.suspicion = Some(Suspicion {
                    id,
                    last_pts: pts,
                    last_s: at_s,
                });
                events.push(WatchEvent::Suspected { id, at_s });
            }
            None => {}
        }
    }

    fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn grow_part(&mut self, pts: i64, at_s: f64) {
        let Some(progress) = &mut self.progress else {
            return;
        };
        if progress.count == progress.from {
            (progress.start_pts, progress.start_s) = (pts, at_s);
        }
        progress.count += 1;
        progress.end_pts = pts;
        let span_s = pts.saturating_sub(progress.start_pts) as f64 / TICKS;
        let most_s = if progress.from == 0 {
            self.settings.long_gop_s
        } else {
            self.settings.slice_s
        };
        if span_s >= most_s {
            self.close_part(false);
        }
    }

    /// What has come of the newest group since the last part becomes a part.
    fn close_part(&mut self, closes: bool) {
        let Some(progress) = &mut self.progress else {
            return;
        };
        if progress.count > progress.from {
            let part = Part {
                serial: progress.serial,
                from: progress.from,
                to: progress.count,
                start_pts: progress.start_pts,
                end_pts: progress.end_pts,
                start_s: progress.start_s,
                closes,
            };
            self.parts += 1;
            self.pending.push_back(Pending {
                part,
                fired: progress.fired,
                near: self.probes.near(progress.start_s),
                probe: progress.from == 0 && self.probes.due(progress.start_s),
            });
        }
        progress.from = progress.count;
        progress.fired = false;
        if closes {
            self.progress = None;
        }
        while self.pending.len() > MOST_WAITING {
            let urgent = self.moving() || self.pending.front().is_some_and(|front| front.fired);
            if !urgent {
                self.give_up_front("budget");
            } else if self.pending.len() > MOST_URGENT {
                self.give_up_front("late");
            } else {
                break;
            }
        }
    }

    fn give_up_front(&mut self, reason: &'static str) {
        if let Some(pending) = self.pending.pop_front() {
            if pending.probe {
                self.probes.given_up(pending.near);
            }
            self.skip(reason, (pending.part.to - pending.part.from) as u64);
            self.decided_pts = self.decided_pts.max(pending.part.end_pts);
        }
    }

    fn skip(&mut self, reason: &'static str, pictures: u64) {
        if pictures > 0 {
            *self.counts.skipped.entry(reason).or_default() += pictures;
        }
    }

    /// Parts that have ended so far.
    pub(crate) fn parts(&self) -> u64 {
        self.parts
    }

    /// Whether the gate fires at this moment.
    pub(crate) fn fires(&self) -> bool {
        self.fires
    }

    /// Something moves, or may: what comes next must be looked at.
    fn moving(&self) -> bool {
        self.tracker.open().is_some() || self.undecided
    }

    /// Whether there is something to look at, and how urgently. None also while a look is out.
    #[must_use]
    pub fn want(&self) -> Option<Want> {
        self.detector.as_ref()?;
        let front = self.pending.front()?;
        let state = self.gating.state();
        let fired = self.pending.iter().find(|pending| pending.fired);
        let (urgency, part) = match (self.moving(), fired) {
            (true, _) => (Urgency::Urgent, front.part),
            (false, Some(fired)) if state == Some(GateState::Trusted) => {
                (Urgency::Urgent, fired.part)
            }
            (false, Some(fired)) => (Urgency::Ordered, fired.part),
            (false, None) if self.pending.iter().any(|pending| pending.probe) => {
                (Urgency::Ordered, front.part)
            }
            (false, None) if state == Some(GateState::Trusted) => (Urgency::Spare, front.part),
            (false, None) => (Urgency::Untrusted, front.part),
        };
        let span_s = part.end_pts.saturating_sub(part.start_pts) as f64 / TICKS;
        let since_s = if urgency == Urgency::Urgent {
            part.start_s
        } else {
            self.looked_s
        };
        Some(Want {
            urgency,
            since_s,
            whole_s: self.whole_cost * span_s.max(0.1),
            key_s: self.key_cost,
        })
    }

    /// Hands out the next look.
    pub fn take(&mut self, depth: Depth) -> Option<Look> {
        self.detector.as_ref()?;
        loop {
            let moving = self.moving();
            let moves = self
                .pending
                .iter()
                .position(|pending| moving || pending.fired);
            let ahead = match depth {
                Depth::Whole => 0,
                Depth::Moving => moves.unwrap_or(0),
                Depth::Key => moves
                    .or_else(|| self.pending.iter().position(|pending| pending.probe))
                    .unwrap_or(self.pending.len().saturating_sub(1)),
            };
            for _ in 0..ahead {
                self.give_up_front("budget");
            }
            let pending = *self.pending.front()?;
            let part = pending.part;
            let Some(gop) = self.buffer.gop(part.serial) else {
                self.give_up_front("late");
                continue;
            };
            let start = gop.units[..=part.from.min(gop.units.len() - 1)]
                .iter()
                .rposition(|unit| unit.au.key)
                .unwrap_or(0);
            let end = if depth == Depth::Key {
                start + 1
            } else {
                part.to.min(gop.units.len())
            };
            if depth == Depth::Key && start < part.from {
                self.give_up_front("budget");
                return None;
            }
            let mut run: Vec<_> = gop.units[start..end]
                .iter()
                .map(|unit| unit.au.clone())
                .collect();
            let mut wanted = choose(&run, part.from - start, self.seen_pts, self.settings.step_s);
            if depth == Depth::Key
                && let Some(before) = self.key_before(part)
            {
                run.insert(0, before);
                wanted = vec![true; run.len()];
            }
            let mut detector = self.detector.take()?;
            detector.set_zones(&self.zones);
            self.pending.pop_front();
            let probe = pending.probe.then(|| {
                let fired = if depth == Depth::Key {
                    pending.near
                } else {
                    pending.fired
                };
                self.probes.taken(fired, depth, part.start_s)
            });
            if depth == Depth::Key {
                self.skip("budget", (part.to - part.from - 1) as u64);
            }
            let floor = self.open.as_ref().map_or(0.0, |open| open.best);
            return Some(Look {
                run,
                wanted,
                depth,
                part,
                detector,
                probe,
                floor,
                done: Done::default(),
            });
        }
    }

    /// Takes a look back that was opened.
    pub fn finish(&mut self, look: Look) -> Outcome {
        let Look {
            part,
            depth,
            detector,
            done,
            wanted,
            probe,
            ..
        } = look;
        self.detector = Some(detector);
        self.count(&done, &wanted, depth, part);
        let mut outcome = Outcome::default();
        let mut shots = done.shots.into_iter().peekable();
        for seen in &done.seen {
            self.group_moved |= seen.moved;
            self.undecided = seen.pending;
            let over = self.tracker.push(seen);
            self.follow(over, &mut outcome);
            self.tell_moving(seen, &mut outcome);
            let shot = shots.next_if(|shot| shot.t_s == seen.t_s);
            if let (Some(open), Some(shot)) = (&mut self.open, shot)
                && shot.score > open.best
            {
                open.best = shot.score;
                open.shot = Some(shot);
            }
        }
        if let Some(open) = &mut self.open
            && open.confirmed
        {
            outcome
                .shots
                .extend(open.shot.take().map(|shot| (open.id, shot)));
        }
        self.decided_pts = self.decided_pts.max(part.end_pts);
        // One picture alone shows no motion.
        let probe = probe.filter(|_| done.seen.len() > 1);
        let moved = done.seen.iter().any(|seen| seen.moved);
        if let Some(probe) = self.probes.looked(probe, moved, self.undecided) {
            self.gating
                .probe(probe.fired, probe.moved, probe.weight, probe.at_s);
        }
        if part.closes {
            if depth != Depth::Key || self.group_moved {
                self.gating.verdict(self.group_moved);
            }
            self.group_moved = false;
        }
        self.settle(&mut outcome);
        outcome
    }

    fn count(&mut self, done: &Done, wanted: &[bool], depth: Depth, part: Part) {
        let seen = done.seen.len() as u64;
        self.counts.looked_at += seen;
        self.counts.decoded += done.decoded;
        self.counts.cpu_s += done.cpu_s;
        if let Some(decoder) = done.decoder {
            *self.counts.decoders.entry(decoder).or_default() += done.decoded;
            self.trouble = None;
        }
        if let Some(refused) = &done.refused {
            let asked = wanted.iter().filter(|wanted| **wanted).count() as u64;
            self.skip("undecodable", asked.saturating_sub(seen));
            self.trouble = Some(refused.clone());
        }
        let span_s = (part.end_pts.saturating_sub(part.start_pts) as f64 / TICKS).max(0.1);
        let (cost, sample) = match depth {
            Depth::Whole | Depth::Moving => (&mut self.whole_cost, done.cpu_s / span_s),
            Depth::Key => (&mut self.key_cost, done.cpu_s),
        };
        *cost += 0.3 * (sample - *cost);
        if let Some(last) = done.seen.last() {
            self.seen_pts = Some((last.t_s * TICKS).round() as i64);
            self.looked_s = last.t_s + self.wall_s;
        }
    }

    /// The stream broke off, or the file is at its end: what is open ends as soon as everything has been looked at.
    pub fn interrupt(&mut self) -> Outcome {
        self.buffer.interrupt();
        self.close_part(true);
        self.interrupted = true;
        let mut outcome = Outcome::default();
        self.settle(&mut outcome);
        outcome
    }

    /// Nothing more will be looked at: what waits is given up, what is open ends.
    pub fn give_up(&mut self) -> Outcome {
        while !self.pending.is_empty() {
            self.give_up_front("budget");
        }
        self.interrupt()
    }

    /// Looks at what may be looked at, at once: for files.
    pub fn catch_up(&mut self, chain: &Chain, budget: &mut Budget) -> Outcome {
        let mut all = Outcome::default();
        while let Some(want) = self.want() {
            let depth = match afford(&want, budget) {
                Some(depth) => depth,
                None => break,
            };
            let Some(mut look) = self.take(depth) else {
                continue;
            };
            look.open(chain);
            budget.spend(look.cpu_s());
            let outcome = self.finish(look);
            all.events.extend(outcome.events);
            all.shots.extend(outcome.shots);
        }
        all
    }

    /// The compressed pictures held.
    #[must_use]
    pub fn buffer(&self) -> &GopBuffer {
        &self.buffer
    }

    /// What has been counted.
    #[must_use]
    pub fn counts(&self) -> &WatchCounts {
        &self.counts
    }

    /// The gate, as shown.
    #[must_use]
    pub fn gate(&self) -> GateStatus {
        self.gating.status()
    }

    /// Why pictures cannot be decoded, if they cannot.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}
