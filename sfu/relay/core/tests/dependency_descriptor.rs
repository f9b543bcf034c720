//! The dependency descriptor as streams carry it: read, rewritten, damaged.
use conclave_relay_core::dependency_descriptor::{ActiveTargets, DescriptorReader, rewrite};
use conclave_relay_core::rtp::Header;
use proptest::prelude::*;

#[path = "support/svc.rs"]
mod svc;

use svc::{DESCRIPTOR_ID, Dress, Encoded, Encoder, Mode};

fn descriptor(packet: &Encoded) -> Vec<u8> {
    let header = Header::parse(&packet.bytes).unwrap();
    let mut extensions = header.extensions(&packet.bytes);
    let found = extensions.find(|(id, _)| *id == DESCRIPTOR_ID);
    found.expect("every packet has one").1.to_vec()
}

fn stream(mode: Mode, pictures: usize) -> Vec<Encoded> {
    let mut encoder = Encoder::new(mode, Dress::Described, 3, 65_500);
    (0..pictures)
        .flat_map(|number| encoder.picture(number % 9 == 0, number % 2 == 0))
        .collect()
}

#[test]
fn a_stream_is_read_as_it_was_encoded() {
    for mode in [Mode::Always, Mode::AtKeyFrames] {
        let mut reader = DescriptorReader::default();
        for packet in stream(mode, 40) {
            let read = reader.read(packet.index, &descriptor(&packet)).unwrap();
            assert_eq!(read.frame_number, packet.frame as u16);
            assert_eq!(
                (read.spatial, read.temporal),
                (packet.spatial, packet.temporal)
            );
            assert_eq!(read.has_structure, packet.key_frame);
            assert_eq!(read.starts_frame, !read.ends_frame);
            assert_eq!(read.active, 0x1ff);
            let references: Vec<u64> = read
                .references
                .iter()
                .map(|difference| packet.frame - u64::from(difference))
                .collect();
            assert_eq!(references, packet.references);
            let layers = read.structure.targets().iter();
            let layers: Vec<_> = layers
                .map(|target| (target.spatial, target.temporal))
                .collect();
            assert_eq!(layers[..4], [(0, 0), (0, 1), (0, 2), (1, 0)]);
        }
    }
}

#[test]
fn which_targets_a_target_contains_follows_from_how_layers_lean_on_one_another() {
    let contains = |mode| {
        let packets = stream(mode, 1);
        let mut reader = DescriptorReader::default();
        let read = reader
            .read(packets[0].index, &descriptor(&packets[0]))
            .unwrap();
        read.structure.targets()[8].contains & 0x1ff
    };
    assert_eq!(contains(Mode::Always), 0x1ff);
    assert_eq!(contains(Mode::AtKeyFrames), 0b111_000_000);
}

#[test]
fn a_late_packet_is_read_by_the_structure_of_its_time() {
    let packets = stream(Mode::Always, 12);
    let late = packets
        .iter()
        .position(|packet| packet.picture == packets[0].picture + 8);
    let late = late.unwrap();
    let mut reader = DescriptorReader::default();
    let mut in_time = DescriptorReader::default();
    let expected: Vec<_> = packets
        .iter()
        .map(|packet| in_time.read(packet.index, &descriptor(packet)))
        .collect();
    for (at, packet) in packets.iter().enumerate().filter(|(at, _)| *at != late) {
        assert_eq!(reader.read(packet.index, &descriptor(packet)), expected[at]);
    }
    assert_eq!(
        reader.read(packets[late].index, &descriptor(&packets[late])),
        expected[late]
    );
}

#[test]
fn nothing_is_read_before_a_structure_came() {
    let packets = stream(Mode::Always, 2);
    let mut reader = DescriptorReader::default();
    assert_eq!(
        reader.read(packets[1].index, &descriptor(&packets[1])),
        None
    );
    assert!(
        reader
            .read(packets[0].index, &descriptor(&packets[0]))
            .is_some()
    );
    assert!(
        reader
            .read(packets[1].index, &descriptor(&packets[1]))
            .is_some()
    );
}

