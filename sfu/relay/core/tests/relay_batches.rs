//! One receive batch leaves grouped by subscriber, in runs that one system call can carry (DESIGN 2.9).

mod support;

use conclave_relay_core::Path;
use conclave_relay_core::command::Encoding;
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::Ssrc;
use support::{LOCAL, Net, OPUS, VP8};

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
fn a_picture_in_parts_of_nearly_equal_size_leaves_in_one_run_and_arrives_as_it_was() {
    let mut net = Net::new();
    let publisher = net.connect(PROFILE);
    net.publish_video(publisher, 1, vec![Encoding::Ssrc(Ssrc(0xa))]);
    let viewer = net.connect(PROFILE);
    let ssrc = net.subscribe(viewer, 1, 1);
    let parts: Vec<Vec<u8>> = [900, 901, 900, 901, 901, 300]
        .iter()
        .map(|size| {
            let mut part = vec![0x10, 0, 0, 0, 0x9d, 0x01, 0x2a];
            part.resize(*size, *size as u8);
            part
        })
        .collect();
    let from = net.clients[publisher].address;
    let path = Path {
        local: LOCAL,
        remote: from,
    };
    for part in &parts {
        let client = &mut net.clients[publisher];
        let mut sealed = client.rtp(Ssrc(0xa), VP8, 0, true, &[], part);
        net.relay.handle_datagram(net.now, path, &mut sealed);
    }
    let mut runs = Vec::new();
    while let Some(chunk) = net.relay.poll_transmit() {
        for run in chunk {
            runs.push(run.datagrams().len());
            for datagram in run.datagrams() {
                net.clients[viewer].receive(net.now, &mut datagram.to_vec());
            }
        }
    }
    assert_eq!(runs, [6]);
    let heard = net.clients[viewer].heard(ssrc);
    let payloads: Vec<_> = heard.iter().map(|one| &one.payload).collect();
    assert_eq!(payloads, parts.iter().collect::<Vec<_>>());
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
