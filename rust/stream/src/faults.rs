//! What fails on one camera's pictures costs that camera a moment, and the others nothing. Tests only.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edusense_bitstream::{AccessUnit, Codec};
use edusense_decode::{Band, Chain, Decoder, Detail, LumaView, Refusal};

use crate::camera::WatchListener;
use crate::clock::{Clock, SystemClock};
use crate::engine::{CameraConfig, Engine, EngineSettings};
use crate::session::{Arrived, Listener, Source, State};

/// Gives grey pictures, with something that moves in those that begin with a 2; panics on those that begin with a 1.
struct Fragile;

impl Decoder for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn decode(
        &self,
        run: &[AccessUnit],
        wanted: &dyn Fn(usize) -> bool,
        _: Detail,
        sink: &mut dyn FnMut(usize, Band<'_>),
    ) -> Result<(), Refusal> {
        for (index, unit) in run.iter().enumerate() {
            assert!(unit.data[0] != 1, "as the test wants it");
            let mut luma = [90; 160 * 90];
            if unit.data[0] == 2 {
                let left = (unit.pts / 3600 * 3 % 120) as usize;
                (20..70).for_each(|y| luma[y * 160 + left..][..30].fill(200));
            }
            if wanted(index) {
                let rows = LumaView::new(160, 90, 160, &luma).unwrap();
                sink(index, Band::whole(rows));
            }
        }
        Ok(())
    }
}

/// Fails as often as it is told to, wherever the wall clock is asked for: under locks, in threads of the pool, in listeners.
struct FailingClock {
    clock: SystemClock,
    failures: AtomicU32,
    /// Fails once, in a thread of the pool.
    armed: AtomicBool,
}

impl Clock for FailingClock {
    fn unix_s(&self) -> f64 {
        let left = |left: u32| left.checked_sub(1);
        let failed = self
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        assert!(failed.is_err(), "as the test wants it");
        let in_pool = std::thread::current()
            .name()
            .is_some_and(|name| name.starts_with("edusense-look"));
        let fails = in_pool && self.armed.swap(false, Ordering::Relaxed);
        assert!(!fails, "as the test wants it");
        self.clock.unix_s()
    }

    fn ticks_s(&self) -> f64 {
        self.clock.ticks_s()
    }
}

struct School {
    engine: Engine,
    clock: Arc<FailingClock>,
    listeners: Vec<WatchListener>,
    sent: i64,
}

impl School {
    /// Cameras at an address where nobody answers: their pictures come from the test.
    fn of(ids: &[&str]) -> Self {
        let clock = Arc::new(FailingClock {
            clock: SystemClock::default(),
            failures: AtomicU32::new(0),
            armed: AtomicBool::new(false),
        });
        let settings = EngineSettings {
            look_cores: 8.0,
            pool_threads: 1,
            sessions_per_s: 0.01,
            ..EngineSettings::default()
        };
        let engine =
            Engine::start(settings, Chain::new(vec![Arc::new(Fragile)]), clock.clone()).unwrap();
        let config = |id: &&str| CameraConfig {
            id: (*id).to_owned(),
            watch: Source::new("rtsp://127.0.0.1:1/", None, None).unwrap(),
            keep: None,
        };
        engine.update(ids.iter().map(config).collect());
        let listeners = ids.iter().map(|id| engine.listener(id)).collect();
        Self {
            engine,
            clock,
            listeners,
            sent: 0,
        }
    }

    fn send(&mut self, camera: usize, first_byte: u8, seconds: i64) {
        for _ in 0..25 * seconds {
            let listener = &mut self.listeners[camera];
            listener.picture(Arrived {
                codec: Codec::H264,
                data: Bytes::from(vec![first_byte; 40]),
                timestamp: 3600 * self.sent,
                key: self.sent % 25 == 0,
                loss: 0,
                new_parameters: false,
            });
            self.sent += 1;
        }
    }

    /// Lets pictures with motion in, and the clock fail once they are all there.
    fn fail_in_the_pool(&mut self) {
        self.clock.armed.store(true, Ordering::Relaxed);
        self.send(0, 2, 4);
        let started = Instant::now();
        while self.clock.armed.load(Ordering::Relaxed) {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "nothing failed"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait(&self, camera: usize, until: impl Fn(&crate::CameraStatus) -> bool) {
        let started = Instant::now();
        while !until(&self.engine.cameras()[camera]) {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "{:?}",
                self.engine.cameras()[camera]
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_decoder_that_panics_on_one_camera_leaves_the_others_alone() {
    let mut school = School::of(&["bad", "good"]);
    school.send(0, 1, 4);
    school.send(1, 0, 4);
    school.wait(0, |camera| {
        let said = camera.trouble.as_deref().unwrap_or_default();
        said.contains("a decoder failed on it; this is a bug of edusense")
    });
    school.wait(1, |camera| {
        camera.counts.looked_at > 0 && camera.trouble.is_none()
    });
}

#[test]
fn a_look_that_fails_leaves_the_pool_alive_and_the_camera_says_so() {
    let mut school = School::of(&["front", "back"]);
    while school
        .engine
        .next_event(Duration::from_millis(50))
        .is_some()
    {}
    school.send(0, 0, 2);
    // The wall clock is asked for next by the pool, under the camera's lock: when there is news of motion.
    school.fail_in_the_pool();
    // What had been announced is ended first.
    let is_said = |event: crate::EngineEvent| {
        format!("{:?}", event.news).contains("this is a bug of edusense")
    };
    let mut news = std::iter::from_fn(|| school.engine.next_event(Duration::from_secs(20)));
    assert!(news.any(is_said));
    school.wait(0, |camera| camera.trouble.is_some());
    // The pool's one thread goes on, and so do both cameras.
    school.send(0, 0, 4);
    school.send(1, 0, 4);
    school.wait(0, |camera| camera.trouble.is_none());
    school.wait(1, |camera| camera.counts.looked_at > 10);
}

#[test]
fn a_listener_that_fails_ends_its_session_and_nothing_else() {
    let mut school = School::of(&["front"]);
    school.send(0, 0, 2);
    school.clock.failures.store(1, Ordering::Relaxed);
    let sent = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| school.send(0, 0, 1)));
    assert!(sent.is_err(), "the session learns of it");
    school.wait(0, |camera| camera.trouble.is_some());
    // A change of state must not end the task that keeps the camera.
    school.clock.failures.store(1, Ordering::Relaxed);
    school.listeners[0].state(State::Lost, "lost".to_owned(), None);
    assert_eq!(school.clock.failures.load(Ordering::Relaxed), 0);
    school.send(0, 0, 4);
    school.wait(0, |camera| {
        camera.counts.looked_at > 10 && camera.trouble.is_none()
    });
}
