//! The laws, kept from outside: what went in, what came out, and what the one may cause of the other.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use conclave_relay_core::command::Encoding;
use conclave_relay_core::counters::Counters;
use conclave_relay_core::demux::{Protocol, classify};
use conclave_relay_core::rtcp::{self, Packet};
use conclave_relay_core::rtp::{Extension, Header};
use conclave_relay_core::srtp::{Profile, ReplayWindow};
use conclave_relay_core::stun::{Class, Message};
use conclave_relay_core::units::{Codec, MediaKind, PeerId, Ssrc, TrackId};
use conclave_relay_core::{Event, Path};

use super::client::{Client, Generation};
use super::pipes::Said;
use super::world::{Question, World};

/// DESIGN 2.4: what an unproven address gets for each byte it sent.
const AMPLIFICATION: u64 = 3;

/// Shorter parts of a picture are not made as long as the longest of them, and no part by more than a hundredth.
const LEAST_LEVELLED: usize = 400;

#[derive(Default)]
pub struct Ledger {
    datagrams_in: u64,
    bytes_in: u64,
    datagrams_out: u64,
    bytes_out: u64,
    received: HashMap<SocketAddr, u64>,
    sent: HashMap<SocketAddr, u64>,
    /// Addresses that answered a question, or of which DTLS had to be proof enough.
    proven: HashSet<SocketAddr>,
    /// Digest of what was sealed under each key, SSRC and index.
    sealed: HashMap<(PeerId, Ssrc, u64), u64>,
    windows: HashMap<(PeerId, Ssrc), ReplayWindow>,
    newest: HashMap<(PeerId, Ssrc), u64>,
    /// Middle of the NTP time of our last sender report about a stream.
    reports: HashMap<(PeerId, Ssrc), u32>,
    compounds: HashMap<PeerId, u32>,
    started_peers: HashSet<PeerId>,
    started_tracks: HashSet<TrackId>,
}

impl Ledger {
    pub fn came(&mut self, path: Path, bytes: usize) {
        self.datagrams_in += 1;
        self.bytes_in += bytes as u64;
        *self.received.entry(path.remote).or_default() += bytes as u64;
    }

    pub fn prove(&mut self, remote: SocketAddr) {
        self.proven.insert(remote);
    }

