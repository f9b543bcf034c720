//! A call between three people, on good networks and bad ones.

mod support;

use conclave_relay_core::Event;
use conclave_relay_core::command::{Command, Encoding};
use conclave_relay_core::rtcp;
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{DowntrackId, NtpTime, Ssrc, Time, TrackId};
use support::{Impairment, MID_ID, Net, RID_ID, TWCC_ID};

const BOTH: [Profile; 2] = [Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80];

#[test]
fn what_one_says_the_others_hear_whatever_profile_each_negotiated() {
    for publisher in BOTH {
        let mut net = Net::new();
        let speaker = net.connect(publisher);
        let listeners = [net.connect(BOTH[0]), net.connect(BOTH[1])];
        net.publish_audio(speaker, 1, 0xa);
        let heard_as = [
            net.subscribe(listeners[0], 1, 1),
            net.subscribe(listeners[1], 1, 2),
        ];
        for word in 0..100_u8 {
            net.speak(speaker, 0xa, &[word; 80]);
            net.run(20);
        }
        for (listener, ssrc) in listeners.into_iter().zip(heard_as) {
            let heard = net.clients[listener].heard(ssrc);
            let words: Vec<u8> = heard.iter().map(|packet| packet.payload[0]).collect();
            assert_eq!(words, (0..100).collect::<Vec<u8>>());
            assert!(
                heard
                    .windows(2)
                    .all(|pair| pair[1].index == pair[0].index + 1)
            );
            assert!(heard.windows(2).all(|pair| {
                pair[1]
                    .header
                    .timestamp
                    .wrapping_sub(pair[0].header.timestamp)
                    == 960
            }));
            assert!(heard[0].header.sequence < 1 << 15);
            assert_eq!(
                heard[0].header.payload_type.0, 100,
                "as the subscriber numbers Opus"
            );
        }
        assert!(
            net.clients[speaker].media.is_empty(),
            "nobody hears himself"
        );
    }
}

#[test]
fn a_bad_network_costs_packets_but_never_order_content_or_a_second_copy() {
    for seed in 1..=20 {
        let mut net = Net::with(Default::default(), seed);
        let speaker = net.connect(BOTH[seed as usize % 2]);
        let listener = net.connect(BOTH[(seed / 2) as usize % 2]);
        net.publish_audio(speaker, 1, 0xa);
        let ssrc = net.subscribe(listener, 1, 1);
        net.impairment = Impairment {
            loss: 50,
            duplication: 50,
            jitter: 60,
            delay: 20,
            only: None,
        };
        for word in 0..500_u32 {
            net.speak(speaker, 0xa, &word.to_be_bytes());
            if word % 100 == 0 {
                net.check(speaker, true);
                net.check(listener, true);
            }
            net.run(20);
        }
        net.run(1_000);
        let client = &net.clients[listener];
        assert_eq!(client.broken, 0, "seed {seed}");
        let mut heard = client.heard(ssrc);
        assert!(heard.len() > 400, "seed {seed}: {} of 500", heard.len());
        heard.sort_by_key(|packet| packet.index);
        let words: Vec<u32> = heard
            .iter()
            .map(|p| u32::from_be_bytes(p.payload[..4].try_into().unwrap()))
            .collect();
        assert!(
            words.windows(2).all(|pair| pair[0] < pair[1]),
            "seed {seed}: order and no copies"
        );
    }
}

#[test]
fn every_packet_is_forwarded_or_dropped_for_a_reason() {
    let mut net = Net::with(Default::default(), 7);
    let speaker = net.connect(BOTH[0]);
    let viewer = net.connect(BOTH[1]);
    net.publish_audio(speaker, 1, 0xa);
    net.publish_video(speaker, 2, vec![Encoding::Ssrc(Ssrc(0xb))]);
    net.subscribe(viewer, 1, 1);
    net.subscribe(viewer, 2, 2);
    net.impairment = Impairment {
        loss: 100,
        duplication: 100,
        jitter: 30,
        delay: 5,
        only: None,
    };
    for round in 0..300_u32 {
        net.speak(speaker, 0xa, b"word");
        net.show(speaker, 0xb, round % 50 == 0, &[]);
        net.show(speaker, 0xbad, false, &[]);
        net.send(
            net.clients[speaker].address,
            vec![0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2],
        );
        net.send(support::address(99, 9), vec![0x80; 40]);
        net.run(10);
    }
    net.run(500);
    let counted: std::collections::HashMap<_, _> = net.relay.counters().iter().collect();
    let sum = |prefix: &str| -> u64 {
        let matching = counted.iter().filter(|(name, _)| name.starts_with(prefix));
        matching.map(|(_, value)| value).sum()
    };
    assert!(sum("rtp_drop_") > 0 && sum("rtp_skip_") > 0);
    assert_eq!(
        counted["rtp_in"],
        counted["rtp_accepted"] + sum("rtp_drop_")
    );
    assert_eq!(
        counted["rtp_offered"],
        counted["rtp_out"] + sum("rtp_skip_")
    );
    assert_eq!(
        counted["datagrams_in"],
        counted["rtp_in"]
            + counted["rtcp_in"]
            + counted["stun_in"]
            + counted["dtls_in"]
            + counted["drop_unknown_protocol"]
    );
    let left = net.wire.len() as u64;
    assert_eq!(counted["datagrams_out"], left);
}

