//! How Opus reaches one subscriber: plain or with redundancy (RFC 2198), whichever the publisher sends and whichever the
//! subscriber takes.
use crate::command::{DowntrackSpec, TrackSpec};
use crate::red;
use crate::units::{Codec, PayloadType};

/// What becomes of a packet's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing: it is no sound, or both ends speak of it alike.
    Keep,
    /// What came before is put ahead of it.
    Make,
    /// Blocks are numbered as the subscriber does.
    Pass,
    /// Only what is new in it is sent.
    Strip,
}

/// The numbers of both ends; looked up once per downtrack.
#[derive(Clone, Copy, Default)]
pub struct Sound {
    /// What the publisher numbers as Opus, alone and within redundancy.
    their_opus: Option<PayloadType>,
    our_opus: Option<PayloadType>,
    our_red: Option<PayloadType>,
}

impl Sound {
    /// The first Opus of each end's list, and the first redundancy of the subscriber's.
    pub fn new(spec: &DowntrackSpec, track: &TrackSpec) -> Self {
        let first = |formats: &[crate::command::PayloadFormat], codec| {
            let mut formats = formats.iter();
            let found = formats.find(|format| format.codec == codec)?;
            Some(found.payload_type)
        };
        Sound {
            their_opus: first(&track.formats, Codec::Opus),
            our_opus: first(&spec.formats, Codec::Opus),
            our_red: first(&spec.formats, Codec::Red),
        }
    }

    /// What becomes of payloads of this format.
    pub fn turn(&self, codec: Option<Codec>) -> Turn {
        let takes_red = self.our_red.is_some() && self.our_opus.is_some();
        match (codec, takes_red) {
            (Some(Codec::Opus), true) => Turn::Make,
            (Some(Codec::Red), true) => Turn::Pass,
            (Some(Codec::Red), false) => Turn::Strip,
            _ => Turn::Keep,
        }
    }

    /// The subscriber's number for what comes out of that turn; `None` for whatever is not turned.
    pub fn payload_type(&self, turn: Turn) -> Option<PayloadType> {
        match turn {
            Turn::Keep => None,
            Turn::Make | Turn::Pass => self.our_red,
            Turn::Strip => self.our_opus,
        }
    }

    /// What is left of a payload for whoever takes no redundancy; `None` when it is damaged, or holds something else.
    pub fn stripped<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]> {
        let (payload_type, bytes) = red::primary(payload)?;
        (Some(payload_type) == self.their_opus).then_some(bytes)
    }

    /// Appends the payload as it is sent. `before`, if it goes with it, lies so many ticks behind.
    pub fn write(
        &self,
        turn: Turn,
        before: Option<(u32, &[u8])>,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        match (turn, self.their_opus, self.our_opus) {
            (Turn::Make, _, Some(ours)) => red::write(out, ours, before, payload),
            (Turn::Pass, Some(theirs), Some(ours)) => {
                out.extend_from_slice(payload);
                red::renumber(&mut out[start..], theirs, ours);
            }
            (Turn::Strip, ..) => out.extend_from_slice(self.stripped(payload).unwrap_or_default()),
            _ => out.extend_from_slice(payload),
        }
    }
}
