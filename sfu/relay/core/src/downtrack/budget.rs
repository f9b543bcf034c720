//! How much may be resent, or asked for again: never more in a second than was sent, or came, in it.
use crate::units::Time;

/// The second is counted in tenths.
const SLOTS: usize = 10;
const SLOT_MICROS: u64 = 100_000;

/// Resends a second that are free, so that the last packets before a pause can still be repaired.
const FREE: u32 = 16;

/// Packets sent and resent within the last second. Resends are thereby at most as many as the packets sent, so nobody
/// turns the relay into an amplifier by claiming losses.
#[derive(Default)]
#[repr(C)]
pub struct ResendBudget {
    /// The running tenth, and where it ends: all that a packet sent looks at.
    running: Slot,
    ends: u64,
    /// The tenths before it, newest first.
    over: [Slot; SLOTS - 1],
}

#[derive(Clone, Copy, Default)]
struct Slot {
    sent: u32,
    resent: u32,
}

impl ResendBudget {
    /// A packet was sent for the first time.
    pub fn on_sent(&mut self, now: Time) {
        self.advance(now);
        self.running.sent += 1;
    }

    /// Whether one more may be resent now; a yes counts as done.
    pub fn take(&mut self, now: Time) -> bool {
        self.advance(now);
        let slots = || self.over.iter().chain([&self.running]);
        let sent: u32 = slots().map(|slot| slot.sent).sum();
        let resent: u32 = slots().map(|slot| slot.resent).sum();
        let granted = resent < sent.max(FREE);
        if granted {
            self.running.resent += 1;
        }
        granted
    }

    fn advance(&mut self, now: Time) {
        let now = now.as_micros();
        if now < self.ends {
            return;
        }
        let passed = (now - self.ends) / SLOT_MICROS + 1;
        for _ in 0..passed.min(SLOTS as u64) {
            self.over.rotate_right(1);
            self.over[0] = std::mem::take(&mut self.running);
        }
        self.ends = (now / SLOT_MICROS + 1) * SLOT_MICROS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn take_all(budget: &mut ResendBudget, now: Time) -> usize {
        (0..10_000).take_while(|_| budget.take(now)).count()
    }

    #[test]
    fn as_many_are_resent_as_were_sent_within_a_second() {
        let mut budget = ResendBudget::default();
        (0..100).for_each(|packet| budget.on_sent(ms(packet * 5)));
        assert_eq!(take_all(&mut budget, ms(500)), 100);
        assert_eq!(take_all(&mut budget, ms(900)), 0);
        (0..40).for_each(|_| budget.on_sent(ms(2_000)));
        assert_eq!(take_all(&mut budget, ms(2_000)), 40);
    }

    #[test]
    fn a_stream_at_rest_has_a_few_left() {
        let mut budget = ResendBudget::default();
        budget.on_sent(ms(0));
        assert_eq!(take_all(&mut budget, ms(60_000)), FREE as usize);
        assert_eq!(take_all(&mut budget, ms(60_500)), 0);
    }
}
