//! A sender that obeys the estimator, and a receiver that tells it what arrived, over a [`Link`].
use std::time::Duration;

use super::link::{Conditions, Link};
use crate::allocation::{Allocator, Class, Picture, Step};
use crate::congestion::{Estimator, Probe};
use crate::rtcp::{Packet, packets};
use crate::twcc::ArrivalRecorder;
use crate::units::{Bitrate, DowntrackId, Ssrc, Time};

const STEP: Duration = Duration::from_millis(1);
const TICK: Duration = Duration::from_millis(50);
const PICTURE: Duration = Duration::from_millis(33);
/// Largest packet on the wire.
const PACKET: u64 = 1_200;
/// A picture's packets leave faster than its rate, as a pacer sends them.
const PACING: f64 = 1.5;

/// A packet on its way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct InFlight {
    arrival: Time,
    number: u64,
    sent: Time,
    bytes: u64,
    is_media: bool,
}

/// One look at the call.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub at: Time,
    pub estimate: Bitrate,
    pub waiting: Duration,
}

pub struct Call {
    pub now: Time,
    pub estimator: Estimator,
    pub link: Link,
    /// What media would send if it could.
    pub wanted: Bitrate,
    pub feeding_back: bool,
    /// The receiver tells of arrivals as if nothing ever waited.
    pub hiding_delay: bool,
    pub rival: Option<Rival>,
    /// Media comes in these steps instead of any rate.
    pub layers: Option<Layers>,
    recorder: ArrivalRecorder,
    arriving: Vec<InFlight>,
    feedback: Vec<(Time, Vec<u8>)>,
    number: u64,
    next_tick: Time,
    next_picture: Time,
    /// Bytes of pictures that wait for the pacer, and what it may send.
    backlog: u64,
    credit: f64,
    burst: Option<(Probe, u64, usize, f64)>,
    pub samples: Vec<Sample>,
    /// When how many bytes of media arrived.
    pub arrived: Vec<(Time, u64)>,
    pub probes: usize,
}

impl Call {
    pub fn new(conditions: Conditions, wanted: Bitrate, seed: u64) -> Self {
        Call {
            now: Time::from_millis(1_000),
            estimator: Estimator::new(),
            link: Link::new(conditions, seed),
            wanted,
            feeding_back: true,
            hiding_delay: false,
            rival: None,
            layers: None,
            recorder: ArrivalRecorder::new(),
            arriving: Vec::new(),
            feedback: Vec::new(),
            number: 65_000 + seed,
            next_tick: Time::ZERO,
            next_picture: Time::ZERO,
            backlog: 0,
            credit: 0.0,
            burst: None,
            samples: Vec::new(),
            arrived: Vec::new(),
            probes: 0,
        }
    }

    pub fn change(&mut self, change: impl FnOnce(&mut Conditions)) {
        let mut conditions = self.link.conditions();
        change(&mut conditions);
        self.link.change(self.now, conditions);
    }

    pub fn run(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        while self.now < end {
            self.now = self.now + STEP;
            if let Some(rival) = &mut self.rival {
                rival.send(self.now, &mut self.link);
            }
            self.receive();
            self.hear();
            if self.now >= self.next_tick {
                self.next_tick = self.now + TICK;
                self.tick();
            }
            self.send();
        }
    }

    fn receive(&mut self) {
        let now = self.now;
        let mut due: Vec<_> = self
            .arriving
            .extract_if(.., |packet| packet.arrival <= now)
            .collect();
        due.sort_unstable();
        for packet in due {
            let shown = if self.hiding_delay {
                packet.sent + self.link.conditions().delay
            } else {
                packet.arrival
            };
            self.recorder
                .on_packet(shown, packet.number as u16, Ssrc(1));
            if packet.is_media {
                self.arrived.push((packet.arrival, packet.bytes));
            }
        }
        let mut out = Vec::new();
        while self.recorder.poll(now, Ssrc(2), &mut out) {
            let back = now + self.link.conditions().delay;
            let told = std::mem::take(&mut out);
            if self.feeding_back {
                self.feedback.push((back, told));
            }
        }
    }

    fn hear(&mut self) {
        let now = self.now;
        let due: Vec<_> = self.feedback.extract_if(.., |(at, _)| *at <= now).collect();
        let round_trip = self.link.conditions().delay * 2;
        for (_, bytes) in due {
            for packet in packets(&bytes) {
                let Ok(Packet::TransportFeedback { feedback, .. }) = packet else {
                    unreachable!("the recorder writes feedback");
                };
                self.estimator.on_feedback(now, &feedback, Some(round_trip));
            }
        }
    }

    fn tick(&mut self) {
        self.estimator.on_tick(self.now);
        if let Some(layers) = &mut self.layers {
            self.wanted = layers.divide(self.now, self.estimator.bitrate());
        }
        if self.burst.is_none() {
            let probe = self.estimator.poll_probe(self.now, self.wanted);
            self.burst = probe.map(|probe| (probe, 0, 0, 0.0));
            self.probes += usize::from(self.burst.is_some());
        }
        self.samples.push(Sample {
            at: self.now,
            estimate: self.estimator.bitrate(),
            waiting: self.link.waiting(self.now),
        });
    }

