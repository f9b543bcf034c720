//! Who gets what: tracks, their layers, the downtracks that forward them, and the batch under way.

use rustc_hash::FxHashMap;
use slab::Slab;

use crate::cache::PacketCache;
use crate::command::{DowntrackSpec, TrackSpec};
use crate::dependency_descriptor::{Dependency, DescriptorReader};
use crate::downtrack::{AUDIO_HISTORY, Downtrack, RepairStream, Stamp, VIDEO_HISTORY};
use crate::keyframes::KeyFrameRequests;
use crate::layers::{FrameRates, LayerMeters, LayerSet, LiveLayers};
use crate::losses::Losses;
use crate::peer::PeerKey;
use crate::receive::ReceiveStats;
use crate::units::{
    Codec, DowntrackId, LayerId, MediaKind, NtpTime, PayloadType, Ssrc, Time, TrackId,
};

/// Packets of one batch: less than any cache holds, so that a packet is still there when it is sent.
pub const MAX_BATCH: usize = 64;
/// What a downtrack remembers of its packets, the cache keeps the content of.
const VIDEO_CACHE: usize = VIDEO_HISTORY;
/// As above.
const AUDIO_CACHE: usize = AUDIO_HISTORY;

/// Where a track is in the relay's table.
pub type TrackKey = usize;
/// Where a downtrack is in the relay's table.
pub type SinkKey = usize;

/// One encoding of a track.
pub struct Layer {
    /// Learned with the first packet.
    pub ssrc: Option<Ssrc>,
    /// What arrived.
    pub stats: ReceiveStats,
    /// The last plain packets.
    pub cache: PacketCache,
    /// What subscribers ask of it.
    pub key_frames: KeyFrameRequests,
    /// What is missing of it.
    pub losses: Losses,
    /// What its dependency descriptors speak of.
    pub descriptors: DescriptorReader,
    /// How many pictures its temporal layers bring.
    pub rates: FrameRates,
    /// What it and the layers within it need of a subscriber's link.
    pub meters: LayerMeters,
    /// When its first packet came.
    pub began: Option<Time>,
}

impl Layer {
    /// A layer that waits for its first packet.
    pub fn new(spec: &TrackSpec) -> Self {
        let cache = match spec.kind {
            MediaKind::Audio => AUDIO_CACHE,
            MediaKind::Video => VIDEO_CACHE,
        };
        Layer {
            ssrc: None,
            stats: ReceiveStats::new(spec.clock_rate),
            cache: PacketCache::new(cache),
            key_frames: KeyFrameRequests::default(),
            losses: Losses::new(spec.kind, spec.repair.nack),
            descriptors: DescriptorReader::default(),
            rates: FrameRates::default(),
            meters: LayerMeters::default(),
            began: None,
        }
    }
}

/// One published track.
pub struct Track {
    /// Its number.
    pub id: TrackId,
    /// Its publisher, or the pipe that it comes over.
    pub peer: PeerKey,
    /// Whoever speaks and is seen: the same for all tracks of one publisher, beyond a pipe too.
    pub voice: PeerKey,
    /// What the control plane said.
    pub spec: TrackSpec,
    /// Lowest first.
    pub layers: Vec<Layer>,
    /// Which of them are live.
    pub live: LiveLayers,
    /// Those that downtracks were last aimed by.
    pub aimed_by: LayerSet,
    /// Who forwards it.
    pub sinks: Vec<SinkKey>,
    /// Dropped by the control plane's word.
    pub muted: bool,
    /// `TrackStarted` was told.
    pub started: bool,
    /// Nothing came and nothing was asked of it since it was last looked at and found settled.
    pub at_rest: bool,
}

impl Track {
    /// A track that waits for its first packet.
    pub fn new(id: TrackId, peer: PeerKey, spec: TrackSpec) -> Self {
        let layer = |_| Layer::new(&spec);
        Track {
            id,
            peer,
            voice: peer,
            layers: spec.encodings.iter().map(layer).collect(),
            live: LiveLayers::new(spec.encodings.len()),
            spec,
            aimed_by: LayerSet::default(),
            sinks: Vec::new(),
            muted: false,
            started: false,
            at_rest: false,
        }
    }

    /// Whether time alone changes nothing: no layer lives, and no key frame is asked for.
    pub fn is_settled(&self, now: Time) -> bool {
        let mut layers = self.layers.iter();
        self.live.live(now) == LayerSet::default()
            && layers.all(|layer| layer.key_frames.deadline().is_none())
    }

    /// What a payload type carries, if it is one of the track's.
    pub fn codec(&self, payload_type: PayloadType) -> Option<Codec> {
        let mut formats = self.spec.formats.iter();
        formats
            .find(|format| format.payload_type == payload_type)
            .map(|format| format.codec)
    }

