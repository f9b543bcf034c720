//! What left, until it is told of.
use std::collections::VecDeque;
use std::time::Duration;

use super::ProbeId;
use crate::rtcp::{MAX_CLAIMED, REFERENCE_BITS, REFERENCE_MICROS, TransportFeedback};
use crate::units::Time;

/// Packets remembered: as many as one feedback can tell of, which at the highest rate is two thirds of a second.
const MAX_REMEMBERED: usize = MAX_CLAIMED as usize;

/// How long a packet is remembered. Feedback comes some ten times a second; what is told of a packet that is older has
/// been repeated, or made up.
const REMEMBERED_FOR: Duration = Duration::from_secs(5);

/// One packet that left.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Time,
    probe: Option<ProbeId>,
    bytes: u16,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Unknown,
    Missing,
    Arrived,
}

/// One packet told of for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub number: u64,
    pub sent: Time,
    /// Microseconds on the receiver's clock, unwrapped; `None` for a loss.
    pub arrival: Option<i64>,
    pub bytes: usize,
    pub probe: Option<ProbeId>,
    /// It was told as lost before.
    pub late: bool,
}

/// Send times by transport-wide number, bounded in number and age.
#[derive(Default)]
pub(super) struct SentPackets {
    packets: VecDeque<Sent>,
    /// Number of the front.
    first: u64,
    clock: ReceiverClock,
}

impl SentPackets {
    /// Numbers go up by one; after any other step only what follows is remembered.
    pub fn on_sent(&mut self, now: Time, number: u64, bytes: usize, probe: Option<ProbeId>) {
        if self.first.checked_add(self.packets.len() as u64) != Some(number) {
            self.packets.clear();
            self.first = number;
        }
        let expired = |sent: &Sent| now.since(sent.at) > REMEMBERED_FOR;
        while self.packets.len() >= MAX_REMEMBERED || self.packets.front().is_some_and(expired) {
            self.packets.pop_front();
            self.first += 1;
        }
        self.packets.push_back(Sent {
            at: now,
            probe,
            bytes: u16::try_from(bytes).unwrap_or(u16::MAX),
            fate: Fate::Unknown,
        });
    }

    /// Appends to `told` what the feedback says of remembered packets and was not said before, in its order. Claims
    /// about anything else are passed over.
    pub fn on_feedback(&mut self, feedback: &TransportFeedback<'_>, told: &mut Vec<Told>) {
        let reference = self.clock.unwrap(feedback.reference());
        for (sequence, arrival) in feedback.arrivals() {
            let Some((number, sent)) = self.find(sequence) else {
                continue;
            };
            let fate = match arrival {
                Some(_) => Fate::Arrived,
                None => Fate::Missing,
            };
            if sent.fate == Fate::Arrived || sent.fate == fate {
                continue;
            }
            told.push(Told {
                number,
                sent: sent.at,
                arrival: arrival.map(|micros| reference.wrapping_add(micros)),
                bytes: usize::from(sent.bytes),
                probe: sent.probe,
                late: sent.fate == Fate::Missing,
            });
            sent.fate = fate;
        }
    }

    /// The newest packet with these low bits.
    fn find(&mut self, sequence: u16) -> Option<(u64, &mut Sent)> {
        let newest = self
            .first
            .checked_add(self.packets.len() as u64)?
            .checked_sub(1)?;
        let age = u64::from((newest as u16).wrapping_sub(sequence));
        let place = (self.packets.len() as u64 - 1).checked_sub(age)?;
        let sent = self.packets.get_mut(place as usize)?;
        Some((newest - age, sent))
    }
}

/// The receiver's 24-bit clock without its wraps.
#[derive(Default)]
struct ReceiverClock {
    last: Option<(u32, i64)>,
}

