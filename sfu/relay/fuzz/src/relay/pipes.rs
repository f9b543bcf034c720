//! One end of a pipe as its relay has it: how it comes and goes, what leaves over it and arrives, and what others send from
//! the address where the other relay is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use conclave_relay_core::command::{CommandError, DowntrackSpec, Encoding, PipeSpec, TrackSpec};
use conclave_relay_core::counters::Counters;
use conclave_relay_core::demux::Protocol;
use conclave_relay_core::rtp::{NewHeader, write_header};
use conclave_relay_core::srtp::{MasterKey, Profile};
use conclave_relay_core::units::{DowntrackId, LayerId, PayloadType, PeerId, Ssrc, Time, TrackId};
use conclave_relay_core::{Command, Event, Path};

use super::client::{Client, SLOTS, master, path};
use super::world::World;
use crate::bytes::Bytes;

/// Where the other end is among the clients.
pub const PIPE: usize = SLOTS;

/// This end of the pipe.
pub struct End {
    pub path: Path,
    /// Of its keys.
    pub generation: u64,
    /// All that came, came whole, in order, and from the other relay: it has to be taken.
    pub faithful: bool,
}

/// What both ends are told, each with the sides the other way round.
#[derive(Clone, Copy)]
pub struct Keys {
    pub generation: u64,
    pub profile: Profile,
    /// Of two ends one is.
    pub is_first: bool,
}

/// A datagram between two relays.
#[derive(Clone)]
pub struct Crossing {
    pub at: Time,
    pub generation: u64,
    pub bytes: Vec<u8>,
    /// Nothing for feedback, and for what is sent again.
    pub said: Option<Said>,
}

/// What an RTP packet says.
#[derive(Clone)]
pub struct Said {
    pub ssrc: Ssrc,
    pub format: PayloadType,
    pub payload: Vec<u8>,
}

/// What one input brought about on pipes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// RTP packets that crossed and were accepted by the other relay.
    pub crossed: u64,
    /// Of those the ones that were sent again over the pipe.
    pub recovered: u64,
    /// RTP packets that left to a client out of a track that came over a pipe.
    pub heard: u64,
    /// Encodings of pictures that crossed, one bit each.
    pub encodings: u64,
    /// RTP packets that others sealed under the keys of a pipe and that were accepted.
    pub rogue: u64,
    /// RTP packets from a pipe's address that were under other keys.
    pub forged: u64,
    /// RTP packets that came over a pipe after its authority had ended.
    pub expired: u64,
    /// RTP packets that waited to cross when what they waited for ended.
    pub abandoned: u64,
}

impl Reached {
    /// Both together.
    pub fn and(self, other: Reached) -> Reached {
        Reached {
            crossed: self.crossed + other.crossed,
            recovered: self.recovered + other.recovered,
            heard: self.heard + other.heard,
            encodings: self.encodings | other.encodings,
            rogue: self.rogue + other.rogue,
            forged: self.forged + other.forged,
            expired: self.expired + other.expired,
            abandoned: self.abandoned + other.abandoned,
        }
    }
}

impl World {
    /// Where a client of ours sends from when nothing else is said.
    pub fn home(&self, slot: usize) -> Path {
        match &self.end {
            Some(end) if slot == PIPE => end.path,
            _ => path(slot),
        }
    }

    /// Whether the address is the pipe's, and so nobody else's.
    pub fn is_piped(&self, from: Path) -> bool {
        let end = self.end.as_ref();
        end.is_some_and(|end| end.path.remote == from.remote)
    }

    /// What comes from the other end is no longer what the other relay sent, all of it and in order.
    pub fn doubt_end(&mut self, slot: usize) {
        if let Some(end) = self.end.as_mut().filter(|_| slot == PIPE) {
            end.faithful = false;
        }
    }

