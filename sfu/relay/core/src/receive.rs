//! Reception statistics of one incoming stream (RFC 3550 appendix A.3 and A.8), and its last sender report.
use std::time::Duration;

use crate::rtcp::{ReportBlock, SenderInfo};
use crate::units::{NtpTime, Ssrc, Time};

/// A change of transit time that is no jitter but a clock set anew (a pause, a restarted encoder), and is left out of
/// the estimate, which would take hundreds of packets to forget it.
const CLOCK_JUMP: Duration = Duration::from_secs(5);

/// What one incoming stream's receiver reports are made of.
pub struct ReceiveStats {
    clock_rate: u32,
    counts: Option<Counts>,
    /// Arrival minus timestamp of the latest packet, in ticks, modulo 2^32.
    transit: Option<u32>,
    /// Ticks, times 16 as in appendix A.8.
    jitter: u64,
    sender_report: Option<SenderReport>,
    /// Packets expected and lost in the interval of the last report.
    reported: (u64, u64),
}

/// Packet indexes are authenticated, so the probation and restart rules of appendix A.1 have no place here.
struct Counts {
    first: u64,
    highest: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
}

struct SenderReport {
    arrived: Time,
    /// As the publisher wrote it, to be quoted.
    quoted: NtpTime,
    /// By the relay's clock.
    ntp: NtpTime,
    rtp_time: u32,
}

impl ReceiveStats {
    /// `clock_rate`: ticks of the RTP timestamp per second.
    pub fn new(clock_rate: u32) -> Self {
        ReceiveStats {
            clock_rate,
            counts: None,
            transit: None,
            jitter: 0,
            sender_report: None,
            reported: (0, 0),
        }
    }

    /// `index` is the authenticated packet index (ROC << 16 | seq).
    pub fn on_packet(&mut self, now: Time, index: u64, timestamp: u32) {
        let counts = self.counts.get_or_insert(Counts {
            first: index,
            highest: index,
            received: 0,
            expected_before: 0,
            received_before: 0,
        });
        counts.first = counts.first.min(index);
        counts.highest = counts.highest.max(index);
        counts.received += 1;
        self.note_transit(now, timestamp);
    }

    /// Keeps the publisher's clocks for [`ReceiveStats::mapping`] and for the next report. `ntp` is the report's own
    /// time by the relay's clock.
    pub fn on_sender_report(&mut self, now: Time, info: &SenderInfo, ntp: NtpTime) {
        self.sender_report = Some(SenderReport {
            arrived: now,
            quoted: info.ntp,
            ntp,
            rtp_time: info.rtp_time,
        });
    }

    /// The block for this stream; `None` when nothing arrived since the last one (RFC 3550 section 6.4).
    /// Moves the interval on: call once per report sent.
    pub fn report(&mut self, now: Time, ssrc: Ssrc) -> Option<ReportBlock> {
        let counts = self.counts.as_mut()?;
        let received = counts.received - counts.received_before;
        if received == 0 {
            return None;
        }
        let expected_total = counts.highest - counts.first + 1;
        let expected = expected_total.saturating_sub(counts.expected_before);
        let lost = expected.saturating_sub(received);
        self.reported = (expected, lost);
        let fraction_lost = (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8;
        counts.expected_before = expected_total;
        counts.received_before = counts.received;
        let (last_sr, delay_since_last_sr) = match &self.sender_report {
            Some(report) => (report.quoted.middle(), short_ntp(now.since(report.arrived))),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost: clamp_to_24_bits(expected_total as i64 - counts.received as i64),
            highest_sequence: counts.highest as u32,
            jitter: u32::try_from(self.jitter >> 4).unwrap_or(u32::MAX),
            last_sr,
            delay_since_last_sr,
        })
    }

    /// How many packets were expected and lost in the interval of the last report.
    pub fn reported(&self) -> (u64, u64) {
        self.reported
    }

    /// The relay's clock and the stream's RTP clock at one moment, which is now if reports travel in no time; extrapolated from its last sender report.
    pub fn mapping(&self, now: Time) -> Option<(NtpTime, u32)> {
        let report = self.sender_report.as_ref()?;
        let elapsed = now.since(report.arrived);
        let ticks = elapsed.as_micros() * u128::from(self.clock_rate) / 1_000_000;
        Some((
            report.ntp.plus(elapsed),
            report.rtp_time.wrapping_add(ticks as u32),
        ))
    }

    fn note_transit(&mut self, now: Time, timestamp: u32) {
        let rate = u128::from(self.clock_rate);
        let arrival = (u128::from(now.as_micros()) * rate / 1_000_000) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let change = u64::from((transit.wrapping_sub(before) as i32).unsigned_abs());
            if change < CLOCK_JUMP.as_secs() * u64::from(self.clock_rate) {
                self.jitter = self.jitter + change - ((self.jitter + 8) >> 4);
            }
        }
    }
}

/// Cumulative loss is a signed number of 24 bits; duplicates make it negative (RFC 3550 section 6.4.1).
fn clamp_to_24_bits(lost: i64) -> i32 {
    lost.clamp(-0x80_0000, 0x7f_ffff) as i32
}