#[test]
fn three_bytes_alone_say_that_the_template_is_all() {
    let packets = stream(Mode::Always, 1);
    let mut reader = DescriptorReader::default();
    reader
        .read(packets[0].index, &descriptor(&packets[0]))
        .unwrap();
    let index = packets[0].index + 100;
    // The end of a frame of the second template (id 8), number 0x1234.
    let read = reader.read(index, &[0x48, 0x12, 0x34]).unwrap();
    assert!(read.ends_frame && !read.starts_frame);
    assert_eq!(
        (read.spatial, read.temporal, read.frame_number),
        (0, 1, 0x1234)
    );
    assert_eq!(
        reader.read(index, &[0x40, 0x12, 0x34]),
        None,
        "no such template"
    );
    let told = ActiveTargets {
        mask: 0b11,
        count: 9,
    };
    let mut out = Vec::new();
    rewrite(&[0x48, 0x12, 0x34], 0x5678, Some(told), &mut out);
    assert_eq!(out, [0x48, 0x56, 0x78, 0b0100_0000, 0b0000_1100]);
    let read = reader.read(index, &out).unwrap();
    assert_eq!((read.active, read.frame_number), (0b11, 0x5678));
    assert_eq!(
        reader.read(index + 1, &[0x48, 0, 0]).unwrap().active,
        0b11,
        "it goes on"
    );
}

proptest! {
    #[test]
    fn what_is_rewritten_differs_in_number_and_mask_alone(
        mode in prop_oneof![Just(Mode::Always), Just(Mode::AtKeyFrames)],
        masks in prop::collection::vec(prop::option::of(1u32..512), 120),
        number in any::<u16>(),
    ) {
        let (mut theirs, mut ours) = (DescriptorReader::default(), DescriptorReader::default());
        let mut again = DescriptorReader::default();
        for (packet, mask) in stream(mode, 20).iter().zip(masks) {
            let before = descriptor(packet);
            let told = mask.map(|mask| ActiveTargets { mask, count: 9 });
            let mut after = b"before".to_vec();
            rewrite(&before, number, told, &mut after);
            let after = after.split_off(6);
            let expected = theirs.read(packet.index, &before).unwrap();
            let read = ours.read(packet.index, &after).unwrap();
            prop_assert_eq!(read.frame_number, number);
            if let Some(mask) = mask {
                prop_assert_eq!(read.active, mask);
            }
            let same = conclave_relay_core::dependency_descriptor::Dependency {
                frame_number: expected.frame_number,
                active: expected.active,
                ..read.clone()
            };
            prop_assert_eq!(same, expected);
            // A mask that is there is written over.
            let over = ActiveTargets { mask: 5, count: 9 };
            let mut twice = Vec::new();
            rewrite(&after, number, Some(over), &mut twice);
            let reread = again.read(packet.index, &twice).unwrap();
            prop_assert_eq!(reread.active, 5);
            prop_assert_eq!(reread.references, read.references);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        descriptors in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..255), 1..20),
        number in any::<u16>(), mask in any::<u32>(), count in 0u8..40,
    ) {
        let mut reader = DescriptorReader::default();
        for (index, bytes) in descriptors.iter().enumerate() {
            let _ = reader.read(index as u64, bytes);
            let mut structured = bytes.clone();
            if let Some(first) = structured.get_mut(0) {
                *first |= 0x80;
            }
            if let Some(flags) = structured.get_mut(3) {
                *flags |= 0x80;
            }
            let _ = reader.read(index as u64, &structured);
            for bytes in [bytes, &structured] {
                let mut out = Vec::new();
                rewrite(bytes, number, Some(ActiveTargets { mask, count }), &mut out);
                prop_assert!(out.len() <= bytes.len() + 6);
            }
        }
    }
}
