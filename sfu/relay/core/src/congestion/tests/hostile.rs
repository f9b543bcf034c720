//! Receivers that lie: whatever they say, the estimate keeps to its bounds, and so does what is remembered.
use proptest::prelude::*;
use std::time::Duration;

use crate::congestion::{CEILING, Estimator, FLOOR, Probe};
use crate::rtcp::{Packet, packets, write_transport_feedback};
use crate::units::{Bitrate, Ssrc, Time};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    /// So many packets, the number leaping by so much before.
    Send(u8, u64, u16),
    /// The chunks and deltas of a feedback packet, as they are.
    Bytes(Vec<u8>),
    /// Statuses from so far before the newest number, and a clock that starts where it likes.
    Tell(u16, u64, Vec<Option<u32>>),
    Tick,
    Probe(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let statuses = prop::collection::vec(prop::option::of(0u32..9_000_000), 1..60);
    prop_oneof![
        (0u64..400_000).prop_map(Event::Wait),
        any::<u32>().prop_map(|wait| Event::Wait(u64::from(wait))),
        (
            1u8..60,
            prop_oneof![5 => Just(0), 1 => any::<u64>()],
            0u16..1500
        )
            .prop_map(|(count, leap, bytes)| Event::Send(count, leap, bytes)),
        prop::collection::vec(any::<u8>(), 8..60).prop_map(Event::Bytes),
        (
            0u16..200,
            prop_oneof![0u64..1 << 31, 0u64..1 << 41],
            statuses
        )
            .prop_map(|(back, clock, statuses)| Event::Tell(back, clock, statuses)),
        Just(Event::Tick),
        (0u64..100_000_000).prop_map(Event::Probe),
    ]
}

fn tell(estimator: &mut Estimator, now: Time, compound: &[u8]) {
    for packet in packets(compound) {
        if let Ok(Packet::TransportFeedback { feedback, .. }) = packet {
            estimator.on_feedback(now, &feedback, None);
        }
    }
}

proptest! {
    #[test]
    fn nothing_that_is_claimed_leads_out_of_bounds(
        events in prop::collection::vec(event(), 0..120),
        first: u64,
    ) {
        let mut estimator = Estimator::new();
        let mut now = Time::ZERO;
        let mut number = first;
        let mut burst: Option<Probe> = None;
        for event in events {
            match event {
                Event::Wait(micros) => now = now + Duration::from_micros(micros),
                Event::Send(count, leap, bytes) => {
                    number = number.wrapping_add(leap);
                    for _ in 0..count {
                        let id = burst.map(|burst| burst.id);
                        estimator.on_sent(now, number, usize::from(bytes), id);
                        number = number.wrapping_add(1);
                        now = now + Duration::from_micros(u64::from(bytes));
                    }
                }
                Event::Bytes(body) => {
                    let words = (body.len() / 4 + 2) as u8;
                    let mut compound = vec![0x8f, 205, 0, words, 0, 0, 0, 1, 0, 0, 0, 2];
                    compound.extend(&body[..body.len() / 4 * 4]);
                    tell(&mut estimator, now, &compound);
                }
                Event::Tell(back, clock, statuses) => {
                    let mut at = Time::from_micros(clock);
                    let arrivals: Vec<_> = statuses.iter().map(|step| {
                        at = at + Duration::from_micros(u64::from((*step)?));
                        Some(at)
                    }).collect();
                    let base = (number as u16).wrapping_sub(back);
                    let mut out = Vec::new();
                    write_transport_feedback(&mut out, Ssrc(1), Ssrc(2), base, 0, &arrivals);
                    tell(&mut estimator, now, &out);
                }
                Event::Tick => estimator.on_tick(now),
                Event::Probe(wanted) => {
                    let wanted = Bitrate::from_bps(wanted);
                    let asked = estimator.poll_probe(now, wanted);
                    if let Some(asked) = asked {
                        prop_assert!(asked.rate <= wanted.scaled(1.1), "no more than is wanted");
                        prop_assert!(asked.rate <= CEILING);
                        prop_assert!(asked.packets > 0 && asked.bytes > 0);
                    }
                    burst = asked.or(burst);
                }
            }
            prop_assert!((FLOOR..=CEILING).contains(&estimator.bitrate()));
        }
    }
}

/// Sends a packet a millisecond for ten seconds, of which `claim` makes a receiver's word each 50 ms, from the number
/// of the first packet and the time of the feedback on.
fn hear_only(claim: impl Fn(u64, Time) -> Vec<Option<Time>>) -> Estimator {
    let mut estimator = Estimator::new();
    let mut first = 0;
    for number in 0..10_000 {
        let now = Time::from_millis(1_000 + number);
        estimator.on_sent(now, number, 1_200, None);
        if number % 50 == 49 {
            let mut out = Vec::new();
            let arrivals = claim(first, now);
            write_transport_feedback(&mut out, Ssrc(1), Ssrc(2), first as u16, 0, &arrivals);
            tell(&mut estimator, now, &out);
            estimator.on_tick(now);
            first = number + 1;
        }
    }
    estimator
}

#[test]
fn who_claims_that_nothing_arrives_gets_nothing_but_sound() {
    let estimator = hear_only(|_, _| vec![None; 50]);
    assert_eq!(estimator.bitrate(), FLOOR);
}

#[test]
fn who_tells_of_packets_that_were_never_sent_is_not_heard() {
    let estimator = hear_only(|_, now| [vec![None; 60], vec![Some(now); 300]].concat());
    assert_eq!(estimator.bitrate(), FLOOR);
}

#[test]
fn who_claims_that_all_arrives_at_once_gets_no_more_than_a_fair_share_above_what_was_sent() {
    // 9.6 Mbit/s are sent.
    let estimator = hear_only(|_, now| vec![Some(now); 50]);
    assert!(
        estimator.bitrate() <= Bitrate::from_kbps(15_000),
        "{:?}",
        estimator.bitrate()
    );
}
