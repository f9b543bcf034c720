//! Scalable video as encoders send it: three spatial and two temporal layers, by VP9's payload descriptor (RFC 9628) or
//! by AV1's dependency descriptor (AV1 RTP specification appendix A).

use conclave_relay_core::command::Encoding;
use conclave_relay_core::dependency_descriptor::bits::BitWriter;
use conclave_relay_core::rtp::{NewHeader, write_header};
use conclave_relay_core::units::{Codec, MediaKind, PayloadType, Ssrc};

use super::client::Client;
use super::control::{FORMATS, MIDS};
use super::world::World;
use crate::bytes::Bytes;

const SPATIAL: u32 = 3;
const TEMPORAL: u32 = 2;
const TARGETS: u32 = SPATIAL * TEMPORAL;
/// As the publisher numbers them, see `EXTENSIONS` of `control`.
const MID: u8 = 4;
const DESCRIPTOR: u8 = 12;

/// One frame of one layer, a packet long.
struct Frame {
    /// A key picture's; the lowest layer's stands alone.
    key: bool,
    spatial: u32,
    temporal: u32,
    /// Of the stream's first packet on.
    number: u16,
    /// With a structure though nothing needs it, and with layers left out of it.
    narrowed: Option<u32>,
}

impl World {
    /// Of a track's sound, or of its pictures, in what not every encoder makes of them.
    pub fn particular_burst(&mut self, bytes: &mut Bytes<'_>) {
        let at = bytes.below(self.tracks.len());
        let Some(track) = self.tracks.get(at) else {
            return;
        };
        match track.spec.kind {
            MediaKind::Audio => self.sound_burst(at, bytes),
            MediaKind::Video => self.layered_burst(at, bytes),
        }
    }

    /// Some pictures of a track in all their layers, give or take a lost layer, a key picture in the middle, and a
    /// sender that stops sending the upper layers and says so.
    fn layered_burst(&mut self, at: usize, bytes: &mut Bytes<'_>) {
        let (pictures, shape) = (bytes.below(32), bytes.byte());
        let (lost, narrowed) = (bytes.byte(), bytes.byte());
        let codec = if shape & 1 == 0 {
            Codec::Vp9
        } else {
            Codec::Av1
        };
        let Some((slot, ssrc, mid)) = self.layered_stream(at, codec) else {
            return;
        };
        for picture in 0..pictures {
            for spatial in 0..SPATIAL {
                let key = picture == 0 && shape & 2 == 0 || picture == 8 && shape & 4 != 0;
                let frame = Frame {
                    key,
                    spatial,
                    temporal: picture as u32 % TEMPORAL,
                    number: 0,
                    narrowed: (picture == 4).then_some(u32::from(narrowed) % (1 << TARGETS)),
                };
                let place = picture as u8 * SPATIAL as u8 + spatial as u8;
                let is_lost = lost != 0 && place % (2 + lost % 32) == 1;
                self.send_layer(slot, ssrc, (codec, mid), frame, is_lost);
            }
            if shape & 8 != 0 {
                self.wait(33_000, true);
            }
        }
    }

    /// Who sends the track, as what; `None` where it is not in this codec or has layers of another kind.
    fn layered_stream(&self, at: usize, codec: Codec) -> Option<(usize, Ssrc, &'static str)> {
        let spec = &self.tracks.get(at)?.spec;
        let slot = self
            .clients
            .iter()
            .flatten()
            .find(|c| c.id == spec.peer)?
            .slot;
        let mid = MIDS.iter().position(|mid| *mid == spec.mid)?;
        let ssrc = match spec.encodings.first()? {
            Encoding::Ssrc(ssrc) => *ssrc,
            Encoding::Mid => Client::ssrc(slot, 16 + 3 * mid),
            Encoding::Rid(_) => return None,
        };
        let has = spec.formats.iter().any(|format| format.codec == codec);
        has.then_some((slot, ssrc, MIDS[mid]))
    }

