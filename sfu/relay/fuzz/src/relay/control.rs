//! The control plane's instructions: right ones, and mistakes that must be refused.

use conclave_relay_core::Command;
use conclave_relay_core::command::{
    CommandError, DowntrackRepair, DowntrackSpec, Encoding, PayloadFormat, RepairFormat,
    TrackRepair, TrackSpec,
};
use conclave_relay_core::downtrack::Wish;
use conclave_relay_core::rtp::{Extension, ExtensionMap};
use conclave_relay_core::srtp::MasterKey;
use conclave_relay_core::units::{
    Codec, DowntrackId, LayerId, MediaKind, PayloadType, PeerId, Ssrc, Time, TrackId,
};

use super::client::{Client, SLOTS, master};
use super::world::{Published, Subscribed, World};
use crate::bytes::Bytes;

/// What publishers number their formats.
pub const FORMATS: [(u8, Codec); 5] = [
    (111, Codec::Opus),
    (96, Codec::Vp8),
    (98, Codec::Vp9),
    (102, Codec::H264),
    (45, Codec::Av1),
];
/// What publishers number the retransmission format of each. `seal_one` reaches these by a byte that is none of the
/// formats above.
pub const REPAIRS: [u8; 5] = [125, 126, 127, 117, 109];
/// What lies between a media SSRC and the retransmission SSRC that is declared with it.
pub const REPAIR_OFFSET: u32 = 6;
/// What publishers number their extensions.
pub const EXTENSIONS: [(u8, Extension); 8] = [
    (1, Extension::AudioLevel),
    (3, Extension::TransportSequence),
    (4, Extension::Mid),
    (10, Extension::Rid),
    (11, Extension::RepairedRid),
    (12, Extension::DependencyDescriptor),
    (13, Extension::VideoOrientation),
    (20, Extension::PlayoutDelay),
];
pub const MIDS: [&str; 3] = ["0", "1", "screen"];
pub const RIDS: [&str; 3] = ["q", "h", "f"];

impl World {
    pub fn open_peer(&mut self, bytes: &mut Bytes<'_>) {
        let slot = bytes.below(SLOTS);
        self.open(slot);
    }

    fn open(&mut self, slot: usize) {
        if self.clients[slot].is_some() {
            return;
        }
        let client = Client::new(PeerId(self.number()), slot);
        let open = || Command::OpenPeer {
            peer: client.id,
            local: client.latest().server.clone(),
        };
        let (first, second) = (open(), open());
        // Before the command, since the drain in it counts the peers.
        self.drain();
        self.clients[slot] = Some(client);
        assert_eq!(self.unchecked(first), Ok(()));
        assert!(self.command(second).is_err(), "a peer is opened twice");
    }

    pub fn set_remote_ice(&mut self, bytes: &mut Bytes<'_>) {
        let slot = bytes.below(SLOTS);
        self.tell_remote_ice(slot);
    }

    fn tell_remote_ice(&mut self, slot: usize) {
        let Some(client) = &mut self.clients[slot] else {
            return;
        };
        client.known_remote = true;
        let (peer, remote) = (client.id, client.latest().own.clone());
        assert_eq!(self.command(Command::SetRemoteIce { peer, remote }), Ok(()));
    }

    pub fn install_keys(&mut self, bytes: &mut Bytes<'_>) {
        let (slot, mistake) = (bytes.below(SLOTS), bytes.below(8) == 7);
        if mistake && let Some(client) = &self.clients[slot] {
            let (peer, profile) = (client.id, client.profile);
            let short = || MasterKey::new(&[1; 15], &[1; 12]);
            let command = Command::InstallKeys {
                peer,
                profile,
                local: short(),
                remote: short(),
            };
            assert!(self.command(command).is_err(), "short keys are taken");
        } else {
            self.key(slot);
        }
    }

