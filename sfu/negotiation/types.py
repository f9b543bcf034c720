"""What goes into a negotiation and what comes out, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from sfu.sdp import Candidate, Fingerprint

__all__ = [
    "Announced",
    "Candidate",
    "Codec",
    "Fingerprint",
    "FormatSpec",
    "IncomingTrack",
    "Kind",
    "LocalTransport",
    "Outcome",
    "OutgoingTrack",
    "RemoteTransport",
    "Wanted",
]

Kind: TypeAlias = Literal["audio", "video"]
Codec: TypeAlias = Literal["opus", "red", "vp8", "vp9", "h264", "av1"]


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our end: a lite ICE agent that takes the DTLS server role."""

    ufrag: str
    password: str = field(repr=False)
    fingerprints: tuple[Fingerprint, ...]
    candidates: tuple[Candidate, ...]
    session_id: int  # RFC 8866 section 5.2; below 2^63


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """The client's end of the bundle. All fingerprints (SHA-256 or stronger) must match."""

    ufrag: str
    password: str = field(repr=False)
    fingerprints: tuple[Fingerprint, ...]
    setup: Literal["actpass", "active"]


@dataclass(frozen=True, slots=True)
class Announced:
    """A track whose section is awaited. `cid` is the client's MediaStreamTrack id; `redundant`: its
    sound may be carried with redundancy (RFC 2198).
    """

    track_id: str
    cid: str
    kind: Kind
    redundant: bool = True


@dataclass(frozen=True, slots=True)
class FormatSpec:
    """One payload type that media may arrive or leave in."""

    payload_type: int
    codec: Codec
    mime_type: str  # "video/VP8"
    fmtp: str = ""


@dataclass(frozen=True, slots=True)
class IncomingTrack:
    """A section that now carries an announced track from the client."""

    track_id: str
    mid: str
    kind: Kind
    clock_rate: int  # Hz
    formats: tuple[FormatSpec, ...]  # as the client numbers them, preferred first
    extensions: tuple[tuple[int, str], ...]  # (id, URI) that the client may send
    encodings: tuple[str, ...]  # "ssrc:123", "rid:q" or "mid"; lowest layer first
    nack: bool = False  # the client sends again what we ask for
    repair_formats: tuple[tuple[int, int], ...] = ()  # (payload type, payload type it repairs)
    repair_streams: tuple[tuple[int, int], ...] = ()  # (media SSRC, retransmission SSRC)
    redundant: bool = True  # its sound may be carried with redundancy

    @property
    def preferred(self) -> FormatSpec:
        """What is carried, whether or not with redundancy."""
        return next((spec for spec in self.formats if spec.codec != "red"), self.formats[0])


@dataclass(frozen=True, slots=True)
class Wanted:
    """A published track that should reach the client. `formats` are its publisher's."""

    track_id: str
    stream_id: str  # for `a=msid`; "participant|track", its first part is the RTCP cname
    kind: Kind
    formats: tuple[FormatSpec, ...]
    redundant: bool = True

    @property
    def cname(self) -> str:
        return self.stream_id.partition("|")[0]


@dataclass(frozen=True, slots=True)
class OutgoingTrack:
    """A section that now carries a wanted track to the client."""

    track_id: str
    mid: str
    kind: Kind
    ssrc: int
    formats: tuple[FormatSpec, ...]  # as the client numbers them, the publisher's preferred first
    extensions: tuple[tuple[int, str], ...]  # (id, URI) that the client takes
    nack: bool  # the client will ask for lost packets
    cname: str
    repair_ssrc: int | None = None  # where lost packets are sent again, if not on `ssrc`
    repair_formats: tuple[tuple[int, int], ...] = ()  # (payload type, payload type it repairs)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one offer and answer changed. Apply removals before additions: a track whose section
    changed under it is in both. What the caller itself ended (`unwant`, `end_track`) is among the
    removed once its section is out of use.
    """

    sdp: str
    remote: RemoteTransport
    incoming_added: tuple[IncomingTrack, ...] = ()
    incoming_removed: tuple[str, ...] = ()
    outgoing_added: tuple[OutgoingTrack, ...] = ()
    outgoing_removed: tuple[str, ...] = ()
    mid_to_track: Mapping[str, str] = field(default_factory=dict)  # the full downstream map
    data_channel: bool = False  # a section for data channels is accepted
    parked: int = 0  # sections that carry a track which nobody announced yet
    fragment_head: tuple[str, ...] = ()  # of our ICE fragments, see `sfu.sdp.fragment`
    unservable: tuple[str, ...] = ()  # wanted, but the client takes none of the track's codecs
