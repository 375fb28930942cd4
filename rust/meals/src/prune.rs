//! Pruning: old segments are removed whose records the hub has signed for, and their seals stay.
//!
//! What has to hold before a segment goes: it is full, and later records follow it; every record of it, and of all before it, lies
//! at or below an acknowledgement that is kept here and signed with the hub's key; each acknowledgement is of these very records, by
//! their hash; and no record of it has a day from which on doubles must still be recognised one by one. Of the days that are gone no
//! meal is taken any more at all, so that uniqueness needs no index of them.

use std::collections::HashMap;

use crate::acknowledgement::{ACKNOWLEDGEMENT_BYTES, Acknowledgement};
use crate::error::MealsError;
use crate::key::{Key, PublicKey};
use crate::pruned::{self, PRUNED_NAME, Pruned};
use crate::record::{RECORD_BYTES, Record, Reference, chain};
use crate::scan::Scan;
use crate::seal::{self, Line, Seal};
use crate::segments::{Segment, is_acknowledgement};
use crate::storage::{LockRefused, Storage};
use crate::{SEGMENT_RECORDS, mark};

/// What must hold for a segment to go.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whose acknowledgements are believed.
    pub hub_key: PublicKey,
    /// Segments with a record of this day (yyyymmdd) or a later one stay.
    pub keep_from: u32,
}

/// One segment, and whether it may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// File name.
    pub segment: String,
    /// Position of its first record.
    pub first: u64,
    /// Records that it holds.
    pub records: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// Earliest and latest day of its records; 0 where none has one.
    pub days: (u32, u32),
    /// Why it stays; `None` if it may go.
    pub stays: Option<String>,
}

/// What pruning would do; the segments that may go come first, and none of them follows one that stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// All segments that are here.
    pub segments: Vec<Candidate>,
    /// Records below this position would not be here any more.
    pub until: u64,
    /// The latest day of those: no meal of it or an earlier one would be taken.
    pub last_day: u32,
    /// Files of an earlier pruning that was cut off; they go, too.
    pub left: Vec<String>,
}

/// What a scan tells of one segment.
#[derive(Default)]
struct Found {
    lines: Vec<Line>,
    known: HashMap<(u32, u32), usize>,
    days: (u32, u32),
    records: u64,
}

impl Found {
    fn meet(&mut self, record: &Record) {
        self.records += 1;
        if record.day > 0 {
            let first = if self.days.0 == 0 {
                u32::MAX
            } else {
                self.days.0
            };
            self.days = (first.min(record.day), self.days.1.max(record.day));
        }
        let next = self.lines.len();
        let line = *self
            .known
            .entry((record.terminal, record.epoch))
            .or_insert(next);
        if line == next {
            self.lines.push(Line {
                terminal: record.terminal,
                epoch: record.epoch,
                first: record.sequence,
                last: record.sequence,
            });
        } else if let Some(line) = self.lines.get_mut(line) {
            line.last = record.sequence;
        }
    }
}

/// Everything that a plan rests on.
struct Look {
    plan: Plan,
    segments: Vec<Segment>,
    before: Pruned,
}

/// What pruning would do; changes nothing, and may run beside a writer.
///
/// # Errors
/// [`MealsError::Batch`]: an acknowledgement is damaged, or signed by another key than the hub's. [`MealsError::NotPruned`]: one is of
/// other records than these. [`MealsError::Damaged`]: the ledger is. Errors of the system.
pub fn plan(storage: &dyn Storage, terms: &Terms) -> Result<Plan, MealsError> {
    Ok(look(storage, terms)?.plan)
}

