//! Tables for decoding variable-length codes, made of the standard's at compile time: what the next bits mean, and how many they are.

use super::standard::{COEFF_TOKEN, RUN_BEFORE, TOTAL_ZEROS, TOTAL_ZEROS_CHROMA_DC};

/// A code's length and what it means; length 0: no code.
pub(super) type Code = (u8, u8);

/// `coeff_token` by leading zeros and the three bits behind the one: `4 × TotalCoeff + TrailingOnes`.
pub(super) static TOKENS: [[Code; 128]; 5] = {
    let mut tables = [[(0, 0); 128]; 5];
    let mut table = 0;
    while table < 5 {
        let mut total = 0;
        while total < 17 {
            let mut ones = 0;
            while ones < 4 {
                let (value, length) = COEFF_TOKEN[table][total][ones];
                fill(&mut tables[table], value, length, (4 * total + ones) as u8);
                ones += 1;
            }
            total += 1;
        }
        table += 1;
    }
    tables
};

/// Enters a code wherever it can stand at the beginning of what is looked up.
const fn fill(table: &mut [Code; 128], value: u8, length: u8, meaning: u8) {
    if length == 0 {
        return;
    }
    let mut index = 0;
    while index < 128 {
        // Sixteen bits as the index sees them: leading zeros, a one, three bits. The last row has no one within reach.
        let (zeros, rest) = (index / 8, index % 8);
        let bits = (8 | rest) << 28 >> zeros;
        if bits >> (32 - length as u32) == value as u32 && (zeros < length as u32 || value == 0) {
            table[index as usize] = (length, meaning);
        }
        index += 1;
    }
}

/// The same by the next eight bits, for codes that are no longer.
pub(super) static SHORT_TOKENS: [[Code; 256]; 5] = {
    let mut tables = [[(0, 0); 256]; 5];
    let mut table = 0;
    while table < 5 {
        let mut token = 0;
        while token < 68 {
            let (value, length) = COEFF_TOKEN[table][token / 4][token % 4];
            let mut index = 0;
            while length > 0 && length <= 8 && index < 256 {
                if index >> (8 - length) == value as usize {
                    tables[table][index] = (length, token as u8);
                }
                index += 1;
            }
            token += 1;
        }
        table += 1;
    }
    tables
};

/// Which of them by the sum of both neighbours' counts, of which absent ones count 64 (9.2.1); both absent is as good as both empty.
pub(super) static TABLE_OF: [u8; 128] = {
    let mut tables = [0; 128];
    let mut sum = 0;
    while sum < 128 {
        let near = if sum < 64 { (sum + 1) >> 1 } else { sum & 31 };
        tables[sum] = match near {
            0 | 1 => 0,
            2 | 3 => 1,
            4..8 => 2,
            _ => 3,
        };
        sum += 1;
    }
    tables
};

/// A level as its code says it: the level, the code's length (0: longer than eight bits), and the [`Pace`] of the next one.
#[derive(Clone, Copy)]
pub(super) struct Level {
    pub(super) level: i8,
    pub(super) length: u8,
    pub(super) next: u8,
}

/// How a level is coded: 0 and 1 the first behind less than three trailing ones, with no suffix or one of one bit; from 2 on the
/// others, by the length of the suffix.
pub(super) type Pace = u8;

/// Levels by their pace and the next eight bits.
pub(super) static LEVELS: [[Level; 256]; 9] = {
    let mut tables = [[Level {
        level: 0,
        length: 0,
        next: 0,
    }; 256]; 9];
    let mut pace = 0;
    while pace < 9 {
        let suffix = suffix_of(pace as Pace);
        let mut index = 1;
        while index < 256 {
            let prefix = (index as u8).leading_zeros();
            let length = prefix + 1 + suffix;
            if length <= 8 {
                let rest = (index >> (8 - length)) as u32 & ((1 << suffix) - 1);
                let level = level_of(((prefix << suffix) + rest) as i32, pace as Pace);
                tables[pace][index] = Level {
                    level: level as i8,
                    length: length as u8,
                    next: pace_after(pace as Pace, level),
                };
            }
            index += 1;
        }
        pace += 1;
    }
    tables
};

pub(super) const fn suffix_of(pace: Pace) -> u32 {
    if pace < 2 {
        pace as u32
    } else {
        pace as u32 - 2
    }
}

/// The level of a `levelCode` (9.2.2.1).
pub(super) const fn level_of(code: i32, pace: Pace) -> i32 {
    let code = if pace < 2 { code + 2 } else { code };
    if code & 1 == 0 {
        (code + 2) >> 1
    } else {
        (-code - 1) >> 1
    }
}

/// Suffixes grow with the levels.
pub(super) const fn pace_after(pace: Pace, level: i32) -> Pace {
    let mut suffix = suffix_of(pace);
    if suffix == 0 {
        suffix = 1;
    }
    if level.abs() > 3 << (suffix - 1) && suffix < 6 {
        suffix += 1;
    }
    suffix as Pace + 2
}

/// `total_zeros` by the next nine bits.
pub(super) static ZEROS: [[Code; 512]; 16] = {
    let mut tables = [[(0, 0); 512]; 16];
    let mut table = 1;
    while table < 16 {
        let mut zeros = 0;
        while zeros < 16 {
            let (value, length) = TOTAL_ZEROS[table][zeros];
            let mut index = 0;
            while length > 0 && index < 512 {
                if index >> (9 - length) == value as usize {
                    tables[table][index] = (length, zeros as u8);
                }
                index += 1;
            }
            zeros += 1;
        }
        table += 1;
    }
    tables
};

/// The same of chroma DC, and `run_before`, by the next three bits; longer runs go on by unary codes.
pub(super) static ZEROS_CHROMA_DC: [[Code; 8]; 4] = short(&TOTAL_ZEROS_CHROMA_DC);
pub(super) static RUNS: [[Code; 8]; 8] = short(&RUN_BEFORE);

const fn short<const N: usize, const M: usize>(codes: &[[(u8, u8); M]; N]) -> [[Code; 8]; N] {
    let mut tables = [[(0, 0); 8]; N];
    let mut table = 0;
    while table < N {
        let mut meaning = 0;
        while meaning < M {
            let (value, length) = codes[table][meaning];
            let mut index = 0;
            while length > 0 && index < 8 {
                if index >> (3 - length) == value as usize {
                    tables[table][index] = (length, meaning as u8);
                }
                index += 1;
            }
            meaning += 1;
        }
        table += 1;
    }
    tables
}
