//! The ledger of meals for Python: records cross as bytes, 128 each, and become a NumPy array on the other side.

use std::path::PathBuf;

use edusense_meals::{
    Ledger, MealsError, Options, RECORD_BYTES, RawRecord, Reader, Report, SLOT_BYTES, Torn,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::errors::NativeError;
use crate::outside::Outside;
use crate::pruning::seal_dict;

/// A ledger, open for writing or for reading.
#[pyclass(frozen, name = "Ledger", module = "edusense._native")]
struct NativeLedger {
    folder: PathBuf,
    open: Open,
}

enum Open {
    Writing(Box<Ledger>),
    Reading(Reader),
}

impl NativeLedger {
    fn writer(&self) -> Result<&Ledger, NativeError> {
        match &self.open {
            Open::Writing(ledger) => Ok(ledger),
            Open::Reading(_) => Err(MealsError::NotOpen("was opened for reading only").into()),
        }
    }
}

#[pymethods]
impl NativeLedger {
    /// Opens for writing; makes the ledger if there is none.
    #[staticmethod]
    #[pyo3(signature = (folder, *, school, holder, time, segment_records))]
    fn open(
        py: Python<'_>,
        folder: PathBuf,
        school: Option<u32>,
        holder: String,
        time: i64,
        segment_records: u64,
    ) -> PyResult<Self> {
        let options = Options {
            school,
            holder,
            time,
            segment_records,
            epoch: None,
            prepare_ahead: true,
        };
        let ledger = py.outside(|| Ledger::open(&folder, &options))?;
        Ok(Self {
            folder,
            open: Open::Writing(Box::new(ledger)),
        })
    }

    /// Opens for reading; takes no lock.
    #[staticmethod]
    fn read_only(py: Python<'_>, folder: PathBuf) -> PyResult<Self> {
        let reader = py.outside(|| Reader::open(&folder))?;
        Ok(Self {
            folder,
            open: Open::Reading(reader),
        })
    }

    /// Appends n × 128 bytes. Returns n statuses (u8), n positions (u64, little endian) and n times whether the earlier meal's
    /// light was on (u8), as bytes.
    fn append<'py>(
        &self,
        py: Python<'py>,
        records: &[u8],
        lazily: bool,
    ) -> PyResult<(
        Bound<'py, PyBytes>,
        Bound<'py, PyBytes>,
        Bound<'py, PyBytes>,
    )> {
        let receipts = py.outside(|| -> Result<_, NativeError> {
            let (records, rest): (&[RawRecord], _) = records.as_chunks::<RECORD_BYTES>();
            if !rest.is_empty() {
                return Err(NativeError::new(
                    "usage",
                    "records are not a multiple of 128 bytes",
                    None,
                ));
            }
            let ledger = self.writer()?;
            Ok(if lazily {
                ledger.append_lazily(records)?
            } else {
                ledger.append(records)?
            })
        })?;
        let statuses: Vec<u8> = receipts
            .iter()
            .map(|receipt| receipt.status as u8)
            .collect();
        let positions: Vec<u8> = receipts
            .iter()
            .flat_map(|receipt| receipt.position.to_le_bytes())
            .collect();
        let shown: Vec<u8> = receipts
            .iter()
            .map(|receipt| u8::from(receipt.shown))
            .collect();
        Ok((
            PyBytes::new(py, &statuses),
            PyBytes::new(py, &positions),
            PyBytes::new(py, &shown),
        ))
    }

    /// Records `start` to `stop` as bytes, at most those that can be read.
    fn records<'py>(
        &self,
        py: Python<'py>,
        start: u64,
        stop: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.outside(|| match &self.open {
            Open::Writing(ledger) => ledger.read(start, stop),
            Open::Reading(reader) => reader.read(start, stop),
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Position of the meal that holds child, day and slot, and whether its light was on.
    fn holding(
        &self,
        py: Python<'_>,
        pupil: u64,
        day: u32,
        slot: &[u8],
    ) -> PyResult<Option<(u64, bool)>> {
        let mut name = [0; SLOT_BYTES];
        let Some(room) = name.get_mut(..slot.len()) else {
            return Ok(None);
        };
        room.copy_from_slice(slot);
        let held =
            py.outside(|| Ok::<_, NativeError>(self.writer()?.holding(pupil, day, &name)))?;
        Ok(held.map(|held| (held.position, held.shown)))
    }

    /// Records that can be read.
    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        py.outside(|| match &self.open {
            Open::Writing(ledger) => Ok(ledger.count()),
            Open::Reading(reader) => reader.count(),
        })
    }

    /// Position of the first record that was not pruned.
    fn first(&self, py: Python<'_>) -> PyResult<u64> {
        py.outside(|| match &self.open {
            Open::Writing(ledger) => Ok(ledger.first()),
            Open::Reading(reader) => reader.first(),
        })
    }

    /// Segments in use.
    fn segments(&self, py: Python<'_>) -> PyResult<u64> {
        py.outside(|| match &self.open {
            Open::Writing(ledger) => Ok(ledger.segment_count() as u64),
            Open::Reading(reader) => reader.segment_count(),
        })
    }

    /// Why nothing can be recorded any more, if so.
    fn broken(&self) -> Option<String> {
        match &self.open {
            Open::Writing(ledger) => ledger.broken(),
            Open::Reading(_) => None,
        }
    }

    /// Who writes to it at this moment, if anybody does.
    fn holder(&self, py: Python<'_>) -> PyResult<Option<String>> {
        py.outside(|| -> Result<_, MealsError> {
            match &self.open {
                Open::Writing(_) => Ok(Reader::open(&self.folder)?.holder()),
                Open::Reading(reader) => Ok(reader.holder()),
            }
        })
    }

    /// The epoch of this opening; None when it was opened for reading.
    #[getter]
    fn epoch(&self) -> Option<u32> {
        match &self.open {
            Open::Writing(ledger) => Some(ledger.epoch()),
            Open::Reading(_) => None,
        }
    }

    /// The number of the school; None when it was opened for reading.
    #[getter]
    fn school(&self) -> Option<u32> {
        match &self.open {
            Open::Writing(ledger) => Some(ledger.school()),
            Open::Reading(_) => None,
        }
    }

    /// The torn tail that was cut at opening, as a dict.
    #[getter]
    fn recovered<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        match &self.open {
            Open::Writing(ledger) => ledger
                .recovered()
                .map(|torn| torn_dict(py, torn))
                .transpose(),
            Open::Reading(_) => Ok(None),
        }
    }

    /// Returns when everything appended is on the disk.
    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        py.outside(|| -> Result<_, NativeError> { Ok(self.writer()?.sync()?) })
    }

    /// Leaves in good order; harmless when repeated.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.outside(|| match &self.open {
            Open::Writing(ledger) => ledger.close(),
            Open::Reading(_) => Ok(()),
        })
    }

    /// Accounts for every byte of the folder; a dict.
    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = py.outside(|| match &self.open {
            Open::Writing(_) => Reader::open(&self.folder)?.verify(),
            Open::Reading(reader) => reader.verify(),
        })?;
        report_dict(py, &report)
    }
}

