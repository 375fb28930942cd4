//! What must hold after faults: of the first class everything, of the second that what is gone is named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use edusense_meals::{
    Kind, Ledger, RECORD_BYTES, RawRecord, Reader, Record, Reference, Report, flags,
};

use super::super::Injected;
use super::{Broken, DAY, Held, LUNCH, MARK, World, broken};

impl World {
    /// The ledger opens; used between two faults.
    pub(super) fn check_opens(&mut self) -> Held {
        self.outcome.recoveries += 1;
        let ledger = self.open().map_err(|error| broken(&error))?;
        self.check(&ledger)?;
        if self.chance.below(2) == 0 {
            let _ = ledger.close();
        }
        self.end(Some(ledger), None);
        Ok(())
    }

    /// Class (a): everything that was answered is there, once, and the ledger goes on.
    pub(super) fn check_sound(&mut self) -> Held {
        if let Some(report) = self.verify() {
            self.outcome.checks += 1;
            if let Some(problem) = report.problems.first() {
                return Err(Broken(format!(
                    "what is only torn is called damage: {problem:?}"
                )));
            }
        }
        self.outcome.recoveries += 1;
        let ledger = self.open().map_err(|error| broken(&error))?;
        self.check(&ledger)?;
        self.work(&ledger, 5).map_err(|error| broken(&error))?;
        self.check(&ledger)?;
        ledger.close().map_err(|error| broken(&error))?;
        let Some(report) = self.verify() else {
            return Err(Broken("the ledger is gone".to_owned()));
        };
        self.outcome.checks += 1;
        if !report.problems.is_empty() || report.torn.is_some() || !report.closed {
            return Err(Broken(format!(
                "not in good order after a recovery: {report:?}"
            )));
        }
        Ok(())
    }

    fn verify(&self) -> Option<Report> {
        Reader::of(Arc::new(self.disk.clone())).ok()?.verify().ok()
    }

    /// What an open ledger holds: all that was promised, nobody twice, each number once, clocks that went back marked.
    fn check(&mut self, ledger: &Ledger) -> Held {
        let bytes = ledger.read(0, u64::MAX).map_err(|error| broken(&error))?;
        let raw = bytes.as_chunks::<RECORD_BYTES>().0;
        let mut lost = 0;
        for (position, record) in &self.promised {
            self.outcome.checks += 1;
            lost += u64::from(
                raw.get(usize::try_from(*position).unwrap_or(usize::MAX)) != Some(record),
            );
        }
        self.outcome.lost += lost;
        let mut standing: BTreeMap<u64, u64> = BTreeMap::new();
        let mut keys = BTreeSet::new();
        let mut before: Option<i64> = None;
        for (position, raw) in raw.iter().enumerate() {
            let record = Record::decode(raw).map_err(|flaw| {
                Broken(format!(
                    "record {position} is read and is not sound: {flaw}"
                ))
            })?;
            self.outcome.checks += 1;
            if !keys.insert((record.terminal, record.epoch, record.sequence)) {
                return Err(Broken(format!(
                    "record {position} has the number of another"
                )));
            }
            let back = before.is_some_and(|before| record.time < before - 100_000);
            if back != (record.flags & flags::CLOCK_WENT_BACK != 0) {
                return Err(Broken(format!(
                    "record {position} hides that the clock went back"
                )));
            }
            before = Some(record.time);
            match record.kind {
                Kind::Meal => {
                    self.outcome.doubled +=
                        u64::from(standing.insert(record.pupil, position as u64).is_some());
                }
                Kind::Reversal if standing.remove(&record.pupil).is_none() => {
                    return Err(Broken(format!(
                        "record {position} takes back what is not there"
                    )));
                }
                _ => {}
            }
        }
        for pupil in 1..=self.pupil {
            self.outcome.checks += 1;
            let held = ledger.holding(pupil, DAY, &LUNCH).map(|held| held.position);
            if held != standing.get(&pupil).copied() {
                return Err(Broken(format!("pupil {pupil}: index and ledger differ")));
            }
        }
        if lost > 0 || self.outcome.doubled > 0 {
            return Err(Broken(format!(
                "{lost} records lost, {} doubled",
                self.outcome.doubled
            )));
        }
        Ok(())
    }

