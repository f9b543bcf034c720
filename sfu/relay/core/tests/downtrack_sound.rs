//! Opus on its way to subscribers that take redundancy (RFC 2198) and to those that do not, from publishers that send it
//! and from those that do not; and silence.
use std::collections::{BTreeMap, BTreeSet};

use conclave_relay_core::cache::PacketCache;
use conclave_relay_core::command::{
    DowntrackSpec, Encoding, PayloadFormat, TrackRepair, TrackSpec,
};
use conclave_relay_core::downtrack::{
    AUDIO_HISTORY, Decision, Downtrack, SkipReason, Source, Stamp, Wish,
};
use conclave_relay_core::red::{self, Redundant};
use conclave_relay_core::rtp::{self, ExtensionMap, Header, NewHeader};
use conclave_relay_core::units::{
    Codec, LayerId, MediaKind, PayloadType, PeerId, Ssrc, Time, TrackId,
};
use proptest::prelude::*;

const THEIR_OPUS: PayloadType = PayloadType(111);
const THEIR_RED: PayloadType = PayloadType(63);
const OUR_OPUS: PayloadType = PayloadType(109);
const OUR_RED: PayloadType = PayloadType(114);

/// Ticks of 20 ms.
const FRAME: u32 = 960;

/// A publisher's stream as the relay keeps it, and one subscriber.
struct World {
    cache: PacketCache,
    downtrack: Downtrack,
    next: u64,
    timestamp: u32,
    now: Time,
    /// What the subscriber got: by outgoing index, stamp and bytes.
    got: BTreeMap<u64, (Stamp, Vec<u8>)>,
}

fn format(payload_type: PayloadType, codec: Codec) -> PayloadFormat {
    PayloadFormat {
        payload_type,
        codec,
    }
}

impl World {
    /// `takes_red`: the subscriber negotiated it.
    fn new(takes_red: bool) -> Self {
        let track = TrackSpec {
            peer: PeerId(1),
            kind: MediaKind::Audio,
            mid: "0".into(),
            clock_rate: 48_000,
            formats: vec![
                format(THEIR_RED, Codec::Red),
                format(THEIR_OPUS, Codec::Opus),
            ],
            extensions: ExtensionMap::default(),
            encodings: vec![Encoding::Mid],
            repair: TrackRepair::default(),
        };
        let mut formats = vec![format(OUR_OPUS, Codec::Opus)];
        if takes_red {
            formats.insert(0, format(OUR_RED, Codec::Red));
        }
        let spec = DowntrackSpec {
            peer: PeerId(2),
            track: TrackId(1),
            ssrc: Ssrc(9),
            formats,
            extensions: ExtensionMap::default(),
            cname: "someone".into(),
            nack: true,
            wish: Wish::default(),
            stands: false,
            repair: None,
        };
        World {
            cache: PacketCache::new(AUDIO_HISTORY),
            downtrack: Downtrack::new(&spec, &track, 700, 5),
            next: 10_000,
            timestamp: u32::MAX - 5_000,
            now: Time::from_millis(0),
            got: BTreeMap::new(),
        }
    }

    /// The publisher's next packet, of so many milliseconds later than the one before.
    fn packet(&mut self, millis: u32, payload_type: PayloadType, payload: &[u8]) -> (u64, Vec<u8>) {
        self.timestamp = self.timestamp.wrapping_add(millis * 48);
        self.now = self.now + std::time::Duration::from_millis(u64::from(millis));
        let header = NewHeader {
            marker: false,
            payload_type,
            sequence: self.next as u16,
            timestamp: self.timestamp,
            ssrc: Ssrc(5),
        };
        let mut packet = Vec::new();
        rtp::write_header(&mut packet, &header, std::iter::empty());
        packet.extend_from_slice(payload);
        self.next += 1;
        (self.next - 1, packet)
    }

    fn arrive(&mut self, (index, packet): &(u64, Vec<u8>)) -> Result<Stamp, SkipReason> {
        let header = Header::parse(packet).unwrap();
        self.cache.insert(*index, &header, packet);
        let cached = self.cache.get(*index).unwrap();
        let source = Source {
            layer: LayerId(0),
            index: *index,
            header: cached.header,
            packet: cached.bytes,
            key_frame: false,
            mapping: None,
            dependency: None,
            before: cached.before(),
            transport_number: 0,
            padding: 0,
        };
        match self.downtrack.forward(self.now, &source) {
            Decision::Skip(reason) => Err(reason),
            Decision::Keep(stamp) => {
                let mut bytes = Vec::new();
                self.downtrack.render(&stamp, &cached, &mut bytes).unwrap();
                let header = Header::parse(&bytes).unwrap();
                let octets = self.downtrack.octets(&stamp, &cached);
                assert_eq!(octets, bytes.len() - header.len, "as reports count them");
                assert!(self.got.insert(stamp.index, (stamp, bytes)).is_none());
                Ok(stamp)
            }
        }
    }

