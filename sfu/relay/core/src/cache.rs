//! The last plain packets of one incoming stream, kept once for all subscribers so that lost ones can be sent again.
//!
//! Law: what an index holds never changes while it is held. A resend renders from here and must seal to the very bytes
//! that went out before (DESIGN 2.8), so a second packet under a held index is ignored.
use crate::rtp::Header;

/// Longest packet kept, bytes. Senders stay below a 1500-byte link's payload; what is longer came in fragments or is
/// hostile, and is forwarded but not kept.
pub const MAX_PACKET: usize = 1500;

/// One plain packet and its parsed header.
pub struct CachedPacket<'a> {
    /// As parsed when it arrived.
    pub header: &'a Header,
    /// Header and payload, decrypted.
    pub bytes: &'a [u8],
    /// Where it is kept, and its index.
    place: Option<(&'a PacketCache, u64)>,
}

impl<'a> CachedPacket<'a> {
    /// One that is kept nowhere, and has none before it.
    pub fn alone(header: &'a Header, bytes: &'a [u8]) -> Self {
        CachedPacket {
            header,
            bytes,
            place: None,
        }
    }

    /// The packet of the index before, while it is kept.
    pub fn before(&self) -> Option<CachedPacket<'a>> {
        let (cache, index) = self.place?;
        cache.get(index.checked_sub(1)?)
    }

    /// The payload without its padding; empty when the padding count lies.
    pub fn payload(&self) -> &'a [u8] {
        self.header.payload(self.bytes).unwrap_or_default()
    }
}

/// Ring of plain packets by packet index (roll-over counter << 16 | sequence), bounded in packets and bytes.
pub struct PacketCache {
    /// Grows with use up to `mask + 1`; a slot keeps its buffer when its packet is replaced.
    slots: Vec<Option<Slot>>,
    mask: u64,
    /// Index of the first packet ever kept, which goes to slot 0, so that a young stream uses the first slots only.
    origin: Option<u64>,
}

struct Slot {
    index: u64,
    header: Header,
    bytes: Vec<u8>,
}

impl PacketCache {
    /// `packets`: how many to keep (rounded up to a power of two); storage grows as it is used and never past `packets`
    /// full ones.
    pub fn new(packets: usize) -> Self {
        let packets = packets.max(1).next_power_of_two();
        PacketCache {
            slots: Vec::new(),
            mask: packets as u64 - 1,
            origin: None,
        }
    }

    /// Keeps a packet in place of the one a full ring older. Ignored: a packet longer than [`MAX_PACKET`], one whose
    /// index is held already, and one that is older than the first or so late that its place belongs to a newer one.
    pub fn insert(&mut self, index: u64, header: &Header, bytes: &[u8]) {
        if bytes.len() > MAX_PACKET {
            return;
        }
        if index < *self.origin.get_or_insert(index) {
            return;
        }
        let position = self.position(index);
        if position >= self.slots.len() {
            self.slots.resize_with(position + 1, || None);
        }
        match &mut self.slots[position] {
            Some(slot) if slot.index >= index => {}
            Some(slot) => {
                slot.index = index;
                slot.header = header.clone();
                slot.bytes.clear();
                fill(&mut slot.bytes, bytes);
            }
            empty => {
                let mut buffer = Vec::new();
                fill(&mut buffer, bytes);
                *empty = Some(Slot {
                    index,
                    header: header.clone(),
                    bytes: buffer,
                });
            }
        }
    }

    /// The packet of this index, while it is kept.
    pub fn get(&self, index: u64) -> Option<CachedPacket<'_>> {
        let slot = self.slots.get(self.position(index))?.as_ref()?;
        (slot.index == index).then_some(CachedPacket {
            header: &slot.header,
            bytes: &slot.bytes,
            place: Some((self, index)),
        })
    }

    /// Forgets every packet: the stream began anew and its indexes now mean other packets.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.origin = None;
    }

    fn position(&self, index: u64) -> usize {
        (index.wrapping_sub(self.origin.unwrap_or(0)) & self.mask) as usize
    }
}

