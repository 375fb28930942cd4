//! A torn tail is cut and nothing else; everything else that is wrong is found, named, and not overwritten.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use common::{Chance, FIRST, SEGMENT, about, decode, meal, open, verify};
use edusense_meals::disk::MemoryDisk;
use edusense_meals::{Kind, Status};

const MARK: &str = "meals.synced";

/// 1 + 2 opening records and `meals` meals, each written alone.
fn written(meals: u64, closed: bool) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let ledger = open(&disk, 1).unwrap();
    for pupil in 0..meals {
        assert_eq!(
            ledger.append(&[meal(pupil)]).unwrap()[0].status,
            Status::Recorded
        );
    }
    if closed {
        ledger.close().unwrap();
        return disk;
    }
    // As after `kill -9`: everything written is there, nothing was said at the end.
    disk.after_crash(|| 1)
}

#[test]
fn the_last_record_cut_at_every_byte_is_a_torn_tail() {
    for closed in [false, true] {
        for cut in 0..128 {
            for truncated in [false, true] {
                let disk = written(8, closed);
                let last = 10 * 128;
                let raw = disk.bytes(FIRST).unwrap();
                let left_only_zeros = raw[last + cut..last + 128].iter().all(|byte| *byte == 0);
                disk.tamper(FIRST, |bytes| {
                    if truncated {
                        bytes.truncate(last + cut)
                    } else {
                        bytes[last + cut..last + 128].fill(0)
                    }
                });
                let what = format!("closed {closed}, cut at {cut}, truncated {truncated}");
                let report = verify(&disk);
                if left_only_zeros {
                    assert!(
                        report.torn.is_none() && report.records == 11,
                        "{what}: nothing was lost: {report:?}"
                    );
                    continue;
                }
                let one_bit = raw[last + cut..last + 128]
                    .iter()
                    .map(|byte| byte.count_ones())
                    .sum::<u32>()
                    == 1;
                if one_bit && !report.problems.is_empty() {
                    continue; // a single bit gone is rot, wherever it is
                }
                assert!(report.problems.is_empty(), "{what}: {report:?}");
                let torn = report.torn.unwrap();
                assert_eq!(
                    (torn.record, torn.offset, torn.confirmed),
                    (10, 1280, true),
                    "{what}"
                );
                let ledger = open(&disk, 2).unwrap();
                assert_eq!(
                    ledger.recovered().map(|torn| torn.record),
                    Some(10),
                    "{what}"
                );
                assert_eq!(
                    ledger.count(),
                    11,
                    "{what}: ten records and the new epoch's first"
                );
                for pupil in 0..7 {
                    assert_eq!(
                        ledger.append(&[meal(pupil)]).unwrap()[0].status,
                        Status::AlreadyServed,
                        "{what}"
                    );
                }
                assert_eq!(
                    ledger.append(&[meal(7)]).unwrap()[0].status,
                    Status::Recorded,
                    "{what}"
                );
                ledger.close().unwrap();
                let report = verify(&disk);
                assert!(
                    report.problems.is_empty() && report.torn.is_none(),
                    "{what}: {report:?}"
                );
            }
        }
    }
}

#[test]
fn more_than_the_last_record_gone_is_damage() {
    let disk = written(8, true);
    let before = disk.bytes(FIRST).unwrap();
    disk.tamper(FIRST, |bytes| bytes[9 * 128..11 * 128].fill(0));
    let report = verify(&disk);
    assert_eq!(
        (
            report.problems.len(),
            report.problems[0].record,
            report.problems[0].count
        ),
        (1, 9, 2),
        "{report:?}"
    );
    let changed = disk.bytes(FIRST).unwrap();
    assert_eq!(open(&disk, 2).err().unwrap().code(), "ledger-damaged");
    assert_eq!(
        disk.bytes(FIRST).unwrap(),
        changed,
        "a damaged ledger was written to"
    );
    disk.tamper(FIRST, |bytes| bytes.copy_from_slice(&before));
    assert!(open(&disk, 2).is_ok());
}