    /// Plain Opus, 20 ms after the last.
    fn speak(&mut self, payload: &[u8]) -> Stamp {
        let packet = self.packet(20, THEIR_OPUS, payload);
        self.arrive(&packet).unwrap()
    }

    fn last(&self) -> (Header, Vec<u8>) {
        let (_, bytes) = self.got.values().last().unwrap();
        let header = Header::parse(bytes).unwrap();
        let payload = header.payload(bytes).unwrap().to_vec();
        (header, payload)
    }
}

fn red_of(before: &[u8], now: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    red::write(&mut payload, THEIR_OPUS, Some((FRAME, before)), now);
    payload
}

#[test]
fn redundancy_is_made_for_who_takes_it() {
    let mut world = World::new(true);
    world.speak(b"one");
    let (header, payload) = world.last();
    assert_eq!(header.payload_type, OUR_RED);
    assert_eq!(payload, b"\x6done", "nothing came before");
    world.speak(b"two");
    let (_, payload) = world.last();
    let read = Redundant::parse(&payload).unwrap();
    assert_eq!((read.payload_type, read.primary), (OUR_OPUS, &b"two"[..]));
    assert_eq!(read.before.len(), 1);
    let before = read.before[0];
    assert_eq!(
        (before.payload_type, before.offset, before.bytes),
        (OUR_OPUS, FRAME, &b"one"[..])
    );
}

#[test]
fn the_others_get_the_plain_sound_whatever_is_sent() {
    let mut world = World::new(false);
    let plain = world.packet(20, THEIR_OPUS, b"one");
    let redundant = world.packet(20, THEIR_RED, &red_of(b"one", b"two"));
    for (packet, expected) in [(plain, b"one"), (redundant, b"two")] {
        world.arrive(&packet).unwrap();
        let (header, payload) = world.last();
        assert_eq!(header.payload_type, OUR_OPUS);
        assert_eq!(payload, expected);
    }
    let sequences: Vec<u64> = world.got.keys().copied().collect();
    assert_eq!(sequences, [700, 701]);
    let stamps: Vec<u32> = world
        .got
        .values()
        .map(|(stamp, _)| stamp.timestamp)
        .collect();
    assert_eq!(stamps[1].wrapping_sub(stamps[0]), FRAME);
}

#[test]
fn redundancy_that_is_sent_is_passed_in_the_subscribers_numbers() {
    let mut world = World::new(true);
    let packet = world.packet(20, THEIR_RED, &red_of(b"one", b"two"));
    world.arrive(&packet).unwrap();
    let (header, payload) = world.last();
    assert_eq!(header.payload_type, OUR_RED);
    let read = Redundant::parse(&payload).unwrap();
    assert_eq!((read.payload_type, read.primary), (OUR_OPUS, &b"two"[..]));
    assert_eq!(
        (read.before[0].payload_type, read.before[0].bytes),
        (OUR_OPUS, &b"one"[..])
    );
}

#[test]
fn damaged_redundancy_is_not_sent_as_plain_sound_and_leaves_no_hole() {
    let mut world = World::new(false);
    let good = world.packet(20, THEIR_RED, &red_of(b"one", b"two"));
    world.arrive(&good).unwrap();
    let foreign = [13, 1, 2, 3]; // comfort noise as the primary block
    for damage in [&[0xef, 0xff][..], &[0xef; 300], &foreign] {
        let packet = world.packet(20, THEIR_RED, damage);
        assert_eq!(world.arrive(&packet), Err(SkipReason::Format));
    }
    let empty = world.packet(20, THEIR_RED, &[0x6f]);
    assert_eq!(world.arrive(&empty), Err(SkipReason::Padding));
    let next = world.packet(20, THEIR_RED, &red_of(b"two", b"six"));
    assert_eq!(world.arrive(&next).map(|stamp| stamp.index), Ok(701));
}

#[test]
fn a_packet_from_before_a_pause_never_comes_with_what_follows_it() {
    let mut world = World::new(true);
    world.speak(b"one");
    world.downtrack.set_wish(Wish {
        paused: true,
        ..Wish::default()
    });
    let unheard = world.packet(20, THEIR_OPUS, b"secret");
    assert_eq!(world.arrive(&unheard), Err(SkipReason::Paused));
    world.downtrack.set_wish(Wish::default());
    let stamp = world.speak(b"two");
    assert_eq!((stamp.index, stamp.carries_before), (701, None));
    assert_eq!(world.speak(b"three").carries_before, Some(FRAME as u16));
}

