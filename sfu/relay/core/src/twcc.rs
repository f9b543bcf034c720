//! Transport-wide congestion control, receiving side: tells a publisher when each of its packets arrived.
#![allow(unused_variables, missing_docs)]
use crate::units::{Ssrc, Time};

/// Arrivals of one transport, bounded; feedback at most every 50 ms while packets arrive.
pub struct ArrivalRecorder {/* private */}

impl ArrivalRecorder {
    pub fn new() -> Self {
        todo!()
    }
    pub fn on_packet(&mut self, now: Time, sequence: u16, media: Ssrc) {
        todo!()
    }
    /// Appends one transport feedback packet to `out` when one is due.
    pub fn poll(&mut self, now: Time, sender: Ssrc, out: &mut Vec<u8>) -> bool {
        todo!()
    }
    pub fn deadline(&self) -> Option<Time> {
        todo!()
    }
}
impl Default for ArrivalRecorder {
    fn default() -> Self {
        Self::new()
    }
}
