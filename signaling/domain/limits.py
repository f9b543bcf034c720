"""How much of anything one participant or room may have; LiveKit's figures where it has them."""

from __future__ import annotations

from dataclasses import dataclass

from signaling.domain.errors import Refusal

MAX_NAME = 256
"""Characters of an identity, a room's, participant's or track's name."""
MAX_METADATA = 512 * 1024
"""Bytes of a participant's metadata."""
MAX_ATTRIBUTES = 64 * 1024
"""Bytes of all a participant's attributes together."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps an operator may change."""

    rooms: int = 1_000
    participants: int = 5_000
    participants_per_room: int = 200
    tracks_per_participant: int = 20
    pending_tracks: int = 20
    pending_seconds: float = 30.0  # an announced track whose media never came is forgotten


def attributes_size(attributes: tuple[tuple[str, str], ...]) -> int:
    """Bytes of keys and values, in UTF-8."""
    return sum(len(key.encode()) + len(value.encode()) for key, value in attributes)


def check_profile(name: str, metadata: str, attributes: tuple[tuple[str, str], ...]) -> None:
    """Raise `Refusal` `name_too_long`, `metadata_too_long` or `attributes_too_long`."""
    if len(name) > MAX_NAME:
        raise Refusal("name_too_long", f"A name may have at most {MAX_NAME} characters.")
    if len(metadata.encode()) > MAX_METADATA:
        raise Refusal("metadata_too_long", f"Metadata may have at most {MAX_METADATA} bytes.")
    if attributes_size(attributes) > MAX_ATTRIBUTES:
        raise Refusal("attributes_too_long", f"Attributes may have at most {MAX_ATTRIBUTES} bytes.")