    pub fn trust<'a>(&mut self, claims: impl Iterator<Item = &'a Path>) {
        self.proven.extend(claims.map(|path| path.remote));
    }

    /// The address is nobody's any more, and counts anew.
    pub fn forget(&mut self, remote: SocketAddr) {
        self.proven.remove(&remote);
        self.received.remove(&remote);
        self.sent.remove(&remote);
    }

    /// The highest index sealed on a stream, 0 before the first.
    pub fn newest(&self, peer: PeerId, ssrc: Ssrc) -> u64 {
        self.newest.get(&(peer, ssrc)).copied().unwrap_or(0)
    }

    pub fn last_report(&self, peer: PeerId, ssrc: Ssrc) -> u32 {
        self.reports.get(&(peer, ssrc)).copied().unwrap_or(0)
    }

    pub fn told(&mut self, event: &Event) {
        match event {
            Event::MediaStarted { peer } => assert!(self.started_peers.insert(*peer)),
            Event::TrackStarted { track } => assert!(self.started_tracks.insert(*track)),
            _ => {}
        }
    }

    /// Every datagram in or out is in exactly one count.
    pub fn adds_up(&self, counters: &Counters) {
        let c = counters;
        let drops = |of: &str| -> u64 {
            let all = c.iter().filter(|(name, _)| name.starts_with(of));
            all.map(|(_, count)| count).sum()
        };
        let losses = drops("loss_") - c.loss_found;
        assert_eq!(c.loss_found, losses);
        let protocols = c.stun_in + c.dtls_in + c.rtp_in + c.rtcp_in + c.drop_unknown_protocol;
        assert_eq!(
            (c.datagrams_in, c.bytes_in),
            (self.datagrams_in, self.bytes_in)
        );
        assert_eq!(c.datagrams_in, protocols);
        assert_eq!(c.rtp_in, c.rtp_accepted + drops("rtp_drop_"));
        assert_eq!(
            c.rtp_offered,
            c.rtp_out + drops("rtp_skip_") + c.rtp_waiting_now
        );
        let unsent = c.rtcp_drop_unsent;
        assert_eq!(c.rtcp_in, c.rtcp_accepted + drops("rtcp_drop_") - unsent);
        let refused = c.dtls_drop_stranger + c.dtls_drop_budget;
        assert_eq!(c.dtls_in, c.dtls_forwarded + refused);
        // A question that the allowance does not cover is counted with the answers that it does not.
        let held = c.stun_drop_allowance;
        let answered = c.stun_answered + c.stun_role_conflicts + c.challenges_answered;
        let stun = answered + drops("stun_drop_") - held;
        assert!((stun..=stun + held).contains(&c.stun_in));
        assert_eq!(
            c.nack_requested,
            c.nack_resent + c.nack_missed + c.nack_waiting_now
        );
        let answers = c.stun_answered + c.stun_role_conflicts + c.challenges_sent;
        let probes = c.probe_resent + c.probe_padding;
        let out = answers + c.dtls_out + c.rtp_out + c.nack_resent + probes + c.rtcp_out;
        assert_eq!(c.datagrams_out, out);
        assert_eq!(
            (c.datagrams_out, c.bytes_out),
            (self.datagrams_out, self.bytes_out)
        );
    }

    fn left(&mut self, path: Path, bytes: usize) {
        self.datagrams_out += 1;
        self.bytes_out += bytes as u64;
        let sent = self.sent.entry(path.remote).or_default();
        *sent += bytes as u64;
        let received = self.received.get(&path.remote).copied().unwrap_or(0);
        assert!(
            self.proven.contains(&path.remote) || *sent <= AMPLIFICATION * received,
            "an unproven address got {sent} bytes for {received}"
        );
    }
}

impl World {
    /// One datagram leaves the relay.
    pub fn leave(&mut self, path: Path, bytes: &[u8]) {
        self.ledger.left(path, bytes.len());
        let protocol = classify(bytes);
        let said = match protocol {
            Protocol::Stun => {
                self.stun_leaves(path, bytes);
                None
            }
            Protocol::Dtls => {
                self.dtls_leaves(path, bytes);
                None
            }
            Protocol::Rtp => self.rtp_leaves(path, bytes),
            Protocol::Rtcp => {
                self.rtcp_leaves(path, bytes);
                None
            }
            Protocol::Unknown => panic!("what leaves is no protocol of ours"),
        };
        self.cross(path, bytes, protocol, said);
    }

    fn stun_leaves(&mut self, path: Path, bytes: &[u8]) {
        let message = Message::parse(bytes).expect("our STUN parses");
        if message.class() != Class::Request {
            let answers = |g: &Generation| message.verify(g.server.password.as_bytes()).is_ok();
            let mut clients = self.clients.iter_mut().flatten();
            let (client, generation) = clients
                .find_map(|c| {
                    let found = c.generations.iter().position(answers)?;
                    Some((c, found))
                })
                .expect("answers a peer of ours");
            assert!(client.claims.contains(&path), "an answer goes astray");
            client.confirmed = client.confirmed.max(generation);
            return;
        }
        let (theirs, ours) = message.username().expect("our question names both sides");
        let mut clients = self.clients.iter().flatten();
        let (client, generation) = clients
            .find_map(|c| {
                let found = c.generations.iter().position(|g| g.own.ufrag == theirs)?;
                Some((c, found))
            })
            .expect("questions a peer of ours");
        let used = &client.generations[generation];
        assert_eq!(used.server.ufrag, ours, "the sides of two generations");
        assert_eq!(message.verify(used.own.password.as_bytes()), Ok(()));
        assert!(client.claims.contains(&path), "a question goes astray");
        self.questions.push(Question {
            path,
            peer: client.id,
            generation,
            transaction: message.transaction(),
        });
    }

