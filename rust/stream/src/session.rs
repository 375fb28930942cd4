//! One camera's RTSP session, kept alive: call, play, and call again.
//!
//! The session itself (RTSP/1.0 of RFC 2326, Basic and Digest, keep-alives, RTP over the same TCP connection, depacketising) is
//! retina's. Ours is when to call, when to give up, and to say why in words.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use edusense_bitstream::Codec;
use futures_util::{FutureExt as _, StreamExt as _};
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionGroup, SessionIdPolicy, SessionOptions,
    SetupOptions, TeardownPolicy,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame};
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use crate::clock::lock;
use crate::error::{Coordinates, StreamError};
use crate::pace::{Backoff, Pace};

/// Where a stream comes from. The password is in nothing that is printed.
#[derive(Clone)]
pub struct Source {
    url: Url,
    credentials: Option<Credentials>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "Source({}, credentials: {})",
            self.url,
            if self.credentials.is_some() {
                "given"
            } else {
                "none"
            }
        )
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url && self.credentials == other.credentials
    }
}

impl Source {
    /// A source from its address. A user and password in the address are used where none are given apart, and taken out of it.
    ///
    /// # Errors
    /// [`StreamError::Protocol`], if it is not the address of an RTSP stream.
    pub fn new(url: &str, user: Option<&str>, password: Option<&str>) -> Result<Self, StreamError> {
        // The address may carry a password, so a message must not repeat it.
        let mut url = Url::parse(url).map_err(|error| {
            StreamError::bad_address(format!("the stream's address is no URL: {error}"))
        })?;
        if url.scheme() != "rtsp" {
            let scheme = url.scheme();
            return Err(StreamError::bad_address(format!(
                "the stream's address starts with `{scheme}:`, not with `rtsp:`"
            )));
        }
        if url.host().is_none() {
            return Err(StreamError::bad_address(
                "the stream's address names no host",
            ));
        }
        let decoded = |text: &str| percent_decoded(text);
        let user = user
            .map(str::to_owned)
            .or_else(|| (!url.username().is_empty()).then(|| decoded(url.username())));
        let password = password
            .map(str::to_owned)
            .or_else(|| url.password().map(decoded));
        let credentials = user.map(|username| Credentials {
            username,
            password: password.unwrap_or_default(),
        });
        if url.set_username("").is_err() || url.set_password(None).is_err() {
            return Err(StreamError::bad_address(
                "the stream's address cannot carry a user",
            ));
        }
        Ok(Self { url, credentials })
    }

    /// The address without user and password.
    #[must_use]
    pub fn address(&self) -> &str {
        self.url.as_str()
    }

    /// Who is called: streams of one device share what is known of its stale sessions.
    fn device(&self) -> String {
        format!(
            "{}:{}",
            self.url.host_str().unwrap_or_default(),
            self.url.port().unwrap_or(554)
        )
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = (bytes[index] == b'%')
            .then(|| text.get(index + 1..index + 3))
            .flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                index += 3;
            }
            None => {
                decoded.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// How it is with a camera's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for its turn to be called.
    Waiting,
    /// Is being called.
    Connecting,
    /// Sends pictures.
    Playing,
    /// Refused the user or password; is not asked again soon.
    Refused,
    /// Cannot be reached, broke off or sent nonsense; will be called again.
    Lost,
    /// Was connected and fell silent; will be called again.
    Stalled,
    /// Nobody wants it any more.
    Stopped,
}

impl State {
    /// The word that users read and scripts compare.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Connecting => "connecting",
            Self::Playing => "playing",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Stalled => "stalled",
            Self::Stopped => "stopped",
        }
    }
}

/// One picture as it came off the line.
pub struct Arrived {
    /// How it is compressed.
    pub codec: Codec,
    /// Annex B with parameter sets before key pictures, or one JPEG.
    pub data: Bytes,
    /// RTP timestamp, freed of the 32-bit wrap and of nothing else.
    pub timestamp: i64,
    /// Decoding can start here.
    pub key: bool,
    /// Packets lost before it.
    pub loss: u32,
    /// Parameters changed with it: size, profile, anything.
    pub new_parameters: bool,
}

/// Where a session's news go. Called from the runtime's threads: must not wait.
pub trait Listener: Send {
    /// The stream's state changed.
    fn state(&mut self, state: State, reason: String, error: Option<&StreamError>);

    /// A picture arrived.
    fn picture(&mut self, picture: Arrived);
}

/// Waiting times. The defaults suit cameras on a school's own network.
#[derive(Clone, Debug)]
pub struct Waits {
    /// For connecting and each answer up to PLAY, together.
    pub answer: Duration,
    /// Without a picture until the camera counts as stalled.
    pub stall: Duration,
    /// First wait before calling again.
    pub again: Duration,
    /// Longest wait before calling again.
    pub again_longest: Duration,
    /// After refused credentials.
    pub refused: Duration,
    /// A session that held this long makes the next wait the first one again.
    pub settled: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(10),
            stall: Duration::from_secs(5),
            again: Duration::from_millis(500),
            again_longest: Duration::from_secs(8),
            refused: Duration::from_secs(15 * 60),
            settled: Duration::from_secs(10),
        }
    }
}

