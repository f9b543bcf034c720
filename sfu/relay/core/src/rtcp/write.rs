//! The RTCP packets we send, each appended whole.

use super::{CNAME, MAX_COUNT, ReportBlock, SenderInfo, format, kind};
use crate::units::Ssrc;

/// PID and mask pairs in one NACK: a kilobyte, so that the compound fits a datagram.
const MAX_NACK_ENTRIES: usize = 256;

/// SR. Report blocks that one packet cannot count (above 31) follow in receiver reports.
pub fn write_sender_report(
    out: &mut Vec<u8>,
    sender: Ssrc,
    info: &SenderInfo,
    reports: &[ReportBlock],
) {
    let (first, more) = reports.split_at(reports.len().min(MAX_COUNT));
    let start = begin(out, kind::SENDER_REPORT, first.len());
    put(out, sender.0);
    out.extend_from_slice(&info.ntp.0.to_be_bytes());
    put(out, info.rtp_time);
    put(out, info.packets);
    put(out, info.octets);
    put_reports(out, first);
    end(out, start);
    if !more.is_empty() {
        write_receiver_report(out, sender, more);
    }
}

/// RR, or several where there are more than 31 report blocks; an empty one when there are none.
pub fn write_receiver_report(out: &mut Vec<u8>, sender: Ssrc, reports: &[ReportBlock]) {
    let mut rest = reports;
    loop {
        let (now, later) = rest.split_at(rest.len().min(MAX_COUNT));
        let start = begin(out, kind::RECEIVER_REPORT, now.len());
        put(out, sender.0);
        put_reports(out, now);
        end(out, start);
        rest = later;
        if rest.is_empty() {
            return;
        }
    }
}

/// SDES with one CNAME, cut at 255 bytes.
pub fn write_cname(out: &mut Vec<u8>, source: Ssrc, cname: &str) {
    let mut len = cname.len().min(255);
    while !cname.is_char_boundary(len) {
        len -= 1;
    }
    let start = begin(out, kind::DESCRIPTION, 1);
    put(out, source.0);
    out.extend_from_slice(&[CNAME, len as u8]);
    out.extend_from_slice(&cname.as_bytes()[..len]);
    // At least one zero ends the items.
    let end_of_items = out.len() - start + 1;
    out.resize(start + end_of_items.next_multiple_of(4), 0);
    end(out, start);
}

/// BYE, or several where there are more than 31 sources; nothing when there are none.
pub fn write_bye(out: &mut Vec<u8>, sources: &[Ssrc]) {
    for sources in sources.chunks(MAX_COUNT) {
        let start = begin(out, kind::BYE, sources.len());
        for source in sources {
            put(out, source.0);
        }
        end(out, start);
    }
}

/// Generic NACK, densest when `lost` is in sequence order; nothing when it is empty. One packet
/// holds 256 runs of up to 17; what is behind them waits for the next.
pub fn write_nack(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc, lost: &[u16]) {
    let Some((&first, rest)) = lost.split_first() else {
        return;
    };
    let start = begin(out, kind::TRANSPORT_FEEDBACK, usize::from(format::NACK));
    put(out, sender.0);
    put(out, media.0);
    let (mut entries, mut pid, mut mask) = (1, first, 0u16);
    for &sequence in rest {
        match sequence.wrapping_sub(pid) {
            0 => {}
            distance @ 1..=16 => mask |= 1 << (distance - 1),
            _ if entries == MAX_NACK_ENTRIES => break,
            _ => {
                put(out, u32::from(pid) << 16 | u32::from(mask));
                (entries, pid, mask) = (entries + 1, sequence, 0);
            }
        }
    }
    put(out, u32::from(pid) << 16 | u32::from(mask));
    end(out, start);
}

/// PLI.
pub fn write_picture_loss(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc) {
    let start = begin(
        out,
        kind::PAYLOAD_FEEDBACK,
        usize::from(format::PICTURE_LOSS),
    );
    put(out, sender.0);
    put(out, media.0);
    end(out, start);
}

/// A header whose length [`end`] fills in; `count` is at most 31. Returns where it starts.
pub(super) fn begin(out: &mut Vec<u8>, packet_type: u8, count: usize) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0x80 | (count & MAX_COUNT) as u8, packet_type, 0, 0]);
    start
}

/// Writes the length of the packet that starts at `start`: words without the first.
pub(super) fn end(out: &mut [u8], start: usize) {
    // Every writer here stays far below 2^18 bytes.
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

pub(super) fn put(out: &mut Vec<u8>, word: u32) {
    out.extend_from_slice(&word.to_be_bytes());
}

fn put_reports(out: &mut Vec<u8>, reports: &[ReportBlock]) {
    for report in reports {
        // RFC 3550 appendix A.3: what 24 signed bits cannot hold stays at their end.
        let lost = report.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        put(out, report.ssrc.0);
        put(out, u32::from(report.fraction_lost) << 24 | lost);
        put(out, report.highest_sequence);
        put(out, report.jitter);
        put(out, report.last_sr);
        put(out, report.delay_since_last_sr);
    }
}
