//! Key frames in payloads, which simulcast layer is live, what the layers within a stream take, and how many pictures a
//! second each temporal layer brings.
mod key_frame;
mod meters;
mod rates;
mod set;

use std::time::Duration;

use crate::units::{LayerId, Time};

pub use key_frame::starts_key_frame;
pub use meters::{Inner, LayerMeters};
pub use rates::FrameRates;
pub use set::{LayerSet, MAX_LAYERS};

/// One beat of a track's activity; see [`LiveLayers`].
const BEAT: Duration = Duration::from_millis(250);

/// Beats of its siblings a layer may miss and still be live.
const MISSED_BEATS: u8 = 4;

/// How long a layer may be silent while its siblings go on: long enough for a screen share at a few frames a second,
/// short enough that a picture whose upper layer was switched off by its sender stands still for a second at most.
pub const SILENT_AFTER: Duration = Duration::from_millis(BEAT.as_millis() as u64 * 4);

/// How long the whole track may be silent before none of its layers counts as live. A browser that shares a screen on
/// which nothing moves still sends a frame a second.
pub const TRACK_SILENT_AFTER: Duration = Duration::from_secs(3);

/// Which layers of one track are live: a layer is live while packets arrive on it.
///
/// Silence is measured in the track's own activity, not by the clock alone: time is cut into beats of 250 ms in which
/// at least one packet of any layer arrived, and a layer that missed four of them is silent. At usual frame rates that
/// is [`SILENT_AFTER`]; when the whole track slows down or pauses, no layer is thought dead for it, so the answer does
/// not flap.
pub struct LiveLayers {
    layers: Vec<Layer>,
    last_packet: Option<Time>,
    beat: Time,
}

#[derive(Clone, Copy, Default)]
struct Layer {
    heard: bool,
    missed: u8,
}

impl LiveLayers {
    /// For a track of `count` layers, none of which has been heard.
    pub fn new(count: usize) -> Self {
        LiveLayers {
            layers: vec![Layer::default(); count],
            last_packet: None,
            beat: Time::ZERO,
        }
    }

    /// A packet arrived on this layer; a layer that the track does not have is ignored.
    pub fn on_packet(&mut self, now: Time, layer: LayerId) {
        if usize::from(layer.0) >= self.layers.len() {
            return;
        }
        if self.last_packet.is_none() || now.since(self.beat) >= BEAT {
            self.beat = now;
            for layer in &mut self.layers {
                layer.missed = layer.missed.saturating_add(1);
            }
        }
        self.last_packet = Some(now);
        if let Some(layer) = self.layers.get_mut(usize::from(layer.0)) {
            layer.heard = true;
            layer.missed = 0;
        }
    }

    /// The live layers; none when the whole track is silent.
    pub fn live(&self, now: Time) -> LayerSet {
        let mut live = LayerSet::default();
        let pausing = |last| now.since(last) >= TRACK_SILENT_AFTER;
        if self.last_packet.is_none_or(pausing) {
            return live;
        }
        for (number, layer) in self.layers.iter().enumerate() {
            if layer.heard && layer.missed < MISSED_BEATS {
                live.insert(LayerId(number as u8));
            }
        }
        live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: LayerId = LayerId(0);
    const TOP: LayerId = LayerId(2);

    /// Plays packets of one layer from `from` to `until`, one every `step` milliseconds.
    fn play(live: &mut LiveLayers, layer: LayerId, from: u64, until: u64, step: usize) {
        for millis in (from..until).step_by(step) {
            live.on_packet(Time::from_millis(millis), layer);
        }
    }

    fn highest(live: &LiveLayers, millis: u64) -> Option<LayerId> {
        live.live(Time::from_millis(millis)).highest()
    }

    #[test]
    fn a_layer_never_heard_is_not_live() {
        let mut live = LiveLayers::new(3);
        assert_eq!(highest(&live, 0), None);
        live.on_packet(Time::ZERO, LOW);
        assert_eq!(highest(&live, 0), Some(LOW));
        live.on_packet(Time::ZERO, LayerId(3));
        live.on_packet(Time::ZERO, LayerId(255));
        assert_eq!(highest(&live, 0), Some(LOW));
    }

    #[test]
    fn the_highest_layer_with_packets_wins() {
        let mut live = LiveLayers::new(3);
        play(&mut live, LOW, 0, 100, 33);
        play(&mut live, TOP, 100, 200, 33);
        assert_eq!(highest(&live, 200), Some(TOP));
    }

    #[test]
    fn a_layer_that_stops_while_another_goes_on_is_silent_within_a_second() {
        let mut live = LiveLayers::new(3);
        play(&mut live, TOP, 0, 1_000, 33);
        play(&mut live, LOW, 1_000, 1_500, 33);
        assert_eq!(highest(&live, 1_500), Some(TOP), "a brief pause is no end");
        play(&mut live, LOW, 1_500, 2_100, 33);
        assert_eq!(highest(&live, 2_100), Some(LOW));
        live.on_packet(Time::from_millis(2_101), TOP);
        assert_eq!(highest(&live, 2_101), Some(TOP));
    }

    #[test]
    fn a_still_screen_at_a_frame_a_second_does_not_flap() {
        let mut live = LiveLayers::new(2);
        for second in 0..20 {
            // The lower layer's packets come first, so for a moment it is the only one heard this second.
            for (offset, layer) in [(0, LayerId(0)), (8, LayerId(1))] {
                let now = Time::from_millis(second * 1_000 + offset);
                live.on_packet(now, layer);
                if second > 0 {
                    assert_eq!(live.live(now).highest(), Some(LayerId(1)));
                }
            }
            assert_eq!(highest(&live, second * 1_000 + 999), Some(LayerId(1)));
        }
    }

    #[test]
    fn a_track_that_sends_nothing_has_no_live_layer_and_comes_back_as_it_was() {
        let mut live = LiveLayers::new(3);
        play(&mut live, LOW, 0, 1_000, 33);
        play(&mut live, TOP, 1_000, 1_100, 33);
        assert_eq!(highest(&live, 5_000), None);
        live.on_packet(Time::from_millis(60_000), LOW);
        assert_eq!(highest(&live, 60_000), Some(TOP));
        play(&mut live, LOW, 60_000, 61_100, 33);
        assert_eq!(highest(&live, 61_100), Some(LOW));
    }
}
