//! What is kept of events: their pictures, compressed as they came, and the clearest one to show.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use edusense_bitstream::Codec;

use crate::gops::{GopBuffer, Unit};
use crate::look::Shot;

/// An event's pictures, from a key picture before it began.
#[derive(Clone, Debug)]
pub struct Clip {
    /// How they are compressed.
    pub codec: Codec,
    /// In the order of sending; the first is a key picture.
    pub units: Vec<Unit>,
    /// The event was longer than a clip may be; its beginning is here.
    pub truncated: bool,
}

/// What the open events of all cameras may hold together: in a break between lessons every corridor moves at once.
#[derive(Debug)]
pub(crate) struct Room {
    taken: AtomicUsize,
    most: usize,
}

impl Room {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            most,
        }
    }

    /// Takes room for so many bytes, if there is room.
    fn take(&self, bytes: usize) -> bool {
        let fits = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= self.most);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A picture this much earlier than the one before it: somebody set the box's clock back.
const SET_BACK_S: f64 = 10.0;

struct Recording {
    id: Arc<str>,
    units: Vec<Unit>,
    /// Taken of the room; may be more than the pictures that are left.
    bytes: usize,
    room: Arc<Room>,
    until_s: f64,
    truncated: bool,
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.room.give_back(self.bytes);
    }
}

impl Recording {
    /// Adds a picture, or is truncated.
    fn add(&mut self, unit: &Unit, most_bytes: usize) {
        let size = unit.au.data.len();
        if self.truncated || self.bytes + size > most_bytes || !self.room.take(size) {
            self.truncated = true;
            return;
        }
        self.bytes += size;
        self.units.push(unit.clone());
    }

    /// Whether this picture is later than all that belong to it.
    fn is_over(&self, unit: &Unit) -> bool {
        let set_back = self
            .units
            .last()
            .is_some_and(|last| unit.at_s < last.at_s - SET_BACK_S);
        unit.at_s > self.until_s || (set_back && self.until_s.is_finite())
    }

    fn clip(&self) -> Option<Clip> {
        let codec = self.units.first()?.au.codec;
        Some(Clip {
            codec,
            units: self.units.clone(),
            truncated: self.truncated,
        })
    }
}

/// Holds the pictures of a stream's open events. Holding shares the bytes with the buffer.
pub(crate) struct Recorder {
    open: Vec<Recording>,
    most_bytes: usize,
    room: Arc<Room>,
}

impl Recorder {
    pub(crate) fn new(most_bytes: usize, room: Arc<Room>) -> Self {
        Self {
            open: Vec::new(),
            most_bytes,
            room,
        }
    }

    /// An event begins: hold what the buffer has from `from_s`, and what follows.
    pub(crate) fn begin(&mut self, id: Arc<str>, from_s: f64, buffer: &GopBuffer) {
        let mut recording = Recording {
            id,
            units: Vec::new(),
            bytes: 0,
            room: self.room.clone(),
            until_s: f64::INFINITY,
            truncated: false,
        };
        for unit in buffer.cut(from_s, f64::INFINITY) {
            recording.add(&unit, self.most_bytes);
        }
        self.open.push(recording);
    }

    /// The next picture of the stream. Returns the clips that are complete with it.
    pub(crate) fn push(&mut self, unit: &Unit) -> Vec<(Arc<str>, Clip)> {
        if self.open.is_empty() {
            return Vec::new();
        }
        for recording in &mut self.open {
            // After a hole only a key picture can be shown.
            if !recording.is_over(unit) && (unit.au.key || !recording.units.is_empty()) {
                recording.add(unit, self.most_bytes);
            }
        }
        self.take(|recording| recording.is_over(unit))
    }

    /// An event ended at this time (post-roll included). Returns its clip, if it is complete already or nothing more will come.
    pub(crate) fn end(
        &mut self,
        id: &str,
        until_s: f64,
        more_comes: bool,
    ) -> Vec<(Arc<str>, Clip)> {
        if let Some(recording) = self.open.iter_mut().find(|recording| &*recording.id == id) {
            recording.until_s = until_s;
            let kept = recording.units.partition_point(|unit| unit.at_s <= until_s);
            let complete = kept < recording.units.len();
            recording.units.truncate(kept.max(1));
            if complete || !more_comes {
                return self.take(|recording| &*recording.id == id);
            }
        }
        Vec::new()
    }

    /// The stream broke off: events that have ended get what is there.
    pub(crate) fn interrupt(&mut self) -> Vec<(Arc<str>, Clip)> {
        self.take(|recording| recording.until_s.is_finite())
    }

