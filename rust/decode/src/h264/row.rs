//! The row of macroblocks that is being decoded, and the line of pixels above it.

use super::predict::{ORIGIN, STRIDE, Window};
use super::sets::Frame;
use crate::{Band, LumaView, Shape};

/// Pixels right of the picture that a window shows as well: none of them is predicted from.
const BESIDE: usize = 8;

/// Sixteen lines of pixels; memory of a picture, whatever its height.
#[derive(Debug, Default)]
pub(super) struct Row {
    across: usize,
    pixels: Vec<u8>,
    above: Vec<u8>,
    /// The last row that is shown, while rows follow that are cropped away.
    held: Vec<u8>,
}

impl Row {
    /// Makes room for a picture of so many macroblocks across.
    pub(super) fn fit(&mut self, across: usize) {
        self.across = across;
        self.pixels.resize(256 * across, 0);
        self.above.resize(16 * across + BESIDE, 0);
    }

    /// The line above macroblock `x`, as far as its window shows it.
    #[inline(always)]
    pub(super) fn above(&self, x: usize) -> Option<&[u8; 24]> {
        self.above.get(16 * x..)?.first_chunk::<24>()
    }

    /// Takes the pixels of macroblock `x`.
    #[inline(always)]
    pub(super) fn put(&mut self, x: usize, window: &Window) {
        let lines = self.pixels.chunks_exact_mut(16 * self.across);
        for (line, from) in lines.zip(window[ORIGIN..].chunks(STRIDE)) {
            if let (Some(to), Some(from)) = (
                line.get_mut(16 * x..)
                    .and_then(<[u8]>::first_chunk_mut::<16>),
                from.first_chunk::<16>(),
            ) {
                *to = *from;
            }
        }
    }

    /// Row `y` of macroblocks is done, and others follow: gives what is shown of it.
    ///
    /// The last lines that are shown wait for the end of the picture, also where rows follow that are cropped away: a picture is
    /// whole or not given.
    pub(super) fn show(&mut self, frame: Frame, y: usize, sink: &mut dyn FnMut(Band<'_>)) {
        if y < frame.last_shown_row() {
            self.give(frame, y, sink);
        } else if y == frame.last_shown_row() {
            self.held.clone_from(&self.pixels);
        }
    }

    /// Nothing is missing: gives what waited.
    pub(super) fn finish(&mut self, frame: Frame, sink: &mut dyn FnMut(Band<'_>)) {
        let last = frame.last_shown_row();
        if last + 1 < frame.down {
            std::mem::swap(&mut self.pixels, &mut self.held);
        }
        self.give(frame, last, sink);
    }

    fn give(&self, frame: Frame, y: usize, sink: &mut dyn FnMut(Band<'_>)) {
        let [left, top, width, height] = frame.crop;
        let (from, to) = ((16 * y).max(top), (16 * y + 16).min(top + height));
        let stride = 16 * self.across;
        let shape = Shape {
            width,
            height,
            scale: 1,
        };
        let band = to
            .checked_sub(from)
            .and_then(|rows| {
                let pixels = self.pixels.get((from - 16 * y) * stride + left..)?;
                LumaView::new(width, rows, stride, pixels)
            })
            .and_then(|rows| Band::new(shape, from - top, rows));
        if let Some(band) = band {
            sink(band);
        }
    }

    /// Goes on to the next row: the last line of this one is above it.
    pub(super) fn turn(&mut self) {
        let stride = 16 * self.across;
        self.above[..stride].copy_from_slice(&self.pixels[15 * stride..]);
    }
}
