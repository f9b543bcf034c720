//! Transport-wide congestion control, receiving side: tells a publisher when each of its packets arrived
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).
use std::collections::VecDeque;
use std::time::Duration;

use crate::rtcp;
use crate::units::{Ssrc, Time};

/// Time from the first unreported packet to its feedback. The estimators of browsers expect 50 to 250 ms; the short
/// end costs 20 small packets a second and lets them react soonest.
const INTERVAL: Duration = Duration::from_millis(50);

/// Most statuses in one feedback packet: with 2 bytes of delta each it stays well within one datagram.
const MAX_STATUSES: usize = 500;

/// Most statuses waiting: 40,000 packets a second for one interval. A sequence number further ahead than that is
/// no loss but a new beginning.
const MAX_WINDOW: usize = 2048;

/// Sequence numbers that may come before the first one heard and still be reported.
const MAX_EARLY: u64 = 64;

/// Two arrivals of one feedback packet lie no further apart, since a delta has 16 bits of 250 us: 8.19 s.
const MAX_DELTA: Duration = Duration::from_secs(8);

/// Arrivals of one transport, bounded; feedback at most every 50 ms while packets arrive.
pub struct ArrivalRecorder {
    /// Status by sequence number from `base` on; both ends are arrivals, except that losses right after what was
    /// reported before lead the front.
    window: VecDeque<Option<Time>>,
    /// Extended sequence number of the window's front: the first not reported yet.
    base: u64,
    state: State,
    media: Ssrc,
    due: Option<Time>,
    feedback_count: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing arrived yet.
    Empty,
    /// Nothing reported yet, so the window may still grow at its front.
    Fresh,
    /// All before `base` is reported and not reported again.
    Reporting,
}

impl ArrivalRecorder {
    /// Nothing has arrived.
    pub fn new() -> Self {
        ArrivalRecorder {
            window: VecDeque::new(),
            base: 0,
            state: State::Empty,
            media: Ssrc(0),
            due: None,
            feedback_count: 0,
        }
    }

    /// A packet with this transport-wide sequence number arrived on `media`. A duplicate keeps its first arrival.
    pub fn on_packet(&mut self, now: Time, sequence: u16, media: Ssrc) {
        self.media = media;
        if self.state == State::Empty {
            self.begin_at(extend(1 << 16, sequence), State::Fresh);
        }
        let next = self.base + self.window.len() as u64;
        let extended = extend(next, sequence);
        if self.place(extended, now) && self.due.is_none() {
            self.due = Some(now + INTERVAL);
        }
    }

    /// Appends one transport feedback packet to `out` when one is due. Call again until it returns false: what does
    /// not fit into one packet follows in the next.
    pub fn poll(&mut self, now: Time, sender: Ssrc, out: &mut Vec<u8>) -> bool {
        if self.due.is_none_or(|due| now < due) {
            return false;
        }
        self.skip_hopeless_losses();
        let count = self.next_batch();
        if count > 0 {
            let statuses: Vec<Option<Time>> = self.window.drain(..count).collect();
            rtcp::write_transport_feedback(
                out,
                sender,
                self.media,
                self.base as u16,
                self.feedback_count,
                &statuses,
            );
            self.base += count as u64;
            self.feedback_count = self.feedback_count.wrapping_add(1);
            self.state = State::Reporting;
        }
        if self.window.is_empty() {
            self.due = None;
        }
        count > 0
    }

    /// When feedback is next due; `None` while nothing waits for it.
    pub fn deadline(&self) -> Option<Time> {
        self.due
    }

    fn begin_at(&mut self, base: u64, state: State) {
        self.window.clear();
        self.base = base;
        self.state = state;
    }

    /// Whether the arrival was taken into the window.
    fn place(&mut self, extended: u64, now: Time) -> bool {
        if extended < self.base {
            let early = self.base - extended;
            if self.state != State::Fresh || early > MAX_EARLY {
                return false;
            }
            for _ in 0..early {
                self.window.push_front(None);
            }
            self.base = extended;
        } else if extended - self.base >= MAX_WINDOW as u64 {
            self.begin_at(extended, State::Reporting);
        }
        let position = (extended - self.base) as usize;
        if position >= self.window.len() {
            self.window.resize(position + 1, None);
        }
        match self.window.get_mut(position) {
            Some(status @ None) => {
                *status = Some(now);
                true
            }
            _ => false,
        }
    }

