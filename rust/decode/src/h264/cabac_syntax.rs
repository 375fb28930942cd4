//! Syntax elements of macroblocks by arithmetic decoding (clause 9.3): binarisation and choice of contexts.

use super::cabac::{Contexts, Engine, contexts};
use super::macroblock::{GRID, Kind, Macroblock, PLACES, SMALL, Scaling, Side, Syntax};
use super::transform::{SCAN_4X4, SCAN_8X8};
use super::{Fault, invalid};

/// `ctxIdxInc` of `significant_coeff_flag` in 8×8 blocks (table 9-43, frame macroblocks).
#[rustfmt::skip]
static SIGNIFICANT_8X8: [u8; 64] = [
    0, 1, 2, 3, 4, 5, 5, 4, 4, 3, 3, 4, 4, 4, 5, 5, 4, 4, 4, 4, 3, 3, 6, 7, 7, 7, 8, 9, 10, 9, 8, 7,
    7, 6, 11, 12, 13, 11, 6, 7, 8, 9, 14, 10, 9, 8, 6, 11, 12, 13, 11, 6, 9, 14, 10, 9, 11, 12, 13, 11, 14, 10, 12, 14,
];

/// The same of `last_significant_coeff_flag`.
#[rustfmt::skip]
static LAST_8X8: [u8; 64] = [
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8,
];

/// Categories of blocks (table 9-42).
const LUMA_DC: usize = 0;
const LUMA_AC: usize = 1;
const LUMA_4X4: usize = 2;
const CHROMA_DC: usize = 3;
const CHROMA_AC: usize = 4;
const LUMA_8X8: usize = 5;

/// First contexts by category: of `significant_coeff_flag`, `last_significant_coeff_flag`, `coeff_abs_level_minus1` (tables 9-34, 9-40).
const SIGNIFICANT: [usize; 6] = [105, 120, 134, 149, 152, 402];
const LAST: [usize; 6] = [166, 181, 195, 210, 213, 417];
const LEVEL: [usize; 6] = [227, 237, 247, 257, 266, 426];

/// `coded_block_flag`.
const CODED: usize = 85;

/// Longest suffix of a level: none that a picture of 8 bits can have is longer.
const MAX_SUFFIX: u32 = 20;

pub(super) struct Cabac<'a> {
    engine: Engine<'a>,
    contexts: Contexts,
    /// The last macroblock's `mb_qp_delta` was not 0.
    changed: bool,
}

impl<'a> Cabac<'a> {
    pub(super) fn new(engine: Engine<'a>, qp: i32) -> Self {
        Self {
            engine,
            contexts: contexts(qp),
            changed: false,
        }
    }

    fn bin(&mut self, index: usize) -> usize {
        self.engine.bin(&mut self.contexts, index)
    }

    /// `end_of_slice_flag`.
    pub(super) fn ends(&mut self) -> bool {
        self.engine.terminate()
    }

    /// Bits read.
    pub(super) fn position(&self) -> usize {
        self.engine.position()
    }
}

/// `ctxIdxInc` of `coeff_abs_level_minus1` (9.3.3.1.3), by how far the levels of a block have got: first the number of ones seen
/// (0 to 3), then of greater levels (4 for one of them, to 7). Of the first bin and of the others, and what comes after a one and
/// after a greater level.
struct Progress {
    first: [u8; 8],
    others: [u8; 8],
    after_one: [u8; 8],
    after_more: [u8; 8],
}

/// Of chroma DC, and of other blocks.
static PROGRESS: [Progress; 2] = [Progress::new(8), Progress::new(9)];

impl Progress {
    const fn new(last: u8) -> Self {
        Self {
            first: [1, 2, 3, 4, 0, 0, 0, 0],
            others: [5, 5, 5, 5, 6, 7, 8, last],
            after_one: [1, 2, 3, 3, 4, 5, 6, 7],
            after_more: [4, 4, 4, 4, 5, 6, 7, 7],
        }
    }
}

/// Places of a block's coefficients, in the order of the scan.
type Places = [u8; 64];

