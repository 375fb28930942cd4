//! Reads a whole ledger, byte by byte, and says what it is: sound records, unused space, a torn tail, or damage.
//!
//! How a torn tail is told from damage. Only what was written since the disk's last confirmation can be torn. Two things say
//! what was confirmed: the mark (a lower bound, `mark.rs`), and the flag `BEGINS_WRITE`, set on each record before whose
//! writing everything earlier had been confirmed. So the ledger's end is torn if and only if the writer did not leave in good
//! order, the first unsound record lies at or above the mark, and everything from there on is what the last write can have
//! left, in one segment: zeros, beginnings of records, or sound records without that flag. All else is damage.
//!
//! One exception, said aloud by [`Torn::confirmed`]: the very last confirmed record, cut short or gone. A disk that lies about
//! its cache does that at a power cut, and refusing to open would stop a canteen for one record that cannot come back.

use std::collections::{HashMap, HashSet};

use crate::error::MealsError;
use crate::mark::{Found, Phase};
use crate::pruned::Pruned;
use crate::record::{
    Flaw, Kind, RECORD_BYTES, RawRecord, Record, Reference, chain, flags, flipped_bit, looks_torn,
};
use crate::sabotage::{Bug, is};
use crate::segments::{MOST_CAPACITY, Segment};
use behind::{Behind, Island};

mod behind;

/// Damage at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File name.
    pub segment: String,
    /// Byte in that file.
    pub offset: u64,
    /// Number of the first record concerned.
    pub record: u64,
    /// How many records in a row.
    pub count: u64,
    /// What was found.
    pub what: String,
}

/// A last write that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// File name.
    pub segment: String,
    /// Byte in that file at which it begins.
    pub offset: u64,
    /// Number that its first record would have had.
    pub record: u64,
    /// Places of records that are not zero, from there on (at least 1, also where all that was left is zero).
    pub count: u64,
    /// Whether the disk had confirmed this record: then it lost it, or somebody cut the file.
    pub confirmed: bool,
}

/// What a scan found.
#[derive(Default)]
pub(crate) struct Scan {
    /// Sound records from the beginning on: the position of the first place that holds none.
    pub(crate) end: u64,
    /// Hash of the last of them.
    pub(crate) hash: [u8; 32],
    /// Time of the last of them.
    pub(crate) time: i64,
    /// School in the last of them.
    pub(crate) school: u32,
    /// Last record of each terminal.
    pub(crate) streams: HashMap<u32, Reference>,
    /// All epochs that occur.
    pub(crate) epochs: HashSet<u32>,
    /// Position of the last record that begins a write.
    pub(crate) last_write: u64,
    /// All sound records, those after damage too.
    pub(crate) sound: u64,
    /// Position of the first record that was not pruned.
    begin: u64,
    /// Zero bytes in places that no record has taken yet.
    pub(crate) unused_bytes: u64,
    pub(crate) torn: Option<Torn>,
    pub(crate) problems: Vec<Problem>,
    /// Whether the first problem is a newer version's record.
    pub(crate) newer: bool,
}

/// What stands at a place where the row of sound records has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Zero,
    Missing,
    /// A sound record; whether it begins a write, and whether it follows the one before it.
    Sound {
        begins: bool,
        follows: bool,
    },
    Torn,
    Bad(Flaw),
    Unreadable,
}

/// Places of damage that are listed one by one.
const MOST_PROBLEMS: usize = 1000;

/// A run of equal places.
struct Run {
    position: u64,
    count: u64,
    rest: Rest,
}

