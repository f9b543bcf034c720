//! How long an answer of one peer takes.
use std::time::Duration;

use crate::units::Time;

/// Longest sample believed: a slower answer was kept back or repeated.
const LONGEST: Duration = Duration::from_secs(2);

/// Smoothed round trip to one peer, from whatever it answers: questions about its address, reports, requests for lost
/// packets. Only answers to what was asked once count (Karn's rule), which is for the caller to see to.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundTrip(Option<Duration>);

impl RoundTrip {
    /// Something asked at `asked` is answered now.
    pub fn on_answer(&mut self, now: Time, asked: Time) {
        self.on_sample(now.since(asked));
    }

    /// Another way of measuring came to this.
    pub fn on_sample(&mut self, sample: Duration) {
        let sample = sample.min(LONGEST);
        // Smoothed as TCP does it (RFC 6298 section 2).
        self.0 = Some(
            self.0
                .map_or(sample, |smoothed| (smoothed * 7 + sample) / 8),
        );
    }

    /// The smoothed round trip, once known.
    pub fn get(self) -> Option<Duration> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_is_believed_and_later_ones_move_it_slowly() {
        let mut round_trip = RoundTrip::default();
        assert_eq!(round_trip.get(), None);
        round_trip.on_answer(Time::from_millis(1_080), Time::from_millis(1_000));
        assert_eq!(round_trip.get(), Some(Duration::from_millis(80)));
        round_trip.on_sample(Duration::from_millis(160));
        assert_eq!(round_trip.get(), Some(Duration::from_millis(90)));
    }

    #[test]
    fn an_answer_that_was_kept_back_moves_it_no_further_than_the_longest_believed() {
        let mut round_trip = RoundTrip::default();
        round_trip.on_sample(Duration::from_secs(3_600));
        assert_eq!(round_trip.get(), Some(LONGEST));
    }
}
