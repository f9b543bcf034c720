//! Datagrams on their way out, side by side in one arena, so that a run of equal-sized ones to one
//! address leaves in a single UDP GSO call without being copied (DESIGN 2.9).

use crate::peer::paths::Path;

/// Datagrams of one GSO call: the kernel's own limit (UDP_MAX_SEGMENTS was 64 before Linux 6.9).
const MAX_SEGMENTS: usize = 64;
/// Bytes of one GSO call: below the 65,507 that fit in one UDP datagram over IPv4.
const MAX_RUN_BYTES: usize = 65_000;

/// Datagrams to one address; all have `segment_size` bytes but the last, which may have fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// From which of our addresses, and where to.
    pub path: Path,
    /// Bytes of each datagram but the last; never zero.
    pub segment_size: usize,
    /// The datagrams, one after another.
    pub bytes: &'a [u8],
}

impl<'a> Run<'a> {
    /// Each datagram by itself.
    pub fn datagrams(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        self.bytes.chunks(self.segment_size)
    }
}

/// The arena. Append a datagram to [`Outbox::bytes`], then [`Outbox::commit`] it.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    runs: Vec<Span>,
}

#[derive(Clone, Copy)]
struct Span {
    path: Path,
    start: usize,
    end: usize,
    segment_size: usize,
}

impl Outbox {
    /// Where the next datagram is appended; note the length first, it is the datagram's start.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Forgets what was appended since `start`.
    pub fn abandon(&mut self, start: usize) {
        self.bytes.truncate(start);
    }

    /// Addresses what was appended since `start`; returns its length. Nothing appended, nothing done.
    pub fn commit(&mut self, path: Path, start: usize) -> usize {
        let end = self.bytes.len();
        let size = end.saturating_sub(start);
        if size == 0 {
            return 0;
        }
        if let Some(run) = self.runs.last_mut() {
            let length = run.end - run.start;
            let takes_more = run.path == path
                && run.end == start
                && length.is_multiple_of(run.segment_size)
                && size <= run.segment_size
                && length / run.segment_size < MAX_SEGMENTS
                && length + size <= MAX_RUN_BYTES;
            if takes_more {
                run.end = end;
                return size;
            }
        }
        self.runs.push(Span {
            path,
            start,
            end,
            segment_size: size,
        });
        size
    }

    /// All runs that wait, in order.
    pub fn runs(&self) -> Runs<'_> {
        Runs {
            bytes: &self.bytes,
            spans: self.runs.iter(),
        }
    }

    /// Forgets everything; storage is kept.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
    }
}

/// The runs of one drained batch.
#[derive(Clone)]
pub struct Runs<'a> {
    bytes: &'a [u8],
    spans: std::slice::Iter<'a, Span>,
}

impl<'a> Iterator for Runs<'a> {
    type Item = Run<'a>;

    fn next(&mut self) -> Option<Run<'a>> {
        let span = self.spans.next()?;
        Some(Run {
            path: span.path,
            segment_size: span.segment_size,
            bytes: &self.bytes[span.start..span.end],
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for Runs<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    fn path(port: u16) -> Path {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Path {
            local: ip,
            remote: SocketAddr::new(ip, port),
        }
    }

    fn put(outbox: &mut Outbox, port: u16, size: usize) {
        let start = outbox.len();
        outbox.bytes().extend(std::iter::repeat_n(port as u8, size));
        outbox.commit(path(port), start);
    }

    fn shape(outbox: &Outbox) -> Vec<(u16, usize, usize)> {
        let runs = outbox.runs();
        runs.map(|run| {
            (
                run.path.remote.port(),
                run.segment_size,
                run.datagrams().len(),
            )
        })
        .collect()
    }

    #[test]
    fn equal_datagrams_to_one_address_become_one_run_that_a_shorter_one_ends() {
        let mut outbox = Outbox::default();
        for size in [100, 100, 100, 60, 100] {
            put(&mut outbox, 1, size);
        }
        assert_eq!(shape(&outbox), [(1, 100, 4), (1, 100, 1)]);
    }

    #[test]
    fn a_longer_datagram_or_another_address_starts_a_new_run() {
        let mut outbox = Outbox::default();
        for (port, size) in [(1, 100), (1, 120), (2, 120), (1, 120)] {
            put(&mut outbox, port, size);
        }
        assert_eq!(
            shape(&outbox),
            [(1, 100, 1), (1, 120, 1), (2, 120, 1), (1, 120, 1)]
        );
    }

    #[test]
    fn a_run_never_passes_what_the_kernel_takes() {
        let mut outbox = Outbox::default();
        for _ in 0..70 {
            put(&mut outbox, 1, 1200);
        }
        for run in outbox.runs() {
            assert!(run.bytes.len() <= MAX_RUN_BYTES && run.datagrams().len() <= MAX_SEGMENTS);
        }
        for _ in 0..65 {
            put(&mut outbox, 2, 10);
        }
        assert_eq!(shape(&outbox)[2..], [(2, 10, 64), (2, 10, 1)]);
    }

    #[test]
    fn what_is_abandoned_is_not_sent() {
        let mut outbox = Outbox::default();
        put(&mut outbox, 1, 10);
        let start = outbox.len();
        outbox.bytes().extend_from_slice(&[9; 10]);
        outbox.abandon(start);
        put(&mut outbox, 1, 10);
        assert_eq!(shape(&outbox), [(1, 10, 2)]);
    }
}
