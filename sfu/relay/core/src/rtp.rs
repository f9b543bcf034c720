//! RTP headers and header extensions (RFC 3550 section 5.1, RFC 8285).

mod extension;

pub use extension::{Extension, ExtensionMap, audio_level};

use crate::units::{PayloadType, Ssrc};
use std::ops::Range;

/// Version, flags, payload type, sequence, timestamp and SSRC (RFC 3550 section 5.1).
const FIXED_HEADER: usize = 12;
/// Profile of one-byte extension elements (RFC 8285 section 4.2).
const ONE_BYTE: u16 = 0xbede;
/// Profile of two-byte extension elements; the low four bits are the application's (section 4.3).
const TWO_BYTE: u16 = 0x1000;
/// An extension's length is counted in 32-bit words by a 16-bit field.
const MAX_EXTENSION_BODY: usize = 4 * 0xffff;

/// A parsed header; the packet stays where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether the payload ends in padding; see [`Header::payload`].
    pub padding: bool,
    /// The marker bit.
    pub marker: bool,
    /// What the payload is, as this leg numbers it.
    pub payload_type: PayloadType,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in ticks of the payload's clock.
    pub timestamp: u32,
    /// Whose stream this is.
    pub ssrc: Ssrc,
    /// Extension profile and the range of its body within the packet.
    pub extension: Option<(u16, Range<usize>)>,
    /// Fixed header, CSRCs and extension: where the payload starts.
    pub len: usize,
}

/// Why a packet is not RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtpError {
    /// Wrong version, or shorter than its own fields say.
    Malformed,
}

impl Header {
    /// Reads the header of a packet, sealed or plain: nothing behind the header is looked at.
    pub fn parse(packet: &[u8]) -> Result<Header, RtpError> {
        let fixed: &[u8; FIXED_HEADER] = packet.first_chunk().ok_or(RtpError::Malformed)?;
        let [first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *fixed;
        if first >> 6 != 2 {
            return Err(RtpError::Malformed);
        }
        let mut len = FIXED_HEADER + 4 * usize::from(first & 0x0f);
        let extension = if first & 0x10 != 0 {
            let prefix = packet.get(len..).and_then(<[u8]>::first_chunk);
            let &[p0, p1, w0, w1] = prefix.ok_or(RtpError::Malformed)?;
            let start = len + 4;
            len = start + 4 * usize::from(u16::from_be_bytes([w0, w1]));
            Some((u16::from_be_bytes([p0, p1]), start..len))
        } else {
            None
        };
        if packet.len() < len {
            return Err(RtpError::Malformed);
        }
        Ok(Header {
            padding: first & 0x20 != 0,
            marker: second & 0x80 != 0,
            payload_type: PayloadType(second & 0x7f),
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: Ssrc(u32::from_be_bytes([i0, i1, i2, i3])),
            extension,
            len,
        })
    }

    /// The elements of a one- or two-byte extension block as (id, value); stops at damage, never
    /// panics. A block of any other profile has none.
    pub fn extensions<'a>(
        &self,
        packet: &'a [u8],
    ) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let (profile, body) = match &self.extension {
            Some((profile, range)) => (*profile, packet.get(range.clone()).unwrap_or_default()),
            None => (0, Default::default()),
        };
        Elements::new(profile, body)
    }

    /// The payload of an opened packet without its padding; `None` when the padding count lies.
    pub fn payload<'a>(&self, packet: &'a [u8]) -> Option<&'a [u8]> {
        let body = packet.get(self.len..)?;
        if !self.padding {
            return Some(body);
        }
        let count = usize::from(*body.last()?);
        if count == 0 {
            return None;
        }
        body.get(..body.len().checked_sub(count)?)
    }
}

