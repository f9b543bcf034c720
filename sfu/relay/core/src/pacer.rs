//! When packets leave for one subscriber: at once while its allowance lasts, else in order and in small steps, so that a
//! large picture does not fill the queue of a narrow link in one burst.
//!
//! What waits has no sequence number yet (DESIGN 2.8), so dropping it leaves no hole. Sound does not wait: it is small,
//! and late sound is lost sound. It and everything else that leaves is taken off the allowance.
use std::collections::VecDeque;
use std::time::Duration;

use crate::units::{Bitrate, Time};

/// Pace over estimate, in tenths. Above one, so that a stream that needs all of the estimate catches up after each large
/// picture. libwebrtc, which makes the pictures fit, has 2.5; a relay cannot, and what leaves so much faster than the
/// link takes it stands in the link's queue, where the estimator takes it for congestion: with 2.5 a picture of 1.8
/// Mbit/s did not stay on a link of 2 Mbit/s (`tests/relay_congestion.rs`), with 1.2 it does.
pub const PACE_TENTHS: u64 = 12;

/// Time between two steps: libwebrtc's, and no more wake-ups a second than a busy voice call makes.
pub const STEP: Duration = Duration::from_millis(5);

/// What may leave at once, as time at the pace: with [`PACE_TENTHS`] 48 ms of the estimate, so that the pictures of an
/// even stream at 30 frames a second (33 ms each) leave in one piece and only larger ones wait.
const BURST: Duration = Duration::from_millis(40);

/// Least that may leave at once, bytes: two packets.
const LEAST_BURST: i64 = 3_000;

/// Most that may have left ahead of its turn, as time at the pace: a flood of sound holds the pictures back no longer.
const MOST_DEBT: Duration = Duration::from_millis(500);

/// Whatever the estimate says, what waits leaves in about this time: a key frame that is larger than the pace carries in
/// [`MAX_WAIT`] would never be seen, since the next one is as large. libwebrtc quickens its pace likewise, after two
/// seconds; three let a screen's first picture (100 kB) through a link of 300 kbit/s as fast as that takes it.
const DRAINED_WITHIN: Duration = Duration::from_secs(3);
/// When that time is nearly over, the pace is not quickened any further.
const LAST_OF_IT: Duration = Duration::from_millis(100);
/// What a waiting packet is reckoned to take, bytes: they are video, and most are as large as they may be.
const WAITING_PACKET: u64 = 1_200;

/// Longest that anything may wait: what was not drained by then is held up by something else.
pub const MAX_WAIT: Duration = Duration::from_secs(4);

/// Most that wait: half of what the cache of a video layer holds, so that it is still there when its turn comes.
pub const MAX_WAITING: usize = 512;

/// What goes before what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Sent again: somebody waits for it already.
    Repair,
    /// Pictures.
    Media,
}

/// The queue and the allowance of one subscriber.
#[repr(C)]
pub struct Pacer<T> {
    /// Bytes that may leave now; below zero when some left ahead of their turn.
    allowance: i64,
    /// Bytes a second; `None`: nothing waits.
    pace: Option<u64>,
    /// Somebody else lets go what waits.
    handed_over: bool,
    refilled: Time,
    repairs: VecDeque<Waiting<T>>,
    media: VecDeque<Waiting<T>>,
}

struct Waiting<T> {
    since: Time,
    item: T,
}

impl<T> Default for Pacer<T> {
    fn default() -> Self {
        Pacer {
            pace: None,
            allowance: i64::MAX,
            handed_over: false,
            refilled: Time::ZERO,
            repairs: VecDeque::new(),
            media: VecDeque::new(),
        }
    }
}

impl<T> Pacer<T> {
    /// Paces by an estimate of the link; `None` lets everything leave at once.
    pub fn set_estimate(&mut self, now: Time, estimate: Option<Bitrate>) {
        self.refill(now);
        let before = self.pace;
        self.pace = estimate.map(|rate| (rate.as_bps().saturating_mul(PACE_TENTHS) / 80).max(1));
        match (before, self.pace) {
            (_, None) => self.allowance = i64::MAX,
            (None, Some(pace)) => {
                self.refilled = now;
                self.allowance = burst(pace);
            }
            (Some(_), Some(pace)) => self.allowance = self.allowance.min(burst(pace)),
        }
    }

    /// Gives what the time gone by allows. Once per batch is enough.
    pub fn refill(&mut self, now: Time) {
        let Some(pace) = self.pace else { return };
        let pace = pace.max(self.drain(now));
        let earned = bytes_in(pace, now.since(self.refilled));
        if earned > 0 {
            self.refilled = now;
            let debt = -bytes_in(pace, MOST_DEBT);
            let allowance = self.allowance.max(debt).saturating_add(earned);
            self.allowance = allowance.min(burst(pace));
        }
    }

