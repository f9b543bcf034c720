//! The VP8 payload descriptor (RFC 7741 section 4.2): where its running numbers stand, and how to write others there.
//!
//! It precedes the picture and is never encrypted end to end.
use crate::numbers::{Numbers, Shown};

const EXTENDED: u8 = 0x80;
const START: u8 = 0x10;
const PARTITION: u8 = 0x07;
const PICTURE_ID: u8 = 0x80;
const TL0_INDEX: u8 = 0x40;
const TEMPORAL: u8 = 0x20;
const KEY_INDEX: u8 = 0x10;
const LONG: u8 = 0x80;
const LAYER_SYNC: u8 = 0x20;

/// One parsed descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Where the picture's bytes begin.
    pub len: usize,
    /// The packet is the first one of a frame.
    pub starts_frame: bool,
    /// Its running numbers.
    pub numbers: Numbers,
    /// Temporal layer (TID), 0 where the packet names none.
    pub temporal: u8,
    /// The frame depends on the lowest temporal layer alone (Y): whoever has that can go on from here.
    pub layer_sync: bool,
    /// Where each stands, nought for nowhere.
    picture_id_at: usize,
    is_long: bool,
    tl0_index_at: usize,
    key_index_at: usize,
}

impl Descriptor {
    /// `None` when the payload ends within the descriptor.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let first = *payload.first()?;
        let mut parsed = Descriptor {
            len: 1,
            starts_frame: first & START != 0 && first & PARTITION == 0,
            numbers: Numbers::default(),
            temporal: 0,
            layer_sync: false,
            picture_id_at: 0,
            is_long: false,
            tl0_index_at: 0,
            key_index_at: 0,
        };
        if first & EXTENDED == 0 {
            return Some(parsed);
        }
        let present = *payload.get(1)?;
        let mut at = 2;
        if present & PICTURE_ID != 0 {
            let high = *payload.get(at)?;
            parsed.picture_id_at = at;
            parsed.is_long = high & LONG != 0;
            parsed.numbers.picture_id = if parsed.is_long {
                u16::from_be_bytes([high & !LONG, *payload.get(at + 1)?])
            } else {
                u16::from(high)
            };
            at += if parsed.is_long { 2 } else { 1 };
        }
        if present & TL0_INDEX != 0 {
            parsed.tl0_index_at = at;
            parsed.numbers.tl0_index = *payload.get(at)?;
            at += 1;
        }
        if present & (TEMPORAL | KEY_INDEX) != 0 {
            let byte = *payload.get(at)?;
            if present & TEMPORAL != 0 {
                parsed.temporal = byte >> 6;
                parsed.layer_sync = byte & LAYER_SYNC != 0;
            }
            if present & KEY_INDEX != 0 {
                parsed.key_index_at = at;
                parsed.numbers.key_index = byte & 0x1f;
            }
            at += 1;
        }
        parsed.len = at;
        Some(parsed)
    }

    /// Its numbers, and how much of them it has places for.
    pub fn shown(&self) -> Shown {
        Shown {
            numbers: self.numbers,
            picture_id_bits: self.picture_id_bits(),
            tl0_index: self.has_tl0_index(),
            key_index: self.has_key_index(),
            frame_number: false,
        }
    }

    /// Bits of its picture id: 15, 7, or 0 when it has none.
    pub fn picture_id_bits(&self) -> u32 {
        match (self.picture_id_at, self.is_long) {
            (0, _) => 0,
            (_, false) => 7,
            (_, true) => 15,
        }
    }

    /// Whether it has a TL0PICIDX.
    pub fn has_tl0_index(&self) -> bool {
        self.tl0_index_at != 0
    }

    /// Whether it has a KEYIDX.
    pub fn has_key_index(&self) -> bool {
        self.key_index_at != 0
    }
}

