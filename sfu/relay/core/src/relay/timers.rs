//! What is due from time to time: authority, consent, questions, reports, feedback and levels.
//!
//! One tick serves all. Its period is the shortest thing that waits for it, transport feedback; what
//! must be exact (`not_after`) is checked on every packet as well.

use std::time::Duration;

use crate::event::{Condition, Event};
use crate::floor::HOLD;
use crate::peer::PeerKey;
use crate::relay::{Relay, Rng};
use crate::router::{Sink, SinkKey, TrackKey};
use crate::rtcp::{self, ReportBlock};
use crate::units::{LayerId, MediaKind, Ssrc};

/// Transport feedback is due every 50 ms at most.
const TICK: Duration = Duration::from_millis(50);
/// Whoever is at rest is looked at with every so many of them.
const TICKS_OF_REST: usize = 5;
/// Mean time between reports on one stream; each draws between 0.8 and 1.2 of it, so that streams
/// which began together do not report together (RFC 3550 section 6.3.5).
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// RFC 3550 section 6.4.2: the count has five bits.
const MAX_BLOCKS: usize = 31;
/// SDES wants a canonical name for our own reports too; it names nobody.
const OWN_CNAME: &str = "relay";

impl Relay {
    /// Starts ticking with the first peer and stops with the last.
    pub(super) fn schedule(&mut self) {
        if self.peers.is_empty() {
            (self.next_request, self.next_step, self.next_burst) = (None, None, None);
            self.router.gappy.clear();
            self.paced.clear();
            self.bursting.clear();
        }
        self.next_tick = match (self.peers.is_empty(), self.next_tick) {
            (true, _) => None,
            (false, None) => Some(self.now + TICK),
            (false, due) => due,
        };
    }

    pub(super) fn tick(&mut self) {
        self.next_tick = Some(self.now + TICK);
        (self.counters.estimated_now, self.counters.estimate_sum_now) = (0, 0);
        self.note_speech();
        self.ticks = self.ticks.wrapping_add(1);
        // By slab position, so that a peer's part may reach the whole relay.
        for key in 0..self.peers.capacity() {
            let Some(peer) = self.peers.get(key) else {
                continue;
            };
            // Not all in the same tick.
            let its_turn = self.ticks.wrapping_add(key).is_multiple_of(TICKS_OF_REST);
            if !peer.at_rest || its_turn {
                self.tick_peer(key);
                self.rest_peer(key);
            }
        }
        for key in 0..self.router.tracks.capacity() {
            let track = self.router.tracks.get(key);
            if track.is_some_and(|t| t.spec.kind == MediaKind::Video && !t.at_rest) {
                self.settle_track(key);
            }
        }
        if self.next_sender_report.is_some_and(|due| self.now >= due) {
            self.report_sinks();
        }
        if let Some(changes) = self.speakers.poll(self.now) {
            self.events.push_back(Event::Levels { changes });
        }
    }

    /// Who speaks now: what cameras are told apart by.
    fn note_speech(&mut self) {
        let now = self.now;
        self.spoken.retain(|_, spoke| now.since(*spoke) < HOLD);
        for track in self.speakers.speaking(now) {
            let key = self.router.track_keys.get(&track);
            if let Some(track) = key.and_then(|key| self.router.tracks.get(*key)) {
                self.spoken.insert(track.voice, now);
            }
        }
    }

    fn tick_peer(&mut self, key: PeerKey) {
        let now = self.now;
        let peer = &mut self.peers[key];
        if !peer.expired && peer.is_expired(now) {
            peer.expired = true;
            self.counters.peers_expired += 1;
            self.events.push_back(Event::Expired { peer: peer.id });
        }
        if !peer.consent_lost && peer.paths.consent_expired(now) {
            peer.consent_lost = true;
            self.counters.consents_lost += 1;
            self.events.push_back(Event::ConsentLost { peer: peer.id });
            let remotes: Vec<_> = peer.paths.remotes().collect();
            for remote in remotes {
                self.peers[key].paths.forget(remote);
                self.release_address(key, remote);
            }
        }
        while let Some(remote) = self.peers[key].paths.expire(now) {
            if !self.peers[key].paths.knows(remote) {
                self.release_address(key, remote);
            }
        }
        self.peers[key].paths.retire_questions(now);
        self.question_paths(key);
        let peer = &mut self.peers[key];
        if peer.keys.is_none() || peer.consent_lost || peer.is_expired(now) {
            return;
        }
        if now >= peer.next_report {
            self.report_reception(key);
        }
        self.send_transport_feedback(key);
        self.tick_downlink(key);
        self.tell_health(key);
    }

