//! The only way out of Python: whatever may wait or compute goes through [`Outside::outside`].

use pyo3::prelude::*;

use crate::errors::NativeError;

/// Leaves the interpreter for the time of some work, and turns its error into Python's.
pub(crate) trait Outside {
    /// Runs `work` without the GIL.
    ///
    /// # Errors
    /// The error of `work`, as the class of `edusense.errors` that carries its code.
    fn outside<T, E>(self, work: impl FnOnce() -> Result<T, E> + Send) -> PyResult<T>
    where
        T: Send,
        E: Into<NativeError> + Send;
}

impl Outside for Python<'_> {
    fn outside<T, E>(self, work: impl FnOnce() -> Result<T, E> + Send) -> PyResult<T>
    where
        T: Send,
        E: Into<NativeError> + Send,
    {
        self.detach(work)
            .map_err(|error| error.into().into_python(self))
    }
}
