//! As what a picture can be sent to one subscriber, and what each way takes.

use crate::allocation::{Class, Step};
use crate::congestion::SETTLED_AFTER;
use crate::downtrack::{Allowed, Downtrack};
use crate::layers::{LayerMeters, LayerSet};
use crate::router::Track;
use crate::units::{Bitrate, LayerId, Time};

/// Appends what is live and wanted of a track, from the least to the best; returns whether no other layer may come to be wanted.
///
/// Layers of a track of several encodings are those, of a single one the spatial layers within it. One above the lowest
/// counts only once it ran for long enough to be measured, unless it is sent already. Temporal layers are steps of the
/// lowest layer, and of a screen also of the highest.
pub(super) fn steps_of(
    track: &mut Track,
    downtrack: &Downtrack,
    class: Class,
    now: Time,
    steps: &mut Vec<Step>,
) -> bool {
    let (layers, complete) = if track.layers.len() == 1 {
        within_stream(track, downtrack, now)
    } else {
        encodings(track, downtrack, now)
    };
    let highest = layers.highest();
    for (place, id) in layers.iter().enumerate() {
        let is_single = track.layers.len() == 1;
        let at = if is_single { 0 } else { usize::from(id.0) };
        let meters = &mut track.layers[at].meters;
        let spatial = if is_single {
            id.0
        } else {
            meters.highest_spatial(now)
        };
        let is_readable = class == Class::Screen && Some(id) == highest;
        let slower = (place == 0 || is_readable) && meters.is_measured(now, spatial);
        let most = downtrack.wished_temporal();
        climb(meters, now, (id, spatial), (slower, most), steps);
    }
    complete
}

/// What of it runs takes, by what there was room for last.
pub(super) fn running(steps: &[Step], downtrack: &Downtrack) -> Bitrate {
    let limit = match downtrack.allowed() {
        Allowed::All => (LayerId(u8::MAX), u8::MAX),
        Allowed::UpTo(layer) => (layer, downtrack.allowed_temporal().unwrap_or(u8::MAX)),
        Allowed::Nothing => return Bitrate::ZERO,
    };
    let mut steps = steps.iter().rev();
    let top = steps.find(|step| (step.layer, step.temporal.unwrap_or(u8::MAX)) <= limit);
    top.map_or(Bitrate::ZERO, |step| step.rate)
}

/// The steps of one layer: where `slower`, from the lowest temporal layer up, of those there are and are wanted.
fn climb(
    meters: &mut LayerMeters,
    now: Time,
    (layer, spatial): (LayerId, u8),
    (slower, most): (bool, Option<u8>),
    steps: &mut Vec<Step>,
) {
    let highest = meters.highest_temporal(now, spatial);
    let top = most.map_or(highest, |most| most.min(highest));
    let below = if slower { 0..top } else { 0..0 };
    steps.extend(below.map(|temporal| Step {
        layer,
        temporal: Some(temporal),
        rate: meters.rate(now, spatial, temporal),
    }));
    steps.push(Step {
        layer,
        temporal: None,
        rate: meters.rate(now, spatial, top),
    });
}

fn encodings(track: &Track, downtrack: &Downtrack, now: Time) -> (LayerSet, bool) {
    let wish = downtrack.wish();
    let live = track.live.live(now);
    let top = wish.target(live, Allowed::All);
    let top_of_track = LayerId((track.layers.len() as u8).saturating_sub(1)); // at most 32
    let mut layers = LayerSet::default();
    for (id, layer) in (0u8..).map(LayerId).zip(&track.layers) {
        let wanted = live.contains(id) && top.is_some_and(|top| id <= top);
        let measured = (layer.began).is_some_and(|at| now.since(at) >= SETTLED_AFTER);
        let is_lowest = layers == LayerSet::default();
        if wanted && (is_lowest || measured || downtrack.current_layer() == Some(id)) {
            layers.insert(id);
        }
    }
    let highest = wish
        .layer
        .map_or(top_of_track, |layer| layer.min(top_of_track));
    let complete = layers.highest().is_some_and(|last| last >= highest);
    (layers, complete)
}