#[test]
fn a_lost_packet_is_sent_again_as_the_same_bytes() {
    let mut net = Net::new();
    let (sender, viewer) = (net.connect(BOTH[0]), net.connect(BOTH[0]));
    net.publish_video(sender, 1, vec![Encoding::Ssrc(Ssrc(0xb))]);
    let ssrc = net.subscribe(viewer, 1, 1);
    for round in 0..10 {
        net.show(sender, 0xb, round == 0, &[]);
        net.run(33);
    }
    let to_viewer = net.clients[viewer].address;
    let first = net.clients[viewer].heard(ssrc)[0].header.sequence;
    let lost = first.wrapping_add(4);
    let is_lost = |bytes: &[u8]| bytes[2..4] == lost.to_be_bytes() && bytes[1] & 0x7f == 101;
    let sent = |net: &Net| -> Vec<Vec<u8>> {
        let to = net
            .wire
            .iter()
            .filter(|(_, remote, bytes)| *remote == to_viewer && is_lost(bytes));
        to.map(|(_, _, bytes)| bytes.clone()).collect()
    };
    assert_eq!(sent(&net).len(), 1);
    net.report(viewer, |out| rtcp::write_nack(out, Ssrc(1), ssrc, &[lost]));
    net.run(10);
    let copies = sent(&net);
    assert_eq!(copies.len(), 2, "sent again");
    assert_eq!(copies[0], copies[1], "one index never seals two contents");
    assert_eq!(net.clients[viewer].replayed, 1);
    assert_eq!(net.relay.counters().nack_resent, 1);
}

#[test]
fn a_late_joiner_gets_a_key_frame_at_once() {
    let mut net = Net::new();
    let sender = net.connect(BOTH[0]);
    net.publish_video(sender, 1, vec![Encoding::Ssrc(Ssrc(0xb))]);
    net.show(sender, 0xb, true, &[]);
    for _ in 0..30 {
        net.show(sender, 0xb, false, &[]);
        net.run(33);
    }
    let viewer = net.connect(BOTH[1]);
    let ssrc = net.subscribe(viewer, 1, 1);
    net.show(sender, 0xb, false, &[]);
    net.run(10);
    assert_eq!(net.clients[sender].feedback.picture_losses.len(), 1);
    assert_eq!(net.clients[sender].feedback.picture_losses[0].1, Ssrc(0xb));
    assert!(
        net.clients[viewer].heard(ssrc).is_empty(),
        "nothing that cannot be decoded"
    );
    net.show(sender, 0xb, true, &[]);
    net.show(sender, 0xb, false, &[]);
    net.run(10);
    assert_eq!(net.clients[viewer].heard(ssrc).len(), 2);
}

