//! All cameras in one process: a runtime for sockets, a fixed pool for pictures, one queue between them.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use edusense_bitstream::AccessUnit;
use edusense_decode::{AllRefused, Chain, Luma};
use edusense_motion::Zones;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::arrivals::Arrival;
use crate::camera::{Camera, Cameras, KeepListener, WatchListener};
use crate::clips::{Clip, Room, Store};
use crate::clock::{Clock, lock};
use crate::gops::Unit;
use crate::look::{Depth, Shot};
use crate::news::{CameraStatus, EngineEvent, News};
use crate::pace::Pace;
use crate::queue::Queue;
use crate::session::{Orders, Shared, Source, State, Waits, keep};
use crate::watch::WatchSettings;

/// How an engine runs. The defaults suit a school's small computer.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// How each camera is watched.
    pub watch: WatchSettings,
    /// CPU seconds a second that may be spent on looks that nothing urgent asks for.
    pub look_cores: f64,
    /// Threads that decode; with none, the engine only receives.
    pub pool_threads: usize,
    /// Threads that receive: one carries hundreds of cameras.
    pub workers: usize,
    /// New sessions a second, all cameras together.
    pub sessions_per_s: f64,
    /// Waiting times of sessions.
    pub waits: Waits,
    /// Kept before an event began, seconds.
    pub pre_roll_s: f64,
    /// Kept after it ended, seconds.
    pub post_roll_s: f64,
    /// Most bytes of one clip.
    pub clip_bytes: usize,
    /// Events whose clips and pictures are kept in RAM.
    pub clips: usize,
    /// Bytes of these together; the events that go on may hold as much once more.
    pub clips_bytes: usize,
    /// News that wait for a reader; the oldest are dropped beyond this.
    pub most_news: usize,
    /// Pictures of each watched stream of which is kept when they came and how large they were.
    pub arrivals: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            watch: WatchSettings::default(),
            look_cores: 0.5,
            pool_threads: 2,
            workers: 1,
            sessions_per_s: 20.0,
            waits: Waits::default(),
            pre_roll_s: 3.0,
            post_roll_s: 1.0,
            clip_bytes: 48 << 20,
            clips: 200,
            clips_bytes: 256 << 20,
            most_news: 10_000,
            arrivals: 0,
        }
    }
}

/// One camera to be watched.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraConfig {
    /// Its id; unique in an engine.
    pub id: String,
    /// The stream that is analysed.
    pub watch: Source,
    /// The stream that clips are cut from, where it is another.
    pub keep: Option<Source>,
}

#[derive(Default)]
struct Outbox {
    news: VecDeque<EngineEvent>,
    dropped: u64,
    closed: bool,
}

/// How much the pool's threads step back behind the rest of the machine.
const NICE: i32 = 5;

/// What the engine's threads share.
pub(crate) struct Inner {
    pub(crate) settings: EngineSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) queue: Queue,
    pub(crate) store: Mutex<Store>,
    pub(crate) room: Arc<Room>,
    cameras: Mutex<Cameras>,
    outbox: Mutex<Outbox>,
    told: Condvar,
    events: AtomicU64,
    chain: Chain,
    sessions: Arc<Shared>,
}

impl Inner {
    /// An id for a new event: unique also across restarts of the box.
    pub(crate) fn event_id(&self, camera: &str) -> Arc<str> {
        let number = self.events.fetch_add(1, Ordering::Relaxed);
        format!("{camera}-{:.0}-{number}", self.clock.unix_s() * 1000.0).into()
    }

    pub(crate) fn say(&self, camera: &Arc<str>, news: News) {
        let event = EngineEvent {
            time_s: self.clock.unix_s(),
            camera: camera.clone(),
            news,
        };
        let mut outbox = lock(&self.outbox);
        outbox.news.push_back(event);
        if outbox.news.len() > self.settings.most_news {
            outbox.news.pop_front();
            outbox.dropped += 1;
        }
        drop(outbox);
        self.told.notify_one();
    }

    pub(crate) fn put_clips(&self, clips: Vec<(Arc<str>, Clip)>) {
        for (id, clip) in clips {
            lock(&self.store).put_clip(&id, clip);
        }
    }

