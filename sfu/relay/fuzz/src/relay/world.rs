//! The relay, the peers around it, and the clock: every instruction goes through here to be checked.

use std::collections::VecDeque;

use conclave_relay_core::command::{CommandError, DowntrackSpec, TrackSpec};
use conclave_relay_core::counters::Counters;
use conclave_relay_core::stun::TransactionId;
use conclave_relay_core::units::{DowntrackId, LayerId, MediaKind, PeerId, Ssrc, Time, TrackId};
use conclave_relay_core::{Command, Event, Limits, Path, Relay};

use super::client::{Client, SLOTS};
use super::ledger::Ledger;
use super::pipes::{Crossing, End, PIPE, Reached};

/// Datagrams kept to be sent again.
const REMEMBERED: usize = 24;
/// Chunks of one drain; the largest program makes a few.
const MAX_CHUNKS: usize = 1_000;
/// DTLS datagrams of one peer that wait at most, and as many again of other events.
const MAX_EVENTS: usize = SLOTS * 256;

/// A track as the control plane knows it.
pub struct Published {
    pub id: TrackId,
    pub spec: TrackSpec,
    pub muted: bool,
}

/// A downtrack as the control plane knows it, or knew it.
pub struct Subscribed {
    pub id: DowntrackId,
    pub spec: DowntrackSpec,
    pub kind: MediaKind,
    /// Nobody while it stands without a track.
    pub publisher: Option<PeerId>,
    /// The only encoding that is carried, over a pipe.
    pub only: Option<LayerId>,
    pub ended: bool,
    pub paused: bool,
}

impl Subscribed {
    /// Its track is no more.
    pub fn lose_track(&mut self) {
        self.publisher = None;
        self.ended |= !self.spec.stands;
    }
}

/// A Binding request of the relay that waits for an answer.
pub struct Question {
    pub path: Path,
    pub peer: PeerId,
    /// Of the credentials that it was asked under.
    pub generation: usize,
    pub transaction: TransactionId,
}

pub struct World {
    pub now: Time,
    /// The last of them is the other end of the pipe.
    pub clients: Vec<Option<Client>>,
    pub tracks: Vec<Published>,
    pub downtracks: Vec<Subscribed>,
    pub questions: Vec<Question>,
    pub sent: VecDeque<(Path, Vec<u8>)>,
    pub ledger: Ledger,
    /// Our end of the pipe, while there is one.
    pub end: Option<End>,
    /// What left over it and is not there yet.
    pub crossing: Vec<Crossing>,
    /// What was seen of pipes.
    pub reached: Reached,
    relay: Relay,
    /// Numbers are never reused.
    numbers: u64,
    /// Datagrams until the relay is drained.
    undrained: usize,
}

impl World {
    pub fn new() -> Self {
        World::with(0, 7)
    }

    /// The relay at the other end of a pipe. Neither numbers anything as the other does, so that no keys are the same.
    pub fn beyond() -> Self {
        World::with(1 << 32, 8)
    }

    fn with(numbers: u64, seed: u8) -> Self {
        let limits = Limits {
            peers: SLOTS + 1,
            tracks_per_peer: 3,
            encodings_per_track: 3,
            downtracks_per_peer: 6,
            tracks_per_pipe: 8,
            streams_per_peer: 8,
            rtcp_senders_per_peer: 4,
            ..Limits::default()
        };
        World {
            now: Time::from_millis(1_000),
            clients: (0..=PIPE).map(|_| None).collect(),
            tracks: Vec::new(),
            downtracks: Vec::new(),
            questions: Vec::new(),
            sent: VecDeque::new(),
            ledger: Ledger::default(),
            end: None,
            crossing: Vec::new(),
            reached: Reached::default(),
            relay: Relay::new(limits, [seed; 32]),
            numbers,
            undrained: 0,
        }
    }

    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The next so many datagrams are one receive batch.
    pub fn batch(&mut self, datagrams: usize) {
        self.undrained = datagrams;
    }