    /// Puts a peer to rest if it is settled. One that is given less than it wishes is not: more may come of a track
    /// that goes on.
    fn rest_peer(&mut self, key: PeerKey) {
        let peer = &self.peers[key];
        let settled = peer.is_settled(self.now, TICK * (TICKS_OF_REST as u32 + 1));
        let mut downtracks = peer.downtracks.values();
        let rests =
            settled && !downtracks.any(|sink| self.router.sinks[*sink].downtrack.is_limited());
        self.peers[key].at_rest = rests;
    }

    /// How well packets go to and from a peer, where that changed.
    fn tell_health(&mut self, key: PeerKey) {
        let now = self.now;
        let peer = &mut self.peers[key];
        let Some(losses) = peer.health.poll(now) else {
            return;
        };
        let mut downtracks = peer.downtracks.values();
        let withheld = downtracks.any(|sink| self.router.sinks[*sink].downtrack.is_withheld());
        let round_trip = peer.round_trip.get();
        let condition = Condition {
            loss_up: losses.up,
            loss_down: losses.down,
            round_trip: round_trip.map(coarse),
            withheld,
            silent: peer.paths.is_silent(now),
        };
        if peer.told != Some(condition) {
            peer.told = Some(condition);
            let peer = peer.id;
            self.events.push_back(Event::Health { peer, condition });
        }
    }

    /// Receiver reports to a publisher: one block for each of its streams that is bound.
    fn report_reception(&mut self, key: PeerKey) {
        let now = self.now;
        let interval = self.report_interval();
        let peer = &mut self.peers[key];
        peer.next_report = now + interval;
        let mut blocks: Vec<ReportBlock> = Vec::new();
        for (ssrc, feed) in peer.streams.feeds() {
            let track = self.router.tracks.get_mut(feed.track);
            let layer = track.and_then(|track| track.layer(feed.layer));
            let Some(stats) = layer.map(|layer| &mut layer.stats) else {
                continue;
            };
            let Some(block) = stats.report(now, ssrc) else {
                continue;
            };
            let (expected, lost) = stats.reported();
            peer.health.on_received(expected, lost);
            blocks.push(block);
        }
        let own = peer.rtcp_ssrc;
        for blocks in blocks.chunks(MAX_BLOCKS) {
            peer.send_rtcp(now, &mut self.outbox, &mut self.counters, |out| {
                rtcp::write_receiver_report(out, own, blocks);
                rtcp::write_cname(out, own, OWN_CNAME);
            });
        }
    }

    fn send_transport_feedback(&mut self, key: PeerKey) {
        let now = self.now;
        let peer = &mut self.peers[key];
        let own = peer.rtcp_ssrc;
        let mut feedback = std::mem::take(&mut self.feedback);
        while peer.arrivals.poll(now, own, &mut feedback) {
            let sent = peer.send_rtcp(now, &mut self.outbox, &mut self.counters, |out| {
                rtcp::write_receiver_report(out, own, &[]);
                out.extend_from_slice(&feedback);
            });
            self.counters.transport_feedback_out += u64::from(sent);
            feedback.clear();
        }
        feedback.clear();
        self.feedback = feedback;
    }

    /// Sender reports of all downtracks for which one is due.
    fn report_sinks(&mut self) {
        self.next_sender_report = None;
        for key in 0..self.router.sinks.capacity() {
            let due = |sink: &Sink| sink.next_report.is_some_and(|due| self.now >= due);
            if self.router.sinks.get(key).is_some_and(due) {
                self.report_sink(key);
            }
            let next = self.router.sinks.get(key).and_then(|s| s.next_report);
            self.next_sender_report = [self.next_sender_report, next].into_iter().flatten().min();
        }
    }

