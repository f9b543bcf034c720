//! Bursts that find out whether there is more room than is used.
use std::time::Duration;

use super::CEILING;
use super::sent::Told;
use crate::units::{Bitrate, Time};

/// One burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProbeId(pub u32);

/// A burst to be sent: packets one after another at `rate`, media that is due first, then what may fill it up, all
/// marked with `id`, until both `bytes` and `packets` are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// To mark its packets with.
    pub id: ProbeId,
    /// What they are to be spread out to.
    pub rate: Bitrate,
    /// At least so many on the wire.
    pub bytes: usize,
    /// At least so many.
    pub packets: usize,
}

/// How long a burst lasts. Long enough to stand out from what a receiver's clock and the air do to arrivals; at the cost
/// of a queue of half of that where there turns out to be only half of the room.
const DURATION: Duration = Duration::from_millis(40);
/// Fewer packets give no rate worth its name; libwebrtc has five, but a line wants more points on a path that jitters.
const PACKETS: usize = 8;
/// And smaller ones are mostly headers.
const LEAST_BYTES: usize = 1_200;

/// The first burst tries this much of the rate (libwebrtc), and those after it this much.
const FIRST_STEP: f64 = 3.0;
const STEP: f64 = 2.0;
/// No burst tries more than this much of what is wanted; a little above it, since what is found is rather less.
const BEYOND_WANTED: f64 = 1.1;
/// Share of a burst that must arrive, beside what the path loses of anything.
const ARRIVED: f64 = 0.8;
/// Arrivals this much faster than they left were held back and let go: they tell nothing.
const SQUEEZED: f64 = 2.0;
/// Arrivals slower than this were slowed by the link, and this much of it can be used.
const SLOWED: f64 = 0.9;
const USABLE: f64 = 0.95;

/// Time to the next burst after one that found less than it tried: doubled each time.
const AGAIN_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));
/// A burst is over when nothing was heard of it for so long.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// Plans bursts and reads their results, one at a time.
pub(super) struct Prober {
    next: u32,
    step: f64,
    active: Option<Burst>,
    not_before: Time,
    again_after: Duration,
}

/// What came of a burst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// This much got through, in bit/s.
    Found(f64),
    /// It tells nothing.
    Nothing,
}

struct Burst {
    probe: Probe,
    began: Time,
    sent: Tally,
    arrived: Tally,
    first_sent: Option<Time>,
    last_sent: (Time, usize),
    line: Line,
    lost: usize,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    packets: usize,
    bytes: usize,
}

impl Tally {
    fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes;
    }
}

impl Prober {
    pub fn new() -> Self {
        Prober {
            next: 0,
            step: FIRST_STEP,
            active: None,
            not_before: Time::ZERO,
            again_after: AGAIN_AFTER.0,
        }
    }

    /// The next burst, where it may find more of what is wanted; both in bit/s.
    pub fn poll(&mut self, now: Time, estimate: f64, wanted: f64) -> Option<Probe> {
        if self.active.is_some() || now < self.not_before || wanted <= estimate {
            return None;
        }
        let rate = (self.step * estimate)
            .min(BEYOND_WANTED * wanted)
            .min(CEILING.as_bps() as f64);
        let rate = Bitrate::from_bps(rate as u64);
        let probe = Probe {
            id: ProbeId(self.next),
            rate,
            bytes: (rate.bytes_in(DURATION) as usize).max(LEAST_BYTES),
            packets: PACKETS,
        };
        self.next = self.next.wrapping_add(1);
        self.active = Some(Burst::new(now, probe));
        Some(probe)
    }

    /// A marked packet left.
    pub fn on_sent(&mut self, now: Time, id: ProbeId, bytes: usize) {
        if let Some(burst) = self.active.as_mut().filter(|burst| burst.probe.id == id) {
            burst.on_sent(now, bytes);
        }
    }

    /// A marked packet's fate is told.
    pub fn on_told(&mut self, id: ProbeId, told: &Told) {
        if let Some(burst) = self.active.as_mut().filter(|burst| burst.probe.id == id) {
            burst.on_told(told);
        }
    }

