//! A narrow link: the right layer soon, nobody else touched, and every packet counted.
mod support;

use std::time::Duration;

use conclave_relay_core::command::{Command, DowntrackRepair, Encoding, RepairFormat};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{DowntrackId, PayloadType, Ssrc, Time};
use conclave_relay_core::{Event, Limits};
use support::{Bottleneck, Net, VP8};

const PROFILE: Profile = Profile::AeadAes128Gcm;
const VOICE: Ssrc = Ssrc(5);
const LAYERS: [Ssrc; 3] = [Ssrc(10), Ssrc(11), Ssrc(12)];
/// As livekit-client has it for a camera of 720 lines, kbit/s.
const RATES: [usize; 3] = [160, 450, 1_700];
const FRAMES_A_SECOND: usize = 30;
/// Bytes of payload of a packet; the third byte says which layer.
const PACKET: usize = 1_100;
/// An encoder answers a key-frame request after so many milliseconds.
const ENCODER: u64 = 60;
const WIDE: u64 = 2_000_000;
const NARROW: u64 = 300_000;
/// Takes the sound and the lowest layer, and nothing beside them.
const TIGHT: u64 = 210_000;

/// One publisher of a voice and three layers, and viewers of both.
struct Show {
    net: Net,
    /// What differs between runs: delay, the size of key frames, the depth of the queue.
    seed: u64,
    publisher: usize,
    viewers: Vec<Viewer>,
    frame: u64,
    /// When each layer's encoder is to make a key frame.
    key_frame_at: [Option<Time>; 3],
    answered: usize,
    sent: [u64; 3],
    /// Nobody speaks.
    silent: bool,
}

struct Viewer {
    client: usize,
    picture: Ssrc,
    sound: Ssrc,
}

impl Show {
    fn new(seed: u64) -> Self {
        let mut net = Net::with(Limits::default(), seed);
        let publisher = net.connect(PROFILE);
        net.publish_audio(publisher, 1, VOICE.0);
        let encodings = LAYERS.map(Encoding::Ssrc).to_vec();
        net.publish_video(publisher, 2, encodings);
        net.impairment.delay = 10 + 7 * seed;
        let now = net.now;
        let mut show = Show {
            net,
            seed,
            publisher,
            viewers: Vec::new(),
            frame: 0,
            key_frame_at: [Some(now); 3],
            answered: 0,
            sent: [0; 3],
            silent: false,
        };
        // Encoders have found their rate before anybody looks.
        show.run(2_000);
        show
    }

    /// Whether the viewer tells when packets arrived, and how much its link takes.
    fn watch(&mut self, tells: bool, rate: Option<u64>) -> usize {
        let client = self.net.connect(PROFILE);
        self.net.impairment.delay = 10 + 7 * self.seed;
        let address = self.net.clients[client].address;
        if let Some(rate) = rate {
            // What routers at home hold.
            let depth = Duration::from_millis(150 + 60 * self.seed);
            let link = Bottleneck::new(rate, depth);
            self.net.bottlenecks.insert(address, link);
        }
        self.net.clients[client].tells_arrivals = tells;
        let at = self.viewers.len() as u64;
        let mut ssrcs = Vec::new();
        for track in [1, 2] {
            let number = at * 2 + track;
            let mut spec = self.net.downtrack_spec(client, track, number);
            if tells {
                spec.extensions = support::extensions();
            }
            spec.wish.priority = 1;
            spec.repair = (track == 2).then(|| DowntrackRepair {
                ssrc: Ssrc(0xe000_0000 + number as u32),
                formats: vec![RepairFormat {
                    payload_type: PayloadType(102),
                    repairs: PayloadType(101),
                }],
            });
            ssrcs.push(spec.ssrc);
            let downtrack = DowntrackId(number);
            self.net
                .command(Command::AddDowntrack { downtrack, spec })
                .unwrap();
        }
        self.viewers.push(Viewer {
            client,
            picture: ssrcs[1],
            sound: ssrcs[0],
        });
        self.viewers.len() - 1
    }

    fn set_rate(&mut self, viewer: usize, rate: u64) {
        let address = self.net.clients[self.viewers[viewer].client].address;
        self.net.bottlenecks.get_mut(&address).unwrap().rate = rate;
    }

    fn link(&self, viewer: usize) -> &Bottleneck {
        &self.net.bottlenecks[&self.net.clients[self.viewers[viewer].client].address]
    }

    fn run(&mut self, millis: u64) {
        let end = self.net.now + Duration::from_millis(millis);
        while self.net.now < end {
            self.answer_requests();
            if self.frame.is_multiple_of(300) {
                (0..self.net.clients.len()).for_each(|client| self.net.check(client, true));
            }
            if !self.silent {
                self.net.speak(self.publisher, VOICE.0, &[0x42; 80]);
            }
            for layer in 0..3 {
                self.show(layer);
            }
            self.frame += 1;
            // Thirty frames in a second, on whole milliseconds.
            self.net
                .run(if self.frame.is_multiple_of(3) { 34 } else { 33 });
        }
    }

