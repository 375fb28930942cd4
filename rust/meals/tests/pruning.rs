//! Old segments are sealed, and pruned below what the hub has signed for: nothing else goes, what is left can be told from damage, and
//! a power cut or a failing disk at any operation leaves the old ledger or the new one.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Chance, FIRST, LUNCH, SEGMENT, about, decode, open, row, verify};
use edusense_meals::acknowledgement::Acknowledgement;
use edusense_meals::disk::{Fault, MemoryDisk};
use edusense_meals::key::Key;
use edusense_meals::prune::{Plan, Terms, plan, prune};
use edusense_meals::seal::seal;
use edusense_meals::{
    Kind, Ledger, MealsError, RawRecord, Reader, Record, Status, Storage, chain, merkle,
};

/// Days of the school years before and after the summer.
const OLD_DAY: u32 = 20_260_401;
const NEW_YEAR: u32 = 20_260_901;

fn box_key() -> Key {
    Key::from_seed(&[1; 32])
}

fn hub_key() -> Key {
    Key::from_seed(&[2; 32])
}

fn terms() -> Terms {
    Terms {
        hub_key: hub_key().public(),
        keep_from: NEW_YEAR,
    }
}

fn meal_on(day: u32, terminal: u32, pupil: u64) -> RawRecord {
    let mut row = row(Kind::Meal, terminal, pupil);
    row.day = day;
    row.encode()
}

/// Three openings: two in the old school year, one in the new; some segments each.
fn school_years(disk: &MemoryDisk) {
    for (epoch, day) in [(1, OLD_DAY), (2, OLD_DAY + 1), (3, NEW_YEAR)] {
        let ledger = open(disk, epoch).unwrap();
        for pupil in 1..=20 {
            let terminal = 1 + (pupil % 2) as u32;
            let receipt = ledger.append(&[meal_on(day, terminal, pupil)]).unwrap()[0];
            assert_eq!(receipt.status, Status::Recorded);
            let mut mark = Record::decode(&about(&ledger, Kind::Shown, receipt.position)).unwrap();
            mark.day = day;
            ledger.append_lazily(&[mark.encode()]).unwrap();
        }
        ledger.close().unwrap();
    }
}

fn put(disk: &MemoryDisk, name: &str, bytes: &[u8]) {
    let file = disk.create(name).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync().unwrap();
    disk.sync_names().unwrap();
}

/// What the hub signs if it holds all of these records.
fn acknowledge(disk: &MemoryDisk, records: &[Record]) {
    let mut lines: BTreeMap<(u32, u32), Acknowledgement> = BTreeMap::new();
    for record in records {
        let told = lines
            .entry((record.terminal, record.epoch))
            .or_insert(Acknowledgement {
                school: record.school,
                terminal: record.terminal,
                epoch: record.epoch,
                sequence: 0,
                meals: 0,
                reversals: 0,
                sum: 0,
                head: [0; 32],
                time: 7,
                key: [0; 32],
            });
        told.sequence = record.sequence;
        told.head = chain(&record.encode());
    }
    for ((terminal, epoch), told) in lines {
        put(
            disk,
            &format!("{terminal:010}-{epoch:08x}.edack"),
            &told.sign(&hub_key()),
        );
    }
}

fn records(disk: &MemoryDisk) -> Vec<Record> {
    let reader = Reader::of(Arc::new(disk.clone())).unwrap();
    decode(&reader.read(reader.first().unwrap(), u64::MAX).unwrap())
}

fn pruned(disk: &MemoryDisk) -> Plan {
    let found = plan(disk, &terms()).unwrap();
    prune(disk, &terms(), found.until, &box_key(), "a test").unwrap()
}

