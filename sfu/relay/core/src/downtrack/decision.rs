//! What becomes of one source packet: whether it is sent on, and everything in which it then differs from its source.
use crate::cache::CachedPacket;
use crate::dependency_descriptor::{ActiveTargets, Dependency};
use crate::numbers::{Numbers, Shown};
use crate::rtp::Header;
use crate::units::{LayerId, MediaKind, NtpTime, PayloadType, Time};

use super::Downtrack;
use super::content::Picture;
use super::sieve::{Sifted, Verdict};
use super::sound::Turn;

/// What made one outgoing packet; rendering it twice gives the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Outgoing packet index (ROC << 16 | sequence).
    pub index: u64,
    /// Outgoing RTP timestamp.
    pub timestamp: u32,
    /// As the subscriber numbers it.
    pub payload_type: PayloadType,
    /// The source packet's layer.
    pub layer: LayerId,
    /// The source packet's index in its layer.
    pub source_index: u64,
    /// Outgoing numbers of the picture, where the packet has places for them.
    pub picture: Option<Numbers>,
    /// The marker bit.
    pub marker: bool,
    /// What its dependency descriptor says of decode targets; `None`: what the publisher's does.
    pub active: Option<ActiveTargets>,
    /// Nothing of the payload is sent: the packet was left out, and only fills the hole it had left by coming late.
    pub empty: bool,
    /// The source packet before goes with it, as redundancy: so many ticks behind.
    pub carries_before: Option<u16>,
    /// Its number on the subscriber's transport, where that was negotiated.
    pub transport_number: Option<u16>,
    /// Bytes of padding behind the payload.
    pub padding: u8,
}

/// What becomes of one source packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Send it, so stamped.
    Keep(Stamp),
    /// Do not.
    Skip(SkipReason),
}

/// Why a source packet is not sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Waiting for a key frame on this, the wanted layer; the caller asks for one.
    AwaitingKeyFrame,
    /// Not the current layer.
    OtherLayer,
    /// Of the current layer, but above the spatial or temporal layer that the subscriber is to have of it.
    LeftOut,
    /// The subscriber does not take this format.
    Format,
    /// Older than anything that can still be placed in sequence, or already sent.
    TooLate,
    /// Padding only; compacted away.
    Padding,
    /// The subscriber wants nothing for now.
    Paused,
    /// The link to the subscriber has no room for it.
    Withheld,
}

/// One opened packet as the router hands it to each downtrack.
pub struct Source<'a> {
    /// Which layer of the track it came on.
    pub layer: LayerId,
    /// Authenticated packet index (ROC << 16 | sequence).
    pub index: u64,
    /// Its parsed header.
    pub header: &'a Header,
    /// The whole plain packet.
    pub packet: &'a [u8],
    /// Whether it starts a key frame.
    pub key_frame: bool,
    /// The relay's clock and this layer's, when a sender report has come, to align sources on a switch.
    pub mapping: Option<(NtpTime, u32)>,
    /// What its dependency descriptor says, where it has one that can be read.
    pub dependency: Option<&'a Dependency>,
    /// The source packet before, where it is at hand.
    pub before: Option<CachedPacket<'a>>,
    /// The number that is next on the subscriber's transport: taken when the packet is kept and carries one.
    pub transport_number: u16,
    /// Bytes of padding to send behind its payload.
    pub padding: u8,
}

impl Downtrack {
    /// Decides about one source packet. A kept one must be sent: its stamp is remembered for a subscriber that may ask
    /// for it again.
    pub fn forward(&mut self, now: Time, source: &Source<'_>) -> Decision {
        if self.wish.paused {
            return Decision::Skip(SkipReason::Paused);
        }
        if self.is_withheld() {
            return Decision::Skip(SkipReason::Withheld);
        }
        let playing = self.current.filter(|_| !self.interrupted);
        if playing == Some(source.layer) {
            return self.follow(now, source);
        }
        let can_begin = self.kind == MediaKind::Audio || source.key_frame;
        let is_start = playing.is_none() && source.key_frame && self.may_begin_with(source.layer);
        let is_wanted = source.layer == self.target || is_start;
        match (is_wanted, can_begin) {
            (false, _) => Decision::Skip(SkipReason::OtherLayer),
            (true, false) => Decision::Skip(SkipReason::AwaitingKeyFrame),
            (true, true) => self.enter(now, source),
        }
    }

