//! A link too narrow for a stream as it is gets a part of it: fewer pictures a second, or a lower spatial layer.
mod support;
#[path = "support/svc.rs"]
mod svc;

use std::time::Duration;

use conclave_relay_core::command::{
    Command, DowntrackRepair, DowntrackSpec, Encoding, PayloadFormat, RepairFormat, TrackSpec,
};
use conclave_relay_core::rtp::{Extension, ExtensionMap, Header};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{Codec, DowntrackId, MediaKind, PayloadType, Ssrc, Time, TrackId};
use conclave_relay_core::{Event, Limits};
use support::client::Received;
use support::{Bottleneck, Net};
use svc::{DESCRIPTOR_ID, Dress, Encoder, Mode};

const PROFILE: Profile = Profile::AeadAes128Gcm;
const VOICE: Ssrc = Ssrc(5);
const CAMERA: Ssrc = Ssrc(10);
const FORMAT: PayloadType = PayloadType(98);
const WIDE: u64 = 2_000_000;
/// An encoder answers a key-frame request after so many milliseconds.
const ENCODER: u64 = 60;

/// One packet to be sent: first of its picture, marker, descriptor, payload.
type Packet = (bool, bool, Option<Vec<u8>>, Vec<u8>);

/// What the publisher's encoder makes.
enum Source {
    /// VP8 of some 420 kbit/s, half of it on each of two temporal layers; or all on one.
    Vp8 { picture: u16, layered: bool },
    /// Three spatial layers of some 130, 250 and 510 kbit/s, three temporal layers each.
    Svc(Encoder),
}

impl Source {
    fn picture(&mut self, key: bool) -> Vec<Packet> {
        match self {
            Source::Vp8 { picture, layered } => {
                *picture += 1;
                let temporal = if key || !*layered {
                    0
                } else {
                    *picture as u8 % 2
                };
                let [high, low] = (*picture & 0x7fff).to_be_bytes();
                // The upper layer leans on the lowest alone, as libwebrtc has it.
                let layer = temporal << 6 | temporal << 5;
                let tl0 = (*picture / 2) as u8;
                let packet = |start: bool| {
                    let first = 0x80 | if start { 0x10 } else { 0 };
                    let mut payload = vec![first, 0xe0, high | 0x80, low, tl0, layer];
                    payload.push(u8::from(!key));
                    payload.resize(800, 7);
                    (start, !start, None, payload)
                };
                vec![packet(true), packet(false)]
            }
            Source::Svc(encoder) => {
                let packets = encoder.picture(key, true);
                let first = packets[0].index;
                let packets = packets.into_iter().map(|packet| {
                    let header = Header::parse(&packet.bytes).unwrap();
                    let mut extensions = header.extensions(&packet.bytes);
                    let descriptor = extensions.find(|(id, _)| *id == DESCRIPTOR_ID);
                    let mut payload = header.payload(&packet.bytes).unwrap().to_vec();
                    payload.resize([200, 450, 1_000][usize::from(packet.spatial)], 7);
                    let descriptor = descriptor.map(|(_, bytes)| bytes.to_vec());
                    (packet.index == first, header.marker, descriptor, payload)
                });
                packets.collect()
            }
        }
    }
}

/// One publisher of a voice and a picture, and one viewer of both.
struct Show {
    net: Net,
    publisher: usize,
    viewer: usize,
    picture: Ssrc,
    source: Source,
    codec: Codec,
    frame: u64,
    key_frame_at: Option<Time>,
    answered: usize,
}

impl Show {
    fn new(seed: u64, codec: Codec, source: Source) -> Self {
        let mut net = Net::with(Limits::default(), seed);
        let publisher = net.connect(PROFILE);
        net.publish_audio(publisher, 1, VOICE.0);
        let formats = vec![PayloadFormat {
            payload_type: FORMAT,
            codec,
        }];
        let spec = TrackSpec {
            kind: MediaKind::Video,
            mid: "1".to_owned(),
            clock_rate: 90_000,
            formats: formats.clone(),
            extensions: extensions(),
            ..net.audio_spec(publisher, Encoding::Ssrc(CAMERA))
        };
        let track = TrackId(2);
        net.command(Command::AddTrack { track, spec }).unwrap();
        let viewer = net.connect(PROFILE);
        net.clients[viewer].tells_arrivals = true;
        net.impairment.delay = 10 + 7 * seed;
        let now = net.now;
        let mut show = Show {
            net,
            publisher,
            viewer,
            picture: Ssrc(0),
            source,
            codec,
            frame: 0,
            key_frame_at: Some(now),
            answered: 0,
        };
        show.run(2_000);
        let address = show.net.clients[viewer].address;
        let link = Bottleneck::new(WIDE, Duration::from_millis(150 + 60 * seed));
        show.net.bottlenecks.insert(address, link);
        for track in [1, 2] {
            let common = show.net.downtrack_spec(viewer, track, track);
            let spec = DowntrackSpec {
                extensions: extensions(),
                formats: [common.formats, formats.clone()].concat(),
                // What a burst is made of: without it, nothing finds out that there is more room.
                repair: (track == 2).then(|| DowntrackRepair {
                    ssrc: Ssrc(0xe000_0000),
                    formats: vec![RepairFormat {
                        payload_type: PayloadType(102),
                        repairs: FORMAT,
                    }],
                }),
                ..common
            };
            show.picture = spec.ssrc;
            let downtrack = DowntrackId(track);
            show.net
                .command(Command::AddDowntrack { downtrack, spec })
                .unwrap();
        }
        show
    }

