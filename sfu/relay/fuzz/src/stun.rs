//! STUN: hostile messages parse or are refused; what we write reads back; no changed byte passes.

use std::net::{IpAddr, SocketAddr};

use conclave_relay_core::stun::{
    Class, Message, TransactionId, write_error, write_request, write_success,
};

use crate::bytes::Bytes;

const PASSWORD: &[u8] = b"the password of this target only";

/// Bytes of the attribute, header included.
const FINGERPRINT: usize = 8;

pub fn run(input: &[u8]) {
    read(input);
    with_a_sound_header(input);
    write(&mut Bytes::new(input));
}

fn read(datagram: &[u8]) -> bool {
    let Ok(message) = Message::parse(datagram) else {
        return false;
    };
    if let Some((receiver, sender)) = message.username() {
        assert!(!receiver.is_empty() && !sender.is_empty());
        assert!(!receiver.contains(':') && !sender.contains(':'));
    }
    if let Some(code) = message.error_code() {
        assert!((300..700).contains(&code));
    }
    let _ = (message.class(), message.transaction());
    let _ = (message.use_candidate(), message.ice_controlled());
    let _ = message.xor_mapped_address();
    assert!(message.verify(b"").is_err() || !datagram.is_empty());
    message.verify(PASSWORD).is_ok()
}

/// The input as attributes of a message whose header is right, to get past the first checks.
fn with_a_sound_header(input: &[u8]) {
    let Some((kind, attributes)) = input.split_first() else {
        return;
    };
    let kinds = [0x0001_u16, 0x0011, 0x0101, 0x0111];
    let attributes = &attributes[..attributes.len() / 4 * 4];
    let mut datagram = kinds[usize::from(kind % 4)].to_be_bytes().to_vec();
    datagram.extend_from_slice(&(attributes.len() as u16).to_be_bytes());
    datagram.extend_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    datagram.extend_from_slice(&[7; 12]);
    datagram.extend_from_slice(attributes);
    read(&datagram);
}

fn write(bytes: &mut Bytes<'_>) {
    let kind = bytes.below(3);
    let (at, flip) = (usize::from(bytes.word()), bytes.byte());
    let mut id = [0; 12];
    id[..8].copy_from_slice(&bytes.huge().to_be_bytes());
    let id = TransactionId(id);
    let mut out = b"before".to_vec();
    match kind {
        0 => {
            let mut octets = [0; 16];
            octets[..8].copy_from_slice(&bytes.huge().to_be_bytes());
            octets[8..].copy_from_slice(&bytes.huge().to_be_bytes());
            let [a, b, c, d, ..] = octets;
            let short = bytes.flag();
            let ip = if short {
                IpAddr::from([a, b, c, d])
            } else {
                IpAddr::from(octets)
            };
            let mapped = SocketAddr::new(ip, bytes.word());
            write_success(&mut out, id, mapped, PASSWORD);
            let message = sound(&out[6..], Class::Success, id);
            let seen = SocketAddr::new(ip.to_canonical(), mapped.port());
            assert_eq!(message.xor_mapped_address(), Some(seen));
        }
        1 => {
            let (priority, tie_breaker) = (bytes.long(), bytes.huge());
            let username = String::from_utf8_lossy(bytes.take(160)).into_owned();
            write_request(&mut out, id, &username, priority, tie_breaker, PASSWORD);
            let message = sound(&out[6..], Class::Request, id);
            assert!(message.ice_controlled());
            if let Some((receiver, sender)) = message.username() {
                assert_eq!(username, format!("{receiver}:{sender}"));
            }
        }
        _ => {
            let code = 300 + bytes.word() % 400;
            let reason: String = String::from_utf8_lossy(bytes.take(200))
                .chars()
                .filter(char::is_ascii)
                .collect();
            write_error(&mut out, id, code, &reason, PASSWORD);
            assert_eq!(
                sound(&out[6..], Class::Error, id).error_code(),
                Some(code),
                "an error code reads back"
            );
        }
    }
    let mut changed = out.split_off(6);
    // Renamed, the FINGERPRINT at the end is an unknown attribute behind MESSAGE-INTEGRITY, which is
    // ignored (RFC 8489 section 14.5).
    let name = changed.len() - FINGERPRINT..changed.len() - FINGERPRINT + 2;
    let at = at % changed.len();
    changed[at] ^= flip;
    let same = flip == 0 || name.contains(&at);
    assert_eq!(read(&changed), same, "no changed byte passes");
}

fn sound(written: &[u8], class: Class, id: TransactionId) -> Message<'_> {
    let message = Message::parse(written).expect("what we write parses");
    assert_eq!((message.class(), message.transaction()), (class, id));
    message.verify(PASSWORD).expect("what we write verifies");
    message
}
