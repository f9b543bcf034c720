//! One receive batch leaves grouped by subscriber, in runs that one system call can carry (DESIGN 2.9).

mod support;

use conclave_relay_core::Path;
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::Ssrc;
use support::{LOCAL, Net, OPUS};

const PROFILE: Profile = Profile::AeadAes128Gcm;

fn call_of(listeners: usize) -> (Net, usize, Vec<usize>) {
    let mut net = Net::new();
    let speaker = net.connect(PROFILE);
    net.publish_audio(speaker, 1, 0xa);
    let listeners: Vec<usize> = (0..listeners).map(|_| net.connect(PROFILE)).collect();
    for (number, listener) in listeners.iter().enumerate() {
        net.subscribe(*listener, 1, number as u64);
    }
    // The first packet brings reports along.
    net.speak(speaker, 0xa, &[0; 100]);
    net.run(20);
    (net, speaker, listeners)
}

fn burst(net: &mut Net, speaker: usize, packets: usize) {
    let path = Path {
        local: LOCAL,
        remote: net.clients[speaker].address,
    };
    for _ in 0..packets {
        let mut sealed = net.clients[speaker].rtp(Ssrc(0xa), OPUS, 960, false, &[], &[7; 100]);
        net.relay.handle_datagram(net.now, path, &mut sealed);
    }
}

#[test]
fn a_burst_is_one_run_for_each_subscriber() {
    let (mut net, speaker, listeners) = call_of(3);
    burst(&mut net, speaker, 8);
    let mut runs = Vec::new();
    while let Some(chunk) = net.relay.poll_transmit() {
        runs.extend(chunk.map(|run| (run.path.remote, run.datagrams().len())));
    }
    runs.sort();
    let expected: Vec<_> = listeners
        .iter()
        .map(|at| (net.clients[*at].address, 8))
        .collect();
    assert_eq!(runs, expected);
}

#[test]
fn a_big_fan_out_leaves_in_chunks_of_bounded_size_and_whole() {
    let (mut net, speaker, listeners) = call_of(60);
    burst(&mut net, speaker, 64);
    assert!(net.relay.is_batch_full());
    let (mut chunks, mut datagrams) = (0, 0);
    while let Some(chunk) = net.relay.poll_transmit() {
        let bytes: usize = chunk.clone().map(|run| run.bytes.len()).sum();
        assert!(bytes < 300_000, "{bytes}");
        datagrams += chunk.map(|run| run.datagrams().len()).sum::<usize>();
        chunks += 1;
    }
    assert_eq!(datagrams, 64 * listeners.len());
    assert!(chunks > 1);
    assert!(!net.relay.is_batch_full());
}

#[test]
fn a_caller_that_does_not_drain_in_time_loses_nothing() {
    let (mut net, speaker, listeners) = call_of(2);
    let before = net.relay.counters().rtp_out;
    burst(&mut net, speaker, 300);
    let mut datagrams = 0;
    while let Some(chunk) = net.relay.poll_transmit() {
        datagrams += chunk.map(|run| run.datagrams().len()).sum::<usize>();
    }
    assert_eq!(datagrams, 300 * listeners.len());
    assert_eq!(net.relay.counters().rtp_out - before, 600);
}
