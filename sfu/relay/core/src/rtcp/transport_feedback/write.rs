//! What we tell of what arrived.

use super::super::write::{begin, end, put};
use super::super::{format, kind};
use super::{ONE_BIT_SYMBOLS, REFERENCE_TICKS, Symbol, TICK_MICROS, TWO_BIT_SYMBOLS};
use crate::units::{Ssrc, Time};

/// Statuses in one packet: with large deltas throughout it still fits a datagram.
const MAX_STATUSES: usize = 500;

/// Transport-wide feedback: packet statuses from `base` on, `None` = not received, with arrival
/// times.
///
/// The reference time is in 64 ms of the arrival clock, 24 bits; deltas are in 250 us, rounded so
/// that their sum never drifts. A delta beyond ±8.19 s is cut to that and made up for by the next.
/// Splits nothing: the caller hands at most 500 statuses, more are left out.
pub fn write_transport_feedback(
    out: &mut Vec<u8>,
    sender: Ssrc,
    media: Ssrc,
    base: u16,
    feedback_count: u8,
    arrivals: &[Option<Time>],
) {
    let arrivals = &arrivals[..arrivals.len().min(MAX_STATUSES)];
    let ticks = |time: &Time| time.as_micros() / TICK_MICROS;
    let first = arrivals.iter().flatten().next().map_or(0, ticks);
    let reference = first / REFERENCE_TICKS;

    let start = begin(
        out,
        kind::TRANSPORT_FEEDBACK,
        usize::from(format::TRANSPORT_WIDE),
    );
    put(out, sender.0);
    put(out, media.0);
    put(out, u32::from(base) << 16 | arrivals.len() as u32); // at most MAX_STATUSES
    put(out, (reference as u32) << 8 | u32::from(feedback_count));

    let mut symbols = [Symbol::NotReceived; MAX_STATUSES];
    let mut deltas = Deltas::since(reference * REFERENCE_TICKS);
    for (symbol, arrival) in symbols.iter_mut().zip(arrivals) {
        *symbol = arrival.map_or(Symbol::NotReceived, |time| {
            Symbol::of(deltas.next(ticks(&time)))
        });
    }
    put_chunks(out, &symbols[..arrivals.len()]);

    let mut deltas = Deltas::since(reference * REFERENCE_TICKS);
    for time in arrivals.iter().flatten() {
        let delta = deltas.next(ticks(time));
        match u8::try_from(delta) {
            Ok(small) => out.push(small),
            Err(_) => out.extend_from_slice(&delta.to_be_bytes()),
        }
    }
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
    end(out, start);
}

impl Symbol {
    fn of(delta: i16) -> Symbol {
        if u8::try_from(delta).is_ok() {
            Symbol::Small
        } else {
            Symbol::Large
        }
    }
}

/// Turns arrival times into differences.
struct Deltas {
    /// The time a reader of the deltas so far believes in.
    told: i64,
}

impl Deltas {
    fn since(reference: u64) -> Self {
        Deltas {
            told: reference as i64, // microseconds / 250 leave the sign bit alone
        }
    }

    fn next(&mut self, ticks: u64) -> i16 {
        let exact = ticks as i64 - self.told;
        let delta = exact.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        self.told += i64::from(delta);
        delta
    }
}

