//! Waiting a moment for more: packets that leave for one address together cost little more than one, and one wake-up
//! costs as much as several packets.

use std::time::Duration;

/// How long a packet waits for others to come: 1 ms in all, since timers are some 35 us late.
pub const PAUSE: Duration = Duration::from_micros(950);
/// Pauses in a row that bring nothing before they are given up.
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
    /// Whether to pause before the batch that has begun is worked on.
    pub fn pauses(&mut self) -> bool {
        self.without = self.without.saturating_sub(1);
        self.without == 0
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
        let mut coalescing = Coalescing::default();
        for round in 0..1_000 {
            assert!(coalescing.pauses());
            coalescing.brought(usize::from(round % IN_VAIN == 0));
        }
    }

    #[test]
    fn it_gives_up_where_nothing_comes_and_tries_again_once_in_a_while() {
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
        assert!(coalescing.pauses(), "it is worth it again");
    }
}
