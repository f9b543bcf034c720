//! Two relays, one clock, and the pipe between them. The second relay is there from the first instruction that needs it.

use conclave_relay_core::command::{DowntrackSpec, Encoding, TrackRepair, TrackSpec};
use conclave_relay_core::downtrack::Wish;
use conclave_relay_core::rtp::{Extension, ExtensionMap};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{LayerId, Ssrc, TrackId};

use super::client::SLOTS;
use super::control::{MIDS, track_spec};
use super::pipes::{Crossing, Keys, PIPE, Reached, pipe_path};
use super::world::World;
use crate::bytes::Bytes;

/// Times that two relays may answer each other at one moment.
const MAX_ROUNDS: usize = 16;
/// Above the numbers of all peers, so that no pipe has a peer's keys.
const FIRST_GENERATION: u64 = 1 << 48;

pub struct Pair {
    worlds: Vec<World>,
    /// The one that instructions are for.
    here: usize,
    /// The next instruction is for the other one.
    once: bool,
    wire: Wire,
    generation: u64,
}

impl Pair {
    pub fn new() -> Self {
        Pair {
            worlds: vec![World::new()],
            here: 0,
            once: false,
            wire: Wire::default(),
            generation: FIRST_GENERATION,
        }
    }

    /// Runs one instruction at the relay that it is for, and lets both do what follows from it.
    pub fn step(&mut self, instruction: impl FnOnce(&mut Pair)) {
        let there = std::mem::take(&mut self.once);
        if there {
            self.turn();
        }
        instruction(self);
        self.settle();
        if there {
            self.turn();
        }
    }

    pub fn world(&mut self) -> &mut World {
        &mut self.worlds[self.here]
    }

    /// An instruction about pipes.
    pub fn instruct(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(16) {
            0 => self.open(bytes.byte(), bytes.byte()),
            1 | 2 => self.piped_call(bytes),
            3 => self.cross_one(bytes),
            4 => self.show_one(bytes),
            5 => self.flood_one(bytes),
            6 | 7 => self.once = true,
            8 => self.turn(),
            9 => self.wire = Wire::new(bytes.byte()),
            10 => self.close(bytes.byte()),
            11 => self.world().stranger_at_end(bytes),
            12 => self.world().rogue(bytes),
            13 => self.world().mistake_pipe(bytes),
            14 => self.world().limit(PIPE, bytes.byte()),
            _ => {
                let at = self.world().tracks.len().saturating_sub(1);
                self.cross(at, bytes.byte());
            }
        }
    }

    pub fn finish(&mut self) -> Reached {
        for _ in 0..2 {
            for world in &mut self.worlds {
                world.finish();
            }
            self.settle();
        }
        let mut reached = Reached::default();
        for world in &self.worlds {
            reached = reached.and(world.reached);
        }
        reached
    }

    /// This relay and the other.
    fn both(&mut self) -> (&mut World, &mut World) {
        if self.worlds.len() < 2 {
            let mut beyond = World::beyond();
            beyond.wait_until(self.worlds[0].now);
            self.worlds.push(beyond);
        }
        let (first, second) = self.worlds.split_at_mut(1);
        match self.here {
            0 => (&mut first[0], &mut second[0]),
            _ => (&mut second[0], &mut first[0]),
        }
    }

    fn turn(&mut self) {
        self.both();
        self.here ^= 1;
    }

    /// The ends that are not there, or one of them, which then has keys that the other has not.
    fn open(&mut self, shape: u8, at: u8) {
        self.generation += 1;
        let profile = match shape & 1 {
            0 => Profile::AeadAes128Gcm,
            _ => Profile::Aes128CmHmacSha1_80,
        };
        let keys = Keys {
            generation: self.generation,
            profile,
            is_first: true,
        };
        let (here, there) = self.both();
        let (here_open, there_open) = (here.end.is_some(), there.end.is_some());
        if !here_open && shape & 0x0e != 0x0e {
            here.open_end(keys, pipe_path(at));
        }
        if !there_open && shape & 0x0e != 0x0c {
            let keys = Keys {
                is_first: false,
                ..keys
            };
            there.open_end(keys, pipe_path(at));
        }
    }

    fn close(&mut self, ends: u8) {
        let (here, there) = self.both();
        for (world, is_kept) in [(here, 1), (there, 2)] {
            if ends & 3 != is_kept {
                let before = world.counters().rtp_skip_abandoned;
                world.close_end();
                world.reached.abandoned += world.counters().rtp_skip_abandoned - before;
            }
        }
    }

