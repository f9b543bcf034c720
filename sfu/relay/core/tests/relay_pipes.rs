//! Two relays joined by a pipe, in virtual time: a track published at one is forwarded by the other as if it had been
//! published there.

mod support;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use conclave_relay_core::command::{
    Command, CommandError, Encoding, PayloadFormat, PipeSpec, TrackRepair, TrackSpec,
};
use conclave_relay_core::downtrack::Wish;
use conclave_relay_core::rtcp::{self, SenderInfo};
use conclave_relay_core::rtp::{Extension, ExtensionMap};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{
    Codec, DowntrackId, LayerId, MediaKind, NtpTime, PayloadType, PeerId, Ssrc, TrackId,
};
use conclave_relay_core::{Event, Path};
use proptest::prelude::*;
use support::{LEVEL_ID, LOCAL, MID_ID, Net, OPUS, RID_ID, VP8, address, client::master};

const PROFILE: Profile = Profile::AeadAes128Gcm;
/// The ends of the pipe, as the relays number them.
const TO_B: PeerId = PeerId(1_000);
const TO_A: PeerId = PeerId(1_001);
/// Where the other relay is, as each end sees it.
fn at_a() -> SocketAddr {
    address(201, 7_882)
}
fn at_b() -> SocketAddr {
    address(202, 7_883)
}

/// Relay A has the publisher, client 0 of its net; relay B the subscriber, client 0 of its own.
struct Pair {
    a: Net,
    b: Net,
    /// Of a thousand datagrams on the pipe so many are lost.
    loss: u64,
    /// What crossed, from A to B.
    crossed: Vec<Vec<u8>>,
    seen: (usize, usize),
}

impl Pair {
    fn new() -> Self {
        let mut pair = Pair {
            a: Net::with(Default::default(), 1),
            b: Net::with(Default::default(), 2),
            loss: 0,
            crossed: Vec::new(),
            seen: (0, 0),
        };
        pair.a.connect(PROFILE);
        pair.b.connect(PROFILE);
        pair.a.command(open(TO_B, at_b(), (7, 8))).unwrap();
        pair.b.command(open(TO_A, at_a(), (8, 7))).unwrap();
        pair.run(10);
        pair
    }

    fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.a.run(1);
            self.b.run(1);
            self.cross();
        }
    }

    /// What either relay sent to the other is on its way there.
    fn cross(&mut self) {
        let (a, b) = (self.a.wire.len(), self.b.wire.len());
        for at in self.seen.0..a {
            let (_, to, bytes) = self.a.wire[at].clone();
            if to == at_b() {
                self.crossed.push(bytes.clone());
                if self.b.draw(1_000) >= self.loss {
                    self.b.send(at_a(), bytes);
                }
            }
        }
        for at in self.seen.1..b {
            let (_, to, bytes) = self.b.wire[at].clone();
            if to == at_a() && self.a.draw(1_000) >= self.loss {
                self.a.send(at_b(), bytes);
            }
        }
        self.seen = (a, b);
    }

    fn publish_voice(&mut self) {
        self.a.publish_audio(0, 1, 0x11);
        self.pipe_track(MediaKind::Audio, &[Ssrc(0x51)]);
    }

    fn publish_layers(&mut self) {
        let rids = ["q", "h", "f"].map(|rid| Encoding::Rid(rid.to_owned()));
        self.a.publish_video(0, 1, rids.to_vec());
        self.pipe_track(MediaKind::Video, &[Ssrc(0x51), Ssrc(0x52), Ssrc(0x53)]);
    }

    /// Track 1 of A becomes track 2 of B.
    fn pipe_track(&mut self, kind: MediaKind, ssrcs: &[Ssrc]) {
        let (codec, payload_type, clock_rate) = match kind {
            MediaKind::Audio => (Codec::Opus, OPUS, 48_000),
            MediaKind::Video => (Codec::Vp8, VP8, 90_000),
        };
        let formats = vec![PayloadFormat {
            payload_type,
            codec,
        }];
        self.b
            .command(Command::AddTrack {
                track: TrackId(2),
                spec: TrackSpec {
                    peer: TO_A,
                    kind,
                    mid: String::new(),
                    clock_rate,
                    formats: formats.clone(),
                    extensions: extensions(),
                    encodings: ssrcs.iter().copied().map(Encoding::Ssrc).collect(),
                    repair: TrackRepair {
                        nack: true,
                        ..TrackRepair::default()
                    },
                },
            })
            .unwrap();
        for (layer, ssrc) in (0..).zip(ssrcs) {
            let mut spec = self.a.downtrack_spec(0, 1, 0);
            spec.peer = TO_B;
            spec.ssrc = *ssrc;
            spec.formats = formats.clone();
            spec.extensions = extensions();
            self.a
                .command(Command::PipeLayer {
                    downtrack: DowntrackId(500 + u64::from(layer)),
                    spec,
                    layer: LayerId(layer),
                })
                .unwrap();
        }
    }

    /// The publisher shows a picture on each layer.
    fn show(&mut self, key_frame: bool) {
        for (rid, ssrc) in [("q", 0x21), ("h", 0x22), ("f", 0x23)] {
            self.a.show(0, ssrc, key_frame, &layer(rid));
        }
    }

    fn heard(&self, ssrc: Ssrc) -> Vec<u8> {
        let heard = self.b.clients[0].heard(ssrc);
        heard.iter().map(|packet| packet.payload[0]).collect()
    }
}

