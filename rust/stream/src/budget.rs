//! CPU time for looking at pictures, as a bucket that fills with time and is emptied by the CPU seconds that looks took.

/// How many seconds' worth the bucket holds: enough for cameras whose key pictures come at the same moment.
const HOLDS_S: f64 = 4.0;

/// What may be spent on looks that nothing urgent asks for.
#[derive(Clone, Debug)]
pub struct Budget {
    cores: f64,
    level: f64,
    at_s: Option<f64>,
}

impl Budget {
    /// A budget of so many CPU seconds a second; it starts full.
    #[must_use]
    pub fn new(cores: f64) -> Self {
        let cores = if cores.is_finite() {
            cores.max(0.0)
        } else {
            64.0
        };
        Self {
            cores,
            level: cores * HOLDS_S,
            at_s: None,
        }
    }

    /// Time went on to `now_s`, on a clock that never goes back.
    pub fn refill(&mut self, now_s: f64) {
        let passed = self.at_s.map_or(0.0, |at| (now_s - at).max(0.0));
        self.at_s = Some(now_s);
        self.level = (self.level + passed * self.cores).min(self.cores * HOLDS_S);
    }

    /// A look took this much. Urgent looks may bring the bucket below zero, so that others wait for it.
    pub fn spend(&mut self, cpu_s: f64) {
        self.level = (self.level - cpu_s.max(0.0)).max(-self.cores * HOLDS_S);
    }

    /// Whether a look of this cost may be made now. One that costs more than the bucket holds may be made when it is full.
    #[must_use]
    pub fn allows(&self, cost_s: f64) -> bool {
        self.cores > 0.0 && self.level >= cost_s.min(self.cores * HOLDS_S)
    }

    /// Whether less than half is left: the time to look at more cameras for less each.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.level < 0.5 * self.cores * HOLDS_S
    }

    /// Seconds until a look of this cost may be made.
    #[must_use]
    pub fn wait_s(&self, cost_s: f64) -> f64 {
        if self.cores <= 0.0 {
            return f64::INFINITY;
        }
        ((cost_s.min(self.cores * HOLDS_S) - self.level) / self.cores).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_comes_back_with_time() {
        let mut budget = Budget::new(0.5);
        budget.refill(0.0);
        assert!(budget.allows(2.0) && budget.allows(100.0) && !budget.is_short());
        budget.spend(2.0);
        assert!(!budget.allows(0.1) && budget.is_short());
        assert!((budget.wait_s(0.1) - 0.2).abs() < 1e-9);
        budget.refill(0.2);
        assert!(budget.allows(0.1));
        budget.spend(50.0);
        budget.refill(8.3);
        assert!(budget.allows(1.9), "debt is bounded");
    }

    #[test]
    fn nothing_is_allowed_without_a_core() {
        let budget = Budget::new(0.0);
        assert!(!budget.allows(0.0));
        assert_eq!(budget.wait_s(0.0), f64::INFINITY);
    }
}
