//! What the control plane tells the relay. Every command is absolute and carries all it needs.

use crate::downtrack::Wish;
use crate::peer::paths::Path;
use crate::rtp::ExtensionMap;
use crate::srtp::{MasterKey, Profile};
use crate::units::{
    Codec, DowntrackId, LayerId, MediaKind, PayloadType, PeerId, Ssrc, Time, TrackId,
};

/// Credentials of one side of an ICE session (RFC 8445 section 5.3).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// Username fragment.
    pub ufrag: String,
    /// Password.
    pub password: String,
}

/// One payload type of a track as its publisher numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadFormat {
    /// The number on the wire.
    pub payload_type: PayloadType,
    /// What it carries.
    pub codec: Codec,
}

/// One payload type for packets sent again on a stream of their own (RFC 4588 section 8.6, `apt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairFormat {
    /// The number on the wire.
    pub payload_type: PayloadType,
    /// The payload type of the packets it carries.
    pub repairs: PayloadType,
}

/// How lost packets of a track come back; by default they do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackRepair {
    /// Whether the publisher negotiated `nack` (RFC 4585 section 6.2.1).
    pub nack: bool,
    /// Its retransmission formats, as it numbers them.
    pub formats: Vec<RepairFormat>,
    /// Announced pairs of a media SSRC and its retransmission SSRC (`a=ssrc-group:FID`); where there are none, the
    /// authenticated MID and repaired RID extensions say what a stream repairs (RFC 8852 section 3.2).
    pub streams: Vec<(Ssrc, Ssrc)>,
}

/// Where lost packets of a downtrack are sent again (RFC 4588).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DowntrackRepair {
    /// Our retransmission SSRC towards this subscriber, never used before under its keys (DESIGN 2.8).
    pub ssrc: Ssrc,
    /// Retransmission formats as the subscriber numbers them.
    pub formats: Vec<RepairFormat>,
}

/// How the packets of one encoding of a track are recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Announced in the SDP.
    Ssrc(Ssrc),
    /// Announced by `a=rid`; its SSRC is learned from authenticated MID and RID extensions.
    Rid(String),
    /// The section's only stream, learned from the authenticated MID extension.
    Mid,
}

/// Everything about a published track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackSpec {
    /// Who publishes.
    pub peer: PeerId,
    /// Sound or picture.
    pub kind: MediaKind,
    /// The media section's identification tag (RFC 9143).
    pub mid: String,
    /// RTP clock, ticks per second.
    pub clock_rate: u32,
    /// Formats accepted, as the publisher numbers them.
    pub formats: Vec<PayloadFormat>,
    /// Header extensions as the publisher numbers them.
    pub extensions: ExtensionMap,
    /// The encodings, lowest layer first; one for audio and single-stream video.
    pub encodings: Vec<Encoding>,
    /// How its lost packets come back.
    pub repair: TrackRepair,
}

/// Everything about one outgoing stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DowntrackSpec {
    /// Who receives.
    pub peer: PeerId,
    /// What is forwarded.
    pub track: TrackId,
    /// Our SSRC towards this subscriber, never used before under its keys (DESIGN 2.8).
    pub ssrc: Ssrc,
    /// Formats the subscriber accepts, as it numbers them.
    pub formats: Vec<PayloadFormat>,
    /// Header extensions as the subscriber numbers them.
    pub extensions: ExtensionMap,
    /// Canonical name for SDES; the same for every track of one publisher, so that they stay in sync.
    pub cname: String,
    /// Whether the subscriber negotiated `nack`.
    pub nack: bool,
    /// What it wants at first.
    pub wish: Wish,
    /// Whether it outlives its track, without BYE, and waits for another.
    pub stands: bool,
    /// Where its lost packets are sent again; `None`: on their own SSRC, byte for byte.
    pub repair: Option<DowntrackRepair>,
}

/// One end of a pipe: what joins two relays that one control plane rules. Nobody shakes hands over it: both ends are told
/// their keys, which are random and of this pipe alone, and where the other end is.
#[derive(Clone)]
pub struct PipeSpec {
    /// From where to where.
    pub path: Path,
    /// How both ends seal.
    pub profile: Profile,
    /// What we seal with.
    pub local: MasterKey,
    /// What we open with.
    pub remote: MasterKey,
}

