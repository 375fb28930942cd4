//! What the tests share: rows, options, repeatable chance.
#![allow(dead_code)] // each test file uses a part

use std::sync::Arc;

use edusense_meals::disk::MemoryDisk;
use edusense_meals::{
    Kind, Ledger, MealsError, Options, RECORD_BYTES, RawRecord, Reader, Record, Report, SLOT_BYTES,
};

pub(crate) const SEGMENT: u64 = 16;
pub(crate) const FIRST: &str = "00000000000000000000.seg";

pub(crate) fn options(epoch: u32) -> Options {
    Options {
        school: Some(51_001),
        holder: "a test".to_owned(),
        time: 1_000_000 * i64::from(epoch),
        segment_records: SEGMENT,
        epoch: Some(epoch),
        prepare_ahead: false,
    }
}

pub(crate) fn open(disk: &MemoryDisk, epoch: u32) -> Result<Ledger, MealsError> {
    Ledger::on(Arc::new(disk.clone()), &options(epoch))
}

pub(crate) fn verify(disk: &MemoryDisk) -> Report {
    Reader::of(Arc::new(disk.clone()))
        .unwrap()
        .verify()
        .unwrap()
}

pub(crate) const LUNCH: [u8; SLOT_BYTES] = *b"lunch\0\0\0\0\0\0\0";
pub(crate) const DAY: u32 = 20_261_005;

pub(crate) fn meal(pupil: u64) -> RawRecord {
    row(Kind::Meal, 1 + u32::from(pupil % 2 == 1), pupil).encode()
}

pub(crate) fn row(kind: Kind, terminal: u32, pupil: u64) -> Record {
    let mut row = Record::new(kind);
    row.terminal = terminal;
    row.pupil = pupil;
    row.day = DAY;
    row.slot = LUNCH;
    row.price = 45_000;
    row.time = 1_790_000_000_000_000 + i64::try_from(pupil).unwrap() * 1_000_000;
    row
}

/// A shown mark or reversal of the meal that stands at a position.
pub(crate) fn about(ledger: &Ledger, kind: Kind, position: u64) -> RawRecord {
    let meal = decode(&ledger.read(position, position + 1).unwrap()).remove(0);
    let mut row = row(kind, meal.terminal, meal.pupil);
    row.reference.epoch = meal.epoch;
    row.reference.sequence = meal.sequence;
    row.encode()
}

pub(crate) fn decode(bytes: &[u8]) -> Vec<Record> {
    bytes
        .as_chunks::<RECORD_BYTES>()
        .0
        .iter()
        .map(|raw| Record::decode(raw).unwrap())
        .collect()
}

/// SplitMix64: small, and the same everywhere.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
