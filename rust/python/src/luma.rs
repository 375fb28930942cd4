//! The analysis decoders by themselves, for Python: a picture in, luma out.

use bytes::Bytes;
use edusense_bitstream::{AccessUnit, Codec};
use edusense_decode::{Decoder, Detail, Gather, H264Intra, JpegError, Luma, jpeg_eighth};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;

use crate::errors::NativeError;
use crate::outside::Outside;

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

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(h264_intra, module)?)?;
    module.add_function(wrap_pyfunction!(eighth, module)?)
}
