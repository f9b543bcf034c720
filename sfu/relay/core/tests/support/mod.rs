//! Simulated clients around one relay, joined by a network that delays, loses, reorders and
//! duplicates in virtual time. Everything follows from the seeds.
#![allow(dead_code)] // each test file uses its part

pub mod bottleneck;
pub mod client;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

pub use bottleneck::Bottleneck;
pub use client::Client;
use conclave_relay_core::command::{
    Command, CommandError, DowntrackSpec, Encoding, PayloadFormat, TrackRepair, TrackSpec,
};
use conclave_relay_core::downtrack::Wish;
use conclave_relay_core::rtp::{Extension, ExtensionMap};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{
    Codec, DowntrackId, MediaKind, PayloadType, PeerId, Ssrc, Time, TrackId,
};
use conclave_relay_core::{Event, Limits, Path, Relay};

/// The relay's own address.
pub const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub const OPUS: PayloadType = PayloadType(111);
pub const VP8: PayloadType = PayloadType(96);
/// Extension ids as every client here numbers them.
pub const MID_ID: u8 = 4;
pub const RID_ID: u8 = 10;
pub const REPAIRED_ID: u8 = 11;
pub const TWCC_ID: u8 = 3;
pub const LEVEL_ID: u8 = 1;

/// What the network does to each datagram.
#[derive(Clone, Copy, Debug, Default)]
pub struct Impairment {
    /// Of a thousand datagrams so many are lost.
    pub loss: u64,
    /// Of a thousand so many come twice.
    pub duplication: u64,
    /// Each is delayed by up to so many milliseconds, and so overtakes others.
    pub jitter: u64,
    /// All are delayed by so many milliseconds.
    pub delay: u64,
    /// Only what goes to and comes from this address is lost, doubled or jittered.
    pub only: Option<SocketAddr>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Time,
    order: u64,
    /// To the relay, or from it.
    inbound: bool,
    remote: SocketAddr,
    bytes: Vec<u8>,
}

/// The whole simulated world.
pub struct Net {
    pub relay: Relay,
    pub now: Time,
    pub clients: Vec<Client>,
    pub events: Vec<Event>,
    /// Everything that left the relay: when, where to, what.
    pub wire: Vec<(Time, SocketAddr, Vec<u8>)>,
    pub impairment: Impairment,
    /// Narrow links from the relay to some addresses.
    pub bottlenecks: HashMap<SocketAddr, Bottleneck>,
    /// How the next tracks to be published are repaired.
    pub repair: TrackRepair,
    flights: BinaryHeap<Reverse<Flight>>,
    order: u64,
    random: u64,
}

impl Net {
    pub fn new() -> Self {
        Self::with(Limits::default(), 1)
    }