    /// The layer's state.
    pub fn layer(&mut self, layer: LayerId) -> Option<&mut Layer> {
        self.layers.get_mut(usize::from(layer.0))
    }
}

/// The key of no track: a slab never grows so far.
pub const NO_TRACK: TrackKey = usize::MAX;

/// One downtrack and what the relay keeps beside it; as in [`Downtrack`], what every packet needs stands first. Two lines
/// of the cache are fetched together where both lie in 128 bytes.
#[repr(C, align(128))]
pub struct Sink {
    /// Its subscriber.
    pub peer: PeerKey,
    /// Its track; [`NO_TRACK`] while it stands without one.
    pub track: TrackKey,
    /// The stream itself.
    pub downtrack: Downtrack,
    /// Its number.
    pub id: DowntrackId,
    /// What the control plane said, of the track it carries now.
    pub spec: DowntrackSpec,
    /// When its next sender report is due; `None` before its first packet, and while it rests.
    pub next_report: Option<Time>,
    /// The highest sequence number, roll-overs included, of its last report.
    pub reported: Option<u32>,
    /// Where its lost packets are sent again, if not on its own SSRC.
    pub repair: Option<RepairStream>,
}

/// One opened packet of the batch; its bytes are in the layer's cache.
#[derive(Clone)]
pub struct Arrived {
    /// Whose.
    pub track: TrackKey,
    /// Which encoding.
    pub layer: LayerId,
    /// Which packet.
    pub index: u64,
    /// A decoder can begin here.
    pub key_frame: bool,
    /// The layer's clocks, where a switch may need them.
    pub mapping: Option<(NtpTime, u32)>,
    /// What its dependency descriptor says, where it has one that can be read.
    pub dependency: Option<Dependency>,
    /// Bytes of payload that count for how long it is made; 0 for sound.
    pub levelled: u16,
    /// Bytes of padding that make it as long as its neighbours.
    pub padding: u8,
}

/// What waits for a subscriber's link.
#[derive(Clone)]
pub enum Queued {
    /// A packet that is yet to be kept or skipped.
    Fresh {
        /// For which downtrack.
        sink: SinkKey,
        /// Which.
        arrived: Arrived,
    },
    /// One that is to be sent again.
    Again {
        /// For which downtrack.
        sink: SinkKey,
        /// As it went out before.
        stamp: Stamp,
    },
}

impl Queued {
    /// For which downtrack.
    pub fn sink(&self) -> SinkKey {
        match self {
            Queued::Fresh { sink, .. } | Queued::Again { sink, .. } => *sink,
        }
    }
}

/// The tables.
#[derive(Default)]
pub struct Router {
    /// Tracks by key.
    pub tracks: Slab<Track>,
    /// Downtracks by key.
    pub sinks: Slab<Sink>,
    /// The control plane's numbers.
    pub track_keys: FxHashMap<TrackId, TrackKey>,
    /// The control plane's numbers.
    pub sink_keys: FxHashMap<DowntrackId, SinkKey>,
    /// The batch under way.
    pub batch: Vec<Arrived>,
    /// How much of it has been made equally long.
    pub levelled: usize,
    /// Subscribers with jobs in it.
    pub touched: Vec<PeerKey>,
    /// Tracks whose layers or key-frame requests need a look when it is done.
    pub dirty: Vec<TrackKey>,
    /// Layers that something is missing of.
    pub gappy: Vec<(TrackKey, LayerId)>,
    /// Downtracks that sent their first packet in it.
    pub started: Vec<SinkKey>,
}

impl Router {
    /// The layer's stream begins anew under another SSRC.
    pub fn restart_layer(&mut self, key: TrackKey, layer: LayerId) {
        let Some(track) = self.tracks.get_mut(key) else {
            return;
        };
        let fresh = Layer::new(&track.spec);
        if let Some(old) = track.layer(layer) {
            *old = fresh;
        }
        for sink in &track.sinks {
            self.sinks[*sink].downtrack.restart_source(layer);
        }
    }

    /// The track's packets are withheld: its downtracks go on without a hole.
    pub fn interrupt(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.get(key) else {
            return;
        };
        for sink in &track.sinks {
            self.sinks[*sink].downtrack.interrupt();
        }
    }

    /// Looks at the track once the batch is done.
    pub fn mark(&mut self, track: TrackKey) {
        mark(&mut self.dirty, track);
    }
}

/// [`Router::mark`] where the router is borrowed in parts.
pub fn mark(dirty: &mut Vec<TrackKey>, track: TrackKey) {
    if !dirty.contains(&track) {
        dirty.push(track);
    }
}
