//! What can be wrong with a picture's bytes, with its place.

use std::fmt;

/// Where in an access unit: which NAL unit (from 0) of which type, and which bit of its payload, counted after the NAL header
/// with emulation prevention removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// NAL unit of the access unit, from 0.
    pub unit: usize,
    /// `nal_unit_type`.
    pub kind: u8,
    /// Bit of the payload.
    pub bit: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "NAL unit {} (type {}), bit {}",
            self.unit, self.kind, self.bit
        )
    }
}

/// A picture's bytes are not what its standard allows, or of a kind that is not read here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No slice and no scan was found.
    #[error("no picture in {bytes} bytes of {codec}")]
    NoPicture {
        /// How many bytes were searched.
        bytes: usize,
        /// As what they were read.
        codec: crate::Codec,
    },
    /// The payload ended inside a syntax element.
    #[error("{place}: ends inside `{element}`")]
    Ended {
        /// Where.
        place: Place,
        /// The syntax element, as the standard calls it.
        element: &'static str,
    },
    /// A syntax element's value is outside what the standard allows, or what can be meant.
    #[error("{place}: `{element}` has an impossible value: {detail}")]
    Value {
        /// Where.
        place: Place,
        /// The syntax element.
        element: &'static str,
        /// What was found.
        detail: String,
    },
    /// A slice or a picture parameter set refers to a parameter set that has not been sent.
    #[error("{place}: refers to {what} {id}, which was not sent")]
    Missing {
        /// Where.
        place: Place,
        /// What is missing.
        what: &'static str,
        /// Its number.
        id: u32,
    },
    /// A JPEG marker segment that ends too early or makes no sense.
    #[error("JPEG byte {byte}: {detail}")]
    Jpeg {
        /// Where.
        byte: usize,
        /// What was found.
        detail: &'static str,
    },
    /// NAL units that cannot be told apart, or a decoder configuration record that makes no sense.
    #[error("byte {byte}: `{element}` has an impossible value: {detail}")]
    Framing {
        /// Where, in the sample or the record.
        byte: usize,
        /// What stands there.
        element: &'static str,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// Something that is legal and not read here.
    #[error("{what} is not read")]
    Declined {
        /// What it is.
        what: &'static str,
    },
}

impl Error {
    /// Codes that [`Self::code`] can return.
    pub const CODES: &'static [&'static str] = &["picture-damaged", "picture-declined"];

    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        if matches!(self, Self::Declined { .. }) {
            Self::CODES[1]
        } else {
            Self::CODES[0]
        }
    }

    /// What to do next, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        matches!(self, Self::Missing { .. })
            .then(|| "the stream may have been joined in the middle: it can be read from its next key picture".to_owned())
    }
}
