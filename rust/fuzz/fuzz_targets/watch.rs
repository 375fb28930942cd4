//! One camera's watch: any access units at any times, looks of any depth taken and brought back whenever, and a decoder that gives
//! pictures of any size, too few, too many, or none.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use bytes::Bytes;
use edusense_bitstream::{AccessUnit, Codec};
use edusense_decode::{Band, Chain, Decoder, Detail, LumaView, Refusal};
use edusense_stream::{CameraWatch, Depth, Look, Unit, WatchEvent, WatchSettings};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Step {
    Push {
        data: Vec<u8>,
        pts: Pts,
        key: bool,
        loss: bool,
        cut: bool,
        wall_jump: Option<f32>,
    },
    Take(u8),
    Open,
    Finish,
    Interrupt,
    GiveUp,
}

#[derive(Arbitrary, Debug)]
enum Pts {
    Later(u16),
    At(i64),
}

#[derive(Arbitrary, Debug)]
struct Input {
    codec: u8,
    gate: bool,
    buffer_bytes: u16,
    shots: Vec<(u8, u8, u8, bool)>,
    steps: Vec<Step>,
}

/// Gives pictures by a script, whatever it is asked.
struct Script(Vec<(u8, u8, u8, bool)>);

impl Decoder for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    fn decode(
        &self,
        run: &[AccessUnit],
        wanted: &dyn Fn(usize) -> bool,
        _: Detail,
        sink: &mut dyn FnMut(usize, Band<'_>),
    ) -> Result<(), Refusal> {
        assert!(
            run.first().is_some_and(|unit| unit.key),
            "a run starts at a key picture"
        );
        for index in 0..run.len() {
            let Some((width, height, bright, refuse)) = self
                .0
                .get((index + run[index].data.len()) % self.0.len().max(1))
            else {
                return Err(Refusal::Declined {
                    reason: "nothing in the script".to_owned(),
                });
            };
            if *refuse && index > 1 {
                return Err(Refusal::Damaged {
                    index,
                    reason: "so it is written".to_owned(),
                });
            }
            let (width, height) = (usize::from(*width).max(1), usize::from(*height).max(1));
            let pixels: Vec<u8> = (0..width * height)
                .map(|at| {
                    if at % width * 3 < width {
                        bright.wrapping_mul(index as u8)
                    } else {
                        *bright
                    }
                })
                .collect();
            if wanted(index) || *bright == 1 {
                let view = LumaView::new(width, height, width, &pixels).expect("a whole picture");
                sink(index, Band::whole(view));
                if *bright == 2 {
                    sink(index, Band::whole(view));
                    sink(usize::MAX, Band::whole(view));
                }
            }
        }
        Ok(())
    }
}

fuzz_target!(|input: Input| {
    let chain = Chain::new(vec![Arc::new(Script(input.shots))]);
    let mut watch = CameraWatch::new(WatchSettings {
        gate: input.gate,
        buffer_bytes: usize::from(input.buffer_bytes),
        buffer_s: 3.0,
        ..WatchSettings::default()
    });
    let codec = [Codec::H264, Codec::H265, Codec::Jpeg][usize::from(input.codec) % 3];
    let (mut pts, mut wall) = (0_i64, 1.7e9);
    let mut out: Option<Look> = None;
    let mut confirmed = std::collections::HashSet::new();
    let mut news = |events: Vec<WatchEvent>| {
        for event in events {
            match event {
                WatchEvent::Confirmed { id, .. } => assert!(confirmed.insert(id), "confirmed once"),
                WatchEvent::Moving { id, .. } => assert!(confirmed.contains(&id), "confirmed before"),
                WatchEvent::Ended { id, .. } => {
                    assert!(confirmed.contains(&id), "ended after it was confirmed")
                }
                WatchEvent::Withdrawn { id, .. } => {
                    assert!(!confirmed.contains(&id), "withdrawn, or confirmed")
                }
                WatchEvent::Suspected { .. } => {}
            }
        }
    };
    for step in input.steps.into_iter().take(400) {
        match step {
            Step::Push {
                data,
                pts: next,
                key,
                loss,
                cut,
                wall_jump,
            } => {
                pts = match next {
                    Pts::Later(ticks) => pts.saturating_add(i64::from(ticks)),
                    Pts::At(at) => at,
                };
                wall += f64::from(wall_jump.unwrap_or(0.0));
                let au = AccessUnit {
                    codec,
                    data: Bytes::from(data),
                    pts,
                    received_s: wall,
                    key,
                    loss: u32::from(loss),
                };
                news(watch.push(
                    Unit {
                        au,
                        at_s: wall + pts as f64 / 90_000.0,
                    },
                    cut,
                ));
            }
            Step::Take(depth) => {
                let wanted = watch.want();
                if out.is_none() {
                    out = watch
                        .take([Depth::Whole, Depth::Moving, Depth::Key][usize::from(depth) % 3]);
                    assert!(out.is_none() || wanted.is_some());
                }
            }
            Step::Open => {
                if let Some(look) = &mut out {
                    look.open(&chain);
                }
            }
            Step::Finish => {
                if let Some(look) = out.take() {
                    news(watch.finish(look).events);
                }
            }
            Step::Interrupt => news(watch.interrupt().events),
            Step::GiveUp => news(watch.give_up().events),
        }
        assert!(watch.buffer().bytes() <= usize::from(input.buffer_bytes));
        let _ = (watch.counts(), watch.gate(), watch.trouble());
    }
    if let Some(look) = out.take() {
        news(watch.finish(look).events);
    }
    let mut budget = edusense_stream::Budget::new(4.0);
    news(watch.catch_up(&chain, &mut budget).events);
    news(watch.give_up().events);
});
