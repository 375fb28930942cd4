//! A ledger's folder with things in it that no writer of ours leaves: nothing panics, nothing is read or written for hours, and what
//! is refused is named.
#![allow(clippy::unwrap_used)] // a test may panic

use std::sync::Arc;

use edusense_meals::disk::MemoryDisk;
use edusense_meals::{Blob, LockRefused, MealsError, Reader, Storage};

mod common;
use common::{FIRST, meal, open, verify};

fn put(disk: &MemoryDisk, name: &str, bytes: &[u8]) {
    disk.create(name).unwrap().write_at(bytes, 0).unwrap();
}

fn with_one_meal() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let ledger = open(&disk, 1).unwrap();
    ledger.append(&[meal(1)]).unwrap();
    ledger.close().unwrap();
    disk
}

#[test]
fn a_name_with_a_huge_number_is_no_segment() {
    for first in [u64::MAX, u64::MAX - 10, (1 << 48) + 1] {
        let name = format!("{first:020}.seg");
        let disk = with_one_meal();
        put(&disk, &name, &[7; 300]);
        let report = verify(&disk);
        assert!(report.problems.is_empty(), "{report:?}");
        assert!(report.notes.iter().any(|note| note.contains(&name)));
        let ledger = open(&disk, 2).unwrap();
        ledger.append(&[meal(2)]).unwrap();
    }
}

#[test]
fn a_segment_far_away_is_damage_and_nothing_is_written_up_to_it() {
    for (disk, bytes) in [
        (with_one_meal(), &[][..]),
        (with_one_meal(), &[7; 128]),
        (MemoryDisk::new(), &[]),
        (MemoryDisk::new(), &[7; 128]),
    ] {
        put(&disk, "00000000002202450420.seg", bytes);
        assert!(!verify(&disk).problems.is_empty());
        assert!(matches!(open(&disk, 2), Err(MealsError::Damaged { .. })));
        assert!(disk.used() < 1 << 20);
    }
}

#[test]
fn an_empty_segment_without_the_one_before_it_is_written_up_to() {
    for first in [1, 5, 16, 40] {
        let disk = MemoryDisk::new();
        put(&disk, &format!("{first:020}.seg"), &[]);
        let ledger = open(&disk, 2).unwrap();
        for pupil in 0..50 {
            ledger.append(&[meal(pupil)]).unwrap();
        }
        ledger.close().unwrap();
        let report = verify(&disk);
        assert!(report.problems.is_empty(), "{first}: {report:?}");
        open(&disk, 3).unwrap().append(&[meal(99)]).unwrap();
    }
}

#[test]
fn a_mark_that_no_writer_lives_to_write_is_not_believed() {
    for (count, synced) in [
        (u64::MAX, 2),
        (1 << 49, 3),
        (1 << 48, 3),
        (7, u64::MAX),
        (u64::MAX, u64::MAX),
    ] {
        let disk = with_one_meal();
        disk.tamper("meals.synced", |mark| {
            for at in [0, 512] {
                mark[at + 8..at + 16].copy_from_slice(&count.to_le_bytes());
                mark[at + 16..at + 24].copy_from_slice(&synced.to_le_bytes());
                let sum = crc32c::crc32c(&mark[at..at + 60]);
                mark[at + 60..at + 64].copy_from_slice(&sum.to_le_bytes());
            }
        });
        verify(&disk);
        let reader = Reader::of(Arc::new(disk.clone())).unwrap();
        assert_eq!(reader.count().unwrap(), 3);
        for epoch in 2..5 {
            let ledger = open(&disk, epoch).unwrap();
            ledger.append(&[meal(u64::from(epoch))]).unwrap();
            ledger.close().unwrap();
            assert!(verify(&disk).problems.is_empty());
        }
    }
}

