//! Light and gain: taken out where they change slowly, recognised where they jump.

use crate::small::{LEVEL, Small};

/// Brightness classes of the reference: 16 levels each.
const CLASSES: usize = 16;
const CLASS_WIDTH: usize = 256 / CLASSES * LEVEL as usize;

/// Differences are counted in steps of half a level, clipped at ±128 levels.
const STEP: i32 = 8;
const BINS: usize = 513;

/// Largest offset of one row: a lamp's rolling bands. What changes a row by more is not flicker.
const ROW_LEVELS: f32 = 6.0;

/// Side of the blocks in which light is told from motion, in cells.
const BLOCK: usize = 8;

/// A class that misses a line by more than this, in sixteenths of a level, is something else than light.
const OUTLIER: f32 = 48.0;

/// What the light did between two pictures: `now ≈ gain * then + offset`, in sixteenths of a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Light {
    gain: f32,
    offset: f32,
    strength: f32,
}

impl Light {
    /// A robust fit: of all lines through the median differences of two brightness classes, the one that most of the picture
    /// keeps to. (A least-squares line would follow a dark coat that is alone in its class.)
    pub(crate) fn between(then: &Small, now: &Small) -> Self {
        let classes = Class::all(then, now);
        let misfit = |slope: f32, offset: f32| -> f32 {
            let one = |class: &Class| {
                class.weight * (class.y - slope * class.x - offset).abs().min(OUTLIER)
            };
            classes.iter().map(one).sum()
        };
        let mut best = (misfit(0.0, 0.0), 0.0, 0.0);
        for (index, one) in classes.iter().enumerate() {
            // No slope, and a slope through each other class that is far enough away for it to mean anything.
            let far = |other: &&Class| other.x - one.x > 1.5 * CLASS_WIDTH as f32;
            let slopes = classes[index..]
                .iter()
                .filter(far)
                .map(|other| (other.y - one.y) / (other.x - one.x));
            for slope in slopes.chain([0.0]).filter(|slope| slope.abs() < 0.9) {
                let offset = one.y - slope * one.x;
                let misfit = misfit(slope, offset);
                if misfit < best.0 {
                    best = (misfit, slope, offset);
                }
            }
        }
        let (_, slope, offset) = best;
        let total: f32 = classes.iter().map(|class| class.weight).sum();
        let changed: f32 = classes
            .iter()
            .map(|class| class.weight * (slope * class.x + offset).abs())
            .sum();
        Self {
            gain: 1.0 + slope,
            offset,
            strength: changed / total.max(1.0) / f32::from(LEVEL),
        }
    }

    /// By how much it changed the picture, in levels.
    pub(crate) fn strength(self) -> f32 {
        self.strength
    }

    /// What `then` would be in today's light.
    #[inline]
    pub(crate) fn apply(self, then: i16) -> f32 {
        self.gain * f32::from(then) + self.offset
    }
}

/// The cells of one brightness in the older picture: that brightness, its median change, and how many they are.
struct Class {
    x: f32,
    y: f32,
    weight: f32,
}

impl Class {
    /// Classes that are large enough not to be one person.
    fn all(then: &Small, now: &Small) -> Vec<Self> {
        let mut counts = vec![[0u16; BINS]; CLASSES];
        for (then, now) in then.data.iter().zip(&now.data) {
            let bin = ((i32::from(*now) - i32::from(*then)) / STEP)
                .clamp(-(BINS as i32 / 2), BINS as i32 / 2);
            let class = (usize::try_from(*then).unwrap_or(0) / CLASS_WIDTH).min(CLASSES - 1);
            let count = &mut counts[class][(bin + BINS as i32 / 2) as usize];
            *count = count.saturating_add(1);
        }
        let large = |(_, total): &(usize, u32)| *total as usize * 32 >= now.data.len();
        let totals = counts
            .iter()
            .map(|bins| bins.iter().map(|count| u32::from(*count)).sum::<u32>());
        totals
            .enumerate()
            .filter(large)
            .map(|(class, total)| Self {
                x: (class as f32 + 0.5) * CLASS_WIDTH as f32,
                y: median(&counts[class], total) * STEP as f32,
                weight: total as f32,
            })
            .collect()
    }
}

/// The median of a histogram, interpolated inside its bin, in bins from the middle one.
fn median(bins: &[u16], total: u32) -> f32 {
    let half = total as f32 / 2.0;
    let mut below = 0.0;
    for (bin, count) in bins.iter().enumerate() {
        let count = f32::from(*count);
        if below + count >= half && count > 0.0 {
            // Division towards zero makes the middle bin twice as wide.
            let centre = bin as f32 - (bins.len() / 2) as f32;
            return if bin == BINS / 2 {
                centre
            } else {
                centre + (half - below) / count - 0.5
            };
        }
        below += count;
    }
    0.0
}

/// Takes out of each row what all of it has in common: the bands that a lamp on alternating current draws into the picture of
/// a sensor that is read row by row.
pub(crate) fn level_rows(differences: &mut [f32], width: usize) {
    // The median of a short row may be somebody.
    if width < 32 {
        return;
    }
    // A quarter of a level each.
    const ROW_BINS: usize = 49;
    let to_bin = (ROW_BINS / 2) as f32 / (ROW_LEVELS * f32::from(LEVEL));
    for row in differences.chunks_exact_mut(width) {
        let mut bins = [0u16; ROW_BINS];
        for difference in row.iter() {
            // Half a bin more, and cut off: rounding by name is a call into the C library on old x86-64.
            let bin = difference * to_bin + (ROW_BINS / 2) as f32 + 0.5;
            bins[bin.clamp(0.0, (ROW_BINS - 1) as f32) as usize] += 1;
        }
        // The outermost bins hold what is more than flicker.
        let middle = usize::from(bins[0].max(bins[ROW_BINS - 1])) * 2 < width;
        if middle {
            let offset = row_median(&bins, width as u32) / to_bin;
            row.iter_mut().for_each(|difference| *difference -= offset);
        }
    }
}