/// `residual_block_cabac()` behind `coded_block_flag`: up to `COUNT` coefficients, the last one first.
#[inline(always)]
fn coefficients<const CATEGORY: usize, const COUNT: u8>(
    engine: &mut Engine<'_>,
    contexts: &mut Contexts,
    places: &mut Places,
    mut store: impl FnMut(usize, i32),
) {
    let mut found = 0;
    let mut index = 0u8;
    loop {
        let (significant, last) = if CATEGORY == LUMA_8X8 {
            let at = usize::from(index & 63);
            (SIGNIFICANT_8X8[at], LAST_8X8[at])
        } else {
            (index, index)
        };
        if engine.bin(contexts, SIGNIFICANT[CATEGORY] + usize::from(significant)) != 0 {
            places[found & 63] = index;
            found += 1;
            if engine.bin(contexts, LAST[CATEGORY] + usize::from(last)) != 0 {
                break;
            }
        }
        index += 1;
        if index == COUNT - 1 {
            places[found & 63] = index;
            found += 1;
            break;
        }
    }
    let progress = &PROGRESS[usize::from(CATEGORY != CHROMA_DC)];
    let mut at = 0;
    while found > 0 {
        found -= 1;
        let first = LEVEL[CATEGORY] + usize::from(progress.first[at & 7]);
        let mut level = 1;
        if engine.bin(contexts, first) == 0 {
            at = usize::from(progress.after_one[at & 7]);
        } else {
            let others = LEVEL[CATEGORY] + usize::from(progress.others[at & 7]);
            level = 2;
            while level < 15 && engine.bin(contexts, others) != 0 {
                level += 1;
            }
            if level == 15 {
                level += suffix(engine);
            }
            at = usize::from(progress.after_more[at & 7]);
        }
        let negative = engine.bypass();
        store(
            usize::from(places[found & 63]),
            (level ^ negative) - negative,
        );
    }
}

/// The Exp-Golomb suffix of a level (9.3.2.3).
#[inline(always)]
fn suffix(engine: &mut Engine<'_>) -> i32 {
    let mut length = 0;
    let mut value = 0;
    while length < MAX_SUFFIX && engine.bypass() != 0 {
        value += 1 << length;
        length += 1;
    }
    for bit in (0..length).rev() {
        value -= engine.bypass() << bit;
    }
    value
}