#[test]
fn a_seal_has_the_root_over_its_segment_and_stays_when_that_is_pruned() {
    let disk = MemoryDisk::new();
    school_years(&disk);
    let all = records(&disk);
    let seals = seal(&disk, &box_key()).unwrap();
    assert_eq!(seals.len() as u64, all.len() as u64 / SEGMENT);
    for (index, sealed) in seals.iter().enumerate() {
        let own = &all[index * SEGMENT as usize..(index + 1) * SEGMENT as usize];
        let leaves: Vec<_> = own.iter().map(|one| merkle::leaf(&one.encode())).collect();
        assert_eq!(sealed.root, merkle::root(&leaves));
        assert_eq!(sealed.before, own[0].previous);
        assert_eq!(sealed.head, chain(&own.last().unwrap().encode()));
        assert_eq!(sealed.key, box_key().public());
        for line in &sealed.lines {
            let sequences: Vec<u64> = own
                .iter()
                .filter(|one| (one.terminal, one.epoch) == (line.terminal, line.epoch))
                .map(|one| one.sequence)
                .collect();
            assert_eq!(sequences, (line.first..=line.last).collect::<Vec<_>>());
        }
    }
    assert!(seal(&disk, &box_key()).unwrap().is_empty(), "sealed twice");
    acknowledge(&disk, &all);
    let until = pruned(&disk).until;
    assert!(until >= 2 * SEGMENT);
    let report = verify(&disk);
    assert!(report.problems.is_empty(), "{report:?}");
    assert_eq!(report.first, until);
    assert_eq!(report.records, all.len() as u64 - until);
    let kept: Vec<_> = report.seals.iter().map(|one| one.seal.clone()).collect();
    assert_eq!(kept, seals);
    assert!(
        report
            .seals
            .iter()
            .all(|one| one.pruned == (one.seal.first < until))
    );
    assert_eq!(records(&disk), all[until as usize..]);
}

#[test]
fn the_last_segment_the_present_year_and_what_the_hub_has_not_signed_for_stay() {
    let disk = MemoryDisk::new();
    school_years(&disk);
    let all = records(&disk);
    let why = |disk: &MemoryDisk, terms: &Terms| -> Vec<Option<String>> {
        let found = plan(disk, terms).unwrap().segments;
        found.into_iter().map(|one| one.stays).collect()
    };
    let none = why(&disk, &terms());
    assert!(none[0].as_ref().unwrap().contains("has not signed for"));
    assert!(matches!(
        prune(&disk, &terms(), SEGMENT, &box_key(), "a test"),
        Err(MealsError::NotPruned { .. })
    ));
    // All but one record of the second segment: the first may go, and nothing behind.
    let second = SEGMENT as usize;
    let (some, _): (Vec<_>, Vec<_>) = all.iter().cloned().enumerate().partition(|(at, record)| {
        *at < second || (record.terminal, record.epoch) != (all[second].terminal, 1)
    });
    acknowledge(
        &disk,
        &some.into_iter().map(|(_, one)| one).collect::<Vec<_>>(),
    );
    let found = why(&disk, &terms());
    assert_eq!(found[0], None);
    assert!(found[1].as_ref().unwrap().contains("has not signed for"));
    acknowledge(&disk, &all);
    let found = why(&disk, &terms());
    let going = found.iter().filter(|one| one.is_none()).count();
    let new = all.iter().position(|one| one.day == NEW_YEAR).unwrap();
    assert_eq!(going as u64, new as u64 / SEGMENT);
    assert!(found[going].as_ref().unwrap().contains("2026-09-01"));
    let for_ever = Terms {
        keep_from: 99_991_231,
        ..terms()
    };
    let found = why(&disk, &for_ever);
    assert!(found.iter().rev().skip(1).all(Option::is_none));
    assert!(found.last().unwrap().is_some(), "the last one went");
    assert!(matches!(
        prune(&disk, &for_ever, 1, &box_key(), "a test"),
        Err(MealsError::NotPruned { .. })
    ));
    let ledger = open(&disk, 9).unwrap();
    assert!(matches!(
        prune(&disk, &for_ever, SEGMENT, &box_key(), "a test"),
        Err(MealsError::Locked { .. })
    ));
    ledger.close().unwrap();
}

#[test]
fn an_acknowledgement_of_other_records_prunes_nothing() {
    let disk = MemoryDisk::new();
    school_years(&disk);
    let mut all = records(&disk);
    let name = "0000000001-00000001.edack";
    acknowledge(&disk, &all);
    let sound = disk.bytes(name).unwrap();
    let refused = |disk: &MemoryDisk| plan(disk, &terms()).unwrap_err().to_string();
    disk.tamper(name, |bytes| bytes[20] ^= 1);
    assert!(refused(&disk).contains("was altered"));
    disk.tamper(name, |bytes| bytes.truncate(100));
    assert!(refused(&disk).contains("184 bytes"));
    disk.tamper(name, |bytes| {
        let told = Acknowledgement::decode(&sound).unwrap();
        *bytes = told.sign(&box_key()).to_vec();
    });
    assert!(refused(&disk).contains("hub's key"));
    let last = all
        .iter()
        .rposition(|one| (one.terminal, one.epoch) == (1, 1))
        .unwrap();
    all[last].price += 1;
    acknowledge(&disk, &all);
    assert!(refused(&disk).contains("another record"));
    let mut more = all[last].clone();
    more.sequence += 1;
    all.push(more);
    acknowledge(&disk, &all);
    assert!(refused(&disk).contains("here it ends with"));
}

