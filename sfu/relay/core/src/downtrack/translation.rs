//! Publisher's numbers for formats and header extensions to the subscriber's, looked up once per downtrack.
use crate::command::{DowntrackSpec, TrackSpec};
use crate::rtp::Extension;
use crate::units::{Codec, PayloadType};

use super::sound::{Sound, Turn};

/// Two tables; 0 stands for "not forwarded" among extension ids, [`NO_FORMAT`] among payload types.
pub struct Translation {
    payload_types: [u8; 128],
    /// What the publisher sends, by its numbers.
    codecs: [Option<Codec>; 128],
    extensions: [u8; 256],
    /// The publisher's id for the dependency descriptor, 0 for none.
    descriptor: u8,
    /// How sound is turned.
    pub sound: Sound,
    /// The id of the number that we write ourselves.
    transport_sequence: Option<u8>,
}

const NO_FORMAT: u8 = 0xff;

impl Translation {
    /// Formats are joined by codec, the first of the subscriber's list where it has several; extensions by meaning, and
    /// only those that speak of the media rather than of one leg.
    pub fn new(spec: &DowntrackSpec, track: &TrackSpec) -> Self {
        let sound = Sound::new(spec, track);
        let mut payload_types = [NO_FORMAT; 128];
        let mut codecs = [None; 128];
        for theirs in &track.formats {
            let same = spec.formats.iter().find(|ours| ours.codec == theirs.codec);
            let ours = match sound.turn(Some(theirs.codec)) {
                Turn::Keep => same.map(|same| same.payload_type),
                turn => sound.payload_type(turn),
            };
            let place = payload_types.get_mut(usize::from(theirs.payload_type.0));
            if let Some(codec) = codecs.get_mut(usize::from(theirs.payload_type.0)) {
                *codec = Some(theirs.codec);
            }
            if let (Some(ours), Some(place)) = (ours, place) {
                *place = ours.0 & 0x7f;
            }
        }
        let mut extensions = [0; 256];
        for id in 1..=u8::MAX {
            let kind = track
                .extensions
                .kind(id)
                .filter(|kind| kind.is_end_to_end());
            let ours = kind.and_then(|kind| spec.extensions.id(kind));
            extensions[usize::from(id)] = ours.unwrap_or(0);
        }
        Translation {
            payload_types,
            codecs,
            sound,
            extensions,
            descriptor: track
                .extensions
                .id(Extension::DependencyDescriptor)
                .unwrap_or(0),
            transport_sequence: spec.extensions.id(Extension::TransportSequence),
        }
    }

    /// The id under which the subscriber takes transport-wide numbers.
    pub fn transport_sequence(&self) -> Option<u8> {
        self.transport_sequence
    }

    /// The subscriber's number for the publisher's format.
    pub fn payload_type(&self, theirs: PayloadType) -> Option<PayloadType> {
        let ours = *self.payload_types.get(usize::from(theirs.0))?;
        (ours != NO_FORMAT).then_some(PayloadType(ours))
    }

    /// What the publisher sends under this number.
    pub fn codec(&self, theirs: PayloadType) -> Option<Codec> {
        *self.codecs.get(usize::from(theirs.0))?
    }

    /// Whether this is the publisher's id for the dependency descriptor.
    pub fn is_descriptor(&self, theirs: u8) -> bool {
        theirs != 0 && theirs == self.descriptor
    }

    /// Whether the subscriber takes dependency descriptors.
    pub fn takes_descriptor(&self) -> bool {
        self.extension(self.descriptor).is_some()
    }

    /// The subscriber's number for the publisher's extension.
    pub fn extension(&self, theirs: u8) -> Option<u8> {
        let ours = self.extensions[usize::from(theirs)];
        (ours != 0).then_some(ours)
    }
}
