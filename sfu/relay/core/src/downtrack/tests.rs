//! What a subscriber sees of one track.
use super::*;
use crate::command::{Encoding, PayloadFormat};
use crate::rtp::{Extension, ExtensionMap, Header};
use crate::units::{Codec, PayloadType, PeerId, TrackId};

const US: Ssrc = Ssrc(0xabcd);
const FIRST_SEQUENCE: u16 = 0x7ffe;
const FIRST_TIMESTAMP: u32 = u32::MAX - 500;
const FIRST: u64 = FIRST_SEQUENCE as u64;

const LOW: LayerId = LayerId(0);
const TOP: LayerId = LayerId(1);

fn ms(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn specs(kind: MediaKind) -> (DowntrackSpec, TrackSpec) {
    let format = |payload_type, codec| PayloadFormat {
        payload_type: PayloadType(payload_type),
        codec,
    };
    let (codec, other, clock_rate) = match kind {
        MediaKind::Audio => (Codec::Opus, Codec::Opus, 48_000),
        MediaKind::Video => (Codec::Vp8, Codec::Av1, 90_000),
    };
    let track = TrackSpec {
        peer: PeerId(1),
        kind,
        mid: "0".into(),
        clock_rate,
        formats: vec![format(96, codec), format(98, other)],
        extensions: ExtensionMap::from_pairs([
            (1, Extension::Mid),
            (2, Extension::AudioLevel),
            (3, Extension::VideoOrientation),
            (4, Extension::TransportSequence),
        ]),
        repair: crate::command::TrackRepair::default(),
        encodings: vec![Encoding::Rid("q".into()), Encoding::Rid("f".into())],
    };
    let downtrack = DowntrackSpec {
        peer: PeerId(2),
        track: TrackId(1),
        ssrc: US,
        formats: vec![format(120, codec)],
        extensions: ExtensionMap::from_pairs([
            (7, Extension::Mid),
            (9, Extension::AudioLevel),
            (4, Extension::TransportSequence),
        ]),
        cname: "someone".into(),
        nack: true,
        wish: Wish::default(),
        stands: false,
        repair: None,
    };
    (downtrack, track)
}

fn downtrack(kind: MediaKind) -> Downtrack {
    let (spec, track) = specs(kind);
    Downtrack::new(&spec, &track, FIRST_SEQUENCE, FIRST_TIMESTAMP)
}

/// One source packet, with sensible fields where a test does not say otherwise.
#[derive(Clone)]
struct Sample {
    layer: LayerId,
    index: u64,
    timestamp: u32,
    payload_type: u8,
    payload: Vec<u8>,
    key_frame: bool,
    mapping: Option<(NtpTime, u32)>,
}

fn sample(layer: LayerId, index: u64) -> Sample {
    Sample {
        layer,
        index,
        timestamp: (index as u32).wrapping_mul(3_000),
        payload_type: 96,
        payload: vec![layer.0, index as u8, 3],
        key_frame: false,
        mapping: None,
    }
}

fn key(layer: LayerId, index: u64) -> Sample {
    Sample {
        key_frame: true,
        ..sample(layer, index)
    }
}

fn padding(layer: LayerId, index: u64) -> Sample {
    Sample {
        payload: vec![],
        ..sample(layer, index)
    }
}

impl Sample {
    fn packet(&self) -> Vec<u8> {
        let header = NewHeader {
            marker: true,
            payload_type: PayloadType(self.payload_type),
            sequence: self.index as u16,
            timestamp: self.timestamp,
            ssrc: Ssrc(1),
        };
        let mut packet = Vec::new();
        rtp::write_header(&mut packet, &header, std::iter::empty());
        packet.extend_from_slice(&self.payload);
        packet
    }

    fn forward(&self, downtrack: &mut Downtrack, millis: u64) -> Decision {
        let packet = self.packet();
        let source = Source {
            layer: self.layer,
            index: self.index,
            header: &Header::parse(&packet).unwrap(),
            packet: &packet,
            key_frame: self.key_frame,
            mapping: self.mapping,
            dependency: None,
            before: None,
            transport_number: self.index as u16 ^ 0x5555,
            padding: 0,
        };
        downtrack.forward(ms(millis), &source)
    }

    fn kept(&self, downtrack: &mut Downtrack, millis: u64) -> Stamp {
        match self.forward(downtrack, millis) {
            Decision::Keep(stamp) => stamp,
            Decision::Skip(reason) => unreachable!("skipped: {reason:?}"),
        }
    }
}

fn skipped(reason: SkipReason) -> Decision {
    Decision::Skip(reason)
}

/// A video downtrack that forwards the low layer, its key frame being packet 1000.
fn playing() -> Downtrack {
    let mut downtrack = downtrack(MediaKind::Video);
    key(LOW, 1_000).kept(&mut downtrack, 0);
    downtrack
}

#[test]
fn video_begins_at_a_key_frame() {
    let mut downtrack = downtrack(MediaKind::Video);
    downtrack.set_target(TOP);
    assert_eq!(downtrack.wants_key_frame(), Some(TOP));
    let waiting = sample(TOP, 5).forward(&mut downtrack, 0);
    assert_eq!(waiting, skipped(SkipReason::AwaitingKeyFrame));
    let other = sample(LOW, 5).forward(&mut downtrack, 0);
    assert_eq!(other, skipped(SkipReason::OtherLayer));
    assert_eq!(downtrack.current_layer(), None);
    let stamp = key(TOP, 6).kept(&mut downtrack, 0);
    assert_eq!(
        stamp,
        Stamp {
            index: FIRST,
            timestamp: FIRST_TIMESTAMP,
            payload_type: PayloadType(120),
            layer: TOP,
            source_index: 6,
            picture: None,
            marker: true,
            active: None,
            empty: false,
            carries_before: None,
            transport_number: Some(6 ^ 0x5555),
            padding: 0,
        }
    );
    assert_eq!(downtrack.current_layer(), Some(TOP));
    assert_eq!(downtrack.wants_key_frame(), None);
}

#[test]
fn whoever_has_no_picture_begins_at_a_lower_layers_key_frame_and_climbs() {
    let mut downtrack = downtrack(MediaKind::Video);
    downtrack.set_target(TOP);
    let small = key(LOW, 5).kept(&mut downtrack, 0);
    sample(LOW, 6).kept(&mut downtrack, 33);
    assert_eq!(downtrack.wants_key_frame(), Some(TOP));
    let waiting = sample(TOP, 900).forward(&mut downtrack, 34);
    assert_eq!(waiting, skipped(SkipReason::AwaitingKeyFrame));
    let large = key(TOP, 901).kept(&mut downtrack, 66);
    assert_eq!(large.index, small.index + 2);
    assert_eq!(downtrack.wants_key_frame(), None);

    // A picture that stands still is no picture.
    downtrack.interrupt();
    assert_eq!(key(LOW, 500).kept(&mut downtrack, 9_000).layer, LOW);
    assert_eq!(downtrack.wants_key_frame(), Some(TOP));
}

#[test]
fn a_first_sequence_number_about_to_roll_over_is_not_used() {
    let (spec, track) = specs(MediaKind::Audio);
    let mut downtrack = Downtrack::new(&spec, &track, 0xffff, 0);
    assert_eq!(sample(LOW, 1).kept(&mut downtrack, 0).index, 0x7fff);
}

#[test]
fn the_index_counts_roll_overs() {
    let mut downtrack = downtrack(MediaKind::Audio);
    for step in 0..0x2_0000u64 {
        let stamp = sample(LOW, 500 + step).kept(&mut downtrack, step);
        assert_eq!(stamp.index, FIRST + step);
    }
}

#[test]
fn a_packet_is_rendered_in_the_subscribers_numbers_without_what_belongs_to_the_publishers_leg() {
    let mut downtrack = downtrack(MediaKind::Audio);
    // Padding, one CSRC; mid, level, orientation and transport number in one-byte form.
    let mut packet = vec![0xb1, 0xe0, 0, 5, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2];
    packet.extend_from_slice(&[0xbe, 0xde, 0, 3]);
    packet.extend_from_slice(&[0x10, b'0', 0x20, 0x85, 0x30, 0x01, 0x41, 0, 1, 0, 0, 0]);
    packet.extend_from_slice(b"sound\0\0\x03");
    let source = Source {
        layer: LOW,
        index: 5,
        header: &Header::parse(&packet).unwrap(),
        packet: &packet,
        key_frame: true,
        mapping: None,
        dependency: None,
        before: None,
        transport_number: 7,
        padding: 0,
    };
    let Decision::Keep(stamp) = downtrack.forward(ms(0), &source) else {
        unreachable!("nothing speaks against it");
    };
    let mut out = b"before".to_vec();
    let cached = CachedPacket::alone(source.header, &packet);
    let len = downtrack.render(&stamp, &cached, &mut out).unwrap();
    let out = &out[6..];
    let header = Header::parse(out).unwrap();
    assert_eq!(header.len, len);
    assert_eq!((header.ssrc, header.sequence), (US, FIRST_SEQUENCE));
    assert_eq!(
        (header.payload_type, header.timestamp),
        (PayloadType(120), FIRST_TIMESTAMP)
    );
    assert!(header.marker && !header.padding);
    let elements: Vec<_> = header.extensions(out).collect();
    assert_eq!(elements, [(4, &[0, 7][..]), (9, &[0x85][..])]);
    assert_eq!(header.payload(out), Some(&b"sound"[..]));
}

#[test]
fn a_switch_happens_at_the_targets_key_frame_and_leaves_no_gap() {
    let mut downtrack = playing();
    downtrack.set_target(TOP);
    assert_eq!(downtrack.wants_key_frame(), Some(TOP));
    let waiting = sample(TOP, 70_000).forward(&mut downtrack, 10);
    assert_eq!(waiting, skipped(SkipReason::AwaitingKeyFrame));
    let before = sample(LOW, 1_001).kept(&mut downtrack, 33);
    let after = key(TOP, 70_001).kept(&mut downtrack, 66);
    assert_eq!(after.index, before.index + 1);
    // No sender report came, so the 33 ms that went by are what the clock moves.
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 2_970);
    assert_eq!(downtrack.wants_key_frame(), None);
    assert_eq!(
        sample(TOP, 70_002).kept(&mut downtrack, 66).index,
        before.index + 2
    );
}

