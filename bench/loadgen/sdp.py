"""Offers as a small client makes them, and what it needs from an answer (RFC 8829)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bench.loadgen.media import (
    AUDIO_LEVEL_ID,
    AUDIO_PAYLOAD_TYPE,
    MID_ID,
    RESENT_PAYLOAD_TYPE,
    RID_ID,
    TRANSPORT_SEQUENCE_ID,
    VIDEO_PAYLOAD_TYPE,
)

Kind = Literal["audio", "video"]
Setup = Literal["actpass", "active"]
"""Which DTLS role an offer leaves the other side (RFC 5763 section 5): either, or the server's."""

_EXTENSIONS: Final[dict[Kind, tuple[str, ...]]] = {
    "audio": (f"a=extmap:{AUDIO_LEVEL_ID} urn:ietf:params:rtp-hdrext:ssrc-audio-level",),
    "video": (),
}
_TRANSPORT_SEQUENCE: Final = (
    f"a=extmap:{TRANSPORT_SEQUENCE_ID} "
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
)
_FORMATS: Final[dict[Kind, tuple[str, ...]]] = {
    "audio": (
        f"a=rtpmap:{AUDIO_PAYLOAD_TYPE} opus/48000/2",
        f"a=fmtp:{AUDIO_PAYLOAD_TYPE} minptime=10;useinbandfec=1",
        f"a=rtcp-fb:{AUDIO_PAYLOAD_TYPE} transport-cc",
    ),
    "video": (
        f"a=rtpmap:{VIDEO_PAYLOAD_TYPE} VP8/90000",
        f"a=rtcp-fb:{VIDEO_PAYLOAD_TYPE} transport-cc",
        f"a=rtcp-fb:{VIDEO_PAYLOAD_TYPE} ccm fir",
        f"a=rtcp-fb:{VIDEO_PAYLOAD_TYPE} nack",
        f"a=rtcp-fb:{VIDEO_PAYLOAD_TYPE} nack pli",
    ),
}
_RESENT: Final = (  # RFC 4588
    f"a=rtpmap:{RESENT_PAYLOAD_TYPE} rtx/90000",
    f"a=fmtp:{RESENT_PAYLOAD_TYPE} apt={VIDEO_PAYLOAD_TYPE}",
)
_PAYLOAD_TYPES: Final[dict[Kind, int]] = {"audio": AUDIO_PAYLOAD_TYPE, "video": VIDEO_PAYLOAD_TYPE}
_CANDIDATE: Final = r"^a=candidate:\S+ 1 [uU][dD][pP] \d+ (\S+) (\d+) typ host"


@dataclass(frozen=True, slots=True)
class Section:
    """One media section of ours; with a `cid` it sends, without it receives."""

    kind: Kind
    cid: str = ""
    ssrc: int = 0
    rids: tuple[str, ...] = ()  # of a simulcast track, which then announces no SSRC


@dataclass(frozen=True, slots=True)
class LocalSide:
    """Our end of the transport."""

    ufrag: str
    password: str
    fingerprint: str  # sha-256, upper-case hex with colons


@dataclass(frozen=True, slots=True)
class RemoteSide:
    """The server's end of the transport, as its answer has it."""

    ufrag: str
    password: str
    fingerprints: Mapping[str, str]
    addresses: Sequence[tuple[str, int]]

    def address(self, host: str) -> tuple[str, int]:
        """Where to send: at `host`, where signalling is, if the server is there; else by IPv4."""
        same = (one for one in self.addresses if one[0] == host)
        fourth = (one for one in self.addresses if ":" not in one[0])
        return next(same, None) or next(fourth, None) or self.addresses[0]


class BadAnswer(Exception):
    """An answer that no client could use."""


def offer(
    local: LocalSide,
    sections: Sequence[Section],
    version: int,
    *,
    tells: bool = False,
    setup: Setup = "actpass",
) -> str:
    """A bundled offer with these sections, their place being their mid.

    With `tells` it promises feedback about what it receives and takes resends, else neither: a
    server that waited for what never comes would send less. `setup` is active for a server that
    would rather be the client of DTLS.
    """
    mids = " ".join(str(mid) for mid in range(len(sections)))
    lines = [
        "v=0",
        f"o=- 4611731400430051336 {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {mids}",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS",
    ]
    for mid, section in enumerate(sections):
        lines += _section(local, section, mid, tells=tells)
    lines = [line.replace("a=setup:actpass", f"a=setup:{setup}") for line in lines]
    return "\r\n".join(lines) + "\r\n"


def _section(local: LocalSide, section: Section, mid: int, *, tells: bool) -> list[str]:
    sends = bool(section.cid)
    kinds = [_PAYLOAD_TYPES[section.kind]]
    formats = _FORMATS[section.kind]
    if not (sends or tells):
        formats = tuple(line for line in formats if not line.endswith((" transport-cc", " nack")))
    elif not sends and section.kind == "video":
        kinds.append(RESENT_PAYLOAD_TYPE)
        formats += _RESENT
    lines = [
        f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, kinds))}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.password}",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {local.fingerprint}",
        "a=setup:actpass",
        f"a=mid:{mid}",
        *_EXTENSIONS[section.kind],
        *([_TRANSPORT_SEQUENCE] if sends or tells else []),
        f"a=extmap:{MID_ID} urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=sendonly" if sends else "a=recvonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        *formats,
    ]
    if section.rids:
        lines += [
            f"a=msid:- {section.cid}",
            f"a=extmap:{RID_ID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            *(f"a=rid:{rid} send" for rid in section.rids),
            f"a=simulcast:send {';'.join(section.rids)}",
        ]
    elif sends:
        lines += [
            f"a=msid:- {section.cid}",
            f"a=ssrc:{section.ssrc} cname:bench",
            f"a=ssrc:{section.ssrc} msid:- {section.cid}",
        ]
    return lines


def reachable(answer: str) -> bool:
    """Whether it says where the server is."""
    return re.search(_CANDIDATE, answer, re.MULTILINE) is not None


def remote_side(answer: str) -> RemoteSide:
    """Where the server is and who it must be, by its answer or offer. Raises `BadAnswer`."""
    ufrag = _first(answer, r"^a=ice-ufrag:(\S+)")
    password = _first(answer, r"^a=ice-pwd:(\S+)")
    if _first(answer, r"^a=setup:(\S+)") not in ("passive", "actpass"):
        raise BadAnswer("the server does not take the DTLS server's role")
    fingerprints = {
        algorithm.lower(): value.upper()
        for algorithm, value in _all(answer, r"^a=fingerprint:(\S+) (\S+)")
    }
    if "sha-256" not in fingerprints:
        raise BadAnswer("no sha-256 fingerprint")
    found = _all(answer, _CANDIDATE)
    if not found:
        raise BadAnswer("no UDP host candidate")
    return RemoteSide(ufrag, password, fingerprints, [(ip, int(port)) for ip, port in found])


def _first(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise BadAnswer(f"no line like {pattern}")
    return found[1]


def _all(text: str, pattern: str) -> list[tuple[str, str]]:
    return [(match[0], match[1]) for match in re.findall(pattern, text, re.MULTILINE)]
