//! Bursts towards a subscriber that find out whether its link takes more. They are made of what waits for the link, else
//! of the last packets once more, which repairs what was just lost; where there are none, of padding. Whatever leaves
//! during one, sound apart, leaves at its rate. Only subscribers with a retransmission stream get any.

use crate::downtrack::Stamp;
use crate::peer::PeerKey;
use crate::peer::downlink::{LEAST_GAP, LONGEST_BURST};
use crate::peer::paths::{Path, SlotId};
use crate::relay::Relay;
use crate::router::SinkKey;
use crate::units::Bitrate;

/// Smaller packets are mostly headers: padding is as good.
const LEAST_RESENT: usize = 200;

/// The most that a count of one byte can say (RFC 3550 section 5.1).
const MOST_PADDING: u8 = 255;

/// What is sent only to be told of is as small as sound.
const LEAST_PADDING: u8 = 40;

impl Relay {
    /// Begins a burst where the subscriber could use so much.
    pub(super) fn begin_burst(&mut self, key: PeerKey, wanted: Bitrate) {
        if self.filler_of(key).is_some() && self.peers[key].downlink.begin_burst(self.now, wanted) {
            self.counters.probe_bursts += 1;
            self.peers[key].pacer.hand_over(true);
            self.bursting.push(key);
            self.next_burst = Some(self.now);
        }
    }

    /// Sends what is due of all bursts under way.
    pub(super) fn step_bursts(&mut self) {
        let now = self.now;
        let mut bursting = std::mem::take(&mut self.bursting);
        let mut next = None;
        bursting.retain(|key| {
            let due = self.step_burst(*key);
            next = [next, due].into_iter().flatten().min();
            due.is_some()
        });
        self.bursting = bursting;
        self.next_burst = next.map(|due| due.max(now + LEAST_GAP));
        self.end_batch();
    }

    /// When the burst goes on, if it does.
    fn step_burst(&mut self, key: PeerKey) -> Option<crate::units::Time> {
        let now = self.now;
        while let Some((began, due)) = self.peers.get(key)?.downlink.burst_due() {
            if due > now {
                return Some(due);
            }
            let peer = &mut self.peers[key];
            let to = peer.destination(now).ok();
            let on_time = now.since(began) <= LONGEST_BURST;
            if !to.is_some_and(|to| on_time && self.send_for_burst(key, to)) {
                self.peers[key].downlink.give_up_burst();
            }
        }
        self.peers[key].pacer.hand_over(false);
        None
    }

    /// One packet; whether there was one.
    fn send_for_burst(&mut self, key: PeerKey, to: (SlotId, Path)) -> bool {
        if let Some(queued) = self.peers[key].pacer.take() {
            self.release(key, to, queued);
            return true;
        }
        self.fill(key, to)
    }

    /// One packet to a subscriber that gets nothing else, so that something is learned of its link.
    pub(super) fn send_filler(&mut self, key: PeerKey) {
        let to = self.peers[key].destination(self.now).ok();
        let Some((to, sink)) = to.zip(self.filler_of(key)) else {
            return;
        };
        if let Some(bytes) = self.send_padding(key, to, sink, LEAST_PADDING) {
            self.counters.probe_padding += 1;
            self.counters.rtp_bytes_out += bytes as u64;
        }
    }

    fn fill(&mut self, key: PeerKey, to: (SlotId, Path)) -> bool {
        let Some(sink) = self.filler_of(key) else {
            return false;
        };
        let sent = match self.recent(key, sink) {
            Some(stamp) => self.send_once_more(key, to, sink, &stamp),
            None => None,
        };
        let sent = match sent {
            Some(bytes) => {
                self.counters.probe_resent += 1;
                Some(bytes)
            }
            None => {
                let padded = self.send_padding(key, to, sink, MOST_PADDING);
                self.counters.probe_padding += u64::from(padded.is_some());
                padded
            }
        };
        let Some(bytes) = sent else { return false };
        self.peers[key].downlink.on_filler(bytes);
        self.counters.rtp_bytes_out += bytes as u64;
        true
    }

    /// A numbered downtrack with a retransmission stream, rather one that was sent to.
    fn filler_of(&self, key: PeerKey) -> Option<SinkKey> {
        let sinks = self.peers.get(key)?.downtracks.values();
        let fit = sinks.filter(|sink| {
            let sink = &self.router.sinks[**sink];
            sink.repair.is_some() && sink.downtrack.is_numbered()
        });
        fit.copied().max_by_key(|sink| {
            let downtrack = &self.router.sinks[*sink].downtrack;
            // The key decides between equals, so that one seed gives one outcome.
            (downtrack.sent_before(0).is_some(), *sink)
        })
    }

    /// A packet sent lately, another one for each packet of the burst.
    fn recent(&self, key: PeerKey, sink: SinkKey) -> Option<Stamp> {
        let age = self.peers[key].downlink.burst_packets()?;
        let sink = &self.router.sinks[sink];
        let stamp = sink.downtrack.sent_before(age as u64)?;
        let track = self.router.tracks.get(sink.track)?;
        let idle = track.muted || sink.downtrack.is_paused() || sink.downtrack.is_withheld();
        let layer = (!idle).then_some(&track.layers)?;
        let layer = layer.get(usize::from(stamp.layer.0))?;
        let cached = layer.cache.get(stamp.source_index)?;
        (cached.bytes.len() >= LEAST_RESENT).then_some(stamp)
    }

    fn send_once_more(
        &mut self,
        key: PeerKey,
        to: (SlotId, Path),
        sink: SinkKey,
        stamp: &Stamp,
    ) -> Option<usize> {
        let sink = &mut self.router.sinks[sink];
        let track = self.router.tracks.get(sink.track)?;
        let layer = track.layers.get(usize::from(stamp.layer.0))?;
        let cached = layer.cache.get(stamp.source_index)?;
        let streams = (&sink.downtrack, sink.repair.as_mut()?);
        let peer = &mut self.peers[key];
        peer.send_rtx(self.now, to, &mut self.outbox, streams, stamp, &cached)
    }

    fn send_padding(
        &mut self,
        key: PeerKey,
        to: (SlotId, Path),
        sink: SinkKey,
        padding: u8,
    ) -> Option<usize> {
        let sink = &mut self.router.sinks[sink];
        let streams = (&sink.downtrack, sink.repair.as_mut()?);
        self.peers[key].send_padding(self.now, to, &mut self.outbox, streams, padding)
    }
}
