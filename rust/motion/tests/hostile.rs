//! Clocks that go back, settings and facts that cannot be meant: nothing panics, and nobody goes blind.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use edusense_bitstream::luma::LumaView;
use edusense_bitstream::{PictureFacts, SliceFacts};
use edusense_motion::{Detector, Gate, Settings};

const WIDTH: usize = 320;
const HEIGHT: usize = 180;

/// A striped room, with somebody in it who goes to and fro at one place.
fn picture(somebody: Option<usize>) -> Vec<u8> {
    let mut luma: Vec<u8> = (0..WIDTH * HEIGHT)
        .map(|at| 90 + (at % WIDTH / 20 % 3) as u8 * 10)
        .collect();
    if let Some(step) = somebody {
        let left = 100 + step * 13 % 60;
        (60..120).for_each(|y| luma[y * WIDTH + left..][..40].fill(200));
    }
    luma
}

fn look(detector: &mut Detector, t_s: f64, somebody: Option<usize>) -> bool {
    let luma = picture(somebody);
    let view = LumaView::new(WIDTH, HEIGHT, WIDTH, &luma).unwrap();
    detector.look(t_s, view).moved
}

#[test]
fn a_clock_that_went_back_blinds_nobody() {
    let mut detector = Detector::new(Settings::default());
    let at = |start: f64, step: usize| start + step as f64 * 0.2;
    for step in 0..10 {
        look(&mut detector, at(1000.0, step), None);
    }
    assert!((0..6).any(|step| look(&mut detector, at(1002.0, step), Some(step))));
    for step in 0..480 {
        look(&mut detector, at(900.0, step), None);
    }
    assert!((0..6).any(|step| look(&mut detector, at(996.0, step), Some(step))));
}

#[test]
fn settings_beyond_measure_are_borne() {
    for name in Settings::NAMES {
        for value in [0.0, f32::MIN_POSITIVE, 1e30, f32::MAX] {
            let mut settings = Settings::default();
            assert!(settings.set(name, value));
            let mut detector = Detector::new(settings);
            for step in 0..20 {
                // Sparse looks, too: they ask for twice the area.
                let t_s = step as f64 * if step < 10 { 0.2 } else { 0.8 };
                look(&mut detector, t_s, Some(step));
            }
        }
    }
}

#[test]
fn a_picture_of_more_macroblocks_than_there_can_be_is_borne() {
    let slices: Vec<SliceFacts> = (0..9)
        .map(|slice| SliceFacts {
            first_macroblock: slice * (u32::MAX / 9),
            bits: 8000,
            qp: Some(30),
            ..SliceFacts::default()
        })
        .collect();
    let mut gate = Gate::new();
    for picture in 0..200 {
        if picture % 10 == 0 {
            gate.end_of_gop(None);
        }
        let reading = gate.push(PictureFacts::new(picture % 10 == 0, u32::MAX, &slices));
        assert!(reading.level.is_finite());
    }
    assert!(gate.noise().is_some_and(f32::is_finite));
}