#[test]
fn after_a_switch_late_packets_of_either_layer_are_not_placed() {
    let mut downtrack = playing();
    sample(LOW, 1_002).kept(&mut downtrack, 1);
    downtrack.set_target(TOP);
    key(TOP, 500).kept(&mut downtrack, 2);
    let old = sample(LOW, 1_001).forward(&mut downtrack, 3);
    assert_eq!(old, skipped(SkipReason::OtherLayer));
    let early = sample(TOP, 499).forward(&mut downtrack, 3);
    assert_eq!(early, skipped(SkipReason::TooLate));
}

#[test]
fn a_layer_is_not_entered_again_at_a_packet_from_before_it_was_left() {
    let mut downtrack = playing();
    sample(LOW, 1_010).kept(&mut downtrack, 1);
    downtrack.set_target(TOP);
    key(TOP, 500).kept(&mut downtrack, 2);
    downtrack.set_target(LOW);
    let old = key(LOW, 1_005).forward(&mut downtrack, 3);
    assert_eq!(old, skipped(SkipReason::TooLate));
    key(LOW, 1_020).kept(&mut downtrack, 4);
}

#[test]
fn a_layer_that_died_is_left_for_a_lower_one() {
    let mut downtrack = downtrack(MediaKind::Video);
    downtrack.set_target(TOP);
    let last = key(TOP, 1).kept(&mut downtrack, 0);
    downtrack.set_target(LOW);
    assert_eq!(downtrack.wants_key_frame(), Some(LOW));
    let next = key(LOW, 9_000).kept(&mut downtrack, 1_000);
    assert_eq!(next.index, last.index + 1);
    assert_eq!(next.timestamp.wrapping_sub(last.timestamp), 90_000);
}

