//! The leader's half of the ledger: puts queued records into segments and waits for the disk.

use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use crate::error::MealsError;
use crate::mark::{Marker, Phase};
use crate::record::RECORD_BYTES;
use crate::sabotage::{Bug, is};
use crate::segments::{self, Segment, fill_with_zeros, name_of, prepare};
use crate::storage::{Blob, NotDurable, Storage};
use crate::sync::Mutex;

/// Why a write did not come to its end.
pub(crate) struct WriteFailed {
    /// Records below this position are on the disk all the same.
    pub(crate) synced: u64,
    pub(crate) error: MealsError,
    /// Whether the disk failed to confirm: nothing may be written through this writer any more.
    pub(crate) fatal: bool,
}

/// Segments and the mark, in the hands of whoever leads.
pub(crate) struct Writer {
    storage: Arc<dyn Storage>,
    segments: Arc<Mutex<Vec<Segment>>>,
    marker: Marker,
    capacity: u64,
    /// The segment that is written to.
    current: Segment,
    /// Whether something was written to it that the disk has not confirmed.
    unsynced: bool,
    /// Places below this may hold the rest of a write that failed; they are written over with zeros.
    soiled: u64,
    /// The segment after the next one is made by a thread of its own, ahead of need.
    preparing: Option<JoinHandle<io::Result<()>>>,
    /// The position for which that was begun; `None` where nothing is made ahead.
    prepared_for: Option<u64>,
}

