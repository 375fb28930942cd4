//! `edusense._native`: the only crate that names `pyo3`.
//!
//! Each room of the house has one file here that turns its Rust types into Python's. Two things stand above them: [`errors`] is
//! the one place where Rust's errors become Python's, and [`outside`] is the only way out of the GIL.

mod batches;
mod engine;
mod errors;
mod heat;
mod luma;
mod meals;
mod outside;
mod pictures;
mod pruning;
mod pyav;
mod toml;

use pyo3::prelude::*;

/// The extension behind the package; nobody imports it but `edusense` itself.
#[pymodule(gil_used = true)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DEBUG_BUILD", cfg!(debug_assertions))?;
    batches::register(module)?;
    engine::register(module)?;
    errors::register(module)?;
    luma::register(module)?;
    meals::register(module)?;
    pictures::register(module)?;
    pruning::register(module)?;
    toml::register(module)?;
    Ok(())
}
