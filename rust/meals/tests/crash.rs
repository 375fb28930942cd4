//! The power fails at every single operation of the disk, and unconfirmed writes are lost, torn and reordered by chance: no
//! record that was answered is lost, none is doubled, and recovery comes to its end and may itself be cut off.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Chance, DAY, LUNCH, about, decode, meal, open, verify};
use edusense_meals::disk::{Fault, MemoryDisk};
use edusense_meals::{Kind, Ledger, MealsError, RawRecord, Status};

/// What was promised so far.
#[derive(Default)]
struct Promised {
    /// Pupils whose meal was confirmed, with the record's bytes by position.
    records: BTreeMap<u64, RawRecord>,
    served: BTreeSet<u64>,
    /// Pupils whose reversal was tried and not answered: both outcomes are right.
    unknown: BTreeSet<u64>,
}

/// One day's work, the same for the same seed, until the disk fails.
fn work(
    ledger: &Ledger,
    chance: &mut Chance,
    promised: &mut Promised,
    steps: u64,
) -> Result<(), MealsError> {
    for _ in 0..steps {
        match chance.below(10) {
            0..=4 => one(ledger, chance.below(30), promised)?,
            5..=6 => {
                let pupils: Vec<u64> = (0..1 + chance.below(24))
                    .map(|_| chance.below(200))
                    .collect();
                let rows: Vec<RawRecord> = pupils.iter().map(|pupil| meal(*pupil)).collect();
                let receipts = ledger.append(&rows)?;
                for (pupil, receipt) in pupils.iter().zip(receipts) {
                    promise(ledger, *pupil, receipt.status, receipt.position, promised);
                }
            }
            7..=8 => {
                let served: Vec<u64> = promised.served.iter().copied().collect();
                if let Some(pupil) = served.get(chance.below(30) as usize)
                    && let Some(held) = ledger.holding(*pupil, DAY, &LUNCH)
                {
                    ledger.append_lazily(&[about(ledger, Kind::Shown, held.position)])?;
                }
            }
            _ => {
                let served: Vec<u64> = promised.served.iter().copied().collect();
                if let Some(pupil) = served.get(chance.below(30) as usize)
                    && let Some(held) = ledger.holding(*pupil, DAY, &LUNCH)
                {
                    promised.unknown.insert(*pupil);
                    promised.served.remove(pupil);
                    let receipt = ledger.append(&[about(ledger, Kind::Reversal, held.position)])?;
                    assert_eq!(receipt[0].status, Status::Recorded);
                    assert!(
                        ledger.append(&[about(ledger, Kind::Reversal, held.position)])?[0].status
                            == Status::NoSuchMeal
                    );
                    promised.unknown.remove(pupil);
                }
            }
        }
    }
    Ok(())
}

fn one(ledger: &Ledger, pupil: u64, promised: &mut Promised) -> Result<(), MealsError> {
    let receipt = ledger.append(&[meal(pupil)])?[0];
    promise(ledger, pupil, receipt.status, receipt.position, promised);
    Ok(())
}

fn promise(ledger: &Ledger, pupil: u64, status: Status, position: u64, promised: &mut Promised) {
    match status {
        Status::Recorded => {
            assert!(
                !promised.served.contains(&pupil),
                "pupil {pupil} was served twice"
            );
            promised.served.insert(pupil);
        }
        Status::AlreadyServed => {
            promised.served.insert(pupil);
        }
        other => panic!("{other:?}"),
    }
    let raw = ledger.read(position, position + 1).unwrap();
    promised.records.insert(position, raw.as_chunks().0[0]);
}

/// After each recovery: what was promised is there, byte for byte, and nobody has two meals.
fn check(ledger: &Ledger, promised: &Promised, what: &str) {
    let bytes = ledger.read(0, u64::MAX).unwrap();
    let raw = bytes.as_chunks::<128>().0;
    for (position, record) in &promised.records {
        assert_eq!(
            raw.get(*position as usize),
            Some(record),
            "{what}: record {position} is lost or changed"
        );
    }
    for pupil in &promised.served {
        assert!(
            ledger.holding(*pupil, DAY, &LUNCH).is_some(),
            "{what}: pupil {pupil} would be served again"
        );
    }
    let mut held: BTreeMap<u64, bool> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    for record in decode(&bytes) {
        assert!(
            keys.insert((record.terminal, record.epoch, record.sequence)),
            "{what}: a key occurs twice"
        );
        match record.kind {
            Kind::Meal => assert!(
                !held.insert(record.pupil, true).unwrap_or(false),
                "{what}: a meal is doubled"
            ),
            Kind::Reversal => assert!(
                held.insert(record.pupil, false).unwrap_or(false),
                "{what}: reversed twice"
            ),
            _ => {}
        }
    }
    for (pupil, held) in held {
        assert_eq!(
            ledger.holding(pupil, DAY, &LUNCH).is_some(),
            held,
            "{what}: index and ledger differ"
        );
    }
}

