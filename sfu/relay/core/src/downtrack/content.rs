//! What a packet says ahead of its content, and what of its content differs for the subscriber.
use crate::cache::CachedPacket;
use crate::dependency_descriptor;
use crate::numbers::Shown;
use crate::rtp::Header;
use crate::units::Codec;
use crate::{red, vp8, vp9};

use super::sieve::Frame;
use super::sound::Turn;
use super::{Downtrack, Source, Stamp};

/// What one packet says ahead of its picture.
pub struct Picture<'a> {
    /// Its running numbers.
    pub shown: Shown,
    /// Its place among layers, where the format has any.
    pub frame: Option<Frame<'a>>,
    /// Receivers wait for gaps in its PictureID.
    pub counts_pictures: bool,
}

impl Downtrack {
    /// Whether sequence numbers and numbers of sound allow the packet before to go with this one, and how far it lies
    /// behind: it came, and was this subscriber's to hear.
    pub(super) fn redundancy(&self, source: &Source<'_>) -> Option<u16> {
        let turn = |header: &Header| {
            let codec = self.translation.codec(header.payload_type);
            self.translation.sound.turn(codec)
        };
        let before = source.before.as_ref()?;
        let made = turn(source.header) == Turn::Make && turn(before.header) == Turn::Make;
        let earlier = source.index.checked_sub(1)?;
        if !made || !self.continuity.precedes(earlier, source.index) {
            return None;
        }
        let offset = source
            .header
            .timestamp
            .wrapping_sub(before.header.timestamp);
        let payload = source.header.payload(source.packet).unwrap_or_default();
        red::can_carry(before.payload(), offset, payload)
            .then(|| u16::try_from(offset).ok())
            .flatten()
    }

    /// Payload octets that a packet so stamped has, as sender reports count them.
    pub fn octets(&self, stamp: &Stamp, source: &CachedPacket<'_>) -> usize {
        let codec = self.translation.codec(source.header.payload_type);
        let payload = source.payload();
        match self.translation.sound.turn(codec) {
            _ if stamp.empty => 0,
            Turn::Strip => {
                let stripped = self.translation.sound.stripped(payload);
                stripped.map_or(0, <[u8]>::len)
            }
            Turn::Make => {
                let before = source.before().filter(|_| stamp.carries_before.is_some());
                let redundancy = before.map_or(0, |before| before.payload().len() + 4);
                payload.len() + 1 + redundancy
            }
            Turn::Keep | Turn::Pass => payload.len(),
        }
    }

    /// What a packet says of its picture ahead of it.
    pub(super) fn read<'a>(&self, source: &Source<'a>) -> Picture<'a> {
        let timestamp = source.header.timestamp;
        let payload = source.header.payload(source.packet).unwrap_or_default();
        let described = source
            .dependency
            .map(|dependency| Frame::described(timestamp, dependency));
        let mut picture = Picture {
            shown: Shown::default(),
            frame: None,
            counts_pictures: false,
        };
        match self.translation.codec(source.header.payload_type) {
            Some(Codec::Vp8) => {
                if let Some(descriptor) = vp8::Descriptor::parse(payload) {
                    picture.shown = descriptor.shown();
                    picture.counts_pictures = picture.shown.picture_id_bits != 0;
                    picture.frame = Some(Frame::vp8(timestamp, &descriptor));
                }
            }
            Some(Codec::Vp9) => {
                if let Some(descriptor) = vp9::Descriptor::parse(payload) {
                    picture.shown = descriptor.shown();
                    picture.frame = Some(Frame::vp9(timestamp, &descriptor));
                }
                picture.frame = described.or(picture.frame);
            }
            Some(Codec::H264 | Codec::Av1) => picture.frame = described,
            Some(Codec::Opus | Codec::Red) | None => {}
        }
        if let Some(dependency) = source.dependency {
            picture.shown.frame_number = true;
            picture.shown.numbers.frame_number = dependency.frame_number;
        }
        picture
    }

    /// The packet's dependency descriptor as the subscriber is to see it, where it takes one and it has to differ.
    pub(super) fn descriptor_of(
        &self,
        stamp: &Stamp,
        header: &Header,
        packet: &[u8],
    ) -> Option<Vec<u8>> {
        let numbers = stamp.picture.as_ref()?;
        if !self.translation.takes_descriptor() {
            return None;
        }
        let mut extensions = header.extensions(packet);
        let (_, theirs) = extensions.find(|(id, _)| self.translation.is_descriptor(*id))?;
        let number = numbers.frame_number.to_be_bytes();
        if stamp.active.is_none() && theirs.get(1..3) == Some(&number[..]) {
            return None;
        }
        let mut ours = Vec::new();
        dependency_descriptor::rewrite(theirs, numbers.frame_number, stamp.active, &mut ours);
        Some(ours)
    }
}
