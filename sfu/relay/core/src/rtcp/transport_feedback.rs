//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1): when each packet of a
//! transport arrived, told to its sender.

mod write;

pub use write::write_transport_feedback;

/// One tick of a receive delta, in microseconds.
const TICK_MICROS: u64 = 250;
/// One unit of the reference time, 64 ms.
const REFERENCE_TICKS: u64 = 64_000 / TICK_MICROS;
/// Symbols of the two kinds of status vector.
const ONE_BIT_SYMBOLS: usize = 14;
const TWO_BIT_SYMBOLS: usize = 7;

/// Statuses that one packet may claim. A run-length chunk claims 8191 in two bytes, so what is read must not grow with
/// the claim; this is four seconds of silence in a 10 Mbit/s stream, and more than a sender remembers.
pub const MAX_CLAIMED: u16 = 4096;

/// Microseconds of one unit of the reference time.
pub const REFERENCE_MICROS: u64 = REFERENCE_TICKS * TICK_MICROS;
/// The reference time wraps at 24 bits of its unit: every 12.4 days.
pub const REFERENCE_BITS: u32 = 24;

/// What a chunk says of one packet; the values are the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    NotReceived = 0,
    /// Delta of 0 to 255 ticks, in one byte.
    Small = 1,
    /// Any other delta, in two bytes.
    Large = 2,
}

/// What one feedback packet tells, borrowed from it. Read whole once, so that every status it claims is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    base: u16,
    statuses: u16,
    reference: u32,
    count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    /// What stands behind the two SSRCs. `None` where it claims more than [`MAX_CLAIMED`] statuses, or any that is not
    /// there, or uses the reserved symbol; what no status needs is passed over.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (&[b0, b1, s0, s1, r0, r1, r2, count], rest) = body.split_first_chunk()?;
        let statuses = u16::from_be_bytes([s0, s1]);
        if statuses > MAX_CLAIMED {
            return None;
        }
        let mut symbols = Symbols::new(rest, statuses);
        let mut needed = 0;
        for _ in 0..statuses {
            needed += match symbols.next()? {
                0 => 0,
                1 => 1,
                2 => 2,
                _ => return None,
            };
        }
        Some(TransportFeedback {
            base: u16::from_be_bytes([b0, b1]),
            statuses,
            reference: u32::from_be_bytes([0, r0, r1, r2]),
            count,
            chunks: rest.get(..rest.len() - symbols.chunks.len())?,
            deltas: symbols.chunks.get(..needed)?,
        })
    }

    /// The transport-wide number of the first status.
    pub fn base(&self) -> u16 {
        self.base
    }

    /// How many statuses there are, at most [`MAX_CLAIMED`].
    pub fn statuses(&self) -> u16 {
        self.statuses
    }

    /// The time from which arrivals count, on the receiver's clock: units of [`REFERENCE_MICROS`], [`REFERENCE_BITS`]
    /// of them; unwrapping it is for the reader.
    pub fn reference(&self) -> u32 {
        self.reference
    }

    /// Goes up by one with each feedback packet, and wraps.
    pub fn count(&self) -> u8 {
        self.count
    }

    /// Every status from the base on: transport-wide number, and arrival in microseconds after the reference time;
    /// `None` for what has not arrived. Arrivals may go back, even before the reference time.
    pub fn arrivals(&self) -> Arrivals<'a> {
        Arrivals {
            sequence: self.base,
            symbols: Symbols::new(self.chunks, self.statuses),
            deltas: self.deltas,
            ticks: 0,
        }
    }
}

/// See [`TransportFeedback::arrivals`].
#[derive(Clone, Debug)]
pub struct Arrivals<'a> {
    sequence: u16,
    symbols: Symbols<'a>,
    deltas: &'a [u8],
    ticks: i64,
}

impl Iterator for Arrivals<'_> {
    type Item = (u16, Option<i64>);

    fn next(&mut self) -> Option<Self::Item> {
        let symbol = self.symbols.next()?;
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let delta = match symbol {
            0 => return Some((sequence, None)),
            1 => {
                let (delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                i64::from(*delta)
            }
            _ => {
                let (delta, rest) = self.deltas.split_first_chunk()?;
                self.deltas = rest;
                i64::from(i16::from_be_bytes(*delta))
            }
        };
        self.ticks += delta; // 4096 times 15 bits stay far from the edge
        Some((sequence, Some(self.ticks * TICK_MICROS as i64)))
    }
}

/// The two-bit symbols of a list of chunks, unpacked one by one.
#[derive(Clone, Debug)]
struct Symbols<'a> {
    /// Chunks not begun yet, and whatever follows them.
    chunks: &'a [u8],
    /// The one under way, and how many of its symbols are left.
    chunk: u16,
    left: usize,
    /// Statuses to come.
    statuses: u16,
}

impl<'a> Symbols<'a> {
    fn new(chunks: &'a [u8], statuses: u16) -> Self {
        Symbols {
            chunks,
            chunk: 0,
            left: 0,
            statuses,
        }
    }
}

impl Iterator for Symbols<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        self.statuses = self.statuses.checked_sub(1)?;
        // A run of none is no error: it takes its two bytes and says nothing.
        while self.left == 0 {
            let (chunk, rest) = self.chunks.split_first_chunk()?;
            self.chunk = u16::from_be_bytes(*chunk);
            self.chunks = rest;
            self.left = match self.chunk >> 14 {
                0 | 1 => usize::from(self.chunk & 0x1fff),
                2 => ONE_BIT_SYMBOLS,
                _ => TWO_BIT_SYMBOLS,
            };
        }
        self.left -= 1;
        Some(match self.chunk >> 14 {
            0 | 1 => self.chunk >> 13 & 3,
            2 => self.chunk >> self.left & 1,
            _ => self.chunk >> (2 * self.left) & 3,
        })
    }
}

#[cfg(test)]
mod tests;