    /// A command that changes nothing the checks know of.
    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        self.drain();
        self.command_after(command)
    }

    /// A command whose effect is noted already. The caller has drained before: what was queued until
    /// then still goes out under the old state.
    pub fn command_after(&mut self, command: Command) -> Result<(), CommandError> {
        let done = self.unchecked(command);
        self.drain();
        done
    }

    /// A command whose effect the caller notes before it drains.
    pub fn unchecked(&mut self, command: Command) -> Result<(), CommandError> {
        self.relay.handle_command(self.now, command)
    }

    pub fn datagram(&mut self, path: Path, mut bytes: Vec<u8>) {
        self.sent.push_back((path, bytes.clone()));
        if self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
        self.ledger.came(path, bytes.len());
        self.relay.handle_datagram(self.now, path, &mut bytes);
        self.undrained = self.undrained.saturating_sub(1);
        if self.undrained == 0 {
            self.drain();
        }
    }

    /// Moves the clock on; the relay hears of it when it asked to, or not at all.
    pub fn wait(&mut self, micros: u64, punctual: bool) {
        self.now = Time::from_micros(self.now.as_micros().saturating_add(micros));
        let due = self.relay.poll_timeout().is_some_and(|at| at <= self.now);
        if due && punctual {
            self.relay.handle_timeout(self.now);
            self.drain();
            let next = self.relay.poll_timeout();
            assert!(next.is_none_or(|at| at > self.now), "a timeout stays due");
        }
    }

    /// The clock of this relay is at least there.
    pub fn wait_until(&mut self, at: Time) {
        let behind = at.as_micros().saturating_sub(self.now.as_micros());
        if behind > 0 {
            self.wait(behind, true);
        }
    }

    pub fn counters(&self) -> &Counters {
        self.relay.counters()
    }

    pub fn finish(&mut self) {
        self.wait(100_000, true);
        self.drain();
    }

    pub fn client(&mut self, id: PeerId) -> Option<&mut Client> {
        self.clients.iter_mut().flatten().find(|c| c.id == id)
    }

    /// The downtrack that has or had this SSRC.
    pub fn heard_as(&self, ssrc: Ssrc) -> Option<&Subscribed> {
        let repair = |d: &Subscribed| d.spec.repair.as_ref().map(|repair| repair.ssrc);
        let mut downtracks = self.downtracks.iter();
        downtracks.find(|d| d.spec.ssrc == ssrc || repair(d) == Some(ssrc))
    }

    pub fn drain(&mut self) {
        self.undrained = 0;
        let mut out = Vec::new();
        for chunk in 0.. {
            assert!(chunk < MAX_CHUNKS, "poll_transmit does not come to an end");
            let Some(runs) = self.relay.poll_transmit() else {
                break;
            };
            for run in runs {
                assert!(run.segment_size > 0);
                out.extend(run.datagrams().map(|bytes| (run.path, bytes.to_vec())));
            }
        }
        for (path, bytes) in out {
            self.leave(path, &bytes);
        }
        let mut events = 0;
        while let Some(event) = self.relay.poll_event() {
            events += 1;
            assert!(events < MAX_EVENTS, "events are not bounded");
            self.ledger.told(&event);
            self.told_of_end(&event);
            if let Event::Levels { changes } = event {
                let sound = |level: &f32| (0.0..=1.0).contains(level);
                assert!(changes.iter().all(|(_, level)| sound(level)));
            }
        }
        let counters = self.relay.counters();
        self.ledger.adds_up(counters);
        assert_eq!(
            counters.peers_now,
            self.clients.iter().flatten().count() as u64
        );
        assert_eq!(counters.tracks_now, self.tracks.len() as u64);
        let downtracks = self.downtracks.iter().filter(|d| !d.ended);
        assert_eq!(counters.downtracks_now, downtracks.count() as u64);
        let ticks = self.relay.poll_timeout().is_some();
        assert_eq!(
            ticks,
            counters.peers_now > 0,
            "time passes while there are peers"
        );
    }
}
