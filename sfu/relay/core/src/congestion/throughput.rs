//! What gets through: the rate of what was told to have arrived.
use std::collections::VecDeque;
use std::time::Duration;

use super::sent::Told;

/// The usual window: some fifteen pictures, so that one more or less does not show.
const USUAL: Duration = Duration::from_millis(500);
/// The window for what goes through now that a queue builds up: what came before it is of no interest.
const LATEST: Duration = Duration::from_millis(200);

/// Fewer arrivals are no rate.
const FEWEST: usize = 4;
/// Arrivals remembered, 50 Mbit/s of full packets for the window.
const MAX_REMEMBERED: usize = 3072;

#[derive(Clone, Copy)]
struct Arrival {
    sent: i64,
    arrival: i64,
    bytes: u32,
}

/// Arrivals of the last half second by the receiver's clock.
#[derive(Default)]
pub(super) struct Throughput {
    arrivals: VecDeque<Arrival>,
}

impl Throughput {
    /// One arrival; in the order of arrivals within a feedback.
    pub fn on_arrival(&mut self, told: &Told, arrival: i64) {
        let newest = self.arrivals.back().map(|last| last.arrival);
        let apart = newest.map_or(0, |newest| arrival.wrapping_sub(newest));
        if apart.unsigned_abs() > 10 * USUAL.as_micros() as u64 {
            self.arrivals.clear(); // a pause, or a leap of the clock
        }
        let window = USUAL.as_micros() as i64;
        while self.arrivals.len() >= MAX_REMEMBERED
            || (self.arrivals.front())
                .is_some_and(|first| arrival.wrapping_sub(first.arrival) > window)
        {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(Arrival {
            sent: told.sent.as_micros() as i64,
            arrival,
            bytes: told.bytes as u32,
        });
    }

    /// Bits a second over the last half second: the lower of how fast packets left and how fast they arrived, since what
    /// arrives faster than it left only waited. `None` while too little is known.
    pub fn rate(&self) -> Option<f64> {
        match self.spans(USUAL)? {
            (Some(sent), Some(arrived)) => Some(sent.min(arrived)),
            (one, other) => one.or(other),
        }
    }

    /// Bits a second that arrived over the last fifth: what goes through while a queue stands.
    pub fn drained(&self) -> Option<f64> {
        self.spans(LATEST)?.1
    }

    fn spans(&self, window: Duration) -> Option<(Option<f64>, Option<f64>)> {
        let newest = self.arrivals.back()?.arrival;
        let within = |a: &&Arrival| newest.wrapping_sub(a.arrival) <= window.as_micros() as i64;
        let (mut sent, mut arrived) = (Span::default(), Span::default());
        let mut count = 0;
        for packet in self.arrivals.iter().rev().take_while(within) {
            sent.add(packet.sent, packet.bytes);
            arrived.add(packet.arrival, packet.bytes);
            count += 1;
        }
        (count >= FEWEST).then(|| (sent.rate(), arrived.rate()))
    }
}

/// Bytes between the first moment and the last.
#[derive(Default)]
struct Span {
    bytes: u64,
    first: Option<(i64, u32)>,
    last: Option<i64>,
}

impl Span {
    fn add(&mut self, at: i64, bytes: u32) {
        self.bytes += u64::from(bytes);
        if self.first.is_none_or(|(first, _)| at < first) {
            self.first = Some((at, bytes));
        }
        if self.last.is_none_or(|last| at > last) {
            self.last = Some(at);
        }
    }

    /// The first packet opens the span and is not part of what went by in it.
    fn rate(&self) -> Option<f64> {
        let (first, opening) = self.first?;
        let micros = self.last?.wrapping_sub(first);
        (micros > 0).then(|| (self.bytes - u64::from(opening)) as f64 * 8e6 / micros as f64)
    }
}
