//! RTCP: compound packets in, single packets out (RFC 3550 section 6, RFC 4585, RFC 5104,
//! draft-holmer-rmcat-transport-wide-cc-extensions-01).

mod transport_feedback;
mod write;

pub use transport_feedback::{
    Arrivals, MAX_CLAIMED, REFERENCE_BITS, REFERENCE_MICROS, TransportFeedback,
    write_transport_feedback,
};
pub use write::{
    write_bye, write_cname, write_nack, write_picture_loss, write_receiver_report,
    write_sender_report,
};

use crate::units::{NtpTime, Ssrc};

/// Packet types (RFC 3550 section 12.1, RFC 4585 section 6.1).
mod kind {
    pub const SENDER_REPORT: u8 = 200;
    pub const RECEIVER_REPORT: u8 = 201;
    pub const DESCRIPTION: u8 = 202;
    pub const BYE: u8 = 203;
    pub const TRANSPORT_FEEDBACK: u8 = 205;
    pub const PAYLOAD_FEEDBACK: u8 = 206;
}

/// Feedback formats of the two feedback types (RFC 4585 section 6, RFC 5104 section 4.3.1, the
/// draft).
mod format {
    pub const NACK: u8 = 1;
    pub const PICTURE_LOSS: u8 = 1;
    pub const FULL_INTRA: u8 = 4;
    pub const TRANSPORT_WIDE: u8 = 15;
}

/// The SDES item that names a source across streams (RFC 3550 section 6.5.1).
const CNAME: u8 = 1;
/// What fits a five-bit count.
const MAX_COUNT: usize = 31;
/// Bytes of a report block.
const REPORT_BLOCK: usize = 24;

/// How one receiver fares with one stream (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: Ssrc,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// 24-bit signed.
    pub cumulative_lost: i32,
    /// Cycles << 16 | highest sequence number received.
    pub highest_sequence: u32,
    /// Interarrival jitter in ticks of the stream's clock.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time, 0 before one.
    pub last_sr: u32,
    /// 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// A sender's clocks and counts (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall clock at the moment of the report.
    pub ntp: NtpTime,
    /// The stream's clock at the same moment.
    pub rtp_time: u32,
    /// RTP packets sent so far.
    pub packets: u32,
    /// Payload octets sent so far.
    pub octets: u32,
}

/// One packet of a compound, borrowing it. Lists are capped by the packet's own length.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet<'a> {
    /// SR.
    SenderReport {
        /// Whose stream.
        sender: Ssrc,
        /// Its clocks and counts.
        info: SenderInfo,
        /// What it receives.
        reports: Vec<ReportBlock>,
    },
    /// RR.
    ReceiverReport {
        /// Who reports.
        sender: Ssrc,
        /// What it receives.
        reports: Vec<ReportBlock>,
    },
    /// SDES: (ssrc, cname) pairs; a chunk without a name is passed over.
    Description {
        /// One pair per source.
        chunks: Vec<(Ssrc, &'a [u8])>,
    },
    /// BYE; the reason is passed over.
    Bye {
        /// Which streams end.
        sources: Vec<Ssrc>,
    },
    /// Generic NACK: lost sequence numbers, unpacked from PID and BLP.
    Nack {
        /// Who asks.
        sender: Ssrc,
        /// Whose packets.
        media: Ssrc,
        /// In the order of the packet, duplicates included: at most 17 per four bytes.
        lost: Vec<u16>,
    },
    /// PLI.
    PictureLoss {
        /// Who asks.
        sender: Ssrc,
        /// Whose picture.
        media: Ssrc,
    },
    /// FIR: (ssrc, command sequence).
    FullIntra {
        /// Who asks.
        sender: Ssrc,
        /// Whose pictures; a repeated command sequence is the same command.
        entries: Vec<(Ssrc, u8)>,
    },
    /// When packets of a transport arrived.
    TransportFeedback {
        /// Who tells.
        sender: Ssrc,
        /// One of the streams told of; the numbers are the whole transport's.
        media: Ssrc,
        /// Its statuses.
        feedback: TransportFeedback<'a>,
    },
    /// REMB, application packets, extended reports: seen, not needed.
    Other {
        /// The packet type.
        packet_type: u8,
        /// Count or feedback format.
        format: u8,
    },
}

