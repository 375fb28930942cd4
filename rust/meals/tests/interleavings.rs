//! The group commit under every order of its threads that chance finds: `make interleavings`.
//!
//! Shuttle runs the threads of a test one after the other and chooses at each lock who goes on. The ledger is the real one, its
//! locks are shuttle's. Whatever the order: what was answered as recorded is on the disk, nobody has two meals, and everybody is
//! answered.
#![cfg(feature = "shuttle")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use edusense_meals::disk::{Fault, Left, MemoryDisk};
use edusense_meals::sabotage::{Bug, set};
use edusense_meals::{Kind, Ledger, Reader, Record, Status};
use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner, thread};

mod common;
use common::{decode, meal, open, verify};

const EIO: i32 = 5;

/// Orders that are tried for each test; each bug below is found within a few hundred.
const ORDERS: usize = 10_000;

/// Runs a check in as many orders as the scheduler has.
fn check(scheduler: impl Scheduler + 'static, what: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // Reading a ledger takes 64 kB on the stack at once.
    config.stack_size = 1 << 20;
    Runner::new(scheduler, config).run(what);
}

/// The children that are on the disk now, whatever happens next.
fn on_the_disk(disk: &MemoryDisk) -> Vec<u64> {
    let left = disk.after_crash_that_left(Left::Nothing, || 0);
    let reader = Reader::of(Arc::new(left)).expect("a ledger");
    let records = decode(&reader.read(0, u64::MAX).expect("what is there can be read"));
    let meals = records.iter().filter(|record| record.kind == Kind::Meal);
    meals.map(|record: &Record| record.pupil).collect()
}

/// Children from `from` on, one after the other; each is looked for on the disk when its light is green. Returns who got a meal.
fn serve(ledger: &Ledger, disk: &MemoryDisk, pupils: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut granted = Vec::new();
    for pupil in pupils {
        let Ok(receipts) = ledger.append(&[meal(pupil)]) else {
            continue;
        };
        match receipts[0].status {
            Status::Recorded => granted.push(pupil),
            Status::AlreadyServed => {}
            other => panic!("{other:?}"),
        }
        assert!(
            on_the_disk(disk).contains(&pupil),
            "{pupil} was shown green and is not on the disk"
        );
    }
    granted
}

/// Three terminals; two children come to two of them. `faults`: the disk fails at some moment.
fn rush(faults: bool) {
    let disk = MemoryDisk::new();
    let ledger = Arc::new(open(&disk, 1).expect("an empty disk"));
    if faults {
        let name = ["write", "sync", "*"][shuttle::rand::thread_rng().gen_range(0..3)];
        let after = shuttle::rand::thread_rng().gen_range(0..6);
        disk.fail_next(name, after, Fault::Error(EIO));
    }
    let terminals: Vec<_> = [[1, 2, 10], [2, 1, 20], [30, 31, 10]]
        .into_iter()
        .map(|pupils| {
            let (ledger, disk) = (Arc::clone(&ledger), disk.clone());
            thread::spawn(move || serve(&ledger, &disk, pupils.into_iter()))
        })
        .collect();
    let marks = {
        let ledger = Arc::clone(&ledger);
        thread::spawn(move || {
            // Marks that nobody waits for, and somebody who waits for all of it.
            let _ = ledger.append_lazily(&[meal(99)]);
            let _ = ledger.sync();
        })
    };
    let mut granted: Vec<u64> = terminals
        .into_iter()
        .flat_map(|terminal| terminal.join().expect("a terminal does not panic"))
        .collect();
    marks.join().expect("nor does who writes marks");
    let _ = ledger.close();
    granted.sort_unstable();
    let count = granted.len();
    granted.dedup();
    assert_eq!(granted.len(), count, "somebody was given two meals");
    if !faults {
        assert_eq!(granted, [1, 2, 10, 20, 30, 31]);
    }
    drop(ledger);
    disk.cut_power();
    let left = disk.after_crash_that_left(Left::Nothing, || 0);
    let problems = verify(&left).problems;
    assert!(problems.is_empty(), "{problems:?}");
    let mut there = on_the_disk(&left);
    for pupil in granted {
        assert!(there.contains(&pupil), "{pupil} was lost");
    }
    there.sort_unstable();
    let count = there.len();
    there.dedup();
    assert_eq!(there.len(), count, "a meal stands twice");
}

/// How often a check fails with this bug: it must be found, and what finds it is the check above.
fn found(bug: Bug, faults: bool) -> bool {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = std::panic::catch_unwind(|| {
        check(RandomScheduler::new(ORDERS), move || {
            set(Some(bug));
            rush(faults);
        });
    });
    std::panic::set_hook(quiet);
    set(None);
    outcome.is_err()
}

#[test]
fn what_is_answered_is_on_the_disk_in_every_order() {
    static TRIED: AtomicU64 = AtomicU64::new(0);
    set(None);
    check(RandomScheduler::new(ORDERS), || {
        rush(false);
        TRIED.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(TRIED.load(Ordering::Relaxed), ORDERS as u64);
}

#[test]
fn a_disk_that_fails_at_any_moment_loses_nothing_that_was_answered() {
    set(None);
    check(RandomScheduler::new(ORDERS), || rush(true));
}

#[test]
fn orders_with_few_changes_of_turn_are_tried_as_well() {
    set(None);
    check(PctScheduler::new(3, ORDERS), || rush(true));
}

#[test]
fn deliberate_bugs_of_the_locking_are_found() {
    assert!(found(Bug::AnswersForTheNextWrite, false));
    assert!(found(Bug::WakesNobody, false));
    assert!(found(Bug::NextWriteGoesOn, true));
    assert!(found(Bug::NoConfirmation, false));
}
