//! What one incoming stream is missing, and when it is asked for again (RFC 4585 section 6.2.1).
//!
//! Gaps are told by authenticated packet indexes. What is asked for, how often and for how long is bounded here, so
//! that a publisher who leaves out everything costs no more than the packets it does send.
use std::collections::VecDeque;
use std::time::Duration;

use crate::counters::Counters;
use crate::downtrack::budget::ResendBudget;
use crate::units::{MediaKind, Time};

/// A packet that is overtaken by others arrives this much later as a rule, so nothing is asked for sooner: half the
/// spread that Wi-Fi's aggregation causes, and little beside any round trip.
const REORDERING: Duration = Duration::from_millis(10);

/// Round trip while nothing has told it.
const ASSUMED_ROUND_TRIP: Duration = Duration::from_millis(100);

/// Between two requests for one packet lies a round trip and what jitter adds to it, within these bounds: timers are
/// no finer, and whoever answers more slowly is no help.
const MIN_SPACING: Duration = Duration::from_millis(20);
const MAX_SPACING: Duration = Duration::from_millis(500);

/// Most requests for one packet; at 20 % loss each way one in a hundred thousand needs more.
const MAX_ASKS: u8 = 10;

/// A picture frozen for longer than this is repaired by a key frame, sooner and smaller than by its lost packets.
const VIDEO_AGE: Duration = Duration::from_millis(1_000);

/// Receivers keep at most some 200 ms of sound back, and stretch to twice that.
const AUDIO_AGE: Duration = Duration::from_millis(400);

/// Packets missing at once: a quarter of a second of a 10 Mbit/s stream. Who lost more needs a key frame.
const MAX_MISSING: usize = 256;

/// What one incoming stream is missing.
pub struct Losses {
    /// By index, oldest first.
    missing: VecDeque<Missing>,
    highest: Option<u64>,
    budget: ResendBudget,
    age: Duration,
    /// Whether anything may be asked for at all.
    asks: bool,
}

struct Missing {
    index: u64,
    found: Time,
    /// When it is to be asked for, first or again.
    due: Time,
    /// The last request, if any.
    asked: Option<Time>,
    asks: u8,
}

/// Where a packet stands among those that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// After all of them.
    Ahead,
    /// It was overtaken or lost; `asked_once` when it came in answer to the only request.
    Late {
        /// When that was.
        asked_once: Option<Time>,
    },
}

impl Losses {
    /// Nothing is missing. With `asks` false the publisher understands no requests.
    pub fn new(kind: MediaKind, asks: bool) -> Self {
        Losses {
            missing: VecDeque::new(),
            highest: None,
            budget: ResendBudget::default(),
            age: match kind {
                MediaKind::Audio => AUDIO_AGE,
                MediaKind::Video => VIDEO_AGE,
            },
            asks,
        }
    }

    /// A packet came, whichever way.
    pub fn on_packet(&mut self, now: Time, index: u64, counters: &mut Counters) -> Place {
        let Some(highest) = self.highest else {
            self.highest = Some(index);
            return Place::Ahead;
        };
        if self.asks {
            self.budget.on_sent(now);
        }
        if index <= highest {
            return self.fill(index, counters);
        }
        self.highest = Some(index);
        if self.asks {
            self.note_gap(now, highest + 1, index, counters);
        }
        Place::Ahead
    }

    /// A decoder can go on at `index` without anything before it.
    pub fn on_key_frame(&mut self, index: u64, counters: &mut Counters) {
        while self
            .missing
            .front()
            .is_some_and(|first| first.index < index)
        {
            self.missing.pop_front();
            counters.loss_now -= 1;
            counters.loss_superseded += 1;
        }
    }

    /// Nobody needs what is missing, and the next packet begins anew.
    pub fn reset(&mut self, counters: &mut Counters) {
        self.highest = None;
        self.abandon(counters);
    }

