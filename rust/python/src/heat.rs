//! Heat maps: arrays out.

use edusense_motion::Heat;
use numpy::PyArray1;
use pyo3::prelude::*;

/// Cells across and down; seconds of motion; masked; left out (empty where nothing is).
pub(crate) type HeatRow<'py> = (
    usize,
    usize,
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyArray1<bool>>,
    Bound<'py, PyArray1<bool>>,
);

pub(crate) fn heat_row(py: Python<'_>, heat: Heat) -> HeatRow<'_> {
    (
        heat.width,
        heat.height,
        PyArray1::from_vec(py, heat.moved_s),
        PyArray1::from_vec(py, heat.masked),
        PyArray1::from_vec(py, heat.closed),
    )
}