/// All blocks of a macroblock's luma or chroma: the engine lives in registers meanwhile.
impl Cabac<'_> {
    fn luma_8x8(&mut self, block: &mut Macroblock, scaling: Scaling<'_>) {
        let mut engine = self.engine;
        let contexts = &mut self.contexts;
        let mut places = [0; 64];
        for (quarter, into) in block
            .coefficients
            .as_chunks_mut::<64>()
            .0
            .iter_mut()
            .enumerate()
        {
            if block.pattern >> quarter & 1 == 0 {
                continue;
            }
            coefficients::<LUMA_8X8, 64>(&mut engine, contexts, &mut places, |index, level| {
                let index = index & 63;
                let scaled = level.wrapping_mul(scaling.eight[index] << scaling.octave);
                into[usize::from(SCAN_8X8[index])] = (scaled.wrapping_add(32) >> 6) as i16;
            });
            block.filled |= 1 << (4 * quarter);
            // There is no flag for 8×8 blocks: the pattern's bit stands for those of all four.
            let at = PLACES[(4 * quarter) & 15];
            for at in [at, at + 1, at + GRID, at + GRID + 1] {
                block.counts[at] = 1;
            }
        }
        self.engine = engine;
    }

    /// Blocks of 4×4, of Intra_16x16 without their DC.
    #[inline(always)]
    fn luma_4x4<const CATEGORY: usize, const COUNT: u8>(
        &mut self,
        block: &mut Macroblock,
        scaling: Scaling<'_>,
    ) {
        let mut engine = self.engine;
        let contexts = &mut self.contexts;
        let mut places = [0; 64];
        for (index, into) in block
            .coefficients
            .as_chunks_mut::<16>()
            .0
            .iter_mut()
            .enumerate()
        {
            if block.pattern >> (index / 4) & 1 == 0 {
                continue;
            }
            let at = PLACES[index & 15];
            let near = block.counts[at - 1] + 2 * block.counts[at - GRID];
            let flag = CODED + 4 * CATEGORY + usize::from(near & 3);
            if engine.bin(contexts, flag) == 0 {
                continue;
            }
            coefficients::<CATEGORY, COUNT>(&mut engine, contexts, &mut places, |index, level| {
                let index = (index + usize::from(CATEGORY == LUMA_AC)) & 15;
                let scaled = level.wrapping_mul(scaling.four[index] << scaling.octave);
                into[usize::from(SCAN_4X4[index])] = (scaled.wrapping_add(8) >> 4) as i16;
            });
            block.filled |= 1 << index;
            block.counts[at] = 1;
        }
        self.engine = engine;
    }

    #[inline(always)]
    fn modes<const STEP: usize>(&mut self, modes: &mut [i8; 16]) {
        let mut engine = self.engine;
        let contexts = &mut self.contexts;
        for index in 0..16 / STEP {
            modes[index * STEP] = if engine.bin(contexts, 68) != 0 {
                -1
            } else {
                let rest = engine.bin(contexts, 69) + 2 * engine.bin(contexts, 69);
                (rest + 4 * engine.bin(contexts, 69)) as i8
            };
        }
        self.engine = engine;
    }

    #[inline(never)]
    fn luma(&mut self, block: &mut Macroblock, scaling: Scaling<'_>) {
        self.luma_4x4::<LUMA_4X4, 16>(block, scaling);
    }

    #[inline(never)]
    fn luma_16x16(&mut self, block: &mut Macroblock, scaling: Scaling<'_>) {
        let near = usize::from(block.dc_left & 1) + 2 * usize::from(block.dc_above & 1);
        if self.bin(CODED + 4 * LUMA_DC + near) != 0 {
            let mut engine = self.engine;
            let into = &mut block.dc_levels;
            let mut places = [0; 64];
            coefficients::<LUMA_DC, 16>(
                &mut engine,
                &mut self.contexts,
                &mut places,
                |index, level| {
                    into[usize::from(SCAN_4X4[index & 15])] = level;
                },
            );
            self.engine = engine;
            block.dc |= 1;
            block.spread_dc(scaling);
        }
        if block.pattern & 15 != 0 {
            self.luma_4x4::<LUMA_AC, 15>(block, scaling);
        }
    }

    /// Chroma is read because contexts adapt to it, and forgotten.
    #[inline(never)]
    fn chroma(&mut self, block: &mut Macroblock) {
        let mut engine = self.engine;
        let contexts = &mut self.contexts;
        let mut places = [0; 64];
        for plane in 0..2 {
            let bit = plane + 1;
            let near = (block.dc_left >> bit & 1) + 2 * (block.dc_above >> bit & 1);
            if engine.bin(contexts, CODED + 4 * CHROMA_DC + usize::from(near)) != 0 {
                coefficients::<CHROMA_DC, 4>(&mut engine, contexts, &mut places, |_, _| ());
                block.dc |= 1 << bit;
            }
        }
        if block.pattern & 0x20 != 0 {
            for counts in &mut block.chroma_counts {
                for at in [SMALL + 1, SMALL + 2, 2 * SMALL + 1, 2 * SMALL + 2] {
                    let near = counts[at - 1] + 2 * counts[at - SMALL];
                    let flag = CODED + 4 * CHROMA_AC + usize::from(near & 3);
                    if engine.bin(contexts, flag) != 0 {
                        coefficients::<CHROMA_AC, 15>(
                            &mut engine,
                            contexts,
                            &mut places,
                            |_, _| (),
                        );
                        counts[at] = 1;
                    }
                }
            }
        }
        self.engine = engine;
    }
}

