//! What the control plane orders.

use crate::command::{
    Command, CommandError, DowntrackSpec, Encoding, IceCredentials, PayloadFormat, TrackSpec,
};
use crate::downtrack::{Allowed, Downtrack, RepairStream};
use crate::layers::MAX_LAYERS;
use crate::peer::{Keys, Peer, PeerKey};
use crate::relay::{Relay, Rng};
use crate::router::{NO_TRACK, Sink, SinkKey, Track, TrackKey};
use crate::rtcp;
use crate::srtp::{MasterKey, Opener, Profile, Sealer};
use crate::units::{Codec, DowntrackId, LayerId, PeerId, Ssrc, TrackId};

impl Relay {
    pub(super) fn obey(&mut self, command: Command) -> Result<(), CommandError> {
        match command {
            Command::OpenPeer { peer, local } => self.open_peer(peer, local)?,
            Command::SetRemoteIce { peer, remote } => self.peer_mut(peer)?.ice.set_remote(remote),
            Command::RestartIce {
                peer,
                local,
                remote,
            } => self.restart_ice(peer, local, remote)?,
            Command::InstallKeys {
                peer,
                profile,
                local,
                remote,
            } => {
                self.install_keys(peer, profile, &local, &remote)?;
            }
            Command::OpenPipe { peer, pipe } => self.open_pipe(peer, &pipe)?,
            Command::ClosePeer { peer } => self.close_peer(peer)?,
            Command::SetNotAfter { peer, not_after } => {
                let now = self.now;
                let peer = self.peer_mut(peer)?;
                peer.not_after = not_after;
                peer.expired = peer.expired && peer.is_expired(now);
            }
            Command::AddTrack { track, spec } => self.add_track(track, spec)?,
            Command::MuteTrack { track, muted } => {
                let key = self.track_key(track)?;
                self.router.tracks[key].muted = muted;
                self.router.interrupt(key);
                self.abandon_track(key);
                self.forget_losses(key);
            }
            Command::RemoveTrack { track } => {
                let key = self.track_key(track)?;
                self.remove_track(key);
            }
            Command::AddDowntrack { downtrack, spec } => {
                self.add_downtrack(downtrack, &spec, None)?;
            }
            Command::PipeLayer {
                downtrack,
                spec,
                layer,
            } => self.add_downtrack(downtrack, &spec, Some(layer))?,
            Command::SetDowntrack { downtrack, wish } => {
                let key = self.sink_key(downtrack)?;
                self.set_wish(key, wish);
            }
            Command::SwitchDowntrack {
                downtrack,
                track,
                formats,
            } => self.switch_downtrack(downtrack, track, formats)?,
            Command::RemoveDowntrack { downtrack } => {
                let key = self.sink_key(downtrack)?;
                self.remove_sink(key);
            }
            Command::SendDtls { peer, datagrams } => self.send_dtls(peer, datagrams)?,
        }
        self.counters.peers_now = self.peers.len() as u64;
        self.counters.tracks_now = self.router.tracks.len() as u64;
        self.counters.downtracks_now = self.router.sinks.len() as u64;
        Ok(())
    }

    fn open_peer(&mut self, id: PeerId, local: IceCredentials) -> Result<(), CommandError> {
        if self.peer_keys.contains_key(&id) || self.by_ufrag.contains_key(&local.ufrag) {
            return Err(CommandError::Duplicate);
        }
        if self.peers.len() >= self.limits.peers {
            return Err(CommandError::LimitReached);
        }
        let ufrag = local.ufrag.clone();
        let own_ssrc = self.draw_ssrc(|_| false);
        let first_number = self.rng.next_u32() as u16;
        let limits = &self.limits;
        let peer = Peer::new(self.now, id, local, own_ssrc, first_number, limits);
        let key = self.peers.insert(peer);
        self.peer_keys.insert(id, key);
        self.by_ufrag.insert(ufrag, key);
        self.schedule();
        Ok(())
    }

    fn restart_ice(
        &mut self,
        id: PeerId,
        local: IceCredentials,
        remote: IceCredentials,
    ) -> Result<(), CommandError> {
        let key = self.peer_key(id)?;
        if self.by_ufrag.contains_key(&local.ufrag) {
            return Err(CommandError::Duplicate);
        }
        self.by_ufrag.insert(local.ufrag.clone(), key);
        if let Some(dropped) = self.peers[key].ice.restart(local, remote) {
            self.by_ufrag.remove(&dropped);
        }
        Ok(())
    }

