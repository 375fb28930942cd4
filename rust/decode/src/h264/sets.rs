//! What decoding needs of parameter sets and slice headers, and what is declined because of them.

use edusense_bitstream::h264::{self as sets, Parameters};

use super::bits::Bits;
use super::transform::Scales;
use super::{Fault, declined, invalid};

/// Macroblocks across or down that are decoded: 8,192 pixels.
const MAX_SIDE: usize = 512;

/// A picture's frame, as its sequence parameter set has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Macroblocks across.
    pub(super) across: usize,
    /// Macroblocks down.
    pub(super) down: usize,
    /// What is shown of it: left, top, width, height.
    pub(super) crop: [usize; 4],
    /// 4:2:0 rather than 4:0:0.
    pub(super) chroma: bool,
}

impl Frame {
    /// The last row of macroblocks of which something is shown.
    pub(super) fn last_shown_row(&self) -> usize {
        let [_, top, _, height] = self.crop;
        ((top + height).max(1) - 1) / 16
    }
}

/// A slice header with what its parameter sets say.
pub(super) struct Header {
    pub(super) frame: Frame,
    pub(super) first: usize,
    /// A copy of a slice that was already sent (`redundant_pic_cnt`).
    pub(super) redundant: bool,
    pub(super) cabac: bool,
    pub(super) eight_by_eight: bool,
    pub(super) qp: i32,
    pub(super) scales: Scales,
}

fn frame(sps: &sets::SeqParameterSet) -> Result<Frame, Fault> {
    let chroma = match sps.chroma_info.chroma_format {
        sets::ChromaFormat::Monochrome => false,
        sets::ChromaFormat::YUV420 => true,
        sets::ChromaFormat::YUV422 => return Err(declined("H.264 4:2:2")),
        _ => return Err(declined("H.264 4:4:4")),
    };
    let depth = sps.chroma_info.bit_depth_luma_minus8;
    if depth > 0 || chroma && sps.chroma_info.bit_depth_chroma_minus8 > 0 {
        return Err(declined("H.264 of more than 8 bits"));
    }
    if sps.chroma_info.qpprime_y_zero_transform_bypass_flag {
        return Err(declined("lossless H.264"));
    }
    let fields = matches!(sps.frame_mbs_flags, sets::FrameMbsFlags::Fields { .. });
    let across = sps.pic_width_in_mbs() as usize;
    let down = sps.pic_height_in_map_units() as usize * if fields { 2 } else { 1 };
    if across > MAX_SIDE || down > MAX_SIDE {
        return Err(declined("H.264 wider or higher than 8,192"));
    }
    let (width, height) = sps
        .pixel_dimensions()
        .map_err(|_| invalid("frame_cropping"))?;
    let (left, top) = sps.frame_cropping.as_ref().map_or((0, 0), |crop| {
        let unit = if chroma { 2 } else { 1 };
        let down = if fields { 2 } else { 1 };
        (
            crop.left_offset as usize * unit,
            crop.top_offset as usize * unit * down,
        )
    });
    let crop = [left, top, width as usize, height as usize];
    if width == 0 || height == 0 || left + crop[2] > across * 16 || top + crop[3] > down * 16 {
        return Err(invalid("frame_cropping"));
    }
    Ok(Frame {
        across,
        down,
        crop,
        chroma,
    })
}

fn scales(sps: &sets::SeqParameterSet, pps: &sets::PicParameterSet) -> Scales {
    let first = |lists: &sets::ScalingLists8x8Resolved| lists.as_slice().first().copied();
    let of_picture = pps
        .extension
        .as_ref()
        .and_then(|more| more.pic_scaling_matrix.as_ref());
    let (four, eight) = match of_picture {
        Some(matrix) => (
            matrix.scaling_lists_4x4(&sps.chroma_info)[0],
            matrix.scaling_lists_8x8(&sps.chroma_info),
        ),
        None => (sps.chroma_info.scaling_lists_4x4()[0], None),
    };
    // Lists of the sequence, where the picture has none of its own.
    let eight = eight.unwrap_or_else(|| sps.chroma_info.scaling_lists_8x8());
    Scales::new(&four, &first(&eight).unwrap_or([16; 64]))
}