    fn answer_requests(&mut self) {
        let client = &self.net.clients[self.publisher];
        for (at, media) in &client.feedback.picture_losses[self.answered..] {
            let layer = LAYERS.iter().position(|ssrc| ssrc == media).unwrap();
            let due = *at + Duration::from_millis(ENCODER);
            self.key_frame_at[layer].get_or_insert(due);
        }
        self.answered = client.feedback.picture_losses.len();
    }

    /// The next picture of a layer, in packets.
    fn show(&mut self, layer: usize) {
        let now = self.net.now;
        let due = self.key_frame_at[layer].is_some_and(|due| due <= now);
        if due {
            self.key_frame_at[layer] = None;
        }
        let usual = RATES[layer] * 1_000 / 8 / FRAMES_A_SECOND;
        // Encoders vary by a third, and make up for it.
        let varied = usual * (5 + (self.frame as usize * 7) % 3) / 6;
        let mut left = if due {
            usual * (3 + self.seed as usize % 4)
        } else {
            varied
        };
        let mut first = true;
        while left > 0 {
            let size = left.min(PACKET);
            left -= size;
            let start = if first { 0x10 } else { 0 };
            let mut payload = vec![start, u8::from(!due), 0, 0, 0x9d, 0x01, 0x2a];
            payload.resize(size.max(12), 7);
            payload[8] = layer as u8;
            let ticks = if first { 3_000 } else { 0 };
            let client = &mut self.net.clients[self.publisher];
            let sealed = client.rtp(LAYERS[layer], VP8, ticks, left == 0, &[], &payload);
            let from = client.address;
            self.net.send(from, sealed);
            self.sent[layer] += 1;
            first = false;
        }
    }

    /// What a viewer got of pictures since then: (when, layer) of each packet.
    fn pictures(&self, viewer: usize, since: Time) -> Vec<(Time, u8)> {
        let viewer = &self.viewers[viewer];
        let heard = self.net.clients[viewer.client].heard(viewer.picture);
        let late = heard.into_iter().filter(|received| received.at >= since);
        late.map(|received| (received.at, received.payload[8]))
            .collect()
    }

    /// Seconds after `since` from which on nothing but this layer came.
    fn settled(&self, viewer: usize, since: Time, layer: u8) -> f64 {
        let pictures = self.pictures(viewer, since);
        assert_eq!(
            pictures.last().map(|last| last.1),
            Some(layer),
            "at the end"
        );
        let other = pictures.iter().rev().find(|(_, of)| *of != layer);
        other.map_or(0.0, |(at, _)| at.since(since).as_secs_f64())
    }

    /// The longest time without a picture since then.
    fn longest_freeze(&self, viewer: usize, since: Time) -> Duration {
        let pictures = self.pictures(viewer, since);
        let gaps = pictures.windows(2).map(|pair| pair[1].0.since(pair[0].0));
        gaps.max().unwrap_or_default()
    }

    fn bytes_to(&self, viewer: usize, since: Time) -> usize {
        let address = self.net.clients[self.viewers[viewer].client].address;
        let wire = self.net.wire.iter();
        let late = wire.filter(|(at, to, _)| *at >= since && *to == address);
        late.map(|(_, _, bytes)| bytes.len()).sum()
    }

    fn check_sums(&self) {
        let c = self.net.relay.counters();
        let sum = |of: &str| -> u64 {
            let all = c.iter().filter(|(name, _)| name.starts_with(of));
            all.map(|(_, count)| count).sum()
        };
        assert_eq!(c.rtp_in, c.rtp_accepted + sum("rtp_drop_"));
        assert_eq!(
            c.rtp_offered,
            c.rtp_out + sum("rtp_skip_") + c.rtp_waiting_now
        );
        assert_eq!(c.loss_found, sum("loss_") - c.loss_found);
        let probes = c.probe_resent + c.probe_padding;
        let rtp: usize = (self.net.wire.iter())
            .filter(|(_, _, bytes)| {
                (128..192).contains(&bytes[0]) && !(192..224).contains(&bytes[1])
            })
            .count();
        assert_eq!(rtp as u64, c.rtp_out + c.nack_resent + probes);
    }
}

#[test]
fn the_right_layer_comes_within_five_seconds_down_and_fifteen_up() {
    for seed in 1..=10 {
        let mut show = Show::new(seed);
        let viewer = show.watch(true, Some(WIDE));
        let began = show.net.now;
        show.run(20_000);
        let up = show.settled(viewer, began, 2);
        assert!(up < 15.0, "{up} s to the top layer at first, seed {seed}");

        show.set_rate(viewer, NARROW);
        let narrowed = show.net.now;
        show.run(30_000);
        let down = show.settled(viewer, narrowed, 0);
        assert!(down < 5.0, "{down} s down, seed {seed}");
        let freeze = show.longest_freeze(viewer, narrowed);
        assert!(
            freeze < Duration::from_secs(1),
            "{freeze:?} without a picture, seed {seed}"
        );

        show.set_rate(viewer, WIDE);
        let widened = show.net.now;
        show.run(30_000);
        let up = show.settled(viewer, widened, 2);
        assert!(up < 15.0, "{up} s up, seed {seed}");
        show.check_sums();
    }
}

