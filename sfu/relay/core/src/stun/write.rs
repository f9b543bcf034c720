//! The three messages an ICE-lite agent sends. Each ends with MESSAGE-INTEGRITY and FINGERPRINT.

use super::{HEADER, MAGIC_COOKIE, TransactionId, attribute, fingerprint, integrity};
use std::net::{IpAddr, SocketAddr};

/// Characters of an error's reason phrase (RFC 8489 section 14.8 allows fewer than 128).
const MAX_REASON: usize = 127;

/// Success response with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT, appended to `out`.
///
/// An IPv4 address that a dual-stack socket shows as IPv6 is written as what it is.
pub fn write_success(
    out: &mut Vec<u8>,
    transaction: TransactionId,
    mapped: SocketAddr,
    password: &[u8],
) {
    let start = begin(out, 0x0101, transaction);
    let mut value = [0; 20];
    let [c0, c1, ..] = MAGIC_COOKIE;
    let [p0, p1] = mapped.port().to_be_bytes();
    let (family, len) = match mapped.ip().to_canonical() {
        IpAddr::V4(ip) => {
            value[4..8].copy_from_slice(&ip.octets());
            (1, 8)
        }
        IpAddr::V6(ip) => {
            value[4..].copy_from_slice(&ip.octets());
            (2, 20)
        }
    };
    value[..4].copy_from_slice(&[0, family, p0 ^ c0, p1 ^ c1]);
    let mask = MAGIC_COOKIE.iter().chain(&transaction.0);
    for (byte, mask) in value[4..].iter_mut().zip(mask) {
        *byte ^= mask;
    }
    put(out, attribute::XOR_MAPPED_ADDRESS, &value[..len]);
    end(out, start, password);
}

/// Binding request of ours as the controlled agent: USERNAME, PRIORITY, ICE-CONTROLLED, integrity,
/// fingerprint, appended to `out`. `username` is theirs, a colon, ours: at most 513 bytes.
pub fn write_request(
    out: &mut Vec<u8>,
    transaction: TransactionId,
    username: &str,
    priority: u32,
    tie_breaker: u64,
    password: &[u8],
) {
    let start = begin(out, 0x0001, transaction);
    put(out, attribute::USERNAME, username.as_bytes());
    put(out, attribute::PRIORITY, &priority.to_be_bytes());
    put(out, attribute::ICE_CONTROLLED, &tie_breaker.to_be_bytes());
    end(out, start, password);
}

/// Error response (for instance 487 Role Conflict), appended to `out`. `code` is 300 to 699; a
/// reason of more than 127 characters is cut.
pub fn write_error(
    out: &mut Vec<u8>,
    transaction: TransactionId,
    code: u16,
    reason: &str,
    password: &[u8],
) {
    let start = begin(out, 0x0111, transaction);
    let cut = reason.char_indices().nth(MAX_REASON);
    let reason = &reason[..cut.map_or(reason.len(), |(at, _)| at)];
    let mut value = [0; 4 + 4 * MAX_REASON];
    value[2] = (code / 100) as u8 & 0x07;
    value[3] = (code % 100) as u8;
    value[4..4 + reason.len()].copy_from_slice(reason.as_bytes());
    put(out, attribute::ERROR_CODE, &value[..4 + reason.len()]);
    end(out, start, password);
}

/// A header whose length [`end`] fills in; returns where it starts.
fn begin(out: &mut Vec<u8>, message_type: u16, transaction: TransactionId) -> usize {
    let start = out.len();
    out.extend_from_slice(&message_type.to_be_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&MAGIC_COOKIE);
    out.extend_from_slice(&transaction.0);
    start
}

/// One attribute and its padding.
fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = value.len() as u16; // ours are all short
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(value);
    let padding = value.len().next_multiple_of(4) - value.len();
    out.extend_from_slice(&[0; 3][..padding]);
}

/// MESSAGE-INTEGRITY, the length that covers FINGERPRINT too, and FINGERPRINT.
fn end(out: &mut Vec<u8>, start: usize, password: &[u8]) {
    let tag = integrity(&out[start..], password);
    put(out, attribute::MESSAGE_INTEGRITY, tag.as_ref());
    let body = (out.len() - start - HEADER + 8) as u16;
    out[start + 2..start + 4].copy_from_slice(&body.to_be_bytes());
    let checksum = fingerprint::of(&out[start..]);
    put(out, attribute::FINGERPRINT, &checksum.to_be_bytes());
}
