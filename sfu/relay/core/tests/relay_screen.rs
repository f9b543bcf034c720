//! A screen in one layer over a narrow link: its large first picture comes through, and padding is no picture.
mod support;

use std::time::Duration;

use conclave_relay_core::command::{Command, Encoding};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{DowntrackId, Ssrc, Time};
use conclave_relay_core::{Event, Limits};
use support::{Bottleneck, Net, VP8};

const PROFILE: Profile = Profile::AeadAes128Gcm;
const SCREEN: Ssrc = Ssrc(10);
/// Bytes of payload.
const PACKET: usize = 1_100;

/// A publisher of one screen and a viewer behind a narrow link, who tells what arrives.
struct Share {
    net: Net,
    publisher: usize,
    viewer: usize,
    seen: Ssrc,
    /// Packets of a key frame.
    large: usize,
    answered: usize,
    wanted: bool,
    since: u64,
}

impl Share {
    /// `rate`: bit/s of the link.
    fn new(rate: u64, depth: Duration, large: usize) -> Self {
        let mut net = Net::with(Limits::default(), 3);
        let publisher = net.connect(PROFILE);
        net.publish_video(publisher, 1, vec![Encoding::Ssrc(SCREEN)]);
        let viewer = net.connect(PROFILE);
        net.impairment.delay = 20;
        let link = Bottleneck::new(rate, depth);
        net.bottlenecks.insert(net.clients[viewer].address, link);
        net.clients[viewer].tells_arrivals = true;
        let mut spec = net.downtrack_spec(viewer, 1, 1);
        spec.extensions = support::extensions();
        let seen = spec.ssrc;
        let downtrack = DowntrackId(1);
        net.command(Command::AddDowntrack { downtrack, spec })
            .unwrap();
        Share {
            net,
            publisher,
            viewer,
            seen,
            large,
            answered: 0,
            wanted: true,
            since: 0,
        }
    }

    /// Runs on, with so many packets of padding in each of thirty frames a second. Nothing moves on the screen, so a
    /// picture is small unless somebody asked for a key frame.
    fn run(&mut self, millis: u64, padding: usize) {
        let end = self.net.now + Duration::from_millis(millis);
        while self.net.now < end {
            let asked = self.net.clients[self.publisher]
                .feedback
                .picture_losses
                .len();
            self.wanted |= asked > std::mem::replace(&mut self.answered, asked);
            // An encoder takes no more than one request every 300 ms.
            let begins = self.wanted && self.since >= 9;
            self.since = if begins { 0 } else { self.since + 1 };
            self.wanted &= !begins;
            let packets = if begins { self.large } else { 1 };
            for at in 0..packets {
                let start = if at == 0 { 0x10 } else { 0 };
                let mut payload = vec![start, u8::from(!begins), 0, 0, 0x9d, 0x01, 0x2a];
                payload.resize(if begins { PACKET } else { 40 }, 7);
                self.send(if at == 0 { 3_000 } else { 0 }, at + 1 == packets, &payload);
            }
            (0..padding).for_each(|_| self.send(0, false, &[]));
            self.net.run(33);
        }
    }

    fn send(&mut self, ticks: u32, marker: bool, payload: &[u8]) {
        let client = &mut self.net.clients[self.publisher];
        let sealed = client.rtp(SCREEN, VP8, ticks, marker, &[], payload);
        let from = client.address;
        self.net.send(from, sealed);
    }

    /// When a key frame was there whole for the first time.
    fn whole_at(&self) -> Option<Time> {
        let heard = self.net.clients[self.viewer].heard(self.seen);
        let mut packets = 0;
        heard.into_iter().find_map(|received| {
            let begins = received.payload.first() == Some(&0x10);
            packets = if begins { 1 } else { packets + 1 };
            (packets == self.large && received.header.marker).then_some(received.at)
        })
    }

    fn was_withheld(&self) -> bool {
        let mut events = self.net.events.iter();
        events.any(|event| matches!(event, Event::Withheld { withheld: true, .. }))
    }
}

#[test]
fn a_first_picture_too_large_for_the_estimate_comes_through_as_fast_as_the_link_takes_it() {
    // 330 kB: 6.6 s at this rate.
    let mut share = Share::new(400_000, Duration::from_secs(8), 300);
    // Long enough for the link to be thought of.
    share.net.run(300);
    let began = share.net.now;
    share.run(12_000, 0);
    let whole = share.whole_at().map(|at| at.since(began));
    assert!(
        whole.is_some_and(|after| after < Duration::from_secs(9)),
        "{whole:?}"
    );
    assert_eq!(share.net.relay.counters().rtp_skip_overdue, 0);
}

#[test]
fn what_a_publisher_pads_with_takes_no_room_on_anybodys_link() {
    let mut share = Share::new(500_000, Duration::from_millis(300), 20);
    share.run(3_000, 0);
    // 120 packets a frame with their headers: some 2.5 Mbit/s.
    share.run(20_000, 120);
    let counters = share.net.relay.counters();
    assert!(counters.rtp_skip_padding > 50_000);
    assert!(!share.was_withheld());
    let since = share.net.now;
    share.run(2_000, 120);
    let heard = share.net.clients[share.viewer].heard(share.seen);
    let late = heard.iter().filter(|received| received.at > since).count();
    assert!(late >= 55, "{late} of 60 pictures");
}
