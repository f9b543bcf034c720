//! The link to one subscriber: how packets are numbered on it across all streams
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use crate::units::Time;

/// What is sent to one peer, taken together.
pub struct Downlink {
    /// Extended transport-wide number of the next packet.
    next: u64,
}

impl Downlink {
    /// `first`: where the numbers begin, from the caller's entropy.
    pub fn new(first: u16) -> Self {
        Downlink {
            next: u64::from(first),
        }
    }

    /// The number that the next packet takes, if it carries one.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// A packet with this number left. One sent again on its own SSRC repeats the number it had, which is not the next.
    pub fn on_sent(&mut self, _now: Time, number: u16, _bytes: usize) {
        if number == self.next as u16 {
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_once_and_runs_past_sixteen_bits() {
        let mut downlink = Downlink::new(u16::MAX);
        downlink.on_sent(Time::ZERO, u16::MAX, 100);
        assert_eq!(downlink.next_number(), 0x1_0000);
        downlink.on_sent(Time::ZERO, u16::MAX, 100);
        assert_eq!(downlink.next_number(), 0x1_0000, "sent again as it was");
        downlink.on_sent(Time::ZERO, 0, 100);
        assert_eq!(downlink.next_number(), 0x1_0001);
    }
}
