//! A camera's time: RTP timestamps made continuous, and laid onto the box's clock.
//!
//! A camera counts 90 kHz ticks from a random start. Three things disturb the count: the camera's clock is set (it jumps), it
//! runs a little fast or slow (drift), and packets are delayed on their way by an amount that varies (jitter), but never
//! arrive early. So the truest relation between ticks and our clock is that of the *least delayed* packet of the last half
//! minute or so: a minimum filter over two windows, as in NTP's clock filter (RFC 5905, section 10).

/// Ticks a second of every video payload format of RTP (RFC 6184 section 8.1, RFC 7798 section 7.1, RFC 2435 section 3).
pub const TICKS: f64 = 90_000.0;

/// A step forward beyond what passed on our clock, that is a jump of the camera's clock.
const JUMP_FORWARD_S: f64 = 2.0;
/// A step back that is a jump; smaller ones are pictures shown in another order than sent.
const JUMP_BACK_S: f64 = 1.0;
/// Length of a window of the minimum filter.
const WINDOW_S: f64 = 20.0;
/// How fast the estimate follows a minimum that rises, seconds a second: clocks drift by less than 0.0002.
const SLEW: f64 = 0.002;
/// A delay beyond this that lasts is no delay but another clock.
const HOPELESS_S: f64 = 10.0;

/// Where a picture stands in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// Continuous presentation time, 90 kHz.
    pub pts: i64,
    /// When it was sent at the latest, on the box's ticking clock: seconds.
    pub ticks_s: f64,
    /// The camera's clock jumped before this picture.
    pub jumped: bool,
}

/// One session's time. Pure: it is told when pictures arrive.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    shift: i64,
    last: Option<(i64, f64)>,
    filter: Option<Filter>,
    jumps: u32,
}

#[derive(Clone, Debug)]
struct Filter {
    /// Our clock less the camera's, by the least delayed packet.
    offset: f64,
    now: f64,
    before: f64,
    window_end: f64,
    last_ticks: f64,
    /// Mean delay above the offset, and its mean deviation.
    delay: f64,
    spread: f64,
    seen: u32,
}

impl Filter {
    fn new(offset: f64, ticks_s: f64) -> Self {
        Self {
            offset,
            now: offset,
            before: offset,
            window_end: ticks_s + WINDOW_S,
            last_ticks: ticks_s,
            delay: 0.0,
            spread: 0.25,
            seen: 0,
        }
    }

    fn push(&mut self, sample: f64, ticks_s: f64) {
        if ticks_s >= self.window_end {
            self.before = self.now;
            self.now = sample;
            self.window_end = ticks_s + WINDOW_S;
        }
        self.now = self.now.min(sample);
        let least = self.now.min(self.before);
        let passed = (ticks_s - self.last_ticks).max(0.0);
        self.last_ticks = ticks_s;
        if least < self.offset || least > self.offset + HOPELESS_S {
            self.offset = least;
        } else {
            self.offset += (least - self.offset).min(SLEW * passed);
        }
        self.seen = self.seen.saturating_add(1);
        let weight = (1.0 / f64::from(self.seen)).max(0.02);
        let delay = sample - self.offset;
        self.delay += weight * (delay - self.delay);
        self.spread += weight * ((delay - self.delay).abs() - self.spread);
    }
}

impl Timeline {
    /// Continues after what an earlier session of the same camera showed, so that presentation times never repeat.
    #[must_use]
    pub fn after(earlier: &Self, ticks_s: f64) -> Self {
        let mut next = Self {
            jumps: earlier.jumps,
            ..Self::default()
        };
        if let Some((pts, at)) = earlier.last {
            let passed = ((ticks_s - at).max(0.04) * TICKS) as i64;
            next.last = Some((pts.saturating_add(passed), ticks_s));
            next.shift = i64::MIN; // the next picture is laid where `last` points
        }
        next
    }

    /// Places the next picture: `raw` is its timestamp as the camera gave it (only freed of the 32-bit wrap), `ticks_s` when it
    /// arrived.
    pub fn place(&mut self, raw: i64, ticks_s: f64) -> Placed {
        let mut jumped = false;
        let pts = match self.last {
            None => {
                self.shift = 0;
                raw
            }
            Some((last, _)) if self.shift == i64::MIN => {
                self.shift = last.saturating_sub(raw);
                last
            }
            Some((last, at)) => {
                let pts = raw.saturating_add(self.shift);
                let media = (pts.saturating_sub(last)) as f64 / TICKS;
                let passed = (ticks_s - at).max(0.0);
                // After a stall the camera may send in a burst what it had kept: media may catch up with the delay.
                let arrears = self.filter.as_ref().map_or(0.0, |filter| {
                    (at - last as f64 / TICKS - filter.offset).max(0.0)
                });
                jumped = media < -JUMP_BACK_S || media - passed - arrears > JUMP_FORWARD_S;
                if jumped {
                    let pts = last.saturating_add((passed.clamp(0.02, 3600.0) * TICKS) as i64);
                    self.shift = pts.saturating_sub(raw);
                    self.jumps = self.jumps.saturating_add(1);
                    self.filter = None;
                    pts
                } else {
                    pts
                }
            }
        };
        let sample = ticks_s - pts as f64 / TICKS;
        self.filter
            .get_or_insert_with(|| Filter::new(sample, ticks_s))
            .push(sample, ticks_s);
        let newest = self.last.map_or(pts, |(last, _)| last.max(pts));
        self.last = Some((newest, ticks_s));
        Placed {
            pts,
            ticks_s: self.ticks_of(pts),
            jumped,
        }
    }