    fn send(&mut self) {
        let elastic = self.estimator.bitrate().min(self.wanted);
        let rate = self.layers.as_ref().map_or(elastic, |layers| layers.used);
        if self.now >= self.next_picture {
            self.next_picture = self.now + PICTURE;
            self.backlog += rate.bytes_in(PICTURE);
        }
        if let Some((probe, mut bytes, mut count, mut credit)) = self.burst.take() {
            credit += probe.rate.as_bps() as f64 / 8e3;
            let size = (probe.bytes / probe.packets).clamp(200, PACKET as usize) as u64;
            while credit >= 0.0 {
                credit -= size as f64;
                let media = self.backlog >= size;
                self.backlog -= if media { size } else { 0 };
                self.put(size, Some(probe), media);
                (bytes, count) = (bytes + size, count + 1);
            }
            if bytes < probe.bytes as u64 || count < probe.packets {
                self.burst = Some((probe, bytes, count, credit));
            }
            return;
        }
        self.credit = (self.credit + PACING * rate.as_bps() as f64 / 8e3).min(20.0 * PACKET as f64);
        while self.backlog > 0 && self.credit > 0.0 {
            let size = self.backlog.min(PACKET);
            self.backlog -= size;
            self.credit -= size as f64;
            self.put(size, None, true);
        }
    }

    fn put(&mut self, bytes: u64, probe: Option<Probe>, is_media: bool) {
        let id = probe.map(|probe| probe.id);
        self.estimator
            .on_sent(self.now, self.number, bytes as usize, id);
        if let Some(arrival) = self.link.carry(self.now, bytes) {
            self.arriving.push(InFlight {
                arrival,
                number: self.number,
                sent: self.now,
                bytes,
                is_media,
            });
        }
        self.number += 1;
    }

    /// Seconds since `from` until the estimate was first so; `None` if it never was.
    pub fn time_until(&self, from: Time, so: impl Fn(&Sample) -> bool) -> Option<f64> {
        let mut since = self.samples.iter().filter(|sample| sample.at > from);
        let first = since.find(|sample| so(sample))?;
        Some(first.at.since(from).as_secs_f64())
    }

    /// Samples of the last seconds.
    pub fn last(&self, seconds: f64) -> impl Iterator<Item = &Sample> {
        let from = Duration::from_secs_f64(seconds);
        let now = self.now;
        self.samples
            .iter()
            .filter(move |sample| now.since(sample.at) <= from)
    }

    /// Media that arrived in the last seconds.
    pub fn used(&self, seconds: f64) -> Bitrate {
        let span = Duration::from_secs_f64(seconds);
        let late = self
            .arrived
            .iter()
            .filter(|(at, _)| self.now.since(*at) <= span);
        Bitrate::of(late.map(|(_, bytes)| bytes).sum(), span)
    }

    /// Mean and standard deviation of the estimate over the last seconds, in bit/s.
    pub fn spread(&self, seconds: f64) -> (f64, f64) {
        let rates: Vec<f64> = self
            .last(seconds)
            .map(|sample| sample.estimate.as_bps() as f64)
            .collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        let square = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>();
        (mean, (square / rates.len() as f64).sqrt())
    }

    /// The longest wait of the last seconds.
    pub fn longest_wait(&self, seconds: f64) -> Duration {
        self.last(seconds)
            .map(|sample| sample.waiting)
            .max()
            .unwrap_or_default()
    }
}

/// Sound and one picture in layers, of which the allocation takes its pick.
pub struct Layers {
    allocator: Allocator,
    sound: Bitrate,
    steps: Vec<Step>,
    used: Bitrate,
    /// When which step began.
    pub changes: Vec<(Time, Option<Step>)>,
}

impl Layers {
    pub fn new(sound: Bitrate, steps: Vec<Step>) -> Self {
        Layers {
            allocator: Allocator::new(),
            sound,
            steps,
            used: sound,
            changes: Vec::new(),
        }
    }

    fn divide(&mut self, now: Time, estimate: Bitrate) -> Bitrate {
        let picture = Picture {
            downtrack: DowntrackId(1),
            class: Class::Other,
            weight: 0,
            steps: &self.steps,
            wish: None,
        };
        let division = self.allocator.divide(now, estimate, self.sound, &[picture]);
        self.used = division.used;
        let step = division.grants[0].step;
        if self.changes.last().is_none_or(|(_, last)| *last != step) {
            self.changes.push((now, step));
        }
        division.wanted
    }
}

/// A download beside the call: additive increase, multiplicative decrease.
pub struct Rival {
    window: f64,
    acks: Vec<Time>,
    losses: Vec<Time>,
    halved: Time,
}

impl Rival {
    pub fn new() -> Self {
        Rival {
            window: 4.0,
            acks: Vec::new(),
            losses: Vec::new(),
            halved: Time::ZERO,
        }
    }

    fn send(&mut self, now: Time, link: &mut Link) {
        let delay = link.conditions().delay;
        let acked = self.acks.extract_if(.., |at| *at <= now).count();
        self.window += acked as f64 / self.window;
        let lost = self.losses.extract_if(.., |at| *at <= now).count();
        if lost > 0 && now.since(self.halved) > delay * 2 + link.waiting(now) {
            self.window = (self.window / 2.0).max(2.0);
            self.halved = now;
        }
        while ((self.acks.len() + self.losses.len()) as f64) < self.window {
            match link.carry(now, PACKET) {
                Some(arrival) => self.acks.push(arrival + delay),
                None => self.losses.push(now + delay * 2 + link.waiting(now)),
            }
        }
    }
}
