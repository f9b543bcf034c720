//! A DTLS server that is weak in one way: it speaks DTLS 1.3 with whoever offers it (and 1.2 with
//! everybody else). Carried by another process, which does ICE: it listens on loopback only, prints
//! its port, and ends with its standard input.
//!
//! Arguments: a certificate and its P-256 key, both DER files.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate, Output};

const PEERS: usize = 64; // enough for a run of the probe; more are not answered
const TICK: Duration = Duration::from_millis(50);

fn main() {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let read = |index: usize| std::fs::read(&files[index]).expect("a DER file");
    let certificate = DtlsCertificate {
        certificate: read(0),
        private_key: read(1),
    };
    let config = Config::builder()
        .use_server_cookie(false)
        .require_client_certificate(false)
        .build()
        .expect("a sound configuration");
    let config = Arc::new(config);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(TICK)).expect("a timeout");
    println!("{}", socket.local_addr().expect("bound").port());
    std::io::stdout().flush().expect("somebody reads the port");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    serve(&socket, &config, &certificate);
}

fn serve(socket: &UdpSocket, config: &Arc<Config>, certificate: &DtlsCertificate) {
    let mut peers: HashMap<SocketAddr, Dtls> = HashMap::new();
    let mut datagram = [0; 65536];
    loop {
        if let Ok((length, from)) = socket.recv_from(&mut datagram) {
            if peers.len() < PEERS && !peers.contains_key(&from) {
                let made = Dtls::new_auto(config.clone(), certificate.clone(), Instant::now());
                peers.insert(from, made);
            }
            if let Some(peer) = peers.get_mut(&from) {
                // An engine learns the time here alone, and wants to know it before anything else.
                let taken = peer
                    .handle_timeout(Instant::now())
                    .and_then(|()| peer.handle_packet(&datagram[..length]));
                drain(peer, socket, from);
                if taken.is_err() {
                    peers.remove(&from);
                }
            }
        }
        let now = Instant::now();
        peers.retain(|_, peer| peer.handle_timeout(now).is_ok());
        for (address, peer) in &mut peers {
            drain(peer, socket, *address);
        }
    }
}

/// Send what the engine has to say; its keys and data are of no use here.
fn drain(peer: &mut Dtls, socket: &UdpSocket, to: SocketAddr) {
    let mut buffer = [0; 4096];
    loop {
        match peer.poll_output(&mut buffer) {
            Output::Packet(packet) => {
                let _ = socket.send_to(packet, to);
            }
            Output::Timeout(_) => return,
            _ => {}
        }
    }
}
