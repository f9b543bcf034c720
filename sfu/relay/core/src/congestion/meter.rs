//! How much goes by.
use std::time::Duration;

use crate::units::{Bitrate, Time};

/// The window is counted in slots of 50 ms.
const SLOTS: usize = 20;
const SLOT_MICROS: u64 = 50_000;

/// What a rate is measured over: a second evens out single pictures, and is short enough that a layer's rate is known
/// soon after it begins.
pub const WINDOW: Duration = Duration::from_micros(SLOTS as u64 * SLOT_MICROS);

/// Before this much of a stream has been seen, its first picture, a key frame and several times the size of another,
/// would be taken for its rate.
pub const SETTLED_AFTER: Duration = WINDOW;

/// Bytes of the last second, as a rate. One addition a packet.
#[derive(Clone, Debug, Default)]
pub struct RateMeter {
    slots: [u32; SLOTS],
    sum: u64,
    /// Number of the running slot since the origin of time.
    running: u64,
    /// When the stream began, or began again after a second of silence.
    began: Option<Time>,
}

impl RateMeter {
    /// So many bytes went by now. Time that goes back counts as standing still.
    pub fn add(&mut self, now: Time, bytes: usize) {
        self.advance(now);
        if self.began.is_none() {
            self.began = Some(now);
        }
        let slot = &mut self.slots[self.running as usize % SLOTS];
        let added = u32::try_from(bytes)
            .unwrap_or(u32::MAX)
            .min(u32::MAX - *slot);
        *slot += added;
        self.sum += u64::from(added);
    }

    /// Bits a second over the last second, or over the time since the stream began, but no less than a quarter of a
    /// second; zero after a second of silence.
    pub fn rate(&mut self, now: Time) -> Bitrate {
        self.advance(now);
        let Some(began) = self.began else {
            return Bitrate::ZERO;
        };
        // The running slot is only as full as it is old.
        let into_slot = now.as_micros().saturating_sub(self.running * SLOT_MICROS);
        let whole = (SLOTS as u64 - 1) * SLOT_MICROS + into_slot.min(SLOT_MICROS);
        let seen = now.since(began).max(WINDOW / 4);
        Bitrate::of(self.sum, seen.min(Duration::from_micros(whole)))
    }

    /// Whether the stream has gone on for long enough that its rate says something.
    pub fn is_settled(&mut self, now: Time) -> bool {
        self.advance(now);
        let long_enough = |began| now.since(began) >= SETTLED_AFTER;
        self.began.is_some_and(long_enough)
    }

    fn advance(&mut self, now: Time) {
        let number = now.as_micros() / SLOT_MICROS;
        if number <= self.running {
            return;
        }
        let passed = number - self.running;
        for step in 1..=passed.min(SLOTS as u64) {
            let place = ((self.running + step) % SLOTS as u64) as usize;
            self.sum -= u64::from(std::mem::take(&mut self.slots[place]));
        }
        self.running = number;
        if self.sum == 0 {
            self.began = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn play(meter: &mut RateMeter, millis: std::ops::Range<u64>, step: usize, bytes: usize) {
        millis.step_by(step).for_each(|at| meter.add(ms(at), bytes));
    }

    #[test]
    fn a_steady_stream_is_measured_from_its_first_quarter_second_on() {
        let mut meter = RateMeter::default();
        for at in (0..10_000).step_by(10) {
            meter.add(ms(at), 1_000); // 800 kbit/s
            let told = meter.rate(ms(at)).as_bps();
            if at >= 250 {
                assert!((770_000..850_000).contains(&told), "{told} at {at} ms");
            }
        }
    }

    #[test]
    fn what_is_more_than_a_second_old_no_longer_counts() {
        let mut meter = RateMeter::default();
        play(&mut meter, 0..2_000, 10, 1_000);
        play(&mut meter, 2_000..3_000, 10, 100);
        let told = meter.rate(ms(3_000)).as_bps();
        assert!((75_000..90_000).contains(&told), "{told}");
        assert_eq!(meter.rate(ms(4_100)), Bitrate::ZERO);
    }

    #[test]
    fn a_stream_settles_a_second_after_it_began_and_anew_after_a_silence() {
        let mut meter = RateMeter::default();
        assert!(!meter.is_settled(ms(0)));
        play(&mut meter, 100..1_100, 20, 500);
        assert!(!meter.is_settled(ms(1_099)));
        assert!(meter.is_settled(ms(1_100)));
        assert!(!meter.is_settled(ms(60_000)));
        meter.add(ms(60_000), 500);
        assert!(!meter.is_settled(ms(60_500)));
    }

    #[test]
    fn neither_time_going_back_nor_huge_packets_harm_it() {
        let mut meter = RateMeter::default();
        meter.add(ms(60_000), usize::MAX);
        meter.add(ms(60_000), usize::MAX);
        meter.add(ms(0), 1_000);
        assert!(meter.rate(ms(0)) > Bitrate::ZERO);
        meter.add(Time::from_micros(u64::MAX), 1_000);
        assert!(meter.rate(Time::from_micros(u64::MAX)) > Bitrate::ZERO);
    }
}
