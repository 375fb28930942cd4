//! Seals and pruning for Python: dicts out.

use std::path::{Path, PathBuf};

use edusense_meals::key::Key;
use edusense_meals::prune::{self, Plan, Terms};
use edusense_meals::seal::{self, Seal};
use edusense_meals::{Folder, MealsError, Reader};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::outside::Outside;

/// Seals the full segments of a ledger that have no seal; the new seals as dicts.
#[pyfunction]
fn seal_segments<'py>(
    py: Python<'py>,
    folder: PathBuf,
    seed: [u8; 32],
) -> PyResult<Bound<'py, PyList>> {
    let seals = py.outside(|| seal::seal(&there(&folder)?, &Key::from_seed(&seed)))?;
    let list = PyList::empty(py);
    for found in &seals {
        list.append(seal_dict(py, found)?)?;
    }
    Ok(list)
}

/// What pruning would do, as a dict; changes nothing.
#[pyfunction]
fn plan_pruning<'py>(
    py: Python<'py>,
    folder: PathBuf,
    hub_key: [u8; 32],
    keep_from: u32,
) -> PyResult<Bound<'py, PyDict>> {
    let terms = Terms { hub_key, keep_from };
    let plan = py.outside(|| prune::plan(&there(&folder)?, &terms))?;
    plan_dict(py, &plan)
}

/// Prunes up to a position that a plan has named; what was done, as a dict.
#[pyfunction]
fn prune_segments<'py>(
    py: Python<'py>,
    folder: PathBuf,
    hub_key: [u8; 32],
    keep_from: u32,
    until: u64,
    seed: [u8; 32],
    holder: String,
) -> PyResult<Bound<'py, PyDict>> {
    let terms = Terms { hub_key, keep_from };
    let plan = py.outside(|| {
        prune::prune(
            &there(&folder)?,
            &terms,
            until,
            &Key::from_seed(&seed),
            &holder,
        )
    })?;
    plan_dict(py, &plan)
}

/// The folder of a ledger that is there: nothing is made where somebody mistyped.
fn there(folder: &Path) -> Result<Folder, MealsError> {
    Reader::open(folder)?;
    Folder::for_writing(folder).map_err(|error| MealsError::Storage {
        doing: format!("opening `{}`", folder.display()),
        why: error.to_string(),
        full: false,
    })
}

/// A seal as a dict.
pub(crate) fn seal_dict<'py>(py: Python<'py>, seal: &Seal) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("segment", format!("{:020}.seg", seal.first))?;
    dict.set_item("first", seal.first)?;
    dict.set_item("records", seal.count)?;
    dict.set_item("first_day", seal.days.0)?;
    dict.set_item("last_day", seal.days.1)?;
    dict.set_item("root", PyBytes::new(py, &seal.root))?;
    dict.set_item("head", PyBytes::new(py, &seal.head))?;
    dict.set_item("key", PyBytes::new(py, &seal.key))?;
    let lines: Vec<_> = seal
        .lines
        .iter()
        .map(|line| (line.terminal, line.epoch, line.first, line.last))
        .collect();
    dict.set_item("lines", lines)?;
    Ok(dict)
}

fn plan_dict<'py>(py: Python<'py>, plan: &Plan) -> PyResult<Bound<'py, PyDict>> {
    let segments = PyList::empty(py);
    for one in &plan.segments {
        let dict = PyDict::new(py);
        dict.set_item("segment", &one.segment)?;
        dict.set_item("first", one.first)?;
        dict.set_item("records", one.records)?;
        dict.set_item("bytes", one.bytes)?;
        dict.set_item("first_day", one.days.0)?;
        dict.set_item("last_day", one.days.1)?;
        dict.set_item("stays", one.stays.clone())?;
        segments.append(dict)?;
    }
    let dict = PyDict::new(py);
    dict.set_item("segments", segments)?;
    dict.set_item("until", plan.until)?;
    dict.set_item("last_day", plan.last_day)?;
    dict.set_item("left", plan.left.clone())?;
    Ok(dict)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(seal_segments, module)?)?;
    module.add_function(wrap_pyfunction!(plan_pruning, module)?)?;
    module.add_function(wrap_pyfunction!(prune_segments, module)?)
}