    fn install_keys(
        &mut self,
        id: PeerId,
        profile: Profile,
        local: &MasterKey,
        remote: &MasterKey,
    ) -> Result<(), CommandError> {
        let peer = self.peer_mut(id)?;
        if peer.keys.is_some() {
            return Err(CommandError::BadKeys);
        }
        let bad = |_| CommandError::BadKeys;
        let opener = Opener::new(profile, remote).map_err(bad)?;
        let sealer = Sealer::new(profile, local).map_err(bad)?;
        peer.keys = Some(Keys { opener, sealer });
        peer.dtls.on_keys();
        peer.paths.on_keys(peer.ice.in_use().is_some());
        let key = self.peer_key(id)?;
        self.question_paths(key);
        Ok(())
    }

    fn close_peer(&mut self, id: PeerId) -> Result<(), CommandError> {
        let key = self.peer_key(id)?;
        // Its own downtracks first: one of them may be of a track of its own.
        let sinks: Vec<SinkKey> = self.peers[key].downtracks.values().copied().collect();
        for sink in sinks {
            self.drop_sink(sink);
        }
        for track in std::mem::take(&mut self.peers[key].tracks) {
            self.remove_track(track);
        }
        let peer = self.peers.remove(key);
        self.peer_keys.remove(&id);
        self.spoken.remove(&key);
        for ufrag in peer.ice.ufrags() {
            self.by_ufrag.remove(ufrag);
        }
        for remote in peer.paths.remotes() {
            self.release_address(key, remote);
        }
        self.schedule();
        Ok(())
    }

    fn add_track(&mut self, id: TrackId, spec: TrackSpec) -> Result<(), CommandError> {
        let peer_key = self.peer_key(spec.peer)?;
        let voice = self.voice_of(peer_key, &spec.mid);
        let peer = &mut self.peers[peer_key];
        if self.router.track_keys.contains_key(&id)
            || peer.streams.conflicts(&spec.encodings)
            || peer.streams.repair_conflicts(&spec.encodings, &spec.repair)
        {
            return Err(CommandError::Duplicate);
        }
        let encodings = spec.encodings.len();
        if peer.tracks.len() >= self.limits.tracks(peer.paths.is_pinned())
            || encodings == 0
            || encodings > self.limits.encodings_per_track.min(MAX_LAYERS)
        {
            return Err(CommandError::LimitReached);
        }
        let mut track = Track::new(id, peer_key, spec);
        track.voice = voice;
        let key = self.router.tracks.vacant_key();
        let spec = &track.spec;
        peer.streams.add_track(
            key,
            &spec.mid,
            &spec.encodings,
            &spec.extensions,
            &spec.repair,
        );
        peer.tracks.push(key);
        let own = peer.rtcp_ssrc;
        let is_own = |encoding: &Encoding| *encoding == Encoding::Ssrc(own);
        let clash = spec.encodings.iter().any(is_own)
            || spec.repair.streams.iter().any(|(_, repair)| *repair == own);
        self.router.tracks.insert(track);
        self.router.track_keys.insert(id, key);
        if clash {
            self.redraw_own_ssrc(peer_key);
        }
        Ok(())
    }

    fn remove_track(&mut self, key: TrackKey) {
        for sink in std::mem::take(&mut self.router.tracks[key].sinks) {
            self.abandon(sink, None);
            if self.router.sinks[sink].spec.stands {
                self.router.sinks[sink].track = NO_TRACK;
            } else {
                self.remove_sink(sink);
            }
        }
        self.forget_losses(key);
        let track = self.router.tracks.remove(key);
        self.router.track_keys.remove(&track.id);
        self.router.dirty.retain(|dirty| *dirty != key);
        self.speakers.remove(track.id);
        if let Some(peer) = self.peers.get_mut(track.peer) {
            peer.tracks.retain(|other| *other != key);
            peer.streams.remove_track(key);
        }
    }