    /// Refused where a client is, and there alone.
    pub fn open_end(&mut self, keys: Keys, at: Path) {
        self.drain();
        if self.end.is_some() {
            return;
        }
        let id = PeerId(self.number());
        let (local, remote) = keys.both();
        let client = Client::with_keys(id, PIPE, keys.profile, (&remote, &local));
        let mut clients = self.clients.iter().flatten();
        let is_claimed = clients.any(|c| c.claims.iter().any(|path| path.remote == at.remote));
        let opened = self.unchecked(Command::OpenPipe {
            peer: id,
            pipe: PipeSpec {
                path: at,
                profile: keys.profile,
                local,
                remote,
            },
        });
        if opened.is_err() {
            assert!(is_claimed && opened == Err(CommandError::Duplicate));
            self.drain();
            return;
        }
        // Whoever was there by a password alone has to go.
        for client in self.clients.iter_mut().flatten() {
            client.claims.retain(|path| path.remote != at.remote);
        }
        self.ledger.trust([at].iter());
        self.clients[PIPE] = Some(client);
        if let Some(client) = &mut self.clients[PIPE] {
            client.keyed = true;
            client.claims.insert(at);
        }
        self.end = Some(End {
            path: at,
            generation: keys.generation,
            faithful: true,
        });
        self.drain();
    }

    pub fn close_end(&mut self) {
        self.drain();
        let Some(end) = self.end.take() else { return };
        self.close(PIPE);
        self.ledger.forget(end.path.remote);
    }

    /// What the control plane must not do to a pipe, and is refused.
    pub fn mistake_pipe(&mut self, bytes: &mut Bytes<'_>) {
        let kind = bytes.below(6);
        let (Some(end), Some(client)) = (&self.end, &self.clients[PIPE]) else {
            return;
        };
        let (id, at, profile) = (client.id, end.path, client.profile);
        let short = || MasterKey::new(&[1; 15], &[1; 12]);
        let pipe = |path, whole: bool| PipeSpec {
            path,
            profile,
            local: if whole {
                master(profile, id, 4)
            } else {
                short()
            },
            remote: master(profile, id, 3),
        };
        let other = PeerId(self.number());
        let command = match kind {
            0 => Command::OpenPipe {
                peer: id,
                pipe: pipe(pipe_path(2), true),
            },
            1 => Command::OpenPipe {
                peer: other,
                pipe: pipe(at, true),
            },
            2 => Command::OpenPipe {
                peer: other,
                pipe: pipe(pipe_path(9), false),
            },
            3 => Command::InstallKeys {
                peer: id,
                profile,
                local: master(profile, id, 4),
                remote: master(profile, id, 3),
            },
            4 => {
                // Under an SSRC that its keys have sealed.
                let of_pipe = self.downtracks.iter().find(|d| d.spec.peer == id);
                let Some(spec) = of_pipe.map(|downtrack| downtrack.spec.clone()) else {
                    return;
                };
                Command::PipeLayer {
                    downtrack: DowntrackId(other.0),
                    spec,
                    layer: LayerId(0),
                }
            }
            _ => {
                // One of its streams, as another track.
                let arrived = self.tracks.iter().find(|track| track.spec.peer == id);
                let Some(spec) = arrived.map(|track| track.spec.clone()) else {
                    return;
                };
                Command::AddTrack {
                    track: TrackId(other.0),
                    spec,
                }
            }
        };
        assert!(self.command(command).is_err(), "mistake {kind} is made");
    }

    /// One encoding of a track leaves over the pipe from now on.
    pub fn pipe_layer(&mut self, spec: DowntrackSpec, layer: LayerId) {
        let downtrack = DowntrackId(self.number());
        self.drain();
        let added = self.unchecked(Command::PipeLayer {
            downtrack,
            spec: spec.clone(),
            layer,
        });
        self.note_downtrack(downtrack, spec, Some(layer), added);
    }

    /// One datagram has left this relay, maybe over the pipe.
    pub fn cross(&mut self, path: Path, bytes: &[u8], protocol: Protocol, said: Option<Said>) {
        let carried = said.as_ref().and_then(|said| self.heard_as(said.ssrc));
        if !self.is_piped(path) {
            let pipe = self.clients[PIPE].as_ref().map(|client| client.id);
            let is_beyond = carried.is_some_and(|d| d.publisher.is_some() && d.publisher == pipe);
            self.reached.heard += u64::from(is_beyond);
            return;
        }
        let only = carried.and_then(|downtrack| downtrack.only);
        self.reached.encodings |= only.map_or(0, |only| 1 << (only.0 % 64));
        let is_media = matches!(protocol, Protocol::Rtp | Protocol::Rtcp);
        assert!(is_media, "a relay is asked or told something beside media");
        let Some(end) = &self.end else { return };
        assert_eq!(end.path, path, "what is for the pipe takes another way");
        self.crossing.push(Crossing {
            at: self.now,
            generation: end.generation,
            bytes: bytes.to_vec(),
            said,
        });
    }

