//! One outgoing stream: its own SSRC, sequence and timestamp space, and a current source (DESIGN 2.7).
//!
//! Deciding and writing are apart: [`Downtrack::forward`] decides and yields a [`Stamp`], everything in which the
//! outgoing packet differs from its source; [`Downtrack::render`] is a pure function of stamp and source. So a resend
//! renders the same stamp again and seals to the very same bytes, and no (key, SSRC, index) ever seals two contents
//! (DESIGN 2.8).
#![allow(unused_variables, missing_docs)]
use crate::command::{DowntrackSpec, TrackSpec};
use crate::rtcp::{ReportBlock, SenderInfo};
use crate::rtp::Header;
use crate::units::{LayerId, NtpTime, PayloadType, Ssrc, Time};

/// What made one outgoing packet; rendering it twice gives the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Outgoing packet index (ROC << 16 | sequence).
    pub index: u64,
    pub timestamp: u32,
    pub payload_type: PayloadType,
    /// Where the source packet is: layer and its packet index.
    pub layer: LayerId,
    pub source_index: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Keep(Stamp),
    Skip(SkipReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Waiting for a key frame on the wanted layer; the caller asks for one.
    AwaitingKeyFrame,
    /// Not the current layer.
    OtherLayer,
    /// The subscriber does not take this format.
    Format,
    /// Older than anything that can still be placed in sequence.
    TooLate,
    /// Padding only; compacted away.
    Padding,
}

/// One opened packet as the router hands it to each downtrack.
pub struct Source<'a> {
    pub layer: LayerId,
    pub index: u64,
    pub header: &'a Header,
    pub packet: &'a [u8],
    pub key_frame: bool,
    /// Publisher's clocks for this layer, when a sender report has come, to align layers on a switch.
    pub mapping: Option<(NtpTime, u32)>,
}

pub struct Downtrack {/* private */}

impl Downtrack {
    /// `first_sequence` must be below 2^15, `first_timestamp` random; both from the caller's entropy.
    pub fn new(
        spec: &DowntrackSpec,
        track: &TrackSpec,
        first_sequence: u16,
        first_timestamp: u32,
    ) -> Self {
        todo!()
    }
    pub fn ssrc(&self) -> Ssrc {
        todo!()
    }
    pub fn current_layer(&self) -> Option<LayerId> {
        todo!()
    }
    /// Aim at a layer; the switch happens at that layer's next key frame (at once for audio).
    pub fn set_target(&mut self, layer: LayerId) {
        todo!()
    }
    /// Layer on which a key frame is needed, if any.
    pub fn wants_key_frame(&self) -> Option<LayerId> {
        todo!()
    }
    pub fn forward(&mut self, now: Time, source: &Source<'_>) -> Decision {
        todo!()
    }
    /// Appends header, translated extensions and payload to `out`; returns the header's length.
    pub fn render(
        &self,
        stamp: &Stamp,
        header: &Header,
        packet: &[u8],
        out: &mut Vec<u8>,
    ) -> usize {
        todo!()
    }
    /// Stamps still remembered for these lost sequence numbers, at most once per round trip each, bounded per second.
    pub fn on_nack(&mut self, now: Time, lost: &[u16], out: &mut Vec<Stamp>) {
        todo!()
    }
    pub fn on_report(&mut self, now: Time, block: &ReportBlock) {
        todo!()
    }
    /// Round-trip time from the subscriber's reports, once known.
    pub fn round_trip(&self) -> Option<std::time::Duration> {
        todo!()
    }
    /// A sender report in the publisher's wall clock and this stream's RTP clock; `None` before the first packet or
    /// before the publisher's own report.
    pub fn sender_report(
        &mut self,
        now: Time,
        mapping: (NtpTime, u32),
        layer: LayerId,
    ) -> Option<SenderInfo> {
        todo!()
    }
    /// Counts what was sent, for the sender report: payload octets.
    pub fn sent(&mut self, octets: usize) {
        todo!()
    }
}
