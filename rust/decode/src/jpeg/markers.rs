//! Marker segments (B.2), up to the scan that carries luma.

use super::huffman::{Tables, standard};
use super::{JpegError, MAX_SIDE};

/// A component of the frame.
#[derive(Clone, Copy)]
pub(super) struct Component {
    id: u8,
    /// Blocks in an MCU: across and down.
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) quantiser: usize,
}

/// A component's part in a scan.
pub(super) struct Part {
    pub(super) component: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// The scan that carries luma.
pub(super) struct Scan {
    pub(super) parts: Vec<Part>,
    /// Where its data begin.
    pub(super) data: usize,
}

/// What stands before the scan.
pub(super) struct Head {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
    /// MCUs between restart markers; 0: there are none.
    pub(super) restart: usize,
    /// The first entry of each quantisation table: the others belong to AC coefficients.
    pub(super) quantisers: [u16; 4],
    pub(super) dc: Vec<Tables>,
    pub(super) ac: Vec<Tables>,
    /// Adobe says that the components are not YCbCr.
    not_ycc: bool,
}

impl Head {
    pub(super) fn new() -> Self {
        // Cameras leave the standard tables out (as RFC 2435 does): they are there until a DHT replaces them.
        let tables = |ac| {
            (0..4)
                .filter_map(|index| standard(ac, index % 2 == 1))
                .collect()
        };
        Self {
            width: 0,
            height: 0,
            components: Vec::new(),
            restart: 0,
            quantisers: [1; 4],
            dc: tables(false),
            ac: tables(true),
            not_ycc: false,
        }
    }

    /// Reads up to the data of the scan that carries luma.
    pub(super) fn read(&mut self, data: &[u8]) -> Result<Scan, JpegError> {
        let damaged = |byte, reason| JpegError::Damaged { byte, reason };
        if data.first_chunk::<2>() != Some(&[0xff, 0xd8]) {
            return Err(damaged(0, "does not begin with SOI"));
        }
        let mut at = 2;
        loop {
            // Also passes over the data of scans without luma, where 0xff 0x00 is no marker.
            at += memchr::memchr(0xff, data.get(at..).unwrap_or_default())
                .ok_or(damaged(data.len(), "ends before a scan"))?;
            let marker = *data
                .get(at + 1)
                .ok_or(damaged(data.len(), "ends before a scan"))?;
            match marker {
                0xff => {
                    at += 1;
                    continue;
                }
                0x00 | 0x01 | 0xd0..=0xd8 => {
                    at += 2;
                    continue;
                }
                0xd9 => return Err(damaged(at, "the end of the image before a scan with luma")),
                _ => {}
            }
            let body =
                segment(data, at + 2).ok_or(damaged(at + 2, "a segment that ends too early"))?;
            let senseless = damaged(at + 2, "a segment that makes no sense");
            match marker {
                0xc0 | 0xc1 => self.frame(body, at + 2)?,
                0xc4 => self.huffman(body).ok_or(senseless)?,
                0xdb => self.quantisers(body).ok_or(senseless)?,
                0xdd => {
                    let &[high, low] = body.first_chunk::<2>().ok_or(senseless)?;
                    self.restart = usize::from(u16::from_be_bytes([high, low]));
                }
                0xee => {
                    // Adobe: colour transform 0 means RGB or CMYK.
                    self.not_ycc |= body.starts_with(b"Adobe") && body.get(11) == Some(&0);
                }
                0xda => {
                    let parts = self.scan(body).ok_or(senseless)?;
                    if parts.iter().any(|part| part.component == 0) {
                        let data = at + 4 + body.len();
                        return Ok(Scan { parts, data });
                    }
                }
                _ => {
                    if let Some(what) = declined(marker) {
                        return Err(JpegError::Declined(what));
                    }
                }
            }
            at += 4 + body.len();
        }
    }