    fn dtls_leaves(&self, path: Path, bytes: &[u8]) {
        let id = bytes.get(1..9).and_then(|id| id.try_into().ok());
        let id = PeerId(u64::from_be_bytes(id.expect("we send no such record")));
        let mut clients = self.clients.iter().flatten();
        let client = clients.find(|c| c.id == id).expect("DTLS after the end");
        assert!(client.claims.contains(&path), "DTLS goes astray");
    }

    /// What it says that was not said before.
    fn rtp_leaves(&mut self, path: Path, bytes: &[u8]) -> Option<Said> {
        let header = Header::parse(bytes).expect("our RTP parses");
        let downtrack = self.heard_as(header.ssrc).expect("an SSRC that is ours");
        assert!(!downtrack.ended, "media after the end");
        let spec = downtrack.spec.clone();
        let publisher = downtrack.publisher.expect("media of nobody");
        let (paused, only, kind) = (downtrack.paused, downtrack.only, downtrack.kind);
        let now = self.now;
        let carried_track = self.tracks.iter().find(|t| t.id == spec.track);
        let muted = carried_track.is_some_and(|track| track.muted);
        let mut clients = self.clients.iter().flatten();
        let client = clients
            .find(|c| c.id == spec.peer)
            .expect("media after the end");
        let mut clients = self.clients.iter().flatten();
        let publisher = clients
            .find(|c| c.id == publisher)
            .expect("media of nobody");
        assert!(client.claims.contains(&path), "media goes astray");
        assert!(client.keyed);
        assert!(
            client.not_after.is_none_or(|end| now < end),
            "authority has ended"
        );

        let ledger = &mut self.ledger;
        let stream = (client.id, header.ssrc);
        let window = ledger.windows.entry(stream).or_insert_with(|| {
            assert!(header.sequence < 0x8000, "begins near the roll-over");
            ReplayWindow::new()
        });
        let index = window.estimate(header.sequence);
        let digest_now = digest(bytes);
        if let Some(before) = ledger.sealed.get(&(client.id, header.ssrc, index)) {
            assert_eq!(*before, digest_now, "one index was sealed twice");
            assert!(spec.nack, "a resend that was not negotiated");
            assert_eq!(header.ssrc, spec.ssrc, "one index of a resend comes twice");
            return None;
        }
        let mut plain = bytes.to_vec();
        let (index, len) = client
            .opener
            .open_rtp(window, &header, &mut plain)
            .expect("the subscriber opens what it gets");
        ledger
            .sealed
            .insert((client.id, header.ssrc, index), digest_now);
        let newest = ledger.newest.entry(stream).or_default();
        *newest = index.max(*newest);

        let repair = spec.repair.filter(|repair| repair.ssrc == header.ssrc);
        // A burst that asks what the link can take is filled up with packets of nothing else, which nobody hears.
        let filler = header.padding && repair.is_some();
        assert!(!muted || filler, "a muted track is heard");
        let wanted = !paused || filler;
        assert!(wanted, "a track is heard that nothing is wanted of");
        let plain = &plain[..len];
        assert_eq!(plain[0] & 0x0f, 0, "CSRCs of another leg");
        let agreed = match &repair {
            None => spec
                .formats
                .iter()
                .any(|f| f.payload_type == header.payload_type),
            Some(repair) => repair
                .formats
                .iter()
                .any(|f| f.payload_type == header.payload_type),
        };
        assert!(agreed, "a format never agreed");
        assert!(
            repair.is_none() || spec.nack,
            "a resend that was not negotiated"
        );
        for (id, _) in header.extensions(plain) {
            let kind = spec.extensions.kind(id).expect("an extension never agreed");
            // Of what a downtrack here numbers, two are not about the publisher's leg, and one is ours.
            let kept = [
                Extension::AudioLevel,
                Extension::DependencyDescriptor,
                Extension::TransportSequence,
            ];
            assert!(kept.contains(&kind), "{kind:?} of another leg");
        }
        let payload = header.payload(plain).expect("padding as long as it says");
        let format = spec
            .formats
            .iter()
            .find(|f| f.payload_type == header.payload_type);
        let is_red = format.is_some_and(|format| format.codec == Codec::Red);
        if filler {
            assert!(payload.is_empty(), "a filler carries a picture");
            return None;
        }
        if header.padding {
            let levelled = plain.len() - header.len;
            let added = levelled - payload.len();
            let is_little = levelled >= LEAST_LEVELLED && added * 100 <= levelled;
            assert!(
                kind == MediaKind::Video && is_little,
                "padding of another leg"
            );
        }
        // Behind the original's number (RFC 4588 section 4).
        let carried = if repair.is_some() { 2 } else { 0 };
        let payload = payload.get(carried..).expect("a resend carries a packet");
        assert!(
            publisher.payloads.contains(&picture(payload))
                || payload.is_empty()
                || is_red && publisher.said(payload),
            "hears what the publisher never sealed"
        );
        if let Some(only) = only
            && kind == MediaKind::Video
            && !payload.is_empty()
        {
            let encoding = carried_track.and_then(|t| t.spec.encodings.get(usize::from(only.0)));
            let is_its = match encoding.expect("an encoding that is not there crosses") {
                Encoding::Ssrc(ssrc) => publisher.sealed_on(*ssrc, payload),
                Encoding::Rid(_) | Encoding::Mid => true,
            };
            assert!(is_its, "another encoding crosses than the one it is for");
        }
        Some(Said {
            ssrc: header.ssrc,
            format: header.payload_type,
            payload: payload.to_vec(),
        })
    }

