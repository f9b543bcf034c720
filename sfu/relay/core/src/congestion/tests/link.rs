//! A bottleneck: a rate with a finite queue, then a way with delay, jitter and loss. Deterministic by its seed.
use std::time::Duration;

use crate::units::{Bitrate, Time};

/// What the bottleneck does to packets; change it at any time.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    pub rate: Bitrate,
    /// Bytes that wait at most.
    pub queue: u64,
    pub delay: Duration,
    /// Added at random from none to this, which keeps the order unless `reorders`.
    pub jitter: Duration,
    pub reorders: bool,
    /// Share lost at random, after the bottleneck.
    pub loss: f64,
}

impl Conditions {
    pub fn new(rate: Bitrate) -> Self {
        Conditions {
            rate,
            queue: 100_000,
            delay: Duration::from_millis(25),
            jitter: Duration::ZERO,
            reorders: false,
            loss: 0.0,
        }
    }
}

pub struct Link {
    conditions: Conditions,
    /// When the last packet in the queue has left it.
    free_at: Time,
    last_arrival: Time,
    dice: Dice,
}

impl Link {
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Link {
            conditions,
            free_at: Time::ZERO,
            last_arrival: Time::ZERO,
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        }
    }

    pub fn conditions(&self) -> Conditions {
        self.conditions
    }

    /// What waits goes on at the new rate.
    pub fn change(&mut self, now: Time, conditions: Conditions) {
        let waiting = self.conditions.rate.bytes_in(self.waiting(now));
        self.free_at = now + conditions.rate.time_for(waiting);
        self.conditions = conditions;
    }

    /// How long a packet that enters now waits.
    pub fn waiting(&self, now: Time) -> Duration {
        self.free_at.since(now)
    }

    /// When the packet arrives, if it does.
    pub fn carry(&mut self, now: Time, bytes: u64) -> Option<Time> {
        let conditions = self.conditions;
        let waiting = conditions.rate.bytes_in(self.waiting(now));
        if waiting + bytes > conditions.queue {
            return None;
        }
        self.free_at = self.free_at.max(now) + conditions.rate.time_for(bytes);
        if self.dice.share() < conditions.loss {
            return None;
        }
        let jitter = conditions.jitter.mul_f64(self.dice.share());
        let mut arrival = self.free_at + conditions.delay + jitter;
        if !conditions.reorders {
            arrival = arrival.max(self.last_arrival);
            self.last_arrival = arrival;
        }
        Some(arrival)
    }
}

/// Xorshift, so that a seed means the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}
