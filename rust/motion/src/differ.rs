//! How much two small pictures differ, cell by cell, and how unusual that is.

use crate::Settings;
use crate::light::{Light, level_rows};
use crate::small::{LEVEL, Small};

/// Mean absolute difference over 3 × 3 cells, in levels, after the light has been taken out; `out` and `kept` get the same.
///
/// The absolute values are averaged, not the differences: a patterned coat differs by as much up as down. `single`, where it is
/// wanted, gets them before they are averaged.
pub(crate) fn differences(
    then: &Small,
    now: &Small,
    light: Light,
    single: Option<&mut Vec<f32>>,
    kept: &mut Vec<f32>,
    out: &mut Vec<f32>,
) {
    let (width, height) = (now.width, now.height);
    let scale = 1.0 / (9.0 * f32::from(LEVEL));
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
        *difference = difference.abs().min(plain.abs()) * scale;
    }
    if let Some(single) = single {
        single.clone_from(out);
    }
    kept.clear();
    kept.resize(out.len(), 0.0);
    for y in 0..height {
        let row = &out[y * width..][..width];
        let sums = &mut kept[y * width..][..width];
        if width == 1 {
            sums[0] = 3.0 * row[0];
            continue;
        }
        for (sum, three) in sums[1..].iter_mut().zip(row.windows(3)) {
            *sum = three[0] + three[1] + three[2];
        }
        // The picture's border is repeated.
        sums[0] = 2.0 * row[0] + row[1];
        sums[width - 1] = 2.0 * row[width - 1] + row[width - 2];
    }
    for y in 0..height {
        let (above, below) = (y.saturating_sub(1) * width, (y + 1).min(height - 1) * width);
        for x in 0..width {
            out[y * width + x] = kept[above + x] + kept[y * width + x] + kept[below + x];
        }
    }
    kept.copy_from_slice(out);
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