    fn rtcp_leaves(&mut self, path: Path, bytes: &[u8]) {
        let now = self.now;
        let opens = |client: &&Client| {
            let mut window = ReplayWindow::new();
            let mut plain = bytes.to_vec();
            let len = client.opener.open_rtcp(&mut window, &mut plain).ok()?;
            plain.truncate(len);
            Some((client.id, plain))
        };
        let clients = self.clients.iter().flatten();
        let (id, plain) = clients
            .filter(|client| client.keyed && client.claims.contains(&path))
            .find_map(|client| opens(&client))
            .expect("RTCP opens where it goes");
        let Some(client) = self.client(id) else {
            return;
        };
        assert!(
            client.not_after.is_none_or(|end| now < end),
            "authority has ended"
        );
        let tag = match client.profile {
            Profile::AeadAes128Gcm => 0,
            Profile::Aes128CmHmacSha1_80 => 10,
        };
        let word = &bytes[bytes.len() - tag - 4..][..4];
        let word = word.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        let before = self.ledger.compounds.insert(id, word);
        assert!(
            before.is_none_or(|before| before < word),
            "an SRTCP index comes twice"
        );

        for (at, packet) in rtcp::packets(&plain).enumerate() {
            let packet = packet.expect("our RTCP parses");
            let report = matches!(
                packet,
                Packet::SenderReport { .. } | Packet::ReceiverReport { .. }
            );
            assert!(at > 0 || report, "a compound begins with a report");
            if let Packet::SenderReport { sender, info, .. } = packet {
                let reports = &mut self.ledger.reports;
                reports.insert((id, sender), info.ntp.middle());
            }
        }
    }
}

/// A payload's digest without its first bytes, where the running numbers of VP8 and VP9 are: whatever it is, the same is
/// left out of both ends.
pub fn picture(payload: &[u8]) -> u64 {
    const NUMBERS: usize = 6;
    let rest = payload.get(NUMBERS..).unwrap_or_default();
    digest(&[&payload.len().to_be_bytes(), rest].concat())
}

/// Enough to tell contents apart.
fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
