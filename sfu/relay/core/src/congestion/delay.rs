//! The rate that the delays allow: up while they stay, down when they grow (GCC draft sections 4 and 5).
use std::time::Duration;

use super::capacity::Capacity;
use super::groups::{Grouped, Groups};
use super::queue::Queue;
use super::throughput::Throughput;
use super::trend::{Trend, Usage};
use super::{CEILING, FLOOR, START};
use crate::units::Time;

/// What of the throughput is kept when delays grow (GCC draft section 5.5).
const BETA: f64 = 0.85;
/// Of a queue that stands for long less is kept still, so that it is gone in about so many seconds. Sooner would leave a
/// picture without its lowest layer where the link has room for that.
const DRAINED_WITHIN: f64 = 3.0;
/// A queue that turns out to be longer by this was not known when the rate was stepped back.
const DEEPER: Duration = Duration::from_millis(200);
/// But never less than this of what goes through: a third still carries sound and a small picture.
const LEAST_KEPT: f64 = 0.33;

/// Growth a second far from what the link is known to carry (GCC draft section 5.5).
const GROWTH: f64 = 1.08;
/// The rate is no higher than this much of what goes through and a little: what is not used says nothing of more.
const BEYOND_THROUGHPUT: f64 = 1.5;
const BEYOND_NOTHING: f64 = 10_000.0;

/// A queue above this that shoots up is one before a line through twenty groups says so.
const SURGE: Duration = Duration::from_millis(60);
/// Growing delays below this are no queue worth a step back: the unrest of the path, or a picture's own packets.
const REAL_QUEUE: Duration = Duration::from_millis(15);
/// A queue below this has drained.
const DRAINED: Duration = Duration::from_millis(10);
/// While a queue above this stands, the rate does not grow.
const STANDING: Duration = Duration::from_millis(30);
/// And it gives way each second by what drains the queue in this many, within bounds.
const GIVE_WAY_EVERY: Duration = Duration::from_secs(1);
const GIVE_WAY_WITHIN: f64 = 2.0;
const GIVE_WAY: (f64, f64) = (0.05, 0.15);
/// A queue that is as long after so much giving way is none, or not ours: the path became longer.
const LONGER_PATH_AFTER: Duration = Duration::from_secs(6);

/// A full packet takes its time on a slow link, which is no queue: bits, and the longest such time in seconds.
const FULL_PACKET: f64 = 9_600.0;
const LONGEST_PACKET: f64 = 0.04;

/// Time between two steps back: a round trip, within bounds (libwebrtc).
const STEP_BACK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));
/// Round trip while none is known.
const ROUND_TRIP: Duration = Duration::from_millis(100);

/// A queue that stands, and keeps the rate from growing.
#[derive(Clone, Copy)]
struct Waiting {
    since: Time,
    give_way: Time,
    /// The rate and the queue at the beginning.
    rate: f64,
    queue: Duration,
}

/// The delay-based half of the estimate.
pub(super) struct DelayBased {
    groups: Groups,
    trend: Trend,
    queue: Queue,
    capacity: Capacity,
    rate: f64,
    /// When the rate was last looked at, for growth by time.
    updated: Option<Time>,
    /// When the rate was last stepped back, and before what queue.
    stepped_back: Option<(Time, Duration)>,
    /// What to go on with once the queue has drained.
    resume: Option<f64>,
    waiting: Option<Waiting>,
    standing: Duration,
    /// When the newest packet left that arrived.
    newest: Time,
}

impl DelayBased {
    pub fn new() -> Self {
        DelayBased {
            groups: Groups::default(),
            trend: Trend::new(),
            queue: Queue::default(),
            capacity: Capacity::default(),
            rate: START.as_bps() as f64,
            updated: None,
            stepped_back: None,
            resume: None,
            waiting: None,
            standing: Duration::ZERO,
            newest: Time::ZERO,
        }
    }

    /// Bits a second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Whether there is neither a queue nor was there one in the last while.
    pub fn is_calm(&self, now: Time, since: Duration) -> bool {
        let long_ago = |(at, _)| now.since(at) >= since;
        self.trend.usage() != Usage::Over
            && self.standing < STANDING
            && self.stepped_back.is_none_or(long_ago)
    }

    /// One arrival; in the order of arrivals within a feedback.
    pub fn on_arrival(&mut self, now: Time, sent: Time, arrival: i64) {
        self.newest = self.newest.max(sent);
        self.queue.on_arrival(now, sent, arrival);
        match self.groups.on_arrival(sent, arrival) {
            Grouped::Waiting => {}
            Grouped::Step(step) => self.trend.on_step(&step),
            Grouped::Leap => {
                self.trend = Trend::new();
                self.queue.forget();
            }
        }
    }