/// What a session is told from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// End.
    pub stop: bool,
    /// Each increase means: call now, whatever happened before.
    pub retry: u64,
}

/// What all sessions of an engine share.
pub struct Shared {
    /// New sessions a second.
    pub pace: Pace,
    /// Waiting times.
    pub waits: Waits,
    /// Stale sessions by device, for servers that go on sending to a closed connection (live555 before 2017.06.04).
    groups: Mutex<HashMap<String, Arc<SessionGroup>>>,
}

impl Shared {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(pace: Pace, waits: Waits) -> Self {
        Self {
            pace,
            waits,
            groups: Mutex::default(),
        }
    }

    fn group(&self, device: String) -> Arc<SessionGroup> {
        let mut groups = lock(&self.groups);
        groups
            .entry(device)
            .or_insert_with_key(|device| Arc::new(SessionGroup::default().named(device.clone())))
            .clone()
    }
}

/// Keeps a camera's session alive until it is told to stop.
pub async fn keep(
    source: Source,
    shared: Arc<Shared>,
    seed: u64,
    mut orders: watch::Receiver<Orders>,
    mut listener: impl Listener,
) {
    let waits = shared.waits.clone();
    let mut backoff = Backoff::new(waits.again, waits.again_longest, seed);
    listener.state(
        State::Waiting,
        "waits for its turn to be called".to_owned(),
        None,
    );
    while !orders.borrow_and_update().stop {
        let mut played = None;
        // A panic on a stranger's bytes is a bug, ours or retina's, but it must cost this one session only.
        let session =
            AssertUnwindSafe(once(&source, &shared, &mut listener, &mut played)).catch_unwind();
        let error = tokio::select! {
            biased;
            () = stopped(&mut orders) => break,
            ended = session => ended.unwrap_or_else(|_| {
                StreamError::bug("what the camera sent made the receiver fail; this is a bug of edusense")
            }),
        };
        if played.is_some_and(|since: Instant| since.elapsed() >= waits.settled) {
            backoff.reset();
        }
        let (state, wait) = match &error {
            StreamError::Refused {
                credentials: true, ..
            } => (State::Refused, waits.refused),
            StreamError::Timeout { .. } if played.is_some() => (State::Stalled, backoff.wait()),
            _ => (State::Lost, backoff.wait()),
        };
        let next = if state == State::Refused {
            format!(
                "asked again in {:.0} minutes, or by `edusense camera retry`",
                wait.as_secs_f64() / 60.0
            )
        } else {
            format!("calling again in {:.1} s", wait.as_secs_f64())
        };
        listener.state(state, format!("{error}; {next}"), Some(&error));
        let retry = orders.borrow().retry;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = orders.wait_for(|orders| orders.stop || orders.retry != retry) => backoff.reset(),
        }
    }
    listener.state(State::Stopped, "no longer wanted".to_owned(), None);
}

/// Returns when the session shall end; the engine that forgot it counts as such.
async fn stopped(orders: &mut watch::Receiver<Orders>) {
    let _ = orders.wait_for(|orders| orders.stop).await;
}

/// One session from call to its end.
async fn once(
    source: &Source,
    shared: &Shared,
    listener: &mut impl Listener,
    played: &mut Option<Instant>,
) -> StreamError {
    let group = shared.group(source.device());
    let stale = group.stale_sessions();
    if let Some(until) = stale.max_expires {
        listener.state(
            State::Waiting,
            "waits for the camera to forget an earlier session".to_owned(),
            None,
        );
        let _ = tokio::time::timeout_at(until, group.await_stale_sessions(&stale)).await;
    }
    shared.pace.turn().await;
    listener.state(
        State::Connecting,
        format!("calling {}", source.address()),
        None,
    );
    let mut doing = "the connection and the answer to DESCRIBE";
    let called = tokio::time::timeout(shared.waits.answer, call(source, group, &mut doing)).await;
    let (mut stream, codec) = match called {
        Ok(Ok(playing)) => playing,
        Ok(Err(error)) => return error,
        Err(_) => {
            let seconds = shared.waits.answer.as_secs_f64();
            return StreamError::Timeout {
                reason: format!("waited {seconds} s for {doing}"),
                at: Coordinates::default(),
            };
        }
    };
    *played = Some(Instant::now());
    listener.state(State::Playing, format!("plays {codec}"), None);
    play(&mut stream, codec, shared.waits.stall, listener).await
}

/// Of what a camera offers, so much is repeated in an error: hostile bytes must not fill the log.
const MOST_NAMED: usize = 8;
const LONGEST_NAME: usize = 40;

