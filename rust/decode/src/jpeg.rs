//! JPEG (ITU-T T.81) at an eighth of its size: the luma's DC coefficients, which are the means of its 8×8 blocks.
//!
//! Sequential Huffman pictures of 8 bits (SOF0, SOF1) only. AC coefficients are passed over by table, several at a time where
//! their codes are short; nothing is transformed. Chroma is passed over the same way. The DC coefficient becomes a level as
//! libjpeg makes it at a scale of 1/8: `(dc × q + 4) >> 3`, plus 128.
//!
//! ```text
//! SOI ─ DQT ─ DHT ─ SOF ─ DRI ─ SOS ┐
//!        markers (B.1.1)            └─▶ restart segments, unstuffed ─▶ blocks: DC decoded, AC skipped ─▶ one level each
//! ```

mod decoder;
mod huffman;
mod markers;

pub use decoder::JpegEighth;
use huffman::Tables;
use markers::{Head, Scan};

use crate::Luma;

/// Pictures wider or higher are declined before anything is allocated.
const MAX_SIDE: usize = 8192;

/// A picture's luma at an eighth of its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eighth {
    /// Width of the whole picture in pixels.
    pub width: usize,
    /// Height of the whole picture in pixels.
    pub height: usize,
    /// A level a block: an eighth of the width and height, rounded up. A cut picture has fewer rows.
    pub luma: Luma,
    /// Where a picture that is not whole ended.
    pub cut: Option<Cut>,
}

