"""What an offer must hold to be published or viewed with: all of it, or nothing (RFC 9725 4.4.3).

Refusals, all with status 422: `offer_without_media`, `offer_direction`, `offer_too_many_tracks`,
`offer_codecs`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from signaling.domain.errors import Refusal
from signaling.domain.grants import TrackSource
from signaling.domain.tracks import MediaKind, TrackWish
from signaling.ports import OfferedSection
from signaling.whip.door import Endpoint

_SOUND_OF = {
    TrackSource.CAMERA: TrackSource.MICROPHONE,
    TrackSource.SCREEN_SHARE: TrackSource.SCREEN_SHARE_AUDIO,
}


def check_offer(endpoint: Endpoint, sections: Sequence[OfferedSection]) -> tuple[MediaKind, ...]:
    """The kinds of media that will flow, at most one track of each (RFC 9725 4.4.2)."""
    if not sections:
        raise _unusable("offer_without_media", "The offer has no section for sound or picture.")
    if endpoint is Endpoint.WHIP and not all(section.sends for section in sections):
        raise _unusable(
            "offer_direction", "Each section of the offer must send: sendonly or sendrecv."
        )
    if endpoint is Endpoint.WHEP and not all(section.receives for section in sections):
        raise _unusable(
            "offer_direction", "Each section of the offer must receive: recvonly or sendrecv."
        )
    kinds = Counter(section.kind for section in sections)
    if max(kinds.values()) > 1:
        raise _unusable(
            "offer_too_many_tracks", "The offer has more than one section for sound, or picture."
        )
    if not all(section.usable for section in sections):
        raise _unusable(
            "offer_codecs",
            "A section offers none of Opus, VP8, VP9, H.264 and AV1, or is not in the bundle.",
        )
    return tuple(kinds)


def track_wishes(kinds: Sequence[MediaKind], source: TrackSource) -> list[TrackWish]:
    """How the tracks of a publisher are announced; the kind is name enough for one of each."""
    sources = {MediaKind.VIDEO: source, MediaKind.AUDIO: _SOUND_OF[source]}
    return [TrackWish(cid=kind.value, kind=kind, source=sources[kind]) for kind in kinds]


def _unusable(code: str, sentence: str) -> Refusal:
    return Refusal(code, sentence, status=422)