fn open(peer: PeerId, remote: SocketAddr, (seals, opens): (u64, u64)) -> Command {
    let path = Path {
        local: LOCAL,
        remote,
    };
    let pipe = PipeSpec {
        path,
        profile: PROFILE,
        local: master(PROFILE, seals, 1),
        remote: master(PROFILE, opens, 1),
    };
    Command::OpenPipe { peer, pipe }
}

fn extensions() -> ExtensionMap {
    ExtensionMap::from_pairs([
        (LEVEL_ID, Extension::AudioLevel),
        (2, Extension::DependencyDescriptor),
    ])
}

fn layer(rid: &str) -> [(u8, &[u8]); 2] {
    [(MID_ID, b"1"), (RID_ID, rid.as_bytes())]
}

#[test]
fn a_voice_crosses_with_its_level() {
    let mut pair = Pair::new();
    pair.publish_voice();
    let out = pair.b.subscribe(0, 2, 1);
    for number in 0..50 {
        let level: [(u8, &[u8]); 1] = [(LEVEL_ID, &[0x80 | 20])];
        let sealed = pair.a.clients[0].rtp(Ssrc(0x11), OPUS, 960, false, &level, &[number; 80]);
        let from = pair.a.clients[0].address;
        pair.a.send(from, sealed);
        pair.run(20);
    }
    assert_eq!(pair.heard(out), (0..50).collect::<Vec<_>>());
    let level = &pair.b.clients[0].heard(out)[0].extensions;
    assert!(level.contains(&(LEVEL_ID, vec![0x80 | 20])));
    assert!(
        pair.a
            .events
            .iter()
            .any(|event| matches!(event, Event::Levels { changes } if changes[0].0 == TrackId(1))),
        "the worker of origin tells who speaks, by its own number"
    );
}

#[test]
fn what_the_pipe_loses_is_asked_for_and_comes() {
    for loss in [0, 100] {
        let mut pair = Pair::new();
        pair.publish_voice();
        let out = pair.b.subscribe(0, 2, 1);
        pair.loss = loss;
        for number in 0..200 {
            pair.a.speak(0, 0x11, &[number; 80]);
            pair.run(20);
        }
        pair.loss = 0;
        pair.run(200);
        let mut heard = pair.heard(out);
        heard.sort_unstable();
        assert_eq!(heard, (0..200).collect::<Vec<_>>());
        let resent = pair.a.relay.counters().nack_resent;
        assert_eq!(resent > 0, loss > 0, "{resent} were sent again");
    }
}

#[test]
fn a_subscriber_behind_the_pipe_gets_the_layer_it_wants_beginning_with_a_key_frame() {
    let mut pair = Pair::new();
    pair.publish_layers();
    let out = pair.b.subscribe(0, 2, 1);
    for _ in 0..2 {
        // Once to begin with, and once for whoever asked while that was on its way.
        pair.show(true);
        pair.run(33);
    }
    for _ in 0..30 {
        pair.show(false);
        pair.run(33);
    }
    let high = pair.b.clients[0].heard(out).len();
    assert!(high >= 30, "{high} pictures of the best layer");

    // Down to the lowest: its key frame is asked for, across the pipe, at its own SSRC.
    let asked = pair.a.clients[0].feedback.picture_losses.len();
    let wish = Wish {
        layer: Some(LayerId(0)),
        ..Wish::default()
    };
    let downtrack = DowntrackId(1);
    pair.b
        .command(Command::SetDowntrack { downtrack, wish })
        .unwrap();
    for _ in 0..10 {
        pair.show(false);
        pair.run(33);
    }
    let asked = &pair.a.clients[0].feedback.picture_losses[asked..];
    let lowest: Vec<Ssrc> = asked.iter().map(|(_, media)| *media).collect();
    assert_eq!(lowest, vec![Ssrc(0x21); lowest.len()]);
    assert!(!lowest.is_empty());
    let before = pair.b.clients[0].heard(out).len();
    pair.a.show(0, 0x21, true, &layer("q"));
    pair.run(33);
    for _ in 0..10 {
        pair.a.show(0, 0x21, false, &layer("q"));
        pair.run(33);
    }
    assert_eq!(pair.b.clients[0].heard(out).len() - before, 11);
    let sequences = pair.b.clients[0].heard(out);
    let gapless = sequences
        .windows(2)
        .all(|two| two[1].index == two[0].index + 1);
    assert!(gapless, "a switch leaves no hole");
}

