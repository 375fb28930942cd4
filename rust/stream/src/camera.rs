//! One camera inside the engine: what its sessions tell, what its looks found, and what is said about it.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use edusense_bitstream::AccessUnit;

use crate::arrivals::{Arrival, Arrivals};
use crate::clips::Recorder;
use crate::clock::lock;
use crate::engine::Inner;
use crate::error::{Coordinates, StreamError};
use crate::gops::{GopBuffer, Unit};
use crate::look::Look;
use crate::news::{CameraStatus, News, Stage};
use crate::queue::Slot;
use crate::session::{Arrived, Listener, State};
use crate::timeline::Timeline;
use crate::watch::{CameraWatch, Outcome, WatchEvent};

/// The state of one of a camera's streams.
struct Line {
    state: State,
    reason: String,
    sessions: u64,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            state: State::Waiting,
            reason: String::new(),
            sessions: 0,
        }
    }
}

/// What the watched stream's session and the looks share.
struct Watched {
    watch: CameraWatch,
    recorder: Recorder,
    timeline: Timeline,
    ids: HashMap<u64, Arc<str>>,
    decoder: Option<&'static str>,
    last_event_s: Option<f64>,
    rate: (f64, u64),
    bitrate_kbit: f64,
    arrivals: Arrivals,
}

struct Kept {
    buffer: GopBuffer,
    recorder: Recorder,
    timeline: Timeline,
}

impl Kept {
    fn new(inner: &Inner) -> Self {
        let settings = &inner.settings;
        Self {
            buffer: GopBuffer::new(settings.watch.buffer_s, settings.watch.buffer_bytes),
            recorder: Recorder::new(settings.clip_bytes, inner.room.clone()),
            timeline: Timeline::default(),
        }
    }
}

/// A camera's shared state.
pub(crate) struct Camera {
    pub(crate) id: Arc<str>,
    pub(crate) slot: Slot,
    watched: Mutex<Watched>,
    kept: Option<Mutex<Kept>>,
    lines: Mutex<(Line, Line)>,
}

fn newest_key(watch: &CameraWatch) -> Option<&Unit> {
    let units = &watch.buffer().newest()?.units;
    units.iter().rev().find(|unit| unit.au.key)
}

/// What is said of a camera on whose pictures code of ours failed.
const BUG: &str =
    "what the camera sent made the watch fail and begin anew; this is a bug of edusense";

/// Window over which the bit rate is told.
const RATE_S: f64 = 3.0;

impl Camera {
    pub(crate) fn new(id: &str, slot: Slot, keeps: bool, inner: &Inner) -> Self {
        let settings = &inner.settings;
        let watched = Watched {
            watch: CameraWatch::new(settings.watch.clone()),
            recorder: Recorder::new(settings.clip_bytes, inner.room.clone()),
            timeline: Timeline::default(),
            ids: HashMap::new(),
            decoder: None,
            last_event_s: None,
            rate: (0.0, 0),
            bitrate_kbit: 0.0,
            arrivals: Arrivals::new(settings.arrivals),
        };
        Self {
            id: id.into(),
            slot,
            watched: Mutex::new(watched),
            kept: keeps.then(|| Mutex::new(Kept::new(inner))),
            lines: Mutex::default(),
        }
    }

    /// What the gate has learned; None while there is nothing.
    pub(crate) fn kept_gate(&self) -> Option<Vec<u8>> {
        lock(&self.watched).watch.kept_gate()
    }

    /// Goes on from what a gate had learned. False where pictures have come already, or it is not that.
    pub(crate) fn restore_gate(&self, bytes: &[u8]) -> bool {
        lock(&self.watched).watch.restore_gate(bytes)
    }

    /// Where things moved so far. None before the first look, and while one is under way.
    pub(crate) fn heat(&self) -> Option<edusense_motion::Heat> {
        lock(&self.watched).watch.heat()
    }

    pub(crate) fn set_zones(&self, zones: Arc<edusense_motion::Zones>) {
        lock(&self.watched).watch.set_zones(zones);
    }

    pub(crate) fn set_followed(&self, followed: bool) {
        lock(&self.watched).watch.set_followed(followed);
    }

    pub(crate) fn take_look(&self, depth: crate::look::Depth) -> Option<Look> {
        lock(&self.watched).watch.take(depth)
    }

    pub(crate) fn finish_look(&self, look: Look, inner: &Inner) {
        let decoder = look.decoder();
        let mut watched = lock(&self.watched);
        watched.decoder = decoder.or(watched.decoder);
        let outcome = watched.watch.finish(look);
        self.tell(&mut watched, outcome, inner);
        self.ask(&watched, inner);
    }