impl Writer {
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        segments: Arc<Mutex<Vec<Segment>>>,
        marker: Marker,
        current: Segment,
        capacity: u64,
        prepare_ahead: bool,
    ) -> Self {
        let prepared_for = prepare_ahead.then_some(current.first);
        let unsynced = false;
        Self {
            storage,
            segments,
            marker,
            capacity,
            current,
            unsynced,
            soiled: 0,
            preparing: None,
            prepared_for,
        }
    }

    /// Writes records from `position` on; with `sync`, returns when the disk has confirmed them and all before them.
    ///
    /// Returns whether the disk has: also without being asked to, where a write goes on in another segment.
    pub(crate) fn write(
        &mut self,
        position: u64,
        bytes: &[u8],
        sync: bool,
    ) -> Result<bool, WriteFailed> {
        if self.soiled > position {
            self.clear(position)?;
        }
        let mut at = position;
        let mut left = bytes;
        let mut safe = None;
        loop {
            if at >= self.current.end() && !left.is_empty() {
                self.confirm(&mut safe, at)?;
                self.next_segment().map_err(|error| WriteFailed {
                    synced: safe.unwrap_or(0),
                    error,
                    fatal: false,
                })?;
            }
            let room = (self.current.end() - at).saturating_mul(RECORD_BYTES as u64);
            let piece = left.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            if piece > 0 {
                let end = at + (piece / RECORD_BYTES) as u64;
                let last = piece == left.len();
                self.put(at, &left[..piece], end, last && (sync || safe.is_some()))
                    .map_err(|(error, fatal)| WriteFailed {
                        synced: safe.unwrap_or(0),
                        error,
                        fatal,
                    })?;
                at = end;
                left = &left[piece..];
            }
            if left.is_empty() {
                let confirmed = sync || safe.is_some();
                if confirmed {
                    self.confirm(&mut safe, at)?;
                    // A lower bound that is too low does no harm, so a mark that cannot be written stops nobody.
                    let _ = self.marker.write(at);
                }
                self.prepare_ahead(at);
                return Ok(confirmed);
            }
        }
    }

    /// Writes into one segment; with `durably` it is confirmed as well, with all before it.
    fn put(
        &mut self,
        at: u64,
        piece: &[u8],
        end: u64,
        durably: bool,
    ) -> Result<(), (MealsError, bool)> {
        let file = &self.current.file;
        let offset = self.current.offset(at);
        let wrote = if durably && is(Bug::NoConfirmation) {
            file.write_at(piece, offset).map_err(NotDurable::Written)
        } else if durably && is(Bug::ConfirmationRetried) {
            file.write_durably(piece, offset)
                .or_else(|_| file.sync().map_err(NotDurable::Confirmed))
        } else if durably {
            file.write_durably(piece, offset)
        } else {
            file.write_at(piece, offset).map_err(NotDurable::Written)
        };
        self.unsynced = !(durably && wrote.is_ok());
        wrote.map_err(|failed| {
            self.soiled = self.soiled.max(end);
            let name = &self.current.name;
            match failed {
                NotDurable::Written(error) => (
                    MealsError::io(format!("writing to `{name}`"), &error),
                    false,
                ),
                NotDurable::Confirmed(error) => (confirming(name, &error), true),
            }
        })
    }

    /// Turns what a failed write left behind `synced` into zeros; the mark says so first, in case the power fails meanwhile.
    fn clear(&mut self, synced: u64) -> Result<(), WriteFailed> {
        let (file, to) = (&self.current.file, self.soiled.min(self.current.end()));
        let cleared = self
            .marker
            .write_both(synced, Phase::Clearing)
            .and_then(|()| {
                fill_with_zeros(
                    file.as_ref(),
                    self.current.offset(synced),
                    self.current.offset(to),
                )
            });
        let failed = |error: &io::Error, fatal| WriteFailed {
            synced: 0,
            error: MealsError::io(
                format!("clearing the end of `{}`", self.current.name),
                error,
            ),
            fatal,
        };
        cleared.map_err(|error| failed(&error, false))?;
        file.sync().map_err(|error| failed(&error, true))?;
        self.marker
            .write_both(synced, Phase::Open)
            .map_err(|error| failed(&error, false))?;
        self.unsynced = false;
        self.soiled = 0;
        Ok(())
    }

    /// Waits for the disk; then everything below `at` is on it.
    fn confirm(&mut self, safe: &mut Option<u64>, at: u64) -> Result<(), WriteFailed> {
        if self.unsynced {
            self.current.file.sync().map_err(|error| WriteFailed {
                synced: safe.unwrap_or(0),
                error: confirming(&self.current.name, &error),
                fatal: true,
            })?;
            self.unsynced = false;
        }
        *safe = Some(at);
        Ok(())
    }

    fn next_segment(&mut self) -> Result<(), MealsError> {
        let first = self.current.end();
        if let Some(thread) = self.preparing.take() {
            // Whatever it says: the segment is there, or is tried again now.
            let _ = thread.join();
        }
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = segments.iter().find(|segment| segment.first == first) {
            self.current = known.clone();
            return Ok(());
        }
        let name = name_of(first);
        let made = prepare(self.storage.as_ref(), first, self.capacity)
            .and_then(|()| self.storage.open(&name))
            .and_then(|file| Ok((file.length()?, file)));
        let (length, file) =
            made.map_err(|error| MealsError::io(format!("making the segment `{name}`"), &error))?;
        self.current = Segment {
            first,
            capacity: self.capacity,
            length,
            name,
            file,
        };
        segments.push(self.current.clone());
        Ok(())
    }

    fn prepare_ahead(&mut self, at: u64) {
        let next = self.current.end();
        if self.prepared_for.is_none_or(|begun| begun == next)
            || at < self.current.first + self.current.capacity / 2
        {
            return;
        }
        self.prepared_for = Some(next);
        let (storage, capacity) = (Arc::clone(&self.storage), self.capacity);
        self.preparing = std::thread::Builder::new()
            .name("edusense-segment".to_owned())
            .spawn(move || prepare(storage.as_ref(), next, capacity))
            .ok();
    }

    /// Leaves in good order; `synced` is what the disk has confirmed.
    pub(crate) fn close(&mut self, synced: u64) -> Result<(), MealsError> {
        if let Some(thread) = self.preparing.take() {
            let _ = thread.join();
        }
        if self.soiled > synced {
            self.clear(synced).map_err(|failed| failed.error)?;
        }
        self.marker
            .write_both(synced, Phase::Closed)
            .map_err(|error| MealsError::io("writing the mark", &error))
    }
}

