//! Reading without a lock: beside a writer up to what the disk has confirmed, otherwise up to the last whole record.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::MealsError;
use crate::mark;
use crate::pruned::{self, PRUNED_NAME, Pruned};
use crate::record::{Flaw, RECORD_BYTES, RawRecord, Record, chain};
use crate::scan::{Problem, Scan, Torn};
use crate::seal::{self, Seal};
use crate::segments::{Segment, is_acknowledgement, is_unfinished};
use crate::storage::{Folder, LOCK_NAME, Storage};
use crate::{SEGMENT_RECORDS, mark::MARK_NAME};

/// What [`Reader::verify`] found; every byte of every segment is in one of its counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Sound records.
    pub records: u64,
    /// Segments.
    pub segments: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Zero bytes in places that no record has taken yet.
    pub unused_bytes: u64,
    /// Bytes of a last write that was cut off.
    pub torn_bytes: u64,
    /// The last write, if it was cut off.
    pub torn: Option<Torn>,
    /// Everything else: damage.
    pub problems: Vec<Problem>,
    /// Things that are no damage, such as files that are not the ledger's.
    pub notes: Vec<String>,
    /// How many records the disk is known to have confirmed.
    pub synced: u64,
    /// Whether the last writer left in good order.
    pub closed: bool,
    /// Who writes at this moment.
    pub holder: Option<String>,
    /// SHA-256 of the last sound record: fixes all records before it.
    pub head: [u8; 32],
    /// Position of the first record that was not pruned.
    pub first: u64,
    /// Seals of segments, in their order: those of pruned ones, then those that are here and were sealed.
    pub seals: Vec<Sealed>,
}

/// A segment that was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Whether its records are not here any more.
    pub pruned: bool,
    /// What stands in the seal.
    pub seal: Seal,
}

/// A ledger opened for reading.
pub struct Reader {
    storage: Arc<dyn Storage>,
}

impl Reader {
    /// Opens the ledger in a folder.
    ///
    /// # Errors
    /// [`MealsError::NotALedger`] where there is none; errors of the system.
    pub fn open(folder: &Path) -> Result<Self, MealsError> {
        Self::of(Arc::new(Folder::for_reading(folder)))
    }

