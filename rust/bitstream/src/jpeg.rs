//! JPEG (ITU-T T.81): as far as the frame header, for the size.

use crate::Error;
use crate::stream::Description;

/// Start of image.
const SOI: u8 = 0xd8;
/// End of image.
const EOI: u8 = 0xd9;
/// Start of scan.
const SOS: u8 = 0xda;

/// Finds the frame header (B.2.2) and reads the size.
pub(crate) fn describe(data: &[u8]) -> Result<Description, Error> {
    let fault = |byte, detail| Error::Jpeg { byte, detail };
    if data.first_chunk::<2>() != Some(&[0xff, SOI]) {
        return Err(fault(0, "does not begin with SOI"));
    }
    let mut at = 2;
    loop {
        // Any number of fill bytes may stand before a marker (B.1.1.2).
        let Some(&[prefix, marker]) = data.get(at..).and_then(|rest| rest.first_chunk::<2>())
        else {
            return Err(fault(at, "ends before a frame header"));
        };
        if prefix != 0xff {
            return Err(fault(at, "no marker where one must be"));
        }
        match marker {
            0xff => at += 1,
            // Markers without a segment: restart, SOI, TEM.
            0x01 | 0xd0..=SOI => at += 2,
            EOI | SOS => return Err(fault(at, "a scan or the end before a frame header")),
            _ => {
                let segment = data.get(at + 2..).unwrap_or_default();
                let length = segment
                    .first_chunk::<2>()
                    .map(|length| usize::from(u16::from_be_bytes(*length)));
                let body = length
                    .filter(|length| *length >= 2)
                    .and_then(|length| segment.get(2..length));
                let Some(body) = body else {
                    return Err(fault(at + 2, "a segment that ends too early"));
                };
                // SOF0 to SOF15 but DHT, JPG and DAC.
                if (0xc0..=0xcf).contains(&marker) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                    return frame(marker, body)
                        .ok_or(fault(at + 2, "a frame header that makes no sense"));
                }
                at += 4 + body.len();
            }
        }
    }
}

fn frame(marker: u8, body: &[u8]) -> Option<Description> {
    let &[
        bit_depth,
        height_high,
        height_low,
        width_high,
        width_low,
        components,
    ] = body.first_chunk::<6>()?;
    let width = u32::from(u16::from_be_bytes([width_high, width_low]));
    let height = u32::from(u16::from_be_bytes([height_high, height_low]));
    let sampling = body.get(7).copied();
    if width == 0 || height == 0 || components == 0 {
        return None;
    }
    let profile = match marker {
        0xc0 => "Baseline",
        0xc1 => "Extended sequential",
        0xc2 => "Progressive",
        0xc3 => "Lossless",
        0xc9..=0xcb => "Arithmetic",
        _ => "Differential",
    };
    Some(Description {
        profile: profile.to_owned(),
        level: None,
        width,
        height,
        coded_width: width.div_ceil(8) * 8,
        coded_height: height.div_ceil(8) * 8,
        macroblocks: width.div_ceil(16) * height.div_ceil(16),
        entropy_coder: None,
        interlaced: false,
        chroma: match (components, sampling) {
            (1, _) => "4:0:0",
            (_, Some(0x22)) => "4:2:0",
            (_, Some(0x21)) => "4:2:2",
            (_, Some(0x11)) => "4:4:4",
            _ => "unknown",
        },
        bit_depth,
        reference_frames: 0,
        rate: None,
    })
}
