//! Batches and acknowledgements: what was signed comes back whole, and nothing else is taken for it.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use common::{Chance, about, decode, meal, open, row};
use edusense_meals::acknowledgement::Acknowledgement;
use edusense_meals::batch::{self, HEADER_BYTES, Header};
use edusense_meals::disk::MemoryDisk;
use edusense_meals::key::Key;
use edusense_meals::{Kind, RawRecord, Status, chain};
use proptest::prelude::*;

/// The records of terminal 1 in a ledger to which two terminals wrote in turn: meals, marks, one reversal, a passage.
fn records() -> Vec<RawRecord> {
    let ledger = open(&MemoryDisk::new(), 7).unwrap();
    for pupil in 0..30 {
        let receipt = ledger.append(&[meal(pupil)]).unwrap()[0];
        ledger
            .append_lazily(&[about(&ledger, Kind::Shown, receipt.position)])
            .unwrap();
        if pupil == 4 {
            let back = about(&ledger, Kind::Reversal, receipt.position);
            assert_eq!(ledger.append(&[back]).unwrap()[0].status, Status::Recorded);
        }
        let passage = row(Kind::Arrival, 1, pupil).encode();
        ledger.append(&[passage]).unwrap();
    }
    let bytes = ledger.read(0, u64::MAX).unwrap();
    let all = bytes.as_chunks::<128>().0;
    all.iter()
        .filter(|raw| decode(*raw)[0].terminal == 1)
        .copied()
        .collect()
}

fn key() -> Key {
    Key::from_seed(&[7; 32])
}

#[test]
fn a_batch_comes_back_byte_for_byte() {
    let records = records();
    for range in [
        0..1,
        0..records.len(),
        3..17,
        records.len() - 1..records.len(),
    ] {
        let part = &records[range];
        let bytes = batch::seal(part, &key()).unwrap();
        let found = batch::open(&bytes).unwrap();
        assert_eq!(found.records, part);
        assert_eq!(found.header.key, key().public());
        assert_eq!(found.header.count as usize, part.len());
        assert_eq!(
            found.header.last(),
            decode(part.as_flattened()).pop().unwrap().sequence
        );
        assert_eq!(
            bytes,
            batch::seal(part, &key()).unwrap(),
            "the same bytes each time"
        );
        assert_eq!(
            Header::decode(&bytes[..HEADER_BYTES]).unwrap(),
            found.header
        );
    }
    let all = batch::open(&batch::seal(&records, &key()).unwrap())
        .unwrap()
        .header;
    assert_eq!((all.meals, all.reversals, all.sum), (15, 1, 14 * 45_000));
    assert_eq!((all.school, all.terminal, all.first), (51_001, 1, 1));
}

#[test]
fn what_is_no_run_is_not_signed() {
    let records = records();
    let gap = [records[1], records[3]];
    let backwards = [records[2], records[1]];
    let mut other = records.clone();
    other[2][40] ^= 1;
    for wrong in [&[][..], &gap, &backwards, &other] {
        let refused = batch::seal(wrong, &key()).unwrap_err();
        assert_eq!(refused.code(), "batch", "{refused}");
    }
}

#[test]
fn a_batch_cut_or_changed_at_any_byte_is_refused() {
    let bytes = batch::seal(&records()[..9], &key()).unwrap();
    for cut in 0..bytes.len() {
        assert!(batch::open(&bytes[..cut]).is_err(), "cut at {cut}");
        for bit in [0, 3, 7] {
            let mut changed = bytes.clone();
            changed[cut] ^= 1 << bit;
            assert!(batch::open(&changed).is_err(), "bit {bit} of byte {cut}");
        }
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(batch::open(&longer).is_err());
    // The records of one batch behind the header of another.
    let other = batch::seal(&records()[9..18], &key()).unwrap();
    let mut mixed = bytes[..HEADER_BYTES].to_vec();
    mixed.extend_from_slice(&other[HEADER_BYTES..]);
    assert!(batch::open(&mixed).is_err());
}

#[test]
fn somebody_elses_signature_is_seen() {
    let records = records();
    let ours = batch::seal(&records, &key()).unwrap();
    let theirs = batch::seal(&records, &Key::from_seed(&[8; 32])).unwrap();
    let mut forged = ours.clone();
    forged[112..176].copy_from_slice(&theirs[112..176]);
    assert!(batch::open(&forged).is_err());
    // A batch that names its own key is sound in itself: whose key that is, the receiver has to know.
    assert_ne!(batch::open(&theirs).unwrap().header.key, key().public());
}

#[test]
fn an_acknowledgement_comes_back_and_a_changed_one_does_not() {
    let said = Acknowledgement {
        school: 51_001,
        terminal: 1,
        epoch: 7,
        sequence: 40,
        meals: 20,
        reversals: 1,
        sum: -5,
        head: chain(&records()[3]),
        time: -1,
        key: key().public(),
    };
    let bytes = said.sign(&key());
    assert_eq!(Acknowledgement::decode(&bytes).unwrap(), said);
    let mut chance = Chance(1);
    for at in 0..bytes.len() {
        let mut changed = bytes;
        changed[at] ^= 1 << chance.below(8);
        assert!(Acknowledgement::decode(&changed).is_err(), "byte {at}");
        assert!(Acknowledgement::decode(&bytes[..at]).is_err());
    }
}

proptest! {
    #[test]
    fn a_strangers_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000), magic in any::<bool>()) {
        let mut bytes = bytes;
        if magic && bytes.len() > 4 {
            bytes[..4].copy_from_slice(b"EDB\x01");
        }
        prop_assert!(batch::open(&bytes).is_err());
        prop_assert!(Acknowledgement::decode(&bytes).is_err());
    }
}
