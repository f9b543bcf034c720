//! What each subscriber's link is thought to take, and what of its pictures is sent for that.

use crate::allocation::{Class, Grant, MARGIN, Picture, Step};
use crate::congestion::SETTLED_AFTER;
use crate::downtrack::{Allowed, Wish};
use crate::event::Event;
use crate::peer::PeerKey;
use crate::peer::downlink::HEADERS;
use crate::relay::Relay;
use crate::router::{SinkKey, Track};
use crate::rtcp::TransportFeedback;
use crate::units::{Bitrate, LayerId, MediaKind, Time};

/// What a packet has on the link beside its publisher's plain one: headers, our number, our tag.
pub(super) const OVERHEAD: usize = HEADERS + 8 + 16;

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
        let downlink = &mut self.peers[key].downlink;
        downlink.on_tick(now);
        if let Some(estimate) = downlink.estimate(now) {
            self.counters.estimated_now += 1;
            self.counters.estimate_sum_now += estimate.as_bps();
        }
        self.allocate(key);
        let wanted = self.peers[key].downlink.wanted;
        self.begin_burst(key, wanted);
        if self.peers[key].downlink.is_idle(self.now) {
            self.send_filler(key);
        }
    }

    fn is_numbered(&self, key: PeerKey) -> bool {
        let sinks = &self.router.sinks;
        let mut downtracks = self.peers[key].downtracks.values();
        downtracks.any(|sink| sinks[*sink].downtrack.is_numbered())
    }
}

/// One picture, before its subscriber's link is divided.
struct Shown {
    sink: SinkKey,
    wish: Wish,
    /// Live layers up to the wished one, lowest first; those above the lowest only once they ran for long enough to be
    /// measured.
    steps: Vec<Step>,
    /// No other layer may come to be wanted.
    complete: bool,
    /// What runs takes.
    runs: Bitrate,
}

impl Relay {
    /// Divides what the link takes among the subscriber's pictures, and paces by it.
    pub(super) fn allocate(&mut self, key: PeerKey) {
        let now = self.now;
        if !self.is_numbered(key) {
            return;
        }
        let Some(estimate) = self.peers[key].downlink.estimate(now) else {
            self.lift(key);
            return;
        };
        let (shown, sound) = self.shown(key);
        let downlink = &mut self.peers[key].downlink;
        let runs = shown.iter().map(|one| one.runs).fold(sound, Bitrate::plus);
        if downlink.bears(now, runs, estimate) {
            self.peers[key].pacer.set_estimate(now, Some(estimate));
            return;
        }
        let least = least_of(&shown, estimate.less(sound)).plus(sound);
        let hungry = least > estimate;
        // What runs is borne beyond the estimate, so what does not run may be tried as soon as it fits at all: without
        // this, a picture that takes nine tenths of a link is never shown on it.
        let room = if downlink.bears_hunger(now, hungry) {
            least
        } else {
            last_of(&shown, sound, estimate).max(estimate)
        };
        let pictures: Vec<Picture<'_>> = shown.iter().map(|one| self.picture(one)).collect();
        let downlink = &mut self.peers[key].downlink;
        let room = room.scaled(1.0 + MARGIN);
        let division = downlink.allocator.divide(now, room, sound, &pictures);
        downlink.wanted = division.wanted;
        let pace = estimate.max(division.used);
        self.peers[key].pacer.set_estimate(now, Some(pace));
        for (one, grant) in shown.iter().zip(&division.grants) {
            self.grant(key, one, grant, estimate.less(sound));
        }
    }

    fn shown(&mut self, key: PeerKey) -> (Vec<Shown>, Bitrate) {
        let now = self.now;
        let mut sound = Bitrate::ZERO;
        let mut shown = Vec::new();
        for sink_key in self.peers[key].downtracks.values() {
            let sink = &self.router.sinks[*sink_key];
            let Some(track) = self.router.tracks.get_mut(sink.track) else {
                continue;
            };
            let downtrack = &sink.downtrack;
            let wish = downtrack.wish();
            if downtrack.kind() == MediaKind::Audio {
                let layer = track.layers.first_mut();
                sound = sound.plus(layer.map_or(Bitrate::ZERO, |layer| layer.meter.rate(now)));
            } else if !wish.paused {
                let (steps, complete) = steps_of(track, wish, downtrack.current_layer(), now);
                let runs = steps.iter().rev().find(|step| match downtrack.allowed() {
                    Allowed::All => true,
                    Allowed::UpTo(limit) => step.layer <= limit,
                    Allowed::Nothing => false,
                });
                let runs = runs.map_or(Bitrate::ZERO, |step| step.rate);
                shown.push(Shown {
                    sink: *sink_key,
                    wish,
                    steps,
                    complete,
                    runs,
                });
            }
        }
        // The order of a hash map is nobody's business.
        shown.sort_unstable_by_key(|one| (u8::MAX - one.wish.priority, one.sink));
        (shown, sound)
    }

