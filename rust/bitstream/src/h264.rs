//! H.264: parameter sets (clause 7.3.2.1, 7.3.2.2, through `h264-reader`) and slice headers down to the slice's QP (7.3.3, ours).
//!
//! A slice header is read for every slice of every picture of every camera, so it is read without allocating, and no further
//! than `slice_qp_delta`.

use h264_reader::Context;
use h264_reader::nal::pps::{PicParamSetId, PpsError};
use h264_reader::nal::sps::SpsError;
use h264_reader::rbsp::BitReaderError;

pub use h264_reader::nal::pps::PicParameterSet;
pub use h264_reader::nal::sps::{
    ChromaFormat, FrameMbsFlags, PicOrderCntType, ScalingLists8x8Resolved, SeqParameterSet,
};

use crate::bits::{At, Bits};
use crate::error::{Error, Place};
use crate::facts::SliceKind;
use crate::head::Head;
use crate::nal::h264::IDR;
use crate::stream::Description;

/// Entries of a reference list (7.4.3: at most 32); longer loops are damage.
const MAX_REFERENCES: u32 = 32;

/// Commands in one slice header that cannot be meant: twice the reference fields there can be.
const MAX_COMMANDS: u32 = 66;

/// Where `level_idc` stands in the unit of a sequence parameter set, and its highest value (6.2).
const LEVEL_AT: usize = 3;
const HIGHEST_LEVEL: u8 = 62;

/// What the gate wants of a slice header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SliceHeader {
    pub(crate) first_macroblock: u32,
    pub(crate) kind: SliceKind,
    pub(crate) qp: i8,
    pub(crate) macroblocks: u32,
    pub(crate) sps: u8,
}

/// Parameter sets as they were sent.
#[derive(Debug, Default)]
pub struct Parameters {
    context: Context,
}

impl Parameters {
    /// Takes a sequence parameter set, the `number`th unit of its access unit; returns its id.
    ///
    /// # Errors
    /// [`Error`] with the place.
    pub fn sps(&mut self, unit: &[u8], number: usize) -> Result<u8, Error> {
        let mut at = At::default();
        let mut parsed = SeqParameterSet::from_bits(Bits::new(unit, &mut at));
        // Encoders name levels that are too low for their picture's size. That is a promise broken, not a picture damaged.
        if let Err(SpsError::FieldValueTooLarge {
            name: "pic_size_in_map_units",
            ..
        }) = parsed
            && let Some(&level) = unit.get(LEVEL_AT)
        {
            let mut lifted = unit.to_vec();
            lifted[LEVEL_AT] = HIGHEST_LEVEL;
            parsed = SeqParameterSet::from_bits(Bits::new(&lifted, &mut at));
            if let Ok(sps) = &mut parsed {
                sps.level_idc = level;
            }
        }
        let sps = parsed.map_err(|error| match error {
            SpsError::RbspReaderError(error) => located(unit, number, at, Some(&error)),
            other => value(unit, number, at, format!("{other:?}")),
        })?;
        // Cropping may leave nothing: h264-reader computes it only when asked.
        match sps.pixel_dimensions() {
            Ok((1.., 1..)) => {}
            Ok((width, height)) => {
                let detail = format!("crops the picture to {width}×{height}");
                return Err(value(unit, number, at, detail));
            }
            Err(error) => return Err(value(unit, number, at, format!("{error:?}"))),
        }
        let id = sps.id().id();
        self.context.put_seq_param_set(sps);
        Ok(id)
    }

    /// Takes a picture parameter set, the `number`th unit of its access unit.
    ///
    /// # Errors
    /// [`Error`] with the place.
    pub fn pps(&mut self, unit: &[u8], number: usize) -> Result<(), Error> {
        let mut at = At::default();
        let pps = PicParameterSet::from_bits(&self.context, Bits::new(unit, &mut at)).map_err(
            |error| match error {
                PpsError::RbspReaderError(error) => located(unit, number, at, Some(&error)),
                PpsError::UnknownSeqParamSetId(id) => Error::Missing {
                    place: place(unit, number, at),
                    what: "sequence parameter set",
                    id: u32::from(id.id()),
                },
                other => value(unit, number, at, format!("{other:?}")),
            },
        )?;
        // No decoder that is used here knows slice groups, and their maps are as large as a stranger likes: they are not kept.
        if pps.slice_groups.is_some() {
            return Err(Error::Declined {
                what: "H.264 with slice groups (flexible macroblock ordering)",
            });
        }
        self.context.put_pic_param_set(pps);
        Ok(())
    }

