//! Where a downtrack's lost packets are sent again: a stream of its own (RFC 4588).
//!
//! Law (DESIGN 2.8): every packet takes an index of its own, never given back. What it carries may be a packet sent
//! again for the third time; as a packet of this stream it is new.
use crate::command::{DowntrackRepair, RepairFormat};
use crate::rtp::{NewHeader, pad, write_header};
use crate::units::{PayloadType, Ssrc};

/// Bytes of the original sequence number before the payload (RFC 4588 section 4).
const ORIGINAL_SEQUENCE: usize = 2;

/// The retransmission stream of one downtrack.
pub struct RepairStream {
    ssrc: Ssrc,
    formats: Vec<RepairFormat>,
    next: u64,
}

impl RepairStream {
    /// `first_sequence` as for [`super::Downtrack::new`]: below 2^15, from the caller's entropy.
    pub fn new(spec: &DowntrackRepair, first_sequence: u16) -> Self {
        RepairStream {
            ssrc: spec.ssrc,
            formats: spec.formats.clone(),
            next: u64::from(first_sequence & 0x7fff),
        }
    }

    /// Our retransmission SSRC towards the subscriber.
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// What a packet of this payload type is sent again as; `None` where nothing was negotiated for it.
    pub fn payload_type(&self, media: PayloadType) -> Option<PayloadType> {
        let mut formats = self.formats.iter();
        formats
            .find(|format| format.repairs == media)
            .map(|format| format.payload_type)
    }

    /// Appends a packet of nothing but so many bytes of padding, not none (RFC 3550 section 5.1), with an extension of (id, number), if any; returns
    /// its index and its header's length. `None` where no format was negotiated.
    pub fn pad(
        &mut self,
        timestamp: u32,
        number: Option<(u8, u16)>,
        padding: u8,
        out: &mut Vec<u8>,
    ) -> Option<(u64, usize)> {
        let payload_type = self.formats.first()?.payload_type;
        let index = self.next;
        self.next += 1;
        let header = NewHeader {
            marker: false,
            payload_type,
            sequence: index as u16,
            timestamp,
            ssrc: self.ssrc,
        };
        let number = number.map(|(id, number)| (id, number.to_be_bytes()));
        let extensions = number.iter().map(|(id, value)| (*id, &value[..]));
        let start = out.len();
        let len = write_header(out, &header, extensions);
        pad(out, start, padding);
        Some((index, len))
    }

    /// Turns the plain packet at `out[start..]`, whose header is `header_len` long, into one of this stream, with
    /// `payload_type`; returns its index. Two bytes longer; timestamp, marker and extensions stay.
    pub fn wrap(
        &mut self,
        payload_type: PayloadType,
        header_len: usize,
        out: &mut Vec<u8>,
        start: usize,
    ) -> u64 {
        let index = self.next;
        self.next += 1;
        let payload = start + header_len;
        let end = out.len();
        out.resize(end + ORIGINAL_SEQUENCE, 0);
        out.copy_within(payload..end, payload + ORIGINAL_SEQUENCE);
        out.copy_within(start + 2..start + 4, payload);
        out[start + 1] = out[start + 1] & 0x80 | payload_type.0 & 0x7f;
        out[start + 2..start + 4].copy_from_slice(&(index as u16).to_be_bytes());
        out[start + 8..start + 12].copy_from_slice(&self.ssrc.0.to_be_bytes());
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{Header, NewHeader, write_header};

    const MEDIA: PayloadType = PayloadType(96);
    const REPAIR: PayloadType = PayloadType(97);

    fn stream() -> RepairStream {
        let formats = vec![RepairFormat {
            payload_type: REPAIR,
            repairs: MEDIA,
        }];
        let spec = DowntrackRepair {
            ssrc: Ssrc(0xabcd_ef01),
            formats,
        };
        RepairStream::new(&spec, 0x7ffe)
    }

    fn packet(out: &mut Vec<u8>) -> usize {
        let header = NewHeader {
            marker: true,
            payload_type: MEDIA,
            sequence: 0x1234,
            timestamp: 77,
            ssrc: Ssrc(5),
        };
        let len = write_header(out, &header, [(3, &b"ab"[..])].into_iter());
        out.extend_from_slice(b"payload");
        len
    }

    #[test]
    fn the_packet_is_carried_whole_behind_its_sequence_number() {
        let mut stream = stream();
        let mut out = b"before".to_vec();
        let start = out.len();
        let header_len = packet(&mut out);
        let index = stream.wrap(REPAIR, header_len, &mut out, start);
        assert_eq!(index, 0x7ffe);
        assert_eq!(&out[..start], b"before");
        let wrapped = &out[start..];
        let header = Header::parse(wrapped).unwrap();
        assert_eq!((header.ssrc, header.payload_type), (stream.ssrc(), REPAIR));
        assert_eq!((header.sequence, header.timestamp), (0x7ffe, 77));
        assert!(header.marker);
        let extensions: Vec<_> = header.extensions(wrapped).collect();
        assert_eq!(extensions, [(3, &b"ab"[..])]);
        assert_eq!(header.payload(wrapped), Some(&b"\x12\x34payload"[..]));
    }

    #[test]
    fn padding_is_an_empty_packet_of_the_stream() {
        let mut stream = stream();
        let mut out = b"before".to_vec();
        let (index, len) = stream.pad(9, Some((3, 0x0102)), 255, &mut out).unwrap();
        let packet = &out[6..];
        let header = Header::parse(packet).unwrap();
        assert_eq!((index, header.sequence), (0x7ffe, 0x7ffe));
        assert_eq!((header.ssrc, header.payload_type), (stream.ssrc(), REPAIR));
        assert_eq!((header.len, header.timestamp), (len, 9));
        assert_eq!(header.payload(packet), Some(&[][..]));
        let extensions: Vec<_> = header.extensions(packet).collect();
        assert_eq!(extensions, [(3, &[1, 2][..])]);
        assert_eq!(stream.pad(9, None, 40, &mut out).unwrap().0, 0x7fff);
    }

    #[test]
    fn every_packet_takes_an_index_of_its_own_across_the_wrap() {
        let mut stream = stream();
        let indexes: Vec<u64> = (0..70_000)
            .map(|_| {
                let mut out = Vec::new();
                let header_len = packet(&mut out);
                let index = stream.wrap(REPAIR, header_len, &mut out, 0);
                assert_eq!(Header::parse(&out).unwrap().sequence, index as u16);
                index
            })
            .collect();
        assert!(indexes.iter().copied().eq(0x7ffe..0x7ffe + 70_000));
    }

    #[test]
    fn a_format_without_a_partner_is_not_carried() {
        assert_eq!(stream().payload_type(MEDIA), Some(REPAIR));
        assert_eq!(stream().payload_type(PayloadType(111)), None);
    }
}
