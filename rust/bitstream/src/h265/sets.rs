//! Sequence parameter sets (clause 7.3.2.2, annex E for the rate) and picture parameter sets (7.3.2.3), as far as slice headers and
//! people ask.

use h264_reader::rbsp::BitRead;

use super::references::References;
use super::{Fault, impossible};
use crate::bits::Bits;
use crate::stream::Description;

/// Sets of a sequence, and long-term pictures that it names (7.4.3.2.1).
const MOST_SETS: u32 = 64;
pub(super) const MOST_LONG_TERM: u32 = 32;

/// Tiles across and down (table A.8).
const MOST_TILES: u32 = 22;

/// A sequence parameter set.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    profile: u8,
    level: u8,
    chroma_format: u32,
    pub(super) separate_planes: bool,
    width: u32,
    height: u32,
    /// Left, right, top, bottom, in chroma samples.
    crop: [u32; 4],
    depth: u32,
    references: u32,
    interlaced: bool,
    rate: Option<f64>,
    /// Base-2 logarithm of a coding tree block's side.
    tree_bits: u32,
    pub(super) order_bits: u32,
    pub(super) short_term: Vec<References>,
    /// Of `long_term_ref_pics_present_flag`: which of those that it names are used.
    pub(super) long_term: Option<Vec<bool>>,
    pub(super) temporal_motion: bool,
    pub(super) sample_offset: bool,
}

impl Sequence {
    /// Reads `seq_parameter_set_rbsp()`; gives its id too.
    pub(super) fn read(bits: &mut Bits<'_>) -> Result<(usize, Self), Fault> {
        bits.skip(4, "sps_video_parameter_set_id")?;
        let layers = bits.read::<3, u8>("sps_max_sub_layers_minus1")?;
        bits.skip(1, "sps_temporal_id_nesting_flag")?;
        let (profile, level) = profile_tier_level(bits, layers)?;
        let id = bits.read_ue("sps_seq_parameter_set_id")? as usize;
        if id >= super::SEQUENCES {
            return impossible(id);
        }
        let chroma_format = bits.read_ue("chroma_format_idc")?;
        if chroma_format > 3 {
            return impossible(chroma_format);
        }
        let separate_planes = chroma_format == 3 && bits.read_bit("separate_colour_plane_flag")?;
        let width = bits.read_ue("pic_width_in_luma_samples")?;
        let height = bits.read_ue("pic_height_in_luma_samples")?;
        if !(1..=1 << 16).contains(&width) || !(1..=1 << 16).contains(&height) {
            return impossible(format!("{width}×{height}"));
        }
        let crop = window(bits, "conformance_window_flag")?;
        let depth = 8 + bits.read_ue("bit_depth_luma_minus8")?;
        bits.read_ue("bit_depth_chroma_minus8")?;
        let order_bits = bits.read_ue("log2_max_pic_order_cnt_lsb_minus4")? + 4;
        if depth > 16 || order_bits > 16 {
            return impossible(order_bits);
        }
        let all = bits.read_bit("sps_sub_layer_ordering_info_present_flag")?;
        let mut references = 0;
        for _ in 0..if all { layers + 1 } else { 1 } {
            references = bits.read_ue("sps_max_dec_pic_buffering_minus1")?;
            bits.read_ue("sps_max_num_reorder_pics")?;
            bits.read_ue("sps_max_latency_increase_plus1")?;
        }
        let least = bits.read_ue("log2_min_luma_coding_block_size_minus3")? + 3;
        let tree_bits = least + bits.read_ue("log2_diff_max_min_luma_coding_block_size")?;
        if !(4..=6).contains(&tree_bits) {
            return impossible(format!("coding tree blocks of 2^{tree_bits}"));
        }
        bits.read_ue("log2_min_luma_transform_block_size_minus2")?;
        bits.read_ue("log2_diff_max_min_luma_transform_block_size")?;
        bits.read_ue("max_transform_hierarchy_depth_inter")?;
        bits.read_ue("max_transform_hierarchy_depth_intra")?;
        if bits.read_bit("scaling_list_enabled_flag")?
            && bits.read_bit("sps_scaling_list_data_present_flag")?
        {
            scaling_lists(bits)?;
        }
        bits.skip(1, "amp_enabled_flag")?;
        let sample_offset = bits.read_bit("sample_adaptive_offset_enabled_flag")?;
        if bits.read_bit("pcm_enabled_flag")? {
            bits.skip(8, "pcm_sample_bit_depth_luma_minus1")?;
            bits.read_ue("log2_min_pcm_luma_coding_block_size_minus3")?;
            bits.read_ue("log2_diff_max_min_pcm_luma_coding_block_size")?;
            bits.skip(1, "pcm_loop_filter_disabled_flag")?;
        }
        let sets = bits.read_ue("num_short_term_ref_pic_sets")?;
        if sets > MOST_SETS {
            return impossible(sets);
        }
        let mut short_term = Vec::new();
        for _ in 0..sets {
            short_term.push(References::read(bits, &short_term, false)?);
        }
        let mut long_term = None;
        if bits.read_bit("long_term_ref_pics_present_flag")? {
            let count = bits.read_ue("num_long_term_ref_pics_sps")?;
            if count > MOST_LONG_TERM {
                return impossible(count);
            }
            let mut used = Vec::new();
            for _ in 0..count {
                bits.skip(order_bits, "lt_ref_pic_poc_lsb_sps")?;
                used.push(bits.read_bit("used_by_curr_pic_lt_sps_flag")?);
            }
            long_term = Some(used);
        }
        let temporal_motion = bits.read_bit("sps_temporal_mvp_enabled_flag")?;
        bits.skip(1, "strong_intra_smoothing_enabled_flag")?;
        // Behind here nothing matters to slices: what cannot be read is only not told.
        let (interlaced, rate) = usability(bits).unwrap_or_default();
        let set = Self {
            profile,
            level,
            chroma_format,
            separate_planes,
            width,
            height,
            crop,
            depth,
            references: references + 1,
            interlaced,
            rate,
            tree_bits,
            order_bits,
            short_term,
            long_term,
            temporal_motion,
            sample_offset,
        };
        let (shown_width, shown_height) = set.shown();
        if shown_width == 0 || shown_height == 0 {
            return impossible(format!("crops the picture to {shown_width}×{shown_height}"));
        }
        Ok((id, set))
    }