#[test]
fn a_layer_that_nobody_there_wants_does_not_cross() {
    let mut pair = Pair::new();
    pair.publish_layers();
    for layer in [1, 2] {
        let wish = Wish {
            paused: true,
            ..Wish::default()
        };
        let downtrack = DowntrackId(500 + layer);
        pair.a
            .command(Command::SetDowntrack { downtrack, wish })
            .unwrap();
    }
    let out = pair.b.subscribe(0, 2, 1);
    pair.show(true);
    for _ in 0..20 {
        pair.run(33);
        pair.show(false);
    }
    pair.run(33);
    assert_eq!(
        media_of(&pair.crossed).into_iter().collect::<Vec<_>>(),
        [Ssrc(0x51)]
    );
    assert_eq!(pair.heard(out).len(), 21, "the lowest is shown meanwhile");

    // Wanted again: it begins with a key frame, which is asked for at once.
    let asked = pair.a.clients[0].feedback.picture_losses.len();
    let (downtrack, wish) = (DowntrackId(502), Wish::default());
    pair.a
        .command(Command::SetDowntrack { downtrack, wish })
        .unwrap();
    pair.show(false);
    pair.run(33);
    let asked: HashSet<Ssrc> = pair.a.clients[0].feedback.picture_losses[asked..]
        .iter()
        .map(|(_, media)| *media)
        .collect();
    assert_eq!(asked, HashSet::from([Ssrc(0x23)]));
    assert!(!media_of(&pair.crossed).contains(&Ssrc(0x53)));
    pair.show(true);
    pair.run(33);
    assert!(media_of(&pair.crossed).contains(&Ssrc(0x53)));
}

fn media_of(datagrams: &[Vec<u8>]) -> HashSet<Ssrc> {
    let is_rtp = |bytes: &&Vec<u8>| !(64..96).contains(&(bytes[1] & 0x7f));
    let ssrc = |bytes: &Vec<u8>| Ssrc(u32::from_be_bytes(bytes[8..12].try_into().unwrap()));
    datagrams.iter().filter(is_rtp).map(ssrc).collect()
}

#[test]
fn sound_and_picture_of_one_publisher_stay_together_beyond_the_pipe() {
    let mut pair = Pair::new();
    pair.publish_voice();
    let out = pair.b.subscribe(0, 2, 1);
    for number in 0..100 {
        pair.a.speak(0, 0x11, &[number; 80]);
        if number == 10 {
            let info = SenderInfo {
                ntp: NtpTime(0xaaaa_0000_0000_0000),
                rtp_time: 5_000 + 960 * 11,
                packets: 11,
                octets: 880,
            };
            pair.a.report(0, |out| {
                rtcp::write_sender_report(out, Ssrc(0x11), &info, &[])
            });
        }
        pair.run(20);
    }
    let reports = &pair.b.clients[0].feedback.sender_reports;
    let of_it: Vec<_> = reports.iter().filter(|(_, ssrc, _)| *ssrc == out).collect();
    assert!(!of_it.is_empty(), "a sender report crossed");
    // The moment of the report, on the subscriber's stream, is the moment at which its packet came.
    let (_, _, info) = of_it[0];
    let heard = pair.b.clients[0].heard(out);
    let newest = heard
        .iter()
        .rfind(|packet| packet.at <= of_it[0].0)
        .unwrap();
    let ahead = info.rtp_time.wrapping_sub(newest.header.timestamp) as i32;
    assert!(ahead.abs() < 48_000 / 10, "{ahead} ticks");
}

