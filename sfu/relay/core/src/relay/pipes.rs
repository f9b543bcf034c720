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
    use crate::command::{Command, Encoding, TrackRepair, TrackSpec};
    use crate::limits::Limits;
    use crate::peer::paths::Path;
    use crate::rtp::ExtensionMap;
    use crate::srtp::{MasterKey, Profile};
    use crate::units::{MediaKind, Ssrc, Time, TrackId};

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
            formats: Vec::new(),
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
}
