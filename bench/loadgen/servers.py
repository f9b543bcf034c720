"""Running servers as the generator's parent describes them: JSON in, one type each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class LiveKitServer:
    """One that speaks LiveKit's signalling: ours, or livekit-server."""

    pid: int
    core: int
    host: str
    port: int
    authority: str | None  # path of the certificate authority to trust; None: no TLS
    api_key: str
    api_secret: str
    admin_port: int = 0  # of our own counters, on loopback; 0: it has none
    namespace: str = ""  # the network namespace of that loopback, if not the generator's
    leads: bool = False  # left the choice, it would be the client of DTLS, as we are


@dataclass(frozen=True, slots=True)
class JanusServer:
    """Janus with its video room, by its plain WebSocket API."""

    pid: int
    core: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class BareServer:
    """A forwarder without signalling, which the generator itself starts once everybody is there:
    keys and addresses go to its standard input.
    """

    core: int
    host: str
    port: int
    command: Sequence[str]  # in its namespace, on its core


Server = LiveKitServer | JanusServer | BareServer

_KINDS: Final[Mapping[str, type[Server]]] = {
    "livekit": LiveKitServer,
    "janus": JanusServer,
    "bare": BareServer,
}


def described(server: Server) -> dict[str, Any]:
    """As JSON has it."""
    kind = next(name for name, each in _KINDS.items() if isinstance(server, each))
    return {"kind": kind, **asdict(server)}


def parse(description: Mapping[str, Any]) -> Server:
    """The other way round. Raises KeyError, TypeError."""
    fields = dict(description)
    return _KINDS[fields.pop("kind")](**fields)