/// One instruction.
pub enum Command {
    /// Make a transport that waits for STUN on our credentials.
    OpenPeer {
        /// Its number.
        peer: PeerId,
        /// Our side's credentials; the username fragment finds the peer.
        local: IceCredentials,
    },
    /// The other side's credentials, needed to question a changed address (DESIGN 2.4).
    SetRemoteIce {
        /// Which peer.
        peer: PeerId,
        /// Their credentials.
        remote: IceCredentials,
    },
    /// New credentials for both sides of a living peer (RFC 8445 section 9). The old ones stay good until the first
    /// authenticated check under the new; addresses, DTLS and SRTP go on untouched.
    RestartIce {
        /// Which peer.
        peer: PeerId,
        /// Ours.
        local: IceCredentials,
        /// Theirs.
        remote: IceCredentials,
    },
    /// DTLS is done and the fingerprint matched: open and seal with these from now on, once per peer.
    InstallKeys {
        /// Which peer.
        peer: PeerId,
        /// Negotiated SRTP profile.
        profile: Profile,
        /// What we seal with.
        local: MasterKey,
        /// What we open with.
        remote: MasterKey,
    },
    /// Make a peer of another relay: bound to that address by this word, under these keys, for as long as it is not
    /// closed. It is asked nothing, and sends only what is announced by SSRC. Tracks that come over it have, for a MID,
    /// what is the same for all of one publisher.
    OpenPipe {
        /// Its number.
        peer: PeerId,
        /// Where it leads.
        pipe: PipeSpec,
    },
    /// Forget the peer, its tracks and its downtracks; nothing is sent to it afterwards.
    ClosePeer {
        /// Which peer.
        peer: PeerId,
    },
    /// Stop forwarding to and from this peer at that time, whatever the control plane does (DESIGN 2.11).
    SetNotAfter {
        /// Which peer.
        peer: PeerId,
        /// When; `None` lifts the limit.
        not_after: Option<Time>,
    },
    /// Accept a published track.
    AddTrack {
        /// Its number.
        track: TrackId,
        /// What it is.
        spec: TrackSpec,
    },
    /// Drop packets of this track while muted, whatever its publisher sends.
    MuteTrack {
        /// Which track.
        track: TrackId,
        /// On or off.
        muted: bool,
    },
    /// Stop accepting a track; its downtracks end with RTCP BYE, but for those that stand.
    RemoveTrack {
        /// Which track.
        track: TrackId,
    },
    /// Forward a track to a subscriber.
    AddDowntrack {
        /// Its number.
        downtrack: DowntrackId,
        /// What it is.
        spec: DowntrackSpec,
    },
    /// Forward one encoding of a track, that one and no other, to the other end of a pipe.
    PipeLayer {
        /// Its number.
        downtrack: DowntrackId,
        /// What it is; its wish says no more than whether it is paused.
        spec: DowntrackSpec,
        /// Which encoding.
        layer: LayerId,
    },
    /// The subscriber chooses a layer, or pauses.
    SetDowntrack {
        /// Which downtrack.
        downtrack: DowntrackId,
        /// Its choice, in place of the last one.
        wish: Wish,
    },
    /// Carry another track of the same kind from now on, or for now nothing: same SSRC, same sequence, and for video
    /// from the new track's next key frame on (DESIGN 2.7).
    SwitchDowntrack {
        /// Which downtrack.
        downtrack: DowntrackId,
        /// What it carries.
        track: Option<TrackId>,
        /// Formats of that track which the subscriber accepts, as it numbers them.
        formats: Vec<PayloadFormat>,
    },
    /// Stop forwarding, with RTCP BYE.
    RemoveDowntrack {
        /// Which downtrack.
        downtrack: DowntrackId,
    },
    /// Send DTLS records to where the peer's DTLS last came from, within its allowance.
    SendDtls {
        /// Which peer.
        peer: PeerId,
        /// One datagram each.
        datagrams: Vec<Vec<u8>>,
    },
}

/// Why a command was refused: always a mistake of the control plane, never of a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// No such peer.
    UnknownPeer,
    /// No such track.
    UnknownTrack,
    /// No such downtrack.
    UnknownDowntrack,
    /// The track has no such encoding.
    UnknownEncoding,
    /// The identifier, username fragment or SSRC is taken.
    Duplicate,
    /// A key or salt of the wrong length, or keys installed twice.
    BadKeys,
    /// Subscriber and track share no format.
    NoCommonFormat,
    /// A cap on tracks, downtracks or encodings was reached.
    LimitReached,
}

impl CommandError {
    /// A stable word for programs.
    pub const fn code(self) -> &'static str {
        match self {
            CommandError::UnknownPeer => "unknown_peer",
            CommandError::UnknownTrack => "unknown_track",
            CommandError::UnknownDowntrack => "unknown_downtrack",
            CommandError::UnknownEncoding => "unknown_encoding",
            CommandError::Duplicate => "duplicate",
            CommandError::BadKeys => "bad_keys",
            CommandError::NoCommonFormat => "no_common_format",
            CommandError::LimitReached => "limit_reached",
        }
    }
}
