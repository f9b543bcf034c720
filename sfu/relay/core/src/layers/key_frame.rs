//! Where a key frame starts, told from payload descriptors alone: the picture itself may be encrypted end to end.
use crate::units::Codec;
use crate::vp8::Descriptor;
use crate::vp9;

/// Whether this payload starts a key frame a decoder can begin with. `descriptor` is the raw dependency
/// descriptor extension, if any. Never panics on any bytes.
pub fn starts_key_frame(codec: Codec, payload: &[u8], descriptor: Option<&[u8]>) -> bool {
    match codec {
        Codec::Opus | Codec::Red => true,
        Codec::Vp8 => vp8(payload).unwrap_or(false),
        Codec::Vp9 => vp9(payload).unwrap_or(false),
        Codec::H264 => h264(payload).unwrap_or(false),
        Codec::Av1 => av1(payload) || descriptor.is_some_and(av1_structure),
    }
}

/// RFC 7741 section 4.2 and 4.3: the first packet (S) of partition 0 of a frame whose header's P bit is clear.
fn vp8(payload: &[u8]) -> Option<bool> {
    let descriptor = Descriptor::parse(payload)?;
    let frame = payload.get(descriptor.len)?;
    Some(descriptor.starts_frame && frame & 0x01 == 0)
}

/// RFC 9628 section 4.2: the beginning (B) of a frame not predicted from another picture (P clear), on the lowest
/// spatial layer.
fn vp9(payload: &[u8]) -> Option<bool> {
    Some(vp9::Descriptor::parse(payload)?.starts_key_picture())
}

/// RFC 6184 section 5: an IDR slice or a sequence parameter set, alone, in a STAP-A, or at the start of an FU-A. The
/// parameter set counts since it comes first and a decoder cannot do without it.
fn h264(payload: &[u8]) -> Option<bool> {
    const STAP_A: u8 = 24;
    const FU_A: u8 = 28;
    const FU_START: u8 = 0x80;

    match payload.first()? & 0x1f {
        STAP_A => {
            let mut rest = payload.get(1..)?;
            while let [high, low, unit @ ..] = rest {
                let size = usize::from(u16::from_be_bytes([*high, *low]));
                if h264_begins(*unit.first()?) && size > 0 {
                    return Some(true);
                }
                rest = unit.get(size..)?;
            }
            Some(false)
        }
        FU_A => {
            let header = *payload.get(1)?;
            Some(header & FU_START != 0 && h264_begins(header))
        }
        _ => Some(h264_begins(*payload.first()?)),
    }
}

fn h264_begins(unit_header: u8) -> bool {
    const IDR_SLICE: u8 = 5;
    const SEQUENCE_PARAMETER_SET: u8 = 7;
    matches!(unit_header & 0x1f, IDR_SLICE | SEQUENCE_PARAMETER_SET)
}

/// AV1 RTP specification 1.0 section 4.4: the aggregation header's N bit, the first packet of a coded video sequence.
fn av1(payload: &[u8]) -> bool {
    const CONTINUES: u8 = 0x80;
    const NEW_SEQUENCE: u8 = 0x08;
    payload.len() > 1 && payload[0] & (CONTINUES | NEW_SEQUENCE) == NEW_SEQUENCE
}