    /// Whether chroma is coded with luma.
    pub(super) fn chroma(&self) -> bool {
        self.chroma_format != 0 && !self.separate_planes
    }

    /// Coding tree blocks of a picture.
    pub(super) fn trees(&self) -> u32 {
        let side = 1 << self.tree_bits;
        self.width.div_ceil(side) * self.height.div_ceil(side)
    }

    /// In macroblocks of 16×16, as the gate counts them: where a coding tree block begins, and how many a picture has.
    pub(super) fn macroblock_of(&self, tree: u32) -> u32 {
        let side = 1 << self.tree_bits;
        let across = self.width.div_ceil(side);
        let (x, y) = (tree % across, tree / across);
        (y * side / 16) * self.width.div_ceil(16) + x * side / 16
    }

    pub(super) fn macroblocks(&self) -> u32 {
        self.width.div_ceil(16) * self.height.div_ceil(16)
    }

    /// Lowest `SliceQpY` (7.4.7.1).
    pub(super) fn lowest_qp(&self) -> i32 {
        -6 * (self.depth as i32 - 8)
    }

    fn shown(&self) -> (u32, u32) {
        let across = if matches!(self.chroma_format, 1 | 2) {
            2
        } else {
            1
        };
        let down = if self.chroma_format == 1 { 2 } else { 1 };
        let [left, right, top, bottom] = self.crop;
        (
            self.width.saturating_sub(across * (left + right)),
            self.height.saturating_sub(down * (top + bottom)),
        )
    }

    pub(super) fn describe(&self) -> Description {
        let (width, height) = self.shown();
        Description {
            profile: match self.profile {
                1 => "Main".to_owned(),
                2 => "Main10".to_owned(),
                3 => "MainStillPicture".to_owned(),
                4 => "RangeExtensions".to_owned(),
                other => format!("profile {other}"),
            },
            // Thirty times the number.
            level: Some(f32::from(self.level) / 30.0),
            width,
            height,
            coded_width: self.width,
            coded_height: self.height,
            macroblocks: self.macroblocks(),
            entropy_coder: None,
            interlaced: self.interlaced,
            chroma: ["4:0:0", "4:2:0", "4:2:2", "4:4:4"][self.chroma_format as usize & 3],
            bit_depth: self.depth as u8,
            reference_frames: self.references,
            rate: self.rate,
        }
    }
}

