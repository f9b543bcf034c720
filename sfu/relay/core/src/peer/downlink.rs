//! The link to one subscriber: how packets are numbered on it across all streams
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01), what it is thought to take, and the burst under way that finds
//! out whether it takes more.
use std::time::Duration;

use crate::allocation::Allocator;
use crate::congestion::{Estimator, Probe, ProbeId, START};
use crate::rtcp::TransportFeedback;
use crate::units::{Bitrate, Time};

/// Headers of IPv4 and UDP, bytes: they take their place on the link too.
pub const HEADERS: usize = 28;

/// A subscriber that agreed to tell of arrivals and tells nothing for so long does not do it after all, and is sent to
/// as one that never agreed. Feedback comes after 50 to 250 ms and a round trip.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// What bursts may be filled up with: a share of everything else that was sent, something as time passes (16 kbit/s),
/// since nothing else may be sent where a burst is needed most, and no more at once than the bursts with which a call
/// begins.
const FILLER_SHARE: usize = 8;
const FILLER_A_MILLISECOND: usize = 2;
const MOST_FILLER: usize = 64 * 1024;
/// Bursts wait until so much is there.
const LEAST_FILLER: usize = 4 * 1024;

/// Nothing that could be told of left for so long: what is known of the link no longer changes by itself.
const RESTS_AFTER: Duration = Duration::from_secs(5);

/// Feedback packets heeded in a second. libwebrtc sends 4 to 20, more only where one cannot hold all.
const MOST_FEEDBACK: u32 = 200;

/// Pictures that need up to so much of the estimate go on as long as that lasts: an estimator of this kind swings between
/// what gets through and 0.85 of it, and [`crate::pacer`] lets as much pass.
const BORNE: f64 = 1.2;

/// Longest queue, in seconds, that pictures may be supposed to build before one of them is cut down.
const LONGEST_QUEUE: f64 = 0.75;

/// How long the last layer of a picture goes on without room: as long as an estimate takes to recover from a step down.
const LONGEST_HUNGER: Duration = Duration::from_secs(4);

/// Time between two packets that are sent only to be told of.
const IDLE_AFTER: Duration = Duration::from_millis(50);

/// Shortest time between two packets of a burst: timers are no finer.
pub const LEAST_GAP: Duration = Duration::from_millis(1);

/// A burst that could not be sent within this is given up.
pub const LONGEST_BURST: Duration = Duration::from_millis(250);

/// What is sent to one peer, taken together.
#[repr(C)]
pub struct Downlink {
    /// Extended transport-wide number of the next packet.
    next: u64,
    /// From the first numbered packet on.
    estimator: Option<Box<Estimator>>,
    /// When that was.
    began: Time,
    /// When the last one left.
    last: Time,
    /// Feedback came.
    heard: bool,
    burst: Option<Burst>,
    /// Who gets what of it.
    pub allocator: Allocator,
    /// What its pictures could use if it took more, by the last division.
    pub wanted: Bitrate,
    /// Bytes that bursts may still be filled up with, by when time was last counted.
    filler: usize,
    ticked: Time,
    /// Seconds of queue that what runs has built, if the estimate is right, by when it was last looked at.
    queued: f64,
    weighed: Time,
    /// Since when a picture goes on that there is no room for.
    hungry_since: Option<Time>,
    /// How many feedback packets came in the running second.
    feedback_second: u64,
    feedback_taken: u32,
}

struct Burst {
    probe: Probe,
    began: Time,
    bytes: usize,
    packets: usize,
}

impl Downlink {
    /// `first`: where the numbers begin, from the caller's entropy.
    pub fn new(first: u16) -> Self {
        Downlink {
            next: u64::from(first),
            estimator: None,
            began: Time::ZERO,
            last: Time::ZERO,
            heard: false,
            burst: None,
            allocator: Allocator::new(),
            wanted: Bitrate::ZERO,
            filler: MOST_FILLER,
            ticked: Time::ZERO,
            queued: 0.0,
            weighed: Time::ZERO,
            hungry_since: None,
            feedback_second: 0,
            feedback_taken: 0,
        }
    }

