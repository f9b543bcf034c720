"""The door of LiveKit signalling: what the HTTP edge hands over, and what it gets back.

The edge (signaling.server) owns sockets, TLS and rate limits; this module owns meaning. The edge
calls
:meth:`Door.admit` before it upgrades, answers a `Refusal` as plain text with its status (CORS
header included),
and on success upgrades and awaits :meth:`Admission.run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Knock:
    """One request to `/rtc/v1`, `/rtc` or their `/validate`, before any upgrade.

    `query` holds the decoded query parameters; `authorization` the raw header or None. Not
    printable: it carries tokens.
    """

    path: str
    query: Mapping[str, str]
    authorization: str | None

    def __repr__(self) -> str:
        return f"Knock({self.path!r})"


class SignalSocket(Protocol):
    """An accepted WebSocket. One reader, one writer."""

    async def receive(self) -> bytes | str | None:
        """The next message, or None once the client is gone."""
        ...

    async def send(self, data: bytes) -> None:
        """Send one binary message; returns when the transport has taken it. Raises
        ConnectionError when gone.
        """
        ...

    async def close(self) -> None:
        """Close with code 1000."""
        ...


class Admission(Protocol):
    """Permission to upgrade, good for a few seconds."""

    async def run(self, socket: SignalSocket) -> None:
        """Speak the protocol until either side leaves; returns when all is cleaned up."""
        ...

    def abandon(self) -> None:
        """The upgrade did not happen."""
        ...


class Door(Protocol):
    """Implemented by `signaling.livekit`."""

    async def validate(self, knock: Knock) -> None:
        """The checks of `admit` without effects. Raises Refusal."""
        ...

    async def admit(self, knock: Knock) -> Admission:
        """Authenticate, parse the join request, decide, and prepare the session. Raises Refusal."""
        ...

    async def shut(self, grace: float) -> None:
        """Tell every client that the server stops (Leave SERVER_SHUTDOWN), wait up to `grace`
        seconds, close.
        """
        ...
