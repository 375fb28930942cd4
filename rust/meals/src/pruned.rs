//! What was pruned: one small file that says below which position the records are not here any more, and how the row goes on.
//!
//! It is the one thing that makes missing segments a decision instead of damage, so it is on the disk, read back and named before
//! the first segment is removed. It stands twice in its file: one spoiled sector does not stop a canteen.

use std::io;

use crate::batch::array;
use crate::error::MealsError;
use crate::record::Reference;
use crate::segments::{self, MOST_RECORDS, Segment};
use crate::storage::Storage;

/// Name of the file.
pub(crate) const PRUNED_NAME: &str = "meals.pruned";
const NEW_NAME: &str = "meals.pruned.new";
const MAGIC: [u8; 4] = *b"EDP\x01";
const HEAD_BYTES: usize = 64;
const STREAM_BYTES: usize = 16;
const SUM_BYTES: usize = 4;
/// Terminals of a school that cannot be meant.
const MOST_STREAMS: usize = 1 << 16;
const MOST_BYTES: usize = 2 * (HEAD_BYTES + MOST_STREAMS * STREAM_BYTES + SUM_BYTES);

/// Where the records begin that are still here, and what one has to know of those before. The default: nothing was pruned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pruned {
    /// Records below this position are not here any more.
    pub(crate) until: u64,
    /// No meal of this day or an earlier one is taken any more: its double might have been pruned.
    pub(crate) last_day: u32,
    /// School in the last pruned record.
    pub(crate) school: u32,
    /// Time of the last pruned record.
    pub(crate) time: i64,
    /// Hash of the last pruned record.
    pub(crate) head: [u8; 32],
    /// Last record of each terminal, by its number.
    pub(crate) streams: Vec<(u32, Reference)>,
}

/// What was found in the file.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) pruned: Pruned,
    /// The first byte of a copy that is not sound.
    pub(crate) flaw: Option<u64>,
    /// Neither copy is sound: nobody knows what was pruned.
    pub(crate) lost: bool,
}

impl Pruned {
    fn encode(&self) -> Vec<u8> {
        let mut raw = vec![0; HEAD_BYTES];
        raw[..4].copy_from_slice(&MAGIC);
        raw[4..8].copy_from_slice(&self.school.to_le_bytes());
        raw[8..16].copy_from_slice(&self.until.to_le_bytes());
        raw[16..20].copy_from_slice(&self.last_day.to_le_bytes());
        let count = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        raw[20..24].copy_from_slice(&count.to_le_bytes());
        raw[24..32].copy_from_slice(&self.time.to_le_bytes());
        raw[32..64].copy_from_slice(&self.head);
        for (terminal, last) in &self.streams {
            raw.extend_from_slice(&terminal.to_le_bytes());
            raw.extend_from_slice(&last.epoch.to_le_bytes());
            raw.extend_from_slice(&last.sequence.to_le_bytes());
        }
        raw.extend_from_slice(&crc32c::crc32c(&raw).to_le_bytes());
        raw
    }

    fn decode(raw: &[u8]) -> Option<Self> {
        let streams = raw
            .len()
            .checked_sub(HEAD_BYTES + SUM_BYTES)
            .filter(|bytes| bytes.is_multiple_of(STREAM_BYTES))?
            / STREAM_BYTES;
        let body = raw.len() - SUM_BYTES;
        if u32::from_le_bytes(array(raw, body)) != crc32c::crc32c(&raw[..body]) {
            return None;
        }
        let found = Self {
            school: u32::from_le_bytes(array(raw, 4)),
            until: u64::from_le_bytes(array(raw, 8)),
            last_day: u32::from_le_bytes(array(raw, 16)),
            time: i64::from_le_bytes(array(raw, 24)),
            head: array(raw, 32),
            streams: (0..streams)
                .map(|index| {
                    let at = HEAD_BYTES + index * STREAM_BYTES;
                    let last = Reference {
                        epoch: u32::from_le_bytes(array(raw, at + 4)),
                        sequence: u64::from_le_bytes(array(raw, at + 8)),
                    };
                    (u32::from_le_bytes(array(raw, at)), last)
                })
                .collect(),
        };
        // Half of what a position can be: a writer that goes on from there does not get to the end of them.
        let meant = (1..=MOST_RECORDS / 2).contains(&found.until) && raw == found.encode();
        meant.then_some(found)
    }
}

/// Reads the file; where there is none, nothing was pruned.
pub(crate) fn read(storage: &dyn Storage) -> Result<Found, MealsError> {
    let doing = |error: &io::Error| MealsError::io(format!("reading `{PRUNED_NAME}`"), error);
    let file = match storage.open(PRUNED_NAME) {
        Ok(file) => file,
        // That there is no such folder is said by whoever lists it.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Found::default());
        }
        Err(error) => return Err(doing(&error)),
    };
    let length = file.length().map_err(|error| doing(&error))?;
    let half = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(MOST_BYTES)
        / 2;
    // Each half for itself: a sector that the disk cannot read spoils one of them.
    let copies = [0, half].map(|at| {
        let mut raw = vec![0; half];
        match file.read_at(&mut raw, at as u64) {
            Ok(count) if count == half => Pruned::decode(&raw),
            _ => None,
        }
    });
    let flaw = match &copies {
        [None, _] => Some(0),
        [Some(_), None] => Some(half as u64),
        [Some(first), Some(second)] if first != second => Some(half as u64),
        _ if 2 * half as u64 != length => Some(2 * half as u64),
        _ => None,
    };
    let sound = copies.into_iter().flatten().next();
    Ok(Found {
        lost: sound.is_none(),
        pruned: sound.unwrap_or_default(),
        flaw,
    })
}

/// Puts it on the disk; on return it has taken the place of what was there.
pub(crate) fn write(storage: &dyn Storage, pruned: &Pruned) -> io::Result<()> {
    let copy = pruned.encode();
    write_whole(storage, PRUNED_NAME, NEW_NAME, &[&copy[..], &copy].concat())
}

/// Writes a small file under another name, reads it back, and gives it its name: it is there whole, or not at all.
pub(crate) fn write_whole(
    storage: &dyn Storage,
    name: &str,
    new: &str,
    bytes: &[u8],
) -> io::Result<()> {
    let written = || -> io::Result<()> {
        let file = storage.create(new)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        let mut again = vec![0; bytes.len()];
        if file.read_at(&mut again, 0)? != bytes.len() || again != bytes {
            return Err(io::Error::other(format!(
                "`{new}` is not what was written to it"
            )));
        }
        storage.rename(new, name)?;
        storage.sync_names()
    };
    written().inspect_err(|_| {
        let _ = storage.remove(new);
    })
}

/// The segments that are there and count, and the names of those that were pruned and not removed yet.
pub(crate) fn segments_of(
    storage: &dyn Storage,
    usual_capacity: u64,
    pruned: &Pruned,
) -> Result<(Vec<Segment>, Vec<String>), MealsError> {
    let here = segments::list(storage, usual_capacity, pruned.until)?;
    let mut left = storage
        .names()
        .map_err(|error| MealsError::io(format!("listing `{}`", storage.place()), &error))?;
    left.retain(|name| segments::first_of(name).is_some_and(|first| first < pruned.until));
    left.sort_unstable();
    Ok((here, left))
}

/// Removes segments that were pruned; what says so is on the disk before the first one goes.
pub(crate) fn remove(storage: &dyn Storage, names: &[String]) -> io::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    storage.sync_names()?;
    for name in names {
        storage.remove(name)?;
    }
    storage.sync_names()
}