#[test]
fn what_was_lost_on_the_way_in_is_missing_and_what_comes_late_changes_nothing_sent() {
    let mut world = World::new(true);
    world.speak(b"one");
    let late = world.packet(20, THEIR_OPUS, b"two");
    let stamp = world.speak(b"three");
    assert_eq!(stamp.carries_before, None);
    let sent = world.got[&stamp.index].1.clone();
    let filled = world.arrive(&late).unwrap();
    assert_eq!(
        (filled.index, filled.carries_before),
        (701, Some(FRAME as u16))
    );
    let mut resends = Vec::new();
    world
        .downtrack
        .on_nack(world.now, &[stamp.index as u16], &mut resends);
    assert_eq!(resends, [stamp]);
    let cached = world.cache.get(stamp.source_index).unwrap();
    let mut again = Vec::new();
    world.downtrack.render(&stamp, &cached, &mut again).unwrap();
    assert_eq!(again, sent, "DESIGN 2.8: the same stamp, the same bytes");
}

#[test]
fn what_cannot_be_the_same_bytes_again_is_not_sent_again() {
    let mut world = World::new(true);
    world.speak(b"0");
    let stamp = world.speak(b"1");
    // The packet before it leaves the cache a packet earlier than itself.
    for _ in 1..AUDIO_HISTORY {
        world.speak(b"more");
    }
    let cached = world.cache.get(stamp.source_index).unwrap();
    let mut out = b"untouched".to_vec();
    assert_eq!(world.downtrack.render(&stamp, &cached, &mut out), None);
    assert_eq!(out, b"untouched");
}

#[test]
fn a_packet_stays_within_what_a_link_carries() {
    let mut world = World::new(true);
    world.speak(&[1; 600]);
    assert_eq!(world.speak(&[2; 600]).carries_before, None);
    assert_eq!(world.speak(&[3; 400]).carries_before, Some(FRAME as u16));
    assert!(world.got.values().all(|(_, bytes)| bytes.len() < 1_200));
}

#[test]
fn silence_leaves_no_hole_and_keeps_its_time() {
    // Opus DTX: a comfort packet every 400 ms, then speech at once (RFC 7587 section 3.1.3).
    for takes_red in [false, true] {
        let mut world = World::new(takes_red);
        world.speak(b"speech");
        let mut stamps = Vec::new();
        for _ in 0..30 {
            let comfort = world.packet(400, THEIR_OPUS, &[0x78]);
            stamps.push(world.arrive(&comfort).unwrap());
        }
        stamps.push(world.speak(b"speech"));
        for (number, pair) in stamps.windows(2).enumerate() {
            assert_eq!(pair[1].index, pair[0].index + 1);
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert_eq!(step, if number == 29 { FRAME } else { 400 * 48 });
        }
        let carried: BTreeSet<_> = stamps[..30]
            .iter()
            .map(|stamp| stamp.carries_before)
            .collect();
        assert_eq!(
            carried,
            BTreeSet::from([None]),
            "too far behind to be carried"
        );
    }
}

/// Frames heard of so many, at one packet in ten lost at random on the subscriber's link.
fn heard(takes_red: bool, count: u32, lost: &[bool]) -> usize {
    let mut world = World::new(takes_red);
    let mut heard = BTreeSet::new();
    for number in 0..count {
        world.speak(&number.to_be_bytes());
        if lost[number as usize] {
            continue;
        }
        let (header, payload) = world.last();
        if header.payload_type == OUR_OPUS {
            heard.insert(payload);
            continue;
        }
        let read = Redundant::parse(&payload).unwrap();
        heard.extend(read.before.iter().map(|block| block.bytes.to_vec()));
        heard.insert(read.primary.to_vec());
    }
    heard.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn at_one_packet_in_ten_lost_redundancy_leaves_one_in_a_hundred_missing(
        lost in prop::collection::vec(prop::bool::weighted(0.1), 5_000),
    ) {
        let missing = 5_000 - heard(true, 5_000, &lost);
        prop_assert!(missing <= 5_000 * 2 / 100, "{missing} of 5000");
        let plain = 5_000 - heard(false, 5_000, &lost);
        prop_assert!(plain >= 5_000 * 8 / 100, "the link is as bad as it should be: {plain}");
    }

    #[test]
    fn any_payload_is_taken_or_refused_without_a_hole(
        payloads in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 1..60,
        ),
        takes_red in any::<bool>(),
    ) {
        let mut world = World::new(takes_red);
        for (redundant, payload) in payloads {
            let kind = if redundant { THEIR_RED } else { THEIR_OPUS };
            let packet = world.packet(20, kind, &payload);
            let _ = world.arrive(&packet);
        }
        let indexes = world.got.keys().copied();
        prop_assert!(indexes.eq(700..700 + world.got.len() as u64));
    }
}
