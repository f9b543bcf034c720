//! A link that takes so many bits a second, with a queue before it that loses what does not fit.

use std::time::Duration;

use conclave_relay_core::units::Time;

#[derive(Clone, Debug)]
pub struct Bottleneck {
    /// Bits a second.
    pub rate: u64,
    /// How long the queue may grow.
    pub depth: Duration,
    free_at: Time,
    /// Lost for want of room.
    pub lost: usize,
    /// Let through.
    pub passed: usize,
    /// The longest that anything waited.
    pub longest: Duration,
}

impl Bottleneck {
    pub fn new(rate: u64, depth: Duration) -> Self {
        Bottleneck {
            rate,
            depth,
            free_at: Time::ZERO,
            lost: 0,
            passed: 0,
            longest: Duration::ZERO,
        }
    }

    /// When a datagram that comes now is through; `None` when it is lost.
    pub fn pass(&mut self, now: Time, bytes: usize) -> Option<Time> {
        // IPv4 and UDP headers take their place on the link too.
        let bits = (bytes as u64 + 28) * 8;
        let waits = self.free_at.since(now);
        if waits > self.depth {
            self.lost += 1;
            return None;
        }
        self.longest = self.longest.max(waits);
        self.passed += 1;
        let takes = Duration::from_micros(bits * 1_000_000 / self.rate.max(1));
        self.free_at = self.free_at.max(now) + takes;
        Some(self.free_at)
    }
}
