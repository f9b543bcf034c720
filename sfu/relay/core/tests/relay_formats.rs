//! What formats ask of the relay as a whole: silence, slower pictures, extensions carried, numbers that mean two things.

mod support;

use conclave_relay_core::Event;
use conclave_relay_core::command::{Command, Encoding, PayloadFormat, TrackRepair};
use conclave_relay_core::downtrack::Wish;
use conclave_relay_core::rtp::{Extension, ExtensionMap};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{Codec, DowntrackId, PayloadType, Ssrc, TrackId};
use support::{LEVEL_ID, Net, OPUS, VP8};

const GCM: Profile = Profile::AeadAes128Gcm;

/// Every packet offered to a downtrack left or is counted with a reason.
fn adds_up(net: &Net) {
    let counters = net.relay.counters();
    let skips = counters
        .iter()
        .filter(|(name, _)| name.starts_with("rtp_skip_"));
    let skipped: u64 = skips.map(|(_, count)| count).sum();
    assert_eq!(counters.rtp_offered, counters.rtp_out + skipped);
}

#[test]
fn silence_is_no_loss_leaves_no_hole_and_is_told_as_silence() {
    // Opus DTX: while nobody speaks, a packet every 400 ms, whose timestamp jumps as far.
    let mut net = Net::new();
    net.repair = TrackRepair {
        nack: true,
        ..TrackRepair::default()
    };
    let (speaker, listener) = (net.connect(GCM), net.connect(GCM));
    net.publish_audio(speaker, 1, 0xa);
    let ssrc = net.subscribe(listener, 1, 1);
    let say = |net: &mut Net, millis: u32, level: u8, content: &[u8]| {
        net.run(u64::from(millis));
        let client = &mut net.clients[speaker];
        let value = [level];
        let extensions: [(u8, &[u8]); 1] = [(LEVEL_ID, &value)];
        let packet = client.rtp(Ssrc(0xa), OPUS, millis * 48, false, &extensions, content);
        let from = client.address;
        net.send(from, packet);
    };
    let loudness = |net: &mut Net| {
        let mut told = std::mem::take(&mut net.events).into_iter().rev();
        told.find_map(|event| match event {
            Event::Levels { changes } => changes.last().map(|(_, level)| *level),
            _ => None,
        })
    };
    let gaps = [[20; 100].as_slice(), &[400; 20]].concat().repeat(3);
    for round in 0..3 {
        for _ in 0..100 {
            say(&mut net, 20, 0x80 | 10, &[7; 80]);
        }
        assert!(
            loudness(&mut net).is_some_and(|level| level > 0.0),
            "round {round}"
        );
        for _ in 0..20 {
            say(&mut net, 400, 127, &[0x78]);
        }
        net.check(speaker, true);
        net.check(listener, true);
        assert_eq!(loudness(&mut net), Some(0.0), "round {round}");
    }
    net.run(1_000);
    let heard = net.clients[listener].heard(ssrc);
    assert_eq!(heard.len(), gaps.len());
    for (pair, gap) in heard.windows(2).zip(&gaps[1..]) {
        assert_eq!(pair[1].index, pair[0].index + 1);
        let step = pair[1]
            .header
            .timestamp
            .wrapping_sub(pair[0].header.timestamp);
        assert_eq!(step, gap * 48);
    }
    assert!(net.clients[speaker].feedback.nacks.is_empty());
    assert_eq!(net.relay.counters().loss_found, 0);
    adds_up(&net);
}

#[test]
fn a_wish_for_fewer_pictures_a_second_is_answered_by_what_is_measured() {
    let mut net = Net::new();
    let publisher = net.connect(GCM);
    let (slow, fast) = (net.connect(GCM), net.connect(GCM));
    net.publish_video(publisher, 1, vec![Encoding::Ssrc(Ssrc(0xb))]);
    let slow_ssrc = net.subscribe(slow, 1, 1);
    let fast_ssrc = net.subscribe(fast, 1, 2);
    let wish = |net: &mut Net, frame_rate| {
        net.command(Command::SetDowntrack {
            downtrack: DowntrackId(1),
            wish: Wish {
                frame_rate,
                ..Wish::default()
            },
        })
        .unwrap();
    };
    let mut number = 0u16;
    let mut play = |net: &mut Net, seconds: u16| {
        for _ in 0..seconds * 30 {
            let (temporal, sync) = [(0, 0), (2, 1), (1, 1), (2, 0)][usize::from(number % 4)];
            let [high, low] = number.to_be_bytes();
            let layer = temporal << 6 | sync << 5;
            let tl0 = (number / 4) as u8;
            let mut payload = vec![0x90, 0xe0, high | 0x80, low, tl0, layer];
            payload.push(u8::from(number != 0));
            payload.resize(500, 9);
            let client = &mut net.clients[publisher];
            let packet = client.rtp(Ssrc(0xb), VP8, 3_000, true, &[], &payload);
            let from = client.address;
            net.send(from, packet);
            net.run(33);
            number += 1;
        }
    };
    let mut before = (0, 0);
    let mut came = |net: &Net| {
        let now = (
            net.clients[slow].heard(slow_ssrc).len(),
            net.clients[fast].heard(fast_ssrc).len(),
        );
        let came = (now.0 - before.0, now.1 - before.1);
        before = now;
        came
    };
    wish(&mut net, Some(8));
    play(&mut net, 5);
    came(&net);
    play(&mut net, 4);
    assert_eq!(came(&net), (30, 120), "a quarter of them");
    wish(&mut net, Some(15));
    play(&mut net, 1);
    came(&net);
    play(&mut net, 4);
    assert_eq!(came(&net), (60, 120), "half of them");
    wish(&mut net, None);
    play(&mut net, 1);
    came(&net);
    play(&mut net, 4);
    assert_eq!(came(&net), (120, 120), "all");
    let heard = net.clients[slow].heard(slow_ssrc);
    assert!(
        heard
            .windows(2)
            .all(|pair| pair[1].index == pair[0].index + 1)
    );
    assert!(net.relay.counters().rtp_skip_left_out > 0);
    adds_up(&net);
}

