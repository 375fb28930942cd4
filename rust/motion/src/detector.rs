//! One camera's eye: small pictures in, what moves out.
//!
//! A picture is compared with one a few tenths of a second older, after the light's slow changes have been taken out. What
//! differs by more than a camera's noise at that place, hangs together, and *goes on* differing, moves. So nothing that stays
//! behind, sits down or was switched on has to be absorbed: it is simply no longer changing.

use std::collections::VecDeque;
use std::sync::Arc;

use edusense_bitstream::luma::{Band, LumaView, Shape};

use crate::Settings;
use crate::differ::{Differences, judge};
use crate::light::{Light, dim};
use crate::regions::{Component, Finder};
use crate::small::{Averager, Small, edge, size_for};
use crate::tracks::{Rule, Track, When, follow};
use crate::zones::{Mask, Zones};

/// Looks further apart than this have nothing to say about each other.
const PAUSE_S: f64 = 10.0;

/// Evidence of this many thresholds is clear; one threshold is enough beside clear evidence.
const CLEAR: f32 = 1.5;

/// Evidence that is enough where something is known to move.
const FAINT: f32 = 1.1;

/// Time in which the usual difference at a place is learned.
const NOISE_S: f64 = 4.0;

/// Usual difference, in levels, that is assumed before it is known: a noisy camera's.
const FIRST_NOISE: f32 = 1.2;

/// Where less than this many levels is usual by now, little of what moves would be seen.
const DEAF: f32 = 30.0;

/// Pictures kept for comparison, beside the time that they must cover.
const HISTORY: usize = 12;

/// A box in pixels of the stream's cropped picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// What one look saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The picture's time, as it was given.
    pub t_s: f64,
    /// Something moves.
    pub moved: bool,
    /// Where, in pixels of the full cropped picture.
    pub regions: Vec<Region>,
    /// Numbers of what moves, one for each of `regions`: the same from look to look as long as it is followed.
    pub tracks: Vec<u64>,
    /// Where it has been since it began, with the looks before it was known to move.
    pub trail: Vec<Region>,
    /// How clearly, 0 to 1; 0 when nothing moves.
    pub score: f32,
    /// Share of the picture that differs from the one before, whatever the reason.
    pub share: f32,
    /// The light changed: what differs was not taken for motion.
    pub light: bool,
    /// When that which moves began to, estimated: possibly several looks ago. `t_s` when nothing moves.
    pub since_s: f64,
    /// Until when it moved at least, estimated: up to the lag before `t_s`.
    pub until_s: f64,
    /// Something differs that may become motion when it goes on.
    pub pending: bool,
}

/// A motion picture's cells, row by row: what was seen in each since the detector's first picture of this size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heat {
    /// Cells across.
    pub width: usize,
    /// Cells down.
    pub height: usize,
    /// For how long something moved in it, in seconds.
    pub moved_s: Vec<f32>,
    /// It differs so often, or usually by so much, that it masks itself: a burned-in clock, leaves, a screen.
    pub masked: Vec<bool>,
    /// Zones leave it out; empty where there are none.
    pub closed: Vec<bool>,
}

struct Seen {
    t_s: f64,
    picture: Small,
}