    /// Opens the ledger on any storage.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of(storage: Arc<dyn Storage>) -> Result<Self, MealsError> {
        let reader = Self { storage };
        let segments = reader.segments()?;
        if segments.is_empty() && !reader.found()?.present {
            return Err(MealsError::NotALedger {
                folder: reader.storage.place(),
                why: "no segment and no mark of a ledger are in it".to_owned(),
            });
        }
        Ok(reader)
    }

    /// How many records can be read at this moment.
    ///
    /// # Errors
    /// Of the system.
    pub fn count(&self) -> Result<u64, MealsError> {
        let held = self.storage.holder().is_some();
        let synced = self.found()?.mark.synced;
        if held {
            return Ok(synced);
        }
        let (segments, pruned) = self.parts()?;
        let mut end = synced.max(pruned.until);
        let mut before = match end.checked_sub(1) {
            Some(_) if end == pruned.until => pruned.head,
            Some(last) => match raw_at(&segments, last)? {
                Some(raw) if Record::decode(&raw).is_ok() => chain(&raw),
                _ => return Ok(end), // damage below the mark: reading it says so
            },
            None => [0; 32],
        };
        while let Some(raw) = raw_at(&segments, end)? {
            match Record::decode(&raw) {
                Ok(record) if record.previous == before => before = chain(&raw),
                _ => break,
            }
            end += 1;
        }
        Ok(end)
    }

    /// Records `start` to `stop` as they stand in the files, at most up to [`Self::count`].
    ///
    /// # Errors
    /// [`MealsError::Damaged`] if one of them is not sound, with its number: what is before it can be read.
    pub fn read(&self, start: u64, stop: u64) -> Result<Vec<u8>, MealsError> {
        let stop = stop.min(self.count()?);
        let (segments, pruned) = self.parts()?;
        check_first(start, stop, pruned.until)?;
        read_range(&segments, start, stop)
    }

    /// Position of the first record that is here: 0, unless older ones were pruned.
    ///
    /// # Errors
    /// Of the system.
    pub fn first(&self) -> Result<u64, MealsError> {
        Ok(pruned::read(self.storage.as_ref())?.pruned.until)
    }

    /// Reads everything and accounts for every byte.
    ///
    /// # Errors
    /// Only of the system: damage is in the report.
    pub fn verify(&self) -> Result<Report, MealsError> {
        let mut report = self.verify_once()?;
        for _ in 0..3 {
            // Beside a writer a record may be read while it is being written; damage stays, this does not.
            if report.problems.is_empty()
                || report.holder.is_none()
                || self.found()?.mark.synced == report.synced
            {
                break;
            }
            report = self.verify_once()?;
        }
        Ok(report)
    }

    fn verify_once(&self) -> Result<Report, MealsError> {
        let holder = self.storage.holder();
        let found = self.found()?;
        let (segments, left, state) = self.all()?;
        let firsts = self.seal_positions()?;
        let (scan, computed) = scan_and_roots(&segments, &found, &state.pruned, &firsts);
        let bytes = segments
            .iter()
            .map(|segment| segment.length)
            .fold(0, u64::saturating_add);
        let mut problems = scan.problems;
        if !found.present && scan.sound > 0 {
            problems.push(Problem {
                segment: MARK_NAME.to_owned(),
                offset: 0,
                record: scan.end,
                count: 0,
                what: "the file is missing that says how far the disk has confirmed".to_owned(),
            });
        }
        let mut notes = Vec::new();
        if let Some(offset) = state.flaw {
            problems.push(Problem {
                segment: PRUNED_NAME.to_owned(),
                offset,
                record: state.pruned.until,
                count: 0,
                what: if state.lost {
                    "neither of its two copies is sound: nobody knows what was pruned".to_owned()
                } else {
                    "one of its two copies is not sound; the other holds".to_owned()
                },
            });
        }
        let seals = self.seals(&firsts, computed, &state.pruned, &mut problems)?;
        if let Some((offset, what)) = found.flaw {
            // While somebody writes, or after a power cut, one of the two slots may be half written: that is why there are two.
            if offset < 1024
                && !found.closed
                && found.mark.count > 0
                && what.ends_with("sum does not fit")
            {
                notes.push(format!(
                    "`{MARK_NAME}`, byte {offset}: {what}; the other slot holds"
                ));
            } else {
                let what = what.to_owned();
                problems.push(Problem {
                    segment: MARK_NAME.to_owned(),
                    offset,
                    record: scan.end,
                    count: 0,
                    what,
                });
            }
        }
        let names = self
            .storage
            .names()
            .map_err(|error| MealsError::io("listing the ledger's folder", &error))?;
        for name in names {
            if is_unfinished(&name) {
                notes.push(format!(
                    "`{name}` was begun and never used; the next writer removes it"
                ));
            } else if left.contains(&name) {
                notes.push(format!("`{name}` was pruned; the next writer removes it"));
            } else if !is_acknowledgement(&name)
                && ![LOCK_NAME, MARK_NAME, PRUNED_NAME].contains(&name.as_str())
                && seal::first_of(&name).is_none()
                && !segments.iter().any(|segment| segment.name == name)
            {
                notes.push(format!("`{name}` is no file of the ledger"));
            }
        }
        let sound_bytes = scan.sound * RECORD_BYTES as u64;
        let torn_bytes = match &scan.torn {
            Some(_) => bytes.saturating_sub(sound_bytes + scan.unused_bytes),
            None => 0,
        };
        Ok(Report {
            records: scan.sound,
            segments: segments.len() as u64,
            bytes,
            unused_bytes: scan.unused_bytes,
            torn_bytes,
            torn: scan.torn,
            problems,
            notes,
            synced: found.mark.synced,
            closed: found.closed,
            holder,
            head: scan.hash,
            first: state.pruned.until,
            seals,
        })
    }

    /// Positions for which there is a seal, in order.
    fn seal_positions(&self) -> Result<Vec<u64>, MealsError> {
        let names = self
            .storage
            .names()
            .map_err(|error| MealsError::io("listing the ledger's folder", &error))?;
        let mut firsts: Vec<u64> = names
            .iter()
            .filter_map(|name| seal::first_of(name))
            .collect();
        firsts.sort_unstable();
        Ok(firsts)
    }

    /// Holds the seals against the segments that are here, and those of pruned ones against one another and what follows them.
    fn seals(
        &self,
        firsts: &[u64],
        mut computed: HashMap<u64, Result<Seal, MealsError>>,
        pruned: &Pruned,
        problems: &mut Vec<Problem>,
    ) -> Result<Vec<Sealed>, MealsError> {
        let storage = self.storage.as_ref();
        let mut found = Vec::new();
        let mut wrong = |first: u64, count: u64, what: String| {
            problems.push(Problem {
                segment: seal::name_of(first),
                offset: 0,
                record: first,
                count,
                what,
            });
        };
        let (mut end, mut head) = (0, [0; 32]);
        for first in firsts.iter().copied() {
            let seal = match seal::read(storage, first) {
                Ok(Some(seal)) => seal,
                Ok(None) => continue,
                Err(error) => {
                    wrong(first, 0, error.to_string());
                    continue;
                }
            };
            if first < pruned.until {
                if first > end {
                    wrong(
                        end,
                        0,
                        "there is no sound seal of the pruned records from here on".to_owned(),
                    );
                } else if first < end || seal.before != head {
                    wrong(first, 0, "does not follow the seal before it".to_owned());
                }
                (end, head) = (seal.end(), seal.head);
                found.push(Sealed { pruned: true, seal });
            } else {
                match computed.remove(&first) {
                    None => {}
                    Some(Ok(own)) if own.agrees_with(&seal) => {}
                    // What is damaged in the segment itself has been named.
                    Some(Err(MealsError::Damaged { .. } | MealsError::Storage { .. })) => {}
                    Some(Ok(_)) => wrong(
                        first,
                        0,
                        "the segment is not what its seal says of it".to_owned(),
                    ),
                    Some(Err(error)) => return Err(error),
                }
                found.push(Sealed {
                    pruned: false,
                    seal,
                });
            }
        }
        if end < pruned.until {
            wrong(
                end,
                0,
                "there is no sound seal of the pruned records from here on".to_owned(),
            );
        } else if pruned.until > 0 && (end, head) != (pruned.until, pruned.head) {
            wrong(
                pruned.until,
                0,
                "the records do not go on where the seals of the pruned ones end".to_owned(),
            );
        }
        Ok(found)
    }

    /// Who writes at this moment, if anybody does.
    #[must_use]
    pub fn holder(&self) -> Option<String> {
        self.storage.holder()
    }

    /// How many segments there are.
    ///
    /// # Errors
    /// Of the system.
    pub fn segment_count(&self) -> Result<u64, MealsError> {
        Ok(self.segments()?.len() as u64)
    }

    fn segments(&self) -> Result<Vec<Segment>, MealsError> {
        Ok(self.parts()?.0)
    }

    fn parts(&self) -> Result<(Vec<Segment>, Pruned), MealsError> {
        let (segments, _, state) = self.all()?;
        Ok((segments, state.pruned))
    }

    /// Segments, names of those that are still to be removed, and what was pruned.
    ///
    /// It is asked again, after the segments were opened, what was pruned: who prunes at this moment says so before he removes.
    fn all(&self) -> Result<(Vec<Segment>, Vec<String>, pruned::Found), MealsError> {
        let storage = self.storage.as_ref();
        let mut before = pruned::read(storage)?;
        loop {
            let listed = pruned::segments_of(storage, SEGMENT_RECORDS, &before.pruned);
            let state = pruned::read(storage)?;
            if state.pruned == before.pruned {
                let (segments, left) = listed?;
                return Ok((segments, left, state));
            }
            before = state;
        }
    }

    fn found(&self) -> Result<mark::Found, MealsError> {
        mark::read(self.storage.as_ref())
            .map_err(|error| MealsError::io(format!("reading `{MARK_NAME}`"), &error))
    }
}

