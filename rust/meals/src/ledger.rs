//! The ledger open for writing: one row of records, one meal per child, day and slot, on the disk before the answer.
//!
//! Threads that append at once share one write: each puts its records into the queue under the lock; one of them, the leader,
//! takes the whole queue, writes it and waits for the disk outside the lock, while the others queue up behind. With one thread
//! the queue is one record long and nothing waits for company.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use crate::error::MealsError;
use crate::hashing::Mixing;
use crate::index::{Holding, Index, Key};
use crate::mark::{self, Marker, Phase};
use crate::pruned::{self, PRUNED_NAME};
use crate::reader::{check_first, read_range};
use crate::recent::Recent;
use crate::record::{Kind, RawRecord, Record, Reference};
use crate::sabotage::{Bug, is};
use crate::scan::{Scan, Torn};
use crate::seal;
use crate::segments::{self, Segment, is_unfinished};
use crate::storage::{Folder, LockRefused, Storage};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::writer::{Writer, clear_from, renew, segment_for};
use crate::{SEGMENT_RECORDS, record};
use commit::Ticket;

mod commit;
mod enqueue;

/// Two terminals read their clocks before they queue up, so a record may be this much earlier than the one before it.
const CLOCK_TOLERANCE_US: i64 = 100_000;

/// How a ledger is opened for writing.
#[derive(Debug, Clone)]
pub struct Options {
    /// National number of the school; `None` takes the one in the ledger, 0 in a new one.
    pub school: Option<u32>,
    /// Program, process and since when: what a second writer is told.
    pub holder: String,
    /// Unix time in microseconds.
    pub time: i64,
    /// Records of a segment made from now on.
    pub segment_records: u64,
    /// The epoch; `None` draws it from the system's random numbers.
    pub epoch: Option<u32>,
    /// Whether a thread makes the next segment ahead of need; without it operations have one order, which tests repeat.
    pub prepare_ahead: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            school: None,
            holder: String::new(),
            time: 0,
            segment_records: SEGMENT_RECORDS,
            epoch: None,
            prepare_ahead: true,
        }
    }
}

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// It is on the disk.
    Recorded = 0,
    /// This child had its meal that day and slot; the earlier record is on the disk.
    AlreadyServed = 1,
    /// Its fields cannot stand in a ledger: an unknown kind or the ledger's own, flags, day or slot.
    NotValid = 2,
    /// A reversal or mark of a meal that is not there, or no longer.
    NoSuchMeal = 3,
    /// A meal of a day whose records were pruned: whether this would be its double, nobody here can tell any more.
    DayPruned = 4,
}

/// The answer for one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// What became of it.
    pub status: Status,
    /// Number of its record in the ledger; with [`Status::AlreadyServed`] that of the earlier one.
    pub position: u64,
    /// With [`Status::AlreadyServed`]: whether the earlier one's light was on.
    pub shown: bool,
}

/// The end of the row.
#[derive(Debug, Clone, Copy, Default)]
struct Tail {
    position: u64,
    hash: [u8; 32],
    time: i64,
}

enum Undo {
    Index(Key, Option<Holding>),
    Stream(u32, Option<Reference>),
}

struct State {
    index: Index,
    streams: HashMap<u32, Reference, Mixing>,
    tail: Tail,
    /// The end of what the disk has confirmed; a failed write goes back to it.
    base: Tail,
    /// The end of what is in the file, confirmed or not.
    written: Tail,
    queue: Vec<u8>,
    recent: Recent,
    undo: VecDeque<(u64, Undo)>,
    leading: bool,
    waiting: usize,
    /// Ticket of what is in the queue, and of what is being written (with its end).
    queued: Ticket,
    in_flight: Option<(Ticket, u64)>,
    broken: Option<String>,
    closed: bool,
}

/// A ledger open for writing. All methods may be called from any thread.
pub struct Ledger {
    state: Mutex<State>,
    turn: Condvar,
    writer: Mutex<Writer>,
    segments: Arc<Mutex<Vec<Segment>>>,
    lock: Mutex<Option<Box<dyn Send>>>,
    school: u32,
    epoch: u32,
    /// Where the segments that are made from now on begin, and their size: there a write is always cut in two.
    roll_base: u64,
    capacity: u64,
    /// First positions of segments that were made ahead before this opening.
    known_rolls: Vec<u64>,
    recovered: Option<Torn>,
    /// Position of the first record that was not pruned, and the last day of those that were.
    first: u64,
    pruned_day: u32,
}

