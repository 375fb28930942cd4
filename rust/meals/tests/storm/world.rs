//! The ledger at work, its disk, what it promised, and a hub that took some of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use edusense_meals::disk::{Fault, Left, MemoryDisk};
use edusense_meals::{
    Kind, Ledger, MealsError, Options, RECORD_BYTES, RawRecord, Reader, Record, Reference, Report,
    Status, flags,
};

use super::{Injected, Outcome};

const SEGMENT: u64 = 16;
const DAY: u32 = 20_261_005;
const LUNCH: [u8; 12] = *b"lunch\0\0\0\0\0\0\0";
const MARK: &str = "meals.synced";
/// Errors that stand for one fault each.
const EIO: i32 = 5;
const EREMOTEIO: i32 = 121;
const ENOSPC: i32 = 28;

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

struct World {
    disk: MemoryDisk,
    chance: Chance,
    epoch: u32,
    /// What the clock shows more than it should, in microseconds.
    clock: i64,
    pupil: u64,
    /// Records that were answered, by position.
    promised: BTreeMap<u64, RawRecord>,
    /// Pupils who were served, and pupils of whom it is not known.
    served: BTreeMap<u64, u64>,
    unknown: BTreeSet<u64>,
    /// What the hub holds, and its last record of each terminal.
    hub: HashMap<(u32, u32, u64), RawRecord>,
    hub_last: BTreeMap<u32, Reference>,
    outcome: Outcome,
}

/// Something that does not hold.
struct Broken(String);

type Held = Result<(), Broken>;

/// One run.
pub fn run(seed: u64, faults: &[Injected]) -> Outcome {
    let mut world = World {
        disk: MemoryDisk::new(),
        chance: Chance(seed),
        epoch: 0,
        clock: 0,
        pupil: 0,
        promised: BTreeMap::new(),
        served: BTreeMap::new(),
        unknown: BTreeSet::new(),
        hub: HashMap::new(),
        hub_last: BTreeMap::new(),
        outcome: Outcome::default(),
    };
    if let Err(Broken(what)) = world.live(faults) {
        world.outcome.broken = Some(what);
    }
    world.outcome
}

impl World {
    fn live(&mut self, faults: &[Injected]) -> Held {
        // Days without a fault first; now and then the box is started anew.
        for _ in 0..1 + self.chance.below(2) {
            let ledger = self.open().map_err(|error| broken(&error))?;
            let steps = 3 + self.chance.below(14);
            self.work(&ledger, steps).map_err(|error| broken(&error))?;
            self.hub_takes(&ledger)?;
            if self.chance.below(3) > 0 {
                ledger.close().map_err(|error| broken(&error))?;
            } else {
                self.end(Some(ledger), None);
            }
        }
        let older = self.disk.image();
        let rots = faults.iter().any(|one| one.class() == 'b');
        let awake: Vec<Injected> = faults
            .iter()
            .copied()
            .filter(|one| one.class() == 'a' || *one == Injected::MisdirectedWrite)
            .collect();
        if awake.is_empty() {
            let ledger = self.open().map_err(|error| broken(&error))?;
            let steps = 2 + self.chance.below(8);
            self.work(&ledger, steps).map_err(|error| broken(&error))?;
            if self.chance.below(2) == 0 {
                self.hub_takes(&ledger)?;
            }
            if self.chance.below(2) == 0 {
                ledger.close().map_err(|error| broken(&error))?;
            } else {
                self.end(Some(ledger), None);
            }
        }
        for (number, fault) in awake.iter().enumerate() {
            self.while_awake(*fault, awake.get(number + 1).copied())?;
        }
        // At rest: from the whole to the single bit.
        let mut asleep: Vec<Injected> = faults.to_vec();
        asleep.retain(|one| one.class() == 'b' && *one != Injected::MisdirectedWrite);
        asleep.sort_by_key(|one| std::cmp::Reverse(*one));
        for fault in asleep {
            self.at_rest(fault, &older);
        }
        self.outcome.injected.sort();
        if rots {
            self.check_damaged()
        } else {
            self.check_sound()
        }
    }