/// Reads `slice_header()` (clause 7.3.3) of a slice of type I, to the first bit of its data.
pub(super) fn header(
    known: &Parameters,
    unit: &[u8],
    bits: &mut Bits<'_>,
) -> Result<Header, Fault> {
    let kind = unit.first().map_or(0, |header| header & 0x1f);
    let idr = kind == 5;
    let reference = unit.first().is_some_and(|header| header & 0x60 != 0);
    let first = bits.ue().ok_or(invalid("first_mb_in_slice"))? as usize;
    match bits.ue().ok_or(invalid("slice_type"))? {
        2 | 7 => {}
        0 | 1 | 5 | 6 => {
            return Err(declined(
                "P or B macroblocks in a key picture (intra refresh)",
            ));
        }
        3 | 4 | 8 | 9 => return Err(declined("switching slices (SI, SP)")),
        _ => return Err(invalid("slice_type")),
    }
    let id = bits.ue().ok_or(invalid("pic_parameter_set_id"))?;
    let (sps, pps) = known.active(id).ok_or(Fault::Damaged(
        "refers to a parameter set that was not sent",
    ))?;
    if sps.chroma_info.separate_colour_plane_flag {
        return Err(declined("H.264 with separate colour planes"));
    }
    let frame = frame(sps)?;
    bits.skip(u32::from(sps.log2_max_frame_num()));
    if let sets::FrameMbsFlags::Fields {
        mb_adaptive_frame_field_flag: adaptive,
    } = sps.frame_mbs_flags
    {
        if bits.flag() {
            return Err(declined("interlaced H.264 (pictures of one field, PAFF)"));
        }
        if adaptive {
            return Err(declined("interlaced H.264 (field macroblocks, MBAFF)"));
        }
    }
    if idr {
        bits.ue().ok_or(invalid("idr_pic_id"))?;
    }
    order(bits, sps, pps)?;
    let mut redundant = false;
    if pps.redundant_pic_cnt_present_flag {
        redundant = bits.ue().ok_or(invalid("redundant_pic_cnt"))? > 0;
    }
    if reference {
        marking(bits, idr)?;
    }
    let delta = bits.se().ok_or(invalid("slice_qp_delta"))?;
    let qp = 26 + pps.pic_init_qp_minus26 + delta;
    if !(0..=51).contains(&qp) {
        return Err(invalid("slice_qp_delta"));
    }
    if pps.deblocking_filter_control_present_flag {
        let off = bits.ue().ok_or(invalid("disable_deblocking_filter_idc"))?;
        if off != 1 {
            bits.se().ok_or(invalid("slice_alpha_c0_offset_div2"))?;
            bits.se().ok_or(invalid("slice_beta_offset_div2"))?;
        }
    }
    if first >= frame.across * frame.down {
        return Err(invalid("first_mb_in_slice"));
    }
    Ok(Header {
        frame,
        first,
        redundant,
        cabac: pps.entropy_coding_mode_flag,
        eight_by_eight: pps
            .extension
            .as_ref()
            .is_some_and(|more| more.transform_8x8_mode_flag),
        qp,
        scales: scales(sps, pps),
    })
}

fn order(
    bits: &mut Bits<'_>,
    sps: &sets::SeqParameterSet,
    pps: &sets::PicParameterSet,
) -> Result<(), Fault> {
    let both = pps.bottom_field_pic_order_in_frame_present_flag;
    let deltas = match sps.pic_order_cnt {
        sets::PicOrderCntType::TypeZero {
            log2_max_pic_order_cnt_lsb_minus4: log2,
        } => {
            bits.skip(u32::from(log2) + 4);
            usize::from(both)
        }
        sets::PicOrderCntType::TypeOne {
            delta_pic_order_always_zero_flag: zero,
            ..
        } => {
            if zero {
                0
            } else {
                1 + usize::from(both)
            }
        }
        sets::PicOrderCntType::TypeTwo => 0,
    };
    for _ in 0..deltas {
        bits.se().ok_or(invalid("delta_pic_order_cnt"))?;
    }
    Ok(())
}

/// `dec_ref_pic_marking()`, clause 7.3.3.3.
fn marking(bits: &mut Bits<'_>, idr: bool) -> Result<(), Fault> {
    let wrong = invalid("memory_management_control_operation");
    if idr {
        bits.skip(2);
        return Ok(());
    }
    if !bits.flag() {
        return Ok(());
    }
    // There are at most 32 reference fields, and each needs a command or two.
    for _ in 0..=66 {
        let operands = match bits.ue().ok_or(wrong)? {
            0 => return Ok(()),
            1 | 2 | 4 | 6 => 1,
            3 => 2,
            5 => 0,
            _ => return Err(wrong),
        };
        for _ in 0..operands {
            bits.ue().ok_or(wrong)?;
        }
    }
    Err(wrong)
}