fn torn_dict<'py>(py: Python<'py>, torn: &Torn) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("segment", &torn.segment)?;
    dict.set_item("offset", torn.offset)?;
    dict.set_item("record", torn.record)?;
    dict.set_item("count", torn.count)?;
    dict.set_item("confirmed", torn.confirmed)?;
    Ok(dict)
}

fn report_dict<'py>(py: Python<'py>, report: &Report) -> PyResult<Bound<'py, PyDict>> {
    let problems = PyList::empty(py);
    for problem in &report.problems {
        let dict = PyDict::new(py);
        dict.set_item("segment", &problem.segment)?;
        dict.set_item("offset", problem.offset)?;
        dict.set_item("record", problem.record)?;
        dict.set_item("count", problem.count)?;
        dict.set_item("what", &problem.what)?;
        problems.append(dict)?;
    }
    let dict = PyDict::new(py);
    dict.set_item("records", report.records)?;
    dict.set_item("segments", report.segments)?;
    dict.set_item("bytes", report.bytes)?;
    dict.set_item("unused_bytes", report.unused_bytes)?;
    dict.set_item("torn_bytes", report.torn_bytes)?;
    dict.set_item(
        "torn_tail",
        report
            .torn
            .as_ref()
            .map(|torn| torn_dict(py, torn))
            .transpose()?,
    )?;
    dict.set_item("problems", problems)?;
    dict.set_item("notes", report.notes.clone())?;
    dict.set_item("synced", report.synced)?;
    dict.set_item("closed", report.closed)?;
    dict.set_item("holder", report.holder.clone())?;
    dict.set_item("head", PyBytes::new(py, &report.head))?;
    dict.set_item("first", report.first)?;
    let seals = PyList::empty(py);
    for one in &report.seals {
        let dict = seal_dict(py, &one.seal)?;
        dict.set_item("pruned", one.pruned)?;
        seals.append(dict)?;
    }
    dict.set_item("seals", seals)?;
    Ok(dict)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeLedger>()
}
