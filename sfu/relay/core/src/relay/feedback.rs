//! RTCP in: what publishers report of their clocks, and what subscribers ask for.

use crate::downtrack::Stamp;
use crate::peer::PeerKey;
use crate::peer::paths::{Path, SlotId};
use crate::peer::streams::Refusal;
use crate::relay::Relay;
use crate::router::SinkKey;
use crate::rtcp::{self, Packet, ReportBlock, SenderInfo};
use crate::srtp::OpenError;
use crate::units::{MediaKind, Ssrc};

impl Relay {
    pub(super) fn on_rtcp(&mut self, path: Path, datagram: &mut [u8]) {
        self.counters.rtcp_in += 1;
        let Some((key, len)) = self.open_rtcp(path, datagram) else {
            return;
        };
        self.counters.rtcp_accepted += 1;
        self.note_started(key);
        for packet in rtcp::packets(&datagram[..len]) {
            // The first damaged packet ends the compound: what came before it was whole.
            let Ok(packet) = packet else { break };
            self.on_feedback(key, packet);
        }
    }

    fn open_rtcp(&mut self, path: Path, datagram: &mut [u8]) -> Option<(PeerKey, usize)> {
        let counters = &mut self.counters;
        let known = self.by_address.get(&path.remote).copied();
        let found = known.and_then(|key| {
            let peer = self.peers.get_mut(key)?;
            let slot = peer.paths.find(path)?;
            Some((key, slot, peer))
        });
        let Some((key, slot, peer)) = found else {
            counters.rtcp_drop_stranger += 1;
            return None;
        };
        peer.stir();
        peer.paths.on_bytes(slot, datagram.len());
        if peer.is_expired(self.now) {
            counters.rtcp_drop_expired += 1;
            return None;
        }
        let Some(keys) = &peer.keys else {
            counters.rtcp_drop_no_keys += 1;
            return None;
        };
        match peer.streams.open_rtcp(&keys.opener, datagram) {
            Ok(len) => return Some((key, len)),
            Err(Refusal::Limit) => counters.rtcp_drop_sender_limit += 1,
            Err(Refusal::Srtp(OpenError::Replayed | OpenError::TooOld)) => {
                counters.rtcp_drop_replayed += 1;
            }
            Err(Refusal::Srtp(_)) => counters.rtcp_drop_bad += 1,
        }
        None
    }

    fn on_feedback(&mut self, key: PeerKey, packet: Packet<'_>) {
        match packet {
            Packet::SenderReport {
                sender,
                info,
                reports,
            } => {
                self.on_sender_report(key, sender, &info);
                self.on_reports(key, &reports);
            }
            Packet::ReceiverReport { reports, .. } => self.on_reports(key, &reports),
            Packet::Nack { media, lost, .. } => self.on_nack(key, media, &lost),
            Packet::PictureLoss { media, .. } => self.on_key_frame_request(key, media),
            Packet::FullIntra { entries, .. } => {
                for (media, _) in entries {
                    self.on_key_frame_request(key, media);
                }
            }
            Packet::Bye { sources } => {
                for source in sources {
                    self.peers[key].streams.end(source);
                }
            }
            Packet::TransportFeedback { feedback, .. } => self.on_arrivals(key, &feedback),
            Packet::Description { .. } | Packet::Other { .. } => {}
        }
    }

    fn on_sender_report(&mut self, key: PeerKey, sender: Ssrc, info: &SenderInfo) {
        let Some(feed) = self.peers[key].streams.bound(sender) else {
            return;
        };
        let now = self.now;
        let ntp = self.peers[key].wall_clock.on_report(now, info.ntp);
        let track = self.router.tracks.get_mut(feed.track);
        if let Some(layer) = track.and_then(|track| track.layer(feed.layer)) {
            layer.stats.on_sender_report(now, info, ntp);
        }
    }

    fn on_reports(&mut self, key: PeerKey, reports: &[ReportBlock]) {
        for block in reports {
            if let Some(sink) = self.peers[key].downtracks.get(&block.ssrc) {
                let sink = &mut self.router.sinks[*sink];
                let before = sink.reported.replace(block.highest_sequence);
                let packets =
                    before.map_or(0, |before| block.highest_sequence.wrapping_sub(before));
                // What goes back is a report that was overtaken.
                let packets = if packets < 1 << 31 { packets } else { 0 };
                let health = &mut self.peers[key].health;
                health.on_report(packets, block.fraction_lost);
                let downtrack = &mut sink.downtrack;
                let answered = downtrack.on_report(self.now, block);
                if let Some(round_trip) = downtrack.round_trip().filter(|_| answered) {
                    self.peers[key].round_trip.on_sample(round_trip);
                }
            }
        }
    }

