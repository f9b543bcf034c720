//! Who gets which layer of a simulcast track: each subscriber what it chose, whatever the others chose.

mod support;

use conclave_relay_core::command::{Command, Encoding};
use conclave_relay_core::downtrack::Wish;
use conclave_relay_core::rtcp;
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{DowntrackId, LayerId, Ssrc};
use conclave_relay_core::vp8::Descriptor;
use support::{MID_ID, Net, RID_ID, VP8};

const RIDS: [&str; 3] = ["q", "h", "f"];
const PROFILE: Profile = Profile::AeadAes128Gcm;
const BEST: Wish = Wish {
    layer: None,
    paused: false,
    frame_rate: None,
    priority: 1,
};
const PAUSED: Wish = Wish {
    layer: None,
    paused: true,
    frame_rate: None,
    priority: 1,
};

fn up_to(layer: u8) -> Wish {
    Wish {
        layer: Some(LayerId(layer)),
        paused: false,
        frame_rate: None,
        priority: 1,
    }
}

/// One publisher of three layers, and viewers whose downtracks have their numbers.
struct Show {
    net: Net,
    sender: usize,
    viewers: Vec<(usize, Ssrc)>,
    /// By layer, the next picture's number; each layer counts from elsewhere.
    pictures: [u16; 3],
    /// Layers that the publisher sends.
    sends: [bool; 3],
    /// Answered requests for key frames.
    answered: usize,
    /// How many packets each viewer had got at the last look.
    seen: Vec<usize>,
}

impl Show {
    fn with_viewers(count: usize) -> Self {
        let mut net = Net::new();
        let sender = net.connect(PROFILE);
        let encodings = RIDS.iter().map(|rid| Encoding::Rid((*rid).to_owned()));
        net.publish_video(sender, 1, encodings.collect());
        let mut show = Show {
            net,
            sender,
            viewers: Vec::new(),
            pictures: [32_760, 90, 17_000],
            sends: [true; 3],
            answered: 0,
            seen: vec![0; count],
        };
        for number in 0..count {
            let viewer = show.net.connect(PROFILE);
            let ssrc = show.net.subscribe(viewer, 1, number as u64);
            show.viewers.push((viewer, ssrc));
        }
        show
    }

    fn wish(&mut self, viewer: usize, wish: Wish) {
        let downtrack = DowntrackId(viewer as u64);
        let command = Command::SetDowntrack { downtrack, wish };
        self.net.command(command).unwrap();
    }

    /// Lets the publisher run; it answers requests for key frames with the next frame.
    fn run(&mut self, frames: usize) {
        for _ in 0..frames {
            let asked: Vec<Ssrc> = self.asked()[self.answered..].to_vec();
            self.answered += asked.len();
            for layer in 0..RIDS.len() {
                if self.sends[layer] {
                    let key_frame =
                        self.pictures[layer].is_multiple_of(1_000) || asked.contains(&ssrc(layer));
                    self.frame(layer, key_frame);
                }
            }
            self.net.run(33);
        }
    }

    fn frame(&mut self, layer: usize, key_frame: bool) {
        let number = self.pictures[layer];
        self.pictures[layer] = (number + 1) & 0x7fff;
        let [high, low] = number.to_be_bytes();
        let mut payload = vec![0x90, 0xe0, high | 0x80, low, low, 0];
        payload.push(u8::from(!key_frame));
        payload.push(layer as u8);
        let extensions: [(u8, &[u8]); 2] = [(MID_ID, b"1"), (RID_ID, RIDS[layer].as_bytes())];
        let client = &mut self.net.clients[self.sender];
        let from = client.address;
        let sealed = client.rtp(ssrc(layer), VP8, 3_000, true, &extensions, &payload);
        self.net.send(from, sealed);
    }

    /// The SSRCs of all requests for key frames so far.
    fn asked(&self) -> Vec<Ssrc> {
        let asked = &self.net.clients[self.sender].feedback.picture_losses;
        asked.iter().map(|(_, media)| *media).collect()
    }

    /// The layers of what a viewer got since the last look.
    fn got(&mut self, viewer: usize) -> Vec<u8> {
        let (client, ssrc) = self.viewers[viewer];
        let heard = self.net.clients[client].heard(ssrc);
        let before = std::mem::replace(&mut self.seen[viewer], heard.len());
        heard[before..]
            .iter()
            .map(|p| *p.payload.last().unwrap())
            .collect()
    }

    /// A viewer got pictures without end, and after the first few since the last look all of one layer.
    fn assert_gets(&mut self, viewer: usize, layer: u8) {
        let got = self.got(viewer);
        assert!(got.len() > 25, "{got:?}");
        assert!(got[5..].iter().all(|each| *each == layer), "{got:?}");
    }