#[test]
fn a_pruned_ledger_goes_on_and_takes_no_meal_of_the_days_that_are_gone() {
    let disk = MemoryDisk::new();
    school_years(&disk);
    let all = records(&disk);
    acknowledge(&disk, &all);
    let found = pruned(&disk);
    assert_eq!(found.last_day, OLD_DAY + 1);
    let ledger = open(&disk, 4).unwrap();
    assert_eq!(ledger.first(), found.until);
    let status = |raw: RawRecord| ledger.append(&[raw]).unwrap()[0].status;
    for day in [OLD_DAY, OLD_DAY + 1, 20_200_101] {
        assert_eq!(status(meal_on(day, 1, 2)), Status::DayPruned);
        assert_eq!(status(meal_on(day, 1, 99)), Status::DayPruned);
    }
    assert_eq!(status(meal_on(NEW_YEAR, 1, 2)), Status::AlreadyServed);
    assert_eq!(status(meal_on(OLD_DAY + 2, 1, 2)), Status::Recorded);
    let gone = all.iter().find(|one| one.kind == Kind::Meal).unwrap();
    let mut back = gone.clone();
    back.kind = Kind::Reversal;
    (back.flags, back.reference.epoch) = (0, gone.epoch);
    back.reference.sequence = gone.sequence;
    assert_eq!(status(back.encode()), Status::NoSuchMeal);
    assert!(matches!(
        ledger.read(0, 5),
        Err(MealsError::Pruned { record: 0, .. })
    ));
    assert!(ledger.holding(2, NEW_YEAR, &LUNCH).is_some());
    ledger.close().unwrap();
    // The epoch of each terminal follows what it did before, though that is not here any more.
    let left = records(&disk);
    let ends = |terminal: u32| {
        let of = all.iter().rev().find(|one| one.terminal == terminal);
        of.map(|one| (one.epoch, one.sequence)).unwrap()
    };
    let opened = left
        .iter()
        .find(|one| one.epoch == 4 && one.terminal == 1)
        .unwrap();
    assert_eq!((opened.reference.epoch, opened.reference.sequence), ends(1));
    assert!(verify(&disk).problems.is_empty());
    // And again, a year later.
    acknowledge(&disk, &left);
    let later = Terms {
        keep_from: 20_270_901,
        ..terms()
    };
    let until = plan(&disk, &later).unwrap().until;
    assert!(until > found.until);
    prune(&disk, &later, until, &box_key(), "a test").unwrap();
    let report = verify(&disk);
    assert!(report.problems.is_empty(), "{report:?}");
    assert_eq!(
        report.seals.iter().filter(|one| one.pruned).count() as u64,
        until / SEGMENT
    );
    let ledger = open(&disk, 5).unwrap();
    assert_eq!(
        ledger.append(&[meal_on(NEW_YEAR, 1, 2)]).unwrap()[0].status,
        Status::DayPruned
    );
    ledger.close().unwrap();
    assert!(verify(&disk).problems.is_empty());
}

