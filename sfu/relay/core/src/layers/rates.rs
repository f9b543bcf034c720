//! How many pictures a second each temporal layer of a stream brings, to answer a wish for a frame rate.
use std::time::Duration;

use crate::units::Time;

/// Pictures are counted for as long: at four a second, one more or less is an eighth.
const WINDOW: Duration = Duration::from_secs(2);

/// Temporal layers told apart; VP8 has four, others are sent with three.
const LAYERS: usize = 4;

/// A layer answers a wish at nine tenths of the rate asked for, as sizes do, and goes on answering it at seven, so that
/// a rate near the line does not flap.
const ENOUGH: f32 = 0.9;
const STILL_ENOUGH: f32 = 0.7;

/// Frame rates of one incoming stream.
#[derive(Default)]
pub struct FrameRates {
    began: Option<Time>,
    /// Timestamp of the picture under way.
    timestamp: Option<u32>,
    counts: [u32; LAYERS],
    /// Pictures a second of each layer and those below it; none before a window is full.
    rates: Option<[f32; LAYERS]>,
    highest: u8,
}

impl FrameRates {
    /// A packet of the picture with this RTP timestamp; late ones are not to be told.
    pub fn on_packet(&mut self, now: Time, timestamp: u32, temporal: u8) {
        if self.timestamp.replace(timestamp) == Some(timestamp) {
            return;
        }
        let began = *self.began.get_or_insert(now);
        let window = now.since(began);
        if window >= WINDOW {
            let mut sum = 0;
            let cumulated = self.counts.map(|count| {
                sum += count;
                sum as f32 / window.as_secs_f32()
            });
            // After a silence what came before it says nothing.
            self.rates = (window < 2 * WINDOW).then_some(cumulated);
            self.highest = (0..LAYERS)
                .rev()
                .find(|layer| self.counts[*layer] > 0)
                .unwrap_or(0) as u8; // below LAYERS
            self.counts = [0; LAYERS];
            self.began = Some(now);
        }
        let layer = usize::from(temporal).min(LAYERS - 1);
        self.counts[layer] += 1;
    }

    /// The temporal layer that answers a wish for so many pictures a second; `None` where it takes all, or nothing is
    /// known. `chosen` is the answer before.
    pub fn answer(&self, wanted: u8, chosen: Option<u8>) -> Option<u8> {
        let rates = self.rates.as_ref()?;
        let enough = |layer: u8| {
            let share = if chosen.is_some_and(|chosen| layer >= chosen) {
                STILL_ENOUGH
            } else {
                ENOUGH
            };
            let rate = rates.get(usize::from(layer));
            rate.is_some_and(|rate| *rate >= f32::from(wanted) * share)
        };
        (0..self.highest).find(|layer| enough(*layer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three temporal layers at `rate` pictures a second, 1/4, 1/2 and all of it, for so many seconds.
    fn played(rates: &mut FrameRates, from: u64, seconds: u64, rate: u64) {
        for picture in 0..seconds * rate {
            let now = Time::from_micros(from * 1_000_000 + picture * 1_000_000 / rate);
            let temporal = [0, 2, 1, 2][picture as usize % 4];
            for _packet in 0..3 {
                rates.on_packet(now, (from * 90_000 + picture * 3_000) as u32, temporal);
            }
        }
    }

    #[test]
    fn the_lowest_layer_that_brings_enough_is_the_answer() {
        let mut rates = FrameRates::default();
        assert_eq!(rates.answer(5, None), None, "nothing is known");
        played(&mut rates, 0, 5, 30);
        let answers: Vec<_> = [1, 7, 8, 9, 15, 16, 20, 30, 255]
            .map(|wanted| rates.answer(wanted, None))
            .into();
        let (low, middle) = (Some(0), Some(1));
        assert_eq!(
            answers,
            [low, low, low, middle, middle, middle, None, None, None]
        );
    }

    #[test]
    fn an_answer_holds_until_it_is_clearly_wrong() {
        let mut rates = FrameRates::default();
        played(&mut rates, 0, 5, 30);
        assert_eq!(rates.answer(10, None), Some(1));
        assert_eq!(rates.answer(10, Some(0)), Some(0), "7.5 will do");
        assert_eq!(rates.answer(11, Some(0)), Some(1));
    }

    #[test]
    fn a_stream_without_temporal_layers_is_given_whole() {
        let mut rates = FrameRates::default();
        for picture in 0..200 {
            rates.on_packet(Time::from_millis(picture * 33), picture as u32, 0);
        }
        assert_eq!(rates.answer(5, None), None);
    }

    #[test]
    fn after_a_silence_it_is_measured_anew() {
        let mut rates = FrameRates::default();
        played(&mut rates, 0, 5, 30);
        played(&mut rates, 60, 1, 30);
        assert_eq!(rates.answer(7, None), None);
        played(&mut rates, 61, 4, 30);
        assert_eq!(rates.answer(7, None), Some(0));
    }

    #[test]
    fn any_temporal_layer_is_counted() {
        let mut rates = FrameRates::default();
        for picture in 0..300 {
            rates.on_packet(
                Time::from_millis(picture * 33),
                picture as u32,
                picture as u8,
            );
        }
        assert!(rates.answer(255, None).is_none());
    }
}
