//! One run of the fault harness: a ledger at work on the simulated disk, one or two faults, and what must hold afterwards.
//!
//! Everything follows from a seed. The faults are of two classes, which are never counted together:
//! (a) what a disk may do that keeps its word: no meal that was answered is lost, none is doubled, and the ledger goes on;
//! (b) what no disk may do: every record that is not as it was is named by `verify`, and nothing is written over it. Where the
//! whole disk was put back to an old image, only who holds later records can know: a hub, by the next epoch's first record.
#![allow(dead_code, unreachable_pub)] // each of its two users uses a part

mod world;

use std::collections::BTreeMap;

pub use world::run;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Injected {
    TornWrite,
    LostWrites,
    ReorderedSectors,
    FailingFsync,
    FailingWrite,
    NoSpace,
    ClockStep,
    BitRot,
    MisdirectedWrite,
    ReadError,
    SegmentMissing,
    SegmentRolledBack,
    DiskRolledBack,
}

impl Injected {
    pub const ALL: [Self; 13] = [
        Self::TornWrite,
        Self::LostWrites,
        Self::ReorderedSectors,
        Self::FailingFsync,
        Self::FailingWrite,
        Self::NoSpace,
        Self::ClockStep,
        Self::BitRot,
        Self::MisdirectedWrite,
        Self::ReadError,
        Self::SegmentMissing,
        Self::SegmentRolledBack,
        Self::DiskRolledBack,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::TornWrite => "torn-write",
            Self::LostWrites => "lost-writes",
            Self::ReorderedSectors => "reordered-sectors",
            Self::FailingFsync => "failing-fsync",
            Self::FailingWrite => "failing-write",
            Self::NoSpace => "no-space",
            Self::ClockStep => "clock-step",
            Self::BitRot => "bit-rot",
            Self::MisdirectedWrite => "misdirected-write",
            Self::ReadError => "read-error",
            Self::SegmentMissing => "segment-missing",
            Self::SegmentRolledBack => "segment-rolled-back",
            Self::DiskRolledBack => "disk-rolled-back",
        }
    }

    pub fn class(self) -> char {
        if self < Self::BitRot { 'a' } else { 'b' }
    }

    pub fn is_crash(self) -> bool {
        self <= Self::ReorderedSectors
    }
}

/// The faults of the run with this number: each alone and each pair by turns, so that all get their share.
pub fn faults_of(number: u64) -> Vec<Injected> {
    let all = Injected::ALL;
    let mut sets: Vec<Vec<Injected>> = all.iter().map(|one| vec![*one]).collect();
    for (index, one) in all.iter().enumerate() {
        sets.extend(all[index + 1..].iter().map(|other| vec![*one, *other]));
    }
    let turn = usize::try_from(number % sets.len() as u64).unwrap_or(0);
    sets.swap_remove(turn)
}

/// What came of one run.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Those that really happened.
    pub injected: Vec<Injected>,
    pub recoveries: u64,
    /// Statements that were checked.
    pub checks: u64,
    /// Records that are not as they were, and named by `verify`.
    pub named: u64,
    /// Records that a hub holds and sees missing by the next epoch's first record.
    pub seen_by_hub: u64,
    /// Records at the very end that are gone without a trace, after a fault of class (b): nobody but their hub could know.
    pub without_trace: u64,
    pub lost: u64,
    pub doubled: u64,
    /// What does not hold, if something does not.
    pub broken: Option<String>,
}

/// The sums of one kind of fault or pair.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub injected: u64,
    pub recoveries: u64,
    pub checks: u64,
    pub named: u64,
    pub seen_by_hub: u64,
    pub without_trace: u64,
    pub lost: u64,
    pub doubled: u64,
    pub broken: u64,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        self.injected += 1;
        self.recoveries += outcome.recoveries;
        self.checks += outcome.checks;
        self.named += outcome.named;
        self.seen_by_hub += outcome.seen_by_hub;
        self.without_trace += outcome.without_trace;
        self.lost += outcome.lost;
        self.doubled += outcome.doubled;
        self.broken += u64::from(outcome.broken.is_some());
    }
}

/// All runs.
#[derive(Debug, Clone, Default)]
pub struct Account {
    pub runs: u64,
    pub faults: u64,
    /// By class of the run and kind of fault: of a run with two, both are met.
    pub by_kind: BTreeMap<(char, &'static str), Tally>,
    pub by_pair: BTreeMap<(&'static str, &'static str), u64>,
    /// Number of the run and what does not hold.
    pub broken: Vec<(u64, String)>,
}

impl Account {
    pub fn add(&mut self, number: u64, outcome: &Outcome) {
        self.runs += 1;
        self.faults += outcome.injected.len() as u64;
        // A run with one fault of class (b) is one of class (b): what class (a) promises does not hold for such a disk. A disk that
        // was put back to an old image as a whole has no trace of what came after: (c), of which only a hub can know.
        let old_image = outcome.injected.contains(&Injected::DiskRolledBack);
        let class = match outcome.injected.iter().map(|one| one.class()).max() {
            Some('b') if old_image => 'c',
            found => found.unwrap_or('a'),
        };
        for one in &outcome.injected {
            self.by_kind
                .entry((class, one.name()))
                .or_default()
                .add(outcome);
        }
        if let [one, other] = outcome.injected[..] {
            *self.by_pair.entry((one.name(), other.name())).or_default() += 1;
        }
        if let Some(what) = &outcome.broken {
            self.broken.push((number, what.clone()));
        }
    }
}

/// The seed of a run: the same everywhere.
pub fn seed_of(seed: u64, number: u64) -> u64 {
    seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number.wrapping_mul(0xD134_2543_DE82_EF95)
}
