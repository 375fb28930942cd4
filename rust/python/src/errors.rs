//! The one place where Rust's errors become Python's.
//!
//! Every crate has one enum of errors with `code()`, `hint()` and a constant `CODES`; every code is the `code` of exactly one
//! class in `edusense.errors`. Here the enums are joined into one family, and a code is turned into its class.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// One error of any crate: what happened, its stable code, and what to do next.
#[derive(Debug)]
pub(crate) struct NativeError {
    code: &'static str,
    message: String,
    hint: Option<String>,
    place: Option<(usize, usize)>,
}

impl NativeError {
    /// An error with a code that stands in `edusense.errors`.
    pub(crate) fn new(
        code: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            hint,
            place: None,
        }
    }

    /// The same error with the line and column (from 1) of the file it speaks of; only for codes of the family `site`.
    pub(crate) fn at(mut self, place: Option<(usize, usize)>) -> Self {
        self.place = place;
        self
    }

    /// The Python exception for this error: the class of `edusense.errors` whose `code` is ours.
    pub(crate) fn into_python(self, py: Python<'_>) -> PyErr {
        let made = || -> PyResult<PyErr> {
            let class = py
                .import("edusense.errors")?
                .getattr("class_of")?
                .call1((self.code,))?;
            let keywords = PyDict::new(py);
            keywords.set_item("hint", self.hint.as_deref())?;
            if let Some((line, column)) = self.place {
                keywords.set_item("line", line)?;
                keywords.set_item("column", column)?;
            }
            Ok(PyErr::from_value(
                class.call((self.message.as_str(),), Some(&keywords))?,
            ))
        };
        made().unwrap_or_else(|error| error)
    }
}

/// Joins one crate's enum to the family.
macro_rules! join {
    ($($error:path),* $(,)?) => {
        $(impl From<$error> for NativeError {
            fn from(error: $error) -> Self {
                Self::new(error.code(), error.to_string(), error.hint())
            }
        })*

        /// Every code that Rust can raise, sorted; the contract test compares it with `edusense.errors`.
        #[pyfunction]
        fn error_codes() -> Vec<&'static str> {
            let mut codes: Vec<&'static str> = Vec::new();
            $(codes.extend_from_slice(<$error>::CODES);)*
            codes.extend_from_slice(OWN_CODES);
            codes.sort_unstable();
            codes.dedup();
            codes
        }
    };
}

/// Codes raised by this crate itself.
const OWN_CODES: &[&str] = &["site-syntax", "site-value"];

join!(
    edusense_bitstream::Error,
    edusense_decode::AllRefused,
    edusense_stream::StreamError,
    edusense_meals::MealsError
);

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(error_codes, module)?)
}