    /// A sender report with SDES for one downtrack, once the publisher's clocks are known. One that rests has none until
    /// its next packet.
    pub(super) fn report_sink(&mut self, key: SinkKey) {
        let now = self.now;
        let interval = self.report_interval();
        let Some(sink) = self.router.sinks.get_mut(key) else {
            return;
        };
        let track = self.router.tracks.get_mut(sink.track);
        let carried = track.zip(sink.downtrack.current_layer());
        let Some((track, layer)) = carried.filter(|_| sink.downtrack.has_news()) else {
            sink.downtrack.rest();
            sink.next_report = None;
            return;
        };
        let mapping = track
            .layer(layer)
            .and_then(|layer| layer.stats.mapping(now));
        // Unknown clocks: `next_report` stays due, so that the first report goes out when they come.
        let Some(mapping) = mapping else { return };
        let Some(info) = sink.downtrack.sender_report(now, mapping, layer) else {
            return;
        };
        sink.next_report = Some(now + interval);
        let ssrc = sink.downtrack.ssrc();
        let cname = &sink.spec.cname;
        self.peers[sink.peer].send_rtcp(now, &mut self.outbox, &mut self.counters, |out| {
            rtcp::write_sender_report(out, ssrc, &info, &[]);
            rtcp::write_cname(out, ssrc, cname);
        });
    }

    /// PLIs that are due on any layer of a track.
    pub(super) fn send_key_frame_requests(&mut self, key: TrackKey) {
        let now = self.now;
        let layers = self
            .router
            .tracks
            .get(key)
            .map_or(0, |track| track.layers.len());
        for layer in (0..layers)
            .filter_map(|layer| u8::try_from(layer).ok())
            .map(LayerId)
        {
            let track = &mut self.router.tracks[key];
            // A layer that was never heard has no SSRC to name; its requests wait.
            let heard = track.layer(layer).filter(|layer| layer.ssrc.is_some());
            if heard.is_some_and(|layer| layer.key_frames.poll(now)) {
                self.send_picture_loss(key, layer);
            }
        }
    }

    pub(super) fn send_picture_loss(&mut self, key: TrackKey, layer: LayerId) {
        let Some(track) = self.router.tracks.get_mut(key) else {
            return;
        };
        let publisher = track.peer;
        let Some(media) = track.layer(layer).and_then(|layer| layer.ssrc) else {
            return;
        };
        let peer = &mut self.peers[publisher];
        let own: Ssrc = peer.rtcp_ssrc;
        let sent = peer.send_rtcp(self.now, &mut self.outbox, &mut self.counters, |out| {
            rtcp::write_receiver_report(out, own, &[]);
            rtcp::write_picture_loss(out, own, media);
        });
        self.counters.key_frame_requests_out += u64::from(sent);
    }

    fn report_interval(&mut self) -> Duration {
        REPORT_INTERVAL * (80 + self.rng.next_u32() % 41) / 100
    }
}

/// A round trip in whole tens of milliseconds: less is no news.
fn coarse(exact: Duration) -> Duration {
    Duration::from_millis(exact.as_millis() as u64 / 10 * 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, IceCredentials};
    use crate::limits::Limits;
    use crate::peer::Keys;
    use crate::srtp::{MasterKey, Opener, Profile, Sealer};
    use crate::units::{PeerId, Time};

    /// A peer with keys, to which a numbered packet was sent in the first millisecond.
    fn sent_to() -> (Relay, PeerKey) {
        let mut relay = Relay::new(Limits::default(), [0; 32]);
        let peer = PeerId(1);
        let local = IceCredentials {
            ufrag: "ours".to_owned(),
            password: "p".repeat(22),
        };
        let opened = relay.handle_command(Time::ZERO, Command::OpenPeer { peer, local });
        assert_eq!(opened, Ok(()));
        let key = relay.peer_keys[&peer];
        let master = MasterKey::new(&[1; 16], &[1; 12]);
        let profile = Profile::AeadAes128Gcm;
        relay.peers[key].keys = Some(Keys {
            sealer: Sealer::new(profile, &master).unwrap(),
            opener: Opener::new(profile, &master).unwrap(),
        });
        relay.peers[key].numbered = 1;
        let first = relay.peers[key].downlink.next_number() as u16;
        let downlink = &mut relay.peers[key].downlink;
        downlink.on_sent(Time::from_millis(1), first, 100);
        (relay, key)
    }

    fn rests_at(relay: &mut Relay, key: PeerKey, millis: u64) -> bool {
        relay.handle_timeout(Time::from_millis(millis));
        relay.peers[key].at_rest
    }

    #[test]
    fn a_subscriber_whose_link_is_measured_rests_once_nothing_was_sent_for_long() {
        let (mut relay, key) = sent_to();
        assert!(!rests_at(&mut relay, key, 1_000));
        assert!(rests_at(&mut relay, key, 6_000));
        relay.peers[key].stir();
        relay.peers[key].numbered = 0;
        assert!(
            rests_at(&mut relay, key, 6_100),
            "who is told nothing that is numbered"
        );
    }
}