impl Scan {
    /// Reads all segments from where pruning ended; `visit` gets each sound record up to the first place that holds none.
    pub(crate) fn of(
        segments: &[Segment],
        found: &Found,
        pruned: &Pruned,
        mut visit: impl FnMut(u64, &Record),
    ) -> Self {
        let begin = pruned.until;
        let mut scan = Self {
            begin,
            end: begin,
            last_write: begin,
            hash: pruned.head,
            time: pruned.time,
            school: pruned.school,
            streams: pruned.streams.iter().copied().collect(),
            epochs: pruned.streams.iter().map(|(_, last)| last.epoch).collect(),
            ..Self::default()
        };
        let mut runs: Vec<Run> = Vec::new();
        let mut first_bad: Option<RawRecord> = None;
        let mut ended = segments
            .first()
            .is_some_and(|segment| segment.first > begin);
        if let (true, Some(segment)) = (ended, segments.first()) {
            runs.push(Run {
                position: begin,
                count: segment.first - begin,
                rest: Rest::Missing,
            });
            if segment.first - begin > MOST_CAPACITY {
                scan.problems.push(Problem {
                    segment: segment.name.clone(),
                    offset: 0,
                    record: begin,
                    count: 0,
                    what: "the first segment begins long after the first record".to_owned(),
                });
            }
        }
        let mut hash_before: Option<[u8; 32]> = Some(pruned.head);
        let mut behind = Behind {
            streams: scan.streams.clone(),
            ..Behind::default()
        };
        for segment in segments {
            let held = segment
                .capacity
                .min(segment.length.div_ceil(RECORD_BYTES as u64))
                .min(MOST_CAPACITY);
            let mut position = segment.first;
            for block in Blocks::of(segment, held) {
                let Some(bytes) = block else {
                    add(&mut runs, position, 1, Rest::Unreadable);
                    behind.meet(ended, &scan.streams, 1);
                    behind.close(position, false);
                    (ended, hash_before) = (true, None);
                    position += 1;
                    continue;
                };
                for raw in bytes.as_chunks::<RECORD_BYTES>().0 {
                    let decoded = Record::decode(raw);
                    let ends_here = !ended;
                    if !ended {
                        match &decoded {
                            Ok(record)
                                if (hash_before == Some(record.previous)
                                    || is(Bug::ChainIgnored))
                                    && scan.continues(record) =>
                            {
                                scan.accept(position, record, raw);
                                hash_before = Some(scan.hash);
                                visit(position, record);
                                position += 1;
                                continue;
                            }
                            _ => {
                                ended = true;
                                first_bad = Some(*raw);
                                behind.streams.clone_from(&scan.streams);
                            }
                        }
                    }
                    let rest = match decoded {
                        Ok(record) => {
                            scan.sound += 1;
                            let chained = hash_before == Some(record.previous);
                            if !chained {
                                behind.break_at(position, hash_before.is_some());
                            }
                            behind.next = position + 1;
                            let in_place = behind.is_in_place(&record, chained && !ends_here);
                            let follows =
                                !ends_here && in_place && (chained || hash_before.is_none());
                            hash_before = Some(chain(raw));
                            Rest::Sound {
                                begins: record.flags & flags::BEGINS_WRITE != 0,
                                follows,
                            }
                        }
                        Err(flaw) => {
                            behind.lost += 1;
                            behind.close(position, false);
                            hash_before = None;
                            match flaw {
                                Flaw::Empty => Rest::Zero,
                                // Its sum fits, so it was written whole, whatever its last byte is.
                                Flaw::Version(_) | Flaw::Kind(_) => Rest::Bad(flaw),
                                _ if looks_torn(raw) => Rest::Torn,
                                _ => Rest::Bad(flaw),
                            }
                        }
                    };
                    add(&mut runs, position, 1, rest);
                    position += 1;
                }
            }
            if held < segment.capacity {
                behind.meet(ended, &scan.streams, segment.capacity - held);
                behind.close(position, false);
                (ended, hash_before) = (true, None);
                add(&mut runs, position, segment.capacity - held, Rest::Missing);
            }
            let strange = if segment.length > segment.capacity.saturating_mul(RECORD_BYTES as u64) {
                Some("the file goes on where the next segment begins")
            } else if segment.length > MOST_CAPACITY * RECORD_BYTES as u64 {
                Some("the file is larger than a segment can be")
            } else if held < segment.capacity && segment.capacity > MOST_CAPACITY {
                Some("the file ends long before the next segment begins")
            } else {
                None
            };
            scan.problems.extend(strange.map(|what| Problem {
                segment: segment.name.clone(),
                offset: segment.length.min(segment.offset(segment.end())),
                record: segment.end(),
                count: 0,
                what: what.to_owned(),
            }));
        }
        behind.close(behind.next, false);
        scan.judge(segments, found, &runs, first_bad.as_ref());
        scan.name_islands(segments, &behind.islands);
        scan
    }

    /// Names the records that are held by nothing on either side: each is sound, and none need be the one that was written there.
    fn name_islands(&mut self, segments: &[Segment], islands: &[Island]) {
        if self.torn.is_some() {
            return;
        }
        for island in islands {
            let adrift = island.broken_behind || island.broken_before;
            let first = island.first + u64::from(island.broken_before);
            if !adrift || first >= island.end || self.problems.len() >= MOST_PROBLEMS {
                continue;
            }
            let (segment, offset) = place_of(segments, first).unwrap_or_default();
            self.problems.push(Problem {
                segment,
                offset,
                record: first,
                count: island.end - first,
                what: "follows a record that is not where it belongs".to_owned(),
            });
        }
        self.problems.sort_by_key(|problem| problem.record);
    }

