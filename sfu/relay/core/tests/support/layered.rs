//! A layered stream on its way to one subscriber: an encoder that knows what each frame refers to, the relay's place for
//! its stream, a downtrack, and what that kept.

use std::collections::BTreeMap;

use conclave_relay_core::cache::CachedPacket;
use conclave_relay_core::command::{
    DowntrackSpec, Encoding, PayloadFormat, TrackRepair, TrackSpec,
};
use conclave_relay_core::dependency_descriptor::DescriptorReader;
use conclave_relay_core::downtrack::{Decision, Downtrack, SkipReason, Source, Stamp, Wish};
use conclave_relay_core::rtp::{Extension, ExtensionMap, Header};
use conclave_relay_core::units::{
    Codec, LayerId, MediaKind, PayloadType, PeerId, Ssrc, Time, TrackId,
};
use conclave_relay_core::{vp8, vp9};
use proptest::prelude::*;

use crate::svc::{DESCRIPTOR_ID, Dress, Encoded, Encoder, FORMAT, Mode};

pub const THEIR_DESCRIPTOR: u8 = 8;

/// The publisher's next picture, and what is wanted from it on.
#[derive(Clone, Debug)]
pub struct Step {
    pub key: bool,
    pub sync: bool,
    pub wish: Option<(Option<u8>, Option<u8>)>,
    /// What the network does to each of its packets in turn: lost, or overtaken by so many.
    pub fates: Vec<Fate>,
}

#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Arrives,
    Lost,
    Late(usize),
}

pub fn steps(fate: impl Strategy<Value = Fate> + Clone) -> impl Strategy<Value = Vec<Step>> {
    let layer = || prop::option::of(0u8..4);
    let step = (
        prop::bool::weighted(0.05),
        any::<bool>(),
        prop::option::weighted(0.15, (layer(), layer())),
        prop::collection::vec(fate, 6),
    );
    let step = step.prop_map(|(key, sync, wish, fates)| Step {
        key,
        sync,
        wish,
        fates,
    });
    prop::collection::vec(step, 1..80)
}

pub fn streams() -> impl Strategy<Value = (Mode, Dress, u64)> {
    let mode = prop_oneof![Just(Mode::Always), Just(Mode::AtKeyFrames)];
    let dress = prop_oneof![
        1 => Just(Dress::Vp8),
        1 => Just(Dress::Vp9),
        2 => Just(Dress::Described)
    ];
    (mode, dress, 0u64..70_000)
}

pub fn downtrack(dress: Dress) -> Downtrack {
    downtrack_of(dress, vec![Encoding::Mid])
}

pub fn downtrack_of(dress: Dress, encodings: Vec<Encoding>) -> Downtrack {
    let codec = match dress {
        Dress::Vp8 => Codec::Vp8,
        Dress::Vp9 | Dress::Described => Codec::Vp9,
    };
    let format = |payload_type| PayloadFormat {
        payload_type: PayloadType(payload_type),
        codec,
    };
    let descriptor = |id| ExtensionMap::from_pairs([(id, Extension::DependencyDescriptor)]);
    let track = TrackSpec {
        peer: PeerId(1),
        kind: MediaKind::Video,
        mid: "0".into(),
        clock_rate: 90_000,
        formats: vec![format(FORMAT)],
        extensions: descriptor(DESCRIPTOR_ID),
        repair: TrackRepair::default(),
        encodings,
    };
    let spec = DowntrackSpec {
        peer: PeerId(2),
        track: TrackId(1),
        ssrc: Ssrc(9),
        formats: vec![format(120)],
        extensions: descriptor(THEIR_DESCRIPTOR),
        cname: "someone".into(),
        nack: true,
        wish: Wish::default(),
        stands: false,
        repair: None,
    };
    Downtrack::new(&spec, &track, 500, 1_000)
}

/// A publisher, a relay's place for its stream, and one subscriber.
pub struct World {
    pub encoder: Encoder,
    pub reader: DescriptorReader,
    pub downtrack: Downtrack,
    pub now: Time,
    pub sent: BTreeMap<u64, Encoded>,
    pub kept: Vec<(Stamp, Vec<u8>)>,
    pub skipped: Vec<(u64, SkipReason)>,
}

impl World {
    pub fn new((mode, dress, first): (Mode, Dress, u64)) -> Self {
        World {
            encoder: Encoder::new(mode, dress, 3, first),
            reader: DescriptorReader::default(),
            downtrack: downtrack(dress),
            now: Time::from_millis(10),
            sent: BTreeMap::new(),
            kept: Vec::new(),
            skipped: Vec::new(),
        }
    }