    pub fn with(limits: Limits, seed: u64) -> Self {
        Net {
            relay: Relay::new(limits, [seed as u8; 32]),
            now: Time::from_millis(1_000),
            clients: Vec::new(),
            events: Vec::new(),
            wire: Vec::new(),
            impairment: Impairment::default(),
            bottlenecks: HashMap::new(),
            repair: TrackRepair::default(),
            flights: BinaryHeap::new(),
            order: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// A fresh client that has been opened at the relay; nothing has been sent yet.
    pub fn open(&mut self, profile: Profile) -> usize {
        let at = self.clients.len();
        let client = Client::new(at as u64 + 1, profile);
        let (open, remote) = (client.open_command(), client.remote_ice_command());
        self.clients.push(client);
        self.command(open).unwrap();
        self.command(remote).unwrap();
        at
    }

    /// A client that is connected: STUN, a stand-in for DTLS, keys, and its address proven.
    pub fn connect(&mut self, profile: Profile) -> usize {
        let at = self.open(profile);
        let impairment = std::mem::take(&mut self.impairment);
        self.check(at, true);
        self.run(50);
        self.say_dtls(at);
        self.run(50);
        let keys = self.clients[at].keys_command();
        self.command(keys).unwrap();
        self.run(50);
        self.impairment = impairment;
        at
    }

    /// A connectivity check of a client from its own address.
    pub fn check(&mut self, at: usize, nominate: bool) {
        let request = self.clients[at].binding_request(nominate);
        let from = self.clients[at].address;
        self.send(from, request);
    }

    /// Something that looks like a DTLS record.
    pub fn say_dtls(&mut self, at: usize) {
        let from = self.clients[at].address;
        self.send(from, vec![22; 200]);
    }

    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        let result = self.relay.handle_command(self.now, command);
        self.drain();
        result
    }

    /// Puts a datagram to the relay on the wire.
    pub fn send(&mut self, from: SocketAddr, bytes: Vec<u8>) {
        self.launch(true, from, bytes);
    }

    /// Lets so much virtual time pass.
    pub fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let flight = self.flights.peek().map(|flight| flight.0.at);
            let timeout = self.relay.poll_timeout();
            let clients = self.clients.iter();
            let feedback = clients.filter_map(Client::feedback_due).min();
            let next = [flight, timeout, feedback]
                .into_iter()
                .flatten()
                .min()
                .filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if timeout.is_some_and(|at| at <= self.now) {
                self.relay.handle_timeout(self.now);
                self.drain();
            }
            for at in 0..self.clients.len() {
                while let Some(feedback) = self.clients[at].transport_feedback(self.now) {
                    let from = self.clients[at].address;
                    self.send(from, feedback);
                }
            }
            // All that lands at once is one receive batch.
            let mut landed = false;
            while self
                .flights
                .peek()
                .is_some_and(|flight| flight.0.at <= self.now)
            {
                let Some(Reverse(flight)) = self.flights.pop() else {
                    break;
                };
                landed |= flight.inbound;
                self.land(flight);
            }
            if landed {
                self.drain();
            }
        }
        self.now = end;
    }

    /// Publishes a voice of the client; the track's SSRC is announced.
    pub fn publish_audio(&mut self, at: usize, track: u64, ssrc: u32) {
        let spec = self.audio_spec(at, Encoding::Ssrc(Ssrc(ssrc)));
        self.command(Command::AddTrack {
            track: TrackId(track),
            spec,
        })
        .unwrap();
    }

    pub fn audio_spec(&self, at: usize, encoding: Encoding) -> TrackSpec {
        TrackSpec {
            peer: self.clients[at].id,
            kind: MediaKind::Audio,
            mid: "0".to_owned(),
            clock_rate: 48_000,
            formats: vec![PayloadFormat {
                payload_type: OPUS,
                codec: Codec::Opus,
            }],
            extensions: extensions(),
            encodings: vec![encoding],
            repair: self.repair.clone(),
        }
    }

    pub fn publish_video(&mut self, at: usize, track: u64, encodings: Vec<Encoding>) {
        let spec = TrackSpec {
            peer: self.clients[at].id,
            kind: MediaKind::Video,
            mid: "1".to_owned(),
            clock_rate: 90_000,
            formats: vec![PayloadFormat {
                payload_type: VP8,
                codec: Codec::Vp8,
            }],
            extensions: extensions(),
            encodings,
            repair: self.repair.clone(),
        };
        self.command(Command::AddTrack {
            track: TrackId(track),
            spec,
        })
        .unwrap();
    }

    /// Subscribes; returns our SSRC towards the client.
    pub fn subscribe(&mut self, at: usize, track: u64, downtrack: u64) -> Ssrc {
        let spec = self.downtrack_spec(at, track, downtrack);
        let ssrc = spec.ssrc;
        self.command(Command::AddDowntrack {
            downtrack: DowntrackId(downtrack),
            spec,
        })
        .unwrap();
        ssrc
    }

    pub fn downtrack_spec(&self, at: usize, track: u64, downtrack: u64) -> DowntrackSpec {
        DowntrackSpec {
            peer: self.clients[at].id,
            track: TrackId(track),
            ssrc: Ssrc(0xd000_0000 + downtrack as u32),
            formats: vec![
                PayloadFormat {
                    payload_type: PayloadType(100),
                    codec: Codec::Opus,
                },
                PayloadFormat {
                    payload_type: PayloadType(101),
                    codec: Codec::Vp8,
                },
            ],
            extensions: silent_extensions(),
            cname: "publisher".to_owned(),
            nack: true,
            wish: Wish::default(),
            stands: false,
            repair: None,
        }
    }

    /// The client sends the next voice packet of a stream.
    pub fn speak(&mut self, at: usize, ssrc: u32, content: &[u8]) {
        let sealed = self.clients[at].rtp(Ssrc(ssrc), OPUS, 960, false, &[], content);
        let from = self.clients[at].address;
        self.send(from, sealed);
    }

    /// The client sends the next picture of a stream, in one packet.
    pub fn show(&mut self, at: usize, ssrc: u32, key_frame: bool, extensions: &[(u8, &[u8])]) {
        let payload = picture(key_frame);
        let sealed = self.clients[at].rtp(Ssrc(ssrc), VP8, 3_000, true, extensions, &payload);
        let from = self.clients[at].address;
        self.send(from, sealed);
    }

    /// A compound RTCP packet of the client.
    pub fn report(&mut self, at: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let sealed = self.clients[at].rtcp(write);
        let from = self.clients[at].address;
        self.send(from, sealed);
    }

    /// Bytes that left for an address.
    pub fn bytes_to(&self, address: SocketAddr) -> usize {
        let to = self.wire.iter().filter(|(_, remote, _)| *remote == address);
        to.map(|(_, _, bytes)| bytes.len()).sum()
    }

    /// A number below `bound`.
    pub fn draw(&mut self, bound: u64) -> u64 {
        // xorshift64*, Vigna 2016.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound.max(1)
    }

    /// Puts a datagram on the wire, to the relay or from it.
    pub fn launch(&mut self, inbound: bool, remote: SocketAddr, bytes: Vec<u8>) {
        let Impairment {
            loss,
            duplication,
            jitter,
            delay,
            only,
        } = self.impairment;
        let clean = only.is_some_and(|only| only != remote);
        let [loss, duplication, jitter] =
            [loss, duplication, jitter].map(|of| if clean { 0 } else { of });
        if self.draw(1_000) < loss {
            return;
        }
        let copies = if self.draw(1_000) < duplication { 2 } else { 1 };
        for _ in 0..copies {
            self.order += 1;
            let late = delay + self.draw(jitter + 1);
            let leaves = match self.bottlenecks.get_mut(&remote) {
                Some(link) if !inbound => match link.pass(self.now, bytes.len()) {
                    Some(through) => through,
                    None => continue,
                },
                _ => self.now,
            };
            let at = leaves + Duration::from_millis(late);
            let order = self.order;
            self.flights.push(Reverse(Flight {
                at,
                order,
                inbound,
                remote,
                bytes: bytes.clone(),
            }));
        }
    }

    fn land(&mut self, mut flight: Flight) {
        if flight.inbound {
            let path = Path {
                local: LOCAL,
                remote: flight.remote,
            };
            self.relay
                .handle_datagram(self.now, path, &mut flight.bytes);
            return;
        }
        let Some(client) = self.clients.iter_mut().find(|c| c.address == flight.remote) else {
            return;
        };
        if let Some(reply) = client.receive(self.now, &mut flight.bytes) {
            self.send(flight.remote, reply);
        }
    }

    fn drain(&mut self) {
        let mut out = Vec::new();
        while let Some(runs) = self.relay.poll_transmit() {
            for run in runs {
                assert_eq!(
                    run.path.local, LOCAL,
                    "answers leave from the address that was hit"
                );
                out.extend(
                    run.datagrams()
                        .map(|bytes| (run.path.remote, bytes.to_vec())),
                );
            }
        }
        for (remote, bytes) in out {
            self.wire.push((self.now, remote, bytes.clone()));
            self.launch(false, remote, bytes);
        }
        while let Some(event) = self.relay.poll_event() {
            self.events.push(event);
        }
    }
}

