//! Which outgoing index a source packet gets: a function of its source index, kept in pieces.
use std::collections::VecDeque;

use super::holes::Holes;

/// Pieces kept for late packets, beside the running one. A new one starts with each packet withheld, and packets late by
/// more withheld ones than that are not placed any more.
const MAX_PAST: usize = 63;

/// Maps source indexes of the current source to outgoing indexes. Lost packets leave a hole, into which they are
/// placed when they come late, once; skipped packets leave none, since what follows moves up.
#[repr(C)]
pub struct Continuity {
    /// Highest source index placed or skipped.
    frontier: Option<u64>,
    /// One past the highest outgoing index given.
    next: u64,
    /// What is ahead goes on by this; `None` before the first source is joined.
    running: Option<Epoch>,
    first: u64,
    behind: Box<Behind>,
}

/// What only a stream that loses or withholds packets looks at.
struct Behind {
    /// Widest hole, packets: one so wide could not be filled by resends, and one of half the sequence numbers (a
    /// source that ran on unheard for minutes) would cost the receiver its roll-over count.
    max_hole: u64,
    /// Oldest first, all before the running one. Disjoint in source and in outgoing indexes.
    over: VecDeque<Past>,
    /// What was passed over and not begun anew.
    holes: Holes,
}

/// Source indexes from `first` on become outgoing ones from `out` on.
#[derive(Clone, Copy)]
struct Epoch {
    first: u64,
    out: u64,
}

/// An epoch up to but without the source index `end`.
struct Past {
    epoch: Epoch,
    end: u64,
}

impl Epoch {
    fn place(&self, index: u64) -> u64 {
        self.out + (index - self.first)
    }
}

impl Continuity {
    /// The first packet gets the index `first`. `max_hole` in packets, and so many indexes below the newest one are
    /// given to what comes late.
    pub fn new(first: u64, max_hole: u64) -> Self {
        Continuity {
            frontier: None,
            next: first,
            running: None,
            first,
            behind: Box::new(Behind {
                max_hole,
                over: VecDeque::new(),
                holes: Holes::new(max_hole),
            }),
        }
    }

    /// The highest outgoing index given.
    pub fn newest(&self) -> Option<u64> {
        (self.next > self.first).then(|| self.next - 1)
    }

    /// Whether this is the highest outgoing index given.
    pub fn is_newest(&self, index: u64) -> bool {
        index + 1 == self.next
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
        self.behind.over.clear();
        self.running = None;
        self.frontier = None;
        self.begin(index)
    }

    /// Goes on with the same source at `index`, right after the newest one given; `None` when it is not ahead.
    pub fn resume(&mut self, index: u64) -> Option<u64> {
        self.is_ahead(index).then(|| self.begin(index))
    }

    /// The outgoing index of a source packet; `None` when it has none: before the source was joined, skipped, too late,
    /// or placed before.
    pub fn place(&mut self, index: u64) -> Option<u64> {
        let ahead = self.is_ahead(index);
        let epoch = if ahead {
            self.running
        } else {
            self.epoch(index)
        };
        let out = epoch?.place(index);
        if out < self.next {
            return self.behind.holes.fill(out, self.next - 1).then_some(out);
        }
        if out > self.next {
            if ahead && out - self.next >= self.behind.max_hole {
                return Some(self.begin(index));
            }
            self.behind.holes.leave(self.next..out);
        }
        // One that is late is the newest all the same when all that came after it was skipped.
        self.next = out + 1;
        if ahead {
            self.frontier = Some(index);
        }
        Some(out)
    }

    /// Whether the source packet right before `index`, which was placed, belongs right before it here, too: nothing was
    /// skipped or begun anew between them.
    pub fn precedes(&self, before: u64, index: u64) -> bool {
        let epoch = self.epoch(index);
        epoch.is_some_and(|epoch| epoch.first <= before && before + 1 == index)
    }

    /// Takes a source packet out of the sequence. Only one that is ahead can be: later numbers are not given yet.
    pub fn skip(&mut self, index: u64) {
        if !self.is_ahead(index) {
            return;
        }
        if let Some(running) = self.running {
            if running.first < index {
                self.end(running, index);
            }
            self.running = Some(Epoch {
                first: index + 1,
                out: running.place(index),
            });
            self.frontier = Some(index);
        }
    }

    /// The packet `index` follows the newest one. What was lost right before it had numbers from there on, which are
    /// given anew, so it is not placed any more.
    fn begin(&mut self, index: u64) -> u64 {
        let out = self.next;
        if let Some(running) = self.running.filter(|running| running.out < out) {
            self.end(running, running.first + (out - running.out));
        }
        while self
            .behind
            .over
            .back()
            .is_some_and(|past| past.epoch.out >= out)
        {
            self.behind.over.pop_back();
        }
        if let Some(past) = self.behind.over.back_mut() {
            past.end = past.end.min(past.epoch.first + (out - past.epoch.out));
        }
        self.running = Some(Epoch { first: index, out });
        self.frontier = Some(index);
        self.next = out + 1;
        out
    }

    fn end(&mut self, epoch: Epoch, end: u64) {
        if self.behind.over.len() == MAX_PAST {
            self.behind.over.pop_front();
        }
        self.behind.over.push_back(Past { epoch, end });
    }

    fn epoch(&self, index: u64) -> Option<Epoch> {
        if let Some(running) = self.running.filter(|running| running.first <= index) {
            return Some(running);
        }
        let mut over = self.behind.over.iter().rev();
        let past = over.find(|past| past.epoch.first <= index && index < past.end)?;
        Some(past.epoch)
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
    }

    #[test]
    fn a_packet_is_placed_once() {
        let mut continuity = joined_at(5_000);
        assert_eq!(continuity.place(5_000), None);
        assert_eq!(continuity.place(5_002), Some(102));
        assert_eq!(continuity.place(5_002), None);
        assert_eq!(continuity.place(5_001), Some(101));
        assert_eq!(continuity.place(5_001), None);
    }

    #[test]
    fn a_packet_too_late_is_not_placed() {
        let mut continuity = joined_at(5_000);
        for index in 5_003..5_003 + 1_023 {
            continuity.place(index);
        }
        assert_eq!(continuity.newest(), Some(103 + 1_022));
        assert_eq!(continuity.place(5_001), None);
        assert_eq!(continuity.place(5_002), Some(102));
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
        assert!(continuity.behind.over.len() <= MAX_PAST);
    }
}
