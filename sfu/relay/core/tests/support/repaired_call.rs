//! A call with losses: a publisher that sends numbered packets and answers NACKs, and a viewer that sends them.

use std::collections::{BTreeMap, BTreeSet};

use conclave_relay_core::command::{DowntrackRepair, Encoding, RepairFormat, TrackRepair};
use conclave_relay_core::rtcp::{self, write_nack};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{DowntrackId, PayloadType, Ssrc, Time};
use conclave_relay_core::{Command, Limits};

use crate::support::{Impairment, Net, VP8, picture};

pub const GCM: Profile = Profile::AeadAes128Gcm;
pub const MEDIA: Ssrc = Ssrc(0xa);
pub const REPAIR: Ssrc = Ssrc(0xb);
/// The publisher's retransmission format, and the subscriber's.
pub const RTX: PayloadType = PayloadType(97);
pub const RTX_DOWN: PayloadType = PayloadType(102);
pub const VP8_DOWN: PayloadType = PayloadType(101);
pub const REPAIR_DOWN: Ssrc = Ssrc(0xe000_0001);
/// Index of the publisher's first packet.
pub const FIRST: u64 = 1_000;

/// How lost packets of one leg are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    Off,
    SameStream,
    OwnStream,
}

/// A publisher that sends a numbered packet every 10 ms and answers NACKs, and a viewer that sends them.
pub struct Call {
    pub net: Net,
    pub publisher: usize,
    pub viewer: usize,
    pub up: Repair,
    pub down: Repair,
    pub ssrc: Ssrc,
    pub sent: u64,
    pub repaired: u64,
    pub answered: usize,
    pub viewed: usize,
    /// Numbers of the packets that arrived, and how often each did as a packet of its own.
    pub arrived: BTreeMap<u64, usize>,
    /// The viewer's view of our sequence, and when it last asked for each that misses.
    pub sequence: BTreeSet<u64>,
    pub asked: BTreeMap<u64, Time>,
}

impl Call {
    pub fn new(up: Repair, down: Repair, seed: u64) -> Self {
        let mut net = Net::with(Limits::default(), seed);
        let (publisher, viewer) = (net.connect(GCM), net.connect(GCM));
        net.repair = track_repair(up);
        net.publish_video(publisher, 1, vec![Encoding::Ssrc(MEDIA)]);
        let mut spec = net.downtrack_spec(viewer, 1, 1);
        spec.nack = down != Repair::Off;
        spec.repair = (down == Repair::OwnStream).then(|| DowntrackRepair {
            ssrc: REPAIR_DOWN,
            formats: vec![format(RTX_DOWN, VP8_DOWN)],
        });
        let ssrc = spec.ssrc;
        let downtrack = DowntrackId(1);
        net.command(Command::AddDowntrack { downtrack, spec })
            .unwrap();
        Call {
            net,
            publisher,
            viewer,
            up,
            down,
            ssrc,
            sent: 0,
            repaired: 0,
            answered: 0,
            viewed: 0,
            arrived: BTreeMap::new(),
            sequence: BTreeSet::new(),
            asked: BTreeMap::new(),
        }
    }

    /// The leg of this client loses so many in a thousand, and reorders and doubles some, from now on.
    pub fn impair(&mut self, client: usize, loss: u64) {
        self.net.impairment = Impairment {
            loss,
            duplication: 20,
            jitter: 8,
            delay: 20,
            only: Some(self.net.clients[client].address),
        };
    }

    pub fn run(&mut self, packets: u64) {
        for _ in 0..packets {
            self.publish();
            for _ in 0..2 {
                self.net.run(5);
                self.answer_nacks();
                self.view();
            }
        }
    }

    /// So much time for what is still missing.
    pub fn settle(&mut self) {
        for _ in 0..400 {
            self.net.run(5);
            self.answer_nacks();
            self.view();
        }
    }

    pub fn publish(&mut self) {
        let number = self.sent;
        self.sent += 1;
        self.resend_plain(number);
    }

    /// The packet of this number, as it was or will be.
    pub fn resend_plain(&mut self, number: u64) {
        let client = &mut self.net.clients[self.publisher];
        let (index, timestamp) = (FIRST + number, number as u32 * 900);
        let packet = client.rtp_at(MEDIA, index, timestamp, VP8, true, &[], &content(number));
        let from = client.address;
        self.net.send(from, packet);
    }

    /// On the retransmission stream: `sequence` is what it says of itself.
    pub fn resend_rtx(&mut self, number: u64, sequence: u16) {
        self.rtx(REPAIR, &[], &wrapped(number, sequence));
    }

