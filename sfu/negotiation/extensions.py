"""Which header extensions (RFC 8285) are taken.

All that an offer holds of them is accepted in every section, idle ones included: libwebrtc leaves
out of its later offers, new sections too, whatever the first answer did not accept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from sfu.negotiation.types import Kind
from sfu.sdp import Extension, Format

MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID: Final = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID: Final = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
TRANSPORT_SEQUENCE: Final = (
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
)
DEPENDENCY_DESCRIPTOR: Final = (
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)
ORIENTATION: Final = "urn:3gpp:video-orientation"
_EXPERIMENTS: Final = "http://www.webrtc.org/experiments/rtp-hdrext/"
PLAYOUT_DELAY: Final = _EXPERIMENTS + "playout-delay"
CAPTURE_TIME: Final = _EXPERIMENTS + "abs-capture-time"

TAKEN: Final = frozenset(
    {
        MID,
        RID,
        REPAIRED_RID,
        AUDIO_LEVEL,
        TRANSPORT_SEQUENCE,
        DEPENDENCY_DESCRIPTOR,
        ORIENTATION,
        PLAYOUT_DELAY,
        CAPTURE_TIME,
        "urn:ietf:params:rtp-hdrext:toffset",
        _EXPERIMENTS + "abs-send-time",
        _EXPERIMENTS + "video-layers-allocation00",
        _EXPERIMENTS + "video-content-type",
        _EXPERIMENTS + "video-timing",
        _EXPERIMENTS + "color-space",
    }
)

# What belongs to a track and not to a leg, as it is numbered between two workers.
PIPED_EXTENSIONS: Final = tuple(
    enumerate(
        (
            AUDIO_LEVEL,
            DEPENDENCY_DESCRIPTOR,
            ORIENTATION,
            PLAYOUT_DELAY,
            CAPTURE_TIME,
            _EXPERIMENTS + "video-content-type",
            _EXPERIMENTS + "color-space",
        ),
        start=1,
    )
)

# What we number ourselves when we offer towards a client. Nothing that belongs to one leg only,
# except the tag that says which section a packet is for and the number it has on this transport.
OFFERED: Final[dict[Kind, tuple[Extension, ...]]] = {
    "audio": (
        Extension(1, AUDIO_LEVEL),
        Extension(3, TRANSPORT_SEQUENCE),
        Extension(4, MID),
        Extension(7, CAPTURE_TIME),
    ),
    "video": (
        Extension(3, TRANSPORT_SEQUENCE),
        Extension(4, MID),
        Extension(5, PLAYOUT_DELAY),
        Extension(6, ORIENTATION),
        Extension(7, CAPTURE_TIME),
        Extension(8, DEPENDENCY_DESCRIPTOR),
    ),
}


def accepted(offered: Sequence[Extension], *, mixed: bool) -> tuple[Extension, ...]:
    """Our answer to the offered extensions: their ids, their directions as we see them.

    Ids above 14 need the two-byte form, so they wait for `extmap-allow-mixed`; 15 means nothing in
    the one-byte form (RFC 8285 section 4.2).
    """
    most = 255 if mixed else 14
    chosen: dict[str, Extension] = {}
    for extension in offered:
        if extension.uri in TAKEN and extension.id <= most and extension.id != 15:
            answer = Extension(extension.id, extension.uri, extension.direction.mirrored)
            chosen.setdefault(extension.uri, answer)
    return tuple(chosen.values())


def received(answered: Sequence[Extension]) -> tuple[tuple[int, str], ...]:
    """(id, URI) of those that the client may write."""
    return tuple((entry.id, entry.uri) for entry in answered if entry.direction.receives)


def sent(answered: Sequence[Extension], formats: Iterable[Format]) -> tuple[tuple[int, str], ...]:
    """(id, URI) of those that we may write, in a section of the client's with these formats."""
    mine = tuple((entry.id, entry.uri) for entry in answered if entry.direction.sends)
    return numbered(mine, formats)


def numbered(
    mine: tuple[tuple[int, str], ...], formats: Iterable[Format]
) -> tuple[tuple[int, str], ...]:
    """Without transport-wide numbers where the client does not tell what becomes of them."""
    if any("transport-cc" in entry.feedback for entry in formats):
        return mine
    return tuple((number, uri) for number, uri in mine if uri != TRANSPORT_SEQUENCE)
