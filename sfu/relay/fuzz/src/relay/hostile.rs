//! Everything a peer or a stranger can put on the wire.

use conclave_relay_core::Path;
use conclave_relay_core::command::Encoding;
use conclave_relay_core::rtcp::{
    ReportBlock, SenderInfo, write_bye, write_nack, write_picture_loss, write_receiver_report,
    write_sender_report,
};
use conclave_relay_core::rtp::{Header, NewHeader, write_header};
use conclave_relay_core::stun::write_success;
use conclave_relay_core::units::{NtpTime, PayloadType, Ssrc};

use super::client::{ADDRESSES, Client, Generation, SLOTS, binding_request, path};
use super::control::{FORMATS, MIDS, REPAIR_OFFSET, REPAIRS, RIDS};
use super::world::World;
use crate::bytes::Bytes;

/// What the bits of a packet's shape add to it.
const MARKER: u8 = 1;
const MID: u8 = 2;
const RID: u8 = 4;
const NUMBER: u8 = 8;
const LEVEL: u8 = 16;
const ANY_ELEMENT: u8 = 32;
/// By place in `FORMATS`, the kind of `payload` that starts a key frame.
const KEY_FRAMES: [u8; FORMATS.len()] = [0, 0, 2, 3, 4];

impl World {
    pub fn binding_request(&mut self, bytes: &mut Bytes<'_>) {
        let (slot, from, shape) = (bytes.below(SLOTS), bytes.below(2 * ADDRESSES), bytes.byte());
        let (nominate, controlled) = (shape & 1 != 0, shape & 2 != 0);
        match shape >> 2 & 7 {
            0 => {
                let user = "nobody:either";
                let request = binding_request(user, "password", shape, nominate, controlled);
                self.datagram(path(from), request);
            }
            1 => {
                let Some(client) = &self.clients[slot] else {
                    return;
                };
                let user = username(client.in_use());
                let request = binding_request(&user, "a guess", shape, nominate, controlled);
                self.datagram(path(from), request);
            }
            age @ 6.. => self.check_as(slot, from, usize::from(age - 6), (nominate, controlled)),
            _ => self.check(slot, from, nominate, controlled),
        }
    }

    /// Under what the client uses.
    pub fn check(&mut self, slot: usize, from: usize, nominate: bool, controlled: bool) {
        let Some(client) = &self.clients[slot] else {
            return;
        };
        let age = client.generations.len() - 1 - client.confirmed;
        self.check_as(slot, from, age, (nominate, controlled));
    }

    /// Under its latest credentials, or those before them, good or not.
    fn check_as(
        &mut self,
        slot: usize,
        from: usize,
        age: usize,
        (nominate, controlled): (bool, bool),
    ) {
        self.check_at(slot, path(from), age, (nominate, controlled));
    }

    pub fn check_at(
        &mut self,
        slot: usize,
        from: Path,
        age: usize,
        (nominate, controlled): (bool, bool),
    ) {
        let transaction = self.number() as u8;
        let taken = self.is_piped(from);
        let Some(client) = &mut self.clients[slot] else {
            return;
        };
        let generation = (client.generations.len() - 1).saturating_sub(age);
        if client.is_good(generation) && !taken {
            client.claims.insert(from);
        }
        let used = &client.generations[generation];
        let user = username(used);
        let password = &used.server.password;
        let request = binding_request(&user, password, transaction, nominate, controlled);
        self.datagram(from, request);
    }

    pub fn answer_question(&mut self, bytes: &mut Bytes<'_>) {
        let (at, shape) = (bytes.below(self.questions.len()), bytes.byte());
        let elsewhere = path(bytes.below(2 * ADDRESSES));
        let Some(question) = self.questions.get(at) else {
            return;
        };
        let from = if shape & 3 == 3 {
            elsewhere
        } else {
            question.path
        };
        let honest = shape & 0x0c != 0x0c;
        self.answer(at, from, honest);
    }

    /// As a peer in order answers everything that it was asked.
    pub fn answer_all(&mut self, slot: usize) {
        let Some(peer) = self.clients[slot].as_ref().map(|client| client.id) else {
            return;
        };
        while let Some(at) = self.questions.iter().position(|q| q.peer == peer) {
            let from = self.questions[at].path;
            self.answer(at, from, true);
            self.questions.remove(at);
        }
    }

