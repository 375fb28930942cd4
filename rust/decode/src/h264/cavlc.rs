//! Syntax elements of macroblocks by variable-length codes (clauses 9.1, 9.2).

use super::bits::Bits;
use super::cavlc_tables::{
    Code, LEVELS, Pace, RUNS, SHORT_TOKENS, TABLE_OF, TOKENS, ZEROS, ZEROS_CHROMA_DC, level_of,
    pace_after, suffix_of,
};
use super::macroblock::{GRID, Kind, Macroblock, PLACES, SMALL, Scaling, Side, Syntax, place};
use super::transform::{SCAN_4X4, SCAN_8X8};
use super::{Fault, invalid};

/// `coded_block_pattern` of intra macroblocks by `codeNum` (table 9-4): with chroma, and without.
#[rustfmt::skip]
static PATTERNS: [u8; 48] = [
    47, 31, 15, 0, 23, 27, 29, 30, 7, 11, 13, 14, 39, 43, 45, 46, 16, 3, 5, 10, 12, 19, 21, 26,
    28, 35, 37, 42, 44, 1, 2, 4, 8, 17, 18, 20, 24, 6, 9, 22, 25, 32, 33, 34, 36, 40, 38, 41,
];
static PATTERNS_GREY: [u8; 16] = [15, 0, 7, 11, 13, 14, 3, 5, 10, 12, 1, 2, 4, 8, 6, 9];

/// Of [`TOKENS`].
const CHROMA_DC: usize = 4;

const CODE: Fault = Fault::Damaged("no such code in residual_block_cavlc");

pub(super) struct Cavlc<'a> {
    bits: Bits<'a>,
}

impl<'a> Cavlc<'a> {
    pub(super) fn new(bits: Bits<'a>) -> Self {
        Self { bits }
    }

    /// Bits read.
    pub(super) fn position(&self) -> usize {
        self.bits.at
    }
}

/// The next bits, kept at hand: no code waits for memory.
struct Near<'a> {
    bytes: &'a [u8],
    /// The byte behind the window's.
    next: usize,
    window: u64,
    /// How many bits of the window are there.
    valid: u32,
}

impl<'a> Near<'a> {
    /// Bits that are there after a refill.
    const FULL: u32 = 56;

    #[inline(always)]
    fn new(bits: Bits<'a>) -> Self {
        let mut near = Self {
            bytes: bits.bytes,
            next: bits.at >> 3,
            window: 0,
            valid: 0,
        };
        near.fill();
        near.skip(bits.at as u32 & 7);
        near
    }

    #[inline(always)]
    fn back(self) -> Bits<'a> {
        Bits {
            bytes: self.bytes,
            at: 8 * self.next - self.valid as usize,
        }
    }

    /// Passes over fewer bits than there are.
    #[inline(always)]
    fn skip(&mut self, count: u32) {
        self.window <<= count & 63;
        self.valid -= count;
    }

    /// At least 56 bits are there then.
    #[inline(always)]
    fn fill(&mut self) {
        let word = self
            .bytes
            .get(self.next..)
            .and_then(|rest| rest.first_chunk::<8>());
        let word = word.map_or(0, |word| u64::from_be_bytes(*word));
        self.window |= word >> (self.valid & 63);
        let taken = (63 - self.valid) >> 3;
        self.next += taken as usize;
        self.valid += 8 * taken;
    }

    #[inline(always)]
    fn need(&mut self, count: u32) {
        if self.valid < count {
            self.fill();
        }
    }
}

/// `coeff_token` of a window: length and meaning.
#[inline(always)]
fn token(window: u64, table: usize) -> Code {
    let code = SHORT_TOKENS[table][(window >> 56) as usize];
    if code.0 != 0 {
        return code;
    }
    let zeros = window.leading_zeros().min(15);
    TOKENS[table][(8 * zeros + (window << zeros >> 60 & 7) as u32) as usize & 127]
}

/// A level whose code has more than eight bits: the level, and the code's length; length 0: no code.
#[inline(never)]
fn long_level(window: u64, pace: Pace) -> (i32, u32) {
    let prefix = window.leading_zeros();
    if prefix > 25 {
        return (0, 0);
    }
    let suffix = suffix_of(pace);
    let size = match prefix {
        14 if suffix == 0 => 4,
        15.. => prefix - 3,
        _ => suffix,
    };
    let mut code = (prefix.min(15) << suffix) as i32;
    // Two shifts, since a shift by all 64 bits is none.
    code += (window << (prefix + 1) >> 1 >> (63 - size)) as i32;
    if prefix >= 15 && suffix == 0 {
        code += 15;
    }
    if prefix >= 16 {
        code += (1 << (prefix - 3)) - 4096;
    }
    (level_of(code, pace), prefix + 1 + size)
}

/// Levels of a block, the last coefficient's first.
type Levels = [i32; 16];

