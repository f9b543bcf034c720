//! Who says nothing and is told nothing is looked at less often, which nobody notices: what comes after a silence is
//! answered as quickly as what comes in the middle of a call.

mod support;

use std::time::Duration;

use conclave_relay_core::command::{Command, Encoding};
use conclave_relay_core::event::Event;
use conclave_relay_core::rtcp;
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{Ssrc, Time};
use support::Net;

const PROFILE: Profile = Profile::AeadAes128Gcm;
const PICTURE: u32 = 0xb;
/// What a tick, and the network of the tests, may add.
const MARGIN: u64 = 60;

/// A camera and somebody who looks, both silent for longer than anything remembers.
fn after_a_silence() -> (Net, usize, usize, Ssrc) {
    let mut net = Net::new();
    let (camera, viewer) = (net.connect(PROFILE), net.connect(PROFILE));
    net.publish_video(camera, 1, vec![Encoding::Ssrc(Ssrc(PICTURE))]);
    let ours = net.subscribe(viewer, 1, 1);
    show(&mut net, camera, true);
    net.run(100);
    silence(&mut net, 12_000);
    (net, camera, viewer, ours)
}

/// Nothing but the checks by which both say that they are there.
fn silence(net: &mut Net, millis: u64) {
    for part in 0..millis.div_ceil(4_000) {
        for client in 0..net.clients.len() {
            net.check(client, true);
        }
        net.run((millis - part * 4_000).min(4_000));
    }
}

fn show(net: &mut Net, camera: usize, key_frame: bool) {
    let number = net.clients[camera].next_transport_sequence();
    let extensions: &[(u8, &[u8])] = &[(support::TWCC_ID, &number)];
    net.show(camera, PICTURE, key_frame, extensions);
}

/// Milliseconds until `done`, at most 2,000.
fn until(net: &mut Net, done: impl Fn(&Net) -> bool) -> u64 {
    for passed in 0..2_000 {
        if done(net) {
            return passed;
        }
        net.run(1);
    }
    2_000
}

#[test]
fn arrivals_are_told_of_as_soon_as_ever() {
    let (mut net, camera, _, _) = after_a_silence();
    for offset in (0..250).step_by(50) {
        silence(&mut net, 6_000 + offset);
        let told = net.relay.counters().transport_feedback_out;
        show(&mut net, camera, true);
        let waited = until(&mut net, |net| {
            net.relay.counters().transport_feedback_out > told
        });
        assert!(waited <= 50 + MARGIN, "{waited} ms at {offset}");
    }
}

#[test]
fn a_key_frame_is_asked_for_again_as_soon_as_ever() {
    let (mut net, _, viewer, ours) = after_a_silence();
    let asked = net.relay.counters().key_frame_requests_out;
    let report = |net: &mut Net| {
        net.report(viewer, |out| rtcp::write_picture_loss(out, Ssrc(1), ours));
    };
    report(&mut net);
    let first = until(&mut net, |net| {
        net.relay.counters().key_frame_requests_out > asked
    });
    assert!(first <= MARGIN, "{first} ms");
    let again = until(&mut net, |net| {
        net.relay.counters().key_frame_requests_out > asked + 1
    });
    assert!(again <= 500 + MARGIN, "{again} ms");
}

#[test]
fn a_picture_that_goes_on_reaches_who_waited() {
    let (mut net, camera, viewer, ours) = after_a_silence();
    let seen = net.clients[viewer].heard(ours).len();
    for _ in 0..10 {
        show(&mut net, camera, false);
        net.run(33);
    }
    assert_eq!(net.clients[viewer].heard(ours).len(), seen + 10);
}

#[test]
fn a_layer_that_does_not_come_back_is_left_for_one_that_does() {
    let mut net = Net::new();
    let (camera, viewer) = (net.connect(PROFILE), net.connect(PROFILE));
    let [low, high] = [PICTURE, PICTURE + 1];
    let encodings = [low, high].map(|ssrc| Encoding::Ssrc(Ssrc(ssrc)));
    net.publish_video(camera, 1, encodings.to_vec());
    let ours = net.subscribe(viewer, 1, 1);
    let play = |net: &mut Net, layers: &[u32], pictures: usize| {
        for _ in 0..pictures {
            for layer in layers {
                net.show(camera, *layer, true, &[]);
            }
            net.run(40);
        }
    };
    play(&mut net, &[low, high], 50);
    silence(&mut net, 12_000);
    play(&mut net, &[low], 50);
    let before = net.clients[viewer].heard(ours).len();
    play(&mut net, &[low], 25);
    assert_eq!(net.clients[viewer].heard(ours).len(), before + 25);
}

#[test]
fn the_end_of_authority_is_told_within_a_tick() {
    for offset in (0..250).step_by(50) {
        let (mut net, camera, _, _) = after_a_silence();
        let peer = net.clients[camera].id;
        let end = net.now + Duration::from_millis(3_000 + offset);
        let not_after = Some(end);
        net.command(Command::SetNotAfter { peer, not_after })
            .unwrap();
        net.run(3_000 + offset - 1);
        let told = |net: &Net| net.events.contains(&Event::Expired { peer });
        assert!(!told(&net));
        let waited = until(&mut net, told);
        assert!(waited <= MARGIN, "{waited} ms at {offset}");
    }
}

#[test]
fn consent_runs_out_after_thirty_seconds_all_the_same() {
    let (mut net, _, viewer, _) = after_a_silence();
    let peer = net.clients[viewer].id;
    net.check(viewer, true);
    let last: Time = net.now;
    for _ in 0..31 {
        net.check(0, true);
        net.run(1_000);
    }
    let lost = Event::ConsentLost { peer };
    assert!(net.events.contains(&lost), "at {:?}", net.now.since(last));
}