async fn call(
    source: &Source,
    group: Arc<SessionGroup>,
    doing: &mut &'static str,
) -> Result<(Demuxed, Codec), StreamError> {
    let retinas = |error: retina::Error| StreamError::of_retina(&error);
    let options = SessionOptions::default()
        .creds(source.credentials.clone())
        .session_group(group)
        .session_id(SessionIdPolicy::UseFirst)
        .teardown(TeardownPolicy::Auto)
        .user_agent(concat!("edusense/", env!("CARGO_PKG_VERSION")).to_owned());
    let mut session = Session::describe(source.url.clone(), options)
        .await
        .map_err(retinas)?;
    let offered = session
        .streams()
        .iter()
        .enumerate()
        .filter(|(_, stream)| matches!(stream.media(), "video" | "image"));
    let known = |name: &str| match name {
        "h264" => Some(Codec::H264),
        "h265" => Some(Codec::H265),
        "jpeg" => Some(Codec::Jpeg),
        _ => None,
    };
    let Some((index, codec)) = offered
        .filter_map(|(index, stream)| Some((index, known(stream.encoding_name())?)))
        .next()
    else {
        let names: Vec<_> = session
            .streams()
            .iter()
            .take(MOST_NAMED)
            .map(|stream| {
                let name = format!("{}/{}", stream.media(), stream.encoding_name());
                let shown = name.chars().filter(|letter| !letter.is_control());
                shown.take(LONGEST_NAME).collect::<String>()
            })
            .collect();
        return Err(StreamError::Protocol {
            reason: format!(
                "the camera offers no H.264, H.265 or JPEG video, only: {}",
                names.join(", ")
            ),
            at: Coordinates::default(),
        });
    };
    *doing = "the answer to SETUP";
    let setup = SetupOptions::default().frame_format(FrameFormat::SIMPLE);
    session.setup(index, setup).await.map_err(retinas)?;
    *doing = "the answer to PLAY";
    let session = session
        .play(PlayOptions::default())
        .await
        .map_err(retinas)?;
    Ok((session.demuxed().map_err(retinas)?, codec))
}

async fn play(
    stream: &mut Demuxed,
    codec: Codec,
    stall: Duration,
    listener: &mut impl Listener,
) -> StreamError {
    // One timer a session, moved only when it fires: a timer an item would cost more than the item.
    let mut last = Instant::now();
    let watchdog = tokio::time::sleep_until(last + stall);
    tokio::pin!(watchdog);
    let mut size = None;
    let mut pictures = 0_u64;
    loop {
        let item = tokio::select! {
            biased;
            item = stream.next() => item,
            () = &mut watchdog => {
                if last.elapsed() >= stall {
                    let reason = format!("silent for {} s, after {pictures} pictures", stall.as_secs_f64());
                    return StreamError::Timeout { reason, at: place(stream) };
                }
                watchdog.as_mut().reset(last + stall);
                continue;
            }
        };
        match item {
            Some(Ok(CodecItem::VideoFrame(frame))) => {
                // Sender reports count for nothing: a camera whose encoder hangs goes on sending them, and one picture that
                // never ends would fill the memory behind them.
                last = Instant::now();
                pictures += 1;
                let new_parameters = frame.has_new_parameters();
                if new_parameters || size.is_none() {
                    let now = dimensions(stream, &frame);
                    if now.is_some() && now != size {
                        let (width, height) = now.unwrap_or_default();
                        listener.state(
                            State::Playing,
                            format!("plays {codec} {width}×{height}"),
                            None,
                        );
                    }
                    size = now.or(size).or(Some((0, 0)));
                }
                listener.picture(arrived(frame, codec, new_parameters));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return StreamError::of_retina(&error),
            None => {
                return StreamError::Lost {
                    reason: format!("the camera hung up after {pictures} pictures"),
                    at: place(stream),
                };
            }
        }
    }
}

fn place(stream: &Demuxed) -> Coordinates {
    let context = stream.streams().iter().find_map(|stream| stream.ctx());
    Coordinates {
        stream: context.map(ToString::to_string),
        ..Coordinates::default()
    }
}

fn dimensions(stream: &Demuxed, frame: &VideoFrame) -> Option<(u32, u32)> {
    match stream.streams().get(frame.stream_id())?.parameters()? {
        ParametersRef::Video(video) => Some(video.pixel_dimensions()),
        _ => None,
    }
}

fn arrived(frame: VideoFrame, codec: Codec, new_parameters: bool) -> Arrived {
    Arrived {
        codec,
        timestamp: frame.timestamp().timestamp(),
        key: codec == Codec::Jpeg || frame.is_random_access_point(),
        loss: u32::from(frame.loss()),
        new_parameters,
        data: Bytes::from(frame.into_data()), // retina's own allocation, handed on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let source = Source::new("rtsp://admin:p%40ss@10.0.0.9/live?x=1", None, None).unwrap();
        assert_eq!(source.address(), "rtsp://10.0.0.9/live?x=1");
        assert_eq!(source.credentials.as_ref().unwrap().password, "p@ss");
        assert!(!format!("{source:?}").contains("p@ss"));
        let apart = Source::new("rtsp://10.0.0.9/", Some("u"), Some("secret")).unwrap();
        assert!(!format!("{apart:?}").contains("secret"));
    }

    #[test]
    fn what_is_no_rtsp_address_is_refused_without_repeating_it() {
        for bad in [
            "http://u:geheim@h/",
            "geheim",
            "rtsp:geheim",
            "file:///geheim",
        ] {
            let error = Source::new(bad, None, None).unwrap_err();
            assert_eq!(error.code(), "stream-protocol");
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
    }
}
