//! One macroblock: what is kept of it and of its neighbours, its syntax (clause 7.3.5) and its pixels.

use super::predict::{self, Around, Around4, Around8, INSIDE, ORIGIN, STRIDE, Window};
use super::transform::{self, Scales};
use super::{Fault, invalid};

/// 4×4 blocks in decoding order (figure 6-10): across and down.
pub(super) const BLOCK_X: [usize; 16] = [0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3];
pub(super) const BLOCK_Y: [usize; 16] = [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3];

/// The 4×4 block in a grid of [`GRID`] across, with a row of neighbours above and a column of them on the left.
pub(super) const fn place(block: usize) -> usize {
    (BLOCK_Y[block] + 1) * GRID + BLOCK_X[block] + 1
}

/// [`place`] of each.
pub(super) static PLACES: [usize; 16] = {
    let mut places = [0; 16];
    let mut block = 0;
    while block < 16 {
        places[block] = place(block);
        block += 1;
    }
    places
};

/// Columns of the grids of luma.
pub(super) const GRID: usize = 8;
/// Columns of the grids of chroma.
pub(super) const SMALL: usize = 4;

/// Prediction mode "DC", which also stands in where there is no neighbour of this kind.
const DC: i8 = 2;
/// A neighbour that is not there.
const ABSENT: i8 = -1;

/// Of each 4×4 block, the place in the window of the pixel above and left of it.
static CORNERS: [usize; 16] = {
    let mut corners = [0; 16];
    let mut block = 0;
    while block < 16 {
        corners[block] = ORIGIN + 4 * BLOCK_Y[block] * STRIDE + 4 * BLOCK_X[block] - INSIDE;
        block += 1;
    }
    corners
};

/// Of which 4×4 blocks which neighbours are there, from the lowest bit.
struct Masks {
    left: u16,
    top: u16,
    corner: u16,
    top_right: u16,
}

impl Masks {
    /// Blocks at the left side, at the top, and those that only have neighbours inside.
    const LEFT: u16 = 1 | 1 << 2 | 1 << 8 | 1 << 10;
    const TOP: u16 = 1 | 1 << 1 | 1 << 4 | 1 << 5;

    /// Blocks that come later are not there yet (6.4.11.4).
    const TOP_RIGHT: u16 = 1 << 2 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12 | 1 << 14;

    fn new(around: Around) -> Self {
        let only = |there: bool, blocks: u16| if there { blocks } else { 0 };
        Self {
            left: !Self::LEFT | only(around.left, Self::LEFT),
            top: !Self::TOP | only(around.top, Self::TOP),
            corner: !(Self::LEFT | Self::TOP)
                | only(around.left, Self::LEFT & !1)
                | only(around.top, Self::TOP & !1)
                | only(around.corner, 1),
            top_right: Self::TOP_RIGHT
                | only(around.top, Self::TOP & !(1 << 5))
                | only(around.top_right, 1 << 5),
        }
    }

    #[inline(always)]
    fn of(&self, block: usize) -> Around {
        let there = |mask: u16| mask >> block & 1 != 0;
        Around {
            left: there(self.left),
            top: there(self.top),
            corner: there(self.corner),
            top_right: there(self.top_right),
        }
    }
}

#[inline(always)]
fn put_4x4(pixels: &mut Around4, rows: [u32; 4]) {
    for (y, row) in rows.into_iter().enumerate() {
        pixels[INSIDE + y * STRIDE..][..4].copy_from_slice(&row.to_le_bytes());
    }
}

/// What one side of a macroblock tells the next one: its right column, or its bottom row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    modes: [i8; 4],
    counts: [u8; 4],
    chroma: [[u8; 2]; 2],
    /// `coded_block_flag` of the DC blocks: luma, Cb, Cr from the lowest bit.
    pub(super) dc: u8,
    pub(super) pattern: u8,
    /// `mb_type` is not I_NxN.
    pub(super) other: bool,
    /// `intra_chroma_pred_mode` is not 0.
    pub(super) chroma_mode: bool,
    pub(super) eight_by_eight: bool,
}

impl Side {
    /// Of a macroblock that is not there; `count` as the entropy decoder wants it.
    pub(super) fn absent(count: u8) -> Self {
        Self {
            modes: [ABSENT; 4],
            counts: [count; 4],
            chroma: [[count; 2]; 2],
            dc: 7,
            pattern: 0x0f,
            other: false,
            chroma_mode: false,
            eight_by_eight: false,
        }
    }
}

