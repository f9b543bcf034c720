//! Who is heard: smoothed loudness per track from RFC 6464 levels, for telling people, not for gating.
#![allow(unused_variables, missing_docs)]
use crate::units::{Time, TrackId};

pub struct Speakers {/* private */}

impl Speakers {
    pub fn new() -> Self {
        todo!()
    }
    /// `level` as -dBov (0 loudest, 127 silence).
    pub fn on_level(&mut self, now: Time, track: TrackId, voice: bool, level: u8) {
        todo!()
    }
    pub fn remove(&mut self, track: TrackId) {
        todo!()
    }
    /// Changes since the last call, at most every 400 ms; also notices tracks that fell silent by sending nothing.
    pub fn poll(&mut self, now: Time) -> Option<Vec<(TrackId, f32)>> {
        todo!()
    }
    pub fn deadline(&self) -> Option<Time> {
        todo!()
    }
}
impl Default for Speakers {
    fn default() -> Self {
        Self::new()
    }
}