    /// All arrivals of a feedback are in.
    pub fn update(&mut self, now: Time, throughput: &Throughput, round_trip: Option<Duration>) {
        let round_trip = round_trip.unwrap_or(ROUND_TRIP);
        let since = now.since(self.updated.unwrap_or(now));
        self.updated = Some(now);
        let Some(through) = throughput.rate() else {
            return;
        };
        self.queue.update();
        let packet = (FULL_PACKET / through.max(1.0)).min(LONGEST_PACKET);
        let standing = self
            .queue
            .standing()
            .saturating_sub(Duration::from_secs_f64(packet));
        self.standing = standing;
        let is_over = self.trend.usage() == Usage::Over && standing >= REAL_QUEUE;
        if is_over || (self.queue.surges() && standing >= SURGE) {
            self.waiting = None;
            let drained = throughput.drained().unwrap_or(through);
            self.step_back(now, drained, standing, round_trip);
            return;
        }
        if standing < DRAINED {
            self.rate = self.rate.max(self.resume.take().unwrap_or(0.0));
        }
        if standing >= STANDING {
            self.wait(now, standing);
        } else {
            self.waiting = None;
            if self.trend.usage() == Usage::Normal {
                self.grow(since, through, round_trip);
            }
        }
    }

    /// A probe got this through.
    pub fn on_probe(&mut self, rate: f64) {
        if rate > self.rate {
            self.set(rate);
            self.capacity.on_throughput(rate);
            self.resume = None;
        }
    }

    /// Nothing is heard: less is sent.
    pub fn on_silence(&mut self, factor: f64) {
        self.set(self.rate * factor);
        self.resume = None;
    }

    fn step_back(&mut self, now: Time, drained: f64, standing: Duration, round_trip: Duration) {
        if let Some((at, before)) = self.stepped_back {
            let (least, most) = STEP_BACK;
            let is_soon = now.since(at) < round_trip.clamp(least, most);
            // What left before the last step says nothing of it, save that the queue is deeper than was known then.
            let is_deeper = standing > before + DEEPER;
            let works = self.resume.is_some() && !is_deeper;
            let works = works && (self.newest < at || standing < before);
            if works || (is_soon && drained > self.rate / 2.0) {
                return;
            }
        }
        self.stepped_back = Some((now, standing));
        self.capacity.on_overuse(drained);
        let drains = 1.0 - standing.as_secs_f64() / DRAINED_WITHIN;
        let kept = drains.clamp(LEAST_KEPT, BETA);
        self.resume = Some((BETA * drained).min(self.rate));
        self.set(self.rate.min(kept * drained));
    }

    /// The queue neither grows nor goes.
    fn wait(&mut self, now: Time, standing: Duration) {
        let waiting = self.waiting.get_or_insert(Waiting {
            since: now,
            give_way: now + GIVE_WAY_EVERY,
            rate: self.rate,
            queue: standing,
        });
        if now.since(waiting.since) >= LONGER_PATH_AFTER && standing > waiting.queue / 2 {
            let before = waiting.rate;
            self.waiting = None;
            self.queue.forget();
            self.set(before);
        } else if now >= waiting.give_way {
            waiting.give_way = now + GIVE_WAY_EVERY;
            let (least, most) = GIVE_WAY;
            let given = (standing.as_secs_f64() / GIVE_WAY_WITHIN).clamp(least, most);
            self.set(self.rate * (1.0 - given));
        }
    }

    fn grow(&mut self, since: Duration, through: f64, round_trip: Duration) {
        self.capacity.on_throughput(through);
        let limit = BEYOND_THROUGHPUT * through + BEYOND_NOTHING;
        if self.rate >= limit {
            return;
        }
        let seconds = since.as_secs_f64().min(1.0);
        let grown = if self.capacity.is_known() {
            self.rate + near_growth(self.rate, round_trip) * seconds
        } else {
            self.rate * GROWTH.powf(seconds)
        };
        self.set(grown.min(limit));
    }

    fn set(&mut self, rate: f64) {
        if rate.is_finite() {
            self.rate = rate.clamp(FLOOR.as_bps() as f64, CEILING.as_bps() as f64);
        }
    }
}

/// Bits a second, a second, near what the link carries: half a packet each response time, of pictures 30 times a second
/// (GCC draft section 5.5).
fn near_growth(rate: f64, round_trip: Duration) -> f64 {
    let picture = rate / 30.0;
    let packets = (picture / (1200.0 * 8.0)).ceil().max(1.0);
    let response = 2.0 * (round_trip + Duration::from_millis(100)).as_secs_f64();
    (picture / packets / response).max(4_000.0)
}