#[test]
fn the_highest_live_simulcast_layer_is_forwarded_and_switched_at_key_frames_only() {
    let mut net = Net::new();
    let (sender, viewer) = (net.connect(BOTH[0]), net.connect(BOTH[0]));
    let rids = ["q", "h", "f"];
    let encodings = rids
        .iter()
        .map(|rid| Encoding::Rid((*rid).to_owned()))
        .collect();
    net.publish_video(sender, 1, encodings);
    let ssrc = net.subscribe(viewer, 1, 1);
    let show = |net: &mut Net, layer: usize, key_frame: bool| {
        let extensions: [(u8, &[u8]); 2] = [(MID_ID, b"1"), (RID_ID, rids[layer].as_bytes())];
        net.show(sender, 0xb0 + layer as u32, key_frame, &extensions);
    };
    show(&mut net, 0, true);
    for _ in 0..10 {
        show(&mut net, 0, false);
        net.run(33);
    }
    assert_eq!(
        net.clients[viewer].heard(ssrc).len(),
        11,
        "the only layer there is"
    );
    show(&mut net, 2, false);
    net.run(1);
    let asked = &net.clients[sender].feedback.picture_losses;
    assert_eq!(
        asked.last().map(|(_, media)| *media),
        Some(Ssrc(0xb2)),
        "the new layer is wanted"
    );
    show(&mut net, 0, false);
    net.run(1);
    assert_eq!(
        net.clients[viewer].heard(ssrc).len(),
        12,
        "until then the old one goes on"
    );
    show(&mut net, 2, true);
    show(&mut net, 0, false);
    show(&mut net, 2, false);
    net.run(1);
    let heard = net.clients[viewer].heard(ssrc);
    assert_eq!(heard.len(), 14, "the new layer alone");
    assert!(
        heard
            .windows(2)
            .all(|pair| pair[1].index == pair[0].index + 1),
        "no hole at the switch"
    );
    for _ in 0..60 {
        show(&mut net, 0, false);
        net.run(33);
    }
    show(&mut net, 0, true);
    net.run(1);
    assert_eq!(
        net.clients[viewer].heard(ssrc).len(),
        15,
        "and back when the upper one fell silent"
    );
}

#[test]
fn a_late_joiner_has_a_picture_though_the_upper_layer_keeps_coming_and_going() {
    let mut net = Net::new();
    let (sender, viewer) = (net.connect(BOTH[0]), net.connect(BOTH[0]));
    let rids = ["q", "f"];
    let encodings = rids
        .iter()
        .map(|rid| Encoding::Rid((*rid).to_owned()))
        .collect();
    net.publish_video(sender, 1, encodings);
    let show = |net: &mut Net, layer: usize, key_frame: bool| {
        let extensions: [(u8, &[u8]); 2] = [(MID_ID, b"1"), (RID_ID, rids[layer].as_bytes())];
        net.show(sender, 0xb0 + layer as u32, key_frame, &extensions);
    };
    show(&mut net, 0, true);
    show(&mut net, 1, true);
    net.run(33);
    let ssrc = net.subscribe(viewer, 1, 1);
    // A busy encoder: it drops the upper layer's key frames, and answers for the lower one.
    let mut answered = 0;
    for frame in 0..60 {
        let asked = net.clients[sender].feedback.picture_losses.len();
        show(&mut net, 0, asked > answered);
        answered = asked;
        if frame % 20 < 10 {
            show(&mut net, 1, false);
        }
        net.run(33);
    }
    let seen = net.clients[viewer].heard(ssrc);
    assert!(seen.len() > 50, "{} frames", seen.len());

    show(&mut net, 1, true);
    show(&mut net, 1, false);
    net.run(33);
    let heard = net.clients[viewer].heard(ssrc).len();
    show(&mut net, 0, false);
    net.run(33);
    assert_eq!(
        net.clients[viewer].heard(ssrc).len(),
        heard,
        "it has climbed"
    );
}

#[test]
fn a_stream_without_announced_ssrc_is_found_by_its_mid() {
    let mut net = Net::new();
    let (speaker, listener) = (net.connect(BOTH[0]), net.connect(BOTH[0]));
    let spec = net.audio_spec(speaker, Encoding::Mid);
    net.command(Command::AddTrack {
        track: TrackId(1),
        spec,
    })
    .unwrap();
    let ssrc = net.subscribe(listener, 1, 1);
    let from = net.clients[speaker].address;
    let stray = net.clients[speaker].rtp(Ssrc(5), support::OPUS, 960, false, &[], b"stray");
    net.send(from, stray);
    let extensions: [(u8, &[u8]); 1] = [(MID_ID, b"0")];
    let named = net.clients[speaker].rtp(Ssrc(6), support::OPUS, 960, false, &extensions, b"named");
    net.send(from, named);
    net.speak(speaker, 6, b"follows");
    net.run(10);
    let heard: Vec<&[u8]> = net.clients[listener]
        .heard(ssrc)
        .iter()
        .map(|packet| &packet.payload[..])
        .collect();
    assert_eq!(heard, [&b"named"[..], b"follows"]);
    assert_eq!(net.relay.counters().rtp_drop_unbound, 1);
}

/// What a publisher reports of its first packet.
const ONE_SENT: rtcp::SenderInfo = rtcp::SenderInfo {
    ntp: NtpTime(0x1234_5678_0000_0000),
    rtp_time: 5_000 + 960,
    packets: 1,
    octets: 0,
};