    /// Nobody will look any more: what is open ends with what is known.
    pub(crate) fn close(&self, inner: &Inner) {
        let mut watched = lock(&self.watched);
        let outcome = watched.watch.give_up();
        self.tell(&mut watched, outcome, inner);
        inner.put_clips(watched.recorder.interrupt());
    }

    /// Brings the camera's wish to the queue.
    pub(crate) fn requeue(&self, inner: &Inner) {
        self.ask(&lock(&self.watched), inner);
    }

    fn ask(&self, watched: &Watched, inner: &Inner) {
        inner.queue.set(self.slot, watched.watch.want());
    }

    /// Code of ours failed on this camera's pictures, possibly in the middle of a change: its watch begins anew, and says so. What
    /// fails once more in here is beyond saying; other cameras go on all the same.
    pub(crate) fn begin_anew(&self, inner: &Inner) {
        let work = AssertUnwindSafe(|| {
            let mut watched = lock(&self.watched);
            let outcome = watched.watch.restart(BUG);
            self.tell(&mut watched, outcome, inner);
            self.ask(&watched, inner);
            drop(watched);
            let state = lock(&self.lines).0.state;
            let error = StreamError::bug(BUG);
            self.line("watch", state, error.to_string(), Some(&error), inner);
        });
        let _ = catch_unwind(work);
    }

    /// As [`Self::begin_anew`], of the kept stream: what it held may be half changed and goes.
    fn keep_anew(&self, inner: &Inner) {
        if let Some(kept) = &self.kept {
            *lock(kept) = Kept::new(inner);
        }
    }

    /// Passes the watch's news on, and holds the pictures of what begins.
    fn tell(&self, watched: &mut Watched, outcome: Outcome, inner: &Inner) {
        // Pictures first: who reads of an event may ask for its picture at once.
        for (number, shot) in outcome.shots {
            let id = watched
                .ids
                .entry(number)
                .or_insert_with(|| inner.event_id(&self.id));
            lock(&inner.store).put_shot(id, shot);
        }
        for event in outcome.events {
            let number = match &event {
                WatchEvent::Suspected { id, .. }
                | WatchEvent::Confirmed { id, .. }
                | WatchEvent::Moving { id, .. }
                | WatchEvent::Withdrawn { id, .. }
                | WatchEvent::Ended { id, .. } => *id,
            };
            let id = watched
                .ids
                .entry(number)
                .or_insert_with(|| inner.event_id(&self.id))
                .clone();
            let (mut tracks, mut look_s) = (Vec::new(), None);
            let (stage, start_s, end_s, score, regions, reason) = match event {
                WatchEvent::Suspected { at_s, .. } => {
                    (Stage::Suspected, at_s, None, 0.0, Vec::new(), None)
                }
                WatchEvent::Withdrawn { at_s, reason, .. } => {
                    watched.ids.remove(&number);
                    (
                        Stage::Withdrawn,
                        at_s,
                        Some(at_s),
                        0.0,
                        Vec::new(),
                        Some(reason),
                    )
                }
                WatchEvent::Confirmed {
                    start_s,
                    score,
                    regions,
                    ..
                } => {
                    watched.last_event_s = Some(start_s);
                    self.hold(watched, &id, start_s - inner.settings.pre_roll_s);
                    (Stage::Confirmed, start_s, None, score, regions, None)
                }
                WatchEvent::Moving {
                    at_s,
                    score,
                    regions,
                    tracks: numbers,
                    ..
                } => {
                    (tracks, look_s) = (numbers, Some(at_s));
                    let start_s = watched.last_event_s.unwrap_or(at_s);
                    (Stage::Moving, start_s, None, score, regions, None)
                }
                WatchEvent::Ended {
                    start_s,
                    end_s,
                    score,
                    regions,
                    ..
                } => {
                    watched.ids.remove(&number);
                    self.release(watched, &id, end_s + inner.settings.post_roll_s, inner);
                    (Stage::Ended, start_s, Some(end_s), score, regions, None)
                }
            };
            let clock_error_s = watched.timeline.error_s();
            let decoder = watched.decoder.filter(|_| stage != Stage::Suspected);
            inner.say(
                &self.id,
                News::Motion {
                    id,
                    stage,
                    start_s,
                    end_s,
                    score,
                    regions,
                    tracks,
                    at_s: look_s,
                    clock_error_s,
                    decoder,
                    reason,
                },
            );
        }
    }

    fn hold(&self, watched: &mut Watched, id: &Arc<str>, from_s: f64) {
        match &self.kept {
            None => watched
                .recorder
                .begin(id.clone(), from_s, watched.watch.buffer()),
            Some(kept) => {
                let mut kept = lock(kept);
                let Kept {
                    buffer, recorder, ..
                } = &mut *kept;
                recorder.begin(id.clone(), from_s, buffer);
            }
        }
    }