    /// All that a viewer ever got is whole: packets and pictures numbered without a gap.
    fn assert_whole(&self, viewer: usize) {
        let (client, ssrc) = self.viewers[viewer];
        let heard = self.net.clients[client].heard(ssrc);
        let numbers = |payload: &[u8]| Descriptor::parse(payload).unwrap().numbers;
        for pair in heard.windows(2) {
            assert_eq!(pair[1].index, pair[0].index + 1);
            let (before, after) = (numbers(&pair[0].payload), numbers(&pair[1].payload));
            assert_eq!(after.picture_id, (before.picture_id + 1) & 0x7fff);
            assert_eq!(after.tl0_index, before.tl0_index.wrapping_add(1));
        }
        assert_eq!(self.net.clients[client].broken, 0);
    }
}

fn ssrc(layer: usize) -> Ssrc {
    Ssrc(0xb0 + layer as u32)
}

#[test]
fn each_subscriber_gets_the_layer_it_chose_and_the_others_notice_nothing() {
    let mut show = Show::with_viewers(4);
    show.run(20);
    for viewer in 0..4 {
        show.got(viewer);
    }
    show.wish(1, up_to(0));
    show.wish(2, up_to(1));
    show.wish(3, up_to(9));
    show.run(30);
    assert_eq!(show.got(0), [2; 30], "who chose nothing gets the best");
    for (viewer, layer) in [(1, 0), (2, 1), (3, 2)] {
        show.assert_gets(viewer, layer);
    }
    show.wish(1, up_to(1));
    show.wish(2, BEST);
    show.run(30);
    for (viewer, layer) in [(0, 2), (1, 1), (2, 2), (3, 2)] {
        show.assert_gets(viewer, layer);
        show.assert_whole(viewer);
    }
}

#[test]
fn key_frames_are_asked_for_on_the_layer_that_is_waited_for_and_on_no_other() {
    let mut show = Show::with_viewers(3);
    show.run(60);
    let before = show.asked().len();
    show.wish(1, up_to(0));
    show.wish(2, up_to(1));
    show.run(30);
    let mut asked = show.asked().split_off(before);
    asked.sort();
    assert_eq!(asked, [ssrc(0), ssrc(1)]);
    show.wish(1, up_to(0));
    show.run(30);
    assert_eq!(
        show.asked().len(),
        before + 2,
        "the same wish again asks nothing"
    );
}

#[test]
fn a_wish_below_all_that_is_sent_gets_the_lowest_and_follows_what_comes_and_goes() {
    let mut show = Show::with_viewers(1);
    show.sends = [false, true, true];
    show.wish(0, up_to(0));
    show.run(30);
    show.assert_gets(0, 1);
    show.sends = [true, true, true];
    show.run(30);
    show.assert_gets(0, 0);
    show.sends = [false, false, true];
    show.run(90);
    assert_eq!(show.got(0).last(), Some(&2));
    show.assert_whole(0);
}

#[test]
fn a_pause_withholds_everything_without_a_hole_and_ends_with_a_key_frame() {
    let mut show = Show::with_viewers(2);
    show.run(30);
    show.got(0);
    show.wish(0, PAUSED);
    let asked = show.asked().len();
    show.run(60);
    let (client, ours) = show.viewers[0];
    show.net
        .report(client, |out| rtcp::write_picture_loss(out, Ssrc(1), ours));
    show.run(60);
    assert_eq!(show.got(0), [], "not a packet");
    assert_eq!(
        show.asked().len(),
        asked,
        "and nobody is asked for a key frame"
    );
    assert_eq!(show.net.relay.counters().rtp_skip_paused, 120 * 3);

    show.wish(0, up_to(1));
    assert_eq!(show.got(0), []);
    show.run(30);
    let got = show.got(0);
    assert!(
        got.len() >= 27 && got.iter().all(|layer| *layer == 1),
        "{got:?}"
    );
    for viewer in 0..2 {
        show.assert_whole(viewer);
    }
}

#[test]
fn who_joins_with_a_wish_never_gets_more_than_it() {
    let mut show = Show::with_viewers(1);
    show.run(30);
    let asked = show.asked().len();
    for (number, wish) in [(7, up_to(0)), (8, PAUSED)] {
        let viewer = show.net.connect(PROFILE);
        let mut spec = show.net.downtrack_spec(viewer, 1, number);
        spec.wish = wish;
        show.viewers.push((viewer, spec.ssrc));
        show.seen.push(0);
        let downtrack = DowntrackId(number);
        let command = Command::AddDowntrack { downtrack, spec };
        show.net.command(command).unwrap();
    }
    show.run(30);
    let got = show.got(1);
    assert!(
        got.len() > 25 && got.iter().all(|layer| *layer == 0),
        "{got:?}"
    );
    assert_eq!(show.got(2), []);
    assert_eq!(show.asked()[asked..], [ssrc(0)]);
}

