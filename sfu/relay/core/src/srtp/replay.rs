//! Replay protection (RFC 3711 section 3.3.2) and the guess of the roll-over counter (appendix A).

use super::OpenError;

/// Packets that may arrive out of order. RFC 3711 asks for 64 at least; one second of 8 Mbit/s
/// video is about 900 packets, and a resend may be that late.
const WINDOW: u64 = 1024;
const WORDS: usize = (WINDOW / 64) as usize;

/// Replay window of one SSRC (RFC 3711 section 3.3.2), 1024 packets wide, and its roll-over state.
///
/// It moves by authenticated packets only, so a forger cannot push it.
#[derive(Clone)]
pub struct ReplayWindow {
    /// Highest index opened; `None` before the first.
    highest: Option<u64>,
    /// Bit `index % WINDOW` says that the index was opened, for those within the window.
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// A window that has seen nothing; its first packet has roll-over counter 0.
    pub fn new() -> Self {
        ReplayWindow {
            highest: None,
            seen: [0; WORDS],
        }
    }

    /// The 48-bit index a sequence number most likely stands for (RFC 3711 appendix A).
    ///
    /// An index below zero cannot exist, so while the counter is 0 a sequence number far above the
    /// highest counts as a leap ahead, and its tag decides. A stream that starts just below 2^16
    /// and loses all packets before the wrap cannot be opened (RFC 3711 section 3.3.1 has senders
    /// start below 2^15 for that reason). An index past 2^48 - 1 means that the key is used up.
    pub fn estimate(&self, seq: u16) -> u64 {
        let Some(highest) = self.highest else {
            return u64::from(seq);
        };
        let ahead = seq.wrapping_sub(highest as u16);
        let forward = highest + u64::from(ahead);
        // At a distance of exactly half, appendix A keeps the counter: back when the sequence is
        // lower.
        let back = ahead > 0x8000 || (ahead == 0x8000 && seq < highest as u16);
        if back {
            forward.checked_sub(0x1_0000).unwrap_or(forward)
        } else {
            forward
        }
    }

    /// Whether an index may still be opened.
    pub(super) fn check(&self, index: u64) -> Result<(), OpenError> {
        let Some(highest) = self.highest else {
            return Ok(());
        };
        if index > highest {
            Ok(())
        } else if highest - index >= WINDOW {
            Err(OpenError::TooOld)
        } else if self.seen[word(index)] & bit(index) != 0 {
            Err(OpenError::Replayed)
        } else {
            Ok(())
        }
    }

    /// Takes in a packet of this stream that came another way, authenticated there (RFC 4588): its index, which from now
    /// on is a replay here. Only what was overtaken can come so: nothing is asked for again before something later came.
    ///
    /// # Errors
    /// [`OpenError::Replayed`], or [`OpenError::TooOld`] for whatever else is outside the window.
    pub fn recover(&mut self, seq: u16) -> Result<u64, OpenError> {
        let index = self.estimate(seq);
        if self.highest.is_none_or(|highest| index > highest) {
            return Err(OpenError::TooOld);
        }
        self.check(index)?;
        self.accept(index);
        Ok(index)
    }

    /// Marks an index that [`ReplayWindow::check`] let pass and whose packet was authentic.
    pub(super) fn accept(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => {}
            Some(highest) if index - highest < WINDOW => {
                for skipped in highest + 1..index {
                    self.seen[word(skipped)] &= !bit(skipped);
                }
                self.highest = Some(index);
            }
            _ => {
                self.seen = [0; WORDS];
                self.highest = Some(index);
            }
        }
        self.seen[word(index)] |= bit(index);
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

fn word(index: u64) -> usize {
    (index % WINDOW / 64) as usize
}

fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn window_at(index: u64) -> ReplayWindow {
        let mut window = ReplayWindow::new();
        window.accept(index);
        window
    }

