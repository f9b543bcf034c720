//! What each layer within one stream takes of a link: temporal layers of VP8, spatial and temporal ones of VP9, and those
//! of whatever carries the dependency descriptor.
use crate::congestion::{RateMeter, SETTLED_AFTER};
use crate::dependency_descriptor::Dependency;
use crate::units::{Bitrate, Codec, Time};
use crate::{vp8, vp9};

use super::TRACK_SILENT_AFTER;

/// Spatial and temporal layers told apart, of each so many: VP8 has four temporal ones, and nothing is sent with more
/// than three spatial ones. What is above counts as the highest.
const DEPTH: u8 = 4;

/// Where in its stream a packet belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inner {
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// Whoever is to have all up to a layer and needs this frame for it, a bit each; `None` where nothing is said.
    needed_by: Option<u16>,
}

impl Inner {
    /// By what the packet names ahead of its picture; the lowest layer where it names none. Never panics on any bytes.
    pub fn read(codec: Codec, payload: &[u8], dependency: Option<&Dependency>) -> Self {
        match (codec, dependency) {
            (Codec::Vp8, _) => {
                let descriptor = vp8::Descriptor::parse(payload);
                descriptor.map_or(Inner::default(), |descriptor| Inner {
                    temporal: descriptor.temporal,
                    ..Inner::default()
                })
            }
            (Codec::Vp9 | Codec::H264 | Codec::Av1, Some(dependency)) => Inner {
                spatial: dependency.spatial,
                temporal: dependency.temporal,
                needed_by: dependency.starts_frame.then(|| needed_by(dependency)),
            },
            (Codec::Vp9, None) => {
                let descriptor = vp9::Descriptor::parse(payload);
                descriptor.map_or(Inner::default(), |descriptor| Inner {
                    spatial: descriptor.spatial,
                    temporal: descriptor.temporal,
                    needed_by: None,
                })
            }
            _ => Inner::default(),
        }
    }
}

/// By decode target; where there is no target for a layer, by the layer alone.
fn needed_by(dependency: &Dependency) -> u16 {
    let (mut known, mut needed) = (0, 0);
    for (number, target) in dependency.structure.targets().iter().enumerate() {
        let bit = bit(target.spatial, target.temporal);
        known |= bit;
        if dependency.indications.present & 1 << number != 0 {
            needed |= bit;
        }
    }
    needed | above(dependency.spatial, dependency.temporal) & !known
}

/// All layers from this one up.
fn above(spatial: u8, temporal: u8) -> u16 {
    let (spatial, temporal) = (spatial.min(DEPTH - 1), temporal.min(DEPTH - 1));
    let all = (spatial..DEPTH).flat_map(|s| (temporal..DEPTH).map(move |t| bit(s, t)));
    all.fold(0, |above, bit| above | bit)
}

fn bit(spatial: u8, temporal: u8) -> u16 {
    1 << (spatial.min(DEPTH - 1) * DEPTH + temporal.min(DEPTH - 1))
}

/// What goes by on each layer within one stream, one addition a packet.
#[derive(Default)]
pub struct LayerMeters {
    /// One for each layer that was heard; at most [`DEPTH`] squared.
    cells: Vec<Cell>,
}

struct Cell {
    spatial: u8,
    temporal: u8,
    meter: RateMeter,
    began: Time,
    heard: Time,
    /// What the last two frames said of who needs them. Key frames are needed by more than what follows them, so what
    /// both say is true.
    needed_by: [u16; 2],
}

impl Cell {
    fn is_live(&self, now: Time) -> bool {
        now.since(self.heard) < TRACK_SILENT_AFTER
    }
}

impl LayerMeters {
    /// So many bytes went by on this layer.
    pub fn add(&mut self, now: Time, bytes: usize, inner: Inner) {
        let (spatial, temporal) = (inner.spatial.min(DEPTH - 1), inner.temporal.min(DEPTH - 1));
        let mut cells = self.cells.iter();
        let known = cells.position(|cell| (cell.spatial, cell.temporal) == (spatial, temporal));
        let at = known.unwrap_or_else(|| {
            let needed_by = inner.needed_by.unwrap_or(above(spatial, temporal));
            self.cells.push(Cell {
                spatial,
                temporal,
                meter: RateMeter::default(),
                began: now,
                heard: now,
                needed_by: [needed_by; 2],
            });
            self.cells.len() - 1
        });
        let cell = &mut self.cells[at];
        if !cell.is_live(now) {
            cell.began = now;
        }
        cell.heard = now;
        cell.meter.add(now, bytes);
        if let Some(needed_by) = inner.needed_by {
            cell.needed_by = [cell.needed_by[1], needed_by];
        }
    }

    /// What all of the stream takes.
    pub fn whole(&mut self, now: Time) -> Bitrate {
        let cells = self.cells.iter_mut();
        cells.fold(Bitrate::ZERO, |sum, cell| sum.plus(cell.meter.rate(now)))
    }

