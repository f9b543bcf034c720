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
//! - pictures of VP8 are numbered on without a gap from one source to the next, and over an interruption.
pub(crate) mod budget;
mod continuity;
mod history;
mod pictures;
mod repair;
mod reports;
mod timeline;
mod translation;
mod wish;

use std::time::Duration;

use crate::command::{DowntrackSpec, TrackSpec};
use crate::layers::LayerSet;
use crate::rtcp::{ReportBlock, SenderInfo};
use crate::rtp::{self, Header, NewHeader};
use crate::units::{LayerId, MediaKind, NtpTime, PayloadType, Ssrc, Time};
use crate::vp8::{self, Descriptor, Numbers};

use continuity::Continuity;
use history::History;
use pictures::Pictures;
use reports::Reports;
use timeline::Timeline;
use translation::Translation;

pub use repair::RepairStream;
pub use wish::{Allowed, Wish};

/// Packets of a video stream that can be sent again: one second of a 10 Mbit/s stream in 1200-byte packets. The cache
/// of its source needs no more.
pub const VIDEO_HISTORY: usize = 1024;

/// Packets of an audio stream that can be sent again: 2.5 seconds at 20 ms a packet.
pub const AUDIO_HISTORY: usize = 128;

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
    /// Outgoing numbers of the picture, where VP8 has places for them.
    pub picture: Option<Numbers>,
    /// Its number on the subscriber's transport, where that was negotiated.
    pub transport_number: Option<u16>,
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
    /// Publisher's clocks for this layer, when a sender report has come, to align layers on a switch.
    pub mapping: Option<(NtpTime, u32)>,
    /// The number that is next on the subscriber's transport: taken when the packet is kept and carries one.
    pub transport_number: u16,
}

