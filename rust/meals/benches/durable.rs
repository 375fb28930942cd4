//! Durable meals, end to end in Rust, beside the least that a durable record can cost: one terminal, by turns; and sixteen at once.
//!
//! `cargo bench -p edusense-meals [-- FOLDER]`: the folder is on the disk to measure, by default that for temporary files. Beside SQLite it
//! is measured from Python (`edusense bench case meal`, `meals-at-once`): no data base is built into the crates for a comparison.

#![allow(clippy::print_stdout)] // what it prints is what it is for

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use edusense_meals::{Kind, Ledger, Options, RawRecord, Record, Status};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROOM: u64 = 1 << 20;
const MEALS: u64 = 3000;
const WARM_UP: u64 = 200;
const TERMINALS: u64 = 16;
const EACH: u64 = 400;

fn main() -> Result<(), Failure> {
    // `cargo bench` says --bench.
    let folder = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with("--"))
        .map_or_else(std::env::temp_dir, PathBuf::from)
        .join(format!("edusense-durable-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let done = alone(&folder).and_then(|()| at_once(&folder));
    std::fs::remove_dir_all(&folder)?;
    done
}

fn meal(pupil: u64, terminal: u32) -> RawRecord {
    let mut row = Record::new(Kind::Meal);
    (row.terminal, row.pupil, row.day, row.price) = (terminal, pupil, 20_261_005, 45_000);
    row.slot[..5].copy_from_slice(b"lunch");
    row.time = 1_790_000_000_000_000;
    row.encode()
}

fn open(folder: &Path) -> Result<Ledger, Failure> {
    Ok(Ledger::open(
        folder,
        &Options {
            school: Some(51_001),
            holder: "a bench".to_owned(),
            ..Options::default()
        },
    )?)
}

/// One meal, and 128 bytes over zeros with fdatasync, by turns: whatever else the machine does meets both alike.
fn alone(folder: &Path) -> Result<(), Failure> {
    let raw = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(folder.join("raw"))?;
    raw.write_all_at(&vec![0; usize::try_from(ROOM)?], 0)?;
    raw.sync_all()?;
    let ledger = open(&folder.join("alone"))?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for number in 0..WARM_UP + MEALS {
        let row = meal(number, 1);
        let write = || -> Result<Duration, Failure> {
            let began = Instant::now();
            raw.write_all_at(&row, number * 128 % ROOM)?;
            raw.sync_data()?;
            Ok(began.elapsed())
        };
        let record = || -> Result<Duration, Failure> {
            let began = Instant::now();
            let status = ledger.append(&[row])?.first().map(|receipt| receipt.status);
            if status != Some(Status::Recorded) {
                return Err(format!("meal {number} was not recorded: {status:?}").into());
            }
            Ok(began.elapsed())
        };
        // None is always first.
        let (wrote, recorded) = if number % 2 == 0 {
            let wrote = write()?;
            (wrote, record()?)
        } else {
            let recorded = record()?;
            (write()?, recorded)
        };
        if number >= WARM_UP {
            ours.push(recorded);
            bare.push(wrote);
        }
    }
    ledger.close()?;
    let (ours, bare) = (sorted(ours), sorted(bare));
    println!(
        "one durable meal, {MEALS} of each: ours p50 {:.1} µs, p99 {:.1} µs; raw fdatasync of 128 bytes p50 {:.1} µs, p99 {:.1} µs",
        at(&ours, 50),
        at(&ours, 99),
        at(&bare, 50),
        at(&bare, 99),
    );
    println!(
        "  rate at the median: {:.2} × raw (wanted: 0.8)",
        at(&bare, 50) / at(&ours, 50)
    );
    Ok(())
}

/// Sixteen terminals, each meal on the disk before its next.
fn at_once(folder: &Path) -> Result<(), Failure> {
    let ledger = open(&folder.join("at-once"))?;
    let begin = Barrier::new(usize::try_from(TERMINALS)?);
    let began = Instant::now();
    let waits = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..TERMINALS)
            .map(|terminal| {
                let (ledger, begin) = (&ledger, &begin);
                scope.spawn(move || -> Result<Vec<Duration>, Failure> {
                    begin.wait();
                    let mut waits = Vec::new();
                    for number in 0..EACH {
                        let row = meal(
                            1_000_000 * (terminal + 1) + number,
                            u32::try_from(terminal + 1)?,
                        );
                        let began = Instant::now();
                        let receipts = ledger.append(&[row])?;
                        waits.push(began.elapsed());
                        if receipts.first().map(|one| one.status) != Some(Status::Recorded) {
                            return Err("a meal was not recorded".into());
                        }
                    }
                    Ok(waits)
                })
            })
            .collect();
        let mut waits = Vec::new();
        for thread in threads {
            waits.extend(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, Failure>(waits)
    })?;
    let rate = (TERMINALS * EACH) as f64 / began.elapsed().as_secs_f64();
    ledger.close()?;
    let waits = sorted(waits);
    println!(
        "{TERMINALS} terminals at once: {rate:.0} durable meals a second, each within p50 {:.0} µs, p99 {:.0} µs",
        at(&waits, 50),
        at(&waits, 99),
    );
    Ok(())
}

fn sorted(mut durations: Vec<Duration>) -> Vec<Duration> {
    durations.sort_unstable();
    durations
}

/// A percentile of sorted durations, in microseconds.
fn at(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted
        .get(place)
        .map_or(0.0, |found| found.as_secs_f64() * 1e6)
}
