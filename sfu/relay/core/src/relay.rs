//! The relay as a whole: one worker's peers, tracks and downtracks behind one set of inputs and outputs.
//!
//! What arrives is opened and queued; the fan-out happens while outputs are drained, so that all
//! packets of one receive batch leave grouped by subscriber (DESIGN 2.9).

mod bandwidth;
mod bursts;
mod control;
mod fanout;
mod feedback;
mod ice;
mod levelling;
mod media;
mod pacing;
mod pipes;
mod repair;
mod steps;
mod timers;

use std::collections::VecDeque;
use std::net::SocketAddr;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rustc_hash::FxHashMap;
use slab::Slab;

use crate::command::{Command, CommandError};
use crate::counters::Counters;
use crate::demux::{Protocol, classify};
use crate::event::Event;
use crate::limits::Limits;
use crate::outbox::{Outbox, Runs};
use crate::peer::{Peer, PeerKey};
use crate::router::{MAX_BATCH, Router};
use crate::speakers::Speakers;
use crate::units::{PeerId, Ssrc, Time};

pub use crate::peer::paths::Path;

/// One worker's relay.
pub struct Relay {
    limits: Limits,
    rng: ChaCha20Rng,
    /// When the last input came; outputs are made as of then.
    now: Time,
    peers: Slab<Peer>,
    peer_keys: FxHashMap<PeerId, PeerKey>,
    by_ufrag: FxHashMap<String, PeerKey>,
    /// Tentative and bound addresses alike; the peer's `Paths` know which.
    by_address: FxHashMap<SocketAddr, PeerKey>,
    router: Router,
    speakers: Speakers,
    /// When each publisher was last heard to speak, by what its tracks call it.
    spoken: FxHashMap<PeerKey, Time>,
    /// What publishers beyond pipes are called by: no place in a table is so high.
    next_voice: PeerKey,
    outbox: Outbox,
    /// What the outbox holds was handed out and is to be forgotten.
    handed_out: bool,
    events: VecDeque<Event>,
    counters: Counters,
    next_tick: Option<Time>,
    /// How many there were.
    ticks: usize,
    /// No downtrack's sender report is due before.
    next_sender_report: Option<Time>,
    /// When lost packets are next to be asked for.
    next_request: Option<Time>,
    /// Subscribers that something waits for, and when it is next looked after.
    paced: Vec<PeerKey>,
    next_step: Option<Time>,
    /// Subscribers with a burst under way, and when one of them goes on.
    bursting: Vec<PeerKey>,
    next_burst: Option<Time>,
    /// Storage for one packet's worth of work, kept between calls.
    stamps: Vec<crate::downtrack::Stamp>,
    feedback: Vec<u8>,
    shares: bandwidth::Shares,
}

impl Relay {
    /// An empty relay. `seed` must come from the system's entropy: identifiers that prove addresses
    /// are drawn from it.
    pub fn new(limits: Limits, seed: [u8; 32]) -> Self {
        Relay {
            limits,
            rng: ChaCha20Rng::from_seed(seed),
            now: Time::ZERO,
            peers: Slab::new(),
            peer_keys: FxHashMap::default(),
            by_ufrag: FxHashMap::default(),
            by_address: FxHashMap::default(),
            router: Router::default(),
            spoken: FxHashMap::default(),
            next_voice: PeerKey::MAX / 2,
            speakers: Speakers::new(),
            outbox: Outbox::default(),
            handed_out: false,
            events: VecDeque::new(),
            counters: Counters::default(),
            next_tick: None,
            ticks: 0,
            next_sender_report: None,
            next_request: None,
            paced: Vec::new(),
            next_step: None,
            bursting: Vec::new(),
            next_burst: None,
            stamps: Vec::new(),
            feedback: Vec::new(),
            shares: bandwidth::Shares::default(),
        }
    }

    /// Does what the control plane says, at once.
    pub fn handle_command(&mut self, now: Time, command: Command) -> Result<(), CommandError> {
        self.begin(now);
        self.fan_out_all();
        self.obey(command)
    }

    /// Takes in one datagram; it is decrypted in place.
    pub fn handle_datagram(&mut self, now: Time, path: Path, datagram: &mut [u8]) {
        self.begin(now);
        self.counters.datagrams_in += 1;
        self.counters.bytes_in += datagram.len() as u64;
        match classify(datagram) {
            Protocol::Stun => self.on_stun(path, datagram),
            Protocol::Dtls => self.on_dtls(path, datagram),
            Protocol::Rtp => self.on_rtp(path, datagram),
            Protocol::Rtcp => self.on_rtcp(path, datagram),
            Protocol::Unknown => self.counters.drop_unknown_protocol += 1,
        }
    }

    /// Does what has become due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.begin(now);
        self.fan_out_all();
        if self.next_tick.is_some_and(|due| now >= due) {
            self.tick();
        }
        if self.next_request.is_some_and(|due| now >= due) {
            self.ask_for_losses();
        }
        if self.next_step.is_some_and(|due| now >= due) {
            self.step_pacers();
        }
        if self.next_burst.is_some_and(|due| now >= due) {
            self.step_bursts();
        }
    }

    /// Whether outputs should be drained before more is handed in. Going on regardless is correct, but
    /// then the whole fan-out of the batch has to be kept at once.
    pub fn is_batch_full(&self) -> bool {
        self.router.batch.len() >= MAX_BATCH
    }

    /// When [`Relay::handle_timeout`] is next to be called; `None` while there is no peer.
    pub fn poll_timeout(&self) -> Option<Time> {
        let due = [
            self.next_tick,
            self.next_request,
            self.next_step,
            self.next_burst,
        ];
        due.into_iter().flatten().min()
    }

    /// The next chunk of datagrams to send; call until `None`. A chunk is forgotten with the next call.
    pub fn poll_transmit(&mut self) -> Option<Runs<'_>> {
        self.begin(self.now);
        self.fan_out_chunk();
        if self.outbox.is_empty() {
            return None;
        }
        self.handed_out = true;
        let runs = self.outbox.runs();
        for run in runs.clone() {
            self.counters.datagrams_out += run.datagrams().len() as u64;
            self.counters.bytes_out += run.bytes.len() as u64;
        }
        Some(runs)
    }

    /// The next thing to tell the control plane; call until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Event::Dtls { peer, .. } = &event
            && let Some(key) = self.peer_keys.get(peer)
            && let Some(peer) = self.peers.get_mut(*key)
        {
            peer.dtls.taken();
        }
        Some(event)
    }

    /// All counts since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn begin(&mut self, now: Time) {
        self.now = self.now.max(now);
        if std::mem::take(&mut self.handed_out) {
            self.outbox.clear();
        }
    }

    /// The peer that has this address.
    fn peer_at(&self, path: Path) -> Option<PeerKey> {
        self.by_address.get(&path.remote).copied()
    }

    /// An SSRC for our own RTCP that neither side of the peer uses.
    fn draw_ssrc(&mut self, taken: impl Fn(Ssrc) -> bool) -> Ssrc {
        loop {
            let ssrc = Ssrc(self.rng.next_u32());
            if ssrc.0 != 0 && !taken(ssrc) {
                return ssrc;
            }
        }
    }
}