    fn release(&self, watched: &mut Watched, id: &Arc<str>, until_s: f64, inner: &Inner) {
        let playing = {
            let lines = lock(&self.lines);
            let line = if self.kept.is_some() {
                &lines.1
            } else {
                &lines.0
            };
            line.state == State::Playing
        };
        let clips = match &self.kept {
            None => watched.recorder.end(id, until_s, playing),
            Some(kept) => lock(kept).recorder.end(id, until_s, playing),
        };
        inner.put_clips(clips);
    }

    /// The clip of an event that is not over or not complete yet.
    pub(crate) fn clip_so_far(&self, id: &str) -> Option<crate::clips::Clip> {
        match &self.kept {
            None => lock(&self.watched).recorder.so_far(id),
            Some(kept) => lock(kept).recorder.so_far(id),
        }
    }

    /// The newest picture that can be decoded alone.
    pub(crate) fn newest_key(&self) -> Option<AccessUnit> {
        newest_key(&lock(&self.watched).watch).map(|unit| unit.au.clone())
    }

    /// The longest group of pictures that is held; the newest of those.
    pub(crate) fn longest_group(&self) -> Option<Vec<Unit>> {
        let watched = lock(&self.watched);
        let gops = watched.watch.buffer().gops();
        gops.max_by_key(|gop| gop.units.len())
            .map(|gop| gop.units.clone())
    }

    /// What came of the watched stream last.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.watched).arrivals.rows()
    }

    pub(crate) fn status(&self) -> CameraStatus {
        let (state, reason, keep, sessions) = {
            let lines = lock(&self.lines);
            let keep = self
                .kept
                .as_ref()
                .map(|_| (lines.1.state, lines.1.reason.clone()));
            (
                lines.0.state,
                lines.0.reason.clone(),
                keep,
                lines.0.sessions,
            )
        };
        let kept_bytes = self.kept.as_ref().map_or(0, |kept| {
            let kept = lock(kept);
            kept.buffer.bytes() + kept.recorder.bytes()
        });
        let watched = lock(&self.watched);
        CameraStatus {
            id: self.id.clone(),
            state,
            reason,
            keep,
            counts: watched.watch.counts().clone(),
            gate: watched.watch.gate(),
            bitrate_kbit: if state == State::Playing {
                watched.bitrate_kbit
            } else {
                0.0
            },
            last_event_s: watched.last_event_s,
            picture_s: newest_key(&watched.watch).map(|unit| unit.at_s),
            reconnects: sessions.saturating_sub(1),
            clock_jumps: watched.timeline.jumps(),
            clock_error_s: watched.timeline.error_s(),
            buffer_bytes: watched.watch.buffer().bytes() + watched.recorder.bytes() + kept_bytes,
            trouble: watched.watch.trouble().map(str::to_owned),
        }
    }

    fn line(
        &self,
        stream: &'static str,
        state: State,
        reason: String,
        error: Option<&StreamError>,
        inner: &Inner,
    ) {
        {
            let mut lines = lock(&self.lines);
            let line = if stream == "watch" {
                &mut lines.0
            } else {
                &mut lines.1
            };
            line.sessions += u64::from(state == State::Playing && line.state != State::Playing);
            (line.state, line.reason) = (state, reason.clone());
        }
        let at = error.map_or_else(Coordinates::default, |error| error.at().clone());
        let error = error.map(|error| (error.code(), error.hint()));
        inner.say(
            &self.id,
            News::State {
                stream,
                state,
                reason,
                error,
                at,
            },
        );
    }
}

/// Listens to the watched stream.
pub(crate) struct WatchListener {
    pub(crate) camera: Arc<Camera>,
    pub(crate) inner: Arc<Inner>,
    pub(crate) playing: bool,
}

impl Listener for WatchListener {
    fn state(&mut self, state: State, reason: String, error: Option<&StreamError>) {
        let work = AssertUnwindSafe(|| self.changed(state, reason, error));
        if catch_unwind(work).is_err() {
            self.camera.begin_anew(&self.inner);
        }
    }

    fn picture(&mut self, picture: Arrived) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take(picture))) {
            self.camera.begin_anew(&self.inner);
            // The session ends with it, which its state tells.
            resume_unwind(panic);
        }
    }
}

