//! The ledger of meals: records that are on the disk before the light is green, in a row that cannot be changed unnoticed.
//!
//! [`Ledger`] writes (one process at a time), [`Reader`] reads and verifies beside it; [`batch`] makes signed runs of records for
//! others. The bytes are described in `docs/reference/ledger-format.md` and `batch-format.md`. Nothing here knows Python, a clock or a card: times and numbers are arguments.
#![forbid(unsafe_code)]

pub mod acknowledgement;
pub mod batch;
mod direct;
pub mod disk;
mod error;
mod hashing;
mod index;
pub mod key;
mod ledger;
mod mark;
pub mod merkle;
pub mod prune;
mod pruned;
mod reader;
mod recent;
mod record;
#[cfg(not(feature = "sabotage"))]
mod sabotage;
#[cfg(feature = "sabotage")]
pub mod sabotage;
mod scan;
pub mod seal;
mod segments;
mod storage;
mod sync;
mod writer;

pub use error::MealsError;
pub use index::Holding;
pub use ledger::{Ledger, Options, Receipt, Status};
pub use reader::{Reader, Report, Sealed};
pub use record::{
    FORMAT_VERSION, Flaw, Kind, MAGIC, RECORD_BYTES, RawRecord, Record, Reference, SLOT_BYTES,
    chain, flags,
};
pub use scan::{Problem, Torn};
pub use storage::{Blob, Folder, LockRefused, NotDurable, Storage};

/// Records of a segment of the usual size, 1 MiB.
pub const SEGMENT_RECORDS: u64 = 8192;