/// Walks an extension block; empty after the first damage.
struct Elements<'a> {
    two_byte: bool,
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    fn new(profile: u16, body: &'a [u8]) -> Self {
        let two_byte = profile & 0xfff0 == TWO_BYTE;
        let known = two_byte || profile == ONE_BYTE;
        Elements {
            two_byte,
            rest: if known { body } else { &[] },
        }
    }

    /// Splits one element off; `None` ends the block.
    fn split(&self) -> Option<(u8, &'a [u8], &'a [u8])> {
        // A zero byte in an element's place is padding in both forms.
        let skip = self.rest.iter().position(|&byte| byte != 0)?;
        let rest = self.rest.get(skip..)?;
        let (id, len, rest) = if self.two_byte {
            let (&[id, len], rest) = rest.split_first_chunk()?;
            (id, usize::from(len), rest)
        } else {
            let (&first, rest) = rest.split_first()?;
            (first >> 4, usize::from(first & 0x0f) + 1, rest)
        };
        // One-byte form: 15 is reserved, 0 with a length is no padding; both end the block.
        if !self.two_byte && (id == 0 || id == 15) {
            return None;
        }
        let (value, rest) = rest.split_at_checked(len)?;
        Some((id, value, rest))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let split = self.split();
        self.rest = split.map_or(&[], |(_, _, rest)| rest);
        split.map(|(id, value, _)| (id, value))
    }
}

/// What [`write_header`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewHeader {
    /// The marker bit.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: PayloadType,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in ticks of the payload's clock.
    pub timestamp: u32,
    /// Our SSRC.
    pub ssrc: Ssrc,
}

/// Appends a header (no CSRCs) and an extension block of `(id, value)` elements to `out` and
/// returns the header's length.
///
/// The block is in one-byte form when every element fits it (id 1 to 14, value of 1 to 16 bytes),
/// else in two-byte form. An element that fits neither (id 0, a value above 255 bytes) is left out;
/// without elements there is no block.
pub fn write_header<'a>(
    out: &mut Vec<u8>,
    header: &NewHeader,
    extensions: impl Iterator<Item = (u8, &'a [u8])>,
) -> usize {
    let start = out.len();
    let marker = if header.marker { 0x80 } else { 0 };
    out.extend_from_slice(&[0x80, marker | (header.payload_type.0 & 0x7f)]);
    out.extend_from_slice(&header.sequence.to_be_bytes());
    out.extend_from_slice(&header.timestamp.to_be_bytes());
    out.extend_from_slice(&header.ssrc.0.to_be_bytes());
    write_extensions(out, start, extensions);
    out.len() - start
}

/// Appends so many bytes of padding to the packet that starts at `start` and ends with `out`, and says so in its header
/// (RFC 3550 section 5.1). With none, nothing is done.
pub fn pad(out: &mut Vec<u8>, start: usize, padding: u8) {
    if padding == 0 {
        return;
    }
    if let Some(first) = out.get_mut(start) {
        *first |= 0x20;
        out.resize(out.len() + usize::from(padding) - 1, 0);
        out.push(padding);
    }
}

fn write_extensions<'a>(
    out: &mut Vec<u8>,
    start: usize,
    extensions: impl Iterator<Item = (u8, &'a [u8])>,
) {
    let prefix = out.len();
    let body = prefix + 4;
    let mut profile = ONE_BYTE;
    for (id, value) in extensions {
        let Ok(len) = u8::try_from(value.len()) else {
            continue;
        };
        if id == 0 || out.len().saturating_sub(body) + 2 + value.len() > MAX_EXTENSION_BODY {
            continue;
        }
        if out.len() == prefix {
            out.extend_from_slice(&[0; 4]);
        }
        if profile == ONE_BYTE && !(id <= 14 && (1..=16).contains(&len)) {
            widen(out, body);
            profile = TWO_BYTE;
        }
        if profile == ONE_BYTE {
            out.push((id << 4) | (len - 1));
        } else {
            out.extend_from_slice(&[id, len]);
        }
        out.extend_from_slice(value);
    }
    if out.len() == prefix {
        return;
    }
    out.resize(body + (out.len() - body).next_multiple_of(4), 0);
    let words = ((out.len() - body) / 4) as u16; // MAX_EXTENSION_BODY keeps it in range
    let [p0, p1] = profile.to_be_bytes();
    let [w0, w1] = words.to_be_bytes();
    out[prefix..body].copy_from_slice(&[p0, p1, w0, w1]);
    out[start] |= 0x10;
}

