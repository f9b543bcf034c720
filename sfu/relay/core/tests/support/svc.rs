//! A layered encoder that does as it says: what each frame refers to, what its descriptors tell of that.
#![allow(dead_code)] // each test file uses its part
use conclave_relay_core::dependency_descriptor::bits::BitWriter;
use conclave_relay_core::rtp::{self, NewHeader};
use conclave_relay_core::units::{PayloadType, Ssrc};

/// Temporal layers of the four pictures of a cycle.
pub const CYCLE: [u8; 4] = [0, 2, 1, 2];

/// Temporal layers in all.
pub const TEMPORAL: u8 = 3;

/// The publisher's id for the dependency descriptor.
pub const DESCRIPTOR_ID: u8 = 12;

/// Its payload type, whatever the format.
pub const FORMAT: u8 = 98;

/// Ticks between pictures.
const STEP: u32 = 3_000;

/// How spatial layers lean on one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In every picture (L3T3).
    Always,
    /// In key frames only (L3T3_KEY).
    AtKeyFrames,
}

/// Which descriptors its packets carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dress {
    /// VP8's own.
    Vp8,
    /// VP9's own.
    Vp9,
    /// VP9's own, and the dependency descriptor.
    Described,
}

/// One packet of it.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub index: u64,
    /// Number of its frame, from the beginning.
    pub frame: u64,
    /// Number of its picture, from the beginning.
    pub picture: u64,
    pub spatial: u8,
    pub temporal: u8,
    /// Starts a key frame.
    pub key_frame: bool,
    /// Frames that its own refers to.
    pub references: Vec<u64>,
    pub bytes: Vec<u8>,
}

/// The encoder.
pub struct Encoder {
    mode: Mode,
    dress: Dress,
    spatial: u8,
    index: u64,
    frame: u64,
    picture: u64,
    place: usize,
    /// The cycle refers to nothing above the lowest temporal layer from before it.
    sync: bool,
    tl0: u8,
    /// By spatial layer, the last frame of each temporal one.
    last: Vec<[Option<u64>; TEMPORAL as usize]>,
}

impl Encoder {
    pub fn new(mode: Mode, dress: Dress, spatial: u8, first: u64) -> Self {
        Encoder {
            mode,
            dress,
            spatial: if dress == Dress::Vp8 { 1 } else { spatial },
            index: first,
            frame: first & 0x7fff,
            picture: first & 0x3fff,
            place: 0,
            sync: true,
            tl0: first as u8,
            last: Vec::new(),
        }
    }

    /// The packets of the next picture, two a frame. `sync` counts for the cycle that begins with it, if one does.
    pub fn picture(&mut self, key: bool, sync: bool) -> Vec<Encoded> {
        if key || self.last.is_empty() {
            self.place = 0;
            self.last = vec![[None; TEMPORAL as usize]; usize::from(self.spatial)];
        }
        let key = self.last.iter().all(|last| last[0].is_none());
        if self.place == 0 {
            self.sync = sync || key;
        }
        let temporal = CYCLE[self.place];
        if temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        let mut packets = Vec::new();
        for spatial in 0..self.spatial {
            let references = self.references(key, spatial, temporal);
            let own = self.frame;
            for part in 0..2 {
                let starts = part == 0;
                let marker = part == 1 && spatial == self.spatial - 1;
                packets.push(Encoded {
                    index: self.index,
                    frame: own,
                    picture: self.picture,
                    spatial,
                    temporal,
                    key_frame: key && spatial == 0 && starts,
                    references: references.clone(),
                    bytes: self.packet(key, (spatial, temporal), starts, marker, &references),
                });
                self.index += 1;
            }
            self.last[usize::from(spatial)][usize::from(temporal)] = Some(own);
            self.frame += 1;
        }
        self.picture += 1;
        self.place = (self.place + 1) % CYCLE.len();
        packets
    }

    fn references(&self, key: bool, spatial: u8, temporal: u8) -> Vec<u64> {
        let mut references = Vec::new();
        let below = spatial > 0 && (key || self.mode == Mode::Always);
        if below {
            references.push(self.frame - 1);
        }
        let last = &self.last[usize::from(spatial)];
        match (temporal, self.place, self.sync) {
            (0, ..) => references.extend(last[0]),
            // Its own layer from the cycle before, unless that is cut off.
            (1, _, sync) => {
                references.extend(last[0]);
                references.extend(last[1].filter(|_| !sync));
            }
            (_, 1, true) => references.extend(last[0]),
            (_, 1, false) => references.extend(last.iter().flatten()),
            _ => references.extend(last.iter().flatten()),
        }
        references
    }