#[test]
fn every_flipped_bit_is_named() {
    let disk = written(20, true);
    let second = format!("{SEGMENT:020}.seg");
    let mut chance = Chance(7);
    for name in [FIRST, &second, MARK] {
        let length = disk.bytes(name).unwrap().len();
        for byte in 0..length {
            let bit = chance.below(8);
            disk.tamper(name, |bytes| bytes[byte] ^= 1 << bit);
            let report = verify(&disk);
            let named = report.problems.iter().any(|problem| {
                let ends =
                    problem.offset + problem.count.max(1) * if name == MARK { 1024 } else { 128 };
                problem.segment == name && (problem.offset..ends).contains(&(byte as u64))
            });
            // One spoiled slot of the mark is what a power cut while closing may leave: named, but no damage.
            let noted = name == MARK
                && report
                    .notes
                    .iter()
                    .any(|note| note.contains("sum does not fit"));
            assert!(named || noted, "{name}, byte {byte}, bit {bit}: {report:?}");
            if name != MARK {
                let error = open(&disk, 2)
                    .err()
                    .unwrap_or_else(|| panic!("{name}, byte {byte} was opened"));
                assert!(
                    ["ledger-damaged", "ledger-version"].contains(&error.code()),
                    "{error}"
                );
            }
            disk.tamper(name, |bytes| bytes[byte] ^= 1 << bit);
        }
    }
    assert!(verify(&disk).problems.is_empty());
}

#[test]
fn what_is_before_the_damage_can_be_read_and_what_is_behind_it_is_counted() {
    let disk = written(20, true);
    disk.tamper(FIRST, |bytes| bytes[5 * 128 + 40] ^= 4);
    let report = verify(&disk);
    assert_eq!(
        (
            report.problems.len(),
            report.problems[0].record,
            report.records
        ),
        (1, 5, 22)
    );
    assert!(
        report.problems[0].what.contains("bit 2 of its byte 40"),
        "{}",
        report.problems[0].what
    );
    let reader = edusense_meals::Reader::of(std::sync::Arc::new(disk)).unwrap();
    assert_eq!(decode(&reader.read(0, 5).unwrap()).len(), 5);
    assert_eq!(decode(&reader.read(6, 9).unwrap()).len(), 3);
    assert_eq!(reader.read(0, 9).err().unwrap().code(), "ledger-damaged");
}

#[test]
fn a_record_changed_with_its_sum_made_right_shows_in_the_chain() {
    let disk = written(8, true);
    disk.tamper(FIRST, |bytes| {
        let record = &mut bytes[5 * 128..6 * 128];
        record[52] ^= 1; // the price
        let sum = crc32c::crc32c(&record[..124]);
        record[124..].copy_from_slice(&sum.to_le_bytes());
    });
    let report = verify(&disk);
    assert_eq!((report.problems.len(), report.problems[0].record), (2, 6));
    assert!(report.problems[0].what.contains("does not follow"));
    // Nothing holds what comes after, either: whoever can make one sum right can make them all.
    assert_eq!(
        (report.problems[1].record, report.problems[1].count),
        (7, 4)
    );
    assert_eq!(open(&disk, 2).err().unwrap().code(), "ledger-damaged");
}

#[test]
fn a_missing_or_doubled_segment_is_damage() {
    let disk = written(40, true);
    let [second, third] = [SEGMENT, 2 * SEGMENT].map(|first| format!("{first:020}.seg"));
    let bytes = disk.bytes(&second).unwrap();
    disk.tamper(&third, |target| target.copy_from_slice(&bytes)); // a misdirected write
    assert_eq!(verify(&disk).problems[0].record, 2 * SEGMENT);
    assert_eq!(open(&disk, 2).err().unwrap().code(), "ledger-damaged");
    let disk = written(40, true);
    edusense_meals::Storage::remove(&disk, &second).unwrap();
    let report = verify(&disk);
    assert_eq!(
        (report.problems[0].record, report.problems[0].count),
        (SEGMENT, SEGMENT),
        "{report:?}"
    );
    assert_eq!(open(&disk, 2).err().unwrap().code(), "ledger-damaged");
    let disk = written(40, true);
    edusense_meals::Storage::remove(&disk, FIRST).unwrap();
    assert_eq!(verify(&disk).problems[0].record, 0);
    assert_eq!(open(&disk, 2).err().unwrap().code(), "ledger-damaged");
}

