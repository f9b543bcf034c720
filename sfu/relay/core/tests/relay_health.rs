//! How well packets go to and from a peer is told where it changes, in both directions apart.

mod support;

use conclave_relay_core::event::{Condition, Event};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::Ssrc;
use conclave_relay_core::{Limits, rtcp};
use support::Net;

const PROFILE: Profile = Profile::AeadAes128Gcm;
const VOICE: u32 = 0xa;
/// Towards the listener.
const OURS: Ssrc = Ssrc(0xd000_0001);

/// A speaker and a listener.
struct Talk {
    net: Net,
    speaker: usize,
    listener: usize,
    /// What the listener says it missed, in 256ths.
    misses: u8,
}

impl Talk {
    fn new() -> Self {
        let mut net = Net::with(Limits::default(), 3);
        let (speaker, listener) = (net.connect(PROFILE), net.connect(PROFILE));
        net.publish_audio(speaker, 1, VOICE);
        net.subscribe(listener, 1, 1);
        Talk {
            net,
            speaker,
            listener,
            misses: 0,
        }
    }

    /// Talks for so many seconds; the silent ones of the two do not even answer checks.
    fn run(&mut self, seconds: u64, checks: [bool; 2]) {
        for second in 0..seconds {
            for (client, checks) in [self.speaker, self.listener].into_iter().zip(checks) {
                if checks && second % 4 == 0 {
                    self.net.check(client, true);
                }
            }
            for _ in 0..50 {
                self.net.speak(self.speaker, VOICE, &[7; 80]);
                self.net.run(20);
            }
            let media = &self.net.clients[self.listener].media;
            let highest = media.last().map_or(0, |received| received.index as u32);
            let block = rtcp::ReportBlock {
                ssrc: OURS,
                fraction_lost: self.misses,
                cumulative_lost: 0,
                highest_sequence: highest,
                jitter: 0,
                last_sr: 0,
                delay_since_last_sr: 0,
            };
            self.net.report(self.listener, |out| {
                rtcp::write_receiver_report(out, OURS, &[block]);
            });
        }
    }

    /// What was told of a client, oldest first.
    fn told(&self, client: usize) -> Vec<Condition> {
        let id = self.net.clients[client].id;
        let told = self.net.events.iter().filter_map(|event| match event {
            Event::Health { peer, condition } if *peer == id => Some(*condition),
            _ => None,
        });
        told.collect()
    }

    fn last(&self, client: usize) -> Condition {
        *self.told(client).last().unwrap()
    }
}

#[test]
fn losses_are_told_of_the_direction_in_which_they_are() {
    let mut talk = Talk::new();
    talk.run(20, [true; 2]);
    assert_eq!(talk.last(talk.speaker).loss_up, Some(0));
    assert_eq!(talk.last(talk.listener).loss_down, Some(0));
    assert!(talk.last(talk.listener).round_trip.is_some());
    let quiet = talk.net.events.len();
    talk.run(20, [true; 2]);
    let since = &talk.net.events[quiet..];
    let told = since.iter().filter(|e| matches!(e, Event::Health { .. }));
    assert_eq!(told.count(), 0, "nothing changed");

    talk.net.impairment.only = Some(talk.net.clients[talk.speaker].address);
    talk.net.impairment.loss = 200;
    talk.misses = 26;
    talk.run(20, [true; 2]);
    let up = talk.last(talk.speaker).loss_up.unwrap();
    assert!((12..=28).contains(&up), "{up} %");
    let down = talk.last(talk.listener).loss_down.unwrap();
    assert!((9..=11).contains(&down), "{down} %");
    assert_eq!(
        talk.last(talk.speaker).loss_down,
        None,
        "it is sent nothing"
    );
}

#[test]
fn who_answers_no_more_is_said_to_be_silent_before_consent_is_lost() {
    let mut talk = Talk::new();
    talk.run(10, [true; 2]);
    assert!(!talk.last(talk.listener).silent);
    talk.run(20, [true, false]);
    assert!(talk.last(talk.listener).silent);
    assert!(!talk.last(talk.speaker).silent);
    let lost = |event: &Event| matches!(event, Event::ConsentLost { .. });
    assert!(!talk.net.events.iter().any(lost));
    talk.run(4, [true; 2]);
    talk.run(4, [true; 2]);
    assert!(!talk.last(talk.listener).silent, "it came back");
}