    /// The number that the next packet takes, if it carries one.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// A packet with this number left, of so many bytes of UDP payload. One sent again on its own SSRC repeats the number
    /// it had, which is not the next.
    pub fn on_sent(&mut self, now: Time, number: u16, bytes: usize) {
        if number != self.next as u16 {
            return;
        }
        let estimator = match &mut self.estimator {
            Some(estimator) => estimator,
            none => {
                self.began = now;
                none.insert(Box::default())
            }
        };
        let bytes = bytes + HEADERS;
        self.last = now;
        let mark = self.burst.as_mut().map(|burst| burst.on_sent(bytes));
        estimator.on_sent(now, self.next, bytes, mark);
        self.next += 1;
        if mark.is_none() {
            self.filler = (self.filler + bytes / FILLER_SHARE).min(MOST_FILLER);
        }
        if self.burst.as_ref().is_some_and(Burst::is_complete) {
            self.burst = None;
        }
    }

    /// Whether one more feedback packet is heeded: no more in a second than anybody has reason to send.
    pub fn takes_feedback(&mut self, now: Time) -> bool {
        let second = now.as_micros() / 1_000_000;
        if second != self.feedback_second {
            (self.feedback_second, self.feedback_taken) = (second, 0);
        }
        self.feedback_taken += 1;
        self.feedback_taken <= MOST_FEEDBACK
    }

    /// The subscriber tells what arrived.
    pub fn on_feedback(
        &mut self,
        now: Time,
        feedback: &TransportFeedback<'_>,
        round_trip: Option<Duration>,
    ) {
        if let Some(estimator) = &mut self.estimator {
            self.heard = true;
            estimator.on_feedback(now, feedback, round_trip);
        }
    }

    /// Time passes: call at each tick, unless it is settled.
    pub fn on_tick(&mut self, now: Time) {
        let passed = now.since(self.ticked).as_millis() as usize;
        self.ticked = now;
        let gained = passed.saturating_mul(FILLER_A_MILLISECOND);
        self.filler = self.filler.saturating_add(gained).min(MOST_FILLER);
        if let Some(estimator) = self.estimator.as_mut().filter(|_| self.heard) {
            estimator.on_tick(now);
        }
    }

    /// What the link is thought to take; `None` for one that tells nothing.
    pub fn estimate(&self, now: Time) -> Option<Bitrate> {
        match &self.estimator {
            Some(estimator) if self.heard => Some(estimator.bitrate()),
            Some(_) if now.since(self.began) > HEARD_WITHIN => None,
            _ => Some(START),
        }
    }

    /// Whether pictures that need this much go on over a link thought to take that much. A key frame, or an estimate that
    /// swings for a moment, takes none of them away; what would fill the link's queue does, the sooner the more is
    /// missing.
    pub fn bears(&mut self, now: Time, needed: Bitrate, available: Bitrate) -> bool {
        let passed = now.since(self.weighed).as_secs_f64().min(1.0);
        self.weighed = now;
        if needed <= available {
            self.queued = 0.0;
            return false;
        }
        let missing = needed.less(available.scaled(BORNE)).as_bps() as f64;
        self.queued += passed * missing / available.as_bps().max(1) as f64;
        self.queued < LONGEST_QUEUE
    }

    /// Whether what there is no room for goes on all the same, since that may be over soon. `starves`: there is any.
    pub fn bears_hunger(&mut self, now: Time, starves: bool) -> bool {
        if !starves {
            self.hungry_since = None;
            return false;
        }
        let since = *self.hungry_since.get_or_insert(now);
        now.since(since) < LONGEST_HUNGER
    }

    /// Whether time alone changes nothing that matters until something is sent or told again.
    pub fn is_settled(&self, now: Time) -> bool {
        let silent = now.since(self.last) >= RESTS_AFTER;
        silent && self.burst.is_none() && self.wanted == Bitrate::ZERO
    }

