//! ICE restarts of living peers: names and passwords change, nothing else does (RFC 8445 section 9, DESIGN 2.4).

mod support;

use conclave_relay_core::command::{Command, CommandError, IceCredentials};
use conclave_relay_core::limits::{Defences, Limits};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::stun::Class;
use conclave_relay_core::units::Ssrc;
use support::client::binding_request;
use support::{Net, address};

const GCM: Profile = Profile::AeadAes128Gcm;

fn fresh(side: &str, generation: u64) -> IceCredentials {
    IceCredentials {
        ufrag: format!("{side}-{generation}"),
        password: format!("{side}-password-of-generation-{generation}"),
    }
}

/// A speaker and a listener, and the listener's SSRC for what is said.
fn call(net: &mut Net) -> (usize, usize, Ssrc) {
    let (speaker, listener) = (net.connect(GCM), net.connect(GCM));
    net.publish_audio(speaker, 1, 0xa);
    let ssrc = net.subscribe(listener, 1, 1);
    (speaker, listener, ssrc)
}

/// The relay is told; the client is not yet.
fn restart(net: &mut Net, at: usize, generation: u64) -> Result<(), CommandError> {
    let peer = net.clients[at].id;
    net.command(Command::RestartIce {
        peer,
        local: fresh("server", generation),
        remote: fresh("client", generation),
    })
}

/// The client hears of it.
fn adopt(net: &mut Net, at: usize, generation: u64) {
    net.clients[at].server = fresh("server", generation);
    net.clients[at].own = fresh("client", generation);
}

fn old_check(net: &mut Net, at: usize) -> Vec<u8> {
    net.clients[at].binding_request(true)
}

fn speak(net: &mut Net, at: usize, words: u8) {
    for word in 0..words {
        net.speak(at, 0xa, &[word; 80]);
        net.run(20);
    }
}

#[test]
fn a_call_goes_on_through_a_restart_without_a_lost_packet() {
    let mut net = Net::new();
    let (speaker, listener, ssrc) = call(&mut net);
    speak(&mut net, speaker, 10);
    let fresh = [(speaker, 2), (listener, 3)];
    for (at, generation) in fresh {
        restart(&mut net, at, generation).unwrap();
    }
    speak(&mut net, speaker, 10);
    for (at, generation) in fresh {
        adopt(&mut net, at, generation);
        net.check(at, true);
    }
    speak(&mut net, speaker, 10);
    let heard = net.clients[listener].heard(ssrc);
    assert_eq!(heard.len(), 30);
    assert!(
        heard
            .windows(2)
            .all(|pair| pair[1].index == pair[0].index + 1)
    );
    assert_eq!(net.clients[listener].broken, 0);
}

#[test]
fn the_old_credentials_are_answered_until_the_new_ones_were_used_and_never_again() {
    let mut net = Net::new();
    let client = net.connect(GCM);
    restart(&mut net, client, 2).unwrap();
    let answers = net.clients[client].stun_answers.len();
    net.check(client, true);
    net.run(10);
    assert_eq!(net.clients[client].stun_answers.len(), answers + 1);
    let late = old_check(&mut net, client);
    adopt(&mut net, client, 2);
    net.check(client, true);
    net.run(10);
    assert_eq!(net.clients[client].stun_answers.len(), answers + 2);
    let from = net.clients[client].address;
    net.send(from, late);
    net.run(10);
    assert_eq!(net.clients[client].stun_answers.len(), answers + 2);
    assert_eq!(net.relay.counters().stun_drop_unknown_user, 1);
}

#[test]
fn the_new_name_with_the_old_password_gets_no_reply_and_ends_nothing() {
    let mut net = Net::new();
    let client = net.connect(GCM);
    let old = net.clients[client].server.password.clone();
    restart(&mut net, client, 2).unwrap();
    let forged = binding_request("server-2:client-2", &old, [9; 12], true, true);
    let from = net.clients[client].address;
    let answers = net.clients[client].stun_answers.len();
    net.send(from, forged);
    net.run(10);
    assert_eq!(net.relay.counters().stun_drop_integrity, 1);
    net.check(client, true);
    net.run(10);
    assert_eq!(net.clients[client].stun_answers.len(), answers + 1);
    assert_eq!(
        net.clients[client].stun_answers.last(),
        Some(&(Class::Success, None))
    );
}