impl ReceiverClock {
    /// Microseconds of this reference time: the nearest to the last one, ahead or behind.
    fn unwrap(&mut self, reference: u32) -> i64 {
        let (last, micros) = self.last.unwrap_or((reference, 0));
        let spare = 32 - REFERENCE_BITS;
        let step = (reference.wrapping_sub(last) << spare) as i32 >> spare; // sign-extends 24 bits
        // A liar's clock may run around the world; it only ever harms differences of its own.
        let micros = micros.wrapping_add(i64::from(step) * REFERENCE_MICROS as i64);
        self.last = Some((reference, micros));
        micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Packet, packets, write_transport_feedback};
    use crate::units::Ssrc;

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    /// Packets of these numbers, one a millisecond.
    fn sent(numbers: std::ops::Range<u64>) -> SentPackets {
        let mut packets = SentPackets::default();
        for (number, millis) in numbers.zip(0..) {
            packets.on_sent(ms(millis), number, 1_000, None);
        }
        packets
    }

    /// What is learned of a feedback with these arrivals.
    fn tell(sent: &mut SentPackets, base: u16, arrivals: &[Option<Time>]) -> Vec<Told> {
        let mut out = Vec::new();
        write_transport_feedback(&mut out, Ssrc(1), Ssrc(2), base, 0, arrivals);
        let mut told = Vec::new();
        for packet in packets(&out) {
            if let Ok(Packet::TransportFeedback { feedback, .. }) = packet {
                sent.on_feedback(&feedback, &mut told);
            }
        }
        told
    }

    fn numbers(told: &[Told]) -> Vec<u64> {
        told.iter().map(|told| told.number).collect()
    }

    #[test]
    fn each_packet_is_told_of_once_and_once_more_when_it_comes_late() {
        let mut sent = sent(65_530..65_550);
        let first = tell(&mut sent, 65_534, &[Some(ms(50)), None, Some(ms(51))]);
        assert_eq!(numbers(&first), [65_534, 65_535, 65_536]);
        assert_eq!(first[0].sent, ms(4));
        assert_eq!(first[1].arrival, None);
        assert!(tell(&mut sent, 65_534, &[None, None, Some(ms(90))]).is_empty());
        let late = tell(&mut sent, 65_534, &[None, Some(ms(60))]);
        assert_eq!(numbers(&late), [65_535]);
        assert!(late[0].late);
    }

    #[test]
    fn nothing_is_learned_of_packets_that_never_left() {
        let mut sent = sent(100..110);
        let claims = vec![Some(ms(1)); 200];
        let told = tell(&mut sent, 0, &claims);
        assert_eq!(numbers(&told), (100..110).collect::<Vec<_>>());
        assert!(tell(&mut SentPackets::default(), 0, &claims).is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded_in_number_and_age_and_begins_anew_after_a_leap() {
        let mut packets = SentPackets::default();
        for number in 0..100_000 {
            packets.on_sent(Time::ZERO, number, 1_000, None);
            assert!(packets.packets.len() <= MAX_REMEMBERED);
        }
        packets.on_sent(ms(0) + REMEMBERED_FOR * 2, 100_000, 1_000, None);
        assert_eq!((packets.first, packets.packets.len()), (100_000, 1));
        packets.on_sent(ms(0) + REMEMBERED_FOR * 2, 7, usize::MAX, None);
        packets.on_sent(ms(0) + REMEMBERED_FOR * 2, u64::MAX, 1_000, None);
        assert_eq!((packets.first, packets.packets.len()), (u64::MAX, 1));
        assert!(tell(&mut packets, 0xffff, &[Some(ms(1))]).len() <= 1);
    }

    #[test]
    fn the_receivers_clock_goes_on_over_its_wrap_and_back() {
        let mut clock = ReceiverClock::default();
        let unit = REFERENCE_MICROS as i64;
        assert_eq!(clock.unwrap(0xff_fffe), 0);
        assert_eq!(clock.unwrap(3), 5 * unit);
        assert_eq!(clock.unwrap(0xff_fffe), 0);
        assert_eq!(clock.unwrap(0x7f_fffd), ((1 << 23) - 1) * unit);
    }
}
