//! Packets that left together, and how much further apart than at sending two such groups arrived.
use std::time::Duration;

use crate::units::Time;

/// Packets sent within this time are one group: single packets jitter too much (GCC draft section 4.1).
const GROUP_LENGTH: Duration = Duration::from_millis(5);

/// Packets that arrive within this time of one another, though sent further apart, waited for the same moment, such as
/// a turn on the air, and are one group (GCC draft section 4.1, "burst time").
const BURST_GAP: i64 = 5_000;

/// A burst no longer than this, lest a queue that drains at line rate becomes one endless group.
const MAX_BURST: i64 = 100_000;

/// A pause or leap of the receiver's clock after which differences say nothing.
const MAX_STEP: i64 = 3_000_000;

/// What went by between two groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GroupStep {
    /// Milliseconds between the last packets of both at sending.
    pub sent: f64,
    /// Milliseconds between them at the receiver.
    pub arrived: f64,
    /// When the later group was complete, in microseconds of the receiver's clock.
    pub at: i64,
}

/// Gathers arrivals into groups.
#[derive(Default)]
pub(super) struct Groups {
    previous: Option<Group>,
    current: Option<Group>,
}

#[derive(Clone, Copy)]
struct Group {
    first_sent: Time,
    last_sent: Time,
    first_arrival: i64,
    last_arrival: i64,
}

/// What a packet makes of the groups.
#[derive(Debug, PartialEq)]
pub(super) enum Grouped {
    /// It joined the current one, or is older than it.
    Waiting,
    /// It began a new one.
    Step(GroupStep),
    /// The receiver's clock leaped: what was learned of differences so far says nothing of those to come.
    Leap,
}

impl Groups {
    /// A packet arrived; in the order of arrivals.
    pub fn on_arrival(&mut self, sent: Time, arrival: i64) -> Grouped {
        let Some(current) = &mut self.current else {
            self.current = Some(Group::of(sent, arrival));
            return Grouped::Waiting;
        };
        if sent < current.first_sent {
            return Grouped::Waiting;
        }
        let apart = arrival.wrapping_sub(current.last_arrival);
        if !(-MAX_STEP..=MAX_STEP).contains(&apart) {
            // A long pause looks the same as a leap, and starting afresh costs a group.
            self.previous = None;
            self.current = Some(Group::of(sent, arrival));
            return Grouped::Leap;
        }
        if current.takes(sent, arrival) {
            current.last_sent = current.last_sent.max(sent);
            current.last_arrival = current.last_arrival.max(arrival);
            return Grouped::Waiting;
        }
        let complete = *current;
        self.current = Some(Group::of(sent, arrival));
        let Some(previous) = self.previous.replace(complete) else {
            return Grouped::Waiting;
        };
        let arrived = complete.last_arrival.wrapping_sub(previous.last_arrival);
        Grouped::Step(GroupStep {
            sent: complete.last_sent.since(previous.last_sent).as_secs_f64() * 1e3,
            arrived: arrived as f64 / 1e3,
            at: complete.last_arrival,
        })
    }
}

impl Group {
    fn of(sent: Time, arrival: i64) -> Self {
        Group {
            first_sent: sent,
            last_sent: sent,
            first_arrival: arrival,
            last_arrival: arrival,
        }
    }

    fn takes(&self, sent: Time, arrival: i64) -> bool {
        if sent.since(self.first_sent) <= GROUP_LENGTH {
            return true;
        }
        let between = sent.since(self.last_sent).as_micros() as i64;
        let apart = arrival.wrapping_sub(self.last_arrival);
        apart < between
            && apart <= BURST_GAP
            && arrival.wrapping_sub(self.first_arrival) < MAX_BURST
    }
}
