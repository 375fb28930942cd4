//! The ledger at work, its disk, what it promised, and a hub that took some of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use edusense_meals::disk::{Fault, Left, MemoryDisk};
use edusense_meals::{
    Kind, Ledger, MealsError, Options, RECORD_BYTES, RawRecord, Record, Reference, Status,
};

use super::{Injected, Outcome};

mod checks;

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
}

fn one_of(ledger: &Ledger, position: u64) -> Option<Record> {
    let bytes = ledger.read(position, position + 1).ok()?;
    Record::decode(bytes.as_chunks::<RECORD_BYTES>().0.first()?).ok()
}

fn broken(error: &MealsError) -> Broken {
    Broken(format!("{}: {error}", error.code()))
}
