//! The coin in which the rooms of the video journey pay each other: one access unit.

use std::fmt;

use bytes::Bytes;

/// How pictures are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// ITU-T H.264, MPEG-4 AVC.
    H264,
    /// ITU-T H.265, HEVC.
    H265,
    /// Baseline JPEG, each picture for itself (RFC 2435 over RTP).
    Jpeg,
}

impl Codec {
    /// The name that users read and scripts compare: `h264`, `h265`, `jpeg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Jpeg => "jpeg",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// One compressed picture with what the transport knew about it. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct AccessUnit {
    /// How `data` is compressed.
    pub codec: Codec,
    /// H.264 and H.265: Annex B, the parameter sets in-band before each key picture. JPEG: one JFIF picture.
    pub data: Bytes,
    /// Presentation time in 90 kHz ticks, unwrapped: it only grows, but for a camera's own jumps.
    pub pts: i64,
    /// When its last packet arrived, Unix seconds.
    pub received_s: f64,
    /// Decoding can start here (IDR, IRAP; every JPEG).
    pub key: bool,
    /// Packets known to be lost between the access unit before and this one.
    pub loss: u32,
}
