//! RTP in: open, bind to a track, note, and queue for the fan-out.

use crate::event::Event;
use crate::layers::{Inner, starts_key_frame};
use crate::losses::Place;
use crate::peer::paths::Path;
use crate::peer::streams::{Bound, ExtensionIds, Feed, Refusal};
use crate::peer::{Job, PeerKey};
use crate::relay::Relay;
use crate::relay::bandwidth::OVERHEAD;
use crate::router::{Arrived, Sink, mark};
use crate::rtp::{self, Header};
use crate::srtp::OpenError;
use crate::units::MediaKind;

/// A packet that is known to be its sender's.
pub(super) struct Opened<'a> {
    pub index: u64,
    pub header: &'a Header,
    pub plain: &'a [u8],
    /// It came on a retransmission stream, so the media stream's own statistics go without it (RFC 4588 section 6.3).
    pub recovered: bool,
}

/// What the relay reads of a packet's extensions.
#[derive(Default)]
pub(super) struct Noted<'a> {
    audio_level: Option<(bool, u8)>,
    transport_sequence: Option<u16>,
    dependency_descriptor: Option<&'a [u8]>,
}

impl Relay {
    pub(super) fn on_rtp(&mut self, path: Path, datagram: &mut [u8]) {
        self.counters.rtp_in += 1;
        self.counters.rtp_bytes_in += datagram.len() as u64;
        let Some((key, header, index, len)) = self.open_rtp(path, datagram) else {
            return;
        };
        let plain = &datagram[..len];
        if self.is_batch_full() {
            self.fan_out_all();
        }
        self.note_started(key);
        let peer = &mut self.peers[key];
        let noted = note(peer.streams.ids(), &header, plain);
        if let Some(sequence) = noted.transport_sequence {
            // Whatever becomes of the packet: that it arrived is what the sender wants to know.
            peer.arrivals.on_packet(self.now, sequence, header.ssrc);
        }
        if let Some(feed) = peer.streams.repaired(&header, plain) {
            self.on_repair(key, feed, header, &mut datagram[..len]);
            return;
        }
        match self.find_feed(key, &header, plain) {
            Some(feed) => {
                let packet = Opened {
                    index,
                    header: &header,
                    plain,
                    recovered: false,
                };
                self.accept(feed, &packet, &noted);
            }
            None => self.counters.rtp_drop_unbound += 1,
        }
    }

    /// Tells once that the peer's keys work.
    pub(super) fn note_started(&mut self, key: PeerKey) {
        let peer = &mut self.peers[key];
        if !std::mem::replace(&mut peer.started, true) {
            self.events.push_back(Event::MediaStarted { peer: peer.id });
        }
    }

    fn open_rtp(
        &mut self,
        path: Path,
        datagram: &mut [u8],
    ) -> Option<(PeerKey, Header, u64, usize)> {
        let counters = &mut self.counters;
        let known = self.by_address.get(&path.remote).copied();
        let found = known.and_then(|key| {
            let peer = self.peers.get_mut(key)?;
            let slot = peer.paths.find(path)?;
            Some((key, slot, peer))
        });
        let Some((key, slot, peer)) = found else {
            counters.rtp_drop_stranger += 1;
            return None;
        };
        peer.stir();
        peer.paths.on_bytes(slot, datagram.len());
        if peer.is_expired(self.now) {
            counters.rtp_drop_expired += 1;
            return None;
        }
        let Some(keys) = &peer.keys else {
            counters.rtp_drop_no_keys += 1;
            return None;
        };
        let Ok(header) = Header::parse(datagram) else {
            counters.rtp_drop_malformed += 1;
            return None;
        };
        match peer.streams.open(&keys.opener, &header, datagram) {
            Ok((index, len)) => return Some((key, header, index, len)),
            Err(Refusal::Limit) => counters.rtp_drop_stream_limit += 1,
            Err(Refusal::Srtp(OpenError::Replayed)) => counters.rtp_drop_replayed += 1,
            Err(Refusal::Srtp(OpenError::TooOld)) => counters.rtp_drop_too_old += 1,
            Err(Refusal::Srtp(OpenError::Malformed | OpenError::Unencrypted)) => {
                counters.rtp_drop_malformed += 1;
            }
            Err(Refusal::Srtp(OpenError::BadTag)) => counters.rtp_drop_bad_tag += 1,
        }
        None
    }

    fn find_feed(&mut self, key: PeerKey, header: &Header, plain: &[u8]) -> Option<Feed> {
        let own = match self.peers[key].streams.feed(self.now, header, plain) {
            Some(Bound { feed, restarted }) => {
                if restarted {
                    self.fan_out_all();
                    self.forget_layer_losses(feed);
                    for at in 0..self.router.tracks[feed.track].sinks.len() {
                        let sink = self.router.tracks[feed.track].sinks[at];
                        self.abandon(sink, Some(feed.layer));
                    }
                    self.router.restart_layer(feed.track, feed.layer);
                }
                Some(feed)
            }
            None => None,
        };
        if own.is_none() && !self.limits.defences.keeps_streams_apart() {
            let mut peers = self.peers.iter();
            return peers.find_map(|(_, peer)| peer.streams.declared(header.ssrc));
        }
        own
    }