    /// A presentation time on the box's ticking clock.
    #[must_use]
    pub fn ticks_of(&self, pts: i64) -> f64 {
        pts as f64 / TICKS + self.filter.as_ref().map_or(0.0, |filter| filter.offset)
    }

    /// What receive times leave open about a picture's time, in seconds. The camera's own delay between its sensor and its
    /// network port (often 0.05 to 0.3 s) is not in it: nothing that it sends would show that.
    #[must_use]
    pub fn error_s(&self) -> f64 {
        self.filter.as_ref().map_or(1.0, |filter| {
            (filter.delay.max(0.0) + 2.0 * filter.spread).clamp(0.002, 60.0)
        })
    }

    /// How often the camera's clock jumped.
    #[must_use]
    pub fn jumps(&self) -> u32 {
        self.jumps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn play(timeline: &mut Timeline, raw: i64, from_s: f64, pictures: usize) -> Vec<Placed> {
        (0..pictures)
            .map(|index| timeline.place(raw + 3600 * index as i64, from_s + 0.04 * index as f64))
            .collect()
    }

    #[test]
    fn a_quiet_line_is_followed_exactly() {
        let mut timeline = Timeline::default();
        for placed in play(&mut timeline, 1 << 31, 7.0, 100).into_iter().zip(0..) {
            assert!((placed.0.ticks_s - (7.0 + 0.04 * f64::from(placed.1))).abs() < 1e-6);
        }
        assert!(timeline.error_s() < 0.02, "{}", timeline.error_s());
    }

    #[test]
    fn a_burst_at_the_start_is_laid_back_in_time() {
        // Two seconds of pictures arrive at once, then live: the last of the burst was the least delayed.
        let mut timeline = Timeline::default();
        for index in 0..50 {
            timeline.place(3600 * index, 10.0);
        }
        let live = timeline.place(3600 * 50, 10.04);
        assert!((live.ticks_s - 10.04).abs() < 1e-6 && !live.jumped);
        assert!((timeline.ticks_of(0) - 8.04).abs() < 1e-6);
    }

    #[test]
    fn a_jump_goes_on_where_it_was() {
        for to in [0_i64, 3600 * 1_000_000, -(1 << 40), 1 << 40] {
            let mut timeline = Timeline::default();
            let before = *play(&mut timeline, 1_000_000_000, 5.0, 50).last().unwrap();
            let after = timeline.place(to, 5.0 + 0.04 * 50.0);
            assert!(after.jumped);
            assert_eq!(after.pts - before.pts, 3600);
            assert!((after.ticks_s - before.ticks_s - 0.04).abs() < 0.001);
            assert!(!timeline.place(to + 3600, 5.0 + 0.04 * 51.0).jumped);
            assert_eq!(timeline.jumps(), 1);
        }
    }

    #[test]
    fn a_stall_that_catches_up_is_no_jump() {
        let mut timeline = Timeline::default();
        play(&mut timeline, 0, 0.0, 50);
        // Nothing for four seconds, then all of it at once.
        let burst: Vec<Placed> = (50..150)
            .map(|index| timeline.place(3600 * index, 6.0))
            .collect();
        assert!(burst.iter().all(|placed| !placed.jumped));
        assert!((burst[0].ticks_s - 2.0).abs() < 0.05);
    }

    #[test]
    fn a_new_session_goes_on_after_the_old_one() {
        let mut old = Timeline::default();
        let last = *play(&mut old, 500, 1.0, 30).last().unwrap();
        let mut new = Timeline::after(&old, last.ticks_s + 10.0);
        let first = new.place(77, last.ticks_s + 10.0);
        assert_eq!(first.pts, last.pts + 900_000);
        assert_eq!(
            new.place(77 + 3600, last.ticks_s + 10.04).pts,
            first.pts + 3600
        );
    }

    proptest! {
        #[test]
        fn nothing_panics_and_time_never_runs_away(
            steps in prop::collection::vec((any::<i64>(), 0.0..5.0_f64, any::<bool>()), 1..200),
        ) {
            let mut timeline = Timeline::default();
            let (mut ticks, mut raw) = (0.0, 0_i64);
            for (wild, passed, jump) in steps {
                ticks += passed;
                raw = if jump { wild } else { raw.saturating_add((passed * TICKS) as i64) };
                let placed = timeline.place(raw, ticks);
                prop_assert!(placed.ticks_s.is_finite());
                prop_assert!(timeline.error_s() >= 0.002);
                if raw.unsigned_abs() < 1 << 50 {
                    prop_assert!((placed.ticks_s - ticks).abs() < 1100.0, "{} at {ticks}", placed.ticks_s);
                }
            }
        }

        #[test]
        fn drift_and_jitter_stay_within_the_said_error(
            drift in -0.0002..0.0002_f64, jitter in prop::collection::vec(0.0..0.08_f64, 3000),
        ) {
            let mut timeline = Timeline::default();
            let mut worst: f64 = 0.0;
            for (index, jitter) in jitter.iter().enumerate() {
                let sent = 0.04 * index as f64;
                let raw = (sent * (1.0 + drift) * TICKS) as i64;
                let placed = timeline.place(raw, sent + jitter);
                if index > 500 {
                    worst = worst.max((placed.ticks_s - sent).abs() - timeline.error_s());
                }
            }
            prop_assert!(worst <= 0.0, "{worst} s more than said");
        }
    }
}
