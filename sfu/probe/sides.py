"""The two ends of a session as SDP has them, and offers as a small WebRTC client makes them."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["audio", "video"]

PAYLOAD_TYPES: Final[dict[Kind, int]] = {"audio": 111, "video": 96}
_FORMATS: Final[dict[Kind, tuple[str, ...]]] = {
    "audio": ("a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1"),
    "video": (
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 ccm fir",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
    ),
}
_MAX_CANDIDATES: Final = 32


class BadDescription(Exception):
    """A session description that no client could use; the text says why."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Our ICE username fragment and password."""

    ufrag: str = field(default_factory=lambda: secrets.token_hex(4))
    password: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass(frozen=True, slots=True)
class Track:
    """Something we send."""

    cid: str
    ssrc: int
    kind: Kind = "audio"


@dataclass(frozen=True, slots=True)
class LocalSide:
    """Our end of a session. Fingerprints are what follows `a=fingerprint:`, in that order."""

    credentials: Credentials
    fingerprints: tuple[str, ...]
    sends: tuple[Track, ...] = ()
    receives: tuple[Kind, ...] = ("audio",)


@dataclass(frozen=True, slots=True)
class RemoteSide:
    """The server's end of a session."""

    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]  # (hash, upper-case hex with colons)
    addresses: tuple[tuple[str, int], ...]  # UDP candidates, in the server's order
    setup: str

    @property
    def address(self) -> tuple[str, int]:
        """The one we speak to: the first of IPv4, else the first."""
        return next((one for one in self.addresses if ":" not in one[0]), self.addresses[0])


def offer(local: LocalSide, *, version: int = 1, cname: str = "probe") -> str:
    """A bundled offer: what we send first, then what we receive; a section's place is its mid."""
    sections: list[tuple[Kind, Track | None]] = [(track.kind, track) for track in local.sends]
    sections += [(kind, None) for kind in local.receives]
    lines = [
        "v=0",
        f"o=- 4611731400430051336 {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE " + " ".join(str(mid) for mid in range(len(sections))),
        "a=msid-semantic: WMS",
    ]
    for mid, (kind, track) in enumerate(sections):
        lines += _section(local, mid, kind, track, cname)
    return "\r\n".join(lines) + "\r\n"


def _section(local: LocalSide, mid: int, kind: Kind, track: Track | None, cname: str) -> list[str]:
    lines = [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {PAYLOAD_TYPES[kind]}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{local.credentials.ufrag}",
        f"a=ice-pwd:{local.credentials.password}",
        "a=ice-options:trickle",
        *(f"a=fingerprint:{one}" for one in local.fingerprints),
        "a=setup:actpass",
        f"a=mid:{mid}",
        "a=recvonly" if track is None else "a=sendonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        *_FORMATS[kind],
    ]
    if track is not None:
        lines += [
            f"a=msid:- {track.cid}",
            f"a=ssrc:{track.ssrc} cname:{cname}",
            f"a=ssrc:{track.ssrc} msid:- {track.cid}",
        ]
    return lines


def remote_side(description: str) -> RemoteSide:
    """Where the server is and who it says it is. Raises `BadDescription`."""
    found = _all(description, r"^a=candidate:\S+ 1 [uU][dD][pP] \d+ ([0-9a-fA-F.:]+) (\d{1,5}) typ")
    addresses = tuple(
        (ip, int(port)) for ip, port in found[:_MAX_CANDIDATES] if 0 < int(port) < 65536
    )
    if not addresses:
        raise BadDescription("the answer names no UDP candidate")
    prints = _all(description, r"^a=fingerprint:(\S+) (\S+)")
    return RemoteSide(
        ufrag=_first(description, r"^a=ice-ufrag:(\S+)"),
        password=_first(description, r"^a=ice-pwd:(\S+)"),
        fingerprints=tuple(dict.fromkeys((name.lower(), value.upper()) for name, value in prints)),
        addresses=addresses,
        setup=_first(description, r"^a=setup:(\S+)"),
    )


def _first(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise BadDescription(f"the answer has no line {pattern.split(':')[0].lstrip('^')}")
    return found[1]


def _all(text: str, pattern: str) -> list[tuple[str, str]]:
    return [(match[0], match[1]) for match in re.findall(pattern, text, re.MULTILINE)]