/// Where a picture's data ended or stopped making sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} after {blocks} of {of} luma blocks, in the data after byte {byte}")]
pub struct Cut {
    /// Luma blocks that were read, in the order of the scan.
    pub blocks: usize,
    /// How many there should be.
    pub of: usize,
    /// Where the restart segment begins that could not be read to its end.
    pub byte: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

/// Why there is no picture at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JpegError {
    /// Sound, as far as was looked, but not of a kind that is decoded here.
    #[error("{0}")]
    Declined(&'static str),
    /// Damaged before a row of blocks was whole.
    #[error("byte {byte}: {reason}")]
    Damaged {
        /// Where.
        byte: usize,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Decodes a JPEG picture's luma at an eighth of its size.
///
/// # Errors
/// [`JpegError`], if not one row of blocks could be given.
pub fn jpeg_eighth(data: &[u8]) -> Result<Eighth, JpegError> {
    let mut head = Head::new();
    let scan = head.read(data)?;
    if !head.has_luma() {
        return Err(JpegError::Declined("JPEG in other colours than YCbCr"));
    }
    let mut grid = Grid::new(&head, &scan);
    let cut = grid.fill(&head, &scan, data);
    let rows = match &cut {
        Some(cut) => grid.whole_rows(cut.blocks),
        None => grid.rows,
    };
    if let (0, Some(cut)) = (rows, &cut) {
        return Err(JpegError::Damaged {
            byte: cut.byte,
            reason: cut.reason,
        });
    }
    let (width, height) = (head.width.div_ceil(8), head.height.div_ceil(8).min(rows));
    let mut levels = Vec::with_capacity(width * height);
    for row in grid.levels.chunks_exact(grid.columns).take(height) {
        levels.extend_from_slice(&row[..width]);
    }
    Ok(Eighth {
        width: head.width,
        height: head.height,
        luma: Luma {
            width,
            height,
            data: levels,
        },
        cut,
    })
}

/// The luma blocks of a scan, padded to whole MCUs (A.2).
struct Grid {
    columns: usize,
    rows: usize,
    /// Luma blocks of an MCU: across and down.
    across: usize,
    down: usize,
    levels: Vec<u8>,
}

impl Grid {
    fn new(head: &Head, scan: &Scan) -> Self {
        // A component alone in its scan is not interleaved: an MCU is one block, and nothing is padded (A.2.2).
        let (across, down) = if scan.parts.len() == 1 {
            (1, 1)
        } else {
            (head.components[0].across, head.components[0].down)
        };
        let columns = head.width.div_ceil(8 * across) * across;
        let rows = head.height.div_ceil(8 * down) * down;
        Self {
            columns,
            rows,
            across,
            down,
            levels: vec![0; columns * rows],
        }
    }

    /// Rows of blocks that are whole when the first `blocks` in the order of the scan are there.
    fn whole_rows(&self, blocks: usize) -> usize {
        blocks / (self.columns * self.down) * self.down
    }

    fn fill(&mut self, head: &Head, scan: &Scan, data: &[u8]) -> Option<Cut> {
        let mcus_across = self.columns / self.across;
        let mcus = mcus_across * (self.rows / self.down);
        let interval = if head.restart == 0 {
            mcus
        } else {
            head.restart
        };
        let alone = scan.parts.len() == 1;
        let mut plan = Vec::new();
        for part in &scan.parts {
            let component = &head.components[part.component];
            let blocks = if alone {
                1
            } else {
                component.across * component.down
            };
            plan.push((
                part.component == 0,
                blocks,
                &head.dc[part.dc],
                &head.ac[part.ac],
            ));
        }
        let quantiser = i32::from(head.quantisers[head.components[0].quantiser]);
        let mut segment = Segment::default();
        let mut at = scan.data;
        let mut mcu = 0;
        while mcu < mcus {
            let begins = at;
            let cut = |mcu: usize, blocks: usize, reason| {
                let each = self.across * self.down;
                Some(Cut {
                    blocks: mcu * each + blocks,
                    of: mcus * each,
                    byte: begins,
                    reason,
                })
            };
            let next = segment.unstuff(data, at);
            let mut bits = segment.bits();
            let mut last = 0i32;
            for mcu in mcu..mcus.min(mcu + interval) {
                let (x, y) = (
                    mcu % mcus_across * self.across,
                    mcu / mcus_across * self.down,
                );
                for (luma, blocks, dc, ac) in &plan {
                    for block in 0..*blocks {
                        let Some(difference) = block_of(&mut bits, dc, ac) else {
                            let reason = if bits.overrun() {
                                "ends"
                            } else {
                                "a code that is in no table"
                            };
                            return cut(mcu, if *luma { block } else { 0 }, reason);
                        };
                        if *luma {
                            last = last.wrapping_add(difference);
                            let level = (last.wrapping_mul(quantiser).wrapping_add(4) >> 3)
                                .saturating_add(128);
                            let (bx, by) = (x + block % self.across, y + block / self.across);
                            self.levels[by * self.columns + bx] = level.clamp(0, 255) as u8;
                        }
                    }
                }
                if bits.overrun() {
                    return cut(mcu, 0, "ends");
                }
            }
            mcu += interval;
            if mcu < mcus {
                match next {
                    Some(marker) if matches!(data.get(marker + 1), Some(0xd0..=0xd7)) => {
                        at = marker + 2;
                    }
                    _ => return cut(mcu, 0, "ends without a restart marker where one must be"),
                }
            }
        }
        None
    }
}

/// A block's DC difference; its AC coefficients are passed over. None where no code fits or the data ends.
#[inline]
fn block_of(bits: &mut Bits<'_>, dc: &Tables, ac: &Tables) -> Option<i32> {
    let window = bits.peek();
    let (length, size) = dc.symbol(window)?;
    if size > 15 {
        return None;
    }
    let size = u32::from(size);
    bits.skip(length + size);
    // Table F.1 and F.12: negative differences are written as their one's complement.
    let difference = if size == 0 {
        0
    } else {
        let value = (window << length >> (64 - size)) as i32;
        if value >> (size - 1) == 0 {
            value - ((1 << size) - 1)
        } else {
            value
        }
    };
    let mut position = 1;
    while position < 64 {
        let window = bits.peek();
        let many = ac.many(window);
        if many.bits > 0 && position + many.advance < 64 {
            bits.skip(u32::from(many.bits));
            position += many.advance;
            if many.ends {
                break;
            }
            continue;
        }
        let (length, symbol) = ac.symbol(window)?;
        let size = u32::from(symbol & 15);
        bits.skip(length + size);
        match symbol {
            0 => break,
            0xf0 => position += 16,
            _ if size == 0 => return None,
            _ => position += usize::from(symbol >> 4) + 1,
        }
    }
    (position <= 64 && !bits.overrun()).then_some(difference)
}

/// The bytes between two restart markers, without the zeros stuffed after 0xff (B.1.1.5).
#[derive(Default)]
struct Segment {
    bytes: Vec<u8>,
    length: usize,
}

/// Zeros behind the bytes, so that eight can be read at every place.
const PADDING: usize = 8;

impl Segment {
    /// Takes the segment that starts at `at`; returns where the marker stands that ends it.
    fn unstuff(&mut self, data: &[u8], mut at: usize) -> Option<usize> {
        self.bytes.clear();
        let mut end = None;
        loop {
            let rest = data.get(at..).unwrap_or_default();
            let Some(found) = memchr::memchr(0xff, rest) else {
                self.bytes.extend_from_slice(rest);
                break;
            };
            match rest.get(found + 1) {
                Some(0) => {
                    self.bytes.extend_from_slice(&rest[..=found]);
                    at += found + 2;
                }
                // Fill bytes before a marker (B.1.1.2).
                Some(0xff) => {
                    self.bytes.extend_from_slice(&rest[..found]);
                    at += found + 1;
                }
                Some(_) => {
                    self.bytes.extend_from_slice(&rest[..found]);
                    end = Some(at + found);
                    break;
                }
                None => {
                    self.bytes.extend_from_slice(&rest[..found]);
                    break;
                }
            }
        }
        self.length = self.bytes.len();
        self.bytes.extend_from_slice(&[0; PADDING]);
        end
    }

    fn bits(&self) -> Bits<'_> {
        Bits {
            bytes: &self.bytes,
            at: 0,
            end: self.length * 8,
        }
    }
}

/// Reads bits from the highest down; behind the end there are zeros.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl Bits<'_> {
    /// The next 57 bits or more, left-aligned.
    #[inline]
    fn peek(&self) -> u64 {
        let word = self
            .bytes
            .get(self.at >> 3..)
            .and_then(|rest| rest.first_chunk::<8>());
        word.map_or(0, |word| u64::from_be_bytes(*word) << (self.at & 7))
    }

    #[inline]
    fn skip(&mut self, bits: u32) {
        self.at += bits as usize;
    }

    #[inline]
    fn overrun(&self) -> bool {
        self.at > self.end
    }
}
