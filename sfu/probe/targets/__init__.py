"""Where the probe goes: each way in holds a real signalling exchange."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Final, Protocol

from sfu.probe.sides import LocalSide, RemoteSide

_LONGEST_WAIT: Final = 60.0  # seconds; who wants to be left alone for longer is


class Unreachable(Exception):
    """Signalling failed, so nothing can be said of the media; the text says how."""


class Busy(Unreachable):
    """The server wants to be asked later: HTTP 429 or 503 with Retry-After (RFC 9110)."""

    def __init__(self, why: str, seconds: float) -> None:
        super().__init__(why)
        self.seconds = seconds


class DescriptionRefused(Exception):
    """The server took the session but not our offer; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Door:
    """The signalling port."""

    host: str
    port: int
    tls: ssl.SSLContext | None  # None: the target's scheme has none


@dataclass(frozen=True, slots=True)
class Seat:
    """A right to one session at a time. Seats of one room can hear each other."""

    token: str = field(repr=False)
    room: str
    number: int


class Exchange(Protocol):
    """One signalling session, open."""

    remote: RemoteSide

    def ended(self) -> str | None:
        """Why the server ended the session, None while it has not."""
        ...

    async def close(self) -> None:
        """Leave; never raises."""
        ...


class Target(Protocol):
    """A server to probe."""

    name: str
    door: Door
    seats: tuple[Seat, ...]
    observes: bool  # what one session sends, another one of its room can receive

    async def open(self, seat: Seat, local: LocalSide) -> Exchange:
        """Offer `local` and get the server's answer.

        Raises `DescriptionRefused` when the offer is refused, `Unreachable` for all other failures.
        """
        ...

    async def close(self) -> None:
        """End what the target itself has started."""
        ...


def refusal(status: int, body: str, retry_after: str | None) -> Unreachable:
    """What an HTTP answer that lets nobody in is to a row."""
    why = f"HTTP {status} {body[:200]}".strip()
    if status in (429, 503) and retry_after is not None and retry_after.isdecimal():
        return Busy(why, min(float(retry_after), _LONGEST_WAIT))
    return Unreachable(why)