    fn answer(&mut self, at: usize, from: Path, honest: bool) {
        let question = &self.questions[at];
        let clients = self.clients.iter().flatten();
        let Some(client) = clients.into_iter().find(|c| c.id == question.peer) else {
            return;
        };
        let password: &[u8] = if honest {
            let used = &client.generations[question.generation];
            used.own.password.as_bytes()
        } else {
            b"a guess"
        };
        if honest && from == question.path {
            self.ledger.prove(from.remote);
        }
        let mut out = Vec::new();
        write_success(&mut out, question.transaction, from.remote, password);
        self.datagram(from, out);
    }

    pub fn say_dtls(&mut self, bytes: &mut Bytes<'_>) {
        let from = bytes.below(2 * ADDRESSES);
        for _ in 0..=bytes.below(48) {
            self.dtls_record(from, 1 + usize::from(bytes.byte()));
        }
    }

    pub fn dtls_record(&mut self, from: usize, size: usize) {
        self.datagram(path(from), vec![22; size]);
    }

    /// One well-formed packet with hostile contents.
    pub fn sealed_packet(&mut self, bytes: &mut Bytes<'_>) {
        let (slot, shape) = (bytes.below(SLOTS), bytes.byte());
        let ssrc = Client::ssrc(
            if shape & 0xc0 == 0xc0 {
                bytes.below(SLOTS)
            } else {
                slot
            },
            bytes.below(10),
        );
        let leap = match bytes.byte() {
            step @ 0..=5 => -i64::from(step),
            step @ 6..=30 => i64::from(step - 4),
            31..=36 => i64::from(bytes.word()),
            _ => 1,
        };
        self.seal_one(slot, ssrc, leap, shape, bytes);
    }

    /// Packets of one layer of a track as a client in good health sends them, give or take a loss, a
    /// pause, a reordering network and a restart under another SSRC.
    pub fn healthy_burst(&mut self, bytes: &mut Bytes<'_>) {
        let (at, layer) = (bytes.below(self.tracks.len()), bytes.below(3));
        let (count, shape, format) = (bytes.below(80), bytes.byte(), bytes.byte());
        self.burst(at, layer, count, shape, format);
    }

    pub fn burst(&mut self, at: usize, layer: usize, count: usize, shape: u8, format: u8) {
        let Some(track) = self.tracks.get(at) else {
            return;
        };
        let spec = track.spec.clone();
        let mut clients = self.clients.iter().flatten();
        let Some(slot) = clients.find(|c| c.id == spec.peer).map(|c| c.slot) else {
            return;
        };
        let layer = layer % spec.encodings.len();
        let mid = MIDS.iter().position(|mid| *mid == spec.mid).unwrap_or(0);
        // Streams that are learned have numbers that no track declares.
        let restarted = usize::from(shape & 0xc0 == 0xc0);
        let learned = Client::ssrc(slot, 16 + 9 * restarted + 3 * mid + layer);
        let (ssrc, names) = match &spec.encodings[layer] {
            Encoding::Ssrc(ssrc) => (*ssrc, 0),
            Encoding::Mid => (learned, MID),
            Encoding::Rid(_) => (learned, MID | RID),
        };
        let place = usize::from(format) % spec.formats.len();
        let codec = spec.formats[place].codec;
        let format = FORMATS.iter().position(|(_, known)| *known == codec);
        let format = format.unwrap_or(0);
        let first_leap = [1, 1, 1, 1, 40, 200, 1_500, 40_000][usize::from(shape >> 1 & 7)];
        let reordered = shape & 0xc0 == 0x40;
        for number in 0..count {
            let leap = match (number, reordered) {
                (0, _) => first_leap,
                (_, false) => 1,
                (_, true) => [-1, 2][number % 2],
            };
            let kind = if number == 0 { KEY_FRAMES[format] } else { 9 };
            let fill = shape.wrapping_add(number as u8) & 0x3f;
            let extra = (0..32_u8).find(|extra| {
                mid_of(*extra) == mid && (names & RID == 0 || rid_of(*extra) == layer)
            });
            let choices = [format as u8, kind, fill, extra.unwrap_or(0), fill];
            let shape = shape & (MARKER | NUMBER | LEVEL) | names;
            self.seal_one(slot, ssrc, leap, shape, &mut Bytes::new(&choices));
        }
        if let (Encoding::Ssrc(_), Some(last)) = (&spec.encodings[layer], count.checked_sub(1)) {
            self.repair(slot, ssrc, REPAIRS[format], last as u64, shape);
        }
    }