    /// `only`: one encoding and no other.
    fn add_downtrack(
        &mut self,
        id: DowntrackId,
        spec: &DowntrackSpec,
        only: Option<LayerId>,
    ) -> Result<(), CommandError> {
        let peer_key = self.peer_key(spec.peer)?;
        let track_key = self.track_key(spec.track)?;
        let peer = &mut self.peers[peer_key];
        let repair_ssrc = spec.repair.as_ref().map(|repair| repair.ssrc);
        if self.router.sink_keys.contains_key(&id)
            || peer.used_ssrcs.contains(&spec.ssrc)
            || repair_ssrc.is_some_and(|ssrc| ssrc == spec.ssrc || peer.used_ssrcs.contains(&ssrc))
        {
            return Err(CommandError::Duplicate);
        }
        let is_pipe = peer.paths.is_pinned();
        if peer.downtracks.len() >= self.limits.downtracks(is_pipe) {
            return Err(CommandError::LimitReached);
        }
        let track = &mut self.router.tracks[track_key];
        if !shares_format(&track.spec, &spec.formats) {
            return Err(CommandError::NoCommonFormat);
        }
        if only.is_some_and(|only| track.layer(only).is_none()) {
            return Err(CommandError::UnknownEncoding);
        }
        // Below 2^15, so that a receiver that misses the first packets still guesses the roll-over
        // counter right (DESIGN 2.8).
        let first_sequence = (self.rng.next_u32() & 0x7fff) as u16;
        let first_timestamp = self.rng.next_u32();
        let first_repair = (self.rng.next_u32() & 0x7fff) as u16;
        let mut downtrack = Downtrack::new(spec, &track.spec, first_sequence, first_timestamp);
        downtrack.set_wish(spec.wish);
        if let Some(layer) = only {
            downtrack.hold_to(layer);
        }
        downtrack.aim(track.aimed_by);
        let is_numbered = downtrack.is_numbered();
        let sink_is_estimated = is_numbered && peer.downlink.estimate(self.now).is_some();
        let key = self.router.sinks.insert(Sink {
            id,
            peer: peer_key,
            track: track_key,
            downtrack,
            spec: spec.clone(),
            next_report: None,
            reported: None,
            repair: spec
                .repair
                .as_ref()
                .map(|repair| RepairStream::new(repair, first_repair)),
        });
        track.sinks.push(key);
        self.router.sink_keys.insert(id, key);
        peer.used_ssrcs.insert(spec.ssrc);
        peer.used_ssrcs.extend(repair_ssrc);
        peer.downtracks.insert(spec.ssrc, key);
        peer.numbered += usize::from(is_numbered);
        if peer.used_ssrcs.contains(&peer.rtcp_ssrc) {
            self.redraw_own_ssrc(peer_key);
        }
        // Small at first: what there is room for beyond it, it is given at once.
        if sink_is_estimated {
            let live = self.router.tracks[track_key].aimed_by;
            let downtrack = &mut self.router.sinks[key].downtrack;
            downtrack.set_allowed(Allowed::UpTo(LayerId(0)));
            downtrack.aim(live);
        }
        self.allocate(peer_key);
        self.request_key_frame(key);
        self.settle_track(track_key);
        Ok(())
    }

    fn switch_downtrack(
        &mut self,
        id: DowntrackId,
        track: Option<TrackId>,
        formats: Vec<PayloadFormat>,
    ) -> Result<(), CommandError> {
        let key = self.sink_key(id)?;
        let Some(track) = track else {
            self.leave_track(key);
            return Ok(());
        };
        let track_key = self.track_key(track)?;
        let (kind, spec) = {
            let spec = &self.router.tracks[track_key].spec;
            (spec.kind, spec.clone())
        };
        // Another kind has another clock, which one stream cannot change.
        if kind != self.router.sinks[key].downtrack.kind() || !shares_format(&spec, &formats) {
            return Err(CommandError::NoCommonFormat);
        }
        let held_to = self.router.sinks[key].downtrack.held_to();
        if held_to.is_some_and(|only| usize::from(only.0) >= spec.encodings.len()) {
            return Err(CommandError::UnknownEncoding);
        }
        self.leave_track(key);
        let sink = &mut self.router.sinks[key];
        sink.track = track_key;
        sink.spec.track = track;
        sink.spec.formats = formats;
        sink.downtrack.change_source(&sink.spec, &spec);
        let track = &mut self.router.tracks[track_key];
        sink.downtrack.aim(track.aimed_by);
        track.sinks.push(key);
        self.request_key_frame(key);
        self.settle_track(track_key);
        Ok(())
    }

