//! Sound records behind the place where the row of them ended: whether each stands where it was written.

use std::collections::HashMap;

use crate::record::{Kind, Record, Reference};

/// What can stand behind the row of sound records, if each stands where it was written.
///
/// A write that went astray leaves sound records, chained to one another, at another's place: only their numbers tell.
#[derive(Default)]
pub(super) struct Behind {
    pub(super) streams: HashMap<u32, Reference>,
    /// Places so far whose records are not known: as many numbers may be missing.
    pub(super) lost: u64,
    /// Whether the last record stands where it was written.
    pub(super) in_place: bool,
    /// The run of records that follow one another: where it began, and whether a sound record that it does not follow stands there.
    pub(super) run: Option<(u64, bool)>,
    /// One past the last sound record.
    pub(super) next: u64,
    pub(super) islands: Vec<Island>,
}

/// Sound records that follow one another, and not what is before them.
pub(super) struct Island {
    pub(super) first: u64,
    pub(super) end: u64,
    /// Whether what is before, and behind, is sound as well and of another chain.
    pub(super) broken_before: bool,
    pub(super) broken_behind: bool,
}

impl Behind {
    /// Meets places that hold no record.
    pub(super) fn meet(&mut self, ended: bool, streams: &HashMap<u32, Reference>, places: u64) {
        if !ended {
            self.streams.clone_from(streams);
        }
        self.lost = self.lost.saturating_add(places);
    }

    /// A run begins.
    pub(super) fn break_at(&mut self, position: u64, behind_sound: bool) {
        self.close(position, behind_sound);
        self.run = Some((position, behind_sound));
    }

    /// A run ends.
    pub(super) fn close(&mut self, end: u64, broken_behind: bool) {
        if let Some((first, broken_before)) = self.run.take() {
            self.islands.push(Island {
                first,
                end,
                broken_before,
                broken_behind,
            });
        }
    }

    /// Whether a sound record is where it was written; `chained`: it follows the one before it, and then is what that is.
    pub(super) fn is_in_place(&mut self, record: &Record, chained: bool) -> bool {
        let last = self
            .streams
            .get(&record.terminal)
            .copied()
            .unwrap_or_default();
        let begins = record.kind == Kind::Opened && record.sequence == 1;
        let found = if chained {
            self.in_place
        } else if begins {
            record.reference == last || self.lost > 0
        } else if record.epoch == last.epoch {
            record.sequence > last.sequence && record.sequence - last.sequence <= self.lost + 1
        } else {
            // Its epoch began where something is lost.
            record.sequence <= self.lost + 1
        };
        self.in_place = found;
        if found {
            let own = Reference {
                epoch: record.epoch,
                sequence: record.sequence,
            };
            self.streams.insert(record.terminal, own);
        } else {
            self.lost += 1;
        }
        found
    }
}