    /// A key picture on one encoding of a track and as many large packets behind it, all at once: more than a narrow link
    /// takes.
    pub fn flood(&mut self, at: usize, layer: usize, count: usize, fill: u8) {
        self.burst(at, layer, 1, 0, 0);
        let Some(spec) = self.tracks.get(at).map(|track| track.spec.clone()) else {
            return;
        };
        let slot = self.clients.iter().flatten().find(|c| c.id == spec.peer);
        let (Some(slot), Some(Encoding::Ssrc(ssrc)), Some(first)) = (
            slot.map(|client| client.slot),
            spec.encodings.get(layer),
            spec.formats.first(),
        ) else {
            return;
        };
        let mut formats = FORMATS.iter();
        let format = formats.position(|(_, codec)| *codec == first.codec);
        for number in 0..count {
            let fill = fill.wrapping_add(number as u8) & 0x3f;
            let choices = [format.unwrap_or(0) as u8, 5, fill];
            self.seal_one(slot, *ssrc, 1, 0, &mut Bytes::new(&choices));
        }
    }

    /// Retransmissions around what was lost before a burst, on the stream that may be declared for them.
    fn repair(&mut self, slot: usize, media: Ssrc, payload_type: u8, last: u64, fill: u8) {
        let Some(client) = &mut self.clients[slot] else {
            return;
        };
        let newest = client.streams.get(&media).map_or(0, |next| next - 1);
        let ssrc = Ssrc(media.0 + REPAIR_OFFSET);
        for step in 0..4 {
            let Some(client) = &mut self.clients[slot] else {
                return;
            };
            let next = client.streams.entry(ssrc).or_insert(100);
            *next += 1;
            let index = *next - 1;
            let header = NewHeader {
                marker: true,
                payload_type: PayloadType(payload_type),
                sequence: index as u16,
                timestamp: u32::from(fill),
                ssrc,
            };
            let mut plain = Vec::new();
            let len = write_header(&mut plain, &header, std::iter::empty());
            let original = newest.wrapping_sub(last + step) as u16;
            plain.extend_from_slice(&original.to_be_bytes());
            plain.resize(plain.len() + 9, fill);
            self.seal_plain(slot, index, len, plain, self.home(slot));
        }
    }

    pub fn seal_one(
        &mut self,
        slot: usize,
        ssrc: Ssrc,
        leap: i64,
        shape: u8,
        bytes: &mut Bytes<'_>,
    ) {
        let now = self.now.as_micros();
        let Some(client) = &mut self.clients[slot] else {
            return;
        };
        let next = client.streams.entry(ssrc).or_insert(100);
        let index = next.saturating_add_signed(leap - 1);
        *next = (*next).max(index + 1);
        client.transport_sequence = client.transport_sequence.wrapping_add(1);
        let number = client.transport_sequence.to_be_bytes();
        let format = bytes.byte();
        let payload_type = match FORMATS.get(usize::from(format % 8)) {
            Some((number, _)) => *number,
            None => format & 0x7f,
        };
        let payload = payload(bytes);
        let extra = bytes.byte();
        let skew = if extra & 0x20 != 0 { bytes.long() } else { 0 };
        let header = NewHeader {
            marker: shape & MARKER != 0,
            payload_type: PayloadType(payload_type),
            sequence: index as u16,
            timestamp: (now as u32 / 20).wrapping_add(skew),
            ssrc,
        };
        let mut elements: Vec<(u8, &[u8])> = Vec::new();
        let level = [bytes.byte()];
        for (bit, id, value) in [
            (MID, 4, MIDS[mid_of(extra)].as_bytes()),
            (RID, 10, RIDS[rid_of(extra)].as_bytes()),
            (NUMBER, 3, &number[..]),
            (LEVEL, 1, &level[..]),
        ] {
            elements.extend((shape & bit != 0).then_some((id, value)));
        }
        if shape & ANY_ELEMENT != 0 {
            let (id, len) = (bytes.byte(), bytes.below(40));
            elements.push((id, bytes.take(len)));
        }
        let mut plain = Vec::new();
        let len = write_header(&mut plain, &header, elements.into_iter());
        plain.extend_from_slice(&payload);
        if extra & 0x40 != 0 {
            let padding = extra & 0x1f;
            plain[0] |= 0x20;
            plain.extend(std::iter::repeat_n(padding, usize::from(padding)));
        }
        let from = if extra & 0x80 != 0 {
            path(bytes.below(2 * ADDRESSES))
        } else {
            self.home(slot)
        };
        self.seal_plain(slot, index, len, plain, from);
    }

