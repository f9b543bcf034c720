//! One transport: its credentials, addresses, keys, the streams it sends and those it is sent.

pub mod downlink;
pub mod dtls;
pub mod guard;
pub mod health;
pub mod ice;
pub mod paths;
pub mod streams;
pub mod wall_clock;

use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::cache::CachedPacket;
use crate::command::IceCredentials;
use crate::counters::Counters;
use crate::downtrack::{Downtrack, RepairStream, Stamp};
use crate::event::Condition;
use crate::floor::Floor;
use crate::limits::Limits;
use crate::outbox::Outbox;
use crate::pacer::Pacer;
use crate::round_trip::RoundTrip;
use crate::router::Queued;
use crate::srtp::{Opener, Sealer};
use crate::twcc::ArrivalRecorder;
use crate::units::{PeerId, Ssrc, Time};
use downlink::Downlink;
use dtls::DtlsGate;
use guard::SealGuard;
use health::Health;
use ice::Credentials;
use paths::{Path, Paths, SlotId};
use streams::Streams;
use wall_clock::WallClock;

/// Where a peer is in the relay's table.
pub type PeerKey = usize;

/// SRTCP indices are 31 bits (RFC 3711 section 3.4) and never come twice under one key.
const SRTCP_INDICES: u32 = 1 << 31;

/// Session keys, both ways.
#[repr(C)]
pub struct Keys {
    /// Seals what we send.
    pub sealer: Sealer,
    /// Opens what they seal.
    pub opener: Opener,
}

/// One packet of the batch that is to go to one downtrack of the peer.
#[derive(Clone, Copy)]
pub struct Job {
    /// Its place in the batch.
    pub packet: u32,
    /// The downtrack's key.
    pub sink: u32,
}

/// Why nothing may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// No address bound, or no keys.
    Unbound,
    /// Consent ran out.
    Consent,
    /// `not_after` passed.
    Expired,
}

/// One transport. What every packet to it needs stands first and together, as in [`Downtrack`].
#[repr(C, align(64))]
pub struct Peer {
    /// What is to be sent when the batch is drained.
    pub jobs: Vec<Job>,
    /// When authority ends.
    pub not_after: Option<Time>,
    /// `ConsentLost` was told.
    pub consent_lost: bool,
    /// `Expired` was told.
    pub expired: bool,
    /// `MediaStarted` was told.
    pub started: bool,
    /// Nothing came or went since it was last looked at and found settled.
    pub at_rest: bool,
    /// What waits for its link.
    pub pacer: Pacer<Queued>,
    /// What is sent to it, taken together.
    pub downlink: Downlink,
    /// Its addresses.
    pub paths: Paths,
    /// SRTP keys, once installed.
    pub keys: Option<Keys>,
    /// Its number.
    pub id: PeerId,
    /// Names and passwords, ours and theirs.
    pub ice: Credentials,
    /// DTLS both ways.
    pub dtls: DtlsGate,
    /// What it sends.
    pub streams: Streams,
    /// Keys of the tracks it publishes.
    pub tracks: Vec<usize>,
    /// Keys of its downtracks by our SSRC.
    pub downtracks: FxHashMap<Ssrc, usize>,
    /// How many of them carry transport-wide numbers.
    pub numbered: usize,
    /// Every SSRC ever sealed under its keys (DESIGN 2.8).
    pub used_ssrcs: FxHashSet<Ssrc>,
    /// When its packets arrived, if it wants to know.
    pub arrivals: ArrivalRecorder,
    /// What its sender reports call now.
    pub wall_clock: WallClock,
    /// How long its answers take.
    pub round_trip: RoundTrip,
    /// How well packets go to and from it.
    pub health: Health,
    /// What was told of that last.
    pub told: Option<Condition>,
    /// Whose pictures go first for it.
    pub floor: Floor,
    /// SSRC of our own RTCP towards it.
    pub rtcp_ssrc: Ssrc,
    /// When the next receiver report is due.
    pub next_report: Time,
    rtcp_index: u32,
    guard: SealGuard,
}

