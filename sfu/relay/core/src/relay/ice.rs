//! STUN and DTLS in: who may be at which address (DESIGN 2.4).

use std::net::SocketAddr;

use crate::event::Event;
use crate::peer::PeerKey;
use crate::peer::paths::{Path, Proof, SlotId};
use crate::relay::{Relay, Rng};
use crate::stun::{self, Class, Message, TransactionId};

/// RFC 8445 section 5.1.2.1 for a host candidate: type preference 126, local preference 65535,
/// component 1. We have no pairs to rank; the attribute is only required to be there.
const PRIORITY: u32 = (126 << 24) | (65_535 << 8) | 255;
/// RFC 8445 section 7.3.1.1.
const ROLE_CONFLICT: u16 = 487;

impl Relay {
    pub(super) fn on_stun(&mut self, path: Path, datagram: &[u8]) {
        self.counters.stun_in += 1;
        let Ok(message) = Message::parse(datagram) else {
            self.counters.stun_drop_malformed += 1;
            return;
        };
        match message.class() {
            Class::Request => self.on_binding_request(path, &message, datagram.len()),
            Class::Success => self.on_binding_success(path, &message, datagram.len()),
            Class::Indication | Class::Error => self.counters.stun_drop_unexpected += 1,
        }
    }

    pub(super) fn on_dtls(&mut self, path: Path, datagram: &[u8]) {
        self.counters.dtls_in += 1;
        // Nobody shakes hands over a pipe: whoever does it there has its address, and no keys.
        let known = self.peer_at(path);
        let known = known.filter(|key| !self.peers[*key].paths.is_pinned());
        let Some((key, slot)) =
            known.and_then(|key| Some((key, self.peers[key].paths.find(path)?)))
        else {
            self.counters.dtls_drop_stranger += 1;
            return;
        };
        let peer = &mut self.peers[key];
        peer.stir();
        peer.paths.on_bytes(slot, datagram.len());
        if !peer.dtls.admit(self.now) {
            self.counters.dtls_drop_budget += 1;
            return;
        }
        peer.paths.on_dtls(slot);
        peer.flush_dtls(&mut self.outbox, &mut self.counters);
        self.counters.dtls_forwarded += 1;
        self.events.push_back(Event::Dtls {
            peer: peer.id,
            datagram: datagram.to_vec(),
        });
        self.question_paths(key);
    }

    fn on_binding_request(&mut self, path: Path, message: &Message<'_>, bytes: usize) {
        let named = message
            .username()
            .and_then(|(ours, _)| Some((ours, self.by_ufrag.get(ours).copied()?)));
        let Some((ours, key)) = named else {
            self.counters.stun_drop_unknown_user += 1;
            return;
        };
        let password = self.peers[key].ice.password(ours);
        if password.is_none_or(|password| message.verify(password.as_bytes()).is_err()) {
            self.counters.stun_drop_integrity += 1;
            return;
        }
        // Before anything else: the client has moved on to its new credentials, wherever it is.
        if let Some(retired) = self.peers[key].ice.on_check(ours) {
            self.by_ufrag.remove(&retired);
        }
        if !self.claim_address(key, path.remote) {
            self.counters.stun_drop_address_taken += 1;
            return;
        }
        let bound_before = self.peers[key].paths.bound();
        let nominated = message.use_candidate();
        let peer = &mut self.peers[key];
        peer.stir();
        let (slot, evicted) = peer.paths.on_request(self.now, path, bytes, nominated);
        if peer.paths.bound() != bound_before {
            self.counters.paths_migrated += 1;
        }
        if let Some(remote) = evicted {
            self.release_address(key, remote);
        }
        self.answer(key, slot, path, message, ours);
        let peer = &mut self.peers[key];
        peer.flush_dtls(&mut self.outbox, &mut self.counters);
        self.question_paths(key);
    }

