//! Ways to other relays, of the same worker set or of another node (DESIGN 2.5).
//!
//! The other end is a peer like any other, but for how it comes about: the control plane that rules both ends says where
//! each is and gives them keys of this pipe alone. There is nothing to prove, and nothing to shake hands about. What goes
//! over it are ordinary RTP and RTCP, sealed as to anybody: one downtrack for each encoding at this end, a track with
//! these encodings at the other.

use crate::command::{CommandError, IceCredentials, PipeSpec};
use crate::peer::streams::Streams;
use crate::peer::{Keys, Peer};
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
}

/// Entered nowhere, so no check can name them.
fn nobodys_credentials() -> IceCredentials {
    IceCredentials {
        ufrag: String::new(),
        password: String::new(),
    }
}
