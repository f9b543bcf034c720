//! Once a call runs, no packet makes the relay ask for memory (DESIGN 2.9): nothing waits for an allocator's lock, and a
//! flood cannot grow anything by the packet. What C does within the sealing is not counted.
mod support;

use std::net::SocketAddr;

use conclave_relay_core::Path;
use conclave_relay_core::command::{Command, Encoding};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{DowntrackId, Ssrc};
use support::{LOCAL, Net, OPUS, VP8, extensions, picture};

const PEOPLE: usize = 6;
const SPEAKERS: usize = 3;
const CAMERA: u32 = 0xca;
/// Packets of a picture.
const PARTS: usize = 4;
/// Until every ring has gone round: 1024 packets of the picture, 128 of each voice.
const WARM_UP: usize = 400;
const STEPS: usize = 200;

/// Several voices to all, a camera to half of them; the others take transport-wide numbers.
fn call(profile: Profile) -> Net {
    let mut net = Net::new();
    let people: Vec<usize> = (0..PEOPLE).map(|_| net.connect(profile)).collect();
    for speaker in &people[..SPEAKERS] {
        net.publish_audio(*speaker, *speaker as u64 + 1, 0xa0 + *speaker as u32);
    }
    net.publish_video(people[0], 9, vec![Encoding::Ssrc(Ssrc(CAMERA))]);
    for listener in &people {
        let tracks = (0..SPEAKERS).filter(|speaker| speaker != listener);
        let tracks = tracks.map(|speaker| speaker as u64 + 1);
        for track in tracks.chain(watches(*listener).then_some(9)) {
            let number = track * 100 + *listener as u64;
            let mut spec = net.downtrack_spec(*listener, track, number);
            if !watches(*listener) {
                spec.extensions = extensions();
                net.clients[*listener].tells_arrivals = true;
            }
            net.command(Command::AddDowntrack {
                downtrack: DowntrackId(number),
                spec,
            })
            .unwrap();
        }
    }
    net
}

fn watches(person: usize) -> bool {
    person != 0 && person.is_multiple_of(2)
}

/// What everybody sends within 20 ms.
fn step(net: &mut Net, number: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut sent = Vec::new();
    let level: &[(u8, &[u8])] = &[(1, &[0x90])];
    for speaker in 0..SPEAKERS {
        let client = &mut net.clients[speaker];
        let ssrc = Ssrc(0xa0 + speaker as u32);
        let sealed = client.rtp(ssrc, OPUS, 960, false, level, &[7; 80]);
        sent.push((client.address, sealed));
    }
    for part in 0..PARTS {
        let mut payload = picture(number == 0 && part == 0);
        payload.resize(1_100 - part % 2, 7);
        let client = &mut net.clients[0];
        let ticks = if part == 0 { 1_800 } else { 0 };
        let sealed = client.rtp(Ssrc(CAMERA), VP8, ticks, part == PARTS - 1, &[], &payload);
        sent.push((client.address, sealed));
    }
    sent
}

/// Packets out, on their way now, and how often memory was asked for.
fn relayed(net: &mut Net, mut batch: Vec<(SocketAddr, Vec<u8>)>) -> (usize, u64) {
    let (now, relay) = (net.now, &mut net.relay);
    let received = allocation_counter::measure(|| {
        for (remote, datagram) in &mut batch {
            let path = Path {
                local: LOCAL,
                remote: *remote,
            };
            relay.handle_datagram(now, path, datagram);
        }
    });
    let (mut leaving, mut asked) = (Vec::new(), received.count_total);
    loop {
        let mut runs = None;
        let sent = allocation_counter::measure(|| runs = relay.poll_transmit());
        asked += sent.count_total;
        let Some(runs) = runs else { break };
        for run in runs {
            let datagrams = run.datagrams();
            leaving.extend(datagrams.map(|bytes| (run.path.remote, bytes.to_vec())));
        }
    }
    let out = leaving.len();
    for (remote, bytes) in leaving {
        net.launch(false, remote, bytes);
    }
    (out, asked)
}

fn asks_for_nothing(profile: Profile) {
    let mut net = call(profile);
    let (mut out, mut asked) = (0, 0);
    for number in 0..WARM_UP + STEPS {
        let batch = step(&mut net, number);
        let (packets, times) = relayed(&mut net, batch);
        if number >= WARM_UP {
            (out, asked) = (out + packets, asked + times);
        }
        // Reports, feedback and checks, whose memory is bounded by their own rates.
        net.run(20);
        if number % 100 == 0 {
            (0..PEOPLE).for_each(|person| net.check(person, true));
        }
        net.wire.clear();
        net.clients
            .iter_mut()
            .for_each(|client| client.media.clear());
    }
    let viewers = (0..PEOPLE).filter(|person| watches(*person)).count();
    let each = SPEAKERS * (PEOPLE - 1) + PARTS * viewers;
    assert_eq!(out, STEPS * each, "everything went to everybody");
    assert_eq!(asked, 0, "allocations for {out} packets");
}

#[test]
fn no_packet_of_a_running_call_allocates_with_gcm() {
    asks_for_nothing(Profile::AeadAes128Gcm);
}

#[test]
fn no_packet_of_a_running_call_allocates_with_cm() {
    asks_for_nothing(Profile::Aes128CmHmacSha1_80);
}

#[test]
fn the_counter_counts() {
    let asked = allocation_counter::measure(|| drop(std::hint::black_box(vec![1_u8; 100])));
    assert_eq!(asked.count_total, 1);
}
