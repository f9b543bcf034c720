//! Which outgoing timestamp a source timestamp becomes: plus an offset, chosen anew with each source.
use std::time::Duration;

use crate::units::{NtpTime, Time};

/// How far the publisher's reports may differ from the time that went by here and still be believed, seconds. A frame
/// lies in encoder, pacer and network for less; layers whose clocks say otherwise are not synchronised at all.
const MAX_DISAGREEMENT: u32 = 1;

/// Longest step forward between two sources, ticks: half of what still counts as forward in 32 bits.
const MAX_STEP: u32 = 1 << 30;

/// Maps timestamps of the current source into the stream's own timestamp space.
#[repr(C)]
pub struct Timeline {
    offset: u32,
    latest: Option<Latest>,
    /// A point common to the publisher's wall clock and the current source's RTP clock.
    mapping: Option<(NtpTime, u32)>,
    clock_rate: u32,
    first: u32,
}

/// The newest packet in sequence.
struct Latest {
    at: Time,
    timestamp: u32,
}

impl Timeline {
    /// The first packet gets the timestamp `first`. `clock_rate` in ticks per second.
    pub fn new(clock_rate: u32, first: u32) -> Self {
        Timeline {
            offset: 0,
            latest: None,
            mapping: None,
            clock_rate,
            first,
        }
    }

    /// Our timestamp for one of the current source.
    pub fn translate(&self, timestamp: u32) -> u32 {
        timestamp.wrapping_add(self.offset)
    }

    /// The timestamp of the newest packet in sequence.
    pub fn latest(&self) -> Option<u32> {
        self.latest.as_ref().map(|latest| latest.timestamp)
    }

    /// The newest packet in sequence was stamped so.
    pub fn advance(&mut self, now: Time, timestamp: u32, mapping: Option<(NtpTime, u32)>) {
        self.latest = Some(Latest { at: now, timestamp });
        if mapping.is_some() {
            self.mapping = mapping;
        }
    }

    /// The current source's clock is no longer what its reports said.
    pub fn forget_mapping(&mut self) {
        self.mapping = None;
    }

    /// Goes over to another source, beginning with a packet of this timestamp.
    ///
    /// The two sources are aligned by the publisher's wall clock when both have reported it, else by the time that went
    /// by here since the last packet. Either way the step is at least one tick: a frame sent by both layers may be
    /// shown twice, but time never goes back.
    pub fn join(&mut self, now: Time, timestamp: u32, mapping: Option<(NtpTime, u32)>) {
        let ours = match &self.latest {
            None => self.first,
            Some(latest) => {
                let elapsed = self.ticks(now.since(latest.at));
                let by_arrival = latest.timestamp.wrapping_add(elapsed);
                let ours = self
                    .by_wall_clock(timestamp, mapping)
                    .filter(|aligned| self.is_plausible(*aligned, by_arrival))
                    .unwrap_or(by_arrival);
                let step = ours.wrapping_sub(latest.timestamp) as i32;
                latest.timestamp.wrapping_add(step.max(1) as u32)
            }
        };
        self.offset = ours.wrapping_sub(timestamp);
        self.mapping = mapping;
    }

    fn by_wall_clock(&self, timestamp: u32, mapping: Option<(NtpTime, u32)>) -> Option<u32> {
        let (old_ntp, old_rtp) = self.mapping?;
        let (ntp, rtp) = mapping?;
        let apart = i128::from(ntp.0.wrapping_sub(old_ntp.0) as i64);
        let ticks = (apart * i128::from(self.clock_rate)) >> 32;
        // The moment of the new source's report, on the old source's clock.
        let moment = old_rtp.wrapping_add(ticks as u32);
        Some(
            self.translate(moment)
                .wrapping_add(timestamp.wrapping_sub(rtp)),
        )
    }

    fn is_plausible(&self, aligned: u32, by_arrival: u32) -> bool {
        let apart = (aligned.wrapping_sub(by_arrival) as i32).unsigned_abs();
        apart <= self.clock_rate.saturating_mul(MAX_DISAGREEMENT)
    }

    fn ticks(&self, span: Duration) -> u32 {
        let ticks = span.as_micros() * u128::from(self.clock_rate) / 1_000_000;
        u32::try_from(ticks).unwrap_or(MAX_STEP).min(MAX_STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 90_000;
    const FIRST: u32 = u32::MAX - 10;

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    /// A stream whose source has sent one packet of timestamp 5000 at 0 ms.
    fn started(mapping: Option<(NtpTime, u32)>) -> Timeline {
        let mut timeline = Timeline::new(RATE, FIRST);
        timeline.join(ms(0), 5_000, mapping);
        timeline.advance(ms(0), timeline.translate(5_000), mapping);
        timeline
    }

    fn step(timeline: &Timeline, timestamp: u32) -> i32 {
        timeline.translate(timestamp).wrapping_sub(FIRST) as i32
    }

    #[test]
    fn the_first_packet_gets_the_first_timestamp_and_the_rest_follow() {
        let timeline = started(None);
        assert_eq!(timeline.translate(5_000), FIRST);
        assert_eq!(step(&timeline, 8_000), 3_000);
    }

    #[test]
    fn sources_that_reported_are_aligned_by_the_publishers_wall_clock() {
        let second = 1 << 32;
        // At 10 s the first source stood at 5000; at 12 s the other at 700,000.
        let mut timeline = started(Some((NtpTime(10 * second), 5_000)));
        // A frame captured at 10.5 s that arrives 700 ms after the last: late by 200 ms.
        timeline.join(
            ms(700),
            700_000 - 135_000,
            Some((NtpTime(12 * second), 700_000)),
        );
        assert_eq!(step(&timeline, 700_000 - 135_000), 45_000);
    }

    #[test]
    fn sources_without_reports_are_aligned_by_arrival() {
        let mut timeline = started(None);
        timeline.join(ms(700), 1_000_000, Some((NtpTime(1), 1)));
        assert_eq!(step(&timeline, 1_000_000), 63_000);
    }

    #[test]
    fn reports_that_disagree_with_the_time_gone_by_are_not_believed() {
        let mut timeline = started(Some((NtpTime(0), 5_000)));
        timeline.join(ms(40), 9_000, Some((NtpTime(3_600 << 32), 9_000)));
        assert_eq!(step(&timeline, 9_000), 3_600);
    }

    #[test]
    fn time_never_goes_back_nor_stands_still() {
        // The same frame on another layer, or an older one.
        for age in [0u32, 900, 9_000] {
            let mut timeline = started(Some((NtpTime(7), 5_000)));
            timeline.join(ms(5), 5_000 - age.min(4_000), Some((NtpTime(7), 5_000)));
            assert_eq!(step(&timeline, 5_000 - age.min(4_000)), 1);
        }
    }

    #[test]
    fn a_pause_of_days_still_steps_forward() {
        let mut timeline = started(None);
        timeline.join(ms(10 * 86_400_000), 77, None);
        assert_eq!(step(&timeline, 77), MAX_STEP as i32);
    }
}
