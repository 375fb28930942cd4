//! Streams of known size against the gate.

use super::*;
use edusense_bitstream::SliceKind;

const MACROBLOCKS: u32 = 920;

struct Stream {
    gate: Gate,
    random: u64,
    slices: u32,
}

impl Stream {
    fn new(slices: u32) -> Self {
        Self {
            gate: Gate::new(),
            random: 7,
            slices,
        }
    }

    fn chance(&mut self) -> f32 {
        self.random = self
            .random
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.random >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    }

    /// A group of 50 pictures; `factor` multiplies the bits of the first slice. Counts pictures that fired.
    fn group(&mut self, factor: f32, qp: i8, moved: Option<bool>) -> u32 {
        self.gate.end_of_gop(moved);
        let mut fired = 0;
        for position in 0..50u32 {
            let slices: Vec<SliceFacts> = (0..self.slices)
                .map(|slice| {
                    let usual = if position == 0 {
                        60_000.0
                    } else {
                        900.0 + 2000.0 / (position as f32)
                    };
                    let factor = if slice == 0 && position > 0 {
                        factor
                    } else {
                        1.0
                    };
                    let bits = usual * factor * (1.0 + 0.3 * self.chance()) / self.slices as f32;
                    let first_macroblock = MACROBLOCKS / self.slices * slice;
                    SliceFacts {
                        first_macroblock,
                        bits: bits as u64,
                        qp: Some(qp),
                        kind: SliceKind::P,
                    }
                })
                .collect();
            fired += u32::from(
                self.gate
                    .push(PictureFacts::new(position == 0, MACROBLOCKS, &slices))
                    .fired,
            );
        }
        fired
    }
}

#[test]
fn the_state_of_a_camera_stays_small() {
    assert!(size_of::<Gate>() < 2048, "{}", size_of::<Gate>());
}

#[test]
fn quiet_is_learned_and_motion_fires() {
    for slices in [1, 4] {
        let mut stream = Stream::new(slices);
        assert_eq!(stream.gate.state(), GateState::Learning);
        let early: u32 = (0..60).map(|_| stream.group(1.0, 27, None)).sum();
        assert!(early < 100, "{early} pictures of 3000 fired in quiet");
        assert_eq!(stream.gate.state(), GateState::Trusted);
        let noise = stream.gate.noise().unwrap();
        assert!((0.5..2.0).contains(&noise), "{noise}");
        assert!(stream.group(6.0, 27, None) > 20);
        // Two minutes of motion that pixels confirm are not learned.
        for _ in 0..60 {
            stream.group(6.0, 27, Some(true));
        }
        assert!(stream.group(6.0, 27, Some(true)) > 20);
    }
}

#[test]
fn a_coarser_quantiser_with_fewer_bits_is_no_surprise() {
    let mut stream = Stream::new(1);
    for _ in 0..30 {
        stream.group(20.0, 27, None);
    }
    assert_eq!(stream.group(14.0, 28, None), 0);
}

#[test]
fn slices_cut_by_size_are_one_band() {
    let mut gate = Gate::new();
    for picture in 0..400u32 {
        if picture % 50 == 0 {
            gate.end_of_gop(None);
        }
        let count = 2 + picture * 7 % 5;
        let slices: Vec<SliceFacts> = (0..count)
            .map(|slice| SliceFacts {
                first_macroblock: slice * (100 + picture % 9),
                bits: 8000,
                qp: Some(30),
                kind: SliceKind::P,
            })
            .collect();
        gate.push(PictureFacts::new(picture % 50 == 0, MACROBLOCKS, &slices));
    }
    assert_eq!(gate.bands, 1);
}

#[test]
fn streams_of_key_pictures_only_are_compared_with_each_other() {
    let mut gate = Gate::new();
    let mut push = |bits: u64| {
        gate.end_of_gop(None);
        gate.push(PictureFacts::new(
            true,
            MACROBLOCKS,
            &[SliceFacts {
                bits,
                ..SliceFacts::default()
            }],
        ))
    };
    for picture in 0..600u64 {
        push(100_000 + picture % 7 * 300);
    }
    assert!(!push(100_000).learning);
    let fired = (0..20).filter(|_| push(150_000).fired).count();
    assert!(fired >= 8, "{fired}");
}

#[test]
fn what_was_learned_outlives_a_restart() {
    for slices in [1, 4] {
        let mut stream = Stream::new(slices);
        for _ in 0..40 {
            stream.group(1.0, 26, None);
        }
        let bytes = stream.gate.kept().expect("it has learned");
        assert!(bytes.len() < 1024, "{}", bytes.len());
        stream.gate = Gate::restored(&bytes).expect("its own bytes");
        assert_eq!(stream.gate.kept().as_deref(), Some(&bytes[..]));
        assert!(!stream.gate.reading().learning);
        assert_eq!(stream.gate.state(), GateState::Trusted);
        let quiet: u32 = (0..20).map(|_| stream.group(1.0, 26, None)).sum();
        assert!(quiet < 60, "{quiet}");
        assert!(stream.group(6.0, 26, None) > 30, "motion is seen at once");
    }
}

#[test]
fn a_gate_that_learns_keeps_nothing_and_other_bytes_are_no_gate() {
    assert_eq!(Gate::new().kept(), None);
    let mut stream = Stream::new(2);
    for _ in 0..10 {
        stream.group(1.0, 26, None);
    }
    let bytes = stream.gate.kept().expect("it has learned");
    for cut in 0..bytes.len() {
        assert!(Gate::restored(&bytes[..cut]).is_none());
    }
    assert!(Gate::restored(&[&bytes[..], &[0]].concat()).is_none());
    let mut random = 1u64;
    for _ in 0..20_000 {
        let mut bytes = bytes.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
            let at = (random >> 33) as usize % bytes.len();
            bytes[at] = (random >> 24) as u8;
        }
        if let Some(gate) = Gate::restored(&bytes) {
            let mut other = Stream::new(2);
            other.gate = gate;
            other.group(1.0, 26, None);
            other.group(2.0, 30, Some(true));
            assert!(other.gate.noise().is_none_or(|noise| noise >= 0.0));
        }
    }
}