impl Ledger {
    /// Opens the ledger in a folder for writing, making it if there is none.
    ///
    /// # Errors
    /// [`MealsError::Locked`]: somebody writes to it. [`MealsError::Damaged`]: nothing was overwritten. Errors of the system.
    pub fn open(folder: &Path, options: &Options) -> Result<Self, MealsError> {
        let storage = Folder::for_writing(folder).map_err(|error| {
            MealsError::io(format!("making the folder `{}`", folder.display()), &error)
        })?;
        Self::on(Arc::new(storage), options)
    }

    /// Opens the ledger on any storage.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn on(storage: Arc<dyn Storage>, options: &Options) -> Result<Self, MealsError> {
        let place = storage.place();
        let io = |doing: &str| {
            let doing = format!("{doing} in `{place}`");
            move |error: std::io::Error| MealsError::io(doing, &error)
        };
        let lock = storage
            .lock(&options.holder)
            .map_err(|refused| match refused {
                LockRefused::Held(holder) => MealsError::Locked {
                    folder: place.clone(),
                    holder,
                },
                LockRefused::Io(error) => MealsError::io(format!("locking `{place}`"), &error),
            })?;
        let capacity = options.segment_records.clamp(1, segments::MOST_CAPACITY);
        let found = mark::read(storage.as_ref()).map_err(io("reading the mark"))?;
        let pruned = pruned::read(storage.as_ref())?;
        if pruned.lost {
            return Err(MealsError::Damaged {
                segment: PRUNED_NAME.to_owned(),
                offset: 0,
                record: 0,
                what: "neither of its two copies is sound".to_owned(),
            });
        }
        let pruned = pruned.pruned;
        let (mut segments, left) = pruned::segments_of(storage.as_ref(), capacity, &pruned)?;
        let mut index = Index::default();
        let scan = Scan::of(&segments, &found, &pruned, |position, record| {
            replay(&mut index, position, record)
        });
        if let Some(refusal) = scan.refusal() {
            return Err(refusal);
        }
        for name in storage
            .names()
            .map_err(io("listing files"))?
            .iter()
            .filter(|name| is_unfinished(name))
        {
            storage
                .remove(name)
                .map_err(io("removing an unfinished file"))?;
        }
        // Pruning was cut off while it removed what it had said to be pruned. It had sealed that; nothing else is removed on the word
        // of one small file.
        for first in left.iter().filter_map(|name| segments::first_of(name)) {
            if !matches!(seal::read(storage.as_ref(), first), Ok(Some(seal)) if seal.end() <= pruned.until)
            {
                return Err(MealsError::Damaged {
                    segment: segments::name_of(first),
                    offset: 0,
                    record: first,
                    what: "it is said to be pruned, and there is no sound seal of it".to_owned(),
                });
            }
        }
        pruned::remove(storage.as_ref(), &left).map_err(io("removing pruned segments"))?;
        let end = scan.end;
        let school = match options.school {
            Some(asked) if end > 0 && scan.school != 0 && scan.school != asked => {
                return Err(MealsError::OtherSchool {
                    found: scan.school,
                    asked,
                });
            }
            asked => asked.unwrap_or(scan.school),
        };
        // First the mark says "open" (and not more than is true), then the first byte changes.
        let mut marker = Marker::open(storage.as_ref(), &found).map_err(io("making the mark"))?;
        let phase = match found.mark.phase {
            // A recovery was cut off while it was clearing: until that is done, nothing behind the end may be believed.
            Phase::Clearing if found.mark.synced == end => Phase::Clearing,
            _ => Phase::Open,
        };
        marker
            .write_both(found.mark.synced.min(end), phase)
            .map_err(io("writing the mark"))?;
        let confirmed = found.mark.synced.max(scan.last_write).min(end);
        if !found.closed
            && renew(storage.as_ref(), &segments, confirmed, end)
                .map_err(io("copying the last segment"))?
        {
            (segments, _) = pruned::segments_of(storage.as_ref(), capacity, &pruned)?;
        }
        // From here on the disk has all records up to the end, and what is behind it is going to be zeros.
        marker
            .write_both(end, Phase::Clearing)
            .map_err(io("writing the mark"))?;
        clear_from(&segments, end).map_err(io("clearing the end of the ledger"))?;
        marker
            .write_both(end, Phase::Open)
            .map_err(io("writing the mark"))?;
        let current = segment_for(storage.as_ref(), &mut segments, end, capacity)?;
        let roll_base = segments.last().map_or(0, Segment::end);
        let known_rolls = segments
            .iter()
            .map(|segment| segment.first)
            .filter(|first| *first > end)
            .collect();
        let segments = Arc::new(Mutex::new(segments));
        let tail = Tail {
            position: end,
            hash: scan.hash,
            time: scan.time,
        };
        let ledger = Self {
            state: Mutex::new(State {
                index,
                streams: scan.streams.into_iter().collect(),
                tail,
                base: tail,
                written: tail,
                queue: Vec::new(),
                recent: Recent::default(),
                undo: VecDeque::new(),
                leading: false,
                waiting: 0,
                queued: Ticket::default(),
                in_flight: None,
                broken: None,
                closed: false,
            }),
            turn: Condvar::new(),
            writer: Mutex::new(Writer::new(
                Arc::clone(&storage),
                Arc::clone(&segments),
                marker,
                current,
                capacity,
                options.prepare_ahead,
            )),
            segments,
            lock: Mutex::new(Some(lock)),
            school,
            epoch: match options.epoch {
                Some(epoch) => epoch,
                None => draw_epoch(&scan.epochs).map_err(io("drawing an epoch"))?,
            },
            roll_base,
            known_rolls,
            capacity,
            recovered: scan.torn,
            first: pruned.until,
            pruned_day: pruned.last_day,
        };
        // The ledger's own first record of the epoch, under number 0: a disk put back from an old image shows by it.
        let mut state = ledger.state();
        ledger.begin_epoch(&mut state, 0, options.time);
        ledger.wait(state, None)?;
        Ok(ledger)
    }

    /// Appends records and returns when the disk has confirmed them: one receipt for each, in their order.
    ///
    /// The caller fills in kind, terminal, pupil, day, slot, time, price and what else there is to say; school, epoch, sequence,
    /// the flags of the ledger, chain and sum are the ledger's. A meal whose child, day and slot are taken is not recorded, and
    /// its receipt leads to the earlier record, which is then on the disk too.
    ///
    /// # Errors
    /// [`MealsError::Storage`]: at least one of these records is not on the disk. The next call tries the disk again; a meal
    /// that had reached it all the same is then answered with [`Status::AlreadyServed`].
    /// [`MealsError::CannotRecord`]: the disk failed to confirm a write; this ledger has to be opened anew.
    pub fn append(&self, records: &[RawRecord]) -> Result<Vec<Receipt>, MealsError> {
        let mut state = self.usable()?;
        let mut needed = None;
        let mut receipts = Vec::with_capacity(records.len());
        for raw in records {
            let receipt = self.enqueue(&mut state, raw);
            if matches!(receipt.status, Status::Recorded | Status::AlreadyServed) {
                needed = needed.max(Some(receipt.position));
            }
            receipts.push(receipt);
        }
        match needed.filter(|position| *position >= state.base.position) {
            Some(position) => self.wait(state, Some(position))?,
            None => drop(state),
        }
        Ok(receipts)
    }

    /// Appends records that may wait for the disk until the next one does, such as `shown` marks; the system has them at once.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_lazily(&self, records: &[RawRecord]) -> Result<Vec<Receipt>, MealsError> {
        let mut state = self.usable()?;
        let receipts = records
            .iter()
            .map(|raw| self.enqueue(&mut state, raw))
            .collect();
        if !state.leading && !state.queue.is_empty() {
            drop(self.lead(state, false));
        }
        Ok(receipts)
    }

    /// Returns when everything appended so far is on the disk.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn sync(&self) -> Result<(), MealsError> {
        let state = self.usable()?;
        match state
            .tail
            .position
            .checked_sub(1)
            .filter(|last| *last >= state.base.position)
        {
            Some(last) => self.wait(state, Some(last)),
            None => Ok(()),
        }
    }

    /// Records that the disk has confirmed.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.state().base.position
    }

    /// Position of the first record that is here: 0, unless older ones were pruned.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Records `start` to `stop`, at most up to [`Self::count`].
    ///
    /// # Errors
    /// [`MealsError::Damaged`] if one of them is no longer sound, [`MealsError::Pruned`] if it is not here any more; errors of the system.
    pub fn read(&self, start: u64, stop: u64) -> Result<Vec<u8>, MealsError> {
        check_first(start, stop, self.first)?;
        let state = self.state();
        let stop = stop.min(state.base.position);
        if let Some(bytes) = state.recent.read(start, stop) {
            return Ok(bytes);
        }
        drop(state);
        read_range(&self.segment_table(), start, stop)
    }

    /// The meal that holds child, day and slot.
    #[must_use]
    pub fn holding(
        &self,
        pupil: u64,
        day: u32,
        slot: &[u8; record::SLOT_BYTES],
    ) -> Option<Holding> {
        self.state().index.find(pupil, day, slot)
    }

    /// The epoch of this opening.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The number of the school.
    #[must_use]
    pub fn school(&self) -> u32 {
        self.school
    }

    /// Meals that hold their child, day and slot.
    #[must_use]
    pub fn meals(&self) -> usize {
        self.state().index.len()
    }

    /// Segments that are in use.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.segment_table().len()
    }

    /// The torn tail that was cut when this ledger was opened.
    #[must_use]
    pub fn recovered(&self) -> Option<&Torn> {
        self.recovered.as_ref()
    }

    /// Why nothing can be recorded any more, if so.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.state().broken.clone()
    }

    /// Writes what is left, says that all is in order, and lets others write. Closing twice is harmless.
    ///
    /// # Errors
    /// As [`Self::append`]; the ledger is closed all the same, and recovered when it is opened next.
    pub fn close(&self) -> Result<(), MealsError> {
        let outcome = match self.sync() {
            Err(MealsError::NotOpen(_)) => return Ok(()),
            outcome => outcome,
        };
        let mut state = self.state();
        while state.leading {
            state = self
                .turn
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.closed = true;
        let synced = state.base.position;
        drop(state);
        let left = outcome.and_then(|()| {
            self.writer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .close(synced)
        });
        self.lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        left
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn segment_table(&self) -> Vec<Segment> {
        self.segments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn usable(&self) -> Result<MutexGuard<'_, State>, MealsError> {
        let state = self.state();
        if state.closed {
            return Err(MealsError::NotOpen("is closed"));
        }
        match &state.broken {
            Some(reason) => Err(MealsError::CannotRecord {
                reason: reason.clone(),
            }),
            None => Ok(state),
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Who wants to know whether this worked calls `close` himself.
        let _ = self.close();
    }
}

/// Enters a sound record into the index.
fn replay(index: &mut Index, position: u64, record: &Record) {
    if !matches!(record.kind, Kind::Meal | Kind::Shown | Kind::Reversal) || is(Bug::IndexNotRebuilt)
    {
        return;
    }
    let key = index.key(record.pupil, record.day, record.slot);
    match record.kind {
        Kind::Meal => {
            // A second holder cannot have been recorded; if it stands there, the first keeps the slot.
            let _ = index.take(key, position);
        }
        Kind::Shown => {
            let held = index.get(key).map(|held| Holding {
                shown: true,
                ..held
            });
            index.set(key, held);
        }
        _ => index.set(key, None),
    }
}

/// 32 random bits that are not zero and occur nowhere in this ledger.
fn draw_epoch(taken: &HashSet<u32>) -> std::io::Result<u32> {
    use std::io::Read;

    let mut source = std::fs::File::open("/dev/urandom")?;
    loop {
        let mut bytes = [0; 4];
        source.read_exact(&mut bytes)?;
        let epoch = u32::from_le_bytes(bytes);
        if epoch != 0 && !taken.contains(&epoch) {
            return Ok(epoch);
        }
    }
}
