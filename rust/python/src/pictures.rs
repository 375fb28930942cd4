//! Pictures and what moves in them, for Python.
//!
//! Luma comes in as a NumPy array of `uint8[height, width]` and is read where it lies: any array whose rows are contiguous will
//! do, so a plane of FFmpeg's with its padding needs no copy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edusense_bitstream::{Codec, Reader, SliceKind};
use edusense_decode::LumaView;
use edusense_motion as motion;
use numpy::{PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::NativeError;
use crate::heat::{HeatRow, heat_row};
use crate::outside::Outside;

/// A region as Python sees it: x, y, width, height.
type Box4 = (u32, u32, u32, u32);

fn boxes(regions: &[motion::Region]) -> Vec<Box4> {
    regions
        .iter()
        .map(|region| (region.x, region.y, region.width, region.height))
        .collect()
}

/// A state that a panic elsewhere left behind is still sound: every method leaves it so between two statements.
fn held<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The rows of an array, without a copy.
pub(crate) fn luma_of<'a>(array: &'a PyReadonlyArray2<'_, u8>) -> PyResult<LumaView<'a>> {
    let (&[height, width], &[row, column]) = (array.shape(), array.strides()) else {
        return Err(PyTypeError::new_err("luma must have two dimensions"));
    };
    let stride = usize::try_from(row)
        .ok()
        .filter(|stride| *stride >= width || height == 1);
    let (Some(stride), true) = (stride, column == 1 || width == 1) else {
        return Err(PyValueError::new_err(
            "luma must have contiguous rows: use numpy.ascontiguousarray",
        ));
    };
    let stride = stride.max(width);
    let length = if height == 0 || width == 0 {
        0
    } else {
        stride * (height - 1) + width
    };
    // SAFETY: NumPy vouches for `height` rows of `width` bytes that begin `stride` bytes after each other, which is `length` bytes
    // from the first to the last, all inside one allocation that `array` keeps alive; they are read only. The borrow that
    // `PyReadonlyArray2` holds keeps Rust from writing to them; Python code that writes meanwhile changes levels, nothing else.
    let data = unsafe { std::slice::from_raw_parts(array.data(), length) };
    LumaView::new(width, height, stride, data)
        .ok_or_else(|| PyValueError::new_err("luma must not be empty"))
}

/// What one look saw: see `edusense_motion::Look`.
#[pyclass(frozen, module = "edusense._native")]
struct Look(motion::Look);

#[pymethods]
impl Look {
    #[getter]
    fn t_s(&self) -> f64 {
        self.0.t_s
    }

    #[getter]
    fn moved(&self) -> bool {
        self.0.moved
    }

    #[getter]
    fn regions(&self) -> Vec<Box4> {
        boxes(&self.0.regions)
    }

    #[getter]
    fn score(&self) -> f32 {
        self.0.score
    }

    #[getter]
    fn share(&self) -> f32 {
        self.0.share
    }

    #[getter]
    fn light(&self) -> bool {
        self.0.light
    }

    #[getter]
    fn since_s(&self) -> f64 {
        self.0.since_s
    }

    #[getter]
    fn until_s(&self) -> f64 {
        self.0.until_s
    }

    #[getter]
    fn pending(&self) -> bool {
        self.0.pending
    }

    fn __repr__(&self) -> String {
        let look = &self.0;
        format!(
            "Look(t_s={:.3}, moved={}, score={:.2}, share={:.4}, light={}, pending={}, regions={:?})",
            look.t_s,
            look.moved,
            look.score,
            look.share,
            look.light,
            look.pending,
            boxes(&look.regions)
        )
    }
}

/// An event: see `edusense_motion::Event`.
#[pyclass(frozen, module = "edusense._native")]
struct MotionEvent(motion::Event);

#[pymethods]
impl MotionEvent {
    #[getter]
    fn start_s(&self) -> f64 {
        self.0.start_s
    }

    #[getter]
    fn end_s(&self) -> f64 {
        self.0.end_s
    }

    #[getter]
    fn score(&self) -> f32 {
        self.0.score
    }

    #[getter]
    fn regions(&self) -> Vec<Box4> {
        boxes(&self.0.regions)
    }

    fn __repr__(&self) -> String {
        let event = &self.0;
        format!(
            "MotionEvent({:.3} to {:.3} s, score={:.2})",
            event.start_s, event.end_s, event.score
        )
    }
}

/// Settings by name; an unknown name or a value that is no number is an error.
fn settings_of(given: Option<&Bound<'_, PyDict>>) -> PyResult<motion::Settings> {
    let mut settings = motion::Settings::default();
    for (name, value) in given.into_iter().flatten() {
        let (name, value): (String, f32) = (name.extract()?, value.extract()?);
        if !settings.set(&name, value) {
            let known: Vec<&str> = motion::Settings::NAMES.to_vec();
            return Err(PyTypeError::new_err(format!(
                "no setting `{name}` with a value of {value}; there are {known:?}"
            )));
        }
    }
    Ok(settings)
}

/// Finds what moves in one camera's pictures.
#[pyclass(frozen, module = "edusense._native")]
struct Detector(Mutex<motion::Detector>);

#[pymethods]
impl Detector {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Ok(Self(Mutex::new(motion::Detector::new(settings_of(
            settings,
        )?))))
    }

    /// Where things moved so far; None before the first picture.
    fn heat<'py>(&self, py: Python<'py>) -> Option<HeatRow<'py>> {
        let heat = held(&self.0).heat();
        heat.map(|heat| heat_row(py, heat))
    }

    /// Where motion counts.
    fn set_zones(
        &self,
        py: Python<'_>,
        watch: Vec<motion::Polygon>,
        ignore: Vec<motion::Polygon>,
    ) -> PyResult<()> {
        py.outside(|| {
            held(&self.0).set_zones(&Arc::new(motion::Zones { watch, ignore }));
            Ok::<_, NativeError>(())
        })
    }

    fn look(&self, py: Python<'_>, t_s: f64, luma: PyReadonlyArray2<'_, u8>) -> PyResult<Look> {
        let view = luma_of(&luma)?;
        py.outside(|| Ok::<_, NativeError>(Look(held(&self.0).look(t_s, view))))
    }
}