/// Turns the one-byte elements written so far into two-byte ones. Rare (a dependency descriptor
/// with its structure, at key frames), so it may allocate.
fn widen(out: &mut Vec<u8>, body: usize) {
    let narrow = out.split_off(body);
    for (id, value) in Elements::new(ONE_BYTE, &narrow) {
        out.extend_from_slice(&[id, value.len() as u8]); // at most 16
        out.extend_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: NewHeader = NewHeader {
        marker: true,
        payload_type: PayloadType(111),
        sequence: 0xfffe,
        timestamp: 0x0102_0304,
        ssrc: Ssrc(0xdead_beef),
    };

    fn written(elements: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        let len = write_header(&mut out, &HEADER, elements.iter().copied());
        assert_eq!(len, out.len() - 6);
        out.split_off(6)
    }

    fn read(packet: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let header = Header::parse(packet).unwrap();
        let elements = header.extensions(packet);
        elements.map(|(id, value)| (id, value.to_vec())).collect()
    }

    /// A packet whose extension block has that profile and body (a multiple of four bytes).
    fn with_block(profile: u16, body: &[u8]) -> Vec<u8> {
        let mut packet = written(&[]);
        packet[0] |= 0x10;
        packet.extend_from_slice(&profile.to_be_bytes());
        packet.extend_from_slice(&((body.len() / 4) as u16).to_be_bytes());
        packet.extend_from_slice(body);
        packet
    }

    #[test]
    fn a_header_reads_back_as_it_was_written() {
        let packet = written(&[]);
        assert_eq!(packet.len(), 12);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(
            header,
            Header {
                padding: false,
                marker: true,
                payload_type: PayloadType(111),
                sequence: 0xfffe,
                timestamp: 0x0102_0304,
                ssrc: Ssrc(0xdead_beef),
                extension: None,
                len: 12,
            }
        );
        assert_eq!(header.extensions(&packet).count(), 0);
    }

    #[test]
    fn contributing_sources_are_skipped_on_the_way_to_the_extension() {
        let mut packet = vec![0x92, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend_from_slice(&[0xaa; 8]); // two CSRCs
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0x42, 0, 0]);
        packet.extend_from_slice(b"payload");
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.len, 28);
        assert_eq!(read(&packet), [(1, vec![0x42])]);
        assert_eq!(header.payload(&packet), Some(&b"payload"[..]));
    }

    #[test]
    fn a_packet_shorter_than_its_own_fields_is_malformed() {
        let mut packet = vec![0x91, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9, 9, 9];
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0x42, 0, 0]);
        assert!(Header::parse(&packet).is_ok());
        for len in 0..packet.len() {
            assert_eq!(Header::parse(&packet[..len]), Err(RtpError::Malformed));
        }
    }

    #[test]
    fn another_version_is_malformed() {
        let mut packet = written(&[]);
        for version in [0, 1, 3] {
            packet[0] = version << 6;
            assert_eq!(Header::parse(&packet), Err(RtpError::Malformed));
        }
    }

    #[test]
    fn small_elements_take_the_one_byte_form() {
        let packet = written(&[(1, b"a"), (14, b"0123456789abcdef")]);
        assert_eq!(packet[12..16], [0xbe, 0xde, 0, 5]);
        assert_eq!(packet[16..19], [0x10, b'a', 0xef]);
        assert_eq!(
            read(&packet),
            [(1, b"a".to_vec()), (14, b"0123456789abcdef".to_vec())]
        );
    }

    #[test]
    fn one_large_element_turns_the_whole_block_into_the_two_byte_form() {
        let large: &[&[u8]] = &[b"", b"0123456789abcdefg", &[7; 255]];
        for &value in large {
            let packet = written(&[(1, b"mid"), (2, value), (3, b"z")]);
            assert_eq!(packet[12..14], [0x10, 0x00]);
            assert_eq!(
                read(&packet),
                [
                    (1, b"mid".to_vec()),
                    (2, value.to_vec()),
                    (3, b"z".to_vec())
                ]
            );
        }
        let packet = written(&[(1, b"mid"), (15, b"x"), (255, b"y")]);
        assert_eq!(read(&packet).last(), Some(&(255, b"y".to_vec())));
    }

    #[test]
    fn elements_that_fit_no_form_are_left_out() {
        assert_eq!(written(&[(0, b"x"), (4, &[0; 256])]).len(), 12);
    }

    #[test]
    fn padding_between_elements_is_skipped() {
        let packet = with_block(ONE_BYTE, &[0, 0x10, 0xaa, 0, 0, 0x20, 0xbb, 0]);
        assert_eq!(read(&packet), [(1, vec![0xaa]), (2, vec![0xbb])]);
        let packet = with_block(TWO_BYTE | 5, &[0, 1, 1, 0xaa, 0, 2, 0, 0]);
        assert_eq!(read(&packet), [(1, vec![0xaa]), (2, vec![])]);
    }

    #[test]
    fn id_fifteen_ends_a_one_byte_block() {
        let packet = with_block(ONE_BYTE, &[0x10, 0xaa, 0xf0, 0xbb, 0x20, 0xcc, 0, 0]);
        assert_eq!(read(&packet), [(1, vec![0xaa])]);
    }

    #[test]
    fn id_zero_with_a_length_ends_a_one_byte_block() {
        let packet = with_block(ONE_BYTE, &[0x10, 0xaa, 0x01, 0xbb, 0xbb, 0x20, 0xcc, 0]);
        assert_eq!(read(&packet), [(1, vec![0xaa])]);
    }

    #[test]
    fn an_element_longer_than_its_block_ends_it() {
        let packet = with_block(ONE_BYTE, &[0x10, 0xaa, 0x2f, 0xbb]);
        assert_eq!(read(&packet), [(1, vec![0xaa])]);
        let packet = with_block(TWO_BYTE, &[1, 1, 0xaa, 2]);
        assert_eq!(read(&packet), [(1, vec![0xaa])]);
    }

    #[test]
    fn a_block_of_an_unknown_profile_has_no_elements() {
        assert_eq!(read(&with_block(0x4242, &[0x10, 0xaa, 0, 0])), []);
    }

    #[test]
    fn padding_is_cut_off_the_payload() {
        let mut packet = written(&[]);
        packet[0] |= 0x20;
        packet.extend_from_slice(&[1, 2, 3, 0, 0, 3]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.payload(&packet), Some(&[1, 2, 3][..]));
        *packet.last_mut().unwrap() = 6;
        assert_eq!(header.payload(&packet), Some(&[][..]));
    }

    #[test]
    fn a_padding_count_that_lies_yields_no_payload() {
        let mut packet = written(&[]);
        packet[0] |= 0x20;
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.payload(&packet), None);
        packet.extend_from_slice(&[1, 2, 0]);
        assert_eq!(header.payload(&packet), None);
        *packet.last_mut().unwrap() = 4;
        assert_eq!(header.payload(&packet), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(
            mut packet in proptest::collection::vec(any::<u8>(), 0..200),
            profile in prop_oneof![Just(ONE_BYTE), Just(TWO_BYTE), any::<u16>()],
        ) {
            if let [first, ..] = &mut packet[..] {
                *first = 0x80 | (*first & 0x3f);
            }
            let csrcs = packet.first().map_or(0, |first| usize::from(first & 0x0f));
            if let Some(prefix) = packet.get_mut(12 + 4 * csrcs..16 + 4 * csrcs) {
                prefix[..2].copy_from_slice(&profile.to_be_bytes());
                prefix[2] = 0;
            }
            if let Ok(header) = Header::parse(&packet) {
                prop_assert!(header.len <= packet.len());
                header.extensions(&packet).count();
                header.extensions(&packet[..12]).count();
                header.payload(&packet);
            }
        }

        #[test]
        fn any_elements_read_back_as_they_were_written(
            elements in proptest::collection::vec(
                (1u8..=255, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
        ) {
            let borrowed: Vec<_> = elements.iter().map(|(id, v)| (*id, v.as_slice())).collect();
            let packet = written(&borrowed);
            prop_assert_eq!(packet.len() % 4, 0);
            prop_assert_eq!(read(&packet), elements);
        }
    }
}
