//! Ways to other relays, of the same worker set or of another node (DESIGN 2.5).
//!
//! The other end is a peer like any other, but for how it comes about: the control plane that rules both ends says where
//! each is and gives them keys of this pipe alone. There is nothing to prove, and nothing to shake hands about. What goes
//! over it are ordinary RTP and RTCP, sealed as to anybody: one downtrack for each encoding at this end, a track with
//! these encodings at the other.

use crate::command::{CommandError, IceCredentials, PipeSpec};
use crate::peer::streams::Streams;
use crate::peer::{Keys, Peer, PeerKey};
use crate::relay::{Relay, Rng};
use crate::srtp::{Opener, Sealer};
use crate::units::PeerId;

impl Relay {
    pub(super) fn open_pipe(&mut self, id: PeerId, pipe: &PipeSpec) -> Result<(), CommandError> {
        if self.peer_keys.contains_key(&id) {
            return Err(CommandError::Duplicate);
        }
        if self.peers.len() >= self.limits.peers {
            return Err(CommandError::LimitReached);
        }
        let bad = |_| CommandError::BadKeys;
        let opener = Opener::new(pipe.profile, &pipe.remote).map_err(bad)?;
        let sealer = Sealer::new(pipe.profile, &pipe.local).map_err(bad)?;
        let own_ssrc = self.draw_ssrc(|_| false);
        let first_number = self.rng.next_u32() as u16;
        let mut peer = Peer::new(
            self.now,
            id,
            nobodys_credentials(),
            own_ssrc,
            first_number,
            &self.limits,
        );
        peer.streams = Streams::of_pipe(&self.limits);
        peer.keys = Some(Keys { opener, sealer });
        peer.paths.pin(self.now, pipe.path);
        let key = self.peers.insert(peer);
        if !self.claim_address(key, pipe.path.remote) {
            self.peers.remove(key);
            return Err(CommandError::Duplicate);
        }
        self.peer_keys.insert(id, key);
        self.schedule();
        Ok(())
    }

    /// What a new track's publisher is called where speakers are told apart: the peer itself, and beyond a pipe whoever
    /// has this name there.
    pub(super) fn voice_of(&mut self, key: PeerKey, name: &str) -> PeerKey {
        let peer = &self.peers[key];
        if !peer.paths.is_pinned() {
            return key;
        }
        let mut siblings = peer
            .tracks
            .iter()
            .filter_map(|track| self.router.tracks.get(*track));
        if let Some(sibling) = siblings.find(|track| track.spec.mid == name) {
            return sibling.voice;
        }
        self.next_voice += 1;
        self.next_voice
    }
}

/// Entered nowhere, so no check can name them.
fn nobodys_credentials() -> IceCredentials {
    IceCredentials {
        ufrag: String::new(),
        password: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::command::{Command, DowntrackSpec, Encoding, PayloadFormat, TrackRepair, TrackSpec};
    use crate::downtrack::Wish;
    use crate::limits::Limits;
    use crate::peer::paths::Path;
    use crate::rtp::ExtensionMap;
    use crate::srtp::{MasterKey, Profile};
    use crate::units::{Codec, DowntrackId, LayerId, MediaKind, PayloadType, Ssrc, Time, TrackId};

    const OPUS: PayloadFormat = PayloadFormat {
        payload_type: PayloadType(111),
        codec: Codec::Opus,
    };

    fn pipe() -> PipeSpec {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let remote = (local, 7_883).into();
        PipeSpec {
            path: Path { local, remote },
            profile: Profile::AeadAes128Gcm,
            local: MasterKey::new(&[1; 16], &[1; 12]),
            remote: MasterKey::new(&[2; 16], &[2; 12]),
        }
    }

    fn publish(relay: &mut Relay, track: u64, name: &str) {
        let spec = TrackSpec {
            peer: PeerId(1),
            kind: MediaKind::Audio,
            mid: name.to_owned(),
            clock_rate: 48_000,
            formats: vec![OPUS],
            extensions: ExtensionMap::from_pairs([]),
            encodings: vec![Encoding::Ssrc(Ssrc(track as u32))],
            repair: TrackRepair::default(),
        };
        let track = TrackId(track);
        let added = relay.handle_command(Time::ZERO, Command::AddTrack { track, spec });
        assert_eq!(added, Ok(()));
    }

    #[test]
    fn publishers_beyond_a_pipe_are_told_apart_and_their_tracks_belong_together() {
        let mut relay = Relay::new(Limits::default(), [0; 32]);
        let (peer, pipe) = (PeerId(1), pipe());
        let opened = relay.handle_command(Time::ZERO, Command::OpenPipe { peer, pipe });
        assert_eq!(opened, Ok(()));
        for (track, name) in [(1, "ann"), (2, "bob"), (3, "ann")] {
            publish(&mut relay, track, name);
        }
        let voice = |track| relay.router.tracks[relay.router.track_keys[&TrackId(track)]].voice;
        assert_eq!(voice(1), voice(3));
        assert_ne!(voice(1), voice(2));
        assert!(voice(1) > relay.peers.capacity());
    }

    /// A relay with a pipe, and a voice on it.
    fn piped() -> Relay {
        let mut relay = Relay::new(Limits::default(), [0; 32]);
        let (peer, pipe) = (PeerId(1), pipe());
        let opened = relay.handle_command(Time::ZERO, Command::OpenPipe { peer, pipe });
        assert_eq!(opened, Ok(()));
        publish(&mut relay, 1, "ann");
        relay
    }

    fn leaving(layer: u8) -> Command {
        let spec = DowntrackSpec {
            peer: PeerId(1),
            track: TrackId(1),
            ssrc: Ssrc(0x51 + u32::from(layer)),
            formats: vec![OPUS],
            extensions: ExtensionMap::from_pairs([]),
            cname: String::new(),
            nack: true,
            wish: Wish::default(),
            stands: true,
            repair: None,
        };
        Command::PipeLayer {
            downtrack: DowntrackId(u64::from(layer)),
            spec,
            layer: LayerId(layer),
        }
    }

    #[test]
    fn an_encoding_that_the_track_does_not_have_is_refused_and_no_other_crosses_for_it() {
        let mut relay = piped();
        let mut command = |command| relay.handle_command(Time::ZERO, command);
        assert_eq!(command(leaving(0)), Ok(()));
        assert_eq!(command(leaving(1)), Err(CommandError::UnknownEncoding));
        assert_eq!(relay.router.sinks.len(), 1);
    }

    #[test]
    fn what_is_held_to_an_encoding_goes_over_only_to_a_track_that_has_it() {
        let mut relay = piped();
        let mut spec = relay.router.tracks[relay.router.track_keys[&TrackId(1)]]
            .spec
            .clone();
        spec.encodings = vec![Encoding::Ssrc(Ssrc(0x61)), Encoding::Ssrc(Ssrc(0x62))];
        let track = TrackId(2);
        let mut command = |command| relay.handle_command(Time::ZERO, command);
        assert_eq!(command(Command::AddTrack { track, spec }), Ok(()));
        let Command::PipeLayer {
            downtrack,
            mut spec,
            layer,
        } = leaving(1)
        else {
            unreachable!();
        };
        spec.track = track;
        let to = |track| Command::SwitchDowntrack {
            downtrack,
            track: Some(TrackId(track)),
            formats: vec![OPUS],
        };
        let layer_of_two = Command::PipeLayer {
            downtrack,
            spec,
            layer,
        };
        assert_eq!(command(layer_of_two), Ok(()));
        assert_eq!(command(to(2)), Ok(()));
        assert_eq!(command(to(1)), Err(CommandError::UnknownEncoding));
    }
}
