//! One outgoing stream: its own SSRC, sequence and timestamp space, and a current source (DESIGN 2.7).
//!
//! Deciding and writing are apart: [`Downtrack::forward`] decides and yields a [`Stamp`], everything in which the
//! outgoing packet differs from its source; [`Downtrack::render`] is a pure function of stamp and source. So a resend
//! renders the same stamp again and seals to the very same bytes, and no (key, SSRC, index) ever seals two contents
//! (DESIGN 2.8).
//!
//! Laws, each with a property test in `tests/downtrack_continuity.rs`:
//! - an outgoing index is given to one source packet, once;
//! - kept packets of a layer keep their order; what was withheld on purpose leaves no hole, what was lost does;
//! - timestamps never go back from one source to the next;
//! - pictures are numbered on without a gap from one source to the next, over an interruption, and, where receivers
//!   wait for gaps (VP8), over pictures left out.
pub(crate) mod budget;
mod content;
mod continuity;
mod decision;
mod history;
mod holes;
mod pictures;
mod repair;
mod reports;
mod sieve;
mod sound;
mod timeline;
mod translation;
mod wish;

use std::time::Duration;

use crate::cache::CachedPacket;
use crate::command::{DowntrackSpec, TrackSpec};
use crate::layers::LayerSet;
use crate::rtcp::{ReportBlock, SenderInfo};
use crate::rtp::{self, NewHeader};
use crate::units::{Codec, LayerId, MediaKind, NtpTime, Ssrc, Time};
use crate::{vp8, vp9};

use continuity::Continuity;
use history::History;
use pictures::Pictures;
use reports::{Reports, Tally};
use sieve::{Ceiling, Sieve};
use timeline::Timeline;
use translation::Translation;

pub use decision::{Decision, SkipReason, Source, Stamp};
pub use repair::RepairStream;
pub use wish::{Allowed, Wish};

/// Packets of a video stream that can be sent again: one second of a 10 Mbit/s stream in 1200-byte packets. The cache
/// of its source needs no more.
pub const VIDEO_HISTORY: usize = 1024;

/// Packets of an audio stream that can be sent again: 2.5 seconds at 20 ms a packet.
pub const AUDIO_HISTORY: usize = 128;

/// One outgoing stream of one track to one subscriber.
///
/// What every packet needs stands first and together (`repr(C)` keeps it so, here and in the parts): a relay has more
/// of these than a processor's cache holds, and each line of it that is not there costs as much as sealing a voice packet.
#[repr(C)]
pub struct Downtrack {
    /// What the subscriber asked for.
    wish: Wish,
    /// What of it the link has room for.
    allowed: Allowed,
    /// The layer forwarded now, if any was yet.
    current: Option<LayerId>,
    /// The layer to forward from its next key frame on; before that a lower layer's key frame begins the picture.
    target: LayerId,
    /// Packets were withheld: go on at a key frame, without a hole.
    interrupted: bool,
    kind: MediaKind,
    nack: bool,
    ssrc: Ssrc,
    translation: Translation,
    continuity: Continuity,
    sent: Tally,
    timeline: Timeline,
    history: History,
    reports: Reports,
    pictures: Pictures,
    sieve: Sieve,
    /// The only layer that is ever forwarded, whatever lives.
    held_to: Option<LayerId>,
    /// By layer, the highest source index seen when it was last left, below which it is not entered again.
    left_at: Vec<Option<u64>>,
    /// The highest temporal layer that answers the frame rate wished for.
    wished_temporal: Option<u8>,
    /// The highest temporal layer there is room for.
    allowed_temporal: Option<u8>,
}

impl Downtrack {
    /// `first_sequence` must be below 2^15, `first_timestamp` random; both from the caller's entropy.
    /// Aims at layer 0 until told otherwise.
    pub fn new(
        spec: &DowntrackSpec,
        track: &TrackSpec,
        first_sequence: u16,
        first_timestamp: u32,
    ) -> Self {
        let history = match track.kind {
            MediaKind::Audio => AUDIO_HISTORY,
            MediaKind::Video => VIDEO_HISTORY,
        };
        // A receiver that joins late guesses the roll-over count from the first sequence number, so it must not be
        // about to roll over (RFC 3711 section 3.3.1).
        let first = u64::from(first_sequence & 0x7fff);
        Downtrack {
            ssrc: spec.ssrc,
            kind: track.kind,
            nack: spec.nack,
            translation: Translation::new(spec, track),
            current: None,
            wish: Wish::default(),
            allowed: Allowed::All,
            target: LayerId(0),
            held_to: None,
            interrupted: false,
            left_at: vec![None; track.encodings.len().max(1)],
            wished_temporal: None,
            allowed_temporal: None,
            sieve: Sieve::default(),
            continuity: Continuity::new(first, history as u64),
            timeline: Timeline::new(track.clock_rate, first_timestamp),
            pictures: Pictures::default(),
            sent: Tally::default(),
            history: History::new(first, history),
            reports: Reports::default(),
        }
    }