    fn packet(
        &self,
        key: bool,
        (spatial, temporal): (u8, u8),
        starts: bool,
        marker: bool,
        references: &[u64],
    ) -> Vec<u8> {
        let header = NewHeader {
            marker,
            payload_type: PayloadType(FORMAT),
            sequence: self.index as u16,
            timestamp: (self.picture as u32).wrapping_mul(STEP),
            ssrc: Ssrc(77),
        };
        let descriptor = (self.dress == Dress::Described)
            .then(|| self.descriptor(key, spatial, temporal, starts, references));
        let mut packet = Vec::new();
        let extensions = descriptor.as_deref().map(|bytes| (DESCRIPTOR_ID, bytes));
        rtp::write_header(&mut packet, &header, extensions.into_iter());
        let [high, low] = (self.picture as u16 & 0x7fff).to_be_bytes();
        if self.dress == Dress::Vp8 {
            let cut = temporal > 0 && self.sync && self.place < 3;
            let layer = temporal << 6 | u8::from(cut) << 5;
            let first = 0x80 | if starts { 0x10 } else { 0 };
            packet.extend_from_slice(&[first, 0xe0, high | 0x80, low, self.tl0, layer]);
            packet.push(u8::from(!key));
        } else {
            let predicted = !key;
            let up = match temporal {
                0 => self.sync,
                1 => false,
                _ => true,
            };
            let below = spatial > 0 && (key || self.mode == Mode::Always);
            let first =
                0xa0 | u8::from(predicted) << 6 | u8::from(starts) << 3 | u8::from(!starts) << 2;
            let layer = temporal << 5 | u8::from(up) << 4 | spatial << 1 | u8::from(below);
            packet.extend_from_slice(&[first, high | 0x80, low, layer, self.tl0, 0xaa]);
        }
        packet.extend_from_slice(&self.index.to_be_bytes());
        packet
    }

    /// Template, frame number, at key frames the structure; indications and references are always the frame's own.
    fn descriptor(
        &self,
        key: bool,
        spatial: u8,
        temporal: u8,
        starts: bool,
        references: &[u64],
    ) -> Vec<u8> {
        let mut writer = BitWriter::default();
        let template = u32::from(spatial * TEMPORAL + temporal) + OFFSET;
        writer.put(u32::from(starts), 1);
        writer.put(u32::from(!starts), 1);
        writer.put(template, 6);
        writer.put(self.frame as u32, 16);
        let structured = key && spatial == 0 && starts;
        for flag in [structured, false, true, true, true] {
            writer.put(u32::from(flag), 1);
        }
        if structured {
            structure(&mut writer, self.mode, self.spatial);
        }
        for target in targets(self.spatial) {
            writer.put(self.indication(key, (spatial, temporal), target), 2);
        }
        for reference in references {
            let difference = (self.frame - reference - 1) as u32;
            writer.put(2, 2);
            writer.put(difference, 8);
        }
        writer.put(0, 2);
        for _chain in 0..self.spatial {
            writer.put(0, 8);
        }
        writer.into_bytes()
    }

    /// Appendix A.8.3: 0 not present, 1 discardable, 2 switch, 3 required.
    fn indication(&self, key: bool, (spatial, temporal): (u8, u8), target: (u8, u8)) -> u32 {
        let (s, t) = target;
        if spatial > s || temporal > t {
            return 0;
        }
        if key {
            return 2;
        }
        if self.mode == Mode::AtKeyFrames && spatial != s {
            return 0;
        }
        if spatial != s {
            return 3;
        }
        if temporal == t {
            return if t == 0 { 2 } else { 1 };
        }
        // Higher temporal layers: only a cycle's beginning, where it is cut off from the one before.
        if temporal == 0 && self.sync { 2 } else { 3 }
    }
}

/// What the first template is called.
const OFFSET: u32 = 7;

fn targets(spatial: u8) -> Vec<(u8, u8)> {
    let all = (0..spatial).flat_map(|s| (0..TEMPORAL).map(move |t| (s, t)));
    all.collect()
}

/// One template a layer, of its frames that are no key frames.
fn structure(writer: &mut BitWriter, mode: Mode, spatial: u8) {
    let targets = targets(spatial);
    writer.put(OFFSET, 6);
    writer.put(targets.len() as u32 - 1, 5);
    for (number, (_, t)) in targets.iter().enumerate() {
        let last = number + 1 == targets.len();
        let next = match (last, *t + 1 == TEMPORAL) {
            (true, _) => 3,
            (false, true) => 2,
            (false, false) => 1,
        };
        writer.put(next, 2);
    }
    for (spatial, temporal) in &targets {
        for (s, t) in &targets {
            let present = match mode {
                Mode::Always => spatial <= s && temporal <= t,
                Mode::AtKeyFrames => spatial == s && temporal <= t,
            };
            writer.put(if present { 2 } else { 0 }, 2);
        }
    }
    for _template in &targets {
        writer.put(0, 1);
    }
    writer.put_below(u32::from(spatial), targets.len() as u32 + 1);
    for (s, _) in &targets {
        writer.put_below(u32::from(*s), u32::from(spatial));
    }
    for _template in &targets {
        for _chain in 0..spatial {
            writer.put(0, 4);
        }
    }
    writer.put(1, 1);
    for s in 0..spatial {
        writer.put((320 << s) - 1, 16);
        writer.put((180 << s) - 1, 16);
    }
}