#[test]
fn a_target_withdrawn_before_its_key_frame_changes_nothing() {
    let mut downtrack = playing();
    downtrack.set_target(TOP);
    downtrack.set_target(LOW);
    downtrack.set_target(LayerId(9));
    assert_eq!(downtrack.wants_key_frame(), None);
    let other = key(TOP, 5).forward(&mut downtrack, 1);
    assert_eq!(other, skipped(SkipReason::OtherLayer));
}

#[test]
fn audio_needs_no_key_frame_and_switches_at_once() {
    let mut downtrack = downtrack(MediaKind::Audio);
    assert_eq!(downtrack.wants_key_frame(), None);
    let first = sample(LOW, 5).kept(&mut downtrack, 0);
    downtrack.set_target(TOP);
    let next = sample(TOP, 900).kept(&mut downtrack, 20);
    assert_eq!(next.index, first.index + 1);
    assert_eq!(next.timestamp.wrapping_sub(first.timestamp), 960);
}

#[test]
fn padding_and_foreign_formats_leave_no_hole() {
    let mut downtrack = playing();
    let filler = padding(LOW, 1_001).forward(&mut downtrack, 1);
    assert_eq!(filler, skipped(SkipReason::Padding));
    let mut foreign = sample(LOW, 1_002);
    foreign.payload_type = 98;
    assert_eq!(
        foreign.forward(&mut downtrack, 1),
        skipped(SkipReason::Format)
    );
    foreign.payload_type = 255;
    assert_eq!(
        foreign.forward(&mut downtrack, 1),
        skipped(SkipReason::Format)
    );
    assert_eq!(sample(LOW, 1_003).kept(&mut downtrack, 2).index, FIRST + 1);
}

