//! To be written.
/// The relay as a whole.
pub struct Relay {}
