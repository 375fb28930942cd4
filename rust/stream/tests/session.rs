//! Sessions against servers that misbehave on purpose, over real sockets with short waits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edusense_stream::{
    Arrived, Coordinates, Listener, Orders, Pace, Shared, Source, State, StreamError, Waits, keep,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// State, reason, code of the error, place.
type Said = (State, String, Option<&'static str>, Coordinates);

#[derive(Clone, Default)]
struct Heard {
    states: Arc<Mutex<Vec<Said>>>,
    pictures: Arc<AtomicUsize>,
}

impl Listener for Heard {
    fn state(&mut self, state: State, reason: String, error: Option<&StreamError>) {
        let at = error.map(|error| error.at().clone()).unwrap_or_default();
        self.states
            .lock()
            .unwrap()
            .push((state, reason, error.map(StreamError::code), at));
    }

    fn picture(&mut self, _: Arrived) {
        self.pictures.fetch_add(1, Ordering::Relaxed);
    }
}

impl Heard {
    async fn wait_for(
        &self,
        wanted: State,
        times: usize,
    ) -> Vec<(String, Option<&'static str>, Coordinates)> {
        for _ in 0..500 {
            let found: Vec<_> = {
                let states = self.states.lock().unwrap();
                let wanted = states.iter().filter(|(state, ..)| *state == wanted);
                wanted
                    .map(|(_, reason, code, at)| (reason.clone(), *code, at.clone()))
                    .collect()
            };
            if found.len() >= times {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!(
            "{wanted:?} did not come {times} times: {:?}",
            self.states.lock().unwrap()
        );
    }
}

/// What a camera does on one connection.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Silent,
    HangsUp,
    Refuses,
    NoSuchStream,
    NotRtsp,
    AudioOnly,
    /// Plays, and then sends this.
    Plays(&'static [u8]),
    /// Plays, and then sends nothing.
    PlaysNothing,
    /// Plays, and then sends one picture that never ends, and sender reports.
    NeverEnds,
}

const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
                   a=control:track\r\n";
const AUDIO: &str =
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\na=control:track\r\n";

async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).ok()?;
    let method = text.split(' ').next()?.to_owned();
    let cseq = text
        .lines()
        .find_map(|line| line.strip_prefix("CSeq: "))?
        .to_owned();
    Some((method, cseq))
}

async fn serve(mut stream: TcpStream, manner: Manner) {
    match manner {
        Manner::HangsUp => return,
        Manner::Silent => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return;
        }
        Manner::NotRtsp => {
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                .await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            return;
        }
        _ => {}
    }
    while let Some((method, cseq)) = request(&mut stream).await {
        let answer = match (manner, method.as_str()) {
            (Manner::Refuses, _) => {
                "RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"y\"\r\n".to_owned()
            }
            (Manner::NoSuchStream, _) => "RTSP/1.0 404 Not Found\r\n".to_owned(),
            (_, "DESCRIBE") => {
                let body = if matches!(manner, Manner::AudioOnly) { AUDIO } else { SDP };
                let text = format!(
                    "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(text.as_bytes()).await;
                continue;
            }
            (_, "SETUP") => {
                "RTSP/1.0 200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n".to_owned()
            }
            _ => "RTSP/1.0 200 OK\r\nSession: 1\r\n".to_owned(),
        };
        let _ = stream
            .write_all(format!("{answer}CSeq: {cseq}\r\n\r\n").as_bytes())
            .await;
        if method == "PLAY"
            && let Manner::Plays(bytes) = manner
        {
            let _ = stream.write_all(bytes).await;
        }
        if method == "PLAY" && matches!(manner, Manner::NeverEnds) {
            for sequence in 1..600_u16 {
                // A middle of a fragmented unit (RFC 6184, section 5.8), the first one its start.
                let start = if sequence == 1 { 0x80 } else { 0 };
                let mut bytes = b"$\x00\x00\x12\x80\x60".to_vec();
                bytes.extend_from_slice(&sequence.to_be_bytes());
                bytes.extend_from_slice(b"\0\0\x30\x39\0\0\0\x07\x7c");
                bytes.extend_from_slice(&[0x05 | start, 1, 2, 3, 4]);
                // A sender report (RFC 3550, section 6.4.1).
                bytes.extend_from_slice(b"$\x01\x00\x1c\x80\xc8\0\x06\0\0\0\x07");
                bytes.extend_from_slice(&[0; 8]);
                bytes.extend_from_slice(b"\0\0\x30\x39");
                bytes.extend_from_slice(&[0; 8]);
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

struct Called {
    heard: Heard,
    orders: watch::Sender<Orders>,
    connections: Arc<AtomicUsize>,
}

async fn call(manner: Manner) -> Called {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/live", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream, manner));
        }
    });
    let waits = Waits {
        answer: Duration::from_millis(300),
        stall: Duration::from_millis(300),
        again: Duration::from_millis(20),
        again_longest: Duration::from_millis(40),
        refused: Duration::from_secs(900),
        settled: Duration::from_secs(10),
    };
    let shared = Arc::new(Shared::new(Pace::new(1000.0), waits));
    let source = Source::new(&url, Some("user"), Some("geheim")).unwrap();
    let heard = Heard::default();
    let (orders, ordered) = watch::channel(Orders::default());
    tokio::spawn(keep(source, shared, 1, ordered, heard.clone()));
    Called {
        heard,
        orders,
        connections,
    }
}

#[tokio::test]
async fn a_camera_that_accepts_and_says_nothing_is_given_up_and_called_again() {
    let camera = call(Manner::Silent).await;
    let lost = camera.heard.wait_for(State::Lost, 2).await;
    assert_eq!(lost[0].1, Some("stream-timeout"));
    assert!(
        lost[0].0.starts_with(
            "waited 0.3 s for the connection and the answer to DESCRIBE; calling again in"
        ),
        "{}",
        lost[0].0
    );
}

#[tokio::test]
async fn a_camera_that_hangs_up_or_does_not_speak_rtsp_is_called_again() {
    for (manner, code) in [
        (Manner::HangsUp, "stream-lost"),
        (Manner::NotRtsp, "stream-protocol"),
    ] {
        let camera = call(manner).await;
        let lost = camera.heard.wait_for(State::Lost, 3).await;
        assert_eq!(lost[0].1, Some(code), "{manner:?}: {}", lost[0].0);
    }
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_again_until_somebody_says_so() {
    let camera = call(Manner::Refuses).await;
    let refused = camera.heard.wait_for(State::Refused, 1).await;
    assert_eq!(refused[0].1, Some("stream-refused"));
    assert!(
        refused[0].0.contains("asked again in 15 minutes"),
        "{}",
        refused[0].0
    );
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(camera.connections.load(Ordering::Relaxed), 1);
    camera.orders.send_modify(|orders| orders.retry += 1);
    camera.heard.wait_for(State::Refused, 2).await;
    assert_eq!(camera.connections.load(Ordering::Relaxed), 2);
    let said = format!("{:?}", camera.heard.states.lock().unwrap());
    assert!(!said.contains("geheim"));
}

#[tokio::test]
async fn a_stream_that_is_not_there_may_come() {
    let camera = call(Manner::NoSuchStream).await;
    let lost = camera.heard.wait_for(State::Lost, 2).await;
    assert_eq!(lost[0].1, Some("stream-refused"));
}

#[tokio::test]
async fn a_camera_without_video_says_what_it_has() {
    let camera = call(Manner::AudioOnly).await;
    let lost = camera.heard.wait_for(State::Lost, 1).await;
    assert!(lost[0].0.contains("only: audio/pcmu"), "{}", lost[0].0);
}

#[tokio::test]
async fn silence_after_play_is_a_stall() {
    let camera = call(Manner::PlaysNothing).await;
    let stalled = camera.heard.wait_for(State::Stalled, 2).await;
    assert_eq!(stalled[0].1, Some("stream-timeout"));
    assert!(
        stalled[0].0.contains("silent for 0.3 s, after 0 pictures"),
        "{}",
        stalled[0].0
    );
    assert!(
        stalled[0]
            .2
            .stream
            .as_deref()
            .is_some_and(|stream| stream.contains("channel ids 0-1"))
    );
}

#[tokio::test]
async fn a_picture_that_never_ends_is_a_stall_whatever_is_reported_beside_it() {
    let camera = call(Manner::NeverEnds).await;
    let stalled = camera.heard.wait_for(State::Stalled, 1).await;
    assert_eq!(stalled[0].1, Some("stream-timeout"));
    assert!(
        stalled[0].0.contains("after 0 pictures"),
        "{}",
        stalled[0].0
    );
}

#[tokio::test]
async fn garbage_instead_of_rtp_is_named_with_its_place() {
    // Interleaved on channel 0: too short for RTP; RTP whose H.264 is none; something that is no frame at all.
    let rtp = b"$\x00\x00\x10\x80\xe0\x12\x34\0\0\0\0\0\0\0\x07\x1f\xff\xff\xff";
    let camera = call(Manner::Plays(rtp)).await;
    let lost = camera.heard.wait_for(State::Lost, 2).await;
    assert_eq!(lost[0].1, Some("stream-protocol"), "{}", lost[0].0);
    assert_eq!(lost[0].2.sequence, Some(0x1234), "{:?}", lost[0]);
    assert!(lost[0].2.byte.is_some_and(|byte| byte > 100));
    for bytes in [
        &b"$\x00\x00\x04abcd"[..],
        &b"\xff\xfe\xfd\xfc".repeat(1000).leak()[..],
    ] {
        let camera = call(Manner::Plays(bytes)).await;
        let states = tokio::time::timeout(Duration::from_secs(5), async {
            loop {
                let bad = camera
                    .heard
                    .states
                    .lock()
                    .unwrap()
                    .iter()
                    .any(|(state, ..)| matches!(state, State::Lost | State::Stalled));
                if bad {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        states.await.expect("garbage goes unnoticed");
    }
}

#[tokio::test]
async fn stopping_is_quick_in_every_state() {
    for manner in [
        Manner::Silent,
        Manner::Refuses,
        Manner::PlaysNothing,
        Manner::HangsUp,
    ] {
        let camera = call(manner).await;
        camera.heard.wait_for(State::Connecting, 1).await;
        camera.orders.send_modify(|orders| orders.stop = true);
        camera.heard.wait_for(State::Stopped, 1).await;
    }
}