    /// What it takes to send everything up to these layers.
    pub fn rate(&mut self, now: Time, spatial: u8, temporal: u8) -> Bitrate {
        let wanted = bit(spatial, temporal);
        let needed = |cell: &&mut Cell| cell.needed_by[0] & cell.needed_by[1] & wanted != 0;
        let cells = self.cells.iter_mut().filter(needed);
        cells.fold(Bitrate::ZERO, |sum, cell| sum.plus(cell.meter.rate(now)))
    }

    /// The highest spatial layer that is sent now.
    pub fn highest_spatial(&self, now: Time) -> u8 {
        let live = self.cells.iter().filter(|cell| cell.is_live(now));
        live.map(|cell| cell.spatial).max().unwrap_or(0)
    }

    /// The highest temporal layer that is sent now up to this spatial one.
    pub fn highest_temporal(&self, now: Time, spatial: u8) -> u8 {
        let cells = self.cells.iter();
        let live = cells.filter(|cell| cell.is_live(now) && cell.spatial <= spatial);
        live.map(|cell| cell.temporal).max().unwrap_or(0)
    }

    /// Whether a spatial layer has been sent for long enough that its rate says something.
    pub fn is_measured(&self, now: Time, spatial: u8) -> bool {
        let mut cells = self.cells.iter();
        cells.any(|cell| {
            let settled = now.since(cell.began) >= SETTLED_AFTER;
            cell.spatial == spatial && cell.is_live(now) && settled
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn inner(spatial: u8, temporal: u8) -> Inner {
        Inner {
            spatial,
            temporal,
            needed_by: None,
        }
    }

    /// 25 pictures a second, every other one on the upper temporal layer, of two spatial layers of these sizes.
    fn play(meters: &mut LayerMeters, millis: std::ops::Range<u64>, sizes: [usize; 2]) {
        for (number, at) in millis.step_by(40).enumerate() {
            for (spatial, bytes) in (0..).zip(sizes) {
                meters.add(ms(at), bytes, inner(spatial, number as u8 % 2));
            }
        }
    }

    fn kbps(rate: Bitrate) -> u64 {
        (rate.as_bps() + 25_000) / 50_000 * 50
    }

    #[test]
    fn each_layer_takes_what_it_and_those_below_it_bring() {
        let mut meters = LayerMeters::default();
        play(&mut meters, 0..4_000, [500, 1_500]);
        let now = ms(3_999);
        let rates = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(s, t)| kbps(meters.rate(now, s, t)));
        assert_eq!(rates, [50, 100, 200, 400]);
        assert_eq!(kbps(meters.whole(now)), 400);
        assert_eq!(kbps(meters.rate(now, 7, 200)), 400, "above all there is");
        assert_eq!(
            (meters.highest_spatial(now), meters.highest_temporal(now, 0)),
            (1, 1)
        );
    }

    #[test]
    fn frames_that_a_higher_layer_can_do_without_are_not_counted_for_it() {
        let mut meters = LayerMeters::default();
        let only = |spatial| Inner {
            needed_by: Some(bit(spatial, 0)),
            ..inner(spatial, 0)
        };
        let key = Inner {
            needed_by: Some(bit(0, 0) | bit(1, 0)),
            ..inner(0, 0)
        };
        for at in (0..2_000).step_by(40) {
            let first = if at % 400 == 0 { key } else { only(0) };
            meters.add(ms(at), 500, first);
            meters.add(ms(at), 1_000, only(1));
            let rates = [0, 1].map(|spatial| kbps(meters.rate(ms(at), spatial, 0)));
            if at > 1_000 {
                assert_eq!(rates, [100, 200], "at {at} ms");
            }
        }
    }

    #[test]
    fn a_layer_that_is_no_longer_sent_is_forgotten_and_measured_anew() {
        let mut meters = LayerMeters::default();
        play(&mut meters, 0..2_000, [500, 1_500]);
        assert!(meters.is_measured(ms(2_000), 1));
        for at in (2_000..6_000).step_by(40) {
            meters.add(ms(at), 500, inner(0, 0));
        }
        assert_eq!(meters.highest_spatial(ms(6_000)), 0);
        assert_eq!(meters.highest_temporal(ms(6_000), 3), 0);
        assert!(!meters.is_measured(ms(6_000), 1));
        meters.add(ms(6_000), 1_500, inner(1, 0));
        assert!(!meters.is_measured(ms(6_100), 1));
        assert_eq!(meters.highest_spatial(ms(6_100)), 1);
    }

    proptest! {
        #[test]
        fn any_layers_are_bounded(
            packets in prop::collection::vec((any::<u8>(), any::<u8>(), any::<Option<u16>>()), 0..200),
        ) {
            let mut meters = LayerMeters::default();
            for (spatial, temporal, needed_by) in packets {
                meters.add(ms(1), 100, Inner { spatial, temporal, needed_by });
                meters.rate(ms(2), spatial, temporal);
            }
            prop_assert!(meters.cells.len() <= usize::from(DEPTH * DEPTH));
        }

        #[test]
        fn no_bytes_make_it_panic(payload in prop::collection::vec(any::<u8>(), 0..40)) {
            for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
                Inner::read(codec, &payload, None);
            }
        }
    }
}