    /// Nobody needs what is missing.
    pub fn abandon(&mut self, counters: &mut Counters) {
        let missing = self.missing.len() as u64;
        counters.loss_now -= missing;
        counters.loss_unwanted += missing;
        self.missing.clear();
    }

    /// When [`Losses::poll`] is next to be called; `None` while nothing is missing.
    pub fn deadline(&self) -> Option<Time> {
        self.missing.iter().map(|missing| missing.due).min()
    }

    /// Appends the sequence numbers to ask for now, in order; calling it counts as asking.
    pub fn poll(
        &mut self,
        now: Time,
        round_trip: Option<Duration>,
        out: &mut Vec<u16>,
        counters: &mut Counters,
    ) {
        let round_trip = round_trip.unwrap_or(ASSUMED_ROUND_TRIP);
        let spacing = (round_trip + round_trip / 4).clamp(MIN_SPACING, MAX_SPACING);
        let age = self.age;
        let budget = &mut self.budget;
        self.missing.retain_mut(|missing| {
            if now < missing.due {
                return true;
            }
            if missing.asks >= MAX_ASKS || now.since(missing.found) >= age {
                counters.loss_now -= 1;
                counters.loss_given_up += 1;
                return false;
            }
            missing.due = now + spacing;
            if budget.take(now) {
                missing.asked = Some(now);
                missing.asks += 1;
                counters.nack_up_packets += 1;
                out.push(missing.index as u16);
            }
            true
        });
    }

    fn fill(&mut self, index: u64, counters: &mut Counters) -> Place {
        let found = self.missing.binary_search_by_key(&index, |m| m.index).ok();
        let Some(missing) = found.and_then(|at| self.missing.remove(at)) else {
            return Place::Late { asked_once: None };
        };
        counters.loss_now -= 1;
        if missing.asks == 0 {
            counters.loss_late += 1;
        } else {
            counters.loss_recovered += 1;
        }
        Place::Late {
            asked_once: missing.asked.filter(|_| missing.asks == 1),
        }
    }

