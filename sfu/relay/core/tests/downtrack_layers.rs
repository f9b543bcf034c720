//! The laws of a downtrack that carries a layered stream in part: VP8's temporal layers, and the spatial and temporal
//! ones of VP9, by its own descriptor and by the dependency descriptor.
//!
//! The encoder of these tests knows what each frame refers to, and the decoder here has only what was kept.
use std::collections::{BTreeSet, HashMap, HashSet};

use conclave_relay_core::command::Encoding;
use conclave_relay_core::dependency_descriptor::DescriptorReader;
use conclave_relay_core::downtrack::SkipReason;
use conclave_relay_core::rtp::Header;
use conclave_relay_core::units::LayerId;
use proptest::prelude::*;

#[path = "support/layered.rs"]
mod layered;
#[path = "support/svc.rs"]
mod svc;

use layered::{Fate, THEIR_DESCRIPTOR, World, downtrack_of, numbers, play, steps, streams};
use svc::{DESCRIPTOR_ID, Dress, Encoder, Mode};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_kept_can_be_decoded(stream in streams(), steps in steps(Just(Fate::Arrives))) {
        let mut world = World::new(stream);
        play(&mut world, &steps);
        let mut decoded = HashSet::new();
        for (stamp, _) in &world.kept {
            let frame = world.frame_of(stamp);
            for reference in &frame.references {
                prop_assert!(decoded.contains(reference), "{frame:?} lacks {reference}");
            }
            decoded.insert(frame.frame);
        }
    }

    #[test]
    fn frames_are_kept_whole_and_without_a_hole(
        stream in streams(), steps in steps(Just(Fate::Arrives)),
    ) {
        let mut world = World::new(stream);
        play(&mut world, &steps);
        let mut parts: HashMap<u64, usize> = HashMap::new();
        for (number, (stamp, _)) in world.kept.iter().enumerate() {
            prop_assert_eq!(stamp.index, 500 + number as u64);
            prop_assert!(!stamp.empty);
            *parts.entry(world.frame_of(stamp).frame).or_default() += 1;
        }
        prop_assert!(parts.values().all(|parts| *parts == 2));
    }

    #[test]
    fn the_last_packet_of_a_picture_and_no_other_bears_the_marker(
        stream in streams(), steps in steps(Just(Fate::Arrives)),
    ) {
        let mut world = World::new(stream);
        play(&mut world, &steps);
        let kept = &world.kept;
        for (at, (stamp, bytes)) in kept.iter().enumerate() {
            let picture = world.frame_of(stamp).picture;
            let last = kept
                .get(at + 1)
                .is_none_or(|(next, _)| world.frame_of(next).picture != picture);
            prop_assert_eq!(Header::parse(bytes).unwrap().marker, last, "{:?}", stamp);
        }
    }

    #[test]
    fn nothing_above_the_wish_is_kept_but_for_a_key_frame_to_come(
        stream in streams(), steps in steps(Just(Fate::Arrives)),
    ) {
        let mut world = World::new(stream);
        let (mode, dress, _) = stream;
        let at_once = mode == Mode::Always || dress != Dress::Described;
        let (mut wish, mut before) = ((None, None), 0);
        for step in &steps {
            wish = step.wish.unwrap_or(wish);
            play(&mut world, std::slice::from_ref(step));
            for (stamp, _) in &world.kept[before..] {
                let frame = world.frame_of(stamp);
                prop_assert!(wish.1.is_none_or(|most| frame.temporal <= most), "{frame:?}");
                let fits = wish.0.is_none_or(|most| frame.spatial <= most);
                prop_assert!(fits || !at_once && !step.key, "{frame:?} {wish:?}");
            }
            before = world.kept.len();
        }
    }

    #[test]
    fn a_wish_is_answered_in_full_by_the_next_key_frame(
        stream in streams(), steps in steps(Just(Fate::Arrives)),
        spatial in prop::option::of(0u8..4), temporal in prop::option::of(0u8..4),
    ) {
        let mut world = World::new(stream);
        play(&mut world, &steps);
        world.wish(spatial, temporal);
        let highest = if stream.1 == Dress::Vp8 { 0 } else { 2 };
        for (place, layer) in svc::CYCLE.iter().enumerate() {
            world.play(place == 0, false);
            let shown = temporal
                .is_none_or(|most| *layer <= most)
                .then(|| (spatial.unwrap_or(2).min(highest), *layer));
            prop_assert_eq!(world.shown(), shown);
        }
        prop_assert_eq!(world.downtrack.wants_key_frame(), None);
    }

    #[test]
    fn more_pictures_a_second_need_no_key_frame_where_the_stream_opens(
        stream in streams(), cycles in 0usize..3,
    ) {
        let mut world = World::new(stream);
        world.wish(None, Some(0));
        (0..4 * (cycles + 1)).for_each(|_| world.play(false, false));
        world.wish(None, None);
        prop_assert_eq!(world.downtrack.wants_key_frame(), None);
        for _ in 0..svc::CYCLE.len() {
            world.play(false, false);
            prop_assert!(world.shown().is_none_or(|(_, temporal)| temporal == 0));
        }
        (0..8).for_each(|_| world.play(false, true));
        for layer in svc::CYCLE {
            world.play(false, true);
            prop_assert_eq!(world.shown().map(|(_, temporal)| temporal), Some(layer));
        }
    }

    #[test]
    fn picture_ids_of_vp8_have_no_gap_and_those_of_vp9_keep_theirs(
        stream in streams(), steps in steps(Just(Fate::Arrives)),
    ) {
        let mut world = World::new(stream);
        play(&mut world, &steps);
        let (_, dress, _) = stream;
        for pair in world.kept.windows(2) {
            let [before, after] = [&pair[0], &pair[1]];
            let theirs = [before, after].map(|(stamp, _)| world.frame_of(stamp).picture);
            let ours = [before, after].map(|(_, bytes)| numbers(dress, bytes).unwrap().0);
            let step = ours[1].wrapping_sub(ours[0]) & 0x7fff;
            let theirs = theirs[1] - theirs[0];
            let expected = if dress == Dress::Vp8 { theirs.min(1) } else { theirs };
            prop_assert_eq!(u64::from(step), expected);
        }
        // TL0PICIDX is that of the base picture each belongs to.
        for (stamp, bytes) in &world.kept {
            let theirs = numbers(dress, &world.frame_of(stamp).bytes).unwrap().1;
            prop_assert_eq!(numbers(dress, bytes).unwrap().1, theirs);
        }
    }

    #[test]
    fn the_subscriber_is_told_of_the_targets_it_has_all_frames_of(
        mode in prop_oneof![Just(Mode::Always), Just(Mode::AtKeyFrames)],
        steps in steps(Just(Fate::Arrives)),
    ) {
        let mut world = World::new((mode, Dress::Described, 7));
        play(&mut world, &steps);
        let mut reader = DescriptorReader::default();
        for (stamp, bytes) in &world.kept {
            let header = Header::parse(bytes).unwrap();
            let mut extensions = header.extensions(bytes);
            let (_, descriptor) = extensions.find(|(id, _)| *id == THEIR_DESCRIPTOR).unwrap();
            let read = reader.read(stamp.index, descriptor).expect("it can be read");
            let frame = world.frame_of(stamp);
            prop_assert_eq!(read.frame_number, frame.frame as u16);
            prop_assert_eq!((read.spatial, read.temporal), (frame.spatial, frame.temporal));
            let references: Vec<u64> = read
                .references
                .iter()
                .map(|difference| frame.frame - u64::from(difference))
                .collect();
            prop_assert_eq!(&references, &frame.references);
            // Of the targets told, this frame is the best one's.
            let targets = read.structure.targets();
            let told = (0..targets.len()).filter(|target| read.active & 1 << target != 0);
            let best = told.max_by_key(|target| (targets[*target].spatial, targets[*target].temporal));
            let best = best.expect("some target is left");
            prop_assert!(read.indications.present & 1 << best != 0);
        }
    }

    #[test]
    fn under_loss_and_reordering_each_index_and_each_packet_goes_out_once(
        stream in streams(), steps in steps(prop_oneof![
            8 => Just(Fate::Arrives), 1 => Just(Fate::Lost), 2 => (1usize..20).prop_map(Fate::Late),
        ]),
    ) {
        let mut world = World::new(stream);
        play(&mut world, &steps);
        let indexes: HashSet<u64> = world.kept.iter().map(|(stamp, _)| stamp.index).collect();
        prop_assert_eq!(indexes.len(), world.kept.len());
        let sources: HashSet<u64> =
            world.kept.iter().map(|(stamp, _)| stamp.source_index).collect();
        prop_assert_eq!(sources.len(), world.kept.len());
    }

    #[test]
    fn a_frame_is_kept_or_left_out_as_one_also_under_loss_and_reordering(
        stream in streams(), steps in steps(prop_oneof![
            8 => Just(Fate::Arrives), 1 => Just(Fate::Lost), 2 => (1usize..20).prop_map(Fate::Late),
        ]),
    ) {
        let mut world = World::new(stream);
        play(&mut world, &steps);
        let whole = |frame: &u64, kept: &HashSet<u64>| {
            let parts = world.sent.values().filter(|packet| packet.frame == *frame);
            parts.filter(|packet| kept.contains(&packet.index)).count()
        };
        let out: HashSet<u64> = world
            .skipped
            .iter()
            .filter(|(_, reason)| *reason == SkipReason::LeftOut)
            .map(|(index, _)| *index)
            .collect();
        let kept: HashSet<u64> = world
            .kept
            .iter()
            .filter(|(stamp, _)| !stamp.empty)
            .map(|(stamp, _)| stamp.source_index)
            .collect();
        let frames: BTreeSet<u64> = world.sent.values().map(|packet| packet.frame).collect();
        for frame in frames {
            prop_assert!(whole(&frame, &out) == 0 || whole(&frame, &kept) == 0, "frame {frame}");
        }
    }
}

