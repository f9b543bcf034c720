//! Which outgoing index a source packet gets: a function of its source index, kept in pieces.
use std::collections::VecDeque;

/// Pieces kept for late packets. A new one starts with each packet withheld, and packets late by more withheld ones
/// than that are not placed any more.
const MAX_EPOCHS: usize = 64;

/// Maps source indexes of the current source to outgoing indexes. Lost packets leave a hole, into which they are
/// placed when they come late; skipped packets leave none, since what follows moves up.
pub struct Continuity {
    /// Oldest first; the last one is running. Disjoint in source and in outgoing indexes.
    epochs: VecDeque<Epoch>,
    /// Highest source index placed or skipped.
    frontier: Option<u64>,
    /// One past the highest outgoing index given.
    next: u64,
    first: u64,
    /// Widest hole, packets: one so wide could not be filled by resends, and one of half the sequence numbers (a
    /// source that ran on unheard for minutes) would cost the receiver its roll-over count.
    max_hole: u64,
}

/// Source indexes from `first` up to but without `end` become outgoing ones from `out` on.
struct Epoch {
    first: u64,
    end: u64,
    out: u64,
}

impl Epoch {
    fn running(first: u64, out: u64) -> Self {
        Epoch {
            first,
            end: u64::MAX,
            out,
        }
    }

    fn place(&self, index: u64) -> u64 {
        self.out + (index - self.first)
    }
}

impl Continuity {
    /// The first packet gets the index `first`. `max_hole` in packets.
    pub fn new(first: u64, max_hole: u64) -> Self {
        Continuity {
            epochs: VecDeque::new(),
            frontier: None,
            next: first,
            first,
            max_hole,
        }
    }

    /// The highest outgoing index given.
    pub fn newest(&self) -> Option<u64> {
        (self.next > self.first).then(|| self.next - 1)
    }

    /// The highest source index placed or skipped since the last join.
    pub fn frontier(&self) -> Option<u64> {
        self.frontier
    }

    /// Whether a source packet comes after all of this source that were placed or skipped.
    pub fn is_ahead(&self, index: u64) -> bool {
        self.frontier.is_none_or(|frontier| index > frontier)
    }

    /// Goes over to another source, whose packet `index` follows the newest one given.
    pub fn join(&mut self, index: u64) -> u64 {
        self.epochs.clear();
        self.frontier = None;
        self.begin(index)
    }

    /// Goes on with the same source at `index`, right after the newest one given; `None` when it is not ahead.
    pub fn resume(&mut self, index: u64) -> Option<u64> {
        self.is_ahead(index).then(|| self.begin(index))
    }

    /// The outgoing index of a source packet; `None` when it has none: before the source was joined, skipped, or too
    /// late. The same index yields the same answer, so whether it was given before is for the caller to know.
    pub fn place(&mut self, index: u64) -> Option<u64> {
        if !self.is_ahead(index) {
            let mut epochs = self.epochs.iter().rev();
            let epoch = epochs.find(|epoch| epoch.first <= index && index < epoch.end)?;
            let out = epoch.place(index);
            // The newest after all, when all that came after it was skipped.
            self.next = self.next.max(out + 1);
            return Some(out);
        }
        let out = self.epochs.back()?.place(index);
        if out - self.next >= self.max_hole {
            return Some(self.begin(index));
        }
        self.frontier = Some(index);
        self.next = out + 1;
        Some(out)
    }

    /// Whether the source packet right before `index`, which was placed, belongs right before it here, too: nothing was
    /// skipped or begun anew between them.
    pub fn precedes(&self, before: u64, index: u64) -> bool {
        let mut epochs = self.epochs.iter().rev();
        let epoch = epochs.find(|epoch| epoch.first <= index && index < epoch.end);
        epoch.is_some_and(|epoch| epoch.first <= before && before + 1 == index)
    }

    /// Takes a source packet out of the sequence. Only one that is ahead can be: later numbers are not given yet.
    pub fn skip(&mut self, index: u64) {
        if !self.is_ahead(index) {
            return;
        }
        if let Some(running) = self.epochs.back_mut() {
            let out = running.place(index);
            running.end = index;
            if running.first == index {
                self.epochs.pop_back();
            }
            self.run(index + 1, out);
            self.frontier = Some(index);
        }
    }

