//! Scaling and inverse transforms (clause 8.5), added to the prediction.
//!
//! Coefficients stand transposed (column by column), so that both passes work on whole vectors. Sixteen bits hold every sum of
//! a stream that keeps to the standard (8.5.12); others wrap, as they do in FFmpeg.

use wide::{CmpEq, i16x8, u8x16};

/// Zig-zag scan of 4×4 blocks (table 8-2), transposed: index `4 × x + y`.
pub(super) const SCAN_4X4: [u8; 16] = [0, 4, 1, 2, 5, 8, 12, 9, 6, 3, 7, 10, 13, 14, 11, 15];

/// Zig-zag scan of 8×8 blocks (table 8-3), transposed: index `8 × x + y`.
#[rustfmt::skip]
pub(super) const SCAN_8X8: [u8; 64] = [
    0, 8, 1, 2, 9, 16, 24, 17, 10, 3, 4, 11, 18, 25, 32, 40,
    33, 26, 19, 12, 5, 6, 13, 20, 27, 34, 41, 48, 56, 49, 42, 35,
    28, 21, 14, 7, 15, 22, 29, 36, 43, 50, 57, 58, 51, 44, 37, 30,
    23, 31, 38, 45, 52, 59, 60, 53, 46, 39, 47, 54, 61, 62, 55, 63,
];

/// `normAdjust4x4` (equation 8-315): for both coordinates even, both odd, others.
const NORM_4X4: [[u8; 3]; 6] = [
    [10, 16, 13],
    [11, 18, 14],
    [13, 20, 16],
    [14, 23, 18],
    [16, 25, 20],
    [18, 29, 23],
];

/// `normAdjust8x8` (equation 8-318).
const NORM_8X8: [[u8; 6]; 6] = [
    [20, 18, 32, 19, 25, 24],
    [22, 19, 35, 21, 28, 26],
    [26, 23, 42, 24, 33, 31],
    [28, 25, 45, 26, 35, 33],
    [32, 28, 51, 30, 40, 38],
    [36, 32, 58, 34, 46, 43],
];

/// `LevelScale4x4` and `LevelScale8x8` (8.5.9) of intra luma in scan order, by `qP % 6`.
pub(super) struct Scales {
    pub(super) four: [[i32; 16]; 6],
    pub(super) eight: [[i32; 64]; 6],
}

impl Scales {
    /// From weights in scan order.
    pub(super) fn new(four: &[u8; 16], eight: &[u8; 64]) -> Self {
        let mut scales = Self {
            four: [[0; 16]; 6],
            eight: [[0; 64]; 6],
        };
        for (rest, (row, norms)) in scales.four.iter_mut().zip(&NORM_4X4).enumerate() {
            for (index, scale) in row.iter_mut().enumerate() {
                let at = SCAN_4X4[index];
                let class = match (at / 4 % 2, at % 2) {
                    (0, 0) => 0,
                    (1, 1) => 1,
                    _ => 2,
                };
                *scale = i32::from(four[index]) * i32::from(norms[class]);
            }
            for (index, scale) in scales.eight[rest].iter_mut().enumerate() {
                let (x, y) = (SCAN_8X8[index] / 8, SCAN_8X8[index] % 8);
                let class = match (x % 4, y % 4) {
                    (0, 0) => 0,
                    (1 | 3, 1 | 3) => 1,
                    (2, 2) => 2,
                    (0, 1 | 3) | (1 | 3, 0) => 3,
                    (0, 2) | (2, 0) => 4,
                    _ => 5,
                };
                *scale = i32::from(eight[index]) * i32::from(NORM_8X8[rest][class]);
            }
        }
        scales
    }
}

type Row = i16x8;

/// One dimension of clause 8.5.12.2.
#[inline(always)]
fn pass_4([a, b, c, d]: [Row; 4]) -> [Row; 4] {
    let (e, f) = (a + c, a - c);
    let (g, h) = ((b >> 1) - d, b + (d >> 1));
    [e + h, f + g, f - g, e - h]
}

/// One dimension of clause 8.5.13.
#[inline(always)]
fn pass_8(d: [Row; 8]) -> [Row; 8] {
    let (e0, e2) = (d[0] + d[4], d[0] - d[4]);
    let e1 = d[5] - d[3] - d[7] - (d[7] >> 1);
    let e3 = d[1] + d[7] - d[3] - (d[3] >> 1);
    let e4 = (d[2] >> 1) - d[6];
    let e5 = d[7] - d[1] + d[5] + (d[5] >> 1);
    let e6 = d[2] + (d[6] >> 1);
    let e7 = d[3] + d[5] + d[1] + (d[1] >> 1);
    let (f0, f2, f4, f6) = (e0 + e6, e2 + e4, e2 - e4, e0 - e6);
    let (f1, f3) = (e1 + (e7 >> 2), e3 + (e5 >> 2));
    let (f5, f7) = ((e3 >> 2) - e5, e7 - (e1 >> 2));
    [
        f0 + f7,
        f2 + f5,
        f4 + f3,
        f6 + f1,
        f6 - f1,
        f4 - f3,
        f2 - f5,
        f0 - f7,
    ]
}

