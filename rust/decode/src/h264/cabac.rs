//! The arithmetic decoding engine (clause 9.3.3.2) and its contexts.
//!
//! Range and offset are kept at the upper end of 64 bits: nine bits of window, and below it bits that wait. A one stands right
//! behind the last of these, so that nobody has to count them: when it has come into the upper half, 32 bits are refilled. The
//! more probable path has no branch but the decision itself.

use std::hint::select_unpredictable;

use super::standard::{CONTEXTS, NEXT_LPS, RANGE_LPS};

/// Where the window's lowest bit stands.
const WINDOW: u32 = 55;

/// Bytes that fill the window and what is below it, with room for the one behind.
const FULL: usize = 7;

/// States are numbered `2 × pStateIdx + valMPS`.
struct Table {
    /// Range of the less probable symbol at the window's place, by `4 × state` and the three highest bits of the range (the first
    /// is always a one, the others are `qCodIRangeIdx`).
    range: [u64; 4 * 256 + 4],
    /// How far that range is shifted up then, by the same.
    shift: [u8; 4 * 256 + 4],
    /// Next state after the more, and the less probable symbol.
    next: [[u8; 256]; 2],
}

static TABLE: Table = Table::new();

impl Table {
    const fn new() -> Self {
        let mut table = Self {
            range: [0; 4 * 256 + 4],
            shift: [0; 4 * 256 + 4],
            next: [[0; 256]; 2],
        };
        let mut state = 0;
        while state < 64 {
            let mut mps = 0;
            while mps < 2 {
                let index = 2 * state + mps;
                let mut quarter = 0;
                while quarter < 4 {
                    let range = (RANGE_LPS[state][quarter] as u64) << WINDOW;
                    table.range[4 * index + 4 + quarter] = range;
                    table.shift[4 * index + 4 + quarter] = range.leading_zeros() as u8;
                    quarter += 1;
                }
                let up = if state < 62 { state + 1 } else { state };
                table.next[0][index] = (2 * up + mps) as u8;
                let flipped = if state == 0 { 1 - mps } else { mps };
                table.next[1][index] = 2 * NEXT_LPS[state] + flipped as u8;
                mps += 1;
            }
            state += 1;
        }
        table
    }
}

/// A state for each `ctxIdx`; so long that the sum of a first context and a byte needs no check.
pub(super) type Contexts = [u8; 1024];

/// States at the start of a slice of type I (clause 9.3.1.1).
pub(super) fn contexts(qp: i32) -> Contexts {
    let mut contexts = [0; 1024];
    for (state, (m, n)) in contexts.iter_mut().zip(&CONTEXTS) {
        let before = ((i32::from(*m) * qp.clamp(0, 51)) >> 4) + i32::from(*n);
        let before = before.clamp(1, 126);
        *state = if before <= 63 {
            2 * (63 - before)
        } else {
            2 * (before - 64) + 1
        } as u8;
    }
    contexts
}

/// The engine. It is copied into locals where many bins are decoded in a row.
#[derive(Clone, Copy)]
pub(super) struct Engine<'a> {
    all: &'a [u8],
    /// What of it has not been taken.
    rest: &'a [u8],
    /// Bytes taken behind its end: zeros.
    beyond: usize,
    range: u64,
    /// The window, waiting bits, a one, zeros.
    offset: u64,
}

impl<'a> Engine<'a> {
    /// Starts at a byte of a padded payload.
    pub(super) fn new(all: &'a [u8], at: usize) -> Self {
        let rest = all.get(at..).unwrap_or_default();
        let (first, rest) = rest.split_at(rest.len().min(FULL));
        let mut word = [0; 8];
        word[..first.len()].copy_from_slice(first);
        Self {
            all,
            rest,
            beyond: FULL - first.len(),
            range: 510 << WINDOW,
            offset: u64::from_be_bytes(word) | 1 << 7,
        }
    }

    /// Bits read, the window included. At the end of a slice this is behind the stop bit.
    pub(super) fn position(&self) -> usize {
        let taken = 8 * (self.all.len() - self.rest.len() + self.beyond);
        let waiting = WINDOW.saturating_sub(self.offset.trailing_zeros() + 1);
        taken.saturating_sub(waiting as usize)
    }

    #[inline(always)]
    fn refill(&mut self) {
        let one = self.offset.trailing_zeros();
        let word = match self.rest.split_first_chunk::<4>() {
            Some((word, rest)) => {
                self.rest = rest;
                u64::from(u32::from_be_bytes(*word))
            }
            None => {
                self.beyond += 4;
                0
            }
        };
        // It is at 32 or a little above; the shift is masked only so that the compiler knows.
        self.offset = self.offset & (self.offset - 1) | (2 * word + 1) << (one & 31);
    }

    /// Refills when fewer than 23 bits wait.
    #[inline(always)]
    fn keep(&mut self) {
        if self.offset as u32 == 0 {
            self.refill();
        }
    }

    /// `DecodeDecision`.
    #[inline(always)]
    pub(super) fn bin(&mut self, contexts: &mut Contexts, index: usize) -> usize {
        let state = &mut contexts[index & 1023];
        let old = usize::from(*state);
        let at = 4 * old + (self.range >> 61) as usize;
        let less = TABLE.range[at];
        let more = self.range.wrapping_sub(less);
        if self.offset < more {
            *state = TABLE.next[0][old];
            let small = more >> 63 == 0;
            self.range = select_unpredictable(small, more << 1, more);
            self.offset = select_unpredictable(small, self.offset << 1, self.offset);
            self.keep();
            old & 1
        } else {
            *state = TABLE.next[1][old];
            let shift = TABLE.shift[at] & 63;
            self.range = less << shift;
            self.offset = self.offset.wrapping_sub(more) << shift;
            self.keep();
            old & 1 ^ 1
        }
    }

    /// `DecodeBypass`: all ones for a one.
    #[inline(always)]
    pub(super) fn bypass(&mut self) -> i32 {
        let half = self.range >> 1;
        let one = self.offset >= half;
        let rest = self.offset.wrapping_sub(half);
        self.offset = select_unpredictable(one, rest, self.offset) << 1;
        self.keep();
        -i32::from(one)
    }

    /// `DecodeTerminate`.
    #[inline]
    pub(super) fn terminate(&mut self) -> bool {
        self.range = self.range.wrapping_sub(2 << WINDOW);
        if self.offset >= self.range {
            return true;
        }
        let shift = self.range >> 63 ^ 1;
        self.range <<= shift;
        self.offset <<= shift;
        self.keep();
        false
    }

    /// Whole bytes behind the terminating bin, and the engine started anew behind them (clause 9.3.1.2).
    pub(super) fn raw(&mut self, count: usize) -> Option<&'a [u8]> {
        let from = self.position().div_ceil(8);
        let bytes = self.all.get(from..from + count)?;
        *self = Self::new(self.all, from + count);
        Some(bytes)
    }
}
