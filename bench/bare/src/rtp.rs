//! The few fields of RTP (RFC 3550 section 5.1) that forwarding reads and writes.

/// Bytes of the fixed header.
pub const FIXED: usize = 12;

/// Where the payload of an RTP packet begins; `None` for what is not RTP or cut short.
///
/// RTCP shares the port: payload types 64 to 95 are its (RFC 5761 section 4).
pub fn head_len(packet: &[u8]) -> Option<usize> {
    let (&first, &second) = (packet.first()?, packet.get(1)?);
    if first >> 6 != 2 || (64..96).contains(&(second & 0x7f)) {
        return None;
    }
    let mut length = FIXED + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(length + 2..length + 4)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (length <= packet.len() && length >= FIXED).then_some(length)
}

/// The sequence number of a packet that has a whole header.
pub fn sequence(head: &[u8]) -> u16 {
    u16::from_be_bytes([head[2], head[3]])
}

/// The SSRC of a packet that has a whole header.
pub fn ssrc(head: &[u8]) -> u32 {
    u32::from_be_bytes([head[8], head[9], head[10], head[11]])
}

/// Makes a header one of another stream.
pub fn rename(head: &mut [u8], sequence: u16, ssrc: u32) {
    head[2..4].copy_from_slice(&sequence.to_be_bytes());
    head[8..12].copy_from_slice(&ssrc.to_be_bytes());
}

/// The 48-bit index of a sequence number, nearest to the highest seen (RFC 3711 section 3.3.1).
///
/// `None` before the stream's beginning.
pub fn index(highest: Option<u64>, sequence: u16) -> Option<u64> {
    let Some(highest) = highest else {
        return Some(sequence.into());
    };
    let ahead = sequence.wrapping_sub(highest as u16).cast_signed();
    highest.checked_add_signed(ahead.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_the_nearest_to_the_highest() {
        assert_eq!(index(None, 65_535), Some(65_535));
        assert_eq!(index(Some(65_535), 0), Some(65_536));
        assert_eq!(index(Some(65_536), 65_535), Some(65_535));
        assert_eq!(index(Some(3), 65_535), None);
    }

    #[test]
    fn a_head_ends_where_the_packet_says_and_within_it() {
        let mut packet = [0_u8; 32];
        packet[0] = 0x80;
        assert_eq!(head_len(&packet), Some(12));
        assert_eq!(head_len(&packet[..11]), None);
        packet[0] = 0x92;
        packet[23] = 2;
        assert_eq!(head_len(&packet), Some(32));
        packet[23] = 3;
        assert_eq!(head_len(&packet), None);
        packet[0] = 0x00;
        assert_eq!(head_len(&packet), None);
        packet[..2].copy_from_slice(&[0x80, 200]);
        assert_eq!(head_len(&packet), None);
    }
}
