//! The door to pictures: access units in, luma or a reasoned refusal out.
//!
//! A *run* is a series of access units in decoding order that starts at a key picture. A [`Decoder`] says of a run what it can
//! make of it; a [`Chain`] asks several in order, and keeps the reason of each that refused. Decoders for analysis live here:
//! they make luma of a few kinds of pictures, and quickly. What they decline goes to the decoder that takes everything (PyAV,
//! implemented in `rust/python`).

#![forbid(unsafe_code)]

mod chain;
mod h264;
mod jpeg;

use edusense_bitstream::AccessUnit;

pub use chain::{AllRefused, Chain, Taken};
pub use edusense_bitstream::luma::{Band, Gather, Luma, LumaView, Shape};
pub use h264::H264Intra;
pub use jpeg::{Cut, Eighth, JpegEighth, JpegError, jpeg_eighth};

/// Why a decoder gave no (further) pictures of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are sound as far as this decoder looked, but not of a kind that it decodes: ask the next one.
    #[error("{reason}")]
    Declined {
        /// Why, in words: `H.265`, `interlaced pictures`.
        reason: String,
    },
    /// The bytes are damaged.
    #[error("picture {index} of the run: {reason}")]
    Damaged {
        /// Which access unit of the run.
        index: usize,
        /// What is wrong, with its place.
        reason: String,
    },
    /// The decoder itself failed: out of memory, or closing down.
    #[error("{reason}")]
    Failed {
        /// What happened.
        reason: String,
    },
}

impl Refusal {
    /// The stable code of the error that a user sees.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => "picture-damaged",
            Self::Declined { .. } | Self::Failed { .. } => "picture-declined",
        }
    }
}

/// How much of a picture is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every pixel.
    Whole,
    /// What looking for motion takes: an eighth of the width and height is enough.
    Motion,
}

/// Makes luma of compressed pictures.
///
/// One decoder serves all cameras: it keeps nothing between runs that a caller could notice.
pub trait Decoder: Send + Sync {
    /// A short stable name for counters and for `video inspect`: `pyav`, `h264-luma`.
    fn name(&self) -> &'static str;

    /// Decodes the wanted pictures of a run.
    ///
    /// `sink` gets the index in `run` and the picture's luma, cropped as the stream says, in bands from top to bottom; pictures
    /// come in the order in which they are shown. It may already have been called when a refusal is returned: what was whole
    /// is used, and a picture that broke off begins anew with the next decoder.
    ///
    /// # Errors
    /// [`Refusal`], when not every wanted picture could be given.
    fn decode(
        &self,
        run: &[AccessUnit],
        wanted: &dyn Fn(usize) -> bool,
        detail: Detail,
        sink: &mut dyn FnMut(usize, Band<'_>),
    ) -> Result<(), Refusal>;
}
