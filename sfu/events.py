"""What the relay tells us, as values, and what the media plane tells its owner, as protocols."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

# --- from the relay; each mirrors the class of the same name in `sfu/_relay.pyi` -----------------


@dataclass(frozen=True, slots=True)
class Done:
    """A ticket is finished; `error` is the code of the first refused command, at `failed_at`."""

    ticket: int
    error: str | None = None
    failed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Dtls:
    """A DTLS datagram from an address that STUN has bound to the peer."""

    peer: int
    datagram: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """The first packet that opened under the peer's keys."""

    peer: int


@dataclass(frozen=True, slots=True)
class ConsentLost:
    """No valid STUN for 30 s (RFC 7675); sending has stopped for good."""

    peer: int


@dataclass(frozen=True, slots=True)
class Expired:
    """The peer's authority ran out; forwarding to and from it has stopped."""

    peer: int


@dataclass(frozen=True, slots=True)
class Levels:
    """(track, loudness from 0.0 to 1.0) where it changed."""

    changes: Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class TrackStarted:
    """The track's first packet was accepted."""

    track: int


@dataclass(frozen=True, slots=True)
class Withheld:
    """The link to the peer has no room for anything of a downtrack, or has it again."""

    peer: int
    downtrack: int
    withheld: bool


@dataclass(frozen=True, slots=True)
class Health:
    """How well packets go between the peer and the relay changed; looked at every 5 s.

    Losses in percent, of what the peer sends and is sent; None where that is too little to say.
    """

    peer: int
    loss_up: int | None
    loss_down: int | None
    round_trip: float | None  # seconds, in hundredths
    withheld: bool  # its link has no room for something that it wants
    silent: bool  # it answers no more, though consent is not lost yet


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """The worker thread ended by itself: all its peers are gone."""

    reason: str


RelayEvent: TypeAlias = (
    Done
    | Dtls
    | MediaStarted
    | ConsentLost
    | Expired
    | Levels
    | TrackStarted
    | Withheld
    | Health
    | WorkerDied
)

# --- to the owner --------------------------------------------------------------------------------


class Channel(enum.StrEnum):
    """LiveKit's data channels; the value is the label."""

    RELIABLE = "_reliable"
    LOSSY = "_lossy"


class PeerEvents(Protocol):
    """Told about one peer; called from the event loop, never from within a call into the peer."""

    def on_connected(self) -> None:
        """DTLS is done, keys are installed."""
        ...

    def on_failed(self, code: str, sentence: str) -> None:
        """The transport cannot go on. Final; `close` the peer."""
        ...

    def on_data(self, channel: Channel, payload: bytes) -> None:
        """One message from the client."""
        ...

    def on_channels_open(self) -> None:
        """Both channels can carry data towards the client."""
        ...

    def on_withheld(self, track_id: str, withheld: bool) -> None:
        """The client's link has no room for anything of a carried track, or has it again."""
        ...

    def on_health(self, health: Health) -> None:
        """How well packets go to and from the client changed."""
        ...


class PlaneListener(Protocol):
    """Told about tracks as a whole."""

    def on_levels(self, changes: Sequence[tuple[str, float]]) -> None:
        """Loudness of (track id) changed: 0.0 silent to 1.0."""
        ...
