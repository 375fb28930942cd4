//! The ledger in health: keys, chain, uniqueness, many threads, a full disk, the clock, one writer.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Chance, DAY, LUNCH, about, decode, meal, open, options, row, verify};
use edusense_meals::disk::MemoryDisk;
use edusense_meals::{
    Folder, Kind, Ledger, Options, Reader, Record, Reference, Status, chain, flags,
};
use proptest::prelude::*;

#[test]
fn each_terminal_counts_for_itself_and_says_what_its_epoch_follows() {
    let disk = MemoryDisk::new();
    for epoch in [7, 9] {
        let ledger = open(&disk, epoch).unwrap();
        let pupils = u64::from(epoch) * 10..u64::from(epoch) * 10 + 3;
        ledger
            .append(&pupils.map(meal).collect::<Vec<_>>())
            .unwrap();
        ledger.close().unwrap();
    }
    let records = decode(
        &Reader::of(Arc::new(disk))
            .unwrap()
            .read(0, u64::MAX)
            .unwrap(),
    );
    let keys: Vec<_> = records
        .iter()
        .map(|record| (record.terminal, record.epoch, record.sequence))
        .collect();
    let first = [
        (0, 7, 1),
        (1, 7, 1),
        (1, 7, 2),
        (2, 7, 1),
        (2, 7, 2),
        (1, 7, 3),
    ];
    let second = [
        (0, 9, 1),
        (1, 9, 1),
        (1, 9, 2),
        (2, 9, 1),
        (2, 9, 2),
        (1, 9, 3),
    ];
    assert_eq!(keys, [first, second].concat());
    let follows: Vec<_> = records
        .iter()
        .filter(|r| r.kind == Kind::Opened)
        .map(|r| r.reference)
        .collect();
    let expected = [(0, 0), (0, 0), (0, 0), (7, 1), (7, 3), (7, 2)];
    assert_eq!(
        follows,
        expected.map(|(epoch, sequence)| Reference { epoch, sequence })
    );
    assert!(records.iter().all(|record| record.school == 51_001));
    assert!(
        records
            .windows(2)
            .all(|pair| pair[1].previous == chain(&pair[0].encode()))
    );
}

#[test]
fn a_reversal_frees_the_slot_once_and_only_for_its_meal() {
    let disk = MemoryDisk::new();
    let ledger = open(&disk, 1).unwrap();
    let first = ledger.append(&[meal(1)]).unwrap()[0];
    let reversal = about(&ledger, Kind::Reversal, first.position);
    let mut wrong = Record::decode(&reversal).unwrap();
    wrong.reference.sequence += 1;
    assert_eq!(
        ledger.append(&[wrong.encode()]).unwrap()[0].status,
        Status::NoSuchMeal
    );
    assert_eq!(
        ledger.append(&[reversal]).unwrap()[0].status,
        Status::Recorded
    );
    assert_eq!(
        ledger.append(&[reversal]).unwrap()[0].status,
        Status::NoSuchMeal
    );
    assert_eq!(ledger.holding(1, DAY, &LUNCH), None);
    let again = ledger.append(&[meal(1)]).unwrap()[0];
    assert_eq!(again.status, Status::Recorded);
    // A late mark for the meal that was taken back does not count for the one that came after it.
    let mut late = Record::decode(&reversal).unwrap();
    late.kind = Kind::Shown;
    assert_eq!(
        ledger.append_lazily(&[late.encode()]).unwrap()[0].status,
        Status::NoSuchMeal
    );
    assert!(!ledger.holding(1, DAY, &LUNCH).unwrap().shown);
}

#[test]
fn rows_that_cannot_stand_in_a_ledger_are_refused_one_by_one() {
    let ledger = open(&MemoryDisk::new(), 1).unwrap();
    let mut rows = Vec::new();
    let mut bad = |change: &dyn Fn(&mut Record)| {
        let mut row = row(Kind::Meal, 1, 5);
        change(&mut row);
        rows.push(row.encode());
    };
    bad(&|row| row.day = 0);
    bad(&|row| row.day = 20_261_301);
    bad(&|row| row.slot = [0; 12]);
    bad(&|row| row.slot = *b"lu\0nch\0\0\0\0\0\0");
    bad(&|row| row.slot[0] = 0xD0);
    bad(&|row| row.kind = Kind::Opened);
    bad(&|row| (row.kind, row.day) = (Kind::DayClosed, 0));
    bad(&|row| row.flags = 1 << 9);
    bad(&|row| row.flags = flags::MANUAL);
    let mut unknown = meal(6);
    unknown[4] = 99;
    rows.push(unknown);
    let statuses: Vec<_> = ledger
        .append(&rows)
        .unwrap()
        .iter()
        .map(|receipt| receipt.status)
        .collect();
    let mut expected = vec![Status::NotValid; 10];
    expected[8] = Status::Recorded;
    assert_eq!(statuses, expected);
    assert_eq!(ledger.count(), 3);
}