/// `residual_block_cavlc()`: up to `MOST` coefficients, the last one first; returns how many there are, None where there is no such
/// code.
#[inline(always)]
fn coefficients<const MOST: usize>(
    near: &mut Near<'_>,
    table: usize,
    levels: &mut Levels,
    mut store: impl FnMut(usize, i32),
) -> Option<u8> {
    near.need(32);
    let (length, token) = token(near.window, table);
    if length == 0 {
        return None;
    }
    near.skip(u32::from(length));
    let (total, ones) = (usize::from(token >> 2), usize::from(token & 3));
    if total == 0 {
        return Some(0);
    }
    if total > MOST {
        return None;
    }
    for (index, level) in levels.iter_mut().take(3).enumerate() {
        *level = 1 | (near.window.cast_signed() << index >> 63) as i32;
    }
    near.skip(ones as u32);
    let mut pace = if ones == 3 { 2 } else { Pace::from(total > 10) };
    for index in ones..total {
        near.need(8);
        let code = LEVELS[usize::from(pace)][(near.window >> 56) as usize];
        let mut level = i32::from(code.level);
        if code.length == 0 {
            near.fill();
            let (long, length) = long_level(near.window, pace);
            if length == 0 {
                return None;
            }
            level = long;
            near.skip(length);
            pace = pace_after(pace, level);
        } else {
            near.skip(u32::from(code.length));
            pace = code.next;
        }
        levels[index & 15] = level;
    }
    let mut left = 0;
    if total < MOST {
        // Of `total_zeros` and all of `run_before`: three bits each, and nine or five more where one of them is long.
        near.need(3 * total as u32 + 14);
        let (length, zeros) = if MOST == 4 {
            ZEROS_CHROMA_DC[total & 3][(near.window >> 61) as usize]
        } else {
            ZEROS[total & 15][(near.window >> 55) as usize]
        };
        if length == 0 {
            return None;
        }
        near.skip(u32::from(length));
        left = usize::from(zeros);
    }
    let mut at = left + total;
    if at > MOST {
        return None;
    }
    let mut index = 0;
    while left > 0 && index + 1 < total {
        at -= 1;
        store(at, levels[index & 15]);
        index += 1;
        let window = near.window;
        let (mut length, mut run) = RUNS[left.min(7)][(window >> 61) as usize];
        if length == 0 {
            let zeros = window.leading_zeros() as u8;
            (length, run) = (zeros + 1, zeros + 4);
        }
        let run = usize::from(run);
        if run > left {
            return None;
        }
        near.skip(u32::from(length));
        left -= run;
        at -= run;
    }
    while index < total {
        at = at.wrapping_sub(1);
        store(at, levels[index & 15]);
        index += 1;
    }
    Some(total as u8)
}

/// Of [`TOKENS`], by the neighbours of a block.
#[inline(always)]
fn table_of(left: u8, above: u8) -> usize {
    usize::from(TABLE_OF[usize::from(left + above) & 127])
}

