//! The laws of a downtrack under any mixture of loss, reordering, duplication, padding, foreign formats, layer
//! switches, temporal layers left out, wishes and pauses.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use conclave_relay_core::cache::CachedPacket;
use conclave_relay_core::command::{DowntrackSpec, Encoding, PayloadFormat, TrackSpec};
use conclave_relay_core::downtrack::{Decision, Downtrack, SkipReason, Source, Stamp, Wish};
use conclave_relay_core::layers::LayerSet;
use conclave_relay_core::numbers::Numbers;
use conclave_relay_core::rtp::{self, Extension, ExtensionMap, Header, NewHeader};
use conclave_relay_core::units::{
    Codec, LayerId, MediaKind, NtpTime, PayloadType, PeerId, Ssrc, Time, TrackId,
};
use conclave_relay_core::vp8::Descriptor;
use proptest::prelude::*;

const LAYERS: usize = 3;
const RATE: u32 = 90_000;
const VP8: u8 = 96;
const FOREIGN: u8 = 98;

/// One packet of the publisher and what the network does to it.
#[derive(Clone, Debug)]
struct Step {
    layer: usize,
    content: Content,
    /// Of a delta frame: temporal layer, and whether higher ones can be joined there.
    temporal: (u8, bool),
    fate: Fate,
    /// Milliseconds since the step before.
    pause: u64,
    control: Control,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    Key,
    Delta,
    Padding,
    Foreign,
    /// Delta after that many packets nobody saw.
    AfterGap(u64),
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Lost,
    /// Overtaken by that many steps.
    Late(usize),
    Twice(usize),
}

#[derive(Clone, Copy, Debug)]
enum Control {
    Nothing,
    Target(u8),
    Wish(Wish, LayerSet),
    /// No temporal layer above it.
    Temporal(Option<u8>),
    Interrupt,
    Nack,
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        3 => Just(Content::Key),
        12 => Just(Content::Delta),
        3 => Just(Content::Padding),
        1 => Just(Content::Foreign),
        1 => (1u64..40_000).prop_map(Content::AfterGap),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Arrives),
        2 => Just(Fate::Lost),
        3 => (1usize..30).prop_map(Fate::Late),
        2 => (0usize..30).prop_map(Fate::Twice),
    ]
}