/// `profile_tier_level(1, …)`, clause 7.3.3: `general_profile_idc` and `general_level_idc`.
fn profile_tier_level(bits: &mut Bits<'_>, layers: u8) -> Result<(u8, u8), Fault> {
    bits.skip(3, "general_profile_space")?;
    let profile = bits.read::<5, u8>("general_profile_idc")?;
    bits.skip(80, "general_profile_compatibility_flag")?;
    let level = bits.read::<8, u8>("general_level_idc")?;
    let mut present = [(false, false); 7];
    for place in present.iter_mut().take(usize::from(layers)) {
        *place = (
            bits.read_bit("sub_layer_profile_present_flag")?,
            bits.read_bit("sub_layer_level_present_flag")?,
        );
    }
    if layers > 0 {
        bits.skip(2 * (8 - u32::from(layers)), "reserved_zero_2bits")?;
    }
    for (profile, level) in present.into_iter().take(usize::from(layers)) {
        if profile {
            bits.skip(88, "sub_layer_profile_idc")?;
        }
        if level {
            bits.skip(8, "sub_layer_level_idc")?;
        }
    }
    Ok((profile, level))
}

/// A flag, and four offsets behind it.
fn window(bits: &mut Bits<'_>, flag: &'static str) -> Result<[u32; 4], Fault> {
    let mut offsets = [0; 4];
    if bits.read_bit(flag)? {
        for offset in &mut offsets {
            *offset = bits.read_ue("window offset")?;
        }
    }
    Ok(offsets)
}

/// `scaling_list_data()`, clause 7.3.4.
fn scaling_lists(bits: &mut Bits<'_>) -> Result<(), Fault> {
    for size in 0..4 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !bits.read_bit("scaling_list_pred_mode_flag")? {
                bits.read_ue("scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            if size > 1 {
                bits.read_se("scaling_list_dc_coef_minus8")?;
            }
            for _ in 0..if size == 0 { 16 } else { 64 } {
                bits.read_se("scaling_list_delta_coef")?;
            }
        }
    }
    Ok(())
}

/// `vui_parameters()`, annex E, down to the rate: whether pictures are fields, and how many there are a second.
fn usability(bits: &mut Bits<'_>) -> Result<(bool, Option<f64>), Fault> {
    if !bits.read_bit("vui_parameters_present_flag")? {
        return Ok((false, None));
    }
    const EXTENDED: u8 = 255;
    if bits.read_bit("aspect_ratio_info_present_flag")?
        && bits.read::<8, u8>("aspect_ratio_idc")? == EXTENDED
    {
        bits.skip(32, "sar_width")?;
    }
    if bits.read_bit("overscan_info_present_flag")? {
        bits.skip(1, "overscan_appropriate_flag")?;
    }
    if bits.read_bit("video_signal_type_present_flag")? {
        bits.skip(4, "video_format")?;
        if bits.read_bit("colour_description_present_flag")? {
            bits.skip(24, "colour_primaries")?;
        }
    }
    if bits.read_bit("chroma_loc_info_present_flag")? {
        bits.read_ue("chroma_sample_loc_type_top_field")?;
        bits.read_ue("chroma_sample_loc_type_bottom_field")?;
    }
    bits.skip(1, "neutral_chroma_indication_flag")?;
    let fields = bits.read_bit("field_seq_flag")?;
    bits.skip(1, "frame_field_info_present_flag")?;
    window(bits, "default_display_window_flag")?;
    let mut rate = None;
    if bits.read_bit("vui_timing_info_present_flag")? {
        let ticks = bits.read::<32, u32>("vui_num_units_in_tick")?;
        let scale = bits.read::<32, u32>("vui_time_scale")?;
        rate = (ticks > 0 && scale > 0).then(|| f64::from(scale) / f64::from(ticks));
    }
    Ok((fields, rate))
}

