//! How much two small pictures differ, cell by cell, and how unusual that is.

use crate::Settings;
use crate::light::{Light, level_rows};
use crate::small::{LEVEL, Small};

/// Differences of two small pictures; keeps its buffers from look to look.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// Mean absolute differences over 3 × 3 cells, in levels, after the light has been taken out.
    ///
    /// The absolute values are averaged, not the differences: a patterned coat differs by as much up as down.
    pub(crate) whole: Vec<f32>,
    /// The same without what a shift of the older picture explains: leaves, curtains, a camera on a pole.
    pub(crate) beyond_sway: Vec<f32>,
    /// That before it is averaged, where it is wanted.
    pub(crate) single: Vec<f32>,
    sums: Vec<f32>,
}

impl Differences {
    /// Compares two pictures.
    ///
    /// `sway`: cells by which the older picture may be shifted; `single`: whether each cell's own difference is wanted.
    pub(crate) fn take(
        &mut self,
        then: &Small,
        now: &Small,
        light: Light,
        sway: f32,
        single: bool,
    ) {
        let width = now.width;
        let scale = 1.0 / (9.0 * f32::from(LEVEL));
        let out = &mut self.beyond_sway;
        out.clear();
        out.extend(
            then.data
                .iter()
                .zip(&now.data)
                .map(|(then, now)| f32::from(*now) - light.apply(*then)),
        );
        level_rows(out, width);
        for ((difference, then), now) in out.iter_mut().zip(&then.data).zip(&now.data) {
            // Burned-in text keeps its brightness whatever the light does: what has not changed at all has not moved either.
            let plain = f32::from(*now) - f32::from(*then);
            *difference = difference.signum() * difference.abs().min(plain.abs()) * scale;
        }
        self.whole.clear();
        self.whole
            .extend(out.iter().map(|difference| difference.abs()));
        self.sums.resize(out.len(), 0.0);
        average(&mut self.whole, &mut self.sums, width);
        forgive(then, sway * scale, out);
        for difference in out.iter_mut() {
            *difference = difference.abs();
        }
        if single {
            self.single.clone_from(out);
        }
        average(out, &mut self.sums, width);
    }
}

/// Sums over 3 × 3 cells, in place; the picture's border is repeated.
fn average(cells: &mut [f32], sums: &mut [f32], width: usize) {
    let height = cells.len() / width;
    for (row, sums) in cells.chunks(width).zip(sums.chunks_mut(width)) {
        if width == 1 {
            sums[0] = 3.0 * row[0];
            continue;
        }
        for (sum, three) in sums[1..].iter_mut().zip(row.windows(3)) {
            *sum = three[0] + three[1] + three[2];
        }
        sums[0] = 2.0 * row[0] + row[1];
        sums[width - 1] = 2.0 * row[width - 1] + row[width - 2];
    }
    for (y, row) in cells.chunks_mut(width).enumerate() {
        let [above, own, below] =
            [y.saturating_sub(1), y, (y + 1).min(height - 1)].map(|y| &sums[y * width..][..width]);
        for (cell, ((above, own), below)) in row.iter_mut().zip(above.iter().zip(own).zip(below)) {
            *cell = above + own + below;
        }
    }
}

/// Takes out of signed differences what would be there if the older picture were shifted by up to `sway` cells sideways or up
/// and down: along edges a fraction of a cell changes as much as somebody who walks by.
fn forgive(then: &Small, sway: f32, out: &mut [f32]) {
    let (width, height) = (then.width, then.height);
    if sway <= 0.0 {
        return;
    }
    for y in 0..height {
        let row = &then.data[y * width..][..width];
        let above = &then.data[y.saturating_sub(1) * width..][..width];
        let below = &then.data[(y + 1).min(height - 1) * width..][..width];
        let out = &mut out[y * width..][..width];
        let beside = [0, width - 1].map(|x| (x, x.saturating_sub(1), (x + 1).min(width - 1)));
        // Of a picture that is one cell wide both are the same cell.
        for (x, left, right) in beside.into_iter().take(width) {
            out[x] = lessened(
                out[x],
                row[x],
                [row[left], row[right], above[x], below[x]],
                sway,
            );
        }
        let inner = row.windows(3).zip(above.iter().zip(below).skip(1));
        for (difference, (three, (above, below))) in out.iter_mut().skip(1).zip(inner) {
            *difference = lessened(
                *difference,
                three[1],
                [three[0], three[2], *above, *below],
                sway,
            );
        }
    }
}

