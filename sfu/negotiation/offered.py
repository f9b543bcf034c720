"""What an offer holds, for whoever has to decide about it before it is answered."""

from __future__ import annotations

from dataclasses import dataclass

from sfu.negotiation import publishing
from sfu.negotiation.sections import offered_media
from sfu.negotiation.transport import remote_transport
from sfu.negotiation.types import Kind
from sfu.sdp import parse

_KINDS: dict[str, Kind] = {"audio": "audio", "video": "video"}


@dataclass(frozen=True, slots=True)
class OfferedSection:
    """One section for sound or picture, as its author sees the directions."""

    kind: Kind
    sends: bool
    receives: bool
    usable: bool  # it is in the bundle, and something in it can be spoken here


def read_offer(text: str) -> tuple[OfferedSection, ...]:
    """The offer's sections for sound and picture, without those that it refuses itself.

    Raises the `SdpError` with which the offer would not be answered.
    """
    offer = parse(text)
    remote_transport(offer)
    offered = offered_media(offer)
    publishing.check_bundle(offered)
    usable = {media.section.mid for media in offered}
    return tuple(
        OfferedSection(
            kind=_KINDS[section.kind],
            sends=section.direction.sends,
            receives=section.direction.receives,
            usable=section.mid in usable,
        )
        for section in offer.sections
        if section.kind in _KINDS and not section.rejected
    )