    fn set_rate(&mut self, rate: u64) -> Time {
        let address = self.net.clients[self.viewer].address;
        self.net.bottlenecks.get_mut(&address).unwrap().rate = rate;
        self.net.now
    }

    fn run(&mut self, millis: u64) {
        let end = self.net.now + Duration::from_millis(millis);
        while self.net.now < end {
            let client = &self.net.clients[self.publisher];
            for (at, media) in &client.feedback.picture_losses[self.answered..] {
                assert_eq!(*media, CAMERA);
                let due = *at + Duration::from_millis(ENCODER);
                self.key_frame_at.get_or_insert(due);
            }
            self.answered = client.feedback.picture_losses.len();
            if self.frame.is_multiple_of(300) {
                (0..self.net.clients.len()).for_each(|client| self.net.check(client, true));
            }
            self.net.speak(self.publisher, VOICE.0, &[0x42; 80]);
            let key = self.key_frame_at.is_some_and(|due| due <= self.net.now);
            self.key_frame_at = self.key_frame_at.filter(|_| !key);
            for (first, marker, descriptor, payload) in self.source.picture(key) {
                let ticks = if first { 3_000 } else { 0 };
                let extensions: Vec<(u8, &[u8])> = (descriptor.iter())
                    .map(|bytes| (DESCRIPTOR_ID, &bytes[..]))
                    .collect();
                let client = &mut self.net.clients[self.publisher];
                let sealed = client.rtp(CAMERA, FORMAT, ticks, marker, &extensions, &payload);
                let from = client.address;
                self.net.send(from, sealed);
            }
            self.frame += 1;
            self.net
                .run(if self.frame.is_multiple_of(3) { 34 } else { 33 });
        }
    }

    fn pictures(&self, since: Time) -> Vec<&Received> {
        let heard = self.net.clients[self.viewer].heard(self.picture);
        let late = heard.into_iter().filter(|received| received.at >= since);
        late.collect()
    }

    /// Spatial and temporal layer of a packet.
    fn layer(&self, received: &Received) -> (u8, u8) {
        match self.codec {
            Codec::Vp8 => (0, received.payload[5] >> 6),
            _ => (received.payload[3] >> 1 & 7, received.payload[3] >> 5),
        }
    }

    /// Layers that came since then.
    fn layers(&self, since: Time) -> Vec<(u8, u8)> {
        let pictures = self.pictures(since);
        let mut layers: Vec<_> = pictures.iter().map(|one| self.layer(one)).collect();
        layers.sort_unstable();
        layers.dedup();
        layers
    }

    /// Seconds after `since` until a packet of this spatial and temporal layer came.
    fn until(&self, since: Time, layer: (u8, u8)) -> f64 {
        let pictures = self.pictures(since);
        let found = pictures.iter().find(|one| self.layer(one) == layer);
        found.map_or(f64::INFINITY, |one| one.at.since(since).as_secs_f64())
    }

    /// From when to when this layer came, without a second between.
    fn stretches(&self, since: Time, layer: (u8, u8)) -> Vec<(Time, Time)> {
        let mut stretches: Vec<(Time, Time)> = Vec::new();
        let pictures = self.pictures(since);
        for one in pictures.iter().filter(|one| self.layer(one) == layer) {
            match stretches.last_mut() {
                Some((_, to)) if one.at.since(*to) < Duration::from_secs(1) => *to = one.at,
                _ => stretches.push((one.at, one.at)),
            }
        }
        stretches
    }