    /// The sets that a slice with this `pic_parameter_set_id` refers to, if both were sent.
    #[must_use]
    pub fn active(&self, id: u32) -> Option<(&SeqParameterSet, &PicParameterSet)> {
        let pps = self.context.pps_by_id(PicParamSetId::from_u32(id).ok()?)?;
        let sps = self.context.sps_by_id(pps.seq_parameter_set_id)?;
        Some((sps, pps))
    }

    /// Reads a slice header down to its QP.
    pub(crate) fn slice(&self, unit: &[u8], number: usize) -> Result<SliceHeader, Error> {
        let mut at = At::default();
        let mut bits = Head::new(unit, &mut at);
        match self.header(&mut bits, unit) {
            Ok(header) => Ok(header),
            Err(Fault::Bits(error)) => Err(located(unit, number, at, Some(&error))),
            Err(Fault::Value(detail)) => Err(value(unit, number, at, detail)),
            Err(Fault::Missing(what, id)) => Err(Error::Missing {
                place: place(unit, number, at),
                what,
                id,
            }),
        }
    }

    /// `slice_header()`, clause 7.3.3, in its order.
    fn header(&self, bits: &mut Head<'_>, unit: &[u8]) -> Result<SliceHeader, Fault> {
        let idr = unit.first().is_some_and(|header| header & 0x1f == IDR);
        let reference = unit.first().is_some_and(|header| header & 0x60 != 0);
        let first_macroblock = bits.read_ue("first_mb_in_slice")?;
        let slice_type = bits.read_ue("slice_type")?;
        let kind = SliceKind::from_slice_type(slice_type)
            .ok_or_else(|| Fault::Value(slice_type.to_string()))?;
        let id = bits.read_ue("pic_parameter_set_id")?;
        let pps = PicParamSetId::from_u32(id)
            .ok()
            .and_then(|id| self.context.pps_by_id(id));
        let pps = pps.ok_or(Fault::Missing("picture parameter set", id))?;
        let sps_id = pps.seq_parameter_set_id;
        let sps = self.context.sps_by_id(sps_id);
        let sps = sps.ok_or(Fault::Missing(
            "sequence parameter set",
            u32::from(sps_id.id()),
        ))?;
        if sps.chroma_info.separate_colour_plane_flag {
            bits.skip(2, "colour_plane_id")?;
        }
        bits.skip(u32::from(sps.log2_max_frame_num()), "frame_num")?;
        let mut field = false;
        if matches!(sps.frame_mbs_flags, FrameMbsFlags::Fields { .. }) {
            field = bits.read_bit("field_pic_flag")?;
            if field {
                bits.read_bit("bottom_field_flag")?;
            }
        }
        if idr {
            bits.read_ue("idr_pic_id")?;
        }
        picture_order(bits, sps, pps, field)?;
        if pps.redundant_pic_cnt_present_flag {
            bits.read_ue("redundant_pic_cnt")?;
        }
        if kind == SliceKind::B {
            bits.read_bit("direct_spatial_mv_pred_flag")?;
        }
        let active = active_references(bits, pps, kind)?;
        reference_lists(bits, kind)?;
        let weighted = kind == SliceKind::P && pps.weighted_pred_flag
            || kind == SliceKind::B && pps.weighted_bipred_idc == 1;
        if weighted {
            weights(bits, sps, kind, active)?;
        }
        if reference {
            marking(bits, idr)?;
        }
        if pps.entropy_coding_mode_flag && kind != SliceKind::I {
            bits.read_ue("cabac_init_idc")?;
        }
        let delta = bits.read_se("slice_qp_delta")?;
        let qp = 26 + pps.pic_init_qp_minus26 + delta;
        let lowest = -6 * i32::from(sps.chroma_info.bit_depth_luma_minus8);
        let qp = i8::try_from(qp)
            .ok()
            .filter(|qp| (lowest..=51).contains(&i32::from(*qp)));
        let qp = qp.ok_or_else(|| {
            Fault::Value(format!("{delta}, which makes a QP outside {lowest} to 51"))
        })?;
        let macroblocks = macroblocks_of(sps);
        if first_macroblock >= macroblocks {
            return Err(Fault::Value(format!(
                "first macroblock {first_macroblock} of {macroblocks}"
            )));
        }
        Ok(SliceHeader {
            first_macroblock,
            kind,
            qp,
            macroblocks,
            sps: sps_id.id(),
        })
    }

