//! The stamps of the last packets sent, so that lost ones can be sent again exactly as they were.
use std::num::NonZeroU8;
use std::time::Duration;

use crate::units::{LayerId, Time};

use super::Stamp;
use super::budget::ResendBudget;

/// Shortest time between two resends of a packet, however short the round trip: receivers' timers are no finer.
const MIN_SPACING: Duration = Duration::from_millis(20);

/// Round trip while no report has told it; what receivers assume, too, before they ask again.
const ASSUMED_ROUND_TRIP: Duration = Duration::from_millis(100);

/// Most transmissions of one packet: the first and ten resends, since receivers give up after asking ten times.
const MAX_SENDS: u8 = 11;

/// Ring of stamps by outgoing index.
#[repr(C)]
pub struct History {
    /// Grows with use up to `mask + 1`.
    records: Vec<Option<Record>>,
    mask: u64,
    origin: u64,
    budget: ResendBudget,
}

/// A cache line each: a stream's record is the one part of its state that every packet finds cold.
#[repr(align(64))]
struct Record {
    stamp: Stamp,
    /// Milliseconds, the lower 32 bits of them.
    last_sent: u32,
    sends: NonZeroU8,
}

const _: () = assert!(size_of::<Option<Record>>() == 64);

impl History {
    /// `first` is the first index to come; `size` how many are kept (rounded up to a power of two).
    pub fn new(first: u64, size: usize) -> Self {
        History {
            records: Vec::new(),
            mask: size.max(1).next_power_of_two() as u64 - 1,
            origin: first,
            budget: ResendBudget::default(),
        }
    }

    /// Remembers a packet that is sent now for the first time.
    pub fn insert(&mut self, now: Time, stamp: Stamp) {
        let position = self.position(stamp.index);
        if position >= self.records.len() {
            self.records.resize_with(position + 1, || None);
        }
        self.records[position] = Some(Record {
            stamp,
            last_sent: millis(now),
            sends: NonZeroU8::MIN,
        });
        self.budget.on_sent(now);
    }

    /// The stamp to send again; `None` when it is not remembered, was resent within the last round trip or too often,
    /// or the second's budget is used up.
    pub fn resend(&mut self, now: Time, index: u64, round_trip: Option<Duration>) -> Option<Stamp> {
        let spacing = round_trip.unwrap_or(ASSUMED_ROUND_TRIP).max(MIN_SPACING);
        let position = self.position(index);
        let record = self.records.get_mut(position)?.as_mut()?;
        let passed = millis(now).wrapping_sub(record.last_sent);
        let too_soon =
            record.sends > NonZeroU8::MIN && Duration::from_millis(u64::from(passed)) < spacing;
        if record.stamp.index != index || too_soon || record.sends.get() >= MAX_SENDS {
            return None;
        }
        if !self.budget.take(now) {
            return None;
        }
        record.sends = record.sends.saturating_add(1);
        record.last_sent = millis(now);
        Some(record.stamp)
    }

    /// The stamp of a packet that was sent, while it is remembered and may be resent.
    pub fn stamp(&self, index: u64) -> Option<Stamp> {
        let position = self.position(index);
        let record = self.records.get(position)?.as_ref()?;
        let known = record.stamp.index == index && record.sends.get() < MAX_SENDS;
        known.then_some(record.stamp)
    }

    /// Resends nothing that came from this layer so far.
    pub fn forget(&mut self, layer: LayerId) {
        let of_layer = |record: &&mut Record| record.stamp.layer == layer;
        for record in self.records.iter_mut().flatten().filter(of_layer) {
            record.sends = NonZeroU8::MAX;
        }
    }

    /// Resends nothing that was sent so far.
    pub fn forget_all(&mut self) {
        for record in self.records.iter_mut().flatten() {
            record.sends = NonZeroU8::MAX;
        }
    }

    fn position(&self, index: u64) -> usize {
        (index.wrapping_sub(self.origin) & self.mask) as usize
    }
}

fn millis(now: Time) -> u32 {
    (now.as_micros() / 1_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::PayloadType;

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn stamp(index: u64) -> Stamp {
        Stamp {
            index,
            timestamp: index as u32,
            payload_type: PayloadType(96),
            layer: LayerId((index % 2) as u8),
            source_index: index + 1_000,
            picture: None,
            marker: false,
            active: None,
            empty: false,
            carries_before: None,
            transport_number: Some(index as u16),
            padding: 0,
        }
    }

    fn filled(count: u64) -> History {
        let mut history = History::new(0, 128);
        (0..count).for_each(|index| history.insert(ms(0), stamp(index)));
        history
    }

    const RTT: Option<Duration> = Some(Duration::from_millis(50));

    #[test]
    fn what_was_sent_is_resent_as_it_was_until_a_ring_later() {
        let mut history = filled(130);
        assert_eq!(history.resend(ms(0), 1, RTT), None);
        assert_eq!(history.resend(ms(0), 2, RTT), Some(stamp(2)));
        assert_eq!(history.resend(ms(0), 130, RTT), None);
    }

    #[test]
    fn a_packet_is_resent_once_per_round_trip() {
        let mut history = filled(50);
        assert!(history.resend(ms(1), 7, RTT).is_some());
        assert!(history.resend(ms(1), 7, RTT).is_none());
        assert!(history.resend(ms(50), 7, RTT).is_none());
        assert!(history.resend(ms(51), 7, RTT).is_some());
    }

    #[test]
    fn a_tiny_round_trip_does_not_make_it_faster_than_20_ms() {
        let mut history = filled(50);
        let tiny = Some(Duration::ZERO);
        assert!(history.resend(ms(0), 7, tiny).is_some());
        assert!(history.resend(ms(19), 7, tiny).is_none());
        assert!(history.resend(ms(20), 7, tiny).is_some());
    }

    #[test]
    fn a_packet_is_resent_ten_times_at_most() {
        let mut history = filled(50);
        let times = (0..100).filter(|&turn| history.resend(ms(turn * 1_000), 7, RTT).is_some());
        assert_eq!(times.count(), 10);
    }

    #[test]
    fn a_forgotten_layer_is_not_resent() {
        let mut history = filled(50);
        history.forget(LayerId(1));
        assert!(history.resend(ms(0), 11, RTT).is_none());
        assert!(history.resend(ms(0), 12, RTT).is_some());
    }

    #[test]
    fn a_young_stream_uses_little_memory() {
        let mut history = History::new(30_000, 1024);
        (30_000..30_010).for_each(|index| history.insert(ms(0), stamp(index)));
        assert!(history.records.len() <= 10);
    }
}