    pub fn seal_plain(&mut self, slot: usize, index: u64, len: usize, plain: Vec<u8>, from: Path) {
        let now = self.now;
        self.doubt_end(slot);
        let Some(client) = &mut self.clients[slot] else {
            return;
        };
        if let Ok(header) = Header::parse(&plain) {
            let payload = header.payload(&plain).unwrap_or_default();
            client.say(now, header.ssrc, header.payload_type, payload);
        }
        let mut sealed = plain;
        client.sealer.seal_rtp(index, len, &mut sealed, 0);
        self.datagram(from, sealed);
    }

    /// Bytes sealed as if they were a packet.
    pub fn sealed_nonsense(&mut self, bytes: &mut Bytes<'_>) {
        let (slot, number) = (bytes.below(SLOTS), bytes.below(4));
        self.seal_nonsense(slot, Client::ssrc(slot, number), bytes);
    }

    pub fn seal_nonsense(&mut self, slot: usize, ssrc: Ssrc, bytes: &mut Bytes<'_>) {
        let size = bytes.below(200);
        let mut plain = bytes.take(size).to_vec();
        plain.resize(plain.len().max(12), 0);
        plain[0] = plain[0] & 0x3f | 0x80;
        let Some(client) = &mut self.clients[slot] else {
            return;
        };
        let next = client.streams.entry(ssrc).or_insert(100);
        *next += 1;
        let index = *next - 1;
        plain[2..4].copy_from_slice(&(index as u16).to_be_bytes());
        plain[8..12].copy_from_slice(&ssrc.0.to_be_bytes());
        let len = Header::parse(&plain).map_or(12, |header| header.len);
        self.seal_plain(slot, index, len, plain, self.home(slot));
    }

    /// A compound about streams that are there, or nearly.
    pub fn feedback(&mut self, bytes: &mut Bytes<'_>) {
        let slot = bytes.below(SLOTS);
        self.feedback_of(slot, bytes);
    }

    pub fn feedback_of(&mut self, slot: usize, bytes: &mut Bytes<'_>) {
        let (kind, shape) = (bytes.below(8), bytes.byte());
        let Some(client) = &self.clients[slot] else {
            return;
        };
        let heard: Vec<Ssrc> = self
            .downtracks
            .iter()
            .filter(|downtrack| downtrack.spec.peer == client.id)
            .map(|downtrack| downtrack.spec.ssrc)
            .collect();
        let media = heard.get(usize::from(shape) % heard.len().max(1)).copied();
        let media = media.unwrap_or(Ssrc(u32::from(shape)));
        let newest = self.ledger.newest(client.id, media) as u16;
        let own = Client::ssrc(slot, bytes.below(40));
        let mut out = Vec::new();
        match kind {
            0..=2 => {
                let span = u16::from(bytes.byte());
                let lost: Vec<u16> = (0..span).map(|age| newest.wrapping_sub(age)).collect();
                write_receiver_report(&mut out, own, &[]);
                write_nack(&mut out, own, media, &lost);
            }
            3 => {
                write_picture_loss(&mut out, own, media);
                // FIR, which the relay reads and never writes.
                out.extend_from_slice(&[0x84, 206, 0, 4]);
                out.extend_from_slice(&own.0.to_be_bytes());
                out.extend_from_slice(&[0; 4]);
                out.extend_from_slice(&media.0.to_be_bytes());
                out.extend_from_slice(&[shape, 0, 0, 0]);
            }
            4 | 5 => {
                let info = SenderInfo {
                    ntp: NtpTime(bytes.huge()),
                    rtp_time: bytes.long(),
                    packets: bytes.long(),
                    octets: bytes.long(),
                };
                write_sender_report(&mut out, own, &info, &[]);
            }
            6 => {
                let block = ReportBlock {
                    ssrc: media,
                    fraction_lost: bytes.byte(),
                    cumulative_lost: -5,
                    highest_sequence: bytes.long(),
                    jitter: bytes.long(),
                    last_sr: self.ledger.last_report(client.id, media),
                    delay_since_last_sr: bytes.long() >> (shape & 31),
                };
                write_receiver_report(&mut out, own, &[block]);
            }
            _ => write_bye(&mut out, &[own]),
        }
        self.seal_compound(slot, out, self.home(slot));
    }