impl WatchListener {
    fn changed(&mut self, state: State, reason: String, error: Option<&StreamError>) {
        let (camera, inner) = (&self.camera, &self.inner);
        camera.line("watch", state, reason, error, inner);
        let playing = state == State::Playing;
        if playing != self.playing {
            self.playing = playing;
            let mut watched = lock(&camera.watched);
            if playing {
                watched.timeline = Timeline::after(&watched.timeline, inner.clock.ticks_s());
                watched.arrivals.begin();
            } else {
                let outcome = watched.watch.interrupt();
                camera.tell(&mut watched, outcome, inner);
                inner.put_clips(watched.recorder.interrupt());
                camera.ask(&watched, inner);
            }
        }
    }

    fn take(&mut self, picture: Arrived) {
        let inner = &self.inner;
        let (ticks_s, unix_s) = (inner.clock.ticks_s(), inner.clock.unix_s());
        let mut watched = lock(&self.camera.watched);
        watched.arrivals.push(&picture, unix_s);
        let cut = picture.new_parameters;
        let (unit, jumped) = place(&mut watched.timeline, picture, ticks_s, unix_s);
        let clips = watched.recorder.push(&unit);
        let began = unit.au.key;
        let parts = watched.watch.parts();
        let events = watched.watch.push(unit, cut || jumped);
        if began && ticks_s - watched.rate.0 >= RATE_S {
            let bytes = watched.watch.counts().bytes;
            watched.bitrate_kbit =
                (bytes - watched.rate.1) as f64 * 0.008 / (ticks_s - watched.rate.0);
            watched.rate = (ticks_s, bytes);
        }
        if !events.is_empty() {
            self.camera.tell(
                &mut watched,
                Outcome {
                    events,
                    ..Outcome::default()
                },
                inner,
            );
        }
        // Between key pictures nothing changes what is wanted but a part that ends or a gate that fires.
        if began || watched.watch.fires() || watched.watch.parts() != parts {
            self.camera.ask(&watched, inner);
        }
        drop(watched);
        if !clips.is_empty() {
            inner.put_clips(clips);
        }
    }
}

/// Listens to the kept stream.
pub(crate) struct KeepListener {
    pub(crate) camera: Arc<Camera>,
    pub(crate) inner: Arc<Inner>,
    pub(crate) playing: bool,
}

impl Listener for KeepListener {
    fn state(&mut self, state: State, reason: String, error: Option<&StreamError>) {
        let work = AssertUnwindSafe(|| self.changed(state, reason, error));
        if catch_unwind(work).is_err() {
            self.camera.keep_anew(&self.inner);
        }
    }

    fn picture(&mut self, picture: Arrived) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take(picture))) {
            self.camera.keep_anew(&self.inner);
            // The session ends with it, which its state tells.
            resume_unwind(panic);
        }
    }
}

impl KeepListener {
    fn changed(&mut self, state: State, reason: String, error: Option<&StreamError>) {
        self.camera.line("keep", state, reason, error, &self.inner);
        let playing = state == State::Playing;
        if playing != self.playing
            && let Some(kept) = &self.camera.kept
        {
            self.playing = playing;
            let mut kept = lock(kept);
            if playing {
                kept.timeline = Timeline::after(&kept.timeline, self.inner.clock.ticks_s());
            } else {
                kept.buffer.interrupt();
                let clips = kept.recorder.interrupt();
                drop(kept);
                self.inner.put_clips(clips);
            }
        }
    }

    fn take(&mut self, picture: Arrived) {
        let Some(kept) = &self.camera.kept else {
            return;
        };
        let mut kept = lock(kept);
        let cut = picture.new_parameters;
        let (unit, jumped) = place(
            &mut kept.timeline,
            picture,
            self.inner.clock.ticks_s(),
            self.inner.clock.unix_s(),
        );
        let clips = kept.recorder.push(&unit);
        let torn = unit.au.loss > 0 && !unit.au.key;
        kept.buffer.push(unit, cut || jumped || torn);
        drop(kept);
        if !clips.is_empty() {
            self.inner.put_clips(clips);
        }
    }
}

fn place(timeline: &mut Timeline, picture: Arrived, ticks_s: f64, unix_s: f64) -> (Unit, bool) {
    let placed = timeline.place(picture.timestamp, ticks_s);
    let au = AccessUnit {
        codec: picture.codec,
        data: picture.data,
        pts: placed.pts,
        received_s: unix_s,
        key: picture.key,
        loss: picture.loss,
    };
    (
        Unit {
            au,
            at_s: placed.ticks_s + (unix_s - ticks_s),
        },
        placed.jumped,
    )
}

/// Cameras by slot and by id.
#[derive(Default)]
pub(crate) struct Cameras {
    pub(crate) by_slot: BTreeMap<Slot, Arc<Camera>>,
    pub(crate) by_id: HashMap<Arc<str>, Slot>,
}

impl Cameras {
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Camera>> {
        self.by_slot.get(self.by_id.get(id)?).cloned()
    }
}