    fn open(&mut self) -> Result<Ledger, MealsError> {
        self.epoch += 1;
        let options = Options {
            school: Some(51_001),
            holder: "a run".to_owned(),
            time: self.now(),
            segment_records: SEGMENT,
            epoch: Some(self.epoch),
            prepare_ahead: false,
        };
        Ledger::on(Arc::new(self.disk.clone()), &options)
    }

    fn now(&self) -> i64 {
        1_790_000_000_000_000 + i64::try_from(self.pupil).unwrap_or(0) * 1_000_000 + self.clock
    }

    fn row(&self, kind: Kind, terminal: u32, pupil: u64) -> Record {
        let mut row = Record::new(kind);
        (row.terminal, row.pupil, row.day, row.slot) = (terminal, pupil, DAY, LUNCH);
        (row.price, row.time) = (45_000, self.now());
        row
    }

    /// Some taps, until the disk fails.
    fn work(&mut self, ledger: &Ledger, steps: u64) -> Result<(), MealsError> {
        for _ in 0..steps {
            match self.chance.below(12) {
                0..=5 => self.serve(ledger, 1)?,
                6 => {
                    let count = 1 + self.chance.below(20);
                    self.serve(ledger, count)?;
                }
                7 | 8 => {
                    if let Some((pupil, position)) = self.somebody() {
                        let mark = self.about(ledger, Kind::Shown, pupil, position);
                        ledger.append_lazily(&[mark])?;
                    }
                }
                9 => {
                    if let Some((pupil, position)) = self.somebody() {
                        let back = self.about(ledger, Kind::Reversal, pupil, position);
                        self.unknown.insert(pupil);
                        self.served.remove(&pupil);
                        let receipt = ledger.append(&[back])?[0];
                        if receipt.status == Status::Recorded {
                            self.promise(ledger, receipt.position);
                            self.unknown.remove(&pupil);
                        }
                    }
                }
                10 => {
                    let passage = self.row(Kind::Arrival, 3, self.pupil).encode();
                    let receipt = ledger.append(&[passage])?[0];
                    self.promise(ledger, receipt.position);
                }
                _ => ledger.sync()?,
            }
        }
        Ok(())
    }