/// How luma is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// I_NxN with 4×4 blocks.
    Four,
    /// I_NxN with 8×8 blocks.
    Eight,
    /// Intra_16x16 with this mode.
    Sixteen(u8),
    /// I_PCM.
    Raw,
}

/// The syntax elements of a macroblock, by one of the two entropy decoders.
pub(super) trait Syntax {
    /// What the counts of an absent neighbour are.
    const ABSENT_COUNT: u8;
    /// What the counts of I_PCM are.
    const FULL_COUNT: u8;

    fn mb_type(&mut self, left: &Side, above: &Side) -> Result<u32, Fault>;
    fn transform_size_8x8_flag(&mut self, left: &Side, above: &Side) -> bool;
    /// `prev_intra4x4_pred_mode_flag` and `rem_intra4x4_pred_mode` of each `step`th block; below 0: the mode that was expected.
    fn rem_intra_pred_modes(&mut self, step: usize, modes: &mut [i8; 16]);
    fn intra_chroma_pred_mode(&mut self, left: &Side, above: &Side) -> Result<u32, Fault>;
    fn coded_block_pattern(&mut self, left: &Side, above: &Side, chroma: bool)
    -> Result<u8, Fault>;
    fn mb_qp_delta(&mut self) -> Result<i32, Fault>;
    /// No `mb_qp_delta` in this macroblock.
    fn no_qp_delta(&mut self);
    fn raw(&mut self, count: usize) -> Option<&[u8]>;
    /// `residual()`: luma into `block`, chroma passed over.
    fn residual(&mut self, block: &mut Macroblock, scaling: Scaling<'_>) -> Result<(), Fault>;
}

/// `LevelScale` of a macroblock's QP.
#[derive(Clone, Copy)]
pub(super) struct Scaling<'a> {
    pub(super) four: &'a [i32; 16],
    pub(super) eight: &'a [i32; 64],
    pub(super) octave: u32,
}

/// The macroblock that is being decoded.
pub(super) struct Macroblock {
    pub(super) kind: Kind,
    pub(super) pattern: u8,
    /// Scaled, by block in decoding order; transposed within a block.
    pub(super) coefficients: [i16; 256],
    /// Levels of the DC block of Intra_16x16, transposed.
    pub(super) dc_levels: [i32; 16],
    /// Blocks (of 8×8: the first of their four) that have coefficients.
    pub(super) filled: u16,
    /// Coefficients of each 4×4 block (CAVLC) or whether it has any (CABAC), with the neighbours'.
    pub(super) counts: [u8; GRID * 5],
    pub(super) chroma_counts: [[u8; SMALL * 3]; 2],
    pub(super) dc: u8,
    /// The same of the neighbours.
    pub(super) dc_left: u8,
    pub(super) dc_above: u8,
    modes: [i8; GRID * 5],
    chroma_mode: bool,
    window: Window,
}

impl Macroblock {
    pub(super) fn new() -> Self {
        Self {
            kind: Kind::Raw,
            pattern: 0,
            coefficients: [0; 256],
            dc_levels: [0; 16],
            filled: 0,
            counts: [0; GRID * 5],
            chroma_counts: [[0; SMALL * 3]; 2],
            dc: 0,
            dc_left: 0,
            dc_above: 0,
            modes: [0; GRID * 5],
            chroma_mode: false,
            window: [0; STRIDE * 17],
        }
    }

    fn enter(&mut self, left: &Side, above: &Side) {
        self.filled = 0;
        self.dc = 0;
        (self.dc_left, self.dc_above) = (left.dc, above.dc);
        self.chroma_mode = false;
        self.counts = [0; GRID * 5];
        self.chroma_counts = [[0; SMALL * 3]; 2];
        self.counts[1..5].copy_from_slice(&above.counts);
        self.modes[1..5].copy_from_slice(&above.modes);
        for y in 0..4 {
            self.counts[(y + 1) * GRID] = left.counts[y];
            self.modes[(y + 1) * GRID] = left.modes[y];
        }
        for (plane, counts) in self.chroma_counts.iter_mut().enumerate() {
            counts[1..3].copy_from_slice(&above.chroma[plane]);
            counts[SMALL] = left.chroma[plane][0];
            counts[2 * SMALL] = left.chroma[plane][1];
        }
    }

