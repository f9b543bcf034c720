//! What one packet out costs in the core alone: no socket, no system call, one thread.
//!
//! `cargo bench -p conclave-relay-core` prints nanoseconds for each packet out, the least of the rounds, which on a
//! machine with other work is nearer to the truth than the mean: first with the processor's caches as the last packet
//! left them, then with caches that something else has used in between, as the kernel and a server's other threads do.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use conclave_relay_core::Path;
use conclave_relay_core::command::Encoding;
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{PayloadType, Ssrc};
use support::{LOCAL, Net, OPUS, VP8, extensions};

const ROUNDS: usize = 21;
/// Packets of one stream in a round; less than a second of them, so that nobody loses consent.
const PACKETS: usize = 800;

/// A load: how many send, how many receive each, packets that come at once, bytes of their payload.
struct Load {
    name: &'static str,
    profile: Profile,
    senders: usize,
    listeners: usize,
    burst: usize,
    payload: usize,
    /// Subscribers take transport-wide numbers.
    numbered: bool,
}

fn main() {
    const GCM: Profile = Profile::AeadAes128Gcm;
    const CM: Profile = Profile::Aes128CmHmacSha1_80;
    let video = |name, profile, burst| Load {
        name,
        profile,
        senders: 1,
        listeners: 50,
        burst,
        payload: 1_150,
        // An estimate would have to grow first.
        numbered: false,
    };
    let voice = |name, profile, numbered| Load {
        name,
        profile,
        senders: 20,
        listeners: 19,
        burst: 1,
        payload: 80,
        numbered,
    };
    let loads = [
        video("video 1 to 50, one by one, GCM", GCM, 1),
        video("video 1 to 50, eight at once, GCM", GCM, 8),
        video("video 1 to 50, eight at once, CM", CM, 8),
        voice("voice 20 to 19, GCM", GCM, false),
        voice("voice 20 to 19, GCM, numbered", GCM, true),
        voice("voice 20 to 19, CM", CM, false),
    ];
    let only = std::env::args().nth(1).filter(|word| word != "--bench");
    for load in loads {
        if only
            .as_ref()
            .is_none_or(|word| load.name.contains(word.as_str()))
        {
            let [warm, cold] = [false, true].map(|cold| nanoseconds(&load, cold));
            println!("{:<45}{warm:>7.0} ns{cold:>7.0} ns", load.name);
        }
    }
}

fn nanoseconds(load: &Load, cold: bool) -> f64 {
    let mut net = Net::new();
    let people: Vec<usize> = (0..load.senders.max(load.listeners + 1))
        .map(|_| net.connect(load.profile))
        .collect();
    let ssrc = |sender: usize| 0xa00 + sender as u32;
    for sender in 0..load.senders {
        let track = sender as u64 + 1;
        match load.payload {
            0..=200 => net.publish_audio(people[sender], track, ssrc(sender)),
            _ => net.publish_video(
                people[sender],
                track,
                vec![Encoding::Ssrc(Ssrc(ssrc(sender)))],
            ),
        }
        let others = people.iter().filter(|other| **other != people[sender]);
        for (place, listener) in others.take(load.listeners).enumerate() {
            let number = track * 1_000 + place as u64;
            let mut spec = net.downtrack_spec(*listener, track, number);
            if load.numbered {
                spec.extensions = extensions();
            }
            net.command(conclave_relay_core::Command::AddDowntrack {
                downtrack: conclave_relay_core::units::DowntrackId(number),
                spec,
            })
            .unwrap();
        }
    }
    if load.numbered {
        for client in &mut net.clients {
            client.tells_arrivals = true;
        }
    }
    let mut others = cold.then(Others::new);
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        best = best.min(round(&mut net, load, &people, ssrc, others.as_mut()));
        for person in &people {
            net.check(*person, true);
        }
        net.run(1_200);
        net.wire.clear();
        for client in &mut net.clients {
            client.media.clear();
        }
    }
    best
}

/// What else a processor does between two packets: it needs the second-level cache for it.
struct Others {
    memory: Vec<u64>,
}

impl Others {
    /// Bytes: twice a common second-level cache.
    const SIZE: usize = 4 << 20;

    fn new() -> Self {
        Others {
            memory: vec![1; Self::SIZE / 8],
        }
    }

    fn work(&mut self) {
        for word in self.memory.iter_mut().step_by(8) {
            *word = word.wrapping_mul(3);
        }
    }
}

/// Seals first, then times what the relay does with it.
fn round(
    net: &mut Net,
    load: &Load,
    people: &[usize],
    ssrc: impl Fn(usize) -> u32,
    mut others: Option<&mut Others>,
) -> f64 {
    let (payload_type, ticks): (PayloadType, u32) = match load.payload {
        0..=200 => (OPUS, 960),
        _ => (VP8, 90),
    };
    let mut content = vec![7; load.payload];
    if payload_type == VP8 {
        // A picture begins with every packet, every one of them a key frame's: nobody waits.
        content[..7].copy_from_slice(&[0x10, 0, 0, 0, 0x9d, 0x01, 0x2a]);
    }
    let level: &[(u8, &[u8])] = &[(1, &[0x90])];
    let packets = PACKETS / load.senders;
    let mut arriving = Vec::new();
    for _ in 0..packets {
        for (sender, person) in people.iter().enumerate().take(load.senders) {
            let client = &mut net.clients[*person];
            let sealed = client.rtp(
                Ssrc(ssrc(sender)),
                payload_type,
                ticks,
                true,
                level,
                &content,
            );
            let path = Path {
                local: LOCAL,
                remote: client.address,
            };
            arriving.push((path, sealed));
        }
    }
    let began = net.now;
    let mut sent = 0_usize;
    let mut bytes = 0_usize;
    let mut spent = Duration::ZERO;
    for (turn, batch) in arriving.chunks_mut(load.burst).enumerate() {
        let now = began
            + Duration::from_micros(turn as u64 * 800_000 / PACKETS as u64 * load.burst as u64);
        if let Some(others) = others.as_mut() {
            others.work();
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the relay gets its time from here; what is measured is ours"
        )]
        let start = Instant::now();
        for (path, datagram) in batch {
            net.relay.handle_datagram(now, *path, datagram);
        }
        while let Some(runs) = net.relay.poll_transmit() {
            for run in runs {
                sent += run.datagrams().len();
                bytes += run.bytes.len();
            }
        }
        spent += start.elapsed();
    }
    net.now = began + Duration::from_millis(800);
    let counted: Vec<_> = net
        .relay
        .counters()
        .iter()
        .filter(|(_, value)| *value > 0)
        .collect();
    assert_eq!(
        sent,
        PACKETS * load.listeners,
        "{}: {bytes} bytes, {counted:?}",
        load.name
    );
    spent.as_nanos() as f64 / sent as f64
}
