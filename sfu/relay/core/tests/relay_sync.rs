//! Sound and picture of one person stay together, by what the relay's reports say, whatever happens to either stream.
//!
//! Every packet carries when it was captured. The viewer maps its RTP time to a wall clock by the last sender report of
//! the same stream, as receivers do (RFC 3550 section 6.4.1); where that puts sound and picture of the same moment is
//! how far apart they are played.

mod support;

use conclave_relay_core::command::{Command, DowntrackSpec, Encoding, PayloadFormat};
use conclave_relay_core::downtrack::Wish;
use conclave_relay_core::rtcp::{self, SenderInfo};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{
    Codec, DowntrackId, LayerId, NtpTime, PayloadType, Ssrc, Time, TrackId,
};
use std::collections::BTreeMap;
use support::{Net, OPUS, VP8};

const PROFILE: Profile = Profile::AeadAes128Gcm;
/// The bar of the product: what people do not notice (ITU-R BT.1359 lets sound lead by 45 ms).
const TOGETHER: f64 = 0.040;
const SECOND: f64 = (1u64 << 32) as f64;
const SOUND: DowntrackId = DowntrackId(1);
const PICTURE: DowntrackId = DowntrackId(2);
const LAYERS: usize = 3;

/// One publisher's machine: its wall clock, and clocks of microphone and camera that run a little off it.
struct Machine {
    peer: usize,
    /// SSRC of the sound; the layers of the picture follow it.
    ssrc: u32,
    track: u64,
    wall: f64,
    /// Parts per million: wall clock, sound, picture.
    drift: [f64; 3],
    next_index: [u64; 1 + LAYERS],
    speaks: bool,
    /// By layer, when it last sent a key frame on request.
    answered: usize,
}

impl Machine {
    fn joined(net: &mut Net, ssrc: u32, track: u64, wall: f64, drift: [f64; 3]) -> Self {
        let peer = net.connect(PROFILE);
        net.publish_audio(peer, track, ssrc);
        let layers = (1..=LAYERS as u32).map(|layer| Encoding::Ssrc(Ssrc(ssrc + layer)));
        net.publish_video(peer, track + 1, layers.collect());
        Machine {
            peer,
            ssrc,
            track,
            wall,
            drift,
            next_index: [1_000; 1 + LAYERS],
            speaks: true,
            answered: 0,
        }
    }

    fn wall_at(&self, at: f64) -> f64 {
        self.wall + at * (1.0 + self.drift[0] / 1e6)
    }

    /// What stream `number` (0 the sound, then the layers) says of a moment; each begins elsewhere.
    fn rtp_at(&self, number: usize, at: f64) -> u32 {
        let (rate, drift) = if number == 0 {
            (48_000.0, self.drift[1])
        } else {
            (90_000.0, self.drift[2])
        };
        let ticks = at * rate * (1.0 + drift / 1e6);
        (ticks as u64 as u32).wrapping_add(0x3fff_ff00_u32.wrapping_mul(number as u32 + self.ssrc))
    }

    /// Sends what was captured at that moment on one of its streams.
    fn send(&mut self, net: &mut Net, number: usize, captured: f64, key_frame: bool) {
        let index = self.next_index[number];
        self.next_index[number] += 1;
        let (payload_type, mut payload) = if number == 0 {
            (OPUS, vec![0x78])
        } else {
            (VP8, vec![0x10, u8::from(!key_frame)])
        };
        payload.extend_from_slice(&((captured * 1e6) as u64).to_be_bytes());
        let timestamp = self.rtp_at(number, captured);
        let ssrc = Ssrc(self.ssrc + number as u32);
        let client = &mut net.clients[self.peer];
        let from = client.address;
        let sealed = client.rtp_at(ssrc, index, timestamp, payload_type, true, &[], &payload);
        net.send(from, sealed);
    }

