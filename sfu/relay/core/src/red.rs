//! Redundant audio data (RFC 2198) with Opus inside: a packet repeats what packets before it carried, so that one lost is
//! heard all the same, without a round trip.
//!
//! Made here with one packet before, as libwebrtc makes it: at one packet in ten lost, one in a hundred stays missing.
//! Nobody can look into it when it is encrypted end to end, so the control plane allows it for plain tracks only.
use crate::units::PayloadType;

/// Another block follows.
const MORE: u8 = 0x80;

/// Header of a redundant block: payload type, timestamp offset (14 bits), length (10 bits).
const HEADER: usize = 4;

/// Farthest that a redundant block may lie behind, ticks; a pause of Opus (DTX) is longer.
pub const MAX_OFFSET: u32 = (1 << 14) - 1;

/// Longest redundant block, bytes.
const MAX_LENGTH: usize = (1 << 10) - 1;

/// Longest payload made, bytes: with headers, extensions and what SRTP adds it stays below 1200.
const MAX_PAYLOAD: usize = 1100;

/// Most redundant blocks looked at; libwebrtc sends one, by field trial up to nine.
const MAX_BLOCKS: usize = 32;

/// One redundant block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// What it is, as the publisher numbers it.
    pub payload_type: PayloadType,
    /// How far it lies behind the packet, ticks.
    pub offset: u32,
    /// Its content.
    pub bytes: &'a [u8],
}

/// One packet's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redundant<'a> {
    /// What came before, oldest first.
    pub before: Vec<Block<'a>>,
    /// What the packet is for.
    pub primary: &'a [u8],
    /// What the primary block is, as the publisher numbers it.
    pub payload_type: PayloadType,
}

impl<'a> Redundant<'a> {
    /// `None` when headers or lengths do not fit the payload.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (payload_type, mut rest) = headers(payload)?;
        let mut before = Vec::new();
        for header in payload.chunks_exact(HEADER) {
            let &[kind, high, middle, low] = header else {
                break;
            };
            if kind & MORE == 0 {
                break;
            }
            let length = usize::from(middle & 0x03) << 8 | usize::from(low);
            let (bytes, behind) = rest.split_at_checked(length)?;
            rest = behind;
            before.push(Block {
                payload_type: PayloadType(kind & !MORE),
                offset: u32::from(high) << 6 | u32::from(middle >> 2),
                bytes,
            });
        }
        Some(Redundant {
            before,
            primary: rest,
            payload_type,
        })
    }
}

/// The primary block and what it is; `None` when headers or lengths do not fit the payload.
pub fn primary(payload: &[u8]) -> Option<(PayloadType, &[u8])> {
    let (payload_type, rest) = headers(payload)?;
    let redundant: usize = payload
        .chunks_exact(HEADER)
        .take_while(|header| header[0] & MORE != 0)
        .map(|header| usize::from(header[2] & 0x03) << 8 | usize::from(header[3]))
        .sum();
    Some((payload_type, rest.get(redundant..)?))
}

/// Gives blocks of one payload type another. A payload that is not right is left as it is.
pub fn renumber(payload: &mut [u8], theirs: PayloadType, ours: PayloadType) {
    if headers(payload).is_none() {
        return;
    }
    let mut at = 0;
    while let Some(kind) = payload.get_mut(at) {
        let more = *kind & MORE;
        if *kind & !MORE == theirs.0 {
            *kind = more | ours.0 & !MORE;
        }
        if more == 0 {
            return;
        }
        at += HEADER;
    }
}

/// Whether the payload before can be carried with one so far ahead of it.
pub fn can_carry(before: &[u8], offset: u32, primary: &[u8]) -> bool {
    let length = HEADER + 1 + before.len() + primary.len();
    (1..=MAX_OFFSET).contains(&offset)
        && (1..=MAX_LENGTH).contains(&before.len())
        && length <= MAX_PAYLOAD
}