fn confirming(name: &str, error: &io::Error) -> MealsError {
    MealsError::io(format!("waiting for the disk to confirm `{name}`"), error)
}

/// Copies the segment whose last records may not be confirmed into a new file, which takes its place; returns whether it did.
///
/// After a failed confirmation the system's memory may hold what the disk does not, and the old file's next confirmation
/// proves nothing: only bytes that are written now, to a file that never failed, are confirmed. What is behind `end` is zero there.
pub(crate) fn renew(
    storage: &dyn Storage,
    segments: &[Segment],
    from: u64,
    end: u64,
) -> io::Result<bool> {
    let last = segments.iter().rev().find(|segment| segment.first < end);
    let Some(segment) = last.filter(|_| from < end) else {
        return Ok(false);
    };
    // Older segments are confirmed: the first record of this one was written after that.
    let kept = usize::try_from(end - segment.first).unwrap_or(0) * RECORD_BYTES;
    let mut bytes = vec![0; kept];
    segment.read(segment.first, &mut bytes)?;
    let new = segments::new_name_of(segment.first);
    let copied = || -> io::Result<()> {
        let file = storage.create(&new)?;
        file.write_at(&bytes, 0)?;
        let full = segment.capacity * RECORD_BYTES as u64;
        fill_with_zeros(file.as_ref(), kept as u64, full.max(segment.length))?;
        file.sync()?;
        let mut again = vec![0; kept];
        if file.read_at(&mut again, 0)? != kept || again != bytes {
            return Err(io::Error::other("the copy is not what was copied"));
        }
        storage.rename(&new, &segment.name)?;
        storage.sync_names()
    };
    copied().inspect_err(|_| {
        let _ = storage.remove(&new);
    })?;
    Ok(true)
}

/// Makes everything behind the last record zero, and cut files whole again.
pub(crate) fn clear_from(segments: &[Segment], end: u64) -> io::Result<()> {
    for segment in segments.iter().filter(|segment| segment.end() > end) {
        let from = segment.offset(end.max(segment.first));
        let full = segment.capacity * RECORD_BYTES as u64;
        let written = last_nonzero(segment.file.as_ref(), from, segment.length)?;
        fill_with_zeros(segment.file.as_ref(), from, written)?;
        fill_with_zeros(segment.file.as_ref(), segment.length, full)?;
        if written > from || segment.length < full {
            segment.file.sync()?;
        }
    }
    Ok(())
}

/// One past the last byte from `from` on that is not zero.
fn last_nonzero(file: &dyn Blob, from: u64, length: u64) -> io::Result<u64> {
    const CHUNK: u64 = 1 << 16;
    let mut end = length;
    while end > from {
        let start = end.saturating_sub(CHUNK).max(from);
        let mut bytes = [0; CHUNK as usize];
        let wanted = usize::try_from(end - start).unwrap_or(bytes.len());
        let count = file.read_at(&mut bytes[..wanted], start)?;
        if let Some(at) = bytes[..count].iter().rposition(|byte| *byte != 0) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(from)
}

/// The segment that the record at `end` goes to; made if there is none.
pub(crate) fn segment_for(
    storage: &dyn Storage,
    segments: &mut Vec<Segment>,
    end: u64,
    capacity: u64,
) -> Result<Segment, MealsError> {
    if let Some(segment) = segments
        .iter()
        .find(|segment| segment.first <= end && end < segment.end())
    {
        return Ok(segment.clone());
    }
    let name = name_of(end);
    // Only up to an empty segment that is there already, should the first one be missing.
    let next = segments.iter().map(|segment| segment.first);
    let next = next.filter(|first| *first > end).min();
    let room = next.map_or(capacity, |next| capacity.min(next - end));
    prepare(storage, end, room)
        .map_err(|error| MealsError::io(format!("making the segment `{name}`"), &error))?;
    *segments = segments::list(storage, capacity, 0)?;
    segments
        .iter()
        .find(|segment| segment.first == end)
        .cloned()
        .ok_or_else(|| MealsError::NotALedger {
            folder: storage.place(),
            why: format!("`{name}` is gone"),
        })
}