/// The listener's client moves with a restart to an address that answers nothing; words heard there.
fn heard_by_one_who_never_answers(defences: Defences) -> (usize, usize) {
    let limits = Limits {
        defences,
        ..Limits::default()
    };
    let mut net = Net::with(limits, 1);
    let (speaker, listener, ssrc) = call(&mut net);
    restart(&mut net, listener, 2).unwrap();
    adopt(&mut net, listener, 2);
    let elsewhere = address(77, 50_000);
    net.clients[listener].address = elsewhere;
    net.clients[listener].answers = false;
    net.check(listener, true);
    speak(&mut net, speaker, 20);
    let heard = net.clients[listener].heard(ssrc).len();
    (heard, net.bytes_to(elsewhere))
}

#[test]
fn a_restart_proves_a_password_and_no_address() {
    let (weak, _) = heard_by_one_who_never_answers(Defences::without_questions());
    assert_eq!(weak, 20, "media would go wherever a restart points");
    let (shipped, bytes) = heard_by_one_who_never_answers(Defences::default());
    assert_eq!(shipped, 0);
    // One check was sent from there: three times its size is all that may come back.
    assert!(
        bytes <= 3 * 150,
        "{bytes} bytes to an address that proved nothing"
    );
}

#[test]
fn media_follows_a_restart_to_another_address_once_it_has_answered() {
    let mut net = Net::new();
    let (speaker, listener, ssrc) = call(&mut net);
    speak(&mut net, speaker, 5);
    restart(&mut net, listener, 2).unwrap();
    adopt(&mut net, listener, 2);
    net.clients[listener].address = address(77, 50_000);
    net.check(listener, true);
    net.run(50);
    speak(&mut net, speaker, 20);
    assert_eq!(net.clients[listener].heard(ssrc).len(), 25);
}

#[test]
fn the_relay_questions_a_new_address_under_the_new_credentials_only() {
    let mut net = Net::new();
    let client = net.connect(GCM);
    restart(&mut net, client, 2).unwrap();
    adopt(&mut net, client, 2);
    net.clients[client].address = address(78, 50_000);
    net.clients[client].questions = 0;
    net.check(client, true);
    net.run(100);
    // The client takes only questions that are addressed to its new name under its new password.
    assert_eq!(net.clients[client].questions, 1);
    assert!(net.relay.counters().challenges_answered > 0);
}

#[test]
fn a_restart_that_nobody_used_is_replaced_by_the_next() {
    let mut net = Net::new();
    let client = net.connect(GCM);
    restart(&mut net, client, 2).unwrap();
    restart(&mut net, client, 3).unwrap();
    let from = net.clients[client].address;
    let second = binding_request(
        "server-2:client-2",
        &fresh("server", 2).password,
        [9; 12],
        true,
        true,
    );
    net.send(from, second);
    net.run(10);
    assert_eq!(net.relay.counters().stun_drop_unknown_user, 1);
    adopt(&mut net, client, 3);
    let answers = net.clients[client].stun_answers.len();
    net.check(client, true);
    net.run(10);
    assert_eq!(net.clients[client].stun_answers.len(), answers + 1);
}

#[test]
fn names_in_use_are_refused_and_those_of_a_closed_peer_are_free_again() {
    let mut net = Net::new();
    let (one, other) = (net.connect(GCM), net.connect(GCM));
    restart(&mut net, one, 2).unwrap();
    assert_eq!(restart(&mut net, other, 2), Err(CommandError::Duplicate));
    let peer = net.clients[one].id;
    net.command(Command::ClosePeer { peer }).unwrap();
    assert_eq!(restart(&mut net, one, 3), Err(CommandError::UnknownPeer));
    restart(&mut net, other, 2).unwrap();
}