    fn serve(&mut self, ledger: &Ledger, count: u64) -> Result<(), MealsError> {
        let mut pupils = Vec::new();
        for _ in 0..count {
            // Mostly somebody new; now and then somebody who was here before.
            let pupil = if self.pupil > 0 && self.chance.below(5) == 0 {
                1 + self.chance.below(self.pupil)
            } else {
                self.pupil += 1;
                self.pupil
            };
            pupils.push(pupil);
        }
        let rows: Vec<RawRecord> = pupils
            .iter()
            .map(|pupil| {
                self.row(Kind::Meal, 1 + u32::from(pupil % 2 == 1), *pupil)
                    .encode()
            })
            .collect();
        let receipts = ledger.append(&rows)?;
        for (pupil, receipt) in pupils.iter().zip(receipts) {
            match receipt.status {
                // A reversal that was told to have failed may stand after the next start: its outcome is not known until then.
                Status::Recorded
                    if self.served.contains_key(pupil) && !self.unknown.contains(pupil) =>
                {
                    self.outcome.doubled += 1;
                }
                Status::Recorded | Status::AlreadyServed => {
                    self.served.insert(*pupil, receipt.position);
                    self.promise(ledger, receipt.position);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn somebody(&mut self) -> Option<(u64, u64)> {
        let index = self.chance.below(self.served.len() as u64);
        self.served
            .iter()
            .nth(usize::try_from(index).unwrap_or(0))
            .map(|(pupil, position)| (*pupil, *position))
    }

    fn about(&self, ledger: &Ledger, kind: Kind, pupil: u64, position: u64) -> RawRecord {
        let mut row = self.row(kind, 0, pupil);
        if let Some(meal) = one_of(ledger, position) {
            row.terminal = meal.terminal;
            row.reference = Reference {
                epoch: meal.epoch,
                sequence: meal.sequence,
            };
        }
        row.encode()
    }

    fn promise(&mut self, ledger: &Ledger, position: u64) {
        if let Ok(bytes) = ledger.read(position, position + 1)
            && let Some(raw) = bytes.as_chunks::<RECORD_BYTES>().0.first()
        {
            self.promised.insert(position, *raw);
        }
    }

    fn hub_takes(&mut self, ledger: &Ledger) -> Held {
        let bytes = ledger.read(0, u64::MAX).map_err(|error| broken(&error))?;
        for raw in bytes.as_chunks::<RECORD_BYTES>().0 {
            let Ok(record) = Record::decode(raw) else {
                return Err(Broken("a record that is read is not sound".to_owned()));
            };
            self.hub
                .insert((record.terminal, record.epoch, record.sequence), *raw);
            let last = Reference {
                epoch: record.epoch,
                sequence: record.sequence,
            };
            self.hub_last.insert(record.terminal, last);
        }
        Ok(())
    }

    /// A fault while the ledger is at work, with the next one armed as well; behind a power cut the next one meets the recovery.
    fn while_awake(&mut self, fault: Injected, next: Option<Injected>) -> Held {
        if self.outcome.injected.contains(&fault) {
            return Ok(());
        }
        let mut armed = vec![fault];
        armed.extend(next.filter(|_| !fault.is_crash()));
        // In half of the runs it meets the opening of the ledger already.
        let early = self.chance.below(2) == 0;
        let mut opened = if early { None } else { self.open().ok() };
        for one in &armed {
            self.arm(*one);
        }
        for round in 0..60 {
            let waiting = armed.iter().any(|one| !self.has_happened(*one));
            if self.has_happened(Injected::TornWrite) || (round > 1 && !waiting) {
                break;
            }
            if opened.is_none() {
                opened = self.open().ok();
            }
            if let Some(ledger) = opened.take() {
                let failed = self.work(&ledger, 3).is_err();
                // Who is told that nothing can be recorded any more opens the ledger anew.
                if !(failed && ledger.broken().is_some()) {
                    opened = Some(ledger);
                }
            }
        }
        let crashed = self.has_happened(Injected::TornWrite);
        armed.retain(|one| self.has_happened(*one));
        self.outcome.injected.extend(&armed);
        self.disk.set_room(None);
        // A few more taps on a disk that works again, and then the end: in good order, killed, or by a power cut.
        if let Some(ledger) = &opened {
            let steps = self.chance.below(5);
            let _ = self.work(ledger, steps);
            if self.chance.below(3) == 0 {
                let _ = self.hub_takes(ledger);
            }
            if !crashed && self.chance.below(2) == 0 {
                let _ = ledger.close();
            }
        }
        let cut = armed.iter().copied().find(|one| one.is_crash());
        let left = match cut {
            Some(Injected::TornWrite) => {
                let bytes = self.disk.last_unconfirmed() as u64;
                Some(Left::Torn(
                    usize::try_from(self.chance.below(bytes + 1)).unwrap_or(0),
                ))
            }
            Some(Injected::LostWrites) => Some(Left::Nothing),
            Some(_) => Some(Left::Chance),
            // After a failed confirmation it is a power cut that shows what was lost.
            None => (self.chance.below(2) == 0).then_some(Left::Chance),
        };
        self.end(opened, left);
        if fault.is_crash() && next.is_some() && self.chance.below(2) == 0 {
            self.check_opens()?;
        }
        Ok(())
    }

    fn arm(&mut self, fault: Injected) {
        let (disk, chance) = (&self.disk, &mut self.chance);
        match fault {
            Injected::FailingFsync => {
                disk.fail_next("sync", chance.below(4), Fault::Error(EIO));
            }
            Injected::FailingWrite => {
                disk.fail_next("write", chance.below(6), Fault::Error(EREMOTEIO));
            }
            Injected::MisdirectedWrite => {
                disk.fail_next("write", chance.below(6), Fault::Misdirect(chance.next()));
            }
            Injected::NoSpace => {
                let more = usize::try_from(chance.below(2 * SEGMENT * 128)).unwrap_or(0);
                disk.set_room(Some(disk.used() + more));
            }
            Injected::ClockStep => {
                let step = 1 + i64::try_from(chance.below(40_000_000_000)).unwrap_or(0);
                self.clock += if chance.below(2) == 0 { step } else { -step };
            }
            _ => disk.fail_next("*", chance.below(20), Fault::Crash),
        }
    }

    fn has_happened(&self, fault: Injected) -> bool {
        self.disk.fired().iter().any(|fired| match fault {
            Injected::FailingFsync => *fired == Fault::Error(EIO),
            Injected::FailingWrite => *fired == Fault::Error(EREMOTEIO),
            Injected::NoSpace => *fired == Fault::Error(ENOSPC),
            Injected::MisdirectedWrite => matches!(fired, Fault::Misdirect(_)),
            _ => *fired == Fault::Crash,
        }) || fault == Injected::ClockStep
    }

    /// The process ends without a word; `None` leaves all that the system knew, as `kill -9` does.
    fn end(&mut self, ledger: Option<Ledger>, left: Option<Left>) {
        let chance = &mut self.chance;
        let next = match left {
            Some(left) => self.disk.after_crash_that_left(left, || chance.next()),
            None => self.disk.image(),
        };
        self.disk.cut_power();
        drop(ledger);
        self.disk = next;
    }

    /// A fault of the disk while nobody writes.
    fn at_rest(&mut self, fault: Injected, older: &MemoryDisk) {
        let names: Vec<String> = edusense_meals::Storage::names(&self.disk)
            .unwrap_or_default()
            .into_iter()
            .filter(|name| name.ends_with(".seg"))
            .collect();
        let pick = |chance: &mut Chance, names: &[String]| {
            names
                .get(chance.below(names.len() as u64) as usize)
                .cloned()
        };
        match fault {
            Injected::DiskRolledBack => self.disk = older.image(),
            Injected::BitRot => {
                // One in eight in the mark, the others in the records.
                let name = if self.chance.below(8) == 0 {
                    Some(MARK.to_owned())
                } else {
                    pick(&mut self.chance, &names)
                };
                let Some(name) = name.filter(|name| self.disk.bytes(name).is_some()) else {
                    return;
                };
                let chance = &mut self.chance;
                self.disk.tamper(&name, |bytes| {
                    let bit = chance.below(bytes.len() as u64 * 8) as usize;
                    if let Some(byte) = bytes.get_mut(bit / 8) {
                        *byte ^= 1 << (bit % 8);
                    }
                });
            }
            Injected::ReadError => {
                let Some(name) = pick(&mut self.chance, &names) else {
                    return;
                };
                let sectors = self.disk.bytes(&name).unwrap_or_default().len() as u64 / 512;
                self.disk.spoil_sector(&name, self.chance.below(sectors));
            }
            Injected::SegmentMissing => {
                let Some(name) = pick(&mut self.chance, &names) else {
                    return;
                };
                let _ = edusense_meals::Storage::remove(&self.disk, &name);
                let _ = edusense_meals::Storage::sync_names(&self.disk);
            }
            Injected::SegmentRolledBack => {
                let known: Vec<String> = names
                    .into_iter()
                    .filter(|name| older.bytes(name).is_some())
                    .collect();
                let Some(name) = pick(&mut self.chance, &known) else {
                    return;
                };
                let before = older.bytes(&name).unwrap_or_default();
                self.disk.tamper(&name, |bytes| *bytes = before);
            }
            _ => return,
        }
        self.outcome.injected.push(fault);
    }

    /// The ledger opens; used between two faults.
    fn check_opens(&mut self) -> Held {
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
    fn check_sound(&mut self) -> Held {
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
    fn check_damaged(&mut self) -> Held {
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

fn one_of(ledger: &Ledger, position: u64) -> Option<Record> {
    let bytes = ledger.read(position, position + 1).ok()?;
    Record::decode(bytes.as_chunks::<RECORD_BYTES>().0.first()?).ok()
}

fn broken(error: &MealsError) -> Broken {
    Broken(format!("{}: {error}", error.code()))
}
