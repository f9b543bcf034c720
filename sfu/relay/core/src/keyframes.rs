//! Key-frame requests of many subscribers gathered into few towards the publisher.
#![allow(unused_variables, missing_docs)]
use crate::units::Time;

/// Gathers requests for one layer: at most one PLI per `MIN_INTERVAL`, repeated until a key frame comes.
#[derive(Default)]
pub struct KeyFrameRequests {/* private */}

impl KeyFrameRequests {
    /// A subscriber needs a key frame. Cheap to call often.
    pub fn request(&mut self, now: Time) {
        todo!()
    }
    /// A key frame began to arrive.
    pub fn satisfied(&mut self, now: Time) {
        todo!()
    }
    /// Whether a PLI is to be sent now; calling it counts as sending.
    pub fn poll(&mut self, now: Time) -> bool {
        todo!()
    }
    /// When `poll` may next say yes.
    pub fn deadline(&self) -> Option<Time> {
        todo!()
    }
}