/// Two rows of four pixels, or one of eight, with a residual added.
#[inline(always)]
fn sum(pixels: u64, residual: Row) -> u64 {
    let pixels = u8x16::new(u128::from(pixels).to_le_bytes());
    let sum = i16x8::from_u8x16_low(pixels) + ((residual + i16x8::splat(32)) >> 6);
    u128::from_le_bytes(u8x16::narrow_i16x8(sum, sum).to_array()) as u64
}

/// Eight coefficients.
#[inline(always)]
fn eight<const N: usize>(coefficients: &[i16; N], at: usize) -> Row {
    let eight = coefficients[at..].first_chunk::<8>();
    i16x8::new(eight.copied().unwrap_or_default())
}

/// All lanes but the first.
const NOT_FIRST: Row = i16x8::new([0, -1, -1, -1, -1, -1, -1, -1]);

/// Adds a 4×4 block to its prediction, and clears its coefficients.
#[inline(always)]
pub(super) fn add_4x4(rows: [u32; 4], coefficients: &mut [i16; 16]) -> [u32; 4] {
    // A mean alone is the same everywhere.
    let others = eight(coefficients, 0) & NOT_FIRST | eight(coefficients, 8);
    if others.cmp_eq(i16x8::ZERO).all() {
        let mean = i16x8::splat(coefficients[0]);
        coefficients[0] = 0;
        let upper = sum(u64::from(rows[0]) | u64::from(rows[1]) << 32, mean);
        let lower = sum(u64::from(rows[2]) | u64::from(rows[3]) << 32, mean);
        return [upper, upper >> 32, lower, lower >> 32].map(|pixels| pixels as u32);
    }
    let [a, b, c, d] = std::array::from_fn(|x| {
        let mut column = [0; 8];
        column[..4].copy_from_slice(&coefficients[4 * x..4 * x + 4]);
        i16x8::new(column)
    });
    *coefficients = [0; 16];
    let none = i16x8::ZERO;
    let [a, b, c, d] = pass_4([a, b, c, d]);
    let [a, b, c, d, ..] = i16x8::transpose([a, b, c, d, none, none, none, none]);
    let [a, b, c, d] = pass_4([a, b, c, d]);
    let pair = |upper: Row, lower: Row, pixels: [u32; 2]| {
        let (upper, lower) = (upper.to_array(), lower.to_array());
        let mut both = [0; 8];
        both[..4].copy_from_slice(&upper[..4]);
        both[4..].copy_from_slice(&lower[..4]);
        let pixels = u64::from(pixels[0]) | u64::from(pixels[1]) << 32;
        let pixels = sum(pixels, i16x8::new(both));
        [pixels as u32, (pixels >> 32) as u32]
    };
    let [[a, b], [c, d]] = [
        pair(a, b, [rows[0], rows[1]]),
        pair(c, d, [rows[2], rows[3]]),
    ];
    [a, b, c, d]
}

/// The same for an 8×8 block.
#[inline(always)]
pub(super) fn add_8x8(rows: [u64; 8], coefficients: &mut [i16; 64]) -> [u64; 8] {
    let columns: [Row; 8] = std::array::from_fn(|x| eight(coefficients, 8 * x));
    let [first, rest @ ..] = columns;
    let others = rest
        .into_iter()
        .fold(first & NOT_FIRST, |all, column| all | column);
    if others.cmp_eq(i16x8::ZERO).all() {
        let mean = i16x8::splat(coefficients[0]);
        coefficients[0] = 0;
        return rows.map(|pixels| sum(pixels, mean));
    }
    *coefficients = [0; 64];
    let residual = pass_8(i16x8::transpose(pass_8(columns)));
    std::array::from_fn(|y| sum(rows[y], residual[y]))
}

/// Scaled DC coefficients of the 16 blocks of an Intra_16x16 macroblock (8.5.10), transposed like what comes in.
pub(super) fn dc_16x16(levels: &[i32; 16], scale: i32, octave: u32) -> [i32; 16] {
    let mut sums = *levels;
    // Both dimensions are alike: first within each column, then across them.
    for (near, far) in [(1, 4), (4, 1)] {
        for line in 0..4 {
            let at = |index: usize| line * far + index * near;
            let (e, f) = (sums[at(0)] + sums[at(1)], sums[at(0)] - sums[at(1)]);
            let (g, h) = (sums[at(2)] + sums[at(3)], sums[at(2)] - sums[at(3)]);
            sums[at(0)] = e + g;
            sums[at(1)] = e - g;
            sums[at(2)] = f - h;
            sums[at(3)] = f + h;
        }
    }
    sums.map(|sum| sum.wrapping_mul(scale << octave).wrapping_add(32) >> 6)
}
