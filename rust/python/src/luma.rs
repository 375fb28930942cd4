//! The decoders by themselves, for Python: a picture in, luma out.

use std::sync::Arc;

use bytes::Bytes;
use edusense_bitstream::{AccessUnit, Codec, Configuration, LengthSize, length_prefixed};
use edusense_decode::{Chain, Decoder, Detail, Gather, H264Intra, JpegError, Luma, jpeg_eighth};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;

use crate::engine::chain_of;
use crate::errors::NativeError;
use crate::outside::Outside;
use crate::pyav::PyAv;

/// Luma, who decoded it, and who declined it before with its reason.
type LumaRow<'py> = (
    Bound<'py, PyArray2<u8>>,
    &'static str,
    Vec<(&'static str, String)>,
);

/// Luma, width and height of the whole picture, and where it ended if it is cut.
type EighthRow<'py> = (Bound<'py, PyArray2<u8>>, usize, usize, Option<String>);

/// The picture as an array that owns the very bytes it was decoded into.
fn array_of(py: Python<'_>, luma: Luma) -> PyResult<Bound<'_, PyArray2<u8>>> {
    let size = [luma.height, luma.width];
    PyArray1::from_vec(py, luma.data).reshape(size)
}

/// Luma of an H.264 key picture with its parameter sets, without the loop filter.
#[pyfunction]
fn h264_intra(py: Python<'_>, unit: &[u8]) -> PyResult<Py<PyArray2<u8>>> {
    let unit = AccessUnit {
        codec: Codec::H264,
        data: Bytes::copy_from_slice(unit),
        pts: 0,
        received_s: 0.0,
        key: true,
        loss: 0,
    };
    let luma = py.outside(|| {
        let (mut luma, mut gather) = (None, Gather::default());
        H264Intra
            .decode(
                std::slice::from_ref(&unit),
                &|_| true,
                Detail::Whole,
                &mut |_, band| luma = gather.push(band),
            )
            .map_err(|refusal| NativeError::new(refusal.code(), refusal.to_string(), None))?;
        luma.ok_or_else(|| NativeError::new("picture-damaged", "no picture came of it", None))
    })?;
    Ok(array_of(py, luma)?.unbind())
}

/// Luma of a JPEG at an eighth of its size.
#[pyfunction(name = "jpeg_eighth")]
fn eighth<'py>(py: Python<'py>, data: &[u8]) -> PyResult<EighthRow<'py>> {
    let data = Bytes::copy_from_slice(data);
    let picture = py.outside(|| {
        jpeg_eighth(&data).map_err(|error| {
            let code = match error {
                JpegError::Declined(_) => "picture-declined",
                JpegError::Damaged { .. } => "picture-damaged",
            };
            NativeError::new(code, error.to_string(), None)
        })
    })?;
    Ok((
        array_of(py, picture.luma)?,
        picture.width,
        picture.height,
        picture.cut.map(|cut| cut.to_string()),
    ))
}

/// Key pictures of one stream, by the decoders that the box asks, in the same order.
#[pyclass(frozen, module = "edusense._native")]
struct LumaDecoder {
    codec: Codec,
    /// How samples are framed, and the parameter sets that they may leave out, as Annex B.
    framing: Option<(LengthSize, Vec<u8>)>,
    chain: Chain,
    pyav: Arc<PyAv>,
}

impl LumaDecoder {
    /// A unit as the decoders take it.
    fn annex_b(&self, unit: &[u8]) -> Result<Bytes, NativeError> {
        let Some((size, sets)) = &self.framing else {
            return Ok(Bytes::copy_from_slice(unit));
        };
        let mut data = sets.clone();
        for unit in length_prefixed(unit, *size) {
            begin(&mut data, unit.map_err(|error| damaged(&error))?);
        }
        Ok(data.into())
    }
}

fn begin(data: &mut Vec<u8>, unit: &[u8]) {
    data.extend([0, 0, 0, 1]);
    data.extend(unit);
}

fn damaged(error: &edusense_bitstream::Error) -> NativeError {
    NativeError::new("picture-damaged", error.to_string(), None)
}

#[pymethods]
impl LumaDecoder {
    #[new]
    fn new(py: Python<'_>, codec: &str, configuration: Option<&[u8]>) -> PyResult<Self> {
        py.outside(|| {
            let codec = [Codec::H264, Codec::H265, Codec::Jpeg]
                .into_iter()
                .find(|known| known.name() == codec)
                .ok_or_else(|| {
                    NativeError::new(
                        "usage",
                        format!("there is no codec `{codec}` here"),
                        Some("h264, h265 or jpeg".to_owned()),
                    )
                })?;
            let framing = configuration
                .map(|record| Configuration::read(codec, record).map_err(|error| damaged(&error)))
                .transpose()?
                .map(|record| {
                    let mut sets = Vec::new();
                    record.units.iter().for_each(|unit| begin(&mut sets, unit));
                    (record.length_size, sets)
                });
            let pyav = Arc::new(PyAv::new());
            Ok::<_, NativeError>(Self {
                codec,
                framing,
                chain: chain_of(&pyav),
                pyav,
            })
        })
    }

    /// Decodes a key picture.
    fn decode<'py>(&self, py: Python<'py>, unit: &[u8]) -> PyResult<LumaRow<'py>> {
        let (luma, decoder, refused) = py.outside(|| {
            let unit = AccessUnit {
                codec: self.codec,
                data: self.annex_b(unit)?,
                pts: 0,
                received_s: 0.0,
                key: true,
                loss: 0,
            };
            let (mut luma, mut gather) = (None, Gather::default());
            let taken = self
                .chain
                .decode(
                    std::slice::from_ref(&unit),
                    &|_| true,
                    Detail::Whole,
                    &mut |_, band| luma = gather.push(band),
                )
                .map_err(|refused| {
                    NativeError::new(refused.code(), refused.to_string(), refused.hint())
                })?;
            let luma = luma.ok_or_else(|| {
                NativeError::new("picture-damaged", "no picture came of it", None)
            })?;
            let refused = taken.refused.iter();
            let refused = refused
                .map(|(name, why)| (*name, why.to_string()))
                .collect();
            Ok::<_, NativeError>((luma, taken.decoder, refused))
        })?;
        Ok((array_of(py, luma)?, decoder, refused))
    }

    /// Lets go of FFmpeg's contexts.
    fn close(&self) {
        self.pyav.close();
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LumaDecoder>()?;
    module.add_function(wrap_pyfunction!(h264_intra, module)?)?;
    module.add_function(wrap_pyfunction!(eighth, module)?)
}