    /// What one thread of the pool does.
    fn look(&self) {
        // Sockets and the canteen's terminals come first; looks can wait.
        let _ = rustix::process::nice(NICE);
        while let Some((slot, depth)) = self.queue.next() {
            let Some(camera) = lock(&self.cameras).by_slot.get(&slot).cloned() else {
                continue;
            };
            // Nor may anything else that fails on one camera's pictures take the pool with it.
            let looked = AssertUnwindSafe(|| self.look_at(&camera, depth));
            if std::panic::catch_unwind(looked).is_err() {
                camera.begin_anew(self);
            }
        }
    }

    fn look_at(&self, camera: &Camera, depth: Depth) {
        let Some(mut look) = camera.take_look(depth) else {
            camera.requeue(self);
            return;
        };
        // A decoder that panics must not take the pool with it.
        if std::panic::catch_unwind(AssertUnwindSafe(|| look.open(&self.chain))).is_err() {
            look.failed("a decoder failed on it; this is a bug of edusense");
        }
        self.queue.spend(look.cpu_s());
        camera.finish_look(look, self);
    }
}

struct Running {
    config: CameraConfig,
    orders: watch::Sender<Orders>,
}

/// The engine. Dropping it stops it.
pub struct Engine {
    inner: Arc<Inner>,
    runtime: Mutex<Option<Runtime>>,
    pool: Mutex<Vec<JoinHandle<()>>>,
    running: Mutex<HashMap<String, Running>>,
    slots: AtomicU64,
}