fn raw_at(segments: &[Segment], position: u64) -> Result<Option<RawRecord>, MealsError> {
    let Some(segment) = segments
        .iter()
        .rev()
        .find(|segment| segment.first <= position && position < segment.end())
    else {
        return Ok(None);
    };
    let mut raw = [0; RECORD_BYTES];
    segment.read(position, &mut raw).map_err(|error| {
        MealsError::io(
            format!("reading record {position} of `{}`", segment.name),
            &error,
        )
    })?;
    Ok(Some(raw))
}

/// Reads everything, and computes the roots of the sealed segments meanwhile: a root takes longer than the chain, and a verifier has
/// the machine's cores.
fn scan_and_roots(
    segments: &[Segment],
    found: &mark::Found,
    pruned: &Pruned,
    sealed: &[u64],
) -> (Scan, HashMap<u64, Result<Seal, MealsError>>) {
    let wanted: Vec<&Segment> = segments
        .iter()
        .filter(|segment| sealed.binary_search(&segment.first).is_ok())
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(segment) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((segment.first, Seal::of_chained(segment)));
        }
        done
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let helpers = (cores - 1).min(wanted.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..helpers)
            .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let scan = Scan::of(segments, found, pruned, |_, _| {});
        let mut computed: HashMap<_, _> = work().into_iter().collect();
        for thread in threads {
            computed.extend(thread.join().unwrap_or_default());
        }
        // A thread that came to grief left its segments to be computed here.
        for segment in &wanted {
            computed
                .entry(segment.first)
                .or_insert_with(|| Seal::of_chained(segment));
        }
        (scan, computed)
    })
}

