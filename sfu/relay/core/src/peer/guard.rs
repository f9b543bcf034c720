//! The watch over DESIGN 2.8 in debug builds: one (key, SSRC, index) is never sealed over two
//! contents. Release builds carry none of it; `Downtrack` is what keeps the law.

use crate::units::Ssrc;

/// What one peer's keys sealed lately.
#[derive(Default)]
pub struct SealGuard {
    #[cfg(debug_assertions)]
    sealed: rustc_hash::FxHashMap<(Ssrc, u64), u64>,
    #[cfg(debug_assertions)]
    order: std::collections::VecDeque<(Ssrc, u64)>,
}

#[cfg(debug_assertions)]
impl SealGuard {
    /// Packets remembered: many times what any cache could resend.
    const MEMORY: usize = 16_384;

    /// Fails the debug build when this index was sealed before with other content.
    pub fn check(&mut self, ssrc: Ssrc, index: u64, plain: &[u8]) {
        use std::hash::{Hash, Hasher};
        let mut hasher = rustc_hash::FxHasher::default();
        plain.hash(&mut hasher);
        let content = hasher.finish();
        if self.order.is_empty() {
            // At once, so that what is built from it can be shown to ask for no memory by the packet.
            self.sealed.reserve(Self::MEMORY + 1);
            self.order.reserve(Self::MEMORY + 1);
        }
        let known = *self.sealed.entry((ssrc, index)).or_insert_with(|| {
            self.order.push_back((ssrc, index));
            content
        });
        debug_assert_eq!(
            known, content,
            "index {index} sealed twice with different content"
        );
        if self.order.len() > Self::MEMORY
            && let Some(oldest) = self.order.pop_front()
        {
            self.sealed.remove(&oldest);
        }
    }
}

#[cfg(not(debug_assertions))]
impl SealGuard {
    /// Nothing in release builds.
    #[inline(always)]
    pub fn check(&mut self, _ssrc: Ssrc, _index: u64, _plain: &[u8]) {}
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn sealing_the_same_content_again_is_a_resend() {
        let mut guard = SealGuard::default();
        guard.check(Ssrc(1), 5, b"content");
        guard.check(Ssrc(1), 5, b"content");
        guard.check(Ssrc(2), 5, b"another stream");
    }

    #[test]
    #[should_panic(expected = "sealed twice")]
    fn sealing_other_content_under_the_same_index_is_caught() {
        let mut guard = SealGuard::default();
        guard.check(Ssrc(1), 5, b"content");
        guard.check(Ssrc(1), 5, b"another");
    }
}
