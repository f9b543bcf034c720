//! How well packets go between one peer and the relay, told every few seconds where it changed.
use std::time::Duration;

use crate::units::Time;

/// Time between two tellings, as LiveKit's server has it: long enough that a share of lost packets says something.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Fewer packets than this say nothing of what share is lost.
const LEAST: u64 = 20;

/// Packets that one report may speak of: more than a second holds, and a report that claims more is made up.
const MOST_REPORTED: u32 = 10_000;

/// What was lost, in percent, of what was to arrive; `None` where too little was sent to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Of what the peer sends, before anything is sent again.
    pub up: Option<u8>,
    /// Of what it is sent, as it reports.
    pub down: Option<u8>,
}

/// The losses of one peer since it was last asked.
#[derive(Default)]
pub struct Health {
    up: Tally,
    down: Tally,
    due: Time,
}

#[derive(Default)]
struct Tally {
    expected: u64,
    lost: u64,
}

impl Tally {
    fn add(&mut self, expected: u64, lost: u64) {
        self.expected += expected;
        self.lost += lost.min(expected);
    }

    fn take(&mut self) -> Option<u8> {
        let Tally { expected, lost } = std::mem::take(self);
        (expected >= LEAST).then(|| (lost * 100 / expected) as u8) // at most 100
    }
}

impl Health {
    /// So many packets of the peer's were lost, of so many that it sent.
    pub fn on_received(&mut self, expected: u64, lost: u64) {
        self.up.add(expected, lost);
    }

    /// The peer reports what share of so many packets it missed, in 256ths (RFC 3550 section 6.4.1).
    pub fn on_report(&mut self, packets: u32, fraction_lost: u8) {
        let packets = u64::from(packets.min(MOST_REPORTED));
        self.down
            .add(packets, packets * u64::from(fraction_lost) / 256);
    }

    /// The losses since the last call, once that is long enough ago.
    pub fn poll(&mut self, now: Time) -> Option<Losses> {
        if now < self.due {
            return None;
        }
        self.due = now + INTERVAL;
        Some(Losses {
            up: self.up.take(),
            down: self.down.take(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_apart_and_begin_anew_with_each_telling() {
        let mut health = Health::default();
        health.on_received(100, 3);
        health.on_received(100, 0);
        health.on_report(200, 64);
        let told = health.poll(Time::from_millis(1_000));
        assert_eq!(
            told,
            Some(Losses {
                up: Some(1),
                down: Some(25)
            })
        );
        health.on_received(100, 50);
        assert_eq!(health.poll(Time::from_millis(5_999)), None);
        let told = health.poll(Time::from_millis(6_000)).unwrap();
        assert_eq!((told.up, told.down), (Some(50), None));
    }

    #[test]
    fn few_packets_say_nothing_and_false_reports_no_more_than_everything() {
        let mut health = Health::default();
        health.on_received(19, 19);
        for _ in 0..1_000 {
            health.on_report(u32::MAX, 255);
        }
        let told = health.poll(Time::from_millis(1)).unwrap();
        assert_eq!((told.up, told.down), (None, Some(99)));
    }
}
