//! Whether the gate may be believed, by probes: pictures that the clock chose, never the gate, and what pixels showed in them.
//!
//! The noise alone ([`Gate::noise`](crate::Gate::noise)) foretells it at once and roughly. How often the gate had fired where
//! pixels moved foretells it well, after some hours. A night's noise makes another camera of the same one: probes are counted
//! apart by the noise that there was, so that a day's good record does not vouch for a dark room, whatever the hour at which the
//! lamps go out.

use crate::GateState;

/// Moved probes after which the record counts: below that it may be chance.
const ENOUGH: f32 = 20.0;

/// Noise that parts the classes: good, fair, weak, blind.
const CLASSES: [f32; 3] = [4.0, 8.0, 64.0];

/// Share of moved probes in which a trusted gate had fired.
const TRUSTED_RATE: f32 = 0.5;

/// A gate that fires as often without motion as with it says nothing: less than this apart, it is off.
const TELLING: f32 = 0.1;

/// A state is left only when it is missed by this much.
const SLACK: f32 = 0.05;

/// Time in which what was counted loses two thirds of its weight, in seconds: a day.
const MEMORY_S: f64 = 86_400.0;

/// Probes of one class of noise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Record {
    /// Pixels moved, and the gate had fired.
    pub hits: f32,
    /// Pixels moved.
    pub moved: f32,
    /// Pixels did not move, and the gate had fired.
    pub false_fires: f32,
    /// Pixels did not move.
    pub quiet: f32,
}

impl Record {
    /// Share of moved probes in which the gate had fired; None before there were enough of them.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f32> {
        // What decays between two probes of a quiet day must not make the record too small again at once.
        (self.moved >= ENOUGH).then(|| (self.hits / self.moved).clamp(0.0, 1.0))
    }

    fn false_rate(&self) -> f32 {
        // As if one quiet probe had fired: a few quiet ones prove nothing.
        (self.false_fires + 0.5) / (self.quiet + 1.0)
    }

    fn decay(&mut self, by: f32) {
        for count in [
            &mut self.hits,
            &mut self.moved,
            &mut self.false_fires,
            &mut self.quiet,
        ] {
            *count *= by;
        }
    }
}

/// What probes have said of one camera's gate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trust {
    records: [Record; CLASSES.len() + 1],
    /// State that the record of each class has led to.
    states: [Option<GateState>; CLASSES.len() + 1],
    at_s: Option<f64>,
}

impl Trust {
    /// A gate of which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was counted earlier, as [`Trust::records`] and [`Trust::at_s`] gave it. What cannot have been counted is left out.
    #[must_use]
    pub fn restored(records: [Record; CLASSES.len() + 1], at_s: Option<f64>) -> Self {
        let sound = |record: &Record| {
            let all = [record.hits, record.moved, record.false_fires, record.quiet];
            all.iter().all(|count| (0.0..1e9).contains(count))
                && record.hits <= record.moved * 1.001
                && record.false_fires <= record.quiet * 1.001
        };
        let mut trust = Self {
            records: records.map(|record| {
                if sound(&record) {
                    record
                } else {
                    Record::default()
                }
            }),
            states: [None; CLASSES.len() + 1],
            at_s: at_s.filter(|at| at.is_finite()),
        };
        for class in 0..trust.records.len() {
            trust.decide(class);
        }
        trust
    }