/// A signed difference without what its neighbours explain.
#[inline]
fn lessened(difference: f32, own: i16, neighbours: [i16; 4], sway: f32) -> f32 {
    let [a, b, c, d] = neighbours;
    let highest = f32::from(a.max(b).max(c).max(d).max(own) - own) * sway;
    let lowest = f32::from(a.min(b).min(c).min(d).min(own) - own) * sway;
    // What lies between the neighbours may have come from them.
    difference - difference.clamp(lowest, highest)
}

/// Turns differences into evidence: 1 is what begins to be unusual. Returns how many cells reach it.
pub(crate) fn judge(differences: &mut [f32], noise: &[f32], settings: &Settings) -> usize {
    let mut differing = 0;
    for (difference, noise) in differences.iter_mut().zip(noise) {
        *difference /= settings.contrast.max(settings.noise_factor * noise);
        differing += usize::from(*difference >= 1.0);
    }
    differing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, at: impl Fn(f32, f32) -> f32) -> Small {
        let cell = |index: usize| at((index % width) as f32, (index / width) as f32);
        let data = (0..width * height).map(|index| (cell(index) * f32::from(LEVEL)) as i16);
        Small {
            width,
            height,
            data: data.collect(),
        }
    }

    fn greatest(then: &Small, now: &Small, sway: f32) -> f32 {
        let mut out: Vec<f32> = then
            .data
            .iter()
            .zip(&now.data)
            .map(|(then, now)| f32::from(*now - *then))
            .collect();
        forgive(then, sway, &mut out);
        // What comes in over the border was not in the picture before.
        let edge = usize::from(then.width > 2);
        let inner = out
            .chunks(then.width)
            .flat_map(|row| &row[edge..row.len() - edge]);
        inner.fold(0.0f32, |most, one| most.max(one.abs())) / f32::from(LEVEL)
    }

    /// A wall with stripes, shifted by some cells.
    fn stripes(shift: f32) -> impl Fn(f32, f32) -> f32 {
        move |x, _| 120.0 + 60.0 * ((x + shift) * 0.9).sin()
    }

    #[test]
    fn what_sways_within_its_cells_is_forgiven_and_what_comes_is_not() {
        let then = picture(40, 9, stripes(0.0));
        for shift in [-0.4, 0.2, 0.4] {
            let now = picture(40, 9, stripes(shift));
            assert!(greatest(&then, &now, 0.0) > 10.0);
            assert!(
                greatest(&then, &now, 0.5) < 5.0,
                "{shift}: {}",
                greatest(&then, &now, 0.5)
            );
        }
        let flat = picture(40, 9, |_, _| 120.0);
        let somebody = picture(40, 9, |x, _| {
            if (10.0..14.0).contains(&x) {
                90.0
            } else {
                120.0
            }
        });
        assert_eq!(greatest(&flat, &somebody, 0.5), 30.0);
        // Who leaves is still seen between their own edges.
        assert_eq!(greatest(&somebody, &flat, 0.5), 30.0);
    }

    #[test]
    fn pictures_of_one_row_or_column_are_none_too_small() {
        for (width, height) in [(1, 1), (1, 5), (5, 1), (2, 2)] {
            let then = picture(width, height, |x, y| 10.0 * x + y);
            let now = picture(width, height, |x, y| 100.0 + 10.0 * x + y);
            assert!(greatest(&then, &now, 0.5) > 50.0);
        }
    }
}
