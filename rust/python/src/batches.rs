//! Signed batches, proofs and acknowledgements for Python: bytes in, bytes and dicts out.

use edusense_meals::acknowledgement::Acknowledgement;
use edusense_meals::batch::{self, Header};
use edusense_meals::key::{self, Key};
use edusense_meals::merkle;
use edusense_meals::{MealsError, RECORD_BYTES, RawRecord};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::NativeError;
use crate::outside::Outside;

/// The bytes of a batch of n × 128 bytes of records, signed with the key of a seed.
#[pyfunction]
fn seal_batch<'py>(
    py: Python<'py>,
    records: &[u8],
    seed: [u8; 32],
) -> PyResult<Bound<'py, PyBytes>> {
    let bytes = py.outside(|| -> Result<_, NativeError> {
        Ok(batch::seal(whole(records)?, &Key::from_seed(&seed))?)
    })?;
    Ok(PyBytes::new(py, &bytes))
}

/// The header as a dict and the records, n × 128 bytes, of a batch that is what its signature says.
#[pyfunction]
fn open_batch<'py>(
    py: Python<'py>,
    data: &[u8],
) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyBytes>)> {
    let found = py.outside(|| batch::open(data))?;
    Ok((
        header_dict(py, &found.header)?,
        PyBytes::new(py, found.records.as_flattened()),
    ))
}

/// The header alone, whose signature fits; what follows it is not looked at.
#[pyfunction]
fn batch_header<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyDict>> {
    header_dict(py, &py.outside(|| Header::decode(data))?)
}

/// The Merkle path of one of n × 128 bytes of records, 32 bytes a step.
#[pyfunction]
fn merkle_path<'py>(
    py: Python<'py>,
    records: &[u8],
    index: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let path = py.outside(|| -> Result<_, NativeError> {
        let leaves: Vec<merkle::Hash> = whole(records)?
            .iter()
            .map(|raw| merkle::leaf(raw))
            .collect();
        Ok(merkle::path(&leaves, index))
    })?;
    Ok(PyBytes::new(py, path.as_flattened()))
}

/// The root that a path leads to from a record; None if the path has not the length that it must have.
#[pyfunction]
fn merkle_root_of_path<'py>(
    py: Python<'py>,
    record: &[u8],
    index: u64,
    count: u64,
    path: &[u8],
) -> Option<Bound<'py, PyBytes>> {
    let (steps, rest) = path.as_chunks::<32>();
    let found = rest
        .is_empty()
        .then(|| merkle::root_of_path(merkle::leaf(record), index, count, steps))??;
    Some(PyBytes::new(py, &found))
}

/// The bytes of an acknowledgement, signed with the key of a seed.
#[pyfunction]
#[pyo3(signature = (*, school, terminal, epoch, sequence, meals, reversals, sum, head, time, seed))]
#[allow(clippy::too_many_arguments)] // they are named where it is called
fn sign_acknowledgement<'py>(
    py: Python<'py>,
    school: u32,
    terminal: u32,
    epoch: u32,
    sequence: u64,
    meals: u64,
    reversals: u64,
    sum: i64,
    head: [u8; 32],
    time: i64,
    seed: [u8; 32],
) -> Bound<'py, PyBytes> {
    let said = Acknowledgement {
        school,
        terminal,
        epoch,
        sequence,
        meals,
        reversals,
        sum,
        head,
        time,
        key: [0; 32],
    };
    PyBytes::new(py, &said.sign(&Key::from_seed(&seed)))
}

/// An acknowledgement whose signature fits, as a dict.
#[pyfunction]
fn open_acknowledgement<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyDict>> {
    let found = py.outside(|| Acknowledgement::decode(data))?;
    let dict = PyDict::new(py);
    dict.set_item("school", found.school)?;
    dict.set_item("terminal", found.terminal)?;
    dict.set_item("epoch", found.epoch)?;
    dict.set_item("sequence", found.sequence)?;
    dict.set_item("meals", found.meals)?;
    dict.set_item("reversals", found.reversals)?;
    dict.set_item("sum", found.sum)?;
    dict.set_item("head", PyBytes::new(py, &found.head))?;
    dict.set_item("time", found.time)?;
    dict.set_item("key", PyBytes::new(py, &found.key))?;
    Ok(dict)
}

/// The public key of a seed.
#[pyfunction]
fn public_key(py: Python<'_>, seed: [u8; 32]) -> Bound<'_, PyBytes> {
    PyBytes::new(py, &Key::from_seed(&seed).public())
}

/// The first 16 bytes of a public key's SHA-256.
#[pyfunction]
fn key_fingerprint(py: Python<'_>, key: [u8; 32]) -> Bound<'_, PyBytes> {
    PyBytes::new(py, &key::fingerprint(&key))
}

fn whole(records: &[u8]) -> Result<&[RawRecord], MealsError> {
    let (records, rest) = records.as_chunks::<RECORD_BYTES>();
    if rest.is_empty() {
        Ok(records)
    } else {
        Err(MealsError::Batch {
            what: "records are not a multiple of 128 bytes".to_owned(),
        })
    }
}

fn header_dict<'py>(py: Python<'py>, header: &Header) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("school", header.school)?;
    dict.set_item("terminal", header.terminal)?;
    dict.set_item("epoch", header.epoch)?;
    dict.set_item("first", header.first)?;
    dict.set_item("count", header.count)?;
    dict.set_item("meals", header.meals)?;
    dict.set_item("reversals", header.reversals)?;
    dict.set_item("sum", header.sum)?;
    dict.set_item("root", PyBytes::new(py, &header.root))?;
    dict.set_item("key", PyBytes::new(py, &header.key))?;
    Ok(dict)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("MOST_BATCH_BYTES", batch::MOST_BATCH_BYTES)?;
    for function in [
        wrap_pyfunction!(seal_batch, module)?,
        wrap_pyfunction!(open_batch, module)?,
        wrap_pyfunction!(batch_header, module)?,
        wrap_pyfunction!(merkle_path, module)?,
        wrap_pyfunction!(merkle_root_of_path, module)?,
        wrap_pyfunction!(sign_acknowledgement, module)?,
        wrap_pyfunction!(open_acknowledgement, module)?,
        wrap_pyfunction!(public_key, module)?,
        wrap_pyfunction!(key_fingerprint, module)?,
    ] {
        module.add_function(function)?;
    }
    Ok(())
}
