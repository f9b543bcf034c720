//! Downtracks that outlive their tracks: the next one is carried in the same stream (DESIGN 2.7, 2.8).

mod support;

use conclave_relay_core::command::{Command, CommandError, Encoding, PayloadFormat};
use conclave_relay_core::rtcp;
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{Codec, DowntrackId, PayloadType, Ssrc, TrackId};
use support::Net;
use support::client::Received;

const GCM: Profile = Profile::AeadAes128Gcm;

/// A viewer with one standing stream of that track.
fn view(net: &mut Net, viewer: usize, track: u64) -> Ssrc {
    let mut spec = net.downtrack_spec(viewer, track, 1);
    spec.stands = true;
    let ssrc = spec.ssrc;
    let downtrack = DowntrackId(1);
    net.command(Command::AddDowntrack { downtrack, spec })
        .unwrap();
    ssrc
}

fn switch(net: &mut Net, track: Option<u64>) -> Result<(), CommandError> {
    let formats = [(100, Codec::Opus), (101, Codec::Vp8)];
    net.command(Command::SwitchDowntrack {
        downtrack: DowntrackId(1),
        track: track.map(TrackId),
        formats: formats
            .map(|(number, codec)| PayloadFormat {
                payload_type: PayloadType(number),
                codec,
            })
            .to_vec(),
    })
}

fn speak(net: &mut Net, at: usize, ssrc: u32, word: u8) {
    for _ in 0..10 {
        net.speak(at, ssrc, &[word; 80]);
        net.run(20);
    }
}

fn words(heard: &[&Received]) -> Vec<u8> {
    let mut words: Vec<u8> = heard.iter().map(|packet| packet.payload[0]).collect();
    words.dedup();
    words
}

fn one_stream(heard: &[&Received]) -> bool {
    heard.windows(2).all(|pair| {
        let step = pair[1]
            .header
            .timestamp
            .wrapping_sub(pair[0].header.timestamp);
        pair[1].index == pair[0].index + 1 && step > 0 && step < 1 << 31
    })
}

#[test]
fn a_track_that_ends_leaves_its_stream_to_the_next_one_without_goodbye() {
    let mut net = Net::new();
    let (ada, bob, viewer) = (net.connect(GCM), net.connect(GCM), net.connect(GCM));
    net.publish_audio(ada, 1, 0xa);
    net.publish_audio(bob, 2, 0xb);
    let ssrc = view(&mut net, viewer, 1);
    speak(&mut net, ada, 0xa, 1);
    let peer = net.clients[ada].id;
    net.command(Command::ClosePeer { peer }).unwrap();
    speak(&mut net, bob, 0xb, 2);
    net.run(1_000);
    switch(&mut net, Some(2)).unwrap();
    speak(&mut net, bob, 0xb, 3);
    let heard = net.clients[viewer].heard(ssrc);
    assert_eq!(words(&heard), [1, 3]);
    assert!(one_stream(&heard));
    assert_eq!(net.clients[viewer].feedback.byes, []);
    assert_eq!(net.clients[viewer].replayed + net.clients[viewer].broken, 0);
}

#[test]
fn a_stream_changes_between_living_tracks_and_can_rest() {
    let mut net = Net::new();
    let (ada, bob, viewer) = (net.connect(GCM), net.connect(GCM), net.connect(GCM));
    net.publish_audio(ada, 1, 0xa);
    net.publish_audio(bob, 2, 0xb);
    let ssrc = view(&mut net, viewer, 1);
    for (track, word) in [(Some(1), 1), (Some(2), 2), (None, 3), (Some(1), 4)] {
        switch(&mut net, track).unwrap();
        for _ in 0..10 {
            net.speak(ada, 0xa, &[word; 80]);
            net.speak(bob, 0xb, &[word + 100; 80]);
            net.run(20);
        }
    }
    let heard = net.clients[viewer].heard(ssrc);
    assert_eq!(words(&heard), [1, 102, 4]);
    assert!(one_stream(&heard));
}

