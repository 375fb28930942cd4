//! `slice_segment_header()`, clause 7.3.6.1, in its order, down to `slice_qp_delta`.

use h264_reader::rbsp::BitRead;

use super::references::References;
use super::sets::{MOST_LONG_TERM, Picture, Sequence};
use super::{Fault, Parameters, bits_for, impossible};
use crate::bits::Bits;
use crate::facts::SliceKind;
use crate::nal::h265;

/// What the gate wants of a slice segment header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SliceHeader {
    /// Where it begins, in macroblocks of 16×16 in raster order.
    pub(crate) first_macroblock: u32,
    pub(crate) macroblocks: u32,
    pub(crate) sequence: usize,
    /// None for a segment that continues the slice before it.
    pub(crate) slice: Option<(SliceKind, i8)>,
}

impl SliceHeader {
    pub(super) fn read(known: &Parameters, kind: u8, bits: &mut Bits<'_>) -> Result<Self, Fault> {
        let first = bits.read_bit("first_slice_segment_in_pic_flag")?;
        if h265::is_irap(kind) {
            bits.skip(1, "no_output_of_prior_pics_flag")?;
        }
        let id = bits.read_ue("slice_pic_parameter_set_id")?;
        let (sequence, picture) = known.active(id)?;
        let mut dependent = false;
        let mut address = 0;
        if !first {
            dependent =
                picture.dependent_segments && bits.read_bit("dependent_slice_segment_flag")?;
            let trees = sequence.trees();
            address = bits.read_var::<u32>(bits_for(trees), "slice_segment_address")?;
            if address >= trees {
                return impossible(format!("{address} of {trees}"));
            }
        }
        let slice = if dependent {
            None
        } else {
            Some(slice(sequence, picture, kind, bits)?)
        };
        Ok(Self {
            first_macroblock: sequence.macroblock_of(address),
            macroblocks: sequence.macroblocks(),
            sequence: picture.sequence,
            slice,
        })
    }
}

fn slice(
    sequence: &Sequence,
    picture: &Picture,
    unit: u8,
    bits: &mut Bits<'_>,
) -> Result<(SliceKind, i8), Fault> {
    bits.skip(picture.extra_bits, "slice_reserved_flag")?;
    let kind = match bits.read_ue("slice_type")? {
        0 => SliceKind::B,
        1 => SliceKind::P,
        2 => SliceKind::I,
        other => return impossible(other),
    };
    if picture.output_flag {
        bits.skip(1, "pic_output_flag")?;
    }
    if sequence.separate_planes {
        bits.skip(2, "colour_plane_id")?;
    }
    let mut references = 0;
    let mut temporal_motion = false;
    if !h265::is_idr(unit) {
        references = reference_pictures(sequence, bits)?;
        temporal_motion =
            sequence.temporal_motion && bits.read_bit("slice_temporal_mvp_enabled_flag")?;
    }
    if sequence.sample_offset {
        bits.skip(1, "slice_sao_luma_flag")?;
        if sequence.chroma() {
            bits.skip(1, "slice_sao_chroma_flag")?;
        }
    }
    if kind != SliceKind::I {
        prediction(sequence, picture, kind, (references, temporal_motion), bits)?;
    }
    let delta = bits.read_se("slice_qp_delta")?;
    let (qp, lowest) = (picture.qp + delta, sequence.lowest_qp());
    let told = i8::try_from(qp)
        .ok()
        .filter(|_| (lowest..=51).contains(&qp));
    match told {
        Some(qp) => Ok((kind, qp)),
        None => impossible(format!("{delta}, which makes a QP outside {lowest} to 51")),
    }
}