#[test]
fn a_terminal_that_is_silent_since_the_pruned_days_goes_on_where_it_was() {
    let disk = MemoryDisk::new();
    for (epoch, day, terminal) in [(1, OLD_DAY, 7), (2, NEW_YEAR, 1)] {
        let ledger = open(&disk, epoch).unwrap();
        for pupil in 1..=40 {
            ledger.append(&[meal_on(day, terminal, pupil)]).unwrap();
        }
        ledger.close().unwrap();
    }
    let all = records(&disk);
    acknowledge(&disk, &all);
    pruned(&disk);
    assert!(
        records(&disk)
            .iter()
            .all(|one| one.terminal != 7 || one.sequence > 20)
    );
    let later = Terms {
        keep_from: 20_270_901,
        ..terms()
    };
    let until = plan(&disk, &later).unwrap().until;
    prune(&disk, &later, until, &box_key(), "a test").unwrap();
    assert!(records(&disk).iter().all(|one| one.terminal != 7));
    let ledger = open(&disk, 3).unwrap();
    ledger.append(&[meal_on(20_270_902, 7, 1)]).unwrap();
    ledger.close().unwrap();
    let opened = records(&disk)
        .into_iter()
        .find(|one| one.terminal == 7)
        .unwrap();
    let last = all.iter().rfind(|one| one.terminal == 7).unwrap();
    assert_eq!(
        (opened.reference.epoch, opened.reference.sequence),
        (last.epoch, last.sequence)
    );
    assert!(verify(&disk).problems.is_empty());
}