    /// A packet of the current layer.
    fn follow(&mut self, now: Time, source: &Source<'_>) -> Decision {
        self.translation.turn_to(source.header.payload_type);
        let ahead = self.continuity.is_ahead(source.index);
        let payload_type = match self.admit(source) {
            Ok(payload_type) => payload_type,
            // Late padding is no longer to be compacted away: what came after it has its number already. Its hole is
            // filled with an empty packet, lest the subscriber asks for it again and again.
            Err((SkipReason::Padding, payload_type)) if !ahead => payload_type,
            Err((reason, _)) => {
                self.continuity.skip(source.index);
                return Decision::Skip(reason);
            }
        };
        let picture = self.read(source);
        let sifted = self.sift(source, &picture, ahead);
        if ahead && sifted.verdict != Verdict::Keep {
            self.continuity.skip(source.index);
            if sifted.is_first && picture.counts_pictures {
                self.pictures.leave_out(source.index);
            }
            return Decision::Skip(match sifted.verdict {
                Verdict::AwaitKeyFrame => SkipReason::AwaitingKeyFrame,
                Verdict::Keep | Verdict::LeaveOut => SkipReason::LeftOut,
            });
        }
        match self.continuity.place(source.index) {
            Some(index) => self.keep(now, source, &picture.shown, sifted, (index, payload_type)),
            None => Decision::Skip(SkipReason::TooLate),
        }
    }

    /// The first packet from another layer, or after an interruption.
    fn enter(&mut self, now: Time, source: &Source<'_>) -> Decision {
        let payload_type = match self.admit(source) {
            Ok(payload_type) => payload_type,
            Err((reason, _)) => return Decision::Skip(reason),
        };
        let resumed = self.current == Some(source.layer);
        let index = if resumed {
            self.continuity.resume(source.index)
        } else {
            self.join(now, source)
        };
        let Some(index) = index else {
            return Decision::Skip(SkipReason::TooLate);
        };
        self.interrupted = false;
        let picture = self.read(source);
        if resumed {
            self.pictures.resume(source.index, &picture.shown);
        } else {
            self.pictures.join(source.index, &picture.shown);
        }
        self.sieve.begin();
        let sifted = self.sift(source, &picture, true);
        self.keep(now, source, &picture.shown, sifted, (index, payload_type))
    }

    fn sift(&mut self, source: &Source<'_>, picture: &Picture<'_>, ahead: bool) -> Sifted {
        match &picture.frame {
            Some(frame) if ahead => self.sieve.sift(frame, source.key_frame),
            Some(frame) => self.sieve.sift_late(frame),
            None => Sifted::whole(),
        }
    }

    fn join(&mut self, now: Time, source: &Source<'_>) -> Option<u64> {
        let left_at = *self.left_at.get(usize::from(source.layer.0))?;
        if left_at.is_some_and(|left_at| source.index <= left_at) {
            return None;
        }
        if let Some(current) = self.current.replace(source.layer)
            && let Some(left_at) = self.left_at.get_mut(usize::from(current.0))
        {
            *left_at = self.continuity.frontier();
        }
        self.timeline
            .join(now, source.header.timestamp, source.mapping);
        Some(self.continuity.join(source.index))
    }

    fn keep(
        &mut self,
        now: Time,
        source: &Source<'_>,
        shown: &Shown,
        sifted: Sifted,
        (index, payload_type): (u64, PayloadType),
    ) -> Decision {
        let empty = sifted.verdict != Verdict::Keep;
        let picture = if shown.is_any() && !empty {
            match self.pictures.place(source.index, shown) {
                None => return Decision::Skip(SkipReason::TooLate),
                numbers => numbers,
            }
        } else {
            None
        };
        let stamp = Stamp {
            index,
            timestamp: self.timeline.translate(source.header.timestamp),
            payload_type,
            layer: source.layer,
            source_index: source.index,
            picture,
            marker: (source.header.marker || sifted.ends_picture) && !empty,
            active: sifted.active,
            empty,
            carries_before: self.redundancy(source),
            transport_number: self.is_numbered().then_some(source.transport_number),
            padding: source.padding,
        };
        if self.continuity.is_newest(index) {
            self.timeline.advance(now, stamp.timestamp, source.mapping);
        }
        if self.nack {
            self.history.insert(now, stamp);
        }
        Decision::Keep(stamp)
    }

    /// The payload type for the subscriber. A padding-only packet is refused with the type it would have had.
    fn admit(&self, source: &Source<'_>) -> Result<PayloadType, (SkipReason, PayloadType)> {
        let theirs = source.header.payload_type;
        let Some(ours) = self.translation.payload_type(theirs) else {
            return Err((SkipReason::Format, theirs));
        };
        let payload = source.header.payload(source.packet).unwrap_or_default();
        let sound = &self.translation.sound;
        let strips = sound.turn(self.translation.codec(theirs)) == Turn::Strip;
        let sent = if strips && !payload.is_empty() {
            let stripped = sound.stripped(payload);
            stripped.ok_or((SkipReason::Format, ours))?
        } else {
            payload
        };
        if sent.is_empty() {
            return Err((SkipReason::Padding, ours));
        }
        Ok(ours)
    }
}