    /// One publishes at this relay, another listens at the other, with everything in order.
    fn piped_call(&mut self, bytes: &mut Bytes<'_>) {
        let (from, to) = (bytes.below(SLOTS), bytes.below(SLOTS));
        let (shape, with, over) = (bytes.byte(), bytes.byte(), bytes.byte());
        self.open(with, 0);
        let (here, there) = self.both();
        here.connect(&mut Bytes::new(&[from as u8]));
        there.connect(&mut Bytes::new(&[to as u8]));
        let Some(publisher) = &here.clients[from] else {
            return;
        };
        let spec = track_spec(publisher, &mut Bytes::new(&[shape, with]));
        if here.publish(spec).is_none() {
            return;
        }
        let last = here.tracks.len() - 1;
        if let Some(arrived) = self.cross(last, over) {
            let (_, there) = self.both();
            if let Some(spec) = there.downtrack_spec(to, arrived, with & 7) {
                there.subscribe(spec);
            }
        }
        self.settle();
        self.show(last, bytes.below(8), bytes.byte());
    }

    fn cross_one(&mut self, bytes: &mut Bytes<'_>) {
        let at = bytes.below(self.world().tracks.len());
        self.cross(at, bytes.byte());
    }

    fn show_one(&mut self, bytes: &mut Bytes<'_>) {
        let at = bytes.below(self.world().tracks.len());
        self.show(at, bytes.below(32), bytes.byte());
    }

    fn flood_one(&mut self, bytes: &mut Bytes<'_>) {
        let here = self.world();
        let at = bytes.below(here.tracks.len());
        here.flood(at, bytes.below(3), bytes.below(128), bytes.byte());
    }

    /// A track crosses: one downtrack here for each of its encodings, one track with these beyond. Which one that is,
    /// unless it was not announced there.
    fn cross(&mut self, at: usize, over: u8) -> Option<TrackId> {
        let (here, there) = self.both();
        let track = here.tracks.get(at)?;
        let (id, spec) = (track.id, track.spec.clone());
        let here_id = here.clients[PIPE].as_ref()?.id;
        let extensions = piped_extensions(over & 2 != 0);
        let layers: Vec<Ssrc> = (0..spec.encodings.len())
            .map(|_| Ssrc(0xe000_0000 + here.number() as u32))
            .collect();
        let beyond = there.clients[PIPE].as_ref().filter(|_| over & 1 == 0);
        let arriving = beyond.map(|beyond| TrackSpec {
            peer: beyond.id,
            mid: MIDS[usize::from(over >> 6) % MIDS.len()].to_owned(),
            extensions: extensions.clone(),
            encodings: layers.iter().copied().map(Encoding::Ssrc).collect(),
            repair: TrackRepair {
                nack: true,
                ..TrackRepair::default()
            },
            ..spec.clone()
        });
        let arrived = arriving.and_then(|spec| there.publish(spec));
        let mut layers: Vec<_> = (0..).map(LayerId).zip(layers).collect();
        if over & 0x08 != 0 {
            // One that the track does not have.
            let missing = LayerId(layers.len() as u8 + over % 3);
            layers.push((missing, Ssrc(0xe000_0000 + here.number() as u32)));
        }
        for (layer, ssrc) in layers {
            let wish = Wish {
                paused: over & 0x20 != 0 && layer > LayerId(0),
                ..Wish::default()
            };
            let leaving = DowntrackSpec {
                peer: here_id,
                track: id,
                ssrc,
                formats: spec.formats.clone(),
                extensions: extensions.clone(),
                cname: "pipe".to_owned(),
                nack: over & 4 == 0,
                wish,
                stands: over & 0x10 != 0,
                repair: None,
            };
            here.pipe_layer(leaving, layer);
        }
        arrived
    }

    /// Pictures of all encodings of a track, at their pace.
    fn show(&mut self, at: usize, pictures: usize, shape: u8) {
        for _ in 0..pictures {
            let here = self.world();
            let encodings = here.tracks.get(at).map_or(0, |t| t.spec.encodings.len());
            for layer in 0..encodings {
                let shape = shape.wrapping_add(layer as u8 * 16);
                here.burst(at, layer, 3, shape, shape);
            }
            here.wait(33_000, true);
            self.settle();
        }
    }

    /// Carries what either relay sent to the other until there is nothing more to say, and both clocks agree.
    fn settle(&mut self) {
        if self.worlds.len() < 2 {
            return;
        }
        for round in 0.. {
            assert!(round < MAX_ROUNDS, "two relays keep each other busy");
            let mut is_quiet = true;
            for from in [self.here, self.here ^ 1] {
                let crossing = std::mem::take(&mut self.worlds[from].crossing);
                is_quiet &= crossing.is_empty();
                let now = self.worlds[from].now;
                let to = &mut self.worlds[from ^ 1];
                self.wire.carry(crossing, to);
                to.wait_until(now);
            }
            if is_quiet {
                return;
            }
        }
    }
}

