//! Attacks by people who hold valid credentials, each first shown to work with its defence off.

mod support;

use conclave_relay_core::command::Encoding;
use conclave_relay_core::limits::Defences;
use conclave_relay_core::rtcp;
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::Ssrc;
use conclave_relay_core::{Event, Limits};
use support::client::binding_request;
use support::{Net, OPUS, VP8, address, picture};

const GCM: Profile = Profile::AeadAes128Gcm;

/// Both worlds: with one defence off, and as shipped.
fn worlds(without: Defences) -> [Net; 2] {
    [without, Defences::default()].map(|defences| {
        Net::with(
            Limits {
                defences,
                ..Limits::default()
            },
            3,
        )
    })
}

#[test]
fn address_hijack_by_someone_who_knows_a_password() {
    // He overheard the victim's session description: username, password, all of it that the relay
    // gave out. His checks are valid and nominate his own address.
    let hijack = |mut net: Net| {
        let (speaker, victim) = (net.connect(GCM), net.connect(GCM));
        net.publish_audio(speaker, 1, 0xa);
        net.subscribe(victim, 1, 1);
        let attacker = address(66, 6_666);
        let client = &net.clients[victim];
        let username = format!("{}:{}", client.server.ufrag, client.own.ufrag);
        let check = binding_request(&username, &client.server.password, [9; 12], true, true);
        for round in 0..200 {
            if round % 25 == 0 {
                net.send(attacker, check.clone());
                net.check(victim, false);
            }
            net.speak(speaker, 0xa, b"a secret word");
            net.run(20);
        }
        let stolen = net
            .wire
            .iter()
            .filter(|(_, to, bytes)| *to == attacker && bytes[0] >> 6 == 2);
        (
            stolen.count(),
            net.clients[victim].media.len(),
            net.relay.counters().challenges_sent,
        )
    };
    let [weak, shipped] = worlds(Defences::without_questions());
    let (stolen, left, _) = hijack(weak);
    assert!(
        stolen > 150 && left < 50,
        "the attack works: {stolen} stolen, {left} left"
    );
    let (stolen, left, questions) = hijack(shipped);
    assert_eq!((stolen, left), (0, 200));
    assert!(
        (1..=8).contains(&questions),
        "{questions}: he is asked, a bounded number of times"
    );
}

#[test]
fn reflection_at_a_third_address() {
    // The attacker is a participant. It forges the victim's source address on a check and on the
    // last flight of its own handshake, so that the relay takes the victim for where it lives.
    let reflect = |mut net: Net| {
        let speaker = net.connect(GCM);
        net.publish_video(speaker, 1, vec![Encoding::Ssrc(Ssrc(0xb))]);
        let attacker = net.open(GCM);
        net.check(attacker, true);
        net.say_dtls(attacker);
        net.run(20);
        let victim = address(77, 53);
        let forged = net.clients[attacker].binding_request(true);
        let spent = forged.len() + 200;
        net.send(victim, forged);
        net.send(victim, vec![22; 200]);
        net.run(1);
        let keys = net.clients[attacker].keys_command();
        net.command(keys).unwrap();
        net.subscribe(attacker, 1, 1);
        for round in 0..300 {
            net.show(speaker, 0xb, round % 30 == 0, &[]);
            if round % 75 == 0 {
                net.check(speaker, true);
            }
            net.run(33);
        }
        (net.bytes_to(victim), spent)
    };
    let [weak, shipped] = worlds(Defences::without_reflection_bound());
    let (reflected, spent) = reflect(weak);
    assert!(
        reflected > 100 * spent,
        "the attack works: {reflected} bytes for {spent}"
    );
    let (reflected, spent) = reflect(shipped);
    assert!(reflected <= 3 * spent, "{reflected} bytes for {spent}");
}

#[test]
fn an_address_is_not_taken_from_the_peer_that_is_bound_to_it() {
    let mut net = Net::new();
    let (speaker, victim, attacker) = (net.connect(GCM), net.connect(GCM), net.open(GCM));
    net.publish_audio(speaker, 1, 0xa);
    net.subscribe(victim, 1, 1);
    let forged = net.clients[attacker].binding_request(true);
    net.send(net.clients[victim].address, forged);
    net.run(10);
    assert_eq!(net.relay.counters().stun_drop_address_taken, 1);
    net.speak(speaker, 0xa, b"word");
    net.run(10);
    assert_eq!(net.clients[victim].media.len(), 1);
    assert!(net.clients[attacker].stun_answers.is_empty());
}

#[test]
fn replay_of_recorded_packets() {
    let replay = |mut net: Net| {
        let (speaker, listener) = (net.connect(GCM), net.connect(GCM));
        net.publish_audio(speaker, 1, 0xa);
        net.subscribe(listener, 1, 1);
        let from = net.clients[speaker].address;
        let recorded = net.clients[speaker].rtp(Ssrc(0xa), OPUS, 960, false, &[], b"yes");
        for _ in 0..100 {
            net.send(from, recorded.clone());
            net.run(20);
        }
        (
            net.relay.counters().rtp_accepted,
            net.relay.counters().rtp_drop_replayed,
        )
    };
    let [weak, shipped] = worlds(Defences::without_replay_windows());
    assert_eq!(replay(weak), (100, 0), "the attack works");
    assert_eq!(replay(shipped), (1, 99));
}