#[test]
fn what_was_changed_or_is_gone_is_named() {
    let disk = MemoryDisk::new();
    school_years(&disk);
    seal(&disk, &box_key()).unwrap();
    acknowledge(&disk, &records(&disk));
    let whats = |disk: &MemoryDisk| -> Vec<String> {
        let report = verify(disk);
        let found = report.problems.iter();
        found
            .map(|one| format!("{}: {}", one.segment, one.what))
            .collect()
    };
    let first_seal = "00000000000000000000.seal";
    // A segment that is gone without having been pruned is damage, though its seal is there.
    let lost = disk.image();
    lost.remove(FIRST).unwrap();
    assert!(whats(&lost).iter().any(|one| one.contains("missing")));
    assert!(open(&lost, 5).is_err());
    // A seal of another segment's content.
    let moved = disk.image();
    let other = moved.bytes("00000000000000000016.seal").unwrap();
    moved.tamper(first_seal, |bytes| *bytes = other);
    assert!(whats(&moved)[0].contains("seal of the segment at 16"));
    let rotten = disk.image();
    rotten.tamper(first_seal, |bytes| bytes[50] ^= 4);
    assert!(whats(&rotten)[0].contains("was altered"));
    let again = seal(&rotten, &box_key()).unwrap();
    assert_eq!(
        again.len(),
        1,
        "a rotten seal of a sound segment is made again"
    );
    assert!(whats(&rotten).is_empty());
    // A seal that holds, of another segment than the one that is there.
    let swapped = MemoryDisk::new();
    let ledger = open(&swapped, 8).unwrap();
    for pupil in 1..=40 {
        ledger.append(&[meal_on(OLD_DAY, 3, pupil)]).unwrap();
    }
    ledger.close().unwrap();
    put(&swapped, first_seal, &disk.bytes(first_seal).unwrap());
    assert!(whats(&swapped)[0].contains("not what its seal says"));
    assert!(matches!(
        seal(&swapped, &box_key()),
        Err(MealsError::Damaged { .. })
    ));

    let until = pruned(&disk).until;
    for bit in 0..8 * disk.bytes("meals.pruned").unwrap().len() {
        let spoiled = disk.image();
        spoiled.tamper("meals.pruned", |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let found = whats(&spoiled);
        assert!(found[0].contains("the other holds"), "bit {bit}: {found:?}");
        let ledger = open(&spoiled, 5).unwrap();
        assert_eq!(ledger.first(), until);
        ledger.close().unwrap();
    }
    let spoiled = disk.image();
    spoiled.tamper("meals.pruned", |bytes| {
        let half = bytes.len() / 2;
        (bytes[9], bytes[half + 9]) = (9, 9);
    });
    assert!(
        whats(&spoiled)
            .iter()
            .any(|one| one.contains("nobody knows"))
    );
    assert!(matches!(open(&spoiled, 5), Err(MealsError::Damaged { .. })));
    let gone = disk.image();
    gone.remove("meals.pruned").unwrap();
    assert!(whats(&gone)[0].contains("missing"));
    assert!(open(&gone, 5).is_err());
    for name in [first_seal, "00000000000000000016.seal"] {
        let gone = disk.image();
        gone.remove(name).unwrap();
        assert!(
            whats(&gone)[0].contains("no sound seal"),
            "{:?}",
            whats(&gone)
        );
        open(&gone, 5).unwrap().close().unwrap();
    }
    let forged = disk.image();
    let other = swapped.image();
    other.remove(first_seal).unwrap();
    let theirs = seal(&other, &box_key()).unwrap();
    assert_eq!(theirs[0].first, 0);
    forged.tamper(first_seal, |bytes| {
        *bytes = other.bytes(first_seal).unwrap()
    });
    assert!(whats(&forged)[0].contains("does not follow the seal before it"));
}

/// After a disk failed somewhere in sealing and pruning: the ledger is the old one or the new one, and works.
fn check(disk: &MemoryDisk, all: &[Record], until: u64, what: &str) {
    let report = verify(disk);
    assert!(report.problems.is_empty(), "{what}: {:?}", report.problems);
    assert!(
        report.first == 0 || report.first == until,
        "{what}: it begins with {}",
        report.first
    );
    let found = records(disk);
    assert_eq!(found, all[report.first as usize..], "{what}");
    let sealed = report.seals.iter().filter(|one| one.pruned).count() as u64;
    assert_eq!(sealed * SEGMENT, report.first, "{what}: a root is gone");
    let ledger = open(disk, 77).unwrap_or_else(|error| panic!("{what}: {error}"));
    let old = ledger.append(&[meal_on(OLD_DAY, 1, 2)]).unwrap()[0].status;
    let gone = if report.first == 0 {
        Status::AlreadyServed
    } else {
        Status::DayPruned
    };
    assert_eq!(old, gone, "{what}: an old meal would be doubled");
    assert_eq!(
        ledger.append(&[meal_on(NEW_YEAR, 1, 2)]).unwrap()[0].status,
        Status::AlreadyServed,
        "{what}"
    );
    ledger.close().unwrap();
    let report = verify(disk);
    assert!(
        report.problems.is_empty() && report.notes.is_empty(),
        "{what}: {report:?}"
    );
    // And what was begun can be done.
    acknowledge(disk, &records(disk));
    pruned(disk);
    assert_eq!(verify(disk).first, until, "{what}");
}

#[test]
fn a_power_cut_or_an_error_at_every_operation_of_sealing_and_pruning_loses_nothing() {
    let begin = MemoryDisk::new();
    school_years(&begin);
    let all = records(&begin);
    acknowledge(&begin, &all);
    let work = |disk: &MemoryDisk| -> Result<Plan, MealsError> {
        seal(disk, &box_key())?;
        let found = plan(disk, &terms())?;
        prune(disk, &terms(), found.until, &box_key(), "a test")
    };
    let whole = begin.image();
    let until = work(&whole).unwrap().until;
    let operations = whole.operations();
    assert!(operations > 30, "{operations}");
    let (mut old, mut new) = (0, 0);
    for operation in 0..operations {
        for fault in [Fault::Crash, Fault::Error(5), Fault::Error(28)] {
            for round in 0..8 {
                let what = format!("operation {operation}, {fault:?}, round {round}");
                let disk = begin.image();
                disk.fail_at(operation, fault);
                let outcome = work(&disk);
                // Only that a file which nobody needs could not be removed may stay untold.
                assert!(
                    outcome.is_err() || disk.fired().is_empty(),
                    "{what}: nobody was told"
                );
                let mut chance = Chance(operation * 31 + round);
                // An error alone, and one that the power cut follows.
                let mut disk = if fault != Fault::Crash && round % 2 == 0 {
                    disk
                } else {
                    disk.after_crash(|| chance.next())
                };
                for _ in 0..chance.below(3) {
                    disk.fail_at(disk.operations() + chance.below(12), Fault::Crash);
                    let _ = open(&disk, 66).map(|ledger: Ledger| ledger.close());
                    disk = disk.after_crash(|| chance.next());
                }
                let found = records(&disk).len();
                if found == all.len() {
                    old += 1;
                } else {
                    new += 1;
                }
                let all: Vec<Record> = with_openings(&all, &disk);
                check(&disk, &all, until, &what);
            }
        }
    }
    assert!(old > 100 && new > 100, "{old} old, {new} new");
}

/// What was there, and the records of openings that were cut off since.
fn with_openings(all: &[Record], disk: &MemoryDisk) -> Vec<Record> {
    let since = records(disk)
        .into_iter()
        .filter(|one| one.kind == Kind::Opened && one.epoch == 66);
    all.iter().cloned().chain(since).collect()
}
