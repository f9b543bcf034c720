"""Where people meet: what the generator needs of a server, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bench.loadgen.dtls import Identity
from bench.loadgen.sdp import Kind
from bench.loadgen.transport import Delays, Source, Transport


class VenueError(Exception):
    """The server ended a session, refused, or stays silent."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What all people of one generator have in common."""

    identity: Identity  # certificate, DTLS suite and SRTP profile
    delays: Delays
    attach: Callable[[Transport], None]  # to be called with each transport as it begins
    tells: bool = False  # receivers give transport-wide feedback and ask for lost packets
    loses: float = 0.0  # share of the packets that receivers who tell say they lost


class Person(Protocol):
    """Somebody who joins with the first thing they do: publish or listen."""

    began: float
    """When they began to join, monotonic seconds."""

    @property
    def outgoing(self) -> Transport | None:
        """What their track leaves by; None as long as they publish none."""
        ...

    @property
    def incoming(self) -> Transport | None:
        """What the others' tracks come by, maybe the same; None until there is one."""
        ...

    @property
    def failure(self) -> str | None:
        """Why they are there no more, if so."""
        ...

    async def publish(self, kind: Kind, source: Source, *, listens: bool = False) -> object:
        """Join, publish one track; with `listens` get everybody else's too.

        Returns once media can be sent, or, where that takes everybody, after `Venue.gathered`.
        Raises VenueError, HandshakeError.
        """
        ...

    async def listen(self, audio: int = 0, video: int = 0) -> None:
        """Join and get so many tracks, which are published already. Raises as `publish`."""
        ...

    async def close(self) -> None:
        """Leave."""
        ...


class Venue(Protocol):
    """A running server. `core` is where it runs."""

    core: int

    @property
    def pid(self) -> int:
        """The process that is measured; known after `gathered` at the latest."""
        ...

    def person(self, room: str, name: str) -> Person:
        """Somebody new, not yet joined."""
        ...

    async def gathered(self) -> None:
        """Everybody has been told to join: when this returns media flows. Raises as `publish`."""
        ...

    async def counters(self) -> dict[str, int]:
        """The server's own counters by name; none where it does not tell."""
        ...

    async def close(self) -> None:
        """After everybody has left."""
        ...
