//! H.264 (ITU-T H.264, ISO/IEC 14496-10): luma of intra pictures.
//!
//! Whether something moves is decided by luma of key pictures. That leaves little of a decoder: chroma is read but not made,
//! there are no other pictures to refer to, and the loop filter is left out, which intra prediction does not see (it works on
//! unfiltered pixels). What comes out equals FFmpeg's with `skip_loop_filter=all`, bit by bit.
//!
//! ```text
//! unit ─▶ bits: payload without emulation prevention
//!           └▶ sets: slice header, parameter sets (7.3.3; 7.3.2 by edusense-bitstream)
//!                └▶ macroblock: syntax (7.3.5) ◀─ cabac_syntax + cabac (9.3) │ cavlc (9.2)
//!                      ├▶ predict (8.3) in a window of one macroblock
//!                      └▶ transform (8.5) added to it ─▶ the picture
//! ```

mod bits;
mod cabac;
mod cabac_syntax;
mod cavlc;
mod cavlc_tables;
mod macroblock;
mod predict;
mod row;
mod sets;
mod standard;
mod transform;

use bits::Payload;
use cabac::Engine;
use cabac_syntax::Cabac;
use cavlc::Cavlc;
use edusense_bitstream::h264::Parameters;
use edusense_bitstream::nal::{annex_b, h264 as nal};
use edusense_bitstream::{AccessUnit, Codec, Error};
use macroblock::{Macroblock, Rules, Side, Syntax};
use predict::Around;
use row::Row;
use sets::{Frame, Header};

use crate::{Band, Decoder, Detail, Refusal};

/// Bits that may stand between where a slice ends and where its payload does. None should; some encoders pad.
const SLACK: usize = 32;

/// Why a slice cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Declined(&'static str),
    /// A syntax element that has no such value.
    Invalid(&'static str),
    Damaged(&'static str),
}

const fn declined(what: &'static str) -> Fault {
    Fault::Declined(what)
}

const fn invalid(element: &'static str) -> Fault {
    Fault::Invalid(element)
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Declined(reason) | Self::Damaged(reason) => out.write_str(reason),
            Self::Invalid(element) => write!(out, "`{element}` has an impossible value"),
        }
    }
}

/// Decodes the luma of H.264 key pictures, without the loop filter.
///
/// Runs of which other pictures than key pictures are wanted are declined at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct H264Intra;

impl Decoder for H264Intra {
    fn name(&self) -> &'static str {
        "h264-intra"
    }

    fn decode(
        &self,
        run: &[AccessUnit],
        wanted: &dyn Fn(usize) -> bool,
        _: Detail,
        sink: &mut dyn FnMut(usize, Band<'_>),
    ) -> Result<(), Refusal> {
        let declined = |reason: &str| {
            Err(Refusal::Declined {
                reason: reason.to_owned(),
            })
        };
        if run.iter().any(|unit| unit.codec != Codec::H264) {
            return declined("not H.264");
        }
        if run
            .iter()
            .enumerate()
            .any(|(index, unit)| !unit.key && wanted(index))
        {
            return declined("pictures between key pictures are wanted");
        }
        let mut known = Parameters::default();
        let mut picture = Picture::new();
        for (index, unit) in run.iter().enumerate() {
            // Parameter sets stand in front of key pictures.
            if !unit.key {
                continue;
            }
            if wanted(index) {
                picture
                    .decode(&mut known, &unit.data, &mut |band| sink(index, band))
                    .map_err(|trouble| trouble.at(index))?;
            }
        }
        Ok(())
    }
}

/// What is wrong with a picture.
enum Trouble {
    Fault(Fault),
    Sets(Error),
    /// From where to where macroblocks are missing, and across how many the picture is.
    Missing {
        from: usize,
        to: usize,
        across: usize,
        why: Fault,
    },
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Trouble {
    fn at(self, index: usize) -> Refusal {
        let reason = match self {
            Self::Fault(Fault::Declined(reason))
            | Self::Missing {
                why: Fault::Declined(reason),
                ..
            } => {
                return Refusal::Declined {
                    reason: reason.to_owned(),
                };
            }
            Self::Sets(error @ Error::Declined { .. }) => {
                return Refusal::Declined {
                    reason: error.to_string(),
                };
            }
            Self::Fault(fault) => fault.to_string(),
            Self::Sets(error) => error.to_string(),
            Self::Missing {
                from,
                to,
                across,
                why,
            } => {
                let (first, last) = (from, to - 1);
                format!(
                    "macroblocks {first} to {last} are missing, from column {} of row {} to column {} of row {}: {why}",
                    first % across,
                    first / across,
                    last % across,
                    last / across
                )
            }
        };
        Refusal::Damaged { index, reason }
    }
}

/// A picture in the making. Of its pixels only a row of macroblocks is kept, and the line above it.
struct Picture {
    payload: Payload,
    row: Row,
    above: Vec<Side>,
    block: Box<Macroblock>,
}

impl Picture {
    fn new() -> Self {
        Self {
            payload: Payload::default(),
            row: Row::default(),
            above: Vec::new(),
            block: Box::new(Macroblock::new()),
        }
    }