#[test]
fn a_spatial_layer_above_is_awaited_with_a_key_frame() {
    for dress in [Dress::Vp9, Dress::Described] {
        let mut world = World::new((Mode::Always, dress, 3));
        world.wish(Some(0), None);
        (0..4).for_each(|_| world.play(false, true));
        assert_eq!(world.shown(), Some((0, 2)));
        assert_eq!(world.downtrack.wants_key_frame(), None);
        world.wish(Some(1), None);
        assert_eq!(world.downtrack.wants_key_frame(), Some(LayerId(0)));
        world.play(false, true);
        assert_eq!(world.shown(), Some((0, 0)));
        let (_, last) = world
            .skipped
            .iter()
            .rev()
            .nth(2)
            .expect("layer 1 was skipped");
        assert_eq!(*last, SkipReason::AwaitingKeyFrame);
        world.play(true, true);
        assert_eq!(world.shown(), Some((1, 0)));
        assert_eq!(world.downtrack.wants_key_frame(), None);
    }
}

#[test]
fn where_spatial_layers_meet_in_key_frames_only_the_highest_alone_is_sent() {
    let mut world = World::new((Mode::AtKeyFrames, Dress::Described, 3));
    world.play(true, true);
    assert_eq!(world.kept.len(), 6);
    (0..8).for_each(|_| world.play(false, true));
    assert_eq!(world.kept.len(), 22);
    assert_eq!(world.shown(), Some((2, 0)));
    // A lower one needs a key frame too; until then the pictures are fewer, where that is wanted.
    world.wish(Some(0), Some(0));
    assert_eq!(world.downtrack.wants_key_frame(), Some(LayerId(0)));
    (0..3).for_each(|_| world.play(false, true));
    assert_eq!(world.kept.len(), 22);
    world.play(false, true);
    assert_eq!(world.shown(), Some((2, 0)));
    world.play(true, true);
    assert_eq!(world.shown(), Some((0, 0)));
}

