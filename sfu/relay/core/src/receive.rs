//! Reception statistics of one incoming stream (RFC 3550 appendix A.3 and A.8), and its last sender report.
#![allow(unused_variables, missing_docs)]
use crate::rtcp::{ReportBlock, SenderInfo};
use crate::units::{NtpTime, Ssrc, Time};

pub struct ReceiveStats {/* private */}

impl ReceiveStats {
    pub fn new(clock_rate: u32) -> Self {
        todo!()
    }
    /// `index` is the authenticated packet index (ROC << 16 | seq).
    pub fn on_packet(&mut self, now: Time, index: u64, timestamp: u32) {
        todo!()
    }
    pub fn on_sender_report(&mut self, now: Time, info: &SenderInfo) {
        todo!()
    }
    /// Moves the interval on: call once per report sent.
    pub fn report(&mut self, now: Time, ssrc: Ssrc) -> Option<ReportBlock> {
        todo!()
    }
    /// The publisher's wall clock and RTP clock now, extrapolated from its last sender report.
    pub fn mapping(&self, now: Time) -> Option<(NtpTime, u32)> {
        todo!()
    }
}
