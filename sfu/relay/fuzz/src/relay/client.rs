//! One peer as the attacker holds it: credentials, keys, and the numbers its streams are at.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::hmac;
use conclave_relay_core::Path;
use conclave_relay_core::command::IceCredentials;
use conclave_relay_core::srtp::{MasterKey, Opener, Profile, Sealer};
use conclave_relay_core::units::{PayloadType, PeerId, Ssrc, Time};

use super::control::REPAIRS;
use super::ledger::picture;
use super::redundant::RED;

/// Peers at once.
pub const SLOTS: usize = 4;
/// Remote addresses in play: one per slot and two more.
pub const ADDRESSES: usize = SLOTS + 2;

pub struct Client {
    pub id: PeerId,
    pub slot: usize,
    pub profile: Profile,
    /// Every pair of credentials it ever had, the latest last.
    pub generations: Vec<Generation>,
    /// The latest one that an answer was seen under.
    pub confirmed: usize,
    pub sealer: Sealer,
    pub opener: Opener,
    /// The relay was told `own`.
    pub known_remote: bool,
    /// The relay was given keys.
    pub keyed: bool,
    pub not_after: Option<Time>,
    /// Where valid STUN of this peer came from: nothing may leave for it to any other place.
    pub claims: HashSet<Path>,
    /// Digests of the payloads it sealed: nobody may hear anything else of it.
    pub payloads: HashSet<u64>,
    /// The same by stream.
    by_stream: HashSet<(Ssrc, u64)>,
    /// What its retransmissions carried.
    again: HashSet<u64>,
    /// What it sealed when its authority had ended, which nobody may hear unless it is given back.
    unheard: Vec<(Ssrc, PayloadType, Vec<u8>)>,
    /// Next packet index of each of its streams.
    pub streams: HashMap<Ssrc, u64>,
    pub rtcp_index: u32,
    pub transport_sequence: u16,
}

impl Client {
    pub fn new(id: PeerId, slot: usize) -> Self {
        let profile = match slot % 2 {
            0 => Profile::AeadAes128Gcm,
            _ => Profile::Aes128CmHmacSha1_80,
        };
        let seals = master(profile, id, 1);
        let opens = master(profile, id, 2);
        Client::with_keys(id, slot, profile, (&seals, &opens))
    }

    /// By what it seals with and what it opens with.
    pub fn with_keys(
        id: PeerId,
        slot: usize,
        profile: Profile,
        (seals, opens): (&MasterKey, &MasterKey),
    ) -> Self {
        let sealer = Sealer::new(profile, seals);
        let opener = Opener::new(profile, opens);
        let (Ok(sealer), Ok(opener)) = (sealer, opener) else {
            panic!("keys of the profile's lengths are taken")
        };
        Client {
            id,
            slot,
            profile,
            generations: vec![Generation::new(id, 0)],
            confirmed: 0,
            sealer,
            opener,
            known_remote: false,
            keyed: false,
            not_after: None,
            claims: HashSet::new(),
            payloads: HashSet::new(),
            by_stream: HashSet::new(),
            again: HashSet::new(),
            unheard: Vec::new(),
            streams: HashMap::new(),
            rtcp_index: 0,
            transport_sequence: 0,
        }
    }

    /// What it uses while nothing newer was answered.
    pub fn in_use(&self) -> &Generation {
        &self.generations[self.confirmed]
    }

    /// What the control plane was told last.
    pub fn latest(&self) -> &Generation {
        &self.generations[self.generations.len() - 1]
    }

    /// Whether a check under this generation may be answered: under the one in use until the latest was used.
    pub fn is_good(&self, generation: usize) -> bool {
        generation == self.confirmed || generation + 1 == self.generations.len()
    }

    /// An SSRC that it may have declared.
    pub fn ssrc(slot: usize, number: usize) -> Ssrc {
        Ssrc(0x1000 * (slot as u32 + 1) + number as u32)
    }