    /// Bytes a second at which all that waits leaves in time.
    fn drain(&self, now: Time) -> u64 {
        let Some(oldest) = self.media.front() else {
            return 0;
        };
        let left = DRAINED_WITHIN.saturating_sub(now.since(oldest.since));
        let left = left.max(LAST_OF_IT).as_micros() as u64;
        self.media.len() as u64 * WAITING_PACKET * 1_000_000 / left
    }

    /// Whether a packet may leave at once, ahead of nothing.
    pub fn is_open(&self) -> bool {
        self.allowance > 0 && !self.handed_over && self.is_empty()
    }

    /// So many bytes left.
    pub fn spend(&mut self, bytes: usize) {
        if self.pace.is_some() {
            self.allowance = self.allowance.saturating_sub(bytes as i64);
        }
    }

    /// Takes in what has to wait; gives it back when too much waits already.
    pub fn hold(&mut self, now: Time, class: Class, item: T) -> Result<(), T> {
        if self.len() >= MAX_WAITING {
            return Err(item);
        }
        self.queue(class).push_back(Waiting { since: now, item });
        Ok(())
    }

    /// What may leave now, one after another, each of which is to be [`Pacer::spend`]t.
    pub fn next_due(&mut self) -> Option<T> {
        if self.allowance <= 0 || self.handed_over {
            return None;
        }
        self.take()
    }

    /// From now on everything waits, and leaves by [`Pacer::take`] only; or no longer.
    pub fn hand_over(&mut self, handed_over: bool) {
        self.handed_over = handed_over;
    }

    /// The next one, whether it may leave by now or not.
    pub fn take(&mut self) -> Option<T> {
        let next = self.repairs.pop_front().or_else(|| self.media.pop_front());
        next.map(|waiting| waiting.item)
    }

    /// The oldest picture that has waited too long.
    pub fn overdue(&self, now: Time) -> Option<&T> {
        let oldest = self.media.front()?;
        (now.since(oldest.since) > MAX_WAIT).then_some(&oldest.item)
    }

    /// Repairs that have waited too long are forgotten; how many.
    pub fn forget_old_repairs(&mut self, now: Time) -> usize {
        let before = self.repairs.len();
        self.repairs
            .retain(|waiting| now.since(waiting.since) <= MAX_WAIT);
        before - self.repairs.len()
    }

    /// Everything of one class that waits, in order.
    pub fn waiting(&self, class: Class) -> impl Iterator<Item = &T> {
        let queue = match class {
            Class::Repair => &self.repairs,
            Class::Media => &self.media,
        };
        queue.iter().map(|waiting| &waiting.item)
    }

    /// Forgets what is not to be kept; how many of a class that were.
    pub fn retain(&mut self, class: Class, mut keep: impl FnMut(&T) -> bool) -> usize {
        let queue = self.queue(class);
        let before = queue.len();
        queue.retain(|waiting| keep(&waiting.item));
        before - queue.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.media.is_empty() && self.repairs.is_empty()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.media.len() + self.repairs.len()
    }

    fn queue(&mut self, class: Class) -> &mut VecDeque<Waiting<T>> {
        match class {
            Class::Repair => &mut self.repairs,
            Class::Media => &mut self.media,
        }
    }
}

fn burst(pace: u64) -> i64 {
    bytes_in(pace, BURST).max(LEAST_BURST)
}