fn control() -> impl Strategy<Value = Control> {
    prop_oneof![
        10 => Just(Control::Nothing),
        3 => (0u8..4).prop_map(Control::Target),
        3 => (wish(), live()).prop_map(|(wish, live)| Control::Wish(wish, live)),
        3 => prop::option::of(0u8..3).prop_map(Control::Temporal),
        1 => Just(Control::Interrupt),
        2 => Just(Control::Nack),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    (prop::option::of(0u8..4), prop::bool::weighted(0.3)).prop_map(|(layer, paused)| Wish {
        layer: layer.map(LayerId),
        paused,
        frame_rate: None,
        priority: 1,
    })
}

/// Any of the track's layers, or none.
fn live() -> impl Strategy<Value = LayerSet> {
    prop::array::uniform3(any::<bool>()).prop_map(|live| {
        let mut set = LayerSet::default();
        let sent = (0..LAYERS as u8).filter(|layer| live[usize::from(*layer)]);
        sent.for_each(|layer| set.insert(LayerId(layer)));
        set
    })
}

fn steps(fate: impl Strategy<Value = Fate>) -> impl Strategy<Value = Vec<Step>> {
    let temporal = (0u8..3, any::<bool>());
    let step = (0..LAYERS, content(), temporal, fate, 0u64..60, control()).prop_map(
        |(layer, content, temporal, fate, pause, control)| Step {
            layer,
            content,
            temporal,
            fate,
            pause,
            control,
        },
    );
    prop::collection::vec(step, 1..400)
}

/// How the publisher's layers begin, and how our stream does.
#[derive(Clone, Debug)]
struct Start {
    kind: MediaKind,
    indexes: [u64; LAYERS],
    timestamps: [u32; LAYERS],
    pictures: [u16; LAYERS],
    /// Whether sender reports came; the last layer's wall clock is wrong by that many seconds.
    reports: Option<u64>,
    sequence: u16,
    timestamp: u32,
}

fn start() -> impl Strategy<Value = Start> {
    (
        prop_oneof![Just(MediaKind::Audio), Just(MediaKind::Video)],
        prop::array::uniform3(0u64..200_000),
        any::<[u32; LAYERS]>(),
        any::<[u16; LAYERS]>(),
        prop::option::of(prop_oneof![Just(0u64), 0u64..10_000]),
        0u16..0x8000,
        any::<u32>(),
    )
        .prop_map(
            |(kind, indexes, timestamps, pictures, reports, sequence, timestamp)| Start {
                kind,
                indexes,
                timestamps,
                pictures,
                reports,
                sequence,
                timestamp,
            },
        )
}

#[derive(Clone, Debug)]
struct Sent {
    layer: LayerId,
    index: u64,
    content: Content,
    packet: Vec<u8>,
    mapping: Option<(NtpTime, u32)>,
}

struct Publisher {
    start: Start,
    next: [u64; LAYERS],
    numbers: [Numbers; LAYERS],
}

impl Publisher {
    fn new(start: &Start) -> Self {
        Publisher {
            start: start.clone(),
            next: start.indexes,
            numbers: start.pictures.map(|picture| Numbers {
                picture_id: picture & 0x7fff,
                tl0_index: picture as u8,
                key_index: picture as u8 & 0x1f,
                frame_number: 0,
            }),
        }
    }

    fn send(&mut self, now: Time, step: &Step) -> Sent {
        if let Content::AfterGap(gap) = step.content {
            self.next[step.layer] += gap;
        }
        let index = self.next[step.layer];
        self.next[step.layer] += 1;
        let ticks = (now.as_micros() * u64::from(RATE) / 1_000_000) as u32;
        let timestamp = self.start.timestamps[step.layer].wrapping_add(ticks);
        let foreign = step.content == Content::Foreign;
        let header = NewHeader {
            marker: false,
            payload_type: PayloadType(if foreign { FOREIGN } else { VP8 }),
            sequence: index as u16,
            timestamp,
            ssrc: Ssrc(step.layer as u32),
        };
        let mut packet = Vec::new();
        rtp::write_header(&mut packet, &header, std::iter::empty());
        if step.content != Content::Padding {
            let numbers = &mut self.numbers[step.layer];
            let (temporal, sync) = match step.content {
                Content::Key => (0, false),
                _ => step.temporal,
            };
            if !foreign {
                numbers.picture_id = numbers.picture_id.wrapping_add(1) & 0x7fff;
                numbers.tl0_index = numbers.tl0_index.wrapping_add(u8::from(temporal == 0));
                let key = u8::from(step.content == Content::Key);
                numbers.key_index = numbers.key_index.wrapping_add(key) & 0x1f;
            }
            packet.extend_from_slice(&descriptor(numbers, temporal, sync));
            packet.extend_from_slice(&index.to_be_bytes());
        }
        let wrong = if step.layer == LAYERS - 1 {
            self.start.reports
        } else {
            Some(0)
        };
        let clock = NtpTime(1 << 40).plus(now.since(Time::ZERO));
        Sent {
            layer: LayerId(step.layer as u8),
            index,
            content: step.content,
            packet,
            mapping: self
                .start
                .reports
                .and(wrong)
                .map(|by| (NtpTime(clock.0 + (by << 32)), timestamp)),
        }
    }
}

/// Of a frame in one packet, with all of VP8's numbers.
fn descriptor(numbers: &Numbers, temporal: u8, sync: bool) -> [u8; 6] {
    let [high, low] = numbers.picture_id.to_be_bytes();
    let layer = temporal << 6 | u8::from(sync) << 5 | numbers.key_index;
    [0x90, 0xf0, high | 0x80, low, numbers.tl0_index, layer]
}

/// What arrived, in order of arrival: at which step's time, and after which control.
fn arrivals(start: &Start, steps: &[Step]) -> Vec<(Time, Control, Option<Sent>)> {
    let mut publisher = Publisher::new(start);
    let mut now = Time::from_millis(5);
    let mut times = Vec::new();
    let mut at: BTreeMap<(usize, usize), Sent> = BTreeMap::new();
    for (number, step) in steps.iter().enumerate() {
        now = now + Duration::from_millis(step.pause);
        times.push(now);
        let sent = publisher.send(now, step);
        let places: &[usize] = match step.fate {
            Fate::Arrives => &[number],
            Fate::Lost => &[],
            Fate::Late(by) => &[number + by],
            Fate::Twice(by) => &[number, number + by],
        };
        for (copy, place) in places.iter().enumerate() {
            at.insert((*place, number * 2 + copy), sent.clone());
        }
    }
    let mut all: Vec<(Time, Control, Option<Sent>)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        all.push((times[number], step.control, None));
        for (_, sent) in at.range((number, 0)..(number + 1, 0)) {
            all.push((times[number], Control::Nothing, Some(sent.clone())));
        }
    }
    let end = *times.last().expect("at least one step");
    let rest = at.range((steps.len(), 0)..);
    all.extend(rest.map(|(_, sent)| (end, Control::Nothing, Some(sent.clone()))));
    all
}

