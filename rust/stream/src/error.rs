//! What can go wrong with a camera's stream, and where in its bytes.

use std::fmt;

/// Where something happened in what a camera sent. Each part only where it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coordinates {
    /// Both ends of the TCP connection and when it was made.
    pub connection: Option<String>,
    /// The stream of the session: transport and interleaved channels.
    pub stream: Option<String>,
    /// RTP sequence number.
    pub sequence: Option<u16>,
    /// Byte position in what the camera sent over the connection; its low 32 bits compare with a capture's relative TCP sequence number.
    pub byte: Option<u64>,
}

impl Coordinates {
    /// Nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Coordinates {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.stream.clone(),
            self.sequence
                .map(|number| format!("sequence number {number}")),
            self.byte.map(|position| format!("byte {position}")),
            self.connection
                .as_ref()
                .map(|connection| format!("connection {connection}")),
        ];
        let known: Vec<String> = parts.into_iter().flatten().collect();
        out.write_str(&known.join(", "))
    }
}

/// Why a camera's stream is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The camera accepted the connection and said nothing, or stopped sending.
    #[error("{reason}{}", place(at))]
    Timeout {
        /// What was waited for, and how long.
        reason: String,
        /// Where.
        at: Coordinates,
    },
    /// The connection could not be made or broke off.
    #[error("{reason}{}", place(at))]
    Lost {
        /// What happened.
        reason: String,
        /// Where.
        at: Coordinates,
    },
    /// The camera refused the user or password, or has no such stream.
    #[error("{reason}{}", place(at))]
    Refused {
        /// Its answer.
        reason: String,
        /// Where.
        at: Coordinates,
        /// It is the user or the password: trying again without a change may lock the account.
        credentials: bool,
    },
    /// What came over the connection is not RTSP or RTP as the standards have it.
    #[error("{reason}{}", place(at))]
    Protocol {
        /// What is wrong.
        reason: String,
        /// Where.
        at: Coordinates,
    },
}

fn place(at: &Coordinates) -> String {
    if at.is_empty() {
        String::new()
    } else {
        format!(" ({at})")
    }
}

/// Longest reason in characters: hostile bytes must not fill the log.
const LONGEST_REASON: usize = 400;

impl StreamError {
    /// Codes that [`Self::code`] can return.
    pub const CODES: &'static [&'static str] = &[
        "stream-timeout",
        "stream-lost",
        "stream-refused",
        "stream-protocol",
    ];

    /// The stable code of the error that a user sees.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "stream-timeout",
            Self::Lost { .. } => "stream-lost",
            Self::Refused { .. } => "stream-refused",
            Self::Protocol { .. } => "stream-protocol",
        }
    }

    /// What to do next, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Timeout { .. } => {
                "is the camera overloaded by other viewers, or does a firewall drop its packets?"
            }
            Self::Lost { .. } => "is the camera on, and is its address and port right?",
            Self::Refused {
                credentials: true, ..
            } => {
                "set the right user and password, then `edusense camera retry ID`; until then the camera is asked every 15 minutes"
            }
            Self::Refused { .. } => {
                "ask the camera for its stream's address: `edusense camera show ID`"
            }
            Self::Protocol { .. } => {
                "`edusense bench camera URL` records what the camera sends; its firmware may be known bad"
            }
        };
        Some(hint.to_owned())
    }

    /// What happened, without the place.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Timeout { reason, .. }
            | Self::Lost { reason, .. }
            | Self::Refused { reason, .. }
            | Self::Protocol { reason, .. } => reason,
        }
    }

    /// Where it happened.
    #[must_use]
    pub fn at(&self) -> &Coordinates {
        match self {
            Self::Timeout { at, .. }
            | Self::Lost { at, .. }
            | Self::Refused { at, .. }
            | Self::Protocol { at, .. } => at,
        }
    }

    /// A camera's address is not one that can be used.
    #[must_use]
    pub fn bad_address(reason: impl Into<String>) -> Self {
        Self::Protocol {
            reason: reason.into(),
            at: Coordinates::default(),
        }
    }

    /// Code of ours failed on what a camera sent.
    pub(crate) fn bug(reason: &str) -> Self {
        Self::Protocol {
            reason: reason.to_owned(),
            at: Coordinates::default(),
        }
    }

    /// Sorts an error of retina by what to do about it.
    pub(crate) fn of_retina(error: &retina::Error) -> Self {
        let (reason, at) = parse(&error.to_string());
        match error.status_code() {
            Some(status @ (401 | 403 | 407)) => Self::Refused {
                reason: format!("the camera refused the user or password (RTSP status {status})"),
                at,
                credentials: true,
            },
            Some(404) => Self::Refused {
                reason: "the camera has no stream at this address (RTSP status 404)".to_owned(),
                at,
                credentials: false,
            },
            Some(status) if status >= 300 => Self::Refused {
                reason,
                at,
                credentials: false,
            },
            _ if reason.contains("at EOF") => Self::Lost {
                reason: "the connection broke off in the middle of a message".to_owned(),
                at,
            },
            _ if [
                "Unable to connect",
                "Error reading",
                "Error writing",
                "Timeout",
            ]
            .iter()
            .any(|start| reason.starts_with(start)) =>
            {
                Self::Lost { reason, at }
            }
            _ => Self::Protocol { reason, at },
        }
    }
}

