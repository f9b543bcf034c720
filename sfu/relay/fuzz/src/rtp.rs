//! RTP headers: what parses stays within the packet, and what is read can be written and read again.

use conclave_relay_core::rtp::{Extension, ExtensionMap, Header, NewHeader, write_header};

/// Longer than any datagram from a socket is pointless.
const LONGEST: usize = 4096;

pub fn run(input: &[u8]) {
    extension_map(input);
    let packet = &input[..input.len().min(LONGEST)];
    let Ok(header) = Header::parse(packet) else {
        return;
    };
    assert!(header.len <= packet.len());
    if let Some((_, range)) = &header.extension {
        assert!(range.end == header.len);
    }
    if let Some(payload) = header.payload(packet) {
        assert!(payload.len() <= packet.len() - header.len);
        assert!(header.padding || payload == &packet[header.len..]);
    }
    let elements: Vec<(u8, &[u8])> = header.extensions(packet).collect();
    let outgoing = NewHeader {
        marker: header.marker,
        payload_type: header.payload_type,
        sequence: header.sequence,
        timestamp: header.timestamp,
        ssrc: header.ssrc,
    };
    let mut out = b"before".to_vec();
    let len = write_header(&mut out, &outgoing, elements.iter().copied());
    let written = &out[6..];
    let again = Header::parse(written).expect("what we write parses");
    assert_eq!((again.len, len), (written.len(), written.len()));
    assert_eq!(again.payload(written), Some(&[][..]));
    let kept: Vec<(u8, &[u8])> = again.extensions(written).collect();
    let writable: Vec<_> = elements.into_iter().filter(|(id, _)| *id != 0).collect();
    assert_eq!(kept, writable, "elements read back as they were");
    let same = NewHeader {
        marker: again.marker,
        payload_type: again.payload_type,
        sequence: again.sequence,
        timestamp: again.timestamp,
        ssrc: again.ssrc,
    };
    assert_eq!(same, outgoing);
}

fn extension_map(input: &[u8]) {
    let pairs = input.chunks_exact(2).take(40).map(|pair| {
        let kind = Extension::ALL[usize::from(pair[1]) % Extension::ALL.len()];
        (pair[0], kind)
    });
    let map = ExtensionMap::from_pairs(pairs);
    for kind in Extension::ALL {
        if let Some(id) = map.id(kind) {
            assert!(id != 0 && map.kind(id) == Some(kind), "a map is one to one");
        }
    }
}
