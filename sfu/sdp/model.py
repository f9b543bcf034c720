"""A session description as values.

What may stand at session level and holds for every section (ICE credentials, fingerprints,
setup, direction, `extmap-allow-mixed`) is resolved: sections carry it, or the description does,
never both.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Direction(enum.StrEnum):
    """Who sends in a section, as its author sees it (RFC 8866 section 6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def mirrored(self) -> Direction:
        """The same as the other side sees it."""
        return Direction.of(sends=self.receives, receives=self.sends)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A certificate's hash (RFC 8122)."""

    algorithm: str  # lower case, "sha-256"
    value: str  # upper-case hex with colons


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host candidate for RTP and RTCP together (RFC 8839 section 5.1)."""

    ip: str
    port: int
    protocol: str = "udp"
    priority: int = 2130706431  # RFC 8445 section 5.1.2.1: host, one address, component 1
    foundation: str = "1"
    type: str = "host"


@dataclass(frozen=True, slots=True)
class Format:
    """One payload type: rtpmap, fmtp and rtcp-fb together."""

    payload_type: int
    name: str  # as written, compared without case
    clock_rate: int
    channels: int = 1
    fmtp: str = ""
    feedback: tuple[str, ...] = ()  # "nack pli"; `*` is already spread over the formats


@dataclass(frozen=True, slots=True)
class Extension:
    """A header extension (RFC 8285 section 5)."""

    id: int
    uri: str
    direction: Direction = Direction.SENDRECV


@dataclass(frozen=True, slots=True)
class Rid:
    """One restriction identifier (RFC 8851); `direction` is "send" or "recv"."""

    id: str
    direction: str
    restrictions: str = ""


@dataclass(frozen=True, slots=True)
class Simulcast:
    """Streams in order, each a tuple of alternatives (RFC 8853); a pausing `~` is dropped."""

    send: tuple[tuple[str, ...], ...] = ()
    recv: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Msid:
    """Which stream and track a section carries (RFC 8830); "-" is no stream."""

    stream: str
    track: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One `a=ssrc` line (RFC 5576 section 4.1)."""

    ssrc: int
    attribute: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class SourceGroup:
    """One `a=ssrc-group` line (RFC 5576 section 4.2)."""

    semantics: str
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One media section."""

    kind: str  # audio, video, application, or what else somebody offers
    mid: str
    port: int = 9
    address: str = "0.0.0.0"  # noqa: S104 - the placeholder of RFC 8839, nothing is bound
    protocol: str = "UDP/TLS/RTP/SAVPF"
    format_names: tuple[str, ...] = ()  # of a section that is not RTP: "webrtc-datachannel"
    formats: tuple[Format, ...] = ()  # of an RTP section, in order of preference
    direction: Direction = Direction.SENDRECV
    bundle_only: bool = False
    ufrag: str | None = None
    password: str | None = None
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: str | None = None
    rtcp_mux: bool = False
    rtcp_mux_only: bool = False  # RFC 8858
    rtcp_rsize: bool = False
    extensions: tuple[Extension, ...] = ()
    msids: tuple[Msid, ...] = ()
    rids: tuple[Rid, ...] = ()
    simulcast: Simulcast | None = None
    sources: tuple[Source, ...] = ()
    source_groups: tuple[SourceGroup, ...] = ()
    sctp_port: int | None = None
    max_message_size: int | None = None
    candidates: tuple[Candidate, ...] = ()  # written, never read: a lite agent needs none
    end_of_candidates: bool = False

    @property
    def is_rtp(self) -> bool:
        return "RTP/" in self.protocol

    @property
    def rejected(self) -> bool:
        """Port zero refuses a section, unless it only waits for the bundle (RFC 9143 section 6)."""
        return self.port == 0 and not self.bundle_only


@dataclass(frozen=True, slots=True)
class Description:
    """A whole offer or answer."""

    session_id: int
    session_version: int
    sections: tuple[Section, ...]
    bundle: tuple[str, ...] = ()  # mids; the first one's transport serves all (RFC 9143)
    ice_lite: bool = False
    extmap_allow_mixed: bool = False