#[test]
fn without_its_structure_a_stream_is_carried_whole() {
    let mut world = World::new((Mode::Always, Dress::Described, 3));
    world.wish(Some(0), Some(0));
    let lost = world.encode(true, true);
    for packet in &lost[1..] {
        world.arrive(packet, true);
    }
    assert!(world.kept.is_empty(), "nobody can begin here");
    let mut begun = World::new((Mode::Always, Dress::Described, 3));
    begun.play(true, true);
    begun.reader = DescriptorReader::default();
    begun.wish(Some(0), Some(0));
    let before = begun.kept.len();
    (0..4).for_each(|_| begun.play(false, true));
    assert_eq!(begun.kept.len() - before, 24);
    begun.play(true, true);
    begun.play(false, true);
    assert_eq!(begun.shown(), None, "a picture of temporal layer 2");
    begun.play(false, true);
    begun.play(false, true);
    begun.play(false, true);
    assert_eq!(begun.shown(), Some((0, 0)));
}

#[test]
fn a_damaged_descriptor_never_stops_a_stream() {
    let mut world = World::new((Mode::Always, Dress::Described, 3));
    world.play(true, true);
    for byte in 0..=255u8 {
        let mut packets = world.encode(false, true);
        for packet in &mut packets {
            let header = Header::parse(&packet.bytes).unwrap();
            let (_, body) = header.extension.clone().expect("a descriptor");
            packet.bytes[body.start + 1..body.end].fill(byte);
            // The element's own length stays as it is told.
            packet.bytes[body.start] = DESCRIPTOR_ID << 4 | 7;
        }
        let before = world.kept.len() + world.skipped.len();
        for packet in &packets {
            world.arrive(packet, true);
        }
        assert_eq!(world.kept.len() + world.skipped.len() - before, 6);
    }
    (0..4).for_each(|_| world.play(true, true));
    assert_eq!(world.shown(), Some((2, 0)));
}

