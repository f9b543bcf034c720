//! Waiting a moment for more: packets that leave for one destination together cost little more
//! than one.

use std::time::Duration;

/// How long a packet waits for others: 1 ms in all, since the timer is some 35 microseconds late.
pub const PAUSE: Duration = Duration::from_micros(950);
/// Pauses in a row that bring nothing before it is given up. A packet that comes along saves as
/// much as some pauses cost.
const IN_VAIN: u32 = 8;
/// Batches without a pause after that, before it is tried again.
const WITHOUT: u32 = 128;

/// Whether it pays to wait: it does as long as something comes in the meantime.
#[derive(Default)]
pub struct Coalescing {
    in_vain: u32,
    without: u32,
}

impl Coalescing {
    /// Whether to pause before this batch is forwarded.
    pub fn pauses(&mut self) -> bool {
        self.without = self.without.saturating_sub(1);
        self.without == 0
    }

    /// How many messages a pause brought.
    pub fn brought(&mut self, messages: usize) {
        self.in_vain = if messages > 0 { 0 } else { self.in_vain + 1 };
        if self.in_vain == IN_VAIN {
            // One more in vain is enough the next time.
            (self.in_vain, self.without) = (IN_VAIN - 1, WITHOUT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_as_long_as_that_brings_something() {
        let mut coalescing = Coalescing::default();
        for round in 0..1000 {
            assert!(coalescing.pauses());
            coalescing.brought(usize::from(round % IN_VAIN == 0));
        }
    }

    #[test]
    fn it_gives_up_where_nothing_comes_and_tries_again_now_and_then() {
        let mut coalescing = Coalescing::default();
        let mut pauses = 0;
        for _ in 0..IN_VAIN + 10 * WITHOUT {
            if coalescing.pauses() {
                pauses += 1;
                coalescing.brought(0);
            }
        }
        assert_eq!(pauses, IN_VAIN + 10);
        while !coalescing.pauses() {}
        coalescing.brought(1);
        assert!(coalescing.pauses());
    }
}