fn downtrack(start: &Start) -> Downtrack {
    let (spec, track) = specs(start);
    Downtrack::new(&spec, &track, start.sequence, start.timestamp)
}

fn specs(start: &Start) -> (DowntrackSpec, TrackSpec) {
    let format = |payload_type, codec| PayloadFormat {
        payload_type: PayloadType(payload_type),
        codec,
    };
    let track = TrackSpec {
        peer: PeerId(1),
        kind: start.kind,
        mid: "0".into(),
        clock_rate: RATE,
        formats: vec![format(VP8, Codec::Vp8), format(FOREIGN, Codec::Av1)],
        extensions: ExtensionMap::default(),
        repair: Default::default(),
        encodings: (0..LAYERS)
            .map(|layer| Encoding::Rid(layer.to_string()))
            .collect(),
    };
    let spec = DowntrackSpec {
        peer: PeerId(2),
        track: TrackId(1),
        ssrc: Ssrc(9),
        formats: vec![format(120, Codec::Vp8)],
        extensions: ExtensionMap::from_pairs([(3, Extension::TransportSequence)]),
        cname: "someone".into(),
        nack: true,
        wish: Wish::default(),
        stands: false,
        repair: None,
    };
    (spec, track)
}

/// What a subscriber got: stamps in the order of sending with the bytes of each, resends, and the reasons for the rest.
#[derive(Default)]
struct Outcome {
    kept: Vec<(Stamp, Vec<u8>)>,
    resent: Vec<Stamp>,
    skipped: Vec<(Sent, SkipReason)>,
}

fn play(start: &Start, arrivals: &[(Time, Control, Option<Sent>)]) -> Outcome {
    let mut outcome = Outcome::default();
    play_on(
        &mut downtrack(start),
        &mut outcome,
        Duration::ZERO,
        arrivals,
    );
    outcome
}

/// Plays on one that has played before, so much later.
fn play_on(
    downtrack: &mut Downtrack,
    outcome: &mut Outcome,
    later: Duration,
    arrivals: &[(Time, Control, Option<Sent>)],
) {
    for (now, control, sent) in arrivals {
        let now = &(*now + later);
        match control {
            Control::Nothing => {}
            Control::Target(layer) => downtrack.set_target(LayerId(*layer)),
            Control::Wish(wish, live) => {
                downtrack.set_wish(*wish);
                downtrack.aim(*live);
            }
            Control::Temporal(highest) => downtrack.set_allowed_temporal(*highest),
            Control::Interrupt => downtrack.interrupt(),
            Control::Nack => {
                let newest = outcome.kept.last().map_or(0, |(stamp, _)| stamp.index);
                let lost: Vec<u16> = (0..50)
                    .map(|age| (newest as u16).wrapping_sub(age))
                    .collect();
                downtrack.on_nack(*now, &lost, &mut outcome.resent);
            }
        }
        let Some(sent) = sent else { continue };
        let header = Header::parse(&sent.packet).expect("our own packet");
        let source = Source {
            layer: sent.layer,
            index: sent.index,
            header: &header,
            packet: &sent.packet,
            key_frame: sent.content == Content::Key,
            mapping: sent.mapping,
            dependency: None,
            before: None,
            transport_number: outcome.kept.len() as u16,
            padding: sent.index as u8 % 3,
        };
        match downtrack.forward(*now, &source) {
            Decision::Keep(stamp) => {
                assert!(!downtrack.is_paused(), "nothing was wanted");
                let mut bytes = Vec::new();
                let packet = CachedPacket::alone(&header, &sent.packet);
                downtrack.render(&stamp, &packet, &mut bytes);
                outcome.kept.push((stamp, bytes));
            }
            Decision::Skip(reason) => outcome.skipped.push((sent.clone(), reason)),
        }
    }
}