    /// Class (b): what is not as it was is named, and not written over.
    pub(super) fn check_damaged(&mut self) -> Held {
        let report = self.verify();
        let affected: Vec<u64> = self
            .promised
            .iter()
            .filter(|(position, raw)| self.on_disk(**position).as_ref() != Some(*raw))
            .map(|(position, _)| *position)
            .collect();
        let mut unseen = Vec::new();
        let mut by_name = BTreeSet::new();
        for position in affected {
            self.outcome.checks += 1;
            let named = report.as_ref().is_none_or(|report| {
                report.problems.iter().any(|problem| {
                    (problem.record..problem.record + problem.count.max(1)).contains(&position)
                }) || report
                    .torn
                    .as_ref()
                    .is_some_and(|torn| torn.confirmed && torn.record == position)
            });
            if named {
                self.outcome.named += 1;
                by_name.insert(position);
            } else {
                unseen.push(position);
            }
        }
        let before = self.contents();
        self.outcome.recoveries += 1;
        let opened = self.open();
        self.outcome.checks += 1;
        let damaged = report
            .as_ref()
            .is_some_and(|report| !report.problems.is_empty());
        let ledger = match opened {
            Err(_) if self.contents() != before => {
                return Err(Broken("a damaged ledger was written over".to_owned()));
            }
            Err(error) if unseen.is_empty() => {
                let expected = matches!(
                    error.code(),
                    "ledger-damaged" | "ledger-storage" | "ledger-version"
                );
                return if expected {
                    Ok(())
                } else {
                    Err(broken(&error))
                };
            }
            // Damage is named, and nothing is written. That the rest is older than it should be, the next epoch would tell; and of
            // a file that is gone, the mark knows only so much after a power cut.
            Err(_)
                if self.outcome.injected.iter().any(|one| {
                    matches!(one, Injected::DiskRolledBack | Injected::SegmentRolledBack)
                }) && self.outcome.injected.len() > 1
                    || report.as_ref().is_some_and(|report| {
                        unseen.iter().all(|position| *position >= report.synced)
                    })
                    || self.behind_a_hole(report.as_ref(), &unseen) =>
            {
                self.outcome.without_trace += unseen.len() as u64;
                return Ok(());
            }
            Err(error) => {
                return Err(Broken(format!(
                    "records {unseen:?} are not as they were, and not named: {error}; {report:?}"
                )));
            }
            Ok(ledger) => ledger,
        };
        if damaged
            && report
                .as_ref()
                .is_some_and(|report| report.problems.iter().any(|one| one.segment != MARK))
        {
            return Err(Broken(format!(
                "a ledger opened that verify calls damaged: {report:?}"
            )));
        }
        // It opened: nothing but its end can be missing, and whoever holds more than that is told by the next epoch.
        let first_gone = unseen.first().copied();
        if let Some(first) = first_gone {
            let kept = ledger.read(0, first).map_err(|error| broken(&error))?;
            let whole = self.promised.range(..first).all(|(position, raw)| {
                by_name.contains(position)
                    || kept.as_chunks::<RECORD_BYTES>().0.get(*position as usize) == Some(raw)
            });
            if !whole {
                return Err(Broken(format!("not only the end is gone: {unseen:?}")));
            }
        }
        let mut told_by_epoch = BTreeMap::new();
        for (terminal, last) in self.hub_last.clone() {
            let row = self.row(Kind::Arrival, terminal, 1).encode();
            if terminal != 0 && ledger.append(&[row]).is_err() {
                return Err(Broken("an opened ledger does not record".to_owned()));
            }
            let bytes = ledger.read(0, u64::MAX).map_err(|error| broken(&error))?;
            let opening = bytes
                .as_chunks::<RECORD_BYTES>()
                .0
                .iter()
                .filter_map(|raw| Record::decode(raw).ok())
                .find(|record| {
                    record.kind == Kind::Opened
                        && record.terminal == terminal
                        && record.epoch == self.epoch
                });
            // The hub has the record before only if nothing after it is missing here.
            let behind = opening.is_none_or(|record| {
                record.reference != last
                    && self.hub.contains_key(&(
                        terminal,
                        record.reference.epoch,
                        record.reference.sequence,
                    ))
                    || record.reference == Reference::default()
            });
            told_by_epoch.insert(terminal, behind);
        }
        for position in unseen {
            let record = self
                .promised
                .get(&position)
                .and_then(|raw| Record::decode(raw).ok());
            let Some(record) = record else { continue };
            let key = (record.terminal, record.epoch, record.sequence);
            if !self.hub.contains_key(&key) {
                self.outcome.without_trace += 1;
            } else if told_by_epoch
                .get(&record.terminal)
                .copied()
                .unwrap_or(false)
            {
                self.outcome.seen_by_hub += 1;
            } else {
                return Err(Broken(format!(
                    "record {position} is gone, and neither verify nor the hub can see it"
                )));
            }
        }
        Ok(())
    }

    /// Whether records that a misdirected write put elsewhere stand right behind places that are named: what a hole cuts off from
    /// the chain, nothing holds.
    fn behind_a_hole(&self, report: Option<&Report>, unseen: &[u64]) -> bool {
        self.outcome.injected.contains(&Injected::MisdirectedWrite)
            && report.is_some_and(|report| {
                let first = report.problems.iter().map(|problem| problem.record).min();
                unseen
                    .iter()
                    .all(|position| first.is_some_and(|first| *position > first))
            })
    }

    fn contents(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let names = edusense_meals::Storage::names(&self.disk).unwrap_or_default();
        names
            .into_iter()
            .filter(|name| name.ends_with(".seg"))
            .map(|name| (name.clone(), self.disk.bytes(&name)))
            .collect()
    }

    /// The bytes where a record should stand, if the disk gives them.
    fn on_disk(&self, position: u64) -> Option<RawRecord> {
        let names = edusense_meals::Storage::names(&self.disk).ok()?;
        let first = names
            .iter()
            .filter_map(|name| name.strip_suffix(".seg")?.parse::<u64>().ok())
            .filter(|first| *first <= position)
            .max()?;
        let file = edusense_meals::Storage::open(&self.disk, &format!("{first:020}.seg")).ok()?;
        let mut raw = [0; RECORD_BYTES];
        let count = file
            .read_at(&mut raw, (position - first) * RECORD_BYTES as u64)
            .ok()?;
        (count == RECORD_BYTES).then_some(raw)
    }
}