/// Which pictures are kept, and how many of them this one may refer to (`NumPicTotalCurr`).
fn reference_pictures(sequence: &Sequence, bits: &mut Bits<'_>) -> Result<u32, Fault> {
    bits.skip(sequence.order_bits, "slice_pic_order_cnt_lsb")?;
    let sets = &sequence.short_term;
    let mut used = if bits.read_bit("short_term_ref_pic_set_sps_flag")? {
        let length = bits_for(sets.len() as u32);
        let index = bits.read_var::<u32>(length, "short_term_ref_pic_set_idx")?;
        match sets.get(index as usize) {
            Some(set) => set.used(),
            None => return impossible(format!("{index} of {}", sets.len())),
        }
    } else {
        References::read(bits, sets, true)?.used()
    };
    let Some(named) = &sequence.long_term else {
        return Ok(used);
    };
    let of_sequence = if named.is_empty() {
        0
    } else {
        bits.read_ue("num_long_term_sps")?
    };
    let own = bits.read_ue("num_long_term_pics")?;
    if of_sequence > MOST_LONG_TERM || own > MOST_LONG_TERM {
        return impossible(format!("{of_sequence} and {own}"));
    }
    for number in 0..of_sequence + own {
        let current = if number < of_sequence {
            let index = bits.read_var::<u32>(bits_for(named.len() as u32), "lt_idx_sps")?;
            named.get(index as usize).copied().unwrap_or_default()
        } else {
            bits.skip(sequence.order_bits, "poc_lsb_lt")?;
            bits.read_bit("used_by_curr_pic_lt_flag")?
        };
        used += u32::from(current);
        if bits.read_bit("delta_poc_msb_present_flag")? {
            bits.read_ue("delta_poc_msb_cycle_lt")?;
        }
    }
    Ok(used)
}

/// What slices of type P and B have before their QP.
fn prediction(
    sequence: &Sequence,
    picture: &Picture,
    kind: SliceKind,
    (references, temporal_motion): (u32, bool),
    bits: &mut Bits<'_>,
) -> Result<(), Fault> {
    let both = kind == SliceKind::B;
    let mut active = picture.active;
    if bits.read_bit("num_ref_idx_active_override_flag")? {
        active[0] = bits.read_ue("num_ref_idx_l0_active_minus1")?;
        if both {
            active[1] = bits.read_ue("num_ref_idx_l1_active_minus1")?;
        }
        if active.iter().any(|minus1| *minus1 > 14) {
            return impossible(format!("{active:?}"));
        }
    }
    let lists = if both { 2 } else { 1 };
    if picture.lists_modification && references > 1 {
        for minus1 in active.iter().take(lists) {
            if bits.read_bit("ref_pic_list_modification_flag")? {
                bits.skip((minus1 + 1) * bits_for(references), "list_entry")?;
            }
        }
    }
    if both {
        bits.skip(1, "mvd_l1_zero_flag")?;
    }
    if picture.cabac_init {
        bits.skip(1, "cabac_init_flag")?;
    }
    if temporal_motion {
        let first = !both || bits.read_bit("collocated_from_l0_flag")?;
        if active[usize::from(!first)] > 0 {
            bits.read_ue("collocated_ref_idx")?;
        }
    }
    if if both {
        picture.weighted_both
    } else {
        picture.weighted
    } {
        weights(sequence.chroma(), &active[..lists], bits)?;
    }
    bits.read_ue("five_minus_max_num_merge_cand")?;
    Ok(())
}

/// `pred_weight_table()`, clause 7.3.6.3.
fn weights(chroma: bool, active: &[u32], bits: &mut Bits<'_>) -> Result<(), Fault> {
    bits.read_ue("luma_log2_weight_denom")?;
    if chroma {
        bits.read_se("delta_chroma_log2_weight_denom")?;
    }
    for minus1 in active {
        let count = minus1 + 1;
        let luma = bits.read_var::<u32>(count, "luma_weight_flag")?;
        let of_chroma = if chroma {
            bits.read_var::<u32>(count, "chroma_weight_flag")?
        } else {
            0
        };
        for bit in (0..count).rev() {
            let pairs = (luma >> bit & 1) + 2 * (of_chroma >> bit & 1);
            for _ in 0..2 * pairs {
                bits.read_se("delta_weight or offset")?;
            }
        }
    }
    Ok(())
}