#[test]
fn padding_that_comes_late_fills_the_hole_it_left() {
    let mut downtrack = playing();
    assert_eq!(sample(LOW, 1_002).kept(&mut downtrack, 1).index, FIRST + 2);
    let late = padding(LOW, 1_001);
    let stamp = late.kept(&mut downtrack, 2);
    assert_eq!(stamp.index, FIRST + 1);
    let packet = late.packet();
    let header = Header::parse(&packet).unwrap();
    let cached = CachedPacket::alone(&header, &packet);
    let mut out = Vec::new();
    let len = downtrack.render(&stamp, &cached, &mut out).unwrap();
    assert_eq!(out.len(), len);
}

#[test]
fn a_lost_packet_leaves_a_hole_and_is_placed_in_it_when_it_comes_late() {
    let mut downtrack = playing();
    assert_eq!(sample(LOW, 1_002).kept(&mut downtrack, 1).index, FIRST + 2);
    assert_eq!(sample(LOW, 1_001).kept(&mut downtrack, 2).index, FIRST + 1);
}

#[test]
fn a_duplicate_is_not_sent_twice() {
    let mut downtrack = playing();
    sample(LOW, 1_001).kept(&mut downtrack, 1);
    for index in [1_000, 1_001] {
        let again = sample(LOW, index).forward(&mut downtrack, 2);
        assert_eq!(again, skipped(SkipReason::TooLate));
    }
}

#[test]
fn a_packet_older_than_the_history_is_too_late() {
    let mut downtrack = downtrack(MediaKind::Audio);
    sample(LOW, 1_000).kept(&mut downtrack, 0);
    for index in 1_002..1_002 + AUDIO_HISTORY as u64 {
        sample(LOW, index).kept(&mut downtrack, 0);
    }
    let late = sample(LOW, 1_001).forward(&mut downtrack, 0);
    assert_eq!(late, skipped(SkipReason::TooLate));
}

#[test]
fn timestamps_that_jump_within_a_source_pass_through() {
    let mut downtrack = playing();
    let mut jumped = sample(LOW, 1_001);
    jumped.timestamp = sample(LOW, 1_000).timestamp.wrapping_add(0x9000_0000);
    let stamp = jumped.kept(&mut downtrack, 1);
    assert_eq!(stamp.timestamp.wrapping_sub(FIRST_TIMESTAMP), 0x9000_0000);
}

