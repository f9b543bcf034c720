//! What begins anew in the middle of a call: ICE credentials, and what a standing downtrack carries.

use conclave_relay_core::Command;
use conclave_relay_core::command::PayloadFormat;
use conclave_relay_core::units::{Codec, TrackId};

use super::client::{Generation, SLOTS};
use super::control::taken_formats;
use super::world::{Published, Subscribed, World};
use crate::bytes::Bytes;

impl World {
    pub fn restart_ice(&mut self, bytes: &mut Bytes<'_>) {
        let slot = bytes.below(SLOTS);
        self.drain();
        let Some(client) = &mut self.clients[slot] else {
            return;
        };
        // The control plane restarts only what it has offered and answered before.
        if !client.known_remote {
            return;
        }
        let fresh = Generation::new(client.id, client.generations.len());
        let (peer, local, remote) = (client.id, fresh.server.clone(), fresh.own.clone());
        client.generations.push(fresh);
        let restart = Command::RestartIce {
            peer,
            local,
            remote,
        };
        assert_eq!(self.command_after(restart), Ok(()));
    }

    /// To a track, or to none.
    pub fn switch_downtrack(&mut self, bytes: &mut Bytes<'_>) {
        let (at, to) = (
            bytes.below(self.downtracks.len()),
            bytes.below(self.tracks.len() + 1),
        );
        let formats = taken_formats(bytes.byte());
        self.drain();
        let (Some(downtrack), track) = (self.downtracks.get_mut(at), self.tracks.get(to)) else {
            return;
        };
        let fits = track.is_none_or(|track| can_carry(downtrack, track, &formats));
        let expected = fits && !downtrack.ended;
        if expected {
            downtrack.publisher = track.map(|track| track.spec.peer);
        }
        if expected && let Some(track) = track {
            downtrack.spec.track = track.id;
            downtrack.spec.formats.clone_from(&formats);
        }
        let track: Option<TrackId> = track.map(|track| track.id);
        let switch = Command::SwitchDowntrack {
            downtrack: downtrack.id,
            track,
            formats,
        };
        assert_eq!(self.command_after(switch).is_ok(), expected);
    }
}

fn can_carry(downtrack: &Subscribed, track: &Published, formats: &[PayloadFormat]) -> bool {
    let taken = |codec| formats.iter().any(|format| format.codec == codec);
    let shared = track.spec.formats.iter().any(|format| match format.codec {
        // Redundancy is taken off for whoever takes the plain sound.
        Codec::Red => taken(Codec::Opus),
        codec => taken(codec),
    });
    // What is held to one encoding has to find it.
    let encodings = track.spec.encodings.len();
    let held = downtrack
        .only
        .is_none_or(|only| usize::from(only.0) < encodings);
    downtrack.kind == track.spec.kind && shared && held
}
