//! STUN as ICE uses it (RFC 8489, RFC 8445): Binding requests and responses, nothing else.
#![allow(unused_variables, missing_docs)]
use std::net::SocketAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Request,
    Indication,
    Success,
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StunError {
    Malformed,
    BadFingerprint,
    MissingAttribute,
    BadIntegrity,
}

/// A parsed Binding message that borrows its datagram. FINGERPRINT, where present, has been checked.
pub struct Message<'a> {
    raw: &'a [u8],
}

impl<'a> Message<'a> {
    pub fn parse(datagram: &'a [u8]) -> Result<Self, StunError> {
        todo!()
    }
    pub fn class(&self) -> Class {
        todo!()
    }
    pub fn transaction(&self) -> TransactionId {
        todo!()
    }
    /// The two halves of USERNAME around the colon: the receiver's fragment, then the sender's.
    pub fn username(&self) -> Option<(&'a str, &'a str)> {
        todo!()
    }
    /// MESSAGE-INTEGRITY (HMAC-SHA1) under the short-term credential; compared in constant time.
    pub fn verify(&self, password: &[u8]) -> Result<(), StunError> {
        todo!()
    }
    pub fn use_candidate(&self) -> bool {
        todo!()
    }
    pub fn error_code(&self) -> Option<u16> {
        todo!()
    }
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        todo!()
    }
}

/// Success response with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT, appended to `out`.
pub fn write_success(
    out: &mut Vec<u8>,
    transaction: TransactionId,
    mapped: SocketAddr,
    password: &[u8],
) {
    todo!()
}

/// Binding request of ours as the controlled agent: USERNAME, PRIORITY, ICE-CONTROLLED, integrity, fingerprint.
pub fn write_request(
    out: &mut Vec<u8>,
    transaction: TransactionId,
    username: &str,
    priority: u32,
    tie_breaker: u64,
    password: &[u8],
) {
    todo!()
}

/// Error response (for instance 487 Role Conflict).
pub fn write_error(
    out: &mut Vec<u8>,
    transaction: TransactionId,
    code: u16,
    reason: &str,
    password: &[u8],
) {
    todo!()
}
