//! Which frames of a layered stream one subscriber gets: temporal layers of VP8, spatial and temporal ones of VP9, and
//! decode targets of whatever carries the dependency descriptor.
//!
//! Laws: whoever has had what was kept can decode what is kept next, packets lost aside; a picture is kept whole or
//! left out whole, also for its packets that come late; fewer layers hold from the next picture on, more from where the
//! stream itself says that it can be gone on with. What says nothing of layers is kept.
mod by_layer;
mod by_target;

use std::collections::VecDeque;

use crate::dependency_descriptor::{ActiveTargets, Dependency};
use crate::{vp8, vp9};

use by_layer::ByLayer;
use by_target::ByTarget;

/// Frames whose verdict is remembered for packets that come late: a second of three layers at 20 frames a second.
const REMEMBERED: usize = 64;

/// The highest layers somebody may have; `None` for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ceiling {
    /// Spatial layer within the stream.
    pub spatial: Option<u8>,
    /// Temporal layer.
    pub temporal: Option<u8>,
}

/// Whoever has had all temporal layers up to `needs` can have all up to `to` from a picture on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    needs: u8,
    to: u8,
}

/// What a packet says of the frame it belongs to.
pub struct Frame<'a> {
    /// RTP timestamp and PictureID: the same for all packets of a picture, and for no other's.
    picture: u64,
    spatial: u8,
    temporal: u8,
    /// Its last packet, where the packet says so.
    ends: bool,
    opening: Option<Opening>,
    dependency: Option<&'a Dependency>,
}

impl<'a> Frame<'a> {
    /// Of VP8, which has no spatial layers.
    pub fn vp8(timestamp: u32, descriptor: &vp8::Descriptor) -> Self {
        let temporal = descriptor.temporal;
        Frame {
            picture: picture(timestamp, descriptor.numbers.picture_id),
            spatial: 0,
            temporal,
            ends: false,
            opening: temporal
                .checked_sub(1)
                .filter(|_| descriptor.layer_sync)
                .map(|needs| Opening {
                    needs,
                    to: temporal,
                }),
            dependency: None,
        }
    }

    /// Of VP9, by its own descriptor.
    pub fn vp9(timestamp: u32, descriptor: &vp9::Descriptor) -> Self {
        Frame {
            picture: picture(timestamp, descriptor.numbers.picture_id),
            spatial: descriptor.spatial,
            temporal: descriptor.temporal,
            ends: descriptor.ends_frame,
            opening: descriptor.switching_up.then_some(Opening {
                needs: descriptor.temporal,
                to: u8::MAX,
            }),
            dependency: None,
        }
    }

    /// Of any format, by the dependency descriptor.
    pub fn described(timestamp: u32, dependency: &'a Dependency) -> Self {
        Frame {
            picture: picture(timestamp, 0),
            spatial: dependency.spatial,
            temporal: dependency.temporal,
            ends: dependency.ends_frame,
            opening: None,
            dependency: Some(dependency),
        }
    }

    /// Tells frames of one stream apart.
    fn name(&self) -> u64 {
        match self.dependency {
            Some(dependency) => u64::from(dependency.frame_number) | 1 << 63,
            None => self.picture << 8 | u64::from(self.spatial),
        }
    }
}

fn picture(timestamp: u32, picture_id: u16) -> u64 {
    u64::from(timestamp) << 16 | u64::from(picture_id)
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its packets are sent.
    Keep,
    /// It is above what is wanted.
    LeaveOut,
    /// It is wanted, but can only be decoded after another key frame.
    AwaitKeyFrame,
}

/// One packet's verdict, and what else follows for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sifted {
    /// What becomes of its frame.
    pub verdict: Verdict,
    /// It is the first packet seen of its frame.
    pub is_first: bool,
    /// Nothing of its picture comes after it, so it bears the marker.
    pub ends_picture: bool,
    /// What the subscriber is told of decode targets with it.
    pub active: Option<ActiveTargets>,
}

/// The sieve of one downtrack.
#[derive(Default)]
pub struct Sieve {
    ceiling: Ceiling,
    way: Option<Way>,
    /// Newest last.
    verdicts: VecDeque<(u64, Verdict)>,
}