/// AV1 RTP specification 1.0 appendix A.8: the first packet of a frame that carries a template dependency structure,
/// which only key frames do.
fn av1_structure(descriptor: &[u8]) -> bool {
    const START_OF_FRAME: u8 = 0x80;
    const STRUCTURE_PRESENT: u8 = 0x80;
    // Three mandatory bytes, then the extended fields with the structure's flag on top.
    descriptor.len() > 3
        && descriptor[0] & START_OF_FRAME != 0
        && descriptor[3] & STRUCTURE_PRESENT != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn starts(codec: Codec, payload: &[u8]) -> bool {
        starts_key_frame(codec, payload, None)
    }

    #[test]
    fn every_opus_packet_is_a_beginning() {
        assert!(starts(Codec::Opus, &[]));
        assert!(starts(Codec::Opus, &[0x78, 1, 2]));
    }

    #[test]
    fn vp8_begins_at_the_first_packet_of_a_frame_whose_p_bit_is_clear() {
        assert!(starts(Codec::Vp8, &[0x10, 0x50, 0x01]));
        assert!(!starts(Codec::Vp8, &[0x10, 0x51, 0x01]), "an inter frame");
        assert!(!starts(Codec::Vp8, &[0x00, 0x50, 0x01]), "not a start");
        assert!(
            !starts(Codec::Vp8, &[0x11, 0x50, 0x01]),
            "another partition"
        );
    }

    #[test]
    fn vp8_descriptor_extensions_are_stepped_over() {
        let short_id: &[u8] = &[0x90, 0x80, 0x7f, 0x50];
        let long_id: &[u8] = &[0x90, 0x80, 0xff, 0xff, 0x50];
        let everything: &[u8] = &[0x90, 0xf0, 0xff, 0xff, 0x01, 0x21, 0x50];
        let no_id: &[u8] = &[0x90, 0x60, 0x01, 0x21, 0x50];
        for payload in [short_id, long_id, everything, no_id] {
            assert!(starts(Codec::Vp8, payload), "{payload:02x?}");
            let mut inter = payload.to_vec();
            *inter.last_mut().unwrap() = 0x51;
            assert!(!starts(Codec::Vp8, &inter), "{inter:02x?}");
            for cut in 0..payload.len() {
                assert!(!starts(Codec::Vp8, &payload[..cut]), "cut to {cut}");
            }
        }
    }

    #[test]
    fn vp9_begins_at_the_lowest_spatial_layer_of_a_key_picture() {
        // I, L, B; picture id of 7 bits; then TID, U, SID, D.
        assert!(starts(Codec::Vp9, &[0xa8, 0x01, 0x00, 0x00, 0xaa]));
        assert!(
            starts(Codec::Vp9, &[0xa8, 0x81, 0x02, 0x00, 0x00, 0xaa]),
            "long picture id"
        );
        assert!(starts(Codec::Vp9, &[0x88, 0x01, 0xaa]), "no layer indices");
        assert!(starts(Codec::Vp9, &[0x08, 0xaa]), "no picture id");
        assert!(
            !starts(Codec::Vp9, &[0xe8, 0x01, 0x00, 0x00, 0xaa]),
            "predicted"
        );
        assert!(
            !starts(Codec::Vp9, &[0xa0, 0x01, 0x00, 0x00, 0xaa]),
            "not the beginning"
        );
        assert!(
            !starts(Codec::Vp9, &[0xa8, 0x01, 0x02, 0x00, 0xaa]),
            "spatial layer 1"
        );
        assert!(
            !starts(Codec::Vp9, &[0xa8, 0x01, 0x01, 0x00, 0xaa]),
            "needs a layer below"
        );
        assert!(!starts(Codec::Vp9, &[0xa8, 0x81]), "cut short");
    }

    #[test]
    fn h264_begins_at_an_idr_slice_or_a_parameter_set() {
        assert!(starts(Codec::H264, &[0x65, 0x88]));
        assert!(starts(Codec::H264, &[0x67, 0x42]));
        assert!(!starts(Codec::H264, &[0x41, 0x9a]), "a plain slice");
        assert!(
            !starts(Codec::H264, &[0x68, 0xce]),
            "a picture parameter set alone"
        );
    }

    #[test]
    fn h264_looks_into_aggregates_and_at_the_start_of_fragments() {
        let parameters = [0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68];
        let sei_then_idr = [0x78, 0, 1, 0x06, 0, 2, 0x65, 0x88];
        let slices = [0x78, 0, 1, 0x41, 0, 2, 0x41, 0x88];
        assert!(starts(Codec::H264, &parameters));
        assert!(starts(Codec::H264, &sei_then_idr));
        assert!(!starts(Codec::H264, &slices));
        assert!(
            !starts(Codec::H264, &[0x78, 0xff, 0xff, 0x41]),
            "a size that lies"
        );
        assert!(!starts(Codec::H264, &[0x78, 0, 0, 0x65]), "an empty unit");
        assert!(
            starts(Codec::H264, &[0x7c, 0x85, 0x88]),
            "start of a fragmented IDR slice"
        );
        assert!(!starts(Codec::H264, &[0x7c, 0x05, 0x88]), "its middle");
        assert!(
            !starts(Codec::H264, &[0x7c, 0x81, 0x88]),
            "start of a plain slice"
        );
    }

    #[test]
    fn av1_begins_with_a_new_coded_sequence_or_a_dependency_structure() {
        assert!(starts(Codec::Av1, &[0x18, 0x0a]));
        assert!(!starts(Codec::Av1, &[0x10, 0x0a]), "N clear");
        assert!(
            !starts(Codec::Av1, &[0x98, 0x0a]),
            "continues an earlier packet"
        );
        assert!(!starts(Codec::Av1, &[0x18]), "no OBU");
        let with =
            |descriptor: &[u8]| starts_key_frame(Codec::Av1, &[0x10, 0x0a], Some(descriptor));
        assert!(with(&[0x80, 0, 1, 0x80]));
        assert!(!with(&[0x00, 0, 1, 0x80]), "not the start of a frame");
        assert!(!with(&[0x80, 0, 1, 0x40]), "no structure");
        assert!(!with(&[0x80, 0, 1]), "mandatory fields only");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            payload in prop::collection::vec(any::<u8>(), 0..40),
            descriptor in prop::option::of(prop::collection::vec(any::<u8>(), 0..8)),
        ) {
            for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
                starts_key_frame(codec, &payload, descriptor.as_deref());
            }
        }
    }
}
