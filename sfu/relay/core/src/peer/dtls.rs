//! DTLS on its way between a peer and the control plane: bounded both ways, never looked into.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::Time;

/// Datagrams of one peer that wait for the control plane at once.
const MAX_QUEUED: u32 = 128;
/// Datagrams that wait for a peer's address to earn its allowance: a few flights.
const MAX_HELD: usize = 16;
/// Before the handshake is done a peer needs a dozen datagrams, retransmissions included.
const HANDSHAKE: Rate = Rate {
    burst: 32,
    per_second: 50,
};
/// Afterwards data channels run over it: 2,000 datagrams are 2.4 MB a second.
const ESTABLISHED: Rate = Rate {
    burst: 256,
    per_second: 2_000,
};

#[derive(Clone, Copy)]
struct Rate {
    burst: u64,
    per_second: u64,
}

/// One peer's gate.
pub struct DtlsGate {
    rate: Rate,
    /// Micro-datagrams that may still pass.
    credit: u64,
    refilled: Time,
    queued: u32,
    held: VecDeque<Vec<u8>>,
}

impl DtlsGate {
    /// Full credit from `now` on.
    pub fn new(now: Time) -> Self {
        DtlsGate {
            rate: HANDSHAKE,
            credit: HANDSHAKE.burst * 1_000_000,
            refilled: now,
            queued: 0,
            held: VecDeque::new(),
        }
    }

    /// The handshake is done: the rate of data channels from now on.
    pub fn on_keys(&mut self) {
        self.rate = ESTABLISHED;
    }

    /// Whether one more datagram may be queued for the control plane; counts it when it may.
    pub fn admit(&mut self, now: Time) -> bool {
        let passed = now
            .since(self.refilled)
            .min(Duration::from_secs(10))
            .as_micros() as u64;
        self.refilled = now;
        self.credit =
            (self.credit + passed * self.rate.per_second).min(self.rate.burst * 1_000_000);
        if self.queued >= MAX_QUEUED || self.credit < 1_000_000 {
            return false;
        }
        self.credit -= 1_000_000;
        self.queued += 1;
        true
    }

    /// The control plane took one.
    pub fn taken(&mut self) {
        self.queued = self.queued.saturating_sub(1);
    }

    /// Keeps a datagram that may not be sent yet; `false` when too many wait already.
    pub fn hold(&mut self, datagram: Vec<u8>) -> bool {
        let room = self.held.len() < MAX_HELD;
        if room {
            self.held.push_back(datagram);
        }
        room
    }

    /// The next that waits.
    pub fn next_held(&self) -> Option<&[u8]> {
        self.held.front().map(Vec::as_slice)
    }

    /// It was sent.
    pub fn release(&mut self) {
        self.held.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_passes_at_the_rate_and_no_faster() {
        let mut gate = DtlsGate::new(Time::ZERO);
        let mut passed = 0;
        for millis in 0..10_000 {
            for _ in 0..5 {
                if gate.admit(Time::from_millis(millis)) {
                    gate.taken();
                    passed += 1;
                }
            }
        }
        assert!((500..=532).contains(&passed), "{passed}");
    }

    #[test]
    fn what_the_control_plane_does_not_take_is_bounded() {
        let mut gate = DtlsGate::new(Time::ZERO);
        gate.on_keys();
        let admitted = (0..1_000)
            .filter(|ms| gate.admit(Time::from_millis(*ms)))
            .count();
        assert_eq!(admitted, MAX_QUEUED as usize);
    }

    #[test]
    fn only_a_few_flights_are_held() {
        let mut gate = DtlsGate::new(Time::ZERO);
        let held = (0..100).filter(|_| gate.hold(vec![22])).count();
        assert_eq!(held, MAX_HELD);
    }
}