/// Finds what moves in one camera's pictures; they may come at any cadence, five a second or one in two seconds.
pub struct Detector {
    settings: Settings,
    zones: Arc<Zones>,
    /// Which cells count, where not all do.
    mask: Option<Mask>,
    shape: Option<Shape>,
    averager: Averager,
    finder: Finder,
    /// The last pictures, oldest first.
    history: VecDeque<Seen>,
    started_s: f64,
    /// Usual difference at each place, in levels.
    noise: Vec<f32>,
    /// Share of the time in which each place differs.
    busy: Vec<f32>,
    /// For how long something moved at each place.
    moved_s: Vec<f32>,
    evidence: Vec<f32>,
    differences: Differences,
    tracks: Vec<Track>,
    next_track: u64,
    /// Since when the light has been changing.
    light_since_s: Option<f64>,
    light_last_s: f64,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Detector {
    /// A detector that has seen nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            zones: Arc::default(),
            mask: None,
            shape: None,
            averager: Averager::default(),
            finder: Finder::default(),
            history: VecDeque::new(),
            started_s: 0.0,
            noise: Vec::new(),
            busy: Vec::new(),
            moved_s: Vec::new(),
            evidence: Vec::new(),
            differences: Differences::default(),
            tracks: Vec::new(),
            next_track: 0,
            light_since_s: None,
            light_last_s: f64::NEG_INFINITY,
        }
    }

    /// Says where motion counts from the next look on. What was learned of the place stays.
    pub fn set_zones(&mut self, zones: &Arc<Zones>) {
        if *self.zones != **zones {
            self.zones = zones.clone();
            // Before the first picture there is no size to lay them over; then `look_at` does it.
            self.mask = self
                .history
                .back()
                .and_then(|seen| zones.mask(seen.picture.width, seen.picture.height));
        }
    }

    /// Where things moved so far, and which places mask themselves; None before the first picture.
    #[must_use]
    pub fn heat(&self) -> Option<Heat> {
        let shape = self.shape?;
        let (width, height) = size_for(shape.columns(), shape.rows());
        let Settings {
            busy_rate,
            noise_factor,
            ..
        } = self.settings;
        let places = self.noise.iter().zip(&self.busy);
        let masked = places.map(|(noise, busy)| *busy > busy_rate || noise_factor * noise > DEAF);
        Some(Heat {
            width,
            height,
            moved_s: self.moved_s.clone(),
            masked: masked.collect(),
            closed: self.mask.as_ref().map(Mask::closed).unwrap_or_default(),
        })
    }

    /// Looks at a picture.
    ///
    /// The first look, and the first after a pause of more than 10 s, a jump of the clock or a change of size, only sets what
    /// later ones are compared with.
    pub fn look(&mut self, t_s: f64, view: LumaView<'_>) -> Look {
        self.look_at_band(t_s, Band::whole(view))
            .unwrap_or_else(|| nothing(t_s))
    }

    /// The same of a picture that comes in bands; there is a look at its last one.
    pub fn look_at_band(&mut self, t_s: f64, band: Band<'_>) -> Option<Look> {
        let now = self.averager.push(band)?;
        Some(self.look_at(t_s, now, band.shape()))
    }

    fn look_at(&mut self, t_s: f64, now: Small, shape: Shape) -> Look {
        let known = self.shape == Some(shape);
        let gap_s = self
            .history
            .back()
            .map_or(f64::INFINITY, |last| t_s - last.t_s);
        if !known {
            self.shape = Some(shape);
            self.noise = vec![FIRST_NOISE; now.data.len()];
            self.busy = vec![0.0; now.data.len()];
            self.moved_s = vec![0.0; now.data.len()];
            self.mask = self.zones.mask(now.width, now.height);
            self.started_s = t_s;
        }
        if !known || !(0.0..=PAUSE_S).contains(&gap_s) {
            // A clock that went back must not make the time since the start negative.
            self.started_s = self.started_s.min(t_s);
            self.forget();
            self.history.push_back(Seen { t_s, picture: now });
            return nothing(t_s);
        }
        if gap_s == 0.0 {
            return nothing(t_s);
        }
        let look = self.compare(t_s, gap_s, &now);
        if look.light {
            // The old light is no measure any more.
            self.history.clear();
        }
        self.history.push_back(Seen { t_s, picture: now });
        // The oldest may go when the next one is old enough too.
        while self.history.len() > HISTORY
            || self
                .history
                .get(1)
                .is_some_and(|next| t_s - next.t_s > f64::from(self.settings.lag_s))
        {
            self.history.pop_front();
        }
        look
    }

    /// What was learned of the place stays; what was seen a moment ago is no moment ago any more.
    fn forget(&mut self) {
        self.history.clear();
        self.tracks.clear();
        self.light_since_s = None;
        self.light_last_s = f64::NEG_INFINITY;
    }

    /// The picture whose age comes nearest to the lag; of two equally near, the older.
    fn then(&self, t_s: f64) -> Option<&Seen> {
        let off = |seen: &&Seen| (t_s - seen.t_s - f64::from(self.settings.lag_s)).abs();
        // Rounded to milliseconds, as timestamps are.
        self.history
            .iter()
            .min_by_key(|seen| (off(seen) * 1000.0) as u64)
    }

    fn compare(&mut self, t_s: f64, gap_s: f64, now: &Small) -> Look {
        let settings = self.settings;
        let mut evidence = std::mem::take(&mut self.evidence);
        let mut differences = std::mem::take(&mut self.differences);
        let Some(then) = self.then(t_s) else {
            return nothing(t_s);
        };
        let age_s = t_s - then.t_s;
        let light = Light::between(&then.picture, now);
        differences.take(
            &then.picture,
            now,
            light,
            settings.sway,
            self.mask.is_some(),
        );
        evidence.clone_from(&differences.whole);
        let differing = judge(&mut evidence, &self.noise, &settings);
        judge(&mut differences.beyond_sway, &self.noise, &settings);
        let taken = if differing as f32 > settings.light_share * evidence.len() as f32 {
            dim(&then.picture, now, &mut evidence)
        } else {
            0
        };
        let lit = self.lit(
            t_s,
            light.strength() > settings.light_levels || taken * 2 > differing,
        );
        self.learn(t_s, gap_s, &differences.whole, &mut evidence);
        // Light and what is usual are judged by all that differs; what moves, by what no swaying explains.
        for (evidence, beyond_sway) in evidence.iter_mut().zip(&differences.beyond_sway) {
            *evidence = evidence.min(*beyond_sway);
        }
        if let Some(mask) = &self.mask {
            mask.apply(&differences.single, &mut evidence);
        }
        let strong = (settings.area * now.data.len() as f32 * 0.5).max(3.0) as usize;
        let mut components = self.finder.find(&evidence, now.width, CLEAR, strong);
        if lit {
            // Shadows, lamps and burned-in text change with the light in their own way. Who moved before moves on.
            self.tracks.retain(|track| track.confirmed);
            components.retain(|component| self.continues(component));
        }
        if self.tracks.iter().any(|track| track.confirmed) {
            // Who is known to move is believed to move on with less.
            let faint = self
                .finder
                .find(&evidence, now.width, FAINT, strong.div_ceil(2));
            let new = |faint: &Component| !components.iter().any(|clear| clear.near(faint, 0));
            let more: Vec<Component> = faint
                .into_iter()
                .filter(|faint| new(faint) && self.continues(faint))
                .collect();
            components.extend(more);
        }
        let rule = self.rule(age_s, gap_s, now.data.len());
        let when = When {
            now_s: t_s,
            before_s: t_s - gap_s,
            until_s: t_s - age_s + gap_s / 2.0,
        };
        follow(
            &mut self.tracks,
            &components,
            when,
            now.width,
            rule,
            &mut self.next_track,
        );
        self.warm(t_s, gap_s, &evidence, now.width);
        (self.evidence, self.differences) = (evidence, differences);
        self.report(t_s, now, differing as f32 / now.data.len() as f32, lit)
    }

    /// Whether evidence lies where something is known to move.
    fn continues(&self, component: &Component) -> bool {
        self.tracks
            .iter()
            .any(|track| track.confirmed && track.place.near(component, 4))
    }

    /// Whether the light is changing: as it seems, but not for longer than a bounded time.
    fn lit(&mut self, t_s: f64, seems: bool) -> bool {
        let hold_s = f64::from(self.settings.light_hold_s);
        if !seems {
            if t_s - self.light_last_s > hold_s {
                self.light_since_s = None;
            }
            return false;
        }
        self.light_last_s = t_s;
        t_s - *self.light_since_s.get_or_insert(t_s) <= hold_s
    }

    /// Learns what is usual where, and masks places that differ all the time.
    fn learn(&mut self, t_s: f64, gap_s: f64, differences: &[f32], evidence: &mut [f32]) {
        let noise_step = (gap_s / NOISE_S).min(0.3) as f32;
        let memory_s = f64::from(self.settings.busy_s).min(t_s - self.started_s + 3.0);
        let busy_step = (gap_s / memory_s).min(0.3) as f32;
        let places = self.noise.iter_mut().zip(&mut self.busy);
        for ((evidence, difference), (noise, busy)) in
            evidence.iter_mut().zip(differences).zip(places)
        {
            // A passer-by must not teach a place that it is noisy: one level a step at most counts.
            *noise += (difference - *noise).clamp(-1.0, 1.0) * noise_step;
            *busy += (f32::from(u8::from(*evidence >= 1.0)) - *busy) * busy_step;
            if *busy > self.settings.busy_rate {
                *evidence = 0.0;
            }
        }
    }

    /// Adds what moves now to what moved so far.
    fn warm(&mut self, t_s: f64, gap_s: f64, evidence: &[f32], width: usize) {
        let now = |track: &&Track| track.confirmed && track.last_s == t_s;
        for place in self.tracks.iter().filter(now).map(|track| track.place) {
            for y in place.top..place.bottom {
                let cells = y * width + place.left..y * width + place.right;
                let moved = self.moved_s.get_mut(cells.clone()).into_iter().flatten();
                let evidence = evidence.get(cells).into_iter().flatten();
                for (moved_s, _) in moved
                    .zip(evidence)
                    .filter(|(_, evidence)| **evidence >= 1.0)
                {
                    *moved_s += gap_s as f32;
                }
            }
        }
    }

    /// What makes a track motion at this cadence.
    fn rule(&self, age_s: f64, gap_s: f64, cells: usize) -> Rule {
        let area = (self.settings.area * cells as f32).max(4.0) as usize;
        if gap_s < 0.3 {
            // Something that changed once is seen for the age less a gap; what lasts longer by this goes on changing.
            let span_s = age_s - gap_s + f64::from(self.settings.persistence_s);
            Rule {
                span_s,
                hits: 3,
                area,
                patience_s: (2.0 * gap_s + 0.03).max(0.45),
            }
        } else if gap_s < 0.7 {
            Rule {
                span_s: gap_s * 0.9,
                hits: 2,
                area,
                patience_s: gap_s * 1.6,
            }
        } else {
            // Too seldom to see anything go on: one look must do, so it must be clearer.
            Rule {
                span_s: 0.0,
                hits: 1,
                area: area.saturating_mul(2),
                patience_s: gap_s * 0.5,
            }
        }
    }

    fn report(&self, t_s: f64, now: &Small, share: f32, light: bool) -> Look {
        let mut look = Look {
            share,
            light,
            ..nothing(t_s)
        };
        let mut weight = 0.0f32;
        let mut until_s = f64::NEG_INFINITY;
        for track in &self.tracks {
            if track.confirmed && track.last_s == t_s {
                look.moved = true;
                look.since_s = look.since_s.min((track.quiet_s + track.first_s) / 2.0);
                until_s = until_s.max(track.until_s);
                look.regions.push(self.region(&track.place, now));
                look.tracks.push(track.id);
                look.trail.push(self.region(&track.trail, now));
                weight += track.place.weight;
            } else {
                look.pending = true;
            }
        }
        if look.moved {
            look.until_s = until_s.clamp(look.since_s, t_s);
            look.score = 1.0 - (-weight / 60.0).exp();
        }
        look
    }

    fn region(&self, place: &Component, now: &Small) -> Region {
        let Shape {
            width,
            height,
            scale,
        } = self.shape.unwrap_or(Shape {
            width: now.width,
            height: now.height,
            scale: 1,
        });
        let across = |cell| (edge(cell, now.width, width.div_ceil(scale)) * scale).min(width);
        let down = |cell| (edge(cell, now.height, height.div_ceil(scale)) * scale).min(height);
        let (x, y) = (across(place.left), down(place.top));
        let (right, bottom) = (across(place.right), down(place.bottom));
        Region {
            x: x as u32,
            y: y as u32,
            width: (right - x) as u32,
            height: (bottom - y) as u32,
        }
    }
}

fn nothing(t_s: f64) -> Look {
    Look {
        t_s,
        moved: false,
        regions: Vec::new(),
        tracks: Vec::new(),
        trail: Vec::new(),
        score: 0.0,
        share: 0.0,
        light: false,
        since_s: t_s,
        until_s: t_s,
        pending: false,
    }
}
