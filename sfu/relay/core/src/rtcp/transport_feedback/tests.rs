use super::*;
use crate::units::{Ssrc, Time};
use proptest::prelude::*;

/// What stands behind the SSRCs of a feedback packet: base 7, feedback count 9, reference 1.
fn body(statuses: u16, chunks: &[u16], deltas: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 7];
    body.extend(statuses.to_be_bytes());
    body.extend([0, 0, 1, 9]);
    chunks
        .iter()
        .for_each(|chunk| body.extend(chunk.to_be_bytes()));
    body.extend(deltas);
    body
}

fn arrivals(body: &[u8]) -> Vec<Option<i64>> {
    let feedback = TransportFeedback::parse(body).unwrap();
    feedback.arrivals().map(|(_, arrival)| arrival).collect()
}

fn is_damaged(body: &[u8]) -> bool {
    TransportFeedback::parse(body).is_none()
}

#[test]
fn every_kind_of_chunk_is_read() {
    let chunks = [
        0b0010_0000_0000_0010, // a run of two small deltas
        0b0000_0000_0000_0011, // three not received
        0b1010_0000_0000_0001, // a one-bit vector: small, twelve not received, small
        0b1110_0100_0000_0000, // a two-bit vector: large, small, and five left over
    ];
    let read = body(21, &chunks, &[4, 0, 255, 8, 0xff, 0xfe, 1]);
    let feedback = TransportFeedback::parse(&read).unwrap();
    assert_eq!((feedback.base(), feedback.statuses()), (7, 21));
    assert_eq!((feedback.reference(), feedback.count()), (1, 9));
    let told: Vec<_> = feedback
        .arrivals()
        .filter_map(|(sequence, arrival)| Some((sequence, arrival?)))
        .collect();
    let expected = [
        (7, 1_000),
        (8, 1_000),
        (12, 64_750),
        (25, 66_750),
        (26, 66_250),
        (27, 66_500),
    ];
    assert_eq!(told, expected);
}

#[test]
fn numbers_wrap_and_arrivals_go_back_before_the_reference() {
    let mut read = body(2, &[0x4002], &[0x80, 0, 0, 1]);
    read[..2].copy_from_slice(&[0xff, 0xff]);
    let feedback = TransportFeedback::parse(&read).unwrap();
    let told: Vec<_> = feedback.arrivals().collect();
    assert_eq!(told, [(0xffff, Some(-8_192_000)), (0, Some(-8_191_750))]);
}

#[test]
fn a_run_that_claims_more_than_there_is_room_for_is_damage() {
    // Ten bytes and four for the claim of 8191 packets that nobody sent.
    assert!(is_damaged(&body(0x1fff, &[0x1fff], &[])));
    assert!(is_damaged(&body(MAX_CLAIMED + 1, &[0x1fff], &[])));
    let most = body(MAX_CLAIMED, &[0x1fff], &[]);
    assert_eq!(arrivals(&most).len(), usize::from(MAX_CLAIMED));
}

#[test]
fn statuses_and_deltas_that_are_not_there_are_damage() {
    let whole = body(3, &[0xd900], &[1, 0, 1, 2]); // small, large, small
    assert_eq!(arrivals(&whole), [Some(250), Some(500), Some(1_000)]);
    for len in 0..whole.len() {
        assert!(is_damaged(&whole[..len]), "{len} bytes");
    }
    assert!(is_damaged(&body(15, &[0x8000], &[])), "fourteen symbols");
    assert!(
        is_damaged(&body(1, &[0x0000, 0x0000], &[])),
        "two runs of none"
    );
}

#[test]
fn the_reserved_symbol_is_damage_where_a_status_needs_it() {
    assert!(is_damaged(&body(1, &[0x6001], &[0; 8])));
    assert!(is_damaged(&body(2, &[0xcc00], &[0; 8])));
    assert_eq!(arrivals(&body(1, &[0xcc00], &[0; 8])), [None]);
}

#[test]
fn what_no_status_needs_is_passed_over() {
    let told = [Some(250)];
    assert_eq!(arrivals(&body(1, &[0x2001], &[1])), told);
    assert_eq!(arrivals(&body(1, &[0x2001], &[1, 0, 0, 2])), told);
    assert_eq!(arrivals(&body(1, &[0x2fff], &[1])), told, "a longer run");
    assert_eq!(arrivals(&body(1, &[0x2000, 0x2001], &[1])), told);
    assert_eq!(arrivals(&body(0, &[], &[])), []);
}

proptest! {
    #[test]
    fn what_we_write_reads_back(
        base: u16,
        count: u8,
        steps in prop::collection::vec(prop_oneof![
            Just(None),
            (0u64..60_000).prop_map(Some),
            (0u64..8_000_000).prop_map(Some),
        ], 1..500),
    ) {
        let mut now = 0;
        let arrivals: Vec<_> = steps.iter().map(|step| {
            now += (*step)?;
            Some(Time::from_micros(now))
        }).collect();
        let mut out = Vec::new();
        write_transport_feedback(&mut out, Ssrc(1), Ssrc(2), base, count, &arrivals);
        let feedback = TransportFeedback::parse(&out[12..]).unwrap();
        prop_assert_eq!((feedback.base(), feedback.count()), (base, count));
        let reference = u64::from(feedback.reference()) * REFERENCE_MICROS;
        let mut sequence = base;
        let mut told = Vec::new();
        for (number, arrival) in feedback.arrivals() {
            prop_assert_eq!(number, sequence);
            sequence = sequence.wrapping_add(1);
            told.push(arrival.map(|micros| reference.saturating_add_signed(micros)));
        }
        let ticks = |time: Time| time.as_micros() / TICK_MICROS * TICK_MICROS;
        let expected: Vec<_> = arrivals.iter().map(|arrival| arrival.map(ticks)).collect();
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn any_bytes_tell_no_more_than_they_claim_and_claim_no_more_than_the_cap(
        mut bytes in prop::collection::vec(any::<u8>(), 0..120),
        claim in prop::option::of(0u16..6_000),
    ) {
        if let (Some(claim), Some(place)) = (claim, bytes.get_mut(2..4)) {
            place.copy_from_slice(&claim.to_be_bytes());
        }
        if let Some(feedback) = TransportFeedback::parse(&bytes) {
            let told = feedback.arrivals().count();
            prop_assert_eq!(told, usize::from(feedback.statuses()));
            prop_assert!(told <= usize::from(MAX_CLAIMED));
            let arrived = feedback.arrivals().filter(|(_, arrival)| arrival.is_some()).count();
            prop_assert!(arrived <= bytes.len(), "each arrival takes a byte");
        }
    }
}