#[test]
fn a_packet_of_a_picture_left_out_that_comes_late_fills_its_hole_with_nothing() {
    let mut world = World::new((Mode::Always, Dress::Vp8, 3));
    world.wish(None, Some(0));
    world.play(true, true);
    let left_out = world.encode(false, true);
    world.arrive(&left_out[1], true);
    (0..3).for_each(|_| world.play(false, true));
    let before = world.kept.len();
    world.arrive(&left_out[0], false);
    let (stamp, bytes) = &world.kept[before];
    assert!(stamp.empty && !stamp.marker);
    let header = Header::parse(bytes).unwrap();
    assert_eq!(header.payload(bytes), Some(&[][..]));
    let mut indexes: Vec<u64> = world.kept.iter().map(|(stamp, _)| stamp.index).collect();
    indexes.sort_unstable();
    assert!(indexes.iter().copied().eq(500..500 + indexes.len() as u64));
}

#[test]
fn the_numbers_of_vp9_run_on_from_one_simulcast_encoding_to_the_next_and_over_a_pause() {
    let mut world = World::new((Mode::Always, Dress::Described, 40_000));
    let encodings = ["q", "f"].map(|rid| Encoding::Rid(rid.into()));
    world.downtrack = downtrack_of(Dress::Described, encodings.to_vec());
    // One spatial layer each, numbered as they please.
    let first = |number| Encoder::new(Mode::Always, Dress::Described, 1, number);
    let mut encoders = [first(40_000), first(9)];
    let mut readers = [DescriptorReader::default(), DescriptorReader::default()];
    let mut play = |world: &mut World, layer: usize, key: bool| {
        world.now = world.now + std::time::Duration::from_millis(33);
        std::mem::swap(&mut world.reader, &mut readers[layer]);
        for packet in encoders[layer].picture(key, true) {
            world.sent.insert(packet.index, packet.clone());
            world.arrive_on(LayerId(layer as u8), &packet, true);
        }
        std::mem::swap(&mut world.reader, &mut readers[layer]);
    };
    (0..5).for_each(|_| play(&mut world, 0, false));
    world.downtrack.set_target(LayerId(1));
    play(&mut world, 1, true);
    (0..2).for_each(|_| play(&mut world, 1, false));
    world.downtrack.interrupt();
    (0..9).for_each(|_| play(&mut world, 1, false));
    play(&mut world, 1, true);
    let mut theirs = DescriptorReader::default();
    let shown: Vec<(u16, u16)> = world
        .kept
        .iter()
        .map(|(stamp, bytes)| {
            let header = Header::parse(bytes).unwrap();
            let mut extensions = header.extensions(bytes);
            let (_, descriptor) = extensions.find(|(id, _)| *id == THEIR_DESCRIPTOR).unwrap();
            let read = theirs.read(stamp.index, descriptor).unwrap();
            (numbers(Dress::Vp9, bytes).unwrap().0, read.frame_number)
        })
        .collect();
    assert_eq!(shown.len(), 2 * 9);
    let (picture, frame) = shown[0];
    for (at, numbers) in shown.into_iter().enumerate() {
        let on = (at / 2) as u16;
        assert_eq!(numbers, ((picture + on) & 0x7fff, frame.wrapping_add(on)));
    }
    let bases: Vec<u8> = world
        .kept
        .iter()
        .map(|(_, bytes)| numbers(Dress::Vp9, bytes).unwrap().1)
        .collect();
    let steps = bases.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    assert!(
        steps.into_iter().all(|step| step <= 1),
        "TL0PICIDX: {bases:?}"
    );
}
