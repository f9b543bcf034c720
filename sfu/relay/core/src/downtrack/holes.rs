//! Outgoing indexes that were passed over and may still be given to what comes late.
use std::collections::VecDeque;
use std::ops::Range;

/// The recent holes of one stream. Where nothing is lost there are none, so a packet in order touches nothing here.
pub struct Holes {
    /// So many indexes below the newest are still filled.
    window: u64,
    /// Disjoint, none empty, lowest first.
    open: VecDeque<Range<u64>>,
}

impl Holes {
    /// `window`: packets.
    pub fn new(window: u64) -> Self {
        Holes {
            window,
            open: VecDeque::new(),
        }
    }

    /// These are passed over: all above what was passed over before. What is too old by now is forgotten, so that there
    /// are never more holes than half of the window has indexes.
    pub fn leave(&mut self, passed_over: Range<u64>) {
        let newest = passed_over.end;
        while self
            .open
            .front()
            .is_some_and(|hole| !self.reaches(hole.end - 1, newest))
        {
            self.open.pop_front();
        }
        self.open.push_back(passed_over);
    }

    /// Gives an index, once: whether it was passed over and is recent, with the newest index given.
    pub fn fill(&mut self, index: u64, newest: u64) -> bool {
        if !self.reaches(index, newest) {
            return false;
        }
        let Some(place) = self.open.iter().rposition(|hole| hole.contains(&index)) else {
            return false;
        };
        let hole = self.open[place].clone();
        let (below, above) = (hole.start..index, index + 1..hole.end);
        match (below.is_empty(), above.is_empty()) {
            (true, true) => {
                self.open.remove(place);
            }
            (true, false) => self.open[place] = above,
            (false, true) => self.open[place] = below,
            (false, false) => {
                self.open[place] = above;
                self.open.insert(place, below);
            }
        }
        true
    }

    fn reaches(&self, index: u64, newest: u64) -> bool {
        newest < index.saturating_add(self.window)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_index_is_given_once() {
        let mut holes = Holes::new(128);
        holes.leave(100..103);
        assert!(holes.fill(101, 103));
        assert!(!holes.fill(101, 103));
        assert!(holes.fill(100, 103) && holes.fill(102, 103));
        assert!(holes.open.is_empty());
    }

    #[test]
    fn what_was_given_in_order_is_no_hole() {
        let mut holes = Holes::new(128);
        assert!(!holes.fill(100, 103));
        holes.leave(104..105);
        assert!(!holes.fill(103, 105) && !holes.fill(105, 105));
    }

    #[test]
    fn only_recent_ones_are_filled() {
        let mut holes = Holes::new(128);
        holes.leave(100..110);
        assert!(!holes.fill(100, 228));
        assert!(holes.fill(101, 228));
    }

    #[test]
    fn any_loss_takes_bounded_memory() {
        let mut holes = Holes::new(128);
        (0..10_000).for_each(|turn| holes.leave(2 * turn..2 * turn + 1));
        assert!(holes.open.len() <= 65);
    }

    proptest! {
        #[test]
        fn they_are_what_a_set_of_indexes_would_be(steps in prop::collection::vec((0u64..6, 0u64..40), 0..300)) {
            let mut holes = Holes::new(32);
            let mut missing = BTreeSet::new();
            let mut next = 1_000u64;
            for (gap, back) in steps {
                if gap > 0 {
                    holes.leave(next..next + gap);
                    missing.extend(next..next + gap);
                }
                next += gap + 1;
                let newest = next - 1;
                let late = newest - back;
                let expected = newest < late + 32 && missing.remove(&late);
                prop_assert_eq!(holes.fill(late, newest), expected);
            }
        }
    }
}
