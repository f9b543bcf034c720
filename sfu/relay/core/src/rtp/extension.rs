//! The header extensions the relay knows by name, and what a transport calls them.

/// One kind of header extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extension {
    /// The media section a packet belongs to (RFC 9143).
    Mid,
    /// The simulcast encoding a packet belongs to (RFC 8852).
    Rid,
    /// The encoding that a retransmission repairs (RFC 8852).
    RepairedRid,
    /// Loudness as its sender declares it (RFC 6464).
    AudioLevel,
    /// 24-bit send time in 1/2^18 s.
    AbsSendTime,
    /// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportSequence,
    /// Frame dependencies and layers (AV1 RTP specification, appendix A).
    DependencyDescriptor,
    /// How the camera was held (3GPP TS 26.114).
    VideoOrientation,
    /// How long a receiver should hold a frame.
    PlayoutDelay,
    /// When the sender captured the frame.
    AbsCaptureTime,
    /// The layers a publisher currently sends.
    VideoLayersAllocation,
    /// Camera or screen.
    VideoContentType,
    /// Where a frame spent its time.
    VideoTiming,
    /// Colour space and HDR metadata.
    ColorSpace,
    /// How late a packet left (RFC 5450).
    TransmissionOffset,
}

impl Extension {
    /// Every kind, in the order of declaration.
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

    /// The kind that an `a=extmap` line names, if the relay knows it.
    pub fn from_uri(uri: &str) -> Option<Extension> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }

    /// The name in `a=extmap` lines.
    pub fn uri(self) -> &'static str {
        match self {
            Extension::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Extension::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Extension::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Extension::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Extension::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Extension::TransportSequence => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Extension::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/\
                 #dependency-descriptor-rtp-header-extension"
            }
            Extension::VideoOrientation => "urn:3gpp:video-orientation",
            Extension::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Extension::AbsCaptureTime => {
                "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
            }
            Extension::VideoLayersAllocation => {
                "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
            }
            Extension::VideoContentType => {
                "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"
            }
            Extension::VideoTiming => "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
            Extension::ColorSpace => "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
            Extension::TransmissionOffset => "urn:ietf:params:rtp-hdrext:toffset",
        }
    }

    /// Whether a subscriber may see what the publisher wrote (mid, rid, send times and transport
    /// numbers belong to one leg).
    pub fn is_end_to_end(self) -> bool {
        match self {
            Extension::AudioLevel
            | Extension::DependencyDescriptor
            | Extension::VideoOrientation
            | Extension::PlayoutDelay
            | Extension::AbsCaptureTime
            | Extension::VideoContentType
            | Extension::ColorSpace => true,
            Extension::Mid
            | Extension::Rid
            | Extension::RepairedRid
            | Extension::AbsSendTime
            | Extension::TransportSequence
            | Extension::VideoLayersAllocation
            | Extension::VideoTiming
            | Extension::TransmissionOffset => false,
        }
    }
}

/// RFC 6464: (voice activity, level as -dBov 0..=127); `None` unless the value is one byte.
pub fn audio_level(value: &[u8]) -> Option<(bool, u8)> {
    match value {
        [byte] => Some((byte & 0x80 != 0, byte & 0x7f)),
        _ => None,
    }
}

/// Ids that the one-byte form can carry are looked up by index, since every packet asks.
const SMALL_IDS: usize = 15;

/// Which id means which extension on one transport, ids 1 to 255.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap {
    /// By id, 0 unused.
    small: [Option<Extension>; SMALL_IDS],
    /// Ids from 15 on, sorted.
    large: Vec<(u8, Extension)>,
    /// By kind, 0 where the transport has no id for it.
    ids: [u8; Extension::ALL.len()],
}

impl ExtensionMap {
    /// A map of these pairs. Of two kinds under one id, or two ids of one kind, the first pair
    /// holds; id 0 is no id.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (u8, Extension)>) -> Self {
        let mut map = Self::default();
        for (id, kind) in pairs {
            if id == 0 || map.kind(id).is_some() || map.id(kind).is_some() {
                continue;
            }
            map.ids[kind as usize] = id;
            match map.small.get_mut(usize::from(id)) {
                Some(slot) => *slot = Some(kind),
                None => map.large.push((id, kind)),
            }
        }
        map.large.sort_unstable_by_key(|(id, _)| *id);
        map
    }

    /// What an id means.
    pub fn kind(&self, id: u8) -> Option<Extension> {
        match self.small.get(usize::from(id)) {
            Some(slot) => *slot,
            None => {
                let entry = self.large.iter().find(|(known, _)| *known == id);
                entry.map(|(_, kind)| *kind)
            }
        }
    }

    /// The id of an extension.
    pub fn id(&self, kind: Extension) -> Option<u8> {
        Some(self.ids[kind as usize]).filter(|id| *id != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_extension_is_found_by_its_uri() {
        for (place, kind) in Extension::ALL.into_iter().enumerate() {
            assert_eq!(Extension::from_uri(kind.uri()), Some(kind));
            assert_eq!(kind as usize, place); // ExtensionMap indexes by it
        }
        assert_eq!(Extension::from_uri("urn:example:unknown"), None);
    }

    #[test]
    fn what_belongs_to_one_leg_never_reaches_the_next() {
        let private: Vec<_> = Extension::ALL
            .into_iter()
            .filter(|kind| !kind.is_end_to_end())
            .collect();
        assert_eq!(
            private,
            [
                Extension::Mid,
                Extension::Rid,
                Extension::RepairedRid,
                Extension::AbsSendTime,
                Extension::TransportSequence,
                Extension::VideoLayersAllocation,
                Extension::VideoTiming,
                Extension::TransmissionOffset,
            ]
        );
    }

    #[test]
    fn a_map_answers_both_ways_for_small_and_large_ids() {
        let map = ExtensionMap::from_pairs([
            (200, Extension::ColorSpace),
            (14, Extension::Mid),
            (15, Extension::Rid),
        ]);
        assert_eq!(map.kind(14), Some(Extension::Mid));
        assert_eq!(map.kind(15), Some(Extension::Rid));
        assert_eq!(map.kind(200), Some(Extension::ColorSpace));
        assert_eq!(map.kind(0), None);
        assert_eq!(map.kind(13), None);
        assert_eq!(map.kind(255), None);
        assert_eq!(map.id(Extension::Rid), Some(15));
        assert_eq!(map.id(Extension::AudioLevel), None);
    }

    #[test]
    fn the_first_pair_holds_when_ids_or_kinds_clash() {
        let map = ExtensionMap::from_pairs([
            (0, Extension::Mid),
            (1, Extension::Rid),
            (1, Extension::ColorSpace),
            (2, Extension::Rid),
        ]);
        assert_eq!(map, ExtensionMap::from_pairs([(1, Extension::Rid)]));
    }

    #[test]
    fn an_audio_level_is_one_byte_of_activity_and_loudness() {
        assert_eq!(audio_level(&[0x80 | 30]), Some((true, 30)));
        assert_eq!(audio_level(&[127]), Some((false, 127)));
        assert_eq!(audio_level(&[]), None);
        assert_eq!(audio_level(&[1, 2]), None);
    }
}
