//! STUN as ICE uses it (RFC 8489, RFC 8445): Binding requests and responses, nothing else.

mod fingerprint;
mod write;

pub use write::{write_error, write_request, write_success};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Type, length, cookie and transaction id (RFC 8489 section 5).
const HEADER: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// No ICE agent's message comes near this; whatever is longer is not worth the walk.
const MAX_MESSAGE: usize = 1500;
/// Bytes of a MESSAGE-INTEGRITY value.
const HMAC_SHA1: usize = 20;

/// Attribute types (RFC 8489 section 18.3, RFC 8445 section 16.1).
mod attribute {
    pub const MAPPED_ADDRESS: u16 = 0x0001;
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub const REALM: u16 = 0x0014;
    pub const NONCE: u16 = 0x0015;
    pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const PRIORITY: u16 = 0x0024;
    pub const USE_CANDIDATE: u16 = 0x0025;
    pub const FINGERPRINT: u16 = 0x8028;
    pub const ICE_CONTROLLED: u16 = 0x8029;
    pub const ICE_CONTROLLING: u16 = 0x802a;
}

/// What joins a response to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wants a response.
    Request,
    /// Wants none.
    Indication,
    /// The request was good.
    Success,
    /// The request was refused; see [`Message::error_code`].
    Error,
}

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StunError {
    /// Not STUN, not Binding, or lengths that do not add up.
    Malformed,
    /// An attribute that must be understood and is not (RFC 8489 section 6.3).
    UnknownAttribute,
    /// The checksum is there and wrong.
    BadFingerprint,
    /// No MESSAGE-INTEGRITY.
    MissingAttribute,
    /// Not made with this password, or changed on the way.
    BadIntegrity,
}

/// A parsed Binding message that borrows its datagram. FINGERPRINT, where present, has been
/// checked.
///
/// Of attributes that come twice the first counts. What stands behind MESSAGE-INTEGRITY is not
/// authentic and is ignored, except FINGERPRINT (RFC 8489 section 14.5).
pub struct Message<'a> {
    raw: &'a [u8],
    class: Class,
    username: Option<&'a [u8]>,
    error_code: Option<&'a [u8]>,
    xor_mapped_address: Option<&'a [u8]>,
    use_candidate: bool,
    ice_controlled: bool,
    /// Where the MESSAGE-INTEGRITY attribute starts, and its value.
    integrity: Option<(usize, &'a [u8])>,
}

impl<'a> Message<'a> {
    /// Parses one datagram, which must be one message and nothing more; allocates nothing.
    ///
    /// # Errors
    /// [`StunError::Malformed`], [`StunError::UnknownAttribute`] or [`StunError::BadFingerprint`].
    pub fn parse(datagram: &'a [u8]) -> Result<Self, StunError> {
        let header: &[u8; HEADER] = datagram.first_chunk().ok_or(StunError::Malformed)?;
        let [t0, t1, l0, l1, c0, c1, c2, c3, ..] = *header;
        let body = usize::from(u16::from_be_bytes([l0, l1]));
        if [c0, c1, c2, c3] != MAGIC_COOKIE
            || body % 4 != 0
            || body != datagram.len() - HEADER
            || datagram.len() > MAX_MESSAGE
        {
            return Err(StunError::Malformed);
        }
        let mut message = Message {
            raw: datagram,
            class: class(u16::from_be_bytes([t0, t1])).ok_or(StunError::Malformed)?,
            username: None,
            error_code: None,
            xor_mapped_address: None,
            use_candidate: false,
            ice_controlled: false,
            integrity: None,
        };
        message.read_attributes()?;
        Ok(message)
    }

    /// What the message is for.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Chosen by whoever sent the request.
    pub fn transaction(&self) -> TransactionId {
        let mut id = [0; 12];
        id.copy_from_slice(&self.raw[8..HEADER]);
        TransactionId(id)
    }

    /// The two halves of USERNAME around the colon: the receiver's fragment, then the sender's.
    /// `None` without exactly one colon between two fragments.
    pub fn username(&self) -> Option<(&'a str, &'a str)> {
        let username = std::str::from_utf8(self.username?).ok()?;
        let (receiver, sender) = username.split_once(':')?;
        let sound = !receiver.is_empty() && !sender.is_empty() && !sender.contains(':');
        sound.then_some((receiver, sender))
    }

    /// MESSAGE-INTEGRITY (HMAC-SHA1) under the short-term credential; compared in constant time.
    ///
    /// # Errors
    /// [`StunError::MissingAttribute`] or [`StunError::BadIntegrity`].
    pub fn verify(&self, password: &[u8]) -> Result<(), StunError> {
        let (at, theirs) = self.integrity.ok_or(StunError::MissingAttribute)?;
        let ours = integrity(&self.raw[..at], password);
        verify_slices_are_equal(ours.as_ref(), theirs).map_err(|_| StunError::BadIntegrity)
    }

    /// Whether the controlling agent nominates this pair.
    pub fn use_candidate(&self) -> bool {
        self.use_candidate
    }

