//! A publisher's wall clock, told in the relay's own.
use crate::units::{NtpTime, Time};

/// From one report to the next, this is no delay but a clock that was set: media that is so late is of no use to
/// anybody.
const STEP: i128 = 10 * SECOND;

const SECOND: i128 = 1 << 32;

/// Makes of the NTP times in one publisher's sender reports times of one clock, the relay's, whatever the publisher's
/// shows. All streams of a publisher move by the same span, so what was captured together stays together, and streams
/// that go over to another publisher, or whose publisher sets its clock, go on without a leap.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock(Option<Anchor>);

#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// The publisher's time of its latest report, and when that came.
    ntp: NtpTime,
    arrived: Time,
    /// What is added to its times.
    ahead: u64,
}

impl WallClock {
    /// A report that says `ntp` arrives: the same moment by the relay's clock, which shows the time since its origin
    /// (RFC 3550 section 4 allows any clock that runs evenly). The first report counts as sent when it arrived.
    pub fn on_report(&mut self, now: Time, ntp: NtpTime) -> NtpTime {
        let fresh = |_| own(now).0.wrapping_sub(ntp.0);
        let ahead = match &self.0 {
            None => fresh(()),
            Some(anchor) => {
                let passed = own(now).0.wrapping_sub(own(anchor.arrived).0) as i64;
                let told = ntp.0.wrapping_sub(anchor.ntp.0) as i64;
                let step = i128::from(told) - i128::from(passed);
                if step.abs() < STEP {
                    anchor.ahead
                } else {
                    anchor.ahead.wrapping_sub(step as u64)
                }
            }
        };
        self.0 = Some(Anchor {
            ntp,
            arrived: now,
            ahead,
        });
        NtpTime(ntp.0.wrapping_add(ahead))
    }
}

fn own(now: Time) -> NtpTime {
    NtpTime(0).plus(now.since(Time::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    fn ntp(seconds: u64) -> NtpTime {
        NtpTime(seconds << 32)
    }

    #[test]
    fn the_first_report_is_now_and_the_others_keep_their_distance_whenever_they_come() {
        let mut clock = WallClock::default();
        assert_eq!(clock.on_report(at(100), ntp(7_000)), ntp(100));
        assert_eq!(clock.on_report(at(103), ntp(7_001)), ntp(101));
        assert_eq!(clock.on_report(at(103), ntp(7_003)), ntp(103));
    }

    #[test]
    fn a_clock_that_is_set_makes_no_leap() {
        let mut clock = WallClock::default();
        clock.on_report(at(100), ntp(7_000));
        assert_eq!(clock.on_report(at(101), ntp(10_601)), ntp(101));
        assert_eq!(clock.on_report(at(102), ntp(10_602)), ntp(102));
        assert_eq!(clock.on_report(at(103), ntp(3)), ntp(103));
    }

    #[test]
    fn a_slow_drift_is_followed() {
        let mut clock = WallClock::default();
        for second in 0..20_000 {
            let shown = NtpTime((second << 32) + second * 4_000_000);
            assert_eq!(clock.on_report(at(second), shown), shown);
        }
    }

    #[test]
    fn any_time_at_all_is_taken() {
        let mut clock = WallClock::default();
        for shown in [0, u64::MAX, 1, 1 << 63, (1 << 63) - 1, u64::MAX / 3] {
            clock.on_report(at(1), NtpTime(shown));
            clock.on_report(Time::from_micros(u64::MAX), NtpTime(shown));
        }
    }
}