#[test]
fn sealing_with_the_ssrc_of_another() {
    let impersonate = |mut net: Net| {
        let (speaker, listener, attacker) = (net.connect(GCM), net.connect(GCM), net.connect(GCM));
        net.publish_audio(speaker, 1, 0xa);
        let ssrc = net.subscribe(listener, 1, 1);
        net.speak(attacker, 0xa, b"I resign");
        // Nor may it end, or clock, what is not its own.
        net.report(attacker, |out| {
            rtcp::write_receiver_report(out, Ssrc(0xa), &[]);
            rtcp::write_bye(out, &[Ssrc(0xa)]);
        });
        net.run(10);
        let heard = net.clients[listener].heard(ssrc);
        let lie = heard.iter().any(|packet| packet.payload == b"I resign");
        (
            lie,
            net.events
                .iter()
                .any(|event| matches!(event, Event::TrackStarted { .. })),
        )
    };
    let [weak, shipped] = worlds(Defences::without_stream_separation());
    assert_eq!(impersonate(weak), (true, true), "the attack works");
    assert_eq!(impersonate(shipped), (false, false));
}

#[test]
fn key_frame_request_flood() {
    let flood = |mut net: Net| {
        let (sender, attacker) = (net.connect(GCM), net.connect(GCM));
        net.publish_video(sender, 1, vec![Encoding::Ssrc(Ssrc(0xb))]);
        let ssrc = net.subscribe(attacker, 1, 1);
        net.show(sender, 0xb, true, &[]);
        net.run(10);
        let before = net.clients[sender].feedback.picture_losses.len();
        for _ in 0..2_000 {
            net.report(attacker, |out| rtcp::write_picture_loss(out, Ssrc(1), ssrc));
            net.run(5);
        }
        net.clients[sender].feedback.picture_losses.len() - before
    };
    let [weak, shipped] = worlds(Defences::without_request_gathering());
    assert_eq!(flood(weak), 2_000, "the attack works");
    let asked = flood(shipped);
    assert!((1..=21).contains(&asked), "{asked} in ten seconds");
}

#[test]
fn garbage_forgeries_and_strangers_cost_a_counter_each_and_nothing_else() {
    let mut net = Net::with(Limits::default(), 11);
    let (speaker, listener) = (net.connect(GCM), net.connect(GCM));
    net.publish_audio(speaker, 1, 0xa);
    net.publish_video(speaker, 2, vec![Encoding::Ssrc(Ssrc(0xb))]);
    let ssrc = net.subscribe(listener, 1, 1);
    let inside = net.clients[speaker].address;
    let events = net.events.len();
    for round in 0..20_000_u64 {
        let length = net.draw(200) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| net.draw(256) as u8).collect();
        if let Some(first) = bytes.first_mut() {
            *first = [0x80, 0x90, 0x00, 0x16][round as usize % 4];
        }
        // DTLS from inside is the control plane's; all else from both.
        let is_dtls = bytes.first() == Some(&0x16);
        let from = if round % 2 == 0 || is_dtls {
            address(99, 9)
        } else {
            inside
        };
        net.send(from, bytes);
        if round % 100 == 0 {
            net.run(1);
        }
    }
    net.run(1);
    assert_eq!(net.events.len(), events, "nothing is told");
    assert_eq!(net.bytes_to(address(99, 9)), 0, "nothing is answered");
    net.speak(speaker, 0xa, b"still here");
    net.run(10);
    assert_eq!(net.clients[listener].heard(ssrc).len(), 1);
}

#[test]
fn a_peer_that_invents_ssrcs_reaches_its_cap_and_keeps_what_it_has() {
    let limits = Limits {
        streams_per_peer: 8,
        ..Limits::default()
    };
    let mut net = Net::with(limits, 5);
    let (speaker, listener) = (net.connect(GCM), net.connect(GCM));
    net.publish_audio(speaker, 1, 0xa);
    let ssrc = net.subscribe(listener, 1, 1);
    net.speak(speaker, 0xa, b"first");
    let from = net.clients[speaker].address;
    for invented in 0..100 {
        let sealed =
            net.clients[speaker].rtp(Ssrc(1_000 + invented), VP8, 1, false, &[], &picture(true));
        net.send(from, sealed);
    }
    net.speak(speaker, 0xa, b"second");
    net.run(10);
    assert_eq!(net.clients[listener].heard(ssrc).len(), 2);
    assert_eq!(net.relay.counters().rtp_drop_stream_limit, 93);
    assert_eq!(net.relay.counters().rtp_drop_unbound, 7);
}
