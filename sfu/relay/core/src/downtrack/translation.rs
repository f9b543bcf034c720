//! Publisher's numbers for formats and header extensions to the subscriber's, looked up once per downtrack.
use crate::command::{DowntrackSpec, TrackSpec};
use crate::rtp::Extension;
use crate::units::{Codec, PayloadType};

use super::sound::{Sound, Turn};

/// Ids of the one-byte form of header extensions end below this (RFC 8285 section 4.2): nearly all there are.
const SHORT_IDS: usize = 16;

/// What every packet asks lies together, in less than a line of the processor's cache; the tables are a step away.
#[repr(C)]
pub struct Translation {
    /// The format of the packet before, which is that of nearly every packet.
    last: Format,
    /// The first of the table of extensions.
    short: [u8; SHORT_IDS],
    /// The publisher's id for the dependency descriptor, 0 for none.
    descriptor: u8,
    /// The id of the number that we write ourselves.
    transport_sequence: Option<u8>,
    /// How sound is turned.
    pub sound: Sound,
    tables: Box<Tables>,
}

/// A format of the publisher.
#[derive(Clone, Copy)]
struct Format {
    theirs: PayloadType,
    /// The subscriber's number for it.
    ours: Option<PayloadType>,
    codec: Option<Codec>,
}

/// 0 stands for "not forwarded" among extension ids.
struct Tables {
    formats: Vec<Format>,
    extensions: [u8; 256],
}

impl Translation {
    /// Formats are joined by codec, the first of the subscriber's list where it has several; extensions by meaning, and
    /// only those that speak of the media rather than of one leg.
    pub fn new(spec: &DowntrackSpec, track: &TrackSpec) -> Self {
        let sound = Sound::new(spec, track);
        // Of two with one number the last counts.
        let formats: Vec<_> = track
            .formats
            .iter()
            .rev()
            .map(|theirs| {
                let same = spec.formats.iter().find(|ours| ours.codec == theirs.codec);
                let ours = match sound.turn(Some(theirs.codec)) {
                    Turn::Keep => same.map(|same| same.payload_type),
                    turn => sound.payload_type(turn),
                };
                Format {
                    theirs: theirs.payload_type,
                    ours: ours.map(|ours| PayloadType(ours.0 & 0x7f)),
                    codec: Some(theirs.codec),
                }
            })
            .collect();
        let mut extensions = [0; 256];
        for id in 1..=u8::MAX {
            let kind = track
                .extensions
                .kind(id)
                .filter(|kind| kind.is_end_to_end());
            let ours = kind.and_then(|kind| spec.extensions.id(kind));
            extensions[usize::from(id)] = ours.unwrap_or(0);
        }
        let mut short = [0; SHORT_IDS];
        short.copy_from_slice(&extensions[..SHORT_IDS]);
        Translation {
            last: formats
                .last()
                .copied()
                .unwrap_or(Format::unknown(PayloadType(0))),
            short,
            descriptor: track
                .extensions
                .id(Extension::DependencyDescriptor)
                .unwrap_or(0),
            transport_sequence: spec.extensions.id(Extension::TransportSequence),
            sound,
            tables: Box::new(Tables {
                formats,
                extensions,
            }),
        }
    }

    /// A packet of this format comes: what is asked of it next is at hand.
    pub fn turn_to(&mut self, theirs: PayloadType) {
        self.last = self.format(theirs);
    }

    /// The id under which the subscriber takes transport-wide numbers.
    pub fn transport_sequence(&self) -> Option<u8> {
        self.transport_sequence
    }

    /// The subscriber's number for the publisher's format.
    pub fn payload_type(&self, theirs: PayloadType) -> Option<PayloadType> {
        self.format(theirs).ours
    }

    /// What the publisher sends under this number.
    pub fn codec(&self, theirs: PayloadType) -> Option<Codec> {
        self.format(theirs).codec
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
        let place = usize::from(theirs);
        let ours = match self.short.get(place) {
            Some(ours) => *ours,
            None => self.tables.extensions[place],
        };
        (ours != 0).then_some(ours)
    }

    fn format(&self, theirs: PayloadType) -> Format {
        if self.last.theirs == theirs {
            return self.last;
        }
        let mut formats = self.tables.formats.iter();
        let found = formats.find(|format| format.theirs == theirs);
        found.copied().unwrap_or(Format::unknown(theirs))
    }
}

impl Format {
    fn unknown(theirs: PayloadType) -> Self {
        Format {
            theirs,
            ours: None,
            codec: None,
        }
    }
}
