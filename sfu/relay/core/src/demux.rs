//! Which protocol a datagram belongs to (RFC 7983, RFC 5761).

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// First byte 0 to 3.
    Stun,
    /// First byte 20 to 63.
    Dtls,
    /// First byte 128 to 191, payload type outside 64 to 95.
    Rtp,
    /// First byte 128 to 191, second byte 192 to 223.
    Rtcp,
    /// Anything else, the empty datagram included.
    Unknown,
}

/// Classifies a datagram by its first two bytes.
pub fn classify(datagram: &[u8]) -> Protocol {
    match datagram {
        [0..=3, ..] => Protocol::Stun,
        [20..=63, ..] => Protocol::Dtls,
        [128..=191, 192..=223, ..] => Protocol::Rtcp,
        // RTCP's packet types without their top bit; no RTP payload type may lie here (RFC 5761
        // section 4).
        [128..=191, 64..=95, ..] => Protocol::Unknown,
        [128..=191, _, ..] => Protocol::Rtp,
        _ => Protocol::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_the_protocols_apart() {
        for first in 0..=255 {
            let expected = match first {
                0..=3 => Protocol::Stun,
                20..=63 => Protocol::Dtls,
                128..=191 => Protocol::Rtp,
                _ => Protocol::Unknown,
            };
            assert_eq!(classify(&[first, 96]), expected);
        }
    }

    #[test]
    fn the_second_byte_tells_rtcp_from_rtp() {
        for second in 0..=255 {
            let expected = match second {
                64..=95 => Protocol::Unknown,
                192..=223 => Protocol::Rtcp,
                _ => Protocol::Rtp,
            };
            assert_eq!(classify(&[0x80, second]), expected);
        }
    }

    #[test]
    fn a_datagram_too_short_to_tell_is_unknown() {
        assert_eq!(classify(&[]), Protocol::Unknown);
        assert_eq!(classify(&[0x80]), Protocol::Unknown);
    }
}
