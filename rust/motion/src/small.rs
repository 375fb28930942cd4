//! The motion picture: luma averaged over areas, about 160 wide.
//!
//! Averaging takes sensor noise down with the root of the area and costs one addition a pixel; everything behind it works on
//! some 14,000 values whatever the camera's size. Values carry four bits below the level, since a dim person in a dim corridor
//! differs by a few levels only.

use edusense_bitstream::luma::Band;

/// Sixteenths of a luma level: the unit of [`Small`].
pub(crate) const LEVEL: i16 = 16;

/// Width that is aimed at.
const WIDTH: usize = 160;

/// A motion picture never has more rows than this, however odd the shape of the stream's.
const MAX_HEIGHT: usize = 320;

/// Rows that a `u16` can hold the sum of: 257 × 255 = 65,535.
const ROWS_PER_SUM: usize = 257;

/// A small picture in sixteenths of a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Small {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) data: Vec<i16>,
}

/// Width and height of the motion picture for a stream's size.
pub(crate) fn size_for(width: usize, height: usize) -> (usize, usize) {
    let small_width = width.clamp(1, WIDTH);
    let wanted = (height.saturating_mul(small_width) + width / 2) / width.max(1);
    (small_width, wanted.clamp(1, height.clamp(1, MAX_HEIGHT)))
}

/// Where cell `index` of `cells` starts on a side of `length` pixels.
#[inline]
pub(crate) fn edge(index: usize, cells: usize, length: usize) -> usize {
    index * length / cells
}

/// Averages areas of a picture as its rows come; keeps its buffers from picture to picture.
#[derive(Debug, Default)]
pub(crate) struct Averager {
    /// Sums of columns over the rows since the last flush.
    columns: Vec<u16>,
    /// How many rows these are.
    summed: usize,
    /// Sums of the cells of the row of cells that is being filled.
    cells: Vec<u32>,
    data: Vec<i16>,
}

impl Averager {
    /// Adds the next rows of a picture; gives the motion picture when they were the last.
    pub(crate) fn push(&mut self, band: Band<'_>) -> Option<Small> {
        let (columns, rows) = (band.shape().columns(), band.shape().rows());
        let (width, height) = size_for(columns, rows);
        if band.top() == 0 {
            self.data = Vec::with_capacity(width * height);
            self.cells.clear();
            self.cells.resize(width, 0);
            self.columns.clear();
            self.columns.resize(columns, 0);
            self.summed = 0;
        }
        for (y, row) in (band.top()..).zip(band.rows().rows()) {
            for (sum, value) in self.columns.iter_mut().zip(row) {
                *sum += u16::from(*value);
            }
            self.summed += 1;
            let done = self.data.len() / width;
            let bottom = edge(done + 1, height, rows);
            if y + 1 == bottom || self.summed == ROWS_PER_SUM {
                self.flush();
            }
            if y + 1 == bottom {
                self.close_row((bottom - edge(done, height, rows)) as u32);
            }
        }
        let whole = band.is_last() && self.data.len() == width * height;
        whole.then(|| Small {
            width,
            height,
            data: std::mem::take(&mut self.data),
        })
    }

    /// Adds the columns to the sums of their cells.
    fn flush(&mut self) {
        let (width, cells) = (self.columns.len(), self.cells.len());
        for (cell, sum) in self.cells.iter_mut().enumerate() {
            let columns = &self.columns[edge(cell, cells, width)..edge(cell + 1, cells, width)];
            *sum += columns.iter().map(|value| u32::from(*value)).sum::<u32>();
        }
        self.columns.fill(0);
        self.summed = 0;
    }

    /// A row of cells is whole.
    fn close_row(&mut self, rows: u32) {
        let (width, cells) = (self.columns.len(), self.cells.len());
        for (cell, sum) in self.cells.iter_mut().enumerate() {
            let columns = (edge(cell + 1, cells, width) - edge(cell, cells, width)) as u32;
            let area = u64::from(rows * columns).max(1);
            let level = (u64::from(*sum) * LEVEL as u64 + area / 2) / area;
            self.data.push(level as i16);
            *sum = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edusense_bitstream::luma::{LumaView, Shape};
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        assert_eq!(size_for(640, 360), (160, 90));
        assert_eq!(size_for(704, 576), (160, 131));
        assert_eq!(size_for(1920, 1080), (160, 90));
        assert_eq!(size_for(1, 1), (1, 1));
        assert_eq!(size_for(100, 3), (100, 3));
        assert_eq!(size_for(2, 8192), (2, 320));
        assert_eq!(size_for(8192, 2), (160, 1));
    }

    proptest! {
        #[test]
        fn every_cell_is_the_mean_of_its_pixels(width in 1usize..400, height in 1usize..700, step in 1usize..300, seed: u64) {
            let mut state = seed | 1;
            let data: Vec<u8> = (0..width * height).map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            }).collect();
            let (w, h) = size_for(width, height);
            let shape = Shape { width, height, scale: 1 };
            let mut averager = Averager::default();
            let mut small = None;
            for top in (0..height).step_by(step) {
                prop_assert!(small.is_none());
                let rows = LumaView::new(width, step.min(height - top), width, &data[top * width..]).unwrap();
                small = averager.push(Band::new(shape, top, rows).unwrap());
            }
            let small = small.unwrap();
            prop_assert_eq!((small.width, small.height), (w, h));
            for cell in 0..w * h {
                let (cx, cy) = (cell % w, cell / w);
                let (mut sum, mut count) = (0.0, 0.0);
                for y in edge(cy, h, height)..edge(cy + 1, h, height) {
                    for x in edge(cx, w, width)..edge(cx + 1, w, width) {
                        sum += f64::from(data[y * width + x]);
                        count += 1.0;
                    }
                }
                prop_assert!((f64::from(small.data[cell]) / 16.0 - sum / count).abs() <= 0.5 / 16.0 + 1e-9);
            }
        }
    }
}