#[test]
fn a_newer_format_is_not_called_damage() {
    let disk = written(3, true);
    disk.tamper(FIRST, |bytes| {
        let record = &mut bytes[2 * 128..3 * 128];
        record[3] = 2;
        let sum = crc32c::crc32c(&record[..124]);
        record[124..].copy_from_slice(&sum.to_le_bytes());
    });
    let error = open(&disk, 2).err().unwrap();
    assert_eq!(error.code(), "ledger-version");
    assert!(error.to_string().contains("version 2"), "{error}");
}

#[test]
fn a_newer_record_at_the_end_is_not_cut_off_as_torn_whatever_its_sum_ends_with() {
    // Without a mark nothing says that it was confirmed, and one sum in 256 ends with the zero of a write that was cut off.
    let mut zeros = 0;
    for assurance in 0..=u8::MAX {
        for card in 0..8 {
            let disk = written(3, false);
            let mut ends_with_zero = false;
            disk.tamper(FIRST, |bytes| {
                let record = &mut bytes[4 * 128..5 * 128];
                (record[3], record[5], record[80]) = (2, assurance, card);
                let sum = crc32c::crc32c(&record[..124]);
                record[124..].copy_from_slice(&sum.to_le_bytes());
                ends_with_zero = record[127] == 0;
            });
            if ends_with_zero {
                disk.tamper("meals.synced", |bytes| *bytes = vec![0; 1024]);
                zeros += 1;
                assert_eq!(open(&disk, 2).err().unwrap().code(), "ledger-version");
            }
        }
    }
    assert!(zeros > 0);
}

#[test]
fn after_a_power_cut_a_large_write_may_have_holes() {
    // 12 records in three sectors, in one write: the middle sector did not reach the disk.
    let disk = MemoryDisk::new();
    let ledger = open(&disk, 1).unwrap();
    let rows: Vec<_> = (0..10).map(|pupil| meal(2 * pupil)).collect();
    let mut hole = 0;
    let crashed = {
        let operations = disk.operations();
        disk.fail_at(operations + 1, edusense_meals::disk::Fault::Crash); // the write is done, its confirmation fails
        assert_eq!(ledger.append(&rows).err().unwrap().code(), "ledger-storage");
        disk.after_crash(|| {
            hole += 1;
            u64::from(hole != 3)
        })
    };
    let report = verify(&crashed);
    let torn = report.torn.clone().unwrap();
    assert!(
        report.problems.is_empty() && !torn.confirmed && torn.count > 1,
        "{report:?}"
    );
    let ledger = open(&crashed, 2).unwrap();
    assert_eq!(ledger.count(), torn.record + 1);
    ledger.close().unwrap();
    assert!(verify(&crashed).torn.is_none());
}

#[test]
fn a_mark_after_the_light_survives_and_speaks() {
    let disk = MemoryDisk::new();
    let ledger = open(&disk, 1).unwrap();
    let first = ledger.append(&[meal(1)]).unwrap()[0];
    ledger
        .append_lazily(&[about(&ledger, Kind::Shown, first.position)])
        .unwrap();
    ledger.append(&[meal(3)]).unwrap();
    let disk = disk.after_crash(|| 0); // only what was confirmed
    let ledger = open(&disk, 2).unwrap();
    let answers = ledger.append(&[meal(1), meal(3)]).unwrap();
    assert_eq!(
        answers
            .iter()
            .map(|receipt| receipt.status)
            .collect::<Vec<_>>(),
        [Status::AlreadyServed; 2]
    );
    assert_eq!(
        answers
            .iter()
            .map(|receipt| receipt.shown)
            .collect::<Vec<_>>(),
        [true, false]
    );
}