    /// Whether a record has the number that its terminal's last one promises.
    fn continues(&self, record: &Record) -> bool {
        let last = self
            .streams
            .get(&record.terminal)
            .copied()
            .unwrap_or_default();
        if record.kind == Kind::Opened {
            record.sequence == 1 && record.reference == last && record.epoch != 0
        } else {
            record.epoch == last.epoch && Some(record.sequence) == last.sequence.checked_add(1)
        }
    }

    fn accept(&mut self, position: u64, record: &Record, raw: &RawRecord) {
        self.end = position + 1;
        self.sound += 1;
        self.hash = chain(raw);
        self.time = record.time;
        self.school = record.school;
        self.streams.insert(
            record.terminal,
            Reference {
                epoch: record.epoch,
                sequence: record.sequence,
            },
        );
        if record.kind == Kind::Opened {
            self.epochs.insert(record.epoch);
        }
        if record.flags & flags::BEGINS_WRITE != 0 {
            self.last_write = position;
        }
    }

    /// Decides what the places after the last sound record are.
    fn judge(
        &mut self,
        segments: &[Segment],
        found: &Found,
        runs: &[Run],
        first_bad: Option<&RawRecord>,
    ) {
        let (end, synced) = (self.end, found.mark.synced);
        let empty = |rest: Rest| matches!(rest, Rest::Zero | Rest::Missing);
        // One past the last place that holds anything; zeros above are unused space.
        let used = runs
            .iter()
            .filter(|run| !empty(run.rest))
            .map(|run| run.position + run.count)
            .max()
            .unwrap_or(end);
        let torn = self.is_torn(segments, found, runs, first_bad, used);
        if let Some(confirmed) = torn {
            let count = used.saturating_sub(end).max(1);
            if let Some((segment, offset)) = place_of(segments, end) {
                self.torn = Some(Torn {
                    segment,
                    offset,
                    record: end,
                    count,
                    confirmed,
                });
            }
            self.sound = end - self.begin;
        }
        let used = if torn.is_some() {
            used.max(end + 1)
        } else {
            used.max(synced)
        };
        let mut unlisted: Option<Problem> = None;
        for run in runs {
            let unused = (run.position + run.count).saturating_sub(run.position.max(used));
            if run.rest == Rest::Zero {
                self.unused_bytes += unused * RECORD_BYTES as u64;
            }
            if torn.is_some() {
                continue;
            }
            let what = match run.rest {
                Rest::Zero if unused < run.count => Flaw::Empty.to_string(),
                Rest::Missing if unused < run.count => "missing: the file ends, or there is no file".to_owned(),
                Rest::Zero | Rest::Missing | Rest::Sound { follows: true, .. } => continue,
                Rest::Sound { follows: false, .. } => {
                    "does not follow the record before it: one of the two was changed, or a record is missing".to_owned()
                }
                Rest::Torn | Rest::Bad(_) => self.describe(run, first_bad),
                Rest::Unreadable => "the disk cannot read it".to_owned(),
            };
            self.newer |= self.problems.is_empty()
                && matches!(run.rest, Rest::Bad(Flaw::Version(_) | Flaw::Kind(_)));
            let (segment, offset) = place_of(segments, run.position).unwrap_or_default();
            let count = if empty(run.rest) {
                run.count - unused
            } else {
                run.count
            };
            if let Some(more) = &mut unlisted {
                more.count = more.count.saturating_add(count);
                continue;
            }
            let full = self.problems.len() >= MOST_PROBLEMS;
            let problem = Problem {
                segment,
                offset,
                record: run.position,
                count,
                what: if full {
                    "damaged, and so are more places behind it, which are only counted".to_owned()
                } else {
                    what
                },
            };
            if full {
                unlisted = Some(problem);
            } else {
                self.problems.push(problem);
            }
        }
        self.problems.extend(unlisted);
        if torn.is_none()
            && used > end
            && !self.problems.iter().any(|problem| problem.record >= end)
        {
            // Nothing there but what was confirmed is gone with its file.
            let (segment, offset) = place_of(segments, end).unwrap_or_default();
            self.problems.push(Problem {
                segment,
                offset,
                record: end,
                count: used - end,
                what: "missing: these records were on the disk".to_owned(),
            });
        }
        self.problems.sort_by_key(|problem| problem.record);
    }