impl Syntax for Cabac<'_> {
    const ABSENT_COUNT: u8 = 1;
    const FULL_COUNT: u8 = 1;

    fn mb_type(&mut self, left: &Side, above: &Side) -> Result<u32, Fault> {
        if self.bin(3 + usize::from(left.other) + usize::from(above.other)) == 0 {
            return Ok(0);
        }
        if self.engine.terminate() {
            return Ok(25);
        }
        let mut kind = 1 + 12 * self.bin(6);
        if self.bin(7) != 0 {
            kind += 4 + 4 * self.bin(8);
        }
        kind += 2 * self.bin(9);
        kind += self.bin(10);
        Ok(kind as u32)
    }

    fn transform_size_8x8_flag(&mut self, left: &Side, above: &Side) -> bool {
        let near = usize::from(left.eight_by_eight) + usize::from(above.eight_by_eight);
        self.bin(399 + near) != 0
    }

    fn rem_intra_pred_modes(&mut self, step: usize, modes: &mut [i8; 16]) {
        // Two loops of a known length: the engine stays in registers.
        if step == 1 {
            self.modes::<1>(modes);
        } else {
            self.modes::<4>(modes);
        }
    }

    fn intra_chroma_pred_mode(&mut self, left: &Side, above: &Side) -> Result<u32, Fault> {
        if self.bin(64 + usize::from(left.chroma_mode) + usize::from(above.chroma_mode)) == 0 {
            return Ok(0);
        }
        if self.bin(67) == 0 {
            return Ok(1);
        }
        Ok(2 + self.bin(67) as u32)
    }

    fn coded_block_pattern(
        &mut self,
        left: &Side,
        above: &Side,
        chroma: bool,
    ) -> Result<u8, Fault> {
        let mut engine = self.engine;
        let contexts = &mut self.contexts;
        // A neighbour that has no coefficients makes more of them less probable.
        let empty = |pattern: u8, quarter: u8| usize::from(pattern >> quarter & 1 ^ 1);
        let mut pattern = 0u8;
        for (quarter, ((before, a), (up, b))) in [
            ((left.pattern, 1), (above.pattern, 2)),
            ((0, 0), (above.pattern, 3)),
            ((left.pattern, 3), (0, 0)),
            ((0, 2), (0, 1)),
        ]
        .into_iter()
        .enumerate()
        {
            let before = if quarter & 1 == 0 { before } else { pattern };
            let up = if quarter < 2 { up } else { pattern };
            let near = empty(before, a) + 2 * empty(up, b);
            pattern |= (engine.bin(contexts, 73 + near) as u8) << quarter;
        }
        if chroma {
            let (a, b) = (left.pattern >> 4, above.pattern >> 4);
            let near = usize::from(a != 0) + 2 * usize::from(b != 0);
            if engine.bin(contexts, 77 + near) != 0 {
                let near = usize::from(a == 2) + 2 * usize::from(b == 2);
                pattern |= 0x10 << engine.bin(contexts, 81 + near);
            }
        }
        self.engine = engine;
        Ok(pattern)
    }

    fn mb_qp_delta(&mut self) -> Result<i32, Fault> {
        if self.bin(60 + usize::from(self.changed)) == 0 {
            self.changed = false;
            return Ok(0);
        }
        self.changed = true;
        let mut coded = 1;
        while self.bin(if coded == 1 { 62 } else { 63 }) != 0 {
            coded += 1;
            if coded > 104 {
                return Err(invalid("mb_qp_delta"));
            }
        }
        let half = (coded + 1) / 2;
        Ok(if coded & 1 == 1 { half } else { -half })
    }

    fn no_qp_delta(&mut self) {
        self.changed = false;
    }

    fn raw(&mut self, count: usize) -> Option<&[u8]> {
        self.engine.raw(count)
    }

    fn residual(&mut self, block: &mut Macroblock, scaling: Scaling<'_>) -> Result<(), Fault> {
        match block.kind {
            Kind::Eight => self.luma_8x8(block, scaling),
            Kind::Four => self.luma(block, scaling),
            _ => self.luma_16x16(block, scaling),
        }
        if block.pattern & 0x30 != 0 {
            self.chroma(block);
        }
        Ok(())
    }
}
