//! How fast cameras are called: a shared pace for new sessions, and one camera's back-off.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::lock;

/// At most so many new sessions a second, for all cameras together: a school's switch and the cameras' own slow processors
/// must not see a thousand calls at once after a power cut.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// A pace of `per_second` sessions.
    #[must_use]
    pub fn new(per_second: f64) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / per_second.clamp(0.01, 10_000.0)),
            next: Mutex::new(None),
        }
    }

    /// Waits for the caller's turn. Turns are given in the order of asking.
    pub async fn turn(&self) {
        let at = {
            let mut next = lock(&self.next);
            let now = Instant::now();
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + self.interval);
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

/// Waiting times of one camera: doubling from `first` to `longest`, each shortened by chance by up to a half.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
    chance: u64,
}

impl Backoff {
    /// A back-off whose chance is drawn from `seed`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self {
            first,
            longest,
            next: first,
            chance: seed,
        }
    }

    /// How long to wait now.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (2 * self.next).min(self.longest);
        wait.mul_f64(1.0 - 0.5 * self.draw())
    }

    /// The camera works again: the next trouble starts with a short wait.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// A number in [0, 1) (splitmix64).
    fn draw(&mut self) -> f64 {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_thousand_cameras_are_called_twenty_a_second() {
        let pace = std::sync::Arc::new(Pace::new(20.0));
        let start = Instant::now();
        let calls: Vec<_> = (0..1000)
            .map(|_| {
                let pace = pace.clone();
                tokio::spawn(async move {
                    pace.turn().await;
                    Instant::now()
                })
            })
            .collect();
        let mut at = Vec::new();
        for call in calls {
            at.push((call.await.unwrap() - start).as_secs_f64());
        }
        at.sort_by(f64::total_cmp);
        assert!((at[999] - 49.95).abs() < 0.1, "{}", at[999]);
        assert!(at.windows(21).all(|second| second[20] - second[0] > 0.99));
    }

    #[test]
    fn waits_double_up_to_the_longest_and_differ_between_cameras() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(8), 7);
        for expected in [0.5, 1.0, 2.0, 4.0, 8.0, 8.0] {
            let wait = backoff.wait().as_secs_f64();
            assert!(
                wait <= expected && wait >= expected / 2.0,
                "{wait} for {expected}"
            );
        }
        backoff.reset();
        assert!(backoff.wait() <= Duration::from_millis(500));
        let mut other = Backoff::new(Duration::from_millis(500), Duration::from_secs(8), 8);
        assert_ne!(
            other.wait(),
            Backoff::new(Duration::from_millis(500), Duration::from_secs(8), 7).wait()
        );
    }
}