    #[test]
    fn what_comes_another_way_is_taken_once_and_only_where_something_is_missing() {
        assert_eq!(ReplayWindow::new().recover(7), Err(OpenError::TooOld));
        let mut window = window_at(0x1_0004);
        assert_eq!(window.recover(0xfffe), Ok(0xfffe), "before the wrap");
        assert_eq!(window.recover(0xfffe), Err(OpenError::Replayed));
        assert_eq!(window.check(0xfffe), Err(OpenError::Replayed));
        assert_eq!(window.recover(4), Err(OpenError::Replayed));
        for outside in [5, 0x7fff, 0x8004, 0xfc04] {
            assert_eq!(window.recover(outside), Err(OpenError::TooOld), "{outside}");
        }
        assert_eq!(window.highest, Some(0x1_0004), "it never moves the window");
    }

    #[test]
    fn the_first_packet_has_roll_over_counter_zero() {
        assert_eq!(ReplayWindow::new().estimate(0), 0);
        assert_eq!(ReplayWindow::new().estimate(65535), 65535);
    }

    #[test]
    fn the_counter_follows_a_stream_that_starts_just_below_the_wrap() {
        let window = window_at(65534);
        assert_eq!(window.estimate(65535), 65535);
        assert_eq!(window.estimate(0), 0x1_0000);
        assert_eq!(window.estimate(1), 0x1_0001);
        assert_eq!(window.estimate(65000), 65000);
    }

    #[test]
    fn a_late_packet_of_before_the_wrap_keeps_its_old_counter() {
        let window = window_at(0x3_0005);
        assert_eq!(window.estimate(0xfff0), 0x2_fff0);
        assert_eq!(window.estimate(6), 0x3_0006);
    }

    #[test]
    fn no_index_falls_below_zero() {
        assert_eq!(window_at(3).estimate(40_000), 40_000);
        assert_eq!(window_at(0).estimate(65_535), 65_535);
    }

    #[test]
    fn an_index_past_the_last_is_seen_as_such() {
        let window = window_at((1 << 48) - 2);
        assert_eq!(window.estimate(0xffff), (1 << 48) - 1);
        assert_eq!(window.estimate(0), 1 << 48);
    }

    #[test]
    fn a_leap_over_the_whole_window_forgets_all_of_it() {
        let mut window = window_at(5);
        window.accept(5 + 10 * WINDOW);
        assert_eq!(window.check(4 + 10 * WINDOW), Ok(()));
        assert_eq!(window.check(5 + 10 * WINDOW), Err(OpenError::Replayed));
        assert_eq!(window.check(5), Err(OpenError::TooOld));
    }

    /// Appendix A of RFC 3711, as its pseudocode has it; `None` where it leaves 0..2^32.
    fn appendix_a(highest: u64, seq: u16) -> Option<u64> {
        let (roc, s_l, seq) = (
            (highest >> 16) as i64,
            highest as u16 as i64,
            i64::from(seq),
        );
        let v = if s_l < 32_768 {
            if seq - s_l > 32_768 { roc - 1 } else { roc }
        } else if s_l - 32_768 > seq {
            roc + 1
        } else {
            roc
        };
        u64::try_from(v).ok().map(|v| (v << 16) | seq as u64)
    }

    proptest! {
        #[test]
        fn the_estimate_is_that_of_appendix_a(
            highest in 0..(1u64 << 40),
            seq: u16,
            edge in 0u16..3,
        ) {
            let half = (highest as u16).wrapping_add(0x7fff + edge);
            for seq in [seq, half] {
                if let Some(expected) = appendix_a(highest, seq) {
                    prop_assert_eq!(window_at(highest).estimate(seq), expected);
                }
            }
        }

        #[test]
        fn the_window_agrees_with_a_plain_set(
            steps in proptest::collection::vec((0u64..3, 0u64..2500), 1..400),
        ) {
            let mut window = ReplayWindow::new();
            let mut seen = BTreeSet::new();
            let mut top: u64 = 5000;
            for (kind, distance) in steps {
                let index = match kind {
                    0 => top + distance % 5,
                    1 => top.saturating_sub(distance),
                    _ => top + distance,
                };
                let highest = seen.last().copied();
                let expected = if highest.is_some_and(|h| index + 1024 <= h) {
                    Err(OpenError::TooOld)
                } else if seen.contains(&index) {
                    Err(OpenError::Replayed)
                } else {
                    Ok(())
                };
                prop_assert_eq!(window.check(index), expected);
                if expected.is_ok() {
                    window.accept(index);
                    seen.insert(index);
                    top = top.max(index);
                }
            }
        }
    }
}
