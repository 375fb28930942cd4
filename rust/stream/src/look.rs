//! One look: a run of buffered pictures, decoded and shown to a camera's detector.

use edusense_bitstream::AccessUnit;
use edusense_decode::{AllRefused, Band, Chain, Detail, Gather, Luma, LumaView};
use edusense_motion::{Detector, Region};

use crate::clock::thread_cpu_s;
use crate::timeline::TICKS;

/// Widest picture kept to be shown to people.
const SHOWN_WIDTH: usize = 640;

/// How much of its pictures a look decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All of the oldest part that waits, shown to the detector five a second or more.
    Whole,
    /// The same of the oldest part in which something moves or may; what waits before it is given up.
    Moving,
    /// The key picture of the newest part, or of one in which something may move; what waits before it is given up.
    Key,
}

/// The clearest picture of a look.
#[derive(Clone, Debug)]
pub struct Shot {
    /// Media seconds.
    pub t_s: f64,
    /// How clear, 0 to 1.
    pub score: f32,
    /// What moved, in pixels of the stream's cropped picture.
    pub regions: Vec<Region>,
    /// The picture.
    pub picture: Picture,
    /// Width of the stream's cropped picture, to which the regions belong.
    pub full_width: usize,
    /// Its height.
    pub full_height: usize,
}

/// A picture that is kept to be shown to people.
#[derive(Clone, Debug)]
pub enum Picture {
    /// At most 640 wide.
    Shown(Luma),
    /// A key picture as the camera sent it: looking for motion did not take the whole of it.
    Compressed(AccessUnit),
}

impl Picture {
    fn of(unit: &AccessUnit, band: Band<'_>) -> Option<Self> {
        if band.top() == 0 && band.is_last() && band.shape().scale == 1 {
            return Some(Self::Shown(shown(band.rows())));
        }
        unit.key.then(|| Self::Compressed(unit.clone()))
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Shown(luma) => luma.data.len(),
            Self::Compressed(unit) => unit.data.len(),
        }
    }

    /// The picture, at most 640 wide.
    ///
    /// # Errors
    /// [`AllRefused`], if it was kept compressed and cannot be decoded.
    pub fn luma(&self, chain: &Chain) -> Result<Luma, AllRefused> {
        let unit = match self {
            Self::Shown(luma) => return Ok(luma.clone()),
            Self::Compressed(unit) => std::slice::from_ref(unit),
        };
        let (mut gather, mut luma) = (Gather::default(), None);
        chain.decode(unit, &|_| true, Detail::Whole, &mut |_, band| {
            luma = gather.push(band);
        })?;
        luma.as_ref()
            .and_then(Luma::view)
            .map(shown)
            .ok_or(AllRefused {
                reasons: Vec::new(),
                given: 0,
            })
    }
}

/// A run to be looked at, with the eye that will look. Made by a [`CameraWatch`](crate::CameraWatch), to which it returns.
pub struct Look {
    pub(crate) run: Vec<AccessUnit>,
    pub(crate) wanted: Vec<bool>,
    pub(crate) depth: Depth,
    /// Which part of the stream it covers.
    pub(crate) part: crate::watch::Part,
    pub(crate) detector: Detector,
    /// It is looked at whatever the gate says.
    pub(crate) probe: Option<crate::watch::Probe>,
    /// A shot is worth keeping only above this score.
    pub(crate) floor: f32,
    pub(crate) done: Done,
}

/// What came of a look.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) seen: Vec<edusense_motion::Look>,
    pub(crate) decoder: Option<&'static str>,
    pub(crate) refused: Option<String>,
    pub(crate) decoded: u64,
    /// The clearest picture of each movement, in order.
    pub(crate) shots: Vec<Shot>,
    pub(crate) cpu_s: f64,
}

impl Look {
    /// Decodes and looks. This is where the time goes: no lock is held.
    pub fn open(&mut self, chain: &Chain) {
        let started = thread_cpu_s();
        let Self {
            run,
            wanted,
            detector,
            floor,
            done,
            ..
        } = self;
        let mut best = *floor;
        let mut moving = false;
        let answer = chain.decode(
            run,
            &|index| wanted.get(index).copied().unwrap_or(false),
            Detail::Motion,
            &mut |index, band| {
                let Some(unit) = run.get(index) else { return };
                let Some(look) = detector.look_at_band(unit.pts as f64 / TICKS, band) else {
                    return;
                };
                if !look.moved {
                    (moving, best) = (false, 0.0);
                }
                if look.moved
                    && look.score > best
                    && let Some(picture) = Picture::of(unit, band)
                {
                    if std::mem::replace(&mut moving, true) {
                        done.shots.pop();
                    }
                    best = look.score;
                    done.shots.push(Shot {
                        t_s: look.t_s,
                        score: look.score,
                        regions: look.regions.clone(),
                        picture,
                        full_width: band.shape().width,
                        full_height: band.shape().height,
                    });
                }
                done.seen.push(look);
            },
        );
        done.decoded = wanted
            .iter()
            .rposition(|wanted| *wanted)
            .map_or(0, |last| last as u64 + 1);
        match answer {
            Ok(taken) => done.decoder = Some(taken.decoder),
            Err(refused) => done.refused = Some(refused.to_string()),
        }
        done.cpu_s = thread_cpu_s() - started;
    }

    /// The decoder failed.
    pub(crate) fn failed(&mut self, reason: &str) {
        self.done.refused = Some(reason.to_owned());
    }

    /// Who decoded it.
    #[must_use]
    pub fn decoder(&self) -> Option<&'static str> {
        self.done.decoder
    }

    /// CPU seconds that it took.
    #[must_use]
    pub fn cpu_s(&self) -> f64 {
        self.done.cpu_s
    }
}

