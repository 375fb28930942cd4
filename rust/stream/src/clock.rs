//! Time is an argument: whoever needs it is given a [`Clock`].

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The two clocks of a machine.
pub trait Clock: Send + Sync {
    /// Unix time in seconds. May be set, and then jumps.
    fn unix_s(&self) -> f64;

    /// Seconds since some fixed moment. Never jumps, never goes back.
    fn ticks_s(&self) -> f64;
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn unix_s(&self) -> f64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64())
    }

    fn ticks_s(&self) -> f64 {
        self.origin.elapsed().as_secs_f64()
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug, Default)]
pub struct ManualClock {
    /// Unix time less ticks, and ticks.
    now: Mutex<(f64, f64)>,
}

impl ManualClock {
    /// A clock that shows this Unix time, at tick 0.
    #[must_use]
    pub fn at(unix_s: f64) -> Self {
        Self {
            now: Mutex::new((unix_s, 0.0)),
        }
    }

    /// Time passes.
    pub fn pass(&self, seconds: f64) {
        lock(&self.now).1 += seconds;
    }

    /// Somebody sets the wall clock; ticks stay as they are.
    pub fn step(&self, seconds: f64) {
        lock(&self.now).0 += seconds;
    }
}

impl Clock for ManualClock {
    fn unix_s(&self) -> f64 {
        let now = lock(&self.now);
        now.0 + now.1
    }

    fn ticks_s(&self) -> f64 {
        lock(&self.now).1
    }
}

/// CPU seconds that this thread has used; wall-clock seconds where the system does not count them.
pub(crate) fn thread_cpu_s() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The lock, also after a panic of another thread: what these locks guard is whole between any two statements, and a bad camera
/// must not take the others with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
