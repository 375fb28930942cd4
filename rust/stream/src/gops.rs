//! The last pictures of a camera, compressed, in RAM, in groups that can be decoded from their first picture.

use std::collections::VecDeque;

use edusense_bitstream::AccessUnit;

use crate::timeline::TICKS;

/// One picture and its place in wall-clock time.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The picture; cloning shares its bytes.
    pub au: AccessUnit,
    /// When it was taken, as far as we know: Unix seconds, or media seconds of a file.
    pub at_s: f64,
}

/// Pictures from one that can be decoded alone up to the next such.
#[derive(Clone, Debug)]
pub struct Gop {
    /// Counts the groups of a camera, from 0, without gaps.
    pub serial: u64,
    /// In the order of sending; the first is a key picture.
    pub units: Vec<Unit>,
    bytes: usize,
    all_key: bool,
}

impl Gop {
    /// Media seconds from the first picture to the last.
    #[must_use]
    pub fn span_s(&self) -> f64 {
        match (self.units.first(), self.units.last()) {
            (Some(first), Some(last)) => last.au.pts.saturating_sub(first.au.pts) as f64 / TICKS,
            _ => 0.0,
        }
    }

    /// Wall-clock time of the key picture.
    #[must_use]
    pub fn start_s(&self) -> f64 {
        self.units.first().map_or(0.0, |unit| unit.at_s)
    }
}

/// What a picture did to the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It began a group: the one before, if there is one, is complete.
    Began,
    /// It belongs to the newest group.
    Joined,
    /// There is no key picture that it could follow; it was not kept.
    Headless,
    /// The group outgrew the buffer: it was given up as a whole, since its rest cannot be decoded.
    GivenUp,
}

/// Groups shorter than this are joined with the next: cameras that send key pictures only (JPEG) would make one of each.
const SHORTEST_S: f64 = 0.5;

/// Most pictures of one buffer: four minutes at 60 a second. A camera that sends pictures of a few bytes each would otherwise fill
/// the memory with what surrounds them.
const MOST_PICTURES: usize = 1 << 14;

/// The newest groups of one camera, bounded in bytes and pictures and trimmed by whole groups.
#[derive(Clone, Debug)]
pub struct GopBuffer {
    gops: VecDeque<Gop>,
    keep_s: f64,
    most_bytes: usize,
    bytes: usize,
    pictures: usize,
    next_serial: u64,
    headless: bool,
    /// When the second oldest group begins. It stands here because the groups themselves are rarely in a cache.
    second_pts: Option<i64>,
}

impl GopBuffer {
    /// A buffer that keeps at least `keep_s` of media as long as it fits into `most_bytes`.
    #[must_use]
    pub fn new(keep_s: f64, most_bytes: usize) -> Self {
        Self {
            gops: VecDeque::new(),
            keep_s,
            most_bytes,
            bytes: 0,
            pictures: 0,
            next_serial: 0,
            headless: true,
            second_pts: None,
        }
    }

    /// Takes the next picture. `cut`: it cannot belong to the group before, whatever its kind (new parameters, a jump).
    pub fn push(&mut self, unit: Unit, cut: bool) -> Pushed {
        let (size, pts) = (unit.au.data.len(), unit.au.pts);
        if unit.au.key {
            let short = !self.headless
                && !cut
                && self
                    .gops
                    .back()
                    .is_some_and(|gop| gop.span_s() < SHORTEST_S && gop.all_key);
            if !short {
                self.gops.push_back(Gop {
                    serial: self.next_serial,
                    units: vec![unit],
                    bytes: size,
                    all_key: true,
                });
                self.next_serial += 1;
                self.bytes += size;
                self.pictures += 1;
                self.headless = false;
                self.mind_second();
                self.trim(pts);
                return self.within(Pushed::Began);
            }
        } else if self.headless || cut {
            self.headless = true;
            return Pushed::Headless;
        }
        let Some(gop) = self.gops.back_mut() else {
            return Pushed::Headless;
        };
        gop.all_key &= unit.au.key;
        gop.units.push(unit);
        gop.bytes += size;
        self.bytes += size;
        self.pictures += 1;
        self.trim(pts);
        self.within(Pushed::Joined)
    }

    /// What was `pushed`, unless the newest group alone is more than the buffer may hold.
    fn within(&mut self, pushed: Pushed) -> Pushed {
        if self.fits() {
            return pushed;
        }
        if let Some(gop) = self.gops.pop_back() {
            self.bytes -= gop.bytes;
            self.pictures -= gop.units.len();
        }
        self.mind_second();
        self.headless = true;
        Pushed::GivenUp
    }

    fn fits(&self) -> bool {
        self.bytes <= self.most_bytes && self.pictures <= MOST_PICTURES
    }

    fn trim(&mut self, newest: i64) {
        while let Some(second) = self.second_pts {
            let rest_s = newest.saturating_sub(second) as f64 / TICKS;
            if rest_s < self.keep_s && self.fits() {
                return;
            }
            if let Some(first) = self.gops.pop_front() {
                self.bytes -= first.bytes;
                self.pictures -= first.units.len();
            }
            self.mind_second();
        }
    }

    fn mind_second(&mut self) {
        let second = self.gops.get(1).and_then(|gop| gop.units.first());
        self.second_pts = second.map(|unit| unit.au.pts);
    }

    /// The stream broke off: what follows does not continue the newest group.
    pub fn interrupt(&mut self) {
        self.headless = true;
    }

    /// The groups, oldest first.
    pub fn gops(&self) -> impl DoubleEndedIterator<Item = &Gop> {
        self.gops.iter()
    }