#[test]
fn nobody_else_gets_anything_into_the_pipe() {
    let mut pair = Pair::new();
    pair.publish_voice();
    let out = pair.b.subscribe(0, 2, 1);
    pair.a.speak(0, 0x11, &[1; 80]);
    pair.run(20);
    assert_eq!(pair.heard(out), [1]);
    let genuine = pair.crossed.last().unwrap().clone();

    let count = |pair: &Pair| {
        let counters = pair.b.relay.counters();
        [
            counters.rtp_drop_replayed,
            counters.rtp_drop_bad_tag,
            counters.rtp_drop_stranger,
            counters.rtp_drop_stream_limit,
        ]
    };
    assert_eq!(count(&pair), [0; 4]);
    // A packet of the pipe, again.
    pair.b.send(at_a(), genuine.clone());
    pair.run(5);
    assert_eq!(count(&pair), [1, 0, 0, 0]);
    // Under keys that are not the pipe's: a client's, from the pipe's address, on the announced SSRC.
    let next = u64::from(u16::from_be_bytes([genuine[2], genuine[3]])) + 1;
    let forged = pair.a.clients[0].rtp_at(Ssrc(0x51), next, 0, OPUS, false, &[], &[9; 80]);
    pair.b.send(at_a(), forged);
    pair.run(5);
    assert_eq!(count(&pair), [1, 1, 0, 0]);
    // The right packet from another address.
    pair.b.send(address(203, 1), genuine);
    pair.run(5);
    assert_eq!(count(&pair), [1, 1, 1, 0]);
    // What nobody announced is not even opened.
    let unannounced = pair.a.clients[0].rtp(Ssrc(0x99), OPUS, 960, false, &[], &[9; 80]);
    pair.b.send(at_a(), unannounced);
    pair.run(5);
    assert_eq!(count(&pair), [1, 1, 1, 1]);
    assert_eq!(pair.heard(out), [1]);
    // A handshake is begun by nobody who should, and the control plane is not woken for it.
    pair.b.events.clear();
    pair.b.send(at_a(), vec![22; 100]);
    pair.run(5);
    assert_eq!(pair.b.relay.counters().dtls_drop_stranger, 1);
    let is_dtls = |event: &Event| matches!(event, Event::Dtls { .. });
    assert!(!pair.b.events.iter().any(is_dtls));
}

#[test]
fn a_check_from_the_pipes_address_takes_it_from_nobody() {
    let mut pair = Pair::new();
    pair.publish_voice();
    let out = pair.b.subscribe(0, 2, 1);
    // Somebody who knows a client's password claims to be where the other relay is.
    let request = pair.b.clients[0].binding_request(true);
    pair.b.send(at_a(), request);
    pair.run(50);
    assert_eq!(pair.b.relay.counters().stun_drop_address_taken, 1);
    pair.a.speak(0, 0x11, &[1; 80]);
    pair.run(20);
    assert_eq!(pair.heard(out), [1]);
    assert_eq!(
        pair.b.command(open(PeerId(1_002), at_a(), (8, 7))),
        Err(CommandError::Duplicate),
        "one pipe to one place"
    );
}

#[test]
fn a_pipe_needs_no_consent_and_outlives_any_silence() {
    let mut pair = Pair::new();
    pair.publish_voice();
    let out = pair.b.subscribe(0, 2, 1);
    let mut number = 0;
    for _ in 0..45 {
        // The clients go on checking; nobody checks the pipe.
        pair.a.check(0, false);
        pair.b.check(0, false);
        pair.run(1_000);
    }
    let lost = |event: &Event| matches!(event, Event::ConsentLost { .. });
    assert!(!pair.a.events.iter().any(lost) && !pair.b.events.iter().any(lost));
    for _ in 0..3 {
        number += 1;
        pair.a.speak(0, 0x11, &[number; 80]);
        pair.run(20);
    }
    assert_eq!(pair.heard(out), [1, 2, 3]);
}

#[test]
fn authority_that_ends_at_the_origin_ends_beyond_the_pipe() {
    let mut pair = Pair::new();
    pair.publish_voice();
    let out = pair.b.subscribe(0, 2, 1);
    let not_after = Some(pair.a.now + Duration::from_millis(100));
    let peer = pair.a.clients[0].id;
    pair.a
        .command(Command::SetNotAfter { peer, not_after })
        .unwrap();
    for number in 0..20 {
        pair.a.speak(0, 0x11, &[number; 80]);
        pair.run(20);
    }
    assert_eq!(pair.heard(out), [0, 1, 2, 3, 4]);
}