    /// Tells the next macroblock its right column, and the one below its bottom row.
    #[inline(always)]
    pub(super) fn leave(&self, right: &mut Side, bottom: &mut Side) {
        for y in 0..4 {
            right.modes[y] = self.modes[(y + 1) * GRID + 4];
            right.counts[y] = self.counts[(y + 1) * GRID + 4];
            bottom.modes[y] = self.modes[4 * GRID + 1 + y];
            bottom.counts[y] = self.counts[4 * GRID + 1 + y];
        }
        for (plane, counts) in self.chroma_counts.iter().enumerate() {
            right.chroma[plane] = [counts[SMALL + 2], counts[2 * SMALL + 2]];
            bottom.chroma[plane] = [counts[2 * SMALL + 1], counts[2 * SMALL + 2]];
        }
        for side in [right, bottom] {
            side.dc = self.dc;
            side.pattern = self.pattern;
            side.other = !matches!(self.kind, Kind::Four | Kind::Eight);
            side.chroma_mode = self.chroma_mode;
            side.eight_by_eight = self.kind == Kind::Eight;
        }
    }

    /// Reads a macroblock (`macroblock_layer()`) and makes its pixels in the window. `qp` becomes its QP.
    #[inline(always)]
    pub(super) fn decode<S: Syntax>(
        &mut self,
        syntax: &mut S,
        rules: &Rules<'_>,
        (left, above): (&Side, &Side),
        around: Around,
        qp: &mut i32,
    ) -> Result<(), Fault> {
        self.enter(left, above);
        let kind = syntax.mb_type(left, above)?;
        match kind {
            0 => {
                let eight = rules.eight_by_eight && syntax.transform_size_8x8_flag(left, above);
                self.kind = if eight { Kind::Eight } else { Kind::Four };
                self.pred_modes(syntax, if eight { 4 } else { 1 });
            }
            1..=24 => {
                self.kind = Kind::Sixteen((kind as u8 - 1) & 3);
                self.pattern = (((kind as u8 - 1) / 4 % 3) << 4) | if kind > 12 { 0x0f } else { 0 };
                self.fill_modes();
            }
            25 => return self.raw(syntax, rules),
            _ => return Err(invalid("mb_type")),
        }
        if rules.chroma {
            let mode = syntax.intra_chroma_pred_mode(left, above)?;
            if mode > 3 {
                return Err(invalid("intra_chroma_pred_mode"));
            }
            self.chroma_mode = mode != 0;
        }
        let sixteen = matches!(self.kind, Kind::Sixteen(_));
        if !sixteen {
            self.pattern = syntax.coded_block_pattern(left, above, rules.chroma)?;
        }
        if self.pattern > 0 || sixteen {
            let delta = syntax.mb_qp_delta()?;
            if !(-26..=25).contains(&delta) {
                return Err(invalid("mb_qp_delta"));
            }
            *qp = (*qp + delta + 52) % 52;
            let scaling = Scaling {
                four: &rules.scales.four[(*qp % 6) as usize],
                eight: &rules.scales.eight[(*qp % 6) as usize],
                octave: *qp as u32 / 6,
            };
            syntax.residual(self, scaling)?;
        } else {
            syntax.no_qp_delta();
        }
        self.pixels(around).ok_or(invalid("intra prediction mode"))
    }

    fn fill_modes(&mut self) {
        for y in 1..5 {
            self.modes[y * GRID + 1..y * GRID + 5].fill(DC);
        }
    }

    /// `Intra4x4PredMode` and `Intra8x8PredMode` (8.3.1.1, 8.3.2.1) of blocks of `step` 4×4 blocks.
    #[inline(always)]
    fn pred_modes<S: Syntax>(&mut self, syntax: &mut S, step: usize) {
        let mut coded = [0; 16];
        syntax.rem_intra_pred_modes(step, &mut coded);
        for (coded, at) in coded.into_iter().zip(PLACES).step_by(step) {
            let (left, above) = (self.modes[at - 1], self.modes[at - GRID]);
            let expected = if left == ABSENT || above == ABSENT {
                DC
            } else {
                left.min(above)
            };
            let mode = if coded < 0 {
                expected
            } else {
                coded + i8::from(coded >= expected)
            };
            self.modes[at] = mode;
            if step == 4 {
                self.modes[at + 1] = mode;
                self.modes[at + GRID] = mode;
                self.modes[at + GRID + 1] = mode;
            }
        }
    }

    /// `pcm_sample_luma` and what neighbours think of it.
    fn raw<S: Syntax>(&mut self, syntax: &mut S, rules: &Rules<'_>) -> Result<(), Fault> {
        self.kind = Kind::Raw;
        let count = if rules.chroma { 384 } else { 256 };
        let samples = syntax
            .raw(count)
            .ok_or(Fault::Damaged("ends in pcm_sample_luma"))?;
        for (y, row) in samples.as_chunks::<16>().0.iter().take(16).enumerate() {
            self.window[ORIGIN + y * STRIDE..][..16].copy_from_slice(row);
        }
        self.fill_modes();
        self.pattern = 0x2f;
        self.dc = 7;
        self.counts = [S::FULL_COUNT; GRID * 5];
        self.chroma_counts = [[S::FULL_COUNT; SMALL * 3]; 2];
        syntax.no_qp_delta();
        Ok(())
    }

