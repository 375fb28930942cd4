//! From looks to events: something moved from here to there.

use crate::{Look, Region, Settings};

/// Regions of an event are joined until there are no more than this.
const MAX_REGIONS: usize = 8;

/// Motion with a start and an end.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When it began, on the looks' clock: refined backwards to where the evidence began.
    pub start_s: f64,
    /// When it ended.
    pub end_s: f64,
    /// How clear it was at its clearest, 0 to 1.
    pub score: f32,
    /// Where things moved, as boxes in pixels of the full cropped picture; boxes that touch are joined.
    pub regions: Vec<Region>,
}

/// Joins looks to events, one after the other.
#[derive(Clone, Debug)]
pub struct EventTracker {
    merge_gap_s: f64,
    min_event_s: f64,
    open: Option<Event>,
    last_look_s: f64,
}

impl EventTracker {
    /// A tracker with no event open.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            merge_gap_s: f64::from(settings.merge_gap_s),
            min_event_s: f64::from(settings.min_event_s),
            open: None,
            last_look_s: f64::NEG_INFINITY,
        }
    }

    /// The event that is going on, as far as it is known.
    #[must_use]
    pub fn open(&self) -> Option<&Event> {
        self.open.as_ref()
    }

    /// Takes the next look; returns the event that is over by now, if one is.
    pub fn push(&mut self, look: &Look) -> Option<Event> {
        let gap_s = look.t_s - self.last_look_s;
        self.last_look_s = look.t_s;
        // Sparse looks cannot tell a pause from an end before the next one.
        let patience_s = self
            .merge_gap_s
            .max(if gap_s.is_finite() { gap_s * 1.2 } else { 0.0 });
        if look.moved {
            let over = self
                .open
                .take_if(|open| look.since_s - open.end_s > patience_s || look.t_s < open.start_s);
            match &mut self.open {
                Some(open) => {
                    open.start_s = open.start_s.min(look.since_s);
                    open.end_s = open.end_s.max(look.until_s);
                    open.score = open.score.max(look.score);
                    look.trail
                        .iter()
                        .for_each(|region| add(&mut open.regions, *region));
                }
                None => {
                    let mut regions = Vec::new();
                    look.trail
                        .iter()
                        .for_each(|region| add(&mut regions, *region));
                    let (start_s, end_s) = (look.since_s, look.until_s);
                    self.open = Some(Event {
                        start_s,
                        end_s,
                        score: look.score,
                        regions,
                    });
                }
            }
            return over.filter(|event| self.lasted(event));
        }
        // While something may yet turn out to be its continuation, the event stays open, but not for ever.
        let wait_s = if look.pending {
            patience_s + 1.5
        } else {
            patience_s
        };
        let over = self
            .open
            .take_if(|open| look.t_s - open.end_s > wait_s || look.t_s < open.start_s);
        over.filter(|event| self.lasted(event))
    }

    /// No more looks come: returns the event that was open.
    pub fn finish(&mut self) -> Option<Event> {
        self.open.take().filter(|event| self.lasted(event))
    }

    fn lasted(&self, event: &Event) -> bool {
        event.end_s - event.start_s >= self.min_event_s
    }
}

/// Adds a box, joined with those that it touches.
fn add(regions: &mut Vec<Region>, mut new: Region) {
    loop {
        let touching = regions.iter().position(|old| touch(old, &new));
        let full = regions.len() >= MAX_REGIONS;
        let Some(index) = touching.or(if full { nearest(regions, &new) } else { None }) else {
            break;
        };
        new = hull(&regions.swap_remove(index), &new);
    }
    regions.push(new);
}

fn touch(one: &Region, other: &Region) -> bool {
    one.x <= other.x + other.width
        && other.x <= one.x + one.width
        && one.y <= other.y + other.height
        && other.y <= one.y + one.height
}

fn nearest(regions: &[Region], to: &Region) -> Option<usize> {
    let centre = |region: &Region| {
        (
            i64::from(region.x) + i64::from(region.width / 2),
            i64::from(region.y) + i64::from(region.height / 2),
        )
    };
    let (x, y) = centre(to);
    (0..regions.len()).min_by_key(|index| {
        let (a, b) = centre(&regions[*index]);
        (a - x).abs() + (b - y).abs()
    })
}

fn hull(one: &Region, other: &Region) -> Region {
    let (x, y) = (one.x.min(other.x), one.y.min(other.y));
    let right = (one.x + one.width).max(other.x + other.width);
    let bottom = (one.y + one.height).max(other.y + other.height);
    Region {
        x,
        y,
        width: right - x,
        height: bottom - y,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(t_s: f64, moved: bool, pending: bool) -> Look {
        let region = Region {
            x: 10 * t_s as u32,
            y: 5,
            width: 20,
            height: 20,
        };
        let regions = if moved { vec![region] } else { Vec::new() };
        let score = if moved { 0.5 } else { 0.0 };
        let (since_s, until_s) = if moved {
            (t_s - 0.5, t_s - 0.1)
        } else {
            (t_s, t_s)
        };
        let trail = regions.clone();
        Look {
            t_s,
            moved,
            regions,
            tracks: Vec::new(),
            trail,
            score,
            share: 0.0,
            light: false,
            since_s,
            until_s,
            pending,
        }
    }

    /// Events of looks a fifth of a second apart, moving in the given spans.
    fn events(spans: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let mut tracker = EventTracker::new(&Settings::default());
        let moving = |t_s: f64| spans.iter().any(|(from, to)| (*from..*to).contains(&t_s));
        let looks = (0..100)
            .map(|index| f64::from(index) * 0.2)
            .map(|t_s| look(t_s, moving(t_s), moving(t_s + 0.5)));
        let mut found: Vec<Event> = looks.filter_map(|look| tracker.push(&look)).collect();
        found.extend(tracker.finish());
        found
            .iter()
            .map(|event| (event.start_s, event.end_s))
            .collect()
    }

    #[test]
    fn pauses_join_and_gaps_part() {
        let close = |found: Vec<(f64, f64)>, wanted: &[(f64, f64)]| {
            assert_eq!(found.len(), wanted.len(), "{found:?}");
            for (found, wanted) in found.iter().zip(wanted) {
                assert!(
                    (found.0 - wanted.0).abs() < 0.15 && (found.1 - wanted.1).abs() < 0.15,
                    "{found:?} {wanted:?}"
                );
            }
        };
        close(events(&[(4.0, 6.0), (7.0, 8.0)]), &[(3.5, 7.7)]);
        close(
            events(&[(4.0, 6.0), (9.0, 10.0)]),
            &[(3.5, 5.7), (8.5, 9.7)],
        );
        close(events(&[(15.0, 30.0)]), &[(14.5, 19.7)]);
        close(events(&[]), &[]);
    }

    #[test]
    fn boxes_that_touch_are_one_and_there_are_never_many() {
        let mut regions = Vec::new();
        for index in 0..40 {
            add(
                &mut regions,
                Region {
                    x: index % 7 * 90,
                    y: index / 7 * 60,
                    width: 20,
                    height: 20,
                },
            );
            assert!(regions.len() <= MAX_REGIONS);
        }
        add(
            &mut regions,
            Region {
                x: 0,
                y: 0,
                width: 640,
                height: 400,
            },
        );
        assert_eq!(regions.len(), 1);
    }
}
