//! Publisher's numbers for formats and header extensions to the subscriber's, looked up once per downtrack.
use crate::command::{DowntrackSpec, TrackSpec};
use crate::rtp::Extension;
use crate::units::{Codec, PayloadType};

/// Two tables; 0 stands for "not forwarded" among extension ids, [`NO_FORMAT`] among payload types.
pub struct Translation {
    payload_types: [u8; 128],
    /// Payload types of the publisher that carry VP8, a bit each.
    vp8: u128,
    extensions: [u8; 256],
    /// The id of the number that we write ourselves.
    transport_sequence: Option<u8>,
}

const NO_FORMAT: u8 = 0xff;

impl Translation {
    /// Formats are joined by codec, the first of the subscriber's list where it has several; extensions by meaning, and
    /// only those that speak of the media rather than of one leg.
    pub fn new(spec: &DowntrackSpec, track: &TrackSpec) -> Self {
        let mut payload_types = [NO_FORMAT; 128];
        for theirs in &track.formats {
            let ours = spec.formats.iter().find(|ours| ours.codec == theirs.codec);
            let place = payload_types.get_mut(usize::from(theirs.payload_type.0));
            if let (Some(ours), Some(place)) = (ours, place) {
                *place = ours.payload_type.0 & 0x7f;
            }
        }
        let vp8 = track
            .formats
            .iter()
            .filter(|format| format.codec == Codec::Vp8)
            .fold(0, |set, format| set | bit(format.payload_type));
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
            vp8,
            extensions,
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

    /// Whether the publisher sends VP8 under this number.
    pub fn is_vp8(&self, theirs: PayloadType) -> bool {
        self.vp8 & bit(theirs) != 0
    }

    /// The subscriber's number for the publisher's extension.
    pub fn extension(&self, theirs: u8) -> Option<u8> {
        let ours = self.extensions[usize::from(theirs)];
        (ours != 0).then_some(ours)
    }
}

fn bit(payload_type: PayloadType) -> u128 {
    1u128.checked_shl(u32::from(payload_type.0)).unwrap_or(0)
}