fn within_stream(track: &Track, downtrack: &Downtrack, now: Time) -> (LayerSet, bool) {
    let mut layers = LayerSet::default();
    if !track.live.live(now).contains(LayerId(0)) {
        return (layers, false);
    }
    let meters = &track.layers[0].meters;
    let wished = downtrack.wish().layer.map_or(u8::MAX, |layer| layer.0);
    let top = meters.highest_spatial(now).min(wished);
    let is_sent = |spatial: u8| match downtrack.allowed() {
        Allowed::All => true,
        Allowed::UpTo(layer) => spatial <= layer.0,
        Allowed::Nothing => false,
    };
    for spatial in 0..=top {
        if spatial == 0 || is_sent(spatial) || meters.is_measured(now, spatial) {
            layers.insert(LayerId(spatial));
        }
    }
    (layers, layers.highest() == Some(LayerId(top)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{DowntrackSpec, Encoding, PayloadFormat, TrackRepair, TrackSpec};
    use crate::downtrack::Wish;
    use crate::layers::Inner;
    use crate::rtp::ExtensionMap;
    use crate::units::{Codec, MediaKind, PayloadType, PeerId, Ssrc, TrackId};

    fn world(encodings: &[u32]) -> (Track, Downtrack) {
        let formats = vec![PayloadFormat {
            payload_type: PayloadType(98),
            codec: Codec::Vp9,
        }];
        let encodings = encodings.iter().map(|ssrc| Encoding::Ssrc(Ssrc(*ssrc)));
        let track = TrackSpec {
            peer: PeerId(1),
            kind: MediaKind::Video,
            mid: "0".into(),
            clock_rate: 90_000,
            formats: formats.clone(),
            extensions: ExtensionMap::from_pairs([]),
            repair: TrackRepair::default(),
            encodings: encodings.collect(),
        };
        let spec = DowntrackSpec {
            peer: PeerId(2),
            track: TrackId(1),
            ssrc: Ssrc(7),
            formats,
            extensions: ExtensionMap::from_pairs([]),
            cname: "someone".into(),
            nack: false,
            wish: Wish::default(),
            stands: false,
            repair: None,
        };
        let downtrack = Downtrack::new(&spec, &track, 0, 0);
        (Track::new(TrackId(1), 0, track), downtrack)
    }

    /// 25 pictures a second of so many spatial layers, each of 500 bytes, every other picture on the upper temporal one.
    fn play(track: &mut Track, millis: std::ops::Range<u64>, spatial: u8) {
        for layer in 0..track.layers.len() {
            for (number, at) in millis.clone().step_by(40).enumerate() {
                let now = Time::from_millis(at);
                track.live.on_packet(now, LayerId(layer as u8));
                let layer = &mut track.layers[layer];
                layer.began.get_or_insert(now);
                for spatial in 0..spatial {
                    let byte = (number as u8 % 2) << 5 | spatial << 1;
                    let inner = Inner::read(Codec::Vp9, &[0x28, byte, 0, 0, 0], None);
                    layer.meters.add(now, 500, inner);
                }
            }
        }
    }

    fn steps_of(
        track: &mut Track,
        downtrack: &Downtrack,
        class: Class,
        now: Time,
    ) -> (Vec<Step>, bool) {
        let mut steps = Vec::new();
        let complete = super::steps_of(track, downtrack, class, now, &mut steps);
        (steps, complete)
    }

    /// Layer, temporal layer and kbit/s of each step.
    fn told(steps: &[Step]) -> Vec<(u8, Option<u8>, u64)> {
        let rate = |step: &Step| (step.rate.as_bps() + 25_000) / 50_000 * 50;
        let told = |step: &Step| (step.layer.0, step.temporal, rate(step));
        steps.iter().map(told).collect()
    }

    const AT: Time = Time::from_millis(3_000);

    #[test]
    fn a_stream_can_be_sent_slower_or_smaller_or_whole() {
        let (mut track, downtrack) = world(&[1]);
        play(&mut track, 0..3_000, 2);
        let (steps, complete) = steps_of(&mut track, &downtrack, Class::Other, AT);
        let (slow, small, whole) = ((0, Some(0), 50), (0, None, 100), (1, None, 200));
        assert_eq!(told(&steps), [slow, small, whole]);
        assert!(complete);
        let (steps, _) = steps_of(&mut track, &downtrack, Class::Screen, AT);
        assert_eq!(told(&steps), [slow, small, (1, Some(0), 100), whole]);
    }

    #[test]
    fn a_spatial_layer_counts_once_it_is_measured_or_is_sent_already() {
        let (mut track, mut downtrack) = world(&[1]);
        play(&mut track, 0..3_000, 1);
        play(&mut track, 2_500..3_000, 2);
        let sent = steps_of(&mut track, &downtrack, Class::Other, AT);
        assert_eq!((sent.0.len(), sent.1), (3, true));
        downtrack.set_allowed(Allowed::UpTo(LayerId(0)));
        let held = steps_of(&mut track, &downtrack, Class::Other, AT);
        assert_eq!((held.0.len(), held.1), (2, false));
    }

    #[test]
    fn what_is_not_wished_for_is_no_step() {
        let (mut track, mut downtrack) = world(&[1]);
        play(&mut track, 0..3_000, 3);
        downtrack.set_wish(Wish {
            layer: Some(LayerId(1)),
            frame_rate: Some(10),
            ..Wish::default()
        });
        downtrack.set_wished_temporal(Some(0));
        let (steps, complete) = steps_of(&mut track, &downtrack, Class::Other, AT);
        assert_eq!(told(&steps), [(0, None, 50), (1, None, 100)]);
        assert!(complete);
    }

    #[test]
    fn of_several_encodings_each_is_a_layer_and_the_lowest_can_be_sent_slower() {
        let (mut track, mut downtrack) = world(&[1, 2]);
        play(&mut track, 0..3_000, 1);
        let (steps, complete) = steps_of(&mut track, &downtrack, Class::Other, AT);
        assert_eq!(
            told(&steps),
            [(0, Some(0), 50), (0, None, 100), (1, None, 100)]
        );
        assert!(complete);
        assert_eq!(running(&steps, &downtrack).as_bps(), steps[2].rate.as_bps());
        downtrack.set_allowed(Allowed::UpTo(LayerId(0)));
        downtrack.set_allowed_temporal(Some(0));
        assert_eq!(running(&steps, &downtrack), steps[0].rate);
        downtrack.set_allowed(Allowed::Nothing);
        assert_eq!(running(&steps, &downtrack), Bitrate::ZERO);
    }
}