#[test]
fn a_picture_goes_over_at_a_key_frame_that_the_relay_asks_for() {
    let mut net = Net::new();
    let (ada, bob, viewer) = (net.connect(GCM), net.connect(GCM), net.connect(GCM));
    net.publish_video(ada, 1, vec![Encoding::Ssrc(Ssrc(0xa))]);
    net.publish_video(bob, 2, vec![Encoding::Ssrc(Ssrc(0xb))]);
    let ssrc = view(&mut net, viewer, 1);
    net.show(ada, 0xa, true, &[]);
    net.show(bob, 0xb, true, &[]);
    net.run(1_000);
    let before = net.clients[bob].feedback.picture_losses.len();
    switch(&mut net, Some(2)).unwrap();
    net.run(50);
    assert_eq!(net.clients[bob].feedback.picture_losses.len(), before + 1);
    net.show(bob, 0xb, false, &[]);
    net.run(50);
    assert_eq!(net.clients[viewer].heard(ssrc).len(), 1);
    net.show(bob, 0xb, true, &[]);
    net.run(50);
    let heard = net.clients[viewer].heard(ssrc);
    assert_eq!(heard.len(), 2);
    assert!(one_stream(&heard));
}

#[test]
fn nothing_of_the_old_track_is_sent_again_after_a_change() {
    let mut net = Net::new();
    let (ada, bob, viewer) = (net.connect(GCM), net.connect(GCM), net.connect(GCM));
    net.publish_audio(ada, 1, 0xa);
    net.publish_audio(bob, 2, 0xb);
    let ssrc = view(&mut net, viewer, 1);
    speak(&mut net, ada, 0xa, 1);
    let last = net.clients[viewer]
        .heard(ssrc)
        .last()
        .unwrap()
        .header
        .sequence;
    let nack = |out: &mut Vec<u8>| {
        rtcp::write_receiver_report(out, Ssrc(9), &[]);
        rtcp::write_nack(out, Ssrc(9), ssrc, &[last]);
    };
    net.report(viewer, nack);
    net.run(50);
    assert_eq!(net.relay.counters().nack_resent, 1, "it can be asked for");
    switch(&mut net, Some(2)).unwrap();
    speak(&mut net, bob, 0xb, 2);
    net.report(viewer, nack);
    net.run(50);
    assert_eq!(net.relay.counters().nack_resent, 1);
    assert_eq!(
        net.clients[viewer].replayed, 1,
        "the one that was asked for"
    );
}

#[test]
fn what_cannot_be_carried_is_refused_and_the_stream_goes_on() {
    let mut net = Net::new();
    let (ada, viewer) = (net.connect(GCM), net.connect(GCM));
    net.publish_audio(ada, 1, 0xa);
    net.publish_video(ada, 2, vec![Encoding::Ssrc(Ssrc(0xb))]);
    let ssrc = view(&mut net, viewer, 1);
    assert_eq!(switch(&mut net, Some(2)), Err(CommandError::NoCommonFormat));
    assert_eq!(switch(&mut net, Some(3)), Err(CommandError::UnknownTrack));
    speak(&mut net, ada, 0xa, 1);
    assert_eq!(net.clients[viewer].heard(ssrc).len(), 10);
}

#[test]
fn a_standing_stream_without_a_track_goes_with_its_viewer() {
    let mut net = Net::new();
    let (ada, viewer) = (net.connect(GCM), net.connect(GCM));
    net.publish_audio(ada, 1, 0xa);
    let ssrc = view(&mut net, viewer, 1);
    let track = TrackId(1);
    net.command(Command::RemoveTrack { track }).unwrap();
    // What a viewer may say of a stream that carries nothing.
    net.report(viewer, |out| {
        rtcp::write_receiver_report(out, Ssrc(9), &[]);
        rtcp::write_picture_loss(out, Ssrc(9), ssrc);
        rtcp::write_nack(out, Ssrc(9), ssrc, &[7]);
    });
    net.run(10_000);
    assert_eq!(net.relay.counters().downtracks_now, 1);
    let peer = net.clients[viewer].id;
    net.command(Command::ClosePeer { peer }).unwrap();
    assert_eq!(net.relay.counters().downtracks_now, 0);
    assert_eq!(switch(&mut net, None), Err(CommandError::UnknownDowntrack));
}