#[test]
fn a_clock_that_went_back_is_noted_and_never_refused() {
    let ledger = open(&MemoryDisk::new(), 1).unwrap();
    let at = |pupil: u64, time: i64| {
        let mut row = row(Kind::Meal, 1, pupil);
        row.time = time;
        row.encode()
    };
    let hour = 3_600_000_000;
    let rows = [
        at(1, 9 * hour),
        at(2, 8 * hour),
        at(3, 8 * hour + 1),
        at(4, 8 * hour - 50_000),
        at(5, 7 * hour),
    ];
    assert!(
        ledger
            .append(&rows)
            .unwrap()
            .iter()
            .all(|receipt| receipt.status == Status::Recorded)
    );
    let noted: Vec<_> = decode(&ledger.read(2, 7).unwrap())
        .iter()
        .map(|record| record.flags & flags::CLOCK_WENT_BACK != 0)
        .collect();
    assert_eq!(noted, [false, true, false, false, true]);
}

#[test]
fn sixteen_threads_share_writes_and_one_child_is_served_once() {
    let folder = std::env::temp_dir().join(format!("edusense-threads-{}", std::process::id()));
    let options = Options {
        segment_records: 64,
        prepare_ahead: true,
        ..options(1)
    };
    let ledger = Ledger::open(&folder, &options).unwrap();
    let [recorded, refused] = [AtomicU64::new(0), AtomicU64::new(0)];
    std::thread::scope(|scope| {
        for thread in 0..16_u64 {
            let (ledger, recorded, refused) = (&ledger, &recorded, &refused);
            scope.spawn(move || {
                for step in 0..60_u64 {
                    // Every fourth pupil is claimed by all threads at once, the others by one.
                    let pupil = if step % 4 == 0 {
                        step
                    } else {
                        1_000 + thread * 100 + step
                    };
                    let receipt = ledger.append(&[meal(pupil)]).unwrap()[0];
                    let stands =
                        decode(&ledger.read(receipt.position, receipt.position + 1).unwrap());
                    assert_eq!(
                        stands[0].pupil, pupil,
                        "an answer before its record could be read"
                    );
                    match receipt.status {
                        Status::Recorded => {
                            recorded.fetch_add(1, Ordering::Relaxed);
                            let mark = about(ledger, Kind::Shown, receipt.position);
                            assert_eq!(
                                ledger.append_lazily(&[mark]).unwrap()[0].status,
                                Status::Recorded
                            );
                        }
                        Status::AlreadyServed => {
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    assert_eq!(
        (recorded.into_inner(), refused.into_inner()),
        (15 + 16 * 45, 15 * 15)
    );
    ledger.close().unwrap();
    let report = Reader::open(&folder).unwrap().verify().unwrap();
    assert!(report.problems.is_empty() && report.closed, "{report:?}");
    let records = decode(&Reader::open(&folder).unwrap().read(0, u64::MAX).unwrap());
    assert_eq!(
        records
            .iter()
            .filter(|record| record.kind == Kind::Meal)
            .count(),
        15 + 16 * 45
    );
    assert_eq!(
        records
            .iter()
            .filter(|record| record.kind == Kind::Shown)
            .count(),
        15 + 16 * 45
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_full_disk_is_said_and_the_ledger_goes_on_when_there_is_room() {
    let disk = MemoryDisk::new();
    let ledger = open(&disk, 1).unwrap();
    disk.set_room(Some(disk.used()));
    let mut pupil = 0;
    let error = loop {
        match ledger.append(&[meal(2 * pupil)]) {
            Ok(_) => pupil += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(pupil, 14, "the segment was full");
    assert_eq!(error.code(), "ledger-storage");
    assert!(error.hint().unwrap().contains("make room"), "{error}");
    assert!(ledger.append(&[meal(2 * pupil)]).is_err());
    assert_eq!(
        ledger.append(&[meal(0)]).unwrap()[0].status,
        Status::AlreadyServed
    );
    assert!(
        ledger.holding(2 * pupil, DAY, &LUNCH).is_none(),
        "a meal that was not recorded holds no slot"
    );
    disk.set_room(None);
    assert_eq!(
        ledger.append(&[meal(2 * pupil)]).unwrap()[0].status,
        Status::Recorded
    );
    ledger.close().unwrap();
    assert!(verify(&disk).problems.is_empty());
}

#[test]
fn a_second_writer_is_told_who_the_first_is() {
    let folder = std::env::temp_dir().join(format!("edusense-lock-{}", std::process::id()));
    let first = Ledger::open(&folder, &options(1)).unwrap();
    let error = Ledger::open(&folder, &options(2)).err().unwrap();
    assert_eq!(
        (error.code(), error.to_string().contains("a test")),
        ("ledger-locked", true),
        "{error}"
    );
    assert!(Reader::open(&folder).unwrap().holder().is_some());
    first.close().unwrap();
    first.close().unwrap();
    assert_eq!(first.append(&[meal(1)]).err().unwrap().code(), "ledger");
    assert_eq!(Reader::open(&folder).unwrap().holder(), None);
    let other = Options {
        school: Some(7),
        ..options(3)
    };
    assert_eq!(
        Ledger::open(&folder, &other).err().unwrap().code(),
        "ledger"
    );
    Ledger::open(&folder, &options(2)).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_reader_beside_a_writer_stops_at_what_the_disk_confirmed() {
    let disk = MemoryDisk::new();
    let ledger = open(&disk, 1).unwrap();
    let reader = Reader::of(Arc::new(disk.clone())).unwrap();
    let receipt = ledger.append(&[meal(1)]).unwrap()[0];
    assert_eq!(reader.count().unwrap(), 3);
    ledger
        .append_lazily(&[about(&ledger, Kind::Shown, receipt.position)])
        .unwrap();
    assert_eq!(
        reader.count().unwrap(),
        3,
        "the mark is written, but not confirmed"
    );
    ledger.sync().unwrap();
    assert_eq!(reader.count().unwrap(), 4);
}

#[test]
fn what_is_no_ledger_is_not_read() {
    let folder: &dyn edusense_meals::Storage =
        &Folder::for_reading(std::path::Path::new("/nonexistent/ledger"));
    assert!(folder.names().is_err());
    for folder in ["/nonexistent/ledger", "/usr", "/etc/hostname"] {
        assert_eq!(
            Reader::open(std::path::Path::new(folder))
                .err()
                .unwrap()
                .code(),
            "ledger",
            "{folder}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_record_survives_its_bytes(seed: u64) {
        let mut chance = Chance(seed);
        let mut record = row(Kind::from_number(1 + (chance.below(10) as u8)).unwrap(), chance.next() as u32, 0);
        record.pupil = chance.next();
        record.flags = chance.next() as u16;
        record.sequence = chance.next();
        record.card = chance.next();
        record.previous = chain(&record.encode());
        let raw = record.encode();
        prop_assert_eq!(Record::decode(&raw), Ok(record));
        let mut flipped = raw;
        flipped[chance.below(128) as usize] ^= 1 << chance.below(8);
        prop_assert!(Record::decode(&flipped).is_err());
    }

    #[test]
    fn any_bytes_in_a_segment_are_accounted_for_and_never_panic(seed: u64, length in 0_usize..4096, garbled in 1_usize..400) {
        let disk = MemoryDisk::new();
        let ledger = open(&disk, 1).unwrap();
        ledger.append(&(0..20).map(meal).collect::<Vec<_>>()).unwrap();
        ledger.close().unwrap();
        let mut chance = Chance(seed);
        let name = if chance.below(2) == 0 { common::FIRST.to_owned() } else { "meals.synced".to_owned() };
        disk.tamper(&name, |bytes| {
            let at = length.min(bytes.len());
            for byte in bytes.iter_mut().skip(at).take(garbled) {
                *byte = chance.next() as u8;
            }
            if chance.below(3) == 0 {
                bytes.truncate(at);
            }
        });
        let report = verify(&disk);
        let _ = open(&disk, 2).map(|ledger| ledger.append(&[meal(500)]));
        prop_assert!(report.records <= 23);
    }
}