/// Why a packet of a compound is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpError {
    /// Wrong version, or lengths and counts that do not add up.
    Malformed,
}

/// The packets of an opened compound (reduced-size allowed, RFC 5506). Ends after the first
/// damaged one.
pub fn packets(compound: &[u8]) -> impl Iterator<Item = Result<Packet<'_>, RtcpError>> {
    let mut rest = compound;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let parsed = split_packet(rest);
        rest = parsed.as_ref().map_or(&[], |(_, behind)| *behind);
        Some(parsed.map(|(packet, _)| packet).ok_or(RtcpError::Malformed))
    })
}

/// The first packet of a compound, and what stands behind it.
fn split_packet(compound: &[u8]) -> Option<(Packet<'_>, &[u8])> {
    let (&[first, packet_type, w0, w1], rest) = compound.split_first_chunk()?;
    let words = usize::from(u16::from_be_bytes([w0, w1]));
    let (mut body, behind) = rest.split_at_checked(4 * words)?;
    if first >> 6 != 2 {
        return None;
    }
    if first & 0x20 != 0 {
        // RFC 3550 section 6.4.1 has only the last packet padded, by a multiple of four. libwebrtc
        // pads any transport feedback by what its deltas leave, and each packet has its own
        // length, so all is taken.
        let padding = usize::from(*body.last()?);
        if padding == 0 {
            return None;
        }
        body = body.get(..body.len().checked_sub(padding)?)?;
    }
    Some((parse(packet_type, first & 0x1f, body)?, behind))
}

fn parse(packet_type: u8, count: u8, body: &[u8]) -> Option<Packet<'_>> {
    match (packet_type, count) {
        (kind::SENDER_REPORT, _) => {
            let (sender, rest) = split_ssrc(body)?;
            let (info, rest) = split_sender_info(rest)?;
            let reports = report_blocks(count, rest)?;
            Some(Packet::SenderReport {
                sender,
                info,
                reports,
            })
        }
        (kind::RECEIVER_REPORT, _) => {
            let (sender, rest) = split_ssrc(body)?;
            let reports = report_blocks(count, rest)?;
            Some(Packet::ReceiverReport { sender, reports })
        }
        (kind::DESCRIPTION, _) => description(count, body),
        (kind::BYE, _) => {
            let listed = body.get(..4 * usize::from(count))?;
            let sources = listed.chunks_exact(4).filter_map(split_ssrc);
            Some(Packet::Bye {
                sources: sources.map(|(ssrc, _)| ssrc).collect(),
            })
        }
        (kind::TRANSPORT_FEEDBACK, format::NACK) => {
            let (sender, rest) = split_ssrc(body)?;
            let (media, entries) = split_ssrc(rest)?;
            Some(Packet::Nack {
                sender,
                media,
                lost: lost(entries)?,
            })
        }
        (kind::TRANSPORT_FEEDBACK, format::TRANSPORT_WIDE) => {
            let (sender, rest) = split_ssrc(body)?;
            let (media, rest) = split_ssrc(rest)?;
            Some(Packet::TransportFeedback {
                sender,
                media,
                feedback: TransportFeedback::parse(rest)?,
            })
        }
        (kind::PAYLOAD_FEEDBACK, format::PICTURE_LOSS) => {
            let (sender, rest) = split_ssrc(body)?;
            let (media, _) = split_ssrc(rest)?;
            Some(Packet::PictureLoss { sender, media })
        }
        (kind::PAYLOAD_FEEDBACK, format::FULL_INTRA) => full_intra(body),
        (packet_type, format) => Some(Packet::Other {
            packet_type,
            format,
        }),
    }
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*word), rest))
}

