//! What each subscriber's link is thought to take, and what of its pictures is sent for that.

use crate::congestion::SETTLED_AFTER;
use crate::downtrack::Allowed;
use crate::event::Event;
use crate::peer::PeerKey;
use crate::relay::Relay;
use crate::router::SinkKey;
use crate::rtcp::TransportFeedback;
use crate::units::{Bitrate, LayerId, MediaKind};

/// What a packet has on the link beside what its publisher's had: IPv4 and UDP, our number, our tag.
pub(super) const OVERHEAD: usize = 28 + 8 + 16;

/// Pictures that need so much more than there is are dropped at once, in tenths; below it they go on until the key frame
/// of a lower layer takes over. That takes some 300 ms, in which the queue grows by half of that.
const DROWNING_TENTHS: u64 = 15;

impl Relay {
    /// A subscriber tells what arrived of what it was sent.
    pub(super) fn on_arrivals(&mut self, key: PeerKey, feedback: &TransportFeedback<'_>) {
        let now = self.now;
        let peer = &mut self.peers[key];
        self.counters.transport_feedback_in += 1;
        if !peer.downlink.takes_feedback(now) {
            self.counters.transport_feedback_ignored += 1;
            return;
        }
        let before = peer.downlink.estimate(now);
        let round_trip = peer.round_trip.get();
        peer.downlink.on_feedback(now, feedback, round_trip);
        let after = peer.downlink.estimate(now);
        if after != before {
            peer.pacer.set_estimate(now, after);
        }
        if after < before {
            self.allocate(key);
        }
    }

    /// Time passes for one subscriber.
    pub(super) fn tick_downlink(&mut self, key: PeerKey) {
        let now = self.now;
        if !self.is_numbered(key) {
            return;
        }
        let peer = &mut self.peers[key];
        peer.downlink.on_tick(now);
        let estimate = peer.downlink.estimate(now);
        peer.pacer.set_estimate(now, estimate);
        if let Some(estimate) = estimate {
            self.counters.estimated_now += 1;
            self.counters.estimate_sum_now += estimate.as_bps();
        }
        let wanted = self.allocate(key);
        self.begin_burst(key, wanted);
    }

    fn is_numbered(&self, key: PeerKey) -> bool {
        let sinks = &self.router.sinks;
        let mut downtracks = self.peers[key].downtracks.values();
        downtracks.any(|sink| sinks[*sink].downtrack.is_numbered())
    }
}

/// One picture, as the allocation sees it.
struct Picture {
    sink: SinkKey,
    priority: u8,
    /// Live layers up to the wished one, lowest first, and what each needs; those above the lowest only once they ran for
    /// long enough to know.
    layers: Vec<(LayerId, Bitrate)>,
    /// Whether no other layer may come to be wanted.
    complete: bool,
    /// How many of them it is given now.
    given: usize,
}

impl Relay {
    /// Divides what the link takes among the subscriber's pictures; what they could use if it took more.
    pub(super) fn allocate(&mut self, key: PeerKey) -> Bitrate {
        let now = self.now;
        if !self.is_numbered(key) {
            return Bitrate::ZERO;
        }
        let estimate = self.peers[key].downlink.estimate(now);
        let (pictures, sound) = self.pictures(key);
        let wanted = pictures.iter().fold(sound, |sum, picture| {
            let best = picture
                .layers
                .last()
                .map_or(Bitrate::ZERO, |(_, rate)| *rate);
            sum.plus(best)
        });
        let running = pictures.iter().fold(sound, |sum, picture| {
            let given = picture.layers.get(picture.given.wrapping_sub(1));
            sum.plus(given.map_or(Bitrate::ZERO, |(_, rate)| *rate))
        });
        let patient =
            estimate.is_some_and(|estimate| self.peers[key].downlink.bears(now, running, estimate));
        if patient {
            return wanted;
        }
        let shares = match estimate {
            Some(estimate) => {
                let room = estimate.less(sound);
                let mut shares = divide(&pictures, room);
                let starves = pictures
                    .iter()
                    .zip(&shares)
                    .any(|(picture, share)| picture.given > 0 && *share == 0);
                if self.peers[key].downlink.bears_hunger(now, starves) {
                    keep_lowest(&pictures, &mut shares, room);
                }
                shares
            }
            None => pictures
                .iter()
                .map(|picture| picture.layers.len())
                .collect(),
        };
        for (picture, share) in pictures.iter().zip(shares) {
            self.give(
                key,
                picture,
                share,
                estimate.map(|estimate| estimate.less(sound)),
            );
        }
        wanted
    }