/// Puts other numbers in the places of a payload's own, whose widths stay. A payload without places, or that is no
/// VP8, is left as it is.
pub fn renumber(payload: &mut [u8], numbers: &Numbers) {
    let Some(descriptor) = Descriptor::parse(payload) else {
        return;
    };
    let [high, low] = numbers.picture_id.to_be_bytes();
    match (descriptor.picture_id_bits(), descriptor.picture_id_at) {
        (15, at) => payload[at..at + 2].copy_from_slice(&[high | LONG, low]),
        (7, at) => payload[at] = low & !LONG,
        _ => {}
    }
    if descriptor.has_tl0_index() {
        payload[descriptor.tl0_index_at] = numbers.tl0_index;
    }
    if descriptor.has_key_index() {
        let byte = &mut payload[descriptor.key_index_at];
        *byte = *byte & 0xe0 | numbers.key_index & 0x1f;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OTHERS: Numbers = Numbers {
        picture_id: 0x1234,
        tl0_index: 0x56,
        key_index: 0x07,
        frame_number: 0,
    };

    #[test]
    fn every_form_is_read_and_rewritten_in_place() {
        let forms: [(&[u8], usize, &[u8]); 6] = [
            (&[0x10, 0x50], 1, &[0x10, 0x50]),
            (&[0x90, 0x80, 0x7f, 0x50], 3, &[0x90, 0x80, 0x34, 0x50]),
            (
                &[0x90, 0x80, 0xff, 0xff, 0x50],
                4,
                &[0x90, 0x80, 0x92, 0x34, 0x50],
            ),
            (
                &[0x90, 0xf0, 0xff, 0xff, 0x01, 0xff, 0x50],
                6,
                &[0x90, 0xf0, 0x92, 0x34, 0x56, 0xe7, 0x50],
            ),
            // TID without KEYIDX: the same byte, whose low bits mean nothing.
            (
                &[0x90, 0x60, 0x01, 0xff, 0x50],
                4,
                &[0x90, 0x60, 0x56, 0xff, 0x50],
            ),
            (&[0x80, 0x10, 0x3f, 0x50], 3, &[0x80, 0x10, 0x27, 0x50]),
        ];
        for (before, len, after) in forms {
            assert_eq!(Descriptor::parse(before).map(|d| d.len), Some(len));
            let mut payload = before.to_vec();
            renumber(&mut payload, &OTHERS);
            assert_eq!(payload, after);
            for cut in 0..len {
                assert_eq!(Descriptor::parse(&before[..cut]), None, "{before:02x?}");
            }
        }
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        let parsed = Descriptor::parse(&[0x90, 0xf0, 0x81, 0x02, 0x03, 0x24]).unwrap();
        let expected = Numbers {
            picture_id: 0x102,
            tl0_index: 3,
            key_index: 4,
            frame_number: 0,
        };
        assert_eq!(parsed.numbers, expected);
        assert_eq!((parsed.temporal, parsed.layer_sync), (0, true));
        assert_eq!(parsed.picture_id_bits(), 15);
        let short = Descriptor::parse(&[0x90, 0x80, 0x05]).unwrap();
        assert_eq!((short.numbers.picture_id, short.picture_id_bits()), (5, 7));
        assert!(!short.has_tl0_index() && !short.has_key_index());
    }

    #[test]
    fn the_temporal_layer_is_read_where_the_packet_names_one() {
        let layer = |payload: &[u8]| {
            let parsed = Descriptor::parse(payload).unwrap();
            (parsed.temporal, parsed.layer_sync)
        };
        assert_eq!(layer(&[0x90, 0x20, 0xa0]), (2, true));
        assert_eq!(layer(&[0x90, 0x20, 0x40]), (1, false));
        assert_eq!(layer(&[0x90, 0x10, 0xff]), (0, false), "KEYIDX alone");
        assert_eq!(layer(&[0x10]), (0, false));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_only_numbers_change(
            payload in prop::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut other = payload.clone();
            renumber(&mut other, &OTHERS);
            prop_assert_eq!(other.len(), payload.len());
            match (Descriptor::parse(&payload), Descriptor::parse(&other)) {
                (Some(before), Some(after)) => {
                    prop_assert_eq!(before.len, after.len);
                    prop_assert_eq!(&payload[before.len..], &other[after.len..]);
                }
                (before, after) => {
                    prop_assert_eq!(before, after);
                    prop_assert_eq!(payload, other);
                }
            }
        }
    }
}