    /// Prediction and residual, block by block.
    fn pixels(&mut self, around: Around) -> Option<()> {
        match self.kind {
            Kind::Four => self.pixels_4x4(around),
            Kind::Eight => self.pixels_8x8(around),
            Kind::Sixteen(mode) => {
                predict::block_16x16(&mut self.window, mode, around)?;
                if self.filled != 0 {
                    self.residual_16x16();
                }
                Some(())
            }
            Kind::Raw => Some(()),
        }
    }

    fn pixels_4x4(&mut self, around: Around) -> Option<()> {
        let near = Masks::new(around);
        for (block, coefficients) in self
            .coefficients
            .as_chunks_mut::<16>()
            .0
            .iter_mut()
            .enumerate()
        {
            let pixels = self.window[CORNERS[block & 15]..].first_chunk_mut()?;
            let mode = self.modes[PLACES[block & 15]] as u8;
            let mut rows = predict::block_4x4(pixels, mode, near.of(block))?;
            if self.filled >> block & 1 != 0 {
                rows = transform::add_4x4(rows, coefficients);
            }
            put_4x4(pixels, rows);
        }
        Some(())
    }

    fn pixels_8x8(&mut self, around: Around) -> Option<()> {
        for (quarter, coefficients) in self
            .coefficients
            .as_chunks_mut::<64>()
            .0
            .iter_mut()
            .enumerate()
        {
            let near = Around {
                left: quarter & 1 != 0 || around.left,
                top: quarter > 1 || around.top,
                corner: [around.corner, around.top, around.left, true][quarter & 3],
                top_right: [around.top, around.top_right, true, false][quarter & 3],
            };
            let pixels = self.window[CORNERS[(4 * quarter) & 15]..]
                .first_chunk_mut::<{ size_of::<Around8>() }>()?;
            let mode = self.modes[PLACES[(4 * quarter) & 15]] as u8;
            let mut rows = predict::block_8x8(pixels, mode, near)?;
            if self.filled >> (4 * quarter) & 1 != 0 {
                rows = transform::add_8x8(rows, coefficients);
            }
            for (y, row) in rows.into_iter().enumerate() {
                pixels[INSIDE + y * STRIDE..][..8].copy_from_slice(&row.to_le_bytes());
            }
        }
        Some(())
    }

    fn residual_16x16(&mut self) {
        for (block, coefficients) in self
            .coefficients
            .as_chunks_mut::<16>()
            .0
            .iter_mut()
            .enumerate()
        {
            if self.filled >> block & 1 == 0 {
                continue;
            }
            if let Some(pixels) =
                self.window[CORNERS[block & 15]..].first_chunk_mut::<{ size_of::<Around4>() }>()
            {
                let rows = std::array::from_fn(|y| {
                    let row = pixels[INSIDE + y * STRIDE..].first_chunk::<4>();
                    row.map_or(0, |row| u32::from_le_bytes(*row))
                });
                put_4x4(pixels, transform::add_4x4(rows, coefficients));
            }
        }
    }

    /// Scales the DC levels of Intra_16x16 into their blocks.
    pub(super) fn spread_dc(&mut self, scaling: Scaling<'_>) {
        let scaled = transform::dc_16x16(&self.dc_levels, scaling.four[0], scaling.octave);
        self.dc_levels = [0; 16];
        for block in 0..16 {
            let value = scaled[4 * BLOCK_X[block] + BLOCK_Y[block]];
            self.coefficients[16 * block] = value as i16;
            self.filled |= u16::from(value != 0) << block;
        }
    }

    /// Takes in the pixels that the next macroblock is predicted from: the right column of this one moves to the left.
    #[inline(always)]
    pub(super) fn fetch(&mut self, above: Option<&[u8; 24]>) {
        for row in self.window.as_chunks_mut::<STRIDE>().0 {
            row[7] = row[23];
        }
        if let Some(above) = above {
            self.window[8..32].copy_from_slice(above);
        }
    }

    pub(super) fn window(&self) -> &Window {
        &self.window
    }
}

/// What holds for all macroblocks of a slice.
pub(super) struct Rules<'a> {
    pub(super) scales: &'a Scales,
    pub(super) eight_by_eight: bool,
    pub(super) chroma: bool,
}