#[test]
fn damage_everywhere_is_counted_without_a_line_for_each() {
    let disk = with_one_meal();
    // Places that are each damaged in another way: no two can be told in one line.
    let mut bytes = disk.bytes(FIRST).unwrap();
    let whole = bytes[..128].to_vec();
    bytes.truncate(384);
    for index in 0..5000_u32 {
        let mut record = whole.clone();
        record[8..12].copy_from_slice(&index.to_le_bytes());
        bytes.extend_from_slice(&record);
    }
    put(&disk, FIRST, &bytes);
    let report = verify(&disk);
    assert!(report.problems.len() <= 1001, "{}", report.problems.len());
    let counted: u64 = report.problems.iter().map(|problem| problem.count).sum();
    assert_eq!(counted, 5000);
}

/// A disk on which one file is said to be as long as a file can be, full of zeros.
struct Endless(MemoryDisk);

struct Zeros;

impl Blob for Zeros {
    fn length(&self) -> std::io::Result<u64> {
        Ok(i64::MAX as u64)
    }

    fn read_at(&self, buffer: &mut [u8], _offset: u64) -> std::io::Result<usize> {
        buffer.fill(0);
        Ok(buffer.len())
    }

    fn write_at(&self, _bytes: &[u8], _offset: u64) -> std::io::Result<()> {
        unreachable!("nothing is written to it")
    }

    fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Storage for Endless {
    fn place(&self) -> String {
        self.0.place()
    }

    fn names(&self) -> std::io::Result<Vec<String>> {
        self.0.names()
    }

    fn open(&self, name: &str) -> std::io::Result<Arc<dyn Blob>> {
        if name == FIRST {
            return Ok(Arc::new(Zeros));
        }
        self.0.open(name)
    }

    fn create(&self, name: &str) -> std::io::Result<Arc<dyn Blob>> {
        self.0.create(name)
    }

    fn rename(&self, from: &str, to: &str) -> std::io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> std::io::Result<()> {
        self.0.remove(name)
    }

    fn sync_names(&self) -> std::io::Result<()> {
        self.0.sync_names()
    }

    fn lock(&self, holder: &str) -> Result<Box<dyn Send>, LockRefused> {
        self.0.lock(holder)
    }

    fn holder(&self) -> Option<String> {
        self.0.holder()
    }
}

#[test]
fn a_file_of_exabytes_is_refused_and_not_read_to_its_end() {
    let disk: Arc<dyn Storage> = Arc::new(Endless(with_one_meal()));
    let report = Reader::of(Arc::clone(&disk)).unwrap().verify().unwrap();
    assert!(
        report
            .problems
            .iter()
            .any(|problem| problem.what == "the file is larger than a segment can be"),
        "{report:?}"
    );
    assert!(edusense_meals::Ledger::on(disk, &common::options(2)).is_err());
}

#[test]
fn a_word_that_all_was_pruned_removes_nothing_that_was_not_sealed() {
    let disk = with_one_meal();
    let mut raw = vec![0; 64];
    raw[..4].copy_from_slice(b"EDP\x01");
    raw[8..16].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    raw.extend_from_slice(&crc32c::crc32c(&raw).to_le_bytes());
    put(&disk, "meals.pruned", &[&raw[..], &raw].concat());
    assert!(!verify(&disk).problems.is_empty());
    assert!(matches!(open(&disk, 2), Err(MealsError::Damaged { .. })));
    assert!(disk.bytes(FIRST).is_some());
    // Without a segment, and so far on that a writer would come to the end of what can be counted.
    let far = MemoryDisk::new();
    raw[8..16].copy_from_slice(&(1_u64 << 48).to_le_bytes());
    let sum = crc32c::crc32c(&raw[..64]);
    raw[64..].copy_from_slice(&sum.to_le_bytes());
    put(&far, "meals.pruned", &[&raw[..], &raw].concat());
    assert!(matches!(open(&far, 2), Err(MealsError::Damaged { .. })));
    // Lengths that nobody lives to read, and files of every small length.
    raw[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
    for length in 0..300 {
        let bytes = &[&raw[..], &[7; 300]].concat()[..length];
        for name in ["meals.pruned", "00000000000000000000.seal"] {
            let disk = with_one_meal();
            put(&disk, name, bytes);
            assert!(!verify(&disk).problems.is_empty(), "{name}, {length}");
        }
    }
}