    fn key(&mut self, slot: usize) {
        let Some(client) = &mut self.clients[slot] else {
            return;
        };
        let before = std::mem::replace(&mut client.keyed, true);
        if !before && !client.known_remote {
            // Nothing can question it, so DTLS is all the proof there is.
            self.ledger.trust(client.claims.iter());
        }
        let command = Command::InstallKeys {
            peer: client.id,
            profile: client.profile,
            local: master(client.profile, client.id, 2),
            remote: master(client.profile, client.id, 1),
        };
        let done = self.command(command);
        assert_eq!(done.is_ok(), !before, "keys are installed once");
    }

    pub fn close_peer(&mut self, bytes: &mut Bytes<'_>) {
        self.close(bytes.below(SLOTS));
    }

    pub fn close(&mut self, slot: usize) {
        self.drain();
        let Some(client) = self.clients[slot].take() else {
            return;
        };
        self.tracks.retain(|track| track.spec.peer != client.id);
        for downtrack in &mut self.downtracks {
            downtrack.ended |= downtrack.spec.peer == client.id;
            if downtrack.publisher == Some(client.id) {
                downtrack.lose_track();
            }
        }
        self.questions.retain(|question| question.peer != client.id);
        assert_eq!(
            self.command_after(Command::ClosePeer { peer: client.id }),
            Ok(())
        );
    }

    pub fn set_not_after(&mut self, bytes: &mut Bytes<'_>) {
        let (slot, at) = (bytes.below(SLOTS), bytes.byte());
        self.limit(slot, at);
    }

    /// Its authority ends in so many times 50 ms, or never.
    pub fn limit(&mut self, slot: usize, at: u8) {
        let ahead = u64::from(at % 128) * 50_000;
        let not_after = (at < 128).then(|| Time::from_micros(self.now.as_micros() + ahead));
        self.drain();
        let now = self.now;
        let Some(client) = &mut self.clients[slot] else {
            return;
        };
        client.set_not_after(now, not_after);
        let peer = client.id;
        let command = Command::SetNotAfter { peer, not_after };
        assert_eq!(self.command_after(command), Ok(()));
    }

    pub fn add_track(&mut self, bytes: &mut Bytes<'_>) {
        let Some(peer) = self.clients[bytes.below(SLOTS)].as_ref() else {
            return;
        };
        let spec = track_spec(peer, bytes);
        self.publish(spec);
    }

    pub fn publish(&mut self, spec: TrackSpec) -> Option<TrackId> {
        let id = TrackId(self.number());
        self.drain();
        let added = self.unchecked(Command::AddTrack {
            track: id,
            spec: spec.clone(),
        });
        if added.is_ok() {
            self.tracks.push(Published {
                id,
                spec,
                muted: false,
            });
        }
        self.drain();
        added.is_ok().then_some(id)
    }

    pub fn mute_track(&mut self, bytes: &mut Bytes<'_>) {
        let (at, muted) = (bytes.below(self.tracks.len()), bytes.flag());
        self.drain();
        let Some(track) = self.tracks.get_mut(at) else {
            return;
        };
        track.muted = muted;
        let track = track.id;
        let command = Command::MuteTrack { track, muted };
        assert_eq!(self.command_after(command), Ok(()));
    }

    pub fn remove_track(&mut self, bytes: &mut Bytes<'_>) {
        let at = bytes.below(self.tracks.len());
        if at >= self.tracks.len() {
            return;
        }
        self.drain();
        let track = self.tracks.remove(at).id;
        for downtrack in &mut self.downtracks {
            if downtrack.publisher.is_some() && downtrack.spec.track == track {
                downtrack.lose_track();
            }
        }
        assert_eq!(self.command_after(Command::RemoveTrack { track }), Ok(()));
    }

    pub fn add_downtrack(&mut self, bytes: &mut Bytes<'_>) {
        let (slot, at) = (bytes.below(SLOTS), bytes.below(self.tracks.len()));
        let reuse = bytes.below(8) == 7;
        let Some(track) = self.tracks.get(at).map(|track| track.id) else {
            return;
        };
        let spec = self.downtrack_spec(slot, track, bytes.byte());
        let Some(mut spec) = spec else { return };
        if reuse && let Some(old) = self.downtracks.iter().find(|d| d.spec.peer == spec.peer) {
            spec.ssrc = old.spec.ssrc;
            let downtrack = DowntrackId(self.number());
            let command = Command::AddDowntrack { downtrack, spec };
            assert!(self.command(command).is_err(), "an SSRC is used twice");
        } else {
            self.subscribe(spec);
        }
    }