/// One outgoing stream of one track to one subscriber.
pub struct Downtrack {
    ssrc: Ssrc,
    kind: MediaKind,
    nack: bool,
    translation: Translation,
    /// The layer forwarded now, if any was yet.
    current: Option<LayerId>,
    /// What the subscriber asked for.
    wish: Wish,
    /// What of it the link has room for.
    allowed: Allowed,
    /// The layer to forward from its next key frame on; before that a lower layer's key frame begins the picture.
    target: LayerId,
    /// Packets were withheld: go on at a key frame, without a hole.
    interrupted: bool,
    /// By layer, the highest source index seen when it was last left, below which it is not entered again.
    left_at: Vec<Option<u64>>,
    continuity: Continuity,
    timeline: Timeline,
    pictures: Pictures,
    history: History,
    reports: Reports,
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
            interrupted: false,
            left_at: vec![None; track.encodings.len().max(1)],
            continuity: Continuity::new(first, history as u64),
            timeline: Timeline::new(track.clock_rate, first_timestamp),
            pictures: Pictures::default(),
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
        self.wish = wish;
    }

    /// Whether the subscriber wants nothing for now.
    pub fn is_paused(&self) -> bool {
        self.wish.paused
    }

    /// What the subscriber asked for.
    pub fn wish(&self) -> Wish {
        self.wish
    }

    /// What the link has room for, of whatever is wished; [`Downtrack::aim`] makes a target of it. Nothing withholds
    /// packets from now on, as [`Downtrack::interrupt`] does.
    pub fn set_allowed(&mut self, allowed: Allowed) {
        if allowed == Allowed::Nothing {
            self.interrupt();
        }
        self.allowed = allowed;
    }

    /// What the link has room for.
    pub fn allowed(&self) -> Allowed {
        self.allowed
    }

    /// Whether the link has no room for it.
    pub fn is_withheld(&self) -> bool {
        self.allowed == Allowed::Nothing
    }

    /// Whether packets of this layer may be kept: those of any other are skipped whatever they are.
    pub fn may_take(&self, layer: LayerId) -> bool {
        let playing = self.current.filter(|_| !self.interrupted);
        layer == self.target || playing.map_or(layer < self.target, |current| current == layer)
    }

    /// Whether its packets carry transport-wide numbers.
    pub fn is_numbered(&self) -> bool {
        self.translation.transport_sequence().is_some()
    }

    /// Aim at what comes closest to the wish, as far as it is allowed, while these layers are live; where none is, the
    /// target stays.
    pub fn aim(&mut self, live: LayerSet) {
        if let Some(target) = self.wish.target(live, self.allowed) {
            self.set_target(target);
        }
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
        let settled = self.current == Some(self.target) && !self.interrupted;
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
        self.current = None;
        self.target = LayerId(0);
        self.interrupted = false;
        self.timeline.forget_mapping();
    }

    /// Decides about one source packet. A kept one must be sent: its stamp is remembered for resends.
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
        let is_start = playing.is_none() && source.key_frame && source.layer < self.target;
        let is_wanted = source.layer == self.target || is_start;
        match (is_wanted, can_begin) {
            (false, _) => Decision::Skip(SkipReason::OtherLayer),
            (true, false) => Decision::Skip(SkipReason::AwaitingKeyFrame),
            (true, true) => self.enter(now, source),
        }
    }

    /// Appends header, translated extensions and payload to `out`; returns the header's length.
    /// CSRCs and padding are left out: they belong to the publisher's leg.
    pub fn render(
        &self,
        stamp: &Stamp,
        header: &Header,
        packet: &[u8],
        out: &mut Vec<u8>,
    ) -> usize {
        let outgoing = NewHeader {
            marker: header.marker,
            payload_type: stamp.payload_type,
            sequence: stamp.index as u16,
            timestamp: stamp.timestamp,
            ssrc: self.ssrc,
        };
        let extensions = header
            .extensions(packet)
            .filter_map(|(id, value)| Some((self.translation.extension(id)?, value)));
        let number = stamp.transport_number.map(u16::to_be_bytes);
        let own = self.translation.transport_sequence();
        let extensions = own
            .zip(number.as_ref())
            .map(|(id, number)| (id, &number[..]))
            .into_iter()
            .chain(extensions);
        let len = rtp::write_header(out, &outgoing, extensions);
        let payload = out.len();
        out.extend_from_slice(header.payload(packet).unwrap_or_default());
        if let Some(numbers) = &stamp.picture {
            vp8::renumber(&mut out[payload..], numbers);
        }
        len
    }

    /// Stamps still remembered for these lost sequence numbers, at most once per round trip each, bounded per second.
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
            let stamp = newest
                .checked_sub(age)
                .and_then(|index| self.history.resend(now, index, round_trip));
            out.extend(stamp);
        }
    }

    /// What was sent so many packets ago, if it can still be sent again.
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
        self.reports
            .issue(now, ntp, self.timeline.translate(rtp_time))
    }

    /// Counts what was sent, for the sender report: payload octets.
    pub fn sent(&mut self, octets: usize) {
        self.reports.sent(octets);
    }

    /// A packet of the current layer.
    fn follow(&mut self, now: Time, source: &Source<'_>) -> Decision {
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
        match self.continuity.place(source.index) {
            Some(index) if ahead || self.history.has_room(index, self.continuity.newest()) => {
                self.keep(now, source, index, payload_type)
            }
            _ => Decision::Skip(SkipReason::TooLate),
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
        if let Some(descriptor) = self.descriptor(source) {
            if resumed {
                self.pictures.resume(source.index, &descriptor);
            } else {
                self.pictures.join(source.index, &descriptor);
            }
        }
        self.keep(now, source, index, payload_type)
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
        index: u64,
        payload_type: PayloadType,
    ) -> Decision {
        let picture = match self.descriptor(source).filter(Descriptor::has_numbers) {
            Some(descriptor) => match self.pictures.place(source.index, &descriptor) {
                None => return Decision::Skip(SkipReason::TooLate),
                numbers => numbers,
            },
            None => None,
        };
        let stamp = Stamp {
            index,
            timestamp: self.timeline.translate(source.header.timestamp),
            payload_type,
            layer: source.layer,
            source_index: source.index,
            picture,
            transport_number: self.is_numbered().then_some(source.transport_number),
        };
        if self.continuity.newest() == Some(index) {
            self.timeline.advance(now, stamp.timestamp, source.mapping);
        }
        self.history.insert(now, stamp);
        Decision::Keep(stamp)
    }

    /// What VP8 says of a packet ahead of its picture.
    fn descriptor(&self, source: &Source<'_>) -> Option<Descriptor> {
        if !self.translation.is_vp8(source.header.payload_type) {
            return None;
        }
        Descriptor::parse(source.header.payload(source.packet)?)
    }

    /// The payload type for the subscriber. A padding-only packet is refused with the type it would have had.
    fn admit(&self, source: &Source<'_>) -> Result<PayloadType, (SkipReason, PayloadType)> {
        let theirs = source.header.payload_type;
        let Some(ours) = self.translation.payload_type(theirs) else {
            return Err((SkipReason::Format, theirs));
        };
        match source.header.payload(source.packet) {
            Some([_, ..]) => Ok(ours),
            _ => Err((SkipReason::Padding, ours)),
        }
    }
}

#[cfg(test)]
mod tests;