    pub fn rtx(&mut self, ssrc: Ssrc, extensions: &[(u8, &[u8])], payload: &[u8]) {
        let index = FIRST + self.repaired;
        self.repaired += 1;
        let client = &mut self.net.clients[self.publisher];
        let packet = client.rtp_at(ssrc, index, 7, RTX, true, extensions, payload);
        let from = client.address;
        self.net.send(from, packet);
    }

    pub fn answer_nacks(&mut self) {
        let nacks = self.net.clients[self.publisher].feedback.nacks.clone();
        for (_, media, lost) in &nacks[self.answered..] {
            assert_eq!(*media, MEDIA);
            for sequence in lost {
                let number = u64::from(sequence.wrapping_sub(FIRST as u16));
                match self.up {
                    Repair::Off => panic!("asked although nothing was negotiated"),
                    Repair::SameStream => self.resend_plain(number),
                    Repair::OwnStream => self.resend_rtx(number, *sequence),
                }
            }
        }
        self.answered = nacks.len();
    }

    /// What the viewer makes of what came, and what it asks for again.
    pub fn view(&mut self) {
        let now = self.net.now;
        let client = &self.net.clients[self.viewer];
        for received in &client.media[self.viewed..] {
            let payload = if received.header.ssrc == REPAIR_DOWN {
                assert_eq!(received.header.payload_type, RTX_DOWN);
                let (osn, payload) = received.payload.split_at(2);
                let osn = u64::from(u16::from_be_bytes([osn[0], osn[1]]));
                if !self.sequence.insert(osn) {
                    continue; // asked for twice, answered twice
                }
                payload
            } else {
                assert_eq!(received.header.ssrc, self.ssrc);
                assert!(
                    received.index < 0x1_0000,
                    "short runs need no roll-over here"
                );
                if !self.sequence.insert(received.index) {
                    continue;
                }
                &received.payload
            };
            let number = payload.last_chunk().copied().map(u64::from_be_bytes);
            *self.arrived.entry(number.unwrap()).or_default() += 1;
        }
        self.viewed = client.media.len();
        if self.down == Repair::Off {
            return;
        }
        let Some((first, last)) = self.sequence.first().zip(self.sequence.last()) else {
            return;
        };
        let missing = (*first..*last).filter(|index| !self.sequence.contains(index));
        let due = |index: &u64| {
            self.asked
                .get(index)
                .is_none_or(|at| now.since(*at).as_millis() >= 60)
        };
        let due: Vec<u64> = missing.filter(due).collect();
        if !due.is_empty() {
            let lost: Vec<u16> = due.iter().map(|index| *index as u16).collect();
            self.asked.extend(due.into_iter().map(|index| (index, now)));
            let ssrc = self.ssrc;
            self.net.report(self.viewer, |out| {
                rtcp::write_receiver_report(out, Ssrc(1), &[]);
                write_nack(out, Ssrc(1), ssrc, &lost);
            });
        }
    }

    /// Of a thousand packets sent after the first so many never reached the viewer.
    pub fn lost(&self) -> u64 {
        let first = *self.arrived.keys().next().unwrap();
        let expected = self.sent - first;
        1_000 * (expected - self.arrived.len() as u64) / expected
    }

    /// Every sum that the counters promise.
    pub fn check_sums(&self) {
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
        assert_eq!(sum("loss_"), 2 * c.loss_found, "each ends in one count");
        assert_eq!(
            c.nack_requested,
            c.nack_resent + c.nack_missed + c.nack_waiting_now
        );
        assert!(
            self.arrived.values().all(|times| *times == 1),
            "forwarded twice"
        );
    }
}

pub fn track_repair(up: Repair) -> TrackRepair {
    let own = up == Repair::OwnStream;
    TrackRepair {
        nack: up != Repair::Off,
        formats: own.then(|| format(RTX, VP8)).into_iter().collect(),
        streams: own.then_some((MEDIA, REPAIR)).into_iter().collect(),
    }
}

pub fn format(payload_type: PayloadType, repairs: PayloadType) -> RepairFormat {
    RepairFormat {
        payload_type,
        repairs,
    }
}

/// A picture with its number at the end; only the first can be decoded by itself.
pub fn content(number: u64) -> Vec<u8> {
    let mut payload = picture(number == 0);
    payload.extend_from_slice(&number.to_be_bytes());
    payload
}

pub fn wrapped(number: u64, sequence: u16) -> Vec<u8> {
    [&sequence.to_be_bytes()[..], &content(number)].concat()
}