    /// What the sequence parameter set says of the stream.
    pub(crate) fn describe(&self, id: u8) -> Option<Description> {
        let sps = self.context.sps().find(|sps| sps.id().id() == id)?;
        let (width, height) = sps.pixel_dimensions().ok()?;
        let pps = self
            .context
            .pps()
            .find(|pps| pps.seq_parameter_set_id.id() == id);
        Some(Description {
            profile: format!("{:?}", sps.profile()),
            level: Some(f32::from(sps.level_idc) / 10.0),
            width,
            height,
            coded_width: sps.pic_width_in_mbs() * 16,
            coded_height: macroblocks_of(sps) / sps.pic_width_in_mbs().max(1) * 16,
            macroblocks: macroblocks_of(sps),
            entropy_coder: pps.map(|pps| {
                if pps.entropy_coding_mode_flag {
                    "CABAC"
                } else {
                    "CAVLC"
                }
            }),
            interlaced: matches!(sps.frame_mbs_flags, FrameMbsFlags::Fields { .. }),
            chroma: match sps.chroma_info.chroma_format {
                ChromaFormat::Monochrome => "4:0:0",
                ChromaFormat::YUV420 => "4:2:0",
                ChromaFormat::YUV422 => "4:2:2",
                ChromaFormat::YUV444 => "4:4:4",
                _ => "unknown",
            },
            bit_depth: 8 + sps.chroma_info.bit_depth_luma_minus8,
            reference_frames: sps.max_num_ref_frames,
            rate: sps.fps().filter(|rate| rate.is_finite() && *rate > 0.0),
        })
    }
}