/// All blocks of a macroblock's luma or chroma: the bits live in registers meanwhile.
impl Cavlc<'_> {
    /// Luma of a macroblock other than Intra_16x16. An 8×8 block is sent as four that take turns (7.3.5.3.2).
    #[inline(always)]
    fn luma<const EIGHT: bool>(
        &mut self,
        block: &mut Macroblock,
        scaling: Scaling<'_>,
    ) -> Option<()> {
        let mut near = Near::new(self.bits);
        let mut levels = [0; 16];
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
            for part in 0..4 {
                let index = 4 * quarter + part;
                let at = PLACES[index & 15];
                let table = table_of(block.counts[at - 1], block.counts[at - GRID]);
                let count = coefficients::<16>(&mut near, table, &mut levels, |place, level| {
                    if EIGHT {
                        let place = (4 * place + part) & 63;
                        let scaled = level.wrapping_mul(scaling.eight[place] << scaling.octave);
                        into[usize::from(SCAN_8X8[place])] = (scaled.wrapping_add(32) >> 6) as i16;
                    } else {
                        let place = place & 15;
                        let scaled = level.wrapping_mul(scaling.four[place] << scaling.octave);
                        into[16 * part + usize::from(SCAN_4X4[place])] =
                            (scaled.wrapping_add(8) >> 4) as i16;
                    }
                })?;
                block.counts[at] = count;
                let first = if EIGHT { 4 * quarter } else { index };
                block.filled |= u16::from(count > 0) << first;
            }
        }
        self.bits = near.back();
        Some(())
    }

    #[inline(never)]
    fn luma_4x4(&mut self, block: &mut Macroblock, scaling: Scaling<'_>) -> Option<()> {
        self.luma::<false>(block, scaling)
    }

    #[inline(never)]
    fn luma_8x8(&mut self, block: &mut Macroblock, scaling: Scaling<'_>) -> Option<()> {
        self.luma::<true>(block, scaling)
    }

    #[inline(never)]
    fn luma_16x16(&mut self, block: &mut Macroblock, scaling: Scaling<'_>) -> Option<()> {
        let mut near = Near::new(self.bits);
        let mut levels = [0; 16];
        let at = place(0);
        let table = table_of(block.counts[at - 1], block.counts[at - GRID]);
        let into = &mut block.dc_levels;
        let count = coefficients::<16>(&mut near, table, &mut levels, |index, level| {
            into[usize::from(SCAN_4X4[index & 15])] = level;
        })?;
        if count > 0 {
            block.spread_dc(scaling);
        }
        if block.pattern & 15 != 0 {
            for (index, into) in block
                .coefficients
                .as_chunks_mut::<16>()
                .0
                .iter_mut()
                .enumerate()
            {
                let at = PLACES[index & 15];
                let table = table_of(block.counts[at - 1], block.counts[at - GRID]);
                let count = coefficients::<15>(&mut near, table, &mut levels, |place, level| {
                    let place = (place + 1) & 15;
                    let scaled = level.wrapping_mul(scaling.four[place] << scaling.octave);
                    into[usize::from(SCAN_4X4[place])] = (scaled.wrapping_add(8) >> 4) as i16;
                })?;
                block.counts[at] = count;
                block.filled |= u16::from(count > 0) << index;
            }
        }
        self.bits = near.back();
        Some(())
    }

    /// Chroma is read because what follows begins behind it, and forgotten.
    #[inline(never)]
    fn chroma(&mut self, block: &mut Macroblock) -> Option<()> {
        let mut near = Near::new(self.bits);
        let mut levels = [0; 16];
        for _ in 0..2 {
            coefficients::<4>(&mut near, CHROMA_DC, &mut levels, |_, _| ())?;
        }
        if block.pattern & 0x20 != 0 {
            for counts in &mut block.chroma_counts {
                for at in [SMALL + 1, SMALL + 2, 2 * SMALL + 1, 2 * SMALL + 2] {
                    let table = table_of(counts[at - 1], counts[at - SMALL]);
                    counts[at] = coefficients::<15>(&mut near, table, &mut levels, |_, _| ())?;
                }
            }
        }
        self.bits = near.back();
        Some(())
    }
}

impl Syntax for Cavlc<'_> {
    const ABSENT_COUNT: u8 = 64;
    const FULL_COUNT: u8 = 16;

    fn mb_type(&mut self, _: &Side, _: &Side) -> Result<u32, Fault> {
        self.bits.ue().ok_or(invalid("mb_type"))
    }

    fn transform_size_8x8_flag(&mut self, _: &Side, _: &Side) -> bool {
        self.bits.flag()
    }

    fn rem_intra_pred_modes(&mut self, step: usize, modes: &mut [i8; 16]) {
        // At most 64 bits: two windows.
        let mut window = 0;
        let mut used = Near::FULL;
        for mode in modes.iter_mut().step_by(step) {
            if used + 4 > Near::FULL {
                window = self.bits.peek();
                used = 0;
            }
            let expected = window >> 63 != 0;
            *mode = if expected { -1 } else { (window >> 60) as i8 };
            let length = if expected { 1 } else { 4 };
            window <<= length;
            used += length;
            self.bits.skip(length);
        }
    }

    fn intra_chroma_pred_mode(&mut self, _: &Side, _: &Side) -> Result<u32, Fault> {
        self.bits.ue().ok_or(invalid("intra_chroma_pred_mode"))
    }

    fn coded_block_pattern(&mut self, _: &Side, _: &Side, chroma: bool) -> Result<u8, Fault> {
        let patterns: &[u8] = if chroma { &PATTERNS } else { &PATTERNS_GREY };
        let number = self.bits.ue().map(|number| number as usize);
        let pattern = number.and_then(|number| patterns.get(number));
        pattern.copied().ok_or(invalid("coded_block_pattern"))
    }

    fn mb_qp_delta(&mut self) -> Result<i32, Fault> {
        self.bits.se().ok_or(invalid("mb_qp_delta"))
    }

    fn no_qp_delta(&mut self) {}

    fn raw(&mut self, count: usize) -> Option<&[u8]> {
        self.bits.align();
        self.bits.bytes(count)
    }

    fn residual(&mut self, block: &mut Macroblock, scaling: Scaling<'_>) -> Result<(), Fault> {
        let luma = match block.kind {
            Kind::Eight => self.luma_8x8(block, scaling),
            Kind::Four => self.luma_4x4(block, scaling),
            _ => self.luma_16x16(block, scaling),
        };
        luma.ok_or(CODE)?;
        if block.pattern & 0x30 != 0 {
            self.chroma(block).ok_or(CODE)?;
        }
        Ok(())
    }
}
