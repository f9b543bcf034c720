//! Key frames in payloads, and which simulcast layer is live.
#![allow(unused_variables, missing_docs)]
use crate::units::{Codec, LayerId, Time};

/// Whether this payload starts a key frame a decoder can begin with. `descriptor` is the raw dependency
/// descriptor extension, if any. Never panics on any bytes.
pub fn starts_key_frame(codec: Codec, payload: &[u8], descriptor: Option<&[u8]>) -> bool {
    todo!()
}

/// Which layers of one track are live: a layer is live while packets arrive on it.
pub struct LiveLayers {/* private */}

impl LiveLayers {
    pub fn new(count: usize) -> Self {
        todo!()
    }
    pub fn on_packet(&mut self, now: Time, layer: LayerId) {
        todo!()
    }
    /// The highest layer heard within the last `SILENT_AFTER`; `None` when all are silent.
    pub fn highest(&self, now: Time) -> Option<LayerId> {
        todo!()
    }
}