#[test]
fn a_publisher_that_pauses_for_minutes_goes_on_where_it_was() {
    let mut downtrack = playing();
    // It sent nothing, its clock ran on.
    let mut next = sample(LOW, 1_001);
    next.timestamp = sample(LOW, 1_000).timestamp.wrapping_add(300 * 90_000);
    let stamp = next.kept(&mut downtrack, 300_000);
    assert_eq!(stamp.index, FIRST + 1);
    assert_eq!(stamp.timestamp.wrapping_sub(FIRST_TIMESTAMP), 300 * 90_000);
}

#[test]
fn a_track_muted_here_goes_on_at_a_key_frame_and_without_a_hole() {
    let mut downtrack = playing();
    downtrack.interrupt();
    assert_eq!(downtrack.wants_key_frame(), Some(LOW));
    let waiting = sample(LOW, 1_500).forward(&mut downtrack, 60_000);
    assert_eq!(waiting, skipped(SkipReason::AwaitingKeyFrame));
    let late = key(LOW, 999).forward(&mut downtrack, 60_000);
    assert_eq!(late, skipped(SkipReason::TooLate));
    let resumed = key(LOW, 200_000).kept(&mut downtrack, 60_000);
    assert_eq!(resumed.index, FIRST + 1);
    assert_eq!(downtrack.wants_key_frame(), None);

    let mut voice = self::downtrack(MediaKind::Audio);
    sample(LOW, 10).kept(&mut voice, 0);
    voice.interrupt();
    assert_eq!(sample(LOW, 60).kept(&mut voice, 1_000).index, FIRST + 1);
}

#[test]
fn a_source_that_began_anew_joins_as_another_and_its_old_packets_are_not_resent() {
    let mut downtrack = playing();
    let last = sample(LOW, 1_001).kept(&mut downtrack, 33);
    downtrack.restart_source(LOW);
    assert_eq!(downtrack.wants_key_frame(), Some(LOW));
    // The same source index as before, now another packet.
    let mut anew = key(LOW, 1_001);
    anew.timestamp = 77;
    let stamp = anew.kept(&mut downtrack, 66);
    assert_eq!(stamp.index, last.index + 1);
    assert_eq!(stamp.timestamp.wrapping_sub(last.timestamp), 2_970);
    let mut resends = Vec::new();
    let lost: Vec<u16> = (0..3).map(|step| FIRST_SEQUENCE + step).collect();
    downtrack.on_nack(ms(70), &lost, &mut resends);
    assert_eq!(resends, [stamp]);
}

#[test]
fn a_lost_packet_is_sent_again_with_the_very_same_stamp() {
    let mut downtrack = playing();
    let sent: Vec<Stamp> = (1_001..1_050)
        .map(|index| sample(LOW, index).kept(&mut downtrack, index))
        .collect();
    let mut resends = Vec::new();
    let unknown = FIRST_SEQUENCE - 1;
    let future = sent[48].index as u16 + 1;
    let lost = [sent[3].index as u16, sent[40].index as u16, unknown, future];
    downtrack.on_nack(ms(1_060), &lost, &mut resends);
    assert_eq!(resends, [sent[3], sent[40]]);
}

#[test]
fn a_subscriber_that_did_not_negotiate_nack_gets_no_resends() {
    let (mut spec, track) = specs(MediaKind::Audio);
    spec.nack = false;
    let mut downtrack = Downtrack::new(&spec, &track, FIRST_SEQUENCE, 0);
    sample(LOW, 1).kept(&mut downtrack, 0);
    let mut resends = Vec::new();
    downtrack.on_nack(ms(10), &[FIRST_SEQUENCE], &mut resends);
    assert_eq!(resends, []);
}

