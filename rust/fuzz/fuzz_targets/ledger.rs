//! A ledger's folder with anything in it: read, verified, opened for writing, written to, sealed, planned to be pruned, verified again.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use edusense_meals::disk::MemoryDisk;
use edusense_meals::key::Key;
use edusense_meals::prune::{self, Terms};
use edusense_meals::seal::seal;
use edusense_meals::{Kind, Ledger, Options, RawRecord, Reader, Record, Reference, Storage, chain};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Part {
    /// As they are.
    Bytes(Vec<u8>),
    Zeros(u8),
    /// A record whose sum is right, and whose other fields may be.
    Record {
        kind: u8,
        terminal: u8,
        pupil: u8,
        flags: u16,
        time: i64,
        school: Option<u32>,
        sequence: Option<u64>,
        reference: Option<(u32, u64)>,
        breaks: bool,
    },
}

#[derive(Arbitrary, Debug)]
struct File {
    /// None: where the one before ended.
    first: Option<u64>,
    parts: Vec<Part>,
    cut: u8,
}

#[derive(Arbitrary, Debug)]
enum Mark {
    None,
    Bytes(Vec<u8>),
    /// Two slots whose sums are right: count, synced, the byte that says what the writer was doing.
    Slots([(u64, u64, u8); 2]),
    /// As a writer would leave it.
    True(bool),
}

/// What says that older records were pruned.
#[derive(Arbitrary, Debug)]
enum Pruned {
    None,
    Bytes(Vec<u8>),
    /// Two copies whose sums are right.
    Copies {
        until: u64,
        last_day: u32,
        streams: Vec<(u32, u32, u64)>,
        head: bool,
    },
}

#[derive(Arbitrary, Debug)]
struct Input {
    pruned: Pruned,
    seals: Vec<(u64, Vec<u8>)>,
    files: Vec<File>,
    mark: Mark,
    other: Option<String>,
    segment_records: u8,
    append: Vec<(u8, u8)>,
}

fn slot((count, synced, phase): (u64, u64, u8)) -> [u8; 64] {
    let mut raw = [0; 64];
    raw[..4].copy_from_slice(b"EDS\x01");
    raw[4] = phase;
    raw[8..16].copy_from_slice(&count.to_le_bytes());
    raw[16..24].copy_from_slice(&synced.to_le_bytes());
    let sum = crc32c::crc32c(&raw[..60]);
    raw[60..].copy_from_slice(&sum.to_le_bytes());
    raw
}

/// The row of records as a writer would go on with it.
#[derive(Default)]
struct Row {
    previous: [u8; 32],
    last: std::collections::HashMap<u32, Reference>,
}

