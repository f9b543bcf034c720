//! What each subscriber's link is thought to take, and what of its pictures is sent for that.

use std::ops::Range;

use crate::allocation::{Class, Division, Grant, MARGIN, Picture, Step};
use crate::downtrack::{Allowed, Wish};
use crate::event::Event;
use crate::peer::PeerKey;
use crate::peer::downlink::HEADERS;
use crate::relay::Relay;
use crate::relay::steps::{running, steps_of};
use crate::router::SinkKey;
use crate::rtcp::TransportFeedback;
use crate::units::{Bitrate, MediaKind};

/// What a packet has on the link beside its publisher's plain one: headers, our number, our tag.
pub(super) const OVERHEAD: usize = HEADERS + 8 + 16;

/// Pictures that need so much more than there is are dropped at once, in tenths; below it they go on until the key frame
/// of a lower layer takes over. That takes some 300 ms, in which the queue grows by half of that.
const DROWNING_TENTHS: u64 = 15;

/// So much of the estimate may one picture and the sound need without ever being taken away: an estimate steps back to
/// 0.85 of what came, twice before it is told that less sending changed nothing. More would crush the sound.
const LAST_KEPT: f64 = 1.4;

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
        if self.peers[key].numbered == 0 {
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
}

/// Storage for dividing one link, kept between calls: it is done for each subscriber twenty times a second.
#[derive(Default)]
pub(super) struct Shares {
    shown: Vec<Shown>,
    /// Of all that is shown, one after another.
    steps: Vec<Step>,
    division: Division,
}

/// One picture, before its subscriber's link is divided.
struct Shown {
    sink: SinkKey,
    wish: Wish,
    class: Class,
    weight: u32,
    /// What it can be sent as, the least first: where that stands among the steps of all.
    steps: Range<usize>,
    /// No other layer may come to be wanted.
    complete: bool,
    /// What runs takes.
    runs: Bitrate,
}

impl Relay {
    /// Divides what the link takes among the subscriber's pictures, and paces by it.
    pub(super) fn allocate(&mut self, key: PeerKey) {
        let now = self.now;
        self.peers[key].stir();
        if self.peers[key].numbered == 0 {
            return;
        }
        let Some(estimate) = self.peers[key].downlink.estimate(now) else {
            self.lift(key);
            return;
        };
        let mut shares = std::mem::take(&mut self.shares);
        self.share_out(key, estimate, &mut shares);
        self.shares = shares;
    }

    fn share_out(&mut self, key: PeerKey, estimate: Bitrate, shares: &mut Shares) {
        let now = self.now;
        let sound = self.show(key, shares);
        let Shares {
            shown,
            steps,
            division,
        } = shares;
        let (shown, steps) = (&shown[..], &steps[..]);
        let downlink = &mut self.peers[key].downlink;
        let runs = shown.iter().map(|one| one.runs).fold(sound, Bitrate::plus);
        if downlink.bears(now, runs, estimate) {
            self.peers[key].pacer.set_estimate(now, Some(estimate));
            return;
        }
        let least = least_of(shown, steps, estimate.less(sound)).plus(sound);
        let kept = last_of(shown, steps, sound, estimate).max(estimate);
        // The picture that is kept anyway starves nobody: a link may be tight for hours, and dip once.
        let hungry = least > kept;
        // What runs is borne beyond the estimate, so what does not run may be tried as soon as it fits at all: without
        // this, a picture that takes nine tenths of a link is never shown on it.
        let room = if downlink.bears_hunger(now, hungry) {
            least
        } else {
            kept
        };
        let picture = |one| self.picture(one, steps);
        let pictures: Vec<Picture<'_>> = shown.iter().map(picture).collect();
        let downlink = &mut self.peers[key].downlink;
        // A burst tells of 85 to 96 % of what the link takes, and who sends less than that learns no more: a picture that
        // fills the link is tried a margin above the estimate, and stays two above it.
        let room = room.scaled((1.0 + MARGIN) * (1.0 + MARGIN));
        let allocator = &mut downlink.allocator;
        allocator.divide_into(now, room, sound, &pictures, division);
        downlink.wanted = division.wanted;
        // What was granted leaves as it comes: at less than the meters tell of it, a large key frame would stand in the
        // queue. What runs on without being granted, until a lower layer's key frame is there, the pacer drains.
        let pace = estimate.max(division.used);
        self.peers[key].pacer.set_estimate(now, Some(pace));
        for (one, grant) in shown.iter().zip(&division.grants) {
            self.grant(key, one, grant, estimate.less(sound));
        }
    }