    /// What came over the pipe, or was lost on it: whoever hears of it afterwards got it by a resend.
    pub fn learn(&mut self, crossing: &Crossing) {
        let now = self.now;
        let end = self.end.as_ref();
        let is_its = end.is_some_and(|end| end.generation == crossing.generation);
        if let (true, Some(said), Some(client)) = (is_its, &crossing.said, &mut self.clients[PIPE])
        {
            client.say(now, said.ssrc, said.format, &said.payload);
            // Who has the keys goes on from there.
            let sequence = u16::from_be_bytes([crossing.bytes[2], crossing.bytes[3]]);
            let next = client.streams.entry(said.ssrc).or_default();
            *next = (*next).max(u64::from(sequence) + 1);
        }
    }

    /// One datagram of the other relay arrives as it was sent.
    pub fn arrive(&mut self, crossing: &Crossing) {
        let Some(end) = &self.end else {
            self.datagram(pipe_path(0), crossing.bytes.clone());
            return;
        };
        let at = end.path;
        let is_its = end.generation == crossing.generation;
        let must_open = is_its && end.faithful;
        let client = self.clients[PIPE].as_ref();
        let not_after = client.and_then(|client| client.not_after);
        let is_expired = not_after.is_some_and(|end| self.now >= end);
        let before = self.counters().clone();
        self.datagram(at, crossing.bytes.clone());
        let after = self.counters();
        let accepted = after.rtp_accepted - before.rtp_accepted;
        let expired = after.rtp_drop_expired - before.rtp_drop_expired;
        let forged = after.rtp_drop_bad_tag - before.rtp_drop_bad_tag;
        assert!(accepted == 0 || is_its, "a pipe of other keys is believed");
        assert!(accepted == 0 || !is_expired, "a pipe without authority");
        assert_eq!(
            before.rtp_drop_unbound, after.rtp_drop_unbound,
            "what nobody announced is opened"
        );
        if must_open {
            assert_eq!(refusals(&before), refusals(after), "a pipe loses something");
        }
        self.reached.crossed += accepted;
        self.reached.recovered += accepted * u64::from(crossing.said.is_none());
        self.reached.expired += expired;
        self.reached.forged += forged;
        if is_expired {
            // What is lost now is missed later.
            self.doubt_end(PIPE);
        }
    }

    /// Nobody shakes hands over a pipe, and silence is nothing to it.
    pub fn told_of_end(&self, event: &Event) {
        if let (Event::ConsentLost { peer } | Event::Dtls { peer, .. }, Some(client)) =
            (event, &self.clients[PIPE])
        {
            assert_ne!(*peer, client.id, "the other relay is taken for a client");
        }
    }

    /// From where the other relay is, or nearly, by somebody who does not have its keys.
    pub fn stranger_at_end(&mut self, bytes: &mut Bytes<'_>) {
        let (kind, slot) = (bytes.below(8), bytes.below(SLOTS));
        let Some(end) = &self.end else { return };
        let at = end.path;
        let before = self.counters().clone();
        match kind {
            0 => {
                let size = bytes.below(128);
                let datagram = bytes.take(size).to_vec();
                self.datagram(at, datagram);
            }
            1 => self.datagram(at, vec![22; 1 + bytes.below(200)]),
            2 => {
                let shape = bytes.byte();
                self.check_at(slot, at, 0, (shape & 1 != 0, shape & 2 != 0));
            }
            3 => self.forge(slot, at, bytes),
            4 => self.seal_damaged(slot, at, bytes),
            // What came, from another port of the other relay, and to another address of ours.
            5 | 6 => {
                let mut elsewhere = at;
                if kind == 5 {
                    elsewhere.remote.set_port(at.remote.port() ^ 1);
                } else {
                    elsewhere.local = Ipv4Addr::new(192, 0, 2, 77).into();
                }
                let came = self.sent.iter().rev().find(|(from, _)| *from == at);
                if let Some(datagram) = came.map(|(_, datagram)| datagram.clone()) {
                    self.claim_for_all(elsewhere);
                    self.datagram(elsewhere, datagram);
                }
            }
            _ => {
                // What left over the pipe comes back.
                if let Some(datagram) = self.crossing.last().map(|c| c.bytes.clone()) {
                    self.datagram(at, datagram);
                }
            }
        }
        let after = self.counters();
        assert_eq!(
            before.rtp_accepted, after.rtp_accepted,
            "a stranger is heard as the other relay"
        );
        self.reached.forged += after.rtp_drop_bad_tag - before.rtp_drop_bad_tag;
    }