    pub fn wish(&mut self, spatial: Option<u8>, temporal: Option<u8>) {
        self.downtrack.set_wish(Wish {
            layer: spatial.map(LayerId),
            ..Wish::default()
        });
        self.downtrack.set_allowed_temporal(temporal);
    }

    pub fn encode(&mut self, key: bool, sync: bool) -> Vec<Encoded> {
        let packets = self.encoder.picture(key, sync);
        for packet in &packets {
            self.sent.insert(packet.index, packet.clone());
        }
        packets
    }

    pub fn arrive(&mut self, packet: &Encoded, ahead: bool) {
        self.arrive_on(LayerId(0), packet, ahead);
    }

    pub fn arrive_on(&mut self, layer: LayerId, packet: &Encoded, ahead: bool) {
        let header = Header::parse(&packet.bytes).expect("our own packet");
        let mut extensions = header.extensions(&packet.bytes);
        let descriptor = extensions.find(|(id, _)| *id == DESCRIPTOR_ID);
        let dependency = descriptor.and_then(|(_, bytes)| self.reader.read(packet.index, bytes));
        let source = Source {
            layer,
            index: packet.index,
            header: &header,
            packet: &packet.bytes,
            key_frame: packet.key_frame && ahead,
            mapping: None,
            dependency: dependency.as_ref(),
            before: None,
            transport_number: 0,
            padding: 0,
        };
        match self.downtrack.forward(self.now, &source) {
            Decision::Keep(stamp) => {
                let mut bytes = Vec::new();
                let cached = CachedPacket::alone(&header, &packet.bytes);
                self.downtrack.render(&stamp, &cached, &mut bytes);
                self.kept.push((stamp, bytes));
            }
            Decision::Skip(reason) => self.skipped.push((packet.index, reason)),
        }
    }

    /// A picture that arrives as it was sent.
    pub fn play(&mut self, key: bool, sync: bool) {
        self.now = self.now + std::time::Duration::from_millis(33);
        for packet in self.encode(key, sync) {
            self.arrive(&packet, true);
        }
    }

    pub fn frame_of(&self, stamp: &Stamp) -> &Encoded {
        &self.sent[&stamp.source_index]
    }

    /// The layers of the last picture that were kept.
    pub fn shown(&self) -> Option<(u8, u8)> {
        let picture = self.encoded_pictures() - 1;
        let kept = self.kept.iter().map(|(stamp, _)| self.frame_of(stamp));
        kept.filter(|frame| frame.picture == picture)
            .map(|frame| (frame.spatial, frame.temporal))
            .max()
    }

    pub fn encoded_pictures(&self) -> u64 {
        self.sent
            .values()
            .map(|packet| packet.picture)
            .max()
            .unwrap_or(0)
            + 1
    }
}

/// Plays what happens to each packet; in order and whole where every fate is to arrive.
pub fn play(world: &mut World, steps: &[Step]) {
    let mut at: BTreeMap<(usize, u64), Encoded> = BTreeMap::new();
    let mut place = 0;
    let mut newest = 0;
    for step in steps {
        world.now = world.now + std::time::Duration::from_millis(33);
        if let Some((spatial, temporal)) = step.wish {
            world.wish(spatial, temporal);
        }
        let packets = world.encode(step.key, step.sync);
        for (packet, fate) in packets.into_iter().zip(&step.fates) {
            place += 1;
            match fate {
                Fate::Arrives => drop(at.insert((place, packet.index), packet)),
                Fate::Late(by) => drop(at.insert((place + by, packet.index), packet)),
                Fate::Lost => {}
            }
            while let Some(entry) = at.first_entry().filter(|entry| entry.key().0 <= place) {
                let packet = entry.remove();
                let ahead = packet.index >= newest;
                newest = newest.max(packet.index);
                world.arrive(&packet, ahead);
            }
        }
    }
}

pub fn numbers(dress: Dress, bytes: &[u8]) -> Option<(u16, u8)> {
    let header = Header::parse(bytes).expect("our own packet");
    let payload = header.payload(bytes).unwrap_or_default();
    let numbers = match dress {
        Dress::Vp8 => vp8::Descriptor::parse(payload)?.numbers,
        Dress::Vp9 | Dress::Described => vp9::Descriptor::parse(payload)?.numbers,
    };
    Some((numbers.picture_id, numbers.tl0_index))
}