/// A span in units of 1/65536 s, as DLSR has it.
fn short_ntp(span: Duration) -> u32 {
    u32::try_from(span.as_micros() * 65_536 / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSRC: Ssrc = Ssrc(7);
    const RATE: u32 = 90_000;

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn receive(stats: &mut ReceiveStats, indexes: impl IntoIterator<Item = u64>) {
        for index in indexes {
            stats.on_packet(ms(index), index, (index * 90) as u32);
        }
    }

    fn report(stats: &mut ReceiveStats) -> ReportBlock {
        stats.report(ms(1_000_000), SSRC).unwrap()
    }

    #[test]
    fn a_stream_that_sent_nothing_is_not_reported() {
        let mut stats = ReceiveStats::new(RATE);
        assert_eq!(stats.report(ms(0), SSRC), None);
        receive(&mut stats, [1]);
        assert!(stats.report(ms(10), SSRC).is_some());
        assert_eq!(stats.report(ms(20), SSRC), None);
    }

    #[test]
    fn a_quarter_lost_is_64_of_256_and_the_next_interval_starts_afresh() {
        let mut stats = ReceiveStats::new(RATE);
        receive(&mut stats, (0..100).filter(|index| index % 4 != 1));
        let first = report(&mut stats);
        assert_eq!((first.fraction_lost, first.cumulative_lost), (64, 25));
        receive(&mut stats, 100..200);
        let second = report(&mut stats);
        assert_eq!((second.fraction_lost, second.cumulative_lost), (0, 25));
    }

    #[test]
    fn the_highest_sequence_carries_the_roll_overs() {
        let mut stats = ReceiveStats::new(RATE);
        receive(&mut stats, 65_530..65_540);
        let block = report(&mut stats);
        assert_eq!(block.highest_sequence, 65_539);
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 0));
        assert_eq!(block.ssrc, SSRC);
    }

    #[test]
    fn reordered_packets_are_not_lost_even_before_the_first() {
        let mut stats = ReceiveStats::new(RATE);
        receive(&mut stats, [11, 10, 13, 12, 14]);
        assert_eq!(report(&mut stats).cumulative_lost, 0);
    }

    #[test]
    fn duplicates_make_the_loss_negative_and_it_stops_at_24_bits() {
        let mut stats = ReceiveStats::new(RATE);
        receive(&mut stats, [5, 5, 5]);
        let block = report(&mut stats);
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, -2));
        receive(&mut stats, [1 << 30]);
        let block = report(&mut stats);
        assert_eq!(
            (block.fraction_lost, block.cumulative_lost),
            (255, 0x7f_ffff)
        );
    }

    #[test]
    fn even_arrivals_have_no_jitter_and_uneven_ones_converge_to_it() {
        let mut stats = ReceiveStats::new(RATE);
        receive(&mut stats, 0..1000);
        assert_eq!(report(&mut stats).jitter, 0);
        let mut stats = ReceiveStats::new(RATE);
        for index in 0..1000u64 {
            let late = if index % 2 == 0 { 0 } else { 4 };
            stats.on_packet(ms(index * 20 + late), index, (index * 1800) as u32);
        }
        // Transit changes by 4 ms, that is 360 ticks, with every packet.
        let jitter = report(&mut stats).jitter;
        assert!((340..=360).contains(&jitter), "{jitter}");
    }

    #[test]
    fn a_clock_set_anew_is_no_jitter() {
        let mut stats = ReceiveStats::new(RATE);
        receive(&mut stats, 0..100);
        stats.on_packet(ms(100), 100, 0x8000_0000);
        stats.on_packet(ms(101), 101, 0x8000_0000 + 90);
        assert_eq!(report(&mut stats).jitter, 0);
    }

    #[test]
    fn the_report_quotes_the_last_sender_report() {
        let mut stats = ReceiveStats::new(RATE);
        receive(&mut stats, [1]);
        let info = SenderInfo {
            ntp: NtpTime(0x1111_2222_3333_4444),
            rtp_time: 5,
            packets: 0,
            octets: 0,
        };
        stats.on_sender_report(ms(1_000), &info, info.ntp);
        let block = stats.report(ms(1_500), SSRC).unwrap();
        assert_eq!(block.last_sr, 0x2222_3333);
        assert_eq!(block.delay_since_last_sr, 32_768);
    }

    #[test]
    fn the_mapping_runs_on_from_the_last_sender_report() {
        let mut stats = ReceiveStats::new(RATE);
        assert_eq!(stats.mapping(ms(0)), None);
        let info = SenderInfo {
            ntp: NtpTime(100 << 32),
            rtp_time: u32::MAX,
            packets: 0,
            octets: 0,
        };
        stats.on_sender_report(ms(1_000), &info, info.ntp);
        assert_eq!(stats.mapping(ms(1_000)), Some((info.ntp, u32::MAX)));
        let half_on = NtpTime((100 << 32) + (1 << 31));
        assert_eq!(stats.mapping(ms(1_500)), Some((half_on, 44_999)));
    }
}
