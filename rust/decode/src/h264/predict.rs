//! Intra prediction (clause 8.3) in a window of one macroblock.
//!
//! The window holds the macroblock's 16×16 pixels with the row above (from one pixel left of it to eight right of it) and the
//! column left of it. Edges are words, the pixel that is furthest left (or down) in the lowest byte: a directional mode is an edge,
//! filtered once, of which every row of the block is a part. What comes out is rows, so that the residual is added before anything
//! is stored.

use wide::u8x16;

/// Pixels from row to row of the window.
pub(super) const STRIDE: usize = 32;

/// Row 0 is the row above; column 8 is the macroblock's first.
pub(super) type Window = [u8; STRIDE * 17];

/// Where the macroblock's first pixel stands.
pub(super) const ORIGIN: usize = STRIDE + 8;

/// From the pixel above and left of a block to its first.
pub(super) const INSIDE: usize = STRIDE + 1;

/// A block with the pixels around it, from the corner on: of 4×4, and of 8×8.
pub(super) type Around4 = [u8; INSIDE + 3 * STRIDE + 7];
pub(super) type Around8 = [u8; INSIDE + 7 * STRIDE + 8];

/// What may be predicted from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    pub(super) left: bool,
    pub(super) top: bool,
    pub(super) corner: bool,
    pub(super) top_right: bool,
}

const LOW: u64 = 0x0101_0101_0101_0101;

/// Averages of bytes: `(a + b + 1) / 2`.
#[inline(always)]
fn two(a: u64, b: u64) -> u64 {
    (a | b) - ((a ^ b) >> 1 & !(LOW << 7))
}

/// `(a + 2 b + c + 2) / 4` of bytes.
#[inline(always)]
fn three(a: u64, b: u64, c: u64) -> u64 {
    let half = (a & c) + ((a ^ c) >> 1 & !(LOW << 7));
    two(half, b)
}

/// Bytes of both by turns.
#[inline(always)]
fn zipped(a: u64, b: u64) -> [u64; 2] {
    let wide = |word: u64| u8x16::new((u128::from(word)).to_le_bytes());
    let both = u128::from_le_bytes(u8x16::unpack_low(wide(a), wide(b)).to_array());
    [both as u64, (both >> 64) as u64]
}

/// Eight bytes of two words from byte `at` on, at most 7.
#[inline(always)]
fn part(low: u64, high: u64, at: u32) -> u64 {
    low >> (8 * at) | high << 1 << (63 - 8 * at)
}

/// Sum of the bytes.
#[inline(always)]
fn sum(word: u64) -> u32 {
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    (((word & EVEN) + (word >> 8 & EVEN)).wrapping_mul(0x0001_0001_0001_0001) >> 48) as u32
}

#[inline(always)]
fn byte(word: u64, at: u32) -> u64 {
    word >> (8 * at) & 0xff
}

