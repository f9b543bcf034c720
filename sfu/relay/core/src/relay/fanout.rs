//! The batch on its way out, one subscriber after another (DESIGN 2.9), in chunks that stay in the
//! processor's cache between sealing and the system call.

use crate::downtrack::{Decision, SkipReason, Source, Wish};
use crate::layers::LayerSet;
use crate::peer::paths::{Path, SlotId};
use crate::peer::{Held, PeerKey};
use crate::relay::Relay;
use crate::relay::levelling::level;
use crate::router::{Arrived, SinkKey, TrackKey, mark};
use crate::units::{LayerId, MediaKind};

/// A chunk ends with the subscriber that fills this; half of a common second-level cache.
const CHUNK: usize = 256 * 1024;

impl Relay {
    /// The rest of the batch, up to a chunk.
    pub(super) fn fan_out_chunk(&mut self) {
        self.level();
        while self.outbox.len() < CHUNK {
            let Some(peer) = self.router.touched.pop() else {
                self.end_batch();
                return;
            };
            self.serve(peer);
        }
    }

    /// The rest of the batch at once, before something else happens.
    pub(super) fn fan_out_all(&mut self) {
        self.level();
        while let Some(peer) = self.router.touched.pop() {
            self.serve(peer);
        }
        self.end_batch();
    }

    /// Makes neighbours in the batch equally long.
    fn level(&mut self) {
        let done = std::mem::replace(&mut self.router.levelled, self.router.batch.len());
        level(&mut self.router.batch[done..]);
    }

    /// Everything of this batch for one subscriber.
    fn serve(&mut self, key: PeerKey) {
        let now = self.now;
        let mut jobs = std::mem::take(&mut self.peers[key].jobs);
        match self.peers[key].destination(now) {
            Ok(to) => {
                self.peers[key].pacer.refill(now);
                // Out of the way of what passes it on; nothing is added to a batch that is being served.
                let batch = std::mem::take(&mut self.router.batch);
                for job in &jobs {
                    let arrived = &batch[job.packet as usize];
                    if self.peers[key].pacer.is_open() {
                        self.pass(key, to, job.sink as SinkKey, arrived);
                    } else {
                        self.pass_or_hold(key, to, job.sink as SinkKey, arrived);
                    }
                }
                self.router.batch = batch;
            }
            Err(held) => {
                self.counters.count_held(held, jobs.len() as u64);
                for job in &jobs {
                    self.router.sinks[job.sink as usize].downtrack.interrupt();
                }
            }
        }
        jobs.clear();
        self.peers[key].jobs = jobs;
    }

    /// Keeps or skips one packet for one downtrack, and sends it now.
    pub(super) fn pass(
        &mut self,
        key: PeerKey,
        to: (SlotId, Path),
        sink_key: SinkKey,
        arrived: &Arrived,
    ) {
        let now = self.now;
        let Some(track) = self.router.tracks.get_mut(arrived.track) else {
            return;
        };
        let layer = &track.layers[usize::from(arrived.layer.0)];
        let sink = &mut self.router.sinks[sink_key];
        let peer = &mut self.peers[key];
        let Some(cached) = layer.cache.get(arrived.index) else {
            self.counters.rtp_skip_too_late += 1;
            return;
        };
        let source = Source {
            layer: arrived.layer,
            index: arrived.index,
            header: cached.header,
            packet: cached.bytes,
            key_frame: arrived.key_frame,
            mapping: arrived.mapping,
            dependency: arrived.dependency.as_ref(),
            before: cached
                .before()
                .filter(|_| track.spec.kind == MediaKind::Audio),
            transport_number: peer.downlink.next_number() as u16,
            padding: arrived.padding,
        };
        let stamp = match sink.downtrack.forward(now, &source) {
            Decision::Keep(stamp) => stamp,
            Decision::Skip(reason) => {
                self.counters.count_skip(reason);
                if reason == SkipReason::AwaitingKeyFrame
                    && let Some(wanted) = sink.downtrack.wants_key_frame()
                    && let Some(layer) = track.layer(wanted)
                {
                    layer.key_frames.request(now);
                    mark(&mut self.router.dirty, arrived.track);
                }
                return;
            }
        };
        let Some(sent) = peer.send_rtp(now, to, &mut self.outbox, &sink.downtrack, &stamp, &cached)
        else {
            self.counters.rtp_skip_allowance += 1;
            return;
        };
        let octets = sink.downtrack.octets(&stamp, &cached);
        self.counters.rtp_out += 1;
        self.counters.rtp_bytes_out += sent as u64;
        if sink.downtrack.sent(octets) {
            sink.next_report = Some(now);
            self.next_sender_report = Some(now);
            self.router.started.push(sink_key);
        }
    }

