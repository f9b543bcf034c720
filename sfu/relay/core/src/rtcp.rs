//! RTCP: compound packets in, single packets out (RFC 3550 section 6, RFC 4585, RFC 5104, draft-holmer-rmcat-transport-wide-cc-extensions-01).
#![allow(unused_variables, missing_docs)]
use crate::units::{NtpTime, Ssrc, Time};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    pub ssrc: Ssrc,
    pub fraction_lost: u8,
    /// 24-bit signed.
    pub cumulative_lost: i32,
    pub highest_sequence: u32,
    pub jitter: u32,
    pub last_sr: u32,
    /// 1/65536 s.
    pub delay_since_last_sr: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    pub ntp: NtpTime,
    pub rtp_time: u32,
    pub packets: u32,
    pub octets: u32,
}

/// One packet of a compound, borrowing it. Lists are capped by the packet's own length.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet<'a> {
    SenderReport {
        sender: Ssrc,
        info: SenderInfo,
        reports: Vec<ReportBlock>,
    },
    ReceiverReport {
        sender: Ssrc,
        reports: Vec<ReportBlock>,
    },
    /// (ssrc, cname) pairs.
    Description {
        chunks: Vec<(Ssrc, &'a [u8])>,
    },
    Bye {
        sources: Vec<Ssrc>,
    },
    /// Lost sequence numbers, unpacked from PID and BLP.
    Nack {
        sender: Ssrc,
        media: Ssrc,
        lost: Vec<u16>,
    },
    PictureLoss {
        sender: Ssrc,
        media: Ssrc,
    },
    /// (ssrc, command sequence).
    FullIntra {
        sender: Ssrc,
        entries: Vec<(Ssrc, u8)>,
    },
    /// REMB, transport feedback, application packets, extended reports: seen, not needed.
    Other {
        packet_type: u8,
        format: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpError {
    Malformed,
}

/// The packets of an opened compound (reduced-size allowed, RFC 5506). Ends after the first damaged one.
pub fn packets(compound: &[u8]) -> impl Iterator<Item = Result<Packet<'_>, RtcpError>> {
    std::iter::empty()
}

pub fn write_sender_report(
    out: &mut Vec<u8>,
    sender: Ssrc,
    info: &SenderInfo,
    reports: &[ReportBlock],
) {
    todo!()
}
pub fn write_receiver_report(out: &mut Vec<u8>, sender: Ssrc, reports: &[ReportBlock]) {
    todo!()
}
pub fn write_cname(out: &mut Vec<u8>, source: Ssrc, cname: &str) {
    todo!()
}
pub fn write_bye(out: &mut Vec<u8>, sources: &[Ssrc]) {
    todo!()
}
pub fn write_nack(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc, lost: &[u16]) {
    todo!()
}
pub fn write_picture_loss(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc) {
    todo!()
}

/// Transport-wide feedback: packet statuses from `base` on, `None` = not received, with arrival times.
/// `reference` is the arrival clock's origin for the 24-bit 64 ms reference time; deltas in 250 us.
/// Splits nothing: the caller hands at most 500 statuses.
pub fn write_transport_feedback(
    out: &mut Vec<u8>,
    sender: Ssrc,
    media: Ssrc,
    base: u16,
    feedback_count: u8,
    arrivals: &[Option<Time>],
) {
    todo!()
}