    /// The packet `index` follows the newest one. What was lost right before it had numbers from there on, which are
    /// given anew, so it is not placed any more.
    fn begin(&mut self, index: u64) -> u64 {
        let out = self.next;
        while self.epochs.back().is_some_and(|epoch| epoch.out >= out) {
            self.epochs.pop_back();
        }
        if let Some(epoch) = self.epochs.back_mut() {
            epoch.end = epoch.end.min(epoch.first + (out - epoch.out));
        }
        self.run(index, out);
        self.frontier = Some(index);
        self.next = out + 1;
        out
    }

    fn run(&mut self, first: u64, out: u64) {
        if self.epochs.len() == MAX_EPOCHS {
            self.epochs.pop_front();
        }
        self.epochs.push_back(Epoch::running(first, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined_at(index: u64) -> Continuity {
        let mut continuity = Continuity::new(100, 1024);
        assert_eq!(continuity.newest(), None);
        assert_eq!(continuity.join(index), 100);
        continuity
    }

    #[test]
    fn a_lost_packet_leaves_a_hole_and_finds_it_when_it_comes_late() {
        let mut continuity = joined_at(5_000);
        assert_eq!(continuity.place(5_002), Some(102));
        assert_eq!(continuity.place(5_001), Some(101));
        assert_eq!(continuity.place(5_003), Some(103));
    }

    #[test]
    fn a_skipped_packet_leaves_no_hole() {
        let mut continuity = joined_at(5_000);
        continuity.skip(5_001);
        continuity.skip(5_002);
        assert_eq!(continuity.place(5_003), Some(101));
        assert_eq!(continuity.place(5_001), None);
        assert_eq!(continuity.place(5_002), None);
    }

    #[test]
    fn a_packet_from_before_a_skipped_one_is_placed_by_the_older_rule() {
        let mut continuity = joined_at(5_000);
        continuity.skip(5_003);
        assert_eq!(continuity.place(5_004), Some(103));
        assert_eq!(continuity.place(5_002), Some(102));
        assert_eq!(continuity.place(5_001), Some(101));
    }

    #[test]
    fn nothing_from_before_the_source_was_joined_is_placed() {
        let mut continuity = joined_at(5_000);
        assert_eq!(continuity.place(4_999), None);
        assert_eq!(continuity.join(70), 101);
        assert_eq!(continuity.place(69), None);
        assert_eq!(continuity.place(71), Some(102));
    }

    #[test]
    fn a_hole_too_wide_to_fill_is_closed_and_what_was_in_it_is_too_late() {
        let mut continuity = joined_at(5_000);
        assert_eq!(continuity.place(5_001 + 1_023), Some(101 + 1_023));
        let mut continuity = joined_at(5_000);
        assert_eq!(continuity.place(5_001 + 1_024), Some(101));
        assert_eq!(continuity.place(5_500), None);
        assert_eq!(continuity.place(5_000), Some(100));
        // A source that ran on for hours while muted.
        assert_eq!(continuity.place(9_000_000), Some(102));
    }

    #[test]
    fn a_resumed_source_goes_on_without_a_hole() {
        let mut continuity = joined_at(5_000);
        assert_eq!(continuity.place(5_002), Some(102));
        assert_eq!(continuity.resume(5_002), None);
        assert_eq!(continuity.resume(5_100), Some(103));
        assert_eq!(continuity.place(5_050), None);
        assert_eq!(
            continuity.place(5_001),
            Some(101),
            "lost before the pause, late after it"
        );
    }

    #[test]
    fn a_late_packet_is_the_newest_when_all_after_it_was_skipped() {
        let mut continuity = joined_at(5_000);
        continuity.skip(5_002);
        assert_eq!(continuity.place(5_001), Some(101));
        assert_eq!(continuity.newest(), Some(101));
        assert_eq!(continuity.resume(5_100), Some(102));
    }

    #[test]
    fn numbers_of_what_was_lost_before_a_pause_are_given_once_only() {
        let mut continuity = joined_at(5_000);
        // 5001 and 5002 are lost, and nothing after them was sent before the pause.
        continuity.skip(5_003);
        assert_eq!(continuity.resume(5_100), Some(101));
        assert_eq!(continuity.place(5_101), Some(102));
        assert_eq!(continuity.place(5_001), None);
        assert_eq!(continuity.place(5_002), None);
        assert_eq!(continuity.place(5_000), Some(100));
    }

    #[test]
    fn any_number_of_skipped_packets_takes_bounded_memory() {
        let mut continuity = joined_at(0);
        for index in 1..10_000 {
            if index % 2 == 0 {
                continuity.skip(index);
            } else {
                assert_eq!(continuity.place(index), Some(100 + index / 2 + 1));
            }
        }
        assert!(continuity.epochs.len() <= MAX_EPOCHS);
    }
}
