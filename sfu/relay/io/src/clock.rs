//! The one clock of the process, in the core's unit.

use std::sync::OnceLock;
use std::time::Instant;

use conclave_relay_core::units::Time;

/// Monotonic time since the process first asked.
pub fn now() -> Time {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let passed = ORIGIN.get_or_init(Instant::now).elapsed();
    Time::from_micros(u64::try_from(passed.as_micros()).unwrap_or(u64::MAX))
}
