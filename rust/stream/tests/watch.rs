//! A camera's watch on pictures that are drawn here: what is found, what is skipped and counted, and when.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::sync::Arc;

use bytes::Bytes;
use edusense_bitstream::{AccessUnit, Codec};
use edusense_decode::{Band, Chain, Decoder, Detail, LumaView, Refusal};
use edusense_stream::{Budget, CameraWatch, Outcome, TICKS, Unit, WatchEvent, WatchSettings};

/// Draws what an access unit says: its first byte is the place of a bright box, 255 for none; its second the picture's width in
/// tens. A third byte makes it damaged.
struct Drawn;

impl Decoder for Drawn {
    fn name(&self) -> &'static str {
        "drawn"
    }

    fn decode(
        &self,
        run: &[AccessUnit],
        wanted: &dyn Fn(usize) -> bool,
        _: Detail,
        sink: &mut dyn FnMut(usize, Band<'_>),
    ) -> Result<(), Refusal> {
        assert!(run[0].key, "a run starts at a key picture");
        for (index, unit) in run.iter().enumerate() {
            if unit.data.len() > 2 {
                return Err(Refusal::Damaged {
                    index,
                    reason: "drawn so".to_owned(),
                });
            }
            if wanted(index) {
                let (width, height) = (usize::from(unit.data[1]) * 10, 180);
                let mut luma = vec![90_u8; width * height];
                if unit.data[0] < 255 {
                    for y in 60..120 {
                        let left = usize::from(unit.data[0]);
                        luma[y * width + left..y * width + left + 40].fill(200);
                    }
                }
                if let Some(view) = LumaView::new(width, height, width, &luma) {
                    sink(index, Band::whole(view));
                }
            }
        }
        Ok(())
    }
}

/// One camera at 25 pictures a second.
struct Camera {
    watch: CameraWatch,
    chain: Chain,
    budget: Budget,
    index: i64,
    gop: i64,
    width: u8,
    events: Vec<(f64, WatchEvent)>,
    shots: usize,
}

impl Camera {
    fn new(cores: f64, gop: i64) -> Self {
        let settings = WatchSettings {
            gate: false,
            ..WatchSettings::default()
        };
        Self {
            watch: CameraWatch::new(settings),
            chain: Chain::new(vec![Arc::new(Drawn)]),
            budget: Budget::new(cores),
            index: 0,
            gop,
            width: 32,
            events: Vec::new(),
            shots: 0,
        }
    }

    fn now_s(&self) -> f64 {
        self.index as f64 / 25.0
    }

    fn take(&mut self, outcome: Outcome) {
        let now = self.now_s();
        self.shots += outcome.shots.len();
        self.events
            .extend(outcome.events.into_iter().map(|event| (now, event)));
    }

    fn picture(&mut self, place: u8, loss: u32, damaged: bool, cut: bool) {
        let data = if damaged {
            vec![place, self.width, 1]
        } else {
            vec![place, self.width]
        };
        let key = self.index % self.gop == 0 || cut;
        let pts = self.index * 3600;
        let au = AccessUnit {
            codec: Codec::H264,
            data: Bytes::from(data),
            pts,
            received_s: 0.0,
            key,
            loss,
        };
        self.budget.refill(self.now_s());
        let events = self.watch.push(
            Unit {
                au,
                at_s: 1e9 + pts as f64 / TICKS,
            },
            cut,
        );
        self.take(Outcome {
            events,
            ..Outcome::default()
        });
        let outcome = self.watch.catch_up(&self.chain, &mut self.budget);
        self.take(outcome);
        self.index += 1;
    }

    fn quiet(&mut self, seconds: f64) {
        (0..(seconds * 25.0) as usize).for_each(|_| self.picture(255, 0, false, false));
    }

    fn moving(&mut self, seconds: f64) {
        (0..(seconds * 25.0) as usize)
            .for_each(|step| self.picture((step * 3 % 200) as u8, 0, false, false));
    }

    fn end(&mut self) {
        let outcome = self.watch.interrupt();
        self.take(outcome);
        let outcome = self.watch.catch_up(&self.chain, &mut self.budget);
        self.take(outcome);
        let outcome = self.watch.give_up();
        self.take(outcome);
    }

    /// Start, end and the media time at which it was confirmed, for each event.
    fn found(&self) -> Vec<(f64, f64, f64)> {
        let ended = self.events.iter().filter_map(|(_, event)| match event {
            WatchEvent::Ended {
                id, start_s, end_s, ..
            } => Some((*id, start_s - 1e9, end_s - 1e9)),
            _ => None,
        });
        let confirmed = |wanted: u64| {
            self.events.iter().find_map(|(at, event)| match event {
                WatchEvent::Confirmed { id, .. } if *id == wanted => Some(*at),
                _ => None,
            })
        };
        ended
            .map(|(id, start, end)| {
                (
                    start,
                    end,
                    confirmed(id).expect("ended without being confirmed"),
                )
            })
            .collect()
    }

    fn skipped(&self, reason: &str) -> u64 {
        self.watch
            .counts()
            .skipped
            .get(reason)
            .copied()
            .unwrap_or(0)
    }
}