/// How frames are told apart.
enum Way {
    Layers(ByLayer),
    Targets(ByTarget),
}

impl Sifted {
    /// Of a packet that says nothing of layers.
    pub fn whole() -> Self {
        Sifted {
            verdict: Verdict::Keep,
            is_first: false,
            ends_picture: false,
            active: None,
        }
    }
}

impl Sieve {
    /// No more than these layers; fewer from the next picture on.
    pub fn set_ceiling(&mut self, ceiling: Ceiling) {
        self.ceiling = ceiling;
    }

    /// The stream goes over to another source, or goes on after an interruption, at a key frame.
    pub fn begin(&mut self) {
        self.way = None;
        self.verdicts.clear();
    }

    /// Whether layers are wanted that only a key frame can bring.
    pub fn awaits_key_frame(&self) -> bool {
        match &self.way {
            Some(Way::Targets(way)) => way.awaits_key_frame(self.ceiling),
            Some(Way::Layers(way)) => way.awaits_key_frame(self.ceiling),
            None => false,
        }
    }

    /// A packet that comes after all that were seen. `key_frame`: it starts one.
    pub fn sift(&mut self, frame: &Frame<'_>, key_frame: bool) -> Sifted {
        let name = frame.name();
        let known = self.verdicts.back().filter(|(newest, _)| *newest == name);
        let known = known.map(|(_, verdict)| *verdict);
        let verdict = match known {
            Some(verdict) => verdict,
            None => {
                let verdict = self.judge(frame, key_frame);
                if self.verdicts.len() == REMEMBERED {
                    self.verdicts.pop_front();
                }
                self.verdicts.push_back((name, verdict));
                verdict
            }
        };
        self.sifted(frame, verdict, known.is_none())
    }

    /// A packet that comes late: as the rest of its frame, and where nothing was seen of that, kept, since its numbers
    /// were left open for it.
    pub fn sift_late(&mut self, frame: &Frame<'_>) -> Sifted {
        let name = frame.name();
        let mut verdicts = self.verdicts.iter().rev();
        let known = verdicts.find(|(other, _)| *other == name);
        let verdict = known.map_or(Verdict::Keep, |(_, verdict)| *verdict);
        if let (Verdict::Keep, Some(Way::Targets(way)), Some(dependency)) =
            (verdict, &mut self.way, frame.dependency)
        {
            way.kept(dependency);
        }
        self.sifted(frame, verdict, false)
    }

    fn sifted(&mut self, frame: &Frame<'_>, verdict: Verdict, is_first: bool) -> Sifted {
        let (ends_picture, active) = match (verdict, &mut self.way, frame.dependency) {
            (Verdict::Keep, Some(Way::Targets(way)), Some(dependency)) => {
                (way.ends_picture(dependency), way.tell(dependency))
            }
            (Verdict::Keep, Some(Way::Layers(way)), None) => (way.ends_picture(frame), None),
            _ => (false, None),
        };
        Sifted {
            verdict,
            is_first,
            ends_picture,
            active,
        }
    }

    fn judge(&mut self, frame: &Frame<'_>, key_frame: bool) -> Verdict {
        let ceiling = self.ceiling;
        match (frame.dependency, &mut self.way) {
            (Some(dependency), Some(Way::Targets(way))) => {
                way.judge(frame.picture, dependency, ceiling)
            }
            (Some(dependency), way) => {
                let mut fresh = ByTarget::new(dependency, ceiling, key_frame);
                let verdict = fresh.judge(frame.picture, dependency, ceiling);
                *way = Some(Way::Targets(fresh));
                verdict
            }
            (None, Some(Way::Layers(way))) => way.judge(frame, key_frame, ceiling),
            // A damaged descriptor among good ones: VP9's own cannot tell who needs what, so it is kept.
            (None, Some(Way::Targets(_))) => Verdict::Keep,
            (None, way) => {
                let mut fresh = ByLayer::default();
                let verdict = fresh.judge(frame, key_frame, ceiling);
                *way = Some(Way::Layers(fresh));
                verdict
            }
        }
    }
}