/// As both ends of every pipe number them. The section's tag belongs to one leg: it is there to be left out.
fn piped_extensions(numbered: bool) -> ExtensionMap {
    let mut pairs = vec![
        (1, Extension::AudioLevel),
        (2, Extension::DependencyDescriptor),
        (6, Extension::Mid),
    ];
    pairs.extend(numbered.then_some((5, Extension::TransportSequence)));
    ExtensionMap::from_pairs(pairs)
}

/// What happens between two relays to every so many datagrams: nothing by default.
#[derive(Default)]
struct Wire {
    shape: u8,
    drawn: u64,
}

/// Bits of its shape; the upper four say how often.
const LOSES: u8 = 1;
const DOUBLES: u8 = 2;
const DELAYS: u8 = 4;
const DAMAGES: u8 = 8;

impl Wire {
    fn new(shape: u8) -> Self {
        let drawn = 0x9e37_79b9_7f4a_7c15 ^ u64::from(shape);
        Wire { shape, drawn }
    }

    fn carry(&mut self, crossing: Vec<Crossing>, to: &mut World) {
        let mut late: Option<Crossing> = None;
        for crossing in crossing {
            to.wait_until(crossing.at);
            to.learn(&crossing);
            if self.strikes(LOSES) {
                to.doubt_end(PIPE);
                continue;
            }
            if late.is_none() && self.strikes(DELAYS) {
                to.doubt_end(PIPE);
                late = Some(crossing);
                continue;
            }
            if self.strikes(DAMAGES) {
                to.doubt_end(PIPE);
                let mut damaged = crossing.clone();
                let place = self.draw() as usize % damaged.bytes.len();
                damaged.bytes[place] ^= 1 << (self.draw() % 8);
                to.arrive(&damaged);
            }
            if self.strikes(DOUBLES) {
                to.doubt_end(PIPE);
                to.arrive(&crossing);
            }
            to.arrive(&crossing);
            if let Some(late) = late.take() {
                to.arrive(&late);
            }
        }
        if let Some(late) = late {
            to.arrive(&late);
        }
    }

    fn strikes(&mut self, what: u8) -> bool {
        self.shape & what != 0 && self.draw() % 32 <= u64::from(self.shape >> 4)
    }

    /// xorshift64*, Vigna 2016.
    fn draw(&mut self) -> u64 {
        self.drawn ^= self.drawn >> 12;
        self.drawn ^= self.drawn << 25;
        self.drawn ^= self.drawn >> 27;
        self.drawn.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From client 0 here to client 1 beyond: a track of that shape, and pictures of it.
    const VOICE: [u8; 7] = [0, 1, 0, 0, 0, 7, 0];
    const SIMULCAST: [u8; 7] = [0, 1, 130, 0, 0, 7, 0];

    fn after(call: [u8; 7], prepare: impl FnOnce(&mut Pair)) -> (Pair, Reached) {
        let mut pair = Pair::new();
        prepare(&mut pair);
        pair.step(|pair| pair.piped_call(&mut Bytes::new(&call)));
        let reached = pair.finish();
        (pair, reached)
    }

    #[test]
    fn a_voice_is_heard_beyond_the_pipe_whole() {
        let (pair, reached) = after(VOICE, |_| ());
        assert_eq!(reached.crossed, 21);
        assert_eq!(reached.heard, 21);
        assert!(pair.worlds[1].end.as_ref().is_some_and(|end| end.faithful));
    }

    #[test]
    fn each_encoding_of_a_picture_crosses() {
        let (_, reached) = after(SIMULCAST, |_| ());
        assert_eq!(reached.encodings, 0b111);
        assert_eq!(reached.crossed, 3 * 21);
        assert!(reached.heard > 0);
    }

    #[test]
    fn what_is_lost_crosses_again() {
        let (pair, reached) = after(VOICE, |pair| pair.wire = Wire::new(0x70 | LOSES));
        assert!(reached.recovered > 0, "{reached:?}");
        assert!(pair.worlds[1].end.as_ref().is_some_and(|end| !end.faithful));
    }

    #[test]
    fn two_ends_of_other_keys_do_not_hear_each_other() {
        let (_, reached) = after(VOICE, |pair| {
            pair.open(0x0c, 0);
            pair.open(0x0e, 0);
        });
        assert_eq!((reached.crossed, reached.heard), (0, 0));
        assert!(reached.forged > 0);
    }

    #[test]
    fn a_clients_address_is_no_pipes() {
        let mut pair = Pair::new();
        pair.world().connect(&mut Bytes::new(&[3]));
        pair.open(0, 195);
        assert!(pair.world().end.is_none());
        pair.world().close(3);
        pair.open(0, 195);
        assert!(pair.world().end.is_some());
    }
}