#[test]
fn reports_keep_sound_and_picture_on_one_clock_and_say_whose_they_are() {
    let mut net = Net::new();
    let (speaker, listener) = (net.connect(BOTH[0]), net.connect(BOTH[1]));
    net.publish_audio(speaker, 1, 0xa);
    let ssrc = net.subscribe(listener, 1, 1);
    net.speak(speaker, 0xa, b"word");
    net.run(5);
    net.report(speaker, |out| {
        rtcp::write_sender_report(out, Ssrc(0xa), &ONE_SENT, &[])
    });
    let told = net.now;
    net.run(100);
    let reports = net.clients[listener].feedback.sender_reports.clone();
    assert_eq!(
        reports.len(),
        1,
        "as soon as the publisher's clock is known"
    );
    let (_, sender, translated) = reports[0];
    assert_eq!(sender, ssrc);
    assert_eq!(translated.packets, 1);
    // Wall clock, which is the relay's, and RTP clock of the report moved on together since the publisher's.
    let heard = net.clients[listener].heard(ssrc)[0].header.timestamp;
    let ours = NtpTime(0).plus(told.since(Time::ZERO));
    let wall = (translated.ntp.0 - ours.0) as f64 / 4_294_967_296.0;
    let ticks = f64::from(translated.rtp_time.wrapping_sub(heard));
    assert!(
        (ticks - wall * 48_000.0).abs() < 48.0,
        "{ticks} ticks in {wall} s"
    );
    assert!(
        net.clients[listener]
            .feedback
            .names
            .contains(&(ssrc, b"publisher".to_vec()))
    );
    for _ in 0..100 {
        net.speak(speaker, 0xa, b"word");
        net.run(20);
    }
    assert!((2..=4).contains(&net.clients[listener].feedback.sender_reports.len()));
    let about = &net.clients[speaker].feedback.receiver_reports;
    assert!((1..=4).contains(&about.len()), "{}", about.len());
    assert!(
        about
            .iter()
            .all(|block| block.ssrc == Ssrc(0xa) && block.fraction_lost == 0)
    );
}

#[test]
fn nothing_is_reported_of_a_stream_that_is_silent_until_its_next_packet() {
    let mut net = Net::new();
    let (speaker, listener) = (net.connect(BOTH[0]), net.connect(BOTH[1]));
    net.publish_audio(speaker, 1, 0xa);
    net.subscribe(listener, 1, 1);
    net.speak(speaker, 0xa, b"word");
    net.report(speaker, |out| {
        rtcp::write_sender_report(out, Ssrc(0xa), &ONE_SENT, &[])
    });
    let reports = |net: &Net| net.clients[listener].feedback.sender_reports.clone();
    net.run(10_000);
    // One of the packet, and one more, lest the first is lost (RFC 3550 section 6.4).
    assert_eq!(reports(&net).len(), 2);
    net.speak(speaker, 0xa, b"word");
    net.run(100);
    assert_eq!(reports(&net).len(), 3, "at once");
    assert_eq!(reports(&net)[2].2.packets, 2);
    for _ in 0..100 {
        net.speak(speaker, 0xa, b"word");
        net.run(20);
    }
    assert!((4..=6).contains(&reports(&net).len()));
}

#[test]
fn a_publisher_with_transport_numbers_gets_transport_feedback() {
    let mut net = Net::new();
    let sender = net.connect(BOTH[0]);
    net.publish_video(sender, 1, vec![Encoding::Ssrc(Ssrc(0xb))]);
    for _ in 0..30 {
        let number = net.clients[sender].next_transport_sequence();
        net.show(sender, 0xb, false, &[(TWCC_ID, &number)]);
        net.run(33);
    }
    let feedback = net.clients[sender].feedback.transport_feedback;
    assert!((9..=25).contains(&feedback), "{feedback} in a second");
}

#[test]
fn leaving_says_goodbye_for_every_stream_and_frees_everything() {
    let mut net = Net::new();
    let (speaker, listener) = (net.connect(BOTH[0]), net.connect(BOTH[0]));
    net.publish_audio(speaker, 1, 0xa);
    let ssrc = net.subscribe(listener, 1, 1);
    net.speak(speaker, 0xa, b"word");
    net.run(5);
    let peer = net.clients[speaker].id;
    net.command(Command::ClosePeer { peer }).unwrap();
    net.run(5);
    assert_eq!(net.clients[listener].feedback.byes, [ssrc]);
    let counters = net.relay.counters();
    assert_eq!(
        (
            counters.peers_now,
            counters.tracks_now,
            counters.downtracks_now
        ),
        (1, 0, 0)
    );
    net.speak(speaker, 0xa, b"ghost");
    net.run(5);
    assert_eq!(net.relay.counters().rtp_drop_stranger, 1);
    assert!(
        net.command(Command::RemoveDowntrack {
            downtrack: DowntrackId(1)
        })
        .is_err()
    );
}

