"""Which payload formats are taken, and when two of them are the same thing.

Opus, alone and with redundancy (RED, RFC 2198), VP8, VP9, H.264 and AV1, and for the pictures RTX
(see `repair`). No ULPFEC or FlexFEC. Redundancy is made and taken off by the relay as each
subscriber takes it, so whoever takes Opus at all is served.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, TypeAlias

from sfu.negotiation.types import Codec, FormatSpec, Kind, Wanted
from sfu.sdp import Format

# What a packet of one format must share with another to be right in it: levels aside, which only
# promise.
Variant: TypeAlias = tuple[str, ...]

MAX_FORMATS = 32  # per section, the rest is left out; Chromium offers 14 that are taken
CLOCK_RATE: Final[dict[Kind, int]] = {"audio": 48_000, "video": 90_000}
MIME_TYPE: Final[dict[Codec, str]] = {
    "opus": "audio/opus",
    "red": "audio/red",
    "vp8": "video/VP8",
    "vp9": "video/VP9",
    "h264": "video/H264",
    "av1": "video/AV1",
}
_CODECS: Final[dict[Kind, dict[str, Codec]]] = {
    "audio": {"opus": "opus", "red": "red"},
    "video": {"vp8": "vp8", "vp9": "vp9", "h264": "h264", "av1": "av1"},
}
# What LiveKit's server asks of a microphone: silence is not sent (RFC 7587 section 6.1).
OPUS_FROM_CLIENT = "minptime=10;useinbandfec=1;usedtx=1"

# Feedback that is really given or heeded.
FEEDBACK_RECEIVING: Final[dict[Kind, frozenset[str]]] = {
    "audio": frozenset({"nack"}),
    "video": frozenset({"transport-cc", "nack", "nack pli", "ccm fir"}),
}
FEEDBACK_SENDING: Final[dict[Kind, frozenset[str]]] = {
    "audio": frozenset({"transport-cc", "nack"}),
    "video": frozenset({"transport-cc", "nack", "nack pli", "ccm fir"}),
}


def recognise(kind: Kind, entry: Format) -> FormatSpec | None:
    """The offered format as ours, or None when it is not taken."""
    codec = _CODECS[kind].get(entry.name.lower())
    if codec is None or entry.clock_rate != CLOCK_RATE[kind]:
        return None
    if kind == "audio" and entry.channels != 2:  # RFC 7587 section 7: always 2
        return None
    return FormatSpec(entry.payload_type, codec, MIME_TYPE[codec], entry.fmtp)


def recognised(kind: Kind, entries: Iterable[Format]) -> tuple[FormatSpec, ...]:
    """The first `MAX_FORMATS` that are taken."""
    specs = (recognise(kind, entry) for entry in entries)
    taken = tuple(islice((spec for spec in specs if spec is not None), MAX_FORMATS))
    opus = {str(spec.payload_type) for spec in taken if spec.codec == "opus"}
    return tuple(spec for spec in taken if spec.codec != "red" or _blocks(spec) <= opus)


def plain(specs: Iterable[FormatSpec]) -> tuple[FormatSpec, ...]:
    """Those without redundancy."""
    return tuple(spec for spec in specs if spec.codec != "red")


def redundant_first(specs: Sequence[FormatSpec]) -> tuple[FormatSpec, ...]:
    """What a client is to send where it can, ahead: it sends what stands first."""
    return (*(spec for spec in specs if spec.codec == "red"), *plain(specs))


def carried(wanted: Wanted, taken: Sequence[FormatSpec]) -> tuple[FormatSpec, ...]:
    """Those of `taken` that a wanted track can be sent as, in its publisher's order."""
    return deliverable(wanted.formats, taken if wanted.redundant else plain(taken))


def deliverable(
    published: Sequence[FormatSpec], taken: Sequence[FormatSpec]
) -> tuple[FormatSpec, ...]:
    """Those of `taken` that something of `published` can be sent as, in the publisher's order."""
    targets: dict[Variant, list[FormatSpec]] = {}
    for spec in taken:
        targets.setdefault(_variant(spec), []).append(spec)
    sources = dict.fromkeys(_variant(spec) for spec in published)
    return tuple(spec for source in sources for spec in targets.get(source, ()))


def variants(specs: Iterable[FormatSpec]) -> frozenset[Variant]:
    """What these formats can carry; two that share nothing have no use for one another."""
    return frozenset(map(_variant, specs))


def _variant(spec: FormatSpec) -> Variant:
    if spec.codec == "red":  # another dress of the same sound
        return ("opus",)
    values = parameters(spec.fmtp) if spec.fmtp else {}
    if spec.codec == "vp9":  # RFC 9628 section 6: profile 0 unless said
        return (spec.codec, values.get("profile-id", "0"))
    if spec.codec == "av1":  # AV1 RTP specification section 7.2.1: main profile unless said
        return (spec.codec, values.get("profile", "0"))
    if spec.codec == "h264":  # RFC 6184 section 8.1: single NAL unit mode, baseline unless said
        profile = values.get("profile-level-id", "42")[:2].lower()
        return (spec.codec, values.get("packetization-mode", "0"), profile)
    return (spec.codec,)


def _blocks(spec: FormatSpec) -> frozenset[str]:
    """The payload types within redundancy, as `a=fmtp:63 111/111` names them (RFC 2198 section 5);
    unnamed ones are none of ours.
    """
    return frozenset(block.strip() for block in spec.fmtp.split("/"))


def parameters(fmtp: str) -> dict[str, str]:
    """`a=1;b=2` by lower-case name; what has no value maps to the empty string."""
    found: dict[str, str] = {}
    for part in fmtp.split(";"):
        name, _, value = part.partition("=")
        if name.strip():
            found.setdefault(name.strip().lower(), value.strip())
    return found
