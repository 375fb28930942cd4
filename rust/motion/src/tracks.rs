//! Evidence that goes on: components of one look joined with those of the looks before.
//!
//! A lamp, a clock's digit or a key picture's new quantiser changes the picture once; whatever is compared across that moment
//! differs for as long as the lag, and no longer. Somebody who moves goes on changing it. That is the difference that is made
//! here.

use crate::regions::Component;

/// Cells that a thing may have moved in a second, as a share of the picture's width. A runner close to the camera.
const SPEED: f64 = 0.6;

/// Cells of slack between two boxes of one thing.
const REACH: f64 = 4.0;

/// Something that has been changing.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    /// Its number in its detector: the same as long as it is followed; where two turn out to be one, the older's.
    pub(crate) id: u64,
    /// Where it was seen last.
    pub(crate) place: Component,
    /// Where it has been all along.
    pub(crate) trail: Component,
    /// The last look before it was there: it began after this.
    pub(crate) quiet_s: f64,
    /// First look with evidence of it.
    pub(crate) first_s: f64,
    /// Last look with evidence of it.
    pub(crate) last_s: f64,
    /// Until when it moved at least, estimated.
    pub(crate) until_s: f64,
    /// Looks with evidence.
    pub(crate) hits: u32,
    /// Most cells at once.
    pub(crate) peak_area: usize,
    /// It has gone on for long enough to be motion.
    pub(crate) confirmed: bool,
}

/// When a track is motion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Shortest time between first and last evidence.
    pub(crate) span_s: f64,
    /// Fewest looks with evidence.
    pub(crate) hits: u32,
    /// Fewest cells in one of its looks.
    pub(crate) area: usize,
    /// A track without evidence for longer than this is over.
    pub(crate) patience_s: f64,
}

/// The times of a look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When {
    /// The look's.
    pub(crate) now_s: f64,
    /// The one's before.
    pub(crate) before_s: f64,
    /// Evidence in this look means that something moved until then, or longer.
    pub(crate) until_s: f64,
}

/// Joins the components of a look to the tracks, confirms by `rule`, and drops what is over.
pub(crate) fn follow(
    tracks: &mut Vec<Track>,
    components: &[Component],
    when: When,
    width: usize,
    rule: Rule,
    next_id: &mut u64,
) {
    let When {
        now_s,
        before_s,
        until_s,
    } = when;
    tracks.retain(|track| now_s - track.last_s <= rule.patience_s);
    for component in components {
        let near = |track: &Track| {
            let away = (now_s - track.last_s).clamp(0.0, 0.5);
            track
                .place
                .near(component, (REACH + SPEED * width as f64 * away) as usize)
        };
        let mut joined: Option<Track> = None;
        let mut index = 0;
        while index < tracks.len() {
            if near(&tracks[index]) {
                let track = tracks.swap_remove(index);
                joined = Some(match joined {
                    None => track,
                    Some(other) => union(other, track),
                });
            } else {
                index += 1;
            }
        }
        let mut track = joined.unwrap_or_else(|| Track {
            id: std::mem::replace(next_id, next_id.wrapping_add(1)),
            place: *component,
            trail: *component,
            quiet_s: before_s,
            first_s: now_s,
            last_s: f64::NEG_INFINITY,
            until_s,
            hits: 0,
            peak_area: 0,
            confirmed: false,
        });
        let faint = !track.confirmed && track.hits == 1 && track.last_s < before_s;
        if faint && track.place.area * 2 < component.area {
            // A flash of noise where something then began.
            (track.first_s, track.quiet_s) = (now_s, before_s);
            track.trail = *component;
        }
        if track.last_s < now_s {
            track.place = *component;
            track.hits += 1;
        } else {
            track.place = track.place.joined(component);
        }
        track.trail = track.trail.joined(component);
        track.last_s = now_s;
        track.until_s = track.until_s.max(until_s);
        track.peak_area = track.peak_area.max(track.place.area);
        tracks.push(track);
    }
    for track in tracks.iter_mut() {
        track.confirmed |= track.hits >= rule.hits
            && track.last_s - track.first_s >= rule.span_s
            && track.peak_area >= rule.area;
    }
}

/// Two tracks that turned out to be one thing.
fn union(one: Track, other: Track) -> Track {
    let (old, new) = if one.first_s <= other.first_s {
        (one, other)
    } else {
        (other, one)
    };
    let place = match old.last_s.total_cmp(&new.last_s) {
        std::cmp::Ordering::Equal => old.place.joined(&new.place),
        std::cmp::Ordering::Less => new.place,
        std::cmp::Ordering::Greater => old.place,
    };
    Track {
        id: old.id,
        place,
        trail: old.trail.joined(&new.trail),
        quiet_s: old.quiet_s,
        first_s: old.first_s,
        last_s: old.last_s.max(new.last_s),
        until_s: old.until_s.max(new.until_s),
        hits: old.hits.max(new.hits),
        peak_area: old.peak_area.max(new.peak_area),
        confirmed: old.confirmed || new.confirmed,
    }
}
