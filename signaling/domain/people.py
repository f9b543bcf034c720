"""Who is in a room, as the others may see them."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from signaling.domain.grants import Grant
from signaling.domain.limits import attributes_size
from signaling.domain.tracks import Track


class ParticipantState(enum.IntEnum):
    """LiveKit's ladder; nobody ever steps down."""

    JOINING = 0
    JOINED = 1
    ACTIVE = 2
    DISCONNECTED = 3


class Departure(enum.StrEnum):
    """Why a participant left."""

    CLIENT_INITIATED = "client_initiated"
    DUPLICATE_IDENTITY = "duplicate_identity"
    SERVER_SHUTDOWN = "server_shutdown"
    GRANT_EXPIRED = "grant_expired"
    JOIN_FAILURE = "join_failure"
    SIGNAL_CLOSED = "signal_closed"
    SIGNAL_TIMEOUT = "signal_timeout"
    SLOW_READER = "slow_reader"
    PROTOCOL_FAULT = "protocol_fault"
    MEDIA_FAILURE = "media_failure"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Client:
    """What the client software says of itself; mirrored to others, trusted by nobody.

    `protocol` is the signalling protocol, `client_protocol` its level of data streams and RPC,
    `capabilities` are names of LiveKit's ClientInfo.Capability.
    """

    protocol: int = 0
    client_protocol: int = 0
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Participant:
    """One participant at one version. `joined_at` is Unix seconds."""

    sid: str
    identity: str
    grant: Grant
    joined_at: float
    state: ParticipantState = ParticipantState.JOINING
    version: int = 1
    name: str = ""
    metadata: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    client: Client = Client()
    tracks: tuple[Track, ...] = ()
    departure: Departure | None = None

    @property
    def hidden(self) -> bool:
        return self.grant.hidden

    @property
    def words(self) -> int:
        """Bytes of what it says of itself, in UTF-8."""
        said = len(self.name.encode()) + len(self.metadata.encode())
        return said + attributes_size(self.attributes)

    def track(self, track_sid: str) -> Track | None:
        """The published track of that sid, if it is this participant's."""
        return next((track for track in self.tracks if track.sid == track_sid), None)


@dataclass(frozen=True, slots=True)
class RoomView:
    """A room as its participants see it. `created_at` is Unix seconds; hidden ones not counted."""

    sid: str
    name: str
    created_at: float
    participants: int = 0
    publishers: int = 0
    max_participants: int = 0
