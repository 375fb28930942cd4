//! FFmpeg behind the engine's door: [`Decoder`] by PyAV.
//!
//! Python is entered once a run. Contexts are pooled: a context of FFmpeg's takes memory and time to build, and needs only be
//! flushed between runs of the same codec. A run that goes on where an earlier one ended (the next slice of a long group of
//! pictures) goes on in the context that decoded it, if that is still there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use edusense_bitstream::{AccessUnit, Codec};
use edusense_decode::{Band, Decoder, Detail, Refusal};
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::pictures::luma_of;

/// Contexts that are kept although nobody decodes.
const MOST_IDLE: usize = 6;

/// A context between two runs.
struct Idle {
    codec: Codec,
    context: Py<PyAny>,
    /// The key picture of the run that it decoded. Held, so that its address is nobody else's.
    head: Bytes,
    /// How many pictures of it were fed; 0 when it cannot go on.
    fed: usize,
}

/// FFmpeg, by PyAV.
pub(crate) struct PyAv {
    idle: Mutex<Vec<Idle>>,
    closing: AtomicBool,
}

/// Lets a closure that is not `Send` through [`Python::detach`], which runs it on the calling thread.
struct SameThread<T>(T);

// SAFETY: made and used in `show` only, where the value is consumed by the closure given to `detach`; that closure runs on this
// very thread before `detach` returns, so the value never changes threads.
unsafe impl<T> Send for SameThread<T> {}

impl<T> SameThread<T> {
    fn into_inner(self) -> T {
        self.0
    }
}

impl PyAv {
    pub(crate) fn new() -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            closing: AtomicBool::new(false),
        }
    }

    /// Breaks runs off at their next picture: somebody wants to go home.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Lets contexts go; called while the interpreter is still there.
    pub(crate) fn clear(&self) {
        let contexts =
            std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        drop(contexts);
    }

    fn borrow(&self, run: &[AccessUnit], first_wanted: usize) -> Option<Idle> {
        let head = run.first()?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |idle: &Idle| {
            idle.fed > 0
                && idle.fed <= first_wanted
                && idle.head.as_ptr() == head.data.as_ptr()
                && idle.head.len() == head.data.len()
        };
        // Parameter sets stand at the head of a key picture: the same head means the same size, and memory that fits.
        let alike = |idle: &Idle| {
            let length = 24.min(head.data.len());
            idle.codec == head.codec && idle.head.get(..length) == head.data.get(..length)
        };
        let place = idle
            .iter()
            .position(goes_on)
            .or_else(|| idle.iter().position(alike))
            .or_else(|| {
                (idle.len() >= MOST_IDLE)
                    .then(|| idle.iter().position(|idle| idle.codec == head.codec))
                    .flatten()
            })?;
        let goes_on = goes_on(&idle[place]);
        let mut found = idle.remove(place);
        if !goes_on {
            found.fed = 0;
        }
        Some(found)
    }

    fn put_back(&self, returned: Idle) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(returned);
        let surplus = (idle.len() > MOST_IDLE).then(|| idle.remove(0));
        drop(idle); // before Python may run what an object's end brings with it
        drop(surplus);
    }

    fn run(
        &self,
        py: Python<'_>,
        run: &[AccessUnit],
        wanted: &[u8],
        sink: &mut dyn FnMut(usize, Band<'_>),
    ) -> PyResult<()> {
        let (Some(head), Some(first), Some(last)) = (
            run.first(),
            wanted.iter().position(|wanted| *wanted > 0),
            wanted.iter().rposition(|wanted| *wanted > 0),
        ) else {
            return Ok(());
        };
        let (context, fed) = match self.borrow(run, first) {
            Some(Idle { context, fed, .. }) => {
                let context = context.into_bound(py);
                if fed == 0 {
                    context.call_method0("reset")?;
                }
                (context, fed)
            }
            None => {
                let class = py
                    .import("edusense.video.pyav_decoder")?
                    .getattr("RunDecoder")?;
                (class.call1((head.codec.name(),))?, 0)
            }
        };
        let units = PyList::new(
            py,
            run[fed..=last]
                .iter()
                .map(|unit| PyBytes::new(py, &unit.data)),
        )?;
        let marks = PyBytes::new(py, &wanted[fed..=last]);
        for item in context
            .call_method1("run", (units, fed, marks))?
            .try_iter()?
        {
            let (index, luma): (usize, PyReadonlyArray2<'_, u8>) = item?.extract()?;
            show(py, index, &luma, sink)?;
            if self.closing.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
        let drained: bool = context.getattr("drained")?.extract()?;
        self.put_back(Idle {
            codec: head.codec,
            context: context.unbind(),
            head: head.data.clone(),
            fed: if drained { 0 } else { last + 1 },
        });
        Ok(())
    }
}

/// Gives a picture to the sink, without the interpreter.
fn show(
    py: Python<'_>,
    index: usize,
    luma: &PyReadonlyArray2<'_, u8>,
    sink: &mut dyn FnMut(usize, Band<'_>),
) -> PyResult<()> {
    let band = Band::whole(luma_of(luma)?);
    let sink = SameThread(sink);
    py.detach(move || {
        let sink = sink;
        (sink.into_inner())(index, band);
    });
    Ok(())
}

impl Decoder for PyAv {
    fn name(&self) -> &'static str {
        "pyav"
    }

    fn decode(
        &self,
        run: &[AccessUnit],
        wanted: &dyn Fn(usize) -> bool,
        _: Detail,
        sink: &mut dyn FnMut(usize, Band<'_>),
    ) -> Result<(), Refusal> {
        let wanted: Vec<u8> = (0..run.len())
            .map(|index| u8::from(wanted(index)))
            .collect();
        let done = Python::try_attach(|py| {
            self.run(py, run, &wanted, sink)
                .map_err(|error| refusal(py, &error))
        });
        done.unwrap_or_else(|| {
            Err(Refusal::Failed {
                reason: "Python is closing down".to_owned(),
            })
        })
    }
}

/// Turns what Python raised into a reason.
fn refusal(py: Python<'_>, error: &PyErr) -> Refusal {
    let value = error.value(py);
    let class = error.get_type(py);
    let name = class
        .name()
        .map_or_else(|_| String::new(), |name| name.to_string());
    match &*name {
        "DamagedError" => Refusal::Damaged {
            index: value
                .getattr("index")
                .and_then(|index| index.extract())
                .unwrap_or(0),
            reason: value
                .getattr("reason")
                .and_then(|reason| reason.extract())
                .unwrap_or_default(),
        },
        "DeclinedError" => Refusal::Declined {
            reason: value.to_string(),
        },
        _ => Refusal::Failed {
            reason: format!("{name}: {value}"),
        },
    }
}