/// Removes the segments below a position, which a plan has named; seals those that are not sealed. Waits for nobody: the ledger must not be
/// open for writing.
///
/// Should the power fail in the middle, the ledger is the old one or the new one; what is left to be removed, the next writer removes.
///
/// # Errors
/// As [`plan`]; [`MealsError::Locked`]: somebody writes. [`MealsError::NotPruned`]: a segment below that position may not go.
pub fn prune(
    storage: &dyn Storage,
    terms: &Terms,
    until: u64,
    key: &Key,
    holder: &str,
) -> Result<Plan, MealsError> {
    let place = storage.place();
    let _lock = storage.lock(holder).map_err(|refused| match refused {
        LockRefused::Held(holder) => MealsError::Locked {
            folder: place.clone(),
            holder,
        },
        LockRefused::Io(error) => MealsError::io(format!("locking `{place}`"), &error),
    })?;
    let Look {
        mut plan,
        segments,
        before,
    } = look(storage, terms)?;
    let refused = |why: String| Err(MealsError::NotPruned { why });
    let going: Vec<&Segment> = segments
        .iter()
        .filter(|segment| segment.first < until)
        .collect();
    if until > plan.until {
        return refused(format!(
            "only records below {} may go, not those below {until}",
            plan.until
        ));
    }
    if !going.is_empty() && going.last().map(|segment| segment.end()) != Some(until) {
        return refused(format!("no segment ends before record {until}"));
    }
    let mut seals = Vec::new();
    let (mut end, mut head) = (before.until, before.head);
    for segment in &going {
        let (seal, _) = seal::make(storage, segment, Seal::of_segment(segment)?, key)?;
        if seal.first != end || seal.before != head {
            return refused(format!(
                "`{}` does not follow what is before it",
                segment.name
            ));
        }
        (end, head) = (seal.end(), seal.head);
        seals.push(seal);
    }
    if let Some(last) = seals.last() {
        let pruned = after(&before, &seals, last);
        pruned::write(storage, &pruned)
            .map_err(|error| MealsError::io(format!("writing `{PRUNED_NAME}`"), &error))?;
        plan.left
            .extend(going.iter().map(|segment| segment.name.clone()));
    }
    pruned::remove(storage, &plan.left)
        .map_err(|error| MealsError::io("removing pruned segments", &error))?;
    plan.segments.retain(|one| one.first < until);
    plan.last_day = plan
        .segments
        .iter()
        .map(|one| one.days.1)
        .fold(before.last_day, u32::max);
    plan.until = end;
    Ok(plan)
}

/// What was pruned, after these segments were, too.
fn after(before: &Pruned, seals: &[Seal], last: &Seal) -> Pruned {
    let mut streams: HashMap<u32, Reference> = before.streams.iter().copied().collect();
    for line in seals.iter().flat_map(|seal| &seal.lines) {
        streams.insert(
            line.terminal,
            Reference {
                epoch: line.epoch,
                sequence: line.last,
            },
        );
    }
    let mut streams: Vec<(u32, Reference)> = streams.into_iter().collect();
    streams.sort_unstable_by_key(|(terminal, _)| *terminal);
    Pruned {
        until: last.end(),
        last_day: seals
            .iter()
            .map(|seal| seal.days.1)
            .fold(before.last_day, u32::max),
        school: last.school,
        time: last.time,
        head: last.head,
        streams,
    }
}

/// The acknowledgements that are kept, by terminal and epoch.
fn acknowledgements(
    storage: &dyn Storage,
    hub_key: &PublicKey,
) -> Result<HashMap<(u32, u32), Acknowledgement>, MealsError> {
    let names = storage
        .names()
        .map_err(|error| MealsError::io(format!("listing `{}`", storage.place()), &error))?;
    let mut found = HashMap::new();
    for name in names.iter().filter(|name| is_acknowledgement(name)) {
        let refused = |what: String| MealsError::Batch {
            what: format!("`{name}`: {what}"),
        };
        // One byte more than it may have: a longer file is none.
        let mut raw = [0; ACKNOWLEDGEMENT_BYTES + 1];
        let count = storage
            .open(name)
            .and_then(|file| file.read_at(&mut raw, 0))
            .map_err(|error| MealsError::io(format!("reading `{name}`"), &error))?;
        let told = Acknowledgement::decode(&raw[..count]).map_err(|error| match error {
            MealsError::Batch { what } => refused(what),
            other => other,
        })?;
        if told.key != *hub_key {
            return Err(refused("it is not signed with the hub's key".to_owned()));
        }
        let kept = found
            .entry((told.terminal, told.epoch))
            .or_insert(told.clone());
        if kept.sequence < told.sequence {
            *kept = told;
        }
    }
    Ok(found)
}

