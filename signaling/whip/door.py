"""The door of WHIP and WHEP: what the HTTP edge hands over, and what it gets back.

The edge (signaling.server) owns verbs, headers, caps and rate limits; this door owns meaning. Every
call returns at once, and refuses with a `Refusal` whose status is the one to answer with.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol

from signaling.domain.grants import TrackSource


class Endpoint(enum.StrEnum):
    """Which of the two doors; the value is the first segment of its paths."""

    WHIP = "whip"  # the client sends
    WHEP = "whep"  # the client receives


@dataclass(frozen=True, slots=True)
class Wish:
    """What the query of a POST asks for.

    A publisher says with `source` whether its picture is a camera or a screen; its sound follows. A
    viewer may name the participant (an identity) or the tracks (sids) it wants; empty leaves the
    choice to `signaling.whip.choice`.
    """

    source: TrackSource = TrackSource.CAMERA
    participant: str = ""
    tracks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """A session's place: `/{endpoint}/{room}/{session}`."""

    endpoint: Endpoint
    room: str
    session: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Created:
    """A session that waits for its client's checks. `tag` names the ICE session, unquoted."""

    resource: Resource
    tag: str
    sdp: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Restarted:
    """ICE began anew under our side's `fragment` (RFC 8840)."""

    tag: str
    fragment: str = field(repr=False)


class ResourceDoor(Protocol):
    """Implemented by `signaling.whip.reception`. `token` is the bearer's, or empty."""

    def admit(self, endpoint: Endpoint, room: str, token: str) -> None:
        """Whether a POST would be let in, without effect: before its body is read."""
        ...

    def create(
        self, endpoint: Endpoint, room: str, token: str, offer: str, wish: Wish
    ) -> Created: ...

    def admit_to(self, resource: Resource, token: str) -> None:
        """Whether the bearer is the session's participant, without effect.

        Raises `session_not_found` (404) and `not_your_session` (403) besides what the token earns.
        """
        ...

    def patch(
        self, resource: Resource, token: str, if_match: str | None, fragment: str
    ) -> Restarted | None:
        """Trickled candidates (None), or an ICE restart."""
        ...

    def delete(self, resource: Resource, token: str) -> None:
        """End the session; others are told, the transport is closed."""
        ...

    def shut(self) -> None:
        """Let nobody in any more."""
        ...