/// Why a header cannot be read; the place is added by the caller.
enum Fault {
    Bits(BitReaderError),
    Value(String),
    Missing(&'static str, u32),
}

impl From<BitReaderError> for Fault {
    fn from(error: BitReaderError) -> Self {
        Self::Bits(error)
    }
}

fn macroblocks_of(sps: &SeqParameterSet) -> u32 {
    let fields = if matches!(sps.frame_mbs_flags, FrameMbsFlags::Fields { .. }) {
        2
    } else {
        1
    };
    sps.pic_width_in_mbs()
        .saturating_mul(sps.pic_height_in_map_units())
        .saturating_mul(fields)
}

fn picture_order(
    bits: &mut Head<'_>,
    sps: &SeqParameterSet,
    pps: &PicParameterSet,
    field: bool,
) -> Result<(), Fault> {
    let both = pps.bottom_field_pic_order_in_frame_present_flag && !field;
    match sps.pic_order_cnt {
        PicOrderCntType::TypeZero {
            log2_max_pic_order_cnt_lsb_minus4,
        } => {
            bits.skip(
                u32::from(log2_max_pic_order_cnt_lsb_minus4) + 4,
                "pic_order_cnt_lsb",
            )?;
            if both {
                bits.read_se("delta_pic_order_cnt_bottom")?;
            }
        }
        PicOrderCntType::TypeOne {
            delta_pic_order_always_zero_flag,
            ..
        } => {
            if !delta_pic_order_always_zero_flag {
                bits.read_se("delta_pic_order_cnt[0]")?;
                if both {
                    bits.read_se("delta_pic_order_cnt[1]")?;
                }
            }
        }
        PicOrderCntType::TypeTwo => {}
    }
    Ok(())
}

/// How many references lists 0 and 1 have.
fn active_references(
    bits: &mut Head<'_>,
    pps: &PicParameterSet,
    kind: SliceKind,
) -> Result<[u32; 2], Fault> {
    let mut active = [
        pps.num_ref_idx_l0_default_active_minus1,
        pps.num_ref_idx_l1_default_active_minus1,
    ];
    if kind != SliceKind::I && bits.read_bit("num_ref_idx_active_override_flag")? {
        active[0] = bits.read_ue("num_ref_idx_l0_active_minus1")?;
        if kind == SliceKind::B {
            active[1] = bits.read_ue("num_ref_idx_l1_active_minus1")?;
        }
    }
    match active.iter().find(|minus1| **minus1 >= MAX_REFERENCES) {
        Some(minus1) => Err(Fault::Value(minus1.to_string())),
        None => Ok(active.map(|minus1| minus1 + 1)),
    }
}

/// `ref_pic_list_modification()`, clause 7.3.3.1.
fn reference_lists(bits: &mut Head<'_>, kind: SliceKind) -> Result<(), Fault> {
    let lists = match kind {
        SliceKind::I => 0,
        SliceKind::P => 1,
        SliceKind::B => 2,
    };
    for _ in 0..lists {
        if !bits.read_bit("ref_pic_list_modification_flag")? {
            continue;
        }
        let mut commands = 0;
        loop {
            let command = bits.read_ue("modification_of_pic_nums_idc")?;
            match command {
                0 | 1 => drop(bits.read_ue("abs_diff_pic_num_minus1")?),
                2 => drop(bits.read_ue("long_term_pic_num")?),
                3 => break,
                other => return Err(Fault::Value(other.to_string())),
            }
            commands += 1;
            if commands > MAX_COMMANDS {
                return Err(Fault::Value(format!("more than {MAX_COMMANDS} of them")));
            }
        }
    }
    Ok(())
}

/// `pred_weight_table()`, clause 7.3.3.2.
fn weights(
    bits: &mut Head<'_>,
    sps: &SeqParameterSet,
    kind: SliceKind,
    active: [u32; 2],
) -> Result<(), Fault> {
    let chroma = sps.chroma_info.chroma_array_type() != 0;
    bits.read_ue("luma_log2_weight_denom")?;
    if chroma {
        bits.read_ue("chroma_log2_weight_denom")?;
    }
    let lists = if kind == SliceKind::B { 2 } else { 1 };
    for count in active.into_iter().take(lists) {
        for _ in 0..count {
            if bits.read_bit("luma_weight_flag")? {
                bits.read_se("luma_weight")?;
                bits.read_se("luma_offset")?;
            }
            if chroma && bits.read_bit("chroma_weight_flag")? {
                for _ in 0..2 {
                    bits.read_se("chroma_weight")?;
                    bits.read_se("chroma_offset")?;
                }
            }
        }
    }
    Ok(())
}

/// `dec_ref_pic_marking()`, clause 7.3.3.3.
fn marking(bits: &mut Head<'_>, idr: bool) -> Result<(), Fault> {
    if idr {
        bits.read_bit("no_output_of_prior_pics_flag")?;
        bits.read_bit("long_term_reference_flag")?;
        return Ok(());
    }
    if !bits.read_bit("adaptive_ref_pic_marking_mode_flag")? {
        return Ok(());
    }
    for _ in 0..=MAX_COMMANDS {
        let operands = match bits.read_ue("memory_management_control_operation")? {
            0 => return Ok(()),
            1 | 2 | 4 | 6 => 1,
            3 => 2,
            5 => 0,
            other => return Err(Fault::Value(other.to_string())),
        };
        for _ in 0..operands {
            bits.read_ue("memory_management operand")?;
        }
    }
    Err(Fault::Value(format!("more than {MAX_COMMANDS} of them")))
}

fn place(unit: &[u8], number: usize, at: At) -> Place {
    Place {
        unit: number,
        kind: crate::nal::h264::kind(unit),
        bit: at.bit,
    }
}

fn value(unit: &[u8], number: usize, at: At, detail: String) -> Error {
    Error::Value {
        place: place(unit, number, at),
        element: at.element,
        detail,
    }
}

fn located(unit: &[u8], number: usize, at: At, error: Option<&BitReaderError>) -> Error {
    match error {
        Some(BitReaderError::ExpGolombTooLarge(element)) => Error::Value {
            place: place(unit, number, at),
            element,
            detail: "too large for anything".to_owned(),
        },
        _ if at.ended => Error::Ended {
            place: place(unit, number, at),
            element: at.element,
        },
        _ => value(
            unit,
            number,
            at,
            "not the byte sequence of a payload".to_owned(),
        ),
    }
}