impl Peer {
    /// A transport that waits for STUN.
    pub fn new(
        now: Time,
        id: PeerId,
        local: IceCredentials,
        rtcp_ssrc: Ssrc,
        first_number: u16,
        limits: &Limits,
    ) -> Self {
        Peer {
            id,
            ice: Credentials::new(local),
            paths: Paths::new(limits.defences),
            dtls: DtlsGate::new(now),
            keys: None,
            streams: Streams::new(limits),
            tracks: Vec::new(),
            downtracks: FxHashMap::default(),
            numbered: 0,
            used_ssrcs: FxHashSet::default(),
            jobs: Vec::new(),
            arrivals: ArrivalRecorder::new(),
            wall_clock: WallClock::default(),
            downlink: Downlink::new(first_number),
            pacer: Pacer::default(),
            round_trip: RoundTrip::default(),
            health: Health::default(),
            told: None,
            floor: Floor::default(),
            not_after: None,
            expired: false,
            consent_lost: false,
            started: false,
            at_rest: false,
            rtcp_ssrc,
            next_report: now,
            rtcp_index: 0,
            guard: SealGuard::default(),
        }
    }

    /// Whether authority has ended.
    pub fn is_expired(&self, now: Time) -> bool {
        self.not_after.is_some_and(|not_after| now >= not_after)
    }

    /// Something came, went or was ordered: the next tick looks at it.
    pub fn stir(&mut self) {
        self.at_rest = false;
    }

    /// Whether nothing about it is due within `rest`, as long as nothing comes, goes or is ordered.
    pub fn is_settled(&self, now: Time, rest: Duration) -> bool {
        self.keys.is_some()
            && self
                .not_after
                .is_none_or(|end| self.expired || end > now + rest)
            && self.arrivals.deadline().is_none()
            && !self.paths.is_asking()
            && (self.numbered == 0 || self.downlink.is_settled(now))
    }

    /// Where media goes now.
    pub fn destination(&self, now: Time) -> Result<(SlotId, Path), Held> {
        if self.is_expired(now) {
            return Err(Held::Expired);
        }
        if self.consent_lost {
            return Err(Held::Consent);
        }
        let slot = self
            .paths
            .bound()
            .filter(|_| self.keys.is_some())
            .ok_or(Held::Unbound)?;
        let path = self.paths.path(slot).ok_or(Held::Unbound)?;
        Ok((slot, path))
    }

    /// Renders, seals and addresses one RTP packet; `None` when the allowance does not cover it.
    /// Returns the bytes sent.
    pub fn send_rtp(
        &mut self,
        now: Time,
        to: (SlotId, Path),
        outbox: &mut Outbox,
        downtrack: &Downtrack,
        stamp: &Stamp,
        source: &CachedPacket<'_>,
    ) -> Option<usize> {
        self.keys.as_ref()?;
        let start = outbox.len();
        let out = outbox.bytes();
        let header_len = downtrack.render(stamp, source, out)?;
        let packet = (downtrack.ssrc(), stamp.index, header_len);
        let number = stamp.transport_number;
        let bytes = self.commit_sealed(now, to, outbox, start, packet, number)?;
        self.pacer.spend(bytes);
        Some(bytes)
    }

    /// The same on the downtrack's retransmission stream, under an index and a transport-wide number of its own; `None`
    /// also where the subscriber has no retransmission format for it.
    pub fn send_rtx(
        &mut self,
        now: Time,
        to: (SlotId, Path),
        outbox: &mut Outbox,
        (downtrack, repair): (&Downtrack, &mut RepairStream),
        stamp: &Stamp,
        source: &CachedPacket<'_>,
    ) -> Option<usize> {
        let payload_type = repair.payload_type(stamp.payload_type)?;
        self.keys.as_ref()?;
        let mut stamp = *stamp;
        stamp.padding = 0;
        if let Some(number) = &mut stamp.transport_number {
            *number = self.downlink.next_number() as u16;
        }
        let start = outbox.len();
        let out = outbox.bytes();
        let header_len = downtrack.render(&stamp, source, out)?;
        let index = repair.wrap(payload_type, header_len, out, start);
        let packet = (repair.ssrc(), index, header_len);
        let number = stamp.transport_number;
        let bytes = self.commit_sealed(now, to, outbox, start, packet, number)?;
        self.pacer.spend(bytes);
        Some(bytes)
    }