#[test]
fn with_time_to_spare_everything_is_looked_at_and_nothing_is_missed() {
    let mut camera = Camera::new(8.0, 50);
    camera.quiet(7.2);
    camera.moving(1.0);
    camera.quiet(9.8);
    camera.end();
    let found = camera.found();
    assert_eq!(found.len(), 1, "{found:?}");
    let (start, end, confirmed) = found[0];
    assert!(
        (start - 7.2).abs() < 0.5 && (end - 8.2).abs() < 0.7,
        "{found:?}"
    );
    assert!(
        confirmed <= 7.2 + 2.0 + 1.0,
        "one GOP and a second: {found:?}"
    );
    let counts = camera.watch.counts();
    assert_eq!((counts.received, counts.events), (450, 1));
    assert!(
        counts.looked_at >= 18 * 5 && counts.skipped.is_empty(),
        "{counts:?}"
    );
    assert_eq!(
        counts.decoders.keys().copied().collect::<Vec<_>>(),
        ["drawn"]
    );
    assert!(camera.shots >= 1);
}

#[test]
fn without_time_nothing_is_looked_at_and_that_is_counted() {
    let mut camera = Camera::new(0.0, 50);
    camera.quiet(5.0);
    camera.moving(1.0);
    camera.quiet(5.0);
    camera.end();
    let counts = camera.watch.counts();
    assert_eq!((counts.looked_at, counts.events), (0, 0));
    assert_eq!(camera.skipped("budget"), 275, "{counts:?}");
}

#[test]
fn a_long_group_is_looked_at_before_it_ends() {
    let mut camera = Camera::new(8.0, 25 * 60);
    camera.quiet(13.0);
    camera.moving(1.5);
    camera.quiet(5.0);
    camera.end();
    let found = camera.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].2 <= 13.0 + 2.0 + 1.0, "{found:?}");
    assert!(camera.watch.counts().skipped.is_empty());
}

#[test]
fn an_event_during_which_the_stream_breaks_off_is_ended() {
    let mut camera = Camera::new(8.0, 50);
    camera.quiet(4.0);
    camera.moving(3.0);
    camera.end();
    let found = camera.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!((found[0].1 - 7.0).abs() < 0.7, "{found:?}");
    camera.index += 25 * 30;
    camera.index -= camera.index % 50;
    camera.quiet(6.0);
    camera.end();
    assert_eq!(
        camera.found().len(),
        1,
        "nothing is invented after the break"
    );
}

#[test]
fn what_follows_a_loss_is_left_out_up_to_the_next_key_picture() {
    let mut camera = Camera::new(8.0, 50);
    camera.quiet(4.4);
    camera.picture(255, 3, false, false);
    camera.quiet(3.56);
    camera.end();
    assert_eq!(camera.skipped("no-key-picture"), 40);
    assert_eq!(camera.watch.counts().lost, 3);
    assert!(camera.found().is_empty());
}

#[test]
fn what_cannot_be_decoded_is_said_and_the_rest_goes_on() {
    let mut camera = Camera::new(8.0, 50);
    camera.quiet(2.0);
    camera.picture(255, 0, false, false);
    camera.picture(255, 0, true, false);
    camera.quiet(1.92);
    camera.picture(255, 0, false, false);
    assert!(camera.skipped("undecodable") > 5);
    assert_eq!(
        camera.watch.trouble(),
        Some("no decoder took it: drawn: picture 1 of the run: drawn so")
    );
    camera.index = 150;
    camera.quiet(3.0);
    camera.moving(1.0);
    camera.quiet(3.0);
    camera.end();
    assert_eq!(camera.watch.trouble(), None);
    assert_eq!(camera.found().len(), 1);
}

#[test]
fn another_size_in_mid_stream_is_no_motion() {
    let mut camera = Camera::new(8.0, 50);
    camera.quiet(5.0);
    camera.width = 24;
    camera.picture(255, 0, false, true);
    camera.quiet(4.0);
    camera.moving(1.0);
    camera.quiet(4.0);
    camera.end();
    let found = camera.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!((found[0].0 - 9.04).abs() < 0.5, "{found:?}");
}

#[test]
fn a_watch_that_begins_anew_ends_what_it_had_announced_and_goes_on() {
    let mut camera = Camera::new(8.0, 25);
    camera.quiet(4.0);
    camera.moving(3.0);
    let confirmed = |events: &[(f64, WatchEvent)]| {
        let id = |event: &(f64, WatchEvent)| match event.1 {
            WatchEvent::Confirmed { id, .. } => Some(id),
            _ => None,
        };
        events.iter().filter_map(id).collect::<Vec<_>>()
    };
    let first = confirmed(&camera.events);
    assert_eq!(first.len(), 1);
    let outcome = camera.watch.restart("a bug");
    assert!(
        matches!(outcome.events[..], [WatchEvent::Ended { id, start_s, end_s, .. }] if id == first[0] && end_s >= start_s)
    );
    assert_eq!(camera.watch.trouble(), Some("a bug"));
    assert_eq!(camera.watch.counts().received, 175);
    camera.events.clear();
    camera.quiet(4.0);
    camera.moving(3.0);
    camera.quiet(4.0);
    let second = confirmed(&camera.events);
    assert_eq!(second.len(), 1, "{:?}", camera.events);
    assert_ne!(first, second);
    assert_eq!(camera.watch.trouble(), None);
}