    /// A probe was looked at.
    ///
    /// `noise`: of the gate at that time. `weight`: how many probes it stands for, 0 to 1. `at_s`: a clock that may step; what it
    /// steps by is not aged.
    pub fn probe(&mut self, noise: Option<f32>, fired: bool, moved: bool, weight: f32, at_s: f64) {
        let weight = if weight.is_finite() {
            weight.clamp(0.0, 1.0)
        } else {
            0.0
        };
        let passed = self.at_s.map_or(0.0, |last| at_s - last);
        // A clock that was set by a month has not made anybody forget.
        if (0.0..7.0 * MEMORY_S).contains(&passed) {
            let by = (-passed / MEMORY_S).exp() as f32;
            self.records.iter_mut().for_each(|record| record.decay(by));
        }
        self.at_s = Some(at_s);
        let class = class_of(noise);
        let record = &mut self.records[class];
        if moved {
            record.moved += weight;
            record.hits += weight * f32::from(u8::from(fired));
        } else {
            record.quiet += weight;
            record.false_fires += weight * f32::from(u8::from(fired));
        }
        self.decide(class);
    }

    /// How far the gate is to be believed: as probes have shown, else as its noise lets expect.
    #[must_use]
    pub fn state(&self, expected: GateState, noise: Option<f32>) -> GateState {
        if expected == GateState::Learning {
            return expected;
        }
        self.states[class_of(noise)].unwrap_or(expected)
    }

    /// The record that counts at this noise.
    #[must_use]
    pub fn record(&self, noise: Option<f32>) -> Record {
        self.records[class_of(noise)]
    }

    /// All records, by class of noise.
    #[must_use]
    pub fn records(&self) -> &[Record; CLASSES.len() + 1] {
        &self.records
    }

    /// When the last probe was.
    #[must_use]
    pub fn at_s(&self) -> Option<f64> {
        self.at_s
    }

    fn decide(&mut self, class: usize) {
        let record = &self.records[class];
        let Some(rate) = record.hit_rate() else {
            // What has led to a state and is only forgotten by half still holds.
            if record.moved < ENOUGH / 2.0 {
                self.states[class] = None;
            }
            return;
        };
        let was = self.states[class];
        let slack = |of: GateState| match was {
            Some(state) if state == of => -SLACK,
            Some(_) => SLACK,
            None => 0.0,
        };
        let telling = rate - record.false_rate();
        self.states[class] = Some(if telling < TELLING - slack(GateState::Off) {
            GateState::Off
        } else if rate >= TRUSTED_RATE + slack(GateState::Trusted) {
            GateState::Trusted
        } else {
            GateState::Helper
        });
    }
}