    /// What the subscriber wants to be shown, with what sound takes.
    fn show(&mut self, key: PeerKey, shares: &mut Shares) -> Bitrate {
        let now = self.now;
        let Shares { shown, steps, .. } = shares;
        shown.clear();
        steps.clear();
        self.give_floor(key);
        let floor = &self.peers[key].floor;
        let mut sound = Bitrate::ZERO;
        for sink_key in self.peers[key].downtracks.values() {
            let sink = &self.router.sinks[*sink_key];
            let Some(track) = self.router.tracks.get_mut(sink.track) else {
                continue;
            };
            let downtrack = &sink.downtrack;
            let wish = downtrack.wish();
            if downtrack.kind() == MediaKind::Audio {
                // What is not numbered is not part of the estimate.
                let layer = track.layers.first_mut();
                let layer = layer.filter(|_| downtrack.is_numbered());
                sound = sound.plus(layer.map_or(Bitrate::ZERO, |layer| layer.meters.whole(now)));
            } else if !wish.paused {
                let precedence = floor.precedence(track.voice);
                let class = class_of(wish, precedence.is_some());
                let first = steps.len();
                let complete = steps_of(track, downtrack, class, now, steps);
                shown.push(Shown {
                    sink: *sink_key,
                    wish,
                    class,
                    // What the subscriber asked for itself goes before who speaks.
                    weight: u32::from(wish.priority) << 8 | u32::from(precedence.unwrap_or(0)),
                    runs: running(&steps[first..], downtrack),
                    steps: first..steps.len(),
                    complete,
                });
            }
        }
        // As the division goes; the order of a hash map is nobody's business.
        shown.sort_unstable_by_key(|one| (one.class, u32::MAX - one.weight, one.sink));
        sound
    }

    /// Who of those that the subscriber sees speaks, or did a moment ago.
    fn give_floor(&mut self, key: PeerKey) {
        let mut floor = std::mem::take(&mut self.peers[key].floor);
        for sink in self.peers[key].downtracks.values() {
            let sink = &self.router.sinks[*sink];
            if sink.downtrack.kind() == MediaKind::Video
                && let Some(track) = self.router.tracks.get(sink.track)
                && let Some(spoke) = self.spoken.get(&track.voice)
            {
                floor.hear(track.voice, *spoke);
            }
        }
        floor.settle(self.now);
        self.peers[key].floor = floor;
    }

    fn picture<'a>(&self, shown: &Shown, steps: &'a [Step]) -> Picture<'a> {
        Picture {
            downtrack: self.router.sinks[shown.sink].id,
            class: shown.class,
            weight: shown.weight,
            steps: &steps[shown.steps.clone()],
            wish: shown.wish.layer,
        }
    }

    /// `room` is what there is for all pictures.
    fn grant(&mut self, key: PeerKey, shown: &Shown, grant: &Grant, room: Bitrate) {
        if shown.steps.is_empty() {
            return; // nothing lives that could be given or taken
        }
        let (allowed, temporal) = match grant.step {
            Some(_) if shown.complete && !grant.limited => (Allowed::All, None),
            Some(step) => (Allowed::UpTo(step.layer), step.temporal),
            None => (Allowed::Nothing, None),
        };
        let current = self.router.sinks[shown.sink].downtrack.current_layer();
        let falls = match allowed {
            Allowed::UpTo(limit) => current.is_some_and(|current| current > limit),
            Allowed::All | Allowed::Nothing => false,
        };
        let drowns = shown.runs.as_bps() * 10 > room.as_bps().saturating_mul(DROWNING_TENTHS);
        if self.allow(key, shown.sink, allowed, temporal) && falls && drowns {
            self.drop_waiting(key, shown.sink);
        }
    }

    /// The link tells nothing: everything is as it was wished.
    fn lift(&mut self, key: PeerKey) {
        let is_limited = |sink: &SinkKey| self.router.sinks[*sink].downtrack.is_limited();
        if !self.peers[key].downtracks.values().any(is_limited) {
            self.peers[key].pacer.set_estimate(self.now, None);
            return;
        }
        let mut sinks: Vec<SinkKey> = self.peers[key].downtracks.values().copied().collect();
        sinks.sort_unstable();
        for sink in sinks {
            self.allow(key, sink, Allowed::All, None);
        }
        self.peers[key].pacer.set_estimate(self.now, None);
    }

    /// Whether it is anything else than before.
    fn allow(
        &mut self,
        key: PeerKey,
        sink_key: SinkKey,
        allowed: Allowed,
        temporal: Option<u8>,
    ) -> bool {
        let sink = &mut self.router.sinks[sink_key];
        if sink.downtrack.allowed_temporal() != temporal {
            sink.downtrack.set_allowed_temporal(temporal);
        }
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

fn class_of(wish: Wish, speaks: bool) -> Class {
    match wish.priority {
        Wish::SCREEN => Class::Screen,
        priority if speaks || priority > Wish::SCREEN => Class::Speaker,
        _ => Class::Other,
    }
}

/// What the smallest of the first picture takes beside sound, unless that is [`LAST_KEPT`] of what there is. It is not
/// taken away for less: the estimate of a subscriber whose machine is busy falls below what its link carries, and one
/// picture that comes late is worth more than none.
fn last_of(shown: &[Shown], steps: &[Step], sound: Bitrate, estimate: Bitrate) -> Bitrate {
    let first = shown
        .iter()
        .find_map(|one| steps[one.steps.clone()].first());
    let least = first.map_or(sound, |step| step.rate.plus(sound));
    if least <= estimate.scaled(LAST_KEPT) {
        least
    } else {
        Bitrate::ZERO
    }
}

/// What the smallest of everything that runs takes: of the first one in any case, of the others as long as that is no
/// more than twice of what there is for them.
fn least_of(shown: &[Shown], steps: &[Step], room: Bitrate) -> Bitrate {
    let running = shown.iter().filter(|one| one.runs > Bitrate::ZERO);
    let least = running.filter_map(|one| Some(steps[one.steps.clone()].first()?.rate));
    least.fold(Bitrate::ZERO, |sum, rate| {
        let more = sum.plus(rate);
        let fits = sum == Bitrate::ZERO || more <= room.plus(room);
        if fits { more } else { sum }
    })
}
