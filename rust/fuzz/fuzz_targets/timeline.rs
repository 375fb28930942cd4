//! A camera's clock: any timestamps, at any times of ours.
#![no_main]

use edusense_stream::Timeline;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|steps: Vec<(i64, u32, bool, bool)>| {
    let mut timeline = Timeline::default();
    let (mut raw, mut ticks_s) = (0_i64, 0.0);
    for (step, passed, jump, again) in steps {
        ticks_s += f64::from(passed) / 1000.0;
        raw = if jump {
            step
        } else {
            raw.saturating_add(step % 900_000)
        };
        if again {
            timeline = Timeline::after(&timeline, ticks_s);
        }
        let placed = timeline.place(raw, ticks_s);
        assert!(placed.ticks_s.is_finite());
        assert!(timeline.error_s().is_finite());
    }
});