#[test]
fn who_watches_over_a_wide_link_gets_all_of_the_top_layer_whatever_happens_to_another() {
    let watch = |with_narrow: bool| {
        let mut show = Show::new(4);
        let clean = show.watch(true, None);
        if with_narrow {
            show.watch(true, Some(NARROW));
        }
        show.run(10_000);
        let since = show.net.now;
        let sent = show.sent[2];
        show.run(20_000);
        let pictures = show.pictures(clean, since);
        assert!(pictures.iter().all(|(_, layer)| *layer == 2));
        // What was under way when counting began, or is at the end, balances within a picture or two.
        let missing = (show.sent[2] - sent) as i64 - pictures.len() as i64;
        assert!(missing.abs() <= 16, "{missing}");
        show.check_sums();
        (
            pictures.len(),
            show.net.clients[show.viewers[clean].client]
                .heard(show.viewers[clean].sound)
                .len(),
        )
    };
    let (alone, beside) = (watch(false), watch(true));
    // Key frames that the other asks for are of lower layers.
    assert_eq!(alone, beside);
}

#[test]
fn without_feedback_the_queue_of_a_narrow_link_overflows_and_with_it_hardly_anything_is_lost() {
    let lost = |tells: bool| {
        let mut show = Show::new(5);
        let viewer = show.watch(tells, Some(NARROW));
        show.run(30_000);
        show.check_sums();
        let link = show.link(viewer);
        link.lost as f64 / (link.lost + link.passed) as f64
    };
    let (without, with) = (lost(false), lost(true));
    assert!(without > 0.5, "{without} lost");
    assert!(with < 0.05, "{with} lost");
}

#[test]
fn sound_goes_on_where_there_is_no_room_for_any_picture_and_the_client_is_told() {
    let mut show = Show::new(6);
    let viewer = show.watch(true, Some(100_000));
    show.run(20_000);
    let since = show.net.now;
    show.run(10_000);
    assert!(show.pictures(viewer, since).is_empty());
    let Viewer { client, sound, .. } = show.viewers[viewer];
    let heard = show.net.clients[client].heard(sound);
    let late = heard.iter().filter(|received| received.at >= since).count();
    assert!(late >= 290, "{late} of 300 packets of sound");
    let told: Vec<bool> = (show.net.events.iter())
        .filter_map(|event| match event {
            Event::Withheld {
                downtrack,
                withheld,
                ..
            } if *downtrack == DowntrackId(2) => Some(*withheld),
            _ => None,
        })
        .collect();
    assert_eq!(told.last(), Some(&true));
    assert!(show.net.relay.counters().rtp_skip_withheld > 0);
    show.check_sums();

    show.set_rate(viewer, WIDE);
    let widened = show.net.now;
    show.run(20_000);
    assert!(!show.pictures(viewer, widened).is_empty());
    assert!(matches!(
        show.net
            .events
            .iter()
            .rev()
            .find(|event| matches!(event, Event::Withheld { .. })),
        Some(Event::Withheld {
            withheld: false,
            ..
        })
    ));
    show.check_sums();
}

#[test]
fn the_only_picture_stays_on_a_link_that_just_carries_it_though_the_estimate_steps_back() {
    for seed in 1..=6 {
        let mut show = Show::new(seed);
        let viewer = show.watch(true, Some(TIGHT));
        let began = show.net.now;
        show.run(30_000);
        show.set_rate(viewer, TIGHT * 7 / 10);
        show.run(1_000);
        show.set_rate(viewer, TIGHT);
        show.run(15_000);
        let freeze = show.longest_freeze(viewer, began);
        assert!(freeze < Duration::from_secs(1), "{freeze:?}, seed {seed}");
        assert_eq!(show.net.relay.counters().withheld, 0, "seed {seed}");
        show.check_sums();
    }
}

#[test]
fn bursts_are_a_small_share_of_what_is_sent() {
    let mut show = Show::new(7);
    let viewer = show.watch(true, Some(NARROW));
    let began = show.net.now;
    show.run(30_000);
    let all = show.bytes_to(viewer, began) as u64;
    let c = show.net.relay.counters();
    let probes = (c.probe_resent + c.probe_padding) * PACKET as u64;
    assert!(c.probe_bursts > 0);
    assert!(probes < all / 5, "{probes} of {all}");
}

#[test]
fn whoever_got_nothing_at_all_for_long_finds_out_that_the_link_is_wide_again() {
    let mut show = Show::new(8);
    show.silent = true;
    let viewer = show.watch(true, Some(100_000));
    show.run(60_000);
    let since = show.net.now;
    show.run(5_000);
    assert!(show.pictures(viewer, since).is_empty());
    show.set_rate(viewer, WIDE);
    let widened = show.net.now;
    show.run(30_000);
    let up = show.settled(viewer, widened, 2);
    assert!(up < 20.0, "{up} s");
    show.check_sums();
}