    /// Our SSRC towards this subscriber.
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Sound or picture.
    pub fn kind(&self) -> MediaKind {
        self.kind
    }

    /// The layer forwarded now; `None` before the first packet.
    pub fn current_layer(&self) -> Option<LayerId> {
        self.current
    }

    /// The subscriber chooses; [`Downtrack::aim`] makes a target of it. A pause withholds packets from now on, as
    /// [`Downtrack::interrupt`] does.
    pub fn set_wish(&mut self, wish: Wish) {
        if wish.paused {
            self.interrupt();
        }
        if wish.frame_rate.is_none() {
            self.wished_temporal = None;
        }
        self.wish = wish;
        self.settle_ceiling();
    }

    /// What the subscriber chose.
    pub fn wish(&self) -> Wish {
        self.wish
    }

    /// The temporal layer that was last said to answer the wish for a frame rate.
    pub fn wished_temporal(&self) -> Option<u8> {
        self.wished_temporal
    }

    /// The highest temporal layer that answers the frame rate the subscriber wished for; `None` for all. Less holds
    /// from the next picture on, more from where the stream can be gone on with.
    pub fn set_wished_temporal(&mut self, highest: Option<u8>) {
        self.wished_temporal = highest;
        self.settle_ceiling();
    }

    /// The highest temporal layer that the link has room for, beside the wish; `None` for all.
    pub fn set_allowed_temporal(&mut self, highest: Option<u8>) {
        self.allowed_temporal = highest;
        self.settle_ceiling();
    }

    /// The highest temporal layer that the link was last said to have room for.
    pub fn allowed_temporal(&self) -> Option<u8> {
        self.allowed_temporal
    }

    /// A track of one encoding has its layers within the stream, so that there the wish, and what the link has room for,
    /// is a spatial layer.
    fn settle_ceiling(&mut self) {
        let is_single = self.left_at.len() == 1;
        let room = match self.allowed {
            Allowed::UpTo(layer) => Some(layer),
            Allowed::All | Allowed::Nothing => None,
        };
        let spatial = [self.wish.layer, room].into_iter().flatten().min();
        let temporal = [self.wished_temporal, self.allowed_temporal];
        self.sieve.set_ceiling(Ceiling {
            spatial: spatial.filter(|_| is_single).map(|layer| layer.0),
            temporal: temporal.into_iter().flatten().min(),
        });
    }

    /// Whether the subscriber wants nothing for now.
    pub fn is_paused(&self) -> bool {
        self.wish.paused
    }

    /// What the link has room for, of whatever is wished; [`Downtrack::aim`] makes a target of it. Nothing withholds
    /// packets from now on, as [`Downtrack::interrupt`] does.
    pub fn set_allowed(&mut self, allowed: Allowed) {
        if allowed == Allowed::Nothing {
            self.interrupt();
        }
        self.allowed = allowed;
        self.settle_ceiling();
    }

    /// What the link has room for.
    pub fn allowed(&self) -> Allowed {
        self.allowed
    }

    /// Whether the link was last said to have no room for all of it.
    pub fn is_limited(&self) -> bool {
        self.allowed != Allowed::All || self.allowed_temporal.is_some()
    }

    /// Whether the link has no room for it.
    pub fn is_withheld(&self) -> bool {
        self.allowed == Allowed::Nothing
    }

    /// Whether packets of this layer may be kept: those of any other are skipped whatever they are.
    pub fn may_take(&self, layer: LayerId) -> bool {
        let playing = self.current.filter(|_| !self.interrupted);
        layer == self.target
            || playing.map_or(self.may_begin_with(layer), |current| current == layer)
    }

    /// Whether a picture that waits for the target may begin with this layer, for being there sooner.
    fn may_begin_with(&self, layer: LayerId) -> bool {
        layer < self.target && self.held_to.is_none()
    }