#[test]
fn a_nack_flood_gets_no_more_than_was_sent() {
    let mut downtrack = playing();
    let (mut sent, mut claimed) = (0u64, 0u64);
    let mut resends = Vec::new();
    for millis in 0..10_000u64 {
        if millis % 4 == 0 {
            sample(LOW, 1_001 + sent).kept(&mut downtrack, millis);
            sent += 1;
        }
        // Each millisecond everything is claimed lost, each claim twice.
        let newest = FIRST_SEQUENCE.wrapping_add(sent as u16);
        let lost: Vec<u16> = (0..=sent.min(1_000) as u16)
            .flat_map(|age| [newest.wrapping_sub(age); 2])
            .collect();
        claimed += lost.len() as u64;
        downtrack.on_nack(ms(millis), &lost, &mut resends);
    }
    // Answered one by one, the claims would multiply the stream a thousandfold.
    assert!(claimed > 1_000 * sent);
    assert!(
        resends.len() as u64 <= sent + 16,
        "{} for {sent}",
        resends.len()
    );
    let mut quiet = Vec::new();
    let newest = FIRST_SEQUENCE.wrapping_add(sent as u16);
    let lost: Vec<u16> = (0..1_000).map(|age| newest.wrapping_sub(age)).collect();
    for millis in 12_000..13_000 {
        downtrack.on_nack(ms(millis), &lost, &mut quiet);
    }
    assert!(
        quiet.len() <= 16,
        "{} resent in a second of rest",
        quiet.len()
    );
}

#[test]
fn the_sender_report_has_the_publishers_wall_clock_and_our_rtp_clock() {
    let mut downtrack = playing();
    let ntp = NtpTime(5 << 32);
    let at_key_frame = sample(LOW, 1_000).timestamp;
    assert_eq!(
        downtrack.sender_report(ms(1), (ntp, 0), LOW),
        None,
        "nothing counted as sent"
    );
    downtrack.sent(1_100);
    assert_eq!(
        downtrack.sender_report(ms(1), (ntp, 0), TOP),
        None,
        "another layer's clock"
    );
    let mapping = (ntp, at_key_frame.wrapping_add(900));
    let info = downtrack.sender_report(ms(1), mapping, LOW).unwrap();
    let expected = SenderInfo {
        ntp,
        rtp_time: FIRST_TIMESTAMP.wrapping_add(900),
        packets: 1,
        octets: 1_100,
    };
    assert_eq!(info, expected);
}

#[test]
fn sound_and_picture_stay_in_sync_over_a_switch() {
    let mut downtrack = downtrack(MediaKind::Video);
    let second = 1u64 << 32;
    let mut low = key(LOW, 1_000);
    low.mapping = Some((NtpTime(100 * second), low.timestamp));
    low.kept(&mut downtrack, 0);
    downtrack.set_target(TOP);
    // Captured 100 ms after the low key frame, although it arrives 400 ms after it.
    let mut top = key(TOP, 7);
    let clocks = (NtpTime(101 * second), top.timestamp.wrapping_add(81_000));
    top.mapping = Some(clocks);
    let stamp = top.kept(&mut downtrack, 400);
    assert_eq!(stamp.timestamp.wrapping_sub(FIRST_TIMESTAMP), 9_000);
    downtrack.sent(1);
    let info = downtrack.sender_report(ms(500), clocks, TOP).unwrap();
    assert_eq!(info.rtp_time.wrapping_sub(FIRST_TIMESTAMP), 90_000);
}

#[test]
fn the_round_trip_comes_from_reports_about_this_stream_only() {
    let mut downtrack = playing();
    downtrack.sent(1);
    let ntp = NtpTime(0x1_2345_6789_0000);
    downtrack.sender_report(ms(100), (ntp, 0), LOW).unwrap();
    let mut block = ReportBlock {
        ssrc: Ssrc(1),
        fraction_lost: 0,
        cumulative_lost: 0,
        highest_sequence: 0,
        jitter: 0,
        last_sr: ntp.middle(),
        delay_since_last_sr: 0,
    };
    downtrack.on_report(ms(150), &block);
    assert_eq!(downtrack.round_trip(), None);
    block.ssrc = US;
    downtrack.on_report(ms(150), &block);
    assert_eq!(downtrack.round_trip(), Some(Duration::from_millis(50)));
}