    fn report(&self, net: &mut Net, number: usize) {
        let now = seconds(net.now);
        let info = SenderInfo {
            ntp: NtpTime((self.wall_at(now) * SECOND) as u64),
            rtp_time: self.rtp_at(number, now),
            packets: 1,
            octets: 1,
        };
        let ssrc = Ssrc(self.ssrc + number as u32);
        net.report(self.peer, |out| {
            rtcp::write_sender_report(out, ssrc, &info, &[])
        });
    }

    /// Layers of which a key frame was asked for since the last call.
    fn asked(&mut self, net: &Net) -> Vec<usize> {
        let asked = &net.clients[self.peer].feedback.picture_losses[self.answered..];
        self.answered += asked.len();
        asked
            .iter()
            .map(|(_, media)| (media.0 - self.ssrc) as usize)
            .collect()
    }
}

/// A viewer with one standing stream each of sound and picture, and how far apart it plays them.
struct Viewer {
    peer: usize,
    streams: [Ssrc; 2],
    /// Packets and reports looked at so far.
    read: (usize, usize),
    reports: BTreeMap<Ssrc, SenderInfo>,
    /// Where each stream was last played, less when it was captured, seconds.
    lag: [Option<f64>; 2],
    worst: f64,
    looks: usize,
}

impl Viewer {
    fn joined(net: &mut Net, machine: &Machine) -> Self {
        let peer = net.connect(PROFILE);
        let mut streams = [Ssrc(0); 2];
        for (place, downtrack) in [SOUND, PICTURE].into_iter().enumerate() {
            let track = machine.track + place as u64;
            let mut spec: DowntrackSpec = net.downtrack_spec(peer, track, downtrack.0);
            spec.stands = true;
            streams[place] = spec.ssrc;
            net.command(Command::AddDowntrack { downtrack, spec })
                .unwrap();
        }
        Viewer {
            peer,
            streams,
            read: (0, 0),
            reports: BTreeMap::new(),
            lag: [None; 2],
            worst: 0.0,
            looks: 0,
        }
    }

    /// Takes in what came since the last call.
    fn look(&mut self, net: &Net) {
        let client = &net.clients[self.peer];
        let reports = &client.feedback.sender_reports;
        while self.read.0 < client.media.len() {
            let packet = &client.media[self.read.0];
            self.read.0 += 1;
            while let Some((at, ssrc, info)) = reports.get(self.read.1)
                && *at <= packet.at
            {
                self.reports.insert(*ssrc, *info);
                self.read.1 += 1;
            }
            let place = usize::from(packet.header.ssrc == self.streams[1]);
            let Some(report) = self.reports.get(&packet.header.ssrc) else {
                continue;
            };
            let rate = [48_000.0, 90_000.0][place];
            let ticks = packet.header.timestamp.wrapping_sub(report.rtp_time) as i32;
            let played = report.ntp.0 as f64 / SECOND + f64::from(ticks) / rate;
            let stamp = packet.payload[packet.payload.len() - 8..]
                .try_into()
                .unwrap();
            let captured = u64::from_be_bytes(stamp) as f64 / 1e6;
            self.lag[place] = Some(played - captured);
            if let [Some(sound), Some(picture)] = self.lag {
                self.looks += 1;
                let apart = (sound - picture).abs();
                if apart > self.worst {
                    self.worst = apart;
                }
            }
        }
    }

    fn carry(&mut self, net: &mut Net, machine: &Machine) {
        let formats = [(100, Codec::Opus), (101, Codec::Vp8)];
        for (place, downtrack) in [SOUND, PICTURE].into_iter().enumerate() {
            net.command(Command::SwitchDowntrack {
                downtrack,
                track: Some(TrackId(machine.track + place as u64)),
                formats: formats
                    .map(|(number, codec)| PayloadFormat {
                        payload_type: PayloadType(number),
                        codec,
                    })
                    .to_vec(),
            })
            .unwrap();
        }
    }
}

fn seconds(at: Time) -> f64 {
    at.as_micros() as f64 / 1e6
}