    /// A client's packet on a stream that the other relay announced.
    fn forge(&mut self, slot: usize, at: Path, bytes: &mut Bytes<'_>) {
        let (ssrc, ahead) = (self.announced(bytes), bytes.word());
        let Some(client) = &self.clients[slot] else {
            return;
        };
        let header = NewHeader {
            marker: false,
            payload_type: PayloadType(111),
            sequence: ahead,
            timestamp: 0,
            ssrc,
        };
        let mut plain = Vec::new();
        let len = write_header(&mut plain, &header, std::iter::empty());
        plain.extend_from_slice(&[0xfe; 40]);
        let sealer = &client.sealer;
        sealer.seal_rtp(u64::from(ahead), len, &mut plain, 0);
        self.datagram(at, plain);
    }

    /// By somebody who has the keys, as a worker that was taken over would.
    pub fn rogue(&mut self, bytes: &mut Bytes<'_>) {
        let kind = bytes.below(8);
        let Some(at) = self.end.as_ref().map(|end| end.path) else {
            return;
        };
        let before = self.counters().rtp_accepted;
        match kind {
            0..=2 => {
                let (ssrc, shape) = (self.announced(bytes), bytes.byte());
                let leap = 1 + i64::from(bytes.word() >> (shape & 15));
                self.seal_one(PIPE, ssrc, leap, shape, bytes);
            }
            3 => {
                let ssrc = self.announced(bytes);
                self.seal_nonsense(PIPE, ssrc, bytes);
            }
            4 => self.seal_damaged(PIPE, at, bytes),
            _ => self.feedback_of(PIPE, bytes),
        }
        self.reached.rogue += self.counters().rtp_accepted - before;
    }

    /// A stream that came over the pipe, mostly.
    fn announced(&self, bytes: &mut Bytes<'_>) -> Ssrc {
        let choice = bytes.below(16);
        let pipe = self.clients[PIPE].as_ref().map(|client| client.id);
        let arrived = self.tracks.iter().filter(|t| Some(t.spec.peer) == pipe);
        let streams: Vec<Ssrc> = arrived.flat_map(|t| ssrcs_of(&t.spec)).collect();
        match streams.get(choice % streams.len().max(1)) {
            Some(ssrc) if choice < 15 => *ssrc,
            _ => Client::ssrc(PIPE, choice),
        }
    }
}

impl Keys {
    /// What this end seals with, and what it opens with.
    fn both(self) -> (MasterKey, MasterKey) {
        let key = |direction| master(self.profile, PeerId(self.generation), direction);
        match self.is_first {
            true => (key(2), key(1)),
            false => (key(1), key(2)),
        }
    }
}

/// What a track announces.
fn ssrcs_of(spec: &TrackSpec) -> impl Iterator<Item = Ssrc> + '_ {
    spec.encodings.iter().filter_map(|encoding| match encoding {
        Encoding::Ssrc(ssrc) => Some(*ssrc),
        Encoding::Rid(_) | Encoding::Mid => None,
    })
}

/// Where the other relay is: at an address that is no client's, or at one that may be.
pub fn pipe_path(choice: u8) -> Path {
    if choice >= 192 {
        return path(usize::from(choice));
    }
    let port = 7_882 + u16::from(choice & 1);
    if choice & 2 == 0 {
        return Path {
            local: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            remote: SocketAddr::new(Ipv4Addr::new(203, 0, 113, 1).into(), port),
        };
    }
    let ip = |host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, host));
    Path {
        local: ip(1),
        remote: SocketAddr::new(ip(2), port),
    }
}

/// What never happens to a datagram between two relays in agreement.
fn refusals(counters: &Counters) -> [u64; 10] {
    [
        counters.drop_unknown_protocol,
        counters.rtp_drop_stranger,
        counters.rtp_drop_no_keys,
        counters.rtp_drop_malformed,
        counters.rtp_drop_bad_tag,
        counters.rtcp_drop_stranger,
        counters.rtcp_drop_no_keys,
        counters.rtcp_drop_bad,
        counters.rtcp_drop_replayed,
        counters.rtcp_drop_sender_limit,
    ]
}