#[test]
fn a_track_that_ends_at_the_origin_says_goodbye_and_its_ssrc_is_a_strangers_then() {
    let mut pair = Pair::new();
    pair.publish_voice();
    pair.b.subscribe(0, 2, 1);
    pair.a.speak(0, 0x11, &[1; 80]);
    pair.run(20);
    let old = pair.crossed.last().unwrap().clone();
    let gone = TrackId(1);
    pair.a
        .command(Command::RemoveTrack { track: gone })
        .unwrap();
    let gone = TrackId(2);
    pair.b
        .command(Command::RemoveTrack { track: gone })
        .unwrap();
    pair.run(20);
    assert_eq!(pair.b.clients[0].feedback.byes.len(), 1);
    pair.b.send(at_a(), old);
    pair.run(5);
    assert_eq!(pair.b.relay.counters().rtp_drop_stream_limit, 1);
    // However many come and go, each under an SSRC of its own, the next is carried.
    for number in 0..600 {
        pair.a.publish_audio(0, 10 + number, 0x11);
        let mut spec = pair.a.downtrack_spec(0, 10 + number, 0);
        spec.peer = TO_B;
        spec.ssrc = Ssrc(0x1000 + number as u32);
        pair.a
            .command(Command::PipeLayer {
                downtrack: DowntrackId(1_000 + number),
                spec,
                layer: LayerId(0),
            })
            .unwrap();
        let mut spec = pair
            .a
            .audio_spec(0, Encoding::Ssrc(Ssrc(0x1000 + number as u32)));
        spec.peer = TO_A;
        spec.formats[0].payload_type = PayloadType(100);
        let track = TrackId(10 + number);
        pair.b.command(Command::AddTrack { track, spec }).unwrap();
        pair.a.speak(0, 0x11, &[1; 80]);
        pair.run(2);
        for net in [&mut pair.a, &mut pair.b] {
            net.command(Command::RemoveTrack { track }).unwrap();
        }
    }
    let accepted = pair.b.relay.counters().rtp_accepted;
    assert_eq!(accepted, 601);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// DESIGN 2.8 across the pipe, looked at from outside: whatever is lost, resent, paused and switched.
    #[test]
    fn no_key_ssrc_and_index_is_ever_sealed_over_two_contents(
        loss in 0u64..300,
        turns in prop::collection::vec((0u8..6, 1u64..80), 20..60),
    ) {
        let mut pair = Pair::new();
        pair.publish_layers();
        pair.b.subscribe(0, 2, 1);
        pair.show(true);
        pair.run(20);
        pair.loss = loss;
        for (what, millis) in turns {
            match what {
                0 => pair.show(true),
                1 | 2 => pair.show(false),
                3 => {
                    let wish = Wish { paused: millis % 2 == 0, ..Wish::default() };
                    let downtrack = DowntrackId(500 + millis % 3);
                    pair.a.command(Command::SetDowntrack { downtrack, wish }).unwrap();
                }
                4 => {
                    let layer = Some(LayerId((millis % 3) as u8));
                    let wish = Wish { layer, ..Wish::default() };
                    let downtrack = DowntrackId(1);
                    pair.b.command(Command::SetDowntrack { downtrack, wish }).unwrap();
                }
                _ => {
                    let muted = millis % 2 == 0;
                    let track = TrackId(1);
                    pair.a.command(Command::MuteTrack { track, muted }).unwrap();
                }
            }
            pair.run(millis);
        }
        // Sequence numbers begin below 2^15 and few are sent, so a number is an index.
        let mut sealed: HashMap<(Ssrc, u16), &[u8]> = HashMap::new();
        for bytes in pair.crossed.iter().filter(|bytes| !(64..96).contains(&(bytes[1] & 0x7f))) {
            let sequence = u16::from_be_bytes([bytes[2], bytes[3]]);
            let ssrc = Ssrc(u32::from_be_bytes(bytes[8..12].try_into().unwrap()));
            let before = sealed.entry((ssrc, sequence)).or_insert(bytes);
            prop_assert_eq!(*before, &bytes[..]);
        }
        prop_assert!(!sealed.is_empty());
    }
}

#[test]
fn keys_of_the_wrong_length_and_numbers_that_are_taken_are_refused() {
    let mut pair = Pair::new();
    assert_eq!(
        pair.a.command(open(TO_B, address(9, 9), (7, 8))),
        Err(CommandError::Duplicate)
    );
    let Command::OpenPipe { pipe, .. } = open(PeerId(2_000), address(9, 9), (7, 8)) else {
        unreachable!();
    };
    let local = master(Profile::Aes128CmHmacSha1_80, 1, 1);
    let pipe = PipeSpec { local, ..pipe };
    let peer = PeerId(2_000);
    assert_eq!(
        pair.a.command(Command::OpenPipe { peer, pipe }),
        Err(CommandError::BadKeys)
    );
}