pub fn extensions() -> ExtensionMap {
    ExtensionMap::from_pairs([
        (MID_ID, Extension::Mid),
        (RID_ID, Extension::Rid),
        (REPAIRED_ID, Extension::RepairedRid),
        (TWCC_ID, Extension::TransportSequence),
        (LEVEL_ID, Extension::AudioLevel),
    ])
}

/// Those of a subscriber that does not tell when packets arrived.
pub fn silent_extensions() -> ExtensionMap {
    ExtensionMap::from_pairs([(MID_ID, Extension::Mid), (LEVEL_ID, Extension::AudioLevel)])
}

/// A VP8 payload (RFC 7741): a descriptor that starts partition 0, then the frame's first byte.
pub fn picture(key_frame: bool) -> Vec<u8> {
    let mut payload = vec![0x10, u8::from(!key_frame), 0, 0, 0x9d, 0x01, 0x2a];
    payload.resize(600, 7);
    payload
}

pub fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, host)), port)
}

pub fn peer_event(peer: PeerId) -> impl Fn(&&Event) -> bool {
    move |event| match event {
        Event::MediaStarted { peer: of }
        | Event::ConsentLost { peer: of }
        | Event::Expired { peer: of }
        | Event::Dtls { peer: of, .. } => *of == peer,
        _ => false,
    }
}