    /// Decodes an access unit; `sink` gets each row of macroblocks when the next one begins, the last when nothing is missing.
    fn decode(
        &mut self,
        known: &mut Parameters,
        data: &[u8],
        sink: &mut dyn FnMut(Band<'_>),
    ) -> Result<(), Trouble> {
        let mut frame: Option<Frame> = None;
        let mut next = 0;
        for (number, unit) in annex_b(data).enumerate() {
            match nal::kind(unit) {
                nal::SPS => drop(known.sps(unit, number).map_err(Trouble::Sets)?),
                nal::PPS => known.pps(unit, number).map_err(Trouble::Sets)?,
                2..=4 => return Err(declined("H.264 with data partitioning").into()),
                1 | nal::IDR => {
                    self.payload
                        .take(unit)
                        .ok_or(Fault::Damaged("a slice without a stop bit"))?;
                    let mut bits = self.payload.bits();
                    let header = sets::header(known, unit, &mut bits)?;
                    if bits.at > self.payload.length {
                        return Err(Fault::Damaged("ends in a slice header").into());
                    }
                    if header.redundant {
                        continue;
                    }
                    if *frame.get_or_insert(header.frame) != header.frame {
                        return Err(Fault::Damaged("slices of two sizes in one picture").into());
                    }
                    next = self.slice(&header, bits.at, next, sink)?;
                }
                _ => {}
            }
        }
        let frame = frame.ok_or(Fault::Damaged("no slice in the picture"))?;
        let all = frame.across * frame.down;
        if next < all {
            return Err(Trouble::Missing {
                from: next,
                to: all,
                across: frame.across,
                why: Fault::Damaged("no slice has them"),
            });
        }
        self.row.finish(frame, sink);
        Ok(())
    }

    /// Decodes a slice whose data begin at a bit; returns the macroblock behind its last one.
    fn slice(
        &mut self,
        header: &Header,
        at: usize,
        expected: usize,
        sink: &mut dyn FnMut(Band<'_>),
    ) -> Result<usize, Trouble> {
        let frame = header.frame;
        let all = frame.across * frame.down;
        if header.first < expected {
            return Err(declined("slices in arbitrary order (ASO), or two pictures in one").into());
        }
        if header.first > expected {
            return Err(Trouble::Missing {
                from: expected,
                to: header.first,
                across: frame.across,
                why: Fault::Damaged("no slice has them"),
            });
        }
        self.row.fit(frame.across);
        let mut place = header.first;
        let done = if header.cabac {
            let start = at.div_ceil(8);
            let mut syntax = Cabac::new(Engine::new(self.payload.padded(), start), header.qp);
            let length = self.payload.length;
            run(
                &mut syntax,
                header,
                (&mut self.row, &mut self.above, &mut self.block),
                &mut place,
                sink,
                |syntax| {
                    // The last bit that is decoded is the stop bit.
                    if syntax.position() > length + 8 {
                        return Err(Fault::Damaged("the slice ends"));
                    }
                    let ends = syntax.ends();
                    if ends && syntax.position() + SLACK < length {
                        return Err(Fault::Damaged("data behind the end of the slice"));
                    }
                    Ok(ends)
                },
            )
        } else {
            let mut bits = self.payload.bits();
            bits.at = at;
            let length = self.payload.length;
            run(
                &mut Cavlc::new(bits),
                header,
                (&mut self.row, &mut self.above, &mut self.block),
                &mut place,
                sink,
                |syntax| match syntax.position().cmp(&length) {
                    std::cmp::Ordering::Less => Ok(false),
                    std::cmp::Ordering::Equal => Ok(true),
                    std::cmp::Ordering::Greater => Err(Fault::Damaged("the slice ends")),
                },
            )
        };
        done.map_err(|why| Trouble::Missing {
            from: place.min(all - 1),
            to: all,
            across: frame.across,
            why,
        })?;
        Ok(place)
    }
}

/// `slice_data()`, clause 7.3.4; `place` goes on to the macroblock behind the last whole one.
fn run<S: Syntax>(
    syntax: &mut S,
    header: &Header,
    (row, above, block): (&mut Row, &mut Vec<Side>, &mut Macroblock),
    place: &mut usize,
    sink: &mut dyn FnMut(Band<'_>),
    mut ends: impl FnMut(&mut S) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    let Frame { across, down, .. } = header.frame;
    let rules = Rules {
        scales: &header.scales,
        eight_by_eight: header.eight_by_eight,
        chroma: header.frame.chroma,
    };
    let absent = Side::absent(S::ABSENT_COUNT);
    above.clear();
    above.resize(across, absent);
    let mut left = absent;
    let mut qp = header.qp;
    let first = header.first;
    let (mut x, mut y) = (first % across, first / across);
    loop {
        if x == across {
            (x, y) = (0, y + 1);
        }
        if y >= down {
            return Err(Fault::Damaged("more macroblocks than the picture has"));
        }
        if x == 0 && y > 0 {
            row.show(header.frame, y - 1, sink);
            row.turn();
        }
        // Neighbours of other slices are as good as absent (6.4.8).
        let around = Around {
            left: x > 0 && *place > first,
            top: *place >= first + across,
            corner: x > 0 && *place > first + across,
            top_right: x + 1 < across && *place + 1 >= first + across,
        };
        if !around.left {
            left = absent;
        }
        block.fetch(row.above(x));
        block.decode(syntax, &rules, (&left, &above[x]), around, &mut qp)?;
        row.put(x, block.window());
        block.leave(&mut left, &mut above[x]);
        *place += 1;
        x += 1;
        if ends(syntax)? {
            return Ok(());
        }
    }
}
