//! Retransmission streams: which layer one repairs, and which packet its packet is (RFC 4588, RFC 8852).

use crate::command::{Encoding, TrackRepair};
use crate::rtp::Header;
use crate::srtp::OpenError;
use crate::units::{PayloadType, Ssrc};

use super::{Feed, Section, Streams};

/// Why a packet of a retransmission stream gives back none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRecovered {
    /// Its media stream was never heard.
    Unheard,
    /// It is not missing.
    Arrived,
    /// Too old, or later than all that was heard: nobody asked for it.
    Outside,
}

impl Streams {
    /// Whether these pairs claim an SSRC that another stream has.
    pub fn repair_conflicts(&self, encodings: &[Encoding], repair: &TrackRepair) -> bool {
        let repairs = repair.streams.iter().map(|(_, repair)| *repair);
        let clash = |ssrc| {
            self.declared.contains_key(&ssrc)
                || self.repairs.contains_key(&ssrc)
                || encodings.contains(&Encoding::Ssrc(ssrc))
                || repair.streams.iter().any(|(media, _)| *media == ssrc)
        };
        let media = encodings.iter().any(
            |encoding| matches!(encoding, Encoding::Ssrc(ssrc) if self.repairs.contains_key(ssrc)),
        );
        media || repairs.into_iter().any(clash)
    }

    /// The layer that a packet of a retransmission format repairs: as bound before, as announced, or as its MID and
    /// repaired RID say. `None` for every other packet, for the price of one bit tested.
    pub fn repaired(&mut self, header: &Header, plain: &[u8]) -> Option<Feed> {
        if self.repair_types & bit(header.payload_type) == 0 {
            return None;
        }
        let stream = self.by_ssrc.get(&header.ssrc)?;
        if stream.feed.is_some() {
            return None; // it is media, whatever format it claims to have
        }
        if let Some(feed) = stream.repairs {
            return Some(feed);
        }
        let announced = self.repairs.get(&header.ssrc);
        let feed = match announced {
            Some(media) => self.bound(*media).or(self.declared(*media)),
            None => self.repaired_by_extensions(header, plain),
        }?;
        if let Some(stream) = self.by_ssrc.get_mut(&header.ssrc) {
            stream.repairs = Some(feed);
        }
        Some(feed)
    }

    /// The index of a packet of `media` that came on its retransmission stream, which counts as come from now on: the
    /// original is a replay when it comes after all.
    pub fn recover(&mut self, media: Ssrc, sequence: u16) -> Result<u64, NotRecovered> {
        let stream = self.by_ssrc.get_mut(&media);
        let window = &mut stream.ok_or(NotRecovered::Unheard)?.window;
        window.recover(sequence).map_err(|error| match error {
            OpenError::Replayed => NotRecovered::Arrived,
            _ => NotRecovered::Outside,
        })
    }

    /// What repaired the stream that fed this layer repairs nothing from now on.
    pub(super) fn unbind_repairs(&mut self, feed: Feed) {
        for stream in self.by_ssrc.values_mut() {
            stream.repairs = stream.repairs.filter(|repaired| *repaired != feed);
        }
    }

    fn repaired_by_extensions(&self, header: &Header, plain: &[u8]) -> Option<Feed> {
        let (mut mid, mut repaired) = (None, None);
        for (id, value) in header.extensions(plain) {
            if id == 0 {
                continue;
            } else if id == self.ids.mid {
                mid = Some(value);
            } else if id == self.ids.repaired_rid {
                repaired = Some(value);
            } else if id == self.ids.rid {
                return None; // a media stream's name
            }
        }
        let mid = mid?;
        let section = self.sections.iter().find(|s| s.mid.as_bytes() == mid)?;
        let repairs = |format: &&_| is_of(format, header.payload_type);
        section.repair.formats.iter().find(repairs)?;
        section.feed(position(section, repaired)?)
    }
}

fn is_of(format: &crate::command::RepairFormat, payload_type: PayloadType) -> bool {
    format.payload_type == payload_type
}

/// The place of the encoding that a retransmission stream of the section repairs.
fn position(section: &Section, repaired: Option<&[u8]>) -> Option<usize> {
    let Some(repaired) = repaired else {
        // Without a name it can only be the one stream there is.
        let single = matches!(section.encodings[..], [Encoding::Ssrc(_) | Encoding::Mid]);
        return single.then_some(0);
    };
    section
        .encodings
        .iter()
        .position(|encoding| matches!(encoding, Encoding::Rid(name) if name.as_bytes() == repaired))
}

/// One of 128 payload types.
pub(super) fn bit(payload_type: PayloadType) -> u128 {
    1 << (payload_type.0 & 0x7f)
}