/// Refuses to read what was pruned.
pub(crate) fn check_first(start: u64, stop: u64, first: u64) -> Result<(), MealsError> {
    if start < first && start < stop {
        return Err(MealsError::Pruned {
            record: start,
            until: first,
        });
    }
    Ok(())
}

/// Records `start` to `stop`, each checked for its sum and for following the one before it.
pub(crate) fn read_range(
    segments: &[Segment],
    start: u64,
    stop: u64,
) -> Result<Vec<u8>, MealsError> {
    let mut bytes = Vec::new();
    let mut before: Option<[u8; 32]> = None;
    let mut position = start;
    while position < stop {
        let found = segments
            .iter()
            .rev()
            .find(|segment| segment.first <= position && position < segment.end());
        let Some(segment) = found else {
            return Err(damaged(
                segments,
                position,
                "missing: there is no file for it".to_owned(),
            ));
        };
        let until = stop.min(segment.end());
        let count = usize::try_from(until - position)
            .unwrap_or(usize::MAX)
            .min(8192);
        let at = bytes.len();
        bytes.resize(at + count * RECORD_BYTES, 0);
        segment.read(position, &mut bytes[at..]).map_err(|error| {
            damaged(
                segments,
                position,
                format!("the disk cannot read it: {error}"),
            )
        })?;
        for raw in bytes[at..].as_chunks::<RECORD_BYTES>().0 {
            let record = Record::decode(raw).map_err(|flaw| match flaw {
                Flaw::Version(_) | Flaw::Kind(_) => MealsError::Version {
                    segment: segment.name.clone(),
                    offset: segment.offset(position),
                    what: flaw.to_string(),
                },
                _ => damaged(segments, position, flaw.to_string()),
            })?;
            if before.is_some_and(|hash| hash != record.previous) {
                return Err(damaged(
                    segments,
                    position,
                    "does not follow the record before it".to_owned(),
                ));
            }
            before = Some(chain(raw));
            position += 1;
        }
    }
    Ok(bytes)
}

fn damaged(segments: &[Segment], position: u64, what: String) -> MealsError {
    let (segment, offset) = crate::scan::place_of(segments, position).unwrap_or_default();
    MealsError::Damaged {
        segment,
        offset,
        record: position,
        what,
    }
}