    fn note_gap(&mut self, now: Time, from: u64, to: u64, counters: &mut Counters) {
        let gap = to - from;
        counters.loss_found += gap;
        if gap > MAX_MISSING as u64 {
            // An encoder that ran on unheard, or a line that was cut: nothing of this comes back in time.
            counters.loss_overflow += gap;
            return;
        }
        counters.loss_now += gap;
        for index in from..to {
            if self.missing.len() == MAX_MISSING {
                self.missing.pop_front();
                counters.loss_now -= 1;
                counters.loss_overflow += 1;
            }
            self.missing.push_back(Missing {
                index,
                found: now,
                due: now + REORDERING,
                asked: None,
                asks: 0,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Option<Duration> = Some(Duration::from_millis(80));

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    struct World {
        losses: Losses,
        counters: Counters,
    }

    impl World {
        fn new() -> Self {
            World {
                losses: Losses::new(MediaKind::Video, true),
                counters: Counters::default(),
            }
        }

        fn receive(&mut self, at: u64, indexes: impl IntoIterator<Item = u64>) {
            for index in indexes {
                self.losses.on_packet(ms(at), index, &mut self.counters);
            }
        }

        fn ask(&mut self, at: u64) -> Vec<u16> {
            let mut out = Vec::new();
            self.losses.poll(ms(at), RTT, &mut out, &mut self.counters);
            out
        }

        fn balance(&self) {
            let c = &self.counters;
            let ended = c.loss_late
                + c.loss_recovered
                + c.loss_superseded
                + c.loss_given_up
                + c.loss_overflow
                + c.loss_unwanted;
            assert_eq!(c.loss_found, ended + c.loss_now);
            assert_eq!(c.loss_now, self.losses.missing.len() as u64);
        }
    }

    #[test]
    fn a_gap_is_asked_for_once_reordering_is_ruled_out_and_again_a_round_trip_later() {
        let mut world = World::new();
        world.receive(0, [65_530, 65_537]);
        assert_eq!(world.losses.deadline(), Some(ms(10)));
        assert!(world.ask(9).is_empty());
        assert_eq!(world.ask(10), [65_531, 65_532, 65_533, 65_534, 65_535, 0]);
        assert!(world.ask(109).is_empty());
        assert_eq!(world.ask(110).len(), 6);
        world.balance();
    }

    #[test]
    fn an_overtaken_packet_is_never_asked_for() {
        let mut world = World::new();
        world.receive(0, [1, 3]);
        world.receive(5, [2]);
        assert_eq!(world.losses.deadline(), None);
        assert!(world.ask(1_000).is_empty());
        assert_eq!(world.counters.loss_late, 1);
        world.balance();
    }

    #[test]
    fn an_answer_tells_the_round_trip_only_when_asked_for_once() {
        let mut world = World::new();
        world.receive(0, [1, 4]);
        world.ask(10);
        let place = world.losses.on_packet(ms(90), 2, &mut world.counters);
        let asked_once = Some(ms(10));
        assert_eq!(place, Place::Late { asked_once });
        world.ask(110);
        let place = world.losses.on_packet(ms(190), 3, &mut world.counters);
        assert_eq!(place, Place::Late { asked_once: None });
        assert_eq!(world.counters.loss_recovered, 2);
        world.balance();
    }

    #[test]
    fn a_packet_that_never_comes_is_asked_for_within_bounds_and_given_up() {
        let mut world = World::new();
        world.receive(0, (0..100).filter(|index| *index != 50));
        let asked: usize = (0..5_000).map(|at| world.ask(at).len()).sum();
        assert_eq!(asked, 10);
        assert_eq!(world.counters.loss_given_up, 1);
        assert_eq!(world.losses.deadline(), None);
        world.balance();
    }

    #[test]
    fn sound_that_is_too_late_to_be_heard_is_given_up_sooner() {
        let mut world = World::new();
        world.losses = Losses::new(MediaKind::Audio, true);
        world.receive(0, [1, 3]);
        let last = (0..5_000).filter(|at| !world.ask(*at).is_empty()).max();
        assert!(last.is_some_and(|last| last < 400));
    }

    #[test]
    fn what_a_key_frame_made_needless_is_not_asked_for() {
        let mut world = World::new();
        world.receive(0, [1, 3, 5, 8]);
        world.losses.on_key_frame(5, &mut world.counters);
        assert_eq!(world.ask(10), [6, 7]);
        assert_eq!(world.counters.loss_superseded, 2);
        world.balance();
    }

    #[test]
    fn a_leap_is_not_filled_and_the_list_is_bounded() {
        let mut world = World::new();
        world.receive(0, [1, 1 << 40]);
        assert_eq!(world.losses.deadline(), None);
        let start = 1 << 40;
        world.receive(0, (1..1_000).map(|step| start + step * 100));
        assert_eq!(world.losses.missing.len(), MAX_MISSING);
        world.balance();
        world.losses.reset(&mut world.counters);
        world.balance();
    }

    #[test]
    fn a_publisher_that_leaves_out_almost_everything_is_asked_for_no_more_than_it_sends() {
        // Unbounded, every packet would be answered with requests for the hundred before it, ten times each.
        let mut world = World::new();
        let mut asked = 0;
        for at in 0..10_000 {
            if at % 10 == 0 {
                world.receive(at, [at * 10]);
            }
            asked += world.ask(at).len();
        }
        assert!(
            asked <= 1_000 + 16 * 10,
            "{asked} asked for 1000 packets sent"
        );
        world.balance();
    }

    #[test]
    fn a_publisher_that_understands_no_requests_is_asked_for_nothing() {
        let mut world = World::new();
        world.losses = Losses::new(MediaKind::Video, false);
        world.receive(0, [1, 5]);
        assert_eq!(world.losses.deadline(), None);
        assert_eq!(world.counters.loss_found, 0);
        let late = world.losses.on_packet(ms(1), 3, &mut world.counters);
        assert_eq!(late, Place::Late { asked_once: None });
    }
}