/// A picture as people see it: shrunk by a whole factor to at most 640 wide.
#[must_use]
pub fn shown(view: LumaView<'_>) -> Luma {
    let factor = view.width().div_ceil(SHOWN_WIDTH);
    let (width, height) = (view.width() / factor, (view.height() / factor).max(1));
    let mut data = Vec::with_capacity(width * height);
    let mut sums = vec![0_u32; width];
    for y in 0..height {
        sums.fill(0);
        let rows = y * factor..((y + 1) * factor).min(view.height());
        let area = (factor * rows.len()) as u32;
        for row in rows.map(|row| view.row(row)) {
            for (sum, cells) in sums.iter_mut().zip(row.chunks_exact(factor)) {
                *sum += cells.iter().map(|cell| u32::from(*cell)).sum::<u32>();
            }
        }
        data.extend(sums.iter().map(|sum| ((sum + area / 2) / area) as u8));
    }
    Luma {
        width,
        height,
        data,
    }
}

/// Which pictures of a run are shown to the detector: the first from `from`, then so that never more than `step_s` of media passes
/// between two, as far as the stream has pictures enough.
pub(crate) fn choose(
    run: &[AccessUnit],
    from: usize,
    after_pts: Option<i64>,
    step_s: f64,
) -> Vec<bool> {
    let step = (step_s * TICKS) as i64;
    let mut last = after_pts;
    let mut wanted = vec![false; run.len()];
    for index in from..run.len() {
        let pts = run[index].pts;
        let next = run
            .get(index + 1)
            .map_or_else(|| pts.saturating_add(interval(run)), |next| next.pts);
        // The next one would come too late, so this one it is. A tick of tolerance: cameras round their timestamps.
        let due = last.is_none_or(|last| {
            next.saturating_sub(last) > step.saturating_add(step / 50) || pts < last
        });
        if due {
            wanted[index] = true;
            last = Some(pts);
        }
    }
    wanted
}

fn interval(run: &[AccessUnit]) -> i64 {
    match run {
        [first, .., last] => last.pts.saturating_sub(first.pts) / (run.len() as i64 - 1),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edusense_bitstream::Codec;

    fn run(rate: i64, length: i64) -> Vec<AccessUnit> {
        let unit = |index| AccessUnit {
            codec: Codec::H264,
            data: bytes::Bytes::new(),
            pts: index * 90_000 / rate,
            received_s: 0.0,
            key: index == 0,
            loss: 0,
        };
        (0..length).map(unit).collect()
    }

    #[test]
    fn five_a_second_or_more_are_chosen_at_every_rate() {
        for rate in [5, 6, 8, 10, 12, 15, 20, 25, 30] {
            let units = run(rate, 2 * rate);
            let chosen: Vec<i64> = choose(&units, 0, None, 0.2)
                .iter()
                .zip(&units)
                .filter(|(wanted, _)| **wanted)
                .map(|(_, unit)| unit.pts)
                .collect();
            let widest = chosen
                .windows(2)
                .map(|pair| pair[1] - pair[0])
                .max()
                .unwrap();
            assert!(widest <= 18_001, "{widest} at {rate}/s");
            assert!(
                180_000 - chosen.last().unwrap() <= 18_001,
                "up to the next key picture at {rate}/s"
            );
            assert!(chosen.len() <= 20, "{} at {rate}/s", chosen.len());
        }
    }

    #[test]
    fn a_picture_a_minute_is_looked_at() {
        let units = run(1, 3);
        assert_eq!(choose(&units, 0, None, 0.2), [true; 3]);
    }

    /// Gives an eighth of a picture of 160×96, or the whole of it in two bands.
    struct Grey;

    impl edusense_decode::Decoder for Grey {
        fn name(&self) -> &'static str {
            "grey"
        }

        fn decode(
            &self,
            _: &[AccessUnit],
            _: &dyn Fn(usize) -> bool,
            detail: Detail,
            sink: &mut dyn FnMut(usize, Band<'_>),
        ) -> Result<(), edusense_decode::Refusal> {
            let (width, height, bands) = if detail == Detail::Motion {
                (20, 12, 1)
            } else {
                (160, 96, 2)
            };
            let shape = edusense_decode::Shape {
                width: 160,
                height: 96,
                scale: 160 / width,
            };
            let grey = vec![90; width * height / bands];
            for band in 0..bands {
                let rows = LumaView::new(width, height / bands, width, &grey).unwrap();
                sink(0, Band::new(shape, band * height / bands, rows).unwrap());
            }
            Ok(())
        }
    }

    #[test]
    fn what_was_looked_at_small_is_shown_large() {
        let chain = Chain::new(vec![std::sync::Arc::new(Grey)]);
        let units = run(5, 1);
        let mut picture = None;
        chain
            .decode(&units, &|_| true, Detail::Motion, &mut |index, band| {
                picture = Picture::of(&units[index], band);
            })
            .unwrap();
        let picture = picture.unwrap();
        assert!(matches!(picture, Picture::Compressed(_)));
        let luma = picture.luma(&chain).unwrap();
        assert_eq!(
            (luma.width, luma.height, luma.data),
            (160, 96, vec![90; 160 * 96])
        );
        assert!(picture.luma(&Chain::new(Vec::new())).is_err());
    }

    #[test]
    fn shown_pictures_are_whole_and_small() {
        let bright = vec![200; 1930 * 11];
        let luma = shown(LumaView::new(1930, 11, 1930, &bright).unwrap());
        assert_eq!((luma.width, luma.height), (482, 2));
        assert!(luma.data.iter().all(|pixel| *pixel == 200));
    }
}
