//! How long packets wait on the way: the delay above the least one known.
//!
//! GCC looks at changes of the delay alone. Its level tells two things more: unrest without a queue is no congestion,
//! and a queue that is there must drain, however steady it stands.
use std::time::Duration;

use crate::units::Time;

/// The least delay is that of one to two such terms: long enough for a queue that stands for half a minute, short enough
/// that clocks which run apart by 50 in a million are no more than 3 ms off, and that a longer path is taken for what it
/// is in the end.
const TERM: Duration = Duration::from_secs(30);

/// The delay now is the least of a feedback's packets, or of those of several where one tells of fewer than these: jitter
/// spares one of so many.
const BATCH: usize = 4;

/// Growth of the delay from one such batch to the next that is no unrest.
const RISE: i64 = 20_000;

/// Least delays: of the last packets, and of the last minute. In microseconds between two clocks.
#[derive(Default)]
pub(super) struct Queue {
    batch: Option<i64>,
    batched: usize,
    latest: Option<i64>,
    /// Batches in a row that each rose above the one before.
    rises: u32,
    /// Of the running term and of the one before.
    term: Option<(Time, i64)>,
    before: Option<i64>,
}

impl Queue {
    /// A packet arrived.
    pub fn on_arrival(&mut self, now: Time, sent: Time, arrival: i64) {
        let delay = arrival.wrapping_sub(sent.as_micros() as i64);
        self.batch = Some(self.batch.map_or(delay, |least| least.min(delay)));
        self.batched += 1;
        match &mut self.term {
            Some((began, least)) if now.since(*began) < TERM => *least = delay.min(*least),
            term => {
                self.before = term.map(|(_, least)| least);
                *term = Some((now, delay));
            }
        }
    }

    /// All arrivals of a feedback are in.
    pub fn update(&mut self) {
        if self.batched < BATCH {
            return;
        }
        let before = self.latest;
        self.latest = self.batch.take();
        self.batched = 0;
        let rise = self
            .latest
            .zip(before)
            .map(|(now, then)| now.wrapping_sub(then));
        self.rises = match rise {
            Some(RISE..) => self.rises.saturating_add(1),
            _ => 0,
        };
    }

    /// Whether the queue shoots up. A path that became longer rises once, a queue again and again.
    pub fn surges(&self) -> bool {
        self.rises >= 2
    }

    /// How long the queue stands; nothing until enough packets arrived.
    pub fn standing(&self) -> Duration {
        let (Some(latest), Some((_, term))) = (self.latest, self.term) else {
            return Duration::ZERO;
        };
        let least = self.before.map_or(term, |before| before.min(term));
        let above = latest.wrapping_sub(least);
        Duration::from_micros(u64::try_from(above).unwrap_or(0))
    }

    /// The path is another one: the least delay is learned anew.
    pub fn forget(&mut self) {
        *self = Queue::default();
    }
}