    /// The downtrack carries nothing, until it is switched.
    fn leave_track(&mut self, key: SinkKey) {
        self.abandon(key, None);
        let left = std::mem::replace(&mut self.router.sinks[key].track, NO_TRACK);
        if let Some(track) = self.router.tracks.get_mut(left) {
            track.sinks.retain(|other| *other != key);
        }
    }

    /// Ends a downtrack with BYE.
    fn remove_sink(&mut self, key: SinkKey) {
        let sink = &self.router.sinks[key];
        let (ssrc, peer_key) = (sink.downtrack.ssrc(), sink.peer);
        // Nothing was sent under an SSRC that never had a packet: there is nothing to say goodbye to.
        if sink.downtrack.has_sent()
            && let Some(peer) = self.peers.get_mut(peer_key)
        {
            peer.send_rtcp(self.now, &mut self.outbox, &mut self.counters, |out| {
                rtcp::write_receiver_report(out, ssrc, &[]);
                rtcp::write_cname(out, ssrc, &sink.spec.cname);
                rtcp::write_bye(out, &[ssrc]);
                if let Some(repair) = &sink.repair {
                    rtcp::write_bye(out, &[repair.ssrc()]);
                }
            });
        }
        self.drop_sink(key);
    }

    fn drop_sink(&mut self, key: SinkKey) {
        self.abandon(key, None);
        let sink = self.router.sinks.remove(key);
        self.router.sink_keys.remove(&sink.id);
        if let Some(track) = self.router.tracks.get_mut(sink.track) {
            track.sinks.retain(|other| *other != key);
        }
        if let Some(peer) = self.peers.get_mut(sink.peer) {
            peer.downtracks.remove(&sink.downtrack.ssrc());
            peer.numbered -= usize::from(sink.downtrack.is_numbered());
        }
    }

    fn send_dtls(&mut self, id: PeerId, datagrams: Vec<Vec<u8>>) -> Result<(), CommandError> {
        let key = self.peer_key(id)?;
        let peer = &mut self.peers[key];
        for datagram in datagrams {
            if !peer.dtls.hold(datagram) {
                self.counters.dtls_drop_unsent += 1;
            }
            peer.flush_dtls(&mut self.outbox, &mut self.counters);
        }
        Ok(())
    }

    /// Our RTCP speaks under another SSRC from now on: the old one turned out to be somebody else's.
    fn redraw_own_ssrc(&mut self, key: PeerKey) {
        let peer = &self.peers[key];
        let declared: Vec<Ssrc> = peer.used_ssrcs.iter().copied().collect();
        let known = |ssrc: Ssrc, peers: &slab::Slab<Peer>| peers[key].streams.knows(ssrc);
        loop {
            let drawn = self.draw_ssrc(|ssrc| declared.contains(&ssrc));
            if !known(drawn, &self.peers) {
                self.peers[key].rtcp_ssrc = drawn;
                return;
            }
        }
    }

    /// Whom an order is about, and who is looked at with the next tick for it.
    fn peer_key(&mut self, id: PeerId) -> Result<PeerKey, CommandError> {
        let key = self.peer_keys.get(&id).copied();
        let key = key.ok_or(CommandError::UnknownPeer)?;
        self.peers[key].stir();
        Ok(key)
    }

    fn peer_mut(&mut self, id: PeerId) -> Result<&mut Peer, CommandError> {
        let key = self.peer_key(id)?;
        self.peers.get_mut(key).ok_or(CommandError::UnknownPeer)
    }

    fn track_key(&self, id: TrackId) -> Result<TrackKey, CommandError> {
        self.router
            .track_keys
            .get(&id)
            .copied()
            .ok_or(CommandError::UnknownTrack)
    }

    fn sink_key(&self, id: DowntrackId) -> Result<SinkKey, CommandError> {
        self.router
            .sink_keys
            .get(&id)
            .copied()
            .ok_or(CommandError::UnknownDowntrack)
    }
}

fn shares_format(track: &TrackSpec, formats: &[PayloadFormat]) -> bool {
    let takes = |codec| formats.iter().any(|format| format.codec == codec);
    let mut codecs = track.formats.iter().map(|format| format.codec);
    // Redundancy is taken off for whoever takes the plain sound.
    codecs.any(|codec| match codec {
        Codec::Red => takes(Codec::Opus),
        codec => takes(codec),
    })
}