    /// Whether a lost packet of this layer still helps: once another layer plays, or the picture waits to begin anew, the
    /// key frame makes up for all that was before it.
    pub fn wants_again(&self, layer: LayerId) -> bool {
        self.kind == MediaKind::Audio || self.current == Some(layer) && !self.interrupted
    }

    /// Whether its packets carry transport-wide numbers.
    pub fn is_numbered(&self) -> bool {
        self.translation.transport_sequence().is_some()
    }

    /// Aim at what comes closest to the wish, as far as it is allowed, while these layers are live; where none is, the
    /// target stays.
    pub fn aim(&mut self, live: LayerSet) {
        let wished = self.wish.target(live, self.allowed);
        if let Some(target) = self.held_to.or(wished) {
            self.set_target(target);
        }
    }

    /// Forward this layer alone from the beginning on, and nothing while it is not there: whoever is at the other end
    /// chooses among all of them.
    pub fn hold_to(&mut self, layer: LayerId) {
        self.held_to = Some(layer);
        self.set_target(layer);
    }

    /// The only layer that is ever forwarded, if it is one.
    pub fn held_to(&self) -> Option<LayerId> {
        self.held_to
    }

    /// Aim at a layer; the switch happens at that layer's next key frame (at once for audio), and until then the
    /// current layer goes on. Where none goes on, the first key frame of that layer or a lower one begins the picture,
    /// since a small one at once is better than a large one later. A layer that the track does not have is ignored.
    pub fn set_target(&mut self, layer: LayerId) {
        if usize::from(layer.0) < self.left_at.len() {
            self.target = layer;
        }
    }

    /// Layer on which a key frame is needed, if any.
    pub fn wants_key_frame(&self) -> Option<LayerId> {
        let settled = self.current == Some(self.target)
            && !self.interrupted
            && !self.sieve.awaits_key_frame();
        let idle = self.wish.paused || self.is_withheld();
        let wanted = self.kind == MediaKind::Video && !settled && !idle;
        wanted.then_some(self.target)
    }

    /// The caller withholds packets of this track (muted, gated): the next one forwarded follows the last without a
    /// hole, and video goes on at a key frame. Call once at the end or at any time during the pause.
    pub fn interrupt(&mut self) {
        self.interrupted = self.current.is_some();
    }

    /// A layer's stream began anew under another SSRC: its indexes and timestamps mean other packets from now on, so
    /// none of the old ones is resent and the new ones join as from another source.
    pub fn restart_source(&mut self, layer: LayerId) {
        self.history.forget(layer);
        if let Some(left_at) = self.left_at.get_mut(usize::from(layer.0)) {
            *left_at = None;
        }
        if self.current == Some(layer) {
            self.current = None;
            self.interrupted = false;
            self.timeline.forget_mapping();
        }
    }

    /// Carries another track of the same kind from now on; `spec` is how the subscriber takes that one. Its first packet
    /// follows the last one sent, in sequence and in time, and nothing of the old track is resent.
    pub fn change_source(&mut self, spec: &DowntrackSpec, track: &TrackSpec) {
        self.translation = Translation::new(spec, track);
        self.history.forget_all();
        self.left_at = vec![None; track.encodings.len().max(1)];
        self.settle_ceiling();
        self.current = None;
        self.target = LayerId(0);
        self.interrupted = false;
    }

