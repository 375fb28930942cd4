//! The last records in memory: what was just recorded is asked for at once, and is not read back from the disk for that.

use std::collections::VecDeque;

use crate::record::RawRecord;

/// Records that are kept, 128 KiB.
const MOST: usize = 1024;

/// The newest records of a ledger, as they were written.
#[derive(Default)]
pub(crate) struct Recent {
    first: u64,
    records: VecDeque<RawRecord>,
}

impl Recent {
    /// Takes in the record at the next position.
    pub(crate) fn push(&mut self, position: u64, raw: RawRecord) {
        if self.records.len() == MOST {
            self.records.pop_front();
            self.first += 1;
        } else if self.records.is_empty() {
            self.first = position;
        }
        self.records.push_back(raw);
    }

    /// Forgets the records from a position on: their write failed.
    pub(crate) fn cut(&mut self, position: u64) {
        let left = usize::try_from(position.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.records.truncate(left);
    }

    /// Records `start` to `stop`, if all of them are here.
    pub(crate) fn read(&self, start: u64, stop: u64) -> Option<Vec<u8>> {
        let from = usize::try_from(start.checked_sub(self.first)?).ok()?;
        let to = usize::try_from(stop.checked_sub(self.first)?).ok()?;
        if from >= to || to > self.records.len() {
            return None;
        }
        let mut bytes = Vec::with_capacity((to - from) * crate::record::RECORD_BYTES);
        for raw in self.records.range(from..to) {
            bytes.extend_from_slice(raw);
        }
        Some(bytes)
    }
}