fn bytes_in(pace: u64, span: Duration) -> i64 {
    let bytes = u128::from(pace) * span.as_micros() / 1_000_000;
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1_200;
    /// Paced at 2.4 Mbit/s, that is 300 bytes a millisecond.
    const ESTIMATE: Bitrate = Bitrate::from_kbps(2_000);

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn paced() -> Pacer<u32> {
        let mut pacer = Pacer::default();
        pacer.set_estimate(ms(0), Some(ESTIMATE));
        pacer
    }

    /// Offers a packet: whether it left at once.
    fn offer(pacer: &mut Pacer<u32>, now: Time, item: u32) -> bool {
        if pacer.is_open() {
            pacer.spend(PACKET);
            return true;
        }
        pacer.hold(now, Class::Media, item).unwrap();
        false
    }

    fn step(pacer: &mut Pacer<u32>, now: Time) -> Vec<u32> {
        pacer.refill(now);
        std::iter::from_fn(|| {
            let item = pacer.next_due()?;
            pacer.spend(PACKET);
            Some(item)
        })
        .collect()
    }

    #[test]
    fn without_an_estimate_nothing_waits() {
        let mut pacer = Pacer::default();
        assert!((0..1_000_000).all(|item| offer(&mut pacer, ms(0), item)));
    }

    #[test]
    fn an_even_stream_at_the_estimate_leaves_in_one_piece() {
        let mut pacer = paced();
        for picture in 0..300u64 {
            let now = ms(picture * 33);
            pacer.refill(now);
            // A thirtieth of the estimate: 8,333 bytes.
            assert!((0..7).all(|item| offer(&mut pacer, now, item)));
        }
    }

    #[test]
    fn a_large_picture_leaves_in_steps_a_little_faster_than_the_estimate() {
        let mut pacer = paced();
        let at_once = (0..100)
            .filter(|&item| offer(&mut pacer, ms(0), item))
            .count();
        assert_eq!(at_once, 10, "12,000 bytes");
        let mut left = Vec::new();
        let mut last = 0;
        for millis in (5..).step_by(5) {
            let items = step(&mut pacer, ms(millis));
            assert!(items.len() <= 2);
            left.extend(items);
            if pacer.is_empty() {
                last = millis;
                break;
            }
        }
        assert!(left.iter().copied().eq(10..100), "in order");
        // 90 packets of 1200 bytes at 300 bytes a millisecond, within two steps.
        assert!((355..=365).contains(&last), "{last} ms");
    }

    #[test]
    fn a_picture_too_large_for_the_estimate_leaves_evenly_and_soon_all_the_same() {
        let mut pacer = Pacer::default();
        pacer.set_estimate(ms(0), Some(Bitrate::from_kbps(100)));
        (0..203).for_each(|item| {
            offer(&mut pacer, ms(0), item);
        });
        let halves = [ms(1_500), ms(3_500)].map(|until| {
            let mut left = 0;
            let mut now = pacer.refilled;
            while now < until {
                now = now + STEP;
                left += step(&mut pacer, now).len();
            }
            left
        });
        assert!(pacer.is_empty(), "20 s at the estimate: {halves:?}");
        assert!((95..=105).contains(&halves[0]), "{halves:?}");
    }

    #[test]
    fn what_comes_while_others_wait_waits_behind_them() {
        let mut pacer = paced();
        (0..14).for_each(|item| {
            offer(&mut pacer, ms(0), item);
        });
        pacer.refill(ms(4));
        assert!(!offer(&mut pacer, ms(4), 14), "others wait");
        let left: Vec<u32> = (1..10)
            .flat_map(|turn| step(&mut pacer, ms(turn * 5)))
            .collect();
        assert_eq!(left, [10, 11, 12, 13, 14]);
    }

    #[test]
    fn repairs_go_before_pictures() {
        let mut pacer = paced();
        (0..12).for_each(|item| {
            offer(&mut pacer, ms(0), item);
        });
        pacer.hold(ms(1), Class::Repair, 99).unwrap();
        let left: Vec<u32> = (1..10)
            .flat_map(|turn| step(&mut pacer, ms(turn * 5)))
            .collect();
        assert_eq!(left, [99, 10, 11]);
    }

    #[test]
    fn sound_leaves_ahead_of_its_turn_and_pictures_wait_for_it() {
        let mut pacer = paced();
        pacer.spend(12_000 + 3_000);
        assert!(!pacer.is_open());
        pacer.refill(ms(9));
        assert!(!pacer.is_open(), "10 ms of debt");
        pacer.refill(ms(11));
        assert!(pacer.is_open());
    }

    #[test]
    fn a_flood_of_sound_holds_pictures_back_for_half_a_second_at_most() {
        let mut pacer = paced();
        pacer.spend(100_000_000);
        pacer.refill(ms(1));
        pacer.refill(ms(502));
        assert!(pacer.is_open());
    }

    #[test]
    fn what_waited_too_long_is_told_and_the_queue_is_bounded() {
        let mut pacer = paced();
        pacer.spend(12_000);
        assert!((0..MAX_WAITING as u32).all(|item| pacer.hold(ms(0), Class::Media, item).is_ok()));
        assert_eq!(pacer.hold(ms(0), Class::Repair, 7), Err(7));
        assert_eq!(pacer.overdue(ms(4_000)), None);
        assert_eq!(pacer.overdue(ms(4_001)), Some(&0));
        assert_eq!(
            pacer.retain(Class::Media, |item| item % 2 == 1),
            MAX_WAITING / 2
        );
        assert_eq!(pacer.waiting(Class::Media).next(), Some(&1));
    }

    #[test]
    fn an_estimate_that_falls_takes_the_allowance_with_it() {
        let mut pacer = paced();
        pacer.set_estimate(ms(0), Some(Bitrate::from_kbps(100)));
        let at_once = (0..100)
            .filter(|&item| offer(&mut pacer, ms(0), item))
            .count();
        assert_eq!(at_once, 3, "3,000 bytes, the least");
        pacer.set_estimate(ms(0), None);
        assert_eq!(step(&mut pacer, ms(0)).len(), 97, "no longer paced");
    }
}