#[test]
fn around_a_switch_what_plays_is_sent_again_as_the_same_bytes_and_what_was_before_is_not() {
    let mut show = Show::with_viewers(1);
    show.run(30);
    show.wish(0, up_to(0));
    show.run(10);
    let (client, ours) = show.viewers[0];
    let heard = show.net.clients[client].heard(ours);
    let last = &heard[heard.len() - 20..];
    let layers: Vec<u8> = last.iter().map(|p| *p.payload.last().unwrap()).collect();
    assert!(layers.contains(&0) && layers.contains(&2), "{layers:?}");
    let lost: Vec<u16> = last.iter().map(|packet| packet.header.sequence).collect();
    let nack = |out: &mut Vec<u8>| rtcp::write_nack(out, Ssrc(1), ours, &lost);
    show.net.report(client, nack);
    show.net.run(10);
    let to = show.net.clients[client].address;
    for (sequence, layer) in lost.iter().zip(layers) {
        let is_it = |bytes: &[u8]| bytes[1] & 0x7f == 101 && bytes[2..4] == sequence.to_be_bytes();
        let wire = show.net.wire.iter();
        let copies: Vec<_> = wire
            .filter(|(_, remote, bytes)| *remote == to && is_it(bytes))
            .map(|(_, _, bytes)| bytes)
            .collect();
        assert_eq!(copies.len(), if layer == 0 { 2 } else { 1 });
        assert_eq!(copies.first(), copies.last());
    }
}

#[test]
fn asking_for_what_was_before_a_switch_takes_nothing_from_what_plays() {
    let mut show = Show::with_viewers(1);
    show.run(30);
    show.wish(0, up_to(0));
    show.run(10);
    let (client, ours) = show.viewers[0];
    let heard = show.net.clients[client].heard(ours);
    let of = |layer: u8| -> Vec<u16> {
        let all = heard.iter();
        let of_layer = all.filter(|packet| packet.payload.last() == Some(&layer));
        of_layer.map(|packet| packet.header.sequence).collect()
    };
    let (before, plays) = (of(2), of(0));
    let lost = *plays.last().unwrap();
    // Far more often than there are resends in a second, as libwebrtc asks while a key frame is not whole.
    for _ in 0..12 {
        let nack = |out: &mut Vec<u8>| rtcp::write_nack(out, Ssrc(1), ours, &before);
        show.net.report(client, nack);
        show.net.run(25);
    }
    assert_eq!(show.net.relay.counters().nack_resent, 0);
    let nack = |out: &mut Vec<u8>| rtcp::write_nack(out, Ssrc(1), ours, &[lost]);
    show.net.report(client, nack);
    show.net.run(10);
    assert_eq!(show.net.relay.counters().nack_resent, 1);
}

#[test]
fn a_wish_for_a_downtrack_that_is_gone_is_refused() {
    let mut show = Show::with_viewers(1);
    let downtrack = DowntrackId(99);
    let command = Command::SetDowntrack {
        downtrack,
        wish: BEST,
    };
    let refused = show.net.command(command).unwrap_err();
    assert_eq!(refused.code(), "unknown_downtrack");
}

#[test]
fn layers_that_are_announced_by_their_ssrcs_alone_are_told_apart_by_them() {
    let mut net = Net::new();
    let sender = net.connect(PROFILE);
    // In the order of the group that announced them, which is not that of their numbers.
    let announced = [Ssrc(30), Ssrc(10), Ssrc(20)];
    net.publish_video(sender, 1, announced.map(Encoding::Ssrc).to_vec());
    let viewers: Vec<(usize, Ssrc)> = (0..3u8)
        .map(|layer| {
            let viewer = net.connect(PROFILE);
            let ssrc = net.subscribe(viewer, 1, u64::from(layer));
            let downtrack = DowntrackId(u64::from(layer));
            let wish = up_to(layer);
            net.command(Command::SetDowntrack { downtrack, wish })
                .unwrap();
            (viewer, ssrc)
        })
        .collect();
    for number in 0..60 {
        for (layer, ssrc) in announced.iter().enumerate() {
            // Nothing but the SSRC says which layer it is.
            let payload = [0x10, u8::from(number % 30 != 0), 0, 0, 0x9d, layer as u8];
            let client = &mut net.clients[sender];
            let sealed = client.rtp(*ssrc, VP8, 3_000, true, &[], &payload);
            let from = client.address;
            net.send(from, sealed);
        }
        net.run(33);
    }
    for (layer, (viewer, ssrc)) in viewers.into_iter().enumerate() {
        let heard = net.clients[viewer].heard(ssrc);
        let late = &heard[heard.len() - 20..];
        assert!(late.iter().all(|got| got.payload[5] == layer as u8));
    }
}