    /// Whether the sender believes that it is the controlled agent. A lite agent always is, so this
    /// is a role conflict (RFC 8445 section 7.3.1.1).
    pub fn ice_controlled(&self) -> bool {
        self.ice_controlled
    }

    /// The code of an error response, 300 to 699.
    pub fn error_code(&self) -> Option<u16> {
        let &[_, _, class, number] = self.error_code?.first_chunk()?;
        let class = class & 0x07;
        let sound = (3..=6).contains(&class) && number < 100;
        sound.then_some(u16::from(class) * 100 + u16::from(number))
    }

    /// Where the responder saw the request come from.
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        let (&[_, family, p0, p1], address) = self.xor_mapped_address?.split_first_chunk()?;
        let [c0, c1, ..] = MAGIC_COOKIE;
        let port = u16::from_be_bytes([p0 ^ c0, p1 ^ c1]);
        let mut octets = [0; 16];
        let address_len = address.len();
        // The mask is cookie and transaction id, as they stand in the header.
        let masked = address.iter().zip(&self.raw[4..HEADER]);
        for (octet, (byte, mask)) in octets.iter_mut().zip(masked) {
            *octet = byte ^ mask;
        }
        let ip = match (family, address_len) {
            (1, 4) => {
                let [a, b, c, d, ..] = octets;
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            (2, 16) => IpAddr::V6(Ipv6Addr::from(octets)),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }

    fn read_attributes(&mut self) -> Result<(), StunError> {
        let mut at = HEADER;
        while let Some(rest) = self.raw.get(at..).filter(|rest| !rest.is_empty()) {
            let (&[k0, k1, l0, l1], rest) = rest.split_first_chunk().ok_or(StunError::Malformed)?;
            let kind = u16::from_be_bytes([k0, k1]);
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            let value = rest.get(..len).ok_or(StunError::Malformed)?;
            if kind == attribute::FINGERPRINT {
                return self.check_fingerprint(at, value);
            }
            if self.integrity.is_none() {
                self.read_attribute(at, kind, value)?;
            }
            // Within the message, whose length is a multiple of four.
            at += 4 + len.next_multiple_of(4);
        }
        Ok(())
    }

    fn read_attribute(&mut self, at: usize, kind: u16, value: &'a [u8]) -> Result<(), StunError> {
        let mut expected_len = value.len();
        match kind {
            attribute::USERNAME => self.username = self.username.or(Some(value)),
            attribute::ERROR_CODE => self.error_code = self.error_code.or(Some(value)),
            attribute::XOR_MAPPED_ADDRESS => {
                self.xor_mapped_address = self.xor_mapped_address.or(Some(value));
            }
            attribute::MESSAGE_INTEGRITY => {
                self.integrity = Some((at, value));
                expected_len = HMAC_SHA1;
            }
            attribute::USE_CANDIDATE => {
                self.use_candidate = true;
                expected_len = 0;
            }
            attribute::PRIORITY => expected_len = 4,
            attribute::ICE_CONTROLLED => {
                self.ice_controlled = true;
                expected_len = 8;
            }
            attribute::ICE_CONTROLLING => expected_len = 8,
            // Understood, and of no use to an ICE agent with short-term credentials.
            attribute::MAPPED_ADDRESS
            | attribute::UNKNOWN_ATTRIBUTES
            | attribute::REALM
            | attribute::NONCE
            | attribute::MESSAGE_INTEGRITY_SHA256 => {}
            0..0x8000 => return Err(StunError::UnknownAttribute),
            0x8000.. => {}
        }
        if value.len() == expected_len {
            Ok(())
        } else {
            Err(StunError::Malformed)
        }
    }

    /// FINGERPRINT is the last attribute (RFC 8489 section 14.7), so the length field already
    /// covers it.
    fn check_fingerprint(&self, at: usize, value: &[u8]) -> Result<(), StunError> {
        if value.len() != 4 || at + 8 != self.raw.len() {
            return Err(StunError::Malformed);
        }
        let (covered, _) = self.raw.split_at(at);
        if value == fingerprint::of(covered).to_be_bytes() {
            Ok(())
        } else {
            Err(StunError::BadFingerprint)
        }
    }
}

/// The class bits of a Binding message's type; `None` for other methods (RFC 8489 section 5).
fn class(message_type: u16) -> Option<Class> {
    match message_type {
        0x0001 => Some(Class::Request),
        0x0011 => Some(Class::Indication),
        0x0101 => Some(Class::Success),
        0x0111 => Some(Class::Error),
        _ => None,
    }
}

/// HMAC-SHA1 over a message up to its MESSAGE-INTEGRITY, as if it ended with that attribute.
/// `covered` holds at least a header.
fn integrity(covered: &[u8], password: &[u8]) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password);
    let body = (covered.len() - HEADER + 4 + HMAC_SHA1) as u16; // MAX_MESSAGE keeps it in range
    let mut context = hmac::Context::with_key(&key);
    context.update(&covered[..2]);
    context.update(&body.to_be_bytes());
    context.update(&covered[4..]);
    context.sign()
}

#[cfg(test)]
mod tests;
