//! Packets to a subscriber are numbered across its streams, for transport-wide feedback.
mod support;

use conclave_relay_core::command::{Command, DowntrackRepair, Encoding, RepairFormat};
use conclave_relay_core::rtcp;
use conclave_relay_core::rtp::{Extension, ExtensionMap};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{DowntrackId, PayloadType, Ssrc};
use support::{LEVEL_ID, Net};

const VOICE: u32 = 11;
const CAMERA: u32 = 22;
const SOUND: Ssrc = Ssrc(0xd000_0001);
const PICTURE: Ssrc = Ssrc(0xd000_0002);
const REPAIR: Ssrc = Ssrc(0xe000_0002);

/// A speaker with a camera, and a viewer of both.
struct Call {
    net: Net,
    speaker: usize,
    viewer: usize,
}

impl Call {
    /// `extensions`: as the viewer numbers them.
    fn new(repair: bool, extensions: ExtensionMap) -> Self {
        let mut net = Net::new();
        let profile = Profile::AeadAes128Gcm;
        let (speaker, viewer) = (net.connect(profile), net.connect(profile));
        net.publish_audio(speaker, 1, VOICE);
        net.publish_video(speaker, 2, vec![Encoding::Ssrc(Ssrc(CAMERA))]);
        for track in [1, 2] {
            let mut spec = net.downtrack_spec(viewer, track, track);
            spec.extensions = extensions.clone();
            spec.repair = (repair && track == 2).then(|| DowntrackRepair {
                ssrc: REPAIR,
                formats: vec![RepairFormat {
                    payload_type: PayloadType(102),
                    repairs: PayloadType(101),
                }],
            });
            let downtrack = DowntrackId(track);
            net.command(Command::AddDowntrack { downtrack, spec })
                .unwrap();
        }
        Call {
            net,
            speaker,
            viewer,
        }
    }

    /// The viewer asks now and then for the last packet of each stream again.
    fn run(&mut self) {
        for step in 0..200 {
            self.net.speak(self.speaker, VOICE, b"sound");
            self.net.show(self.speaker, CAMERA, step == 0, &[]);
            self.net.run(20);
            if step % 10 == 9 {
                for media in [SOUND, PICTURE] {
                    let heard = self.net.clients[self.viewer].heard(media);
                    let last = heard.last().unwrap().header.sequence;
                    self.net.report(self.viewer, |out| {
                        rtcp::write_receiver_report(out, Ssrc(1), &[]);
                        rtcp::write_nack(out, Ssrc(1), media, &[last]);
                    });
                }
                self.net.run(1);
            }
        }
    }

    fn numbers(&self) -> Vec<Option<u16>> {
        let media = &self.net.clients[self.viewer].media;
        media.iter().map(|received| received.number).collect()
    }
}

fn all() -> ExtensionMap {
    support::extensions()
}

#[test]
fn numbers_run_on_across_streams_and_retransmissions() {
    let mut call = Call::new(true, all());
    call.run();
    let numbers = call.numbers();
    assert_eq!(numbers.len(), 200 + 200 + 20);
    let first = numbers[0].unwrap();
    let expected = (0..420).map(|step| Some(first.wrapping_add(step)));
    assert!(numbers.iter().copied().eq(expected));
    assert_eq!(call.net.clients[call.viewer].heard(REPAIR).len(), 20);
}

#[test]
fn a_packet_sent_again_on_its_own_stream_is_the_very_same_bytes_with_its_old_number() {
    let mut call = Call::new(false, all());
    call.run();
    let numbers = call.numbers();
    let first = numbers[0].unwrap();
    let expected = (0..400).map(|step| Some(first.wrapping_add(step)));
    assert!(numbers.iter().copied().eq(expected));
    // The viewer's replay window refused each that it had.
    assert_eq!(call.net.clients[call.viewer].replayed, 40);
    assert_eq!(call.net.clients[call.viewer].broken, 0);
}

#[test]
fn transports_do_not_begin_at_the_same_number() {
    let first = |seed| {
        let mut net = Net::with(Default::default(), seed);
        let profile = Profile::AeadAes128Gcm;
        let (speaker, viewer) = (net.connect(profile), net.connect(profile));
        net.publish_audio(speaker, 1, VOICE);
        let mut spec = net.downtrack_spec(viewer, 1, 1);
        spec.extensions = all();
        let downtrack = DowntrackId(1);
        net.command(Command::AddDowntrack { downtrack, spec })
            .unwrap();
        net.speak(speaker, VOICE, b"sound");
        net.run(20);
        net.clients[viewer].media[0].number.unwrap()
    };
    assert_ne!(first(1), first(2));
}

#[test]
fn who_did_not_negotiate_numbers_gets_none() {
    let level = ExtensionMap::from_pairs([(LEVEL_ID, Extension::AudioLevel)]);
    let mut call = Call::new(true, level);
    call.run();
    assert!(call.numbers().iter().all(Option::is_none));
}