    /// Bytes sealed as if they were a compound.
    pub fn sealed_compound(&mut self, bytes: &mut Bytes<'_>) {
        let (slot, from) = (bytes.below(SLOTS), bytes.below(16));
        let from = if from < ADDRESSES { from } else { slot };
        self.seal_damaged(slot, path(from), bytes);
    }

    pub fn seal_damaged(&mut self, slot: usize, from: Path, bytes: &mut Bytes<'_>) {
        let size = bytes.below(160);
        let mut plain = vec![0x80 | bytes.byte() & 0x3f, 192 + bytes.byte() % 32];
        plain.extend_from_slice(bytes.take(size));
        plain.resize(plain.len().max(8), 0);
        self.seal_compound(slot, plain, from);
    }

    fn seal_compound(&mut self, slot: usize, plain: Vec<u8>, from: Path) {
        self.doubt_end(slot);
        if let Some(client) = &mut self.clients[slot] {
            let sealed = client.seal_compound(plain);
            self.datagram(from, sealed);
        }
    }

    /// Something sent before, again, from there or from elsewhere.
    pub fn replay(&mut self, bytes: &mut Bytes<'_>) {
        let (at, elsewhere) = (bytes.below(self.sent.len()), bytes.byte());
        if let Some((from, datagram)) = self.sent.get(at).cloned() {
            let from = if elsewhere < 64 {
                path(usize::from(elsewhere))
            } else {
                from
            };
            self.claim_for_all(from);
            self.datagram(from, datagram);
        }
    }

    pub fn replay_changed(&mut self, bytes: &mut Bytes<'_>) {
        let (at, place, flip) = (bytes.below(self.sent.len()), bytes.word(), bytes.byte());
        if let Some((from, mut datagram)) = self.sent.get(at).cloned()
            && !datagram.is_empty()
        {
            let place = usize::from(place) % datagram.len();
            datagram[place] ^= flip;
            datagram.truncate(datagram.len() - usize::from(flip == 0));
            self.datagram(from, datagram);
        }
    }

    pub fn garbage(&mut self, bytes: &mut Bytes<'_>) {
        let (from, size) = (bytes.below(2 * ADDRESSES), bytes.below(128));
        let datagram = bytes.take(size).to_vec();
        self.datagram(path(from), datagram);
    }

    pub fn pass_time(&mut self, bytes: &mut Bytes<'_>) {
        let shape = bytes.byte();
        let unit = [1_000, 20_000, 1_000_000, 60_000_000][usize::from(shape & 3)];
        for _ in 0..=(shape >> 4) {
            self.wait(unit, shape & 0x0c != 0x0c);
        }
    }

    /// A replayed request is valid STUN of its peer from wherever it comes.
    pub fn claim_for_all(&mut self, from: Path) {
        if self.is_piped(from) {
            return;
        }
        for client in self.clients[..SLOTS].iter_mut().flatten() {
            client.claims.insert(from);
        }
    }
}

fn username(generation: &Generation) -> String {
    format!("{}:{}", generation.server.ufrag, generation.own.ufrag)
}

/// Which MID and RID a packet's byte of extras stands for.
fn mid_of(extra: u8) -> usize {
    usize::from(extra) % MIDS.len()
}

fn rid_of(extra: u8) -> usize {
    usize::from(extra >> 2) % RIDS.len()
}

fn payload(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let (kind, fill) = (bytes.byte(), bytes.byte());
    let mut payload = match kind % 10 {
        // Key frame and another of VP8, VP9, H.264 and AV1 in turn.
        0 => vec![0x90, 0xe0, 0x80, fill, fill, 0x00, 0x00],
        1 => vec![0x90, 0xe0, 0x80, fill, fill, 0x00, 0x01],
        2 => vec![0x88, 0x01, 0xaa],
        3 => vec![0x65, 0x88],
        4 => vec![0x18, 0x0a],
        5 => vec![fill; 1_400 + usize::from(fill)],
        6 => Vec::new(),
        7 | 8 => {
            let size = bytes.below(64);
            bytes.take(size).to_vec()
        }
        _ => vec![fill; 9],
    };
    if kind % 10 < 5 {
        payload.push(fill);
    }
    payload
}
