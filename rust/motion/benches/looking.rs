//! What one picture costs on its way from bits to a look: the gate for every picture, the rest for those that are looked at.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use edusense_bitstream::luma::LumaView;
use edusense_bitstream::nal::{annex_b, h264};
use edusense_bitstream::{Codec, PictureFacts, Reader, SliceFacts, SliceKind};
use edusense_motion::{Detector, Gate};

const STREAM: &[u8] = include_bytes!("../../bitstream/tests/data/cabac_4_slices_100x60.h264");

/// A picture of noise and edges; `at` shifts a square through it.
fn picture(width: usize, height: usize, at: usize) -> Vec<u8> {
    let mut random = 1u64 + at as u64;
    let mut data: Vec<u8> = (0..width * height)
        .map(|cell| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let (x, y) = (cell % width, cell / width);
            (90 + 40 * ((x / 50 + y / 40) % 2) + (random >> 62) as usize) as u8
        })
        .collect();
    for y in height / 3..height / 2 {
        let from = y * width + at % (width / 2);
        data[from..from + width / 10].fill(200);
    }
    data
}

fn facts_of_a_picture(bench: &mut Criterion) {
    let mut reader = Reader::new();
    // A picture of four slices with 20 kB of payload: the headers are what is read, the bytes are searched for start codes.
    let mut head = Vec::new();
    let mut slices = Vec::new();
    for unit in annex_b(STREAM) {
        let kind = h264::kind(unit);
        let part = if h264::is_vcl(kind) {
            &mut slices
        } else {
            &mut head
        };
        part.extend_from_slice(&[0, 0, 0, 1]);
        part.extend_from_slice(unit);
        if kind == 1 {
            slices.extend((0..5000u32).map(|byte| (byte % 251 + 3) as u8));
        }
        if slices.len() > 20_000 {
            break;
        }
    }
    head.extend_from_slice(&slices);
    bench.bench_function("slice headers of an access unit of 20 kB", |bench| {
        bench.iter(|| reader.read(Codec::H264, black_box(&head), false));
    });
}

fn gate(bench: &mut Criterion) {
    for slices in [1u32, 4] {
        let picture = |key: bool, bits: u64| {
            let slice = |index: u32| SliceFacts {
                first_macroblock: index * 8160 / slices,
                bits: bits / u64::from(slices),
                qp: Some(27),
                kind: SliceKind::P,
            };
            PictureFacts::new(key, 8160, &(0..slices).map(slice).collect::<Vec<_>>())
        };
        let (key, quiet) = (picture(true, 900_000), picture(false, 20_000));
        let mut gate = Gate::new();
        let mut position = 0;
        bench.bench_function(&format!("gate, a picture of {slices} slices"), |bench| {
            bench.iter(|| {
                position = (position + 1) % 50;
                if position == 0 {
                    gate.end_of_gop(None);
                }
                gate.push(black_box(if position == 0 { key } else { quiet }))
            });
        });
    }
}

fn look(bench: &mut Criterion) {
    for (width, height) in [(704, 576), (1920, 1080)] {
        let pictures: Vec<Vec<u8>> = (0..8).map(|at| picture(width, height, at * 9)).collect();
        let mut detector = Detector::default();
        let mut count = 0;
        bench.bench_function(&format!("look at {width}x{height}"), |bench| {
            bench.iter(|| {
                count += 1;
                let data = &pictures[count % pictures.len()];
                let view = LumaView::new(width, height, width, black_box(data));
                view.map(|view| detector.look(count as f64 * 0.16, view))
            });
        });
    }
}

criterion_group!(benches, facts_of_a_picture, gate, look);
criterion_main!(benches);