#[test]
fn a_muted_track_is_silent_whatever_its_publisher_sends() {
    let mut net = Net::new();
    let (speaker, listener) = (net.connect(BOTH[0]), net.connect(BOTH[0]));
    net.publish_audio(speaker, 1, 0xa);
    let ssrc = net.subscribe(listener, 1, 1);
    for round in 0..30 {
        if round % 10 == 0 {
            let muted = round == 10;
            net.command(Command::MuteTrack {
                track: TrackId(1),
                muted,
            })
            .unwrap();
        }
        net.speak(speaker, 0xa, &[round]);
        net.run(20);
    }
    let heard = net.clients[listener].heard(ssrc);
    let rounds: Vec<u8> = heard.iter().map(|packet| packet.payload[0]).collect();
    assert_eq!(rounds, (0..10).chain(20..30).collect::<Vec<u8>>());
    assert!(
        heard
            .windows(2)
            .all(|pair| pair[1].index == pair[0].index + 1),
        "no hole to ask for"
    );
}

#[test]
fn authority_ends_on_time_both_ways_without_the_control_plane() {
    let mut net = Net::new();
    let (one, other) = (net.connect(BOTH[0]), net.connect(BOTH[0]));
    net.publish_audio(one, 1, 0xa);
    net.publish_audio(other, 2, 0xb);
    let (to_other, to_one) = (net.subscribe(other, 1, 1), net.subscribe(one, 2, 2));
    let not_after = net.now + std::time::Duration::from_millis(500);
    let peer = net.clients[one].id;
    net.command(Command::SetNotAfter {
        peer,
        not_after: Some(not_after),
    })
    .unwrap();
    for _ in 0..1_000 {
        net.speak(one, 0xa, b"word");
        net.speak(other, 0xb, b"word");
        net.run(1);
    }
    for (listener, ssrc) in [(other, to_other), (one, to_one)] {
        let heard = net.clients[listener].heard(ssrc);
        assert_eq!(heard.len(), 500);
        assert!(heard.iter().all(|packet| packet.at < not_after));
    }
    let expired = net
        .events
        .iter()
        .filter(|event| **event == Event::Expired { peer })
        .count();
    assert_eq!(expired, 1);
    net.command(Command::SetNotAfter {
        peer,
        not_after: None,
    })
    .unwrap();
    net.speak(one, 0xa, b"word");
    net.run(1);
    assert_eq!(
        net.clients[other].heard(to_other).len(),
        501,
        "a new grant counts at once"
    );
}

#[test]
fn the_relay_tells_when_media_starts_who_speaks_and_when_consent_is_lost() {
    let mut net = Net::new();
    let (speaker, listener) = (net.connect(BOTH[0]), net.connect(BOTH[0]));
    net.publish_audio(speaker, 1, 0xa);
    let ssrc = net.subscribe(listener, 1, 1);
    for round in 0..100 {
        let sealed = net.clients[speaker].rtp(
            Ssrc(0xa),
            support::OPUS,
            960,
            false,
            &[(support::LEVEL_ID, &[0x80 | 10])],
            &[7; 120],
        );
        net.send(net.clients[speaker].address, sealed);
        if round % 50 == 0 {
            net.check(speaker, true);
        }
        net.run(20);
    }
    let peer = net.clients[speaker].id;
    assert!(net.events.contains(&Event::MediaStarted { peer }));
    assert!(
        net.events
            .contains(&Event::TrackStarted { track: TrackId(1) })
    );
    let levels = net.events.iter().find_map(|event| match event {
        Event::Levels { changes } => Some(changes.clone()),
        _ => None,
    });
    assert!(levels.is_some_and(|changes| changes[0].0 == TrackId(1) && changes[0].1 > 0.0));
    let before = net.clients[listener].heard(ssrc).len();
    for _ in 0..40 {
        net.check(speaker, true);
        net.run(1_000);
        net.speak(speaker, 0xa, b"word");
    }
    let lost = Event::ConsentLost {
        peer: net.clients[listener].id,
    };
    assert!(net.events.contains(&lost));
    assert!(!net.events.contains(&Event::ConsentLost { peer }));
    assert!(
        net.clients[listener].heard(ssrc).len() < before + 40,
        "sending has stopped"
    );
}
