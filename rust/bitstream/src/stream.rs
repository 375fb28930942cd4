//! What a stream says about itself, for people who ask.

/// A stream's properties, from its parameter sets or headers.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Name of the profile.
    pub profile: String,
    /// Level, as in 3.1.
    pub level: Option<f32>,
    /// Width in pixels, after cropping.
    pub width: u32,
    /// Height in pixels, after cropping.
    pub height: u32,
    /// Width before cropping.
    pub coded_width: u32,
    /// Height before cropping.
    pub coded_height: u32,
    /// Macroblocks (16 × 16 pixels) of a picture.
    pub macroblocks: u32,
    /// CABAC, CAVLC; None while no picture parameter set was seen, and for codecs with one only.
    pub entropy_coder: Option<&'static str>,
    /// Fields may be coded.
    pub interlaced: bool,
    /// Chroma format: 4:2:0 and so on.
    pub chroma: &'static str,
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// Reference frames that a decoder must hold.
    pub reference_frames: u32,
    /// Pictures a second, where the stream says so.
    pub rate: Option<f64>,
}
