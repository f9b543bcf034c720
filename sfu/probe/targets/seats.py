"""Tokens as the user gives them, and the seats they are good for."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from sfu.probe.targets import Seat


def seats_of(tokens: Sequence[str]) -> tuple[Seat, ...]:
    """One seat for each identity: servers let an identity in once, and the newcomer wins.

    The payload is read to tell identities and rooms apart, not to trust it; a token that cannot be
    read is a seat in a room of tokens like it.
    """
    seats: dict[tuple[str, str], Seat] = {}
    for token in dict.fromkeys(tokens):
        claims = _claims(token)
        video = claims.get("video")
        room = str(video.get("room", "")) if isinstance(video, dict) else ""
        identity = str(claims.get("sub") or token)
        seats.setdefault((room, identity), Seat(token, room, len(seats)))
    return tuple(seats.values())


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
