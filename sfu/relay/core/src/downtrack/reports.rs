//! Our sender reports about one stream, and the round trip that the answers to them show (RFC 3550 section 6.4).
use std::collections::VecDeque;
use std::time::Duration;

use crate::rtcp::{ReportBlock, SenderInfo};
use crate::units::{NtpTime, Time};

/// Sender reports remembered: at one a second, answers may be eight seconds late.
const REMEMBERED: usize = 8;

/// What was sent so far. Each packet is counted here, so it stands apart from what is looked at once a second.
#[derive(Default)]
pub struct Tally {
    packets: u32,
    octets: u32,
    started: bool,
}

impl Tally {
    /// One packet with that many payload octets was sent. Whether it was the first, or the first after a rest.
    pub fn add(&mut self, octets: usize) -> bool {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u32);
        !std::mem::replace(&mut self.started, true)
    }

    /// The next packet is a first one again.
    pub fn rest(&mut self) {
        self.started = false;
    }
}

/// What was reported, when, and what came of it.
#[derive(Default)]
pub struct Reports {
    /// Middle 32 bits of the NTP time of each report, and when it was sent; oldest first.
    issued: VecDeque<(u32, Time)>,
    /// How many packets the last report told of, and the one before.
    told: (Option<u32>, Option<u32>),
    round_trip: Option<Duration>,
}

impl Reports {
    /// A report of this to be sent now; `None` before the first packet.
    pub fn issue(
        &mut self,
        now: Time,
        ntp: NtpTime,
        rtp_time: u32,
        sent: &Tally,
    ) -> Option<SenderInfo> {
        if !sent.started {
            return None;
        }
        if self.issued.len() == REMEMBERED {
            self.issued.pop_front();
        }
        self.issued.push_back((ntp.middle(), now));
        self.told = (Some(sent.packets), self.told.0);
        Some(SenderInfo {
            ntp,
            rtp_time,
            packets: sent.packets,
            octets: sent.octets,
        })
    }

    /// Whether anything was sent since the report before the last: whoever sent nothing for so long is no sender
    /// (RFC 3550 section 6.4).
    pub fn has_news(&self, sent: &Tally) -> bool {
        self.told.1 != Some(sent.packets)
    }

    /// Takes the round trip from an answer: now less when we sent the report it quotes, less how long it was kept
    /// there. What quotes no report of ours, or was kept longer than it is old, is ignored.
    /// Whether there was one to take.
    pub fn on_report(&mut self, now: Time, block: &ReportBlock) -> bool {
        if block.last_sr == 0 {
            return false;
        }
        let mut issued = self.issued.iter().rev();
        let Some((_, sent)) = issued.find(|(middle, _)| *middle == block.last_sr) else {
            return false;
        };
        let kept = Duration::from_micros(u64::from(block.delay_since_last_sr) * 1_000_000 / 65_536);
        let Some(sample) = now.since(*sent).checked_sub(kept) else {
            return false;
        };
        // Smoothed as TCP does it (RFC 6298 section 2).
        self.round_trip = Some(match self.round_trip {
            None => sample,
            Some(smoothed) => (smoothed * 7 + sample) / 8,
        });
        true
    }

    /// The smoothed round trip, once known.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Ssrc;

    const NTP: NtpTime = NtpTime(0x0011_2233_4455_6677);

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn answer(last_sr: u32, kept: u32) -> ReportBlock {
        ReportBlock {
            ssrc: Ssrc(1),
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_sequence: 0,
            jitter: 0,
            last_sr,
            delay_since_last_sr: kept,
        }
    }

    fn one_sent() -> Tally {
        let mut sent = Tally::default();
        assert!(sent.add(100));
        sent
    }

    fn reported() -> Reports {
        let mut reports = Reports::default();
        reports.issue(ms(1_000), NTP, 5, &one_sent()).unwrap();
        reports
    }

    #[test]
    fn nothing_is_reported_before_a_packet_and_then_all_are_counted() {
        let mut reports = Reports::default();
        assert_eq!(reports.issue(ms(0), NTP, 5, &Tally::default()), None);
        let mut sent = one_sent();
        assert!(!sent.add(50));
        let info = reports.issue(ms(0), NTP, 5, &sent).unwrap();
        assert_eq!((info.packets, info.octets, info.rtp_time), (2, 150, 5));
    }

    #[test]
    fn two_reports_without_a_packet_between_are_the_last() {
        let (mut sent, mut reports) = (one_sent(), Reports::default());
        for turn in 1..=2 {
            assert!(reports.has_news(&sent));
            reports.issue(ms(1_000 * turn), NTP, 5, &sent).unwrap();
        }
        assert!(!reports.has_news(&sent));
        sent.rest();
        assert!(sent.add(10), "first again");
        assert!(reports.has_news(&sent));
    }

    #[test]
    fn the_round_trip_is_what_remains_of_the_answers_age() {
        let mut reports = reported();
        reports.on_report(ms(1_540), &answer(NTP.middle(), 32_768));
        assert_eq!(reports.round_trip(), Some(Duration::from_millis(40)));
        reports.on_report(ms(1_620), &answer(NTP.middle(), 32_768));
        assert_eq!(reports.round_trip(), Some(Duration::from_millis(50)));
    }

    #[test]
    fn answers_that_cannot_be_true_are_ignored() {
        let mut reports = reported();
        reports.on_report(ms(1_500), &answer(0, 0));
        reports.on_report(ms(1_500), &answer(0x1234_5678, 0));
        reports.on_report(ms(1_500), &answer(NTP.middle(), 65_536));
        assert_eq!(reports.round_trip(), None);
    }

    #[test]
    fn only_the_last_few_reports_are_remembered() {
        let mut reports = reported();
        for turn in 1..=REMEMBERED as u64 {
            let ntp = NTP.plus(Duration::from_secs(turn));
            reports.issue(ms(1_000 * turn), ntp, 5, &one_sent());
        }
        assert_eq!(reports.issued.len(), REMEMBERED);
        reports.on_report(ms(9_000), &answer(NTP.middle(), 0));
        assert_eq!(reports.round_trip(), None);
    }
}