/// Lets the machine run: sound each 100 ms, a picture of each layer each 200 ms, some of it late, a report a second.
fn play(net: &mut Net, machine: &mut Machine, viewer: &mut Viewer, from: u64, until: u64) {
    for tenth in from * 10..until * 10 {
        let now = seconds(net.now);
        if machine.speaks {
            machine.send(net, 0, now - 0.02, false);
        }
        if tenth % 2 == 0 {
            let asked = machine.asked(net);
            for layer in 1..=LAYERS {
                // The larger the picture, the longer its encoder takes.
                let captured = now - 0.025 * layer as f64;
                let key_frame = tenth == 0 || asked.contains(&layer);
                machine.send(net, layer, captured, key_frame);
            }
        }
        // A sender draws when it reports on each stream.
        for number in 0..=LAYERS {
            if tenth % 10 == (number as u64 * 3 + machine.track) % 10 {
                machine.report(net, number);
            }
        }
        // Consent (RFC 7675).
        if tenth % 50 == 0 {
            net.check(machine.peer, true);
            net.check(viewer.peer, true);
        }
        net.run(100);
        viewer.look(net);
        net.wire.clear();
    }
}

fn wish(net: &mut Net, layer: u8) {
    net.command(Command::SetDowntrack {
        downtrack: PICTURE,
        wish: Wish {
            layer: Some(LayerId(layer)),
            ..Wish::default()
        },
    })
    .unwrap();
}

fn mute(net: &mut Net, track: u64, muted: bool) {
    let track = TrackId(track);
    net.command(Command::MuteTrack { track, muted }).unwrap();
}

#[test]
fn after_an_hour_of_mutes_and_layer_switches_they_are_together() {
    let mut net = Net::new();
    net.impairment.jitter = 15;
    let mut ada = Machine::joined(&mut net, 0xa00, 1, 1_000_000.0, [40.0, 90.0, -60.0]);
    let mut viewer = Viewer::joined(&mut net, &ada);
    for minute in 0..60 {
        let at = minute * 60;
        wish(&mut net, (minute % 3) as u8);
        play(&mut net, &mut ada, &mut viewer, at, at + 20);
        // Either by the server's word, the publisher sending on, or by its own silence.
        mute(&mut net, ada.track + minute % 2, true);
        ada.speaks = minute % 3 != 0;
        play(&mut net, &mut ada, &mut viewer, at + 20, at + 40);
        mute(&mut net, ada.track + minute % 2, false);
        ada.speaks = true;
        play(&mut net, &mut ada, &mut viewer, at + 40, at + 60);
    }
    assert!(viewer.looks > 25_000, "{}", viewer.looks);
    assert!(viewer.worst < TOGETHER, "{:.1} ms", viewer.worst * 1e3);
}

#[test]
fn a_publisher_that_comes_back_on_another_machine_is_together_in_the_same_streams() {
    let mut net = Net::new();
    let drift = [40.0, 90.0, -60.0];
    let mut first = Machine::joined(&mut net, 0xa00, 1, 1_000_000.0, drift);
    let mut viewer = Viewer::joined(&mut net, &first);
    wish(&mut net, 2);
    play(&mut net, &mut first, &mut viewer, 0, 30);
    // Its clock says that it is another day.
    let mut second = Machine::joined(&mut net, 0xb00, 11, 5_000_000.0, drift);
    let peer = net.clients[first.peer].id;
    net.command(Command::ClosePeer { peer }).unwrap();
    net.run(2_000);
    viewer.carry(&mut net, &second);
    // Nobody knows the new clocks before their first reports: the streams join by when their packets come, and the
    // picture begins with a layer whose encoder takes less time.
    play(&mut net, &mut second, &mut viewer, 0, 2);
    let at_first = std::mem::take(&mut viewer.worst);
    assert!(at_first < 2.0 * TOGETHER, "{:.1} ms", at_first * 1e3);
    play(&mut net, &mut second, &mut viewer, 2, 30);
    assert!(viewer.looks > 500, "{}", viewer.looks);
    assert!(viewer.worst < TOGETHER, "{:.1} ms", viewer.worst * 1e3);
}