/// Appends a payload of blocks of one payload type: `before`, if any, lies so many ticks behind; see [`can_carry`].
pub fn write(
    out: &mut Vec<u8>,
    payload_type: PayloadType,
    before: Option<(u32, &[u8])>,
    primary: &[u8],
) {
    let kind = payload_type.0 & !MORE;
    if let Some((offset, bytes)) = before {
        let fields = (offset & MAX_OFFSET) << 10 | (bytes.len() & MAX_LENGTH) as u32;
        let [_, high, middle, low] = fields.to_be_bytes();
        out.extend_from_slice(&[kind | MORE, high, middle, low]);
    }
    out.push(kind);
    out.extend_from_slice(before.map_or(&[], |(_, bytes)| bytes));
    out.extend_from_slice(primary);
}

/// The primary block's payload type, and all that comes after the headers.
fn headers(payload: &[u8]) -> Option<(PayloadType, &[u8])> {
    for block in 0..=MAX_BLOCKS {
        let kind = *payload.get(block * HEADER)?;
        if kind & MORE == 0 {
            return Some((PayloadType(kind), payload.get(block * HEADER + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPUS: PayloadType = PayloadType(111);

    fn made(before: Option<(u32, &[u8])>, primary: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, OPUS, before, primary);
        out
    }

    #[test]
    fn a_packet_of_two_blocks_reads_as_it_was_written() {
        let payload = made(Some((960, b"before")), b"now");
        assert_eq!(payload[..5], [0xef, 0x0f, 0x00, 0x06, 0x6f]);
        let read = Redundant::parse(&payload).unwrap();
        assert_eq!(read.primary, b"now");
        assert_eq!(read.payload_type, OPUS);
        let block = Block {
            payload_type: OPUS,
            offset: 960,
            bytes: b"before",
        };
        assert_eq!(read.before, [block]);
        assert_eq!(primary(&payload), Some((OPUS, &b"now"[..])));
    }

    #[test]
    fn a_packet_of_one_block_is_a_byte_longer() {
        let payload = made(None, b"now");
        assert_eq!(payload, b"\x6fnow");
        assert_eq!(primary(&payload), Some((OPUS, &b"now"[..])));
    }

    #[test]
    fn the_farthest_and_the_longest_fit() {
        let before = vec![7; MAX_LENGTH];
        let payload = made(Some((MAX_OFFSET, &before)), b"now");
        let read = Redundant::parse(&payload).unwrap();
        assert_eq!(
            (read.before[0].offset, read.before[0].bytes.len()),
            (16_383, 1_023)
        );
        assert!(can_carry(&before, MAX_OFFSET, b"now"));
        assert!(
            !can_carry(&before, MAX_OFFSET + 1, b"now"),
            "a pause of Opus"
        );
        assert!(!can_carry(&before, 0, b"now"));
        assert!(!can_carry(&before, 960, &[1; 200]), "longer than a packet");
        assert!(!can_carry(&[], 960, b"now"));
    }

    #[test]
    fn blocks_get_other_numbers_and_stay_as_they_were() {
        let mut payload = made(Some((960, b"before")), b"now");
        renumber(&mut payload, OPUS, PayloadType(109));
        let read = Redundant::parse(&payload).unwrap();
        assert_eq!(read.payload_type, PayloadType(109));
        assert_eq!(read.before[0].payload_type, PayloadType(109));
        assert_eq!(
            (read.before[0].bytes, read.primary),
            (&b"before"[..], &b"now"[..])
        );
        let other = payload.clone();
        renumber(&mut payload, OPUS, PayloadType(1));
        assert_eq!(payload, other, "nothing of that type is in it");
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let payload = made(Some((960, b"before")), b"");
        assert_eq!(primary(&payload), Some((OPUS, &b""[..])));
        for cut in 0..payload.len() {
            assert_eq!(primary(&payload[..cut]), None);
            assert_eq!(Redundant::parse(&payload[..cut]), None);
        }
        assert_eq!(primary(&[0xef; 200]), None, "headers without an end");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let read = Redundant::parse(&payload);
            let read = read.map(|read| (read.payload_type, read.primary));
            prop_assert_eq!(read, primary(&payload));
            let mut other = payload.clone();
            renumber(&mut other, OPUS, PayloadType(109));
            prop_assert_eq!(other.len(), payload.len());
            prop_assert_eq!(
                primary(&other).map(|(_, bytes)| bytes),
                primary(&payload).map(|(_, bytes)| bytes)
            );
        }
    }
}