#[test]
fn a_power_cut_at_every_operation_loses_nothing_that_was_answered() {
    let mut cuts = 0;
    for seed in 0..10 {
        let disk = MemoryDisk::new();
        let ledger = open(&disk, 1).unwrap();
        work(&ledger, &mut Chance(seed), &mut Promised::default(), 24).unwrap();
        ledger.close().unwrap();
        let operations = disk.operations();
        for operation in 0..operations {
            for round in 0..6 {
                let what = format!("seed {seed}, operation {operation}, round {round}");
                let disk = MemoryDisk::new();
                disk.fail_at(operation, Fault::Crash);
                let mut promised = Promised::default();
                if let Ok(ledger) = open(&disk, 1) {
                    let _ = work(&ledger, &mut Chance(seed), &mut promised, 24);
                    let _ = ledger.close();
                }
                let mut chance = Chance(seed * 1_000_003 + operation * 31 + round);
                let mut disk = disk.after_crash(|| chance.next());
                // The recovery is cut off too, once or twice, before it may come to its end.
                for _ in 0..chance.below(3) {
                    disk.fail_at(chance.below(12), Fault::Crash);
                    let _ = open(&disk, 2).map(|ledger| ledger.close());
                    disk = disk.after_crash(|| chance.next());
                }
                let before = verify_if_there(&disk);
                assert!(
                    before.iter().all(|report| report.problems.is_empty()),
                    "{what}: torn was called damage: {before:?}"
                );
                let ledger = open(&disk, 3).unwrap_or_else(|error| panic!("{what}: {error}"));
                check(&ledger, &promised, &what);
                work(&ledger, &mut Chance(seed + 77), &mut promised, 6).unwrap();
                check(&ledger, &promised, &what);
                ledger.close().unwrap();
                let report = verify(&disk);
                assert!(
                    report.problems.is_empty() && report.torn.is_none() && report.closed,
                    "{what}: {report:?}"
                );
                assert_eq!(
                    report.records * 128 + report.unused_bytes,
                    report.bytes,
                    "{what}: bytes not accounted for"
                );
                cuts += 1;
            }
        }
    }
    assert!(cuts > 5_000, "only {cuts} power cuts");
}

fn verify_if_there(disk: &MemoryDisk) -> Option<edusense_meals::Report> {
    let reader = edusense_meals::Reader::of(std::sync::Arc::new(disk.clone())).ok()?;
    Some(reader.verify().unwrap())
}

#[test]
fn an_error_at_every_operation_is_told_and_loses_nothing() {
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;
    for seed in 0..8 {
        let disk = MemoryDisk::new();
        let ledger = open(&disk, 1).unwrap();
        work(&ledger, &mut Chance(seed), &mut Promised::default(), 24).unwrap();
        ledger.close().unwrap();
        for operation in 0..disk.operations() {
            for number in [EIO, ENOSPC] {
                let what = format!("seed {seed}, operation {operation}, error {number}");
                let disk = MemoryDisk::new();
                disk.fail_at(operation, Fault::Error(number));
                let mut promised = Promised::default();
                if let Ok(ledger) = open(&disk, 1) {
                    let mut chance = Chance(seed);
                    for _ in 0..3 {
                        // Whoever is told "cannot record" tries again; after a failed confirmation that must be of no use.
                        if let Err(error) = work(&ledger, &mut chance, &mut promised, 8) {
                            assert_eq!(error.code(), "ledger-storage", "{what}: {error}");
                            let again = work(&ledger, &mut chance, &mut promised, 8);
                            assert_eq!(
                                again.is_err(),
                                ledger.broken().is_some(),
                                "{what}: {again:?}"
                            );
                        }
                    }
                    let _ = ledger.close();
                }
                // And then the power fails as well: what a failed confirmation left in memory only is gone.
                let mut chance = Chance(seed * 7_919 + operation);
                let disk = disk.after_crash(|| chance.next());
                let ledger = open(&disk, 2).unwrap_or_else(|error| panic!("{what}: {error}"));
                check(&ledger, &promised, &what);
                ledger.close().unwrap();
                assert!(verify(&disk).problems.is_empty(), "{what}");
            }
        }
    }
}

#[test]
fn many_threads_on_a_disk_that_fails_are_told_the_truth() {
    for seed in 0..150_u64 {
        let disk = MemoryDisk::new();
        let mut chance = Chance(seed);
        let ledger = open(&disk, 1).unwrap();
        let fault = match chance.below(3) {
            0 => Fault::Crash,
            1 => Fault::Error(5),
            _ => Fault::Error(28),
        };
        disk.fail_at(disk.operations() + chance.below(60), fault);
        let promised = std::sync::Mutex::new(Promised::default());
        std::thread::scope(|scope| {
            for thread in 0..6_u64 {
                let (ledger, promised) = (&ledger, &promised);
                scope.spawn(move || {
                    for step in 0..12 {
                        let pupil = if step % 3 == 0 {
                            step
                        } else {
                            100 * (thread + 1) + step
                        };
                        let Ok(receipts) = ledger.append(&[meal(pupil)]) else {
                            continue;
                        };
                        let position = receipts[0].position;
                        let raw = ledger.read(position, position + 1).unwrap();
                        let mut promised = promised.lock().unwrap();
                        promised.records.insert(position, raw.as_chunks().0[0]);
                        let first = promised.served.insert(pupil);
                        drop(promised);
                        if receipts[0].status == Status::Recorded {
                            // Another thread may have been told "already served" before we came to note it.
                            assert!(first || step % 3 == 0, "pupil {pupil} was served twice");
                            let _ = ledger.append_lazily(&[about(ledger, Kind::Shown, position)]);
                        }
                    }
                });
            }
        });
        let _ = ledger.close();
        let disk = disk.after_crash(|| chance.next());
        let ledger = open(&disk, 2).unwrap();
        check(
            &ledger,
            &promised.into_inner().unwrap(),
            &format!("seed {seed}, {fault:?}"),
        );
        ledger.close().unwrap();
        assert!(verify(&disk).problems.is_empty(), "seed {seed}");
    }
}