    fn send_layer(
        &mut self,
        slot: usize,
        ssrc: Ssrc,
        (codec, mid): (Codec, &str),
        mut frame: Frame,
        is_lost: bool,
    ) {
        let timestamp = (self.now.as_micros() / 1_000) as u32 * 90;
        let Some(client) = &mut self.clients[slot] else {
            return;
        };
        let next = client.streams.entry(ssrc).or_insert(100);
        let index = *next;
        *next += 1;
        if is_lost {
            return;
        }
        frame.number = index as u16;
        let known = FORMATS.iter().find(|(_, known)| *known == codec);
        let header = NewHeader {
            marker: frame.spatial + 1 == SPATIAL,
            payload_type: PayloadType(known.map_or(0, |(number, _)| *number)),
            sequence: index as u16,
            timestamp,
            ssrc,
        };
        let mut elements: Vec<(u8, &[u8])> = vec![(MID, mid.as_bytes())];
        let descriptor = frame.dependency_descriptor();
        let payload = if codec == Codec::Av1 {
            elements.push((DESCRIPTOR, &descriptor));
            // One OBU element; N where a coded video sequence starts.
            vec![if frame.starts_sequence() { 0x18 } else { 0x10 }, 0x30]
        } else {
            frame.vp9()
        };
        let mut plain = Vec::new();
        let len = write_header(&mut plain, &header, elements.into_iter());
        plain.extend_from_slice(&payload);
        plain.extend_from_slice(&[frame.number as u8; 20]);
        self.seal_plain(slot, index, len, plain, self.home(slot));
    }
}

impl Frame {
    fn starts_sequence(&self) -> bool {
        self.key && self.spatial == 0
    }

    /// Section 4.2 of RFC 9628, not flexible, with long picture ids; running numbers follow the packets'.
    fn vp9(&self) -> Vec<u8> {
        // The same for all layers of a picture, and one more for the next.
        let picture = self.number.wrapping_sub(self.spatial as u16) / SPATIAL as u16;
        let predicted = if self.key { 0 } else { 0x40 };
        let structure = if self.starts_sequence() { 0x02 } else { 0 };
        let switching_up = u8::from(self.temporal > 0) << 4;
        let inter_layer = u8::from(self.spatial > 0);
        let mut payload = vec![
            0x80 | predicted | 0x20 | 0x08 | 0x04 | structure,
            0x80 | (picture >> 8) as u8,
            picture as u8,
            (self.temporal as u8) << 5 | switching_up | (self.spatial as u8) << 1 | inter_layer,
            (picture / TEMPORAL as u16) as u8,
        ];
        if structure != 0 {
            payload.push((SPATIAL as u8 - 1) << 5);
        }
        payload
    }

    /// Appendix A.8: with the structure at a key picture, short otherwise.
    fn dependency_descriptor(&self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.put(0b11, 2); // first and last packet of the frame
        bits.put(self.spatial * TEMPORAL + self.temporal, 6);
        bits.put(u32::from(self.number), 16);
        let structure = self.starts_sequence();
        if !structure && !self.key && self.narrowed.is_none() {
            return bits.into_bytes();
        }
        bits.put(u32::from(structure), 1);
        bits.put(u32::from(self.narrowed.is_some()), 1);
        bits.put(0, 1); // indications as in the template
        bits.put(u32::from(self.key), 1); // references of its own
        bits.put(0, 1); // chains as in the template
        if structure {
            write_structure(&mut bits);
        }
        if let Some(targets) = self.narrowed {
            bits.put(targets, TARGETS as usize);
        }
        if self.key {
            if self.spatial > 0 {
                bits.put(0b01, 2); // four bits: the layer below
                bits.put(0, 4);
            }
            bits.put(0, 2);
        }
        bits.into_bytes()
    }
}