    fn picture<'a>(&self, shown: &'a Shown) -> Picture<'a> {
        let class = match shown.wish.priority {
            Wish::SCREEN => Class::Screen,
            priority if priority > Wish::SCREEN => Class::Speaker,
            _ => Class::Other,
        };
        Picture {
            downtrack: self.router.sinks[shown.sink].id,
            class,
            weight: u32::from(shown.wish.priority),
            steps: &shown.steps,
            wish: shown.wish.layer,
        }
    }

    /// `room` is what there is for all pictures.
    fn grant(&mut self, key: PeerKey, shown: &Shown, grant: &Grant, room: Bitrate) {
        if shown.steps.is_empty() {
            return; // nothing lives that could be given or taken
        }
        let allowed = match grant.step {
            Some(_) if shown.complete && !grant.limited => Allowed::All,
            Some(step) => Allowed::UpTo(step.layer),
            None => Allowed::Nothing,
        };
        let current = self.router.sinks[shown.sink].downtrack.current_layer();
        let falls = match allowed {
            Allowed::UpTo(limit) => current.is_some_and(|current| current > limit),
            Allowed::All | Allowed::Nothing => false,
        };
        let drowns = shown.runs.as_bps() * 10 > room.as_bps().saturating_mul(DROWNING_TENTHS);
        if self.allow(key, shown.sink, allowed) && falls && drowns {
            self.drop_waiting(key, shown.sink);
        }
    }

    /// The link tells nothing: everything is as it was wished.
    fn lift(&mut self, key: PeerKey) {
        let mut sinks: Vec<SinkKey> = self.peers[key].downtracks.values().copied().collect();
        sinks.sort_unstable();
        for sink in sinks {
            self.allow(key, sink, Allowed::All);
        }
        self.peers[key].pacer.set_estimate(self.now, None);
    }

    /// Whether it is anything else than before.
    fn allow(&mut self, key: PeerKey, sink_key: SinkKey, allowed: Allowed) -> bool {
        let sink = &mut self.router.sinks[sink_key];
        if sink.downtrack.allowed() == allowed {
            return false;
        }
        let was_withheld = sink.downtrack.is_withheld();
        sink.downtrack.set_allowed(allowed);
        let withheld = sink.downtrack.is_withheld();
        let carried = sink.track;
        if withheld != was_withheld {
            self.counters.withheld += u64::from(withheld);
            self.events.push_back(Event::Withheld {
                peer: self.peers[key].id,
                downtrack: sink.id,
                withheld,
            });
        }
        if let Some(track) = self.router.tracks.get(carried) {
            sink.downtrack.aim(track.aimed_by);
            self.router.mark(carried);
        }
        if withheld {
            self.drop_waiting(key, sink_key);
        }
        self.request_key_frame(sink_key);
        true
    }
}

fn steps_of(
    track: &mut Track,
    wish: Wish,
    current: Option<LayerId>,
    now: Time,
) -> (Vec<Step>, bool) {
    let live = track.live.live(now);
    let top = wish.target(live, Allowed::All);
    let top_of_track = LayerId((track.layers.len() as u8).saturating_sub(1));
    let steps: Vec<Step> = (0u8..)
        .map(LayerId)
        .zip(&mut track.layers)
        .filter(|(id, _)| live.contains(*id) && top.is_some_and(|top| *id <= top))
        .enumerate()
        .filter(|(place, (id, layer))| {
            let measured = layer.began.is_some_and(|at| now.since(at) >= SETTLED_AFTER);
            *place == 0 || measured || current == Some(*id)
        })
        .map(|(_, (layer, state))| Step {
            layer,
            temporal: None,
            rate: state.meter.rate(now),
        })
        .collect();
    let highest = wish
        .layer
        .map_or(top_of_track, |layer| layer.min(top_of_track));
    let complete = steps.last().is_some_and(|step| step.layer >= highest);
    (steps, complete)
}

/// What the smallest of the first picture takes beside sound, unless that is more than twice of what there is. It is not
/// taken away for less: the estimate of a subscriber whose machine is busy falls below what its link carries, and one
/// picture that comes late is worth more than none.
fn last_of(shown: &[Shown], sound: Bitrate, estimate: Bitrate) -> Bitrate {
    let first = shown.iter().find_map(|one| one.steps.first());
    let least = first.map_or(sound, |step| step.rate.plus(sound));
    if least <= estimate.plus(estimate) {
        least
    } else {
        Bitrate::ZERO
    }
}

/// What the smallest of everything that runs takes: of the first one in any case, of the others as long as that is no
/// more than twice of what there is for them.
fn least_of(shown: &[Shown], room: Bitrate) -> Bitrate {
    let running = shown.iter().filter(|one| one.runs > Bitrate::ZERO);
    let least = running.filter_map(|one| Some(one.steps.first()?.rate));
    least.fold(Bitrate::ZERO, |sum, rate| {
        let more = sum.plus(rate);
        let fits = sum == Bitrate::ZERO || more <= room.plus(room);
        if fits { more } else { sum }
    })
}
