//! The Python face of the relay: conversions, no logic.
use pyo3::prelude::*;

/// `sfu._relay`.
#[pymodule]
fn _relay(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
