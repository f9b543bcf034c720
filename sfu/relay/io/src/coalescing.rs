//! Waiting a moment for more: packets that leave for one address together cost little more than one, and one wake-up
//! costs as much as several packets.

use std::time::Duration;

/// The longest that a packet may be asked to wait for others.
pub const LONGEST: Duration = Duration::from_millis(1);
/// Timers are some 35 us late: a pause is so much shorter, and none is taken for less.
const LATE: Duration = Duration::from_micros(50);
/// Pauses in a row that bring nothing before they are given up.
const IN_VAIN: u32 = 8;
/// Batches without a pause after that, before it is tried again.
const WITHOUT: u32 = 128;

/// Whether it pays to wait: it does as long as something comes in the meantime.
pub struct Coalescing {
    pause: Duration,
    in_vain: u32,
    without: u32,
}

impl Coalescing {
    /// So long a packet may wait, at most [`LONGEST`]; zero: none ever does.
    pub fn new(wait: Duration) -> Self {
        Coalescing {
            pause: wait.min(LONGEST).saturating_sub(LATE),
            in_vain: 0,
            without: 0,
        }
    }

    /// How long to pause before the batch that has begun is worked on; `None` for not to.
    pub fn pause(&mut self) -> Option<Duration> {
        self.without = self.without.saturating_sub(1);
        (self.without == 0 && self.pause > Duration::ZERO).then_some(self.pause)
    }

    /// How many messages a pause brought.
    pub fn brought(&mut self, messages: usize) {
        self.in_vain = if messages > 0 { 0 } else { self.in_vain + 1 };
        if self.in_vain == IN_VAIN {
            // The next time one more in vain is enough.
            (self.in_vain, self.without) = (IN_VAIN - 1, WITHOUT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_as_long_as_now_and_then_that_brings_something() {
        let mut coalescing = Coalescing::new(LONGEST);
        for round in 0..1_000 {
            assert!(coalescing.pause().is_some_and(|pause| pause < LONGEST));
            coalescing.brought(usize::from(round % IN_VAIN == 0));
        }
    }

    #[test]
    fn it_gives_up_where_nothing_comes_and_tries_again_once_in_a_while() {
        let mut coalescing = Coalescing::new(LONGEST);
        let mut pauses = 0;
        for _ in 0..IN_VAIN + 10 * WITHOUT {
            if coalescing.pause().is_some() {
                pauses += 1;
                coalescing.brought(0);
            }
        }
        assert_eq!(pauses, IN_VAIN + 10);
        while coalescing.pause().is_none() {}
        coalescing.brought(1);
        assert!(coalescing.pause().is_some(), "it is worth it again");
    }

    #[test]
    fn it_waits_for_no_longer_than_it_is_told_and_never_where_that_is_nothing() {
        let pause = |micros| Coalescing::new(Duration::from_micros(micros)).pause();
        assert_eq!(pause(300), Some(Duration::from_micros(250)));
        assert_eq!(pause(5_000), pause(1_000));
        assert_eq!((pause(0), pause(50)), (None, None));
    }
}
