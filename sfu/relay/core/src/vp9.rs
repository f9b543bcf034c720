//! The VP9 payload descriptor (RFC 9628 section 4.2): which layer a packet belongs to, where its running numbers stand,
//! and how to write others there.
//!
//! It precedes the picture and is never encrypted end to end. What comes after the layer indices (reference
//! differences, scalability structure) is neither needed nor read.
use crate::numbers::{Numbers, Shown};

const PICTURE_ID: u8 = 0x80;
const PREDICTED: u8 = 0x40;
const LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const BEGINNING: u8 = 0x08;
const END: u8 = 0x04;
const LONG: u8 = 0x80;

/// One parsed descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// First packet of a layer frame (B).
    pub starts_frame: bool,
    /// Last packet of a layer frame (E).
    pub ends_frame: bool,
    /// The layer frame needs an earlier picture (P).
    pub predicted: bool,
    /// Spatial layer (SID).
    pub spatial: u8,
    /// Temporal layer (TID).
    pub temporal: u8,
    /// Pictures of higher temporal layers from here on need no picture above this one's layer from before it (U).
    pub switching_up: bool,
    /// The layer frame needs the one below it of the same picture (D).
    pub inter_layer: bool,
    /// Its running numbers.
    pub numbers: Numbers,
    /// Where each stands, nought for nowhere.
    picture_id_at: usize,
    is_long: bool,
    tl0_index_at: usize,
}

impl Descriptor {
    /// `None` when the payload ends within the descriptor, or with it.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let first = *payload.first()?;
        let mut parsed = Descriptor {
            starts_frame: first & BEGINNING != 0,
            ends_frame: first & END != 0,
            predicted: first & PREDICTED != 0,
            spatial: 0,
            temporal: 0,
            switching_up: false,
            inter_layer: false,
            numbers: Numbers::default(),
            picture_id_at: 0,
            is_long: false,
            tl0_index_at: 0,
        };
        let mut at = 1;
        if first & PICTURE_ID != 0 {
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
        if first & LAYERS != 0 {
            let byte = *payload.get(at)?;
            parsed.temporal = byte >> 5;
            parsed.switching_up = byte & 0x10 != 0;
            parsed.spatial = byte >> 1 & 0x07;
            parsed.inter_layer = byte & 0x01 != 0;
            at += 1;
            if first & FLEXIBLE == 0 {
                parsed.tl0_index_at = at;
                parsed.numbers.tl0_index = *payload.get(at)?;
                at += 1;
            }
        }
        (payload.len() > at).then_some(parsed)
    }

    /// The first packet of a picture that needs no other: the lowest spatial layer, not predicted.
    pub fn starts_key_picture(&self) -> bool {
        self.starts_frame && !self.predicted && self.spatial == 0 && !self.inter_layer
    }

    /// Its numbers, and how much of them it has places for.
    pub fn shown(&self) -> Shown {
        Shown {
            numbers: self.numbers,
            picture_id_bits: match (self.picture_id_at, self.is_long) {
                (0, _) => 0,
                (_, false) => 7,
                (_, true) => 15,
            },
            tl0_index: self.tl0_index_at != 0,
            key_index: false,
            frame_number: false,
        }
    }
}

/// Puts other numbers in the places of a payload's own, whose widths stay. A payload without places, or that is no VP9,
/// is left as it is.
pub fn renumber(payload: &mut [u8], numbers: &Numbers) {
    let Some(descriptor) = Descriptor::parse(payload) else {
        return;
    };
    let [high, low] = numbers.picture_id.to_be_bytes();
    match (descriptor.shown().picture_id_bits, descriptor.picture_id_at) {
        (15, at) => payload[at..at + 2].copy_from_slice(&[high | LONG, low]),
        (7, at) => payload[at] = low & !LONG,
        _ => {}
    }
    if descriptor.tl0_index_at != 0 {
        payload[descriptor.tl0_index_at] = numbers.tl0_index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OTHERS: Numbers = Numbers {
        picture_id: 0x1234,
        tl0_index: 0x56,
        key_index: 0,
        frame_number: 0,
    };

    #[test]
    fn every_form_is_read_and_rewritten_in_place() {
        let forms: [(&[u8], &[u8]); 5] = [
            (&[0x08, 0x50], &[0x08, 0x50]),
            (&[0x88, 0x7f, 0x50], &[0x88, 0x34, 0x50]),
            (&[0x88, 0xff, 0xff, 0x50], &[0x88, 0x92, 0x34, 0x50]),
            (
                &[0xa8, 0xff, 0xff, 0x35, 0x01, 0x50],
                &[0xa8, 0x92, 0x34, 0x35, 0x56, 0x50],
            ),
            // Flexible: reference differences follow the layer indices, and there is no TL0PICIDX.
            (
                &[0xf8, 0x81, 0x00, 0x35, 0x02, 0x50],
                &[0xf8, 0x92, 0x34, 0x35, 0x02, 0x50],
            ),
        ];
        for (before, after) in forms {
            let mut payload = before.to_vec();
            renumber(&mut payload, &OTHERS);
            assert_eq!(payload, after);
        }
    }

    #[test]
    fn layers_and_flags_are_read() {
        let parsed = Descriptor::parse(&[0xec, 0x81, 0x02, 0x55, 0x09, 0xaa]).unwrap();
        assert!(parsed.starts_frame && parsed.ends_frame && parsed.predicted);
        assert_eq!((parsed.temporal, parsed.spatial), (2, 2));
        assert!(parsed.switching_up && parsed.inter_layer);
        assert_eq!(parsed.numbers.picture_id, 0x102);
        assert_eq!(parsed.numbers.tl0_index, 9);
        assert!(!parsed.starts_key_picture());
        let key = Descriptor::parse(&[0xa8, 0x01, 0x00, 0x00, 0xaa]).unwrap();
        assert!(key.starts_key_picture() && !key.ends_frame);
        assert_eq!(Descriptor::parse(&[0xa8, 0x81, 0x02, 0x55, 0x09]), None);
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
                    let unnumbered = |parsed: Descriptor| Descriptor {
                        numbers: Numbers::default(),
                        ..parsed
                    };
                    prop_assert_eq!(unnumbered(before), unnumbered(after));
                }
                (before, after) => {
                    prop_assert_eq!(before, after);
                    prop_assert_eq!(payload, other);
                }
            }
        }
    }
}