/// Takes the text of a retina error apart: it is the only form in which retina tells the place (0.4.21, `src/error.rs`).
fn parse(text: &str) -> (String, Coordinates) {
    let (reason, context) = text.split_once("\n\nconn: ").unwrap_or((text, ""));
    let mut at = Coordinates::default();
    let mut lines = context.lines();
    at.connection = lines
        .next()
        .filter(|line| !line.is_empty())
        .map(str::to_owned);
    for line in lines {
        let Some((key, value)) = line.split_once(": ") else {
            continue;
        };
        match key.trim() {
            "stream" => at.stream = Some(value.to_owned()),
            "seq" => at.sequence = value.parse().ok(),
            "pkt" | "msg" => at.byte = value.split('@').next().and_then(|byte| byte.parse().ok()),
            _ => {}
        }
    }
    // Nor must they reach a terminal as its commands.
    let words = reason.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let mut reason = words.join(" ");
    if let Some((end, _)) = reason.char_indices().nth(LONGEST_REASON) {
        reason.truncate(end);
        reason.push('…');
    }
    (reason, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_from_retinas_text() {
        let text = "bad nal header 00\n\nconn: 10.0.0.2:5000(me)->10.0.0.9:554@2026-11-23T00:00:00Z\n\
                    stream: TCP, interleaved channel ids 0-1\nssrc: 0000abcd\nseq: 4711\npkt: 123456@2026-11-23T00:00:01Z";
        let (reason, at) = parse(text);
        assert_eq!(reason, "bad nal header 00");
        assert_eq!(at.sequence, Some(4711));
        assert_eq!(at.byte, Some(123_456));
        assert_eq!(
            at.stream.as_deref(),
            Some("TCP, interleaved channel ids 0-1")
        );
        assert!(at.to_string().contains("sequence number 4711, byte 123456"));
    }

    #[test]
    fn hostile_text_is_cut() {
        let (reason, at) = parse(&"й".repeat(5000));
        assert_eq!(reason.chars().count(), LONGEST_REASON + 1);
        assert!(at.is_empty());
        let (reason, _) = parse("red \x1b[31malert\x07\r\n\u{9b}2J end");
        assert_eq!(reason, "red [31malert 2J end");
    }

    #[test]
    fn every_code_is_listed() {
        let at = Coordinates::default();
        let all = [
            StreamError::Timeout {
                reason: "x".into(),
                at: at.clone(),
            },
            StreamError::Lost {
                reason: "x".into(),
                at: at.clone(),
            },
            StreamError::Refused {
                reason: "x".into(),
                at: at.clone(),
                credentials: true,
            },
            StreamError::Protocol {
                reason: "x".into(),
                at,
            },
        ];
        assert_eq!(all.map(|error| error.code()), *StreamError::CODES);
    }
}