fn look(storage: &dyn Storage, terms: &Terms) -> Result<Look, MealsError> {
    let state = pruned::read(storage)?;
    if state.lost {
        return Err(MealsError::Damaged {
            segment: PRUNED_NAME.to_owned(),
            offset: 0,
            record: 0,
            what: "neither of its two copies is sound".to_owned(),
        });
    }
    let before = state.pruned;
    let acknowledged = acknowledgements(storage, &terms.hub_key)?;
    let mark = mark::read(storage)
        .map_err(|error| MealsError::io(format!("reading `{}`", mark::MARK_NAME), &error))?;
    let (segments, left) = pruned::segments_of(storage, SEGMENT_RECORDS, &before)?;
    let mut found: Vec<Found> = segments.iter().map(|_| Found::default()).collect();
    let mut own: HashMap<(u32, u32), u64> = HashMap::new();
    let mut at = 0;
    let mut fork: Option<String> = None;
    let scan = Scan::of(&segments, &mark, &before, |position, record| {
        while segments.get(at).is_some_and(|one| one.end() <= position) {
            at += 1;
        }
        if let Some(found) = found.get_mut(at) {
            found.meet(record);
        }
        let line = (record.terminal, record.epoch);
        own.insert(line, record.sequence);
        if let Some(told) = acknowledged.get(&line)
            && told.sequence == record.sequence
            && (told.head != chain(&record.encode()) || told.school != record.school)
        {
            fork.get_or_insert_with(|| {
                format!(
                    "the hub's acknowledgement of {}/{:08x}/{} is of another record than the one that is here",
                    record.terminal, record.epoch, record.sequence
                )
            });
        }
    });
    if let Some(refusal) = scan.refusal() {
        return Err(refusal);
    }
    for ((terminal, epoch), last) in &own {
        if let Some(told) = acknowledged.get(&(*terminal, *epoch))
            && told.sequence > *last
        {
            fork.get_or_insert_with(|| {
                format!(
                    "the hub has signed for {terminal}/{epoch:08x} up to {}, and here it ends with {last}",
                    told.sequence
                )
            });
        }
    }
    if let Some(why) = fork {
        return Err(MealsError::NotPruned { why });
    }
    // Later records follow each of them, and the first record of a segment is only written when all before it is confirmed.
    let full = segments
        .iter()
        .take_while(|segment| segment.end() < scan.end)
        .count();
    let mut plan = Plan {
        until: before.until,
        last_day: before.last_day,
        left,
        ..Plan::default()
    };
    let mut stopped = false;
    for (index, (segment, told)) in segments.iter().zip(&found).enumerate() {
        let stays = if index >= full {
            Some("it is the one that is written to".to_owned())
        } else if let Some(why) = why_it_stays(told, &acknowledged, terms) {
            Some(why)
        } else if stopped {
            Some("one before it stays".to_owned())
        } else {
            plan.until = segment.end();
            plan.last_day = plan.last_day.max(told.days.1);
            None
        };
        stopped |= stays.is_some();
        plan.segments.push(Candidate {
            segment: segment.name.clone(),
            first: segment.first,
            records: told.records,
            bytes: segment.capacity * RECORD_BYTES as u64,
            days: told.days,
            stays,
        });
    }
    Ok(Look {
        plan,
        segments,
        before,
    })
}

fn why_it_stays(
    found: &Found,
    acknowledged: &HashMap<(u32, u32), Acknowledgement>,
    terms: &Terms,
) -> Option<String> {
    let missing = found.lines.iter().find_map(|line| {
        let held = acknowledged
            .get(&(line.terminal, line.epoch))
            .map_or(0, |told| told.sequence);
        (held < line.last).then(|| {
            format!(
                "the hub has not signed for {}/{:08x}/{}",
                line.terminal,
                line.epoch,
                line.first.max(held + 1)
            )
        })
    });
    missing.or_else(|| {
        let day = found.days.1;
        (day >= terms.keep_from).then(|| {
            format!(
                "it has records of {:04}-{:02}-{:02}",
                day / 10_000,
                day / 100 % 100,
                day % 100
            )
        })
    })
}
