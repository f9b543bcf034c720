//! Where a peer is: from the first check to a changed address (DESIGN 2.4).

mod support;

use conclave_relay_core::Event;
use conclave_relay_core::command::Command;
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::stun::Class;
use support::client::binding_request;
use support::{Net, address};

const CM: Profile = Profile::Aes128CmHmacSha1_80;

#[test]
fn a_wrong_password_or_an_unknown_name_gets_no_reply() {
    let mut net = Net::new();
    let client = net.open(CM);
    let from = net.clients[client].address;
    let name = format!("{}:x", net.clients[client].server.ufrag);
    let password = net.clients[client].server.password.clone();
    net.send(
        from,
        binding_request(&name, "another-password-of-22", [1; 12], true, true),
    );
    net.send(
        from,
        binding_request("nobody:x", &password, [2; 12], true, true),
    );
    net.run(10);
    assert!(net.wire.is_empty());
    let counters = net.relay.counters();
    assert_eq!(
        (
            counters.stun_drop_integrity,
            counters.stun_drop_unknown_user
        ),
        (1, 1)
    );
}

#[test]
fn a_peer_that_takes_itself_for_controlled_is_told_of_the_conflict() {
    let mut net = Net::new();
    let at = net.open(CM);
    let client = &net.clients[at];
    let name = format!("{}:{}", client.server.ufrag, client.own.ufrag);
    let request = binding_request(&name, &client.server.password, [1; 12], false, false);
    net.send(net.clients[at].address, request);
    net.run(10);
    assert_eq!(net.clients[at].stun_answers, [(Class::Error, Some(487))]);
}

#[test]
fn dtls_is_taken_only_where_stun_went_before_and_answered_there() {
    let mut net = Net::new();
    let client = net.open(CM);
    net.say_dtls(client);
    net.run(10);
    assert!(net.events.is_empty());
    assert_eq!(net.relay.counters().dtls_drop_stranger, 1);
    net.check(client, true);
    net.run(10);
    net.say_dtls(client);
    net.run(10);
    let peer = net.clients[client].id;
    assert_eq!(
        net.events,
        [Event::Dtls {
            peer,
            datagram: vec![22; 200]
        }]
    );
    net.command(Command::SendDtls {
        peer,
        datagrams: vec![vec![22, 1], vec![22, 2]],
    })
    .unwrap();
    net.run(10);
    assert_eq!(net.clients[client].dtls, [[22, 1], [22, 2]]);
}

#[test]
fn a_flight_beyond_the_allowance_waits_until_more_has_come() {
    let mut net = Net::new();
    let client = net.open(CM);
    net.clients[client].answers = false;
    net.check(client, true);
    net.run(10);
    net.say_dtls(client);
    net.run(10);
    let peer = net.clients[client].id;
    let flight = vec![vec![22; 600]; 4];
    net.command(Command::SendDtls {
        peer,
        datagrams: flight,
    })
    .unwrap();
    net.run(10);
    let first = net.clients[client].dtls.len();
    assert!(first < 4, "{first}");
    for _ in 0..10 {
        net.say_dtls(client);
        net.run(10);
    }
    assert_eq!(net.clients[client].dtls.len(), 4);
}

#[test]
fn a_flood_of_dtls_is_cut_off_before_the_control_plane() {
    let mut net = Net::new();
    let client = net.open(CM);
    net.check(client, true);
    net.run(10);
    for _ in 0..1_000 {
        net.say_dtls(client);
        net.run(1);
    }
    let told = net
        .events
        .iter()
        .filter(|event| matches!(event, Event::Dtls { .. }))
        .count();
    assert!((50..=85).contains(&told), "{told}");
    let counters = net.relay.counters();
    assert_eq!(counters.dtls_forwarded + counters.dtls_drop_budget, 1_000);
}

#[test]
fn media_follows_a_client_whose_address_changed_once_it_has_answered() {
    let mut net = Net::new();
    let (speaker, listener) = (net.connect(CM), net.connect(CM));
    net.publish_audio(speaker, 1, 0xa);
    let ssrc = net.subscribe(listener, 1, 1);
    net.speak(speaker, 0xa, b"at home");
    net.run(1_500);
    net.clients[listener].address = address(200, 1_234);
    net.speak(speaker, 0xa, b"lost on the way");
    net.run(20);
    let questions = net.clients[listener].questions;
    net.check(listener, true);
    net.run(20);
    assert_eq!(net.clients[listener].questions, questions + 1);
    net.speak(speaker, 0xa, b"on the road");
    net.run(20);
    let heard: Vec<_> = net.clients[listener]
        .heard(ssrc)
        .iter()
        .map(|p| p.payload.clone())
        .collect();
    assert_eq!(heard, [b"at home".to_vec(), b"on the road".to_vec()]);
    assert_eq!(net.relay.counters().paths_migrated, 1);
}

#[test]
fn a_publisher_is_heard_from_its_new_address_at_once() {
    let mut net = Net::new();
    let (speaker, listener) = (net.connect(CM), net.connect(CM));
    net.publish_audio(speaker, 1, 0xa);
    let ssrc = net.subscribe(listener, 1, 1);
    net.clients[speaker].address = address(201, 1_234);
    net.speak(speaker, 0xa, b"unknown");
    net.check(speaker, false);
    net.run(5);
    // What it seals is its own wherever it comes from; only what we send needs a proven address.
    net.speak(speaker, 0xa, b"known");
    net.run(5);
    let heard = net.clients[listener].heard(ssrc);
    assert_eq!(heard.len(), 1);
    assert_eq!(net.relay.counters().rtp_drop_stranger, 1);
}

#[test]
fn a_client_that_never_answers_gets_no_media_beyond_its_allowance() {
    let mut net = Net::new();
    let speaker = net.connect(CM);
    net.publish_audio(speaker, 1, 0xa);
    let mute = net.open(CM);
    net.clients[mute].answers = false;
    net.check(mute, true);
    net.run(10);
    net.say_dtls(mute);
    net.run(10);
    let keys = net.clients[mute].keys_command();
    net.command(keys).unwrap();
    net.subscribe(mute, 1, 1);
    for _ in 0..500 {
        net.speak(speaker, 0xa, &[1; 160]);
        net.run(20);
    }
    assert!(net.bytes_to(net.clients[mute].address) <= 3 * 400);
    assert!(net.relay.counters().rtp_skip_allowance > 400);
}