fn split_ssrc(bytes: &[u8]) -> Option<(Ssrc, &[u8])> {
    let (ssrc, rest) = split_u32(bytes)?;
    Some((Ssrc(ssrc), rest))
}

fn split_sender_info(bytes: &[u8]) -> Option<(SenderInfo, &[u8])> {
    let (ntp, rest) = bytes.split_first_chunk()?;
    let (rtp_time, rest) = split_u32(rest)?;
    let (packets, rest) = split_u32(rest)?;
    let (octets, rest) = split_u32(rest)?;
    let info = SenderInfo {
        ntp: NtpTime(u64::from_be_bytes(*ntp)),
        rtp_time,
        packets,
        octets,
    };
    Some((info, rest))
}

/// As many as announced; what stands behind them is a profile's extension and passed over.
fn report_blocks(count: u8, bytes: &[u8]) -> Option<Vec<ReportBlock>> {
    let listed = bytes.get(..REPORT_BLOCK * usize::from(count))?;
    listed
        .chunks_exact(REPORT_BLOCK)
        .map(report_block)
        .collect()
}

fn report_block(bytes: &[u8]) -> Option<ReportBlock> {
    let (ssrc, rest) = split_ssrc(bytes)?;
    let (lost, rest) = split_u32(rest)?;
    let (highest_sequence, rest) = split_u32(rest)?;
    let (jitter, rest) = split_u32(rest)?;
    let (last_sr, rest) = split_u32(rest)?;
    let (delay_since_last_sr, _) = split_u32(rest)?;
    Some(ReportBlock {
        ssrc,
        fraction_lost: (lost >> 24) as u8,
        cumulative_lost: (lost << 8) as i32 >> 8, // sign-extends 24 bits
        highest_sequence,
        jitter,
        last_sr,
        delay_since_last_sr,
    })
}

fn description(count: u8, body: &[u8]) -> Option<Packet<'_>> {
    let mut chunks = Vec::with_capacity(usize::from(count).min(body.len() / 8));
    let mut rest = body;
    for _ in 0..count {
        let (ssrc, items) = split_ssrc(rest)?;
        let mut at = 0;
        let mut name = None;
        loop {
            let item = *items.get(at)?;
            if item == 0 {
                break;
            }
            let len = usize::from(*items.get(at + 1)?);
            let value = items.get(at + 2..at + 2 + len)?;
            if item == CNAME && name.is_none() {
                name = Some(value);
            }
            at += 2 + len;
        }
        chunks.extend(name.map(|name| (ssrc, name)));
        // One to four zero bytes end the list at a word's end.
        rest = items.get((at + 1).next_multiple_of(4)..)?;
    }
    Some(Packet::Description { chunks })
}

/// PID and the bit mask of the sixteen that follow it (RFC 4585 section 6.2.1).
fn lost(entries: &[u8]) -> Option<Vec<u16>> {
    if entries.is_empty() {
        return None;
    }
    let mut lost = Vec::new();
    for entry in entries.chunks_exact(4) {
        let (word, _) = split_u32(entry)?;
        let (first, mask) = ((word >> 16) as u16, word as u16);
        lost.push(first);
        let following = (0..16u16).filter(|bit| mask & (1 << bit) != 0);
        lost.extend(following.map(|bit| first.wrapping_add(bit + 1)));
    }
    Some(lost)
}

fn full_intra(body: &[u8]) -> Option<Packet<'_>> {
    let (sender, rest) = split_ssrc(body)?;
    let (_, entries) = split_ssrc(rest)?; // the media source is unused (RFC 5104 section 4.3.1.2)
    if entries.is_empty() || entries.len() % 8 != 0 {
        return None;
    }
    let entry = |entry: &[u8]| Some((split_ssrc(entry)?.0, *entry.get(4)?));
    Some(Packet::FullIntra {
        sender,
        entries: entries.chunks_exact(8).map(entry).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests;
