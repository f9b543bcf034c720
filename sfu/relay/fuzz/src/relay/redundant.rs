//! Sound with redundancy (RFC 2198): a publisher who sends it or not, a subscriber who takes it or not.

use conclave_relay_core::command::{Encoding, PayloadFormat, TrackRepair, TrackSpec};
use conclave_relay_core::red::{self, Redundant};
use conclave_relay_core::rtp::{ExtensionMap, NewHeader, write_header};
use conclave_relay_core::units::{Codec, MediaKind, PayloadType};

use super::client::{Client, SLOTS};
use super::control::{EXTENSIONS, MIDS};
use super::ledger::picture;
use super::world::World;
use crate::bytes::Bytes;

/// What publishers and subscribers number Opus and redundancy.
const OPUS: (u8, u8) = (111, 100);
pub const RED: (u8, u8) = (63, 110);
/// Ticks of one packet.
const TICKS: u32 = 960;
/// Another block follows.
const MORE: u8 = 0x80;

impl World {
    /// As `call`, with sound that may be redundant at either end.
    pub fn redundant_call(&mut self, bytes: &mut Bytes<'_>) {
        let (from, to, shape) = (bytes.below(SLOTS), bytes.below(SLOTS), bytes.byte());
        for slot in [from, to] {
            self.connect(&mut Bytes::new(&[slot as u8]));
        }
        let Some(publisher) = &self.clients[from] else {
            return;
        };
        let formats = |red: bool, opus: bool, (number, plain): (u8, u8)| {
            let red = red.then_some((number, Codec::Red));
            let opus = opus.then_some((plain, Codec::Opus));
            let format = |(number, codec)| PayloadFormat {
                payload_type: PayloadType(number),
                codec,
            };
            red.into_iter().chain(opus).map(format).collect()
        };
        let sends_red = shape & 1 == 0;
        let sends_opus = !sends_red || shape & 0x30 != 0x30;
        let spec = TrackSpec {
            peer: publisher.id,
            kind: MediaKind::Audio,
            mid: MIDS[0].to_owned(),
            clock_rate: 48_000,
            formats: formats(sends_red, sends_opus, (RED.0, OPUS.0)),
            extensions: ExtensionMap::from_pairs(EXTENSIONS),
            repair: TrackRepair::default(),
            encodings: vec![Encoding::Ssrc(Client::ssrc(from, usize::from(shape >> 6)))],
        };
        let Some(track) = self.publish(spec) else {
            return;
        };
        if let Some(mut spec) = self.downtrack_spec(to, track, shape & 4) {
            spec.formats = formats(shape & 2 == 0, shape & 0x0c != 0x0c, (RED.1, OPUS.1));
            self.subscribe(spec);
        }
        self.sound_burst(self.tracks.len() - 1, bytes);
    }

    /// Packets of a track's sound, plain or with up to three packets before them, whole or damaged.
    pub fn sound_burst(&mut self, at: usize, bytes: &mut Bytes<'_>) {
        let (count, shape, lost) = (bytes.below(32), bytes.byte(), bytes.byte());
        let Some(spec) = self.tracks.get(at).map(|track| track.spec.clone()) else {
            return;
        };
        let Some(Encoding::Ssrc(ssrc)) = spec.encodings.first().cloned() else {
            return;
        };
        let mut clients = self.clients.iter().flatten();
        let Some(slot) = clients.find(|c| c.id == spec.peer).map(|c| c.slot) else {
            return;
        };
        let is_red = shape & 1 == 0;
        let mut before: Vec<Vec<u8>> = Vec::new();
        for number in 0..count {
            let Some(client) = &mut self.clients[slot] else {
                return;
            };
            let next = client.streams.entry(ssrc).or_insert(100);
            let index = *next;
            *next += 1;
            let mut block = vec![0x78];
            block.extend_from_slice(&index.to_be_bytes());
            block.resize(9 + usize::from(shape >> 2 & 7) * 40, shape);
            before.push(block.clone());
            if lost != 0 && number % (2 + usize::from(lost % 16)) == 1 {
                continue;
            }
            let header = NewHeader {
                marker: number == 0,
                payload_type: PayloadType(if is_red { RED.0 } else { OPUS.0 }),
                sequence: index as u16,
                timestamp: (index as u32).wrapping_mul(TICKS),
                ssrc,
            };
            let mut plain = Vec::new();
            let len = write_header(&mut plain, &header, std::iter::empty());
            if is_red {
                let old = before.len() - 1;
                let repeated = usize::from(shape >> 5 & 3).min(old);
                plain.extend(redundant(&before[old - repeated..old], &block));
                if shape & 0x80 != 0 && number % 5 == 4 {
                    let cut = plain.len() - (plain.len() - len) * usize::from(lost) / 256;
                    plain.truncate(cut);
                }
            } else {
                plain.extend_from_slice(&block);
            }
            self.seal_plain(slot, index, len, plain, self.home(slot));
            if shape & 2 != 0 {
                self.wait(20_000, true);
            }
        }
    }
}

impl Client {
    /// What may be heard of a payload once its blocks were taken out or numbered anew.
    pub fn remember_sound(&mut self, payload: &[u8]) {
        for sound in sounds(payload) {
            self.payloads.insert(picture(sound));
        }
        let mut renumbered = payload.to_vec();
        red::renumber(&mut renumbered, PayloadType(OPUS.0), PayloadType(OPUS.1));
        self.payloads.insert(picture(&renumbered));
    }

    /// Whether all that it holds was sealed by this peer.
    pub fn said(&self, payload: &[u8]) -> bool {
        let blocks = sounds(payload);
        let known = |block: &&[u8]| block.is_empty() || self.payloads.contains(&picture(block));
        !blocks.is_empty() && blocks.iter().all(known)
    }
}

/// The blocks of a redundant payload.
fn sounds(payload: &[u8]) -> Vec<&[u8]> {
    let whole = Redundant::parse(payload);
    let primary = red::primary(payload).map(|(_, block)| block);
    let before = whole.iter().flat_map(|whole| &whole.before);
    before.map(|block| block.bytes).chain(primary).collect()
}

/// Section 3 of RFC 2198.
fn redundant(before: &[Vec<u8>], primary: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (age, block) in (1..=before.len() as u32).rev().zip(before) {
        let fields = ((age * TICKS) << 10) | block.len() as u32;
        let [_, high, middle, low] = fields.to_be_bytes();
        payload.extend_from_slice(&[MORE | OPUS.0, high, middle, low]);
    }
    payload.push(OPUS.0);
    let blocks = before.iter().map(Vec::as_slice).chain([primary]);
    payload.extend(blocks.flatten());
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redundancy_is_what_the_relay_reads() {
        let payload = redundant(&[vec![1; 10], vec![2; 20]], &[3; 30]);
        let read = Redundant::parse(&payload).unwrap();
        let before: Vec<_> = read.before.iter().map(|b| (b.offset, b.bytes)).collect();
        assert_eq!(before, [(1_920, &[1; 10][..]), (960, &[2; 20])]);
        assert_eq!(read.primary, [3; 30]);
    }

    #[test]
    fn sound_reaches_the_subscriber_whichever_end_has_redundancy() {
        for (call, burst) in [(0, 0x40), (2, 0x40), (0, 0x41), (1, 0x41)] {
            let mut world = World::new();
            world.redundant_call(&mut Bytes::new(&[0, 1, call, 16, burst | 2]));
            world.finish();
            let downtrack = &world.downtracks[0].spec;
            let newest = world.ledger.newest(downtrack.peer, downtrack.ssrc);
            assert!(newest > 0, "{call} {burst}");
        }
    }
}
