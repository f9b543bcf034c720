//! The rate that losses allow.
//!
//! Losses that come of sending too much go away when less is sent; those of a bad radio do not. So the answer to much
//! loss is an experiment: send what got through. If losses remain as they were, they are the path's own, the old rate
//! comes back and only what exceeds them counts from then on. libwebrtc fits the same model (an inherent loss and a
//! bandwidth) by maximum likelihood over a window; its older controller, which this replaces, gives up half of the loss
//! at every report above a tenth, and so starves a call that could live with it.
use std::time::Duration;

use super::sent::Told;
use super::{CEILING, FLOOR};
use crate::units::Time;

/// Loss beyond the path's own that is passed over (GCC draft section 6): retransmission mends it, and below it chance
/// would start too many experiments.
const TOLERATED: f64 = 0.1;
/// What chance adds to a ratio among so many packets: that many standard deviations.
const CHANCE: f64 = 2.0;
/// No more than this is ever taken for the path's own. A third of all packets is past what repair can mend.
const MOST_INHERENT: f64 = 0.3;
/// Below this the sender's own pauses, not the link, keep the rate down, and only such losses lower it.
const LIMITED_BELOW: f64 = 0.65;
const SEVERE: f64 = 0.3;

/// An observation takes this long and that many packets, or as long as it takes.
const WINDOW: Duration = Duration::from_millis(500);
const PACKETS: u32 = 60;
const LONGEST: Duration = Duration::from_secs(3);
const FEWEST: u32 = 20;

/// One step takes no more than this: an outage of a moment looks like nothing getting through.
const LEAST_KEPT: f64 = 0.4;
/// How long to stay at what got through before trying more; doubled each time that was wrong.
const HOLD: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(16));
/// Growth with each observation without much loss.
const GROWTH: f64 = 1.05;
/// How fast the path's own loss is believed to have become less.
const FORGETTING: f64 = 0.3;

/// The loss-based half of the estimate.
pub(super) struct LossBased {
    observed: Observation,
    /// Packets sent before this say nothing of the rate since.
    from: Time,
    inherent: f64,
    limit: Option<f64>,
    trial: Option<Trial>,
    hold: Duration,
    hold_until: Time,
}

#[derive(Clone, Copy, Default)]
struct Observation {
    first: Option<Time>,
    last: Time,
    packets: u32,
    bytes: u64,
    arrived: u64,
}

/// A step down that is to show what losses come of; rates in bit/s.
#[derive(Clone, Copy)]
struct Trial {
    loss: f64,
    sent: f64,
    arrived: f64,
    before: Option<f64>,
}

impl LossBased {
    pub fn new() -> Self {
        LossBased {
            observed: Observation::default(),
            from: Time::ZERO,
            inherent: 0.0,
            limit: None,
            trial: None,
            hold: HOLD.0,
            hold_until: Time::ZERO,
        }
    }

    /// Bits a second; `None` while losses set no limit.
    pub fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// The share of packets that the path loses whatever is sent.
    pub fn inherent(&self) -> f64 {
        self.inherent
    }

    /// Whether a step down is on trial, or was right and is to last.
    pub fn is_holding(&self, now: Time) -> bool {
        self.trial.is_some() || now < self.hold_until
    }

    /// A packet's fate is told.
    pub fn on_told(&mut self, told: &Told) {
        if told.sent < self.from {
            return;
        }
        let observed = &mut self.observed;
        if told.late {
            // It was counted as lost, perhaps in an observation that is over.
            observed.arrived = (observed.arrived + told.bytes as u64).min(observed.bytes);
            return;
        }
        observed.first.get_or_insert(told.sent);
        observed.last = observed.last.max(told.sent);
        observed.packets += 1;
        observed.bytes += told.bytes as u64;
        if told.arrival.is_some() {
            observed.arrived += told.bytes as u64;
        }
    }

    /// All of a feedback is in; `estimate` is what may be sent now.
    pub fn update(&mut self, now: Time, estimate: f64) {
        let observed = self.observed;
        let Some(first) = observed.first else {
            return;
        };
        let span = observed.last.since(first);
        let enough = span >= WINDOW && observed.packets >= PACKETS;
        if !enough && (span < LONGEST || observed.packets < FEWEST) {
            return;
        }
        self.observed = Observation::default();
        let rate = |bytes: u64| bytes as f64 * 8.0 / span.as_secs_f64();
        let (sent, arrived) = (rate(observed.bytes), rate(observed.arrived));
        // By bytes: what a full queue has no room for is not always what fills it.
        let loss = 1.0 - observed.arrived as f64 / observed.bytes.max(1) as f64;
        if let Some(trial) = self.trial.take() {
            self.conclude(now, &trial, loss, sent);
        } else if loss > self.inherent + TOLERATED + chance(self.inherent, observed.packets) {
            self.step_down(now, loss, sent, arrived, estimate);
        } else {
            self.inherent += FORGETTING * (loss - self.inherent).min(0.0);
            if now >= self.hold_until {
                self.limit = self.limit.map(|limit| limit * GROWTH);
            }
        }
    }

    /// The other half allows this much: a limit well above it is none.
    pub fn release_above(&mut self, rate: f64) {
        if self.trial.is_none() && self.limit.is_some_and(|limit| limit > 1.1 * rate) {
            self.limit = None;
            self.hold = HOLD.0;
        }
    }

    /// A probe got this through.
    pub fn on_probe(&mut self, rate: f64) {
        self.limit = self.limit.map(|limit| limit.max(rate));
    }

    fn step_down(&mut self, now: Time, loss: f64, sent: f64, arrived: f64, estimate: f64) {
        if sent < LIMITED_BELOW * estimate && loss < SEVERE {
            return;
        }
        let from = estimate.min(sent.max(LIMITED_BELOW * estimate));
        // What the path loses anyway is sent on top of what gets through.
        let target = arrived / (1.0 - self.inherent);
        let limit = target.max(LEAST_KEPT * from).min(estimate);
        let (floor, ceiling) = (FLOOR.as_bps() as f64, CEILING.as_bps() as f64);
        self.trial = Some(Trial {
            loss,
            sent,
            arrived,
            before: self.limit,
        });
        self.limit = Some(limit.clamp(floor, ceiling));
        self.from = now;
    }

    fn conclude(&mut self, now: Time, trial: &Trial, loss: f64, sent: f64) {
        if sent > 0.95 * trial.sent && loss > trial.loss / 2.0 {
            // Less was asked for, but not sent: the experiment did not take place.
            if loss <= MOST_INHERENT {
                self.limit = trial.before;
            }
            return;
        }
        let of_congestion = (1.0 - trial.arrived / sent.max(1.0)).max(0.0);
        if loss > (trial.loss + of_congestion) / 2.0 && trial.loss <= MOST_INHERENT + TOLERATED {
            self.inherent = loss.min(trial.loss).clamp(self.inherent, MOST_INHERENT);
            self.limit = trial.before;
            return;
        }
        self.hold_until = now + self.hold;
        self.hold = (self.hold * 2).min(HOLD.1);
    }
}

fn chance(ratio: f64, packets: u32) -> f64 {
    let ratio = ratio.max(TOLERATED);
    CHANCE * (ratio * (1.0 - ratio) / f64::from(packets.max(1))).sqrt()
}