    /// Sends lost packets again. On their own SSRC the same stamp rendered from the same source seals
    /// to the same bytes (DESIGN 2.8); on a retransmission stream each takes an index of its own.
    fn on_nack(&mut self, key: PeerKey, media: Ssrc, lost: &[u16]) {
        self.counters.nack_requested += lost.len() as u64;
        let mut stamps = std::mem::take(&mut self.stamps);
        let resent = self.resend(key, media, lost, &mut stamps);
        stamps.clear();
        self.stamps = stamps;
        self.counters.nack_missed += (lost.len() as u64).saturating_sub(resent);
    }

    /// How many were sent again, or wait for it.
    fn resend(&mut self, key: PeerKey, media: Ssrc, lost: &[u16], stamps: &mut Vec<Stamp>) -> u64 {
        let now = self.now;
        let peer = &mut self.peers[key];
        let (Ok(to), Some(sink)) = (peer.destination(now), peer.downtracks.get(&media)) else {
            return 0;
        };
        let sink_key = *sink;
        peer.pacer.refill(now);
        let downtrack = &mut self.router.sinks[sink_key].downtrack;
        downtrack.on_nack(now, lost, stamps);
        let waits = downtrack.kind() == MediaKind::Video;
        let mut done = 0;
        for stamp in stamps.iter() {
            let resent = if waits && !self.peers[key].pacer.is_open() {
                self.hold_repair(key, sink_key, *stamp)
            } else {
                self.send_again(key, to, sink_key, stamp)
            };
            done += u64::from(resent);
        }
        done
    }

    /// Whether it could be.
    pub(super) fn send_again(
        &mut self,
        key: PeerKey,
        to: (SlotId, Path),
        sink: SinkKey,
        stamp: &Stamp,
    ) -> bool {
        let now = self.now;
        let sink = &mut self.router.sinks[sink];
        // Nothing of a muted track leaves, not even what has left before.
        let track = self.router.tracks.get(sink.track);
        let track = track.filter(|track| !track.muted);
        let track = track.filter(|_| sink.downtrack.wants_again(stamp.layer));
        let layer = track.and_then(|track| track.layers.get(usize::from(stamp.layer.0)));
        let Some(cached) = layer.and_then(|layer| layer.cache.get(stamp.source_index)) else {
            return false;
        };
        let peer = &mut self.peers[key];
        let repair = sink.repair.as_mut();
        let repair = repair.filter(|repair| repair.payload_type(stamp.payload_type).is_some());
        let own_stream = repair.is_some();
        let sent = match repair {
            Some(repair) => {
                let streams = (&sink.downtrack, repair);
                peer.send_rtx(now, to, &mut self.outbox, streams, stamp, &cached)
            }
            None => peer.send_rtp(now, to, &mut self.outbox, &sink.downtrack, stamp, &cached),
        };
        let Some(bytes) = sent else { return false };
        if own_stream {
            self.counters.nack_resent_rtx += 1;
        } else {
            let octets = sink.downtrack.octets(stamp, &cached);
            sink.downtrack.sent(octets);
        }
        self.counters.nack_resent += 1;
        self.counters.rtp_bytes_out += bytes as u64;
        true
    }

    fn on_key_frame_request(&mut self, key: PeerKey, media: Ssrc) {
        let Some(sink) = self.peers[key].downtracks.get(&media).copied() else {
            return;
        };
        self.counters.key_frame_requests_in += 1;
        let sink = &self.router.sinks[sink];
        let track = sink.track;
        if sink.downtrack.is_paused() || sink.downtrack.is_withheld() {
            return;
        }
        let layer = sink
            .downtrack
            .current_layer()
            .or(sink.downtrack.wants_key_frame());
        let Some(layer) = layer else { return };
        if self.limits.defences.gathers_key_frame_requests() {
            self.request_layer(track, layer);
            self.router.mark(track);
        } else {
            self.send_picture_loss(track, layer);
        }
    }
}