    /// Whether what follows the sound records is a torn write; the answer's value: whether the disk had confirmed it.
    fn is_torn(
        &self,
        segments: &[Segment],
        found: &Found,
        runs: &[Run],
        first_bad: Option<&RawRecord>,
        used: u64,
    ) -> Option<bool> {
        let (end, synced) = (self.end, found.mark.synced);
        if used <= end && synced <= end {
            return None; // nothing there at all
        }
        if found.mark.phase == Phase::Clearing && synced == end {
            return Some(false); // somebody was about to clear it, and said so
        }
        if is(Bug::DamageCutOff) {
            return Some(false);
        }
        let zeros = [0; RECORD_BYTES];
        let bad = first_bad.unwrap_or(&zeros);
        if let Some(bit) = flipped_bit(bad) {
            // One bit makes it sound, so all of it had been written: rot. Unless that bit is all that the cut took.
            let written = RECORD_BYTES - bad.iter().rev().take_while(|byte| **byte == 0).count();
            if bit / 8 < written {
                return None;
            }
        }
        let at_end = || runs.iter().filter(|run| run.position + run.count > end);
        if synced > end {
            let only_this = used <= end + 1 && synced == end + 1;
            let cut = at_end()
                .next()
                .is_none_or(|run| matches!(run.rest, Rest::Zero | Rest::Missing | Rest::Torn));
            return (only_this && cut).then_some(true);
        }
        let segment_end = segments
            .iter()
            .find(|segment| (segment.first..segment.end()).contains(&end))?
            .end();
        let left_by_one_write = at_end().all(|run| match run.rest {
            Rest::Zero | Rest::Missing => true,
            Rest::Torn | Rest::Sound { begins: false, .. } => {
                run.position + run.count <= segment_end
            }
            _ => false,
        });
        (!found.closed && left_by_one_write).then_some(false)
    }

    fn describe(&self, run: &Run, first_bad: Option<&RawRecord>) -> String {
        let sum = match run.rest {
            Rest::Bad(flaw) => flaw.to_string(),
            _ => "a record that is not whole".to_owned(),
        };
        match first_bad
            .filter(|_| run.position == self.end)
            .and_then(flipped_bit)
        {
            Some(bit) => format!(
                "{sum}; sound again if bit {} of its byte {} is changed",
                bit % 8,
                bit / 8
            ),
            None => sum,
        }
    }
}

/// The file and byte of a position.
pub(crate) fn place_of(segments: &[Segment], position: u64) -> Option<(String, u64)> {
    let segment = segments
        .iter()
        .rev()
        .find(|segment| segment.first <= position)?;
    Some((segment.name.clone(), segment.offset(position)))
}

fn add(runs: &mut Vec<Run>, position: u64, count: u64, rest: Rest) {
    match runs.last_mut() {
        Some(last) if last.rest == rest && last.position + last.count == position => {
            last.count += count
        }
        _ => runs.push(Run {
            position,
            count,
            rest,
        }),
    }
}

/// A segment's bytes: one block if the disk reads it, else record by record with `None` for those that it does not read.
struct Blocks<'a> {
    segment: &'a Segment,
    held: u64,
    next: u64,
    whole: bool,
}

impl<'a> Blocks<'a> {
    const RECORDS: u64 = 8192;

    fn of(segment: &'a Segment, held: u64) -> Self {
        Self {
            segment,
            held,
            next: 0,
            whole: true,
        }
    }
}

impl Iterator for Blocks<'_> {
    type Item = Option<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.held - self.next;
        if left == 0 {
            return None;
        }
        let count = if self.whole {
            left.min(Self::RECORDS)
        } else {
            1
        };
        let mut bytes = vec![0; usize::try_from(count).ok()? * RECORD_BYTES];
        match self
            .segment
            .read(self.segment.first + self.next, &mut bytes)
        {
            Ok(()) => {
                self.next += count;
                Some(Some(bytes))
            }
            Err(_) if self.whole => {
                self.whole = false;
                self.next()
            }
            Err(_) => {
                self.next += 1;
                Some(None)
            }
        }
    }
}

impl Scan {
    /// The error for opening such a ledger, if it must not be written to.
    pub(crate) fn refusal(&self) -> Option<MealsError> {
        let first = self.problems.first()?;
        Some(if self.newer {
            MealsError::Version {
                segment: first.segment.clone(),
                offset: first.offset,
                what: first.what.clone(),
            }
        } else {
            let more = match self.problems.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            MealsError::Damaged {
                segment: first.segment.clone(),
                offset: first.offset,
                record: first.record,
                what: format!("{}{more}", first.what),
            }
        })
    }
}
