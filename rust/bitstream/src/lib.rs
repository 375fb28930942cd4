//! What can be read from compressed pictures without decoding them.
//!
//! Bytes from a stranger's camera meet edusense here first, so nothing in this crate may panic, allocate by a number that the
//! bytes name, or loop without consuming. It does no I/O.
//!
//! ```text
//! AccessUnit ── annex_b ──────────▶ NAL units ── Reader ──▶ PictureFacts (bits, QP, slices) ──▶ the gate
//! sample ────── length_prefixed ───▶                 └────▶ Description (profile, size, …)  ──▶ people
//! ```

#![forbid(unsafe_code)]

mod bits;
mod error;
mod facts;
pub mod h264;
mod h265;
mod head;
mod jpeg;
mod length_prefixed;
pub mod luma;
pub mod nal;
mod stream;
mod unit;

pub use error::{Error, Place};
pub use facts::{MAX_SLICES, PictureFacts, Reader, SliceFacts, SliceKind};
pub use length_prefixed::{Configuration, LengthSize, length_prefixed};
pub use stream::Description;
pub use unit::{AccessUnit, Codec};