/// The word that starts at an index known at compile time.
#[inline(always)]
fn word<const N: usize>(pixels: &[u8; N], at: usize) -> u64 {
    pixels[at..]
        .first_chunk::<8>()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Whether a mode of 4×4 or 8×8 blocks (tables 8-2, 8-3) has what it predicts from.
#[inline(always)]
fn possible(mode: u8, around: Around) -> bool {
    match mode {
        0 | 3 | 7 => around.top,
        1 | 8 => around.left,
        2 => true,
        _ => around.top && around.left && around.corner,
    }
}

/// Predicts a 4×4 block (8.3.1.2); None if the mode cannot be used there.
#[inline(always)]
pub(super) fn block_4x4(pixels: &Around4, mode: u8, around: Around) -> Option<[u32; 4]> {
    if !possible(mode, around) {
        return None;
    }
    // Of the left column the lowest pixel comes first.
    let left = || {
        (0..4).fold(0, |left, y| {
            left << 8 | u64::from(pixels[INSIDE - 1 + y * STRIDE])
        })
    };
    let top = word(pixels, 1);
    let rows = |words: [u64; 4]| words.map(|word| word as u32);
    Some(match mode {
        0 => [top as u32; 4],
        1 => std::array::from_fn(|y| u32::from(pixels[INSIDE - 1 + y * STRIDE]) * LOW as u32),
        2 => {
            let mean = match (around.top, around.left) {
                (true, true) => (sum(top << 32) + sum(left()) + 4) >> 3,
                (true, false) => (sum(top << 32) + 2) >> 2,
                (false, true) => (sum(left()) + 2) >> 2,
                (false, false) => 128,
            };
            [mean * LOW as u32; 4]
        }
        // Along the row above: diagonal down left, vertical left.
        3 | 7 => {
            let top = if around.top_right {
                top
            } else {
                top & 0xffff_ffff | (byte(top, 3) * (LOW << 32))
            };
            let last = top & 0xff << 56;
            let next = top >> 8 | last;
            let threes = three(top, next, next >> 8 | last);
            if mode == 3 {
                rows(std::array::from_fn(|y| threes >> (8 * y)))
            } else {
                let twos = two(top, next);
                rows([twos, threes, twos >> 8, threes >> 8])
            }
        }
        // Down the left column, its last pixel continued: horizontal up.
        8 => {
            let left = (left() as u32).swap_bytes();
            let last = left & 0xff << 24;
            let next = left >> 8 | last;
            let threes = three(left.into(), next.into(), (next >> 8 | last).into());
            let [line, _] = zipped(two(left.into(), next.into()), threes);
            rows([line, line >> 16, line >> 32, u64::from(last >> 24) * LOW])
        }
        // Along the bent edge: from the bottom left over the corner to the top right.
        _ => {
            let edge = left() | word(pixels, 0) << 32;
            let next = edge >> 8 | byte(top, 3) << 56;
            let threes = three(edge, next, next >> 8);
            if mode == 4 {
                return Some(rows(std::array::from_fn(|y| threes >> (8 * (3 - y)))));
            }
            let twos = two(edge, next);
            if mode == 5 {
                // Two rows alternate, and what comes in from the left was filtered two rows above.
                let (even, odd) = (twos >> 32, threes >> 24);
                let (third, fourth) = (byte(threes, 2), byte(threes, 1));
                rows([even, odd, even << 8 | third, odd << 8 | fourth])
            } else {
                let [line, _] = zipped(twos, threes);
                rows([part(line, threes >> 32, 6), line >> 32, line >> 16, line])
            }
        }
    })
}

/// Predicts an 8×8 block with its filtered edge (8.3.2.2); None if the mode cannot be used there.
#[inline(always)]
pub(super) fn block_8x8(pixels: &Around8, mode: u8, around: Around) -> Option<[u64; 8]> {
    if !possible(mode, around) {
        return None;
    }
    let corner = u64::from(pixels[0]);
    let raw_left = || {
        (0..8).fold(0, |left, y| {
            left << 8 | u64::from(pixels[INSIDE - 1 + y * STRIDE])
        })
    };
    // Each end is continued so that one filter fits all: a missing corner counts as its neighbour.
    let left = || {
        let raw = raw_left();
        let end = if around.corner { corner } else { raw >> 56 };
        three(raw << 8 | raw & 0xff, raw, raw >> 8 | end << 56)
    };
    let raw_top = word(pixels, 1);
    let raw_right = if around.top_right {
        word(pixels, 9)
    } else {
        (raw_top >> 56) * LOW
    };
    let end = if around.corner {
        corner
    } else {
        raw_top & 0xff
    };
    let top = three(raw_top << 8 | end, raw_top, raw_top >> 8 | raw_right << 56);
    let of_mean = |mean: u32| [u64::from(mean) * LOW; 8];
    Some(match mode {
        0 => [top; 8],
        1 => {
            let left = left();
            std::array::from_fn(|y| byte(left, 7 - y as u32) * LOW)
        }
        2 => of_mean(match (around.top, around.left) {
            (true, true) => (sum(top) + sum(left()) + 8) >> 4,
            (true, false) => (sum(top) + 4) >> 3,
            (false, true) => (sum(left()) + 4) >> 3,
            (false, false) => 128,
        }),
        // Along the row above: diagonal down left, vertical left.
        3 | 7 => {
            let last = raw_right & 0xff << 56;
            let right = three(
                raw_right << 8 | raw_top >> 56,
                raw_right,
                raw_right >> 8 | last,
            );
            let last = right & 0xff << 56;
            let next = [part(top, right, 1), right >> 8 | last];
            let threes = [
                three(top, next[0], part(next[0], next[1], 1)),
                three(right, next[1], next[1] >> 8 | last),
            ];
            if mode == 3 {
                std::array::from_fn(|y| part(threes[0], threes[1], y as u32))
            } else {
                let twos = [two(top, next[0]), two(right, next[1])];
                std::array::from_fn(|y| {
                    let from = if y & 1 == 0 { twos } else { threes };
                    part(from[0], from[1], y as u32 / 2)
                })
            }
        }
        // Down the left column, its last pixel continued: horizontal up.
        8 => {
            let left = left().swap_bytes();
            let last = left & 0xff << 56;
            let next = left >> 8 | last;
            let [low, high] = zipped(two(left, next), three(left, next, next >> 8 | last));
            let beyond = (last >> 56) * LOW;
            std::array::from_fn(|y| {
                if y < 4 {
                    part(low, high, 2 * y as u32)
                } else {
                    part(high, beyond, 2 * (y as u32 - 4))
                }
            })
        }
        // Along the bent edge: from the bottom left over the corner to the top right.
        _ => {
            let raw = raw_left();
            let (first, left) = (raw >> 56, left());
            // All three are there (`possible`).
            let corner = ((raw_top & 0xff) + 2 * corner + first + 2) >> 2;
            let next = left >> 8 | corner << 56;
            let threes = [
                three(left, next, part(next, top, 1)),
                three(top << 8 | corner, top, top >> 8),
            ];
            if mode == 4 {
                return Some(std::array::from_fn(|y| {
                    part(threes[0], threes[1], 7 - y as u32)
                }));
            }
            if mode == 5 {
                // Two rows alternate, and what comes in from the left was filtered two rows above.
                let even = two(top << 8 | corner, top);
                let odd = part(threes[0], threes[1], 7);
                // Every other byte, from the seventh down, at the upper end.
                let before = |word: u64| {
                    (word & 0xff << 48) << 8 | (word & 0xff << 32) << 16 | (word & 0xff << 16) << 24
                };
                let (before_even, before_odd) = (before(threes[0]), before(threes[0] << 8));
                std::array::from_fn(|y| {
                    let (row, before) = if y & 1 == 0 {
                        (even, before_even)
                    } else {
                        (odd, before_odd)
                    };
                    let shift = 8 * (y as u32 / 2);
                    row << shift | before >> 1 >> (63 - shift)
                })
            } else {
                let [low, high] = zipped(two(left, next), threes[0]);
                std::array::from_fn(|y| {
                    if y < 4 {
                        part(high, threes[1], 2 * (3 - y as u32))
                    } else {
                        part(low, high, 2 * (7 - y as u32))
                    }
                })
            }
        }
    })
}

#[inline(always)]
fn row(window: &mut Window, y: usize, values: &[u8; 16]) {
    if let Some(pixels) = window[ORIGIN + y * STRIDE..].first_chunk_mut::<16>() {
        *pixels = *values;
    }
}

/// Predicts a whole macroblock (8.3.3); None if the mode cannot be used there.
pub(super) fn block_16x16(window: &mut Window, mode: u8, around: Around) -> Option<()> {
    let above = ORIGIN - STRIDE;
    let mut top = [0; 16];
    top.copy_from_slice(&window[above..above + 16]);
    let left: [u8; 16] = std::array::from_fn(|y| window[ORIGIN + y * STRIDE - 1]);
    let sum = |samples: &[u8; 16]| samples.iter().map(|sample| u32::from(*sample)).sum::<u32>();
    match mode {
        0 if around.top => {
            (0..16).for_each(|y| row(window, y, &top));
        }
        1 if around.left => {
            for (y, value) in left.iter().enumerate() {
                row(window, y, &[*value; 16]);
            }
        }
        2 => {
            let mean = match (around.top, around.left) {
                (true, true) => (sum(&top) + sum(&left) + 16) >> 5,
                (true, false) => (sum(&top) + 8) >> 4,
                (false, true) => (sum(&left) + 8) >> 4,
                (false, false) => 128,
            };
            (0..16).for_each(|y| row(window, y, &[mean as u8; 16]));
        }
        3 if around.top && around.left && around.corner => {
            let corner = window[above - 1];
            // Sample -1 of either side is the corner.
            let slope = |side: &[u8; 16]| {
                let at =
                    |index: usize| i32::from(if index == 0 { corner } else { side[index - 1] });
                let sum: i32 = (1..=8).map(|x| x as i32 * (at(8 + x) - at(8 - x))).sum();
                (5 * sum + 32) >> 6
            };
            let (across, down) = (slope(&top), slope(&left));
            let base = 16 * (i32::from(left[15]) + i32::from(top[15]));
            for y in 0..16 {
                let start = base + down * (y as i32 - 7) + 16 - 7 * across;
                let values: [u8; 16] =
                    std::array::from_fn(|x| ((start + across * x as i32) >> 5).clamp(0, 255) as u8);
                row(window, y, &values);
            }
        }
        _ => return None,
    }
    Some(())
}