fn row_median(bins: &[u16], total: u32) -> f32 {
    let half = total as f32 / 2.0;
    let mut below = 0.0;
    for (bin, count) in bins.iter().enumerate() {
        let count = f32::from(*count);
        if below + count >= half && count > 0.0 {
            return bin as f32 - (bins.len() / 2) as f32 + (half - below) / count - 0.5;
        }
        below += count;
    }
    0.0
}

/// Takes the evidence out of blocks that only became lighter or darker; returns how many marked cells were taken out.
///
/// Light scales what is there and leaves edges where they were: inside a block the new picture is then a line through the old
/// one. Things that move put something else there.
pub(crate) fn dim(then: &Small, now: &Small, evidence: &mut [f32]) -> usize {
    let mut taken = 0;
    for top in (0..now.height).step_by(BLOCK) {
        for left in (0..now.width).step_by(BLOCK) {
            let (bottom, right) = ((top + BLOCK).min(now.height), (left + BLOCK).min(now.width));
            let cells =
                || (top..bottom).flat_map(|y| (left..right).map(move |x| y * now.width + x));
            let marked = cells().filter(|cell| evidence[*cell] >= 1.0).count();
            if marked > 0 && is_line(then, now, cells()) {
                taken += marked;
                cells().for_each(|cell| evidence[cell] = 0.0);
            }
        }
    }
    taken
}

/// Whether `now` is a line through `then` with a slope above zero, but for about a level of noise.
fn is_line(then: &Small, now: &Small, cells: impl Iterator<Item = usize>) -> bool {
    let (mut n, mut x, mut y, mut xx, mut xy, mut yy, mut change) =
        (0.0f32, 0.0f32, 0.0f32, 0.0f32, 0.0f32, 0.0f32, 0.0f32);
    for cell in cells {
        let (before, after) = (
            f32::from(then.data[cell]) / 16.0,
            f32::from(now.data[cell]) / 16.0,
        );
        n += 1.0;
        x += before;
        y += after;
        xx += before * before;
        xy += before * after;
        yy += after * after;
        change += (after - before) * (after - before);
    }
    let (spread, together, after) = (xx - x * x / n, xy - x * y / n, (yy - y * y / n).max(0.0));
    let slope = if spread > n { together / spread } else { 1.0 };
    let left_over = (after - 2.0 * slope * together + slope * slope * spread).max(0.0);
    slope > 0.2 && left_over <= (1.5f32 * 1.5 * n).max(0.06 * change)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(value: impl Fn(usize, usize) -> f32) -> Small {
        let data = (0..90 * 160)
            .map(|cell| (value(cell % 160, cell / 160) * 16.0) as i16)
            .collect();
        Small {
            width: 160,
            height: 90,
            data,
        }
    }

    fn room(x: usize, y: usize) -> f32 {
        60.0 + (x as f32) * 0.5 + 20.0 * ((x / 10 + y / 10) % 2) as f32
    }

    #[test]
    fn gain_and_offset_are_found_although_somebody_walks() {
        let then = picture(room);
        let now = picture(|x, y| {
            if x < 14 && y < 80 {
                200.0
            } else {
                room(x, y) * 1.06 + 3.0
            }
        });
        let light = Light::between(&then, &now);
        for value in [70.0f32, 100.0, 140.0] {
            let wanted = value * 1.06 + 3.0;
            assert!(
                (light.apply((value * 16.0) as i16) / 16.0 - wanted).abs() < 1.0,
                "{light:?}"
            );
        }
    }

    #[test]
    fn a_lamp_is_light_and_a_lorry_is_not() {
        let then = picture(room);
        let mut evidence = vec![0.0; then.data.len()];
        let mark = |evidence: &mut Vec<f32>| {
            (0..then.data.len())
                .for_each(|cell| evidence[cell] = f32::from(u8::from(cell % 160 > 80)))
        };
        mark(&mut evidence);
        let lamp = picture(|x, y| room(x, y) * if x > 80 { 1.4 } else { 1.0 });
        assert!(dim(&then, &lamp, &mut evidence) > 6000);
        mark(&mut evidence);
        let lorry = picture(|x, y| {
            if x > 80 {
                90.0 + 30.0 * ((x + y) / 7 % 2) as f32
            } else {
                room(x, y)
            }
        });
        assert!(dim(&then, &lorry, &mut evidence) < 700);
    }

    #[test]
    fn half_the_light_is_taken_out_whole() {
        let then = picture(room);
        let now = picture(|x, y| 16.0 + (room(x, y) - 16.0) * 0.55);
        let light = Light::between(&then, &now);
        let worst = then
            .data
            .iter()
            .zip(&now.data)
            .map(|(then, now)| (light.apply(*then) - f32::from(*now)).abs());
        assert!(worst.fold(0.0, f32::max) < 2.0 * 16.0, "{light:?}");
    }

    #[test]
    fn bands_are_taken_out_of_rows() {
        let mut differences: Vec<f32> = (0..160 * 90)
            .map(|cell| {
                if cell % 160 < 30 {
                    300.0
                } else {
                    40.0 * ((cell / 160) as f32 / 9.0).sin()
                }
            })
            .collect();
        level_rows(&mut differences, 160);
        assert!(
            differences
                .iter()
                .enumerate()
                .all(|(cell, left)| cell % 160 < 30 || left.abs() < 3.0)
        );
        assert!(differences.iter().step_by(160).all(|left| *left > 200.0));
    }
}