    /// It says this on one of its streams. What it says after its authority has ended is for nobody.
    pub fn say(&mut self, now: Time, ssrc: Ssrc, format: PayloadType, payload: &[u8]) {
        if self.not_after.is_some_and(|end| now >= end) {
            self.unheard.push((ssrc, format, payload.to_vec()));
            return;
        }
        // As a retransmission it carries what is behind its first two bytes.
        let carried = picture(payload.get(2..).unwrap_or_default());
        self.payloads.extend([picture(payload), carried]);
        self.by_stream.insert((ssrc, picture(payload)));
        if REPAIRS.contains(&format.0) {
            self.again.insert(carried);
        }
        if format.0 == RED.0 {
            self.remember_sound(payload);
        }
    }

    /// Whether it sealed this on that stream, or sent it again on another.
    pub fn sealed_on(&self, ssrc: Ssrc, payload: &[u8]) -> bool {
        let digest = picture(payload);
        self.by_stream.contains(&(ssrc, digest)) || self.again.contains(&digest)
    }

    /// Its authority ends then, or not. What came too late may come again, now that there is time.
    pub fn set_not_after(&mut self, now: Time, not_after: Option<Time>) {
        self.not_after = not_after;
        for (ssrc, format, payload) in std::mem::take(&mut self.unheard) {
            self.say(now, ssrc, format, &payload);
        }
    }

    /// Seals a compound under the next index.
    pub fn seal_compound(&mut self, mut plain: Vec<u8>) -> Vec<u8> {
        self.sealer.seal_rtcp(self.rtcp_index, &mut plain, 0);
        self.rtcp_index += 1;
        plain
    }
}

/// Both sides' credentials between two ICE restarts.
pub struct Generation {
    pub server: IceCredentials,
    pub own: IceCredentials,
}

impl Generation {
    pub fn new(id: PeerId, number: usize) -> Self {
        Generation {
            server: credentials("server", id, number),
            own: credentials("client", id, number),
        }
    }
}

/// What the relay seals with (direction 2) or opens with (1).
pub fn master(profile: Profile, id: PeerId, direction: u8) -> MasterKey {
    let mut key = [direction; 16];
    key[..8].copy_from_slice(&id.0.to_be_bytes());
    MasterKey::new(&key, &[direction; 14][..profile.salt_len()])
}

/// Remote address `number`, odd ones of IPv6; a number beyond means an address by another of ours.
pub fn path(number: usize) -> Path {
    let other = (number / ADDRESSES % 2) as u8;
    let number = number % ADDRESSES;
    let host = number as u8 + 1;
    if number.is_multiple_of(2) {
        Path {
            local: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1 + other)),
            remote: SocketAddr::new(Ipv4Addr::new(198, 51, 100, host).into(), 40_000),
        }
    } else {
        let ip = |host: u16| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host);
        Path {
            local: IpAddr::V6(ip(0xff00 + u16::from(other))),
            remote: SocketAddr::new(ip(u16::from(host)).into(), 40_000),
        }
    }
}

/// A Binding request (RFC 8445 section 7.1.1), written out by hand.
pub fn binding_request(
    username: &str,
    password: &str,
    transaction: u8,
    nominate: bool,
    controlled: bool,
) -> Vec<u8> {
    let mut out = vec![0x00, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    out.extend_from_slice(&[transaction; 12]);
    attribute(&mut out, 0x0006, username.as_bytes());
    attribute(&mut out, 0x0024, &[1; 4]);
    attribute(&mut out, if controlled { 0x8029 } else { 0x802a }, &[1; 8]);
    if nominate {
        attribute(&mut out, 0x0025, &[]);
    }
    let body = (out.len() - 20 + 24) as u16;
    out[2..4].copy_from_slice(&body.to_be_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let tag = hmac::sign(&key, &out);
    attribute(&mut out, 0x0008, tag.as_ref());
    out
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn credentials(side: &str, id: PeerId, generation: usize) -> IceCredentials {
    IceCredentials {
        ufrag: format!("{side}{}.{generation}", id.0),
        password: format!("{side}-password-of-peer-{:08}.{generation}", id.0),
    }
}
