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
    let _ = datagram;
    todo!()
}
