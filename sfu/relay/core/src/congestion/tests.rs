//! The estimator in calls over a simulated link, and against receivers that lie.
mod call;
mod hostile;
mod link;

use std::time::Duration;

use super::{FLOOR, START};
use crate::allocation::Step;
use crate::units::{Bitrate, LayerId, Time};
use call::{Call, Layers, Rival};
use link::Conditions;

const SEEDS: std::ops::Range<u64> = 1..6;

fn kbps(kbps: u64) -> Bitrate {
    Bitrate::from_kbps(kbps)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A call over a link of so much, in which media wants all it can get up to `wanted`.
fn call(rate: Bitrate, wanted: Bitrate, seed: u64) -> Call {
    Call::new(Conditions::new(rate), wanted, seed)
}

/// A call that has run over a link of 2 Mbit/s which now carries 300 kbit/s.
fn capped(seed: u64, prepare: impl FnOnce(&mut Call)) -> (Call, Time) {
    let mut call = call(kbps(2_000), kbps(2_000), seed);
    prepare(&mut call);
    call.run(20.0);
    call.change(|link| link.rate = kbps(300));
    let from = call.now;
    (call, from)
}

#[test]
fn two_megabits_are_found_within_three_seconds_of_the_start() {
    for (seed, delay) in SEEDS.flat_map(|seed| [(seed, 10), (seed, 50), (seed, 150)]) {
        let mut conditions = Conditions::new(kbps(2_100));
        conditions.delay = ms(delay);
        let mut call = Call::new(conditions, kbps(2_000), seed);
        let from = call.now;
        call.run(10.0);
        let found = call.time_until(from, |sample| sample.estimate >= kbps(1_900));
        let found = found.unwrap_or(f64::MAX);
        assert!(found < 3.0, "after {found} s with a delay of {delay} ms");
    }
}

#[test]
fn after_a_cap_the_estimate_is_below_it_within_two_seconds_and_the_queue_gone_within_five() {
    for (seed, queue) in SEEDS.flat_map(|seed| [(seed, 20_000), (seed, 40_000), (seed, 75_000)]) {
        let (mut call, from) = capped(seed, |call| call.change(|link| link.queue = queue));
        call.run(30.0);
        let below = call.time_until(from, |sample| sample.estimate <= kbps(300));
        assert!(
            below.unwrap_or(f64::MAX) < 2.0,
            "below the cap after {below:?} s"
        );
        let since = call
            .samples
            .iter()
            .filter(|sample| sample.at > from + ms(5_000));
        let late = since.filter(|sample| sample.waiting >= ms(100)).count();
        assert!(
            late < 30 * 20 / 50,
            "{late} looks of 500 at a queue of 100 ms and more"
        );
        let drained = call
            .samples
            .iter()
            .filter(|sample| sample.at > from + ms(500));
        let drained = drained
            .clone()
            .find(|sample| sample.waiting < ms(100))
            .unwrap();
        let after = drained.at.since(from);
        assert!(
            after < ms(5_000),
            "drained after {after:?} of a queue of {queue} bytes"
        );
    }
}

#[test]
fn without_the_delays_a_queue_would_stand_for_as_long_as_there_is_room_for_it() {
    let (mut call, _) = capped(1, |call| call.hiding_delay = true);
    call.run(30.0);
    let waiting = call
        .last(25.0)
        .filter(|sample| sample.waiting >= ms(500))
        .count();
    assert!(
        waiting > 400,
        "only {waiting} looks of 500 at a queue of half a second"
    );
}

#[test]
fn when_the_cap_is_lifted_two_megabits_are_found_again_within_eight_seconds() {
    for seed in SEEDS {
        let (mut call, _) = capped(seed, |_| {});
        call.run(20.0 + seed as f64);
        call.change(|link| link.rate = kbps(2_100));
        let from = call.now;
        call.run(15.0);
        let found = call.time_until(from, |sample| sample.estimate >= kbps(1_900));
        let found = found.unwrap_or(f64::MAX);
        assert!(found < 8.0, "after {found} s");
    }
}

#[test]
fn three_quarters_of_a_steady_cap_are_used_without_wild_swings() {
    for (rate, seed) in [300, 1_000, 2_000, 5_000].into_iter().zip(SEEDS.cycle()) {
        let mut call = call(kbps(rate), kbps(rate * 3), seed);
        call.run(60.0);
        let used = call.used(50.0);
        assert!(used >= kbps(rate * 3 / 4), "{used:?} used of {rate} kbit/s");
        let (mean, deviation) = call.spread(50.0);
        assert!(deviation < 0.2 * mean, "{deviation} around {mean}");
        let wait = call.longest_wait(50.0);
        assert!(wait < ms(300), "{wait:?}");
    }
}

#[test]
fn a_tenth_of_packets_lost_by_chance_does_not_halve_the_use_of_the_link() {
    for seed in SEEDS {
        let mut call = call(kbps(2_000), kbps(2_000), seed);
        call.change(|link| link.loss = 0.1);
        call.run(60.0);
        let used = call.used(50.0);
        assert!(used >= kbps(1_200), "{used:?} got through");
    }
}

#[test]
fn with_a_fifth_lost_by_chance_sound_and_small_pictures_survive() {
    for seed in SEEDS {
        let mut call = call(kbps(2_000), kbps(2_000), seed);
        call.change(|link| link.loss = 0.2);
        call.run(60.0);
        let lowest = call.last(50.0).map(|sample| sample.estimate).min().unwrap();
        assert!(lowest >= kbps(400), "{lowest:?} at the worst");
        let used = call.used(50.0);
        assert!(used >= kbps(800), "{used:?} got through");
    }
}

#[test]
fn losses_that_come_of_sending_too_much_lower_the_estimate_where_no_queue_tells() {
    for seed in SEEDS {
        // No room for a queue: what is too much is dropped at once.
        let (mut call, from) = capped(seed, |call| {
            call.change(|link| link.queue = 6_000);
            call.hiding_delay = true;
        });
        call.run(30.0);
        let below = call.time_until(from, |sample| sample.estimate <= kbps(400));
        assert!(below.unwrap_or(f64::MAX) < 3.0, "after {below:?} s");
        let (mean, _) = call.spread(25.0);
        assert!(mean < 450_000.0, "{mean} on the whole");
    }
}

#[test]
fn jitter_alone_does_not_collapse_it() {
    for (seed, reorders) in SEEDS.flat_map(|seed| [(seed, false), (seed, true)]) {
        let mut call = call(kbps(4_000), kbps(2_000), seed);
        call.change(|link| (link.jitter, link.reorders) = (ms(30), reorders));
        call.run(60.0);
        let used = call.used(45.0);
        assert!(used >= kbps(1_500), "{used:?} used, reordering: {reorders}");
        let lowest = call.last(45.0).map(|sample| sample.estimate).min().unwrap();
        assert!(lowest >= kbps(800), "{lowest:?} at the worst");
    }
}

#[test]
fn who_sends_little_keeps_the_estimate_that_bursts_found() {
    for seed in SEEDS {
        let mut call = call(kbps(3_000), kbps(2_000), seed);
        call.change(|link| link.jitter = ms(10));
        call.run(5.0);
        let found = call.estimator.bitrate();
        call.wanted = kbps(100);
        call.run(60.0);
        assert!(call.estimator.is_application_limited());
        assert!(call.estimator.bitrate() >= found.scaled(0.8));
    }
}

#[test]
fn a_burst_that_finds_no_room_leaves_hardly_a_queue() {
    let mut call = call(kbps(600), kbps(300), 1);
    call.run(10.0);
    call.wanted = kbps(3_000); // of which only bursts make use
    let longest = (0..200).map(|_| {
        let before = call.wanted;
        call.run(0.05);
        call.wanted = before;
        call.link.waiting(call.now)
    });
    let longest = longest.max().unwrap();
    assert!(longest < ms(150), "{longest:?}");
}

#[test]
fn silence_lowers_the_estimate_to_the_floor_and_its_end_brings_it_back() {
    for seed in SEEDS {
        let mut call = call(kbps(2_100), kbps(2_000), seed);
        call.run(10.0);
        call.feeding_back = false;
        call.run(3.0);
        let after = call.estimator.bitrate();
        assert!(after < kbps(1_100), "{after:?} after three seconds");
        call.run(12.0);
        assert_eq!(call.estimator.bitrate(), FLOOR);
        call.feeding_back = true;
        let from = call.now;
        call.run(15.0);
        let back = call.time_until(from, |sample| sample.estimate >= kbps(1_500));
        assert!(back.unwrap_or(f64::MAX) < 8.0, "back after {back:?} s");
    }
}

#[test]
fn an_outage_of_two_seconds_is_over_a_few_seconds_after_it() {
    for seed in SEEDS {
        let mut call = call(kbps(2_100), kbps(2_000), seed);
        call.run(10.0);
        call.change(|link| link.loss = 1.0);
        call.run(2.0);
        call.change(|link| link.loss = 0.0);
        let from = call.now;
        call.run(15.0);
        let back = call.time_until(from, |sample| sample.estimate >= kbps(1_500));
        assert!(back.unwrap_or(f64::MAX) < 8.0, "back after {back:?} s");
    }
}

#[test]
fn a_longer_path_is_not_taken_for_a_queue_for_ever() {
    for seed in SEEDS {
        let mut call = call(kbps(2_100), kbps(2_000), seed);
        call.run(10.0);
        call.change(|link| link.delay = ms(200));
        call.run(30.0);
        let used = call.used(10.0);
        assert!(used >= kbps(1_500), "{used:?}");
    }
}

#[test]
fn beside_a_download_it_neither_starves_nor_takes_all() {
    for seed in SEEDS {
        let mut call = call(kbps(4_000), kbps(4_000), seed);
        call.change(|link| link.queue = 50_000);
        call.run(10.0);
        call.rival = Some(Rival::new());
        call.run(60.0);
        let used = call.used(40.0);
        assert!(used >= kbps(300), "{used:?}");
    }
}

/// A call of sound and three layers, over a link of so much.
fn layered(rate: Bitrate, seed: u64) -> Call {
    let mut call = call(rate, Bitrate::ZERO, seed);
    let step = |(layer, rate)| Step {
        layer: LayerId(layer),
        temporal: None,
        rate: kbps(rate),
    };
    let steps = [(0, 150), (1, 450), (2, 1_600)].map(step);
    call.layers = Some(Layers::new(kbps(50), steps.to_vec()));
    call
}

/// The layers that were sent since, and after how many seconds each began.
fn changes(call: &Call, from: Time) -> Vec<(f64, Option<u8>)> {
    let all = call.layers.as_ref().unwrap().changes.iter();
    all.filter(|(at, _)| *at >= from)
        .map(|(at, step)| (at.since(from).as_secs_f64(), step.map(|step| step.layer.0)))
        .collect()
}

#[test]
fn of_layers_the_right_one_is_sent_soon_after_each_change_of_the_link_and_stays() {
    for (seed, jitter) in SEEDS.flat_map(|seed| [(seed, 0), (seed, 10)]) {
        let mut call = layered(kbps(2_000), seed);
        call.change(|link| (link.queue, link.jitter) = (25_000, ms(jitter)));
        for (rate, layer, within) in [(2_000, 2, 8.0), (300, 0, 3.0), (2_000, 2, 15.0)] {
            call.change(|link| link.rate = kbps(rate));
            let from = call.now;
            call.run(60.0);
            let changes = changes(&call, from);
            let (after, last) = *changes.last().unwrap();
            assert_eq!(last, Some(layer), "{changes:?}");
            assert!(
                after < within,
                "{rate} kbit/s with {jitter} ms of jitter: {changes:?}"
            );
            assert!(
                changes.iter().all(|(_, layer)| layer.is_some()),
                "{changes:?}"
            );
        }
    }
}

#[test]
fn it_begins_at_the_start_and_stays_there_while_nothing_is_sent() {
    let mut estimator = super::Estimator::new();
    for tick in 0..10_000 {
        estimator.on_tick(Time::from_millis(50 * tick));
    }
    assert_eq!(estimator.bitrate(), START);
}