    /// A feedback packet must hold an arrival. Losses in front that leave no room for one are not reported: no
    /// estimator learns from 500 lost in a row.
    fn skip_hopeless_losses(&mut self) {
        let leading = self
            .window
            .iter()
            .take_while(|status| status.is_none())
            .count();
        let skipped = leading.saturating_sub(MAX_STATUSES - 1);
        self.window.drain(..skipped);
        self.base += skipped as u64;
    }

    /// How many statuses the next packet takes: up to its last arrival, deltas within their range.
    fn next_batch(&self) -> usize {
        let mut count = 0;
        let mut previous: Option<Time> = None;
        for (position, status) in self.window.iter().take(MAX_STATUSES).enumerate() {
            let Some(arrival) = *status else { continue };
            let apart = |before: Time| arrival.since(before).max(before.since(arrival));
            if previous.is_some_and(|before| apart(before) > MAX_DELTA) {
                break;
            }
            previous = Some(arrival);
            count = position + 1;
        }
        count
    }
}

impl Default for ArrivalRecorder {
    fn default() -> Self {
        Self::new()
    }
}

/// The extended number nearest to `near` whose low 16 bits are `sequence`.
fn extend(near: u64, sequence: u16) -> u64 {
    let step = i64::from(sequence.wrapping_sub(near as u16) as i16);
    near.saturating_add_signed(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Packet, REFERENCE_MICROS, packets};
    use proptest::prelude::*;

    const US: Ssrc = Ssrc(1);
    const THEM: Ssrc = Ssrc(2);

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    /// What a feedback packet says.
    #[derive(Debug, PartialEq)]
    struct Feedback {
        base: u16,
        count: u8,
        /// Arrivals in milliseconds, `None` for lost.
        arrivals: Vec<Option<u64>>,
    }

    fn read(packet: &[u8]) -> Feedback {
        let Some(Ok(Packet::TransportFeedback {
            sender: US,
            media: THEM,
            feedback,
        })) = packets(packet).next()
        else {
            unreachable!("what we write parses");
        };
        let reference = u64::from(feedback.reference()) * REFERENCE_MICROS;
        let millis = |micros: i64| reference.saturating_add_signed(micros) / 1_000;
        let arrivals = feedback.arrivals().map(|(_, arrival)| arrival.map(millis));
        Feedback {
            base: feedback.base(),
            count: feedback.count(),
            arrivals: arrivals.collect(),
        }
    }

    fn poll(recorder: &mut ArrivalRecorder, now: Time) -> Option<Feedback> {
        let mut out = Vec::new();
        recorder.poll(now, US, &mut out).then(|| read(&out))
    }

    #[test]
    fn feedback_is_due_50_ms_after_the_first_unreported_packet() {
        let mut recorder = ArrivalRecorder::new();
        assert_eq!(recorder.deadline(), None);
        recorder.on_packet(ms(100), 5, THEM);
        recorder.on_packet(ms(120), 6, THEM);
        assert_eq!(recorder.deadline(), Some(ms(150)));
        assert_eq!(poll(&mut recorder, ms(149)), None);
        let feedback = poll(&mut recorder, ms(150)).unwrap();
        assert_eq!(feedback.arrivals, [Some(100), Some(120)]);
        assert_eq!(recorder.deadline(), None);
        assert_eq!(poll(&mut recorder, ms(500)), None);
    }

    #[test]
    fn lost_packets_show_between_and_across_feedbacks_and_the_count_goes_up() {
        let mut recorder = ArrivalRecorder::new();
        recorder.on_packet(ms(0), 65_534, THEM);
        recorder.on_packet(ms(1), 1, THEM);
        let first = poll(&mut recorder, ms(50)).unwrap();
        let lost_two = vec![Some(0), None, None, Some(1)];
        assert_eq!(
            (first.base, first.count, first.arrivals),
            (65_534, 0, lost_two)
        );
        recorder.on_packet(ms(60), 3, THEM);
        let second = poll(&mut recorder, ms(110)).unwrap();
        assert_eq!((second.base, second.count), (2, 1));
        assert_eq!(second.arrivals, [None, Some(60)]);
    }

    #[test]
    fn reordered_packets_take_their_places_until_they_are_reported() {
        let mut recorder = ArrivalRecorder::new();
        for (millis, sequence) in [(0, 11), (1, 10), (2, 13), (3, 12)] {
            recorder.on_packet(ms(millis), sequence, THEM);
        }
        let feedback = poll(&mut recorder, ms(50)).unwrap();
        assert_eq!((feedback.base, feedback.count), (10, 0));
        assert_eq!(feedback.arrivals, [Some(1), Some(0), Some(3), Some(2)]);
        recorder.on_packet(ms(60), 12, THEM);
        recorder.on_packet(ms(60), 9, THEM);
        assert_eq!(recorder.deadline(), None);
    }

    #[test]
    fn a_duplicate_keeps_its_first_arrival() {
        let mut recorder = ArrivalRecorder::new();
        recorder.on_packet(ms(0), 1, THEM);
        recorder.on_packet(ms(9), 1, THEM);
        assert_eq!(poll(&mut recorder, ms(50)).unwrap().arrivals, [Some(0)]);
    }

    #[test]
    fn more_than_500_statuses_are_drained_in_several_packets() {
        let mut recorder = ArrivalRecorder::new();
        for sequence in 0..1200 {
            recorder.on_packet(ms(0), sequence, THEM);
        }
        let mut out = Vec::new();
        let lengths: Vec<usize> = std::iter::from_fn(|| poll(&mut recorder, ms(50)))
            .map(|feedback| feedback.arrivals.len())
            .collect();
        assert_eq!(lengths, [500, 500, 200]);
        assert!(!recorder.poll(ms(50), US, &mut out));
    }

    #[test]
    fn a_leap_ahead_is_a_new_beginning_and_memory_stays_bounded() {
        let mut recorder = ArrivalRecorder::new();
        for step in 0..1000u32 {
            recorder.on_packet(ms(0), (step * 30_000) as u16, THEM);
            assert!(recorder.window.len() <= MAX_WINDOW);
        }
        let feedback = poll(&mut recorder, ms(50)).unwrap();
        assert_eq!(feedback.arrivals, [Some(0)]);
    }

    #[test]
    fn a_long_loss_never_makes_a_feedback_without_an_arrival() {
        let mut recorder = ArrivalRecorder::new();
        recorder.on_packet(ms(0), 0, THEM);
        recorder.on_packet(ms(0), 1_800, THEM);
        let first = poll(&mut recorder, ms(50)).unwrap();
        assert_eq!(first.arrivals, [Some(0)]);
        let second = poll(&mut recorder, ms(50)).unwrap();
        assert_eq!(second.arrivals.len(), MAX_STATUSES);
        assert_eq!(second.base, 1_301);
        assert_eq!(second.arrivals.last(), Some(&Some(0)));
    }

    #[test]
    fn arrivals_too_far_apart_for_a_delta_go_into_two_packets() {
        let mut recorder = ArrivalRecorder::new();
        recorder.on_packet(ms(0), 0, THEM);
        recorder.on_packet(ms(20_000), 1, THEM);
        assert_eq!(poll(&mut recorder, ms(20_000)).unwrap().arrivals, [Some(0)]);
        assert_eq!(
            poll(&mut recorder, ms(20_000)).unwrap().arrivals,
            [Some(20_000)]
        );
    }

    proptest! {
        #[test]
        fn any_arrivals_are_reported_at_most_once_and_in_order(
            packets in prop::collection::vec((0u64..30, any::<u16>(), any::<bool>()), 0..300),
        ) {
            let mut recorder = ArrivalRecorder::new();
            let mut millis = 0;
            let mut sequence = 0u16;
            let mut count = 0u8;
            for (pause, number, wild) in packets {
                millis += pause;
                sequence = if wild { number } else { sequence.wrapping_add(number % 8) };
                recorder.on_packet(ms(millis), sequence, THEM);
                while let Some(feedback) = poll(&mut recorder, ms(millis)) {
                    prop_assert_eq!(feedback.count, count);
                    count = count.wrapping_add(1);
                    prop_assert!(!feedback.arrivals.is_empty());
                    prop_assert!(feedback.arrivals.len() <= MAX_STATUSES);
                    prop_assert!(feedback.arrivals.last().unwrap().is_some());
                }
                prop_assert!(recorder.window.len() <= MAX_WINDOW);
            }
        }
    }
}
