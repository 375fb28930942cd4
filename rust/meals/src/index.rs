//! One meal per child, day and slot: a table in memory, rebuilt from the ledger when it is opened.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::hashing::Mixing;
use crate::record::SLOT_BYTES;

/// Child, day and slot; the slot by its number in [`Index::slots`], which keeps an entry at 24 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pupil: u64,
    day: u32,
    slot: u32,
}

/// Who holds a key: position of the meal, and whether its light was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// Number of the meal's record in the ledger, from 0.
    pub position: u64,
    /// Whether a `shown` mark follows it.
    pub shown: bool,
}

const SHOWN: u64 = 1 << 63;

impl Holding {
    fn packed(self) -> u64 {
        self.position | if self.shown { SHOWN } else { 0 }
    }

    fn unpacked(packed: u64) -> Self {
        Self {
            position: packed & !SHOWN,
            shown: packed & SHOWN != 0,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    slots: HashMap<[u8; SLOT_BYTES], u32>,
    /// The slot that was asked for last: nearly all meals in a row have one and the same.
    last: Option<([u8; SLOT_BYTES], u32)>,
    meals: HashMap<Key, u64, Mixing>,
}

impl Index {
    pub(crate) fn key(&mut self, pupil: u64, day: u32, slot: [u8; SLOT_BYTES]) -> Key {
        let number = match self.last {
            Some((last, number)) if last == slot => number,
            _ => {
                let next = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
                let number = *self.slots.entry(slot).or_insert(next);
                self.last = Some((slot, number));
                number
            }
        };
        Key {
            pupil,
            day,
            slot: number,
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<Holding> {
        self.meals.get(&key).copied().map(Holding::unpacked)
    }

    /// Looks a key up without making room for a slot that was never used.
    pub(crate) fn find(&self, pupil: u64, day: u32, slot: &[u8; SLOT_BYTES]) -> Option<Holding> {
        self.get(Key {
            pupil,
            day,
            slot: *self.slots.get(slot)?,
        })
    }

    /// Takes the key for a meal at `position`.
    ///
    /// # Errors
    /// Who holds it already.
    pub(crate) fn take(&mut self, key: Key, position: u64) -> Result<(), Holding> {
        match self.meals.entry(key) {
            Entry::Occupied(held) => Err(Holding::unpacked(*held.get())),
            Entry::Vacant(free) => {
                free.insert(
                    Holding {
                        position,
                        shown: false,
                    }
                    .packed(),
                );
                Ok(())
            }
        }
    }

    /// Sets what holds the key; `None` frees it.
    pub(crate) fn set(&mut self, key: Key, holding: Option<Holding>) {
        match holding {
            Some(holding) => self.meals.insert(key, holding.packed()),
            None => self.meals.remove(&key),
        };
    }

    pub(crate) fn len(&self) -> usize {
        self.meals.len()
    }
}