#[test]
fn a_picture_that_comes_late_over_an_interruption_is_not_numbered_as_the_one_after_it() {
    let step = |content, fate, control| Step {
        layer: 0,
        content,
        temporal: (0, false),
        fate,
        pause: 0,
        control,
    };
    let steps = [
        step(Content::Key, Fate::Arrives, Control::Nothing),
        step(Content::Delta, Fate::Late(5), Control::Nothing),
        // The later of these is compacted away, the earlier fills its hole: neither has a picture's number.
        step(Content::Padding, Fate::Late(2), Control::Nothing),
        step(Content::Padding, Fate::Arrives, Control::Nothing),
        Step {
            layer: 1,
            ..step(Content::Delta, Fate::Arrives, Control::Nothing)
        },
        step(Content::Key, Fate::Arrives, Control::Interrupt),
        step(Content::Delta, Fate::Arrives, Control::Nothing),
    ];
    let start = Start {
        kind: MediaKind::Video,
        indexes: [0; LAYERS],
        timestamps: [0; LAYERS],
        pictures: [0; LAYERS],
        reports: None,
        sequence: 0,
        timestamp: 0,
    };
    let outcome = play(&start, &arrivals(&start, &steps));
    let numbers = |(stamp, _): &(Stamp, Vec<u8>)| Some(stamp.picture?.picture_id);
    let sent: Vec<u16> = outcome.kept.iter().filter_map(numbers).collect();
    assert_eq!(sent, [1, 2, 3]);
    let late =
        |(sent, reason): &&(Sent, SkipReason)| sent.index == 1 && *reason == SkipReason::TooLate;
    assert!(outcome.skipped.iter().any(|skipped| late(&skipped)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_outgoing_index_is_given_twice_and_no_source_packet_is_sent_twice(
        start in start(), steps in steps(fate()),
    ) {
        let outcome = play(&start, &arrivals(&start, &steps));
        let indexes: HashSet<u64> = outcome.kept.iter().map(|(stamp, _)| stamp.index).collect();
        prop_assert_eq!(indexes.len(), outcome.kept.len());
        let sources: HashSet<(LayerId, u64)> =
            outcome.kept.iter().map(|(stamp, _)| (stamp.layer, stamp.source_index)).collect();
        prop_assert_eq!(sources.len(), outcome.kept.len());
    }

    #[test]
    fn a_resend_has_the_stamp_its_packet_went_out_with(
        start in start(), steps in steps(fate()),
    ) {
        let outcome = play(&start, &arrivals(&start, &steps));
        let by_index: HashMap<u64, Stamp> =
            outcome.kept.iter().map(|(stamp, _)| (stamp.index, *stamp)).collect();
        for stamp in outcome.resent {
            prop_assert_eq!(by_index.get(&stamp.index), Some(&stamp));
        }
    }

    #[test]
    fn another_track_goes_on_in_the_same_stream_and_nothing_of_the_old_one_is_resent(
        first in start(), second in start(), steps in steps(fate()), more in steps(fate()),
    ) {
        let second = Start { kind: first.kind, ..second };
        let (mut downtrack, mut outcome) = (downtrack(&first), Outcome::default());
        play_on(&mut downtrack, &mut outcome, Duration::ZERO, &arrivals(&first, &steps));
        let (old, asked) = (outcome.kept.len(), outcome.resent.len());
        let (spec, track) = specs(&second);
        downtrack.change_source(&spec, &track);
        play_on(&mut downtrack, &mut outcome, Duration::from_secs(60), &arrivals(&second, &more));
        let fresh: HashSet<u64> = outcome.kept[old..].iter().map(|(stamp, _)| stamp.index).collect();
        prop_assert!(outcome.resent[asked..].iter().all(|stamp| fresh.contains(&stamp.index)));
        if let Some(last) = outcome.kept[..old].iter().map(|(stamp, _)| stamp.index).max() {
            prop_assert!(fresh.iter().all(|index| *index > last));
        }
        outcome.kept.sort_by_key(|(stamp, _)| stamp.index);
        for pair in outcome.kept.windows(2) {
            prop_assert!(pair[0].0.index < pair[1].0.index);
            let step = pair[1].0.timestamp.wrapping_sub(pair[0].0.timestamp) as i32;
            prop_assert!(step >= 0, "{pair:?}");
        }
    }

    #[test]
    fn kept_packets_of_a_layer_keep_their_order(start in start(), steps in steps(fate())) {
        let outcome = play(&start, &arrivals(&start, &steps));
        for layer in 0..LAYERS {
            let mut of_layer: Vec<&Stamp> = outcome
                .kept
                .iter()
                .map(|(stamp, _)| stamp)
                .filter(|stamp| usize::from(stamp.layer.0) == layer)
                .collect();
            of_layer.sort_by_key(|stamp| stamp.source_index);
            prop_assert!(of_layer.windows(2).all(|pair| pair[0].index < pair[1].index));
        }
    }

    #[test]
    fn timestamps_never_go_back_in_sequence_and_move_on_at_a_switch(
        start in start(), steps in steps(fate()),
    ) {
        let mut outcome = play(&start, &arrivals(&start, &steps));
        outcome.kept.sort_by_key(|(stamp, _)| stamp.index);
        for pair in outcome.kept.windows(2) {
            let step = pair[1].0.timestamp.wrapping_sub(pair[0].0.timestamp) as i32;
            prop_assert!(step >= i32::from(pair[0].0.layer != pair[1].0.layer), "{pair:?}");
        }
    }

    #[test]
    fn pictures_are_numbered_on_over_switches_and_pauses(
        start in start(), steps in steps(fate()),
    ) {
        let mut kept = play(&start, &arrivals(&start, &steps)).kept;
        kept.sort_by_key(|(stamp, _)| stamp.index);
        let pictures: Vec<_> = kept
            .iter()
            .filter_map(|(stamp, bytes)| Some((stamp.picture?, bytes)))
            .collect();
        for (numbers, bytes) in &pictures {
            let header = Header::parse(bytes).expect("our own packet");
            let shown = Descriptor::parse(header.payload(bytes).unwrap_or_default());
            prop_assert_eq!(shown.map(|shown| shown.numbers), Some(*numbers));
        }
        for pair in pictures.windows(2) {
            let (before, after) = (pair[0].0, pair[1].0);
            let step = after.picture_id.wrapping_sub(before.picture_id) & 0x7fff;
            prop_assert!((1..0x4000).contains(&step), "{before:?} {after:?}");
            let base = u16::from(after.tl0_index.wrapping_sub(before.tl0_index));
            prop_assert!(base <= step, "{before:?} {after:?}");
            let keys = u16::from(after.key_index.wrapping_sub(before.key_index) & 0x1f);
            prop_assert!(keys <= step, "{before:?} {after:?}");
        }
    }

    #[test]
    fn without_loss_and_reordering_no_picture_is_missing(
        mut start in start(), steps in steps(Just(Fate::Arrives)),
    ) {
        start.kind = MediaKind::Video;
        let kept = play(&start, &arrivals(&start, &steps)).kept;
        for pair in kept.windows(2) {
            let number = |at: usize| pair[at].0.picture.expect("VP8").picture_id;
            prop_assert_eq!(number(1), (number(0) + 1) & 0x7fff);
        }
    }

    #[test]
    fn video_changes_its_layer_at_key_frames_only(mut start in start(), steps in steps(fate())) {
        start.kind = MediaKind::Video;
        let arrivals = arrivals(&start, &steps);
        let keys: HashSet<(LayerId, u64)> = arrivals
            .iter()
            .filter_map(|(_, _, sent)| sent.as_ref())
            .filter(|sent| sent.content == Content::Key)
            .map(|sent| (sent.layer, sent.index))
            .collect();
        let mut kept = play(&start, &arrivals).kept;
        kept.sort_by_key(|(stamp, _)| stamp.index);
        let mut layer = None;
        for (stamp, _) in kept {
            if layer.replace(stamp.layer) != Some(stamp.layer) {
                prop_assert!(keys.contains(&(stamp.layer, stamp.source_index)));
            }
        }
    }

    #[test]
    fn without_loss_and_reordering_there_is_never_a_hole(
        start in start(), mut steps in steps(Just(Fate::Arrives)),
    ) {
        for step in &mut steps {
            if let Content::AfterGap(_) = step.content {
                step.content = Content::Delta;
            }
        }
        let outcome = play(&start, &arrivals(&start, &steps));
        for (number, (stamp, _)) in outcome.kept.iter().enumerate() {
            prop_assert_eq!(stamp.index, u64::from(start.sequence) + number as u64);
        }
        let late = outcome.skipped.iter().find(|(_, reason)| *reason == SkipReason::TooLate);
        prop_assert!(late.is_none(), "{:?}", late);
    }

    #[test]
    fn on_one_layer_every_loss_leaves_a_hole_of_its_width(
        start in start(), mut steps in steps(prop_oneof![
            4 => Just(Fate::Arrives), 1 => Just(Fate::Lost),
        ]),
    ) {
        for (number, step) in steps.iter_mut().enumerate() {
            step.layer = 0;
            step.control = Control::Nothing;
            step.content = if number == 0 { Content::Key } else { Content::Delta };
        }
        steps[0].fate = Fate::Arrives;
        let kept = play(&start, &arrivals(&start, &steps)).kept;
        for (stamp, _) in &kept {
            let from_start = stamp.source_index - start.indexes[0];
            prop_assert_eq!(stamp.index, u64::from(start.sequence) + from_start);
        }
    }

    #[test]
    fn the_same_input_gives_the_same_bytes(start in start(), steps in steps(fate())) {
        let arrivals = arrivals(&start, &steps);
        let (once, again) = (play(&start, &arrivals), play(&start, &arrivals));
        prop_assert_eq!(once.kept, again.kept);
        prop_assert_eq!(once.resent, again.resent);
    }
}
