//! The Python face of the relay: conversions, no logic. What each name promises stands in
//! `sfu/_relay.pyi`.

mod commands;
mod convert;
mod events;
mod oracle;
mod relay;

use pyo3::prelude::*;

// A release build is the shipped one: in it no defence can be switched off.
const _: () = assert!(cfg!(debug_assertions) || !conclave_relay_core::limits::CAN_BE_WEAKENED);

/// `sfu._relay`.
#[pymodule]
fn _relay(module: &Bound<'_, PyModule>) -> PyResult<()> {
    relay::register(module)?;
    commands::register(module)?;
    events::register(module)?;
    oracle::register(module)
}
