//! Decodes key pictures of H.264 row by row, as looking for motion does, and prints milliseconds a picture: `key_pictures FILE ROUNDS`.
//!
//! FILE holds access units, each behind its length in four bytes, the lowest first. The least time of all rounds is told. Of CPU time
//! and of instructions (`valgrind --tool=callgrind`), the difference of three rounds and one is two rounds without what surrounds them.

use std::process::ExitCode;
use std::time::Instant;

use bytes::Bytes;
use edusense_bitstream::{AccessUnit, Codec};
use edusense_decode::{Decoder, Detail, H264Intra};

fn units(mut rest: &[u8]) -> Vec<AccessUnit> {
    let mut units = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (data, behind) =
            behind.split_at(behind.len().min(u32::from_le_bytes(*length) as usize));
        units.push(AccessUnit {
            codec: Codec::H264,
            data: Bytes::copy_from_slice(data),
            pts: 0,
            received_s: 0.0,
            key: true,
            loss: 0,
        });
        rest = behind;
    }
    units
}

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, file, rounds] = arguments.as_slice() else {
        eprintln!("key_pictures FILE ROUNDS");
        return ExitCode::from(2);
    };
    let (Ok(data), Ok(rounds)) = (std::fs::read(file), rounds.parse::<u32>()) else {
        eprintln!("{file} cannot be read, or {rounds} is no number");
        return ExitCode::from(2);
    };
    let units = units(&data);
    let mut least = f64::INFINITY;
    for _ in 0..rounds {
        let began = Instant::now();
        let mut rows = 0;
        if let Err(refusal) = H264Intra.decode(&units, &|_| true, Detail::Motion, &mut |_, band| {
            rows += std::hint::black_box(band).rows().height();
        }) {
            eprintln!("after {rows} rows: {refusal}");
            return ExitCode::FAILURE;
        }
        least = least.min(began.elapsed().as_secs_f64());
    }
    println!("{:.4}", 1e3 * least / units.len() as f64);
    ExitCode::SUCCESS
}