    /// What came since then has no hole, and hardly ever stood still.
    fn check_flow(&self, since: Time, longest: Duration) {
        let pictures = self.pictures(since);
        for pair in pictures.windows(2) {
            assert_eq!(pair[1].index, pair[0].index + 1, "at {:?}", pair[1].at);
            let freeze = pair[1].at.since(pair[0].at);
            assert!(freeze <= longest, "{freeze:?}");
            if self.codec == Codec::Vp8 {
                let numbers = [pair[0], pair[1]]
                    .map(|one| u16::from_be_bytes([one.payload[2] & 0x7f, one.payload[3]]));
                let step = numbers[1].wrapping_sub(numbers[0]) & 0x7fff;
                assert!(step <= 1, "PictureID {numbers:?}");
            }
        }
    }

    fn withheld(&self) -> bool {
        let mut told = self.net.events.iter().filter_map(|event| match event {
            Event::Withheld { withheld, .. } => Some(*withheld),
            _ => None,
        });
        told.next_back().unwrap_or(false)
    }
}

fn extensions() -> ExtensionMap {
    let common = [
        (support::MID_ID, Extension::Mid),
        (support::TWCC_ID, Extension::TransportSequence),
        (DESCRIPTOR_ID, Extension::DependencyDescriptor),
    ];
    ExtensionMap::from_pairs(common)
}

fn vp8(layered: bool) -> Source {
    Source::Vp8 {
        picture: 0,
        layered,
    }
}

#[test]
fn a_picture_that_does_not_fit_comes_at_half_its_rate_and_whole_again_with_room() {
    const NARROW: u64 = 300_000;
    for seed in 1..=4 {
        let mut show = Show::new(seed, Codec::Vp8, vp8(true));
        show.run(10_000);
        let narrowed = show.set_rate(NARROW);
        show.run(8_000);
        let settled = show.net.now;
        show.run(60_000);
        // What needs nearly all there is is tried now and then; a trial that fails costs little, and is not soon repeated.
        let trials = show.stretches(settled, (0, 1));
        assert!(trials.len() <= 1, "{trials:?}, seed {seed}");
        for (from, to) in &trials {
            assert!(to.since(*from) < Duration::from_secs(3), "seed {seed}");
        }
        let calm = trials.last().map_or(settled, |(_, to)| *to);
        show.check_flow(calm, Duration::from_millis(250));
        assert!(!show.withheld(), "seed {seed}");
        assert!(show.until(narrowed, (0, 0)) < 1.0);

        let widened = show.set_rate(WIDE);
        show.run(20_000);
        let up = show.until(widened, (0, 1));
        assert!(up < 15.0, "{up} s up, seed {seed}");
        let whole = show.net.now;
        show.run(5_000);
        assert_eq!(show.layers(whole), [(0, 0), (0, 1)], "seed {seed}");
        show.check_flow(whole, Duration::from_millis(100));
    }
}

#[test]
fn the_same_picture_without_temporal_layers_stands_still_again_and_again() {
    let longest_freeze = |layered: bool| {
        let mut show = Show::new(1, Codec::Vp8, vp8(layered));
        show.run(10_000);
        show.set_rate(300_000);
        show.run(8_000);
        let settled = show.net.now;
        show.run(20_000);
        let pictures = show.pictures(settled);
        let gaps = pictures.windows(2).map(|pair| pair[1].at.since(pair[0].at));
        gaps.max().unwrap_or(Duration::MAX)
    };
    let (with, without) = (longest_freeze(true), longest_freeze(false));
    assert!(with <= Duration::from_millis(250), "{with:?}");
    assert!(without >= Duration::from_millis(500), "{without:?}");
}

#[test]
fn the_lower_spatial_layer_of_a_stream_comes_where_the_whole_does_not_fit() {
    let streams: [(Codec, Mode, Dress); 3] = [
        (Codec::Vp9, Mode::Always, Dress::Vp9),
        (Codec::Av1, Mode::Always, Dress::Described),
        (Codec::Av1, Mode::AtKeyFrames, Dress::Described),
    ];
    for (seed, (codec, mode, dress)) in (1..).zip(streams) {
        let encoder = Encoder::new(mode, dress, 3, 1_000);
        let mut show = Show::new(seed, codec, Source::Svc(encoder));
        show.run(15_000);
        let wide = show.net.now;
        show.run(5_000);
        let highest = show.layers(wide).last().copied();
        assert_eq!(highest, Some((2, 2)), "{codec:?} {mode:?}");

        show.set_rate(200_000);
        show.run(10_000);
        let settled = show.net.now;
        show.run(20_000);
        let layers = show.layers(settled);
        assert_eq!(layers, [(0, 0), (0, 1), (0, 2)], "{codec:?} {mode:?}");
        show.check_flow(settled, Duration::from_millis(250));
        assert!(!show.withheld());

        let widened = show.set_rate(WIDE);
        show.run(20_000);
        let up = show.until(widened, (2, 2));
        assert!(up < 20.0, "{up} s up, {codec:?} {mode:?}");
    }
}
