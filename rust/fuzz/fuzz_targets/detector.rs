//! The detector and the event tracker: pictures of any size and content at any times, infinities and no numbers among them.
#![no_main]

use arbitrary::Arbitrary;
use edusense_bitstream::luma::LumaView;
use edusense_motion::{Detector, EventTracker, Settings};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Shown {
    time: Time,
    /// None: as before.
    size: Option<(u16, u16)>,
    /// Repeated to fill the picture.
    pattern: Vec<u8>,
    shift: u16,
}

#[derive(Arbitrary, Debug)]
enum Time {
    /// Tenths of a second later.
    Later(u8),
    At(f64),
}

#[derive(Arbitrary, Debug)]
struct Input {
    settings: Vec<(u8, f32)>,
    shown: Vec<Shown>,
}

/// Pixels of a picture: enough for every path, few enough for speed.
const MOST_PIXELS: usize = 1 << 16;

fuzz_target!(|input: Input| {
    let mut settings = Settings::default();
    for (name, value) in &input.settings {
        settings.set(
            Settings::NAMES[usize::from(*name) % Settings::NAMES.len()],
            *value,
        );
    }
    let mut detector = Detector::new(settings);
    let mut tracker = EventTracker::new(&settings);
    let (mut now, mut size) = (0.0, (64, 36));
    for shown in input.shown.iter().take(60) {
        now = match shown.time {
            Time::Later(tenths) => now + f64::from(tenths) / 10.0,
            Time::At(at) => at,
        };
        if let Some((width, height)) = shown.size {
            let width = usize::from(width).max(1);
            size = (
                width,
                usize::from(height).clamp(1, (MOST_PIXELS / width).max(1)),
            );
        }
        let (width, height) = size;
        let pattern: &[u8] = if shown.pattern.is_empty() {
            &[128]
        } else {
            &shown.pattern
        };
        let pixels: Vec<u8> = pattern
            .iter()
            .copied()
            .cycle()
            .skip(usize::from(shown.shift) % pattern.len())
            .take(width * height)
            .collect();
        let view = LumaView::new(width, height, width, &pixels).expect("a whole picture");
        let look = detector.look(now, view);
        for region in &look.regions {
            assert!((region.x + region.width) as usize <= width && region.width > 0);
            assert!((region.y + region.height) as usize <= height && region.height > 0);
        }
        assert!((0.0..=1.0).contains(&look.score));
        let over = tracker.push(&look);
        assert!(over.is_none_or(|event| event.regions.len() <= 8 && event.end_s >= event.start_s));
    }
    tracker.finish();
});
