//! The estimate itself: delays, losses, bursts and silence, brought together.
use std::time::Duration;

use super::delay::DelayBased;
use super::loss::LossBased;
use super::meter::RateMeter;
use super::probe::{Outcome, Probe, ProbeId, Prober};
use super::sent::{SentPackets, Told};
use super::throughput::Throughput;
use super::{CEILING, FLOOR, START};
use crate::rtcp::TransportFeedback;
use crate::units::{Bitrate, Time};

/// Sending less than this much of the estimate says nothing about the rest of it (libwebrtc).
const LIMITED_BELOW: f64 = 0.65;
/// Time after a step back in which no burst is sent, so that the queue drains first.
const CALM_FOR: Duration = Duration::from_secs(1);

/// Feedback comes every 50 to 250 ms while packets arrive. Silence of so long, beyond a round trip, is an outage or a
/// queue without end, and as long as it goes on the estimate falls.
const SILENT_AFTER: Duration = Duration::from_secs(1);
const SILENCE_STEP: Duration = Duration::from_millis(500);
const SILENCE_FACTOR: f64 = 0.75;
/// The longest round trip that silence is excused with.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(2);

/// How much may be sent to one subscriber, by what its transport-wide feedback says of what was sent.
///
/// All it reads is a stranger's word. Whatever is claimed, it stays between [`FLOOR`] and [`CEILING`], remembers no more
/// than a few thousand packets, and moves nobody's estimate but the stranger's own.
pub struct Estimator {
    sent: SentPackets,
    told: Vec<Told>,
    meter: RateMeter,
    throughput: Throughput,
    delay: DelayBased,
    loss: LossBased,
    prober: Prober,
    bitrate: f64,
    limited: bool,
    round_trip: Option<Duration>,
    /// When the oldest packet left that no feedback has come since.
    unanswered: Option<Time>,
    /// When silence next lowers the estimate.
    silence_due: Option<Time>,
}

impl Estimator {
    /// Begins at [`START`](super::START).
    pub fn new() -> Self {
        Estimator {
            sent: SentPackets::default(),
            told: Vec::new(),
            meter: RateMeter::default(),
            throughput: Throughput::default(),
            delay: DelayBased::new(),
            loss: LossBased::new(),
            prober: Prober::new(),
            bitrate: START.as_bps() as f64,
            limited: true,
            round_trip: None,
            unanswered: None,
            silence_due: None,
        }
    }

    /// A packet with this transport-wide number (extended; starts anywhere, goes up by one) left: `bytes` on the wire,
    /// headers of IP, UDP and SRTP included, as far as the caller counts them. Every packet that leaves during a burst,
    /// media as well as what fills it up, carries the burst's mark.
    pub fn on_sent(&mut self, now: Time, number: u64, bytes: usize, probe: Option<ProbeId>) {
        self.sent.on_sent(now, number, bytes, probe);
        match probe {
            Some(id) => self.prober.on_sent(now, id, bytes),
            None => self.meter.add(now, bytes),
        }
        self.unanswered.get_or_insert(now);
    }

    /// The subscriber tells what arrived. `round_trip` is what other reports say of it, if they do.
    pub fn on_feedback(
        &mut self,
        now: Time,
        feedback: &TransportFeedback<'_>,
        round_trip: Option<Duration>,
    ) {
        let mut told = std::mem::take(&mut self.told);
        told.clear();
        self.sent.on_feedback(feedback, &mut told);
        if !told.is_empty() {
            self.learn(now, &mut told, round_trip);
        }
        self.told = told;
    }

    /// Time passes: call several times a second.
    pub fn on_tick(&mut self, now: Time) {
        self.read_burst(now);
        self.suffer_silence(now);
        self.limited = self.meter.rate(now).as_bps() as f64 <= LIMITED_BELOW * self.bitrate;
        self.settle();
    }

    /// What may be sent now.
    pub fn bitrate(&self) -> Bitrate {
        Bitrate::from_bps(self.bitrate as u64)
    }

    /// Whether so little is sent, by the last tick, that the estimate rests on what was learned before.
    pub fn is_application_limited(&self) -> bool {
        self.limited
    }

    /// A burst that may find out whether there is more room; `wanted` is what could be used if it were there. `None`
    /// when there is nothing to gain or it is too soon. A burst that was asked for must be sent, as soon as may be: the
    /// next one waits for it, or for a second.
    pub fn poll_probe(&mut self, now: Time, wanted: Bitrate) -> Option<Probe> {
        let calm = self.delay.is_calm(now, CALM_FOR)
            && !self.loss.is_holding(now)
            && self.silence_due.is_none();
        if !calm {
            return None;
        }
        let wanted = wanted.as_bps() as f64;
        self.prober.poll(now, self.bitrate, wanted)
    }

    fn learn(&mut self, now: Time, told: &mut [Told], round_trip: Option<Duration>) {
        self.unanswered = None;
        self.silence_due = None;
        let newest = told.iter().map(|told| told.sent).max().unwrap_or(now);
        // A feedback packet waits for its time, so its own answer is rather late; better than none.
        let answered = now.since(newest);
        self.round_trip = Some(round_trip.unwrap_or(answered).min(LONGEST_ROUND_TRIP));
        for told in told.iter() {
            self.loss.on_told(told);
            if let Some(id) = told.probe {
                self.prober.on_told(id, told);
            }
        }
        // Losses first, then by arrival: what is told is in the order of sending.
        told.sort_unstable_by_key(|told| (told.arrival, told.number));
        for told in told.iter() {
            if let Some(arrival) = told.arrival {
                self.throughput.on_arrival(told, arrival);
                self.delay.on_arrival(now, told.sent, arrival);
            }
        }
        self.delay.update(now, &self.throughput, self.round_trip);
        self.loss.update(now, self.bitrate);
        self.read_burst(now);
        self.settle();
    }

    fn read_burst(&mut self, now: Time) {
        let outcome = self.prober.outcome(now, self.loss.inherent(), self.bitrate);
        if let Some(Outcome::Found(rate)) = outcome {
            self.delay.on_probe(rate);
            self.loss.on_probe(rate);
        }
    }

    fn suffer_silence(&mut self, now: Time) {
        let Some(since) = self.unanswered else {
            return;
        };
        let excused = SILENT_AFTER + self.round_trip.unwrap_or_default();
        let due = self.silence_due.unwrap_or(since + excused);
        if now >= due {
            self.silence_due = Some(now + SILENCE_STEP);
            self.delay.on_silence(SILENCE_FACTOR);
        }
    }

    /// The lower of the two halves.
    fn settle(&mut self) {
        self.loss.release_above(self.delay.rate());
        let allowed = self
            .loss
            .limit()
            .map_or(self.delay.rate(), |limit| limit.min(self.delay.rate()));
        let (floor, ceiling) = (FLOOR.as_bps() as f64, CEILING.as_bps() as f64);
        self.bitrate = allowed.clamp(floor, ceiling);
    }
}

impl Default for Estimator {
    fn default() -> Self {
        Self::new()
    }
}