    /// We are lite, so always the controlled side, and never switch (RFC 8445 section 6.1.1 gives
    /// the controlling role to the full agent). A peer that says it is controlled as well is told
    /// so with 487 whatever its tie-breaker is, and takes the other role; were it merely answered,
    /// it would wait for a nomination that never comes.
    fn answer(
        &mut self,
        key: PeerKey,
        slot: SlotId,
        path: Path,
        message: &Message<'_>,
        ours: &str,
    ) {
        let peer = &mut self.peers[key];
        let Some(password) = peer.ice.password(ours).map(str::as_bytes) else {
            return;
        };
        let start = self.outbox.len();
        let out = self.outbox.bytes();
        let conflict = message.ice_controlled();
        if conflict {
            stun::write_error(
                out,
                message.transaction(),
                ROLE_CONFLICT,
                "Role Conflict",
                password,
            );
        } else {
            stun::write_success(out, message.transaction(), path.remote, password);
        }
        if !peer.paths.allow(slot, self.outbox.len() - start) {
            self.outbox.abandon(start);
            self.counters.stun_drop_allowance += 1;
            return;
        }
        self.outbox.commit(path, start);
        if conflict {
            self.counters.stun_role_conflicts += 1;
        } else {
            self.counters.stun_answered += 1;
        }
    }

    fn on_binding_success(&mut self, path: Path, message: &Message<'_>, bytes: usize) {
        let Some(key) = self.peer_at(path) else {
            self.counters.stun_drop_unexpected += 1;
            return;
        };
        let peer = &mut self.peers[key];
        let slot = peer.paths.is_answer(path, message.transaction());
        let (Some(slot), Some((_, remote))) = (slot, peer.ice.in_use()) else {
            self.counters.stun_drop_unexpected += 1;
            return;
        };
        if message.verify(remote.password.as_bytes()).is_err() {
            self.counters.stun_drop_integrity += 1;
            return;
        }
        peer.stir();
        peer.paths.on_bytes(slot, bytes);
        self.counters.challenges_answered += 1;
        if let Some(asked) = peer.paths.asked_once(slot) {
            peer.round_trip.on_answer(self.now, asked);
        }
        if peer.paths.on_answer(self.now, slot) == Proof::Migrated {
            self.counters.paths_migrated += 1;
        }
        peer.flush_dtls(&mut self.outbox, &mut self.counters);
    }

    /// Puts or repeats the questions that are due, under the peer's own credentials.
    pub(super) fn question_paths(&mut self, key: PeerKey) {
        let Some(slot) = self.peers[key].paths.poll_question(self.now) else {
            return;
        };
        let mut fresh = [0; 12];
        self.rng.fill_bytes(&mut fresh);
        let tie_breaker = self.rng.next_u64();
        let peer = &mut self.peers[key];
        let Some((ours, remote)) = peer.ice.in_use() else {
            return;
        };
        let Some(path) = peer.paths.path(slot) else {
            return;
        };
        let asked = peer.paths.ask(self.now, slot, TransactionId(fresh));
        let Some(transaction) = asked else { return };
        let username = format!("{}:{ours}", remote.ufrag);
        let start = self.outbox.len();
        let password = remote.password.as_bytes();
        let out = self.outbox.bytes();
        stun::write_request(out, transaction, &username, PRIORITY, tie_breaker, password);
        if peer.paths.allow(slot, self.outbox.len() - start) {
            self.outbox.commit(path, start);
            self.counters.challenges_sent += 1;
        } else {
            self.outbox.abandon(start);
            self.counters.stun_drop_allowance += 1;
        }
    }

    /// Makes the address the peer's, unless another live peer has it bound or proven. A tentative
    /// one goes to whoever last showed a password from it: neither of two claims is better, and the
    /// rightful owner repeats its checks.
    pub(super) fn claim_address(&mut self, key: PeerKey, remote: SocketAddr) -> bool {
        match self.by_address.get(&remote).copied() {
            Some(owner) if owner == key => return true,
            Some(owner) => {
                let owner = &mut self.peers[owner];
                if owner.paths.holds(remote) {
                    return false;
                }
                owner.paths.forget(remote);
            }
            None => {}
        }
        self.by_address.insert(remote, key);
        true
    }

    /// The peer does not have this address any more.
    pub(super) fn release_address(&mut self, key: PeerKey, remote: SocketAddr) {
        if self.by_address.get(&remote) == Some(&key) {
            self.by_address.remove(&remote);
        }
    }
}