    pub fn subscribe(&mut self, spec: DowntrackSpec) {
        let downtrack = DowntrackId(self.number());
        self.drain();
        let added = self.unchecked(Command::AddDowntrack {
            downtrack,
            spec: spec.clone(),
        });
        self.note_downtrack(downtrack, spec, None, added);
    }

    /// It is there, unless it was refused.
    pub fn note_downtrack(
        &mut self,
        id: DowntrackId,
        spec: DowntrackSpec,
        only: Option<LayerId>,
        added: Result<(), CommandError>,
    ) {
        let track = self.tracks.iter().find(|track| track.id == spec.track);
        if added.is_ok()
            && let Some((kind, publisher)) = track.map(|t| (t.spec.kind, t.spec.peer))
        {
            self.downtracks.push(Subscribed {
                id,
                paused: spec.wish.paused,
                spec,
                kind,
                publisher: Some(publisher),
                only,
                ended: false,
            });
        }
        self.drain();
    }

    pub fn downtrack_spec(
        &mut self,
        slot: usize,
        track: TrackId,
        shape: u8,
    ) -> Option<DowntrackSpec> {
        let ssrc = Ssrc(0xd000_0000 + self.number() as u32);
        let peer = self.clients[slot].as_ref()?.id;
        let wide = shape & 1 != 0;
        Some(DowntrackSpec {
            peer,
            track,
            ssrc,
            formats: taken_formats(shape),
            extensions: ExtensionMap::from_pairs([
                (if wide { 21 } else { 5 }, Extension::AudioLevel),
                (6, Extension::Mid),
                (7, Extension::DependencyDescriptor),
                (8, Extension::TransportSequence),
            ]),
            cname: "publisher".to_owned(),
            nack: shape & 2 == 0,
            wish: Wish::default(),
            stands: shape & 8 != 0,
            repair: (shape & 4 != 0).then(|| DowntrackRepair {
                ssrc: Ssrc(ssrc.0 | 0x0080_0000),
                formats: vec![RepairFormat {
                    payload_type: PayloadType(120),
                    repairs: PayloadType(101),
                }],
            }),
        })
    }

    pub fn set_downtrack(&mut self, bytes: &mut Bytes<'_>) {
        let (at, choice) = (bytes.below(self.downtracks.len()), bytes.byte());
        let wish = Wish {
            layer: (choice & 0x80 != 0).then_some(LayerId(choice & 0x3f)),
            paused: choice & 0x40 != 0,
            frame_rate: (choice & 0x20 != 0).then_some(choice & 0x1f),
            priority: choice & 3,
        };
        self.drain();
        let Some(downtrack) = self.downtracks.get_mut(at) else {
            return;
        };
        downtrack.paused = wish.paused;
        let (downtrack, known) = (downtrack.id, !downtrack.ended);
        let done = self.command_after(Command::SetDowntrack { downtrack, wish });
        assert_eq!(done.is_ok(), known);
    }

    pub fn remove_downtrack(&mut self, bytes: &mut Bytes<'_>) {
        let at = bytes.below(self.downtracks.len());
        self.drain();
        let Some(downtrack) = self.downtracks.get_mut(at) else {
            return;
        };
        let known = !std::mem::replace(&mut downtrack.ended, true);
        let downtrack = downtrack.id;
        let done = self.command_after(Command::RemoveDowntrack { downtrack });
        assert_eq!(done.is_ok(), known);
    }

    /// Records that name their peer, so that `ledger` sees where each goes.
    pub fn send_dtls(&mut self, bytes: &mut Bytes<'_>) {
        let (slot, count) = (bytes.below(SLOTS), bytes.below(24));
        let size = 9 + usize::from(bytes.word() % 1_500);
        let Some(client) = &self.clients[slot] else {
            return;
        };
        let peer = client.id;
        let mut record = vec![22];
        record.extend_from_slice(&peer.0.to_be_bytes());
        record.resize(size, 0);
        let datagrams = vec![record; count];
        assert_eq!(self.command(Command::SendDtls { peer, datagrams }), Ok(()));
    }

