//! The last plain packets of one incoming stream, kept once for all subscribers so that lost ones can be sent again.
#![allow(unused_variables, missing_docs)]
use crate::rtp::Header;

/// One plain packet and its parsed header.
pub struct CachedPacket<'a> {
    pub header: &'a Header,
    pub bytes: &'a [u8],
}

/// Ring of plain packets by packet index (roll-over counter << 16 | sequence), bounded in packets and bytes.
pub struct PacketCache {/* private */}

impl PacketCache {
    /// `packets`: how many to keep (a power of two); storage grows as it is used and never past `packets` full ones.
    pub fn new(packets: usize) -> Self {
        todo!()
    }
    pub fn insert(&mut self, index: u64, header: &Header, bytes: &[u8]) {
        todo!()
    }
    pub fn get(&self, index: u64) -> Option<CachedPacket<'_>> {
        todo!()
    }
}