    /// Appends header, translated extensions, payload and our padding to `out`; returns the header's length. CSRCs and the
    /// publisher's padding are left out: they belong to its leg. `None`, and nothing appended, when the packet before, which went
    /// with it, is no longer kept: it cannot be the same bytes again.
    pub fn render(
        &self,
        stamp: &Stamp,
        source: &CachedPacket<'_>,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let (header, packet) = (source.header, source.bytes);
        let before = match stamp.carries_before {
            Some(offset) => Some((u32::from(offset), source.before()?)),
            None => None,
        };
        let outgoing = NewHeader {
            marker: stamp.marker,
            payload_type: stamp.payload_type,
            sequence: stamp.index as u16,
            timestamp: stamp.timestamp,
            ssrc: self.ssrc,
        };
        let descriptor = self.descriptor_of(stamp, header, packet);
        let extensions = header.extensions(packet).filter_map(|(id, value)| {
            let ours = self.translation.extension(id)?;
            let rewritten = descriptor.as_deref();
            let rewritten = rewritten.filter(|_| self.translation.is_descriptor(id));
            Some((ours, rewritten.unwrap_or(value)))
        });
        let start = out.len();
        let number = stamp.transport_number.map(u16::to_be_bytes);
        let own = self.translation.transport_sequence();
        let extensions = own
            .zip(number.as_ref())
            .map(|(id, number)| (id, &number[..]))
            .into_iter()
            .chain(extensions);
        let len = rtp::write_header(out, &outgoing, extensions);
        if stamp.empty {
            return Some(len);
        }
        let payload = out.len();
        let codec = self.translation.codec(header.payload_type);
        let before = before
            .as_ref()
            .map(|(offset, before)| (*offset, before.payload()));
        let sound = &self.translation.sound;
        sound.write(sound.turn(codec), before, source.payload(), out);
        if let Some(numbers) = &stamp.picture {
            match codec {
                Some(Codec::Vp8) => vp8::renumber(&mut out[payload..], numbers),
                Some(Codec::Vp9) => vp9::renumber(&mut out[payload..], numbers),
                _ => {}
            }
        }
        rtp::pad(out, start, stamp.padding);
        Some(len)
    }

    /// Stamps still remembered for these lost sequence numbers, at most once per round trip each, bounded per second.
    /// What would help no more is left out before it is counted: a receiver goes on asking for all that was before a key
    /// frame while packets of that frame are missing, and only those help.
    /// Nothing for a subscriber that did not negotiate `nack`.
    pub fn on_nack(&mut self, now: Time, lost: &[u16], out: &mut Vec<Stamp>) {
        let Some(newest) = self.continuity.newest() else {
            return;
        };
        if !self.nack {
            return;
        }
        let round_trip = self.reports.round_trip();
        for &sequence in lost {
            let age = u64::from((newest as u16).wrapping_sub(sequence));
            let Some(index) = newest.checked_sub(age) else {
                continue;
            };
            let sent = self.history.stamp(index);
            if sent.is_some_and(|stamp| self.wants_again(stamp.layer)) {
                out.extend(self.history.resend(now, index, round_trip));
            }
        }
    }

    /// What was sent so many packets ago, if it can still be sent again; nothing for a subscriber without `nack`.
    pub fn sent_before(&self, packets: u64) -> Option<Stamp> {
        let index = self.continuity.newest()?.checked_sub(packets)?;
        self.history.stamp(index)
    }

    /// The timestamp of the newest packet, and the id under which a number is written beside it.
    pub fn padding_marks(&self) -> (u32, Option<u8>) {
        let timestamp = self.timeline.latest().unwrap_or_default();
        (timestamp, self.translation.transport_sequence())
    }

    /// A report block of the subscriber; one about another stream is ignored.
    /// Whether it told the round trip anew.
    pub fn on_report(&mut self, now: Time, block: &ReportBlock) -> bool {
        block.ssrc == self.ssrc && self.reports.on_report(now, block)
    }

    /// Round-trip time from the subscriber's reports, once known.
    pub fn round_trip(&self) -> Option<Duration> {
        self.reports.round_trip()
    }

    /// A sender report in the publisher's wall clock and this stream's RTP clock; `None` before the first packet,
    /// before the publisher's own report, or when `layer` is not the current one.
    pub fn sender_report(
        &mut self,
        now: Time,
        mapping: (NtpTime, u32),
        layer: LayerId,
    ) -> Option<SenderInfo> {
        if self.current != Some(layer) {
            return None;
        }
        let (ntp, rtp_time) = mapping;
        let rtp_time = self.timeline.translate(rtp_time);
        self.reports.issue(now, ntp, rtp_time, &self.sent)
    }

    /// Whether there is anything to report: not where nothing was sent for two reports.
    pub fn has_news(&self) -> bool {
        self.reports.has_news(&self.sent)
    }

    /// Nothing is reported any more; the next packet is a first one again.
    pub fn rest(&mut self) {
        self.sent.rest();
    }

    /// Whether any packet was ever sent.
    pub fn has_sent(&self) -> bool {
        self.continuity.newest().is_some()
    }

    /// Counts what was sent, for the sender report: payload octets. Whether it was the first packet, or the first after
    /// a rest.
    pub fn sent(&mut self, octets: usize) -> bool {
        self.sent.add(octets)
    }
}

#[cfg(test)]
mod tests;
