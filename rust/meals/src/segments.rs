//! Segments: files of whole records, named by the position of their first one, filled with zeros and on the disk before use.

use std::io;
use std::sync::Arc;

use crate::error::MealsError;
use crate::record::RECORD_BYTES;
use crate::storage::{Blob, Storage};

const SUFFIX: &str = ".seg";
const NEW_SUFFIX: &str = ".seg.new";

/// Records of a ledger that cannot be meant: sums of positions and bytes stay far from overflow below it. A file with a larger number
/// in its name is no segment.
pub(crate) const MOST_RECORDS: u64 = 1 << 48;

/// Records of a segment that cannot be meant: a file's name or length alone must not make anybody read or write for hours.
pub(crate) const MOST_CAPACITY: u64 = 1 << 20;

/// One file of the ledger.
#[derive(Clone)]
pub(crate) struct Segment {
    /// Position of its first record.
    pub(crate) first: u64,
    /// How many records it has room for.
    pub(crate) capacity: u64,
    /// Bytes that are there; less than the capacity where the file was cut.
    pub(crate) length: u64,
    pub(crate) name: String,
    pub(crate) file: Arc<dyn Blob>,
}

impl Segment {
    pub(crate) fn end(&self) -> u64 {
        self.first.saturating_add(self.capacity)
    }

    /// Where a record stands in the file.
    pub(crate) fn offset(&self, position: u64) -> u64 {
        (position - self.first).saturating_mul(RECORD_BYTES as u64)
    }

    /// Reads whole records from `position` on into `buffer`; what the file does not have is zero.
    pub(crate) fn read(&self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        let count = self.file.read_at(buffer, self.offset(position))?;
        buffer[count..].fill(0);
        Ok(())
    }
}

/// The name of the segment that begins at a position.
pub(crate) fn name_of(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// What it is called until it is whole.
pub(crate) fn new_name_of(first: u64) -> String {
    format!("{first:020}{NEW_SUFFIX}")
}

/// The position of a segment's first record, by the name of its file.
pub(crate) fn first_of(name: &str) -> Option<u64> {
    number_of(name, SUFFIX)
}

/// The position in a file's name with this ending.
pub(crate) fn number_of(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())?
        .filter(|first| *first <= MOST_RECORDS)
}

/// Whether a file is the rest of a segment that was not finished.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.ends_with(NEW_SUFFIX)
        || [".synced.new", ".edack.new", ".seal.new", ".pruned.new"]
            .iter()
            .any(|ending| name.ends_with(ending))
}

/// Whether a file is a hub's acknowledgement, which is kept here and read by others.
pub(crate) fn is_acknowledgement(name: &str) -> bool {
    name.ends_with(".edack")
}

/// The segments that are there from a position on, in order. Nothing is said here about gaps between them: their records count as
/// missing.
///
/// # Errors
/// Of the system.
pub(crate) fn list(
    storage: &dyn Storage,
    usual_capacity: u64,
    from: u64,
) -> Result<Vec<Segment>, MealsError> {
    let place = storage.place();
    let names = storage.names().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => MealsError::NotALedger {
            folder: place.clone(),
            why: "there is no such folder".to_owned(),
        },
        io::ErrorKind::NotADirectory => MealsError::NotALedger {
            folder: place.clone(),
            why: "it is not a folder".to_owned(),
        },
        _ => MealsError::io(format!("listing `{place}`"), &error),
    })?;
    let mut firsts: Vec<u64> = names.iter().filter_map(|name| first_of(name)).collect();
    firsts.retain(|first| *first >= from);
    firsts.sort_unstable();
    let mut segments = Vec::with_capacity(firsts.len());
    for (index, first) in firsts.iter().copied().enumerate() {
        let name = name_of(first);
        let opened = storage
            .open(&name)
            .and_then(|file| Ok((file.length()?, file)));
        let (length, file) =
            opened.map_err(|error| MealsError::io(format!("opening `{place}/{name}`"), &error))?;
        let capacity = match firsts.get(index + 1) {
            Some(next) => next - first,
            None => length.div_ceil(RECORD_BYTES as u64).max(usual_capacity),
        };
        segments.push(Segment {
            first,
            capacity,
            length,
            name,
            file,
        });
    }
    Ok(segments)
}

/// Makes the segment that begins at `first`, full of zeros and on the disk, unless it is there.
///
/// The zeros are really written: the room is taken now, so that a full disk is met here and not between a tap and its record.
///
/// # Errors
/// Of the system, such as a full disk; what was begun is removed again.
pub(crate) fn prepare(storage: &dyn Storage, first: u64, capacity: u64) -> io::Result<()> {
    let name = name_of(first);
    match storage.open(&name) {
        // Whoever made it may have failed at the last step: its name is only safe when the folder says so.
        Ok(_) => return storage.sync_names(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let new = new_name_of(first);
    let filled = || -> io::Result<()> {
        let file = storage.create(&new)?;
        fill_with_zeros(file.as_ref(), 0, capacity * RECORD_BYTES as u64)?;
        file.sync()?;
        storage.rename(&new, &name)?;
        storage.sync_names()
    };
    filled().inspect_err(|_| {
        // Room that a half-made file holds is room that the next try needs.
        let _ = storage.remove(&new);
    })
}

/// Writes zeros from one byte to another.
pub(crate) fn fill_with_zeros(file: &dyn Blob, from: u64, to: u64) -> io::Result<()> {
    const CHUNK: usize = 1 << 16;
    let zeros = [0; CHUNK];
    let mut at = from;
    while at < to {
        let count = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
        file.write_at(&zeros[..count], at)?;
        at += count as u64;
    }
    Ok(())
}
