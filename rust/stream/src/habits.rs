//! What a stream's compressed pictures tell of how its camera is set: what the gate and the looks at key pictures suffer from.

use edusense_bitstream::PictureFacts;

use crate::timeline::TICKS;

/// Groups that are remembered.
const GROUPS: usize = 16;

/// Groups before anything is said.
const ENOUGH: usize = 6;

/// Key pictures further apart than this leave an event without one for too long, in seconds.
const LONG_S: f32 = 4.0;

/// Groups of a camera without a "smart codec" are of one length; a scene cut may end one early.
const VARIES: f32 = 1.5;

/// Share of bits that only fill a constant rate.
const FILLER: f64 = 0.01;

/// Relative spread of the sizes of groups under which the rate is held constant: 0.02 to 0.03 where it is, 0.04 to 0.17 where it
/// varies.
const CONSTANT: f32 = 0.033;

/// A habit of a camera's encoder that hides motion, or delays seeing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Habit {
    /// Key pictures come more than four seconds apart, and at no fixed distance: as "smart codecs" do.
    SmartCodec,
    /// Key pictures come more than four seconds apart.
    LongGop,
    /// Every group takes the same bits, whatever happens.
    ConstantRate,
    /// Bits that say nothing fill the rate up.
    Filler,
}

impl Habit {
    /// The word that scripts compare.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SmartCodec => "smart-codec",
            Self::LongGop => "long-gop",
            Self::ConstantRate => "constant-rate",
            Self::Filler => "filler",
        }
    }

    /// What it means, and what to do about it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::SmartCodec => {
                "key pictures come at no fixed distance, as a smart codec makes them: turn it off, and set a key picture every 1 to 2 s"
            }
            Self::LongGop => {
                "key pictures are more than 4 s apart: set one every 1 to 2 s, or a short event is confirmed late"
            }
            Self::ConstantRate => {
                "constant bit rate hides motion: set the camera to VBR (`edusense camera plan`)"
            }
            Self::Filler => {
                "part of its bits only fill up a constant rate: set the camera to VBR (`edusense camera plan`)"
            }
        }
    }
}

/// The last groups of one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Habits {
    /// Seconds and bits of each.
    groups: [(f32, f32); GROUPS],
    filled: usize,
    next: usize,
    began_pts: Option<i64>,
    bits: f64,
    /// Of all groups, weighed less the older they are.
    filler: f64,
    all: f64,
}

impl Habits {
    /// Takes the next picture.
    pub(crate) fn push(&mut self, facts: &PictureFacts, bytes: usize, pts: i64) {
        if facts.key {
            let span_s = self
                .began_pts
                .map(|began| (pts.saturating_sub(began)) as f64 / TICKS);
            // Longer is a pause of the stream, not a group.
            if let Some(span_s) = span_s.filter(|span_s| (0.0..120.0).contains(span_s)) {
                self.groups[self.next] = (span_s as f32, self.bits as f32);
                self.next = (self.next + 1) % GROUPS;
                self.filled = (self.filled + 1).min(GROUPS);
                self.filler *= 0.9;
                self.all *= 0.9;
            }
            self.began_pts = Some(pts);
            self.bits = 0.0;
        }
        let bits = 8.0 * bytes as f64;
        let filler = (facts.filler_bits as f64).min(bits);
        self.bits += bits - filler;
        self.filler += filler;
        self.all += bits;
    }

    /// What is seen of it by now, the gravest first.
    pub(crate) fn found(&self) -> Vec<Habit> {
        let groups = &self.groups[..self.filled];
        let longest = groups.iter().map(|group| group.0).fold(0.0, f32::max);
        if self.filled < ENOUGH && longest <= LONG_S {
            return Vec::new();
        }
        let mut found = Vec::new();
        if longest > LONG_S {
            let mut spans: Vec<f32> = groups.iter().map(|group| group.0).collect();
            spans.sort_unstable_by(f32::total_cmp);
            // One that a scene cut has shortened is no habit.
            let short = spans.get(spans.len() / 4).copied().unwrap_or(longest);
            found.push(if spans.len() >= ENOUGH && longest > VARIES * short {
                Habit::SmartCodec
            } else {
                Habit::LongGop
            });
        }
        if self.filled >= ENOUGH
            && let Some(spread) = spread(groups)
            && spread < CONSTANT
        {
            found.push(Habit::ConstantRate);
        }
        if self.all > 0.0 && self.filler / self.all > FILLER {
            found.push(Habit::Filler);
        }
        found
    }
}

/// Standard deviation of the bits a second of groups, as a share of their mean. None where pictures are single.
fn spread(groups: &[(f32, f32)]) -> Option<f32> {
    let rates: Vec<f32> = groups
        .iter()
        .filter(|(span_s, _)| *span_s > 0.3)
        .map(|(span_s, bits)| bits / span_s)
        .collect();
    if rates.len() < ENOUGH {
        return None;
    }
    let mean = rates.iter().sum::<f32>() / rates.len() as f32;
    let square = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f32>() / rates.len() as f32;
    (mean > 0.0).then(|| square.sqrt() / mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups of these lengths in pictures at 25 a second; `size` of each picture by group, in bytes; filler a picture.
    fn seen(lengths: &[usize], size: impl Fn(usize) -> usize, filler: u64) -> Vec<Habit> {
        let mut habits = Habits::default();
        let mut pts = 0;
        for (group, length) in lengths.iter().enumerate() {
            for index in 0..*length {
                let mut facts = PictureFacts::new(index == 0, 920, &[]);
                facts.filler_bits = filler;
                habits.push(&facts, size(group), pts);
                pts += 3600;
            }
        }
        habits.found()
    }

    fn varying(group: usize) -> usize {
        900 + group * 37 % 200
    }

    #[test]
    fn a_well_set_camera_has_none() {
        assert_eq!(seen(&[50; 12], varying, 0), []);
        assert_eq!(
            seen(&[50, 50, 12, 38, 50, 50, 50, 50, 50], varying, 0),
            [],
            "a scene cut"
        );
        assert_eq!(seen(&[1; 40], varying, 0), [], "single pictures");
    }

    #[test]
    fn long_groups_are_named_at_once_and_those_of_a_smart_codec_when_they_vary() {
        assert_eq!(seen(&[150, 150], varying, 0), [Habit::LongGop]);
        assert_eq!(seen(&[250; 10], varying, 0), [Habit::LongGop]);
        assert_eq!(
            seen(&[50, 200, 80, 300, 50, 120, 400, 60], varying, 0),
            [Habit::SmartCodec]
        );
    }

    #[test]
    fn a_constant_rate_and_what_fills_it_up_are_named() {
        assert_eq!(seen(&[50; 12], |_| 1000, 0), [Habit::ConstantRate]);
        assert_eq!(
            seen(&[50; 12], |_| 1000, 2000),
            [Habit::ConstantRate, Habit::Filler]
        );
        assert_eq!(seen(&[50; 4], |_| 1000, 2000), [], "too early to say");
    }
}
