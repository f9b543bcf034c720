"""What a call tells the one who speaks with a participant; frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from signaling.domain.condition import ConnectionQuality
from signaling.domain.people import Departure, Participant
from signaling.domain.viewing import Quality
from signaling.rooms.speakers import Speaker


@dataclass(frozen=True, slots=True)
class RosterChanged:
    """These participants changed; others did not. `superseded` are older sessions of the same
    identity, which only old clients need to be told about.
    """

    participants: tuple[Participant, ...]
    superseded: tuple[Participant, ...] = ()


@dataclass(frozen=True, slots=True)
class SpeakersChanged:
    """Everybody who speaks now, and who has just stopped."""

    speakers: tuple[Speaker, ...]


@dataclass(frozen=True, slots=True)
class TrackHeard:
    """The participant's own track has got its first subscriber."""

    track_sid: str


@dataclass(frozen=True, slots=True)
class QualityWanted:
    """The best that anybody wants of the participant's own track; the rest need not be sent."""

    track_sid: str
    mime_type: str
    highest: Quality


@dataclass(frozen=True, slots=True)
class PermissionChanged:
    """A publisher gave, or took back, the leave to hear one of its tracks."""

    publisher_sid: str
    track_sid: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class TrackWithheld:
    """The participant's link has no room for anything of a track it hears, or has it again."""

    publisher_sid: str
    track_sid: str
    withheld: bool


@dataclass(frozen=True, slots=True)
class ConnectionsChanged:
    """How good these participants' connections are, by sid; of others nothing changed."""

    qualities: Mapping[str, ConnectionQuality]


@dataclass(frozen=True, slots=True)
class NegotiationDue:
    """Wanted and negotiated subscriptions differ."""


@dataclass(frozen=True, slots=True)
class DataDropped:
    """A data message of this participant was not delivered; `code` says why."""

    code: str


@dataclass(frozen=True, slots=True)
class GoodbyeDue:
    """The client closed a transport, so it is about to leave: the word for it travels apart."""


@dataclass(frozen=True, slots=True)
class Dismissed:
    """The participant is out of the call, not by its own doing. `again` invites a fresh join."""

    departure: Departure
    code: str
    sentence: str
    again: bool = False


Event = (
    RosterChanged
    | SpeakersChanged
    | TrackHeard
    | QualityWanted
    | PermissionChanged
    | TrackWithheld
    | ConnectionsChanged
    | NegotiationDue
    | DataDropped
    | GoodbyeDue
    | Dismissed
)


class Listener(Protocol):
    """Whoever speaks with a participant. `tell` queues and returns; it never calls back into the
    call.
    """

    def tell(self, event: Event) -> None: ...