    /// A packet of nothing but padding on the downtrack's retransmission stream; `None` when it cannot be sent.
    pub fn send_padding(
        &mut self,
        now: Time,
        to: (SlotId, Path),
        outbox: &mut Outbox,
        (downtrack, repair): (&Downtrack, &mut RepairStream),
        padding: u8,
    ) -> Option<usize> {
        self.keys.as_ref()?;
        let (timestamp, id) = downtrack.padding_marks();
        let number = self.downlink.next_number() as u16;
        let start = outbox.len();
        let out = outbox.bytes();
        let (index, header_len) = repair.pad(timestamp, id.map(|id| (id, number)), padding, out)?;
        let packet = (repair.ssrc(), index, header_len);
        self.commit_sealed(now, to, outbox, start, packet, id.map(|_| number))
    }

    /// Seals the packet that was appended at `start`, by SSRC, index and length of its header, and addresses it. Nothing
    /// is appended any longer when the allowance does not cover it.
    fn commit_sealed(
        &mut self,
        now: Time,
        (slot, path): (SlotId, Path),
        outbox: &mut Outbox,
        start: usize,
        (ssrc, index, header_len): (Ssrc, u64, usize),
        number: Option<u16>,
    ) -> Option<usize> {
        let keys = self.keys.as_ref()?;
        let out = outbox.bytes();
        self.guard.check(ssrc, index, &out[start..]);
        keys.sealer.seal_rtp(index, header_len, out, start);
        if !self.paths.allow(slot, outbox.len() - start) {
            outbox.abandon(start);
            return None;
        }
        let bytes = outbox.commit(path, start);
        if let Some(number) = number {
            self.downlink.on_sent(now, number, bytes);
            self.stir();
        }
        Some(bytes)
    }

    /// Seals and addresses the compound that `write` appends, and counts it.
    pub fn send_rtcp(
        &mut self,
        now: Time,
        outbox: &mut Outbox,
        counters: &mut Counters,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let sent = self.try_send_rtcp(now, outbox, write).is_some();
        if sent {
            counters.rtcp_out += 1;
        } else {
            counters.rtcp_drop_unsent += 1;
        }
        sent
    }

    fn try_send_rtcp(
        &mut self,
        now: Time,
        outbox: &mut Outbox,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Option<()> {
        let (slot, path) = self.destination(now).ok()?;
        let keys = self
            .keys
            .as_ref()
            .filter(|_| self.rtcp_index < SRTCP_INDICES)?;
        let start = outbox.len();
        let out = outbox.bytes();
        write(out);
        keys.sealer.seal_rtcp(self.rtcp_index, out, start);
        self.rtcp_index += 1;
        if !self.paths.allow(slot, outbox.len() - start) {
            outbox.abandon(start);
            return None;
        }
        outbox.commit(path, start);
        Some(())
    }

    /// Sends what waits for the allowance, in order, as far as it goes now.
    pub fn flush_dtls(&mut self, outbox: &mut Outbox, counters: &mut Counters) {
        let Some(slot) = self.paths.dtls() else {
            return;
        };
        let Some(path) = self.paths.path(slot) else {
            return;
        };
        while let Some(datagram) = self.dtls.next_held() {
            if !self.paths.allow(slot, datagram.len()) {
                return;
            }
            let start = outbox.len();
            outbox.bytes().extend_from_slice(datagram);
            outbox.commit(path, start);
            counters.dtls_out += 1;
            self.dtls.release();
        }
    }
}