/// A picture parameter set.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(super) sequence: usize,
    pub(super) dependent_segments: bool,
    pub(super) output_flag: bool,
    pub(super) extra_bits: u32,
    pub(super) cabac_init: bool,
    /// Default `num_ref_idx_active_minus1` of both lists.
    pub(super) active: [u32; 2],
    pub(super) qp: i32,
    pub(super) weighted: bool,
    pub(super) weighted_both: bool,
    pub(super) lists_modification: bool,
}

impl Picture {
    /// Reads `pic_parameter_set_rbsp()` down to what slice headers need; gives its id too.
    pub(super) fn read(bits: &mut Bits<'_>) -> Result<(usize, Self), Fault> {
        let id = bits.read_ue("pps_pic_parameter_set_id")? as usize;
        if id >= super::PICTURES {
            return impossible(id);
        }
        let sequence = bits.read_ue("pps_seq_parameter_set_id")? as usize;
        if sequence >= super::SEQUENCES {
            return impossible(sequence);
        }
        let dependent_segments = bits.read_bit("dependent_slice_segments_enabled_flag")?;
        let output_flag = bits.read_bit("output_flag_present_flag")?;
        let extra_bits = bits.read::<3, u32>("num_extra_slice_header_bits")?;
        bits.skip(1, "sign_data_hiding_enabled_flag")?;
        let cabac_init = bits.read_bit("cabac_init_present_flag")?;
        let active = [
            bits.read_ue("num_ref_idx_l0_default_active_minus1")?,
            bits.read_ue("num_ref_idx_l1_default_active_minus1")?,
        ];
        if active.iter().any(|minus1| *minus1 > 14) {
            return impossible(format!("{active:?}"));
        }
        let qp = 26 + bits.read_se("init_qp_minus26")?;
        bits.skip(2, "constrained_intra_pred_flag")?;
        if bits.read_bit("cu_qp_delta_enabled_flag")? {
            bits.read_ue("diff_cu_qp_delta_depth")?;
        }
        bits.read_se("pps_cb_qp_offset")?;
        bits.read_se("pps_cr_qp_offset")?;
        bits.skip(1, "pps_slice_chroma_qp_offsets_present_flag")?;
        let weighted = bits.read_bit("weighted_pred_flag")?;
        let weighted_both = bits.read_bit("weighted_bipred_flag")?;
        bits.skip(1, "transquant_bypass_enabled_flag")?;
        let tiles = bits.read_bit("tiles_enabled_flag")?;
        bits.skip(1, "entropy_coding_sync_enabled_flag")?;
        if tiles {
            let across = bits.read_ue("num_tile_columns_minus1")?;
            let down = bits.read_ue("num_tile_rows_minus1")?;
            if across >= MOST_TILES || down >= MOST_TILES {
                return impossible(format!("{across} and {down}"));
            }
            if !bits.read_bit("uniform_spacing_flag")? {
                for _ in 0..across + down {
                    bits.read_ue("column_width_minus1 or row_height_minus1")?;
                }
            }
            bits.skip(1, "loop_filter_across_tiles_enabled_flag")?;
        }
        bits.skip(1, "pps_loop_filter_across_slices_enabled_flag")?;
        if bits.read_bit("deblocking_filter_control_present_flag")? {
            bits.skip(1, "deblocking_filter_override_enabled_flag")?;
            if !bits.read_bit("pps_deblocking_filter_disabled_flag")? {
                bits.read_se("pps_beta_offset_div2")?;
                bits.read_se("pps_tc_offset_div2")?;
            }
        }
        if bits.read_bit("pps_scaling_list_data_present_flag")? {
            scaling_lists(bits)?;
        }
        let lists_modification = bits.read_bit("lists_modification_present_flag")?;
        bits.read_ue("log2_parallel_merge_level_minus2")?;
        bits.skip(1, "slice_segment_header_extension_present_flag")?;
        if bits.read_bit("pps_extension_present_flag")? {
            bits.skip(1, "pps_range_extension_flag")?;
            if bits.read::<3, u8>("pps_scc_extension_flag")? != 0 {
                return Err(Fault::Declined(
                    "H.265 with extensions for layers, 3D or screen content",
                ));
            }
        }
        Ok((
            id,
            Self {
                sequence,
                dependent_segments,
                output_flag,
                extra_bits,
                cabac_init,
                active,
                qp,
                weighted,
                weighted_both,
                lists_modification,
            },
        ))
    }
}