    /// A group by its number, while it is there.
    #[must_use]
    pub fn gop(&self, serial: u64) -> Option<&Gop> {
        let first = self.gops.front()?.serial;
        let index = usize::try_from(serial.checked_sub(first)?).ok()?;
        // Groups that were given up leave a hole in the numbers: look from there downwards.
        self.gops
            .iter()
            .take(index + 1)
            .rev()
            .find(|gop| gop.serial == serial)
    }

    /// The newest group, complete or not.
    #[must_use]
    pub fn newest(&self) -> Option<&Gop> {
        self.gops.back()
    }

    /// Bytes of compressed pictures held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Pictures from the last key picture at or before `from_s` (or the oldest held) to `until_s`, by wall-clock time.
    #[must_use]
    pub fn cut(&self, from_s: f64, until_s: f64) -> Vec<Unit> {
        let start = self
            .gops
            .iter()
            .rposition(|gop| gop.start_s() <= from_s)
            .unwrap_or(0);
        let units = self.gops.iter().skip(start).flat_map(|gop| &gop.units);
        units
            .take_while(|unit| unit.at_s <= until_s)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use edusense_bitstream::Codec;
    use proptest::prelude::*;

    fn unit(index: i64, key: bool, size: usize) -> Unit {
        let data = Bytes::from(vec![0; size]);
        let au = AccessUnit {
            codec: Codec::H264,
            data,
            pts: index * 3600,
            received_s: 0.0,
            key,
            loss: 0,
        };
        Unit {
            au,
            at_s: index as f64 * 0.04,
        }
    }

    #[test]
    fn a_clip_starts_at_the_key_picture_before() {
        let mut buffer = GopBuffer::new(10.0, 1 << 20);
        for index in 0..500 {
            buffer.push(unit(index, index % 50 == 0, 100), false);
        }
        let cut = buffer.cut(15.0, 17.0);
        assert_eq!(cut[0].at_s, 14.0);
        assert!(cut[0].au.key);
        assert!((cut.last().unwrap().at_s - 17.0).abs() < 1e-9);
        assert!(buffer.gops().next().unwrap().start_s() <= 20.0 - 10.0);
    }

    #[test]
    fn pictures_without_a_key_picture_are_not_kept() {
        let mut buffer = GopBuffer::new(10.0, 1 << 20);
        assert_eq!(buffer.push(unit(0, false, 9), false), Pushed::Headless);
        assert_eq!(buffer.push(unit(1, true, 9), false), Pushed::Began);
        assert_eq!(buffer.push(unit(2, false, 9), false), Pushed::Joined);
        buffer.interrupt();
        assert_eq!(buffer.push(unit(3, false, 9), false), Pushed::Headless);
        assert_eq!(buffer.push(unit(4, true, 9), false), Pushed::Began);
        assert_eq!(buffer.gop(0).unwrap().units.len(), 2);
        assert_eq!(buffer.gop(1).unwrap().units.len(), 1);
    }

    #[test]
    fn key_pictures_alone_are_grouped() {
        let mut buffer = GopBuffer::new(10.0, 1 << 20);
        let began = (0..100)
            .filter(|index| buffer.push(unit(*index, true, 9), false) == Pushed::Began)
            .count();
        assert!((6..=8).contains(&began), "{began}");
    }

    #[test]
    fn a_group_larger_than_the_buffer_is_given_up() {
        let mut buffer = GopBuffer::new(10.0, 1000);
        buffer.push(unit(0, true, 400), false);
        assert_eq!(buffer.push(unit(1, false, 400), false), Pushed::Joined);
        assert_eq!(buffer.push(unit(2, false, 400), false), Pushed::GivenUp);
        assert_eq!(buffer.push(unit(3, false, 400), false), Pushed::Headless);
        assert_eq!(buffer.bytes(), 0);
        assert_eq!(buffer.push(unit(4, true, 400), false), Pushed::Began);
        assert_eq!(buffer.gop(1).unwrap().units.len(), 1);
    }

    #[test]
    fn pictures_of_hardly_a_byte_are_bounded_too() {
        // The camera's clock stands still: as key pictures alone they would all be one group.
        for all_key in [true, false] {
            let mut buffer = GopBuffer::new(10.0, 16 << 20);
            let mut given_up = 0;
            for index in 0..3 * MOST_PICTURES {
                let pushed = buffer.push(unit(0, all_key || index % 9000 == 0, 5), false);
                given_up += usize::from(pushed == Pushed::GivenUp);
                let held: usize = buffer.gops().map(|gop| gop.units.len()).sum();
                assert!(held <= MOST_PICTURES && held == buffer.pictures);
            }
            assert_eq!(given_up > 0, all_key);
        }
    }

    proptest! {
        #[test]
        fn bounded_whole_and_counted(
            pictures in prop::collection::vec((any::<bool>(), 0_usize..5000, any::<bool>(), 1_i64..100), 1..300),
        ) {
            let mut buffer = GopBuffer::new(2.0, 20_000);
            let mut pts = 0;
            for (key, size, cut, step) in pictures {
                pts += step;
                buffer.push(unit(pts, key, size), cut);
                let held: usize = buffer.gops().flat_map(|gop| &gop.units).map(|unit| unit.au.data.len()).sum();
                prop_assert_eq!(held, buffer.bytes());
                prop_assert!(held <= 20_000);
                prop_assert!(buffer.gops().all(|gop| gop.units[0].au.key));
                for gop in buffer.gops() {
                    prop_assert_eq!(buffer.gop(gop.serial).map(|found| found.units.len()), Some(gop.units.len()));
                }
            }
        }
    }
}