    /// Whether so little is sent that nothing is learned of the link, though more is wanted: whoever gets nothing tells
    /// nothing, and an estimate that nobody tells anything of never rises.
    pub fn is_idle(&self, now: Time) -> bool {
        let silent = now.since(self.last) >= IDLE_AFTER;
        self.heard && silent && self.burst.is_none() && self.wanted > Bitrate::ZERO
    }

    /// Begins a burst where one may find more of what is wanted; whether it did.
    pub fn begin_burst(&mut self, now: Time, wanted: Bitrate) -> bool {
        if !self.heard || self.burst.is_some() || self.filler < LEAST_FILLER {
            return false;
        }
        let estimator = self.estimator.as_mut();
        let Some(probe) = estimator.and_then(|estimator| estimator.poll_probe(now, wanted)) else {
            return false;
        };
        self.burst = Some(Burst {
            probe,
            began: now,
            bytes: 0,
            packets: 0,
        });
        true
    }

    /// When the burst under way began, and when it takes its next packet.
    pub fn burst_due(&self) -> Option<(Time, Time)> {
        let burst = self.burst.as_ref()?;
        let spread = burst.probe.rate.time_for(burst.bytes as u64);
        Some((burst.began, burst.began + spread))
    }

    /// How many packets left in the burst under way.
    pub fn burst_packets(&self) -> Option<usize> {
        self.burst.as_ref().map(|burst| burst.packets)
    }

    /// What was sent to fill the burst up.
    pub fn on_filler(&mut self, bytes: usize) {
        self.filler = self.filler.saturating_sub(bytes);
    }

    /// Nothing can be sent to go on with it.
    pub fn give_up_burst(&mut self) {
        self.burst = None;
    }
}

impl Burst {
    fn on_sent(&mut self, bytes: usize) -> ProbeId {
        self.bytes += bytes;
        self.packets += 1;
        self.probe.id
    }

    fn is_complete(&self) -> bool {
        self.bytes >= self.probe.bytes && self.packets >= self.probe.packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_once_and_runs_past_sixteen_bits() {
        let mut downlink = Downlink::new(u16::MAX);
        downlink.on_sent(Time::ZERO, u16::MAX, 100);
        assert_eq!(downlink.next_number(), 0x1_0000);
        downlink.on_sent(Time::ZERO, u16::MAX, 100);
        assert_eq!(downlink.next_number(), 0x1_0000, "sent again as it was");
        downlink.on_sent(Time::ZERO, 0, 100);
        assert_eq!(downlink.next_number(), 0x1_0001);
    }

    #[test]
    fn whoever_tells_nothing_is_taken_for_a_beginner_and_then_for_one_that_never_will() {
        let mut downlink = Downlink::new(0);
        assert_eq!(downlink.estimate(Time::from_millis(60_000)), Some(START));
        downlink.on_sent(Time::from_millis(60_000), 0, 100);
        assert_eq!(downlink.estimate(Time::from_millis(62_000)), Some(START));
        assert_eq!(downlink.estimate(Time::from_millis(62_001)), None);
        downlink.on_tick(Time::from_millis(70_000));
        assert_eq!(downlink.estimate(Time::from_millis(70_000)), None);
        assert!(!downlink.begin_burst(Time::from_millis(70_000), Bitrate::from_kbps(9_000)));
    }

    #[test]
    fn time_alone_changes_nothing_once_nothing_was_sent_for_long_and_nothing_more_is_wanted() {
        let mut downlink = Downlink::new(0);
        downlink.on_sent(Time::from_millis(1_000), 0, 100);
        assert!(!downlink.is_settled(Time::from_millis(5_999)));
        assert!(downlink.is_settled(Time::from_millis(6_000)));
        downlink.wanted = Bitrate::from_kbps(100);
        assert!(!downlink.is_settled(Time::from_millis(60_000)));
    }
}