    /// What came of the burst under way, once it is over. `inherent` is the share of packets that the path loses anyway;
    /// `estimate` is in bit/s.
    pub fn outcome(&mut self, now: Time, inherent: f64, estimate: f64) -> Option<Outcome> {
        let burst = self.active.as_ref()?;
        if !burst.is_over(now) {
            return None;
        }
        let found = burst.result(ARRIVED * (1.0 - inherent));
        let tried = burst.probe.rate.as_bps() as f64;
        self.active = None;
        self.step = STEP;
        let found = found.filter(|found| *found > estimate);
        if found.is_some_and(|found| found >= SLOWED * tried) {
            self.not_before = now;
            self.again_after = AGAIN_AFTER.0;
        } else {
            // Where less got through than was tried, that may be all there is.
            self.not_before = now + self.again_after;
            self.again_after = (self.again_after * 2).min(AGAIN_AFTER.1);
        }
        Some(found.map_or(Outcome::Nothing, Outcome::Found))
    }
}

impl Burst {
    fn new(now: Time, probe: Probe) -> Self {
        Burst {
            probe,
            began: now,
            sent: Tally::default(),
            arrived: Tally::default(),
            first_sent: None,
            last_sent: (now, 0),
            line: Line::default(),
            lost: 0,
        }
    }

    fn on_sent(&mut self, now: Time, bytes: usize) {
        self.sent.add(bytes);
        self.first_sent.get_or_insert(now);
        self.last_sent = (now, bytes);
    }

    fn on_told(&mut self, told: &Told) {
        let Some(arrival) = told.arrival else {
            self.lost += 1;
            return;
        };
        self.lost -= usize::from(told.late).min(self.lost);
        self.arrived.add(told.bytes);
        let sent = told.sent.since(self.began).as_micros() as i64;
        self.line.add(sent, arrival);
    }

    fn is_over(&self, now: Time) -> bool {
        let all_sent =
            self.sent.bytes >= self.probe.bytes && self.sent.packets >= self.probe.packets;
        let all_told = self.arrived.packets + self.lost >= self.sent.packets;
        let quiet_since = self.last_sent.0.max(self.began);
        (all_sent && all_told) || now.since(quiet_since) >= ANSWERED_WITHIN
    }

    /// What got through, in bit/s; `None` where less than this share of the burst did, or time makes no sense of it.
    fn result(&self, share: f64) -> Option<f64> {
        let enough = |arrived: usize, planned: usize| arrived as f64 >= share * planned as f64;
        if !enough(
            self.arrived.packets,
            self.probe.packets.max(self.sent.packets),
        ) || !enough(self.arrived.bytes, self.probe.bytes.max(self.sent.bytes))
        {
            return None;
        }
        // Between the first and the last there left all but one.
        let (last_sent, closing) = self.last_sent;
        let sending = last_sent.since(self.first_sent?).as_secs_f64();
        let sent = (self.sent.bytes - closing) as f64 * 8.0 / sending;
        let pace = 1.0 / self.line.slope()?;
        if !sent.is_finite() || !(0.0..=SQUEEZED).contains(&pace) {
            return None;
        }
        Some(if pace < SLOWED {
            USABLE * pace * sent
        } else {
            pace.min(1.0) * sent
        })
    }
}

/// Arrivals over departures, by least squares: how much longer the receiver took for what left in a time. The first and
/// the last arrival alone would tell the same on a quiet path; on one that jitters, they lie furthest apart by chance.
#[derive(Default)]
struct Line {
    first: Option<(i64, i64)>,
    count: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl Line {
    /// In microseconds, each of its own clock.
    fn add(&mut self, sent: i64, arrival: i64) {
        let (x0, y0) = *self.first.get_or_insert((sent, arrival));
        let x = sent.wrapping_sub(x0) as f64;
        let y = arrival.wrapping_sub(y0) as f64;
        self.count += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
    }

    fn slope(&self) -> Option<f64> {
        let slope =
            (self.count * self.xy - self.x * self.y) / (self.count * self.xx - self.x * self.x);
        slope.is_finite().then_some(slope)
    }
}