    /// B.2.2.
    fn frame(&mut self, body: &[u8], byte: usize) -> Result<(), JpegError> {
        let senseless = JpegError::Damaged {
            byte,
            reason: "a frame header that makes no sense",
        };
        let Some((&[depth, y1, y0, x1, x0, count], rows)) = body.split_first_chunk::<6>() else {
            return Err(senseless);
        };
        if depth != 8 {
            return Err(JpegError::Declined("JPEG of 12 bits"));
        }
        self.width = usize::from(u16::from_be_bytes([x1, x0]));
        self.height = usize::from(u16::from_be_bytes([y1, y0]));
        if self.height == 0 {
            return Err(JpegError::Declined(
                "JPEG whose height follows its first scan (DNL)",
            ));
        }
        if self.width == 0 || count == 0 {
            return Err(senseless);
        }
        if self.width > MAX_SIDE || self.height > MAX_SIDE {
            return Err(JpegError::Declined("JPEG wider or higher than 8,192"));
        }
        if !matches!(count, 1 | 3) {
            return Err(JpegError::Declined(
                "JPEG of neither one nor three components",
            ));
        }
        self.components.clear();
        for row in rows.as_chunks::<3>().0.iter().take(usize::from(count)) {
            let &[id, sampling, quantiser] = row;
            let (across, down) = (usize::from(sampling >> 4), usize::from(sampling & 15));
            if !(1..=4).contains(&across) || !(1..=4).contains(&down) || quantiser > 3 {
                return Err(senseless);
            }
            self.components.push(Component {
                id,
                across,
                down,
                quantiser: usize::from(quantiser),
            });
        }
        if self.components.len() != usize::from(count) {
            return Err(senseless);
        }
        if let [only] = &mut self.components[..] {
            (only.across, only.down) = (1, 1);
        }
        let luma = self.components[0];
        if self
            .components
            .iter()
            .any(|other| other.across > luma.across || other.down > luma.down)
        {
            return Err(JpegError::Declined(
                "JPEG whose luma is coarser than its chroma",
            ));
        }
        Ok(())
    }

    /// B.2.4.2.
    fn huffman(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&place, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let length = counts.iter().map(|count| usize::from(*count)).sum();
            let symbols = rest.get(..length)?;
            let tables = if place >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            *tables.get_mut(usize::from(place & 15))? = Tables::new(counts, symbols)?;
            body = &rest[length..];
        }
        Some(())
    }

    /// B.2.4.1.
    fn quantisers(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&place, rest)) = body.split_first() {
            let wide = place >> 4 != 0;
            let &[high, low] = rest.first_chunk::<2>()?;
            *self.quantisers.get_mut(usize::from(place & 15))? = if wide {
                u16::from_be_bytes([high, low])
            } else {
                u16::from(high)
            };
            body = rest.get(if wide { 128 } else { 64 }..)?;
        }
        Some(())
    }

    /// B.2.3.
    fn scan(&self, body: &[u8]) -> Option<Vec<Part>> {
        let (&count, rest) = body.split_first()?;
        if count == 0 || usize::from(count) > self.components.len() {
            return None;
        }
        let mut parts = Vec::new();
        for &[id, tables] in rest.as_chunks::<2>().0.iter().take(usize::from(count)) {
            let component = self
                .components
                .iter()
                .position(|component| component.id == id)?;
            let (dc, ac) = (usize::from(tables >> 4), usize::from(tables & 15));
            if dc > 3 || ac > 3 {
                return None;
            }
            parts.push(Part { component, dc, ac });
        }
        (parts.len() == usize::from(count)).then_some(parts)
    }

    /// Whether the first component is luma.
    pub(super) fn has_luma(&self) -> bool {
        let ids: Vec<u8> = self
            .components
            .iter()
            .map(|component| component.id)
            .collect();
        self.components.len() == 1 || !(self.not_ycc || ids == *b"RGB")
    }
}

fn segment(data: &[u8], at: usize) -> Option<&[u8]> {
    let rest = data.get(at..)?;
    let length = usize::from(u16::from_be_bytes(*rest.first_chunk::<2>()?));
    rest.get(2..length)
}

/// Frames that are not decoded here, by their marker (table B.1).
fn declined(marker: u8) -> Option<&'static str> {
    match marker {
        0xc2 => Some("progressive JPEG"),
        0xc3 => Some("lossless JPEG"),
        0xc5..=0xc7 => Some("hierarchical JPEG"),
        0xc9..=0xcc => Some("JPEG with arithmetic coding"),
        0xcd..=0xcf => Some("hierarchical JPEG with arithmetic coding"),
        _ => None,
    }
}