/// Copies into an empty buffer. Its capacity grows in steps, so that a slot whose packets vary by some bytes allocates
/// once, and never past [`MAX_PACKET`].
fn fill(buffer: &mut Vec<u8>, bytes: &[u8]) {
    const STEP: usize = 128;
    let capacity = bytes.len().next_multiple_of(STEP).min(MAX_PACKET);
    buffer.reserve_exact(capacity);
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{PayloadType, Ssrc};

    fn header(index: u64) -> Header {
        Header {
            padding: false,
            marker: false,
            payload_type: PayloadType(96),
            sequence: index as u16,
            timestamp: 0,
            ssrc: Ssrc(1),
            extension: None,
            len: 12,
        }
    }

    fn insert(cache: &mut PacketCache, index: u64, bytes: &[u8]) {
        cache.insert(index, &header(index), bytes);
    }

    fn bytes(cache: &PacketCache, index: u64) -> Option<Vec<u8>> {
        cache.get(index).map(|packet| packet.bytes.to_vec())
    }

    #[test]
    fn a_packet_is_found_by_its_index_until_a_ring_later() {
        let mut cache = PacketCache::new(4);
        for index in 100..106u64 {
            insert(&mut cache, index, &[index as u8; 20]);
        }
        assert_eq!(bytes(&cache, 101), None);
        for index in 102..106u64 {
            assert_eq!(bytes(&cache, index), Some(vec![index as u8; 20]));
            let sequence = cache.get(index).map(|packet| packet.header.sequence);
            assert_eq!(sequence, Some(index as u16));
        }
        assert_eq!(bytes(&cache, 106), None);
    }

    #[test]
    fn what_an_index_holds_never_changes() {
        let mut cache = PacketCache::new(4);
        insert(&mut cache, 7, b"first");
        insert(&mut cache, 7, b"second");
        assert_eq!(bytes(&cache, 7), Some(b"first".to_vec()));
    }

    #[test]
    fn a_late_packet_fills_its_place_but_never_evicts_a_newer_one() {
        let mut cache = PacketCache::new(4);
        insert(&mut cache, 10, b"10");
        insert(&mut cache, 13, b"13");
        insert(&mut cache, 11, b"11");
        insert(&mut cache, 9, b"9");
        assert_eq!(bytes(&cache, 9), None);
        assert_eq!(bytes(&cache, 10), Some(b"10".to_vec()));
        assert_eq!(bytes(&cache, 11), Some(b"11".to_vec()));
        assert_eq!(bytes(&cache, 13), Some(b"13".to_vec()));
    }

    #[test]
    fn an_oversized_packet_is_not_kept() {
        let mut cache = PacketCache::new(4);
        insert(&mut cache, 1, &[0; MAX_PACKET + 1]);
        insert(&mut cache, 2, &[0; MAX_PACKET]);
        assert!(cache.get(1).is_none());
        assert!(cache.get(2).is_some());
    }

    #[test]
    fn an_index_far_ahead_costs_no_more_than_the_ring() {
        let mut cache = PacketCache::new(8);
        for step in 0..1000u64 {
            insert(&mut cache, step * 40_503, &[1; 1200]);
        }
        assert!(cache.slots.len() <= 8);
    }

    #[test]
    fn a_young_voice_stream_uses_little_and_a_full_one_stays_bounded() {
        let mut cache = PacketCache::new(1024);
        for index in 60_000..60_010u64 {
            insert(&mut cache, index, &[1; 100]);
        }
        assert!(cache.slots.len() <= 10);
        for index in 60_010..70_000u64 {
            insert(&mut cache, index, &vec![1; (index % 1501) as usize]);
        }
        let held: usize = cache
            .slots
            .iter()
            .flatten()
            .map(|slot| slot.bytes.capacity())
            .sum();
        assert!(held <= 1024 * MAX_PACKET, "{held} bytes held");
    }

    #[test]
    fn a_full_ring_reuses_its_buffers() {
        let mut cache = PacketCache::new(2);
        insert(&mut cache, 0, &[1; 1200]);
        let before = cache.get(0).map(|packet| packet.bytes.as_ptr());
        insert(&mut cache, 2, &[2; 900]);
        assert_eq!(before, cache.get(2).map(|packet| packet.bytes.as_ptr()));
    }

    #[test]
    fn a_cleared_cache_takes_old_indexes_again() {
        let mut cache = PacketCache::new(4);
        insert(&mut cache, 500, b"old");
        cache.clear();
        insert(&mut cache, 3, b"new");
        assert_eq!(bytes(&cache, 500), None);
        assert_eq!(bytes(&cache, 3), Some(b"new".to_vec()));
    }
}