/// Six templates, six decode targets, and a chain for each spatial layer (appendix A.8.2).
fn write_structure(bits: &mut BitWriter) {
    let layers = || (0..SPATIAL).flat_map(|spatial| (0..TEMPORAL).map(move |t| (spatial, t)));
    bits.put(0, 6);
    bits.put(TARGETS - 1, 5);
    for (spatial, temporal) in layers() {
        let next = match (spatial + 1 == SPATIAL, temporal + 1 == TEMPORAL) {
            (_, false) => 1,
            (false, true) => 2,
            (true, true) => 3,
        };
        bits.put(next, 2);
    }
    for (spatial, temporal) in layers() {
        for (shown, rate) in layers() {
            let indication = match (spatial <= shown && temporal <= rate, temporal) {
                (false, _) => 0,
                (true, 0) => 2,
                (true, _) => 1,
            };
            bits.put(indication, 2);
        }
    }
    for (spatial, temporal) in layers() {
        // Pictures of the lower temporal layer refer to the one before the last, others to the last.
        let pictures = TEMPORAL - temporal;
        bits.put(1, 1);
        bits.put(pictures * SPATIAL - 1, 4);
        if spatial > 0 {
            bits.put(1, 1);
            bits.put(0, 4);
        }
        bits.put(0, 1);
    }
    bits.put_below(SPATIAL, TARGETS + 1);
    for (shown, _) in layers() {
        bits.put_below(shown, SPATIAL);
    }
    for (spatial, temporal) in layers() {
        for chain in 0..SPATIAL {
            let since = if temporal > 0 {
                SPATIAL + spatial - chain
            } else if chain < spatial {
                spatial - chain
            } else {
                TEMPORAL * SPATIAL + spatial - chain
            };
            bits.put(since, 4);
        }
    }
    bits.put(0, 1); // no resolutions
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_relay_core::dependency_descriptor::DescriptorReader;
    use conclave_relay_core::vp9::Descriptor;

    fn frame(key: bool, number: u16, spatial: u32, temporal: u32) -> Frame {
        Frame {
            key,
            spatial,
            temporal,
            number,
            narrowed: None,
        }
    }

    #[test]
    fn the_relay_reads_the_dependencies_that_are_meant() {
        let mut reader = DescriptorReader::default();
        let mut read = |frame: Frame| {
            let index = u64::from(frame.number);
            reader.read(index, &frame.dependency_descriptor()).unwrap()
        };
        let first = read(frame(true, 0, 0, 0));
        assert_eq!(first.structure.targets().len(), TARGETS as usize);
        let shapes = first.structure.targets().iter();
        let shapes: Vec<_> = shapes.map(|t| (t.spatial, t.temporal)).collect();
        assert_eq!(shapes, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
        read(frame(true, 1, 1, 0));
        read(frame(false, 4, 1, 1));
    }

    #[test]
    fn pictures_of_both_codecs_reach_the_subscriber() {
        for shape in [0, 1] {
            let mut world = World::new();
            // From peer 0 to peer 1, video under a declared SSRC.
            world.call(&mut Bytes::new(&[0, 1, 0x85, 0]));
            let downtrack = world.downtracks[0].spec.clone();
            let before = world.ledger.newest(downtrack.peer, downtrack.ssrc);
            world.particular_burst(&mut Bytes::new(&[0, 16, shape | 8]));
            world.finish();
            let after = world.ledger.newest(downtrack.peer, downtrack.ssrc);
            assert!(after >= before + 16, "{before} to {after}");
        }
    }

    #[test]
    fn the_relay_reads_the_layers_that_are_meant() {
        let parsed = Descriptor::parse(&[frame(true, 7, 1, 1).vp9(), vec![1]].concat()).unwrap();
        assert_eq!((parsed.spatial, parsed.temporal), (1, 1));
        assert!(parsed.inter_layer && parsed.switching_up && !parsed.predicted);
        assert_eq!(parsed.numbers.picture_id, 2);
    }
}
