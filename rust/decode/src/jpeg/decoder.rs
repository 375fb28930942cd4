//! JPEG at an eighth behind the door.

use edusense_bitstream::{AccessUnit, Codec};

use super::{JpegError, jpeg_eighth};
use crate::{Band, Decoder, Detail, Refusal, Shape};

/// Decodes JPEG pictures at an eighth of their size, which is enough for looking for motion.
///
/// Runs of which more is wanted are declined at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct JpegEighth;

impl Decoder for JpegEighth {
    fn name(&self) -> &'static str {
        "jpeg-eighth"
    }

    fn decode(
        &self,
        run: &[AccessUnit],
        wanted: &dyn Fn(usize) -> bool,
        detail: Detail,
        sink: &mut dyn FnMut(usize, Band<'_>),
    ) -> Result<(), Refusal> {
        let declined = |reason: &str| Refusal::Declined {
            reason: reason.to_owned(),
        };
        if run.iter().any(|unit| unit.codec != Codec::Jpeg) {
            return Err(declined("not JPEG"));
        }
        if detail == Detail::Whole {
            return Err(declined("more than an eighth of the size is wanted"));
        }
        // Each picture stands for itself: what follows a damaged one is sound.
        let mut damaged = None;
        for (index, unit) in run.iter().enumerate().filter(|(index, _)| wanted(*index)) {
            let reason = match jpeg_eighth(&unit.data) {
                Err(JpegError::Declined(reason)) => return Err(declined(reason)),
                Err(error) => error.to_string(),
                Ok(picture) => match picture.cut {
                    Some(cut) => cut.to_string(),
                    None => {
                        let shape = Shape {
                            width: picture.width,
                            height: picture.height,
                            scale: 8,
                        };
                        if let Some(band) = picture
                            .luma
                            .view()
                            .and_then(|rows| Band::new(shape, 0, rows))
                        {
                            sink(index, band);
                        }
                        continue;
                    }
                },
            };
            damaged.get_or_insert(Refusal::Damaged { index, reason });
        }
        damaged.map_or(Ok(()), Err)
    }
}