    /// A peer with everything in order.
    pub fn connect(&mut self, bytes: &mut Bytes<'_>) {
        let slot = bytes.below(SLOTS);
        self.open(slot);
        self.tell_remote_ice(slot);
        self.check(slot, slot, true, false);
        self.dtls_record(slot, 300);
        self.key(slot);
        self.answer_all(slot);
    }

    /// One peer publishes, another listens, both with everything in order.
    pub fn call(&mut self, bytes: &mut Bytes<'_>) {
        let (from, to) = (bytes.below(SLOTS), bytes.below(SLOTS));
        let (shape, with) = (bytes.byte(), bytes.byte());
        for slot in [from, to] {
            self.connect(&mut Bytes::new(&[slot as u8]));
        }
        let Some(publisher) = &self.clients[from] else {
            return;
        };
        let spec = track_spec(publisher, &mut Bytes::new(&[shape, with]));
        let Some(track) = self.publish(spec) else {
            return;
        };
        if let Some(spec) = self.downtrack_spec(to, track, with & 1) {
            self.subscribe(spec);
        }
        let last = self.tracks.len() - 1;
        self.burst(last, 0, bytes.below(8), shape, with);
    }
}

/// As a subscriber numbers them, less those that the upper bits of `shape` leave out.
pub fn taken_formats(shape: u8) -> Vec<PayloadFormat> {
    let formats = FORMATS.iter().enumerate();
    let taken = formats.filter(|(at, _)| shape & (0x10 << (at % 4)) == 0);
    taken
        .map(|(at, (_, codec))| PayloadFormat {
            payload_type: PayloadType(100 + at as u8),
            codec: *codec,
        })
        .collect()
}

fn track_repair(with: u8, audio: bool, encodings: &[Encoding]) -> TrackRepair {
    if with & 8 == 0 {
        return TrackRepair::default();
    }
    let formats = FORMATS.iter().zip(REPAIRS);
    let pair = |encoding: &Encoding| match encoding {
        Encoding::Ssrc(ssrc) => Some((*ssrc, Ssrc(ssrc.0 + REPAIR_OFFSET))),
        _ => None,
    };
    TrackRepair {
        nack: true,
        formats: formats
            .skip(usize::from(!audio))
            .map(|((repairs, _), payload_type)| RepairFormat {
                payload_type: PayloadType(payload_type),
                repairs: PayloadType(*repairs),
            })
            .collect(),
        streams: encodings.iter().filter_map(pair).collect(),
    }
}

pub fn track_spec(peer: &Client, bytes: &mut Bytes<'_>) -> TrackSpec {
    let (shape, with) = (bytes.byte(), bytes.byte());
    let declared = |number: usize| Encoding::Ssrc(Client::ssrc(peer.slot, number));
    let rid = |rid: &str| Encoding::Rid(rid.to_owned());
    let encodings = match shape % 7 {
        0 | 1 => vec![declared(usize::from(with >> 4) % 4)],
        2 => vec![Encoding::Mid],
        3 => RIDS.map(rid).to_vec(),
        4 => vec![declared(0), declared(1), declared(2)],
        5 => Vec::new(),
        _ => RIDS.map(rid).into_iter().chain([Encoding::Mid]).collect(),
    };
    let audio = shape & 0x80 == 0;
    let formats = if audio { &FORMATS[..1] } else { &FORMATS[1..] };
    TrackSpec {
        peer: peer.id,
        kind: if audio {
            MediaKind::Audio
        } else {
            MediaKind::Video
        },
        mid: MIDS[usize::from(with) % MIDS.len()].to_owned(),
        clock_rate: if audio { 48_000 } else { 90_000 },
        formats: formats
            .iter()
            .map(|(number, codec)| PayloadFormat {
                payload_type: PayloadType(*number),
                codec: *codec,
            })
            .collect(),
        extensions: ExtensionMap::from_pairs(EXTENSIONS),
        repair: track_repair(with, audio, &encodings),
        encodings,
    }
}