    pub(super) fn accept(&mut self, feed: Feed, packet: &Opened<'_>, noted: &Noted<'_>) {
        let Opened {
            index,
            header,
            plain,
            recovered,
        } = *packet;
        let now = self.now;
        let track = &mut self.router.tracks[feed.track];
        let Some(codec) = track.codec(header.payload_type) else {
            self.counters.rtp_drop_format += 1;
            return;
        };
        if track.muted {
            self.counters.rtp_drop_muted += 1;
            return;
        }
        let Some(payload) = header.payload(plain) else {
            self.counters.rtp_drop_malformed += 1;
            return;
        };
        let is_video = track.spec.kind == MediaKind::Video;
        let is_simulcast = track.layers.len() > 1;
        let key_frame = is_video && starts_key_frame(codec, payload, noted.dependency_descriptor);
        // A layer that is only probed with shows nothing, and what is not forwarded takes no room on anybody's link.
        let is_padding = is_video && payload.is_empty();
        if !is_padding {
            track.at_rest = false;
            track.live.on_packet(now, feed.layer);
        }
        if is_video && !is_padding && !track.aimed_by.contains(feed.layer) {
            // Before the batch is decided about: this packet may begin the layer's only key frame for long.
            self.aim_track(feed.track);
            mark(&mut self.router.dirty, feed.track);
        }
        let track = &mut self.router.tracks[feed.track];
        let Some(layer) = track.layers.get_mut(usize::from(feed.layer.0)) else {
            return;
        };
        self.counters.rtp_accepted += 1;
        layer.ssrc = Some(header.ssrc);
        if !recovered {
            layer.stats.on_packet(now, index, header.timestamp);
        }
        let place = layer.losses.on_packet(now, index, &mut self.counters);
        let descriptor = noted.dependency_descriptor.filter(|_| is_video);
        let dependency = descriptor.and_then(|bytes| layer.descriptors.read(index, bytes));
        let inner = Inner::read(codec, payload, dependency.as_ref());
        if !is_padding {
            layer.began.get_or_insert(now);
            layer.meters.add(now, plain.len() + OVERHEAD, inner);
        }
        if is_video && place == Place::Ahead {
            layer.rates.on_packet(now, header.timestamp, inner.temporal);
        }
        // What came after it may have been withheld from whoever could begin here: they wait for the next.
        let key_frame = key_frame && place == Place::Ahead;
        layer.cache.insert(index, header, plain);
        if key_frame {
            layer.key_frames.satisfied(now);
            layer.losses.on_key_frame(index, &mut self.counters);
        }
        let due = layer.losses.deadline();
        // Only where there is a second clock to align with.
        let mapping = if is_simulcast {
            layer.stats.mapping(now)
        } else {
            None
        };
        if !std::mem::replace(&mut track.started, true) {
            self.events
                .push_back(Event::TrackStarted { track: track.id });
        }
        if let Some((voice, level)) = noted.audio_level {
            let bytes = payload.len();
            self.speakers.on_level(now, track.id, voice, level, bytes);
        }
        let arrived = Arrived {
            track: feed.track,
            layer: feed.layer,
            index,
            key_frame,
            mapping,
            dependency,
            levelled: if is_video { payload.len() as u16 } else { 0 },
            padding: 0,
        };
        self.enqueue(arrived);
        self.note_place(feed, place, due);
    }

    /// Puts the packet into the batch, and a job before each subscriber.
    fn enqueue(&mut self, arrived: Arrived) {
        let track = &self.router.tracks[arrived.track];
        let packet = self.router.batch.len() as u32;
        self.counters.rtp_offered += track.sinks.len() as u64;
        for sink in &track.sinks {
            let Sink {
                peer, downtrack, ..
            } = &self.router.sinks[*sink];
            if downtrack.is_paused() {
                self.counters.rtp_skip_paused += 1;
                continue;
            }
            if downtrack.is_withheld() {
                self.counters.rtp_skip_withheld += 1;
                continue;
            }
            let subscriber = *peer;
            let jobs = &mut self.peers[subscriber].jobs;
            if jobs.is_empty() {
                self.router.touched.push(subscriber);
            }
            jobs.push(Job {
                packet,
                sink: *sink as u32,
            });
        }
        self.router.batch.push(arrived);
    }
}

pub(super) fn note<'a>(ids: ExtensionIds, header: &Header, plain: &'a [u8]) -> Noted<'a> {
    let mut noted = Noted::default();
    for (id, value) in header.extensions(plain) {
        if id == 0 {
            continue;
        } else if id == ids.transport_sequence {
            noted.transport_sequence = value
                .get(..2)
                .map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
        } else if id == ids.audio_level {
            noted.audio_level = rtp::audio_level(value);
        } else if id == ids.dependency_descriptor {
            noted.dependency_descriptor = Some(value);
        }
    }
    noted
}