/// Joins looks to events.
#[pyclass(frozen, module = "edusense._native")]
struct EventTracker(Mutex<motion::EventTracker>);

#[pymethods]
impl EventTracker {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Ok(Self(Mutex::new(motion::EventTracker::new(&settings_of(
            settings,
        )?))))
    }

    fn push(&self, look: &Look) -> Option<MotionEvent> {
        held(&self.0).push(&look.0).map(MotionEvent)
    }

    fn finish(&self) -> Option<MotionEvent> {
        held(&self.0).finish().map(MotionEvent)
    }
}

/// The codec of that name.
fn codec_of(name: &str) -> PyResult<Codec> {
    [Codec::H264, Codec::H265, Codec::Jpeg]
        .into_iter()
        .find(|codec| codec.name() == name)
        .ok_or_else(|| {
            PyValueError::new_err(format!("no codec `{name}`; there are h264, h265 and jpeg"))
        })
}

/// What a picture is, read without decoding it; see `edusense_bitstream::PictureFacts`.
#[pyclass(frozen, get_all, module = "edusense._native")]
struct PictureFacts {
    key: bool,
    vcl_bits: u64,
    filler_bits: u64,
    slices: u32,
    macroblocks: u32,
    qp: Option<f32>,
    /// Of its slices: `I`, `P`, `B`, each once, in this order.
    kinds: String,
    level: f32,
    threshold: f32,
    fired: bool,
    learning: bool,
    /// What could not be read of it.
    fault: Option<String>,
}

/// Reads a stream's access units without decoding them, and asks a gate of its own.
#[pyclass(frozen, module = "edusense._native")]
struct Inspector {
    codec: Codec,
    state: Mutex<(Reader, motion::Gate)>,
}

#[pymethods]
impl Inspector {
    #[new]
    fn new(codec: &str) -> PyResult<Self> {
        Ok(Self {
            codec: codec_of(codec)?,
            state: Mutex::new((Reader::new(), motion::Gate::new())),
        })
    }

    /// The facts of an access unit (Annex B, or one JPEG), or an error that has a place.
    fn push(&self, py: Python<'_>, data: &[u8], key: bool) -> PyResult<PictureFacts> {
        py.outside(|| {
            let (reader, gate) = &mut *held(&self.state);
            let facts = reader.read(self.codec, data, key)?;
            if facts.key {
                gate.end_of_gop(None);
            }
            let reading = gate.push(facts);
            let kinds = [
                (SliceKind::I, 'I'),
                (SliceKind::P, 'P'),
                (SliceKind::B, 'B'),
            ];
            let has = |kind: SliceKind| facts.slices().iter().any(|slice| slice.kind == kind);
            // H.265 and JPEG do not tell theirs.
            let told = facts.qp().is_some();
            Ok::<_, edusense_bitstream::Error>(PictureFacts {
                key: facts.key,
                vcl_bits: facts.vcl_bits,
                filler_bits: facts.filler_bits,
                slices: facts.slice_count,
                macroblocks: facts.macroblocks,
                qp: facts.qp(),
                kinds: kinds
                    .iter()
                    .filter(|(kind, _)| told && has(*kind))
                    .map(|(_, letter)| letter)
                    .collect(),
                level: reading.level,
                threshold: reading.threshold,
                fired: reading.fired,
                learning: reading.learning,
                fault: reader.take_fault().map(|fault| fault.to_string()),
            })
        })
    }

    /// What the stream says about itself; None while it has said nothing.
    fn description<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        // Copied: making Python objects may let other threads run, and they must not find the lock taken.
        let Some(stream) = held(&self.state).0.description().cloned() else {
            return Ok(None);
        };
        let told = PyDict::new(py);
        told.set_item("profile", &stream.profile)?;
        told.set_item("level", stream.level)?;
        told.set_item("entropy_coder", stream.entropy_coder)?;
        told.set_item("width", stream.width)?;
        told.set_item("height", stream.height)?;
        told.set_item("coded_width", stream.coded_width)?;
        told.set_item("coded_height", stream.coded_height)?;
        told.set_item("interlaced", stream.interlaced)?;
        told.set_item("chroma", stream.chroma)?;
        told.set_item("bit_depth", stream.bit_depth)?;
        told.set_item("rate", stream.rate)?;
        Ok(Some(told))
    }

    /// The gate's state, what it means in words, and N.
    fn gate(&self) -> (&'static str, &'static str, Option<f32>) {
        let state = held(&self.state);
        let gate = &state.1;
        (gate.state().name(), gate.state().words(), gate.noise())
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Look>()?;
    module.add_class::<MotionEvent>()?;
    module.add_class::<PictureFacts>()?;
    module.add_class::<Inspector>()?;
    module.add_class::<Detector>()?;
    module.add_class::<EventTracker>()
}