#[test]
fn what_a_publisher_says_of_its_pictures_reaches_who_takes_it_byte_for_byte() {
    let carried: [(Extension, &[u8]); 4] = [
        (Extension::PlayoutDelay, &[0x00, 0x10, 0x64]),
        (
            Extension::AbsCaptureTime,
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        ),
        (Extension::VideoOrientation, &[0x03]),
        (Extension::ColorSpace, &[9; 28]),
    ];
    let numbered = |first: u8| {
        let kinds = carried.iter().enumerate();
        ExtensionMap::from_pairs(kinds.map(|(at, (kind, _))| (first + at as u8, *kind)))
    };
    let mut net = Net::new();
    let publisher = net.connect(GCM);
    let (takes, refuses) = (net.connect(GCM), net.connect(GCM));
    let mut spec = net.audio_spec(publisher, Encoding::Ssrc(Ssrc(0xb)));
    spec.extensions = numbered(5);
    let track = TrackId(1);
    net.command(Command::AddTrack { track, spec }).unwrap();
    let mut ssrcs = Vec::new();
    for (at, extensions) in [(takes, numbered(9)), (refuses, ExtensionMap::default())] {
        let mut spec = net.downtrack_spec(at, 1, at as u64);
        spec.extensions = extensions;
        ssrcs.push(spec.ssrc);
        let downtrack = DowntrackId(at as u64);
        net.command(Command::AddDowntrack { downtrack, spec })
            .unwrap();
    }
    let values: Vec<(u8, &[u8])> = carried
        .iter()
        .enumerate()
        .map(|(at, (_, value))| (5 + at as u8, *value))
        .collect();
    let client = &mut net.clients[publisher];
    let packet = client.rtp(Ssrc(0xb), OPUS, 960, false, &values, b"content");
    let from = client.address;
    net.send(from, packet);
    net.run(50);
    let wire = |at: usize, ssrc: Ssrc| {
        let heard = net.clients[at].heard(ssrc);
        heard
            .first()
            .map(|packet| packet.extensions.clone())
            .unwrap()
    };
    let expected: Vec<(u8, Vec<u8>)> = carried
        .iter()
        .enumerate()
        .map(|(at, (_, value))| (9 + at as u8, value.to_vec()))
        .collect();
    assert_eq!(wire(takes, ssrcs[0]), expected);
    assert_eq!(wire(refuses, ssrcs[1]), []);
}

#[test]
fn one_ssrc_both_ways_and_payload_types_the_other_way_round_mean_what_each_end_says() {
    let mut net = Net::new();
    let (ada, bob) = (net.connect(GCM), net.connect(GCM));
    // Bob's own stream has the SSRC under which he is sent Ada's.
    let spec = net.downtrack_spec(bob, 1, 1);
    let shared = spec.ssrc;
    net.publish_audio(ada, 1, 0xa);
    net.publish_audio(bob, 2, shared.0);
    let formats = [(VP8, Codec::Opus), (OPUS, Codec::Vp8)];
    let formats = formats.map(|(payload_type, codec)| PayloadFormat {
        payload_type,
        codec,
    });
    let turned = |mut spec: conclave_relay_core::command::DowntrackSpec| {
        spec.formats = formats.to_vec();
        spec
    };
    for (downtrack, spec) in [(1, spec), (2, net.downtrack_spec(ada, 2, 2))] {
        let (downtrack, spec) = (DowntrackId(downtrack), turned(spec));
        net.command(Command::AddDowntrack { downtrack, spec })
            .unwrap();
    }
    for word in 0..50u8 {
        net.speak(ada, 0xa, &[word, 1]);
        net.speak(bob, shared.0, &[word, 2]);
        net.run(20);
    }
    net.run(100);
    for (at, ssrc, from) in [(bob, shared, 1), (ada, Ssrc(0xd000_0002), 2)] {
        let heard = net.clients[at].heard(ssrc);
        let words: Vec<[u8; 2]> = heard.iter().map(|p| [p.payload[0], p.payload[1]]).collect();
        assert_eq!(words, (0..50).map(|word| [word, from]).collect::<Vec<_>>());
        let types = heard.iter().map(|packet| packet.header.payload_type);
        assert!(
            types.eq([PayloadType(96); 50]),
            "as the subscriber numbers Opus"
        );
    }
    assert_eq!((net.clients[ada].broken, net.clients[bob].broken), (0, 0));
    adds_up(&net);
}