    /// The clip of an event that goes on, as far as it is there.
    pub(crate) fn so_far(&self, id: &str) -> Option<Clip> {
        self.open
            .iter()
            .find(|recording| &*recording.id == id)?
            .clip()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.open.iter().map(|recording| recording.bytes).sum()
    }

    fn take(&mut self, complete: impl Fn(&Recording) -> bool) -> Vec<(Arc<str>, Clip)> {
        let mut clips = Vec::new();
        self.open.retain(|recording| {
            let over = complete(recording);
            if over && let Some(clip) = recording.clip() {
                clips.push((recording.id.clone(), clip));
            }
            !over
        });
        clips
    }
}

#[derive(Default)]
struct Kept {
    id: Arc<str>,
    clip: Option<Arc<Clip>>,
    shot: Option<Arc<Shot>>,
    bytes: usize,
}

/// Clips and pictures of the last events of all cameras, bounded in number and bytes.
pub(crate) struct Store {
    kept: VecDeque<Kept>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

impl Store {
    pub(crate) fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            bytes: 0,
            most,
            most_bytes,
        }
    }

    fn entry(&mut self, id: &Arc<str>) -> Option<&mut Kept> {
        if !self.kept.iter().any(|kept| kept.id == *id) {
            self.kept.push_back(Kept {
                id: id.clone(),
                ..Kept::default()
            });
        }
        self.kept.iter_mut().rev().find(|kept| kept.id == *id)
    }

    pub(crate) fn put_clip(&mut self, id: &Arc<str>, clip: Clip) {
        let bytes: usize = clip.units.iter().map(|unit| unit.au.data.len()).sum();
        if let Some(kept) = self.entry(id) {
            kept.bytes += bytes;
            kept.clip = Some(Arc::new(clip));
            self.bytes += bytes;
        }
        self.trim();
    }

    pub(crate) fn put_shot(&mut self, id: &Arc<str>, shot: Shot) {
        if let Some(kept) = self.entry(id) {
            let (before, after) = (
                kept.shot.as_ref().map_or(0, |shot| shot.picture.bytes()),
                shot.picture.bytes(),
            );
            kept.bytes = kept.bytes + after - before;
            kept.shot = Some(Arc::new(shot));
            self.bytes = self.bytes + after - before;
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.kept.len() > self.most || (self.bytes > self.most_bytes && self.kept.len() > 1) {
            if let Some(oldest) = self.kept.pop_front() {
                self.bytes -= oldest.bytes;
            }
        }
    }

    pub(crate) fn clip(&self, id: &str) -> Option<Arc<Clip>> {
        self.kept.iter().find(|kept| &*kept.id == id)?.clip.clone()
    }

    pub(crate) fn shot(&self, id: &str) -> Option<Arc<Shot>> {
        self.kept.iter().find(|kept| &*kept.id == id)?.shot.clone()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use edusense_bitstream::AccessUnit;

    fn unit(index: i64, at_s: f64) -> Unit {
        let au = AccessUnit {
            codec: Codec::H264,
            data: Bytes::from_static(&[0; 1000]),
            pts: index * 3600,
            received_s: at_s,
            key: index % 25 == 0,
            loss: 0,
        };
        Unit { au, at_s }
    }

    #[test]
    fn open_events_of_all_cameras_share_one_room() {
        let room = Arc::new(Room::new(100_000));
        let empty = GopBuffer::new(10.0, 1 << 20);
        let mut cameras: Vec<Recorder> = (0..50)
            .map(|_| Recorder::new(1 << 20, room.clone()))
            .collect();
        for camera in &mut cameras {
            camera.begin("event".into(), 0.0, &empty);
        }
        for index in 0..250 {
            for camera in &mut cameras {
                camera.push(&unit(index, index as f64 / 25.0));
            }
            assert!(cameras.iter().map(Recorder::bytes).sum::<usize>() <= 100_000);
        }
        for camera in &mut cameras {
            let clips = camera.end("event", 5.0, false);
            assert!(clips.iter().all(|(_, clip)| clip.truncated));
        }
        assert_eq!(room.taken.load(Ordering::Relaxed), 0, "all is given back");
    }

    #[test]
    fn a_clip_is_complete_when_the_clock_is_set_back() {
        let mut recorder = Recorder::new(1 << 20, Arc::new(Room::new(1 << 20)));
        recorder.begin("event".into(), 0.0, &GopBuffer::new(10.0, 1 << 20));
        for index in 0..50 {
            assert!(
                recorder
                    .push(&unit(index, 1000.0 + index as f64 / 25.0))
                    .is_empty()
            );
        }
        assert!(recorder.end("event", 1003.0, true).is_empty());
        let clips = recorder.push(&unit(50, 400.0));
        assert_eq!(clips.len(), 1);
        assert_eq!(clips[0].1.units.len(), 50);
    }
}
