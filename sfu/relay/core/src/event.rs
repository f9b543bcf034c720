//! What the relay tells the control plane.

use std::time::Duration;

use crate::units::{DowntrackId, PeerId, TrackId};

/// One thing that happened. None is per media packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A DTLS record arrived from an address that STUN has bound to this peer.
    Dtls {
        /// From whom.
        peer: PeerId,
        /// The datagram as it came.
        datagram: Vec<u8>,
    },
    /// The first packet that opened under the installed keys.
    MediaStarted {
        /// Which peer.
        peer: PeerId,
    },
    /// No valid STUN from the bound address for 30 s (RFC 7675); sending has stopped.
    ConsentLost {
        /// Which peer.
        peer: PeerId,
    },
    /// `not_after` passed; forwarding to and from this peer has stopped.
    Expired {
        /// Which peer.
        peer: PeerId,
    },
    /// Tracks whose loudness changed since the last such event, at most every 400 ms: 0.0 is silent
    /// (it stopped speaking), 1.0 as loud as can be; never NaN.
    Levels {
        /// The changes only.
        changes: Vec<(TrackId, f32)>,
    },
    /// A track's first packet was accepted.
    TrackStarted {
        /// Which track.
        track: TrackId,
    },
    /// How well packets go between a peer and the relay changed; looked at every 5 s.
    Health {
        /// Which peer.
        peer: PeerId,
        /// How they go.
        condition: Condition,
    },
    /// The link to a subscriber has no room for anything of a downtrack, or has it again.
    Withheld {
        /// The subscriber.
        peer: PeerId,
        /// Which downtrack.
        downtrack: DowntrackId,
        /// Whether nothing of it is sent from now on.
        withheld: bool,
    },
}

/// How well packets go between a peer and the relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Percent lost of what it sends; `None` where it sends too little to say.
    pub loss_up: Option<u8>,
    /// Percent lost of what it is sent.
    pub loss_down: Option<u8>,
    /// How long its answers take, to some 10 ms; `None` until it gave one.
    pub round_trip: Option<Duration>,
    /// Its link has no room for something that it wants.
    pub withheld: bool,
    /// It answers no more, though it may come back.
    pub silent: bool,
}