fn class_of(noise: Option<f32>) -> usize {
    // Not known is not good.
    let noise = noise.unwrap_or(CLASSES[2]);
    CLASSES.iter().take_while(|border| noise > **border).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: Option<f32> = Some(2.0);

    /// `moved` probes with motion, the gate firing in `hits` of ten; as many quiet ones, it firing in `wrong` of ten.
    fn feed(
        trust: &mut Trust,
        noise: Option<f32>,
        moved: usize,
        hits: usize,
        wrong: usize,
        from_s: f64,
    ) {
        for index in 0..moved {
            let at_s = from_s + 120.0 * index as f64;
            trust.probe(noise, index % 10 < hits, true, 1.0, at_s);
            trust.probe(noise, index % 10 < wrong, false, 1.0, at_s + 60.0);
        }
    }

    #[test]
    fn what_is_expected_holds_until_there_are_probes_enough() {
        let mut trust = Trust::new();
        feed(&mut trust, GOOD, 15, 0, 0, 0.0);
        assert_eq!(trust.state(GateState::Trusted, GOOD), GateState::Trusted);
        assert_eq!(trust.record(GOOD).hit_rate(), None);
        feed(&mut trust, GOOD, 10, 0, 0, 2000.0);
        assert_eq!(trust.state(GateState::Trusted, GOOD), GateState::Off);
        assert_eq!(trust.state(GateState::Learning, GOOD), GateState::Learning);
    }

    #[test]
    fn the_share_of_motion_that_it_saw_decides() {
        for (hits, wrong, wanted) in [
            (9, 0, GateState::Trusted),
            (6, 1, GateState::Trusted),
            (3, 0, GateState::Helper),
            (0, 0, GateState::Off),
            (6, 6, GateState::Off),
        ] {
            let mut trust = Trust::new();
            feed(&mut trust, GOOD, 60, hits, wrong, 0.0);
            assert_eq!(
                trust.state(GateState::Helper, GOOD),
                wanted,
                "{hits} {wrong}"
            );
        }
    }

    #[test]
    fn a_state_is_not_left_for_a_little() {
        let mut trust = Trust::new();
        feed(&mut trust, GOOD, 60, 6, 0, 0.0);
        let near = |trust: &mut Trust, hits: f32| {
            trust.records[0].hits = hits * trust.records[0].moved;
            trust.decide(0);
            trust.state(GateState::Helper, GOOD)
        };
        assert_eq!(near(&mut trust, 0.48), GateState::Trusted);
        assert_eq!(near(&mut trust, 0.44), GateState::Helper);
        assert_eq!(near(&mut trust, 0.52), GateState::Helper);
        assert_eq!(near(&mut trust, 0.56), GateState::Trusted);
    }

    #[test]
    fn a_good_day_does_not_vouch_for_the_night() {
        let mut trust = Trust::new();
        feed(&mut trust, GOOD, 60, 9, 0, 0.0);
        assert_eq!(
            trust.state(GateState::Helper, Some(20.0)),
            GateState::Helper
        );
        feed(&mut trust, Some(20.0), 60, 0, 0, 9000.0);
        assert_eq!(trust.state(GateState::Helper, Some(20.0)), GateState::Off);
        assert_eq!(trust.state(GateState::Helper, GOOD), GateState::Trusted);
    }

    #[test]
    fn a_day_makes_old_probes_count_less_and_a_clock_that_steps_does_not() {
        let mut trust = Trust::new();
        feed(&mut trust, GOOD, 40, 10, 0, 0.0);
        trust.probe(GOOD, true, false, 1.0, -5e9);
        assert!(trust.record(GOOD).moved > 38.0);
        trust.probe(GOOD, true, false, 1.0, 5e9);
        assert!(trust.record(GOOD).moved > 38.0);
        trust.probe(GOOD, true, false, 1.0, 5e9 + 86_400.0);
        let moved = trust.record(GOOD).moved;
        assert!((14.0..16.0).contains(&moved), "{moved}");
        // Forgotten by half it still holds.
        assert_eq!(trust.state(GateState::Off, GOOD), GateState::Trusted);
        trust.probe(GOOD, true, false, 1.0, 5e9 + 3.0 * 86_400.0);
        assert_eq!(trust.state(GateState::Off, GOOD), GateState::Off);
    }

    #[test]
    fn what_was_kept_comes_back_and_nonsense_does_not() {
        let mut trust = Trust::new();
        feed(&mut trust, GOOD, 60, 9, 0, 0.0);
        let back = Trust::restored(*trust.records(), trust.at_s());
        assert_eq!(back.state(GateState::Off, GOOD), GateState::Trusted);
        let odd = Record {
            hits: f32::NAN,
            moved: 30.0,
            false_fires: 0.0,
            quiet: 1.0,
        };
        let back = Trust::restored([odd; 4], Some(f64::NAN));
        assert_eq!(back, Trust::new());
    }

    proptest! {
        #[test]
        fn whatever_comes_the_counts_stay_sound(
            probes in proptest::collection::vec((proptest::option::of(any::<f32>()), any::<bool>(), any::<bool>(), any::<f32>(), any::<f64>()), 0..200)
        ) {
            let mut trust = Trust::new();
            for (noise, fired, moved, weight, at_s) in probes {
                trust.probe(noise, fired, moved, weight, at_s);
                for record in trust.records() {
                    prop_assert!(record.hits <= record.moved && record.false_fires <= record.quiet);
                    prop_assert!((0.0..1e6).contains(&record.moved));
                }
            }
            let back = Trust::restored(*trust.records(), trust.at_s());
            prop_assert_eq!(back.records(), trust.records());
        }
    }
}