    pub(super) fn end_batch(&mut self) {
        self.router.batch.clear();
        self.router.levelled = 0;
        while let Some(track) = self.router.dirty.pop() {
            self.settle_track(track);
        }
        while let Some(sink) = self.router.started.pop() {
            self.report_sink(sink);
        }
    }

    /// Aims the downtracks of a track, and asks for the key frames that are due.
    pub(super) fn settle_track(&mut self, key: TrackKey) {
        self.aim_track(key);
        self.send_key_frame_requests(key);
        if let Some(track) = self.router.tracks.get_mut(key) {
            track.at_rest = track.is_settled(self.now);
        }
    }

    /// Aims each downtrack of a track at what comes closest to its wish, where other layers are live than before.
    pub(super) fn aim_track(&mut self, key: TrackKey) {
        let now = self.now;
        self.pace_track(key);
        let Some(track) = self.router.tracks.get_mut(key) else {
            return;
        };
        let live = track.live.live(now);
        if live == LayerSet::default() || live == track.aimed_by {
            return;
        }
        track.aimed_by = live;
        for sink in 0..track.sinks.len() {
            let sink = self.router.tracks[key].sinks[sink];
            self.router.sinks[sink].downtrack.aim(live);
            self.request_key_frame(sink);
        }
    }

    /// Gives each downtrack of a track as many temporal layers as its wish for a frame rate takes, by what they bring now.
    fn pace_track(&mut self, key: TrackKey) {
        let Some(track) = self.router.tracks.get(key) else {
            return;
        };
        for sink in &track.sinks {
            let downtrack = &mut self.router.sinks[*sink].downtrack;
            let Some(wanted) = downtrack.wish().frame_rate else {
                continue;
            };
            let layer = downtrack.current_layer().unwrap_or_default();
            if let Some(layer) = track.layers.get(usize::from(layer.0)) {
                let answer = layer.rates.answer(wanted, downtrack.wished_temporal());
                downtrack.set_wished_temporal(answer);
            }
        }
    }

    /// A subscriber chooses another layer, or pauses or goes on.
    pub(super) fn set_wish(&mut self, key: SinkKey, wish: Wish) {
        let sink = &mut self.router.sinks[key];
        let carried = sink.track;
        sink.downtrack.set_wish(wish);
        // One that stands may carry nothing for now.
        if let Some(track) = self.router.tracks.get(carried) {
            sink.downtrack.aim(track.aimed_by);
            let subscriber = sink.peer;
            self.allocate(subscriber);
            self.request_key_frame(key);
            self.settle_track(carried);
        }
    }

    /// Notes on the right layer that a downtrack cannot go on without a key frame.
    pub(super) fn request_key_frame(&mut self, key: SinkKey) {
        let sink = &self.router.sinks[key];
        if let Some(wanted) = sink.downtrack.wants_key_frame() {
            self.request_layer(sink.track, wanted);
        }
    }

    /// A key frame of this layer is needed.
    pub(super) fn request_layer(&mut self, key: TrackKey, layer: LayerId) {
        let now = self.now;
        let Some(track) = self.router.tracks.get_mut(key) else {
            return;
        };
        track.at_rest = false;
        if let Some(layer) = track.layer(layer) {
            layer.key_frames.request(now);
        }
    }
}

impl crate::counters::Counters {
    fn count_skip(&mut self, reason: SkipReason) {
        *match reason {
            SkipReason::AwaitingKeyFrame => &mut self.rtp_skip_awaiting_key_frame,
            SkipReason::OtherLayer => &mut self.rtp_skip_other_layer,
            SkipReason::LeftOut => &mut self.rtp_skip_left_out,
            SkipReason::Format => &mut self.rtp_skip_format,
            SkipReason::TooLate => &mut self.rtp_skip_too_late,
            SkipReason::Padding => &mut self.rtp_skip_padding,
            SkipReason::Paused => &mut self.rtp_skip_paused,
            SkipReason::Withheld => &mut self.rtp_skip_withheld,
        } += 1;
    }

    pub(super) fn count_held(&mut self, held: Held, packets: u64) {
        *match held {
            Held::Unbound => &mut self.rtp_skip_unbound,
            Held::Consent => &mut self.rtp_skip_consent,
            Held::Expired => &mut self.rtp_skip_expired,
        } += packets;
    }
}
