//! The mark: how far the ledger is known to be on the disk, and whether its last writer left in good order.
//!
//! A file of two 64-byte slots, 512 bytes apart so that one torn sector spoils one slot. It is written, without waiting for the
//! disk, after each write that the disk confirmed: what it says was true when it was written, so it is always a lower bound.
//! Three things rest on it: a reader beside a writer stops there, damage below it is never taken for a torn tail, and a ledger
//! closed in good order has no torn tail at all. Before what a failed or torn write left is turned into zeros the mark says so,
//! and waits for the disk: should the power fail in the middle of that, everything behind the mark is still known to be nothing.

use std::io;
use std::sync::Arc;

use crate::segments::MOST_RECORDS;
use crate::storage::{Blob, Storage};

/// Name of the file.
pub(crate) const MARK_NAME: &str = "meals.synced";
const NEW_NAME: &str = "meals.synced.new";
/// Bytes of the file.
pub(crate) const MARK_BYTES: usize = 1024;
const SLOT: usize = 64;
const SPACING: usize = 512;
const MAGIC: [u8; 4] = *b"EDS\x01";

/// Writes after which the file is begun anew; twice as many are believed when they are read, so that no writer gets there.
const MOST_COUNT: u64 = 1 << 48;

/// What one slot says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    /// Counts the writes of this file; the slot with the higher count holds.
    pub(crate) count: u64,
    /// Records below this position are on the disk.
    pub(crate) synced: u64,
    /// What the writer was about to do.
    pub(crate) phase: Phase,
}

/// What the writer was about to do when it wrote the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub(crate) enum Phase {
    /// To append.
    #[default]
    Open = 0,
    /// To leave, in good order.
    Closed = 1,
    /// To turn everything behind `synced` into zeros.
    Clearing = 2,
}

impl Mark {
    fn encode(self) -> [u8; SLOT] {
        let mut raw = [0; SLOT];
        raw[..4].copy_from_slice(&MAGIC);
        raw[4] = self.phase as u8;
        raw[8..16].copy_from_slice(&self.count.to_le_bytes());
        raw[16..24].copy_from_slice(&self.synced.to_le_bytes());
        let sum = crc32c::crc32c(&raw[..SLOT - 4]);
        raw[SLOT - 4..].copy_from_slice(&sum.to_le_bytes());
        raw
    }

    fn decode(raw: &[u8]) -> Option<Self> {
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&raw[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let phase = match raw[4] {
            1 => Phase::Closed,
            2 => Phase::Clearing,
            _ => Phase::Open,
        };
        let mark = Self {
            count: number(8),
            synced: number(16),
            phase,
        };
        // Counts and positions that nobody lives to reach are no writer's either.
        let sound = mark.count <= 2 * MOST_COUNT && mark.synced <= MOST_RECORDS;
        (sound && raw == mark.encode()).then_some(mark)
    }
}

/// What was found in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Found {
    /// The newest sound slot.
    pub(crate) mark: Mark,
    /// Whether that is the second one.
    pub(crate) second: bool,
    /// Whether both slots agree that the writer left in good order.
    pub(crate) closed: bool,
    /// The first byte that is not as it should be, and what is wrong there.
    pub(crate) flaw: Option<(u64, &'static str)>,
    /// Whether the file is there at all.
    pub(crate) present: bool,
}

/// Reads the file.
pub(crate) fn read(storage: &dyn Storage) -> io::Result<Found> {
    let file = match storage.open(MARK_NAME) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::default()),
        Err(error) => return Err(error),
    };
    let mut raw = [0; MARK_BYTES];
    let length = file.read_at(&mut raw, 0)?;
    let slots = [
        Mark::decode(&raw[..SLOT]),
        Mark::decode(&raw[SPACING..SPACING + SLOT]),
    ];
    let mark = slots
        .iter()
        .flatten()
        .copied()
        .max_by_key(|mark| mark.count)
        .unwrap_or_default();
    let closed = slots.iter().all(|slot| {
        slot.is_some_and(|slot| slot.phase == Phase::Closed && slot.synced == mark.synced)
    });
    let padding = (SLOT..SPACING)
        .chain(SPACING + SLOT..MARK_BYTES)
        .find(|at| raw[*at] != 0);
    let flaw = if let Some(at) = padding {
        Some((at as u64, "not zero where nothing is written"))
    } else if length != MARK_BYTES || file.length()? != MARK_BYTES as u64 {
        Some((length as u64, "the file is not 1024 bytes long"))
    } else if slots[0].is_none() {
        Some((0, "the first slot's sum does not fit"))
    } else if slots[1].is_none() {
        Some((SPACING as u64, "the second slot's sum does not fit"))
    } else if !closed
        && slots
            .iter()
            .flatten()
            .all(|slot| slot.phase == Phase::Closed)
    {
        Some((0, "the two slots contradict each other"))
    } else {
        None
    };
    Ok(Found {
        mark,
        second: slots[0].is_none_or(|first| first.count < mark.count),
        closed,
        flaw,
        present: true,
    })
}

/// The file, open for writing.
pub(crate) struct Marker {
    file: Arc<dyn Blob>,
    count: u64,
    /// The slot that may be spoiled at this moment, because the other one is sound and on the disk.
    spare: usize,
}

impl Marker {
    /// Opens the file, or makes it.
    pub(crate) fn open(storage: &dyn Storage, found: &Found) -> io::Result<Self> {
        if found.present
            && found.mark.count <= MOST_COUNT
            && storage.open(MARK_NAME)?.length()? == MARK_BYTES as u64
        {
            let file = storage.open(MARK_NAME)?;
            let spare = if found.second { 0 } else { SPACING };
            if found.mark.count > 0 {
                // After a failed confirmation this slot may be sound in the system's memory alone: before the other one is
                // touched, it is put on the disk.
                file.write_at(&found.mark.encode(), (SPACING - spare) as u64)?;
                file.sync()?;
            }
            return Ok(Self {
                file,
                count: found.mark.count,
                spare,
            });
        }
        let file = storage.create(NEW_NAME)?;
        file.write_at(&[0; MARK_BYTES], 0)?;
        let mut made = Self {
            file,
            count: 0,
            spare: SPACING,
        };
        made.write_both(0, Phase::Open)?;
        storage.rename(NEW_NAME, MARK_NAME)?;
        storage.sync_names()?;
        Ok(made)
    }

    /// Says how far the disk has confirmed; does not wait for the disk.
    ///
    /// Always in the second slot: a power cut can spoil that one alone, and the first still says what was true earlier. Unless the
    /// first is the one that a failed write may have spoiled.
    pub(crate) fn write(&mut self, synced: u64) -> io::Result<()> {
        self.put(self.spare, synced, Phase::Open)
    }

    /// Writes both slots, one safely after the other, and waits for the disk.
    pub(crate) fn write_both(&mut self, synced: u64, phase: Phase) -> io::Result<()> {
        for slot in [self.spare, SPACING - self.spare] {
            // Should it fail here, this is the slot to write next: the other one is sound and on the disk.
            self.spare = slot;
            self.put(slot, synced, phase)?;
            self.file.sync()?;
        }
        self.spare = SPACING;
        Ok(())
    }

    fn put(&mut self, slot: usize, synced: u64, phase: Phase) -> io::Result<()> {
        self.count += 1;
        let count = self.count;
        self.file.write_at(
            &Mark {
                count,
                synced,
                phase,
            }
            .encode(),
            slot as u64,
        )
    }
}
