//! A small share of `make faults`, with the same runs each time; and the harness itself, held against deliberate bugs.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

#[path = "storm/mod.rs"]
mod storm;

use edusense_meals::sabotage::{self, Bug};
use storm::{Account, Injected, faults_of, run, seed_of};

const SEED: u64 = 2026;

fn runs(count: u64) -> Account {
    let mut account = Account::default();
    for number in 0..count {
        let outcome = run(seed_of(SEED, number), &faults_of(number));
        account.add(number, &outcome);
    }
    account
}

#[test]
fn nothing_is_lost_and_nothing_goes_unnamed() {
    let account = runs(4_550);
    assert!(
        account.broken.is_empty(),
        "{:?}",
        &account.broken[..account.broken.len().min(3)]
    );
    for fault in Injected::ALL {
        let met: u64 = ['a', 'b', 'c']
            .iter()
            .filter_map(|class| account.by_kind.get(&(*class, fault.name())))
            .map(|tally| tally.injected)
            .sum();
        assert!(met > 200, "{} only {met} times", fault.name());
    }
    for ((class, name), tally) in &account.by_kind {
        assert_eq!(tally.doubled, 0, "{class} {name}");
        assert!(*class != 'a' || tally.lost == 0, "{name}");
    }
}

#[test]
fn a_run_is_the_same_each_time() {
    for number in [3, 17, 60] {
        let once = run(seed_of(7, number), &faults_of(number));
        let again = run(seed_of(7, number), &faults_of(number));
        assert_eq!(format!("{once:?}"), format!("{again:?}"));
    }
}

#[test]
fn each_deliberate_bug_is_found() {
    for bug in [
        Bug::NoConfirmation,
        Bug::ConfirmationRetried,
        Bug::SumIgnored,
        Bug::ChainIgnored,
        Bug::IndexNotRebuilt,
        Bug::DamageCutOff,
    ] {
        sabotage::set(Some(bug));
        let found = (0..20_000).find(|number| {
            run(seed_of(SEED, *number), &faults_of(*number))
                .broken
                .is_some()
        });
        sabotage::set(None);
        assert!(found.is_some(), "{bug:?} goes unnoticed");
    }
}
