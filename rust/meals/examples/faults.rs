//! `make faults N=100000 SEED=…`: many runs of the fault harness, and one table for each class of faults.
//!
//! `faults N SEED [RUN]`: with the number of a run, that one alone, told in full.

#![allow(clippy::print_stdout)] // a program whose output is its purpose

#[path = "../tests/storm/mod.rs"]
mod storm;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use storm::{Account, Outcome, faults_of, run, seed_of};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let number = |word: Option<Result<u64, _>>, usual| match word {
        Some(Ok(number)) => number,
        _ => usual,
    };
    let count = number(words.next(), 100_000);
    let seed = number(words.next(), 1);
    if let Some(Ok(only)) = words.next() {
        let outcome = run(seed_of(seed, only), &faults_of(only));
        println!("{outcome:#?}");
        return ExitCode::from(u8::from(outcome.broken.is_some()));
    }
    let begun = Instant::now();
    let (next, account) = (AtomicU64::new(0), Mutex::new(Account::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(256, Ordering::Relaxed);
                    if first >= count {
                        break;
                    }
                    let outcomes: Vec<(u64, Outcome)> = (first..count.min(first + 256))
                        .map(|number| (number, run(seed_of(seed, number), &faults_of(number))))
                        .collect();
                    if let Ok(mut account) = account.lock() {
                        for (number, outcome) in &outcomes {
                            account.add(*number, outcome);
                        }
                    }
                }
            });
        }
    });
    let Ok(account) = account.into_inner() else {
        return ExitCode::from(70);
    };
    tell(&account, count, seed, begun.elapsed().as_secs_f64());
    ExitCode::from(u8::from(!account.broken.is_empty()))
}

fn tell(account: &Account, count: u64, seed: u64, seconds: f64) {
    println!(
        "{} runs, {} faults injected, seed {seed}, {seconds:.1} s",
        account.runs, account.faults
    );
    let classes = [
        (
            'a',
            "class (a): the disk keeps its word, the power does not",
        ),
        (
            'b',
            "class (b): the disk is not to be relied on; unseen: not named, as behind a named hole, or at the end when the mark is lost too",
        ),
        (
            'c',
            "the same, with the whole disk put back to an old image; unseen: what no hub had yet",
        ),
    ];
    for (class, title) in classes {
        println!("\n{title}");
        println!(
            "{:<20} {:>9} {:>11} {:>11} {:>8} {:>8} {:>11} {:>13} {:>7}",
            "fault",
            "injected",
            "recoveries",
            "checks",
            if class == 'a' { "lost" } else { "unseen" },
            "doubled",
            "named",
            "seen by hub",
            "broken"
        );
        for ((_, name), tally) in account.by_kind.iter().filter(|((of, _), _)| *of == class) {
            println!(
                "{name:<20} {:>9} {:>11} {:>11} {:>8} {:>8} {:>11} {:>13} {:>7}",
                tally.injected,
                tally.recoveries,
                tally.checks,
                tally.lost + tally.without_trace,
                tally.doubled,
                tally.named,
                tally.seen_by_hub,
                tally.broken
            );
        }
    }
    let least = account.by_pair.iter().min_by_key(|(_, count)| **count);
    if let Some(((one, other), times)) = least {
        println!(
            "\n{} pairs; the rarest, {one} with {other}, {times} times",
            account.by_pair.len()
        );
    }
    for (number, what) in account.broken.iter().take(20) {
        println!(
            "BROKEN: make faults N={count} SEED={seed} RUN={number}    # {}: {what}",
            faults_of(*number)
                .iter()
                .map(|one| one.name())
                .collect::<Vec<_>>()
                .join(" + ")
        );
    }
}
