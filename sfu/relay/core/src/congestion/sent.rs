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
