//! The bare forwarder: opens SRTP, seals it for everybody named, sends. It decides nothing.
//!
//! `bare --listen IP:PORT` reads one JSON object (see [`plan`]) on standard input, prints "ready"
//! and forwards until standard input closes. It knows no ICE, no DTLS, no RTCP and no replay: it
//! is the ceiling that a server with the same crypto and the same system calls can come near.

mod coalescing;
mod forwarder;
mod plan;
mod rtp;
mod socket;
mod srtp;

use std::io::BufRead;
use std::net::SocketAddr;
use std::process::ExitCode;

use coalescing::{Coalescing, PAUSE};
use forwarder::Forwarder;
use plan::Plan;
use socket::{Inbox, Socket};

/// How often standard input is looked at while packets keep coming; ample for whoever stops it.
const LOOK_UP_EVERY: u32 = 256;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("bare: {sentence}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let address = listen_address(std::env::args().skip(1))?;
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| format!("standard input cannot be read: {error}"))?;
    let mut forwarder = Forwarder::new(&Plan::parse(&line)?)?;
    let socket =
        Socket::bind(address).map_err(|error| format!("{address} cannot be bound: {error}"))?;
    socket::wake_in_time();
    println!("ready");
    forward(&socket, &mut forwarder)
}

/// The value of `--listen`, the only option there is.
fn listen_address(mut words: impl Iterator<Item = String>) -> Result<SocketAddr, String> {
    const USAGE: &str = "usage: bare --listen IP:PORT";
    match (words.next().as_deref(), words.next(), words.next()) {
        (Some("--listen"), Some(address), None) => address
            .parse()
            .map_err(|_| format!("{address:?} is no address with a port; {USAGE}")),
        _ => Err(USAGE.into()),
    }
}

/// Forwards until standard input closes.
fn forward(socket: &Socket, forwarder: &mut Forwarder) -> Result<(), String> {
    let failed = |error| format!("the socket cannot be read: {error}");
    let mut inbox = Inbox::new();
    let mut coalescing = Coalescing::default();
    let mut rounds = 0_u32;
    loop {
        let received = inbox.wait(socket).map_err(failed)?;
        rounds = rounds.wrapping_add(1);
        let looks_up = received == 0 || rounds.is_multiple_of(LOOK_UP_EVERY);
        if looks_up && socket::standard_input_closed() {
            return Ok(());
        }
        if received > 0 && coalescing.pauses() {
            std::thread::sleep(PAUSE);
            coalescing.brought(inbox.receive_more(socket).map_err(failed)?);
        }
        forwarder.forward(&mut inbox, socket);
    }
}
