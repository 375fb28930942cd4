//! From what a caller filled in to a record that may stand in the ledger: checked, numbered, chained, queued.

use super::{CLOCK_TOLERANCE_US, Ledger, Receipt, State, Status, Tail, Undo};
use crate::index::Holding;
use crate::reader::read_range;
use crate::record::{Kind, RawRecord, Record, Reference, chain, flags};

impl Ledger {
    /// Checks one record, gives it its number and place, and queues it.
    pub(super) fn enqueue(&self, state: &mut State, raw: &RawRecord) -> Receipt {
        let refused = |status| Receipt {
            status,
            position: 0,
            shown: false,
        };
        let Some(mut record) = Record::from_caller(raw) else {
            return refused(Status::NotValid);
        };
        record.flags &= !(flags::BEGINS_WRITE | flags::CLOCK_WENT_BACK);
        if record.kind == Kind::Opened
            || record.flags & !flags::OF_CALLER != 0
            || !record.has_day_and_slot()
        {
            return refused(Status::NotValid);
        }
        if !matches!(record.kind, Kind::Meal | Kind::Shown | Kind::Reversal) {
            record.reference = Reference::default();
            self.begin_epoch_if_new(state, &record);
            let position = state.tail.position;
            self.push(state, record);
            return Receipt {
                status: Status::Recorded,
                position,
                shown: false,
            };
        }
        let key = state.index.key(record.pupil, record.day, record.slot);
        let held = state.index.get(key);
        match (record.kind, held) {
            (Kind::Meal, Some(Holding { position, shown })) => {
                return Receipt {
                    status: Status::AlreadyServed,
                    position,
                    shown,
                };
            }
            (Kind::Meal, None) if self.pruned_day > 0 && record.day <= self.pruned_day => {
                return refused(Status::DayPruned);
            }
            (Kind::Meal, None) => record.reference = Reference::default(),
            (_, Some(held))
                if held.position < state.base.position && self.is_of(state, held, &record) => {}
            _ => return refused(Status::NoSuchMeal),
        }
        self.begin_epoch_if_new(state, &record);
        let position = state.tail.position;
        let holding = match record.kind {
            Kind::Meal => Some(Holding {
                position,
                shown: false,
            }),
            Kind::Shown => held.map(|held| Holding {
                shown: true,
                ..held
            }),
            _ => None,
        };
        state.undo.push_back((position, Undo::Index(key, held)));
        state.index.set(key, holding);
        self.push(state, record);
        Receipt {
            status: Status::Recorded,
            position,
            shown: false,
        }
    }

    /// Whether a reference leads to the meal that is held.
    fn is_of(&self, state: &State, held: Holding, record: &Record) -> bool {
        let end = held.position + 1;
        let found = match state.recent.read(held.position, end) {
            Some(bytes) => Ok(bytes),
            None => read_range(&self.segment_table(), held.position, end),
        };
        let Ok(bytes) = found else {
            return false;
        };
        bytes
            .as_chunks()
            .0
            .first()
            .and_then(|raw| Record::decode(raw).ok())
            .is_some_and(|meal| {
                meal.terminal == record.terminal
                    && meal.epoch == record.reference.epoch
                    && meal.sequence == record.reference.sequence
            })
    }

    fn begin_epoch_if_new(&self, state: &mut State, record: &Record) {
        if state
            .streams
            .get(&record.terminal)
            .is_none_or(|last| last.epoch != self.epoch)
        {
            self.begin_epoch(state, record.terminal, record.time);
        }
    }

    pub(super) fn begin_epoch(&self, state: &mut State, terminal: u32, time: i64) {
        let mut opened = Record::new(Kind::Opened);
        opened.terminal = terminal;
        opened.time = time;
        opened.reference = state.streams.get(&terminal).copied().unwrap_or_default();
        state.undo.push_back((
            state.tail.position,
            Undo::Stream(terminal, state.streams.get(&terminal).copied()),
        ));
        state.streams.insert(
            terminal,
            Reference {
                epoch: self.epoch,
                sequence: 0,
            },
        );
        self.push(state, opened);
    }

    /// Numbers, chains and queues a record that may stand in the ledger.
    fn push(&self, state: &mut State, mut record: Record) {
        let position = state.tail.position;
        let last = state
            .streams
            .get(&record.terminal)
            .copied()
            .unwrap_or_default();
        let own = Reference {
            epoch: self.epoch,
            sequence: last.sequence.saturating_add(1),
        };
        state
            .undo
            .push_back((position, Undo::Stream(record.terminal, Some(last))));
        state.streams.insert(record.terminal, own);
        (record.school, record.epoch, record.sequence) = (self.school, own.epoch, own.sequence);
        if position > 0 && record.time < state.tail.time.saturating_sub(CLOCK_TOLERANCE_US) {
            record.flags |= flags::CLOCK_WENT_BACK;
        }
        // First after a confirmation: the queue is empty and nothing in the file waits for the disk. A write in flight is
        // confirmed, or taken back with this record, before this one is written. A new segment begins with a confirmation.
        let confirmed = state
            .in_flight
            .as_ref()
            .map_or(state.base.position, |(_, end)| *end);
        let rolls = self.known_rolls.contains(&position)
            || position >= self.roll_base
                && (position - self.roll_base).is_multiple_of(self.capacity);
        if position == confirmed || rolls {
            record.flags |= flags::BEGINS_WRITE;
        }
        record.previous = state.tail.hash;
        let raw = record.encode();
        state.tail = Tail {
            position: position + 1,
            hash: chain(&raw),
            time: record.time,
        };
        state.queue.extend_from_slice(&raw);
        state.recent.push(position, raw);
    }
}
