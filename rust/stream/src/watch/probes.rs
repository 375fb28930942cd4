//! Probes: parts that the clock chose, so that it can be counted how often the gate had fired where pixels moved.
//!
//! A part is made a probe before anybody knows whether the gate fires in it, or the count would be of what the gate itself had
//! asked for. A probe is looked at before what else is quiet. Where there is no time even for that, quiet ones are given up and
//! those in which the gate fired are not; the latter then count for less, by the share of the former that were looked at.

use crate::look::Depth;

/// A gate that fired within this time before a part has fired in it as well: a key picture shows what came before it.
const NEAR_S: f64 = 2.0;

/// Time between two probes grows to this many times the usual, where looks are short.
const RAREST: f64 = 10.0;

/// A probe that is being looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Probe {
    /// The gate had fired in it.
    pub(crate) fired: bool,
    /// How many probes it stands for.
    pub(crate) weight: f32,
    pub(crate) at_s: f64,
    /// Pixels have moved, so far.
    pub(crate) moved: bool,
}

/// When the next probe is due, and how it goes with those that there are.
pub(super) struct Probes {
    every_s: f64,
    /// How many times rarer than that they are, since time for looks is short.
    rarer: f64,
    last_s: f64,
    fired_s: f64,
    /// Share of quiet probes that were looked at.
    looked: f32,
    /// Pixels have not said yet what moved in it.
    open: Option<Probe>,
}

impl Probes {
    pub(super) fn new(every_s: f64) -> Self {
        Self {
            every_s,
            rarer: 1.0,
            last_s: f64::NEG_INFINITY,
            fired_s: f64::NEG_INFINITY,
            looked: 1.0,
            open: None,
        }
    }

    /// The gate fires.
    pub(super) fn fires(&mut self, at_s: f64) {
        self.fired_s = at_s;
    }

    /// Whether the gate fired in what a key picture at this time, and the one before it, would show.
    pub(super) fn near(&self, start_s: f64) -> bool {
        start_s - self.fired_s <= NEAR_S
    }

    /// A part ends: whether it is a probe.
    pub(super) fn due(&mut self, start_s: f64) -> bool {
        // Also where the clock went back: otherwise there would be none for as long as it went back by.
        let due = self.every_s > 0.0
            && !(0.0..self.every_s * self.rarer).contains(&(start_s - self.last_s));
        if due {
            self.last_s = start_s;
        }
        due
    }

    /// A probe was given up.
    pub(super) fn given_up(&mut self, fired: bool) {
        if !fired {
            self.looked += 0.1 * (0.0 - self.looked);
        }
        self.rarer = (self.rarer * 2.0).min(RAREST);
    }

    /// A probe is about to be looked at.
    pub(super) fn taken(&mut self, fired: bool, depth: Depth, at_s: f64) -> Probe {
        let weight = if fired {
            self.looked
        } else {
            self.looked += 0.1 * (1.0 - self.looked);
            1.0
        };
        self.rarer = match depth {
            Depth::Key => (self.rarer * 2.0).min(RAREST),
            Depth::Whole => (self.rarer / 2.0).max(1.0),
            Depth::Moving => self.rarer,
        };
        Probe {
            fired,
            weight,
            at_s,
            moved: false,
        }
    }

    /// A look is back. `probe`: it was one. `moved`: whether pixels moved. `undecided`: they may turn out to have moved.
    ///
    /// Returns the probe that this decides.
    pub(super) fn looked(
        &mut self,
        probe: Option<Probe>,
        moved: bool,
        undecided: bool,
    ) -> Option<Probe> {
        if probe.is_some() {
            self.open = probe;
        }
        let open = self.open.as_mut()?;
        open.moved |= moved;
        if undecided && !open.moved {
            return None;
        }
        self.open.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_due_each_minute_and_after_a_clock_that_went_back() {
        let mut probes = Probes::new(60.0);
        let due: Vec<usize> = (0..100)
            .filter(|part| probes.due(2.0 * *part as f64))
            .collect();
        assert_eq!(due, [0, 30, 60, 90]);
        assert!(probes.due(-1e6));
        assert!(!probes.due(-1e6 + 10.0));
        assert!(!Probes::new(0.0).due(5.0), "none are wanted");
    }

    #[test]
    fn they_become_rarer_where_looks_are_short_and_come_back() {
        let mut probes = Probes::new(60.0);
        for _ in 0..9 {
            probes.taken(false, Depth::Key, 0.0);
        }
        assert!(probes.due(0.0));
        assert!(!probes.due(599.0));
        assert!(probes.due(601.0));
        for _ in 0..9 {
            probes.taken(false, Depth::Whole, 0.0);
        }
        assert!(probes.due(662.0));
    }

    #[test]
    fn where_quiet_ones_are_given_up_those_that_fired_count_for_less() {
        let mut probes = Probes::new(60.0);
        assert_eq!(probes.taken(true, Depth::Whole, 0.0).weight, 1.0);
        for _ in 0..200 {
            probes.given_up(false);
            probes.given_up(true);
            probes.taken(false, Depth::Key, 0.0);
        }
        let weight = probes.taken(true, Depth::Moving, 0.0).weight;
        assert!((0.4..0.6).contains(&weight), "{weight}");
    }

    #[test]
    fn what_is_undecided_waits_for_the_next_look() {
        let mut probes = Probes::new(60.0);
        assert_eq!(probes.looked(None, true, false), None);
        let probe = probes.taken(false, Depth::Key, 7.0);
        assert_eq!(probes.looked(Some(probe), false, true), None);
        let decided = probes.looked(None, true, false);
        assert_eq!(
            decided.map(|probe| (probe.moved, probe.at_s)),
            Some((true, 7.0))
        );
        let quiet = probes.taken(false, Depth::Key, 9.0);
        let decided = probes.looked(Some(quiet), false, false);
        assert_eq!(decided.map(|probe| probe.moved), Some(false));
    }
}
