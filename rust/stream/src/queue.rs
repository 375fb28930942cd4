//! Who is looked at next: one queue for all cameras, fair among them, bounded by a budget.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::budget::Budget;
use crate::clock::{Clock, lock};
use crate::look::Depth;
use crate::watch::{Urgency, Want, afford};

/// A camera's number in its engine.
pub(crate) type Slot = u64;

/// Order in the queue: how much, since when (microseconds), who.
type Place = (Urgency, i64, Slot);

struct Waiting {
    wants: BTreeMap<Place, Want>,
    places: HashMap<Slot, Place>,
    budget: Budget,
    stopped: bool,
}

/// The queue. Each camera stands in it at most once, with its most urgent wish.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    clock: Arc<dyn Clock>,
}

impl Queue {
    pub(crate) fn new(cores: f64, clock: Arc<dyn Clock>) -> Self {
        let waiting = Waiting {
            wants: BTreeMap::new(),
            places: HashMap::new(),
            budget: Budget::new(cores),
            stopped: false,
        };
        Self {
            waiting: Mutex::new(waiting),
            changed: Condvar::new(),
            clock,
        }
    }

    /// A camera's wish changed.
    pub(crate) fn set(&self, slot: Slot, want: Option<Want>) {
        let mut waiting = lock(&self.waiting);
        let place = want.map(|want| {
            (
                want.urgency,
                (want.since_s.clamp(-9e12, 9e12) * 1e6) as i64,
                slot,
            )
        });
        let before = waiting.places.get(&slot).copied();
        if before == place {
            return;
        }
        if let Some(before) = before {
            waiting.wants.remove(&before);
            waiting.places.remove(&slot);
        }
        if let (Some(place), Some(want)) = (place, want) {
            waiting.wants.insert(place, want);
            waiting.places.insert(slot, place);
            self.changed.notify_one();
        }
    }

    /// Waits for a camera that may be looked at, and takes it out. None when the queue is stopped.
    pub(crate) fn next(&self) -> Option<(Slot, Depth)> {
        let mut waiting = lock(&self.waiting);
        loop {
            if waiting.stopped {
                return None;
            }
            waiting.budget.refill(self.clock.ticks_s());
            let mut wait_s = 0.5_f64;
            if let Some((place, want)) = waiting
                .wants
                .first_key_value()
                .map(|(place, want)| (*place, *want))
            {
                if let Some(depth) = afford(&want, &waiting.budget) {
                    waiting.wants.remove(&place);
                    waiting.places.remove(&place.2);
                    if !waiting.wants.is_empty() {
                        self.changed.notify_one();
                    }
                    return Some((place.2, depth));
                }
                wait_s = waiting.budget.wait_s(want.key_s).clamp(0.002, wait_s);
            }
            waiting = self
                .changed
                .wait_timeout(waiting, Duration::from_secs_f64(wait_s))
                .map_or_else(|poisoned| poisoned.into_inner().0, |(guard, _)| guard);
        }
    }

    /// A look took this much CPU time.
    pub(crate) fn spend(&self, cpu_s: f64) {
        lock(&self.waiting).budget.spend(cpu_s);
    }

    /// Everybody goes home.
    pub(crate) fn stop(&self) {
        lock(&self.waiting).stopped = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn want(urgency: Urgency, since_s: f64) -> Option<Want> {
        Some(Want {
            urgency,
            since_s,
            whole_s: 0.5,
            key_s: 0.05,
        })
    }

    #[test]
    fn the_urgent_first_then_who_waited_longest() {
        let queue = Queue::new(10.0, Arc::new(ManualClock::default()));
        queue.set(1, want(Urgency::Spare, 5.0));
        queue.set(2, want(Urgency::Spare, 4.0));
        queue.set(3, want(Urgency::Untrusted, 9.0));
        queue.set(4, want(Urgency::Urgent, 9.0));
        queue.set(5, want(Urgency::Urgent, 8.0));
        queue.set(5, None);
        let order: Vec<Slot> = (0..4).map(|_| queue.next().unwrap().0).collect();
        assert_eq!(order, [4, 3, 2, 1]);
    }

    #[test]
    fn a_short_budget_gives_key_pictures_and_urgent_looks() {
        let clock = Arc::new(ManualClock::default());
        let queue = Queue::new(0.5, clock.clone());
        queue.spend(1.5);
        queue.set(1, want(Urgency::Spare, 0.0));
        assert_eq!(queue.next(), Some((1, Depth::Key)));
        queue.spend(9.0);
        queue.set(1, want(Urgency::Spare, 0.0));
        queue.set(2, want(Urgency::Urgent, 0.0));
        assert_eq!(queue.next(), Some((2, Depth::Moving)));
        clock.pass(100.0);
        assert_eq!(queue.next(), Some((1, Depth::Whole)));
        queue.stop();
        assert_eq!(queue.next(), None);
    }
}
