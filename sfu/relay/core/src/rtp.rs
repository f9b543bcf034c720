//! RTP headers and header extensions (RFC 3550 section 5.1, RFC 8285).
#![allow(unused_variables, missing_docs)]
use crate::units::{PayloadType, Ssrc};

/// A parsed header; the packet stays where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub padding: bool,
    pub marker: bool,
    pub payload_type: PayloadType,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: Ssrc,
    /// Extension profile and the range of its body within the packet.
    pub extension: Option<(u16, std::ops::Range<usize>)>,
    /// Fixed header, CSRCs and extension: where the payload starts.
    pub len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtpError {
    Malformed,
}

impl Header {
    pub fn parse(packet: &[u8]) -> Result<Header, RtpError> {
        todo!()
    }
    /// The elements of a one- or two-byte extension block as (id, value); stops at damage, never panics.
    pub fn extensions<'a>(
        &self,
        packet: &'a [u8],
    ) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        std::iter::empty()
    }
    /// The payload of an opened packet without its padding; `None` when the padding count lies.
    pub fn payload<'a>(&self, packet: &'a [u8]) -> Option<&'a [u8]> {
        todo!()
    }
}

/// The header extensions the relay knows by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extension {
    Mid,
    Rid,
    RepairedRid,
    AudioLevel,
    AbsSendTime,
    TransportSequence,
    DependencyDescriptor,
    VideoOrientation,
    PlayoutDelay,
    AbsCaptureTime,
    VideoLayersAllocation,
    VideoContentType,
    VideoTiming,
    ColorSpace,
    TransmissionOffset,
}

impl Extension {
    pub const ALL: [Extension; 15] = [
        Extension::Mid,
        Extension::Rid,
        Extension::RepairedRid,
        Extension::AudioLevel,
        Extension::AbsSendTime,
        Extension::TransportSequence,
        Extension::DependencyDescriptor,
        Extension::VideoOrientation,
        Extension::PlayoutDelay,
        Extension::AbsCaptureTime,
        Extension::VideoLayersAllocation,
        Extension::VideoContentType,
        Extension::VideoTiming,
        Extension::ColorSpace,
        Extension::TransmissionOffset,
    ];
    pub fn from_uri(uri: &str) -> Option<Extension> {
        todo!()
    }
    pub fn uri(self) -> &'static str {
        todo!()
    }
    /// Whether a subscriber may see what the publisher wrote (mid, rid, send times and transport numbers belong to one leg).
    pub fn is_end_to_end(self) -> bool {
        todo!()
    }
}

/// Which id means which extension on one transport, ids 1 to 255.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap {
    entries: Vec<(u8, Extension)>,
}

impl ExtensionMap {
    pub fn from_pairs(pairs: impl IntoIterator<Item = (u8, Extension)>) -> Self {
        todo!()
    }
    pub fn kind(&self, id: u8) -> Option<Extension> {
        todo!()
    }
    pub fn id(&self, kind: Extension) -> Option<u8> {
        todo!()
    }
}

/// RFC 6464: (voice activity, level as -dBov 0..=127).
pub fn audio_level(value: &[u8]) -> Option<(bool, u8)> {
    todo!()
}

/// Writes a header (no CSRCs) and an extension block of `(id, value)` elements (one-byte form when it fits, else
/// two-byte), appended to `out`; returns the header's length.
pub fn write_header<'a>(
    out: &mut Vec<u8>,
    header: &NewHeader,
    extensions: impl Iterator<Item = (u8, &'a [u8])>,
) -> usize {
    todo!()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewHeader {
    pub marker: bool,
    pub payload_type: PayloadType,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: Ssrc,
}