impl Row {
    fn bytes(&mut self, part: &Part) -> Vec<u8> {
        match part {
            Part::Bytes(bytes) => bytes.clone(),
            Part::Zeros(count) => vec![0; 128 * usize::from(*count)],
            Part::Record {
                kind,
                terminal,
                pupil,
                flags,
                time,
                school,
                sequence,
                reference,
                breaks,
            } => {
                let kind = Kind::from_number(kind % 12).unwrap_or(Kind::Meal);
                let terminal = u32::from(terminal % 3);
                let last = self.last.get(&terminal).copied().unwrap_or_default();
                let mut record = Record::new(kind);
                record.terminal = terminal;
                record.pupil = u64::from(*pupil);
                record.flags = *flags;
                record.time = *time;
                record.school = school.unwrap_or(0);
                record.day = 2026_09_01;
                record.slot[..5].copy_from_slice(b"lunch");
                (record.epoch, record.sequence) = if kind == Kind::Opened {
                    record.reference = last;
                    (7, 1)
                } else {
                    (last.epoch, last.sequence.saturating_add(1))
                };
                record.sequence = sequence.unwrap_or(record.sequence);
                if let Some((epoch, sequence)) = *reference {
                    record.reference = Reference { epoch, sequence };
                }
                record.previous = if *breaks { [1; 32] } else { self.previous };
                let raw = record.encode();
                self.previous = chain(&raw);
                self.last.insert(
                    terminal,
                    Reference {
                        epoch: record.epoch,
                        sequence: record.sequence,
                    },
                );
                raw.to_vec()
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let disk = MemoryDisk::new();
    let put = |name: &str, bytes: &[u8]| {
        let file = disk.create(name).expect("a file in memory");
        file.write_at(bytes, 0).expect("room in memory");
    };
    let (mut row, mut next) = (Row::default(), 0_u64);
    for file in input.files.iter().take(5) {
        let mut bytes: Vec<u8> = file
            .parts
            .iter()
            .take(40)
            .flat_map(|part| row.bytes(part))
            .collect();
        bytes.truncate(bytes.len().saturating_sub(usize::from(file.cut)));
        let first = file.first.unwrap_or(next);
        put(&format!("{first:020}.seg"), &bytes);
        next = first.saturating_add((bytes.len() / 128) as u64);
    }
    match &input.mark {
        Mark::None => {}
        Mark::Bytes(bytes) => put("meals.synced", bytes),
        Mark::Slots(slots) => {
            let mut raw = [0; 1024];
            raw[..64].copy_from_slice(&slot(slots[0]));
            raw[512..576].copy_from_slice(&slot(slots[1]));
            put("meals.synced", &raw);
        }
        Mark::True(closed) => {
            let mut raw = [0; 1024];
            raw[..64].copy_from_slice(&slot((6, next, u8::from(*closed))));
            raw[512..576].copy_from_slice(&slot((7, next, u8::from(*closed))));
            put("meals.synced", &raw);
        }
    }
    match &input.pruned {
        Pruned::None => {}
        Pruned::Bytes(bytes) => put("meals.pruned", bytes),
        Pruned::Copies {
            until,
            last_day,
            streams,
            head,
        } => {
            let mut raw = vec![0; 64];
            raw[..4].copy_from_slice(b"EDP\x01");
            raw[8..16].copy_from_slice(&until.to_le_bytes());
            raw[16..20].copy_from_slice(&last_day.to_le_bytes());
            raw[20..24].copy_from_slice(&(streams.len() as u32).to_le_bytes());
            raw[32..64].fill(u8::from(*head));
            for (terminal, epoch, sequence) in streams {
                raw.extend_from_slice(&terminal.to_le_bytes());
                raw.extend_from_slice(&epoch.to_le_bytes());
                raw.extend_from_slice(&sequence.to_le_bytes());
            }
            raw.extend_from_slice(&crc32c::crc32c(&raw).to_le_bytes());
            put("meals.pruned", &[&raw[..], &raw].concat());
        }
    }
    for (first, bytes) in input.seals.iter().take(3) {
        put(&format!("{first:020}.seal"), bytes);
    }
    if let Some(name) = input.other.as_deref().filter(|name| !name.is_empty()) {
        put(name, b"?");
    }
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    if let Ok(reader) = Reader::of(Arc::clone(&storage)) {
        let report = reader.verify().expect("a disk in memory reads");
        let count = reader.count().expect("a disk in memory reads");
        let first = reader.first().expect("a disk in memory reads");
        let _ = reader.read(first, count.min(first.saturating_add(1 << 20)));
        let _ = reader.read(0, 1);
        let _ = reader.read(count.saturating_sub(3), count);
        let _ = reader.segment_count();
        assert!(!report.problems.is_empty() || report.records <= count.max(report.records));
    }
    let options = Options {
        school: None,
        holder: "fuzz".to_owned(),
        time: 1,
        segment_records: u64::from(input.segment_records % 16) + 1,
        epoch: Some(99),
        prepare_ahead: false,
    };
    let Ok(ledger) = Ledger::on(Arc::clone(&storage), &options) else {
        return;
    };
    let meals: Vec<RawRecord> = input
        .append
        .iter()
        .take(40)
        .map(|(terminal, pupil)| {
            let mut record = Record::new(Kind::Meal);
            record.terminal = u32::from(terminal % 3);
            record.pupil = u64::from(*pupil);
            record.day = 2026_09_01;
            record.slot[..5].copy_from_slice(b"lunch");
            record.encode()
        })
        .collect();
    ledger.append(&meals).expect("a disk in memory writes");
    ledger.close().expect("a disk in memory closes");
    drop(ledger);
    // A stranger's seals may say something else of a segment: then nothing is sealed.
    let key = Key::from_seed(&[7; 32]);
    let _ = seal(storage.as_ref(), &key);
    let terms = Terms {
        hub_key: key.public(),
        keep_from: 2027_01_01,
    };
    if let Ok(plan) = prune::plan(storage.as_ref(), &terms) {
        assert!(
            plan.segments.iter().all(|one| one.stays.is_some()),
            "no hub has signed for anything"
        );
    }
    let report = Reader::of(storage)
        .expect("a ledger")
        .verify()
        .expect("a disk in memory reads");
    // Seals, and what was pruned, are a stranger's; the records are sound.
    let of_records = |name: &str| !name.ends_with(".seal") && name != "meals.pruned";
    assert!(
        !report.problems.iter().any(|one| of_records(&one.segment)),
        "what was opened for writing is sound: {:?}",
        report.problems
    );
    assert!(report.closed && report.torn.is_none());
});