impl Engine {
    /// Starts an engine without cameras.
    ///
    /// # Errors
    /// The operating system gives no threads.
    pub fn start(
        settings: EngineSettings,
        chain: Chain,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.workers.clamp(1, 2))
            .thread_name("edusense-net")
            .enable_all()
            .build()?;
        let inner = Arc::new(Inner {
            queue: Queue::new(settings.look_cores, clock.clone()),
            store: Mutex::new(Store::new(settings.clips, settings.clips_bytes)),
            room: Arc::new(Room::new(settings.clips_bytes)),
            cameras: Mutex::default(),
            outbox: Mutex::default(),
            told: Condvar::new(),
            events: AtomicU64::new(1),
            sessions: Arc::new(Shared::new(
                Pace::new(settings.sessions_per_s),
                settings.waits.clone(),
            )),
            chain,
            clock,
            settings,
        });
        let pool = (0..inner.settings.pool_threads.min(16))
            .map(|number| {
                let inner = inner.clone();
                std::thread::Builder::new()
                    .name(format!("edusense-look-{number}"))
                    .spawn(move || inner.look())
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        Ok(Self {
            inner,
            runtime: Mutex::new(Some(runtime)),
            pool: Mutex::new(pool),
            running: Mutex::default(),
            slots: AtomicU64::new(0),
        })
    }

    /// Sets the cameras: new ones are called, those no longer named are stopped, those that changed are called anew. The rest
    /// goes on undisturbed.
    pub fn update(&self, cameras: Vec<CameraConfig>) {
        let runtime = lock(&self.runtime);
        let Some(runtime) = runtime.as_ref() else {
            return;
        };
        let mut running = lock(&self.running);
        let mut earlier = std::mem::take(&mut *running);
        for config in cameras {
            match earlier.remove(&config.id) {
                Some(old) if old.config == config => {
                    running.insert(config.id.clone(), old);
                }
                old => {
                    old.into_iter().for_each(|old| self.forget(&old));
                    let orders = self.begin(&config, runtime);
                    running.insert(config.id.clone(), Running { config, orders });
                }
            }
        }
        earlier.values().for_each(|old| self.forget(old));
    }

    fn begin(&self, config: &CameraConfig, runtime: &Runtime) -> watch::Sender<Orders> {
        let slot = self.slots.fetch_add(1, Ordering::Relaxed);
        let camera = Arc::new(Camera::new(
            &config.id,
            slot,
            config.keep.is_some(),
            &self.inner,
        ));
        {
            let mut cameras = lock(&self.inner.cameras);
            cameras.by_id.insert(camera.id.clone(), slot);
            cameras.by_slot.insert(slot, camera.clone());
        }
        let (orders, heard) = watch::channel(Orders::default());
        let seed = (self.inner.clock.unix_s() * 1e3) as u64 ^ (slot << 32);
        let sessions = &self.inner.sessions;
        if let Some(source) = &config.keep {
            let listener = KeepListener {
                camera: camera.clone(),
                inner: self.inner.clone(),
                playing: false,
            };
            runtime.spawn(keep(
                source.clone(),
                sessions.clone(),
                !seed,
                heard.clone(),
                listener,
            ));
        }
        let listener = WatchListener {
            camera,
            inner: self.inner.clone(),
            playing: false,
        };
        runtime.spawn(keep(
            config.watch.clone(),
            sessions.clone(),
            seed,
            heard,
            listener,
        ));
        orders
    }

    fn forget(&self, old: &Running) {
        old.orders.send_modify(|orders| orders.stop = true);
        let mut cameras = lock(&self.inner.cameras);
        if let Some(slot) = cameras.by_id.remove(old.config.id.as_str()) {
            cameras.by_slot.remove(&slot);
            self.inner.queue.set(slot, None);
        }
    }

    /// Says where in a camera's picture motion counts; it goes on undisturbed. False, if there is none of that id.
    pub fn set_zones(&self, id: &str, zones: Zones) -> bool {
        let camera = lock(&self.inner.cameras).get(id);
        camera
            .map(|camera| camera.set_zones(Arc::new(zones)))
            .is_some()
    }

    /// Says whether each look of a camera in which something moves is told; it goes on undisturbed. False, if there is none
    /// of that id.
    pub fn set_followed(&self, id: &str, followed: bool) -> bool {
        let camera = lock(&self.inner.cameras).get(id);
        camera.map(|camera| camera.set_followed(followed)).is_some()
    }

    /// Calls a camera now, whatever happened before. False, if there is none of that id.
    pub fn retry(&self, id: &str) -> bool {
        let running = lock(&self.running);
        let found = running.get(id);
        found
            .into_iter()
            .for_each(|camera| camera.orders.send_modify(|orders| orders.retry += 1));
        found.is_some()
    }

    /// Waits for the next piece of news. None after `timeout`, or when the engine is stopped and everything has been read.
    pub fn next_event(&self, timeout: Duration) -> Option<EngineEvent> {
        let deadline = Instant::now() + timeout;
        let mut outbox = lock(&self.inner.outbox);
        loop {
            if let Some(event) = outbox.news.pop_front() {
                return Some(event);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || outbox.closed {
                return None;
            }
            outbox = self
                .inner
                .told
                .wait_timeout(outbox, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(guard, _)| guard);
        }
    }

    /// Whether the engine is stopped and all its news have been read.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        let outbox = lock(&self.inner.outbox);
        outbox.closed && outbox.news.is_empty()
    }

    /// All cameras as `status` shows them, in the order in which they came.
    #[must_use]
    pub fn cameras(&self) -> Vec<CameraStatus> {
        let cameras: Vec<_> = lock(&self.inner.cameras)
            .by_slot
            .values()
            .cloned()
            .collect();
        cameras.iter().map(|camera| camera.status()).collect()
    }

    /// News that were dropped because nobody read them.
    #[must_use]
    pub fn dropped_news(&self) -> u64 {
        lock(&self.inner.outbox).dropped
    }

    /// Bytes of clips and pictures of past events.
    #[must_use]
    pub fn clips_bytes(&self) -> usize {
        lock(&self.inner.store).bytes()
    }

    /// The clip of an event; of one that goes on, as far as it is there.
    #[must_use]
    pub fn clip(&self, id: &str) -> Option<Arc<Clip>> {
        if let Some(clip) = lock(&self.inner.store).clip(id) {
            return Some(clip);
        }
        let cameras: Vec<_> = lock(&self.inner.cameras)
            .by_slot
            .values()
            .cloned()
            .collect();
        cameras
            .iter()
            .find_map(|camera| camera.clip_so_far(id))
            .map(Arc::new)
    }

    /// The clearest picture of an event.
    #[must_use]
    pub fn shot(&self, id: &str) -> Option<Arc<Shot>> {
        lock(&self.inner.store).shot(id)
    }

    /// The picture of a shot, at most 640 wide.
    ///
    /// # Errors
    /// [`AllRefused`], if it was kept compressed and cannot be decoded.
    pub fn luma_of(&self, shot: &Shot) -> Result<Luma, AllRefused> {
        shot.picture.luma(&self.inner.chain)
    }

    /// Whether there is such a camera, and its newest picture that can be decoded alone.
    #[must_use]
    pub fn newest_key(&self, camera: &str) -> Option<Option<AccessUnit>> {
        let camera = lock(&self.inner.cameras).get(camera);
        camera.map(|camera| camera.newest_key())
    }

    /// What the gates have learned, by camera; without those that are learning. To be given to [`Engine::restore_gate`] after a
    /// restart.
    #[must_use]
    pub fn kept_gates(&self) -> Vec<(String, Vec<u8>)> {
        let cameras: Vec<_> = {
            let cameras = lock(&self.inner.cameras);
            cameras.by_slot.values().cloned().collect()
        };
        let kept = |camera: &Arc<Camera>| Some((camera.id.to_string(), camera.kept_gate()?));
        cameras.iter().filter_map(kept).collect()
    }

    /// Has a camera's gate go on from what it had learned. False, if there is no such camera, its pictures have come already, or
    /// the bytes are something else.
    pub fn restore_gate(&self, id: &str, bytes: &[u8]) -> bool {
        let camera = lock(&self.inner.cameras).get(id);
        camera.is_some_and(|camera| camera.restore_gate(bytes))
    }

    /// Whether there is such a camera, and where things moved in its picture so far: none before it was looked at, and while a
    /// look is under way.
    #[must_use]
    pub fn heat(&self, camera: &str) -> Option<Option<edusense_motion::Heat>> {
        let camera = lock(&self.inner.cameras).get(camera);
        camera.map(|camera| camera.heat())
    }

    /// The longest group of pictures that is held of a camera's watched stream; None: no such camera, or nothing held.
    #[must_use]
    pub fn longest_group(&self, camera: &str) -> Option<Vec<Unit>> {
        lock(&self.inner.cameras).get(camera)?.longest_group()
    }

    /// What came of a camera's watched stream last, picture by picture, as many as `arrivals` says; None: no such camera.
    #[must_use]
    pub fn arrivals(&self, camera: &str) -> Option<Vec<Arrival>> {
        let camera = lock(&self.inner.cameras).get(camera);
        camera.map(|camera| camera.arrivals())
    }

    /// Whether every session plays: for tests and benches that wait for it.
    #[must_use]
    pub fn all_playing(&self) -> bool {
        self.cameras().iter().all(|camera| {
            camera.state == State::Playing
                && camera
                    .keep
                    .as_ref()
                    .is_none_or(|(state, _)| *state == State::Playing)
        })
    }

    /// Stops: sessions are torn down, looks that run are brought to their end, events that are open are ended; the news of that can
    /// still be read. Harmless when repeated.
    pub fn stop(&self) {
        let Some(runtime) = lock(&self.runtime).take() else {
            return;
        };
        for camera in lock(&self.running).values() {
            camera.orders.send_modify(|orders| orders.stop = true);
        }
        self.inner.queue.stop();
        for thread in std::mem::take(&mut *lock(&self.pool)) {
            let _ = thread.join();
        }
        // Time for the sessions to hear it, and for the TEARDOWNs that retina sends in the background.
        runtime.block_on(async {
            let _ = tokio::time::timeout(Duration::from_millis(300), async {
                while self
                    .cameras()
                    .iter()
                    .any(|camera| camera.state != State::Stopped)
                {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            })
            .await;
        });
        let cameras: Vec<_> = lock(&self.inner.cameras)
            .by_slot
            .values()
            .cloned()
            .collect();
        cameras.iter().for_each(|camera| camera.close(&self.inner));
        runtime.shutdown_timeout(Duration::from_millis(500));
        lock(&self.inner.outbox).closed = true;
        self.inner.told.notify_all();
    }
}

#[cfg(test)]
impl Engine {
    pub(crate) fn inner(&self) -> Arc<Inner> {
        self.inner.clone()
    }

    pub(crate) fn camera(&self, id: &str) -> Arc<Camera> {
        #[allow(clippy::unwrap_used, reason = "a test may panic")]
        lock(&self.inner.cameras).get(id).unwrap()
    }

    /// Feeds a camera without a session.
    pub(crate) fn listener(&self, id: &str) -> WatchListener {
        WatchListener {
            camera: self.camera(id),
            inner: self.inner(),
            playing: false,
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}
