//! Lost packets of publishers: asked for again, and taken in when they come on a stream of their own.

use crate::losses::Place;
use crate::peer::PeerKey;
use crate::peer::streams::{Feed, NotRecovered};
use crate::relay::Relay;
use crate::relay::media::{Opened, note};
use crate::router::{Router, TrackKey};
use crate::rtcp;
use crate::rtp::Header;
use crate::units::{LayerId, Time};

/// Bytes of the original sequence number before the payload (RFC 4588 section 4).
const ORIGINAL_SEQUENCE: usize = 2;

impl Relay {
    /// A packet of a retransmission stream: the packet it carries goes on as if it had come itself.
    pub(super) fn on_repair(
        &mut self,
        key: PeerKey,
        feed: Feed,
        header: Header,
        packet: &mut [u8],
    ) {
        let counters = &mut self.counters;
        let track = &self.router.tracks[feed.track];
        let mut formats = track.spec.repair.formats.iter();
        let Some(format) = formats.find(|format| format.payload_type == header.payload_type) else {
            counters.rtp_drop_format += 1;
            return;
        };
        let sequence = match header.payload(packet) {
            Some([]) => {
                counters.rtp_drop_rtx_padding += 1;
                return;
            }
            Some(&[high, low, ..]) => u16::from_be_bytes([high, low]),
            _ => {
                counters.rtp_drop_malformed += 1;
                return;
            }
        };
        let layer = track.layers.get(usize::from(feed.layer.0));
        let Some(media) = layer.and_then(|layer| layer.ssrc) else {
            counters.rtp_drop_rtx_unheard += 1;
            return;
        };
        let index = match self.peers[key].streams.recover(media, sequence) {
            Ok(index) => index,
            Err(reason) => {
                *match reason {
                    NotRecovered::Unheard => &mut counters.rtp_drop_rtx_unheard,
                    NotRecovered::Arrived => &mut counters.rtp_drop_rtx_duplicate,
                    NotRecovered::Outside => &mut counters.rtp_drop_rtx_outside,
                } += 1;
                return;
            }
        };
        let header = Header {
            payload_type: format.repairs,
            sequence,
            ssrc: media,
            ..header
        };
        let plain = unwrap(packet, &header);
        let noted = note(self.peers[key].streams.ids(), &header, plain);
        let before = self.counters.rtp_accepted;
        let opened = Opened {
            index,
            header: &header,
            plain,
            recovered: true,
        };
        self.accept(feed, &opened, &noted);
        self.counters.rtx_recovered += self.counters.rtp_accepted - before;
    }

    /// After a packet: what it tells of the round trip, and when something is to be asked for.
    pub(super) fn note_place(&mut self, feed: Feed, place: Place, due: Option<Time>) {
        if let Place::Late {
            asked_once: Some(asked),
        } = place
        {
            let publisher = self.router.tracks[feed.track].peer;
            self.peers[publisher].round_trip.on_answer(self.now, asked);
        }
        let Some(due) = due else { return };
        if !self.router.gappy.contains(&(feed.track, feed.layer)) {
            self.router.gappy.push((feed.track, feed.layer));
        }
        self.next_request = Some(self.next_request.map_or(due, |next| next.min(due)));
    }

    /// NACKs for everything that is due, one packet a layer.
    pub(super) fn ask_for_losses(&mut self) {
        let now = self.now;
        let mut gappy = std::mem::take(&mut self.router.gappy);
        let mut lost = Vec::new();
        self.next_request = None;
        gappy.retain(|(key, id)| {
            let wanted = is_wanted(&self.router, *key, *id);
            let Some(track) = self.router.tracks.get_mut(*key) else {
                return false;
            };
            let publisher = track.peer;
            let Some(layer) = track.layer(*id) else {
                return false;
            };
            if !wanted {
                layer.losses.abandon(&mut self.counters);
                return false;
            }
            let peer = &mut self.peers[publisher];
            let round_trip = peer.round_trip.get();
            layer
                .losses
                .poll(now, round_trip, &mut lost, &mut self.counters);
            if let Some(media) = layer.ssrc.filter(|_| !lost.is_empty()) {
                let own = peer.rtcp_ssrc;
                let sent = peer.send_rtcp(now, &mut self.outbox, &mut self.counters, |out| {
                    rtcp::write_receiver_report(out, own, &[]);
                    rtcp::write_nack(out, own, media, &lost);
                });
                self.counters.nack_up_out += u64::from(sent);
            }
            lost.clear();
            let due = layer.losses.deadline();
            self.next_request = [self.next_request, due].into_iter().flatten().min();
            due.is_some()
        });
        self.router.gappy = gappy;
    }

    /// The track's packets are withheld, or come from elsewhere: what is missing is not needed any more.
    pub(super) fn forget_losses(&mut self, key: TrackKey) {
        for layer in &mut self.router.tracks[key].layers {
            layer.losses.reset(&mut self.counters);
        }
    }

    /// The same for one layer, whose stream begins anew.
    pub(super) fn forget_layer_losses(&mut self, feed: Feed) {
        let track = self.router.tracks.get_mut(feed.track);
        if let Some(layer) = track.and_then(|track| track.layer(feed.layer)) {
            layer.losses.reset(&mut self.counters);
        }
    }
}

/// Whether any downtrack forwards this layer, or is about to.
fn is_wanted(router: &Router, key: TrackKey, layer: LayerId) -> bool {
    let Some(track) = router.tracks.get(key) else {
        return false;
    };
    track.sinks.iter().any(|sink| {
        let downtrack = &router.sinks[*sink].downtrack;
        downtrack.current_layer() == Some(layer) || downtrack.wants_key_frame() == Some(layer)
    })
}

/// Moves the header over the original sequence number and gives it the fields of the packet carried.
fn unwrap<'a>(packet: &'a mut [u8], header: &Header) -> &'a [u8] {
    packet.copy_within(..header.len, ORIGINAL_SEQUENCE);
    let plain = &mut packet[ORIGINAL_SEQUENCE..];
    plain[1] = plain[1] & 0x80 | header.payload_type.0 & 0x7f;
    plain[2..4].copy_from_slice(&header.sequence.to_be_bytes());
    plain[8..12].copy_from_slice(&header.ssrc.0.to_be_bytes());
    plain
}