/// A run where it is no longer than the vector would be, else the vector with the most symbols.
fn put_chunks(out: &mut Vec<u8>, symbols: &[Symbol]) {
    let mut rest = symbols;
    while let Some(&first) = rest.first() {
        let run = rest.iter().take_while(|symbol| **symbol == first).count();
        let window = &rest[..rest.len().min(ONE_BIT_SYMBOLS)];
        let narrow = !window.contains(&Symbol::Large);
        let (chunk, told) = if run >= window.len() || (run >= TWO_BIT_SYMBOLS && !narrow) {
            ((first as u16) << 13 | run as u16, run) // MAX_STATUSES fits thirteen bits
        } else if narrow {
            (0x8000 | vector(window, ONE_BIT_SYMBOLS, 1), window.len())
        } else {
            let window = &window[..window.len().min(TWO_BIT_SYMBOLS)];
            (0xc000 | vector(window, TWO_BIT_SYMBOLS, 2), window.len())
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        rest = &rest[told..];
    }
}

/// Symbols from the highest bit down; absent ones are zero.
fn vector(window: &[Symbol], symbols: usize, bits: usize) -> u16 {
    let places = window.iter().zip((0..symbols).rev());
    places.fold(0, |sum, (symbol, place)| {
        sum | (*symbol as u16) << (place * bits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Packet, packets};
    use proptest::prelude::*;

    const SENDER: Ssrc = Ssrc(0x0102_0304);
    const MEDIA: Ssrc = Ssrc(0x0506_0708);

    fn at(micros: u64) -> Option<Time> {
        Some(Time::from_micros(micros))
    }

    fn written(base: u16, arrivals: &[Option<Time>]) -> Vec<u8> {
        let mut out = b"ahead".to_vec();
        write_transport_feedback(&mut out, SENDER, MEDIA, base, 9, arrivals);
        out.split_off(5)
    }

    /// What our reader makes of a feedback packet: base, and arrival of each in ticks.
    fn decoded(packet: &[u8]) -> (u16, Vec<Option<i64>>) {
        assert_eq!(packet[..2], [0x8f, 205]);
        let words = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        assert_eq!(4 * (words + 1), packet.len());
        let mut all = packets(packet);
        let Some(Ok(Packet::TransportFeedback {
            sender: SENDER,
            media: MEDIA,
            feedback,
        })) = all.next()
        else {
            unreachable!("what we write parses");
        };
        assert_eq!((feedback.count(), all.next()), (9, None));
        let reference = i64::from(feedback.reference()) * REFERENCE_TICKS as i64;
        let tick = |micros: i64| reference + micros / TICK_MICROS as i64;
        let arrivals = feedback.arrivals().map(|(_, arrival)| arrival.map(tick));
        (feedback.base(), arrivals.collect())
    }

    fn ticks(arrivals: &[Option<Time>]) -> Vec<Option<i64>> {
        let tick = |time: Time| (time.as_micros() / 250) as i64;
        arrivals.iter().map(|arrival| arrival.map(tick)).collect()
    }

    #[test]
    fn a_packet_written_by_hand_is_what_comes_out() {
        // 128 ms is reference 2; then +1 ms = 4 ticks, +100 ms = 400 ticks, -0.5 ms = -2 ticks.
        let arrivals = [at(128_000), at(129_000), None, at(229_000), at(228_500)];
        #[rustfmt::skip]
        let expected = [
            0x8f, 205, 0, 6, // version 2, format 15, seven words
            1, 2, 3, 4, 5, 6, 7, 8, // sender, media
            0xff, 0xfe, 0, 5, // base, count
            0, 0, 2, 9, // reference, feedback count
            0b1101_0100, 0b1010_0000, // two-bit vector: small small none large large
            0, 4, // small deltas
            0x01, 0x90, 0xff, 0xfe, // large deltas
        ];
        assert_eq!(written(0xfffe, &arrivals), expected);
    }

    #[test]
    fn zeros_pad_the_deltas_to_a_whole_word() {
        let packet = written(0, &[at(64_250)]);
        assert_eq!(packet[3], 5);
        assert_eq!(packet[20..], [0x20, 1, 1, 0]); // a run of one small delta
    }

    #[test]
    fn a_run_takes_one_chunk() {
        let arrivals = vec![at(64_000); 500];
        let packet = written(0, &arrivals);
        assert_eq!(packet[20..22], [0x21, 0xf4]); // small, 500
        assert_eq!(packet.len(), (22 + 500_usize).next_multiple_of(4));
        assert_eq!(decoded(&packet).1, ticks(&arrivals));
    }

    #[test]
    fn a_scattered_loss_takes_one_bit_a_packet() {
        let arrivals: Vec<_> = (0..14)
            .map(|n| at(1_000 * n).filter(|_| n % 3 != 0))
            .collect();
        let packet = written(0, &arrivals);
        assert_eq!(packet[20..22], [0b1001_1011, 0b0110_1101]);
        assert_eq!(decoded(&packet).1, ticks(&arrivals));
    }

    #[test]
    fn the_reference_time_wraps_at_24_bits() {
        let packet = written(0, &[at(64_000 * 0x100_0002 + 250)]);
        assert_eq!(packet[16..19], (2_u32).to_be_bytes()[1..]);
        assert_eq!(packet[22], 1);
    }

    #[test]
    fn a_delta_out_of_range_is_cut_and_made_up_for() {
        let arrivals = [at(0), at(10_000_000), at(10_000_250)];
        let told = decoded(&written(0, &arrivals)).1;
        assert_eq!(told, [Some(0), Some(32_767), Some(40_001)]);
    }

    #[test]
    fn statuses_above_the_cap_are_left_out() {
        let packet = written(0, &vec![None; 70_000]);
        assert_eq!(decoded(&packet).1, vec![None; 500]);
        assert_eq!(decoded(&written(7, &[])), (7, vec![]));
    }

    proptest! {
        #[test]
        fn any_arrivals_are_told_to_a_quarter_of_a_millisecond(
            base: u16,
            origin in 10_000_000u64..1_000_000_000_000,
            steps in proptest::collection::vec(
                prop_oneof![
                    Just(None),
                    (0i64..60_000).prop_map(Some),
                    (-3_000_000i64..3_000_000).prop_map(Some),
                ], 0..500),
            thin in 1usize..20,
        ) {
            let mut now = origin as i64;
            let arrivals: Vec<_> = steps.iter().enumerate().map(|(n, step)| {
                let step = step.filter(|_| n % thin == 0)?;
                now = (now + step).max(0);
                at(now as u64)
            }).collect();
            let (told_base, told) = decoded(&written(base, &arrivals));
            prop_assert_eq!(told_base, base);
            let reference_wrap = (1i64 << 24) * 256;
            let wrapped: Vec<_> = ticks(&arrivals);
            let shift = arrivals.iter().flatten().next()
                .map_or(0, |first| (first.as_micros() / 64_000 / (1 << 24)) as i64 * reference_wrap);
            let unwrapped: Vec<_> = told.iter().map(|t| t.map(|t| t + shift)).collect();
            prop_assert_eq!(unwrapped, wrapped);
        }
    }
}