    fn pictures(&mut self, key: PeerKey) -> (Vec<Picture>, Bitrate) {
        let now = self.now;
        let mut sound = Bitrate::ZERO;
        let mut pictures = Vec::new();
        for sink_key in self.peers[key].downtracks.values() {
            let sink = &self.router.sinks[*sink_key];
            let Some(track) = self.router.tracks.get_mut(sink.track) else {
                continue;
            };
            let downtrack = &sink.downtrack;
            if downtrack.kind() == MediaKind::Audio {
                let layer = track.layers.first_mut();
                sound = sound.plus(layer.map_or(Bitrate::ZERO, |layer| layer.meter.rate(now)));
                continue;
            }
            let wish = downtrack.wish();
            let live = track.live.live(now);
            let top = wish.target(live, Allowed::All);
            let layers: Vec<(LayerId, Bitrate)> = (0u8..)
                .map(LayerId)
                .zip(&mut track.layers)
                .filter(|(id, _)| live.contains(*id) && top.is_some_and(|top| *id <= top))
                .enumerate()
                .filter(|(place, (id, layer))| {
                    let known = layer.began.is_some_and(|at| now.since(at) >= SETTLED_AFTER);
                    *place == 0 || known || downtrack.current_layer() == Some(*id)
                })
                .map(|(_, (id, layer))| (id, layer.meter.rate(now)))
                .collect();
            let highest = wish.layer.unwrap_or(LayerId(u8::MAX));
            let above = LayerId((track.layers.len() as u8).saturating_sub(1)).min(highest);
            let complete = layers.last().is_some_and(|(id, _)| *id >= above);
            if wish.paused || layers.is_empty() {
                continue;
            }
            let given = match downtrack.allowed() {
                Allowed::All => layers.len(),
                Allowed::UpTo(limit) => layers.iter().filter(|(id, _)| *id <= limit).count(),
                Allowed::Nothing => 0,
            };
            pictures.push(Picture {
                sink: *sink_key,
                priority: wish.priority,
                layers,
                complete,
                given,
            });
        }
        // Of equals the older one comes first.
        pictures.sort_by_key(|picture| (u8::MAX - picture.priority, picture.sink));
        (pictures, sound)
    }

    /// `room` is what there is for all pictures.
    fn give(&mut self, key: PeerKey, picture: &Picture, share: usize, room: Option<Bitrate>) {
        let allowed = match picture.layers.get(share.wrapping_sub(1)) {
            _ if room.is_none() => Allowed::All,
            Some(_) if picture.complete && share == picture.layers.len() => Allowed::All,
            Some((layer, _)) => Allowed::UpTo(*layer),
            None => Allowed::Nothing,
        };
        let sink = &mut self.router.sinks[picture.sink];
        let before = sink.downtrack.allowed();
        if before == allowed {
            return;
        }
        let was_withheld = sink.downtrack.is_withheld();
        sink.downtrack.set_allowed(allowed);
        let withheld = sink.downtrack.is_withheld();
        if withheld != was_withheld {
            self.counters.withheld += u64::from(withheld);
            self.events.push_back(Event::Withheld {
                peer: self.peers[key].id,
                downtrack: sink.id,
                withheld,
            });
        }
        let carried = sink.track;
        let current = sink.downtrack.current_layer();
        if let Some(track) = self.router.tracks.get(carried) {
            sink.downtrack.aim(track.aimed_by);
        }
        let playing = picture.layers.iter().find(|(id, _)| Some(*id) == current);
        let above = current.is_some_and(|current| match allowed {
            Allowed::UpTo(limit) => current > limit,
            _ => false,
        });
        let drowning = room.zip(playing).is_some_and(|(room, (_, rate))| {
            rate.as_bps() * 10 > room.as_bps().saturating_mul(DROWNING_TENTHS)
        });
        if withheld || (above && drowning) {
            self.drop_waiting(key, picture.sink);
        }
        self.request_key_frame(picture.sink);
        self.router.mark(carried);
    }
}

/// For a while the smallest of what runs goes on where there is hardly room for it: an estimate dips below what the link
/// takes while a queue drains, and a picture that stands still is worse than one that comes late.
fn keep_lowest(pictures: &[Picture], shares: &mut [usize], room: Bitrate) {
    let mut taken = Bitrate::ZERO;
    for (share, picture) in shares.iter_mut().zip(pictures) {
        let lowest = picture.layers[0].1;
        taken = taken.plus(match share.checked_sub(1) {
            Some(top) => picture.layers[top].1,
            None => lowest,
        });
        if *share == 0 && picture.given > 0 && taken <= room.plus(room) {
            *share = 1;
        }
    }
}

/// How many layers each picture is given, the first one served first.
fn divide(pictures: &[Picture], room: Bitrate) -> Vec<usize> {
    let mut left = room;
    let mut shares = vec![0; pictures.len()];
    for level in 1.. {
        let mut any = false;
        for (share, picture) in shares.iter_mut().zip(pictures) {
            if *share + 1 != level || picture.layers.len() < level {
                continue;
            }
            any = true;
            let rate = picture.layers[level - 1].1;
            let held = level
                .checked_sub(2)
                .map_or(Bitrate::ZERO, |below| picture.layers[below].1);
            let more = rate.less(held);
            // What runs is kept until it no longer fits; what is new needs some room to spare.
            let needed = if picture.given >= level { more } else { more };
            if needed <= left {
                left = left.less(more);
                *share = level;
            }
        }
        if !any {
            return shares;
        }
    }
    shares
}
